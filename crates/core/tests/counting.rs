//! What an engine counts of what happens to it.

mod common_engine;

use common_engine::Desk;
use tidings_core::engine::{CommandKind as Kind, Recovery};
use tidings_core::store::Level;
use tidings_proto::ErrorCode;

#[test]
fn commands_are_counted_by_what_became_of_them() {
    let mut desk = Desk::new();
    let ada = desk.open();
    desk.say(ada, r#"{"type":"hello","id":1}"#);
    desk.say(ada, r#"{"type":"ping","id":2}"#);
    desk.say(ada, r#"{"type":"publish","id":3,"channel":"nowhere:x","data":1}"#);
    desk.say(ada, r#"{"type":"unsubscribe","id":4,"channel":"chat:x"}"#);
    desk.say(ada, "nonsense");
    let counted = desk.engine.counters();
    for (kind, outcome) in [
        (Kind::Hello, None),
        (Kind::Ping, None),
        (Kind::Publish, Some(ErrorCode::NotFound)),
        (Kind::Unsubscribe, Some(ErrorCode::NotSubscribed)),
        (Kind::Invalid, Some(ErrorCode::BadRequest)),
    ] {
        assert_eq!(counted.commands(kind, outcome), 1, "{kind:?} {outcome:?}");
    }
    let all: u64 = Kind::ALL
        .iter()
        .flat_map(|kind| ErrorCode::ALL.iter().map(Some).chain([None]).map(move |o| (*kind, o)))
        .map(|(kind, outcome)| counted.commands(kind, outcome.copied()))
        .sum();
    assert_eq!(all, 5, "each of them once");
}

#[test]
fn an_event_is_counted_when_it_is_stored_and_a_duplicate_is_none() {
    let mut desk = Desk::new();
    let ada = desk.open();
    let publish = r#"{"type":"publish","id":1,"channel":"chat:x","data":1,"key":"k"}"#;
    desk.say(ada, publish);
    desk.engine.loaded(desk.now, "chat:x", Ok(None));
    assert_eq!(desk.engine.counters().durable, 0, "it is not stored yet");
    desk.engine.stored(desk.now, "chat:x", &Ok(Level::Fsync));
    desk.say(ada, publish);
    desk.say(ada, r#"{"type":"publish","id":2,"channel":"chat:x","data":1,"ephemeral":true}"#);
    let counted = desk.engine.counters();
    assert_eq!((counted.durable, counted.ephemeral, counted.duplicates), (1, 1, 1));
    assert_eq!(counted.commands(Kind::Publish, None), 3);
}

#[test]
fn a_publish_is_measured_from_its_arrival_until_it_was_stored() {
    let mut desk = Desk::new();
    let ada = desk.open();
    desk.now.mono_us = 1_000;
    desk.say(ada, r#"{"type":"publish","id":1,"channel":"chat:x","data":1}"#);
    desk.engine.loaded(desk.now, "chat:x", Ok(None));
    desk.now.mono_us = 5_000;
    desk.say(ada, r#"{"type":"publish","id":2,"channel":"chat:x","data":1,"ephemeral":true}"#);
    assert_eq!(desk.engine.published().collect::<Vec<_>>(), [5_000], "one is not stored yet");
    desk.engine.stored(desk.now, "chat:x", &Ok(Level::Fsync));
    desk.say(ada, r#"{"type":"publish","id":3,"channel":"nowhere:x","data":1}"#);
    assert_eq!(desk.engine.published().collect::<Vec<_>>(), [1_000], "a refusal is none");
    assert_eq!(desk.engine.published().count(), 0, "each is told once");
}

#[test]
fn users_are_listed_by_name_and_however_many_there_are() {
    let mut desk = Desk::new();
    let anyone: Vec<_> = (0..5).map(|_| desk.open()).collect();
    assert!(desk.engine.users(("", None), None, 10).is_empty(), "nobody has said anything");
    for who in anyone {
        desk.say(who, r#"{"type":"hello","id":1}"#);
    }
    let all = desk.engine.users(("anon-", None), None, 10);
    assert_eq!(all.len(), 5);
    assert!(all.windows(2).all(|two| two[0].0 < two[1].0) && all.iter().all(|(_, n)| *n == 1));
    assert_eq!(desk.engine.users(("", None), None, 2), all[..2]);
    assert_eq!(desk.engine.users(("", None), Some(&all[1].0), 2), all[2..4]);
    assert!(desk.engine.users(("bob", None), None, 10).is_empty());
    let eve = desk.open();
    desk.subscribe(eve, "chat:x");
    let there = desk.engine.users(("", Some("chat:x")), None, 10);
    assert!(there.len() == 1 && !all.contains(&there[0]), "{there:?}");
    assert!(desk.engine.users(("", Some("chat:y")), None, 10).is_empty());
}

#[test]
fn what_is_here_now_and_how_it_was_recovered_is_counted() {
    let mut desk = Desk::new();
    let (ada, bob) = (desk.open(), desk.open());
    desk.subscribe(ada, "chat:x");
    desk.engine.loaded(desk.now, "chat:x", Ok(None));
    desk.say(
        bob,
        r#"{"type":"subscribe","id":1,"channel":"chat:x","since":{"epoch":"00","offset":3}}"#,
    );
    let counted = desk.engine.counters();
    assert_eq!(counted.recoveries[Recovery::NewEpoch as usize], 1);
    assert_eq!(counted.commands(Kind::Subscribe, None), 2);
    let counts = desk.engine.counts();
    assert_eq!((counts.sessions, counts.channels, counts.subscriptions), (2, 1, 2));
    desk.say(bob, r#"{"type":"unsubscribe","id":2,"channel":"chat:x"}"#);
    desk.engine.close(desk.now, ada, true);
    let counts = desk.engine.counts();
    assert_eq!((counts.sessions, counts.subscriptions), (1, 0));
}
