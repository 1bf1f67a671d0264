//! Stories of a queue and its backend, on virtual time.

use super::*;

const RULES: Rules =
    Rules { batch: 10, concurrency: 4, keep_ms: 100_000, items: 1000, bytes: 1 << 20 };

impl Queue {
    /// What waits, in order.
    pub(in crate::webhooks) fn bodies(&self) -> Vec<Bytes> {
        self.items.values().map(|item| item.body.clone()).collect()
    }

    /// As if the backend had taken all.
    pub(in crate::webhooks) fn take_all(&mut self) {
        for item in std::mem::take(&mut self.items).into_values() {
            let lane = &mut self.lanes[usize::from(item.lane)];
            (lane.done, lane.noted) = (item.offset, false);
            lane.waiting.clear();
        }
        self.bytes = 0;
    }
}

/// A queue and the clock.
struct Desk {
    queue: Queue,
    now: u64,
    newest: u64,
}

impl Desk {
    fn new(rules: Rules) -> Self {
        Self { queue: Queue::new(rules, &[0; LANES], 0), now: 0, newest: 0 }
    }

    /// Something happens in a lane.
    fn push(&mut self, lane: u8) -> u64 {
        self.newest += 1;
        let body = Bytes::from(format!("{}", self.newest));
        self.queue.push(Item { offset: self.newest, lane, at_ms: self.now, body });
        self.newest
    }

    fn send(&mut self) -> Option<Batch> {
        match self.queue.next(self.now) {
            Next::Send(batch) => Some(batch),
            Next::Wait(_) => None,
        }
    }

    fn taken(&mut self, batch: &Batch) {
        self.queue.done(self.now, batch, Outcome::Taken, 0);
    }

    fn failed(&mut self, batch: &Batch) {
        self.queue.done(self.now, batch, Outcome::Failed(None), 0);
    }

    /// Goes on until nothing waits, with a backend that takes what it likes. What it took, and how
    /// often it was called.
    fn run(&mut self, mut likes: impl FnMut(&[u64]) -> bool) -> (Vec<u64>, usize) {
        let (mut told, mut calls) = (Vec::new(), 0);
        while self.queue.waiting().0 > 0 {
            match self.queue.next(self.now) {
                Next::Send(batch) => {
                    let items = numbers(&batch);
                    calls += 1;
                    if likes(&items) {
                        told.extend(items);
                        self.taken(&batch);
                    } else {
                        self.failed(&batch);
                    }
                }
                Next::Wait(until) => self.now = until.expect("nothing is under way"),
            }
        }
        (told, calls)
    }
}

fn numbers(batch: &Batch) -> Vec<u64> {
    let number = |body: &Bytes| std::str::from_utf8(body).unwrap().parse().unwrap();
    batch.bodies.iter().map(number).collect()
}

#[test]
fn lanes_share_calls_and_each_is_told_in_order() {
    let mut desk = Desk::new(RULES);
    for n in 0..100 {
        desk.push(n % 7);
    }
    let first = desk.send().unwrap();
    assert_eq!(first.bodies.len(), 10);
    let second = desk.send().unwrap();
    // Lanes that are under way are left alone.
    let lane = |offset: &u64| (offset - 1) % 7;
    let lanes = |batch: &Batch| numbers(batch).iter().map(lane).collect::<Vec<_>>();
    assert!(lanes(&first).iter().all(|lane| !lanes(&second).contains(lane)));
    desk.taken(&second);
    desk.failed(&first);
    let mut tries = 0;
    let (told, _) = desk.run(|_| {
        tries += 1;
        tries % 3 > 0
    });
    for lane_number in 0..7 {
        let of_lane: Vec<_> = told.iter().filter(|o| lane(o) == lane_number).collect();
        assert!(of_lane.is_sorted(), "{of_lane:?}");
    }
    let mut all = told.clone();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), told.len());
}

#[test]
fn an_item_that_is_refused_holds_up_its_own_lane_only() {
    let mut desk = Desk::new(RULES);
    let poison = desk.push(3);
    desk.now = 50;
    let behind = desk.push(3);
    for n in 0..200 {
        desk.push(n % 3);
    }
    let mut last_good = 0;
    let (mut told, mut calls) = (Vec::new(), 0);
    while desk.queue.waiting().0 > 0 {
        match desk.queue.next(desk.now) {
            Next::Send(batch) if numbers(&batch).contains(&poison) => {
                calls += 1;
                desk.failed(&batch);
            }
            Next::Send(batch) => {
                calls += 1;
                let items = numbers(&batch);
                last_good = if items.contains(&behind) { last_good } else { desk.now };
                told.extend(items);
                desk.taken(&batch);
            }
            Next::Wait(until) => desk.now = until.unwrap(),
        }
    }
    assert!(last_good < 2000, "the others wait for nothing: {last_good} ms");
    assert_eq!(told.last(), Some(&behind), "it is told when the poison has expired");
    assert!(!told.contains(&poison) && desk.now >= RULES.keep_ms);
    assert!(calls < 21 + 30, "{calls} calls: it is not tried all the time");
    assert_eq!(desk.queue.take_lost(), Lost { expired: 1, full: 0 });
}

