//! What all shards of a node share.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tidings_core::Limits;
use tidings_core::engine::Crowd;
use tidings_core::policy::Policy;

use crate::api::ApiKeys;
use crate::auth::SharedAuthority;
use crate::clock::Clock;
use crate::config::{Config, Secret};
use crate::egress::Egress;
use crate::hooks::{Hooks, Tallies};
use crate::operations::{Exposure, Operations};
use crate::push::Pushes;
use crate::rate::{Counts, Proxies, Rates};
use crate::shard::mailbox::Mailbox;
use crate::shard::wire::Wire;
use crate::storage::Storage;
use crate::transport::origin::Origins;
use crate::transport::tls::TlsKeys;
use crate::webhooks::{Webhook, Webhooks};

/// A node: one process.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) clock: Clock,
    pub(crate) authority: SharedAuthority,
    /// One for each shard.
    pub(crate) mailboxes: Arc<[Mailbox]>,
    pub(crate) storage: Storage,
    /// Calls to the application's backend.
    pub(crate) egress: Egress,
    /// What is counted of hooks.
    pub(crate) hook_tallies: Arc<Tallies>,
    pub(crate) webhooks: Webhooks,
    /// Web Push; `None`: it is off.
    pub(crate) pushes: Option<Pushes>,
    pub(crate) tls: Option<Arc<TlsKeys>>,
    pub(crate) connections: AtomicUsize,
    pub(crate) connections_max: AtomicUsize,
    /// Sessions of each user, and of each address.
    pub(crate) users: Arc<Counts>,
    pub(crate) addresses: Counts,
    /// How many sessions each shard has.
    pub(crate) crowd: Arc<Crowd>,
    pub(crate) operations: Arc<Operations>,
    /// Who gets metrics where clients connect.
    pub(crate) exposure: Exposure,
    /// Traces that run.
    pub(crate) traces: AtomicUsize,
    /// The number of the next one.
    pub(crate) next_trace: AtomicU64,
    /// It is for trying out.
    pub(crate) dev: bool,
    /// The key of the API that the console gets by itself: a development server's own.
    pub(crate) console_key: Option<Secret>,
}

/// What can change while the node runs. Each shard has a pointer to what is in force.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) limits: Arc<Limits>,
    pub(crate) policy: Arc<Policy>,
    /// Who may use the API.
    pub(crate) api: ApiKeys,
    /// Whom to ask before something is done.
    pub(crate) hooks: Arc<Hooks>,
    /// Whom to tell what has happened.
    pub(crate) webhooks: Vec<Arc<Webhook>>,
    /// How fast somebody may ask.
    pub(crate) rates: Arc<Rates>,
    /// Who says whom a request is from.
    pub(crate) proxies: Proxies,
    websocket: tidings_websocket::Config,
    /// For editors, whose messages are longer.
    editors: tidings_websocket::Config,
    pub(crate) origins: Origins,
    /// Whether permessage-deflate is offered.
    pub(crate) compression: bool,
    /// Whether the demo page is served.
    pub(crate) page: bool,
    /// Whether the console is served.
    pub(crate) console: bool,
}

impl Settings {
    pub(crate) fn new(
        config: &Config,
        policy: Policy,
        api: ApiKeys,
        (hooks, webhooks): (Arc<Hooks>, Vec<Arc<Webhook>>),
        (rates, proxies): (Arc<Rates>, Proxies),
    ) -> Self {
        let limits = Arc::new(config.limits.clone());
        let messages = |most| tidings_websocket::Config {
            max_frame: most,
            max_message: most,
            max_fragments: limits.fragments,
        };
        Self {
            websocket: messages(limits.frame),
            editors: messages(limits.update + AROUND_UPDATE),
            limits,
            policy: Arc::new(policy),
            rates,
            proxies,
            api,
            hooks,
            webhooks,
            origins: Origins {
                listed: config.server.origins.clone(),
                loopback: config.server.listen.ip().is_loopback(),
            },
            compression: config.server.compression,
            page: config.server.page,
            console: config.server.console,
        }
    }
}

/// What a message of an editor has around an update: lengths, and the document's name.
const AROUND_UPDATE: usize = 1024;

impl Settings {
    /// What a connection's messages may be.
    pub(crate) fn websocket_of(&self, wire: Wire) -> tidings_websocket::Config {
        if wire.is_editor() { self.editors } else { self.websocket }
    }
}

/// A connection's place among all of the node, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    node: Arc<Node>,
    /// What its address is counted under, if that is counted.
    address: Option<NonZeroU64>,
}

impl Seat {
    /// Counts it for an address too, unless that has `max` already.
    pub(crate) fn count_for(&mut self, address: u64, max: usize) -> bool {
        let Some(key) = NonZeroU64::new(address) else { return true };
        let room = self.node.addresses.begin(address, max);
        if room {
            self.address = Some(key);
        }
        room
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.node.connections.fetch_sub(1, Ordering::Relaxed);
        if let Some(address) = self.address {
            self.node.addresses.end(address.get());
        }
    }
}

impl Node {
    /// A place for one more connection, unless there are too many.
    pub(crate) fn seat(self: &Arc<Self>) -> Option<Seat> {
        let before = self.connections.fetch_add(1, Ordering::Relaxed);
        // Gives it back if it is one too many.
        let seat = Seat { node: self.clone(), address: None };
        (before < self.connections_max.load(Ordering::Relaxed)).then_some(seat)
    }

    /// How many connections there are, of HTTP too.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// So many connections from now on; more stay until they end.
    pub(crate) fn allow_connections(&self, max: usize) {
        self.connections_max.store(max, Ordering::Relaxed);
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
