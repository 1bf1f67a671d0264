//! Reading history: pages both ways, rewinds, and what expires when.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "stories, told briefly")]

use serde_json::{Value, json};
use tidings_core::Period;
use tidings_sim::{Time, Who, World};

fn offsets(page: &Value) -> Vec<u64> {
    page["events"].as_array().unwrap().iter().map(|e| e["offset"].as_u64().unwrap()).collect()
}

fn page(w: &mut World, who: Who, fields: Value) -> Value {
    let mut command = json!({ "type": "history", "channel": "chat:lobby" });
    for (name, value) in fields.as_object().unwrap() {
        command[name] = value.clone();
    }
    w.ask(who, command)
}

fn ten(seed: u64) -> (World, Who) {
    let mut w = World::new(seed);
    let ada = w.user("ada");
    for n in 1..=10 {
        w.say(ada, "chat:lobby", &n.to_string());
    }
    (w, ada)
}

#[test]
fn pages_go_backwards_and_forwards_oldest_first() {
    let (mut w, ada) = ten(1);
    let newest = page(&mut w, ada, json!({ "limit": 3 }));
    assert_eq!((offsets(&newest), &newest["more"]), (vec![8, 9, 10], &json!(true)));
    assert_eq!(newest["offset"], 10);
    let before = page(&mut w, ada, json!({ "limit": 3, "before": 8 }));
    assert_eq!((offsets(&before), &before["more"]), (vec![5, 6, 7], &json!(true)));
    let first = page(&mut w, ada, json!({ "before": 3 }));
    assert_eq!((offsets(&first), &first["more"]), (vec![1, 2], &json!(false)));
    let after = page(&mut w, ada, json!({ "limit": 3, "after": 2 }));
    assert_eq!((offsets(&after), &after["more"]), (vec![3, 4, 5], &json!(true)));
    let last = page(&mut w, ada, json!({ "after": 8 }));
    assert_eq!((offsets(&last), &last["more"]), (vec![9, 10], &json!(false)));
}

#[test]
fn the_largest_numbers_there_are_do_no_harm() {
    let (mut w, ada) = ten(2);
    let end = page(&mut w, ada, json!({ "after": u64::MAX }));
    assert_eq!((offsets(&end), &end["more"]), (vec![], &json!(false)));
    assert_eq!(offsets(&page(&mut w, ada, json!({ "before": u64::MAX, "limit": 1 }))), [10]);
    assert!(offsets(&page(&mut w, ada, json!({ "before": 0 }))).is_empty());
    assert_eq!(offsets(&page(&mut w, ada, json!({ "limit": u64::MAX }))).len(), 10);
    let both = page(&mut w, ada, json!({ "before": 5, "after": 3 }));
    assert_eq!(both["code"], "bad_request");
    let rewind = json!({ "type": "subscribe", "channel": "chat:lobby", "rewind": u64::MAX });
    assert_eq!(w.ask(ada, rewind)["type"], "subscribed");
    w.run(1.secs());
    assert_eq!(w.heard(ada, "chat:lobby").len(), 10);
}

#[test]
fn a_rewind_begins_with_the_newest_events() {
    let (mut w, _) = ten(3);
    let bob = w.user("bob");
    w.join_with(bob, "chat:lobby", 3, false);
    w.say(bob, "chat:lobby", "11");
    assert_eq!(w.heard(bob, "chat:lobby"), ["8", "9", "10", "11"]);
    w.check();
}

#[test]
fn events_expire_by_a_clock_that_does_not_jump() {
    let mut w = World::with(4, |setup| {
        setup.namespace("brief", |policy| policy.history.ttl = Period::secs(60));
        setup.namespace("saved", |policy| {
            policy.history.ttl = Period::secs(60);
            policy.history.durable = true;
        });
    });
    let ada = w.user("ada");
    for channel in ["brief:a", "saved:a"] {
        w.say(ada, channel, "1");
    }
    for jump in [86_400_000, -2 * 86_400_000] {
        w.clock_jump(jump);
        w.run(10.secs());
        for channel in ["brief:a", "saved:a"] {
            assert_eq!(w.read_all(ada, channel).unwrap().1.len(), 1, "{channel} after {jump}");
        }
    }
    w.run(40.secs());
    for channel in ["brief:a", "saved:a"] {
        let (at, events) = w.read_all(ada, channel).unwrap();
        assert_eq!((at.offset, events.len()), (1, 0), "{channel}");
    }
}

#[test]
fn a_durable_channel_that_left_memory_is_as_it_was() {
    let (mut w, ada) = ten(5);
    w.run(5.mins());
    assert_eq!(offsets(&page(&mut w, ada, json!({}))).len(), 10);
    w.say(ada, "chat:lobby", "11");
    assert_eq!(w.read_all(ada, "chat:lobby").unwrap().0.offset, 11);
}

#[test]
fn a_channel_in_memory_outlives_its_last_reader_for_as_long_as_its_events_do() {
    let mut w = World::with(6, |setup| {
        setup.namespace("brief", |policy| {
            policy.history.ttl = Period::secs(120);
            policy.history.dedup_window = Period::secs(120);
        });
    });
    let ada = w.user("ada");
    w.say(ada, "brief:a", "1");
    w.run(110.secs());
    let (at, events) = w.read_all(ada, "brief:a").unwrap();
    assert_eq!((at.offset, events.len()), (1, 1));
    w.run(10.mins());
    let (later, events) = w.read_all(ada, "brief:a").unwrap();
    assert_eq!((later.offset, events.len()), (0, 0));
    assert_ne!(later.epoch, at.epoch, "offsets start again, so the epoch must be another");
}
