//! Who keeps up with live data that conflates, and how much a link takes.
//!
//! What has been written has not arrived: below a socket there is room for many seconds of a slow
//! link, and values in there grow old. So a WebSocket Ping goes between what such a subscriber is
//! sent, and its Pong says when all in front of it has been read. Over HTTP nothing comes back;
//! there only the queue is looked at.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use tidings_core::engine::SessionKey;
use tidings_websocket::{Head, MAX_HEAD, Opcode, encode};

use super::Shard;
use super::connection::Connection;
use super::wire::Wire;

/// A subscriber has fallen behind when what it was sent has not arrived after this, beside the time
/// that its link takes for a single byte.
const LATE_US: u64 = 250_000;

/// Looked at this often, or after half of what may be under way.
const LOOK_US: u64 = 200_000;

/// What may be under way while nothing is known of the link: a fifth of a second of a bad one.
const LEAST_UNDER_WAY: usize = 1 << 10;

/// What may wait for a connection that is spoken in HTTP requests.
const HTTP_QUEUE: usize = 32 << 10;

/// What a link is given at once, when [`BUDGET_MS`]' worth is not within these.
const LEAST_BUDGET: usize = 1 << 9;
const MOST_BUDGET: usize = 64 << 10;

/// What is given at once takes a slow link so long, and twice that can be under way. A value is as
/// old as a round through all keys and this.
const BUDGET_MS: u64 = 150;

/// A Ping stands in the middle of what is given at once. What follows it keeps the link busy while
/// the Pong comes back, and for so many microseconds more: who reads now and then is not seen at
/// once.
const SPARE_US: u64 = 50_000;

/// What is known of a connection's link.
#[derive(Debug)]
pub(crate) struct Pace {
    /// The number of the last Ping.
    last: u64,
    /// Pings without a Pong: number, when, and the bytes in front of it since the one before.
    under_way: VecDeque<(u64, u64, usize)>,
    /// Bytes behind the last Ping.
    behind: usize,
    /// When the last Ping went out.
    looked_us: u64,
    /// The engine wants to know when this Ping is answered; over HTTP, when all is written.
    wanted: Option<u64>,
    /// The shortest time that a Ping took.
    shortest_us: u64,
    /// Bytes a second.
    rate: u64,
    /// Bytes in front of the Ping that was answered last.
    arrived: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            last: 0,
            under_way: VecDeque::new(),
            behind: 0,
            looked_us: 0,
            wanted: None,
            shortest_us: u64::MAX,
            rate: 0,
            arrived: 0,
        }
    }
}

impl Pace {
    /// Whether the engine waits for the answer to a Ping that is older than this. Whoever reads
    /// nothing, or answers no Ping, would be told nothing for ever.
    pub(crate) fn waits_since(&self, before_us: u64) -> bool {
        let oldest = self.under_way.front().map(|(_, at_us, _)| *at_us);
        self.wanted.is_some() && oldest.is_some_and(|at_us| at_us < before_us)
    }

