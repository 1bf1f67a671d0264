//! Whoever joins or comes back has the right map, with nothing between.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidings_core::engine::SessionKey;

use crate::desk::Desk;

/// What a client makes of what it hears.
#[derive(Default)]
struct Map {
    keys: BTreeMap<String, Value>,
    offset: u64,
    snapshots: usize,
}

impl Map {
    fn hear(&mut self, frames: Vec<Value>) {
        for frame in frames {
            match frame["type"].as_str().unwrap() {
                "snapshot" => {
                    if frame["first"] == true {
                        self.keys.clear();
                        self.snapshots += 1;
                    }
                    for entry in frame["entries"].as_array().unwrap() {
                        let key = entry["key"].as_str().unwrap().to_owned();
                        self.keys.insert(key, entry["value"].clone());
                    }
                    self.offset = frame["offset"].as_u64().unwrap();
                }
                "state" => {
                    assert_eq!(frame["offset"].as_u64().unwrap(), self.offset + 1, "a hole");
                    self.offset += 1;
                    let key = frame["key"].as_str().unwrap().to_owned();
                    match frame.get("value") {
                        Some(value) => self.keys.insert(key, value.clone()),
                        None => self.keys.remove(&key),
                    };
                }
                "subscribed" => {
                    if frame["recovered"] == true {
                        assert!(self.snapshots > 0);
                    }
                }
                other => panic!("{other}: {frame}"),
            }
        }
    }
}

fn put(desk: &mut Desk, who: SessionKey, channel: &str, key: &str, value: &Value) {
    let set = json!({ "type": "set", "id": 7, "channel": channel, "key": key, "value": value });
    assert_eq!(desk.ask(who, &set)["type"], "written");
}

fn held(desk: &mut Desk, channel: &str) -> BTreeMap<String, Value> {
    let (eve, mut keys) = (desk.open(), BTreeMap::new());
    let mut get = json!({ "type": "get", "id": 1, "channel": channel, "limit": 1000 });
    loop {
        let page = desk.ask(eve, &get);
        for entry in page["entries"].as_array().unwrap() {
            get["after"] = entry["key"].clone();
            keys.insert(entry["key"].as_str().unwrap().to_owned(), entry["value"].clone());
        }
        if page.get("more").is_none() {
            return keys;
        }
    }
}

#[test]
fn who_joins_gets_what_there_is_and_then_what_changes() {
    let mut desk = Desk::new();
    let (ada, bob) = (desk.open(), desk.open());
    for n in 0..5 {
        put(&mut desk, ada, "board:main", &format!("k{n}"), &json!(n));
    }
    desk.say(bob, &json!({ "type": "subscribe", "id": 1, "channel": "board:main" }));
    put(&mut desk, ada, "board:main", "k1", &json!("new"));
    let frames = desk.heard(bob);
    let kinds: Vec<_> = frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["subscribed", "snapshot", "state"]);
    let mut map = Map::default();
    map.hear(frames);
    assert_eq!(map.keys, held(&mut desk, "board:main"));
}

#[test]
fn an_empty_channel_says_so() {
    let mut desk = Desk::new();
    let bob = desk.open();
    desk.say(bob, &json!({ "type": "subscribe", "id": 1, "channel": "ticker:x" }));
    let frames = desk.heard(bob);
    assert_eq!((&frames[1]["first"], &frames[1]["entries"]), (&json!(true), &json!([])));
}

