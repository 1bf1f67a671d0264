//! Whoever cannot keep up skips what is old already, and ends with what is there.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidings_core::engine::SessionKey;
use tidings_core::policy::Overflow;
use tidings_core::store::StoreError;

use crate::desk::Desk;

/// What a client with a slow link has, and how new each of it is.
#[derive(Default)]
struct Map {
    keys: BTreeMap<String, Value>,
    offset: u64,
    frames: usize,
}

impl Map {
    fn hear(&mut self, frames: Vec<Value>) {
        for frame in frames {
            let kind = frame["type"].as_str().unwrap();
            if kind == "subscribed" {
                assert_eq!(frame["conflated"], true);
                continue;
            }
            let offset = frame["offset"].as_u64().unwrap();
            assert!(offset >= self.offset, "{frame} is older than {}", self.offset);
            self.offset = offset;
            self.frames += 1;
            match kind {
                "snapshot" => {
                    for entry in frame["entries"].as_array().unwrap() {
                        self.put(entry["key"].as_str().unwrap(), Some(&entry["value"]));
                    }
                }
                "state" => self.put(frame["key"].as_str().unwrap(), frame.get("value")),
                "values" => {
                    for (key, value) in frame["values"].as_object().unwrap() {
                        self.put(key, Some(value));
                    }
                    for key in frame["removed"].as_array().into_iter().flatten() {
                        self.put(key.as_str().unwrap(), None);
                    }
                }
                other => panic!("{other}"),
            }
        }
    }

    /// Values only grow: an old one never comes after a newer one.
    fn put(&mut self, key: &str, value: Option<&Value>) {
        let before = match value {
            Some(value) => self.keys.insert(key.to_owned(), value.clone()),
            None => self.keys.remove(key),
        };
        if let (Some(before), Some(now)) = (before, value) {
            assert!(before.as_u64() <= now.as_u64(), "{key}: {before} came before {now}");
        }
    }
}

fn put(desk: &mut Desk, who: SessionKey, key: &str, value: u64) {
    let set = json!({ "type": "set", "id": 7, "channel": "feed:x", "key": key, "value": value });
    let answer = desk.ask(who, &set);
    assert_eq!(answer["type"], "written", "{answer}");
}

fn join(desk: &mut Desk) -> SessionKey {
    let who = desk.open();
    desk.say(who, &json!({ "type": "subscribe", "id": 1, "channel": "feed:x" }));
    who
}

fn held(desk: &mut Desk) -> BTreeMap<String, Value> {
    let eve = desk.open();
    let get = json!({ "type": "get", "id": 1, "channel": "feed:x", "limit": 1000 });
    let entry = |entry: &Value| (entry["key"].as_str().unwrap().to_owned(), entry["value"].clone());
    desk.ask(eve, &get)["entries"].as_array().unwrap().iter().map(entry).collect()
}

#[test]
fn a_slow_reader_never_sees_an_old_value_after_a_newer_one_and_ends_with_the_right_map() {
    let mut desk = Desk::new();
    let ada = desk.open();
    for n in 0..50 {
        put(&mut desk, ada, &format!("k{n:02}"), n);
    }
    let (bob, eve) = (join(&mut desk), join(&mut desk));
    let (mut slow, mut fast) = (Map::default(), Map::default());
    desk.slow_links.push(bob);
    for n in 100..3000_u64 {
        if n == 200 {
            desk.engine.lag(bob);
            desk.run();
        }
        put(&mut desk, ada, &format!("k{:02}", n * 7 % 50), n);
        if n % 100 == 50 {
            let key = format!("gone{n}");
            put(&mut desk, ada, &key, n);
            let gone = json!({ "type": "remove", "id": 8, "channel": "feed:x", "key": key });
            desk.ask(ada, &gone);
        }
        if n % 40 == 0 {
            desk.arrive(150, false);
        }
        slow.hear(desk.heard(bob));
        fast.hear(desk.heard(eve));
    }
    assert!(slow.frames < 300 && fast.frames > 2900, "{} {}", slow.frames, fast.frames);
    for _ in 0..20 {
        desk.arrive(150, false);
    }
    slow.hear(desk.heard(bob));
    let whole = held(&mut desk);
    assert_eq!((&slow.keys, &fast.keys), (&whole, &whole));
    assert_eq!(slow.offset, fast.offset, "its position is good");

    // It keeps up again: each change comes, with nothing between.
    put(&mut desk, ada, "k00", 5000);
    desk.arrive(1000, true);
    slow.hear(desk.heard(bob));
    let frames = slow.frames;
    for n in 5001..5011 {
        put(&mut desk, ada, "k00", n);
    }
    slow.hear(desk.heard(bob));
    assert_eq!((slow.frames, slow.offset), (frames + 10, slow.offset));
    assert_eq!(slow.keys, held(&mut desk));
}

