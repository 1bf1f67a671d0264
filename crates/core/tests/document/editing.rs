//! Stock `y-websocket` editors beside sessions that speak JSON.

use serde_json::json;
use tidings_core::engine::Editor;
use tidings_core::store::StoreError;
use tidings_proto::CloseCode;
use tidings_proto::yjs::aware::{AwareLimits, Entry, encode, entries};
use tidings_proto::yjs::sync::{self, Message, Sync};

use crate::desk::{DOC, Desk, Who, bytes_of};
use crate::writer::Writer;

/// What the npm package does with what it gets; what it was sent of others' awareness.
pub(crate) fn listen(desk: &mut Desk, who: Who, writer: &Writer) -> Vec<(u64, bool)> {
    let mut seen = Vec::new();
    for frame in desk.got(who) {
        for message in sync::decode(&frame) {
            match message.unwrap() {
                Message::Sync(Sync::Step1(vector)) => {
                    desk.send(who, &sync::step2(&writer.since(vector)));
                }
                Message::Sync(Sync::Step2(update) | Sync::Update(update)) => writer.take(update),
                Message::Awareness(update) => {
                    let entries = entries(update, &AwareLimits::default()).unwrap();
                    seen.extend(entries.iter().map(|it| (it.client, it.state.is_some())));
                }
                Message::Denied(_) | Message::QueryAwareness => {}
            }
        }
    }
    seen
}

/// Connects as the npm package does: asks at once.
pub(crate) fn connect(desk: &mut Desk, token: &str, writer: &Writer) -> Who {
    let who = desk.yjs(token);
    desk.send(who, &sync::step1(&writer.vector()));
    listen(desk, who, writer);
    listen(desk, who, writer);
    who
}

fn cursor(client: u64, clock: u32, state: &str) -> Vec<u8> {
    let state = (state != "null").then_some(state);
    sync::awareness(&encode(&[Entry { client, clock, state }]))
}

#[test]
fn editors_and_sessions_write_one_document() {
    let mut desk = Desk::with(2, |_, _| {});
    let (at_ada, at_bob, at_carl) = (Writer::new(1), Writer::new(2), Writer::new(3));
    let written = at_ada.write(0, "offline ");
    let ada = connect(&mut desk, "ada", &at_ada);
    let bob = connect(&mut desk, "bob", &at_bob);
    assert_eq!(at_bob.text(), "offline ", "what she had was asked for");
    assert!(!written.is_empty());
    let carl = desk.reader("carl");
    at_carl.take(&desk.sync(carl, &[]));
    desk.send(ada, &sync::update(&at_ada.add("ada ")));
    listen(&mut desk, bob, &at_bob);
    desk.send(bob, &sync::update(&at_bob.add("bob ")));
    for frame in desk.heard(carl).iter().filter(|frame| frame["type"] == "document") {
        at_carl.take(&bytes_of(&frame["update"]));
    }
    desk.merge(carl, &at_carl.add("carl"));
    listen(&mut desk, ada, &at_ada);
    listen(&mut desk, bob, &at_bob);
    assert_eq!(at_ada.text(), "offline ada bob carl");
    assert_eq!((at_bob.text(), at_carl.text()), (at_ada.text(), at_ada.text()));
    desk.restart();
    let late = Writer::new(4);
    connect(&mut desk, "dora", &late);
    assert_eq!(late.text(), at_ada.text());
}

#[test]
fn an_editor_is_told_in_time_that_the_server_is_there() {
    let mut desk = Desk::new();
    let writer = Writer::new(1);
    let unread = desk.yjs_unread("eve");
    desk.tick_only();
    assert!(desk.got(unread).is_empty(), "nothing is said before the document is open");
    let mut desk = Desk::new();
    let ada = connect(&mut desk, "ada", &writer);
    for _ in 0..4 {
        desk.got(ada);
        desk.pass(25_000);
        let heard = desk.got(ada);
        assert!(heard.iter().any(|message| **message == [1, 1, 0]), "{heard:?}");
    }
}