#[test]
fn a_backend_that_is_down_is_asked_by_one_call_at_a_time_and_gets_all_when_it_is_back() {
    let mut desk = Desk::new(Rules { keep_ms: 86_400_000, ..RULES });
    let mut calls = Vec::new();
    while desk.now < 3_600_000 {
        if desk.newest < 900 {
            desk.push((desk.newest % 60) as u8);
        }
        match desk.queue.next(desk.now) {
            Next::Send(batch) => {
                calls.push(desk.now);
                desk.failed(&batch);
            }
            Next::Wait(until) if desk.newest == 900 => desk.now = until.unwrap(),
            Next::Wait(_) => desk.now += 10,
        }
    }
    let late = calls.iter().filter(|at| **at > 1_800_000).count();
    assert!((30..=62).contains(&late), "{late} calls in half an hour");
    assert!(calls.len() < 160, "{} calls", calls.len());
    let before = desk.now;
    let (told, calls) = desk.run(|_| true);
    assert_eq!(told.len(), 900);
    assert!(calls < 100 && desk.now - before <= WAIT_MAX_MS, "{calls} calls");
}

#[test]
fn retry_after_is_kept_to() {
    let mut desk = Desk::new(RULES);
    desk.push(1);
    let batch = desk.send().unwrap();
    desk.queue.done(desk.now, &batch, Outcome::Failed(Some(30_000)), 0);
    desk.push(2);
    desk.now = 29_999;
    assert!(matches!(desk.queue.next(desk.now), Next::Wait(Some(30_000))));
    desk.now = 30_000;
    assert!(desk.send().is_some());
    let batch = Batch { bodies: vec![], lanes: vec![] };
    desk.queue.done(desk.now, &batch, Outcome::Failed(Some(u64::MAX)), 0);
    desk.now += RETRY_AFTER_MAX_MS;
    assert!(desk.send().is_some(), "nobody waits for ever");
}

#[test]
fn more_than_may_wait_drops_the_oldest_and_never_what_is_under_way() {
    let mut desk = Desk::new(RULES);
    for n in 0..5 {
        desk.push(n);
    }
    let batch = desk.send().unwrap();
    assert_eq!(numbers(&batch), [1, 2, 3, 4, 5]);
    for n in 0..2000_u64 {
        desk.push((n % 64) as u8);
    }
    assert_eq!(desk.queue.waiting().0, 1000);
    assert_eq!(desk.queue.take_lost(), Lost { expired: 0, full: 1005 });
    desk.taken(&batch);
    let (told, _) = desk.run(|_| true);
    assert_eq!((told.len(), told.iter().min()), (995, Some(&1011)));
    let big = Bytes::from(vec![b'x'; 600 << 10]);
    for _ in 0..3 {
        desk.newest += 1;
        let item = Item { offset: desk.newest, lane: 1, at_ms: desk.now, body: big.clone() };
        desk.queue.push(item);
    }
    assert_eq!(desk.queue.waiting().0, 1, "two do not fit into a megabyte");
}

#[test]
fn an_item_that_thousands_have_passed_is_dropped() {
    let mut desk = Desk::new(Rules { keep_ms: 1 << 40, ..RULES });
    let poison = desk.push(3);
    for round in 0..500 {
        for _ in 0..9 {
            desk.push(4);
        }
        desk.now += 10;
        while let Some(batch) = desk.send() {
            if numbers(&batch).contains(&poison) {
                desk.failed(&batch);
            } else {
                desk.taken(&batch);
            }
        }
        let span = desk.newest - desk.queue.floor();
        assert!(span <= SPAN * 1000, "round {round}: the log keeps {span} items");
    }
    assert_eq!(desk.queue.take_lost(), Lost { expired: 0, full: 1 });
    assert_eq!(desk.queue.waiting().0, 0);
}

#[test]
fn what_was_told_before_a_restart_is_not_told_again() {
    let mut desk = Desk::new(RULES);
    for n in 0..20 {
        desk.push(n % 2);
    }
    let batch = desk.send().unwrap();
    desk.taken(&batch);
    let done = desk.queue.take_done();
    assert!(desk.queue.take_done().is_empty());
    desk.queue.not_noted(&done);
    assert_eq!(desk.queue.take_done(), done);
    let mut lanes = [0; LANES];
    done.iter().for_each(|(lane, offset)| lanes[usize::from(*lane)] = *offset);
    let mut again = Desk { queue: Queue::new(RULES, &lanes, 20), now: 0, newest: 0 };
    for n in 0..20 {
        again.push(n % 2);
    }
    assert_eq!(again.queue.waiting().0, 10);
    assert_eq!(again.run(|_| true).0.len(), 10);
    assert_eq!(again.queue.floor(), 20);
}

#[test]
fn waits_grow_and_differ() {
    let wait = |failures, chance| wait_ms(failures, chance);
    assert_eq!((wait(1, 0), wait(1, 250)), (250, 500));
    assert_eq!((wait(4, 0), wait(4, 2000)), (2000, 4000));
    assert!((30_000..=60_000).contains(&wait(40, 12_345)));
}
