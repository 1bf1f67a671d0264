//! The storage thread: one for the node. All appends that wait share one sync, and so does what
//! webhooks are to be told. Changes of documents, which come in small pieces all the time, are
//! stored no more often than every [`PACE`], unless something else is.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tidings_core::PushDue;
use tidings_core::engine::{Happened, Notice, ShardId};
use tidings_core::store::{Append, Level, Store};
use tidings_store::{LogStore, RealFs};

use crate::clock::Clock;
use crate::metrics::StoreTally;
use crate::shard::mailbox::{Mail, Mailbox};
use crate::webhooks::{Journal, Times, Webhook};

/// Appends in one commit: what shares a sync. More would delay the first of them.
const BATCH_MAX: usize = 8192;

/// How long changes of documents wait for others when some have just been stored. Nobody sees it:
/// cursors are told every 50 ms. One person who types is stored at once.
const PACE: Duration = Duration::from_millis(10);

/// How often expiry and compaction get their turn: one bounded step, and the next at once if there
/// is more to do.
const UPKEEP_EVERY: Duration = Duration::from_secs(1);

/// How often a log that is not synced at each commit is synced.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// How often it is written down how far webhooks have come. What they were told since then is told
/// again after a crash.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// With so many jobs waiting, webhooks hear no more of events in memory, whose publishers wait for
/// no disk and could fill the queue.
const NOTICES_UPTO: usize = 65_536;

#[derive(Debug)]
enum Job {
    Append(ShardId, Append),
    Load(ShardId, Arc<str>),
    Notice(Notice),
    PushDue(PushDue),
    Stop,
    Webhooks(Vec<Arc<Webhook>>),
}

/// What waits for the thread.
#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// How many of them can wait.
    patient: usize,
    /// The thread looks by itself after [`PACE`]: who can wait need not wake it.
    paced: bool,
}

impl Queue {
    /// All of it, and whether any of that could wait.
    fn take(&mut self) -> (VecDeque<Job>, bool) {
        let patient = std::mem::take(&mut self.patient) > 0;
        (std::mem::take(&mut self.jobs), patient)
    }
}

/// The way to the storage thread. Its queue is bounded by the commands that sessions may have in
/// flight, and by the sessions that there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Storage {
    shared: Arc<(Mutex<Queue>, Condvar)>,
    /// What its thread counts.
    pub(crate) tally: Arc<StoreTally>,
}

impl Storage {
    pub(crate) fn append(&self, shard: ShardId, append: Append) {
        self.push(Job::Append(shard, append), false);
    }

    /// One that can wait.
    pub(crate) fn append_soon(&self, shard: ShardId, append: Append) {
        self.push(Job::Append(shard, append), true);
    }

    pub(crate) fn load(&self, shard: ShardId, channel: Arc<str>) {
        self.push(Job::Load(shard, channel), false);
    }

    /// Something that webhooks are to be told.
    pub(crate) fn notice(&self, notice: Notice) {
        if matches!(notice.what, Happened::Published { .. }) && self.len() >= NOTICES_UPTO {
            return self.tally.unnoticed();
        }
        self.push(Job::Notice(notice), false);
    }

    /// A notification may need a push, whose append comes next.
    pub(crate) fn push_due(&self, due: PushDue) {
        self.push(Job::PushDue(due), false);
    }

    /// Other webhooks from now on.
    pub(crate) fn webhooks(&self, hooks: Vec<Arc<Webhook>>) {
        self.push(Job::Webhooks(hooks), false);
    }

    /// Finishes what is queued, then closes the log.
    pub(crate) fn stop(&self) {
        self.push(Job::Stop, false);
    }

