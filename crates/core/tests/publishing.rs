//! Publishing: exactly once, in order, or a refusal that says what to do.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "stories, told briefly")]

use serde_json::{Value, json};
use tidings_sim::{Time, Who, World};

fn publish(channel: &str, data: &str, fields: Value) -> Value {
    let mut command = json!({ "type": "publish", "channel": channel, "data": data });
    for (name, value) in fields.as_object().unwrap() {
        command[name] = value.clone();
    }
    command
}

fn numbered(data: &str, seq: u64) -> Value {
    publish("chat:lobby", data, json!({ "producer": "p", "seq": seq }))
}

fn texts(w: &mut World, who: Who, channel: &str) -> Vec<String> {
    let (_, events) = w.read_all(who, channel).unwrap();
    events.into_iter().map(|(_, data)| serde_json::from_str(&data).unwrap()).collect()
}

#[test]
fn a_publish_whose_answer_was_lost_is_one_event_also_after_a_restart() {
    let mut w = World::new(1);
    let ada = w.user("ada");
    w.publish(ada, "chat:lobby", json!({ "data": "once" }));
    w.run(45.ms());
    w.kill(1.secs());
    w.run(40.secs());
    assert_eq!(w.unsent(ada), 0);
    assert_eq!(texts(&mut w, ada, "chat:lobby"), ["once"]);
    w.check();
}

#[test]
fn a_number_that_was_used_returns_the_first_result() {
    let mut w = World::new(2);
    let ada = w.user("ada");
    let first = w.ask(ada, numbered("a", 1));
    assert_eq!((&first["offset"], &first["duplicate"]), (&json!(1), &json!(false)));
    w.restart(1.secs());
    w.run(40.secs());
    let again = w.ask(ada, numbered("a", 1));
    assert_eq!((&again["offset"], &again["duplicate"]), (&json!(1), &json!(true)));
    assert_eq!(again["epoch"], first["epoch"]);
    assert_eq!(w.ask(ada, numbered("b", 2))["offset"], 2);
    assert_eq!(w.ask(ada, numbered("a", 1))["offset"], 1, "an older one is still in history");
}

#[test]
fn a_number_that_does_not_follow_is_refused_with_the_one_that_would() {
    let mut w = World::new(3);
    let ada = w.user("ada");
    let refused = w.ask(ada, numbered("a", 5));
    assert_eq!((&refused["code"], &refused["expected"]), (&json!("out_of_sequence"), &json!(1)));
    w.ask(ada, numbered("a", 1));
    assert_eq!(w.ask(ada, numbered("b", 3))["expected"], 2);
    assert_eq!(texts(&mut w, ada, "chat:lobby"), ["a"]);
}

#[test]
fn what_is_too_large_uses_its_number_up() {
    let mut w = World::new(4);
    let ada = w.user("ada");
    let long = "x".repeat(40 << 10);
    assert_eq!(w.ask(ada, numbered(&long, 1))["code"], "too_large");
    w.kill(1.secs());
    w.run(40.secs());
    assert_eq!(w.ask(ada, numbered(&long, 1))["code"], "too_large", "also when sent again");
    assert_eq!(w.ask(ada, numbered("b", 2))["offset"], 1);
    assert_eq!(w.ask(ada, numbered(&long, 1))["code"], "too_large", "also when others followed");
}

#[test]
fn a_name_that_is_too_large_uses_its_number_up_too() {
    let mut w = World::new(5);
    let ada = w.user("ada");
    for (seq, field, size) in [(1, "event", 65), (2, "key", 129)] {
        let mut command = numbered("a", seq);
        command[field] = "x".repeat(size).into();
        assert_eq!(w.ask(ada, command)["code"], "too_large", "{field}");
    }
    assert_eq!(w.ask(ada, numbered("b", 3))["offset"], 1);
    let long = publish("chat:lobby", "c", json!({ "producer": "x".repeat(65), "seq": 1 }));
    assert_eq!(w.ask(ada, long)["code"], "too_large");
}

#[test]
fn a_refusal_of_rights_does_not_use_the_number_up() {
    let mut w = World::new(6);
    let ada = w.user("ada");
    let closed = publish("closed:room", "a", json!({ "producer": "p", "seq": 1 }));
    assert_eq!(w.ask(ada, closed.clone())["code"], "forbidden");
    let token = "user:ada;grants=closed:*=publish";
    assert_eq!(w.ask(ada, json!({ "type": "refresh", "token": token }))["type"], "refreshed");
    assert_eq!(w.ask(ada, closed)["offset"], 1);
}

#[test]
fn a_key_is_one_event_for_its_user_and_channel() {
    let mut w = World::new(7);
    let (ada, bob) = (w.user("ada"), w.user("bob"));
    let order = |channel: &str, data: &str| publish(channel, data, json!({ "key": "order-17" }));
    assert_eq!(w.ask(ada, order("chat:a", "1"))["duplicate"], false);
    let again = w.ask(ada, order("chat:a", "2"));
    assert_eq!((&again["offset"], &again["duplicate"]), (&json!(1), &json!(true)));
    assert_eq!(w.ask(bob, order("chat:a", "3"))["offset"], 2, "two users' keys never meet");
    assert_eq!(w.ask(ada, order("chat:b", "4"))["offset"], 1, "nor do two channels'");
    w.restart(1.secs());
    w.run(40.secs());
    assert_eq!(w.ask(ada, order("chat:a", "5"))["duplicate"], true);
    assert_eq!(texts(&mut w, ada, "chat:a"), ["1", "3"]);
}

