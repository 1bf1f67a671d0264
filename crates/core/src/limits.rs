//! Every limit there is, in one place, each with its default and its reason.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Period;

/// The longest `ttl` of a key, in milliseconds: ten years. Longer is for ever, and its end has to
/// be a date with four digits of a year.
pub(crate) const STATE_TTL_MS: u64 = 10 * 365 * 86_400_000;

/// Bytes of a reaction: an emoji of families and skins, or a short word.
pub(crate) const REACTION_BYTES: usize = 64;

/// Different reactions to one event: what fits under a message.
pub(crate) const REACTIONS_PER_EVENT: usize = 20;

/// Users who are named behind a reaction; more are counted.
pub(crate) const REACTIONS_NAMED: usize = 50;

/// Bytes of all names behind the reactions to one event: it is sent to everybody who reads it.
pub(crate) const REACTIONS_NAMES_BYTES: usize = 8 << 10;

/// Edits, deletions and reactions that a history keeps for each event that it may keep: they do not
/// push events out before there are so many.
pub(crate) const CHANGES_PER_EVENT: usize = 10;

/// Bytes of all that is to be seen of those who have one document open: whoever comes gets it.
pub(crate) const AWARENESS_BYTES: usize = 512 << 10;

/// Messages of y-websocket in one frame: providers send one, libraries join a few. Each may ask for
/// a whole document.
pub(crate) const MESSAGES_PER_FRAME: usize = 32;

/// How far a client's awareness clock may leap at once. It counts changes of a state.
pub(crate) const AWARENESS_CLOCK_LEAP: u32 = 1 << 24;

/// Clients of one document that are remembered for a while when they are gone.
pub(crate) const AWARENESS_GONE: usize = 1000;

/// How long changes of awareness are gathered before they are told, in milliseconds: cursors that
/// move all the time are one frame, and nobody sees the delay.
pub(crate) const AWARENESS_MS: u64 = 50;

/// Bytes of one piece of a document, on the way to somebody who opens it.
pub(crate) const DOCUMENT_PIECE: usize = 64 << 10;

/// Bytes of updates of which one shard has some parts only.
pub(crate) const UPLOADED_BYTES: usize = 64 << 20;

/// How long the next part of an update may take, in milliseconds.
pub(crate) const UPLOAD_MS: u64 = 30_000;

/// Bytes of documents that one shard keeps for those who are reading them, piece by piece. Others
/// wait meanwhile.
pub(crate) const SYNCED_BYTES: usize = 64 << 20;

/// Questions for what somebody lacks of a document that one shard has open: each answer may be a
/// whole document.
pub(crate) const SYNCS_ASKED: usize = 32;

/// Who reads no piece of a document for so long, while others wait, is too slow.
pub(crate) const SYNC_STALLED_MS: u64 = 10_000;

/// How long a document is kept ready that nobody touches, in milliseconds.
pub(crate) const REST_AFTER_MS: u64 = 5000;

/// The name of a provider among several of one document on a connection: theirs have 11 bytes.
pub(crate) const SEAT_NAME: usize = 64;

/// What an editor may say before its document is open, beside one update.
pub(crate) const EARLY_BYTES: usize = 64 << 10;
pub(crate) const EARLY_MESSAGES: usize = 64;

/// Changes of an editor, of those that were refused, that are confirmed one by one when all of them
/// are stored.
pub(crate) const EDITS_OWED: u64 = 4096;

/// How often an editor hears something, in milliseconds: `y-websocket` takes 30 s of silence for
/// the end.
pub(crate) const EDITOR_ALIVE_MS: u64 = 20_000;

/// Clients from before resets that a document remembers, to refuse what they still send: two full
/// documents of them.
pub(crate) const BURIED_CLIENTS: usize = 20_000;

/// How deep shared types of a document may be nested: a list in a list in a page has three. What
/// deletes them is recursive.
pub(crate) const DOCUMENT_LEVELS: usize = 200;

/// How often a document is measured that has no room left, in milliseconds: to encode a long one
/// takes 100 of them.
pub(crate) const MEASURE_MS: u64 = 1000;

/// Items of a document that may stand in one place: as many people may have begun the same page at
/// once. One more is compared with all of them.
pub(crate) const DOCUMENT_CROWD: usize = 2000;

/// Items of one update in one place that are always let in: nobody types as many at once.
pub(crate) const SMALL_CROWD: usize = 8;

/// How often an editor is asked for everything whose changes depend on what has not come, in
/// milliseconds: the answer may be long.
pub(crate) const ASK_AGAIN_MS: u64 = 10_000;

