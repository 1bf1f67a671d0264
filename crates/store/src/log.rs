//! The store itself: opening, writing batches, syncing.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use tidings_core::store::{Append, Epoch, Level, Loaded, Store, StoreError};

use crate::batch::{BatchBuilder, Stamp};
use crate::compact::Upkeep;
use crate::error::{OpenError, OpenReport, store_error};
use crate::frame::{FSYNC, Place, SEGMENT_HEADER, SUSPECT, SegmentHeader, segment_name};
use crate::fs::{Fs, FsFile};
use crate::index::Index;
use crate::judge::{Verdict, judge, report};
use crate::mark::Mark;
use crate::options::Options;
use crate::replay::Replay;
use crate::wire::{State, hash, mix, next_epoch};

/// Positions in a segment are 32 bits.
const MAX_BATCH: usize = 1 << 30;
/// A segment is made longer in steps of this many bytes, of zeros that take no space yet: a sync
/// that need not also record a new length of the file takes a third of the time.
const GROW: u32 = 1 << 20;
/// Channels that get a new epoch in one batch. More than one batch is not one decision: after a
/// power failure in between some channels may get yet another epoch.
const RENEWALS: usize = 1 << 20;
/// Old segments kept open for reading.
const MAX_OPEN: usize = 64;

/// An append-only log that keeps channels: see the crate's page.
///
/// It has no thread and no clock. A driver owns it, calls [`Store::commit`] with all appends that
/// are waiting (that is the group commit), and [`Store::maintain`] when there is time. At
/// [`Level::Os`] it also calls [`LogStore::sync`], say once a second.
///
/// After an error of a write or a sync the end of that segment is never written or trusted again:
/// the next commit starts another segment, whose header says how much of the one before counts. So
/// an append that got an error cannot come back once a later one succeeded.
#[derive(Debug)]
pub struct LogStore<F: Fs> {
    pub(crate) fs: F,
    pub(crate) options: Options,
    pub(crate) index: Index,
    pub(crate) builder: BatchBuilder,
    pub(crate) salt: u64,
    /// The oldest segment of the log; 0 before there is one.
    pub(crate) first: u32,
    /// Segments that are no longer written to, and how many of their bytes count.
    pub(crate) sealed: BTreeMap<u32, u32>,
    pub(crate) upkeep: Upkeep,
    head: Option<Head<F::File>>,
    next_id: u32,
    next_lsn: u64,
    /// The last batch known to be on the disk.
    synced_lsn: u64,
    marked_lsn: u64,
    /// Closed segments that are not synced yet.
    dirty: Vec<F::File>,
    dirty_names: bool,
    /// The mark on the disk says that the log was closed.
    marked_clean: bool,
    /// A sync failed at level `Os`: what was acknowledged may not be on the disk.
    suspect: bool,
    readers: HashMap<u32, F::File>,
}

#[derive(Debug)]
struct Head<T> {
    id: u32,
    len: u32,
    /// The length of the file: behind `len` it is zeros.
    size: u32,
    dirty: bool,
    file: T,
}

impl<F: Fs> LogStore<F> {
    /// Opens the log in this folder, or starts one. Reads all of it. If acknowledged history was
    /// lost, the channels concerned have a new epoch when this returns, and that is on the disk.
    ///
    /// `now_ms` is the wall clock in milliseconds since 1970.
    ///
    /// # Errors
    /// The disk cannot be read, or the decision about damage cannot be written.
    pub fn open(
        fs: F,
        options: Options,
        now_ms: u64,
    ) -> Result<(LogStore<F>, OpenReport), OpenError> {
        let mark = Mark::read(&fs)?;
        let mut replay = Replay::run(&fs, options.boot_id.unwrap_or(0), mark)?;
        replay.index.settle();
        let verdict = judge(&replay, mark, options.boot_id, now_ms);
        let mut report = report(&replay, &verdict);
        sync_found(&fs, &replay, verdict.clean)?;
        for id in replay.void.iter().chain(replay.chain.keys().filter(|&&id| id < replay.first)) {
            // If it stays, it is left out again next time.
            let _ = fs.remove(&segment_name(*id));
        }
        let mut store = LogStore::from_replay(fs, options, replay, mark);
        for slot in 0..store.index.slots() {
            store.index.trim(slot, now_ms);
            store.index.trim_dedup(slot, now_ms);
        }
        store.decide(&verdict, now_ms, &mut report).map_err(OpenError::Decide)?;
        report.channels = store.index.iter().count() as u64;
        report.events = store.index.iter().map(|c| c.events.len() as u64).sum();
        Ok((store, report))
    }

