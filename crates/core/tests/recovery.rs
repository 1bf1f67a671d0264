//! Coming back: what was missed arrives once, in order, or a gap says why not.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "stories, told briefly")]

use serde_json::json;
use tidings_sim::{Keeping, Time, World};

#[test]
fn ada_gets_once_what_she_missed_while_her_link_was_down() {
    let mut w = World::new(1);
    let (ada, bob) = (w.user("ada"), w.user("bob"));
    w.join(ada, "chat:lobby");
    w.say(ada, "chat:lobby", "hi");
    w.drop_link(ada);
    for text in ["one", "two", "three"] {
        w.say(bob, "chat:lobby", text);
    }
    w.run(30.secs());
    assert_eq!(w.heard(ada, "chat:lobby"), ["hi", "one", "two", "three"]);
    assert_eq!(w.recovered(ada, "chat:lobby"), [false, true]);
    assert!(w.gaps(ada, "chat:lobby").is_empty());
    w.check();
}

#[test]
fn a_half_open_link_is_noticed_and_nothing_is_missed() {
    let mut w = World::new(2);
    let (ada, bob) = (w.user("ada"), w.user("bob"));
    w.join(ada, "chat:lobby");
    w.half_open(ada);
    w.say(bob, "chat:lobby", "hello?");
    w.run(90.secs());
    assert_eq!(w.heard(ada, "chat:lobby"), ["hello?"]);
    w.check();
}

#[test]
fn what_history_no_longer_has_is_a_gap() {
    let mut w = World::new(3);
    let (ada, bob) = (w.user("ada"), w.user("bob"));
    w.join(ada, "tiny:room");
    w.go_away(ada);
    for text in ["1", "2", "3", "4", "5"] {
        w.say(bob, "tiny:room", text);
    }
    w.come_back(ada);
    assert_eq!(w.gaps(ada, "tiny:room"), ["expired"]);
    let gap = &w.frames_of(ada, "gap")[0];
    assert_eq!((&gap["from"]["offset"], &gap["to"]["offset"]), (&json!(0), &json!(5)));
    w.say(bob, "tiny:room", "6");
    assert_eq!(w.heard(ada, "tiny:room"), ["6"]);
    w.check();
}

#[test]
fn a_rewind_is_what_happens_when_the_position_cannot_be_recovered() {
    let mut w = World::new(4);
    let (ada, bob) = (w.user("ada"), w.user("bob"));
    w.join_with(ada, "tiny:room", 2, false);
    w.say(bob, "tiny:room", "0");
    w.go_away(ada);
    for text in ["1", "2", "3", "4", "5"] {
        w.say(bob, "tiny:room", text);
    }
    w.come_back(ada);
    assert_eq!(w.gaps(ada, "tiny:room"), ["expired"]);
    assert_eq!(w.heard(ada, "tiny:room"), ["0", "4", "5"]);
    w.check();
}

#[test]
fn a_channel_in_memory_has_a_new_epoch_after_a_restart() {
    let mut w = World::new(5);
    let ada = w.user("ada");
    w.join(ada, "memo:room");
    w.say(ada, "memo:room", "before");
    w.restart(1.secs());
    w.run(40.secs());
    assert_eq!(w.gaps(ada, "memo:room"), ["new_epoch"]);
    w.say(ada, "memo:room", "after");
    w.run(3.secs()); // Its producer's numbers were forgotten too: it has to count again.
    assert_eq!(w.heard(ada, "memo:room"), ["before", "after"]);
}

#[test]
fn a_durable_channel_keeps_its_epoch_through_kill_and_power_failure() {
    let mut w = World::new(6);
    let ada = w.user("ada");
    w.join(ada, "chat:lobby");
    w.say(ada, "chat:lobby", "1");
    let (epoch, _) = w.position(ada, "chat:lobby").unwrap();
    w.kill(1.secs());
    w.run(40.secs());
    w.say(ada, "chat:lobby", "2");
    w.power_failure(1.secs());
    w.run(40.secs());
    w.say(ada, "chat:lobby", "3");
    assert_eq!(w.position(ada, "chat:lobby").unwrap(), (epoch, 3));
    assert_eq!(w.heard(ada, "chat:lobby"), ["1", "2", "3"]);
    assert_eq!(w.recovered(ada, "chat:lobby"), [false, true, true]);
    w.check();
}

