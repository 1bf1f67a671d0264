//! How a fold is kept: as pages in a channel of its own, and the log behind them.
//!
//! A checkpoint is the whole fold as of an offset of the log. The log is kept back to the newest
//! one that is complete, whatever the retention says, and pages of older ones go when the last page
//! of a newer one is stored. So what is on disk is bounded by twice the fold and a piece of log as
//! long as the fold, and each byte of change is written about twice (more often where the fold
//! says that it is read by somebody who waits).

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use tidings_proto::Position;

use crate::rng::mix;
use crate::store::{Append, Epoch, Loaded, Retention, StoreError};

/// What stands in front of the channel's name. No client can name such a channel: names have no
/// control characters.
const PREFIX: &str = "\0fold:";

/// A piece of log shorter than this is read again faster than a checkpoint is written.
const WORTH_IT: usize = 64 << 10;

/// Longer than anything runs; far from where adding to a time overflows.
pub(super) const FOR_EVER_MS: u64 = 1 << 52;

/// Before a page: version, epoch and offset of the log, its number, and how many there are.
const HEAD: usize = 1 + 8 + 8 + 4 + 4;
const VERSION: u8 = 1;

/// The checkpoints of one channel.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    /// Of the channel that has the pages.
    epoch: Epoch,
    last: u64,
    /// How many pages are there, incomplete checkpoints too.
    kept: u32,
    /// What the newest complete checkpoint is as of; `None`: there is none.
    upto: Option<Position>,
    /// Bytes of the log behind it.
    behind: usize,
    writing: Option<Writing>,
    /// It could not be read.
    pub(crate) broken: bool,
}

#[derive(Debug)]
struct Writing {
    upto: Position,
    pages: u32,
    stored: u32,
    /// Outcomes that are still to come.
    awaited: u32,
    failed: bool,
    estranged: bool,
}

/// The channel whose checkpoints are kept under this name.
pub(crate) fn owner(name: &str) -> Option<&str> {
    name.strip_prefix(PREFIX)
}

/// Where the checkpoints of a channel are kept.
pub(crate) fn companion(channel: &str) -> Arc<str> {
    format!("{PREFIX}{channel}").into()
}

impl Checkpoints {
    /// None yet.
    pub(crate) fn new(channel: Epoch) -> Self {
        Self {
            epoch: Epoch(mix(channel.0)),
            last: 0,
            kept: 0,
            upto: None,
            behind: 0,
            writing: None,
            broken: false,
        }
    }

    /// Takes over what the store has; the pages of the newest complete checkpoint.
    pub(crate) fn restore(&mut self, loaded: Option<Loaded>) -> Vec<Bytes> {
        let epoch = loaded.as_ref().map_or(self.epoch, |loaded| loaded.epoch);
        *self = Self { epoch, ..Self::new(epoch) };
        let Some(loaded) = loaded else { return Vec::new() };
        self.last = loaded.last_offset;
        self.kept = u32::try_from(loaded.events.len()).unwrap_or(u32::MAX);
        let heads: Vec<_> = loaded.events.iter().map(|page| Head::read(&page.event)).collect();
        let mut end = heads.len();
        while end > 0 {
            if let Some(begin) = complete(&heads[..end]) {
                self.upto = heads[begin].map(|head| head.upto);
                let pages = &loaded.events[begin..end];
                return pages.iter().map(|page| page.event.slice(HEAD..)).collect();
            }
            end -= 1;
        }
        Vec::new()
    }

    /// Events behind this offset are not in the checkpoint. If it is not of this log, which was
    /// damaged then, none are taken to be.
    pub(crate) fn replays_behind(&mut self, log: Position) -> u64 {
        match self.upto {
            Some(upto) if upto.epoch == log.epoch && upto.offset <= log.offset => upto.offset,
            Some(_) => {
                self.behind = usize::MAX;
                0
            }
            None => 0,
        }
    }

    /// So much more log.
    pub(crate) fn noted(&mut self, bytes: usize) {
        self.behind = self.behind.saturating_add(bytes);
    }

