//! Whole runs that a seed makes up: what clients do, what breaks and when.

use std::sync::Arc;

use serde_json::json;
use tidings_core::Period;
use tidings_core::engine::{About, Advice, Denial, Verdict, Wants};
use tidings_core::policy::{ConnectRule, Hook, WhenDown};
use tidings_core::store::Level;
use tidings_proto::{CloseCode, ErrorCode};

use crate::checker::{Op, Violation};
use crate::rng::Rng;
use crate::setup::{Keeping, Setup};
use crate::world::{Time, Who, World};

const CHANNELS: [&str; 6] = ["chat:a", "chat:b", "memo:a", "tiny:a", "wisp:a", "wisp:b"];

/// Runs a seed; what was broken.
pub fn run(seed: u64) -> Vec<Violation> {
    run_world(seed, false).violations()
}

/// Runs a seed and gives the world back, for a closer look.
pub fn run_world(seed: u64, trace: bool) -> World {
    let mut rng = Rng::new(seed ^ 0x7469_6469_6e67_7321);
    let mut world = World::with(seed, |setup| {
        vary(&mut rng, setup);
        // With randomness of its own: what a seed did before there were hooks, it does still.
        ask_a_backend(&mut Rng::new(seed ^ 0x686f_6f6b), setup);
    });
    if trace {
        world.trace();
    }
    for channel in CHANNELS {
        let durable = channel.starts_with("chat") || channel.starts_with("tiny");
        let keeps =
            if channel.starts_with("tiny") || channel.starts_with("wisp") { 3 } else { 100 };
        world.note(Op::Channel { channel: channel.into(), durable, keeps });
    }
    let mut cast = Vec::new();
    for name in ["ada", "bob", "cyd", "ada", "dan"].iter().take(rng.range(2, 5) as usize) {
        cast.push(world.user(name));
    }
    let damage = rng.one_in(6);
    // With randomness of its own, as that of hooks.
    let changes = Rng::new(seed ^ 0x6368_616e_6765);
    let mut run = Run { world, rng, changes, cast, said: 0, damage };
    for _ in 0..run.rng.range(40, 100) {
        run.step();
        if run.changes.one_in(3) {
            run.change();
        }
        let pause = *run.rng.pick(&[0, 1, 3, 10, 30, 100, 400, 2000]);
        run.world.run(pause.ms());
    }
    run.world.heal();
    run.world.write_down(&CHANNELS);
    run.world
}

fn vary(rng: &mut Rng, setup: &mut Setup) {
    // A wall clock that jumped may make a restarted node forget sooner: not in these runs.
    for (name, size) in [("chat", 100), ("memo", 100), ("tiny", 3), ("wisp", 3)] {
        setup.namespace(name, |policy| {
            policy.history.durable = ["chat", "tiny"].contains(&name);
            policy.history.size = size;
            policy.history.ttl = Period::secs(30 * 86_400);
            policy.history.dedup_window = Period::secs(30 * 86_400);
        });
    }
    let any = || vec!["*".into()];
    setup.policy.wants = Wants { users: true, channels: any(), events: any() };
    setup.shards = rng.range(1, 4) as u16;
    setup.keeping = match rng.below(6) {
        0 => Keeping::Map,
        1 => Keeping::Log(Level::Os),
        _ => Keeping::Log(Level::Fsync),
    };
    setup.segment_bytes = *rng.pick(&[2 << 10, 8 << 10, 64 << 10]);
    setup.latency_ms = *rng.pick(&[(0, 1), (1, 20), (5, 300)]);
    setup.commit_ms = *rng.pick(&[(0, 1), (1, 8), (20, 200)]);
    setup.limits.page_events = *rng.pick(&[1, 2, 5, 100]);
    setup.limits.in_flight = *rng.pick(&[2, 4, 64]);
    setup.limits.backlog = *rng.pick(&[2 << 10, 16 << 10, 1 << 20]);
    let windows = [Period::secs(0), Period::secs(5), Period::secs(60)];
    setup.limits.session_window = *rng.pick(&windows);
    setup.limits.channel_idle = *rng.pick(&[Period::secs(1), Period::secs(60)]);
}

