//! Who writes what, and who is told no.

use serde_json::{Value, json};
use tidings_core::store::StoreError;

use crate::desk::Desk;

fn set(id: u64, key: &str, value: &Value) -> Value {
    json!({ "type": "set", "id": id, "channel": "board:main", "key": key, "value": value })
}

fn with(mut command: Value, more: &Value) -> Value {
    let more = more.as_object().unwrap().clone();
    command.as_object_mut().unwrap().extend(more);
    command
}

fn get(desk: &mut Desk, channel: &str) -> Value {
    let eve = desk.open();
    desk.ask(eve, &json!({ "type": "get", "id": 1, "channel": channel }))
}

#[test]
fn a_value_is_stored_then_acknowledged_then_told() {
    let mut desk = Desk::new();
    let (ada, bob) = (desk.open(), desk.open());
    desk.ask(bob, &json!({ "type": "subscribe", "id": 1, "channel": "board:main" }));
    desk.heard(bob);
    desk.slow = true;
    desk.say(ada, &set(1, "title", &json!("Plan")));
    assert!(desk.heard(ada).is_empty() && desk.heard(bob).is_empty());
    assert_eq!(get(&mut desk, "board:main")["entries"], json!([]), "it is not stored yet");
    desk.store(Ok(()));
    let written = &desk.heard(ada)[0];
    assert_eq!(
        (&written["type"], &written["key"], &written["offset"], &written["version"]),
        (&json!("written"), &json!("title"), &json!(1), &json!(1))
    );
    assert_eq!((&written["level"], &written["duplicate"]), (&json!("fsync"), &json!(false)));
    let told = &desk.heard(bob)[0];
    assert_eq!(
        (&told["type"], &told["value"], &told["version"]),
        (&json!("state"), &json!("Plan"), &json!(1))
    );
}

#[test]
fn of_two_who_compare_and_set_at_once_one_is_told_no() {
    let mut desk = Desk::new();
    let (ada, bob) = (desk.open(), desk.open());
    desk.slow = true;
    let free = json!({ "if_version": 0 });
    desk.say(ada, &with(set(1, "lock", &json!("ada")), &free));
    desk.say(bob, &with(set(1, "lock", &json!("bob")), &free));
    let refused = &desk.heard(bob)[0];
    assert_eq!((&refused["code"], &refused["version"]), (&json!("conflict"), &json!(1)));
    assert_eq!(refused["retryable"], false);
    desk.store(Ok(()));
    assert_eq!(desk.heard(ada)[0]["version"], 1);
    let seen = json!({ "if_version": 1 });
    desk.slow = false;
    assert_eq!(desk.ask(bob, &with(set(2, "lock", &json!("bob")), &seen))["version"], 2);
    let late = desk.ask(ada, &with(set(2, "lock", &json!("ada")), &seen));
    assert_eq!((&late["code"], &late["version"]), (&json!("conflict"), &json!(2)));
}

#[test]
fn what_was_removed_has_changed_too() {
    let mut desk = Desk::new();
    let ada = desk.open();
    desk.ask(ada, &set(1, "lock", &json!(null)));
    let remove = json!({ "type": "remove", "id": 2, "channel": "board:main", "key": "lock" });
    assert_eq!(desk.ask(ada, &remove)["version"], 2);
    let late = desk.ask(ada, &with(set(3, "lock", &json!(1)), &json!({ "if_version": 1 })));
    assert_eq!((&late["code"], &late["version"]), (&json!("conflict"), &json!(0)));
    let again = desk.ask(ada, &with(set(4, "lock", &json!(1)), &json!({ "if_version": 0 })));
    assert_eq!(again["version"], 3, "a version is never given twice");
}

#[test]
fn what_the_disk_refuses_is_taken_back_and_others_may_write() {
    let mut desk = Desk::new();
    let (ada, bob) = (desk.open(), desk.open());
    desk.slow = true;
    desk.say(ada, &with(set(1, "lock", &json!("ada")), &json!({ "if_version": 0 })));
    desk.say(ada, &set(2, "other", &json!("ada")));
    desk.store(Err(StoreError::Full));
    for refused in desk.heard(ada) {
        assert_eq!(
            (&refused["code"], &refused["retryable"]),
            (&json!("unavailable"), &json!(true))
        );
    }
    desk.slow = false;
    let bobs = with(set(1, "lock", &json!("bob")), &json!({ "if_version": 0 }));
    let written = desk.ask(bob, &bobs);
    assert_eq!(written["offset"], 1);
    assert_eq!(written["version"], 3, "somebody may have been told of those before");
    assert_eq!(get(&mut desk, "board:main")["entries"].as_array().unwrap().len(), 1);
}

