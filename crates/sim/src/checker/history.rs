//! What a run is written down as.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

/// A position: the epoch as it was on the wire, and an offset.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pos {
    /// The epoch.
    pub epoch: String,
    /// The offset.
    pub offset: u64,
}

/// Something that happened.
///
/// `publish` numbers publishes of the whole run: a publish that is sent again is still the same.
/// `subscription` numbers `subscribed` replies of the whole run, `connection` connections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Op {
    /// What is promised for a channel. Without it: durable, and nothing is said about retention.
    Channel {
        /// Its name.
        channel: String,
        /// Whether it outlives the process.
        durable: bool,
        /// How many events are kept for sure at the end of the run.
        keeps: u64,
    },
    /// A publish is sent for the first time. `data` is different for each publish of the run: of a
    /// change of an event it is its key.
    Publish {
        /// Its number.
        publish: u64,
        /// The channel.
        channel: String,
        /// Its data, as JSON.
        data: String,
        /// It was asked not to be stored.
        ephemeral: bool,
        /// The connection that does not get it (`echo: false`).
        except: Option<u64>,
        /// It changes an event.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        change: Option<Changed>,
    },
    /// A publish was acknowledged.
    Ok {
        /// Its number.
        publish: u64,
        /// What it got; `None` if the reply had no offset.
        at: Option<Pos>,
        /// Whether the reply said so.
        duplicate: bool,
    },
    /// A publish was refused.
    Fail {
        /// Its number.
        publish: u64,
        /// The code of the error.
        code: String,
        /// Refused for good: it must never be seen. Else it may have been stored.
        certain: bool,
    },
    /// A subscription began.
    Subscribed {
        /// Its number.
        subscription: u64,
        /// Over which connection.
        connection: u64,
        /// To what.
        channel: String,
        /// The channel's position, by the reply.
        at: Pos,
        /// What was asked for.
        since: Option<Pos>,
        /// What was asked for.
        rewind: u64,
        /// What the reply said.
        recovered: bool,
    },
    /// An event came, as the server sent it (before the client drops what it has).
    Delivered {
        /// The subscription; 0: there was none.
        subscription: u64,
        /// The channel.
        channel: String,
        /// Its offset; `None`: ephemeral.
        offset: Option<u64>,
        /// Its data, or the key of a change; empty: the event was changed since it was published.
        data: String,
    },
    /// A `gap` came.
    Gap {
        /// The subscription.
        subscription: u64,
        /// After this.
        from: Pos,
        /// Up to this.
        to: Pos,
    },
    /// A subscription ended, or its connection did.
    Unsubscribed {
        /// Its number.
        subscription: u64,
    },
    /// A command was sent.
    Command {
        /// Over which connection.
        connection: u64,
        /// Its id.
        id: u64,
    },
    /// An answer came.
    Answer {
        /// Over which connection.
        connection: u64,
        /// To which command.
        id: u64,
    },
    /// A connection ended, or its commands can no longer be answered.
    Closed {
        /// Which.
        connection: u64,
    },
    /// A fault.
    Fault {
        /// In words.
        what: String,
        /// What was acknowledged in memory may be gone: the process ended.
        memory: bool,
        /// What was acknowledged durably may be gone: bits flipped, or the power failed at level
        /// `os`.
        durable: bool,
    },
    /// What history said after everything had come to rest, all that is left of it.
    Final {
        /// The channel.
        channel: String,
        /// Its position.
        at: Pos,
        /// Its events: offset and data as in [`Op::Delivered`], oldest first.
        events: Vec<(u64, String)>,
        /// What those of its events say that were changed: offset and data.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changed: Vec<(u64, String)>,
    },
    /// Who is there, after everything has come to rest: users and their numbers of sessions.
    Present {
        /// The channel.
        channel: String,
        /// The users.
        users: BTreeMap<String, u64>,
    },
    /// Who is seen there; behind `Present`.
    Seen {
        /// By whom.
        by: String,
        /// The channel.
        channel: String,
        /// The users.
        users: BTreeMap<String, u64>,
    },
}

/// A change of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The event's offset.
    pub target: u64,
    /// What it says then, as JSON: `null` if it is deleted; `None`: what it said.
    pub says: Option<String>,
}

/// Something that happened, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Milliseconds since the start.
    pub at_ms: u64,
    /// What.
    #[serde(flatten)]
    pub op: Op,
}

/// A whole run, in the order in which one observer saw it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// All that happened.
    pub entries: Vec<Entry>,
}

impl History {
    /// Writes something down.
    pub fn push(&mut self, at_ms: u64, op: Op) {
        self.entries.push(Entry { at_ms, op });
    }

    /// Writes it as lines of JSON.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write_jsonl(&self, mut into: impl Write) -> io::Result<()> {
        for entry in &self.entries {
            serde_json::to_writer(&mut into, entry)?;
            into.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Reads lines of JSON.
    ///
    /// # Errors
    /// What the reader says, or a line is not an [`Entry`].
    pub fn read_jsonl(from: impl BufRead) -> io::Result<History> {
        let mut entries = Vec::new();
        for line in from.lines() {
            let line = line?;
            if !line.trim().is_empty() {
                entries.push(serde_json::from_str(&line)?);
            }
        }
        Ok(History { entries })
    }
}
