//! The store of a node and the thread that drives it: appends wait, and are committed together.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tidings_core::store::{
    Append, KeyRecord, Level, Loaded, ProducerRecord, Store, StoreError, StoredEvent,
};
use tidings_store::{LogStore, Options, SimFs};

use crate::setup::{Keeping, Setup};

/// The outcome of one append: for which shard and channel.
pub(crate) type Outcome = (u16, Arc<str>, Result<Level, StoreError>);

/// The disk and what is on it: outlives the node.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) fs: SimFs,
    map: MapStore,
    keeping: Keeping,
    segment_bytes: u32,
    boot: u64,
    /// How often a log was opened.
    opened: u64,
    /// The identity that engines derive first epochs from.
    pub(crate) identity: u64,
}

impl Disk {
    pub(crate) fn new(seed: u64, setup: &Setup) -> Self {
        Self {
            fs: SimFs::new(seed),
            map: MapStore::default(),
            keeping: setup.keeping,
            segment_bytes: setup.segment_bytes,
            boot: 1,
            opened: 0,
            identity: seed,
        }
    }

    /// The power fails.
    pub(crate) fn crash(&mut self) {
        self.fs.crash();
        self.boot += 1;
    }

    /// Opens the store. `None`: the disk does not let us.
    pub(crate) fn open(&mut self, now_ms: u64, trace: bool) -> Option<Keeper> {
        let Keeping::Log(level) = self.keeping else {
            return Some(Keeper::new(Kept::Map(self.map.clone())));
        };
        self.opened += 1;
        let options = Options {
            segment_bytes: self.segment_bytes,
            level,
            boot_id: Some(self.boot),
            ..Options::new(self.opened.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.identity)
        };
        let (log, report) = LogStore::open(self.fs.clone(), options, now_ms).ok()?;
        if trace {
            eprintln!("opened: {report:?}");
        }
        if report.all_renewed || report.vanished > 0 || (report.channels == 0 && !report.clean) {
            // Channels of which not even the name is left must not begin with their old epoch.
            self.identity = self.identity.wrapping_add(0x9e37_79b9_7f4a_7c15);
        }
        Some(Keeper::new(Kept::Log(Box::new(log))))
    }
}

#[derive(Debug)]
enum Kept {
    Log(Box<LogStore<SimFs>>),
    Map(MapStore),
}

/// A store that is open, and what waits for it.
#[derive(Debug)]
pub(crate) struct Keeper {
    kept: Kept,
    pub(crate) waiting: VecDeque<(u16, Append)>,
    /// A commit is under way or due.
    pub(crate) busy: bool,
}

impl Keeper {
    fn new(kept: Kept) -> Self {
        Self { kept, waiting: VecDeque::new(), busy: false }
    }

    fn store(&mut self) -> &mut dyn Store {
        match &mut self.kept {
            Kept::Log(log) => &mut **log,
            Kept::Map(map) => map,
        }
    }

    /// Commits all that is waiting.
    pub(crate) fn commit(&mut self, now_ms: u64) -> Vec<Outcome> {
        let (shards, batch): (Vec<u16>, Vec<Append>) = self.waiting.drain(..).unzip();
        let outcomes = self.store().commit(now_ms, &batch);
        assert_eq!(outcomes.len(), batch.len(), "one outcome for each append");
        let channels = batch.into_iter().map(|append| append.channel);
        let places = shards.into_iter().zip(channels);
        places.zip(outcomes).map(|((shard, channel), outcome)| (shard, channel, outcome)).collect()
    }

    pub(crate) fn load(
        &mut self,
        now_ms: u64,
        channel: &str,
    ) -> Result<Option<Loaded>, StoreError> {
        self.store().load(now_ms, channel)
    }

    /// Upkeep, and the sync that level `os` asks for once a second.
    pub(crate) fn maintain(&mut self, now_ms: u64) {
        // Errors of upkeep change nothing: it is tried again.
        let _ = self.store().maintain(now_ms);
        if let Kept::Log(log) = &mut self.kept {
            let _ = log.sync();
        }
    }

    /// The node ends in good order.
    pub(crate) fn close(self) {
        if let Kept::Log(log) = self.kept {
            // A log that cannot be closed counts as not closed, which is what happened.
            let _ = log.close();
        }
    }
}

/// The plainest store that keeps the contract. Clones are handles to the same map.
#[derive(Clone, Debug, Default)]
pub(crate) struct MapStore(Arc<std::sync::Mutex<BTreeMap<Arc<str>, Loaded>>>);

impl MapStore {
    fn append(map: &mut BTreeMap<Arc<str>, Loaded>, append: &Append) -> Result<Level, StoreError> {
        let fresh = || Loaded {
            epoch: append.epoch,
            last_offset: 0,
            events: Vec::new(),
            producers: Vec::new(),
            keys: Vec::new(),
        };
        let mut kept = map.get(&append.channel).cloned().unwrap_or_else(fresh);
        let step = u64::from(append.event.is_some());
        if append.epoch != kept.epoch || append.offset != kept.last_offset + step {
            return Err(StoreError::OutOfOrder);
        }
        let (offset, at_ms) = (append.offset, append.at_ms);
        if let Some(event) = &append.event {
            let (event, producer) = (event.clone(), append.producer.clone());
            kept.events.push(StoredEvent { offset, at_ms, event, producer });
            kept.last_offset = offset;
        }
        if let Some((producer, seq)) = append.producer.clone() {
            kept.producers.retain(|record| record.producer != producer);
            let offset = append.event.as_ref().map(|_| offset);
            kept.producers.push(ProducerRecord { producer, seq, offset, at_ms });
        }
        if let Some(key) = append.key.clone() {
            kept.keys.retain(|record| record.key != key);
            kept.keys.push(KeyRecord { key, offset, at_ms });
        }
        let over = kept.events.len().saturating_sub(append.retention.size as usize);
        kept.events.drain(..over);
        map.insert(append.channel.clone(), kept);
        Ok(Level::Fsync)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Arc<str>, Loaded>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Store for MapStore {
    fn commit(&mut self, _: u64, batch: &[Append]) -> Vec<Result<Level, StoreError>> {
        let mut map = self.lock();
        batch.iter().map(|append| Self::append(&mut map, append)).collect()
    }

    fn load(&mut self, _: u64, channel: &str) -> Result<Option<Loaded>, StoreError> {
        Ok(self.lock().get(channel).cloned())
    }

    fn maintain(&mut self, _: u64) -> Result<bool, StoreError> {
        Ok(false)
    }
}
