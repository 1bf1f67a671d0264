//! What whoever sends pushes is told.

use std::sync::Arc;

use serde_json::json;
use tidings_core::PushAnswer;

use crate::desk::Desk;
use crate::notifying::open;

fn subscribe(desk: &mut Desk, name: &str) {
    let user = desk.user(name);
    let subscribe = json!({ "type": "push_subscribe", "id": 3, "subscription": {
        "endpoint": "https://push.example/1", "keys": { "p256dh": "key", "auth": "secret" } } });
    assert_eq!(desk.ask(user, &subscribe)["type"], "push_subscribed");
    assert_eq!(open(desk, user)["push_key"], "the-key");
    desk.engine.close(desk.now, user, false);
    desk.run();
}

fn wanted(desk: &mut Desk, name: &str, id: u64) -> PushAnswer {
    desk.engine.ask_push(desk.now, 7, &Arc::from(name), id);
    desk.run();
    desk.pushed.pop().unwrap()
}

#[test]
fn a_push_is_due_for_who_has_a_browser_and_wanted_while_nobody_has_seen_it() {
    let mut desk = Desk::new();
    subscribe(&mut desk, "ada");
    desk.notify("bob", None, None);
    assert!(desk.due.is_empty());
    desk.notify("ada", None, None);
    let due = desk.due.pop().unwrap();
    assert_eq!((&*due.user, due.id), ("ada", 2));
    desk.restart();
    let PushAnswer::Wanted(text) = wanted(&mut desk, "ada", due.id) else { panic!("unwanted") };
    assert_eq!((text.unread, &*text.subscriptions[0].endpoint), (1, "https://push.example/1"));
    let item: serde_json::Value = serde_json::from_slice(&text.item).unwrap();
    assert_eq!(item["data"]["text"], "hello");
    let phone = desk.device("ada");
    assert_eq!(wanted(&mut desk, "ada", due.id), PushAnswer::Present);
    desk.ask(phone, &json!({ "type": "mark", "id": 4, "as": "seen", "upto": 2 }));
    assert_eq!(wanted(&mut desk, "ada", due.id), PushAnswer::Unwanted);
    assert_eq!(wanted(&mut desk, "ada", 99), PushAnswer::Unwanted);
}

#[test]
fn a_store_that_does_not_answer_is_no_reason_to_forget_a_push() {
    let mut desk = Desk::new();
    subscribe(&mut desk, "ada");
    desk.notify("ada", None, None);
    desk.restart();
    desk.blind = true;
    assert_eq!(wanted(&mut desk, "ada", 2), PushAnswer::Unknown);
    desk.blind = false;
    assert!(matches!(wanted(&mut desk, "ada", 2), PushAnswer::Wanted(_)));
}

#[test]
fn a_subscription_that_is_over_is_dropped_for_good() {
    let mut desk = Desk::new();
    subscribe(&mut desk, "ada");
    desk.notify("ada", None, None);
    desk.engine.drop_push(desk.now, &Arc::from("ada"), "https://push.example/1");
    desk.engine.drop_push(desk.now, &Arc::from("ada"), "https://push.example/1");
    desk.run();
    desk.restart();
    assert_eq!(wanted(&mut desk, "ada", 2), PushAnswer::Unwanted);
    assert_eq!(desk.disk["inbox:ada"].last_offset, 3, "dropped once");
}
