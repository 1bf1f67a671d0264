//! What documents take: memory, room on the disk, time of those who read and write.

use serde_json::{Value, json};
use tidings_core::Period;
use tidings_core::engine::{Advice, CommandKind, Denial, Editor, Now, Verdict};
use tidings_core::policy::{ConnectRule, Hook};
use tidings_proto::yjs::sync;
use tidings_proto::{CloseCode, ErrorCode, to_base64};

use crate::desk::{DOC, Desk, merge};
use crate::editing::{connect, listen};
use crate::writer::Writer;

fn part(id: u64, channel: &str, update: &[u8], more: bool) -> Value {
    let update = to_base64(update);
    json!({ "type": "merge", "id": id, "channel": channel, "update": update, "more": more })
}

#[test]
fn a_long_update_comes_in_parts_and_others_do_not_disturb_it() {
    let mut desk = Desk::new();
    let (ada, bob) = (desk.reader("ada"), desk.reader("bob"));
    desk.open(ada, "doc:other");
    let (at_ada, at_bob) = (Writer::new(1), Writer::new(2));
    let update = at_ada.write(0, &"long ".repeat(40_000));
    let (first, rest) = update.split_at(70_000);
    let (second, third) = rest.split_at(70_000);
    assert_eq!(desk.ask(ada, &part(10, DOC, first, true))["more"], true);
    let other = Writer::new(3).write(0, "short");
    assert_eq!(desk.ask(ada, &part(11, "doc:other", &other, false))["type"], "merged");
    assert_eq!(desk.ask(ada, &part(12, "doc:other", b"nonsense", false))["code"], "invalid_data");
    assert_eq!(desk.ask(ada, &part(13, "doc:other", &other, true))["limit"], "uploads");
    desk.ask(ada, &part(14, "doc:other", &other, false));
    assert_eq!(desk.ask(ada, &part(15, DOC, second, true))["more"], true);
    desk.heard(bob);
    assert_eq!(desk.ask(ada, &part(16, DOC, third, false))["offset"], 1);
    let heard = desk.heard(bob);
    assert!(heard.len() > 2 && heard.iter().all(|frame| frame["offset"] == 1));
    let parts = heard.iter().flat_map(|frame| crate::desk::bytes_of(&frame["update"]));
    at_bob.take(&parts.collect::<Vec<_>>());
    assert_eq!(at_bob.text(), at_ada.text());
}

#[test]
fn a_part_that_is_refused_takes_those_behind_it_along() {
    let mut desk = Desk::with(1, |limits, _| limits.update = 1000);
    let ada = desk.reader("ada");
    let small = Writer::new(1).write(0, "small");
    let flight: Vec<_> = (10..14).map(|id| part(id, DOC, &[0; 400], id < 13)).collect();
    desk.say_all(ada, &flight);
    let codes: Vec<_> = (10..14)
        .map(|id| desk.answer(ada, &json!(id)).unwrap())
        .map(|said| said["limit"].as_str().unwrap_or("none").to_owned())
        .collect();
    assert_eq!(codes, ["none", "none", "update", "update"]);
    assert_eq!(desk.merge(ada, &small)["type"], "merged", "and then it is over");
    desk.ask(ada, &part(20, DOC, &small[..4], true));
    desk.pass(31_000);
    let late = desk.ask(ada, &part(21, DOC, &small[4..], false));
    assert_eq!((&late["code"], &late["retryable"]), (&json!("unavailable"), &json!(true)));
    desk.ask(ada, &json!({ "type": "refresh", "id": 22, "token": "ada/publish" }));
    assert_eq!(desk.ask(ada, &part(23, DOC, &small[..4], true))["code"], "forbidden");
    desk.ask(ada, &json!({ "type": "refresh", "id": 24, "token": "ada" }));
    assert_eq!(desk.ask(ada, &part(25, DOC, &small[4..], false))["code"], "forbidden");
    assert_eq!(desk.merge(ada, &small)["type"], "merged");
}

#[test]
fn documents_that_nobody_has_open_leave_memory_and_one_too_many_is_refused() {
    let mut desk = Desk::with(1, |limits, _| {
        (limits.documents, limits.channel_idle) = (100_000, Period::secs(3600));
    });
    let ada = desk.user("ada");
    let mut id = 100;
    let mut fill = |desk: &mut Desk, channel: &str| {
        let subscribe = json!({ "type": "subscribe", "id": id, "channel": channel });
        let said = desk.ask(ada, &subscribe);
        if said["type"] == "subscribed" {
            let update = Writer::new(1).write(0, &"z".repeat(5000));
            desk.ask(ada, &part(id + 1, channel, &update, false));
        }
        id += 2;
        said
    };
    let mut open = 0;
    while fill(&mut desk, &format!("doc:{open}"))["type"] == "subscribed" {
        open += 1;
        assert!(open < 50);
    }
    let refused = fill(&mut desk, "doc:more");
    assert_eq!(
        (&refused["code"], &refused["limit"]),
        (&json!("limit_exceeded"), &json!("documents"))
    );
    desk.pass(7000);
    assert_eq!(fill(&mut desk, "doc:more")["type"], "subscribed", "the others rest");
    for n in 0..open {
        desk.say(ada, &json!({ "type": "unsubscribe", "id": 9, "channel": format!("doc:{n}") }));
    }
    let before = desk.engines[0].counts().channels;
    for n in 0..open + 30 {
        let said = fill(&mut desk, &format!("doc:late{n}"));
        assert!(said["type"] == "subscribed" || n > open);
        desk.pass(1000);
    }
    assert!(desk.engines[0].counts().channels < before + open + 30, "those have left");
}

