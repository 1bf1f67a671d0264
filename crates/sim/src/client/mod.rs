//! The reference client: it keeps to `docs/protocol.md` and does nothing more.
//!
//! It says hello, subscribes again after each return with the position that it has, drops what it
//! knows already, and keeps its publishes in an outbox until they are answered.

mod connect;
mod hear;
mod outbox;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::checker::{Changed, Op, Pos};
use crate::world::{World, connection};
pub(crate) use hear::original;
pub(crate) use outbox::Outbox;

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) token: Option<String>,
    /// The token goes into the header of the upgrade, not into `hello`.
    pub(crate) in_header: bool,
    /// It says hello, comes back and subscribes again by itself.
    pub(crate) automatic: bool,
    ticket: Option<String>,
    pub(crate) link: Option<usize>,
    /// It has been told `welcome` on this connection.
    pub(crate) welcome: bool,
    since_ms: u64,
    attempt: u32,
    generation: u64,
    retry_after: Option<u64>,
    pub(crate) stopped: bool,
    next_id: u64,
    asked: BTreeMap<u64, Asked>,
    pub(crate) answers: BTreeMap<u64, Value>,
    /// All that it was ever sent, oldest first.
    pub(crate) frames: Vec<Value>,
    pub(crate) subs: BTreeMap<String, Sub>,
    /// What it has entered, with which data.
    pub(crate) entered: BTreeMap<String, Value>,
    pub(crate) outboxes: BTreeMap<String, Outbox>,
    /// The codes with which its connections ended; 0: without one.
    pub(crate) closed: Vec<u16>,
}

/// A command that waits for its answer.
#[derive(Clone, Debug)]
enum Asked {
    Enter {
        channel: String,
        data: Value,
    },
    Leave {
        channel: String,
    },
    Other,
    /// A `change` may be refused for the sake of its event, today and not the next time.
    Publish {
        publish: u64,
        outbox: Option<String>,
        change: bool,
    },
    Subscribe {
        channel: String,
        since: Option<Pos>,
        rewind: u64,
    },
    Unsubscribe {
        channel: String,
    },
}

/// A subscription as the client sees it, over all its connections.
#[derive(Debug, Default)]
pub(crate) struct Sub {
    /// It is to be taken up again after a return.
    pub(crate) wanted: bool,
    pub(crate) presence: bool,
    pub(crate) rewind: u64,
    pub(crate) position: Option<Pos>,
    /// The number of the subscription that is in force.
    pub(crate) active: Option<u64>,
    pub(crate) heard: Vec<String>,
    pub(crate) gaps: Vec<String>,
    pub(crate) recovered: Vec<bool>,
    /// Members by the reply and the pushes since; `None`: counts alone are told.
    pub(crate) members: Option<BTreeMap<String, u64>>,
    /// Ephemeral events.
    pub(crate) whispers: Vec<String>,
}

