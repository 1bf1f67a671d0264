//! Nobody gets what is not theirs.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "stories, told briefly")]

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use tidings_core::policy::{DataFault, DataSchema};
use tidings_sim::{Rng, Time, World};

#[test]
fn a_namespace_that_does_not_exist_is_not_found() {
    let mut w = World::new(1);
    let ada = w.user("ada");
    for kind in ["subscribe", "publish", "history", "presence", "enter"] {
        let command = json!({ "type": kind, "channel": "nowhere:a", "data": 1 });
        assert_eq!(w.ask(ada, command)["code"], "not_found", "{kind}");
    }
}

#[test]
fn what_is_not_granted_is_forbidden() {
    let mut w = World::new(2);
    let (ada, somebody) = (w.user("ada"), w.anonymous());
    let reader = w.user_with("bob", "user:bob;grants=closed:b*=subscribe");
    for kind in ["subscribe", "publish", "history", "presence", "enter", "update", "leave"] {
        let command = json!({ "type": kind, "channel": "closed:a", "data": 1 });
        for who in [ada, somebody, reader] {
            assert_eq!(w.ask(who, command.clone())["code"], "forbidden", "{kind}");
        }
    }
    let at = |kind: &str| json!({ "type": kind, "channel": "closed:bob", "data": 1 });
    assert_eq!(w.ask(reader, at("subscribe"))["type"], "subscribed");
    for kind in ["publish", "presence", "enter"] {
        assert_eq!(w.ask(reader, at(kind))["code"], "forbidden", "{kind}");
    }
    let with_presence = json!({ "type": "subscribe", "channel": "closed:bill", "presence": true });
    assert_eq!(w.ask(reader, with_presence)["code"], "forbidden");
    let anonymous = json!({ "type": "publish", "channel": "chat:a", "data": 1 });
    assert_eq!(w.ask(somebody, anonymous)["code"], "forbidden");
}

/// Names that are easily taken for one another.
const NAMES: [&str; 20] = [
    "chat:a",
    "chat:A",
    "chat:a ",
    "chat: a",
    "chat:a:",
    "chat::a",
    "chat:a:b",
    "chat:a.b",
    "chat:*",
    "chat:>",
    "chat:a/../b",
    "chat:%61",
    "chat:{a}",
    "chat:\u{430}",
    "chat:e\u{301}",
    "chat:\u{e9}",
    "chat:a\u{200b}",
    "memo:a",
    "memo:*",
    "wisp:a",
];

#[test]
fn only_what_was_subscribed_to_is_delivered_however_alike_the_names_are() {
    for seed in 1..=20 {
        let mut rng = Rng::new(seed);
        let mut w = World::with(seed, |setup| setup.shards = (seed % 4 + 1) as u16);
        let (ada, bob) = (w.user("ada"), w.user("bob"));
        let mut some = || NAMES.into_iter().filter(|_| rng.one_in(2)).collect::<BTreeSet<_>>();
        let (subscribed, published) = (some(), some());
        for name in &subscribed {
            w.join(ada, name);
        }
        for name in &published {
            w.say(bob, name, name);
        }
        w.run(1.secs());
        for name in NAMES {
            let both = subscribed.contains(name) && published.contains(name);
            let expected: &[&str] = if both { &[name] } else { &[] };
            assert_eq!(w.heard(ada, name), expected, "seed {seed}: {name:?}");
        }
        w.check();
    }
}

#[test]
fn two_users_equal_producers_never_meet() {
    let mut w = World::new(4);
    let (ada, bob) = (w.user("ada"), w.user("bob"));
    let publish = |data: &str| {
        let channel = "chat:a";
        json!({ "type": "publish", "channel": channel, "data": data, "producer": "p", "seq": 1 })
    };
    assert_eq!(w.ask(ada, publish("hers"))["offset"], 1);
    let his = w.ask(bob, publish("his"));
    assert_eq!((&his["offset"], &his["duplicate"]), (&json!(2), &json!(false)));
    w.check();
}

#[derive(Debug)]
struct TextIsAString;

impl DataSchema for TextIsAString {
    fn check(&self, data: &str) -> Result<(), DataFault> {
        let data: Value = serde_json::from_str(data).unwrap();
        if data["text"].is_string() {
            return Ok(());
        }
        let reason = format!("{} is not of type \"string\"", data["text"]);
        Err(DataFault { path: "/text".into(), reason })
    }
}

#[test]
fn data_that_does_not_fit_the_schema_is_refused_and_uses_its_number_up() {
    let mut w = World::with(5, |setup| setup.schema("chat", Arc::new(TextIsAString)));
    let (ada, bob) = (w.user("ada"), w.user("bob"));
    w.join(bob, "chat:a");
    let publish = |text: Value, seq: u64| {
        json!({ "type": "publish", "channel": "chat:a", "data": { "text": text },
                "producer": "p", "seq": seq })
    };
    let refused = w.ask(ada, publish(json!(5), 1));
    assert_eq!((&refused["code"], &refused["path"]), (&json!("invalid_data"), &json!("/text")));
    assert_eq!((&refused["retryable"], &refused["channel"]), (&json!(false), &json!("chat:a")));
    w.kill(1.secs());
    w.run(40.secs());
    assert_eq!(w.ask(ada, publish(json!("five"), 1))["code"], "invalid_data", "used up");
    assert_eq!(w.ask(ada, publish(json!("six"), 2))["offset"], 1);
    let whisper = json!({ "type": "publish", "channel": "chat:a", "data": 1, "ephemeral": true });
    assert_eq!(w.ask(ada, whisper)["code"], "invalid_data");
    w.run(1.secs());
    assert_eq!(w.heard(bob, "chat:a"), [r#"{"text":"six"}"#]);
}
