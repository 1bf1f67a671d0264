//! What a world is made with.

use std::sync::Arc;

use tidings_core::engine::{About, Advice, Verdict};
use tidings_core::policy::{Access, DataSchema, Namespace, NamespacePolicy, Policy};
use tidings_core::store::Level;
use tidings_core::{Limits, Period};

/// Where a world's node keeps its durable channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// In the log of `tidings-store`, on a simulated disk, at this level.
    Log(Level),
    /// In a map that survives whatever happens to the node.
    Map,
}

/// What a world is made with; change what matters, see [`World::with`](crate::World::with).
///
/// The namespaces: `chat` is durable; `memo` is in memory; `tiny` is durable and keeps 3 events,
/// `wisp` in memory and keeps 3; in these everybody with a token may do everything. `closed` needs
/// a token that grants it.
#[derive(Debug)]
pub struct Setup {
    /// How many shards.
    pub shards: u16,
    /// Where durable channels are kept.
    pub keeping: Keeping,
    /// The size of a segment of the log.
    pub segment_bytes: u32,
    /// How long a frame is under way, in milliseconds: from, to.
    pub latency_ms: (u64, u64),
    /// How long a commit of the store takes, in milliseconds: from, to.
    pub commit_ms: (u64, u64),
    /// The engine's limits.
    pub limits: Limits,
    /// The engine's rules.
    pub policy: Policy,
    /// What the application's backend says, where it is asked.
    pub backend: fn(&About) -> Verdict,
    /// How long it takes, in milliseconds: from, to.
    pub backend_ms: (u64, u64),
    /// It does not answer one question of so many; 0: it answers all.
    pub backend_fails: u64,
    /// The wall clock at the start.
    pub wall_ms: u64,
}

impl Default for Setup {
    fn default() -> Self {
        let mut setup = Setup {
            shards: 2,
            keeping: Keeping::Log(Level::Fsync),
            segment_bytes: 64 << 10,
            latency_ms: (1, 20),
            commit_ms: (1, 8),
            limits: Limits::default(),
            policy: Policy { anonymous: true, ..Policy::default() },
            backend: |_| Verdict::Allow(Advice::default()),
            backend_ms: (1, 30),
            backend_fails: 0,
            wall_ms: 1_777_636_800_000,
        };
        setup.namespace("chat", |policy| policy.history.durable = true);
        setup.namespace("memo", |_| ());
        setup.namespace("tiny", |policy| {
            (policy.history.durable, policy.history.size) = (true, 3);
        });
        setup.namespace("wisp", |policy| policy.history.size = 3);
        setup.namespace("closed", |policy| {
            (policy.subscribe, policy.publish) = (Access::Token, Access::Token);
            policy.presence.access = Access::Token;
        });
        setup
    }
}

impl Setup {
    /// Adds a namespace in which everybody with a token may do everything, then changes it.
    pub fn namespace(&mut self, name: &str, change: impl FnOnce(&mut NamespacePolicy)) {
        let mut policy = NamespacePolicy {
            subscribe: Access::SignedIn,
            publish: Access::SignedIn,
            ..NamespacePolicy::default()
        };
        policy.history.ttl = Period::secs(86_400);
        change(&mut policy);
        let namespace = Namespace { name: name.into(), policy, schema: None };
        self.policy.namespaces.insert(name.into(), Arc::new(namespace));
    }

    /// Gives a namespace a schema.
    ///
    /// # Panics
    /// There is no such namespace.
    pub fn schema(&mut self, name: &str, schema: Arc<dyn DataSchema>) {
        let namespace = &self.policy.namespaces[name];
        let namespace = Namespace { schema: Some(schema), ..(**namespace).clone() };
        self.policy.namespaces.insert(name.into(), Arc::new(namespace));
    }
}
