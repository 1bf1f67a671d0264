//! Who writes, who reads, who comes later.

use std::io::{BufRead, BufReader, Write};

use serde_json::json;
use yrs::Doc;

use crate::common::{Server, Setup, frame_head, until};
use crate::editor::{Editor, UPDATE, sync};
use crate::http::{KEY, get};
use crate::rights::token;
use crate::setup;

#[test]
fn two_write_and_who_comes_later_has_it_all_also_after_a_restart() {
    let mut server = Server::start(&setup());
    let mut ada = Editor::open(&server, "doc:plan").synced();
    let mut bob = Editor::open(&server, "doc%3Aplan").synced();
    for line in 0..20 {
        ada.write(&format!("ada {line}\n"));
        bob.write(&format!("bob {line}\n"));
    }
    ada.until("ada has all", |ada| ada.text().lines().count() == 40);
    bob.until("bob has all", |bob| bob.text().lines().count() == 40);
    assert_eq!(ada.text(), bob.text());
    let cy = Editor::open(&server, "doc:plan").synced();
    assert_eq!(cy.text(), ada.text());
    assert_eq!(Editor::open(&server, "doc:other").synced().text(), "");

    let dir = server.dir();
    server.whole_log();
    ada.closed_with(4503);
    let server = Server::start_in(dir, &setup());
    let mut dan = Editor::open(&server, "doc:plan").synced();
    assert_eq!(dan.text(), ada.text());
    // Ada wrote on while there was no server.
    ada.write_here("on the train\n");
    let mut ada = Editor::open_with(&server, "doc:plan", "", ada.doc).synced();
    dan.reads("on the train");
    dan.write("by Dan\n");
    ada.reads("by Dan");
    assert_eq!(ada.text(), dan.text());
    server.still_fine();
}

#[test]
fn who_is_here_is_told_and_that_somebody_has_left() {
    let server = Server::start(&setup());
    let mut ada = Editor::open(&server, "doc:plan").synced();
    ada.says(1, Some(json!({"name": "Ada", "cursor": 1}))).unwrap();
    let mut bob = Editor::open(&server, "doc:plan").synced();
    let ada_is = ada.doc.client_id().get();
    bob.until("bob sees Ada", |bob| bob.states.get(&ada_is).is_some_and(|s| s["name"] == "Ada"));
    // The newest is what counts, however many there were.
    for cursor in 2..200 {
        ada.says(cursor, Some(json!({"name": "Ada", "cursor": cursor}))).unwrap();
    }
    let before = bob.heard;
    bob.until("bob sees the last", |bob| bob.states[&ada_is]["cursor"] == 199);
    assert!(bob.heard - before < 100, "they are joined: {}", bob.heard - before);
    drop(ada);
    bob.until("bob sees nobody", |bob| !bob.states.contains_key(&ada_is));
}

#[test]
fn nobody_speaks_for_somebody_else() {
    let server = Server::start(&setup());
    let mut ada = Editor::open(&server, "doc:plan").synced();
    ada.says(1, Some(json!({"name": "Ada"}))).unwrap();
    let ada_is = ada.doc.client_id();
    let mut bob = Editor::open(&server, "doc:plan").synced();
    bob.until("bob sees Ada", |bob| bob.states.contains_key(&ada_is.get()));
    // Eve says that Ada is gone, and that Ada is Eve.
    let mut eve =
        Editor::open_with(&server, "doc:plan", "", Doc::with_client_id(ada_is.get())).synced();
    eve.says(7, None).unwrap();
    eve.says(8, Some(json!({"name": "Eve"}))).unwrap();
    ada.says(2, Some(json!({"name": "Ada", "cursor": 2}))).unwrap();
    bob.until("bob sees her move", |bob| bob.states[&ada_is.get()]["cursor"] == 2);
    assert_eq!(bob.states[&ada_is.get()]["name"], "Ada");
}