    fn from_replay(fs: F, options: Options, replay: Replay, mark: Option<Mark>) -> LogStore<F> {
        let (first, mut sealed) = (replay.first, replay.chain);
        sealed.retain(|&id, _| id >= first);
        LogStore {
            fs,
            salt: replay.salt.unwrap_or_else(|| mix(options.seed)),
            options,
            index: replay.index,
            builder: BatchBuilder::new(),
            first,
            sealed,
            upkeep: Upkeep::default(),
            head: None,
            next_id: replay.max_id + 1,
            next_lsn: replay.next_lsn,
            synced_lsn: replay.next_lsn - 1,
            marked_lsn: mark.map_or(0, |m| m.lsn),
            marked_clean: mark.is_some_and(|m| m.clean),
            dirty: Vec::new(),
            dirty_names: false,
            suspect: false,
            readers: HashMap::new(),
        }
    }

    /// Writes down what was concluded from damage, so that it is concluded once.
    fn decide(&mut self, v: &Verdict, now: u64, report: &mut OpenReport) -> Result<(), StoreError> {
        if v.renew_all.is_none() && v.handled.is_empty() {
            return Ok(());
        }
        let seed = self.options.seed;
        let chunks = v.renew.len().div_ceil(RENEWALS).max(1);
        for n in 0..chunks {
            let slots = v.renew.iter().skip(n * RENEWALS).take(RENEWALS);
            let states: Vec<_> = slots.filter_map(|&slot| self.renewed(slot)).collect();
            self.builder.clear();
            if v.renew_all.is_some() {
                self.builder.push_renew_all(seed);
            }
            for (name, epoch) in &states {
                if let Some(channel) = self.index.channel(name) {
                    let state = State { epoch: *epoch, ..channel.state() };
                    self.builder.push_state(&state, true);
                }
            }
            if n + 1 == chunks && !v.handled.is_empty() {
                self.builder.push_handled(&v.handled);
            }
            let (segment, _) = self.write(now, true)?;
            for (name, epoch) in states {
                self.index.set_epoch(&name, epoch, segment);
                report.renewed.push(name);
            }
        }
        if v.renew_all.is_some() {
            self.index.renew_all(seed);
        }
        Ok(())
    }

    fn renewed(&self, slot: u32) -> Option<(Arc<str>, Epoch)> {
        let channel = self.index.get(slot)?;
        let epoch = next_epoch(self.options.seed, hash(&channel.name), channel.epoch);
        Some((channel.name.clone(), epoch))
    }

    /// The segment that the next batch goes to, unless it has no room for it.
    pub(crate) fn head_or_next(&self) -> u32 {
        self.head.as_ref().map_or(self.next_id, |h| h.id)
    }

    pub(crate) fn is_head(&self, segment: u32) -> bool {
        self.head.as_ref().is_some_and(|h| h.id == segment)
    }

    /// The end of the segment as far as it counts.
    pub(crate) fn end_of(&self, segment: u32) -> Option<u32> {
        self.sealed.get(&segment).copied()
    }

    /// Bytes of the closed segments.
    pub(crate) fn sealed_bytes(&self) -> u64 {
        self.sealed.values().map(|&len| u64::from(len)).sum()
    }

    /// Writes the batch that was built, and syncs it at level `Fsync` or if `durable`. Returns the
    /// segment and where in it the batch starts.
    pub(crate) fn write(&mut self, now: u64, durable: bool) -> Result<(u32, u32), StoreError> {
        let len = self.builder.close();
        if len > MAX_BATCH {
            return Err(StoreError::Io("a batch of more than 1 GiB".to_owned()));
        }
        let sync = durable || self.options.level == Level::Fsync;
        if self.marked_clean && !sync {
            // Else a power failure that takes all of this run would look like a closed log.
            self.write_mark(false)?;
        }
        let room = (self.options.segment_bytes as usize).min(MAX_BATCH);
        if let Some(head) = self.head.take_if(|h| h.len as usize + len > room) {
            self.seal(head);
        }
        if self.first == 0 {
            self.first = self.next_id;
        }
        let stamp = Stamp { lsn: self.next_lsn, first: self.first, at_ms: now };
        let at = match self.head.take() {
            Some(head) => self.extend(head, stamp, sync)?,
            None => self.begin(stamp, sync)?,
        };
        self.next_lsn += 1;
        if sync {
            self.synced_lsn = stamp.lsn;
            if at.1 == SEGMENT_HEADER {
                // The mark may be behind; it is tried again by upkeep.
                let _ = self.write_mark(false);
            }
        }
        Ok(at)
    }

