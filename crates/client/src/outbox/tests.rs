//! Exactly once, in order: each story that can go wrong, and then hundreds of random ones.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::*;
use crate::frame::{Limits, Position};

const DAY: Duration = Duration::from_hours(24);

fn welcome(user: &str, dedup_window: Duration) -> Welcome {
    Welcome {
        session: "s.1.x".into(),
        user: user.into(),
        resumed: false,
        heartbeat: Duration::from_secs(25),
        dedup_window,
        expires_in: None,
        limits: Limits::default(),
    }
}

/// An outbox that was welcomed, and what it has sent.
struct Desk {
    outbox: Outbox,
    now: u64,
    sent: Vec<(u64, Value)>,
    outcomes: HashMap<u64, String>,
}

impl Desk {
    fn new(limits: OutboxLimits) -> Self {
        let outbox = Outbox::new("p".into(), limits);
        let mut desk = Self { outbox, now: 0, sent: Vec::new(), outcomes: HashMap::new() };
        desk.outbox.welcome(&welcome("ada", DAY), 0);
        desk
    }

    fn add(&mut self, channel: &str, data: &Value, age_max: Option<Duration>) -> u64 {
        let frame = json!({ "channel": channel, "data": data, "type": "publish" }).to_string();
        let draft = Draft { channel: channel.into(), frame, keyed: false, age_max };
        self.outbox.add(draft, self.now).unwrap()
    }

    fn publish(&mut self, channel: &str, data: &str) -> u64 {
        let ticket = self.add(channel, &json!(data), None);
        self.pump();
        ticket
    }

    fn pump(&mut self) {
        while let Some(Sending { ticket, body }) = self.outbox.next(self.now) {
            self.sent.push((ticket, serde_json::from_str(&body).unwrap()));
        }
        self.settle();
    }

