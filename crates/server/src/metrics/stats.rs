//! What `/api/v1/stats` tells: the figures of a scrape that an operator looks at, in JSON.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use tidings_core::engine::{CommandKind, Recovery};
use tidings_proto::{CloseCode, ErrorCode};

use super::counted::{
    BOUNDS, COMMIT_MICROS, LEFT, LOST, PUBLISH_MICROS, Reading, Sample, TRANSPORTS,
};
use super::process::Process;
use crate::node::Node;

/// How often each of some things happened.
type Counts = BTreeMap<&'static str, u64>;

/// What the server holds, and what it has counted since it was started.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Stats {
    version: &'static str,
    /// When the process started, in milliseconds since 1970: counters began at 0 then.
    started_at: u64,
    /// Now, in milliseconds since 1970.
    now: u64,
    /// Threads that serve connections.
    shards: usize,
    /// New sessions are taken; not while the server drains.
    ready: bool,
    /// It runs as `tidings dev`.
    dev: bool,
    /// Connections by transport: `websocket`, `sse`, `eventsource`, `polling`.
    connections: Counts,
    /// Sessions whose client is connected.
    sessions: usize,
    /// Sessions that were lost and still wait for their client, about.
    lost_sessions: usize,
    /// Channels in memory.
    channels: usize,
    /// Subscriptions of all sessions.
    subscriptions: usize,
    /// Memory in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<u64>,
    /// Time on processors, user and system.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_seconds: Option<f64>,
    /// Open file descriptors.
    #[serde(skip_serializing_if = "Option::is_none")]
    open_fds: Option<u64>,
    commands: Commands,
    /// Commands that were refused, by the error's code.
    refusals: Counts,
    published: Published,
    /// Publishes that had been stored before: acknowledged again, and no second event.
    duplicates: u64,
    deliveries: Deliveries,
    /// Bytes of frames handed to the sockets of clients, before TLS.
    sent_bytes: u64,
    /// Subscriptions that said where they stood: `recovered`, or the reason of the gap.
    recoveries: Counts,
    /// Sessions that began.
    sessions_opened: u64,
    /// Sessions that ended, by the close code that the server gave, or `left` or `lost`.
    sessions_closed: BTreeMap<String, u64>,
    /// How long publishes took that succeeded.
    publish_latency: Times,
    /// How long the store took to make a batch of appends durable.
    store_commit: Times,
}

/// Commands that were answered.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct Commands {
    ok: u64,
    refused: u64,
    /// By the command's type; `invalid`: could not be understood.
    by_type: BTreeMap<&'static str, Outcomes>,
}

/// What became of commands of one type.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct Outcomes {
    ok: u64,
    refused: u64,
}

/// Events, by where they are kept.
#[derive(Debug, Serialize, JsonSchema)]
struct Published {
    disk: u64,
    memory: u64,
    /// Ephemeral ones.
    nowhere: u64,
}

/// Events and changes of presence queued for a subscriber.
#[derive(Debug, Serialize, JsonSchema)]
struct Deliveries {
    live: u64,
    /// For one that comes back or rewinds.
    history: u64,
}

/// How long something took.
#[derive(Debug, Serialize, JsonSchema)]
struct Times {
    /// How often it was measured.
    count: u64,
    /// All of it together.
    sum_seconds: f64,
    /// Seconds, and how often it took so long or less. What is missing took longer than the last.
    buckets: Vec<(f64, u64)>,
}

impl Times {
    fn new(reading: Reading, bounds: &[u64; BOUNDS]) -> Self {
        let Reading { counts, sum } = reading;
        let seconds = |micros: u64| micros as f64 / 1e6;
        let buckets = bounds.iter().zip(counts).map(|(bound, count)| (seconds(*bound), count));
        Self { count: counts[BOUNDS], sum_seconds: seconds(sum), buckets: buckets.collect() }
    }
}

impl Stats {
    pub(super) fn new(node: &Node, sum: &Sample) -> Self {
        let process = Process::read();
        let (engine, counts) = (&sum.engine, &sum.counts);
        let (commands, refusals) = commands(sum);
        let recoveries = Recovery::ALL.iter().map(|outcome| outcome.as_str());
        Self {
            version: env!("CARGO_PKG_VERSION"),
            started_at: node.clock.started_wall_ms(),
            now: node.clock.now().wall_ms,
            shards: node.mailboxes.len(),
            ready: node.operations.is_ready(),
            dev: node.dev,
            connections: TRANSPORTS.into_iter().zip(sum.connections).collect(),
            sessions: counts.sessions,
            lost_sessions: counts.lost,
            channels: counts.channels,
            subscriptions: counts.subscriptions,
            memory_bytes: process.memory_bytes,
            cpu_seconds: process.cpu_seconds,
            open_fds: process.open_fds,
            commands,
            refusals,
            published: Published {
                disk: engine.durable,
                memory: engine.memory,
                nowhere: engine.ephemeral,
            },
            duplicates: engine.duplicates,
            deliveries: Deliveries { live: sum.delivered, history: engine.replayed },
            sent_bytes: sum.bytes_out,
            recoveries: recoveries.zip(engine.recoveries).collect(),
            sessions_opened: sum.opened.iter().sum(),
            sessions_closed: closed(sum),
            publish_latency: Times::new(sum.published, &PUBLISH_MICROS),
            store_commit: Times::new(node.storage.tally.commit.read(), &COMMIT_MICROS),
        }
    }
}

/// Commands by type, and refusals by code: those that happened.
fn commands(sum: &Sample) -> (Commands, Counts) {
    let (mut commands, mut refusals) = (Commands::default(), Counts::new());
    for kind in CommandKind::ALL {
        let ok = sum.engine.commands(*kind, None);
        let mut outcomes = Outcomes { ok, refused: 0 };
        for code in ErrorCode::ALL {
            let count = sum.engine.commands(*kind, Some(*code));
            outcomes.refused += count;
            if count > 0 {
                *refusals.entry(code.as_str()).or_default() += count;
            }
        }
        commands.ok += outcomes.ok;
        commands.refused += outcomes.refused;
        commands.by_type.insert(kind.as_str(), outcomes);
    }
    (commands, refusals)
}

/// Ends of sessions, those that happened.
fn closed(sum: &Sample) -> BTreeMap<String, u64> {
    let codes = CloseCode::ALL.iter().map(|code| (code.code().to_string(), *code as usize));
    let others = [("left".to_owned(), LEFT), ("lost".to_owned(), LOST)];
    let ends = codes.chain(others).map(|(name, place)| (name, sum.ended[place]));
    ends.filter(|(_, count)| *count > 0).collect()
}