    fn extend(
        &mut self,
        mut head: Head<F::File>,
        stamp: Stamp,
        sync: bool,
    ) -> Result<(u32, u32), StoreError> {
        let at = (head.id, head.len);
        let room = self.options.segment_bytes;
        let bytes = self.builder.finish(Place::new(self.salt, head.id), head.len, stamp, None);
        let end = head.len + bytes.len() as u32;
        let grown = grow(&mut head.file, end, &mut head.size, room);
        if let Err(e) = grown.and_then(|()| head.file.write_at(u64::from(head.len), bytes)) {
            self.abandon(head);
            return Err(store_error("cannot write the log", &e));
        }
        if sync {
            let synced = self.sync_dirty().and_then(|()| head.file.sync_data());
            if let Err(e) = synced {
                self.suspect |= self.options.level != Level::Fsync;
                self.abandon(head);
                return Err(store_error("cannot sync the log", &e));
            }
        }
        head.len = end;
        head.dirty = !sync;
        self.head = Some(head);
        Ok(at)
    }

    /// Starts a segment with the batch that was built as its first, in one write.
    fn begin(&mut self, stamp: Stamp, sync: bool) -> Result<(u32, u32), StoreError> {
        let id = self.next_id;
        self.next_id += 1;
        let (prev, prev_end) = self.sealed.last_key_value().map_or((0, 0), |(&id, &end)| (id, end));
        let fsync = if self.options.level == Level::Fsync { FSYNC } else { 0 };
        let header = SegmentHeader {
            id,
            prev,
            prev_end,
            flags: fsync | if self.suspect { SUSPECT } else { 0 },
            base_lsn: stamp.lsn,
            salt: self.salt,
            boot: self.options.boot_id.unwrap_or(0),
            first: self.first,
        };
        let name = segment_name(id);
        let begun = (|| {
            let mut file = self.fs.create(&name)?;
            let place = Place::new(self.salt, id);
            let bytes = self.builder.finish(place, SEGMENT_HEADER, stamp, Some(&header));
            let mut size = 0;
            grow(&mut file, bytes.len() as u32, &mut size, self.options.segment_bytes)?;
            file.write_at(0, bytes)?;
            self.dirty_names = true;
            if sync {
                file.sync_data()?;
                self.sync_dirty()?;
            }
            Ok((file, size))
        })();
        match begun {
            Ok((file, size)) => {
                let len = SEGMENT_HEADER + self.builder.len() as u32;
                self.head = Some(Head { id, len, size, dirty: !sync, file });
                Ok((id, SEGMENT_HEADER))
            }
            Err(e) => {
                // If it stays, the next segment's header makes it void.
                let _ = self.fs.remove(&name);
                Err(store_error("cannot start a segment", &e))
            }
        }
    }

    /// Closes the head after an error: what was written behind `len` does not count.
    fn abandon(&mut self, mut head: Head<F::File>) {
        head.size = u32::MAX;
        self.seal(head);
    }

    fn seal(&mut self, mut head: Head<F::File>) {
        if head.size != head.len {
            // Only to save space; that it is durable is not needed.
            let _ = head.file.set_len(u64::from(head.len));
        }
        self.sealed.insert(head.id, head.len);
        if head.dirty {
            self.dirty.push(head.file);
        } else {
            self.readers.insert(head.id, head.file);
        }
    }

    /// Syncs closed segments and names.
    fn sync_dirty(&mut self) -> io::Result<()> {
        while let Some(file) = self.dirty.last_mut() {
            if let Err(e) = file.sync_data() {
                self.suspect = true;
                return Err(e);
            }
            self.dirty.pop();
        }
        if self.dirty_names {
            self.fs.sync_dir()?;
            self.dirty_names = false;
        }
        Ok(())
    }

