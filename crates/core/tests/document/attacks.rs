//! Who means harm, and who leaves at the wrong moment.

use tidings_core::engine::Editor;
use tidings_proto::CloseCode;
use tidings_proto::yjs::aware::{Entry, encode};
use tidings_proto::yjs::hocuspocus::{self, Message};
use tidings_proto::yjs::sync;

use crate::desk::Desk;
use crate::editing::{connect, listen};
use crate::writer::Writer;

fn tells(client: u64, clock: u32, state: &str) -> Vec<u8> {
    sync::awareness(&encode(&[Entry { client, clock, state: Some(state) }]))
}

#[test]
fn an_editor_that_leaves_while_its_document_is_sent_takes_nobody_along() {
    let mut desk = Desk::new();
    let at_ada = Writer::new(1);
    let ada = connect(&mut desk, "ada", &at_ada);
    for _ in 0..8 {
        desk.send(ada, &sync::update(&at_ada.add(&"long ".repeat(10_000))));
    }
    let bob = desk.yjs("bob");
    desk.stall(bob, true);
    desk.send(bob, &[sync::step1(&[0]), sync::step1(&[0]), sync::step1(&[0])].concat());
    desk.leave(bob);
    desk.pass(1000);
    let carl = connect(&mut desk, "carl", &Writer::new(3));
    assert_eq!((desk.closed(ada), desk.closed(carl)), (None, None));
    // The same for who has two documents on one connection, and is told to go.
    let dora = desk.reader("dora");
    desk.stall(dora, true);
    desk.say(dora, &serde_json::json!({ "type": "sync", "id": 7, "channel": crate::desk::DOC }));
    desk.farewell(dora);
    desk.leave(dora);
    desk.pass(1000);
    assert_eq!(desk.closed(ada), None);
}

#[test]
fn one_frame_with_thousands_of_questions_ends_the_connection() {
    let mut desk = Desk::new();
    let at_ada = Writer::new(1);
    let ada = connect(&mut desk, "ada", &at_ada);
    desk.send(ada, &sync::update(&at_ada.add("plan")));
    for question in [sync::step1(&[0]), vec![3]] {
        let eve = connect(&mut desk, "eve", &Writer::new(6));
        desk.got(eve);
        desk.send(eve, &question.repeat(10_000));
        assert_eq!(desk.closed(eve), Some(CloseCode::BadFrame));
        assert!(desk.got(eve).len() < 100, "hardly one was answered");
    }
    assert_eq!(desk.closed(ada), None);
}

#[test]
fn a_document_s_name_has_a_length_before_it_is_kept() {
    let mut desk = Desk::new();
    let eve = desk.editor("eve", Editor::Hocuspocus);
    let name = "x".repeat(100_000);
    let word = Message::Token { token: "eve", version: None };
    desk.send(eve, &hocuspocus::encode(&name, word));
    assert_eq!(desk.closed(eve), Some(CloseCode::BadFrame));
}

#[test]
fn nobody_speaks_for_who_was_not_heard_for_a_while() {
    let mut desk = Desk::new();
    let (at_ada, at_bob) = (Writer::new(1), Writer::new(2));
    let ada = connect(&mut desk, "ada", &at_ada);
    let bob = connect(&mut desk, "bob", &at_bob);
    desk.send(ada, &tells(1, 5, "{\"name\":\"Ada\"}"));
    desk.leave(ada);
    desk.pass(1000);
    let mallory = connect(&mut desk, "mallory", &Writer::new(9));
    listen(&mut desk, bob, &at_bob);
    desk.send(mallory, &tells(1, u32::MAX, "{\"name\":\"Mallory\"}"));
    desk.pass(1000);
    assert_eq!(listen(&mut desk, bob, &at_bob), [], "she is not Ada");
    let ada = connect(&mut desk, "ada", &at_ada);
    desk.send(ada, &tells(1, 6, "{\"name\":\"Ada\"}"));
    desk.pass(1000);
    assert_eq!(listen(&mut desk, bob, &at_bob), [(1, true)]);
    // Nor does she lock herself out.
    desk.send(ada, &tells(1, u32::MAX, "{\"name\":\"Ada\"}"));
    desk.send(ada, &tells(1, 7, "{\"name\":\"Ada!\"}"));
    desk.pass(1000);
    assert_eq!(listen(&mut desk, bob, &at_bob), [(1, true)]);
    assert_eq!(desk.closed(ada), None);
}
