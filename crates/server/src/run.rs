//! Starting and stopping a node.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tidings_core::engine::{self, Attendee, Crowd, Engine, ShardId};
use tidings_core::store::Level;
use tidings_store::{LogStore, Options, RealFs, boot_id};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use crate::acme::Keeper;
use crate::auth::{self, JwtAuthority, Revocations, SharedAuthority};
use crate::clock::Clock;
use crate::config::{Config, Secret, StoreKind, StoreLevel};
use crate::egress::Egress;
use crate::error::RunError;
use crate::lifecycle::Life;
use crate::node::{Node, Settings};
use crate::operations::{self, Exposure, Operations};
use crate::push::Pushes;
use crate::rate::Counts;
use crate::reload::{self, Again, Reloader};
use crate::secret;
use crate::shard::Shard;
use crate::shard::mailbox::Mailbox;
use crate::storage::Storage;
use crate::telemetry::TARGET;
use crate::transport::accept;
use crate::transport::tls::TlsKeys;
use crate::webhooks::{Journal, Times, Webhooks};

/// How often time passes for engines.
const TICK: Duration = Duration::from_millis(500);

/// How often a shard that is being stopped looks whether it has to say good-bye, and may end.
const STEP: Duration = Duration::from_millis(20);

/// Steps between two sweeps over all connections.
const STEPS_PER_SWEEP: u32 = 25;

/// What a server is started with.
#[expect(missing_debug_implementations, reason = "it holds a function")]
pub struct Start {
    /// What it runs.
    pub config: Config,
    /// What paths in the configuration are relative to.
    pub base_dir: PathBuf,
    /// It is for trying out.
    pub dev: bool,
    /// A key of the API that the console may have by itself.
    pub console_key: Option<Secret>,
    /// Reads the configuration again, when it has changed or SIGHUP comes.
    pub again: Option<Again>,
}

/// Runs a server until it is told to stop (SIGINT or SIGTERM).
///
/// # Errors
/// When something that was configured cannot be had: an address, a file, the store.
pub fn run(start: Start) -> Result<(), RunError> {
    let Start { config, base_dir, dev, console_key, again } = start;
    let starting = tracing::info_span!(target: TARGET, "start").entered();
    let (config, base_dir) = (&config, &*base_dir);
    let shards = match config.server.shards {
        0 => std::thread::available_parallelism().map_or(1, usize::from).min(64),
        shards => shards.min(64),
    };
    let operations = Arc::new(Operations::default());
    if let Some(address) = config.server.operations {
        operations::serve(address, operations.clone())?;
    }
    let mut life = Life::new().map_err(RunError::Io)?;
    let mailboxes: Arc<[Mailbox]> = (0..shards).map(|_| Mailbox::default()).collect();
    let storage = Storage::default();
    let clock = Clock::start();
    let opened = open_store(config, base_dir, clock)?;
    let data_dir = opened.is_some().then(|| base_dir.join(&config.store.path));
    let nameless_loss = opened.as_ref().is_some_and(|opened| opened.nameless_loss);
    let secret = secret::ticket_secret(data_dir.as_deref()).map_err(RunError::Io)?;
    let identity =
        secret::store_identity(data_dir.as_deref(), nameless_loss).map_err(RunError::Io)?;
    let exposure = Exposure::new(config.server.listen, config.server.operations, dev);
    let crowd = Arc::new(Crowd::new(u16::try_from(shards).unwrap_or(1)));
    let shared = (mailboxes.clone(), storage.clone(), operations, exposure, crowd);
    let revocations = Revocations::open(data_dir.as_deref(), clock.now().wall_ms);
    let revocations = revocations.map_err(RunError::Io)?;
    let trying_out = (dev, console_key);
    let checking = (clock, &secret, revocations);
    let node = Arc::new(make_node(config, base_dir, checking, shared, trying_out)?);
    let settings = Arc::new(reload::settings(config, base_dir, &node, None)?);
    let keeper = node.tls.as_ref().map(|keys| Keeper::open(config, base_dir, keys, clock));
    let keeper = keeper.transpose()?.flatten();
    let listeners = listen(config.server.listen, shards)?;
    let address = listeners[0].local_addr().map_err(RunError::Io)?;
    let (mut log, level) = match opened {
        Some(Opened { log, level, .. }) => (Some(log), level),
        None => (None, Level::Memory),
    };
    let journal = open_journal(&node, &settings, log.as_mut(), config, base_dir)?;
    let there = journal.there();
    let storing = storage.start((log, level), journal, clock, mailboxes).map_err(RunError::Io)?;
    let mut threads = Vec::new();
    for (id, listener) in (0u16..).zip(listeners) {
        let shared = (node.clone(), settings.clone());
        threads.push(start_shard(shared, ShardId(id), identity, listener, there.clone())?);
    }
    auth::keep_fetching(&node);
    node.operations.ready(&node);
    // Not before: the authority will come and look.
    keeper.map(Keeper::start).transpose()?;
    announce(config, address);
    drop(starting);
    let mut reloader = Reloader::new(again, (config, settings), base_dir, secret);
    life.live(&node, &mut reloader);
    let _draining = tracing::info_span!(target: TARGET, "drain").entered();
    let storage = node.storage.clone();
    let (done, ended) = oneshot::channel();
    let stopping = move || {
        for thread in threads {
            let _ = thread.join();
        }
        storage.stop();
        let _ = storing.join();
        let _ = done.send(());
    };
    let stopping = std::thread::Builder::new().name("stopping".into()).spawn(stopping);
    stopping.map_err(RunError::Io)?;
    life.end(&node, ended);
    Ok(())
}

