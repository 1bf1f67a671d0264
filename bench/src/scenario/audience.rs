//! Subscribers in rooms, and publishers: what `fanout` and `rooms` are made of.

use std::collections::VecDeque;

use hdrhistogram::Histogram;

use super::broadcast::Plan;
use super::{Watched, run_id};
use crate::frame;
use crate::order::{Faults, Order};
use crate::report::histogram;
use crate::swarm::{Behaviour, Peer, Swarm};
use crate::token::Tokens;
use crate::wire::{self, Event, Message, Reader};

/// Who is being talked to.
#[derive(Clone, Debug)]
pub(crate) enum Dialect {
    Tidings { namespace: String, tokens: Tokens },
    Floor,
}

/// The events that not all of their room have.
#[derive(Debug, Default)]
struct Flight {
    /// The number of the first in `missing`.
    first: u64,
    /// How many deliveries each lacks.
    missing: VecDeque<usize>,
    open: usize,
}

impl Flight {
    fn take_off(&mut self, deliveries: usize) {
        self.missing.push_back(deliveries);
        self.open += 1;
    }

    fn deliver(&mut self, number: u64) {
        self.settle(number, |missing| missing.saturating_sub(1));
    }

    fn cancel(&mut self, number: u64) {
        self.settle(number, |_| 0);
    }

    fn settle(&mut self, number: u64, change: impl Fn(usize) -> usize) {
        let Some(index) = number.checked_sub(self.first) else { return };
        let Some(missing) = self.missing.get_mut(index as usize) else { return };
        let before = *missing;
        *missing = change(before);
        if before > 0 && *missing == 0 {
            self.open -= 1;
            while self.missing.front() == Some(&0) {
                self.missing.pop_front();
                self.first += 1;
            }
        }
    }
}

#[derive(Debug)]
struct Room {
    channel: String,
    /// Events that the server took or will take.
    published: u64,
}

/// Everybody of a run. Connections `0..rooms*members` are subscribers, room by room; the rest, if
/// there are any, only publish.
#[derive(Debug)]
pub(crate) struct Audience {
    plan: Plan,
    dialect: Dialect,
    reader: Reader,
    rooms: Vec<Room>,
    orders: Vec<Option<Order>>,
    flight: Flight,
    ready: usize,
    next_number: u64,
    out: String,
    broken: Option<String>,
    refused: u64,
    /// Payload bytes of the events received, framed.
    pub(crate) bytes: u64,
    pub(crate) deliveries: u64,
    /// Reads that brought events: fewer than deliveries when the server joined some.
    pub(crate) reads: u64,
    last_read_ns: u64,
    pub(crate) latency: Histogram<u64>,
    /// Events that were published before are not timed.
    pub(crate) timed_from_ns: u64,
}

impl Audience {
    pub(crate) fn new(plan: Plan, dialect: Dialect) -> Self {
        let namespace = match &dialect {
            Dialect::Tidings { namespace, .. } => namespace.as_str(),
            Dialect::Floor => "bench",
        };
        let run = run_id();
        let room = |room| Room { channel: format!("{namespace}:{run}-{room}"), published: 0 };
        let rooms = (0..plan.rooms).map(room).collect();
        Self {
            reader: Reader::new(),
            rooms,
            orders: vec![None; plan.rooms * plan.members],
            flight: Flight::default(),
            ready: 0,
            next_number: 0,
            out: String::new(),
            broken: None,
            refused: 0,
            bytes: 0,
            deliveries: 0,
            reads: 0,
            last_read_ns: 0,
            latency: histogram(),
            timed_from_ns: u64::MAX,
            plan,
            dialect,
        }
    }

    /// How many connections it wants.
    pub(crate) fn size(&self) -> usize {
        self.orders.len() + self.plan.publishers
    }

    /// Whether all are connected and subscribed.
    pub(crate) fn complete(&self) -> bool {
        self.ready == self.size()
    }

    /// Events that have not reached everybody.
    pub(crate) fn in_flight(&self) -> usize {
        self.flight.open
    }

    /// Events so far.
    pub(crate) fn published(&self) -> u64 {
        self.next_number
    }

    /// Publishes the next event.
    pub(crate) fn publish(&mut self, swarm: &mut Swarm) {
        let number = self.next_number;
        self.next_number += 1;
        let index = (number % self.rooms.len() as u64) as usize;
        let publisher = self.publisher(number, index);
        let room = &mut self.rooms[index];
        room.published += 1;
        self.flight.take_off(self.plan.members);
        let at_ns = swarm.now_ns();
        match self.dialect {
            Dialect::Tidings { .. } => {
                wire::publish(&mut self.out, &room.channel, number, at_ns, self.plan.pad);
            }
            Dialect::Floor => {
                let event = Event { offset: room.published, at_ns, number };
                let pad = self.plan.pad;
                wire::floor_publish(&mut self.out, index, event, &room.channel, pad);
            }
        }
        swarm.peer(publisher).send(&self.out);
    }

