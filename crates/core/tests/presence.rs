//! Presence: who is here, told once, without ghosts.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "stories, told briefly")]

use serde_json::{Value, json};
use tidings_core::Period;
use tidings_sim::{Time, Who, World};

const ROOM: &str = "memo:room";

/// Action, user and number of sessions of each presence push.
fn pushes(w: &World, who: Who) -> Vec<(String, String, u64)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let push = |frame: Value| {
        let member = &frame["member"];
        let sessions = member["sessions"].as_u64().unwrap_or(0);
        (text(&frame["action"]), text(&member["user"]), sessions)
    };
    w.frames_of(who, "presence").into_iter().map(push).collect()
}

fn push(action: &str, user: &str, sessions: u64) -> (String, String, u64) {
    (action.into(), user.into(), sessions)
}

fn members(w: &mut World, who: Who) -> Value {
    w.ask(who, json!({ "type": "presence", "channel": ROOM }))
}

fn command(kind: &str, data: i32) -> Value {
    json!({ "type": kind, "channel": ROOM, "data": data })
}

#[test]
fn enter_update_and_leave_are_three_different_pushes() {
    let mut w = World::new(1);
    let (ada, bob) = (w.user("ada"), w.user("bob"));
    w.join_with(bob, ROOM, 0, true);
    w.ask(ada, command("enter", 1));
    w.ask(ada, command("update", 2));
    w.ask(ada, command("update", 2));
    w.ask(ada, command("leave", 0));
    let expected = [push("enter", "ada", 1), push("update", "ada", 1), push("leave", "ada", 0)];
    assert_eq!(pushes(&w, bob), expected);
    assert_eq!(w.ask(ada, command("leave", 0))["code"], "not_subscribed");
    assert_eq!(w.ask(ada, command("update", 3))["code"], "not_subscribed");
    w.check();
}

#[test]
fn only_those_who_asked_are_told() {
    let mut w = World::new(2);
    let (ada, bob) = (w.user("ada"), w.user("bob"));
    w.join(bob, ROOM);
    w.ask(ada, command("enter", 1));
    w.run(1.secs());
    assert!(pushes(&w, bob).is_empty());
}

#[test]
fn a_reload_is_neither_a_leave_nor_an_enter() {
    let mut w = World::new(3);
    let (ada, bob) = (w.user("ada"), w.user("bob"));
    w.join_with(bob, ROOM, 0, true);
    w.ask(ada, command("enter", 1));
    w.drop_link(ada);
    w.run(1.ms());
    w.come_back(ada);
    w.run(60.secs());
    assert_eq!(pushes(&w, bob), [push("enter", "ada", 1)]);
    assert_eq!(members(&mut w, bob)["count"], 1);
}

#[test]
fn who_does_not_come_back_leaves_after_the_delay_and_was_last_seen_before() {
    let mut w = World::new(4);
    let (ada, bob) = (w.user("ada"), w.user("bob"));
    w.join_with(bob, ROOM, 0, true);
    w.ask(ada, command("enter", 1));
    let gone_ms = w.wall_ms();
    w.leave_for_good(ada);
    w.run(4.secs());
    assert_eq!(members(&mut w, bob)["count"], 1);
    w.run(2.secs());
    assert_eq!(pushes(&w, bob).last().unwrap(), &push("leave", "ada", 0));
    let here = members(&mut w, bob);
    assert_eq!((&here["count"], &here["members"]), (&json!(0), &json!([])));
    assert_eq!(here["departed"][0]["user"], "ada");
    let seen = here["departed"][0]["last_seen"].as_str().unwrap().to_owned();
    let near = tidings_proto::Timestamp(gone_ms).to_string();
    assert_eq!(seen[..18], near[..18], "not when the delay was over");
}

#[test]
fn two_devices_are_one_member() {
    let mut w = World::new(5);
    let (phone, laptop, bob) = (w.user("ada"), w.user("ada"), w.user("bob"));
    w.join_with(bob, ROOM, 0, true);
    w.ask(phone, command("enter", 1));
    w.ask(laptop, command("enter", 1));
    w.ask(phone, command("leave", 0));
    w.ask(laptop, command("leave", 0));
    let expected = [
        push("enter", "ada", 1),
        push("update", "ada", 2),
        push("update", "ada", 1),
        push("leave", "ada", 0),
    ];
    assert_eq!(pushes(&w, bob), expected);
}

#[test]
fn unsubscribing_and_ending_are_leaves() {
    let mut w = World::new(6);
    let (ada, cyd, bob) = (w.user("ada"), w.user("cyd"), w.user("bob"));
    for who in [ada, cyd] {
        w.join(who, ROOM);
        w.ask(who, command("enter", 1));
    }
    w.part(ada, ROOM);
    assert_eq!(members(&mut w, bob)["count"], 1);
    w.half_open(cyd);
    w.leave_for_good(cyd);
    w.run(60.secs());
    assert_eq!(members(&mut w, bob)["count"], 0, "a dead connection is noticed");
}

#[test]
fn above_members_max_counts_alone_are_told_and_at_most_one_a_second() {
    let mut w = World::with(7, |setup| {
        setup.namespace("memo", |policy| policy.presence.members_max = 2);
    });
    let bob = w.user("bob");
    w.join_with(bob, ROOM, 0, true);
    let crowd: Vec<Who> = (0..12).map(|n| w.user(&format!("user-{n}"))).collect();
    for (n, who) in crowd.iter().enumerate() {
        w.ask(*who, command("enter", n as i32));
        w.run(400.ms());
    }
    w.run(3.secs());
    let here = members(&mut w, bob);
    assert_eq!((&here["count"], &here["members"]), (&json!(12), &Value::Null));
    let counts = w.frames_of(bob, "presence");
    let counts: Vec<u64> = counts[2..].iter().map(|push| push["count"].as_u64().unwrap()).collect();
    assert_eq!(counts.last(), Some(&12));
    assert!(counts.len() <= 7, "ten entered in five seconds: {counts:?}");
    assert!(pushes(&w, bob)[2..].iter().all(|(action, ..)| action == "count"));
}

#[test]
fn only_so_many_departed_are_remembered() {
    let mut w = World::with(8, |setup| {
        setup.namespace("memo", |policy| {
            policy.presence.departed = 2;
            policy.presence.leave_delay = Period::secs(0);
        });
    });
    let bob = w.user("bob");
    w.ask(bob, command("enter", 0));
    for name in ["ada", "cyd", "dan"] {
        let who = w.user(name);
        w.ask(who, command("enter", 1));
        w.ask(who, command("leave", 1));
    }
    let here = members(&mut w, bob);
    let departed = here["departed"].as_array().unwrap().clone();
    let names: Vec<&str> = departed.iter().map(|one| one["user"].as_str().unwrap()).collect();
    assert_eq!(names, ["dan", "cyd"]);
}

#[test]
fn what_a_member_shows_has_a_limit() {
    let mut w = World::new(9);
    let ada = w.user("ada");
    let long = json!({ "type": "enter", "channel": ROOM, "data": "x".repeat(5000) });
    assert_eq!(w.ask(ada, long)["code"], "too_large");
    assert_eq!(members(&mut w, ada)["count"], 0);
}
