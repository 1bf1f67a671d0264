//! The events that a channel keeps.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::store::{Scoped, StoredEvent};

/// A dense run of events, newest at the back.
#[derive(Debug, Default)]
pub(crate) struct History {
    events: VecDeque<StoredEvent>,
    /// Of all events.
    bytes: usize,
}

/// A piece of history.
#[derive(Debug)]
pub(crate) struct Page {
    /// Oldest first.
    pub(crate) events: Vec<Bytes>,
    /// The offset of the last of them, or where the page started if it has none.
    pub(crate) end: u64,
}

impl History {
    pub(crate) fn restore(events: Vec<StoredEvent>) -> Self {
        let bytes = events.iter().map(|event| event.event.len()).sum();
        Self { events: events.into(), bytes }
    }

    /// Adds the next event.
    pub(crate) fn push(&mut self, event: StoredEvent) {
        debug_assert!(self.events.back().is_none_or(|last| last.offset + 1 == event.offset));
        self.bytes += event.event.len();
        self.events.push_back(event);
    }

    /// Drops all but the newest `size` and those older than `ttl_ms`, as long as `kept` bytes stay.
    pub(crate) fn trim(&mut self, now_ms: u64, (size, kept): (u32, usize), ttl_ms: u64) {
        while let Some(oldest) = self.events.front() {
            let is_old = oldest.at_ms.saturating_add(ttl_ms) <= now_ms;
            let rest = self.bytes - oldest.event.len();
            if (!is_old && self.events.len() <= size as usize) || (rest < kept && kept > 0) {
                break;
            }
            self.bytes = rest;
            self.events.pop_front();
        }
        // Bursts leave big buffers behind; what is kept for idle channels is what they need.
        if self.events.capacity() > 64 && self.events.len() < self.events.capacity() / 4 {
            self.events.shrink_to(self.events.len() * 2);
        }
    }

    /// How many events there are.
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// The offset of the oldest event; `None` if there is none.
    pub(crate) fn first(&self) -> Option<u64> {
        self.events.front().map(|event| event.offset)
    }

    /// Whether every event after `offset` up to `last`, the channel's newest, is here.
    pub(crate) fn reaches_back_to(&self, offset: u64, last: u64) -> bool {
        offset == last || self.first().is_some_and(|first| first <= offset + 1)
    }

    /// How many events stand at or below `offset`: where the events after it begin.
    fn index_after(&self, offset: u64) -> usize {
        let Some(first) = self.first() else { return 0 };
        usize::try_from(offset.saturating_add(1).saturating_sub(first))
            .unwrap_or(usize::MAX)
            .min(self.events.len())
    }

    /// The events after `offset`: at most `count` of them and `bytes` bytes, but at least one.
    pub(crate) fn page_after(&self, offset: u64, count: usize, bytes: usize) -> Page {
        let mut page = Page { events: Vec::new(), end: offset };
        let mut room = bytes;
        for event in self.events.range(self.index_after(offset)..).take(count) {
            if event.event.len() > room && !page.events.is_empty() {
                break;
            }
            room = room.saturating_sub(event.event.len());
            page.events.push(event.event.clone());
            page.end = event.offset;
        }
        page
    }

    /// The newest events below `offset`, oldest first, with the same bounds; and whether there
    /// are older ones.
    pub(crate) fn page_before(
        &self,
        offset: u64,
        count: usize,
        bytes: usize,
    ) -> (Vec<Bytes>, bool) {
        let end = self.index_after(offset.saturating_sub(1));
        let (mut start, mut room) = (end, bytes);
        while start > 0 && end - start < count {
            let size = self.events[start - 1].event.len();
            if size > room && start != end {
                break;
            }
            room = room.saturating_sub(size);
            start -= 1;
        }
        let events = self.events.range(start..end).map(|event| event.event.clone()).collect();
        (events, start > 0)
    }

    /// The offset that a producer's publish got, if its event is still here.
    pub(crate) fn find(&self, producer: &Scoped, seq: u64) -> Option<u64> {
        let same = |event: &&StoredEvent| {
            event.producer.as_ref().is_some_and(|(who, n)| *n == seq && who == producer)
        };
        self.events.iter().rev().find(same).map(|event| event.offset)
    }

    /// Whether a producer's publish that is not here was no event: it would be, because what came
    /// before it is.
    pub(crate) fn would_have(&self, producer: &Scoped, seq: u64) -> bool {
        let before = |event: &StoredEvent| {
            event.producer.as_ref().is_some_and(|(who, n)| *n < seq && who == producer)
        };
        self.first() == Some(1) || self.events.iter().any(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(offsets: std::ops::RangeInclusive<u64>) -> History {
        let event = |offset| StoredEvent {
            offset,
            at_ms: offset * 10,
            event: Bytes::from(format!("{offset:04}")),
            producer: None,
        };
        History::restore(offsets.map(event).collect())
    }

    fn texts(events: &[Bytes]) -> Vec<u64> {
        events.iter().map(|e| std::str::from_utf8(e).unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn pages_go_forwards_without_overlap_or_hole() {
        let history = history(11..=20);
        let page = history.page_after(12, 3, 1000);
        assert_eq!((texts(&page.events), page.end), (vec![13, 14, 15], 15));
        let page = history.page_after(18, 5, 1000);
        assert_eq!((texts(&page.events), page.end), (vec![19, 20], 20));
        assert_eq!(history.page_after(20, 5, 1000).end, 20);
    }

    #[test]
    fn a_page_is_cut_at_its_bytes_but_never_empty() {
        let history = history(1..=5);
        assert_eq!(texts(&history.page_after(0, 10, 9).events), [1, 2]);
        assert_eq!(texts(&history.page_after(0, 10, 1).events), [1]);
        assert_eq!(texts(&history.page_before(6, 10, 1).0), [5]);
    }

    #[test]
    fn pages_go_backwards_to_the_start() {
        let history = history(11..=15);
        let (events, more) = history.page_before(15, 3, 1000);
        assert_eq!((texts(&events), more), (vec![12, 13, 14], true));
        let (events, more) = history.page_before(12, 3, 1000);
        assert_eq!((texts(&events), more), (vec![11], false));
        assert_eq!(history.page_before(3, 3, 1000), (vec![], false));
        assert_eq!(texts(&history.page_before(u64::MAX, 2, 1000).0), [14, 15]);
    }

    #[test]
    fn what_joiners_may_need_is_kept_however_old_it_is() {
        let mut history = history(1..=10);
        history.trim(5000, (4, 24), 1000);
        assert_eq!((history.first(), history.len()), (Some(5), 6), "six of four bytes");
        history.trim(5000, (8, 8), 1000);
        assert_eq!(history.len(), 2);
        history.trim(5000, (8, 0), 1000);
        assert_eq!((history.len(), history.bytes), (0, 0));
    }

    #[test]
    fn what_is_old_or_too_much_is_dropped() {
        let mut history = history(1..=10);
        history.trim(0, (4, 0), 1000);
        assert_eq!(history.first(), Some(7));
        history.trim(1080, (4, 0), 1000);
        assert_eq!(history.first(), Some(9));
        assert!(history.reaches_back_to(8, 10) && !history.reaches_back_to(7, 10));
        history.trim(5000, (4, 0), 1000);
        assert!(history.first().is_none() && history.reaches_back_to(10, 10));
        assert!(!history.reaches_back_to(9, 10));
    }
}
