//! What is to be seen of those who have a document open.

use serde_json::{Value, json};

use crate::desk::{DOC, Desk};

fn aware(id: u64, client: u64, clock: u64, state: &Value) -> Value {
    json!({
        "type": "awareness", "id": id, "channel": DOC,
        "client": client, "clock": clock, "state": state,
    })
}

#[test]
fn cursors_are_told_together_after_a_moment_the_newest_of_each() {
    let mut desk = Desk::with(2, |_, _| {});
    let (ada, bob, carl) = (desk.reader("ada"), desk.reader("bob"), desk.reader("carl/presence"));
    for who in [ada, bob, carl] {
        desk.heard(who);
    }
    for clock in 1..=5 {
        assert_eq!(desk.ask(ada, &aware(4, 1, clock, &json!({ "at": clock })))["type"], "noted");
    }
    desk.ask(bob, &aware(4, 2, 1, &json!("bob")));
    assert!(desk.heard(bob).is_empty());
    desk.moment();
    let heard = desk.heard(bob);
    let states = json!([
        { "client": 1, "clock": 5, "user": "ada", "state": { "at": 5 } },
        { "client": 2, "clock": 1, "user": "bob", "state": "bob" },
    ]);
    assert_eq!(heard, [json!({ "type": "awareness", "channel": DOC, "states": states })]);
    assert!(desk.heard(carl).is_empty(), "he may not see them");
    assert_eq!(desk.ask(carl, &aware(4, 3, 1, &json!(1)))["code"], "forbidden");
    let dora = desk.reader("dora");
    let heard = desk.heard(dora);
    assert_eq!((&heard[0]["type"], &heard[1]["states"]), (&json!("access"), &states));
}

#[test]
fn who_leaves_is_not_seen_any_more_and_who_falls_silent_neither() {
    let mut desk = Desk::new();
    let (ada, bob) = (desk.reader("ada"), desk.reader("bob"));
    desk.ask(ada, &aware(4, 1, 7, &json!(1)));
    desk.ask(bob, &aware(4, 2, 1, &json!(1)));
    desk.moment();
    desk.heard(bob);
    desk.leave(ada);
    desk.moment();
    let gone = json!([{ "client": 1, "clock": 7, "user": "ada", "state": null }]);
    assert_eq!(desk.heard(bob)[0]["states"], gone);
    desk.pass(31_000);
    let heard = desk.heard(bob);
    assert_eq!(heard[0]["states"][0]["client"], 2, "not heard of for 30 s");
    assert_eq!(heard[0]["states"][0]["state"], json!(null));
}

#[test]
fn nobody_moves_somebody_else_s_cursor_or_shows_too_much() {
    let mut desk = Desk::new();
    let (ada, eve) = (desk.reader("ada"), desk.reader("eve"));
    desk.ask(ada, &aware(4, 1, 1, &json!(1)));
    assert_eq!(desk.ask(eve, &aware(4, 1, 2, &json!("eve")))["code"], "forbidden");
    let long = json!("x".repeat(5000));
    assert_eq!(desk.ask(eve, &aware(4, 2, 1, &long))["limit"], "awareness");
    for client in 10..20 {
        assert_eq!(desk.ask(eve, &aware(4, client, 1, &json!(1)))["type"], "noted");
    }
    assert_eq!(desk.ask(eve, &aware(4, 20, 1, &json!(1)))["limit"], "awareness_clients");
    let outside = desk.user("ada");
    assert_eq!(desk.ask(outside, &aware(4, 30, 1, &json!(1)))["code"], "not_subscribed");
}

#[test]
fn rights_that_change_are_told_and_hold_at_once() {
    let mut desk = Desk::new();
    let (ada, bob) = (desk.reader("ada"), desk.reader("bob"));
    desk.ask(bob, &aware(4, 2, 1, &json!("bob")));
    desk.ask(ada, &aware(4, 1, 1, &json!("ada")));
    desk.moment();
    desk.heard(ada);
    desk.heard(bob);
    let refresh = |token: &str| json!({ "type": "refresh", "id": 5, "token": token });
    desk.ask(ada, &refresh("ada/publish,presence"));
    let access = json!({ "type": "access", "channel": DOC, "write": false, "awareness": false });
    assert_eq!(desk.heard(ada), [access]);
    desk.moment();
    assert_eq!(desk.heard(bob)[0]["states"][0]["state"], json!(null), "she is not seen");
    desk.ask(bob, &aware(4, 2, 2, &json!("here")));
    desk.moment();
    assert!(desk.heard(ada).is_empty(), "and does not see");
    desk.ask(ada, &refresh("ada"));
    let heard = desk.heard(ada);
    assert_eq!((&heard[0]["write"], &heard[0]["awareness"]), (&json!(true), &json!(true)));
    assert_eq!(heard[1]["states"][0]["state"], "here");
    desk.ask(bob, &aware(4, 2, 3, &json!("there")));
    desk.moment();
    assert_eq!(desk.heard(ada).len(), 1);
    desk.ask(ada, &refresh("ada/subscribe"));
    assert_eq!(desk.heard(ada)[0]["code"], "forbidden");
}
