//! What a channel is beyond its events.

use bytes::Bytes;

use super::inbox::Inbox;
use super::state::State;
use super::topic::Topic;
use crate::document::Document;
use crate::policy::Kind;

/// What somebody who reads a snapshot finds behind it, at least: bytes of log.
const LOG: usize = 256 << 10;

/// How an event begins that says only to the store what it does.
const HIDDEN: &[u8] = b"{\"type\":\"hidden\"";

/// Made of a channel's events, one after the other: the same events always make the same. A durable
/// one is kept by [`Checkpoints`](super::Checkpoints).
#[derive(Debug, Default)]
pub(crate) enum Fold {
    /// Nothing: its events are all there is.
    #[default]
    Events,
    /// What several write at once.
    Document(Box<Document>),
    /// Keys and what they hold.
    State(Box<State>),
    /// A user's notifications.
    Inbox(Box<Inbox>),
    /// Who follows a topic.
    Topic(Box<Topic>),
}

impl Fold {
    pub(crate) fn of(kind: Kind) -> Self {
        match kind {
            Kind::Events => Fold::Events,
            Kind::Document => Fold::Document(Box::default()),
            Kind::Inbox => Fold::Inbox(Box::default()),
            Kind::State => Fold::State(Box::default()),
            Kind::Topic => Fold::Topic(Box::default()),
        }
    }

    /// Whether there is anything to keep.
    pub(crate) fn is_kept(&self) -> bool {
        !matches!(self, Fold::Events)
    }

    /// Whether nothing would be lost without it.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Fold::Events => true,
            Fold::Document(document) => document.is_empty(),
            Fold::State(state) => state.len() == 0,
            Fold::Inbox(inbox) => inbox.is_empty(),
            Fold::Topic(topic) => topic.len() == 0,
        }
    }

    /// Begins again, with nothing.
    pub(crate) fn clear(&mut self) {
        match self {
            Fold::Events => {}
            Fold::Document(document) => document.clear(),
            Fold::State(state) => state.clear(),
            Fold::Inbox(inbox) => **inbox = Inbox::default(),
            Fold::Topic(topic) => **topic = Topic::default(),
        }
    }

    /// Takes an event in that was read from the store, in the order of offsets.
    pub(crate) fn replay(&mut self, offset: u64, at_ms: u64, event: &[u8]) {
        match self {
            Fold::Events => {}
            Fold::Document(document) => document.replay((offset, at_ms), event),
            Fold::State(state) => state.replay(event),
            Fold::Inbox(inbox) => inbox.replay(at_ms, event),
            Fold::Topic(topic) => topic.replay(event),
        }
    }

    /// An event has been stored, in the order of offsets.
    pub(crate) fn commit(&mut self, offset: u64, at_ms: u64, event: &Bytes) {
        let _ = at_ms;
        match self {
            // A document has taken it as what it was made of. The last two took it when it was
            // assigned.
            Fold::Events | Fold::Document(_) | Fold::Inbox(_) | Fold::Topic(_) => {}
            Fold::State(state) => state.commit(offset, event),
        }
    }

    /// What was at the store has failed, all of it. `true`: it has to be read again.
    pub(crate) fn revert(&mut self) -> bool {
        match self {
            Fold::Events => false,
            Fold::Document(document) => {
                document.revert();
                false
            }
            Fold::State(state) => {
                state.revert();
                false
            }
            Fold::Inbox(_) | Fold::Topic(_) => true,
        }
    }

    /// Whether it is made of stored events only. `idle`: nothing is at the store.
    pub(crate) fn is_settled(&self, idle: bool) -> bool {
        match self {
            Fold::Events | Fold::Document(_) | Fold::State(_) => true,
            Fold::Inbox(_) | Fold::Topic(_) => idle,
        }
    }

    /// All of it in pages of some `max` bytes, for [`take_page`](Self::take_page). `None`: what is
    /// in memory is of no use, and has to be read again.
    pub(crate) fn pages(&mut self, max: usize) -> Option<Vec<Bytes>> {
        match self {
            Fold::Events => Some(Vec::new()),
            Fold::Document(document) => document.pages(max).ok(),
            Fold::State(state) => Some(state.pages(max)),
            Fold::Inbox(inbox) => Some(inbox.pages(max)),
            Fold::Topic(topic) => Some(topic.pages(max)),
        }
    }

    /// Takes a page back in, in their order.
    pub(crate) fn take_page(&mut self, page: &[u8]) {
        match self {
            Fold::Events => {}
            Fold::Document(document) => document.take_page(page),
            Fold::State(state) => state.take_page(page),
            Fold::Inbox(inbox) => inbox.take_page(page),
            Fold::Topic(topic) => topic.take_page(page),
        }
    }

    /// About how many bytes its pages have.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Fold::Events => 0,
            Fold::Document(document) => document.bytes(),
            Fold::State(state) => state.bytes(),
            Fold::Inbox(inbox) => inbox.bytes(),
            Fold::Topic(topic) => topic.bytes(),
        }
    }

    /// How many bytes of log may be behind a checkpoint before the next one is due. As many as it
    /// has: then each byte of change is written about twice. Inboxes and documents are opened by
    /// somebody who waits, and log takes longer to read than pages.
    pub(crate) fn log_behind(&self) -> usize {
        match self {
            Fold::Document(document) => document.bytes() / 4,
            Fold::Inbox(inbox) => inbox.bytes() / 3,
            _ => self.bytes(),
        }
    }

    /// How many bytes of log stay in memory, at least, while somebody may be reading a snapshot:
    /// who reads faster than the log grows finds what comes behind it.
    pub(crate) fn log_bytes(&self) -> usize {
        match self {
            Fold::Events | Fold::Document(_) | Fold::Inbox(_) | Fold::Topic(_) => 0,
            Fold::State(state) => state.bytes().max(LOG),
        }
    }

    /// Drops what can be made again. `unused`: nobody is subscribed.
    pub(crate) fn tidy(&mut self, unused: bool) {
        match self {
            Fold::Events | Fold::Document(_) | Fold::Inbox(_) | Fold::Topic(_) => {}
            Fold::State(state) => state.tidy(unused),
        }
    }

    /// A stored event as others get it: some say only to the store what they do.
    pub(crate) fn told(&self, event: &Bytes) -> Bytes {
        const SECRET: &[u8] = b",\"secret\":";
        if !matches!(self, Fold::Inbox(_) | Fold::Topic(_)) || !event.starts_with(HIDDEN) {
            return event.clone();
        }
        // Inside of a string its quotes would stand behind backslashes.
        match event.windows(SECRET.len()).position(|window| window == SECRET) {
            Some(end) => [&event[..end], b"}"].concat().into(),
            None => event.clone(),
        }
    }
}
