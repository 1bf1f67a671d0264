//! Several providers of one document on one connection of Hocuspocus: each has an address of its
//! own (`doc:plan`, `doc:plan\0s-17`), which stands in front of whatever it is told.

use std::sync::Arc;

use bytes::Bytes;
use tidings_proto::yjs::hocuspocus::{Message, encode, readdress};
use tidings_proto::yjs::sync::Sync;

use super::wording::{Word, say};
use super::{Adrift, Ask, Dialect, Editing};
use crate::channel::aware::Told;
use crate::engine::Engine;
use crate::engine::types::{Delivery, Effect, Now, RequestBody, SessionKey, TopicKey};
use crate::limits::{ASK_AGAIN_MS, EDITORS_ASKED, EDITS_OWED};

/// A provider of a connection: a number that is not used again there. Editors that are alone on
/// their connection have the first one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeatId(u32);

/// What an editor's change is known by on its way: whose it is, and how many changes they take it
/// for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slip {
    pub(crate) seat: SeatId,
    pub(crate) edits: u64,
}

/// A provider.
#[derive(Debug)]
pub(super) struct Seat {
    id: SeatId,
    document: Arc<str>,
    address: Arc<str>,
    /// See [`Engine::owe`].
    owed: u64,
    /// Clients that it has told of, with their clocks: the newest.
    told: Vec<(u64, u32)>,
}

impl From<Slip> for u64 {
    fn from(slip: Slip) -> Self {
        // invariant: no seat is owed more than `EDITS_OWED`, and the question counts as one.
        (Self::from(slip.seat.0) << 32) | slip.edits
    }
}

impl From<u64> for Slip {
    fn from(id: u64) -> Self {
        // The upper half fits.
        let seat = SeatId(u32::try_from(id >> 32).unwrap_or(u32::MAX));
        Self { seat, edits: id & u64::from(u32::MAX) }
    }
}

impl SeatId {
    /// As which it asks what it lacks.
    pub(super) fn question(self) -> u64 {
        u64::from(self.0)
    }

    /// Who has asked.
    pub(super) fn of_question(id: u64) -> Self {
        Self(u32::try_from(id).unwrap_or(u32::MAX))
    }
}

impl Editing {
    /// The provider with this address.
    pub(super) fn seat(&self, address: &str) -> Option<SeatId> {
        self.seats.iter().find(|seat| *seat.address == *address).map(|seat| seat.id)
    }

    /// The providers of a document.
    fn seats_of(&self, document: &str) -> impl Iterator<Item = &Seat> {
        self.seats.iter().filter(move |seat| *seat.document == *document)
    }

    /// A provider that was not there before; `None`: there are `max` of them.
    pub(super) fn take_seat(
        &mut self,
        document: &Arc<str>,
        address: &str,
        max: usize,
    ) -> Option<SeatId> {
        if self.seats.len() >= max {
            return None;
        }
        self.seats_taken = self.seats_taken.wrapping_add(1);
        let id = SeatId(self.seats_taken);
        let (document, address) = (document.clone(), address.into());
        self.seats.push(Seat { id, document, address, owed: 0, told: Vec::new() });
        Some(id)
    }

    /// Whether what is made for all editors does not suit this one: it has a provider with an
    /// address of its own.
    fn sits_apart(&self, document: &str) -> bool {
        self.seats_of(document).any(|seat| *seat.address != *document)
    }

    pub(super) fn leave_document(&mut self, document: &str) {
        self.seats.retain(|seat| *seat.document != *document);
    }
}

impl Engine {
    /// Tells all providers of a document on this connection.
    pub(super) fn hocuspocus(&mut self, key: SessionKey, document: &str, word: Message<'_>) {
        for (_, address) in self.seats_of(key, document) {
            self.hocuspocus_at(key, &address, word);
        }
    }

    /// Tells one of them, if it is still there.
    pub(super) fn hocuspocus_to(&mut self, key: SessionKey, seat: SeatId, word: Message<'_>) {
        if let Some(address) = self.address_of(key, seat) {
            self.hocuspocus_at(key, &address, word);
        }
    }

    /// Tells whoever has this address.
    pub(super) fn hocuspocus_at(&mut self, key: SessionKey, address: &str, word: Message<'_>) {
        let message = encode(address, word).into();
        self.out.effects.push(Effect::SendBinary { session: key, message });
    }

    pub(super) fn seats_of(&self, key: SessionKey, document: &str) -> Vec<(SeatId, Arc<str>)> {
        let session = self.sessions.get(key.slot as usize).filter(|s| s.serial == key.serial);
        let editing = session.and_then(|session| session.editing.as_ref());
        let seats = editing.into_iter().flat_map(|editing| editing.seats_of(document));
        seats.map(|seat| (seat.id, seat.address.clone())).collect()
    }

    pub(super) fn address_of(&mut self, key: SessionKey, seat: SeatId) -> Option<Arc<str>> {
        self.seat(key, seat).map(|seat| seat.address.clone())
    }

    fn seat(&mut self, key: SessionKey, seat: SeatId) -> Option<&mut Seat> {
        let editing = self.session(key)?.editing.as_mut()?;
        editing.seats.iter_mut().find(|it| it.id == seat)
    }

    /// How many of its changes a provider takes for unsaved that are said to be saved when it has
    /// sent all it has: its question counts as one, each refused change as another. At most
    /// [`EDITS_OWED`]: beyond that it takes them for unsaved until it comes back.
    pub(super) fn owe(&mut self, key: SessionKey, seat: SeatId, owe: impl FnOnce(u64) -> u64) {
        if let Some(seat) = self.seat(key, seat) {
            seat.owed = owe(seat.owed).min(EDITS_OWED);
        }
    }