#[test]
fn who_joins_by_a_slow_link_gets_the_snapshot_and_then_the_newest_of_what_has_changed() {
    let mut desk = Desk::new();
    let ada = desk.open();
    for n in 0..300 {
        put(&mut desk, ada, &format!("k{n:03}{}", "x".repeat(100)), n);
    }
    // Somebody joins before, and the snapshot is shared.
    join(&mut desk);
    for n in 300..330 {
        put(&mut desk, ada, &format!("k{:03}{}", n % 300, "x".repeat(100)), n);
    }
    let bob = desk.open();
    desk.slow_links.push(bob);
    desk.stalled.push(bob);
    desk.say(bob, &json!({ "type": "subscribe", "id": 1, "channel": "feed:x" }));
    for n in 330..2000 {
        put(&mut desk, ada, &format!("k{:03}{}", n % 300, "x".repeat(100)), n);
    }
    desk.wake(bob);
    for _ in 0..20 {
        desk.arrive(4000, false);
    }
    let mut map = Map::default();
    map.hear(desk.heard(bob));
    assert_eq!(map.keys, held(&mut desk));
    assert!(map.frames < 30, "{}", map.frames);
}

/// It was told in the order of the changes: with a round that is longer than the keys take to
/// change, a key was told by chance, or not for many seconds.
#[test]
fn a_key_that_changes_faster_than_a_round_takes_waits_no_longer_than_a_round() {
    const KEYS: u64 = 50;
    let mut desk = Desk::new();
    let (ada, bob) = (desk.open(), join(&mut desk));
    desk.slow_links.push(bob);
    let mut told = BTreeMap::new();
    let mut longest = 0;
    for n in 0..4000_u64 {
        if n == 60 {
            desk.engine.lag(bob);
            desk.run();
        }
        put(&mut desk, ada, &format!("k{:02}", n % KEYS), n);
        // Ten keys or so at once, while all fifty change: a round takes five of these, or six.
        if n % KEYS == 0 {
            desk.arrive(105, false);
        }
        for frame in desk.heard(bob).iter().filter(|frame| frame["type"] == "values") {
            for key in frame["values"].as_object().unwrap().keys() {
                let before = told.insert(key.clone(), n).unwrap_or(n);
                longest = longest.max((n - before) / KEYS);
            }
        }
    }
    assert_eq!(told.len() as u64, KEYS);
    assert!((4..=7).contains(&longest), "a key waited for {longest} frames");
}

#[test]
fn who_comes_back_after_values_recovers_from_there() {
    let mut desk = Desk::new();
    let ada = desk.open();
    let bob = join(&mut desk);
    let frames = desk.heard(bob);
    let epoch = frames[0]["epoch"].clone();
    let mut map = Map::default();
    map.hear(frames);
    desk.slow_links.push(bob);
    desk.engine.lag(bob);
    desk.run();
    for n in 0..60 {
        put(&mut desk, ada, &format!("k{}", n % 20), n);
    }
    desk.arrive(50, false);
    map.hear(desk.heard(bob));
    assert!(map.keys.len() < 20 && !map.keys.is_empty());
    desk.engine.close(desk.now, bob, true);
    let bob = desk.open();
    let since = json!({ "epoch": epoch, "offset": map.offset });
    desk.say(bob, &json!({ "type": "subscribe", "id": 1, "channel": "feed:x", "since": since }));
    let frames = desk.heard(bob);
    assert_eq!(frames[0]["recovered"], true);
    map.hear(frames);
    assert_eq!(map.keys, held(&mut desk));
}