#[test]
fn who_joins_in_a_storm_has_neither_hole_nor_doubt() {
    for channel in ["board:main", "ticker:x"] {
        // History is short: what joiners need is kept for them all the same.
        let mut desk = Desk::with(|policy| policy.history.size = 10);
        let ada = desk.open();
        let long = "v".repeat(1000);
        for n in 0..400 {
            put(&mut desk, ada, channel, &format!("k{n:03}"), &json!(format!("{n} {long}")));
        }
        let mut joined = Vec::new();
        for n in 0..300_u64 {
            if n % 30 == 0 {
                let bob = desk.open();
                desk.stalled.push(bob);
                desk.say(bob, &json!({ "type": "subscribe", "id": 1, "channel": channel }));
                joined.push((bob, Map::default()));
            }
            put(&mut desk, ada, channel, &format!("k{:03}", n % 400), &json!(n));
            // Each reads a page now and then, in turn.
            let (bob, map) = &mut joined[(n % 7) as usize % (n as usize / 30 + 1)];
            let bob = *bob;
            desk.wake(bob);
            map.hear(desk.heard(bob));
            desk.stalled.push(bob);
        }
        desk.stalled.clear();
        let whole = held(&mut desk, channel);
        for (bob, mut map) in joined {
            desk.wake(bob);
            map.hear(desk.heard(bob));
            assert!(map.keys == whole, "{channel}");
        }
    }
}

#[test]
fn who_comes_back_gets_what_was_missed_or_all_of_it_anew() {
    let mut desk = Desk::with(|policy| policy.history.size = 4);
    let (ada, bob) = (desk.open(), desk.open());
    for n in 0..10 {
        put(&mut desk, ada, "board:main", &format!("k{n}"), &json!(n));
    }
    let mut map = Map::default();
    desk.say(bob, &json!({ "type": "subscribe", "id": 1, "channel": "board:main" }));
    let frames = desk.heard(bob);
    let epoch = frames[0]["epoch"].clone();
    map.hear(frames);
    desk.engine.close(desk.now, bob, true);
    for (missed, recovered) in [(3, true), (30, false)] {
        for n in 0..missed {
            put(&mut desk, ada, "board:main", &format!("k{}", n % 10), &json!([missed, n]));
        }
        let bob = desk.open();
        let since = json!({ "epoch": epoch, "offset": map.offset });
        let subscribe =
            json!({ "type": "subscribe", "id": 1, "channel": "board:main", "since": since });
        desk.say(bob, &subscribe);
        let frames = desk.heard(bob);
        assert_eq!(frames[0]["recovered"], recovered);
        map.hear(frames);
        assert_eq!(map.keys, held(&mut desk, "board:main"));
        desk.engine.close(desk.now, bob, true);
        desk.run();
    }
    assert_eq!(map.snapshots, 2);
}

#[test]
fn after_a_restart_the_map_is_as_it_was_and_clients_recover() {
    let mut desk = Desk::new();
    let ada = desk.open();
    // More than is in the log: a checkpoint was written meanwhile.
    let long = "v".repeat(2000);
    for n in 0..300 {
        put(&mut desk, ada, "board:main", &format!("k{}", n % 40), &json!([n, long]));
    }
    assert!(desk.disk.contains_key("\0fold:board:main"), "{:?}", desk.disk.keys());
    assert!(desk.disk["board:main"].events.len() < 200, "the log is cut behind it");
    let before = held(&mut desk, "board:main");
    desk.restart();
    assert_eq!(held(&mut desk, "board:main"), before);
    let bob = desk.open();
    let epoch = tidings_epoch(&desk);
    let since = json!({ "epoch": epoch, "offset": 298 });
    let subscribe =
        json!({ "type": "subscribe", "id": 1, "channel": "board:main", "since": since });
    desk.say(bob, &subscribe);
    let frames = desk.heard(bob);
    assert_eq!((&frames[0]["recovered"], frames.len()), (&json!(true), 3));
}

fn tidings_epoch(desk: &Desk) -> String {
    desk.disk["board:main"].epoch.to_string()
}

#[test]
fn a_board_in_memory_is_not_forgotten_while_it_has_keys() {
    let mut desk = Desk::new();
    let ada = desk.open();
    put(&mut desk, ada, "ticker:x", "k", &json!(1));
    let leave = json!({ "type": "remove", "id": 2, "channel": "ticker:x", "key": "k" });
    for _ in 0..400 {
        desk.pass(3_600_000);
    }
    assert_eq!(held(&mut desk, "ticker:x").len(), 1);
    let ada = desk.open();
    desk.ask(ada, &leave);
    for _ in 0..60 {
        desk.pass(3_600_000);
    }
    assert_eq!(desk.engine.counts().channels, 0);
}