    /// The connection that publishes an event: the room's members by turns, or one of those that
    /// do nothing else.
    fn publisher(&self, number: u64, room: usize) -> usize {
        let Plan { rooms, members, publishers, .. } = self.plan;
        if publishers == 0 {
            let turn = number / rooms as u64;
            return room * members + (turn % members as u64) as usize;
        }
        self.orders.len() + room % publishers
    }

    /// The size of a typical frame of the floor, to make it as long as one of the server.
    pub(crate) fn floor_frame_bytes(&self) -> f64 {
        let number = 1000;
        let offset = number / self.rooms.len() as u64 + 1;
        let event = Event { offset, at_ns: 5_000_000_000, number };
        let mut text = String::new();
        wire::floor_event(&mut text, event, &self.rooms[0].channel, self.plan.pad);
        frame::framed(text.len()) as f64
    }

    /// Lost, duplicated and out of order, over all subscribers.
    pub(crate) fn faults(&self) -> Faults {
        let mut all = Faults::default();
        for (index, order) in self.orders.iter().enumerate() {
            let end = self.rooms[index / self.plan.members].published;
            all.add(order.as_ref().map_or(Faults::default(), |order| order.finish(end)));
        }
        all
    }

    /// Publishes that were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    fn room_of(&self, number: u64) -> usize {
        (number % self.rooms.len() as u64) as usize
    }

    fn message(&mut self, index: usize, message: Message) {
        match message {
            Message::Welcome if index >= self.orders.len() => self.ready += 1,
            Message::Subscribed { offset, .. } => {
                self.orders[index] = Some(Order::starting_at(offset));
                self.ready += 1;
            }
            Message::Refused { id: Some(id), .. } if id >= wire::PUBLISH => {
                let number = id - wire::PUBLISH;
                let room = self.room_of(number);
                self.rooms[room].published -= 1;
                self.flight.cancel(number);
                self.refused += 1;
            }
            Message::Refused { reason, .. } | Message::Broken(reason) => {
                self.broken.get_or_insert(reason);
            }
            Message::Event(_) | Message::Other => {}
            Message::Welcome | Message::Published { .. } => {}
        }
    }
}

impl Behaviour for Audience {
    fn opened(&mut self, index: usize, peer: &mut Peer) {
        let subscriber = index < self.orders.len();
        match &self.dialect {
            Dialect::Tidings { tokens, .. } => {
                wire::hello(&mut self.out, tokens.of(index).as_deref());
                if subscriber {
                    let mut subscribe = String::new();
                    let room = &self.rooms[index / self.plan.members];
                    wire::subscribe(&mut subscribe, &room.channel, None);
                    peer.send_both(&self.out, &subscribe);
                } else {
                    peer.send(&self.out);
                }
            }
            Dialect::Floor if subscriber => {
                wire::floor_join(&mut self.out, index / self.plan.members);
                peer.send(&self.out);
            }
            Dialect::Floor => self.ready += 1,
        }
    }

    fn received(&mut self, index: usize, _: &mut Peer, payload: &[u8], now_ns: u64) {
        let event = match self.reader.read(payload) {
            Message::Event(event) => event,
            message => return self.message(index, message),
        };
        let Some(Some(order)) = self.orders.get_mut(index) else { return };
        order.see(event.offset);
        self.flight.deliver(event.number);
        self.deliveries += 1;
        if now_ns != self.last_read_ns {
            self.last_read_ns = now_ns;
            self.reads += 1;
        }
        self.bytes += frame::framed(payload.len()) as u64;
        if event.at_ns >= self.timed_from_ns {
            self.latency.saturating_record(now_ns.saturating_sub(event.at_ns));
        }
    }

    fn closed(&mut self, _: usize, why: &str) {
        self.broken.get_or_insert(why.to_owned());
    }
}

impl Watched for Audience {
    fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    fn progress(&self) -> u64 {
        self.ready as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_in_flight_until_all_have_it() {
        let mut flight = Flight::default();
        flight.take_off(2);
        flight.take_off(1);
        flight.deliver(1);
        assert_eq!((flight.open, flight.missing.len()), (1, 2));
        flight.deliver(0);
        flight.deliver(0);
        assert_eq!((flight.open, flight.missing.len(), flight.first), (0, 0, 2));
        // A duplicate changes nothing.
        flight.deliver(0);
        flight.take_off(3);
        flight.deliver(1);
        assert_eq!(flight.open, 1);
        flight.cancel(2);
        assert_eq!(flight.open, 0);
    }
}
