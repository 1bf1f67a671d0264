//! The fold against a model of it: the same events always make the same.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests, told briefly")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidings_proto::{Change, Frame};

use super::*;
use crate::rng::Rng;

const BEGIN_MS: u64 = 1_700_000_000_000;

fn raw(value: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap()
}

/// What a home does with a write.
fn log(
    state: &mut State,
    offset: u64,
    key: &str,
    write: Option<(Value, bool)>,
    ttl: Option<u64>,
) -> Bytes {
    let version = state.next_version(offset);
    let before = state.latest(key).map(|entry| entry.value.clone());
    let value = write.map(|(value, is_patch)| match is_patch {
        true => merge(before.as_deref(), &raw(&value)),
        false => raw(&value),
    });
    let said = value.as_deref().zip(before.as_deref()).and_then(|(new, old)| diff(old, new));
    let expires_ms = ttl.map(|ttl| BEGIN_MS + offset + ttl);
    let text = Frame::State(Change {
        channel: "board:main",
        offset,
        timestamp: Timestamp(BEGIN_MS + offset),
        user: "ada",
        key,
        value: value.as_deref().filter(|_| said.is_none()),
        patch: said.as_deref(),
        removed: value.is_none(),
        version,
        expires_at: value.as_ref().and(expires_ms).map(Timestamp),
        expired: false,
    })
    .encode();
    let entry = value.map(|value| Entry { value: value.into(), version, expires_ms });
    state.assign(offset, version, key.into(), entry);
    text
}

/// A value of a few shapes, so that patches are often worth it.
fn some_value(rng: &mut Rng, depth: u32) -> Value {
    match rng.next() % if depth > 2 { 4 } else { 7 } {
        0 => json!(rng.next() % 10),
        1 => json!("a text that is longer than a number"),
        2 => Value::Null,
        3 => json!([1, null, { "x": null }]),
        _ => {
            let names = ["a", "b", "c", "with \"quotes\"", "e"];
            let some = names.iter().filter(|_| rng.next() % 2 == 0).collect::<Vec<_>>();
            some.into_iter().map(|name| ((*name).to_owned(), some_value(rng, depth + 1))).collect()
        }
    }
}

/// RFC 7396 as it stands there, on parsed values.
fn merged(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut target = match target {
        Value::Object(target) => target,
        _ => serde_json::Map::new(),
    };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            let before = target.remove(name).unwrap_or_default();
            target.insert(name.clone(), merged(before, value));
        }
    }
    Value::Object(target)
}

type Map = BTreeMap<String, (Value, u64, Option<u64>)>;

fn contents(state: &State) -> Map {
    let entry = |(key, entry): (&str, &Entry)| {
        let value = serde_json::from_str(entry.value.get()).unwrap();
        (key.to_owned(), (value, entry.version, entry.expires_ms))
    };
    state.range(None).map(entry).collect()
}

/// A random log, and the fold of it.
fn random(seed: u64) -> (Vec<Bytes>, State, Map) {
    let mut rng = Rng::new(seed);
    let (mut state, mut events, mut model) = (State::default(), Vec::new(), Map::new());
    for offset in 1..=200 {
        let key = format!("k{}", rng.next() % 6);
        let ttl = (rng.next() % 4 == 0).then(|| 1 + rng.next() % 100_000);
        let value = some_value(&mut rng, 0);
        let write = match rng.next() % 5 {
            0 => None,
            1 | 2 => Some((value, false)),
            _ => Some((value, true)),
        };
        match &write {
            None => {
                model.remove(&key);
            }
            Some((value, is_patch)) => {
                let before = model.remove(&key).map_or(Value::Null, |(value, ..)| value);
                let value = if *is_patch { merged(before, value) } else { value.clone() };
                let expires = ttl.map(|ttl| BEGIN_MS + offset + ttl);
                model.insert(key.clone(), (value, offset, expires));
            }
        }
        let text = log(&mut state, offset, &key, write, ttl);
        // Some wait at the store for a while.
        events.push(text);
        if rng.next() % 3 == 0 || offset == 200 {
            let stored = events.len() - state.ahead.len();
            for (index, event) in events.iter().enumerate().skip(stored) {
                state.commit(index as u64 + 1, event);
            }
        }
    }
    (events, state, model)
}

