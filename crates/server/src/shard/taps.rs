//! Taps: what the traces of operators see of this shard.
//!
//! While nobody traces, one flag is looked at where frames pass. A tap for a user or a session
//! follows its connections, wherever they live and move. A tap for a channel sees what is said
//! about it on each shard, and what its subscribers are sent once, at the channel's home.

use std::cell::{Cell, LazyCell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tidings_core::engine::{Address, Delivery, Now, SessionKey, TopicKey};

use super::Shard;
use super::connection::Connection;
use crate::trace::frame::{self, Head, Refusal};
use crate::trace::{Code, Feed, Line, Target, Who};

/// Commands whose type is remembered, for a refusal that follows: more than a session may have in
/// flight by default.
const ASKED: usize = 256;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Taps {
    any: Cell<bool>,
    list: RefCell<Vec<Tap>>,
}

/// The part of one trace that is on this shard.
#[derive(Debug)]
struct Tap {
    id: u64,
    target: Target,
    feed: Feed,
    /// The sessions that it follows.
    known: HashMap<SessionKey, Who>,
    /// Commands that were seen: session, id and type.
    asked: VecDeque<(SessionKey, u64, Box<str>)>,
}

/// How a session ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending<'a> {
    pub(super) code: Option<u16>,
    pub(super) reason: &'a str,
    /// Why its token was refused, which its client is not told.
    pub(super) why: Option<&'a str>,
}

impl Shard {
    /// Begins to show a trace what happens here.
    pub(crate) fn tap(&self, id: u64, target: Target, feed: Feed) {
        let mut known = HashMap::new();
        for (key, session, user) in self.engine().everybody() {
            if target.is(session, user) {
                known.insert(key, Who::new(session, user.cloned(), self.transport_of(key)));
            }
        }
        let tap = Tap { id, target, feed, known, asked: VecDeque::new() };
        self.taps.list.borrow_mut().push(tap);
        self.taps_changed();
    }

    /// A trace has ended.
    pub(crate) fn untap(&self, id: u64) {
        self.taps.list.borrow_mut().retain(|tap| tap.id != id);
        self.taps_changed();
    }

    fn taps_changed(&self) {
        let list = self.taps.list.borrow();
        self.taps.any.set(!list.is_empty());
        let channels = list.iter().filter_map(|tap| tap.target.channel().cloned());
        self.engine_mut().watch(channels.collect());
    }

    /// Whether anybody traces anything.
    pub(super) fn is_traced(&self) -> bool {
        self.taps.any.get()
    }

    fn who(&self, connection: &Connection, key: SessionKey) -> Option<Who> {
        let (id, user) = self.engine().who(key)?;
        Some(Who::new(id, user, connection.wire.transport()))
    }

    /// A command, while somebody traces.
    pub(super) fn receive_traced(
        &self,
        connection: &Connection,
        now: Now,
        from: SessionKey,
        text: &str,
    ) {
        self.engine_mut().receive(now, from, text);
        // What it said may have made it known, and stands in front of what follows from it.
        if let Some(who) = self.who(connection, from) {
            let (head, shown) = (Head::of(text), LazyCell::new(|| frame::from_client(text)));
            for tap in &mut *self.taps.list.borrow_mut() {
                if tap.is_about(&head) || tap.follows(now.wall_ms, from, &who) {
                    tap.note_asked(from, &head);
                    let bytes = shown.is_none().then_some(text.len());
                    let line = Line { frame: shown.as_deref(), bytes, ..tap.line(now, "in") };
                    tap.feed.push(&line.of(Some(&who)));
                }
            }
        }
        self.carry_out();
    }

    /// A frame for one session.
    pub(super) fn trace_sent(&self, connection: &Connection, to: SessionKey, text: &Bytes) {
        let Ok(text) = std::str::from_utf8(text) else { return };
        let now = self.node.clock.now();
        let who = self.who(connection, to);
        let head = Head::of(text);
        let shown = LazyCell::new(|| frame::from_server(text, &head));
        // A channel's own trace has these already, once for all of its subscribers.
        let told = head.is("presence") || (head.is("event") && head.ephemeral);
        for tap in &mut *self.taps.list.borrow_mut() {
            let who = who.as_ref().or(tap.known.get(&to)).cloned();
            let whole = who.as_ref().is_some_and(|who| tap.follows(now.wall_ms, to, who));
            if !(whole || tap.is_about(&head) && !told) {
                continue;
            }
            let line = Line { frame: shown.as_deref(), ..tap.line(now, "out") };
            tap.feed.push(&line.of(who.as_ref()));
            // One without an id tells of a subscription that the server has ended.
            if head.is("error") && (head.id.is_some() || head.channel.is_none()) {
                tap.tell_refusal(now, (to, who.as_ref()), &head, text);
            }
        }
    }

