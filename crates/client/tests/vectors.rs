//! The connection machine against `testdata/connection`, which the TypeScript SDK is tested by,
//! too.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tidings_client::machine::{Effect, Env, Event, Phase, State, step};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    about: String,
    env: Value,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    env: Option<Value>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    at: u64,
    #[serde(default)]
    random: f64,
    event: Value,
    state: Map<String, Value>,
    effects: Value,
}

/// Reads a value and makes sure that nothing of it was passed over.
fn read<T: DeserializeOwned + serde::Serialize>(value: &Value, place: &str) -> T {
    let read: T =
        serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{place}: {error}"));
    assert_eq!(&serde_json::to_value(&read).unwrap(), value, "{place}: some of it is not known");
    read
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/connection")
}

/// Takes all steps of a file; how many.
fn run(file: &str) -> usize {
    let text = std::fs::read_to_string(folder().join(file)).unwrap();
    let Vectors { about, env, cases } =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    println!("{file}: {about}");
    let mut taken = 0;
    for Case { name, env: own, steps } in cases {
        let env: Env = read(own.as_ref().unwrap_or(&env), &format!("{file}, {name}"));
        let mut state = State::default();
        for (number, wanted) in steps.iter().enumerate() {
            let place = format!("{file}, {name}, step {number} at {}", wanted.at);
            let event: Event = read(&wanted.event, &place);
            let (next, effects) = step(state, event, wanted.at, wanted.random, &env);
            let seen = serde_json::to_value(&next).unwrap();
            for (member, value) in &wanted.state {
                let seen = seen.get(member).unwrap_or_else(|| panic!("{place}: no {member}"));
                assert_eq!(seen, value, "{place}: {member}");
            }
            assert_eq!(json!(effects), wanted.effects, "{place}");
            state = next;
            taken += 1;
        }
    }
    taken
}

/// A file that is new makes this fail until it stands here.
const FILES: [&str; 7] = [
    "backoff.json",
    "close-codes.json",
    "fallback.json",
    "liveness.json",
    "page.json",
    "token.json",
    "transitions.json",
];

#[test]
fn every_vector_of_every_file_holds() {
    let there: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(there, FILES.map(str::to_owned).into(), "each file is run, and only those");
    for name in FILES {
        assert!(run(name) > 0, "{name} has no steps");
    }
}

fn events() -> Vec<Event> {
    [
        json!({"type": "connect"}),
        json!({"type": "disconnect"}),
        json!({"type": "logout"}),
        json!({"type": "retry"}),
        json!({"type": "timer"}),
        json!({"type": "heard"}),
        json!({"type": "hidden"}),
        json!({"type": "visible"}),
        json!({"type": "online"}),
        json!({"type": "offline"}),
        json!({"type": "resume"}),
        json!({"type": "leave"}),
        json!({"type": "return"}),
        json!({"type": "token"}),
        json!({"type": "expiring"}),
        json!({"type": "welcome", "heartbeat": 25_000, "expires_in": 60_000}),
        json!({"type": "refreshed"}),
        json!({"type": "token_failed", "terminal": false, "cause": {"code": "network"}}),
        json!({"type": "closed", "code": 1006}),
        json!({"type": "closed", "code": 1009}),
        json!({"type": "closed", "code": 4501}),
        json!({"type": "bye", "code": 4503, "reconnect": true, "retry_after": 3000}),
        json!({"type": "bye", "code": 4403, "reconnect": false}),
    ]
    .iter()
    .map(|event| read(event, "an event"))
    .collect()
}

/// The numbers that the SDK's test takes, too.
fn random(seed: &mut u64) -> f64 {
    *seed = *seed * 48_271 % 2_147_483_647;
    f64::from(u32::try_from(*seed).unwrap()) / 2_147_483_647.0
}

fn below(seed: &mut u64, max: usize) -> usize {
    let _ = random(seed);
    usize::try_from(*seed).unwrap() % max
}

#[test]
fn whatever_comes_every_state_has_a_timer_or_waits_to_be_called() {
    let events = events();
    let env: Env = read(
        &json!({"backoff": {"base": 1000, "max": 30_000, "jitter": "full"}, "transports": 3,
                "token": true}),
        "the env",
    );
    let (mut seed, mut state, mut now) = (7, State::default(), 0);
    let (mut timer, mut open) = (None, false);
    for _ in 0..50_000 {
        now += below(&mut seed, 8000) as u64;
        let event = events[below(&mut seed, events.len())].clone();
        let what = format!("{:?} + {event:?}", state.phase);
        let (next, effects) = step(state, event, now, random(&mut seed), &env);
        for effect in effects {
            match effect {
                Effect::Timer { at } => timer = at,
                Effect::Close => open = false,
                Effect::Open { .. } => {
                    assert!(!open, "{what}: one transport at a time");
                    open = true;
                }
                Effect::AskToken { .. } | Effect::Refresh | Effect::Ping => {}
            }
        }
        let phase = next.phase;
        let armed = matches!(phase, Phase::Connecting | Phase::Connected | Phase::Waiting);
        assert_eq!(timer.is_some(), armed, "{what}: {phase:?}");
        assert!(open || phase != Phase::Connected, "{what}: {phase:?}");
        assert!(!open || armed && phase != Phase::Waiting, "{what}: {phase:?}");
        state = next;
    }
}
