//! Requests that break the rules: an answer with a status, and nobody else notices.

use serde_json::{Value, json};

use crate::common::{Server, Setup, until};
use crate::http::{Events, ask, begin, finish, send};

const GUESS: &str = "0000000000000000000000000000";

#[test]
fn odd_requests_get_a_status() {
    let server = Server::start(&Setup::default());
    let origin = "Origin: https://evil.example\r\n";
    let stale = json!({"connection": GUESS, "ack": 0}).to_string();
    let batch = json!({"connection": GUESS, "batch": 1}).to_string();
    let long = "x".repeat((1 << 20) + 1);
    for (line, head, body, status) in [
        ("POST /events", origin, "", 403),
        ("OPTIONS /events", origin, "", 403),
        ("OPTIONS /send", "Origin: http://localhost:5173\r\n", "", 204),
        ("GET /poll", "", "", 405),
        ("GET /send", "", "", 405),
        ("DELETE /events", "", "", 405),
        ("POST /poll", "", &stale, 404),
        ("POST /send", "", &batch, 404),
        ("POST /send", "", "", 400),
        ("POST /send", "", "{\"connection\":5,\"batch\":1}", 400),
        ("POST /send", "", "{\"connection\":\"\u{e9}\",\"batch\":1}", 404),
        ("POST /send", "", "[[[[[[[[[[", 400),
        ("POST /send", "", &long, 413),
        ("POST /events", "", &long, 413),
        ("POST /poll", "", &long, 413),
    ] {
        let answer = ask(&server, line, head, body);
        let start = &body[..body.len().min(40)];
        assert_eq!(answer.status, status, "{line} {head} {start}: {}", answer.body);
    }
    server.still_fine();
}

#[test]
fn a_page_of_a_listed_origin_may_read_the_answers() {
    let server =
        Server::start(&Setup { server: "origins = [\"https://app.example\"]", ..Setup::default() });
    let origin = "Origin: https://app.example\r\n";
    let answer = ask(&server, "OPTIONS /events", origin, "");
    assert!(answer.head.contains("access-control-allow-headers: authorization"), "{answer:?}");
    for (line, head) in [
        ("OPTIONS /events", &answer.head),
        ("POST /poll", &ask(&server, "POST /poll", origin, "").head),
    ] {
        assert!(
            head.contains("access-control-allow-origin: https://app.example"),
            "{line}: {head}"
        );
    }
    assert!(!ask(&server, "POST /poll", "", "").head.contains("access-control-allow-origin"));
}

#[test]
fn a_line_that_is_too_long_or_no_text_ends_the_session() {
    let server = Server::start(&Setup::default());
    let long = format!("{{\"type\":\"ping\",\"id\":1,\"pad\":\"{}\"}}", "x".repeat(70_000));
    for (line, code) in
        [(long.as_bytes(), 1009), (&b"{\"type\":\"ping\",\"id\":1,\"\xff\":0}"[..], 1007)]
    {
        let (mut events, handle) = Events::open(&server, "", &[json!({"type": "hello", "id": 1})]);
        let mut body = format!("{{\"connection\":\"{handle}\",\"batch\":1}}\n").into_bytes();
        body.extend_from_slice(line);
        finish(begin(&server, "POST /send", "", &body));
        assert_eq!(events.wait("bye").data["code"], code);
        assert!(events.next().is_none());
    }
    let (mut events, handle) = Events::open(&server, "", &[]);
    for number in 1..=16 {
        send(&server, &handle, number, &[json!({"type": "nonsense", "id": number})]);
    }
    assert_eq!(events.wait("bye").data["code"], 4400);
    server.still_fine();
}

/// Somebody subscribes and takes nothing, by events and by polls: the server holds what its limit
/// allows and then lets go, and who reads is not kept waiting.
#[test]
fn who_takes_nothing_is_let_go() {
    let server = Server::start(&Setup { limits: "close_timeout = \"2s\"", ..Setup::default() });
    let subscribe = json!({"type": "subscribe", "id": 1, "channel": "cast:flood"});
    let (mut stuck, _) = Events::open(&server, "", std::slice::from_ref(&subscribe));
    stuck.wait("subscribed");
    let opened = ask(&server, "POST /poll", "", &subscribe.to_string()).lines();
    let handle = opened[0]["connection"].as_str().unwrap().to_owned();
    let (mut ada, mut bob) = (server.connect(), server.connect());
    bob.subscribe("cast:flood");
    let before = server.memory();
    let heavy: Value = "x".repeat(30_000).into();
    for _ in 0..400 {
        assert_eq!(ada.publish("cast:flood", heavy.clone())["type"], "published");
        assert_eq!(bob.event()["data"], heavy);
    }
    // 400 events are 12 MB and history keeps them once; a queue for each would be 24 MB more.
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 24 << 20, "{grown}");
    until("the one that never polled is gone", || {
        (send(&server, &handle, 1, &[]) == 404).then_some(())
    });
    let mut heard = 0;
    while let Some(event) = stuck.next() {
        heard += u64::from(event.data["type"] == "event");
    }
    assert!(heard < 400, "{heard}: it was not kept for ever");
    server.still_fine();
}