impl Client {
    pub(crate) fn new(name: &str, token: Option<String>, automatic: bool) -> Self {
        Self {
            name: name.into(),
            token,
            in_header: false,
            automatic,
            ticket: None,
            link: None,
            welcome: false,
            since_ms: 0,
            attempt: 0,
            generation: 0,
            retry_after: None,
            stopped: false,
            next_id: 1,
            asked: BTreeMap::new(),
            answers: BTreeMap::new(),
            frames: Vec::new(),
            subs: BTreeMap::new(),
            entered: BTreeMap::new(),
            outboxes: BTreeMap::new(),
            closed: Vec::new(),
        }
    }
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

/// What a command changes.
fn change_of(frame: &Value) -> Option<Changed> {
    let says = match frame["type"].as_str()? {
        "edit" => Some(frame["data"].to_string()),
        "delete" => Some(Value::Null.to_string()),
        "react" => None,
        _ => return None,
    };
    Some(Changed { target: frame["offset"].as_u64()?, says })
}

fn pos(value: &Value) -> Option<Pos> {
    Some(Pos { epoch: value["epoch"].as_str()?.to_owned(), offset: value["offset"].as_u64()? })
}

impl World {
    /// Sends a command and remembers what it was. Its id, unless there is no connection.
    pub(crate) fn transmit(&mut self, client: usize, mut frame: Value) -> Option<u64> {
        let link = self.clients[client].link?;
        let id = frame["id"].as_u64().unwrap_or(self.clients[client].next_id);
        self.clients[client].next_id = self.clients[client].next_id.max(id) + 1;
        frame["id"] = id.into();
        let channel = text(&frame, "channel");
        let asked = match frame["type"].as_str().unwrap_or_default() {
            "enter" => Asked::Enter { channel, data: frame["data"].clone() },
            "leave" => Asked::Leave { channel },
            "publish" | "edit" | "delete" | "react" => {
                if frame["type"] != "publish" && frame["key"].is_null() {
                    frame["key"] = self.change_key();
                }
                let outbox = frame.as_object_mut().and_then(|map| map.remove("outbox"));
                let outbox = outbox.and_then(|name| name.as_str().map(ToOwned::to_owned));
                let publish = self.publish_number(&frame, connection(link));
                let change = frame["type"] != "publish";
                Asked::Publish { publish, outbox, change }
            }
            "subscribe" => {
                let sub = self.clients[client].subs.entry(channel.clone()).or_default();
                sub.presence = frame["presence"] == true;
                let rewind = frame["rewind"].as_u64().unwrap_or(0);
                Asked::Subscribe { channel, since: pos(&frame["since"]), rewind }
            }
            "unsubscribe" => Asked::Unsubscribe { channel },
            _ => Asked::Other,
        };
        self.clients[client].asked.insert(id, asked);
        self.note(Op::Command { connection: connection(link), id });
        self.upload(link, frame.to_string());
        Some(id)
    }

    /// A key by which a change is known when it is seen.
    pub(crate) fn change_key(&mut self) -> Value {
        self.changes += 1;
        format!("change-{}", self.changes).into()
    }

    /// Numbers a publish; the same data in the same channel is the same publish.
    fn publish_number(&mut self, frame: &Value, connection: u64) -> u64 {
        let channel = text(frame, "channel");
        let named = if frame["type"] == "publish" { "data" } else { "key" };
        let data = frame[named].to_string();
        let key = (channel.clone(), data.clone());
        if let Some(number) = self.publishes.get(&key) {
            return *number;
        }
        let publish = self.publishes.len() as u64 + 1;
        self.publishes.insert(key, publish);
        let ephemeral = frame["ephemeral"] == true;
        let except = (frame["echo"] == false).then_some(connection);
        let change = change_of(frame);
        self.note(Op::Publish { publish, channel, data, ephemeral, except, change });
        publish
    }

    /// Takes a subscription up, where it stood.
    pub(crate) fn subscribe(&mut self, client: usize, channel: &str) {
        let Some(sub) = self.clients[client].subs.get_mut(channel) else { return };
        sub.wanted = true;
        let mut frame = json!({ "type": "subscribe", "channel": channel });
        if let Some(Pos { epoch, offset }) = &sub.position {
            frame["since"] = json!({ "epoch": epoch, "offset": offset });
        }
        if sub.rewind > 0 {
            frame["rewind"] = sub.rewind.into();
        }
        if sub.presence {
            frame["presence"] = true.into();
        }
        if self.clients[client].welcome {
            self.transmit(client, frame);
        }
    }

    /// All commands without an answer will have none: the connection is over.
    pub(crate) fn forget_asked(&mut self, client: usize) {
        let at = &mut self.clients[client];
        at.asked.clear();
        at.welcome = false;
        at.link = None;
        let mut ended = BTreeSet::new();
        for sub in at.subs.values_mut() {
            ended.extend(sub.active.take());
        }
        for outbox in at.outboxes.values_mut() {
            outbox.forget();
        }
        for subscription in ended {
            self.note(Op::Unsubscribed { subscription });
        }
    }
}