/// The store, ready for its thread.
struct Opened {
    log: LogStore<RealFs>,
    level: Level,
    /// History was lost of which not even the channel is known.
    nameless_loss: bool,
}

fn open_store(config: &Config, base_dir: &Path, clock: Clock) -> Result<Option<Opened>, RunError> {
    if config.store.kind == StoreKind::Memory {
        return Ok(None);
    }
    let dir = base_dir.join(&config.store.path);
    let fs = RealFs::open(&dir).map_err(|error| RunError::Store(dir.clone(), error))?;
    let level = match config.store.level {
        StoreLevel::Fsync => Level::Fsync,
        StoreLevel::Os => Level::Os,
    };
    let seed = getrandom::u64().map_err(|e| RunError::Io(io::Error::other(e)))?;
    let options = Options { level, boot_id: boot_id(), ..Options::new(seed) };
    let opened = LogStore::open(fs, options, clock.steady_ms());
    let (log, report) = opened.map_err(|error| RunError::Store(dir, error))?;
    tracing::info!(
        channels = report.channels,
        events = report.events,
        bytes = report.bytes,
        clean = report.clean,
        "the store is open"
    );
    for damage in &report.damage {
        tracing::error!(%damage, "the store was damaged; the channels concerned have new epochs");
    }
    // At level `os` a power failure may have taken the whole log without a trace.
    let nothing_left = report.channels == 0 && !report.clean && level != Level::Fsync;
    let nameless_loss = report.all_renewed || report.vanished > 0 || nothing_left;
    Ok(Some(Opened { log, level, nameless_loss }))
}

/// What waits to be told to webhooks, and to be pushed.
fn open_journal(
    node: &Node,
    settings: &Settings,
    mut log: Option<&mut LogStore<RealFs>>,
    config: &Config,
    base_dir: &Path,
) -> Result<Journal, RunError> {
    let clock = node.clock;
    let times = Times { wall_ms: clock.now().wall_ms, steady_ms: clock.steady_ms() };
    let failed = |error| {
        let dir = base_dir.join(&config.store.path);
        RunError::Io(io::Error::other(format!("the store in {}: {error}", dir.display())))
    };
    let (webhooks, hooks) = (node.webhooks.clone(), &settings.webhooks);
    let journal = Journal::open(log.as_deref_mut(), times, webhooks, hooks);
    let mut journal = journal.map_err(failed)?;
    if let Some(pushes) = &node.pushes {
        journal.keep_agenda(log, times, pushes.sender.clone()).map_err(failed)?;
        pushes.start();
    }
    Ok(journal)
}