#[test]
fn an_editor_that_is_too_fast_is_read_more_slowly_and_loses_nothing() {
    #[derive(Debug)]
    struct Slow;
    impl tidings_core::Meter for Slow {
        fn command(&self, _: Now, user: &str, kind: CommandKind) -> Result<(), u64> {
            if kind == CommandKind::Merge && user == "eve" { Err(2000) } else { Ok(()) }
        }
        fn begins(&self, user: &str) -> bool {
            user != "crowd"
        }
        fn ends(&self, _: &str) {}
    }
    let mut desk = Desk::ruled(|policy| policy.meter = Some(std::sync::Arc::new(Slow)));
    let (at_eve, at_ada) = (Writer::new(1), Writer::new(2));
    let eve = connect(&mut desk, "eve", &at_eve);
    desk.send(eve, &sync::update(&at_eve.write(0, "fast")));
    assert!(desk.is_paused(eve) && desk.closed(eve).is_none());
    let ada = connect(&mut desk, "ada", &at_ada);
    assert_eq!((at_ada.text(), desk.is_paused(ada)), ("fast".to_owned(), false));
    desk.pass(1500);
    assert!(desk.is_paused(eve));
    desk.pass(1000);
    assert!(!desk.is_paused(eve));
    let crowd = desk.yjs("crowd");
    assert_eq!(desk.closed(crowd), Some(CloseCode::RateLimited));
}

#[test]
fn the_backend_is_asked_before_anything_of_an_editor_passes() {
    let mut desk = Desk::ruled(|policy| {
        policy.hooks.connect = Some(ConnectRule::default());
    });
    let at_ada = Writer::new(1);
    let update = at_ada.write(0, "hello");
    let ada = desk.yjs("ada");
    assert!(desk.is_paused(ada), "it is read no further");
    desk.send(ada, &sync::update(&update));
    assert_eq!(desk.on_disk(DOC).0, 0);
    desk.advise(Verdict::Allow(Advice::default()));
    assert!(!desk.is_paused(ada));
    assert_eq!(desk.on_disk(DOC).0, 1, "what was read before");
    let eve = desk.yjs("eve");
    let denial = Denial { code: ErrorCode::Forbidden, close: CloseCode::Forbidden, message: None };
    desk.advise(Verdict::Deny(denial.clone()));
    assert_eq!(desk.closed(eve), Some(CloseCode::Forbidden));
    let mut desk = Desk::with(1, |_, policy| policy.hooks = vec![Hook::Subscribe]);
    let eve = desk.yjs("eve");
    desk.send(eve, &sync::update(&update));
    desk.advise(Verdict::Deny(denial));
    assert_eq!((desk.closed(eve), desk.on_disk(DOC).0), (Some(CloseCode::Forbidden), 0));
    let ada = desk.yjs("ada");
    desk.send(ada, &sync::step1(&[0]));
    desk.advise(Verdict::Failed);
    assert!(desk.closed(ada).is_some_and(CloseCode::reconnect), "the backend is down");
    let ada = desk.yjs("ada");
    desk.send(ada, &sync::step1(&[0]));
    desk.advise(Verdict::Allow(Advice::default()));
    listen(&mut desk, ada, &at_ada);
    assert_eq!(desk.on_disk(DOC).0, 1);
    let carl = desk.reader_asked("carl");
    let flight = [merge(10, &at_ada.add("!")), json!({ "type": "sync", "id": 11, "channel": DOC })];
    desk.say_all(carl, &flight);
    assert!(desk.answer(carl, &json!(11)).is_none(), "they wait for the verdict");
    desk.advise(Verdict::Allow(Advice::default()));
    assert_eq!(desk.answer(carl, &json!(10)).unwrap()["type"], "merged");
    assert_eq!(desk.answer(carl, &json!(11)).unwrap()["type"], "synced");
}

#[test]
fn an_editor_is_let_go_when_what_it_wrote_is_stored() {
    let mut desk = Desk::new();
    let at_ada = Writer::new(1);
    let ada = connect(&mut desk, "ada", &at_ada);
    let bob = desk.editor("bob", Editor::Hocuspocus);
    desk.slow = true;
    desk.send(ada, &sync::update(&at_ada.write(0, "last words")));
    desk.farewell(ada);
    desk.farewell(bob);
    assert_eq!((desk.closed(ada), desk.closed(bob)), (None, Some(CloseCode::Draining)));
    desk.store(&Ok(()));
    assert_eq!(desk.closed(ada), Some(CloseCode::Draining));
}

#[test]
fn documents_that_are_opened_all_at_once_find_no_more_room_than_one_after_the_other() {
    let mut desk = Desk::with(1, |limits, _| limits.documents = 100_000);
    let subscribe = |n: u64| json!({ "type": "subscribe", "id": n, "channel": format!("doc:{n}") });
    for n in 1..=12 {
        let ada = desk.user("ada");
        assert_eq!(desk.ask(ada, &subscribe(n))["type"], "subscribed");
        let update = Writer::new(1).write(0, &"z".repeat(5000));
        desk.ask(ada, &part(100 + n, &format!("doc:{n}"), &update, false));
        desk.restart();
    }
    let ada = desk.user("ada");
    desk.say_all(ada, &(1..=12).map(subscribe).collect::<Vec<_>>());
    let heard = desk.heard(ada);
    let opened = heard.iter().filter(|said| said["type"] == "subscribed").count();
    assert!((1..=4).contains(&opened), "{opened} of 40 KB each");
    let refused = heard.iter().filter(|said| said["limit"] == "documents").count();
    assert_eq!(opened + refused, 12);
    assert_eq!(desk.engines[0].counts().channels, opened, "the others are not kept");
}
