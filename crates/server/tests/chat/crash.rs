//! Killed in the middle of changing things.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::common::Server;
use crate::{ROOM, delete, edit, history, react, setup, user};

/// What was sent about one event, in order: its text, or that it is deleted.
#[derive(Debug, Default)]
struct Said {
    versions: Vec<Value>,
    /// How many of them were acknowledged.
    sure: usize,
}

#[test]
fn no_acknowledged_change_is_lost_by_kill_9_and_no_deleted_text_comes_back() {
    let mut server = Server::start(&setup());
    let mut said = BTreeMap::<u64, Said>::new();
    let mut n = 0_u64;
    {
        let mut ada = user(&server, "ada", &[]);
        for offset in 1..=20 {
            assert_eq!(ada.publish(ROOM, json!(format!("{offset}: secret")))["offset"], offset);
            said.entry(offset).or_default().versions.push(json!(format!("{offset}: secret")));
        }
    }
    for round in 0..10_u64 {
        let mut ada = user(&server, "ada", &[]);
        let mut under_way = BTreeMap::new();
        for _ in 0..30 + round * 5 {
            n += 1;
            let offset = 1 + n * n % 20;
            if said[&offset].versions.last() == Some(&Value::Null) {
                continue;
            }
            // One event in three is deleted in the end.
            let version = if offset.is_multiple_of(3) && n.is_multiple_of(7) {
                Value::Null
            } else {
                json!(format!("{offset}: version {n}"))
            };
            let command =
                version.as_str().map_or_else(|| delete(offset), |text| edit(offset, text));
            let id = ada.command(command).unwrap();
            let of = said.get_mut(&offset).unwrap();
            of.versions.push(version);
            under_way.insert(id, (offset, of.versions.len() - 1));
            if n.is_multiple_of(2) {
                let answer = ada.try_next().unwrap();
                let (offset, at) = under_way.remove(&answer["id"].as_u64().unwrap()).unwrap();
                assert_eq!(answer["type"], "published", "{answer}");
                said.get_mut(&offset).unwrap().sure = at;
            }
        }
        let dir = server.dir();
        server.kill();
        while let Ok(answer) = ada.try_next() {
            let (offset, at) = under_way.remove(&answer["id"].as_u64().unwrap()).unwrap();
            said.get_mut(&offset).unwrap().sure = at;
        }
        server = Server::start_in(dir, &setup());
        let events = history(&mut user(&server, "bob", &[]));
        assert_eq!(events.len(), 20, "changes push no event out");
        for event in events {
            let of = said.get_mut(&event["offset"].as_u64().unwrap()).unwrap();
            let at = of.versions.iter().position(|version| *version == event["data"]);
            let at = at.unwrap_or_else(|| panic!("{event} was never said"));
            assert!(at >= of.sure, "{event}, and {:?} was acknowledged", of.versions[of.sure]);
            assert_eq!(event["deleted"] == true, event["data"].is_null());
            // What was not acknowledged may not have happened.
            of.versions.truncate(at + 1);
            of.sure = at;
        }
    }
    assert!(said.values().any(|of| of.versions.last() == Some(&Value::Null)), "some are deleted");
}

#[test]
fn deleted_text_is_in_nothing_that_is_sent_after_a_restart() {
    let mut server = Server::start(&setup());
    let mut ada = user(&server, "ada", &[]);
    ada.publish(ROOM, json!({ "text": "the password is hunter2" }));
    ada.publish(ROOM, json!("next"));
    ada.ask(edit(1, "it was hunter2"));
    ada.ask(react(1, "😱"));
    assert_eq!(ada.ask(delete(1))["type"], "published");
    let dir = server.dir();
    server.kill();
    let server = Server::start_in(dir, &setup());
    let mut bob = user(&server, "bob", &[]);
    let page = bob.ask(json!({ "type": "history", "channel": ROOM })).to_string();
    let page =
        page + &bob.ask(json!({ "type": "history", "channel": ROOM, "after": 0 })).to_string();
    assert!(page.contains("next") && !page.contains("hunter2"), "{page}");
    bob.ask(json!({ "type": "subscribe", "channel": ROOM, "rewind": 100 }));
    let frames: Vec<Value> = (0..5).map(|_| bob.push()).collect();
    assert_eq!((&frames[0]["deleted"], &frames[0]["data"]), (&json!(true), &Value::Null));
    let types: Vec<_> = frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["event", "event", "hidden", "reacted", "deleted"]);
    let sent = serde_json::to_string(&frames).unwrap();
    assert!(!sent.contains("hunter2"), "{sent}");
}