#[test]
fn a_slow_reader_gets_a_document_that_is_longer_than_its_backlog() {
    let server = Server::start(&Setup { limits: "backlog = 300000", ..setup() });
    let mut ada = Editor::open(&server, "doc:long").synced();
    for part in 0..12 {
        ada.write(&format!("{part}").repeat(200_000));
    }
    // What is written while he opens it would come as it was written: it is all there before.
    while server.metric("tidings_documents_merged_bytes_total") < ada.text().len() as f64 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let mut bob = Editor::open(&server, "doc:long");
    bob.until("bob has all", |bob| bob.text().len() == ada.text().len());
    assert_eq!(ada.text(), bob.text());
    assert!(bob.longest < 300_000, "in pieces: {}", bob.longest);
    assert_eq!(server.metric("tidings_sessions_closed_total{code=\"4513\"}"), 0.0);
}

#[test]
fn a_long_update_that_takes_longer_than_the_heartbeat_is_a_sign_of_life() {
    let limits = "heartbeat = \"300ms\"\npong_timeout = \"300ms\"";
    let server = Server::start(&Setup { limits, ..setup() });
    let mut ada = Editor::open(&server, "doc:slow").synced();
    let message = sync(UPDATE, &ada.write_here(&"slow ".repeat(2000)));
    // It cannot answer a Ping in the midst of its own message.
    ada.socket.send_raw(&frame_head(0x82, message.len() as u64)).unwrap();
    let pieces = message.chunks(message.len() / 20 + 1);
    for piece in pieces {
        ada.socket.send_raw(piece).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    Editor::open(&server, "doc:slow").synced().reads("slow slow");
    assert_eq!(server.metric("tidings_sessions_closed_total{code=\"4508\"}"), 0.0);
}

#[test]
fn editors_are_counted_and_listed() {
    let server = Server::start(&setup());
    let mut ada = Editor::open(&server, "doc:plan").synced();
    ada.write("hello");
    Editor::open(&server, "doc:plan").synced().reads("hello");
    until("one is left", || {
        (server.metric("tidings_connections{transport=\"editor\"}") < 1.5).then_some(())
    });
    assert_eq!(server.metric("tidings_sessions_opened_total{transport=\"editor\"}"), 2.0);
    assert_eq!(server.metric("tidings_documents"), 1.0);
    for metric in ["documents_memory_bytes", "documents_merged_bytes_total"] {
        assert!(server.metric(&format!("tidings_{metric}")) > 0.0, "{metric}");
    }
    let info = get(&server, "/info").ok();
    assert_eq!(info["kinds"]["doc"], "document");
    let channel = get(&server, "/channels/doc:plan").ok();
    assert_eq!((&channel["subscriptions"], &channel["offset"]), (&json!(1), &json!(1)));
    let token = token("bob", &[]);
    let _twice =
        [(); 2].map(|()| Editor::open(&server, &format!("doc:plan?token={token}")).synced());
    let there = get(&server, "/users?channel=doc:plan&prefix=b").ok();
    assert_eq!(there, json!({"users": [{"user": "bob", "sessions": 2}]}));
    assert_eq!(get(&server, "/users?channel=doc:other").ok(), json!({"users": []}));
}

/// What somebody types is nobody's business.
#[test]
fn messages_of_editors_are_traced_by_their_length_alone() {
    let server = Server::start(&setup());
    let mut viewer = server.tcp();
    let head = format!(
        "GET /api/v1/trace?user=ada HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    );
    viewer.write_all(head.as_bytes()).unwrap();
    let mut lines = BufReader::new(viewer).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("\"kind\":\"start\"")));
    let token = token("ada", &[]);
    let mut ada = Editor::open(&server, &format!("doc:plan?token={token}")).synced();
    ada.write("a secret thought");
    drop(ada);
    let mut seen: Vec<String> = Vec::new();
    while seen.last().is_none_or(|line| !line.contains("\"kind\":\"closed\"")) {
        seen.extend(lines.next().filter(|line| line.starts_with("data: ")));
    }
    let of = |kind: &str| {
        let kind = format!("\"kind\":\"{kind}\"");
        seen.iter().filter(|line| line.contains(&kind) && line.contains("\"bytes\":")).count()
    };
    assert!(of("in") >= 2 && of("out") >= 1, "{seen:#?}");
    assert!(seen.iter().all(|line| line.contains("\"transport\":\"editor\"")), "{seen:#?}");
    assert!(!seen.iter().any(|line| line.contains("thought") || line.contains(&token)));
}