    /// So much more is sent.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.behind += bytes;
    }

    fn shortest(&self) -> u64 {
        if self.shortest_us == u64::MAX { 0 } else { self.shortest_us }
    }

    /// How much may be under way.
    fn most_under_way(&self) -> usize {
        let takes = self.rate.saturating_mul(LATE_US + self.shortest()) / 1_000_000;
        usize::try_from(takes).unwrap_or(usize::MAX).max(LEAST_UNDER_WAY)
    }

    fn is_late(&self, now_us: u64) -> bool {
        let bytes: usize = self.under_way.iter().map(|(_, _, bytes)| bytes).sum();
        let oldest = self.under_way.front().map_or(now_us, |(_, at_us, _)| *at_us);
        now_us.saturating_sub(oldest) > LATE_US + self.shortest()
            || bytes + self.behind > self.most_under_way()
    }

    fn wants_look(&self, now_us: u64) -> bool {
        let long = now_us.saturating_sub(self.looked_us) >= LOOK_US;
        self.under_way.is_empty()
            && self.behind > 0
            && (long || self.behind >= self.most_under_way() / 2)
    }

    /// A Ping goes out: its number.
    fn look(&mut self, now_us: u64) -> u64 {
        self.last += 1;
        self.looked_us = now_us;
        self.under_way.push_back((self.last, now_us, std::mem::take(&mut self.behind)));
        self.last
    }

    /// A message around a Ping that is `wanted`.
    fn probing(&mut self, text: &[u8], now_us: u64) -> Bytes {
        let (front, behind) = text.split_at(text.len() - self.behind_ping(text.len()));
        let mut out = Vec::with_capacity(text.len() + 3 * MAX_HEAD);
        let mut rest = Head::new(Opcode::Text);
        if !front.is_empty() {
            encode::put_frame(&mut out, Head { fin: false, ..rest }, front);
            rest = Head::new(Opcode::Continuation);
        }
        self.sent(out.len());
        let number = self.look(now_us);
        self.wanted = Some(number);
        put_look(&mut out, number);
        let in_front = out.len();
        encode::put_frame(&mut out, rest, behind);
        self.sent(out.len() - in_front);
        out.into()
    }

    /// A Ping was answered. `Some`: the engine waits for it; whether it came quickly.
    fn answered(&mut self, number: u64, now_us: u64) -> Option<bool> {
        let (mut bytes, mut began_us) = (0, None);
        while let Some((first, at_us, more)) = self.under_way.front().copied()
            && first <= number
        {
            self.under_way.pop_front();
            bytes += more;
            began_us = Some(began_us.unwrap_or(at_us));
        }
        let took_us = now_us.saturating_sub(began_us?);
        self.shortest_us = self.shortest_us.min(took_us);
        let beyond_us = took_us - self.shortest_us;
        if bytes >= LEAST_BUDGET / 2 {
            let rate = (bytes as u64).saturating_mul(1_000_000) / took_us.max(1);
            self.rate = match self.rate {
                // On a free link no time passes beyond that of a byte: it may take more.
                _ if beyond_us <= LATE_US / 8 => rate.max(self.rate).saturating_mul(2),
                0 => rate,
                // Who reads in gulps seems to be quick, and slow, and quick again: what comes of
                // that are frames of all sizes, and the longest ones are what values wait for.
                before => (before * 3 + rate) / 4,
            };
            self.rate = self.rate.min(1 << 30);
            self.arrived = bytes;
        }
        let is_wanted = self.wanted.is_some_and(|wanted| wanted <= number);
        is_wanted.then(|| {
            self.wanted = None;
            beyond_us <= LATE_US
        })
    }

    /// How many of so many bytes go behind the Ping that asks for the next ones: more would only be
    /// older when it arrives, with less the link would have nothing to do.
    fn behind_ping(&self, bytes: usize) -> usize {
        let takes = self.rate.saturating_mul(self.shortest() + SPARE_US) / 1_000_000;
        usize::try_from(takes).unwrap_or(usize::MAX).clamp(bytes / 4, bytes)
    }

    /// What the link takes in [`BUDGET_MS`], and no more than twice what it took last: how much it
    /// can take is found out step by step, or a step too far would take seconds.
    fn budget(&self) -> usize {
        let takes = usize::try_from(self.rate / 1000 * BUDGET_MS).unwrap_or(MOST_BUDGET);
        takes.min(self.arrived * 2).clamp(LEAST_BUDGET, MOST_BUDGET)
    }
}

/// A Ping with a number, in as few bytes as it has: on a thin line each is one less of values.
fn put_look(out: &mut Vec<u8>, number: u64) {
    let bytes = number.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    // invariant: eight bytes fit into a Ping.
    let _ = encode::put_ping(out, &bytes[zeros..], None);
}

