//! One notification, as it is kept.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tidings_proto::{MarkAs, Text, Timestamp};

/// What an item takes beside its texts, in memory and in pages.
const PER_ITEM: usize = 96;

/// How the JSON of a new item ends. Everything in front of it never changes, so it is kept as it is
/// and nothing is encoded again.
pub(crate) const FRESH: &str = r#","seen":false,"read":false,"archived":false}"#;

/// What its user has done with an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) seen: bool,
    pub(crate) read: bool,
    pub(crate) archived: bool,
}

impl Flags {
    /// What they are behind a mark.
    pub(crate) fn marked(self, how: MarkAs) -> Self {
        match how {
            MarkAs::Archived => Self { archived: true, ..self },
            MarkAs::Read => Self { read: true, seen: true, ..self },
            MarkAs::Seen => Self { seen: true, ..self },
            MarkAs::Unread => Self { read: false, ..self },
        }
    }

    pub(crate) fn is_unread(self) -> bool {
        !self.read && !self.archived
    }

    pub(crate) fn is_unseen(self) -> bool {
        !self.seen && !self.archived
    }

    pub(super) fn bits(self) -> u8 {
        u8::from(self.seen) | u8::from(self.read) << 1 | u8::from(self.archived) << 2
    }

    pub(super) fn of_bits(bits: u8) -> Self {
        Self { seen: bits & 1 > 0, read: bits & 2 > 0, archived: bits & 4 > 0 }
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// Grows for ever: its offset, unless the log was lost once.
    pub(crate) id: u64,
    /// When it came: milliseconds of the steady clock.
    pub(crate) at_ms: u64,
    /// When it goes by itself, on the same clock.
    pub(crate) expires_ms: Option<u64>,
    pub(crate) flags: Flags,
    pub(crate) topic: Box<str>,
    pub(crate) subject: Option<Box<str>>,
    /// Its JSON up to the flags.
    pub(super) head: Box<str>,
}

/// What a new item is made of.
#[derive(Debug, Serialize)]
pub(crate) struct Notification<'a> {
    pub(crate) id: u64,
    pub(crate) topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<&'a str>,
    pub(crate) data: &'a RawValue,
    pub(crate) timestamp: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<Timestamp>,
}

/// What of it an event says in fields; the rest of it is in its head.
#[derive(Deserialize)]
pub(super) struct LoggedItem<'a> {
    id: u64,
    #[serde(borrow)]
    topic: Text<'a>,
    #[serde(borrow)]
    subject: Option<Text<'a>>,
    #[serde(borrow)]
    timestamp: Text<'a>,
    #[serde(borrow)]
    expires_at: Option<Text<'a>>,
}

impl Item {
    /// Made now; `at_ms` is on the steady clock.
    pub(crate) fn new(made: &Notification<'_>, at_ms: u64) -> Self {
        let mut head = serde_json::to_string(made).unwrap_or_default();
        head.pop();
        let expires_ms = made.expires_at.map(|end| at_ms + end.0.saturating_sub(made.timestamp.0));
        Self {
            id: made.id,
            at_ms,
            expires_ms,
            flags: Flags::default(),
            topic: made.topic.into(),
            subject: made.subject.map(Into::into),
            head: head.into(),
        }
    }

    /// As it stands in the log: nobody had seen it. `None`: it is no item.
    pub(super) fn read(logged: LoggedItem<'_>, head: &str, at_ms: u64) -> Option<Self> {
        // How long it lives was said by one clock; when it ends is measured by another.
        let expires_ms = match logged.expires_at {
            None => None,
            Some(end) => {
                let made: Timestamp = logged.timestamp.parse().ok()?;
                let end: Timestamp = end.parse().ok()?;
                Some(at_ms + end.0.saturating_sub(made.0))
            }
        };
        Some(Self {
            id: logged.id,
            at_ms,
            expires_ms,
            flags: Flags::default(),
            topic: (*logged.topic).into(),
            subject: logged.subject.map(|subject| (*subject).into()),
            head: head.into(),
        })
    }

    /// What it takes.
    pub(crate) fn bytes(&self) -> usize {
        let subject = self.subject.as_ref().map_or(0, |subject| subject.len());
        PER_ITEM + self.head.len() + self.topic.len() + subject
    }

    /// Its JSON, as its user gets it.
    pub(crate) fn write(&self, out: &mut String) {
        out.push_str(&self.head);
        let Flags { seen, read, archived } = self.flags;
        for (name, flag) in [("seen", seen), ("read", read), ("archived", archived)] {
            out.push_str(",\"");
            out.push_str(name);
            out.push_str(if flag { "\":true" } else { "\":false" });
        }
        out.push('}');
    }

    /// The same, alone.
    pub(crate) fn json(&self) -> String {
        let mut out = String::with_capacity(self.head.len() + FRESH.len() + 8);
        self.write(&mut out);
        out
    }
}