#[test]
fn a_write_that_is_sent_twice_is_one_and_a_refused_one_uses_its_number_up() {
    let mut desk = Desk::new();
    let (ada, bob) = (desk.open(), desk.open());
    let numbered = |seq: u64| json!({ "producer": "p", "seq": seq });
    let first = with(set(1, "n", &json!(1)), &numbered(1));
    assert_eq!(desk.ask(ada, &first)["duplicate"], false);
    desk.ask(bob, &set(1, "n", &json!(7)));
    let again = desk.ask(ada, &first);
    assert_eq!(
        (&again["duplicate"], &again["offset"], &again["key"]),
        (&json!(true), &json!(1), &json!("n"))
    );
    let stale = with(with(set(2, "n", &json!(2)), &numbered(2)), &json!({ "if_version": 1 }));
    for _ in 0..2 {
        let refused = desk.ask(ada, &stale);
        assert_eq!((&refused["code"], &refused["version"]), (&json!("conflict"), &json!(2)));
    }
    let next = with(set(3, "n", &json!(3)), &numbered(3));
    assert_eq!(desk.ask(ada, &next)["version"], 3);
}

#[test]
fn a_patch_changes_a_part_and_is_told_as_one_where_that_is_shorter() {
    let mut desk = Desk::new();
    let (ada, bob) = (desk.open(), desk.open());
    desk.ask(bob, &json!({ "type": "subscribe", "id": 1, "channel": "board:main" }));
    desk.ask(ada, &set(1, "card", &json!({ "text": "a long text of a card", "done": false })));
    desk.heard(bob);
    let patch = json!({ "type": "patch", "id": 2, "channel": "board:main", "key": "card",
                        "patch": { "done": true } });
    assert_eq!(desk.ask(ada, &patch)["version"], 2);
    desk.ask(ada, &set(3, "card", &json!({ "text": "a long text of a card", "done": null })));
    let told = desk.heard(bob);
    assert_eq!((&told[0]["patch"], told[0].get("value")), (&json!({ "done": true }), None));
    assert_eq!(told[1]["value"]["done"], json!(null), "a patch cannot say that");
    let card = json!({ "type": "get", "id": 9, "channel": "board:main", "key": "card" });
    assert_eq!(desk.ask(bob, &card)["entries"][0]["value"]["text"], "a long text of a card");
}

#[test]
fn what_is_wrong_with_a_write_is_said() {
    let mut desk = Desk::new();
    let ada = desk.open();
    let long = "k".repeat(129);
    for (change, code) in [
        (json!({ "key": "" }), "bad_request"),
        (json!({ "key": "a\u{7}b" }), "bad_request"),
        (json!({ "key": long }), "too_large"),
        (json!({ "ttl": 0 }), "bad_request"),
        (json!({ "value": "x".repeat(40_000) }), "too_large"),
        (json!({ "channel": "chat:lobby" }), "bad_request"),
    ] {
        let command = with(set(1, "k", &json!(1)), &change);
        assert_eq!(desk.ask(ada, &command)["code"], code, "{change}");
    }
    for command in [
        json!({ "type": "publish", "id": 1, "channel": "board:main", "data": 1 }),
        json!({ "type": "get", "id": 1, "channel": "chat:lobby" }),
        json!({ "type": "set", "id": 1, "channel": "board:main", "key": "k" }),
        json!({ "type": "subscribe", "id": 1, "channel": "board:main", "rewind": 3 }),
        json!({ "type": "get", "id": 1, "channel": "board:main", "after": 3 }),
        json!({ "type": "get", "id": 1, "channel": "board:main", "key": "a", "after": "b" }),
    ] {
        let mut desk = Desk::with(|_| {});
        let ada = desk.open();
        let code = desk.ask(ada, &command)["code"].clone();
        let denied = command["channel"] == "chat:lobby" && code == "forbidden";
        assert!(code == "bad_request" || denied, "{command}: {code}");
    }
}