    /// Makes all that was committed survive a power failure. For drivers at [`Level::Os`]; at
    /// [`Level::Fsync`] there is nothing to do.
    ///
    /// # Errors
    /// The disk failed. What was acknowledged since the last success may be lost if the power
    /// fails; if the log is opened again after this, every channel gets a new epoch.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        let mut synced = self.sync_dirty();
        if let Some(mut head) = self.head.take() {
            if synced.is_ok() && head.dirty {
                synced = head.file.sync_data();
                head.dirty = synced.is_err();
            }
            if synced.is_err() {
                self.seal(head);
            } else {
                self.head = Some(head);
            }
        }
        if let Err(e) = synced {
            self.suspect = true;
            return Err(store_error("cannot sync the log", &e));
        }
        if !self.suspect {
            self.synced_lsn = self.next_lsn - 1;
        }
        Ok(())
    }

    /// Syncs and notes that the log was closed, so that opening it need not ask what is missing.
    ///
    /// # Errors
    /// The disk failed; the log then counts as not closed.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.sync()?;
        self.write_mark(!self.suspect)
    }

    pub(crate) fn write_mark(&mut self, clean: bool) -> Result<(), StoreError> {
        let mark = Mark { lsn: self.synced_lsn, salt: self.salt, clean };
        mark.write(&self.fs).map_err(|e| store_error("cannot write the mark", &e))?;
        self.marked_lsn = mark.lsn;
        self.marked_clean = clean;
        Ok(())
    }

    /// Whether the mark is behind what is known to be on the disk.
    pub(crate) fn mark_is_stale(&self) -> bool {
        self.marked_lsn < self.synced_lsn
    }

    /// The file of a segment, for reading; `None` if it is gone.
    pub(crate) fn file(&mut self, segment: u32) -> io::Result<Option<&F::File>> {
        if self.is_head(segment) {
            return Ok(self.head.as_ref().map(|h| &h.file));
        }
        if !self.readers.contains_key(&segment) {
            let file = match self.fs.open(&segment_name(segment)) {
                Ok(file) => file,
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(e) => return Err(e),
            };
            if self.readers.len() >= MAX_OPEN {
                self.readers.clear();
            }
            self.readers.insert(segment, file);
        }
        Ok(self.readers.get(&segment))
    }

    /// Removes the oldest segment, which nothing needs any more.
    pub(crate) fn drop_segment(&mut self, segment: u32) {
        self.sealed.remove(&segment);
        self.readers.remove(&segment);
        // If it stays, it is below `first` and goes when the log is opened.
        let _ = self.fs.remove(&segment_name(segment));
        let _ = self.fs.sync_dir();
    }
}

impl<F: Fs> Store for LogStore<F> {
    fn commit(&mut self, now_ms: u64, batch: &[Append]) -> Vec<Result<Level, StoreError>> {
        self.commit_with(now_ms, batch, &mut |_, _| Vec::new()).0
    }

    fn load(&mut self, now_ms: u64, channel: &str) -> Result<Option<Loaded>, StoreError> {
        self.load_channel(now_ms, channel)
    }

    fn maintain(&mut self, now_ms: u64) -> Result<bool, StoreError> {
        self.upkeep(now_ms)
    }
}

/// Makes room up to `end` in a file that is `size` bytes long, ahead of what is needed, but not
/// beyond what a segment may hold.
fn grow<T: FsFile>(file: &mut T, end: u32, size: &mut u32, room: u32) -> io::Result<()> {
    if end > *size {
        let ahead = end.div_ceil(GROW).saturating_mul(GROW).min(room).max(end);
        file.set_len(u64::from(ahead))?;
        *size = ahead;
    }
    Ok(())
}

/// What was found but is not known to be on the disk must get there before it is served: new
/// appends will build on it.
fn sync_found<F: Fs>(fs: &F, replay: &Replay, clean: bool) -> io::Result<()> {
    if clean {
        return Ok(());
    }
    let all = replay.last.is_some_and(|h| h.flags & FSYNC == 0);
    let count = if all { usize::MAX } else { 1 };
    for &id in replay.chain.keys().rev().take(count) {
        fs.open(&segment_name(id))?.sync_data()?;
    }
    fs.sync_dir()
}
