//! What is being done about the versions of a document: one thing after the other, because each
//! reads or writes the store.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tidings_proto::yjs::{Reader, put_bytes};

use super::checkpoint::FOR_EVER_MS;
use crate::document::{Pages, Version};
use crate::engine::Address;
use crate::engine::CommandKind;
use crate::limits::VERSION_TRIES;
use crate::rng::mix;
use crate::store::{Append, Epoch, Loaded, Retention};

/// What stands in front of a version's number, and of the channel's name. No client can name such a
/// channel: names have no control characters.
const PREFIX: &str = "\0version:";

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    pub(crate) queue: VecDeque<Job>,
    /// Versions that somebody wants to read: they wait for the store alone.
    pub(crate) reading: Vec<(u64, Asker)>,
    /// What is done now.
    pub(crate) current: Option<(Job, Stage)>,
    /// Appends of content at the store, of what was given up too: nothing else begins before.
    pub(crate) outstanding: u32,
    /// When the document becomes a version by itself: where it stands on the shard's agenda, in
    /// steady milliseconds.
    pub(crate) armed: Option<u64>,
    /// None is taken by itself before this, because the last one could not be: steady milliseconds.
    pub(crate) not_before_ms: u64,
    /// The store is not asked again to let something go before this: monotonic milliseconds.
    pub(crate) trim_after_ms: u64,
    /// What could not be let go last: others have their turn first.
    pub(crate) trim_behind: u64,
    /// Something is to be let go; how often that has failed in a row.
    pub(crate) owes: Option<u8>,
    /// What was to be the version of this number and is none may be at the store.
    pub(crate) leftover: Option<u64>,
    /// Versions whose names are at the store.
    pub(crate) naming: Vec<u64>,
    /// Who is told when what was deleted has left the store.
    pub(crate) ends: Vec<End>,
}

impl Shelf {
    /// Whether anything is going on.
    pub(crate) fn is_busy(&self) -> bool {
        let works = self.current.is_some() || !self.queue.is_empty() || self.outstanding > 0;
        // On a disk that is broken nothing is let go, and memory is not the place to wait for that.
        let owes = self.owes.is_some_and(|tries| tries < VERSION_TRIES);
        works || owes || !self.reading.is_empty() || !self.ends.is_empty()
    }

    /// A name of this version has come back from the store.
    pub(crate) fn named(&mut self, number: u64) {
        if let Some(at) = self.naming.iter().position(|naming| *naming == number) {
            self.naming.swap_remove(at);
        }
    }

    /// Whether one is about to be taken by itself.
    pub(crate) fn takes_one(&self) -> bool {
        let current = self.current.iter().map(|(job, _)| job);
        let takes = |job: &Job| matches!(job.task, Task::Take { name: None, user: None, .. });
        current.chain(&self.queue).any(takes)
    }
}

/// Who waits for the end of what was deleted.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) asker: Asker,
    pub(crate) offset: u64,
    /// One version; `None`: all that there were.
    pub(crate) number: Option<u64>,
}

/// Something to be done.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) task: Task,
    /// Who waits for it.
    pub(crate) asker: Option<Asker>,
}

/// See [`Job`].
#[derive(Debug)]
pub(crate) enum Task {
    /// Have the document hold it again, by a change of what it was.
    Restore { number: u64, user: Arc<str>, was: Option<Was> },
    /// Take one of what the document was; `user`: `None`, if nobody asked for it.
    Take { name: Option<Box<str>>, user: Option<Arc<str>>, was: Option<Was> },
    /// What one that is none any more held leaves the store.
    Trim { number: u64 },
}

/// What a document was when something began: whatever is written later is not undone by it.
#[derive(Clone, Debug)]
pub(crate) struct Was {
    pub(crate) content: Content,
    pub(crate) offset: u64,
    pub(crate) epoch: Epoch,
    pub(crate) authors: Vec<Box<str>>,
}

impl Task {
    /// Whether it needs what this version holds.
    pub(crate) fn wants(&self, version: u64) -> bool {
        matches!(self, Self::Restore { number, .. } if *number == version)
    }
}

/// How far it is.
#[derive(Debug)]
pub(crate) enum Stage {
    /// The store is asked for what the version of this number holds.
    Loading(u64),
    /// Its pages are at the store.
    Storing { version: Box<Version>, failed: bool },
    /// The store is told to let go what the version of this number held.
    Trimming(u64),
    /// The change that restores it is being made, by this client.
    Restoring { ticket: u64, client: u64 },
    /// A record is at the store.
    Recording,
}

/// Who waits for an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    pub(crate) from: Address,
    pub(crate) id: u64,
    pub(crate) kind: CommandKind,
}

/// Where what a version holds is kept.
pub(crate) fn kept_in(number: u64, channel: &str) -> Arc<str> {
    format!("{PREFIX}{number}:{channel}").into()
}

