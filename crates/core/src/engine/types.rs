//! What goes into and comes out of an engine.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use tidings_proto::{CloseCode, Epoch, ErrorCode};

use super::consulting::About;
use super::document::{Adrift, Ask as DocumentAsk, Dialect, Edited, Opened, SeatId, Synced};
use super::inbox::Ask;
use super::notices::{Attendee, Notice};
use super::placement::Traveller;
use super::resuming::Legacy;
use crate::channel::state::Snapshot;
use crate::channel::{Entry, Publish};
use crate::push::{PushAnswer, PushDue};
use crate::store::Append;

/// The time, as the driver reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds of a clock that never goes back: deadlines and ages.
    pub mono_ms: u64,
    /// The same clock in microseconds: it measures, and decides nothing.
    pub mono_us: u64,
    /// Milliseconds since 1970: timestamps and tokens.
    pub wall_ms: u64,
}

/// One shard of a node: one thread with an engine of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

/// A session on its shard. A slot is used again, a key never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// Where it is kept: small, dense, fit to index the driver's own table of connections.
    pub slot: u32,
    /// How many sessions had the slot before.
    pub serial: u32,
}

/// A session anywhere on the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Its shard.
    pub shard: ShardId,
    /// Its key there.
    pub session: SessionKey,
}

/// A channel with subscribers on a shard; an index, used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TopicKey(pub u32);

/// One frame for all subscribers of a channel.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The JSON.
    pub text: Bytes,
    /// A session that does not get it: the publisher of an event with `echo: false`.
    pub except: Option<Address>,
    /// Which of the session's providers does not, if it has several: the others do.
    pub seat: SeatId,
    /// Only for those who asked for presence.
    pub presence: bool,
    /// It is in history: subscribers that are still reading pages get it from there.
    pub kept: bool,
    /// It changes this key of a channel that has keys.
    pub changed: Option<Arc<Changed>>,
    /// The same for editors; `None`: they are told nothing.
    pub raw: Option<Arc<Raw>>,
}

impl Delivery {
    /// Of what is in history.
    pub(crate) fn kept(text: Bytes, except: Option<Address>) -> Self {
        Self { kept: true, ..Self::passing(text, except) }
    }

    /// Of what is nowhere else.
    pub(crate) fn passing(text: Bytes, except: Option<Address>) -> Self {
        let (seat, changed, raw) = (SeatId::default(), None, None);
        Self { text, except, seat, presence: false, kept: false, changed, raw }
    }

    /// For those who asked for presence.
    pub(crate) fn presence(text: Bytes) -> Self {
        Self { presence: true, ..Self::passing(text, None) }
    }

    /// The message for an editor that speaks this; `None`: it is told nothing.
    pub fn binary(&self, dialect: Dialect) -> Option<&Bytes> {
        let raw = self.raw.as_ref()?;
        match dialect {
            Dialect::Json => None,
            Dialect::Yjs => Some(&raw.yjs),
            Dialect::Hocuspocus => Some(&raw.hocuspocus),
        }
    }
}

/// A frame as editors get it: whole messages, made once for all of them.
#[derive(Debug, PartialEq, Eq)]
pub struct Raw {
    /// For [`Dialect::Yjs`].
    pub yjs: Bytes,
    /// For [`Dialect::Hocuspocus`].
    pub hocuspocus: Bytes,
}

/// A key that has changed, and to what: whatever the frame says, which may be less.
#[derive(Debug)]
pub struct Changed {
    /// The change's.
    pub offset: u64,
    /// The key's.
    pub version: u64,
    /// Which.
    pub key: Arc<str>,
    /// `None`: it was removed.
    pub value: Option<Arc<RawValue>>,
}