/// Editors of a shard that were asked so lately.
pub(crate) const EDITORS_ASKED: usize = 10_000;

/// Updates of a document that wait for others: each is tried again when one comes.
pub(crate) const WAITING_UPDATES: usize = 256;

/// Bytes of them, the first one aside.
pub(crate) const WAITING_BYTES: usize = 1 << 20;

/// Operations of one patch, or edits of one text, that are made at once.
pub(crate) const EDITS_PER_CALL: usize = 1000;

/// What they may read in all: each may read the whole document. Half a second of work.
pub(crate) const EDITED_BYTES: usize = 32 << 20;

/// Users who are named as those who changed a document since its last version.
pub(crate) const AUTHORS_NAMED: usize = 100;

/// Of them those whom a version names.
pub(crate) const VERSION_AUTHORS: usize = 32;

/// Bytes of the name of a version.
pub(crate) const VERSION_NAME: usize = 255;

/// Versions in one answer, and in one to who does not say how many.
pub(crate) const VERSIONS_LISTED: u64 = 100;
pub(crate) const VERSIONS_LISTED_DEFAULT: u64 = 50;

/// When the store is asked again to let go what a deleted version held, in milliseconds.
pub(crate) const VERSION_RETRY_MS: u64 = 60_000;

/// A document that nobody has open stays in memory until it has become a version, where that is
/// after no more than so many milliseconds.
pub(crate) const VERSION_AWAITED_MS: u64 = 600_000;

/// Documents of one shard that become versions by themselves in one tick: each is encoded whole.
pub(crate) const VERSIONS_PER_TICK: usize = 8;

/// After so many failures in a row a document does not stay in memory for that any more.
pub(crate) const VERSION_TRIES: u8 = 10;

/// What is asked of the versions of one document that waits for what was asked before: each reads
/// or writes the store.
pub(crate) const VERSION_JOBS: usize = 64;

/// What one document may hold. Sizes are bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DocumentLimits {
    /// One change: a long text that is pasted. Pictures belong on a file server.
    pub update: usize,
    /// All of it, as it is stored. A book has 1 MiB; each open document takes several times as much
    /// memory.
    pub document: usize,
    /// Clients that have written into it: each time that an editor is opened it is one, for ever.
    pub clients: usize,
}

impl Default for DocumentLimits {
    fn default() -> Self {
        Self { update: 4 << 20, document: 10 << 20, clients: 10_000 }
    }
}