#[test]
fn keys_that_come_and_go_while_somebody_takes_nothing_have_a_bound() {
    let mut desk = Desk::with(|policy| policy.state.keys = 10);
    let ada = desk.open();
    let bob = join(&mut desk);
    desk.slow_links.push(bob);
    desk.engine.lag(bob);
    desk.heard(bob);
    for n in 0..25 {
        let key = format!("k{n}");
        put(&mut desk, ada, &key, n);
        desk.ask(ada, &json!({ "type": "remove", "id": 8, "channel": "feed:x", "key": key }));
    }
    assert!(desk.heard(bob).is_empty());
    desk.pass(500);
    assert_eq!(desk.heard(bob)[0]["code"], 4513);
    assert_eq!(desk.engine.counts().subscriptions, 0);
}

#[test]
fn who_joins_many_channels_at_once_gets_each_snapshot() {
    let mut desk = Desk::new();
    let ada = desk.open();
    put(&mut desk, ada, "k", 1);
    let bob = desk.open();
    let channels = ["feed:x", "board:a", "board:b"];
    let wishes = channels.map(|name| json!({ "type": "subscribe", "id": 1, "channel": name }));
    desk.say_all(bob, &wishes);
    let heard = desk.heard(bob);
    let of = |kind| heard.iter().filter(|frame| frame["type"] == kind).count();
    assert_eq!((of("subscribed"), of("snapshot")), (3, 3), "{heard:?}");
    put(&mut desk, ada, "k", 2);
    assert_eq!(desk.heard(bob)[0]["value"], 2);
}

/// Offsets begin again in a new epoch: the changes of the old one, with higher ones, hid the new.
#[test]
fn a_new_epoch_forgets_what_had_changed_in_the_old_one() {
    let mut desk = Desk::with(|policy| {
        policy.history.durable = true;
        policy.state.overflow = Overflow::Conflate;
    });
    let ada = desk.open();
    let (bob, eve) = (join(&mut desk), join(&mut desk));
    desk.slow_links.extend([bob, eve]);
    desk.engine.lag(bob);
    desk.run();
    for n in 0..40 {
        put(&mut desk, ada, &format!("k{}", n % 4), n);
    }
    desk.heard(bob);
    desk.heard(eve);

    // The disk lost all but the first five changes, which is found when the store refuses one.
    desk.slow = true;
    let lost = json!({ "type": "set", "id": 70, "channel": "feed:x", "key": "k0", "value": 40 });
    desk.say(ada, &lost);
    let kept = desk.disk.get_mut("feed:x").unwrap();
    kept.events.truncate(5);
    kept.last_offset = 5;
    kept.epoch = "00000000000000aa".parse().unwrap();
    desk.store(Err(StoreError::OutOfOrder));
    desk.slow = false;
    assert_eq!(desk.heard(ada).last().unwrap()["code"], "unavailable");
    assert_eq!(desk.heard(bob).last().unwrap()["code"], 4513, "it was behind in the old one");

    // Who kept up is told; then it falls behind in the new epoch, and misses nothing of it.
    assert_eq!(desk.heard(eve)[0]["reason"], "new_epoch");
    desk.engine.lag(eve);
    desk.run();
    for n in 100..108 {
        put(&mut desk, ada, &format!("k{}", n % 4), n);
        if n == 101 {
            desk.engine.lag(eve);
            desk.run();
        }
    }
    let mut map = Map::default();
    map.hear(desk.heard(eve));
    for _ in 0..5 {
        desk.arrive(100, false);
    }
    map.hear(desk.heard(eve));
    assert_eq!(map.keys, held(&mut desk));
}

#[test]
fn who_comes_back_behind_much_that_has_changed_gets_all_that_there_is_instead() {
    let mut desk = Desk::new();
    let ada = desk.open();
    let bob = join(&mut desk);
    let epoch = desk.heard(bob)[0]["epoch"].clone();
    let mut frames = |changes: u64| {
        for n in 0..changes {
            put(&mut desk, ada, &format!("k{}{}", n % 3, "x".repeat(100)), n);
        }
        let bob = desk.open();
        let since = json!({ "epoch": epoch, "offset": 0 });
        let back = json!({ "type": "subscribe", "id": 1, "channel": "feed:x", "since": since });
        desk.say(bob, &back);
        desk.heard(bob)
    };
    let few = frames(20);
    assert_eq!(few[0]["recovered"], true);
    assert_eq!((&few[1]["type"], few.len()), (&json!("values"), 2), "what has changed");
    let many = frames(900);
    assert_eq!(many[0]["recovered"], false);
    assert_eq!(
        (&many[1]["type"], many.len()),
        (&json!("snapshot"), 2),
        "three keys, not 900 changes"
    );
}