/// Of which channel this keeps a version, and which.
pub(crate) fn version_in(name: &str) -> Option<(u64, &str)> {
    let (number, channel) = name.strip_prefix(PREFIX)?.split_once(':')?;
    Some((number.parse().ok()?, channel))
}

/// What a version holds: a state vector, and all of it as an update.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) vector: Bytes,
    pub(crate) update: Bytes,
}

/// Before a page: version, what it belongs to, its number, and how many there are.
const HEAD: usize = 1 + 8 + 4 + 4;
const VERSION: u8 = 1;

impl Content {
    /// In pages for the store: which they are, and the appends that bring them there. What was left
    /// there by somebody who did not come to an end goes.
    pub(crate) fn store(
        &self,
        (channel, id): (&Arc<str>, u64),
        before: Option<&Loaded>,
        at_ms: u64,
        max: usize,
    ) -> (Pages, Vec<Append>) {
        let mut all = Vec::with_capacity(self.bytes() + 10);
        put_bytes(&mut all, &self.vector);
        all.extend(&self.update);
        let pages = all.chunks(max.max(1));
        let count = u32::try_from(pages.len()).unwrap_or(u32::MAX);
        let epoch = before.map_or_else(|| Epoch(mix(id)), |before| before.epoch);
        let first = before.map_or(0, |before| before.last_offset) + 1;
        let append = |((offset, index), page): ((u64, u32), &[u8])| {
            let mut event = BytesMut::with_capacity(HEAD + page.len());
            event.put_u8(VERSION);
            event.put_u64_le(id);
            event.put_u32_le(index);
            event.put_u32_le(count);
            event.put_slice(page);
            Append {
                channel: channel.clone(),
                epoch,
                offset,
                at_ms,
                event: Some(event.freeze()),
                producer: None,
                key: None,
                retention: Retention { size: count, ttl_ms: FOR_EVER_MS, dedup_ms: 0 },
            }
        };
        (Pages { id, count }, (first..).zip(0..).zip(pages).map(append).collect())
    }

    /// What the store has; `None`: it is not what was stored for this version. The channel's epoch
    /// does not matter: a store renews it where it does not know whether anything was lost.
    pub(crate) fn read(loaded: &Loaded, Pages { id, count }: Pages) -> Option<Self> {
        let mut all = BytesMut::new();
        let mut next = 0;
        for event in &loaded.events {
            let mut page = &event.event[..];
            if page.len() < HEAD || page.get_u8() != VERSION || page.get_u64_le() != id {
                continue;
            }
            if page.get_u32_le() != next || page.get_u32_le() != count {
                return None;
            }
            next += 1;
            all.extend_from_slice(page);
        }
        if next != count || count == 0 {
            return None;
        }
        let all = all.freeze();
        let mut reader = Reader::new(&all);
        let vector = all.slice_ref(reader.bytes().ok()?);
        Some(Self { vector, update: all.slice_ref(reader.rest()) })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.vector.len() + self.update.len()
    }
}

/// Lets go what a channel of the store has, which has come so far.
pub(crate) fn trim(channel: Arc<str>, (epoch, last): (Epoch, u64), at_ms: u64) -> Append {
    Append {
        channel,
        epoch,
        offset: last,
        at_ms,
        event: None,
        producer: None,
        key: None,
        retention: Retention { size: 0, ttl_ms: 0, dedup_ms: 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoredEvent;

    fn disk(before: Option<Loaded>, appends: &[Append]) -> Loaded {
        let mut loaded = before.unwrap_or(Loaded {
            epoch: appends[0].epoch,
            last_offset: 0,
            events: vec![],
            producers: vec![],
            keys: vec![],
        });
        for append in appends {
            assert_eq!((append.epoch, append.offset), (loaded.epoch, loaded.last_offset + 1));
            let (offset, at_ms) = (append.offset, append.at_ms);
            let event = append.event.clone().unwrap();
            loaded.events.push(StoredEvent { offset, at_ms, event, producer: None });
            loaded.last_offset += 1;
        }
        loaded
    }

    #[test]
    fn a_version_that_was_half_written_is_written_behind_its_remains() {
        let channel = kept_in(3, "doc:a:b");
        assert_eq!(version_in(&channel), Some((3, "doc:a:b")));
        let content = Content { vector: Bytes::from_static(&[0]), update: vec![7; 250].into() };
        let (_, appends) = content.store((&channel, 1), None, 5, 100);
        assert_eq!(appends.len(), 3);
        let torn = disk(None, &appends[..2]);
        let (pages, appends) = content.store((&channel, 2), Some(&torn), 9, 100);
        assert!(Content::read(&torn, pages).is_none());
        let mut whole = disk(Some(torn), &appends);
        assert_eq!(Content::read(&whole, pages).unwrap().update, content.update);
        assert_eq!(appends[0].retention.size, 3, "the remains go");
        whole.epoch = Epoch(99);
        assert!(Content::read(&whole, pages).is_some(), "the store has renewed its epochs");
        whole.events.drain(..3);
        assert!(Content::read(&whole, pages).is_none(), "one is missing");
    }
}