/// What the driver must do now, in this order, before it calls the engine again.
#[derive(Debug)]
pub enum Effect {
    /// The answer to a command of the server's own, see [`Engine::serve`](super::Engine::serve).
    Answer {
        /// The frame, with the command's `id`.
        text: Bytes,
    },
    /// Append to the store; its outcome goes to [`Engine::stored`](super::Engine::stored).
    Append(Append),
    /// The same for a change of a document: it may wait some milliseconds for others, to be stored
    /// with them. In the order of [`Effect::Append`], as if it were one.
    AppendSoon(Append),
    /// Close the connection, whose `bye` has been sent. The session is gone already.
    Close {
        /// Whose.
        session: SessionKey,
        /// Why.
        code: CloseCode,
        /// What its client is not told: why its token was refused.
        why: Option<Box<str>>,
    },
    /// Ask the application's backend; what it says, or that it does not answer, goes to
    /// [`Engine::advised`](super::Engine::advised), always and once.
    Consult {
        /// The question's number.
        id: u64,
        /// On whose behalf.
        session: SessionKey,
        /// What.
        about: About,
    },
    /// Call [`Engine::drained`](super::Engine::drained) once all sent to it has been written.
    Drain {
        /// Whose.
        session: SessionKey,
    },
    /// Send to the first `upto` of [`Engine::subscribers`](super::Engine::subscribers).
    Fanout {
        /// The channel on this shard.
        topic: TopicKey,
        /// Later subscribers came after these events.
        upto: usize,
        /// The frames, in order.
        batch: Arc<[Delivery]>,
    },
    /// Read the channel from the store, for [`Engine::loaded`](super::Engine::loaded).
    Load {
        /// Which.
        channel: Arc<str>,
    },
    /// Hand to another shard's [`Engine::message`](super::Engine::message). Messages from one shard
    /// to another must arrive in order.
    Message {
        /// Which.
        shard: ShardId,
        /// What.
        message: Message,
    },
    /// Hand the connection to another shard, with all that was not read or written yet, and the
    /// traveller to its [`Engine::arrive`](super::Engine::arrive). The session is gone here.
    Move {
        /// Whose.
        session: SessionKey,
        /// Where it goes.
        to: ShardId,
        /// What is told there.
        traveller: Box<Traveller>,
    },
    /// Something has happened that somebody wants to hear of, see [`Wants`](super::Wants).
    Notice(Notice),
    /// Read no more from the connection: too many commands are unanswered.
    Pause {
        /// Whose.
        session: SessionKey,
    },
    /// A notification may need a push: to be kept before the append that comes next is stored, so
    /// that whatever is acknowledged is pushed. Only if the policy has a
    /// [`PushService`](crate::PushService) and the user a subscription.
    Push(PushDue),
    /// What was asked with [`Engine::ask_push`](super::Engine::ask_push).
    Pushed {
        /// The question's number.
        ticket: u64,
        /// Whether it is wanted.
        answer: PushAnswer,
    },
    /// Call [`Engine::received`](super::Engine::received) once all sent to it has arrived.
    Probe {
        /// Whose.
        session: SessionKey,
    },
    /// Make the change that restores a version of a document: [`restore`](crate::document::restore)
    /// of these, which may take long, for [`Engine::restored`](super::Engine::restored). Always and
    /// once.
    Restore {
        /// The document.
        channel: Arc<str>,
        /// Of this question.
        ticket: u64,
        /// What it holds.
        now: Bytes,
        /// What it shall hold.
        then: Bytes,
        /// Who writes it.
        client: u64,
    },
    /// Read again.
    Resume {
        /// Whose.
        session: SessionKey,
    },
    /// Send one frame. An editor is sent nothing then: its dialect has no such frame.
    Send {
        /// To whom.
        session: SessionKey,
        /// The JSON.
        text: Bytes,
    },
    /// Send one binary message to an editor: see
    /// [`Engine::open_editor`](super::Engine::open_editor).
    SendBinary {
        /// To whom.
        session: SessionKey,
        /// The message.
        message: Bytes,
    },
    /// Send one frame, and call [`Engine::received`](super::Engine::received) when so much of it
    /// has arrived that the next one may go: when that is, is the driver's to say.
    SendProbing {
        /// To whom.
        session: SessionKey,
        /// The JSON.
        text: Bytes,
    },
    /// This goes to the subscribers of a channel that somebody watches, on whichever shards they
    /// are; see [`Engine::watch`](super::Engine::watch).
    Told {
        /// The channel.
        channel: Arc<str>,
        /// The frames, in order.
        batch: Arc<[Delivery]>,
    },
    /// Call [`Engine::wake`](super::Engine::wake) when the monotonic clock is there: some 50 ms
    /// from now, much sooner than the next [`Engine::tick`](super::Engine::tick). One at a time.
    Wake {
        /// Milliseconds of [`Now::mono_ms`].
        at_ms: u64,
    },
}