fn make_node(
    config: &Config,
    base_dir: &Path,
    (clock, secret, revocations): (Clock, &[u8; 32], Revocations),
    (mailboxes, storage, operations, exposure, crowd): (
        Arc<[Mailbox]>,
        Storage,
        Arc<Operations>,
        Exposure,
        Arc<Crowd>,
    ),
    (dev, console_key): (bool, Option<Secret>),
) -> Result<Node, RunError> {
    let authority =
        JwtAuthority::from_config(&config.auth, base_dir, secret).map_err(RunError::Keys)?;
    let tls = config.server.tls.as_ref().map(|tls| TlsKeys::load(tls, base_dir));
    let egress = Egress::start(&config.egress, base_dir).map_err(RunError::Io)?;
    let pushes = Pushes::open(config, base_dir, &mailboxes, clock).map_err(RunError::Io)?;
    Ok(Node {
        clock,
        authority: SharedAuthority::with(authority, revocations),
        mailboxes,
        storage,
        hook_tallies: Default::default(),
        webhooks: Webhooks::new(egress.clone(), clock),
        egress,
        pushes,
        tls: tls.transpose().map_err(RunError::Tls)?.map(Arc::new),
        connections: Default::default(),
        connections_max: config.limits.connections.into(),
        users: Arc::default(),
        addresses: Counts::default(),
        crowd,
        operations,
        exposure,
        traces: Default::default(),
        next_trace: Default::default(),
        dev,
        console_key,
    })
}

fn listen(address: SocketAddr, shards: usize) -> Result<Vec<std::net::TcpListener>, RunError> {
    let open = |at: SocketAddr| accept::listen(at).map_err(|e| RunError::Listen(at, e));
    // Sharing a port would let a second server take half of the clients of a first one.
    drop(std::net::TcpListener::bind(address).map_err(|e| RunError::Listen(address, e))?);
    let first = open(address)?;
    let actual = first.local_addr().map_err(RunError::Io)?;
    let mut listeners = vec![first];
    for _ in 1..shards {
        listeners.push(open(actual)?);
    }
    Ok(listeners)
}

fn start_shard(
    (node, settings): (Arc<Node>, Arc<Settings>),
    id: ShardId,
    store_identity: u64,
    listener: std::net::TcpListener,
    there: Vec<Attendee>,
) -> Result<JoinHandle<()>, RunError> {
    let config = engine::Config {
        shard: id,
        shards: u16::try_from(node.mailboxes.len()).unwrap_or(1),
        seed: getrandom::u64().map_err(|e| RunError::Io(io::Error::other(e)))?,
        store_identity,
        limits: settings.limits.clone(),
        policy: settings.policy.clone(),
        authority: Arc::new(node.authority.clone()),
        crowd: node.crowd.clone(),
    };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(RunError::Io)?;
    std::thread::Builder::new()
        .name(format!("shard-{}", id.0))
        .spawn(move || {
            let mut engine = Engine::new(node.clock.now(), config);
            engine.expect(node.clock.now(), there);
            let shard = Rc::new(Shard::new(node, id, settings, engine));
            LocalSet::new().block_on(&runtime, live(shard, listener));
        })
        .map_err(RunError::Io)
}

/// One shard from its start to its end.
async fn live(shard: Rc<Shard>, listener: std::net::TcpListener) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a shard has no listener"),
    };
    tokio::task::spawn_local(accept::accept(shard.clone(), listener));
    let turning = shard.clone();
    tokio::task::spawn_local(std::future::poll_fn(move |cx| turning.poll_turns(cx)));
    tokio::task::spawn_local(shard.clone().ring());
    let mut ticks = tokio::time::interval(TICK);
    while !shard.stopping.get() {
        tokio::select! {
            _ = ticks.tick() => shard.sweep(),
            () = shard.stop.notified() => {}
        }
    }
    stop(&shard).await;
}

/// A shard's end: when nobody is left on any of them, because others need the channels whose home
/// this is; when its time is up; or when there is no time.
async fn stop(shard: &Shard) {
    let mut ticks = tokio::time::interval(STEP);
    let mut empty = 0;
    for step in 0_u32.. {
        ticks.tick().await;
        shard.say_goodbyes();
        if step.is_multiple_of(STEPS_PER_SWEEP) {
            shard.sweep();
        }
        if shard.is_over() || shard.node.operations.hurries() {
            break;
        }
        let shards = 0..u16::try_from(shard.node.mailboxes.len()).unwrap_or(u16::MAX);
        let sessions: usize = shards.map(|id| shard.node.crowd.sessions(ShardId(id))).sum();
        // One on its way between two shards is counted nowhere for a moment.
        empty = if sessions == 0 && shard.is_empty() { empty + 1 } else { 0 };
        if empty > 2 {
            break;
        }
    }
}

/// Says where the server is, for people and for programs that started it.
fn announce(config: &Config, address: SocketAddr) {
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };
    let host =
        if address.ip().is_loopback() { "localhost".into() } else { address.ip().to_string() };
    println!("Tidings listens on {scheme}://{host}:{}", address.port());
    if config.server.page {
        println!("Open it in two browser windows and talk. Stop with Ctrl-C.");
    }
}
