//! Coming back: history, and what was missed in front of what is live.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use tidings_proto::{Frame, Position};

use super::counters::{CommandKind, Recovery};
use super::document::Opened;
use super::home::{Scene, flush};
use super::types::{Address, Delivery, Message, PageReply, Subscribe};
use crate::channel::state::Snapshot;

/// Bytes of missed changes that are looked through for one who comes back.
const CHANGES_READ: usize = 64 << 10;

impl Scene<'_> {
    pub(super) fn history(
        &mut self,
        from: Address,
        id: u64,
        before: Option<u64>,
        after: Option<u64>,
        limit: usize,
    ) {
        self.channel.expire_history(self.steady_ms);
        let (history, bytes) = (&mut self.channel.history, self.limits.page_bytes);
        let (events, more) = match after {
            Some(after) => history.events_after(after, limit, bytes),
            None => history.events_before(before.unwrap_or(u64::MAX), limit, bytes),
        };
        let events: Vec<&RawValue> = events
            .iter()
            .filter_map(|event| serde_json::from_slice::<&RawValue>(event).ok())
            .collect();
        let (channel, position) = (&*self.channel.name, self.channel.position());
        let frame = Frame::History { id, channel, position, events: &events, more };
        self.out.reply(CommandKind::History, from, frame.encode());
    }

    pub(super) fn subscribe(&mut self, from: Address, id: u64, subscribe: &Subscribe) {
        // What was committed in this turn goes to those who were here before.
        flush(self.channel, self.out);
        self.attach(from.shard);
        self.channel.expire_history(self.steady_ms);
        let position = self.channel.position();
        let (start, gap, recovered) = self.start_of(subscribe);
        let snapshot = if recovered { None } else { self.snapshot() };
        self.out.counters.command(CommandKind::Subscribe, None);
        let members = subscribe.presence.then(|| self.member_views());
        let count = subscribe.presence.then(|| self.member_count());
        let frame = Frame::Subscribed {
            id,
            channel: &self.channel.name,
            position,
            recovered,
            conflated: self.is_conflated(),
            members: members.as_ref().and_then(|views| views.as_deref()),
            count,
        };
        let reply = frame.encode();
        let count = if subscribe.wait { 0 } else { self.limits.page_events };
        let opened = self.opened(subscribe);
        let begin = Begin { start, gap, snapshot, reply: Some(reply), opened };
        self.send_page(from, subscribe.nonce, begin, count);
    }

    /// Behind which offset a subscription starts, the gap in front of it, and whether all that was
    /// missed is there.
    fn start_of(&mut self, subscribe: &Subscribe) -> (u64, Option<Bytes>, bool) {
        let (last, epoch) = (self.channel.last, self.channel.epoch);
        let history = &self.channel.history;
        let rewind = last.saturating_sub(subscribe.rewind as u64);
        let oldest = history.first().map_or(last, |first| first - 1);
        let fresh = rewind.max(oldest).min(last);
        let Some((since_epoch, since_text, offset)) = &subscribe.since else {
            return (fresh, None, false);
        };
        let outcome = if *since_epoch != Some(epoch) {
            Recovery::NewEpoch
        } else if *offset > last {
            Recovery::TooFar
        } else if !history.reaches_back_to(*offset, last) {
            Recovery::Expired
        } else {
            Recovery::Complete
        };
        self.out.counters.recovery(outcome);
        if outcome == Recovery::Complete {
            // Where values may be skipped all of it is less work than much of what has changed.
            let much = self.is_conflated() && !self.channel.history.is_short(*offset, CHANGES_READ);
            return if much { (fresh, None, false) } else { (*offset, None, true) };
        }
        let gap = serde_json::json!({
            "type": "gap", "channel": &*self.channel.name, "reason": outcome.as_str(),
            "from": { "epoch": &**since_text, "offset": offset },
            "to": { "epoch": epoch.to_string(), "offset": fresh },
        });
        (fresh, Some(gap.to_string().into()), false)
    }

    /// History was lost under a running server: all who are subscribed are told.
    pub(super) fn tell_new_epoch(&mut self, from: Position) {
        let (channel, to) = (&*self.channel.name, self.channel.position());
        let text = Frame::Gap { channel, reason: "new_epoch", from, to }.encode();
        let raw = self.ask_editors();
        self.deliver(Delivery { raw, ..Delivery::passing(text, None) });
    }

    pub(super) fn next_page(&mut self, from: Address, nonce: u16, after: u64) {
        flush(self.channel, self.out);
        self.channel.expire_history(self.steady_ms);
        let (last, history) = (self.channel.last, &self.channel.history);
        let (mut start, mut gap, mut snapshot) = (after, None, None);
        if !history.reaches_back_to(after, last) {
            start = history.first().map_or(last, |first| first - 1);
            let at = |offset| Position { epoch: self.channel.epoch, offset };
            let channel = &*self.channel.name;
            let (from, to) = (at(after), at(start));
            gap = Some(Frame::Gap { channel, reason: "expired", from, to }.encode());
            snapshot = self.snapshot();
        }
        let count = self.limits.page_events;
        self.send_page(
            from,
            nonce,
            Begin { start, gap, snapshot, reply: None, opened: None },
            count,
        );
    }

    fn send_page(&mut self, to: Address, nonce: u16, begin: Begin, count: usize) {
        let Begin { mut start, mut gap, mut snapshot, reply, opened } = begin;
        let mut events = Vec::new();
        if let Some(all) = &snapshot {
            // It says all that there is, so nothing is missing.
            (start, gap) = (all.offset, None);
        }
        // Where values may be skipped it is live from there, and behind: nothing waits in history.
        let tail = self.is_conflated().then(|| (start, self.tail(start, snapshot.is_some())));
        if let Some([page]) = snapshot.as_ref().map(|all| &*all.pages)
            && count > 0
            && tail.is_none()
        {
            events.push(page.clone());
            snapshot = None;
        }
        let mut next = tail.is_none().then_some(start);
        if snapshot.is_none() && tail.is_none() {
            let page = self.channel.history.page_after(start, count, self.limits.page_bytes);
            events.extend(page.events);
            next = (page.end < self.channel.last).then_some(page.end);
        }
        let channel = self.channel.name.clone();
        let to_session = to.session;
        let page = PageReply {
            to: to_session,
            channel,
            nonce,
            reply,
            gap,
            snapshot,
            tail,
            events,
            opened,
            next,
        };
        self.out.post(to.shard, Message::Page(Box::new(page)));
    }
}

/// How a page begins.
struct Begin {
    /// Behind this offset.
    start: u64,
    gap: Option<Bytes>,
    /// Instead of the gap, where there are keys.
    snapshot: Option<Arc<Snapshot>>,
    reply: Option<Bytes>,
    opened: Option<Opened>,
}