/// What one client, one channel or one node may use. Sizes are bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// One message of a client. Enough for text; files belong on a file server. A longer one closes
    /// the connection with 1009.
    pub frame: usize,
    /// The `data` of an event. Half a frame, so that its envelope always fits.
    pub data: usize,
    /// The `data` of a member: every member is sent to everyone who comes.
    pub presence_data: usize,
    /// A channel's whole name: the usual limit of names elsewhere.
    pub channel_name: usize,
    /// The name of an event inside its channel.
    pub event_name: usize,
    /// A caller's own idempotency key.
    pub key: usize,
    /// A key of live data.
    pub state_key: usize,
    /// The name of a producer: a UUID and some.
    pub producer: usize,
    /// A token: proxies allow headers of 8 KiB.
    pub token: usize,
    /// One update of a document, all its parts together. A longer one is refused, or closes an
    /// editor's connection.
    pub update: usize,
    /// The awareness of one client of a document (its cursor, its user's name): everybody who has
    /// the document open gets it.
    pub awareness: usize,
    /// Clients of a document for which one session may tell awareness: it is one, and a few after
    /// pages were loaded again.
    pub awareness_clients: usize,
    /// Documents that one shard keeps ready in memory, in bytes. Above it those that nobody edits
    /// are put to rest, and then no more are opened.
    pub documents: usize,
    /// How deep `data` may be nested: receivers' parsers recurse.
    pub depth: usize,
    /// Subscriptions of one session.
    pub channels_per_session: usize,
    /// Commands of one session without an answer. At the limit its socket is not read further.
    pub in_flight: usize,
    /// Refused frames in a row before the connection is closed: a program that never learns.
    pub bad_frames: usize,
    /// Commands in a row that are refused because they come too soon (see `[rate]`) before the
    /// connection is closed: a program that does not wait when it is told to.
    pub rate_refusals: usize,
    /// How long a connection may wait with its first command.
    pub hello_timeout: Period,
    /// Silence after which the server pings: below the 30 to 60 s of common proxies.
    pub heartbeat: Period,
    /// How long a Pong may take.
    pub pong_timeout: Period,
    /// How long before its token expires a session is told.
    pub expiry_warning: Period,
    /// What may wait to be sent to one connection: then it is a slow consumer.
    pub backlog: usize,
    /// What a shard holds of editors' messages that have arrived in part, in bytes. A connection
    /// that goes beyond it is closed and comes back.
    pub arriving: usize,
    /// How long a closing connection may take to say good-bye.
    pub close_timeout: Period,
    /// Events in one page of history or recovery.
    pub page_events: usize,
    /// Bytes of events in one page of history or recovery.
    pub page_bytes: usize,
    /// Producers that a channel remembers within its dedup window.
    pub producers_per_channel: usize,
    /// Keys that a channel remembers within its dedup window.
    pub keys_per_channel: usize,
    /// Members of one channel.
    pub members_per_channel: usize,
    /// Users who follow one topic.
    pub followers_per_topic: usize,
    /// Channels that one shard holds in memory at once.
    pub channels_per_shard: usize,
    /// A channel that nobody uses leaves memory after this long (at once readable from disk if it
    /// is durable; a channel in memory also waits until its events and dedup records have expired).
    pub channel_idle: Period,
    /// How long a session whose connection was lost waits for its client: its presence stays, and
    /// it goes on without asking anybody. Longer than a tunnel, shorter than a ghost.
    pub session_window: Period,
    /// How long a user's last session, or a channel's last subscriber, has to be gone before
    /// webhooks are told `user.offline` or `channel.vacated`: a page that is loaded again is no
    /// news. After a restart of the server everybody has three times as long to come back.
    pub leave_delay: Period,
    /// Lost sessions that one shard keeps: the oldest go first.
    pub lost_sessions: usize,
    /// How long the ticket of a session is honoured.
    pub session_ticket: Period,
    /// Questions to the backend that one shard has open; above it, what would need another is told
    /// to come again.
    pub questions: usize,
    /// Connections of one node.
    pub connections: usize,
    /// Sessions of one user on a node; 0: as many as come. One more is told to come back later.
    /// (Users without a token have a session each.)
    pub sessions_per_user: usize,
    /// Sessions of one address on a node; 0: as many as come. Offices and mobile networks share
    /// addresses. Behind a proxy set `server.proxies` too.
    pub sessions_per_address: usize,
    /// The head of an HTTP request.
    pub header_bytes: usize,
    /// Header fields of an HTTP request.
    pub headers: usize,
    /// How long the head of an HTTP request may take to arrive: answers slow dripping.
    pub header_timeout: Period,
    /// Fragments of one message: an endless message costs nothing before this ends it.
    pub fragments: usize,
    /// Messages that may wait between two shards before sockets are read no further.
    pub mailbox: usize,
    /// Traces that run at once: each looks at all that happens, and what it has not yet sent to its
    /// viewer takes up to `backlog` of memory.
    pub traces: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame: 64 << 10,
            data: 32 << 10,
            presence_data: 4 << 10,
            channel_name: 255,
            event_name: 64,
            key: 128,
            state_key: 128,
            producer: 64,
            token: 8 << 10,
            update: 4 << 20,
            awareness: 4 << 10,
            awareness_clients: 10,
            documents: 512 << 20,
            depth: 64,
            channels_per_session: 128,
            in_flight: 64,
            bad_frames: 16,
            rate_refusals: 256,
            hello_timeout: Period::secs(10),
            heartbeat: Period::secs(25),
            pong_timeout: Period::secs(10),
            expiry_warning: Period::secs(30),
            backlog: 1 << 20,
            arriving: 64 << 20,
            close_timeout: Period::secs(5),
            page_events: 100,
            page_bytes: 256 << 10,
            producers_per_channel: 10_000,
            keys_per_channel: 10_000,
            members_per_channel: 100_000,
            followers_per_topic: 100_000,
            channels_per_shard: 1_000_000,
            channel_idle: Period::secs(60),
            session_window: Period::secs(60),
            leave_delay: Period::secs(10),
            lost_sessions: 100_000,
            session_ticket: Period::secs(86_400),
            questions: 10_000,
            connections: 100_000,
            sessions_per_user: 0,
            sessions_per_address: 0,
            header_bytes: 16 << 10,
            headers: 64,
            header_timeout: Period::secs(10),
            fragments: 128,
            mailbox: 65_536,
            traces: 16,
        }
    }
}