    /// Sends a message about a document that was made for all editors.
    pub(super) fn send_made(&mut self, key: SessionKey, document: &str, message: &Bytes) {
        if self.dialect(key) != Dialect::Hocuspocus {
            let message = message.clone();
            return self.out.effects.push(Effect::SendBinary { session: key, message });
        }
        for (_, address) in self.seats_of(key, document) {
            self.send_readdressed(key, document, &address, message);
        }
    }

    fn send_readdressed(&mut self, key: SessionKey, document: &str, to: &str, message: &Bytes) {
        let message = match readdress(message, to) {
            Some(message) if *to != *document => message.into(),
            _ => message.clone(),
        };
        self.out.effects.push(Effect::SendBinary { session: key, message });
    }

    /// Whether a subscriber is told by [`tell_apart`](Self::tell_apart), and not by what is sent to
    /// all.
    pub(in crate::engine) fn sits_apart(&self, key: SessionKey, topic: TopicKey) -> bool {
        let session = self.sessions.get(key.slot as usize).filter(|s| s.serial == key.serial);
        let editing = session.and_then(|session| session.editing.as_ref());
        editing.is_some_and(|editing| editing.sits_apart(self.topics.channel(topic)))
    }

    /// A provider has come to a document that may be open. Once apart its session stays so, until
    /// the document is closed: what is on its way was meant for who it was then.
    pub(super) fn note_apart(&mut self, key: SessionKey, document: &str) {
        let Some(topic) = self.topics.find(document) else { return };
        let apart = self.sits_apart(key, topic);
        let place = self.session(key).and_then(|it| it.subscription(topic)?.stage.place());
        if let Some(place) = place.filter(|_| apart) {
            self.topics.set_apart(topic, place);
        }
    }

    /// Tells those who sit apart what all others are told by one message.
    pub(in crate::engine) fn tell_apart(&mut self, topic: TopicKey, batch: &[Delivery]) {
        if batch.iter().all(|delivery| delivery.raw.is_none()) {
            return;
        }
        let subscribers = self.topics.subscribers(topic).iter().filter(|it| it.apart);
        let subscribers: Vec<_> = subscribers.copied().collect();
        let document = self.topics.channel(topic).clone();
        for subscriber in subscribers {
            let Some(session) = self.sessions.get(subscriber.slot as usize) else { continue };
            let key = SessionKey { slot: subscriber.slot, serial: session.serial };
            for (seat, address) in self.seats_of(key, &document) {
                for delivery in batch {
                    let own = delivery
                        .except
                        .is_some_and(|from| from.shard == self.config.shard && from.session == key);
                    let own = own && delivery.seat == seat;
                    let hears = subscriber.presence || !delivery.presence;
                    let Some(raw) = &delivery.raw else { continue };
                    if hears && !own {
                        self.send_readdressed(key, &document, &address, &raw.hocuspocus);
                    }
                }
            }
        }
    }

    /// An editor has changes that depend on others, which have not come: whoever wrote them has
    /// those. Not for each of them: the answer has them all.
    pub(in crate::engine) fn ask_for_all(&mut self, now: Now, adrift: &Adrift) {
        let Adrift { to, seat, channel, vector } = adrift;
        self.desks.asked.retain(|_, at_ms| now.mono_ms < *at_ms + ASK_AGAIN_MS);
        let asked = &mut self.desks.asked;
        if asked.contains_key(&(*to, *seat)) || asked.len() >= EDITORS_ASKED {
            return;
        }
        if !self.is_paper_open(*to, channel) {
            return;
        }
        self.desks.asked.insert((*to, *seat), now.mono_ms);
        if self.dialect(*to) == Dialect::Hocuspocus {
            let question = Message::Sync(Sync::Step1(vector));
            return self.hocuspocus_to(*to, *seat, question);
        }
        let message = say(Dialect::Yjs, channel, Word::Sync(Sync::Step1(vector)));
        self.out.effects.push(Effect::SendBinary { session: *to, message });
    }

    /// A provider says something of clients: if it goes and its connection does not, they go too.
    pub(super) fn note_clients(&mut self, key: SessionKey, seat: SeatId, news: &[Told]) {
        let max = self.config.limits.awareness_clients;
        let Some(seat) = self.seat(key, seat) else { return };
        for Told { client, clock, state } in news {
            seat.told.retain(|(other, _)| other != client);
            if state.is_some() {
                seat.told.push((*client, *clock));
            }
        }
        let over = seat.told.len().saturating_sub(max);
        seat.told.drain(..over);
    }

    /// A provider has its document open no more; the document stays open if it has another one.
    pub(super) fn leave_seat(&mut self, key: SessionKey, document: &Arc<str>, seat: SeatId) {
        let Some(user) = self.user_of(key) else {
            return self.forget_seat(key, document, seat);
        };
        let told = self.seat(key, seat).map(|seat| std::mem::take(&mut seat.told));
        self.forget_seat(key, document, seat);
        let told = told.unwrap_or_default();
        if !told.is_empty() && self.is_paper_open(key, document) {
            let gone = |(client, clock)| Told { client, clock, state: None };
            let told = told.into_iter().map(gone).collect();
            let ask = Ask::Aware { user, told, editor: true };
            self.send_home(key, 0, document.clone(), RequestBody::Document(Box::new(ask)));
        }
    }

    fn forget_seat(&mut self, key: SessionKey, document: &Arc<str>, seat: SeatId) {
        let Some(session) = self.session(key) else { return };
        let Some(editing) = &mut session.editing else { return };
        editing.seats.retain(|it| it.id != seat);
        if editing.seats_of(document).next().is_none() {
            self.forget_document(key, document);
        }
    }
}