    /// Whether it is time for the next one: so many bytes of log may be behind one.
    pub(crate) fn is_due(&self, bytes: usize) -> bool {
        self.writing.is_none() && self.behind > bytes.max(WORTH_IT)
    }

    /// Whether the log has come so far on its way to `bytes` that the next one is worth it when
    /// there is time for it, before it is due.
    pub(crate) fn is_worth_it(&self, bytes: usize) -> bool {
        self.writing.is_none() && self.behind > bytes.max(WORTH_IT) / 2
    }

    /// Whether one is at the store.
    pub(crate) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// How long the log is kept: back to the checkpoint, if that is further than the rules say.
    pub(crate) fn retention(&self, rules: Retention, offset: u64) -> Retention {
        let back = offset.saturating_sub(self.upto.map_or(0, |upto| upto.offset));
        let size = rules.size.max(u32::try_from(back).unwrap_or(u32::MAX)).max(1);
        Retention { size, ttl_ms: FOR_EVER_MS, ..rules }
    }

    /// The next one, as of this position of the log.
    pub(crate) fn write(
        &mut self,
        channel: &str,
        upto: Position,
        pages: &[Bytes],
        at_ms: u64,
    ) -> Vec<Append> {
        // Nothing is a checkpoint too.
        let nothing = [Bytes::new()];
        let pages = if pages.is_empty() { &nothing } else { pages };
        let count = u32::try_from(pages.len()).unwrap_or(u32::MAX);
        self.behind = 0;
        self.writing = Some(Writing {
            upto,
            pages: count,
            stored: 0,
            awaited: count,
            failed: false,
            estranged: false,
        });
        let name = companion(channel);
        let append = |(index, page): (u32, &Bytes)| {
            let is_last = index + 1 == count;
            let size = if is_last { count } else { self.kept.saturating_add(count) };
            Append {
                channel: name.clone(),
                epoch: self.epoch,
                offset: self.last + u64::from(index) + 1,
                at_ms,
                event: Some(Head { upto, index, count }.before(page)),
                producer: None,
                key: None,
                retention: Retention { size, ttl_ms: FOR_EVER_MS, dedup_ms: 0 },
            }
        };
        (0..count).zip(pages).map(append).collect()
    }

    /// The outcome of the oldest page that has none yet. `true`: the store's pages are others than
    /// ours, and have to be read again.
    pub(crate) fn stored<T>(&mut self, outcome: &Result<T, StoreError>) -> bool {
        let Some(writing) = &mut self.writing else { return false };
        match outcome {
            Ok(_) => writing.stored += 1,
            Err(error) => {
                writing.estranged |= !writing.failed && *error == StoreError::OutOfOrder;
                writing.failed = true;
            }
        }
        writing.awaited -= 1;
        if writing.awaited > 0 {
            return false;
        }
        let Writing { upto, pages, stored, failed, estranged, .. } = *writing;
        self.writing = None;
        self.last += u64::from(stored);
        if failed {
            // The next try is as far away as the first one was.
            self.kept = self.kept.saturating_add(stored);
        } else {
            self.kept = pages;
            self.upto = Some(upto);
        }
        estranged
    }

    /// The store's pages are others than ours: where the next ones go.
    pub(crate) fn follow(&mut self, loaded: Option<&Loaded>) {
        let pages = loaded.map_or(0, |loaded| loaded.events.len());
        self.kept = u32::try_from(pages).unwrap_or(u32::MAX);
        self.last = loaded.map_or(0, |loaded| loaded.last_offset);
        self.epoch = loaded.map_or(Epoch(mix(self.epoch.0)), |loaded| loaded.epoch);
        // What was in them may be gone.
        self.upto = None;
        self.behind = usize::MAX;
    }
}