#[test]
fn two_copies_at_once_get_the_same_result() {
    let mut w = World::new(8);
    let ada = w.user("ada");
    let first = w.tell(ada, publish("chat:a", "1", json!({ "key": "k" })));
    let second = w.tell(ada, publish("chat:a", "1", json!({ "key": "k" })));
    w.run(1.secs());
    let (first, second) = (w.answer(ada, first).unwrap(), w.answer(ada, second).unwrap());
    assert_eq!((&first["offset"], &first["duplicate"]), (&json!(1), &json!(false)));
    assert_eq!((&second["offset"], &second["duplicate"]), (&json!(1), &json!(true)));
    w.check();
}

#[test]
fn a_known_key_uses_the_number_that_came_with_it_up() {
    let mut w = World::new(9);
    let ada = w.user("ada");
    w.ask(ada, publish("chat:a", "1", json!({ "key": "k" })));
    let both = |seq: u64, key: &str| {
        publish("chat:a", "2", json!({ "producer": "p", "seq": seq, "key": key }))
    };
    let known = w.ask(ada, both(1, "k"));
    assert_eq!((&known["offset"], &known["duplicate"]), (&json!(1), &json!(true)));
    assert_eq!(w.ask(ada, both(2, "l"))["offset"], 2);
    w.kill(1.secs());
    w.run(40.secs());
    assert_eq!(w.ask(ada, both(1, "k"))["offset"], 1, "sent again, it is the same");
    assert_eq!(w.ask(ada, both(3, "k"))["offset"], 1);
    assert_eq!(w.ask(ada, both(4, "m"))["offset"], 3);
}

#[test]
fn ephemeral_events_have_no_offset_and_no_history() {
    let mut w = World::new(10);
    let (ada, bob) = (w.user("ada"), w.user("bob"));
    w.join(bob, "chat:lobby");
    let typing = publish("chat:lobby", "typing", json!({ "ephemeral": true }));
    let published = w.ask(ada, typing);
    assert_eq!((&published["offset"], &published["level"]), (&Value::Null, &json!("memory")));
    w.run(1.secs());
    assert_eq!(w.whispers(bob, "chat:lobby"), ["typing"]);
    assert!(w.heard(bob, "chat:lobby").is_empty());
    assert!(texts(&mut w, ada, "chat:lobby").is_empty());
    let both = publish("chat:lobby", "x", json!({ "ephemeral": true, "key": "k" }));
    assert_eq!(w.ask(ada, both)["code"], "bad_request");
    w.check();
}

#[test]
fn without_echo_all_but_the_publishing_session_get_it() {
    let mut w = World::new(11);
    let (ada, tablet, bob) = (w.user("ada"), w.user("ada"), w.user("bob"));
    for who in [ada, tablet, bob] {
        w.join(who, "chat:lobby");
    }
    w.ask(ada, publish("chat:lobby", "quiet", json!({ "echo": false })));
    w.say(ada, "chat:lobby", "loud");
    assert_eq!(w.heard(ada, "chat:lobby"), ["loud"]);
    assert_eq!(w.heard(tablet, "chat:lobby"), ["quiet", "loud"]);
    assert_eq!(w.heard(bob, "chat:lobby"), ["quiet", "loud"]);
    w.check();
}

#[test]
fn a_store_that_fails_loses_and_doubles_nothing() {
    let mut w = World::new(12);
    let (ada, bob) = (w.user("ada"), w.user("bob"));
    w.join(bob, "chat:lobby");
    w.say(ada, "chat:lobby", "1");
    w.disk_space(Some(10));
    let refused = w.ask(bob, publish("chat:lobby", "no", json!({})));
    assert_eq!((&refused["code"], &refused["retryable"]), (&json!("unavailable"), &json!(true)));
    for text in ["2", "3", "4"] {
        w.publish(ada, "chat:lobby", json!({ "data": text }));
    }
    w.run(5.secs());
    assert_eq!(w.heard(bob, "chat:lobby"), ["1"]);
    w.disk_space(None);
    w.run(10.secs());
    assert_eq!(w.heard(bob, "chat:lobby"), ["1", "2", "3", "4"]);
    w.fail_syncs(2);
    w.say(ada, "chat:lobby", "5");
    w.power_failure(1.secs());
    w.run(60.secs());
    assert_eq!(w.heard(bob, "chat:lobby"), ["1", "2", "3", "4", "5"]);
    w.check();
}

#[test]
fn a_refusal_that_could_not_be_stored_does_not_lose_the_number_behind_it() {
    let mut w = World::with(13, |setup| {
        (setup.commit_ms, setup.latency_ms) = ((20, 20), (1, 1));
    });
    let ada = w.user("ada");
    w.fail_writes(1);
    let long = "x".repeat(40 << 10);
    let refused = w.tell(ada, numbered(&long, 1));
    w.run(10.ms());
    let stored = w.tell(ada, numbered("b", 2));
    w.run(1.secs());
    assert_eq!(w.answer(ada, refused).unwrap()["code"], "unavailable");
    assert_eq!(w.answer(ada, stored).unwrap()["offset"], 1);
    let again = w.ask(ada, numbered("b", 2));
    assert_eq!((&again["offset"], &again["duplicate"]), (&json!(1), &json!(true)));
    assert_eq!(w.ask(ada, numbered("c", 3))["offset"], 2);
    assert_eq!(w.ask(ada, numbered(&long, 1))["code"], "too_large");
    w.check();
}