    /// How much is waiting.
    pub(crate) fn len(&self) -> usize {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).jobs.len()
    }

    fn push(&self, job: Job, patient: bool) {
        let (queue, wake) = &*self.shared;
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        // Others have woken it already, or it looks by itself.
        let wakes = match patient {
            true => queue.jobs.is_empty() && !queue.paced,
            false => queue.jobs.len() == queue.patient,
        };
        queue.patient += usize::from(patient);
        queue.jobs.push_back(job);
        if wakes {
            wake.notify_one();
        }
    }

    /// Waits for work, at most `patience`; for what can wait, until `paced` is over.
    fn take(&self, patience: Duration, paced: Duration) -> (VecDeque<Job>, bool) {
        let (queue, wake) = &*self.shared;
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        if !paced.is_zero() {
            queue.paced = true;
            let calm = |queue: &mut Queue| queue.jobs.len() == queue.patient;
            let waited = wake.wait_timeout_while(queue, paced, calm);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            queue.paced = false;
        }
        let idle = |queue: &mut Queue| queue.jobs.is_empty();
        let waited = wake.wait_timeout_while(queue, patience, idle);
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.take()
    }

    /// Starts the thread. Without a log on disk it serves webhooks alone.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(
        &self,
        (log, level): (Option<LogStore<RealFs>>, Level),
        journal: Journal,
        clock: Clock,
        mailboxes: Arc<[Mailbox]>,
    ) -> io::Result<JoinHandle<()>> {
        let desk = Desk {
            storage: self.clone(),
            log,
            journal,
            level,
            clock,
            paced: None,
            outbox: (0..mailboxes.len()).map(|_| Vec::new()).collect(),
            mailboxes,
        };
        std::thread::Builder::new().name("storage".into()).spawn(move || desk.run())
    }
}

/// The storage thread's own.
struct Desk {
    storage: Storage,
    log: Option<LogStore<RealFs>>,
    journal: Journal,
    level: Level,
    clock: Clock,
    mailboxes: Arc<[Mailbox]>,
    /// When changes of documents were stored last.
    paced: Option<Instant>,
    /// Answers, by shard.
    outbox: Vec<Vec<Mail>>,
}

impl Desk {
    fn run(mut self) {
        let (mut synced, mut tended, mut upkeep) = (Instant::now(), Instant::now(), true);
        let mut noted = Instant::now();
        loop {
            let patience = if upkeep { Duration::ZERO } else { UPKEEP_EVERY };
            let (jobs, patient) = self.storage.take(patience, self.pause());
            // From when they were taken: they are stored at once.
            // Without a sync there is little to share.
            if patient && self.level == Level::Fsync {
                self.paced = Some(Instant::now());
            }
            // A busy log needs its upkeep most.
            if upkeep || tended.elapsed() >= UPKEEP_EVERY {
                upkeep = self.maintain();
                tended = Instant::now();
            }
            let stop = self.work(jobs);
            if stop || noted.elapsed() >= NOTE_EVERY {
                noted = Instant::now();
                self.journal.look();
                self.commit(&mut Vec::new(), &mut Vec::new());
            }
            if self.level != Level::Fsync && synced.elapsed() >= SYNC_EVERY {
                synced = Instant::now();
                self.sync();
            }
            if stop {
                break;
            }
        }
        if let Some(log) = self.log
            && let Err(error) = log.close()
        {
            tracing::error!(%error, "the log could not be closed well; it will be checked at the next start");
        }
    }

    fn sync(&mut self) {
        let Some(log) = &mut self.log else { return };
        self.storage.tally.synced();
        if let Err(error) = log.sync() {
            tracing::error!(%error, "the log could not be synced");
        }
    }

    fn maintain(&mut self) -> bool {
        let Some(log) = &mut self.log else { return false };
        log.maintain(self.clock.steady_ms()).unwrap_or_else(|error| {
            tracing::error!(%error, "upkeep of the log failed; it will be tried again");
            false
        })
    }