/// In one run of three, an application has a say: it is slow, fails now and then, and refuses some.
fn ask_a_backend(rng: &mut Rng, setup: &mut Setup) {
    if !rng.one_in(3) {
        return;
    }
    let hooks = [vec![Hook::Publish], vec![Hook::Subscribe], vec![Hook::Publish, Hook::Subscribe]];
    let mut namespaces: Vec<_> = setup.policy.namespaces.values_mut().collect();
    // A map has another order in each process; a seed is to do the same in all.
    namespaces.sort_by(|a, b| a.name.cmp(&b.name));
    for namespace in namespaces {
        if rng.one_in(2) {
            Arc::make_mut(namespace).policy.hooks = rng.pick(&hooks).clone();
        }
    }
    if rng.one_in(2) {
        let (opaque, resumed) = (false, rng.one_in(3));
        let when_down = *rng.pick(&[WhenDown::Allow, WhenDown::Deny]);
        setup.policy.hooks.connect = Some(ConnectRule { opaque, resumed, when_down });
    }
    setup.policy.hooks.publish = *rng.pick(&[WhenDown::Allow, WhenDown::Deny]);
    if setup.policy.hooks.publish == WhenDown::Deny {
        // Else what was refused once may pass when it is sent again.
        setup.backend = opinion;
    }
    setup.backend_ms = *rng.pick(&[(0, 1), (1, 100), (0, 1500)]);
    setup.backend_fails = *rng.pick(&[0, 5, 20]);
}

fn opinion(about: &About) -> Verdict {
    match about {
        About::Publish(draft) if draft.data.get().ends_with("3\"") => Verdict::Deny(Denial {
            code: ErrorCode::Forbidden,
            close: CloseCode::Forbidden,
            message: None,
        }),
        _ => Verdict::Allow(Advice::default()),
    }
}

struct Run {
    world: World,
    rng: Rng,
    /// What is changed.
    changes: Rng,
    cast: Vec<Who>,
    said: u64,
    /// Bits flip on the disk.
    damage: bool,
}

impl Run {
    fn step(&mut self) {
        let who = *self.rng.pick(&self.cast);
        let channel = *self.rng.pick(&CHANNELS);
        match self.rng.below(100) {
            0..=44 => self.talk(who, channel),
            45..=62 => self.come_and_go(who, channel),
            63..=72 => self.be_present(who, channel),
            73..=89 => self.disturb_client(who),
            _ => self.disturb_node(),
        }
    }

    /// Somebody changes an event of late: their own as a rule, and some are gone.
    fn change(&mut self) {
        let late = self.world.stored.len().min(12) as u64;
        if late == 0 {
            return;
        }
        let back = self.changes.range(1, late) as usize;
        let (author, channel, offset) = self.world.stored[self.world.stored.len() - back].clone();
        let who = if self.changes.one_in(5) { *self.changes.pick(&self.cast) } else { Who(author) };
        for _ in 0..self.changes.range(1, 3) {
            let words = format!("edit-{}", self.world.changes);
            let command = match self.changes.below(8) {
                0..=3 => json!({ "type": "edit", "offset": offset, "data": words }),
                4 => json!({ "type": "delete", "offset": offset }),
                n => {
                    let reaction = format!("r{}", self.changes.below(3));
                    let remove = n == 7;
                    json!({
                        "type": "react", "offset": offset, "reaction": reaction, "remove": remove,
                    })
                }
            };
            self.world.publish(who, &channel, command);
        }
    }

    fn words(&mut self) -> String {
        self.said += 1;
        let long = if self.rng.one_in(10) { "x".repeat(500) } else { String::new() };
        format!("{}{long}", self.said)
    }

