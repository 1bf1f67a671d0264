//! Users who ask too much.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "stories, told briefly")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tidings_core::Meter;
use tidings_core::engine::{CommandKind, Now};
use tidings_sim::{Time, World};

/// Three publishes a second of each user, two sessions of each.
#[derive(Debug, Default)]
struct Strict {
    published: Mutex<HashMap<String, Vec<u64>>>,
    sessions: Mutex<HashMap<String, i64>>,
}

impl Meter for Strict {
    fn command(&self, now: Now, user: &str, kind: CommandKind) -> Result<(), u64> {
        if kind != CommandKind::Publish {
            return Ok(());
        }
        let mut published = self.published.lock().unwrap();
        let times = published.entry(user.to_owned()).or_default();
        times.retain(|at| at + 1000 > now.mono_ms);
        if times.len() >= 3 {
            return Err(times[0] + 1000 - now.mono_ms);
        }
        times.push(now.mono_ms);
        Ok(())
    }

    fn begins(&self, user: &str) -> bool {
        let mut sessions = self.sessions.lock().unwrap();
        let count = sessions.entry(user.to_owned()).or_default();
        let room = *count < 2;
        *count += i64::from(room);
        room
    }

    fn ends(&self, user: &str) {
        *self.sessions.lock().unwrap().get_mut(user).unwrap() -= 1;
    }
}

fn world(seed: u64, meter: &Arc<Strict>) -> World {
    World::with(seed, |setup| setup.policy.meter = Some(meter.clone()))
}

fn publish(n: u64) -> Value {
    json!({ "type": "publish", "channel": "chat:lobby", "data": n })
}

#[test]
fn ada_talks_too_fast_and_is_told_how_long_to_wait_while_bob_is_not_held_up() {
    let meter = Arc::new(Strict::default());
    let mut w = world(1, &meter);
    let (ada, bob) = (w.user("ada"), w.user("bob"));
    for n in 1..=3 {
        assert_eq!(w.ask(ada, publish(n))["type"], "published");
    }
    let refused = w.ask(ada, publish(4));
    assert_eq!(refused["code"], "rate_limited");
    assert_eq!(refused["retryable"], true);
    let wait = refused["retry_after"].as_u64().unwrap();
    assert!((1..=1000).contains(&wait), "{wait}");
    assert_eq!(w.ask(bob, publish(5))["type"], "published");
    let ping = json!({ "type": "ping" });
    assert_eq!(w.ask(ada, ping)["type"], "pong", "it is publishing that is limited");
    w.run(wait.ms());
    assert_eq!(w.ask(ada, publish(6))["type"], "published");
    w.check();
}

#[test]
fn a_program_that_never_waits_is_closed_and_told_when_to_come_back() {
    let meter = Arc::new(Strict::default());
    let mut w = world(2, &meter);
    let ada = w.stranger_with(Some("user:ada"));
    for n in 0..300 {
        w.tell(ada, publish(n));
    }
    w.run(1.secs());
    assert_eq!(w.closed(ada)[0], 4529);
    let frames = w.frames(ada);
    let bye = frames.iter().find(|frame| frame["type"] == "bye").unwrap();
    assert_eq!(bye["reconnect"], true);
    assert!(bye["retry_after"].as_u64().unwrap() > 0);
    let refused = frames.iter().filter(|frame| frame["code"] == "rate_limited");
    assert_eq!(refused.count(), 256, "each command has its answer");
}

#[test]
fn a_third_device_is_told_to_come_back_later_and_comes_in_when_one_has_left() {
    let meter = Arc::new(Strict::default());
    let mut w = world(3, &meter);
    let (_phone, laptop) = (w.user("ada"), w.user("ada"));
    let third = w.stranger_with(Some("user:ada"));
    w.tell(third, json!({ "type": "hello" }));
    w.run(1.secs());
    assert_eq!(w.closed(third)[0], 4529);
    let silent = w.stranger_with(Some("user:ada"));
    w.tell(silent, json!({ "type": "ping" }));
    w.run(1.secs());
    assert_eq!(w.closed(silent)[0], 4529, "without hello it is no different");
    let bob = w.user("bob");
    assert_eq!(w.ask(bob, publish(1))["type"], "published", "others are others");
    w.leave_for_good(laptop);
    w.run(1.secs());
    let again = w.user("ada");
    assert_eq!(w.ask(again, publish(2))["type"], "published");
    assert_eq!(meter.sessions.lock().unwrap()["ada"], 2);
    w.check();
}

#[test]
fn whoever_comes_back_to_a_session_takes_its_place_and_not_one_more() {
    let meter = Arc::new(Strict::default());
    let mut w = world(4, &meter);
    let (phone, laptop) = (w.user("ada"), w.user("ada"));
    for _ in 0..5 {
        w.drop_link(phone);
        w.run(3.secs());
        w.drop_link(laptop);
        w.run(3.secs());
    }
    assert_eq!(w.ask(phone, publish(1))["type"], "published");
    assert_eq!(w.ask(laptop, publish(2))["type"], "published");
    assert_eq!(meter.sessions.lock().unwrap()["ada"], 2);
    w.check();
}