#[test]
fn who_may_only_read_changes_nothing_by_any_message_until_they_may() {
    let mut desk = Desk::new();
    let (at_ada, at_eve) = (Writer::new(1), Writer::new(2));
    let ada = connect(&mut desk, "ada", &at_ada);
    desk.send(ada, &sync::update(&at_ada.write(0, "hers")));
    desk.send(ada, &sync::update(&at_ada.cut(0, 1)));
    let eve = connect(&mut desk, "eve/publish", &at_eve);
    assert_eq!(at_eve.text(), "ers");
    let denied = |desk: &mut Desk| desk.got(eve).iter().filter(|it| it[0] == 2).count();
    desk.send(eve, &sync::step2(&at_eve.all()));
    assert_eq!(denied(&mut desk), 0, "she says nothing new");
    let before = desk.on_disk(DOC);
    let mut both = sync::update(&at_eve.add("!"));
    both.extend(sync::step2(&at_eve.all()));
    desk.send(eve, &both);
    assert_eq!((denied(&mut desk), desk.on_disk(DOC)), (1, before), "told once");
    listen(&mut desk, ada, &at_ada);
    assert_eq!(at_ada.text(), "ers");
    desk.reconfigure(|_, policy| policy.publish = tidings_core::policy::Access::SignedIn);
    listen(&mut desk, eve, &at_eve);
    listen(&mut desk, ada, &at_ada);
    assert_eq!(at_ada.text(), "ers!", "she was asked for what was refused");
    desk.reconfigure(|_, policy| policy.publish = tidings_core::policy::Access::Token);
    desk.send(eve, &sync::update(&at_eve.add("?")));
    assert_eq!((denied(&mut desk), desk.closed(eve)), (1, None));
}

#[test]
fn who_may_not_open_it_is_closed_for_good_and_who_meets_a_full_disk_is_not() {
    let mut desk = Desk::new();
    let eve = desk.yjs("eve/subscribe");
    assert_eq!(desk.closed(eve), Some(CloseCode::Forbidden));
    let lost = desk.editor("ada", Editor::Yjs { document: "nothing:there".into() });
    assert_eq!(desk.closed(lost), Some(CloseCode::NotFound));
    let chat = desk.editor("ada", Editor::Yjs { document: "chat:lobby".into() });
    assert_eq!(desk.closed(chat), Some(CloseCode::NotFound));
    let mallory = desk.yjs("mallory");
    assert_eq!(desk.closed(mallory), Some(CloseCode::TokenRefused));
    let writer = Writer::new(1);
    let ada = connect(&mut desk, "ada", &writer);
    desk.send(ada, b"\x00\x02\x03abc");
    assert_eq!(desk.closed(ada), Some(CloseCode::BadFrame));
    let ada = connect(&mut desk, "ada", &writer);
    desk.send(ada, b"");
    assert_eq!(desk.closed(ada), Some(CloseCode::BadFrame), "there is no such message");
    let ada = connect(&mut desk, "ada", &writer);
    desk.slow = true;
    desk.send(ada, &sync::update(&writer.write(0, "kept")));
    desk.store(&Err(StoreError::Full));
    assert!(desk.closed(ada).is_some_and(CloseCode::reconnect));
    desk.slow = false;
    connect(&mut desk, "ada", &writer);
    let late = Writer::new(2);
    connect(&mut desk, "bob", &late);
    assert_eq!(late.text(), "kept", "she came back and was asked for it");
}

#[test]
fn who_is_one_client_too_many_is_told_so_for_good_and_may_read() {
    let mut desk = Desk::with(1, |_, policy| policy.document.clients = 2);
    let (at_ada, at_bob, at_carl) = (Writer::new(1), Writer::new(2), Writer::new(3));
    for (name, writer) in [("ada", &at_ada), ("bob", &at_bob)] {
        let who = connect(&mut desk, name, writer);
        desk.send(who, &sync::update(&writer.add(name)));
    }
    let carl = connect(&mut desk, "carl", &at_carl);
    assert_eq!(at_carl.text(), "adabob");
    desk.send(carl, &sync::update(&at_carl.add("carl")));
    assert_eq!(desk.closed(carl), Some(CloseCode::TooLarge));
    at_carl.take(&at_bob.add("!"));
    // Who comes without the right to write has the document all the same.
    let carl = connect(&mut desk, "carl/publish", &at_carl);
    let bob = connect(&mut desk, "bob", &at_bob);
    desk.send(bob, &sync::update(&at_bob.add("?")));
    listen(&mut desk, carl, &at_carl);
    assert_eq!((at_carl.text(), desk.closed(carl)), ("adabob!?carl".to_owned(), None));
    let reader = desk.reader("carl");
    at_carl.take(&desk.sync(reader, &at_carl.vector()));
}

