//! Limits, and programs that never learn.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "stories, told briefly")]

use serde_json::{Value, json};
use tidings_core::Period;
use tidings_sim::{Time, Who, World};

fn subscribe(channel: &str) -> Value {
    json!({ "type": "subscribe", "channel": channel })
}

fn last(w: &World, who: Who) -> Value {
    w.frames(who).last().cloned().unwrap_or_default()
}

#[test]
fn a_session_has_only_so_many_subscriptions() {
    let mut w = World::with(1, |setup| setup.limits.channels_per_session = 3);
    let ada = w.user("ada");
    for n in 0..3 {
        assert_eq!(w.ask(ada, subscribe(&format!("chat:{n}")))["type"], "subscribed");
    }
    let refused = w.ask(ada, subscribe("chat:3"));
    assert_eq!(
        (&refused["code"], &refused["limit"]),
        (&json!("limit_exceeded"), &json!("channels"))
    );
    assert_eq!(w.ask(ada, subscribe("chat:0"))["code"], "already_subscribed");
    w.ask(ada, json!({ "type": "unsubscribe", "channel": "chat:0" }));
    assert_eq!(w.ask(ada, subscribe("chat:3"))["type"], "subscribed");
    w.check();
}

#[test]
fn sixteen_bad_frames_in_a_row_end_it() {
    let mut w = World::new(2);
    let (ada, bob) = (w.user("ada"), w.user("bob"));
    for n in 0..40 {
        let text = if n % 16 == 15 { r#"{"type":"ping","id":1}"# } else { "{" };
        w.send_text(bob, text);
    }
    assert!(w.closed(bob).is_empty(), "never sixteen in a row");
    let names = [r#"{"type":"subscribe","id":1,"channel":"Chat:x"}"#, "nonsense"];
    for n in 0..16 {
        w.send_text(ada, names[n % 2]);
    }
    assert_eq!(w.closed(ada)[0], 4400, "names that break the rules count too");
}

#[test]
fn every_bad_frame_is_answered_with_what_is_wrong() {
    let mut w = World::new(3);
    let deep = format!(r#"{{"type":{},"id":1}}"#, "[".repeat(10_000) + &"]".repeat(10_000));
    let mut who = w.user("ada");
    for (n, (text, id)) in [
        ("", None),
        ("null", None),
        ("[]", None),
        (r#"{"id":7}"#, Some(7)),
        (r#"{"type":"nosuch","id":8}"#, Some(8)),
        (r#"{"type":"ping"}"#, None),
        (r#"{"type":"ping","id":-1}"#, None),
        (r#"{"type":"ping","id":1.5}"#, None),
        (r#"{"type":"subscribe","id":9}"#, Some(9)),
        (r#"{"type":"subscribe","id":10,"channel":5}"#, Some(10)),
        (r#"{"type":"publish","id":11,"channel":"chat:a"}"#, Some(11)),
        (r#"{"type":"publish","id":12,"channel":"chat:a","data":1,"seq":1}"#, Some(12)),
        (
            r#"{"type":"publish","id":13,"channel":"chat:a","data":1,"producer":"p","seq":0}"#,
            Some(13),
        ),
        (&deep, Some(1)),
    ]
    .into_iter()
    .enumerate()
    {
        if n % 10 == 9 {
            who = w.user("ada");
        }
        w.send_text(who, text);
        let error = last(&w, who);
        assert_eq!(error["code"], "bad_request", "{text}");
        assert_eq!(error["id"].as_u64(), id, "{text}");
    }
}

#[test]
fn data_that_is_nested_too_deep_is_refused_and_other_fields_do_no_harm() {
    let mut w = World::new(4);
    let ada = w.user("ada");
    let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
    let send = |w: &mut World, field: &str, n: usize| {
        let head = r#"{"type":"publish","id":900,"channel":"chat:a""#;
        let data = if field == "data" { "" } else { r#","data":1"# };
        w.send_text(ada, &format!(r#"{head}{data},"{field}":{}}}"#, deep(n)));
        last(w, ada)
    };
    assert_eq!(send(&mut w, "data", 64)["type"], "published");
    assert_eq!(send(&mut w, "data", 65)["code"], "invalid_data");
    assert_eq!(send(&mut w, "data", 10_000)["code"], "invalid_data");
    assert_eq!(send(&mut w, "unknown", 10_000)["type"], "published");
}

#[test]
fn names_and_sizes_have_limits() {
    let mut w = World::new(5);
    let ada = w.user("ada");
    for name in ["lobby", ":a", "chat:", "Chat:a", "chat:a\n", "chat:\u{85}", "ch at:a"] {
        assert_eq!(w.ask(ada, subscribe(name))["code"], "bad_request", "{name:?}");
    }
    let long = format!("chat:{}", "x".repeat(250));
    assert_eq!(w.ask(ada, subscribe(&long))["type"], "subscribed", "255 bytes");
    assert_eq!(w.ask(ada, subscribe(&format!("{long}x")))["code"], "bad_request");
    let publish =
        |data: usize| json!({ "type": "publish", "channel": "chat:a", "data": "x".repeat(data) });
    assert_eq!(w.ask(ada, publish((32 << 10) - 2))["type"], "published");
    let refused = w.ask(ada, publish((32 << 10) - 1));
    assert_eq!((&refused["code"], &refused["limit"]), (&json!("too_large"), &json!("data")));
}

#[test]
fn a_session_with_many_unanswered_commands_is_read_no_further() {
    let mut w = World::with(6, |setup| {
        setup.limits.in_flight = 4;
        setup.commit_ms = (50, 50);
        setup.latency_ms = (1, 1);
    });
    let ada = w.user("ada");
    let publish = |n: u64| json!({ "type": "publish", "channel": "chat:a", "data": n });
    let ids: Vec<u64> = (0..20).map(|n| w.tell(ada, publish(n))).collect();
    let ping = w.tell(ada, json!({ "type": "ping" }));
    w.run(45.ms());
    assert!(w.answer(ada, ping).is_none(), "it waits behind what is not read");
    w.run(5.secs());
    let offsets: Vec<_> =
        ids.iter().map(|id| w.answer(ada, *id).unwrap()["offset"].as_u64()).collect();
    assert_eq!(offsets, (1..=20).map(Some).collect::<Vec<_>>());
    assert!(w.answer(ada, ping).is_some());
    w.check();
}

#[test]
fn whoever_says_nothing_valid_for_ten_seconds_is_closed() {
    let mut w = World::new(7);
    let (silent, nonsense, named) = (w.stranger(), w.stranger(), w.stranger_with(Some("user:ada")));
    w.send_text(nonsense, "{");
    w.run(9.secs());
    assert!(w.closed(silent).is_empty());
    w.run(2.secs());
    for who in [silent, nonsense, named] {
        assert_eq!(w.closed(who), [4408]);
    }
}

#[test]
fn a_channel_remembers_only_so_many_producers_and_keys() {
    let mut w = World::with(8, |setup| {
        (setup.limits.producers_per_channel, setup.limits.keys_per_channel) = (2, 2);
        setup.namespace("memo", |policy| policy.history.dedup_window = Period::secs(30));
    });
    let ada = w.user("ada");
    let with = |producer: &str, seq: u64| {
        json!({ "type": "publish", "channel": "memo:a", "data": 1, "producer": producer,
                "seq": seq })
    };
    let key = |key: &str| json!({ "type": "publish", "channel": "memo:a", "data": 1, "key": key });
    for name in ["a", "b"] {
        assert_eq!(w.ask(ada, with(name, 1))["type"], "published");
        assert_eq!(w.ask(ada, key(name))["type"], "published");
    }
    assert_eq!(w.ask(ada, with("c", 1))["limit"], "producers_per_channel");
    assert_eq!(w.ask(ada, key("c"))["limit"], "keys_per_channel");
    assert_eq!(w.ask(ada, with("a", 2))["type"], "published", "known ones go on");
    w.run(31.secs());
    assert_eq!(w.ask(ada, with("c", 1))["type"], "published", "the window is over");
    assert_eq!(w.ask(ada, key("c"))["type"], "published");
}