#[test]
fn the_fold_is_what_was_written_and_counts_are_right() {
    for seed in 0..100 {
        let (_, state, model) = random(seed);
        assert_eq!(contents(&state), model, "seed {seed}");
        assert!(state.ahead.is_empty() && state.latest.is_empty());
        let bytes: usize = state.keys.iter().map(|(key, entry)| size(key, entry)).sum();
        assert_eq!((state.stored_bytes, state.bytes_ahead), (bytes, bytes), "seed {seed}");
        assert_eq!((state.keys_ahead, state.len()), (model.len(), model.len()), "seed {seed}");
        let due = model.values().filter(|(_, _, expires)| expires.is_some()).count();
        assert_eq!(state.due.len(), due, "seed {seed}");
    }
}

#[test]
fn a_checkpoint_and_the_log_behind_it_make_the_same_as_the_whole_log() {
    for seed in 0..100 {
        let (events, _, model) = random(seed);
        let mut rng = Rng::new(!seed);
        let cut = (rng.next() % 201) as usize;
        let mut first = State::default();
        events[..cut].iter().for_each(|event| first.replay(event));
        let mut second = State::default();
        let pages = first.pages(1 + (rng.next() % 2000) as usize);
        pages.iter().for_each(|page| second.take_page(page));
        assert_eq!(contents(&first), contents(&second), "seed {seed} cut {cut}");
        events[cut..].iter().for_each(|event| second.replay(event));
        assert_eq!(contents(&second), model, "seed {seed} cut {cut}");
        assert!(second.next_version(0) > 200, "a version is never given twice");
    }
}

#[test]
fn who_applies_what_is_said_one_after_the_other_has_the_values() {
    let (mut patches, mut values) = (0, 0);
    for seed in 0..100 {
        let (events, _, model) = random(seed);
        let mut mine: BTreeMap<String, Value> = BTreeMap::new();
        for event in &events {
            let event: Value = serde_json::from_slice(event).unwrap();
            let key = event["key"].as_str().unwrap().to_owned();
            if event["removed"] == true {
                mine.remove(&key);
            } else if let Some(patch) = event.get("patch") {
                let before = mine.remove(&key).unwrap();
                mine.insert(key, merged(before, patch));
                patches += 1;
            } else {
                mine.insert(key, event["value"].clone());
                values += 1;
            }
        }
        let model: BTreeMap<_, _> = model.into_iter().map(|(key, (v, ..))| (key, v)).collect();
        assert_eq!(mine, model, "seed {seed}");
    }
    assert!(patches > 200 && values > 1000, "{patches} {values}");
}

#[test]
fn a_write_is_compared_with_what_was_assigned_and_a_failed_store_takes_that_back() {
    let mut state = State::default();
    let ada = log(&mut state, 1, "lock", Some((json!("ada"), false)), None);
    assert!(state.get("lock").is_none(), "it is not stored");
    let present = |state: &State, seen| state.compare("lock", Some(seen)).map_err(|e| e.version);
    assert_eq!(present(&state, 0), Err(Some(1)));
    assert_eq!(present(&state, 1), Ok(()));
    state.commit(1, &ada);
    log(&mut state, 2, "lock", None, None);
    assert_eq!(present(&state, 1), Err(Some(0)), "it is removed");
    assert_eq!(present(&state, 0), Ok(()));
    state.revert();
    assert_eq!(present(&state, 1), Ok(()));
    assert_eq!(present(&state, 9), Ok(()), "whoever has seen more has seen this");
    assert_eq!((state.keys_ahead, state.bytes_ahead), (1, 4 + 5));
}

#[test]
fn there_is_room_for_so_many_keys_and_bytes_and_less_is_always_taken() {
    let rules = StatePolicy { keys: 2, bytes: 20, ..StatePolicy::default() };
    let mut state = State::default();
    for (offset, key) in [(1, "a"), (2, "b")] {
        log(&mut state, offset, key, Some((json!("12345"), false)), None);
    }
    let room = |key, value: &str| {
        let value = RawValue::from_string(value.into()).unwrap();
        state.room(key, &value, &rules).map_err(|reject| reject.limit)
    };
    assert_eq!(room("c", "1"), Err(Some("keys")));
    assert_eq!(room("a", "12345678901"), Ok(()));
    assert_eq!(room("a", "123456789012"), Err(Some("bytes")));
    let tight = StatePolicy { bytes: 3, ..rules };
    let value = RawValue::from_string("1".into()).unwrap();
    assert_eq!(state.room("a", &value, &tight), Ok(()), "there is less of it then");
}
