//! A publish on its way into a channel.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::engine::Address;
use crate::reject::Reject;
use crate::store::Scoped;

/// A publish, as a session's shard sends it to the channel's home.
#[derive(Debug)]
pub(crate) struct Publish {
    pub(crate) user: Arc<str>,
    /// The session's public id.
    pub(crate) session: u64,
    /// The data, or why it was refused for good: then only the number is used up.
    pub(crate) data: Result<Box<RawValue>, Reject>,
    pub(crate) event: Option<Box<str>>,
    pub(crate) key: Option<Scoped>,
    pub(crate) producer: Option<(Scoped, u64)>,
    pub(crate) ephemeral: bool,
    pub(crate) echo: bool,
    /// When it came: monotonic microseconds.
    pub(crate) began_us: u64,
}

/// Who waits for the outcome of an append.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) at: Address,
    pub(crate) id: u64,
    pub(crate) duplicate: bool,
    /// When its publish came: monotonic microseconds.
    pub(crate) began_us: u64,
}

/// Why a publish is no event although it uses its number up.
#[derive(Debug)]
pub(crate) enum UsedUp {
    /// Its key was used before: it is answered with what that got.
    Known(Scoped),
    /// It was refused for good.
    Refused(Reject),
}

/// An append that is at the store.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) offset: u64,
    pub(crate) at_ms: u64,
    /// `Err` for a publish that only uses its number up.
    pub(crate) event: Result<Bytes, UsedUp>,
    pub(crate) producer: Option<(Scoped, u64)>,
    pub(crate) key: Option<Scoped>,
    /// The session that does not want to see its own event.
    pub(crate) except: Option<Address>,
    pub(crate) waiters: SmallVec<[Waiter; 1]>,
}