    fn talk(&mut self, who: Who, channel: &str) {
        match self.rng.below(10) {
            0..=5 => {
                for _ in 0..self.rng.range(1, 6) {
                    let data = self.words();
                    self.world.publish(who, channel, json!({ "data": data }));
                }
            }
            6 => {
                let (data, key) = (self.words(), self.rng.below(1000).to_string());
                let command = json!({
                    "type": "publish", "channel": channel, "data": data, "key": key,
                });
                // Sent twice in a row: one event.
                self.world.transmit(who.0, command.clone());
                self.world.transmit(who.0, command);
            }
            7 => {
                let data = self.words();
                let command = json!({
                    "type": "publish", "channel": channel, "data": data, "ephemeral": true,
                });
                self.world.transmit(who.0, command);
            }
            8 => {
                let data = self.words();
                let command = json!({
                    "type": "publish", "channel": channel, "data": data, "echo": false,
                });
                self.world.transmit(who.0, command);
            }
            _ => {
                // Too large: refused, and its number is used up.
                let data = format!("{}{}", self.words(), "y".repeat(40 << 10));
                self.world.publish(who, channel, json!({ "data": data }));
                let data = self.words();
                self.world.publish(who, channel, json!({ "data": data }));
            }
        }
    }

    fn come_and_go(&mut self, who: Who, channel: &str) {
        let known = self.world.clients[who.0].subs.get(channel);
        let wanted = known.is_some_and(|sub| sub.wanted);
        if !wanted {
            let rewind = *self.rng.pick(&[0, 0, 1, 5]);
            let presence = self.rng.one_in(2);
            let sub = self.world.clients[who.0].subs.entry(channel.into()).or_default();
            (sub.rewind, sub.presence) = (rewind, presence);
            self.world.subscribe(who.0, channel);
            if !self.rng.one_in(4) {
                return;
            }
        }
        if wanted || self.rng.one_in(2) {
            self.world.unwant(who, channel);
            if self.rng.one_in(3) {
                self.world.subscribe(who.0, channel);
            }
        }
    }

    fn be_present(&mut self, who: Who, channel: &str) {
        let kind = *self.rng.pick(&["enter", "enter", "enter", "update", "leave", "presence"]);
        let data = self.rng.below(3);
        let command = json!({ "type": kind, "channel": channel, "data": data });
        self.world.transmit(who.0, command);
    }

    fn disturb_client(&mut self, who: Who) {
        match self.rng.below(10) {
            0..=2 => self.world.drop_link(who),
            3 => self.world.half_open(who),
            4 => self.world.stall(who),
            5 => {
                let per_frame = self.rng.range(1, 200);
                self.world.slow_down(who, per_frame.ms());
            }
            6..=7 => self.world.speed_up(who),
            8 => {
                self.world.clients[who.0].stopped = true;
                self.world.drop_link(who);
            }
            _ => {
                self.world.clients[who.0].stopped = false;
                self.world.connect(who.0);
            }
        }
    }

    fn disturb_node(&mut self) {
        let away = self.rng.range(0, 5000).ms();
        if self.damage && self.rng.one_in(3) {
            let bits = self.rng.range(1, 4) as u32;
            return self.world.flip_bits(bits);
        }
        match self.rng.below(12) {
            0..=1 => self.world.restart(away),
            2..=3 => self.world.kill(away),
            4 => self.world.power_failure(away),
            5..=6 => {
                let n = self.rng.range(1, 8);
                self.world.power_failure_after(n);
            }
            7 => {
                let bytes = self.rng.below(2000);
                self.world.disk_space(Some(bytes));
            }
            8 => self.world.disk_space(None),
            9 => {
                let n = self.rng.range(1, 3) as u32;
                self.world.fail_writes(n);
            }
            10 => {
                let n = self.rng.range(1, 3) as u32;
                self.world.fail_syncs(n);
            }
            _ => {
                let ms = self.rng.range(0, 7_200_000) as i64 - 3_600_000;
                self.world.clock_jump(ms);
            }
        }
    }
}