/// Where the checkpoint begins that ends here, if all of it is there.
fn complete(heads: &[Option<Head>]) -> Option<usize> {
    let last = (*heads.last()?)?;
    let count = usize::try_from(last.count).ok()?;
    let begin = heads.len().checked_sub(count)?;
    let fits = |(index, head): (u32, &Option<Head>)| *head == Some(Head { index, ..last });
    (last.index + 1 == last.count && (0..).zip(&heads[begin..]).all(fits)).then_some(begin)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    upto: Position,
    index: u32,
    count: u32,
}

impl Head {
    fn before(self, page: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(HEAD + page.len());
        out.put_u8(VERSION);
        out.put_u64_le(self.upto.epoch.0);
        out.put_u64_le(self.upto.offset);
        out.put_u32_le(self.index);
        out.put_u32_le(self.count);
        out.put_slice(page);
        out.freeze()
    }

    fn read(page: &[u8]) -> Option<Self> {
        let (version, rest) = page.split_first()?;
        let (epoch, rest) = rest.split_first_chunk()?;
        let (offset, rest) = rest.split_first_chunk()?;
        let (index, rest) = rest.split_first_chunk()?;
        let count = u32::from_le_bytes(*rest.first_chunk()?);
        let epoch = Epoch(u64::from_le_bytes(*epoch));
        let upto = Position { epoch, offset: u64::from_le_bytes(*offset) };
        let index = u32::from_le_bytes(*index);
        (*version == VERSION && index < count).then_some(Self { upto, index, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoredEvent;

    const LOG: Epoch = Epoch(7);
    const RULES: Retention = Retention { size: 10, ttl_ms: 1000, dedup_ms: 50 };

    /// A store of one channel.
    #[derive(Default)]
    struct Disk(Option<Loaded>);

    impl Disk {
        fn append(&mut self, append: &Append) -> Result<(), StoreError> {
            let empty = || Loaded {
                epoch: append.epoch,
                last_offset: 0,
                events: vec![],
                producers: vec![],
                keys: vec![],
            };
            let loaded = self.0.get_or_insert_with(empty);
            if append.offset != loaded.last_offset + 1 || append.epoch != loaded.epoch {
                return Err(StoreError::OutOfOrder);
            }
            loaded.last_offset += 1;
            let event = append.event.clone().unwrap();
            let (offset, at_ms) = (append.offset, append.at_ms);
            loaded.events.push(StoredEvent { offset, at_ms, event, producer: None });
            let over = loaded.events.len().saturating_sub(append.retention.size as usize);
            loaded.events.drain(..over);
            Ok(())
        }

        fn read(&self) -> Vec<String> {
            let pages = Checkpoints::new(LOG).restore(self.0.clone());
            pages.iter().map(|page| String::from_utf8(page.to_vec()).unwrap()).collect()
        }

        fn pages(&self) -> usize {
            self.0.as_ref().map_or(0, |loaded| loaded.events.len())
        }
    }

    fn at(offset: u64) -> Position {
        Position { epoch: LOG, offset }
    }

    fn pages(texts: &[&'static str]) -> Vec<Bytes> {
        texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect()
    }

    fn write(kept: &mut Checkpoints, offset: u64, texts: &[&'static str]) -> Vec<Append> {
        kept.write("cast:ticker", at(offset), &pages(texts), 0)
    }

    fn store(kept: &mut Checkpoints, disk: &mut Disk, appends: &[Append]) {
        for append in appends {
            kept.stored(&disk.append(append));
        }
    }

    #[test]
    fn the_newest_complete_checkpoint_is_read_and_older_ones_go() {
        let (mut kept, mut disk) = (Checkpoints::new(LOG), Disk::default());
        let appends = write(&mut kept, 5, &["a", "b", "c"]);
        assert_eq!(owner(&appends[0].channel), Some("cast:ticker"));
        store(&mut kept, &mut disk, &appends);
        assert_eq!(disk.read(), ["a", "b", "c"]);
        let appends = write(&mut kept, 9, &["d", "e"]);
        store(&mut kept, &mut disk, &appends[..1]);
        assert_eq!(disk.read(), ["a", "b", "c"], "the power went in the middle");
        store(&mut kept, &mut disk, &appends[1..]);
        assert_eq!((disk.read(), disk.pages()), (vec!["d".to_owned(), "e".to_owned()], 2));
        let appends = write(&mut kept, 12, &[]);
        store(&mut kept, &mut disk, &appends);
        assert_eq!((disk.read(), disk.pages()), (vec![String::new()], 1), "nothing is left");
    }

    #[test]
    fn who_starts_behind_a_torn_checkpoint_writes_the_next_one_behind_it() {
        let (mut kept, mut disk) = (Checkpoints::new(LOG), Disk::default());
        let appends = write(&mut kept, 5, &["a", "b"]);
        store(&mut kept, &mut disk, &appends);
        let appends = write(&mut kept, 9, &["c", "d", "e"]);
        store(&mut kept, &mut disk, &appends[..2]);
        let mut kept = Checkpoints::new(LOG);
        kept.restore(disk.0.clone());
        assert_eq!(kept.replays_behind(at(11)), 5);
        let appends = write(&mut kept, 11, &["f", "g"]);
        store(&mut kept, &mut disk, &appends[..1]);
        assert_eq!(disk.read(), ["a", "b"]);
        store(&mut kept, &mut disk, &appends[1..]);
        assert_eq!((disk.read(), disk.pages()), (vec!["f".to_owned(), "g".to_owned()], 2));
    }

    #[test]
    fn a_full_disk_costs_no_checkpoint_and_the_log_is_kept_for_it() {
        let (mut kept, mut disk) = (Checkpoints::new(LOG), Disk::default());
        assert_eq!(kept.retention(RULES, 40).size, 40, "there is no checkpoint: all of it");
        let appends = write(&mut kept, 5, &["a"]);
        store(&mut kept, &mut disk, &appends);
        assert_eq!(kept.retention(RULES, 40).size, 35);
        assert_eq!(kept.retention(RULES, 6).size, 10, "as the rules say");
        let appends = write(&mut kept, 30, &["b", "c"]);
        assert!(kept.is_writing() && !kept.is_due(0));
        kept.stored(&disk.append(&appends[0]));
        assert!(!kept.stored::<()>(&Err(StoreError::Full)));
        assert_eq!(kept.retention(RULES, 40).size, 35);
        let appends = write(&mut kept, 40, &["d"]);
        store(&mut kept, &mut disk, &appends);
        assert_eq!((disk.read(), disk.pages()), (vec!["d".to_owned()], 1));
        assert_eq!(kept.retention(RULES, 55).size, 15);
    }

    #[test]
    fn pages_that_were_lost_under_a_running_server_are_written_again() {
        let (mut kept, mut disk) = (Checkpoints::new(LOG), Disk::default());
        let appends = write(&mut kept, 5, &["a"]);
        store(&mut kept, &mut disk, &appends);
        let lost = disk.0.as_mut().unwrap();
        (lost.epoch, lost.last_offset) = (Epoch(99), 0);
        lost.events.clear();
        let append = &write(&mut kept, 9, &["b"])[0];
        assert!(kept.stored(&disk.append(append)), "read again");
        kept.follow(disk.0.as_ref());
        assert!(kept.is_due(1 << 30) && kept.retention(RULES, 40).size == 40);
        let appends = write(&mut kept, 9, &["b"]);
        store(&mut kept, &mut disk, &appends);
        assert_eq!(disk.read(), ["b"]);
    }

    #[test]
    fn the_checkpoint_of_a_log_that_was_damaged_is_replaced_at_once() {
        let (mut kept, mut disk) = (Checkpoints::new(LOG), Disk::default());
        let appends = write(&mut kept, 5, &["a"]);
        store(&mut kept, &mut disk, &appends);
        kept.restore(disk.0.clone());
        assert_eq!(kept.replays_behind(at(9)), 5);
        assert!(!kept.is_due(0));
        let renewed = Position { epoch: Epoch(8), offset: 9 };
        assert_eq!(kept.replays_behind(renewed), 0);
        assert!(kept.is_due(1 << 30));
    }
}
