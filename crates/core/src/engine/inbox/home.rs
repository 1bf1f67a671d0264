//! An inbox at its home. A step is taken when its event is assigned, and told when it is stored.

use serde_json::value::RawValue;
use smallvec::{SmallVec, smallvec};
use tidings_proto::{CursorView, ErrorCode, Frame, Hidden, MarkAs, Position, Secret, Timestamp};

use super::{Ask, Note, Producer, user_of};
use crate::channel::inbox::{Cursor, Inbox, Item, Marked, Notification, Query, Step};
use crate::channel::{Fold, Pending, Seen, UsedUp, Waiter};
use crate::engine::counters::CommandKind;
use crate::engine::home::Scene;
use crate::engine::types::{Address, Effect, Message};
use crate::push::{PushAnswer, PushDue, PushSubscription, PushText};
use crate::reject::Reject;
use crate::store::Scoped;

/// Items in one `expired`.
const EXPIRED: usize = 1000;

/// Who asked, and for what.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) from: Address,
    pub(super) id: u64,
    pub(super) kind: CommandKind,
}

impl Scene<'_> {
    pub(in crate::engine) fn inbox_ask(&mut self, from: Address, id: u64, ask: Ask) {
        let Some(kind) = ask.kind() else { return self.push_ask(from, ask) };
        let asked = Asked { from, id, kind };
        let outcome = match ask {
            Ask::Follow { user, on } => self.follow(asked, &user, on),
            Ask::Followers { after, limit } => self.followers(asked, after.as_deref(), limit),
            Ask::ReadUpto { inbox, home, offset, producer } => {
                self.read_upto(asked, (inbox, home), offset, producer);
                Ok(())
            }
            Ask::Count { inbox, home, cursor } => {
                self.count_unread(asked, (inbox, home), cursor);
                Ok(())
            }
            Ask::Unread { of, home } => self.tell_cursor(asked, of, home),
            ask => self.own_ask(asked, ask),
        };
        if let Err(reject) = outcome {
            self.out.refuse(kind, from, (id, &self.channel.name), &reject);
        }
    }

    /// What is asked of the inbox itself. Only those that have not expired are shown or counted.
    fn own_ask(&mut self, asked: Asked, ask: Ask) -> Result<(), Reject> {
        self.inbox()?;
        self.expire_items();
        match ask {
            Ask::Cursor { of, epoch, offset, producer } => {
                let cursor = Cursor { channel: (*of).into(), epoch, offset };
                self.move_cursor(asked, cursor, producer)
            }
            Ask::Cursors => self.list_cursors(asked),
            Ask::List(query) => self.list_items(asked, &query),
            Ask::Mark { how, which, producer } => self.mark(asked, how, which, producer),
            Ask::Notify(note) => self.notify(asked, *note),
            Ask::PushSubscribe(subscription) => self.push_subscribe(asked, subscription),
            Ask::PushUnsubscribe(endpoint) => self.push_unsubscribe(asked, &endpoint),
            _ => Ok(()),
        }
    }

    pub(super) fn inbox(&mut self) -> Result<&mut Inbox, Reject> {
        match &mut self.channel.fold {
            Fold::Inbox(inbox) => Ok(inbox),
            _ => Err(Reject::bad_request("the channel is no inbox")),
        }
    }

    /// What was asked for is as good as done when `event` is stored; `text` says so.
    pub(super) fn write(
        &mut self,
        asked: Asked,
        event: Result<bytes::Bytes, UsedUp>,
        (producer, key): (Producer, Option<Scoped>),
        text: bytes::Bytes,
    ) {
        let offset = self.channel.assigned + u64::from(event.is_ok());
        self.channel.dedup.assign(producer.as_ref(), key.as_ref());
        let waiters = smallvec![self.waiter(asked, false, text)];
        self.assign(offset, event, (producer, key), waiters);
    }

    fn assign(
        &mut self,
        offset: u64,
        event: Result<bytes::Bytes, UsedUp>,
        (producer, key): (Producer, Option<Scoped>),
        waiters: SmallVec<[Waiter; 1]>,
    ) {
        self.channel.assigned = offset;
        self.append_pending(Pending {
            offset,
            at_ms: self.steady_ms,
            event,
            producer,
            key,
            except: None,
            changed: None,
            amend: None,
            merge: None,
            waiters,
        });
    }

    fn waiter(&self, asked: Asked, duplicate: bool, text: bytes::Bytes) -> Waiter {
        let Asked { from: at, id, kind } = asked;
        Waiter { at, id, kind, duplicate, began_us: self.now.mono_us, answer: Some(text) }
    }

    /// Answers when everything that the answer shows is stored.
    pub(super) fn answer(&mut self, asked: Asked, text: bytes::Bytes) -> Result<(), Reject> {
        if self.channel.failing {
            return Err(Reject::unavailable());
        }
        let waiter = self.waiter(asked, false, text);
        match self.channel.pending.back_mut() {
            Some(newest) => newest.waiters.push(waiter),
            None => self.give_answer(&waiter),
        }
        Ok(())
    }

    /// Whether a command with this number is new; `Some`: what the same one waits for, or `None` in
    /// it if that is over.
    pub(super) fn check_number(&mut self, producer: &Producer) -> Result<Seen, Reject> {
        let Some((who, seq)) = producer else { return Ok(Seen::New) };
        let window = self.channel.namespace.policy.history.dedup_window.ms;
        let (steady_ms, max) = (self.steady_ms, self.limits.producers_per_channel);
        let dedup = &mut self.channel.dedup;
        let seen = dedup.producer(who, *seq, steady_ms, window);
        match seen {
            Seen::OutOfSequence { expected } => {
                let why = format!("sequence number {seq} does not follow {}", expected - 1);
                let reject = Reject::new(ErrorCode::OutOfSequence, why);
                return Err(Reject { expected: Some(expected), ..reject });
            }
            Seen::New if dedup.producers() >= max && !dedup.knows_producer(who) => {
                dedup.expire(steady_ms, window);
                if dedup.producers() >= max {
                    let what = "too many producers";
                    return Err(Reject::limit(what, "producers_per_channel", max));
                }
            }
            _ => {}
        }
        if seen == Seen::New && self.channel.failing {
            return Err(Reject::unavailable());
        }
        Ok(seen)
    }

    fn notify(&mut self, asked: Asked, note: Note) -> Result<(), Reject> {
        if self.known_notification(asked, note.key.as_ref())? {
            return Ok(());
        }
        let rules = self.channel.namespace.policy.inbox.clone();
        let (steady_ms, offset) = (self.steady_ms, self.channel.assigned + 1);
        let (timestamp, pushes) = (Timestamp(self.now.wall_ms), self.push.is_some());
        let inbox = self.inbox()?;
        let id = inbox.next_id(offset);
        let item = Item::new(
            &Notification {
                id,
                topic: &note.topic,
                subject: note.subject.as_deref(),
                data: &note.data,
                timestamp,
                user: note.from.as_deref(),
                expires_at: note.ttl_ms.map(|ttl| Timestamp(timestamp.0 + ttl)),
            },
            steady_ms,
        );
        if item.bytes() > rules.bytes {
            return Err(Reject::too_large("the notification", "inbox.bytes", rules.bytes));
        }
        let dropped = inbox.over(rules.items, rules.bytes, item.bytes());
        let json = item.json();
        inbox.apply(Step::Add(item, dropped.clone()));
        let (tally, is_due) = (inbox.tally(), pushes && !inbox.subscriptions().is_empty());
        let channel = self.channel.name.clone();
        let event = Frame::Notification {
            channel: &channel,
            offset,
            timestamp,
            item: raw(&json),
            unread: tally.unread,
            unseen: tally.unseen,
            dropped: &dropped,
        };
        let event = event.encode();
        if is_due {
            let user = user_of(&channel).into();
            let due = PushDue { user, id };
            self.out.effects.push(Effect::Push(due));
        }
        self.out.counters.notifications += 1;
        let text = Frame::Notified { id: asked.id, duplicate: false }.encode();
        self.write(asked, Ok(event), (None, note.key), text);
        Ok(())
    }

    /// Answers a notification that came before.
    fn known_notification(&mut self, asked: Asked, key: Option<&Scoped>) -> Result<bool, Reject> {
        let (steady_ms, max) = (self.steady_ms, self.limits.keys_per_channel);
        let window = self.channel.namespace.policy.history.dedup_window.ms;
        let dedup = &mut self.channel.dedup;
        let seen = key.map_or(Seen::New, |key| dedup.key(key, steady_ms, window));
        if seen == Seen::New {
            if key.is_some() && dedup.keys() >= max {
                dedup.expire(steady_ms, window);
                if dedup.keys() >= max {
                    return Err(Reject::limit("too many keys", "keys_per_channel", max));
                }
            }
            return if self.channel.failing { Err(Reject::unavailable()) } else { Ok(false) };
        }
        let text = Frame::Notified { id: asked.id, duplicate: true }.encode();
        let waiter = self.waiter(asked, true, text);
        let same = self.channel.pending.iter_mut().find(|pending| pending.key.as_ref() == key);
        match same {
            Some(pending) => pending.waiters.push(waiter),
            None => self.give_answer(&waiter),
        }
        Ok(true)
    }

    fn mark(
        &mut self,
        asked: Asked,
        how: MarkAs,
        which: Marked,
        producer: Producer,
    ) -> Result<(), Reject> {
        match self.check_number(&producer)? {
            Seen::New => {}
            Seen::Pending => {
                let text = self.marked(asked, true)?;
                self.wait_with(asked, &producer, text);
                return Ok(());
            }
            _ => {
                let text = self.marked(asked, true)?;
                return self.answer(asked, text);
            }
        }
        let (offset, timestamp) = (self.channel.assigned + 1, Timestamp(self.now.wall_ms));
        let inbox = self.inbox()?;
        let Some(which) = inbox.changing(how, which) else {
            let text = self.marked(asked, false)?;
            if producer.is_none() {
                return self.answer(asked, text);
            }
            self.write(asked, Err(UsedUp::Nothing), (producer, None), text);
            return Ok(());
        };
        inbox.apply(Step::Mark(how, which.clone()));
        let tally = inbox.tally();
        let (ids, upto) = match &which {
            Marked::Ids(ids) => (Some(ids.as_slice()), None),
            Marked::Upto(upto) => (None, Some(*upto)),
        };
        let event = Frame::Mark {
            channel: &self.channel.name,
            offset,
            timestamp,
            how,
            ids,
            upto,
            unread: tally.unread,
            unseen: tally.unseen,
        };
        let event = event.encode();
        let position = Position { epoch: self.channel.epoch, offset };
        let text = Frame::Marked {
            id: asked.id,
            position,
            unread: tally.unread,
            unseen: tally.unseen,
            duplicate: false,
        };
        let text = text.encode();
        self.write(asked, Ok(event), (producer, None), text);
        Ok(())
    }

    /// What a mark is told that changed nothing, now or any more.
    fn marked(&mut self, asked: Asked, duplicate: bool) -> Result<bytes::Bytes, Reject> {
        let tally = self.inbox()?.tally();
        let position = Position { epoch: self.channel.epoch, offset: self.channel.assigned };
        let (id, unread, unseen) = (asked.id, tally.unread, tally.unseen);
        Ok(Frame::Marked { id, position, unread, unseen, duplicate }.encode())
    }

    /// The same command is at the store.
    pub(super) fn wait_with(&mut self, asked: Asked, producer: &Producer, text: bytes::Bytes) {
        let waiter = self.waiter(asked, true, text);
        let mut pending = self.channel.pending.iter_mut();
        if let Some(same) = pending.find(|pending| pending.producer == *producer) {
            same.waiters.push(waiter);
        }
    }

    fn list_items(&mut self, asked: Asked, query: &Query) -> Result<(), Reject> {
        let (room, push) = (self.limits.page_bytes, self.push);
        let position = Position { epoch: self.channel.epoch, offset: self.channel.assigned };
        let inbox = self.inbox()?;
        let (listed, tally) = (inbox.list(query, room), inbox.tally());
        let list = raw(&listed.json);
        let frame = Frame::Inbox {
            id: asked.id,
            channel: &self.channel.name,
            position,
            items: (!query.group).then_some(list),
            groups: query.group.then_some(list),
            more: listed.more,
            unread: tally.unread,
            unseen: tally.unseen,
            push_key: push.map(|service| service.key()),
        };
        let text = frame.encode();
        self.answer(asked, text)
    }

    fn list_cursors(&mut self, asked: Asked) -> Result<(), Reject> {
        let cursors = self.inbox()?.cursors().iter();
        let cursors: Vec<_> = cursors
            .map(|cursor| CursorView {
                channel: &cursor.channel,
                epoch: cursor.epoch,
                offset: cursor.offset,
            })
            .collect();
        let text = Frame::Cursors { id: asked.id, cursors: &cursors }.encode();
        self.answer(asked, text)
    }

    /// Appends what has happened to items whose time is over.
    pub(in crate::engine) fn expire_items(&mut self) {
        if self.channel.failing {
            return;
        }
        let (keep_ms, steady_ms) = (self.channel.namespace.policy.inbox.keep.ms, self.steady_ms);
        while inbox_is_due(self, keep_ms) {
            let Ok(inbox) = self.inbox() else { return };
            let over = inbox.expired(steady_ms, keep_ms, EXPIRED);
            if over.is_empty() {
                return;
            }
            inbox.apply(Step::Expire(over.clone()));
            let tally = inbox.tally();
            let offset = self.channel.assigned + 1;
            let event = Frame::Expired {
                channel: &self.channel.name,
                offset,
                timestamp: Timestamp(self.now.wall_ms),
                ids: &over,
                unread: tally.unread,
                unseen: tally.unseen,
            };
            let event = event.encode();
            self.assign(offset, Ok(event), (None, None), SmallVec::new());
        }
    }

    fn push_subscribe(&mut self, asked: Asked, to: PushSubscription) -> Result<(), Reject> {
        let text = Frame::PushSubscribed { id: asked.id }.encode();
        let inbox = self.inbox()?;
        if inbox.subscriptions().contains(&to) {
            return self.answer(asked, text);
        }
        if self.channel.failing {
            return Err(Reject::unavailable());
        }
        let secret = Secret::PushSubscribe(&to.endpoint, &to.p256dh, &to.auth);
        let event = self.hidden(secret);
        self.inbox()?.apply(Step::Subscribe(to));
        self.write(asked, Ok(event), (None, None), text);
        Ok(())
    }

    fn push_unsubscribe(&mut self, asked: Asked, endpoint: &str) -> Result<(), Reject> {
        let text = Frame::PushUnsubscribed { id: asked.id }.encode();
        let mut known = self.inbox()?.subscriptions().iter();
        if !known.any(|known| &*known.endpoint == endpoint) {
            return self.answer(asked, text);
        }
        if self.channel.failing {
            return Err(Reject::unavailable());
        }
        let event = self.hidden(Secret::PushUnsubscribe(endpoint));
        self.inbox()?.apply(Step::Unsubscribe(endpoint.into()));
        self.write(asked, Ok(event), (None, None), text);
        Ok(())
    }

    /// An event that says nothing to subscribers.
    pub(super) fn hidden(&self, secret: Secret<'_>) -> bytes::Bytes {
        let (channel, offset) = (&*self.channel.name, self.channel.assigned + 1);
        Frame::Hidden(Hidden { channel, offset, secret: Some(secret) }).encode()
    }

    /// What whoever sends pushes wants to know, or says.
    fn push_ask(&mut self, from: Address, ask: Ask) {
        match ask {
            Ask::DropPush(endpoint) if !self.channel.failing => {
                let known = |inbox: &mut Inbox| {
                    inbox.subscriptions().iter().any(|known| known.endpoint == endpoint)
                };
                if self.inbox().is_ok_and(known) {
                    let event = self.hidden(Secret::PushUnsubscribe(&endpoint));
                    if let Ok(inbox) = self.inbox() {
                        inbox.apply(Step::Unsubscribe(endpoint));
                    }
                    let offset = self.channel.assigned + 1;
                    self.assign(offset, Ok(event), (None, None), SmallVec::new());
                }
            }
            Ask::Push { ticket, item } => {
                let answer = self.push_answer(item);
                self.out.post(from.shard, Message::Pushed { ticket, answer });
            }
            _ => {}
        }
    }

    fn push_answer(&mut self, id: u64) -> PushAnswer {
        let (steady_ms, wall_ms) = (self.steady_ms, self.now.wall_ms);
        let keep_ms = self.channel.namespace.policy.inbox.keep.ms;
        let somebody = !self.channel.shards.is_empty();
        let Ok(inbox) = self.inbox() else { return PushAnswer::Unwanted };
        let Some(item) = inbox.item(id).filter(|_| !inbox.subscriptions().is_empty()) else {
            return PushAnswer::Unwanted;
        };
        let end_ms = item.at_ms.saturating_add(keep_ms).min(item.expires_ms.unwrap_or(u64::MAX));
        if !item.flags.is_unread() || item.flags.seen || end_ms <= steady_ms {
            return PushAnswer::Unwanted;
        }
        if somebody {
            return PushAnswer::Present;
        }
        PushAnswer::Wanted(Box::new(PushText {
            item: item.json().into(),
            expires_ms: item.expires_ms.map(|end| wall_ms + end.saturating_sub(steady_ms)),
            unread: inbox.tally().unread,
            subscriptions: inbox.subscriptions().to_vec(),
        }))
    }
}

fn inbox_is_due(scene: &Scene<'_>, keep_ms: u64) -> bool {
    match &scene.channel.fold {
        Fold::Inbox(inbox) => inbox.next_due(keep_ms).is_some_and(|due| due <= scene.steady_ms),
        _ => false,
    }
}

/// JSON that was made here.
fn raw(json: &str) -> &RawValue {
    serde_json::from_str(json).unwrap_or(RawValue::NULL)
}