#[test]
fn a_position_ahead_of_the_channel_is_too_far() {
    let mut w = World::new(7);
    let ada = w.user("ada");
    w.join(ada, "chat:lobby");
    w.say(ada, "chat:lobby", "1");
    let (epoch, _) = w.position(ada, "chat:lobby").unwrap();
    w.part(ada, "chat:lobby");
    for offset in [2, u64::MAX] {
        let since = json!({ "epoch": epoch, "offset": offset });
        let subscribe = json!({ "type": "subscribe", "channel": "chat:lobby", "since": since });
        assert_eq!(w.ask(ada, subscribe)["recovered"], false);
        assert_eq!(w.gaps(ada, "chat:lobby").last().unwrap(), "too_far");
        w.part(ada, "chat:lobby");
    }
}

#[test]
fn recovery_comes_in_pages_in_front_of_live_events_while_others_talk() {
    let mut w = World::with(8, |setup| setup.limits.page_events = 4);
    let (ada, bob) = (w.user("ada"), w.user("bob"));
    w.join(ada, "chat:lobby");
    w.go_away(ada);
    for n in 0..30 {
        w.publish(bob, "chat:lobby", json!({ "data": n.to_string() }));
    }
    w.run(1.secs());
    w.come_back(ada);
    w.slow_down(ada, 10.ms());
    for n in 30..60 {
        w.publish(bob, "chat:lobby", json!({ "data": n.to_string() }));
        w.run(7.ms());
    }
    w.run(10.secs());
    let all: Vec<String> = (0..60).map(|n| n.to_string()).collect();
    assert_eq!(w.heard(ada, "chat:lobby"), all);
    w.check();
}

#[test]
fn a_slow_reader_whose_pages_expire_gets_a_gap() {
    let mut w = World::with(9, |setup| {
        setup.limits.page_events = 2;
        setup.namespace("short", |policy| policy.history.size = 10);
    });
    let (ada, bob) = (w.user("ada"), w.user("bob"));
    w.join(ada, "short:room");
    w.go_away(ada);
    for n in 0..10 {
        w.say(bob, "short:room", &n.to_string());
    }
    w.come_back(ada);
    w.run(1.secs());
    assert_eq!(w.heard(ada, "short:room").len(), 10);
    w.go_away(ada);
    for n in 10..20 {
        w.say(bob, "short:room", &n.to_string());
    }
    w.come_back_stalled(ada);
    for n in 20..40 {
        w.say(bob, "short:room", &n.to_string());
    }
    w.speed_up(ada);
    w.run(5.secs());
    assert_eq!(w.gaps(ada, "short:room"), ["expired"]);
    assert_eq!(w.heard(ada, "short:room").last().unwrap(), "39");
    w.check();
}

#[test]
fn whoever_falls_too_far_behind_is_closed_and_recovers() {
    let mut w = World::with(10, |setup| setup.limits.backlog = 4 << 10);
    let (ada, bob) = (w.user("ada"), w.user("bob"));
    w.join(ada, "chat:lobby");
    w.stall(ada);
    for n in 0..40 {
        w.say(bob, "chat:lobby", &format!("{n} {}", "x".repeat(100)));
    }
    w.run(60.secs());
    assert_eq!(w.heard(ada, "chat:lobby").len(), 40);
    assert_eq!(w.closed(ada).len(), 1);
    w.check();
}

#[test]
fn presence_does_not_pass_a_reader_of_pages_by() {
    let mut w = World::with(11, |setup| setup.limits.page_events = 1);
    let (ada, bob) = (w.user("ada"), w.user("bob"));
    for n in 0..20 {
        w.say(bob, "chat:lobby", &n.to_string());
    }
    w.slow_down(ada, 20.ms());
    w.join_with(ada, "chat:lobby", 20, true);
    w.enter(bob, "chat:lobby", json!(1));
    let whisper = json!({ "type": "publish", "channel": "chat:lobby", "data": "psst",
                          "ephemeral": true });
    w.ask(bob, whisper);
    w.run(10.secs());
    assert_eq!(w.heard(ada, "chat:lobby").len(), 20);
    assert_eq!(w.members(ada, "chat:lobby").unwrap(), [("bob".into(), 1)]);
    assert_eq!(w.whispers(ada, "chat:lobby"), ["psst"]);
    w.check();
}

#[test]
fn a_map_does_for_a_store() {
    let mut w = World::with(12, |setup| setup.keeping = Keeping::Map);
    let ada = w.user("ada");
    w.join(ada, "chat:lobby");
    w.say(ada, "chat:lobby", "1");
    w.kill(1.secs());
    w.run(40.secs());
    w.say(ada, "chat:lobby", "2");
    assert_eq!(w.heard(ada, "chat:lobby"), ["1", "2"]);
    w.check();
}