    fn settle(&mut self) {
        for (ticket, outcome) in self.outbox.outcomes() {
            let word = match outcome {
                Ok(ack) if ack.duplicate => "duplicate".into(),
                Ok(_) => "ok".into(),
                Err(error) => error.code().map_or(format!("{error:?}"), str::to_owned),
            };
            assert_eq!(self.outcomes.insert(ticket, word), None, "{ticket} ends once");
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now += ms;
        self.outbox.handle_time(self.now);
        self.pump();
    }

    fn lose(&mut self) {
        self.outbox.handle_lost(self.now);
        self.settle();
    }

    fn ack(&mut self, ticket: u64, offset: u64, duplicate: bool) {
        let position = Some(Position { epoch: "e".into(), offset });
        let ack = Ack { position, level: "fsync".into(), duplicate };
        self.outbox.handle_answer(ticket, Ok(ack), self.now);
        self.pump();
    }

    fn refuse(&mut self, ticket: u64, code: &str, retryable: bool, expected: Option<u64>) {
        let refusal = Refusal { retryable, expected, ..Refusal::own(code, code.into()) };
        self.outbox.handle_answer(ticket, Err(refusal), self.now);
        self.pump();
    }

    /// What was sent, from the `from`th on: data and number.
    fn told(&self, from: usize) -> String {
        let told = |(_, frame): &(u64, Value)| {
            format!("{}:{}", frame["data"].as_str().unwrap_or("?"), frame["seq"])
        };
        self.sent[from..].iter().map(told).collect::<Vec<_>>().join(" ")
    }

    fn outcome(&self, ticket: u64) -> &str {
        self.outcomes.get(&ticket).map_or("", String::as_str)
    }
}

#[test]
fn what_was_not_acknowledged_is_sent_again_with_its_number_before_what_is_new() {
    let mut desk = Desk::new(OutboxLimits::default());
    let all: Vec<_> = ["a", "b", "c"].map(|data| desk.publish("chat:x", data)).into();
    assert_eq!(desk.told(0), "a:1 b:2 c:3", "several are under way at once");
    desk.ack(all[0], 1, false);
    desk.lose();
    let fresh = desk.publish("chat:x", "d");
    assert_eq!(desk.told(3), "b:2 c:3 d:4");
    assert_eq!(desk.sent[1].1["producer"], desk.sent[3].1["producer"]);
    desk.ack(all[1], 2, true);
    desk.ack(all[2], 3, false);
    desk.ack(fresh, 4, false);
    let outcomes = [all[0], all[1], all[2], fresh].map(|ticket| desk.outcome(ticket));
    assert_eq!(outcomes, ["ok", "duplicate", "ok", "ok"]);
    assert_eq!(desk.outbox.len(), 0);
}

#[test]
fn a_producer_that_was_silent_for_longer_than_the_window_begins_again_at_1() {
    let mut desk = Desk::new(OutboxLimits::default());
    let a = desk.publish("chat:x", "a");
    desk.ack(a, 1, false);
    let later = ["b", "c"].map(|data| desk.publish("chat:x", data));
    for ticket in later {
        desk.refuse(ticket, "out_of_sequence", true, Some(1));
    }
    assert_eq!(desk.told(0), "a:1 b:2 c:3 b:1 c:2");
    desk.ack(later[0], 2, false);
    desk.ack(later[1], 3, false);
    assert_eq!(later.map(|ticket| desk.outcome(ticket)), ["ok", "ok"]);
}

#[test]
fn what_may_have_been_stored_is_never_sent_under_another_number() {
    let mut desk = Desk::new(OutboxLimits::default());
    let a = desk.publish("chat:x", "a");
    desk.ack(a, 1, false);
    let doubtful = desk.publish("chat:x", "b");
    desk.lose();
    let fresh = desk.publish("chat:x", "c");
    assert_eq!(desk.told(2), "b:2 c:3");
    desk.refuse(doubtful, "out_of_sequence", true, Some(1));
    desk.refuse(fresh, "out_of_sequence", true, Some(1));
    assert_eq!(desk.outcome(doubtful), "Unconfirmed");
    assert_eq!(desk.told(4), "c:1");
    desk.ack(fresh, 1, false);
    assert_eq!(desk.outcome(fresh), "ok");
}

#[test]
fn a_refusal_that_leaves_a_hole_sends_again_what_was_under_way() {
    let mut desk = Desk::new(OutboxLimits::default());
    let [a, b, c] = ["a", "b", "c"].map(|data| desk.publish("chat:x", data));
    desk.refuse(a, "forbidden", false, None);
    desk.refuse(b, "out_of_sequence", true, Some(1));
    assert_eq!(desk.told(0), "a:1 b:2 c:3", "not before all answers are there");
    desk.refuse(c, "out_of_sequence", true, Some(1));
    assert_eq!(desk.told(3), "b:1 c:2");
    desk.ack(b, 1, false);
    desk.ack(c, 2, false);
    assert_eq!([a, b, c].map(|ticket| desk.outcome(ticket)), ["forbidden", "ok", "ok"]);
}

#[test]
fn a_refusal_that_uses_its_number_up_stops_nothing() {
    let mut desk = Desk::new(OutboxLimits::default());
    let [a, b] = ["a", "b"].map(|data| desk.publish("chat:x", data));
    desk.refuse(a, "invalid_data", false, None);
    desk.ack(b, 1, false);
    assert_eq!([a, b].map(|ticket| desk.outcome(ticket)), ["invalid_data", "ok"]);
}

#[test]
fn a_transient_refusal_stalls_its_own_channel_only() {
    let mut desk = Desk::new(OutboxLimits::default());
    let [a, b] = ["a", "b"].map(|data| desk.publish("chat:x", data));
    desk.refuse(a, "rate_limited", true, None);
    desk.refuse(b, "out_of_sequence", true, Some(1));
    let other = desk.publish("chat:y", "y");
    desk.ack(other, 1, false);
    desk.pass(999);
    assert_eq!(desk.told(0), "a:1 b:2 y:1");
    assert_eq!(desk.outbox.wake(), Some(1000));
    desk.pass(1);
    assert_eq!(desk.told(3), "a:1 b:2");
}

#[test]
fn full_is_said_at_once_to_the_newest_and_old_is_said_when_it_is() {
    let limits = OutboxLimits { entries: 2, bytes: 1000, age: Duration::from_secs(60) };
    let mut outbox = Outbox::new("p".into(), limits);
    let draft = |length: usize, age_max| Draft {
        channel: "chat:x".into(),
        frame: json!("x".repeat(length)).to_string(),
        keyed: false,
        age_max,
    };
    let long = outbox.add(draft(100, None), 0).unwrap();
    assert!(matches!(outbox.add(draft(700, None), 0), Err(Error::OutboxFull)), "bytes");
    let short = outbox.add(draft(1, Some(Duration::from_secs(1))), 0).unwrap();
    assert!(matches!(outbox.add(draft(1, None), 0), Err(Error::OutboxFull)), "entries");
    for (at, ticket) in [(1000, short), (60_000, long)] {
        assert_eq!(outbox.wake(), Some(at));
        outbox.handle_time(at - 1);
        assert_eq!(outbox.outcomes().len(), 0);
        outbox.handle_time(at);
        let ended: Vec<_> = outbox.outcomes().collect();
        assert!(matches!(&ended[..], [(ended, Err(Error::Expired))] if *ended == ticket));
    }
    assert_eq!((outbox.len(), outbox.wake()), (0, None));
}

#[test]
fn the_age_is_limited_by_what_the_server_remembers() {
    let mut desk = Desk::new(OutboxLimits::default());
    desk.outbox.welcome(&welcome("ada", Duration::from_mins(1)), 0);
    let ticket = desk.add("chat:x", &json!("a"), None);
    assert_eq!(desk.outbox.wake(), Some(54_000));
    desk.outbox.handle_time(54_000);
    desk.settle();
    assert_eq!(desk.outcome(ticket), "Expired");
}

#[test]
fn what_is_under_way_when_its_time_is_up_may_still_be_answered() {
    let mut desk = Desk::new(OutboxLimits { age: Duration::from_secs(1), ..<_>::default() });
    let [a, b] = ["a", "b"].map(|data| desk.publish("chat:x", data));
    desk.pass(2000);
    assert_eq!(desk.outbox.wake(), None, "nothing to do until an answer comes");
    desk.ack(a, 1, false);
    desk.lose();
    assert_eq!([a, b].map(|ticket| desk.outcome(ticket)), ["ok", "Unconfirmed"]);
}

#[test]
fn a_number_that_somebody_else_has_used_needs_a_new_name() {
    let mut desk = Desk::new(OutboxLimits::default());
    let a = desk.publish("chat:x", "a");
    desk.ack(a, 7, true);
    assert_ne!(desk.sent[0].1["producer"], desk.sent[1].1["producer"]);
    desk.ack(a, 8, false);
    assert_eq!((desk.told(0).as_str(), desk.outcome(a)), ("a:1 a:1", "ok"));
}

#[test]
fn before_the_first_welcome_only_what_surely_fits_is_sent() {
    let mut outbox = Outbox::new("p".into(), OutboxLimits::default());
    for length in [70_000, 1] {
        let frame = format!(r#"{{"data":"{}"}}"#, "x".repeat(length));
        let channel = format!("chat:{length}");
        outbox.add(Draft { channel, frame, keyed: false, age_max: None }, 0).unwrap();
    }
    assert_eq!(outbox.next(0).map(|sending| sending.ticket), Some(2));
    assert!(outbox.next(0).is_none());
    outbox.welcome(&welcome("ada", DAY), 0);
    assert!(outbox.next(0).is_none());
    let ended: Vec<_> = outbox.outcomes().collect();
    assert!(matches!(&ended[..], [(1, Err(error))] if error.code() == Some("too_large")));
}

#[test]
fn nobody_says_what_somebody_else_has_written() {
    let mut desk = Desk::new(OutboxLimits::default());
    let ticket = desk.add("chat:x", &json!("ada was here"), None);
    desk.outbox.welcome(&welcome("bob", DAY), 0);
    desk.pump();
    assert_eq!((desk.sent.len(), desk.outcome(ticket)), (0, "unauthorized"));
}

#[test]
fn at_the_end_what_was_sent_is_in_doubt_and_the_rest_was_never_stored() {
    let mut desk = Desk::new(OutboxLimits::default());
    let sent = desk.publish("chat:x", "a");
    let waiting = desk.add("chat:x", &json!("b"), None);
    desk.outbox.clear(&Error::Ended);
    desk.settle();
    assert_eq!([sent, waiting].map(|ticket| desk.outcome(ticket)), ["Unconfirmed", "Ended"]);
}

#[test]
fn channels_that_were_forgotten_begin_again_under_another_name() {
    let mut desk = Desk::new(OutboxLimits::default());
    for n in 0..=IDLE_MAX {
        let ticket = desk.publish(&format!("chat:{n}"), "a");
        desk.ack(ticket, 1, false);
    }
    assert_eq!(desk.outbox.lanes.len(), IDLE_MAX);
    desk.publish("chat:0", "b");
    desk.publish("chat:7", "b");
    let seqs = [&desk.sent[IDLE_MAX + 1].1, &desk.sent[IDLE_MAX + 2].1];
    assert_eq!(seqs.map(|frame| frame["seq"].as_u64()), [Some(1), Some(2)]);
    assert_ne!(desk.sent[0].1["producer"], seqs[0]["producer"]);
    assert_eq!(desk.sent[7].1["producer"], seqs[1]["producer"]);
}

/// Numbers that look random, from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, max: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % max
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// A server as the protocol describes it.
#[derive(Default)]
struct Model {
    stored: BTreeMap<String, Vec<u64>>,
    /// The last number of each channel and producer, and the offsets that were given.
    producers: HashMap<(String, String), Vec<Option<u64>>>,
}

impl Model {
    fn serve(&mut self, frame: &Value, dice: &mut Dice, calm: bool) -> Result<Ack, Refusal> {
        let channel = frame["channel"].as_str().unwrap().to_owned();
        let producer = frame["producer"].as_str().unwrap().to_owned();
        let seq = usize::try_from(frame["seq"].as_u64().unwrap()).unwrap();
        let refusal =
            |code: &str, retryable| Refusal { retryable, ..Refusal::own(code, code.into()) };
        if !calm && dice.percent(10) {
            return Err(refusal("rate_limited", true));
        }
        if !calm && dice.percent(5) {
            return Err(refusal("forbidden", false));
        }
        let given = self.producers.entry((channel.clone(), producer)).or_default();
        let ack = |offset: Option<u64>, duplicate| Ack {
            position: offset.map(|offset| Position { epoch: "e".into(), offset }),
            level: "os".into(),
            duplicate,
        };
        if seq <= given.len() {
            return match given[seq - 1] {
                Some(offset) => Ok(ack(Some(offset), true)),
                None => Err(refusal("invalid_data", false)),
            };
        }
        if seq > given.len() + 1 {
            let expected = Some(given.len() as u64 + 1);
            return Err(Refusal { expected, ..refusal("out_of_sequence", true) });
        }
        if !calm && dice.percent(5) {
            given.push(None);
            return Err(refusal("invalid_data", false));
        }
        let events = self.stored.entry(channel).or_default();
        events.push(frame["data"].as_u64().unwrap());
        given.push(Some(events.len() as u64));
        let unavailable = !calm && dice.percent(5);
        if unavailable { Err(refusal("unavailable", true)) } else { Ok(ack(given[seq - 1], false)) }
    }
}

/// Publishes 60 events into two channels through a server that refuses and connections that break.
fn random_story(seed: u64) {
    let (mut dice, mut model) =
        (Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1), Model::default());
    let mut outbox = Outbox::new("p".into(), OutboxLimits::default());
    outbox.welcome(&welcome("ada", DAY), 0);
    // What is on its way to the server, and what comes back, each in order.
    let mut sent: VecDeque<(u64, String)> = VecDeque::new();
    let mut answers: VecDeque<(u64, Result<Ack, Refusal>)> = VecDeque::new();
    let mut published: HashMap<u64, (String, u64)> = HashMap::new();
    let mut outcomes: Vec<Outcome> = Vec::new();
    let (mut now, mut n, mut calm) = (0, 0, false);
    loop {
        calm |= n >= 60;
        if !calm {
            let channel = format!("chat:{}", dice.below(2));
            let frame = json!({ "channel": channel, "data": n }).to_string();
            let draft = Draft { channel: channel.clone(), frame, keyed: false, age_max: None };
            published.insert(outbox.add(draft, now).unwrap(), (channel, n));
            n += 1;
        }
        for _ in 0..dice.below(8) {
            let Some(Sending { ticket, body }) = outbox.next(now) else { break };
            sent.push_back((ticket, body));
        }
        for _ in 0..dice.below(8) {
            let Some((ticket, body)) = sent.pop_front() else { break };
            let frame = serde_json::from_str(&body).unwrap();
            answers.push_back((ticket, model.serve(&frame, &mut dice, calm)));
        }
        for _ in 0..dice.below(8) {
            let Some((ticket, answer)) = answers.pop_front() else { break };
            outbox.handle_answer(ticket, answer, now);
        }
        if !calm && dice.percent(8) {
            // Some of what was sent has not even arrived; of the rest the answers are lost.
            sent.clear();
            answers.clear();
            outbox.handle_lost(now);
        }
        now += dice.below(400);
        outbox.handle_time(now);
        outcomes.extend(outbox.outcomes());
        if calm && outbox.len() == 0 {
            break;
        }
        assert!(now < 10_000_000, "seed {seed}: it never ends");
    }
    for (channel, stored) in &model.stored {
        let mut sorted = stored.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(*stored, sorted, "seed {seed}: once and in order in {channel}");
    }
    assert_eq!(outcomes.len(), published.len(), "seed {seed}: every publish ends");
    for (ticket, outcome) in outcomes {
        let (channel, n) = &published[&ticket];
        let at = model.stored.get(channel).and_then(|all| all.iter().position(|data| data == n));
        match outcome {
            Ok(ack) => {
                let offset = ack.position.map(|position| position.offset);
                let at = at.map(|at| at as u64 + 1);
                assert_eq!(offset, at, "seed {seed}: {n} is where its ack says");
            }
            Err(error) if error.code() == Some("invalid_data") => {
                assert_eq!(at, None, "seed {seed}: {n} was refused");
            }
            Err(_) => {}
        }
    }
}

#[test]
fn hundreds_of_random_stories() {
    for seed in 1..=500 {
        random_story(seed);
    }
}