#[test]
fn a_channel_that_is_full_takes_no_new_key_and_says_which_limit() {
    let mut desk = Desk::with(|policy| policy.state.keys = 2);
    let ada = desk.open();
    for key in ["a", "b", "a"] {
        assert_eq!(desk.ask(ada, &set(1, key, &json!(1)))["type"], "written");
    }
    let refused = desk.ask(ada, &set(1, "c", &json!(1)));
    assert_eq!((&refused["code"], &refused["limit"]), (&json!("limit_exceeded"), &json!("keys")));
    let remove = json!({ "type": "remove", "id": 2, "channel": "board:main", "key": "a" });
    desk.ask(ada, &remove);
    assert_eq!(desk.ask(ada, &set(1, "c", &json!(1)))["type"], "written");
}

#[test]
fn a_key_goes_when_its_time_is_over_unless_somebody_sets_it_again() {
    let mut desk = Desk::new();
    let (ada, bob) = (desk.open(), desk.open());
    desk.ask(bob, &json!({ "type": "subscribe", "id": 1, "channel": "board:main" }));
    for key in ["cursor", "kept"] {
        desk.ask(ada, &with(set(1, key, &json!(1)), &json!({ "ttl": 5000 })));
    }
    desk.pass(3000);
    desk.ask(ada, &set(2, "kept", &json!(2)));
    desk.heard(bob);
    desk.pass(1900);
    assert!(desk.heard(bob).is_empty());
    desk.pass(600);
    let told = desk.heard(bob);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (&told[0]["key"], &told[0]["removed"], &told[0]["expired"], &told[0]["offset"]),
        (&json!("cursor"), &json!(true), &json!(true), &json!(4))
    );
    desk.pass(60_000);
    assert!(desk.heard(bob).is_empty());
    assert_eq!(get(&mut desk, "board:main")["entries"][0]["key"], "kept");
}

#[test]
fn a_key_whose_time_ended_while_the_server_was_away_goes_when_it_is_back() {
    let mut desk = Desk::new();
    let ada = desk.open();
    desk.ask(ada, &with(set(1, "cursor", &json!(1)), &json!({ "ttl": 5000 })));
    desk.now.wall_ms += 3000;
    desk.restart();
    assert_eq!(get(&mut desk, "board:main")["entries"].as_array().unwrap().len(), 1);
    desk.pass(2500);
    assert_eq!(get(&mut desk, "board:main")["entries"], json!([]));
}

#[test]
fn an_expiry_that_the_disk_refuses_is_tried_again() {
    let mut desk = Desk::new();
    let ada = desk.open();
    desk.ask(ada, &with(set(1, "cursor", &json!(1)), &json!({ "ttl": 500 })));
    desk.slow = true;
    desk.pass(600);
    assert_eq!(desk.queue.len(), 1);
    desk.pass(5000);
    assert_eq!(desk.queue.len(), 1, "it is under way");
    desk.store(Err(StoreError::Full));
    desk.slow = false;
    desk.pass(1100);
    assert_eq!(get(&mut desk, "board:main")["entries"], json!([]));
}

#[test]
fn keys_are_read_in_pages_by_their_order() {
    let mut desk = Desk::new();
    let ada = desk.open();
    for n in 0..250 {
        desk.ask(ada, &set(1, &format!("k{n:03}"), &json!(n)));
    }
    let (mut seen, mut after) = (Vec::new(), None::<String>);
    loop {
        let mut get = json!({ "type": "get", "id": 2, "channel": "board:main", "limit": 60 });
        if let Some(after) = &after {
            get["after"] = json!(after);
        }
        let page = desk.ask(ada, &get);
        assert_eq!(page.get("first").is_some(), after.is_none());
        for entry in page["entries"].as_array().unwrap() {
            seen.push(entry["value"].as_u64().unwrap());
        }
        after =
            page["entries"].as_array().unwrap().last().map(|e| e["key"].as_str().unwrap().into());
        if page.get("more").is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..250).collect::<Vec<_>>());
}