/// The number in a Pong; `None`: it answers another Ping, or none.
fn look_number(payload: &[u8]) -> Option<u64> {
    let is_number = (1..=8).contains(&payload.len());
    is_number.then(|| payload.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

impl Shard {
    /// The engine wants to know when all that was sent has arrived.
    pub(super) fn probe(&self, connection: &Rc<Connection>) {
        let number = self.send_look(connection);
        let mut pace = connection.pace.borrow_mut();
        pace.get_or_insert_default().wanted = Some(number);
        drop(pace);
        self.touch(connection);
    }

    /// The engine sends this, and wants to know when so much of it has arrived that the next one
    /// may go: the Ping stands between two fragments of the message (RFC 6455 section 5.4).
    pub(super) fn send_probing(&self, connection: &Rc<Connection>, text: &[u8]) {
        if connection.wire != Wire::WebSocket {
            self.probe(connection);
            connection.push(self.frame(connection, text));
            return self.touch(connection);
        }
        let now_us = self.node.clock.mono_us();
        let message = {
            let mut pace = connection.pace.borrow_mut();
            pace.get_or_insert_default().probing(text, now_us)
        };
        // It is counted already, what is in front of the Ping and what is behind it.
        connection.queue.borrow_mut().push(message);
        self.touch(connection);
    }

    /// Sends a Ping that asks whether all in front of it has arrived; its number.
    fn send_look(&self, connection: &Rc<Connection>) -> u64 {
        if connection.wire.is_http() {
            return 0;
        }
        let now_us = self.node.clock.mono_us();
        let number = connection.pace.borrow_mut().get_or_insert_default().look(now_us);
        let mut frame = Vec::with_capacity(10);
        put_look(&mut frame, number);
        connection.push(frame.into());
        number
    }

    /// A subscriber was sent changes of live data that conflates. Who does not keep up is noted.
    pub(super) fn watch_pace(&self, connection: &Rc<Connection>, key: SessionKey) {
        let waiting = connection.queue.borrow().bytes();
        if connection.wire.is_http() {
            if waiting > HTTP_QUEUE {
                self.lagging.borrow_mut().push(key);
            }
            return;
        }
        let now_us = self.node.clock.mono_us();
        let mut pace = connection.pace.borrow_mut();
        let pace = pace.get_or_insert_default();
        if pace.is_late(now_us) || waiting > MOST_BUDGET {
            self.lagging.borrow_mut().push(key);
        } else if pace.wants_look(now_us) {
            self.looks.borrow_mut().push(connection.clone());
        }
    }

    /// What was noted while a batch went out.
    pub(super) fn settle_paces(&self) {
        for connection in self.looks.take() {
            self.send_look(&connection);
            self.touch(&connection);
        }
        let lagging = self.lagging.take();
        if lagging.is_empty() {
            return;
        }
        for key in lagging {
            self.engine.borrow_mut().lag(key);
        }
        self.carry_out();
    }

    /// A Pong came.
    pub(super) fn ponged(&self, connection: &Rc<Connection>, payload: &[u8]) {
        let Some(number) = look_number(payload) else { return };
        let now_us = self.node.clock.mono_us();
        let answered = {
            let mut pace = connection.pace.borrow_mut();
            let Some(pace) = pace.as_mut() else { return };
            pace.answered(number, now_us).map(|quick| (quick, pace.budget()))
        };
        if let Some((quick, budget)) = answered {
            self.arrived(connection, budget, quick);
        }
    }

    /// All has been written: over HTTP that has to do.
    pub(super) fn flushed_http(&self, connection: &Rc<Connection>) {
        let wanted = match connection.pace.borrow_mut().as_mut() {
            Some(pace) if connection.wire.is_http() => pace.wanted.take(),
            _ => None,
        };
        if wanted.is_some() {
            self.arrived(connection, MOST_BUDGET, true);
        }
    }

    fn arrived(&self, connection: &Connection, budget: usize, quick: bool) {
        let Some(key) = connection.session.get() else { return };
        self.engine.borrow_mut().received(self.node.clock.now(), key, budget, quick);
        self.carry_out();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link with a delay each way and a rate: what was sent, and when the Pong comes.
    fn answer(
        pace: &mut Pace,
        at_us: &mut u64,
        bytes: usize,
        delay_us: u64,
        rate: u64,
    ) -> Option<bool> {
        pace.sent(bytes);
        let number = pace.look(*at_us);
        pace.wanted = Some(number);
        *at_us += delay_us + bytes as u64 * 1_000_000 / rate;
        pace.answered(number, *at_us)
    }

    #[test]
    fn a_slow_link_is_never_given_more_than_a_second_s_worth() {
        let (mut pace, mut at_us) = (Pace::default(), 0);
        answer(&mut pace, &mut at_us, 4, 20_000, 5000);
        for _ in 0..10 {
            let bytes = pace.budget();
            assert!(bytes <= 2500, "{pace:?}");
            answer(&mut pace, &mut at_us, bytes, 20_000, 5000);
        }
        assert!((512..=900).contains(&pace.budget()), "{pace:?}");
        assert_eq!(answer(&mut pace, &mut at_us, 2500, 20_000, 5000), Some(false));
    }

    #[test]
    fn a_link_that_is_only_long_is_not_slow() {
        let (mut pace, mut at_us) = (Pace::default(), 0);
        answer(&mut pace, &mut at_us, 4, 600_000, 10_000_000);
        for _ in 0..20 {
            let bytes = pace.budget();
            let quick = answer(&mut pace, &mut at_us, bytes, 600_000, 10_000_000);
            assert_eq!(quick, Some(true));
        }
        assert_eq!(pace.budget(), MOST_BUDGET, "{pace:?}");
    }

    #[test]
    fn the_ping_stands_where_the_rest_keeps_the_link_busy_until_its_answer_is_back() {
        let (mut pace, mut at_us) = (Pace::default(), 0);
        answer(&mut pace, &mut at_us, 4, 20_000, 5000);
        for _ in 0..5 {
            answer(&mut pace, &mut at_us, 600, 20_000, 5000);
        }
        let text = vec![b'x'; 600];
        let message = pace.probing(&text, at_us);
        let (number, behind) = (pace.last, pace.behind);
        assert_eq!(
            (pace.wanted, message[0], message[1]),
            (Some(number), 0x01, 126),
            "to be continued"
        );
        let ping = message.len() - behind - 3;
        assert_eq!(message[ping..ping + 3], [0x89, 1, number as u8]);
        assert_eq!(message[ping + 3] & 0x8f, 0x80, "the end of the message");
        assert!((250..400).contains(&behind), "{behind}");
        assert_eq!(look_number(&[number as u8]), Some(number));
        assert_eq!((look_number(b""), look_number(&[0; 9])), (None, None), "others' Pongs");
        // A link of which nothing is known has the Ping in front of all, as long as it may be.
        let mut pace = Pace { rate: 1 << 30, ..Pace::default() };
        assert_eq!(pace.probing(&text, 0)[..3], [0x89, 1, 1]);
    }

    #[test]
    fn who_has_too_much_under_way_or_for_too_long_is_late() {
        let mut pace = Pace::default();
        pace.sent(LEAST_UNDER_WAY);
        assert!(!pace.is_late(0) && pace.wants_look(0));
        pace.look(0);
        assert!(!pace.is_late(LATE_US) && pace.is_late(LATE_US + 1));
        assert!(!pace.wants_look(LOOK_US), "one is under way");
        pace.sent(1);
        assert!(pace.is_late(0));
        assert!(!pace.waits_since(LATE_US), "nobody wants to know");
        pace.wanted = Some(1);
        assert!(pace.waits_since(LATE_US) && !pace.waits_since(0));
        pace.answered(1, 1000);
        assert!(!pace.is_late(LATE_US + 1));
        assert_eq!(pace.answered(1, 1000), None, "nobody asked");
        assert_eq!(pace.answered(77, 1000), None);
    }
}