#[test]
fn what_an_editor_says_before_its_document_is_there_is_kept_but_not_without_end() {
    let mut desk = Desk::new();
    let writer = Writer::new(1);
    let update = writer.write(0, "early");
    let ada = desk.yjs_unread("ada");
    for _ in 0..3 {
        desk.send_only(ada, &sync::update(&update));
    }
    desk.run();
    let late = Writer::new(2);
    connect(&mut desk, "bob", &late);
    assert_eq!(late.text(), "early");
    desk.restart();
    let eve = desk.yjs_unread("eve");
    for _ in 0..100 {
        desk.send_only(eve, &sync::step1(&[0]));
    }
    desk.run();
    assert_eq!(desk.closed(eve), Some(CloseCode::RateLimited));
}

#[test]
fn cursors_of_editors_are_their_own_and_echoes_are_nothing() {
    let mut desk = Desk::new();
    let (at_ada, at_bob) = (Writer::new(1), Writer::new(2));
    let ada = connect(&mut desk, "ada", &at_ada);
    let bob = connect(&mut desk, "bob", &at_bob);
    let carl = desk.reader("carl");
    desk.send(ada, &cursor(1, 1, r#"{"user":"Ada"}"#));
    desk.moment();
    assert_eq!(listen(&mut desk, bob, &at_bob), [(1, true)]);
    desk.heard(carl);
    // The npm package sends on what it hears.
    desk.send(bob, &cursor(1, 1, r#"{"user":"Ada"}"#));
    desk.send(bob, &cursor(1, 9, r#"{"user":"Eve"}"#));
    desk.moment();
    assert!(desk.heard(carl).is_empty());
    desk.send(ada, &cursor(1, 1, "null"));
    desk.moment();
    assert_eq!(listen(&mut desk, bob, &at_bob), [(1, false)]);
    desk.send(bob, &cursor(1, 1, r#"{"user":"Ada"}"#));
    desk.moment();
    assert!(listen(&mut desk, bob, &at_bob).is_empty(), "an echo raises nobody");
    desk.send(bob, b"\x01\x05\x01\x02\x01\x02{{");
    assert_eq!(desk.closed(bob), Some(CloseCode::BadFrame));
    let dora = connect(&mut desk, "dora", &Writer::new(4));
    desk.send(dora, &cursor(4, 1, "4"));
    desk.send(dora, &[3]);
    desk.leave(dora);
    desk.moment();
    let heard = desk.heard(carl);
    let last = heard.iter().rfind(|frame| frame["type"] == "awareness").unwrap();
    assert_eq!(last["states"][0]["state"], json!(null));
}

#[test]
fn what_waits_for_others_is_told_to_who_comes_and_all_of_it_is_confirmed() {
    let mut desk = Desk::new();
    let (at_ada, at_bob, at_carl) = (Writer::new(1), Writer::new(2), Writer::new(3));
    let ada = desk.reader("ada");
    let first = at_ada.write(0, "one ");
    let second = at_ada.add("two");
    assert_eq!(desk.merge(ada, &second)["type"], "merged", "it is stored");
    let bob = connect(&mut desk, "bob", &at_bob);
    let carl = desk.reader("carl");
    desk.heard(carl);
    desk.say(carl, &json!({ "type": "sync", "id": 8, "channel": DOC }));
    let heard = desk.heard(carl);
    let kinds: Vec<_> = heard.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["document", "synced"], "the answer is whole with its last frame");
    heard.iter().for_each(|frame| at_carl.take(&bytes_of(&frame["update"])));
    assert_eq!((at_bob.text(), at_carl.text()), (String::new(), String::new()));
    // Bob is told by the last message that he has all there is.
    desk.send(bob, &sync::step1(&[0]));
    let last = desk.got(bob).pop().unwrap();
    let Some(Ok(Message::Sync(Sync::Step2(_)))) = sync::decode(&last).next() else {
        panic!("{last:?}")
    };
    desk.merge(ada, &first);
    listen(&mut desk, bob, &at_bob);
    at_carl.take(&first);
    assert_eq!((at_bob.text(), at_carl.text()), ("one two".to_owned(), "one two".to_owned()));
}
