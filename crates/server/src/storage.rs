//! The storage thread: one for the node. All appends that wait share one sync.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tidings_core::engine::ShardId;
use tidings_core::store::{Append, Level, Store};
use tidings_store::{LogStore, RealFs};

use crate::clock::Clock;
use crate::metrics::StoreTally;
use crate::shard::mailbox::{Mail, Mailbox};

/// Appends in one commit: what shares a sync. More would delay the first of them.
const BATCH_MAX: usize = 8192;

/// How often expiry and compaction get their turn: one bounded step, and the next at once if there
/// is more to do.
const UPKEEP_EVERY: Duration = Duration::from_secs(1);

/// How often a log that is not synced at each commit is synced.
const SYNC_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
enum Job {
    Append(ShardId, Append),
    Load(ShardId, Arc<str>),
    Stop,
}

/// The way to the storage thread. Its queue is bounded by the commands that sessions may have in
/// flight.
#[derive(Clone, Debug, Default)]
pub(crate) struct Storage {
    shared: Arc<(Mutex<VecDeque<Job>>, Condvar)>,
    /// What its thread counts.
    pub(crate) tally: Arc<StoreTally>,
}

impl Storage {
    pub(crate) fn append(&self, shard: ShardId, append: Append) {
        self.push(Job::Append(shard, append));
    }

    pub(crate) fn load(&self, shard: ShardId, channel: Arc<str>) {
        self.push(Job::Load(shard, channel));
    }

    /// Finishes what is queued, then closes the log.
    pub(crate) fn stop(&self) {
        self.push(Job::Stop);
    }

    /// How much is waiting.
    pub(crate) fn len(&self) -> usize {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn push(&self, job: Job) {
        let (queue, wake) = &*self.shared;
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push_back(job);
        if queue.len() == 1 {
            wake.notify_one();
        }
    }

    /// Waits for work, at most `patience`.
    fn take(&self, patience: Duration) -> VecDeque<Job> {
        let (queue, wake) = &*self.shared;
        let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = |queue: &mut VecDeque<Job>| queue.is_empty();
        let waited = wake.wait_timeout_while(queue, patience, idle);
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *queue)
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(
        &self,
        log: LogStore<RealFs>,
        level: Level,
        clock: Clock,
        mailboxes: Arc<[Mailbox]>,
    ) -> io::Result<JoinHandle<()>> {
        let desk = Desk {
            storage: self.clone(),
            log,
            level,
            clock,
            outbox: (0..mailboxes.len()).map(|_| Vec::new()).collect(),
            mailboxes,
        };
        std::thread::Builder::new().name("storage".into()).spawn(move || desk.run())
    }
}

/// The storage thread's own.
struct Desk {
    storage: Storage,
    log: LogStore<RealFs>,
    level: Level,
    clock: Clock,
    mailboxes: Arc<[Mailbox]>,
    /// Answers, by shard.
    outbox: Vec<Vec<Mail>>,
}

impl Desk {
    fn run(mut self) {
        let (mut synced, mut tended, mut upkeep) = (Instant::now(), Instant::now(), true);
        loop {
            let patience = if upkeep { Duration::ZERO } else { UPKEEP_EVERY };
            let jobs = self.storage.take(patience);
            // A busy log needs its upkeep most.
            if upkeep || tended.elapsed() >= UPKEEP_EVERY {
                upkeep = self.maintain();
                tended = Instant::now();
            }
            let stop = self.work(jobs);
            if self.level != Level::Fsync && synced.elapsed() >= SYNC_EVERY {
                synced = Instant::now();
                self.storage.tally.synced();
                if let Err(error) = self.log.sync() {
                    tracing::error!(%error, "the log could not be synced");
                }
            }
            if stop {
                break;
            }
        }
        if let Err(error) = self.log.close() {
            tracing::error!(%error, "the log could not be closed well; it will be checked at the next start");
        }
    }

    fn maintain(&mut self) -> bool {
        self.log.maintain(self.clock.steady_ms()).unwrap_or_else(|error| {
            tracing::error!(%error, "upkeep of the log failed; it will be tried again");
            false
        })
    }

    /// Does what is queued; `true` to stop.
    fn work(&mut self, jobs: VecDeque<Job>) -> bool {
        let (mut appends, mut shards) = (Vec::new(), Vec::new());
        let mut stop = false;
        for job in jobs {
            match job {
                Job::Append(shard, append) => {
                    shards.push(shard);
                    appends.push(append);
                    if appends.len() >= BATCH_MAX {
                        self.commit(&mut appends, &mut shards);
                    }
                }
                Job::Load(shard, channel) => {
                    let outcome = self.log.load(self.clock.steady_ms(), &channel);
                    if let Err(error) = &outcome {
                        tracing::error!(%error, %channel, "a channel could not be read");
                    }
                    self.outbox[usize::from(shard.0)].push(Mail::Loaded { channel, outcome });
                }
                Job::Stop => stop = true,
            }
        }
        self.commit(&mut appends, &mut shards);
        for (mailbox, mail) in self.mailboxes.iter().zip(&mut self.outbox) {
            mailbox.post(mail);
        }
        stop
    }

    fn commit(&mut self, appends: &mut Vec<Append>, shards: &mut Vec<ShardId>) {
        if appends.is_empty() {
            return;
        }
        let begun = Instant::now();
        let outcomes = self.log.commit(self.clock.steady_ms(), appends);
        let tally = &self.storage.tally;
        tally.committed(appends.len(), begun.elapsed());
        if self.level == Level::Fsync {
            tally.synced();
        }
        tally.failed(outcomes.iter().filter(|outcome| outcome.is_err()).count());
        if let Some(Err(error)) = outcomes.iter().find(|outcome| outcome.is_err()) {
            tracing::error!(%error, "events could not be stored; their publishers were told");
        }
        for ((append, shard), outcome) in appends.drain(..).zip(shards.drain(..)).zip(outcomes) {
            let mail = Mail::Stored { channel: append.channel, outcome };
            self.outbox[usize::from(shard.0)].push(mail);
        }
        for (mailbox, mail) in self.mailboxes.iter().zip(&mut self.outbox) {
            mailbox.post(mail);
        }
    }
}
