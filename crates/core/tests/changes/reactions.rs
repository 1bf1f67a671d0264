//! Reactions and their counts.

use serde_json::{Value, json};
use tidings_sim::{Time, World};

use super::{LOBBY, history, lobby, react, unreact};

fn counts(frames: &[Value]) -> Vec<u64> {
    frames.iter().map(|frame| frame["count"].as_u64().unwrap()).collect()
}

#[test]
fn two_who_react_at_once_are_both_counted() {
    let (mut w, ada, bob) = lobby(21, &["one"]);
    w.join(ada, LOBBY);
    // Both are at the store at once.
    let first = w.tell(ada, react(1, "👍"));
    let second = w.tell(bob, react(1, "👍"));
    w.run(1.secs());
    assert!(w.answer(ada, first).is_some() && w.answer(bob, second).is_some());
    assert_eq!(counts(&w.frames_of(ada, "reacted")), [1, 2]);
    let event = &history(&mut w, ada, LOBBY)[0];
    let reaction = &event["reactions"]["👍"];
    assert_eq!((&reaction["count"], reaction["users"].as_array().unwrap().len()), (&2.into(), 2));
    w.check();
}

#[test]
fn a_reaction_counts_once_and_can_be_taken_back() {
    let (mut w, ada, bob) = lobby(22, &["one"]);
    w.join(ada, LOBBY);
    for command in [react(1, "+1"), react(1, "+1"), unreact(1, "-1"), unreact(1, "+1")] {
        assert_eq!(w.ask(bob, command)["type"], "published");
    }
    let told = w.frames_of(ada, "reacted");
    assert_eq!(counts(&told), [1, 1, 0, 0]);
    assert!(told[0].get("removed").is_none() && told[3]["removed"] == true);
    assert!(history(&mut w, ada, LOBBY)[0].get("reactions").is_none());
    w.check();
}

#[test]
fn what_one_sends_in_a_row_is_counted_right_before_it_is_stored() {
    let (mut w, ada, bob) = lobby(23, &["one"]);
    w.join(ada, LOBBY);
    for _ in 0..3 {
        w.tell(bob, react(1, "+1"));
        w.tell(ada, react(1, "+1"));
        w.tell(bob, unreact(1, "+1"));
    }
    w.run(2.secs());
    assert_eq!(w.frames_of(ada, "reacted").len(), 9);
    let event = history(&mut w, ada, LOBBY)[0].clone();
    assert_eq!(event["reactions"]["+1"], json!({ "count": 1, "users": ["ada"] }));
    assert_eq!(w.frames_of(ada, "reacted")[8]["count"], 1);
    w.check();
}

#[test]
fn an_event_has_at_most_twenty_different_reactions() {
    let (mut w, ada, bob) = lobby(24, &["one"]);
    // All at once: what is at the store counts too.
    let ids: Vec<u64> = (0..30).map(|n| w.tell(bob, react(1, &format!("r{n}")))).collect();
    w.run(5.secs());
    let codes: Vec<_> = ids.iter().map(|id| w.answer(bob, *id).unwrap()["code"].clone()).collect();
    assert_eq!(codes.iter().filter(|code| code.is_null()).count(), 20);
    assert!(codes[20..].iter().all(|code| code == "too_large"), "{codes:?}");
    assert_eq!(w.ask(ada, react(1, "more"))["limit"], "reactions");
    assert_eq!(w.ask(ada, react(1, "r3"))["type"], "published", "one that is there");
    assert_eq!(w.ask(bob, unreact(1, "r5"))["type"], "published");
    assert_eq!(w.ask(ada, react(1, "more"))["type"], "published", "a place is free");
    w.check();
}

#[test]
fn a_storm_of_reactions_is_bounded_and_counted() {
    let mut w = World::with(25, |setup| {
        setup.namespace("memo", |policy| policy.history.size = 50);
    });
    let ada = w.user("ada");
    w.say(ada, "memo:a", "one");
    let users = 60;
    for n in 0..users {
        let who = w.user(&format!("user-{n}"));
        let mut command = react(1, "🎉");
        command["channel"] = "memo:a".into();
        assert_eq!(w.ask(who, command)["type"], "published");
    }
    let event = &history(&mut w, ada, "memo:a")[0];
    assert_eq!(event["reactions"]["🎉"]["count"], users);
    assert_eq!(event["reactions"]["🎉"]["users"].as_array().unwrap().len(), 50);
    w.run(1.secs());
    w.check();
}

#[test]
fn no_reaction_is_empty_or_has_control_characters() {
    let (mut w, ada, _) = lobby(26, &["one"]);
    for odd in ["", "a\nb", "\u{0}"] {
        assert_eq!(w.ask(ada, react(1, odd))["code"], "bad_request", "{odd:?}");
    }
    let none = json!({ "type": "react", "channel": LOBBY, "offset": 1 });
    assert_eq!(w.ask(ada, none)["code"], "bad_request");
    w.check();
}
