//! Stored, then acknowledged, then told; and what a store that fails leaves behind.

use serde_json::json;
use tidings_core::store::StoreError;

use crate::desk::Desk;
use crate::notifying::open;

#[test]
fn nothing_is_shown_that_is_not_stored() {
    let mut desk = Desk::new();
    let ada = desk.device("ada");
    desk.slow = true;
    assert!(desk.notify("ada", None, None).is_null());
    desk.say(ada, &json!({ "type": "inbox", "id": 3 }));
    desk.say(ada, &json!({ "type": "mark", "id": 4, "as": "seen", "upto": 1 }));
    assert!(desk.heard(ada).is_empty(), "all of it waits for the store");
    desk.store(&Ok(()));
    let frames = desk.heard(ada);
    let kinds: Vec<_> = frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["inbox", "marked", "notification", "mark"]);
    assert_eq!(frames[0]["unseen"], 1, "as of its own place in the order");
    assert_eq!(frames[1]["unseen"], 0);
}

#[test]
fn what_the_store_refused_never_was() {
    let mut desk = Desk::new();
    let ada = desk.device("ada");
    desk.notify("ada", None, None);
    desk.heard(ada);
    desk.slow = true;
    desk.notify("ada", Some("k"), None);
    desk.say(ada, &json!({ "type": "mark", "id": 4, "as": "read", "upto": 9 }));
    desk.say(ada, &json!({ "type": "inbox", "id": 5 }));
    desk.slow = false;
    desk.store(&Err(StoreError::Full));
    for id in [4, 5] {
        assert_eq!(desk.answer(ada, &json!(id)).unwrap()["code"], "unavailable");
    }
    assert!(desk.heard(ada).is_empty(), "nobody was told");
    let page = open(&mut desk, ada);
    assert_eq!((&page["unread"], &page["offset"]), (&json!(1), &json!(1)));
    assert_eq!(desk.notify("ada", Some("k"), None)["duplicate"], false);
    assert_eq!(open(&mut desk, ada)["unread"], 2);
}

#[test]
fn a_store_that_cannot_be_read_either_is_asked_again() {
    let mut desk = Desk::new();
    let ada = desk.device("ada");
    desk.notify("ada", None, None);
    desk.slow = true;
    desk.notify("ada", None, None);
    (desk.slow, desk.blind) = (false, true);
    desk.store(&Err(StoreError::Full));
    let refused = desk.ask(ada, &json!({ "type": "inbox", "id": 5 }));
    assert_eq!(refused["code"], "unavailable", "what is in memory is not to be trusted");
    desk.blind = false;
    assert_eq!(open(&mut desk, ada)["unread"], 1);
}

#[test]
fn an_inbox_is_the_same_after_a_restart_with_or_without_checkpoints() {
    let mut desk = Desk::new();
    let ada = desk.device("ada");
    let subscription = json!({ "endpoint": "https://push.example/1", "keys": {
        "p256dh": "key", "auth": "secret" } });
    desk.ask(ada, &json!({ "type": "push_subscribe", "id": 3, "subscription": subscription }));
    for n in 0..1500 {
        desk.notify("ada", None, (n % 7 == 0).then_some(1_000_000));
        if n % 3 == 0 {
            let mark = json!({ "type": "mark", "id": 4, "as": "read", "ids": [n, n / 2] });
            desk.ask(ada, &mark);
        }
    }
    assert!(desk.disk["\0fold:inbox:ada"].last_offset > 1, "there were checkpoints");
    assert!(desk.disk["inbox:ada"].events.len() < 1900, "the log is short");
    let before = open(&mut desk, ada);
    desk.restart();
    let ada = desk.user("ada");
    assert_eq!(open(&mut desk, ada), before);
    let mut all = desk.ask(ada, &json!({ "type": "inbox", "id": 5, "limit": 100 }));
    let mut unread = 0;
    loop {
        let items = all["items"].as_array().unwrap();
        unread += items.iter().filter(|item| item["read"] == false).count();
        if all["more"] == false {
            break;
        }
        let before = items.last().unwrap()["id"].clone();
        let ask = json!({ "type": "inbox", "id": 5, "limit": 100, "before": before });
        all = desk.ask(ada, &ask);
    }
    assert_eq!(before["unread"], unread, "counted anew");
}

#[test]
fn a_long_log_is_read_once_the_next_time_there_is_a_checkpoint() {
    let mut desk = Desk::new();
    let pages = |desk: &Desk| desk.disk["\0fold:inbox:ada"].last_offset;
    for _ in 0..650 {
        desk.notify("ada", None, None);
    }
    let ada = desk.device("ada");
    let (whole, before) = (open(&mut desk, ada), pages(&desk));
    desk.restart();
    let ada = desk.user("ada");
    assert_eq!(open(&mut desk, ada), whole);
    let opened = pages(&desk);
    assert!(opened > before, "who has read a long log keeps what came of it");
    desk.restart();
    let ada = desk.user("ada");
    assert_eq!(open(&mut desk, ada), whole);
    assert_eq!(pages(&desk), opened, "nothing has changed since");
    for _ in 0..650 {
        desk.notify("bob", None, None);
    }
    let bobs = |desk: &Desk| desk.disk["\0fold:inbox:bob"].last_offset;
    let before = bobs(&desk);
    for _ in 0..3 {
        desk.pass(3_600_000);
    }
    assert!(bobs(&desk) > before, "bob's leaves memory, and a checkpoint behind");
    let bob = desk.device("bob");
    assert_eq!(open(&mut desk, bob)["unread"], 650);
}

#[test]
fn the_pushes_address_is_told_nobody() {
    let mut desk = Desk::new();
    let ada = desk.device("ada");
    let subscribe = json!({ "type": "push_subscribe", "id": 3, "subscription": {
        "endpoint": "https://push.example/1", "keys": { "p256dh": "key", "auth": "secret" } } });
    assert_eq!(desk.ask(ada, &subscribe)["type"], "push_subscribed");
    let hidden = json!([{ "type": "hidden", "channel": "inbox:ada", "offset": 1 }]);
    assert_eq!(json!(desk.heard(ada)), hidden);
    desk.restart();
    let ada = desk.user("ada");
    let history = json!({ "type": "history", "id": 4, "channel": "inbox:ada" });
    assert_eq!(desk.ask(ada, &history)["events"], hidden);
}

#[test]
fn in_memory_webhooks_are_told_what_users_are_and_no_secret() {
    let mut desk = Desk::in_memory();
    let ada = desk.device("ada");
    let subscribe = json!({ "type": "push_subscribe", "id": 3, "subscription": {
        "endpoint": "https://push.example/1", "keys": { "p256dh": "key", "auth": "secret" } } });
    assert_eq!(desk.ask(ada, &subscribe)["type"], "push_subscribed");
    desk.ask(ada, &json!({ "type": "follow", "id": 4, "topic": "news" }));
    assert_eq!(desk.noticed, Vec::<serde_json::Value>::new());
    desk.notify("ada", None, None);
    assert_eq!(desk.noticed.len(), 1);
    assert_eq!(desk.noticed[0]["type"], "notification");
    assert_eq!(open(&mut desk, ada)["unread"], 1);
}