    /// A binary message of an editor or for one: how long it is. What was typed is not shown.
    pub(super) fn trace_editor(
        &self,
        connection: &Connection,
        key: SessionKey,
        (kind, bytes): (&'static str, usize),
    ) {
        let now = self.node.clock.now();
        let who = self.who(connection, key);
        for tap in &mut *self.taps.list.borrow_mut() {
            let Some(who) = who.as_ref().or(tap.known.get(&key)).cloned() else { continue };
            if tap.follows(now.wall_ms, key, &who) {
                let line = Line { bytes: Some(bytes), ..tap.line(now, kind) };
                tap.feed.push(&line.of(Some(&who)));
            }
        }
    }

    /// Frames for the first `upto` subscribers of a channel on this shard.
    pub(super) fn trace_fan_out(&self, topic: TopicKey, upto: usize, batch: &[Delivery]) {
        let (engine, now) = (self.engine(), self.node.clock.now());
        for tap in &*self.taps.list.borrow() {
            for (key, who) in &tap.known {
                let Some(presence) = engine.hears(*key, topic, upto) else { continue };
                let me = Some(Address { shard: self.id, session: *key });
                let mine = |d: &&Delivery| d.except != me && (presence || !d.presence);
                for delivery in batch.iter().filter(mine) {
                    tap.tell_delivery(now, Some(who), delivery);
                }
            }
        }
    }

    /// Frames for all subscribers of a channel whose home this is.
    pub(super) fn trace_told(&self, channel: &Arc<str>, batch: &[Delivery]) {
        let now = self.node.clock.now();
        for tap in &*self.taps.list.borrow() {
            if tap.target.channel() == Some(channel) {
                batch.iter().for_each(|delivery| tap.tell_delivery(now, None, delivery));
            }
        }
    }

    /// A session is over.
    pub(super) fn trace_closed(&self, key: SessionKey, ending: Ending<'_>) {
        let now = self.node.clock.now();
        for tap in &mut *self.taps.list.borrow_mut() {
            let Some(who) = tap.forget(key) else { continue };
            if let Some(why) = ending.why {
                let code = Some(Code::Error("unauthorized"));
                let line = Line { code, reason: Some(why), ..tap.line(now, "refused") };
                tap.feed.push(&line.of(Some(&who)));
            }
            let (code, reason) = (ending.code.map(Code::Close), Some(ending.reason));
            let line = Line { code, reason, ..tap.line(now, "closed") };
            tap.feed.push(&line.of(Some(&who)));
        }
    }

    /// A session has left for another shard, where [`trace_arrival`](Self::trace_arrival) takes it
    /// up again.
    pub(super) fn trace_departure(&self, key: SessionKey) {
        for tap in &mut *self.taps.list.borrow_mut() {
            tap.forget(key);
        }
    }

    /// A session has come from another shard: it is the one that was followed there.
    pub(super) fn trace_arrival(&self, connection: &Rc<Connection>, key: SessionKey) {
        let Some(who) = self.who(connection, key) else { return };
        for tap in &mut *self.taps.list.borrow_mut() {
            if tap.target.is(who.id, who.user.as_ref()) {
                tap.known.insert(key, who.clone());
            }
        }
    }
}

impl Tap {
    fn line<'a>(&self, now: Now, kind: &'static str) -> Line<'a> {
        Line::new(now.wall_ms, kind)
    }

    fn is_about(&self, head: &Head<'_>) -> bool {
        self.target.channel().is_some_and(|channel| head.is_about(channel))
    }

    /// Whether a session is meant as a whole. One that was not seen before has opened.
    fn follows(&mut self, at: u64, key: SessionKey, who: &Who) -> bool {
        if !self.target.is(who.id, who.user.as_ref()) {
            return false;
        }
        let known = self.known.insert(key, who.clone());
        if known.is_none() {
            self.feed.push(&Line::new(at, "opened").of(Some(who)));
        }
        true
    }

    fn forget(&mut self, key: SessionKey) -> Option<Who> {
        self.asked.retain(|(session, ..)| *session != key);
        self.known.remove(&key)
    }

    fn note_asked(&mut self, key: SessionKey, head: &Head<'_>) {
        let (Some(id), Some(kind)) = (head.id, &head.kind) else { return };
        if self.asked.len() >= ASKED {
            self.asked.pop_front();
        }
        // Whatever a client calls it: what is no command is refused as one.
        self.asked.push_back((key, id, kind.chars().take(40).collect::<String>().into()));
    }

    fn tell_delivery(&self, now: Now, who: Option<&Who>, delivery: &Delivery) {
        let text = std::str::from_utf8(&delivery.text).unwrap_or_default();
        let shown = frame::from_server(text, &Head::of(text));
        let line = Line { frame: shown.as_deref(), ..self.line(now, "out") };
        self.feed.push(&line.of(who));
    }

    fn tell_refusal(
        &self,
        now: Now,
        (to, who): (SessionKey, Option<&Who>),
        head: &Head<'_>,
        text: &str,
    ) {
        let Ok(refusal) = serde_json::from_str::<Refusal<'_>>(text) else { return };
        let mut asked = self.asked.iter().rev();
        let asked = asked.find(|(key, id, _)| *key == to && Some(*id) == head.id);
        let line = Line {
            code: Some(Code::Error(&refusal.code)),
            reason: Some(&refusal.message),
            command: asked.map(|(.., kind)| &**kind),
            id: head.id,
            channel: head.channel.as_deref(),
            ..self.line(now, "refused")
        };
        self.feed.push(&line.of(who));
    }
}