/// What one shard tells another.
#[derive(Debug)]
pub enum Message {
    /// To a session: an editor's changes depend on what has not come.
    Adrift(Box<Adrift>),
    /// To a channel's home.
    Request(Request),
    /// To the home of a user or a channel: there are some on a shard, or no more.
    Attendance {
        /// Whom.
        who: Attendee,
        /// The shard.
        from: ShardId,
        /// Or no more.
        there: bool,
    },
    /// To a session's registry: another connection claims what it leaves behind.
    Claim {
        /// The session's id.
        id: u64,
        /// Which of its client's attempts this is; 0: it does not say.
        attempt: u64,
        /// Who claims it.
        to: Address,
    },
    /// To an editor's session: what its change came to.
    Edited(Box<Edited>),
    /// To a session's registry: it has ended, and leaves this behind.
    Ended {
        /// Its id.
        id: u64,
        /// Where it lived.
        at: Address,
        /// `None`: it said good-bye, or was refused for good.
        legacy: Option<Box<Legacy>>,
    },
    /// To a session's registry: its shard does not have it any more; see [`Message::Surrender`].
    Gave {
        /// Its id.
        id: u64,
        /// Who claims it.
        to: Address,
    },
    /// To a session: what its ticket named.
    Given {
        /// The id in the ticket.
        id: u64,
        /// Who claimed it.
        to: SessionKey,
        /// `None`: there is nothing.
        legacy: Option<Box<Legacy>>,
    },
    /// To a session: a later attempt of its client has what its ticket names.
    Late {
        /// Who claimed it.
        to: SessionKey,
    },
    /// To whoever sends pushes.
    Pushed {
        /// The question's number.
        ticket: u64,
        /// Whether it is wanted.
        answer: PushAnswer,
    },
    /// To a session's registry: it lives there now.
    Register {
        /// Its id.
        id: u64,
        /// Where it lives.
        at: Address,
    },
    /// To a shard with subscribers: a document was reset.
    Reset {
        /// Which.
        channel: Arc<str>,
    },
    /// To a session: who is seen in a document that it has open.
    Seen {
        /// Whose.
        to: SessionKey,
        /// The document.
        channel: Arc<str>,
        /// In its dialect.
        messages: Vec<Bytes>,
        /// What it has that is not stored: asked of an editor that may write now.
        question: Option<Bytes>,
    },
    /// To a session: another connection takes its place.
    Surrender {
        /// Whose place.
        session: SessionKey,
        /// Its id.
        id: u64,
        /// Who takes it.
        to: Address,
    },
    /// To a session: what it lacks of a document.
    Synced(Box<Synced>),
    /// To a session: the answer to a command.
    Reply {
        /// Whose command.
        to: SessionKey,
        /// The frame.
        text: Bytes,
        /// When a publish came that succeeded: see [`Now::mono_us`].
        began_us: Option<u64>,
    },
    /// To a session: its subscription begins, or goes on with its next page.
    Page(Box<PageReply>),
    /// To a session: a subscription was refused.
    Refused {
        /// Whose.
        to: SessionKey,
        /// The channel.
        channel: Arc<str>,
        /// Which subscription.
        nonce: u16,
        /// The frame.
        text: Bytes,
        /// Its code.
        code: ErrorCode,
    },
    /// To a shard with subscribers.
    Events {
        /// The channel.
        channel: Arc<str>,
        /// The frames.
        batch: Arc<[Delivery]>,
    },
}

/// Events in front of live ones.
#[derive(Debug)]
pub struct PageReply {
    pub(crate) to: SessionKey,
    pub(crate) channel: Arc<str>,
    pub(crate) nonce: u16,
    /// The `subscribed` frame, on the first page.
    pub(crate) reply: Option<Bytes>,
    pub(crate) gap: Option<Bytes>,
    /// What comes in front of the events: the session's shard sends it bit by bit.
    pub(crate) snapshot: Option<Arc<Snapshot>>,
    /// Where values may be skipped: the offset from which on the newest follow, and what has
    /// changed since. `None`: they may not.
    pub(crate) tail: Option<(u64, Vec<Arc<Changed>>)>,
    pub(crate) events: Vec<Bytes>,
    /// With the first page of a document.
    pub(crate) opened: Option<Opened>,
    /// Where the next page begins; `None`: live from here.
    pub(crate) next: Option<u64>,
}

/// A command on its way to its channel's home.
#[derive(Debug)]
pub struct Request {
    pub(crate) from: Address,
    pub(crate) id: u64,
    pub(crate) channel: Arc<str>,
    pub(crate) body: RequestBody,
}

#[derive(Debug)]
pub(crate) enum RequestBody {
    /// The session takes the place of one that lived elsewhere.
    Back {
        user: Arc<str>,
        old: Address,
    },
    /// The shard has no more subscriptions to the channel.
    Detach,
    Document(Box<DocumentAsk>),
    Enter(Entry),
    Get {
        key: Option<Box<str>>,
        after: Option<Box<str>>,
        limit: usize,
    },
    /// The session ended; its place in the channel is held for a while.
    Gone {
        user: Arc<str>,
        /// It may come back with its ticket.
        resumable: bool,
    },
    History {
        before: Option<u64>,
        after: Option<u64>,
        limit: usize,
    },
    Inbox(Box<Ask>),
    Leave {
        user: Arc<str>,
        answer: bool,
    },
    Members,
    NextPage {
        nonce: u16,
        after: u64,
    },
    Publish(Box<Publish>),
    Subscribe(Subscribe),
    Update(Entry),
}

#[derive(Debug)]
pub(crate) struct Subscribe {
    pub(crate) nonce: u16,
    pub(crate) since: Option<(Option<Epoch>, Box<str>, u64)>,
    pub(crate) rewind: usize,
    /// Send no events yet: other pages are under way to the session.
    pub(crate) wait: bool,
    pub(crate) presence: bool,
    /// It would hear presence if it may: that of a document can come later.
    pub(crate) hears: bool,
    pub(crate) dialect: Dialect,
}

/// Owned JSON of a borrowed piece of a frame, in one line: over HTTP, lines are frames. (In JSON a
/// line break is white space; in a string it is escaped.)
pub(crate) fn own(raw: &RawValue) -> Box<RawValue> {
    let breaks = ['\n', '\r'];
    if raw.get().contains(breaks) {
        let line = RawValue::from_string(raw.get().replace(breaks, " "));
        return line.unwrap_or_else(|_| RawValue::NULL.to_owned());
    }
    raw.to_owned()
}
