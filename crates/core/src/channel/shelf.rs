//! What is being done about the versions of a document: one thing after the other, because each
//! reads or writes the store.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tidings_proto::yjs::{Reader, put_bytes};

use super::checkpoint::FOR_EVER_MS;
use crate::document::{Pages, Version};
use crate::engine::Address;
use crate::engine::CommandKind;
use crate::rng::mix;
use crate::store::{Append, Epoch, Loaded, Retention};

/// What stands in front of a version's number, and of the channel's name. No client can name such a
/// channel: names have no control characters.
const PREFIX: &str = "\0version:";

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    pub(crate) queue: VecDeque<Job>,
    /// What is done now.
    pub(crate) current: Option<(Job, Stage)>,
    /// Appends of content at the store, of what was given up too: nothing else begins before.
    pub(crate) outstanding: u32,
    /// The document is on the agenda of those that become a version.
    pub(crate) armed: bool,
    /// Deleted content is not taken from the store before this: monotonic milliseconds.
    pub(crate) trim_after_ms: u64,
}

impl Shelf {
    /// Whether anything is going on.
    pub(crate) fn is_busy(&self) -> bool {
        self.current.is_some() || !self.queue.is_empty() || self.outstanding > 0
    }
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
    /// Tell what a version holds.
    Read { number: u64 },
    /// Have the document hold it again. `kept`: what there is has become a version before.
    Restore { number: u64, user: Arc<str>, kept: bool },
    /// Take one; `user`: `None`, if nobody asked for it.
    Take { name: Option<Box<str>>, user: Option<Arc<str>> },
    /// What a deleted one held leaves the store.
    Trim { number: u64 },
}

impl Task {
    /// Whether it needs what this version holds.
    pub(crate) fn wants(&self, version: u64) -> bool {
        matches!(self, Self::Read { number } | Self::Restore { number, .. } if *number == version)
    }
}

/// How far it is.
#[derive(Debug)]
pub(crate) enum Stage {
    /// The store is asked for what the version of this number holds.
    Loading(u64),
    /// Its pages are at the store.
    Storing { version: Box<Version>, failed: bool },
    /// The store is told to let go what the deleted version of this number held.
    Trimming(u64),
    /// The store is told to let go what was to be a version of a document that has been reset.
    Clearing,
    /// The change that restores it is being made, of the document of this epoch, by this client.
    Restoring { ticket: u64, epoch: Epoch, client: u64 },
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
pub(crate) struct Content {
    pub(crate) vector: Bytes,
    pub(crate) update: Bytes,
}

impl Content {
    /// In pages for the store: where they are, and the appends that bring them there. What was
    /// left there by somebody who did not come to an end goes.
    pub(crate) fn store(
        &self,
        channel: &Arc<str>,
        before: Option<&Loaded>,
        at_ms: u64,
        max: usize,
    ) -> (Pages, Vec<Append>) {
        let mut all = Vec::with_capacity(self.vector.len() + 10 + self.update.len());
        put_bytes(&mut all, &self.vector);
        all.extend(&self.update);
        let all = Bytes::from(all);
        let starts: Vec<_> = (0..all.len()).step_by(max.max(1)).collect();
        let count = u32::try_from(starts.len()).unwrap_or(u32::MAX);
        let fresh = || Epoch(mix(at_ms ^ all.len() as u64));
        let epoch = before.map_or_else(fresh, |before| before.epoch);
        let first = before.map_or(0, |before| before.last_offset) + 1;
        let append = |(offset, at): (u64, usize)| Append {
            channel: channel.clone(),
            epoch,
            offset,
            at_ms,
            event: Some(all.slice(at..all.len().min(at + max))),
            producer: None,
            key: None,
            retention: Retention { size: count, ttl_ms: FOR_EVER_MS, dedup_ms: 0 },
        };
        let appends: Vec<_> = (first..).zip(starts).map(append).collect();
        let last = first + appends.len() as u64 - 1;
        (Pages { epoch, last, count }, appends)
    }

    /// What the store has; `None`: it is not what was stored for this version.
    pub(crate) fn read(loaded: &Loaded, pages: Pages) -> Option<Self> {
        let is_it = loaded.epoch == pages.epoch && loaded.last_offset == pages.last;
        let first = loaded.events.len().checked_sub(pages.count as usize)?;
        if !is_it || pages.count == 0 {
            return None;
        }
        let events = &loaded.events[first..];
        let mut all = BytesMut::with_capacity(events.iter().map(|page| page.event.len()).sum());
        events.iter().for_each(|page| all.extend_from_slice(&page.event));
        let all = all.freeze();
        let mut reader = Reader::new(&all);
        let vector = all.slice_ref(reader.bytes().ok()?);
        Some(Self { vector, update: all.slice_ref(reader.rest()) })
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
        let (_, appends) = content.store(&channel, None, 5, 100);
        assert_eq!(appends.len(), 3);
        let torn = disk(None, &appends[..2]);
        let (pages, appends) = content.store(&channel, Some(&torn), 9, 100);
        assert!(Content::read(&torn, pages).is_none());
        let mut whole = disk(Some(torn), &appends);
        assert_eq!(Content::read(&whole, pages).unwrap().update, content.update);
        assert_eq!(appends[0].retention.size, 3, "the remains go");
        whole.events.drain(..3);
        assert!(Content::read(&whole, pages).is_none(), "one is missing");
    }
}