    /// How long what can wait has to.
    fn pause(&self) -> Duration {
        self.paced.map_or(Duration::ZERO, |since| PACE.saturating_sub(since.elapsed()))
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
                Job::Load(shard, channel) => self.load(shard, channel),
                Job::Notice(notice) => self.journal.note(appends.len(), notice),
                Job::PushDue(due) => {
                    let times = self.times();
                    self.journal.push_due(times, due);
                }
                Job::Stop => stop = true,
                Job::Webhooks(hooks) => {
                    self.journal.look();
                    self.commit(&mut appends, &mut shards);
                    self.change_webhooks(&hooks);
                }
            }
        }
        self.commit(&mut appends, &mut shards);
        self.answer();
        stop
    }

    fn load(&mut self, shard: ShardId, channel: Arc<str>) {
        let Some(log) = &mut self.log else { return };
        let outcome = log.load(self.clock.steady_ms(), &channel);
        if let Err(error) = &outcome {
            tracing::error!(%error, %channel, "a channel could not be read");
        }
        self.outbox[usize::from(shard.0)].push(Mail::Loaded { channel, outcome });
    }

    fn change_webhooks(&mut self, hooks: &[Arc<Webhook>]) {
        let times = self.times();
        if let Err(error) = self.journal.reconfigure(self.log.as_mut(), times, hooks) {
            tracing::error!(%error, "a new webhook is not called: what waits for it could not be read");
        }
    }

    fn times(&self) -> Times {
        Times { wall_ms: self.clock.now().wall_ms, steady_ms: self.clock.steady_ms() }
    }

    fn answer(&mut self) {
        for (mailbox, mail) in self.mailboxes.iter().zip(&mut self.outbox) {
            mailbox.post(mail);
        }
    }

    fn commit(&mut self, appends: &mut Vec<Append>, shards: &mut Vec<ShardId>) {
        let notices = self.journal.begin();
        if appends.is_empty() && !notices {
            return;
        }
        let begun = Instant::now();
        let times = self.times();
        let (outcomes, stored) = self.journal.write(self.log.as_mut(), times, appends);
        let tally = &self.storage.tally;
        if self.log.is_some() {
            tally.committed(appends.len(), begun.elapsed());
            if self.level == Level::Fsync {
                tally.synced();
            }
        }
        tally.failed(outcomes.iter().filter(|outcome| outcome.is_err()).count());
        if let Some(Err(error)) = outcomes.iter().find(|outcome| outcome.is_err()) {
            tracing::error!(%error, "events could not be stored; their publishers were told");
        } else if !stored {
            tracing::error!("what webhooks are to be told could not be stored; it is tried again");
        }
        for ((append, shard), outcome) in appends.drain(..).zip(shards.drain(..)).zip(outcomes) {
            let mail = Mail::Stored { channel: append.channel, outcome };
            self.outbox[usize::from(shard.0)].push(mail);
        }
        self.answer();
        self.journal.end(stored);
    }
}

#[cfg(test)]
mod tests {
    use tidings_core::store::{Epoch, Retention};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn append(offset: u64) -> Append {
        Append {
            channel: "doc:plan".into(),
            epoch: Epoch(1),
            offset,
            at_ms: 0,
            event: None,
            producer: None,
            key: None,
            retention: Retention { size: 1, ttl_ms: 1, dedup_ms: 1 },
        }
    }

    fn offsets(jobs: VecDeque<Job>) -> Vec<u64> {
        let offset = |job| match job {
            Job::Append(_, append) => Some(append.offset),
            _ => None,
        };
        jobs.into_iter().filter_map(offset).collect()
    }

    #[test]
    fn what_can_wait_goes_with_what_cannot_and_in_its_place() {
        let storage = Storage::default();
        let taking = {
            let storage = storage.clone();
            std::thread::spawn(move || storage.take(LONG, LONG))
        };
        storage.append_soon(ShardId(0), append(1));
        storage.append_soon(ShardId(0), append(2));
        storage.append(ShardId(0), append(3));
        let (jobs, patient) = taking.join().expect("it ends long before a minute is over");
        assert_eq!((offsets(jobs), patient), (vec![1, 2, 3], true));
        // Nothing has been stored for a while: one who types alone does not wait.
        storage.append_soon(ShardId(0), append(4));
        let (jobs, patient) = storage.take(LONG, Duration::ZERO);
        assert_eq!((offsets(jobs), patient), (vec![4], true));
        storage.append(ShardId(0), append(5));
        assert!(!storage.take(LONG, LONG).1);
    }

    #[test]
    fn who_types_while_nobody_stores_wakes_the_thread() {
        let storage = Storage::default();
        let taking = {
            let storage = storage.clone();
            std::thread::spawn(move || storage.take(LONG, Duration::from_millis(1)))
        };
        storage.append_soon(ShardId(0), append(1));
        let (jobs, _) = taking.join().expect("it ends long before a minute is over");
        assert_eq!(offsets(jobs), [1]);
    }
}
