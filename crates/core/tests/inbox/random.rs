//! Two devices of a user that come and go and mark while they are away, notifications that come and
//! expire, a store that fails and a process that is killed: whatever order they come in, each count
//! that is told is the count of what its device holds, and in the end all have the same.

use std::collections::VecDeque;

use serde_json::{Value, json};
use tidings_core::Period;
use tidings_core::engine::SessionKey;
use tidings_core::policy::InboxPolicy;
use tidings_core::store::StoreError;

use crate::desk::Desk;
use crate::notifying::{Device, open};

/// A generator from a seed (`SplitMix64`).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let n = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (n ^ (n >> 31)) % end
    }
}

struct Replica {
    name: &'static str,
    session: Option<SessionKey>,
    device: Device,
    epoch: Value,
    /// Marks that nobody has acknowledged yet, in order.
    queue: VecDeque<Value>,
    seq: u64,
    /// How often it had to begin anew.
    gaps: u64,
}

impl Replica {
    fn new(name: &'static str) -> Self {
        let (device, queue) = (Device::default(), VecDeque::new());
        Self { name, session: None, device, epoch: Value::Null, queue, seq: 0, gaps: 0 }
    }

    fn leave(&mut self, desk: &mut Desk) {
        if let Some(session) = self.session.take() {
            desk.engine.close(desk.now, session, false);
            desk.run();
        }
    }

    /// Comes back: says where it stands, then sends what it could not.
    fn come(&mut self, desk: &mut Desk) {
        let session = desk.user("ada");
        self.session = Some(session);
        let mut subscribe = json!({ "type": "subscribe", "id": 2, "channel": "inbox:ada" });
        if self.epoch.is_string() {
            subscribe["since"] = json!({ "epoch": self.epoch, "offset": self.device.offset });
        }
        let said = desk.ask(session, &subscribe);
        assert_eq!(said["type"], "subscribed", "{said}");
        if said["recovered"] != true {
            self.begin(desk, session);
        }
        self.send(desk);
    }

    fn begin(&mut self, desk: &mut Desk, session: SessionKey) {
        desk.heard(session);
        self.gaps += 1;
        self.epoch = open(desk, session)["epoch"].clone();
        self.device = Device::open(desk, session);
    }

    fn mark(&mut self, desk: &mut Desk, chance: &mut Chance) {
        let newest = self.device.offset.max(1);
        let near = |chance: &mut Chance| (newest + 1).saturating_sub(chance.below(30)).max(1);
        let how = ["seen", "read", "unread", "archived"][chance.below(4) as usize];
        self.seq += 1;
        let mut mark = json!({ "type": "mark", "as": how, "id": 100 + self.seq,
            "producer": self.name, "seq": self.seq });
        match chance.below(4) {
            0 => mark["upto"] = near(chance).into(),
            _ => {
                let ids: Vec<_> = (0..=chance.below(3)).map(|_| near(chance)).collect();
                mark["ids"] = json!(ids);
            }
        }
        self.queue.push_back(mark.clone());
        if let Some(session) = self.session {
            desk.say(session, &mark);
        }
    }

    /// All that was not acknowledged, once more.
    fn send(&mut self, desk: &mut Desk) {
        let Some(session) = self.session else { return };
        for mark in &self.queue {
            desk.say(session, mark);
        }
    }

    fn hear(&mut self, desk: &mut Desk) {
        let Some(session) = self.session else { return };
        let frames = desk.heard(session);
        for frame in &frames {
            let first = self.queue.front().map(|mark| &mark["id"]);
            if frame["type"] == "marked" && first == Some(&frame["id"]) {
                self.queue.pop_front();
            } else if frame["type"] == "error" {
                let again = ["unavailable", "out_of_sequence"];
                assert!(again.contains(&frame["code"].as_str().unwrap()), "{frame}");
            }
        }
        if frames.iter().any(|frame| frame["type"] == "gap") {
            return self.begin(desk, session);
        }
        let pushes = frames.into_iter().filter(|frame| frame["id"].is_null());
        for push in pushes {
            self.device.hear(&[push]);
            self.device.check();
        }
    }
}

/// The store is slow for a while, and then takes it all, or nothing, or the process is killed.
fn slow_store(desk: &mut Desk, replicas: &mut [Replica; 2], chance: &mut Chance) {
    desk.slow = true;
    for _ in 0..=chance.below(4) {
        match chance.below(2) {
            0 => drop(desk.notify("ada", None, None)),
            _ => replicas[chance.below(2) as usize].mark(desk, chance),
        }
    }
    desk.slow = false;
    match chance.below(4) {
        0 => desk.store(&Err(StoreError::Full)),
        1 => {
            desk.restart();
            replicas.iter_mut().for_each(|replica| replica.session = None);
        }
        _ => desk.store(&Ok(())),
    }
}

fn step(desk: &mut Desk, replicas: &mut [Replica; 2], chance: &mut Chance) {
    let which = chance.below(2) as usize;
    match chance.below(12) {
        0..=3 => {
            let ttl_ms = (chance.below(4) == 0).then(|| 1 + chance.below(5000));
            desk.notify("ada", None, ttl_ms);
        }
        4..=6 => replicas[which].mark(desk, chance),
        7 => replicas[which].leave(desk),
        8 if replicas[which].session.is_none() => replicas[which].come(desk),
        8 => replicas[which].send(desk),
        9 => desk.pass(chance.below(2000)),
        10 => slow_store(desk, replicas, chance),
        _ => {
            let cursor = json!({ "type": "read", "id": 3, "channel": "chat:a", "offset": 1 });
            if let Some(session) = replicas[which].session {
                desk.ask(session, &cursor);
            }
        }
    }
    replicas.iter_mut().for_each(|replica| replica.hear(desk));
}

#[test]
fn counts_that_are_told_are_those_of_what_is_held_and_all_devices_end_alike() {
    let mut gaps = 0;
    for seed in 0..40 {
        println!("seed {seed}");
        let mut chance = Chance(seed);
        let rules = InboxPolicy { items: 25, keep: Period::secs(30), ..InboxPolicy::default() };
        let mut desk = Desk::with(rules);
        let mut replicas = [Replica::new("phone"), Replica::new("tablet")];
        for _ in 0..300 {
            step(&mut desk, &mut replicas, &mut chance);
        }
        for replica in &mut replicas {
            replica.leave(&mut desk);
            replica.come(&mut desk);
            replica.hear(&mut desk);
            assert!(replica.queue.is_empty(), "{:?}", replica.queue);
        }
        let [phone, tablet] = &mut replicas;
        phone.hear(&mut desk);
        assert_eq!(phone.device, tablet.device);
        desk.restart();
        let session = desk.user("ada");
        assert_eq!(phone.device, Device::open(&mut desk, session), "and that is what is stored");
        phone.device.check();
        gaps += phone.gaps + tablet.gaps;
    }
    // Each begins once; who was away for long begins anew, but that is the exception.
    assert!((80..270).contains(&gaps), "{gaps}");
}
