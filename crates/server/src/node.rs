//! What all shards of a node share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidings_core::Limits;
use tidings_core::engine::Crowd;
use tidings_core::policy::Policy;

use crate::auth::SharedAuthority;
use crate::clock::Clock;
use crate::operations::{Exposure, Operations};
use crate::shard::mailbox::Mailbox;
use crate::storage::Storage;
use crate::transport::origin::Origins;
use crate::transport::tls::TlsKeys;

/// A node: one process.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) clock: Clock,
    pub(crate) limits: Arc<Limits>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) authority: SharedAuthority,
    /// One for each shard.
    pub(crate) mailboxes: Arc<[Mailbox]>,
    pub(crate) storage: Storage,
    pub(crate) websocket: tidings_websocket::Config,
    pub(crate) origins: Origins,
    pub(crate) tls: Option<TlsKeys>,
    /// Whether permessage-deflate is offered.
    pub(crate) compression: bool,
    /// Whether the demo page is served.
    pub(crate) page: bool,
    pub(crate) connections: AtomicUsize,
    /// How many sessions each shard has.
    pub(crate) crowd: Arc<Crowd>,
    pub(crate) operations: Arc<Operations>,
    /// Who gets metrics where clients connect.
    pub(crate) exposure: Exposure,
}

impl Node {
    /// Counts a connection; `false` if there are too many.
    pub(crate) fn connection_begins(&self) -> bool {
        let before = self.connections.fetch_add(1, Ordering::Relaxed);
        if before >= self.limits.connections {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// A connection that was counted has ended.
    pub(crate) fn connection_ended(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// A wait that spreads clients which all come back at once over two seconds.
    pub(crate) fn spread_ms(&self) -> u64 {
        u64::from(self.chance()) % 2000
    }

    /// Any number.
    pub(crate) fn chance(&self) -> u32 {
        getrandom::u32().unwrap_or(0)
    }
}
