//! Silence: who answers Pings stays, who does not is told and closed.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{Message, Server, Setup, frame};

const LIMITS: &str = "heartbeat = \"1s\"\npong_timeout = \"1s\"\nhello_timeout = \"60s\"";

#[test]
fn who_answers_pings_stays_and_who_does_not_is_closed() {
    let server = Server::start(&Setup { limits: LIMITS, ..Setup::default() });
    let (mut alive, mut dead) = (server.connect(), server.connect());
    alive.subscribe("cast:life");
    dead.subscribe("cast:life");
    let begin = Instant::now();
    dead.silent = true;
    let waiting = std::thread::spawn(move || {
        let said = dead.bye(4508);
        (said, begin.elapsed())
    });
    let mut pings = 0;
    while pings < 4 {
        match alive.receive().unwrap() {
            Message::Ping => {
                pings += 1;
                alive.send_raw(&frame(0x8a, b"")).unwrap();
            }
            other => panic!("instead of a Ping: {other:?}"),
        }
    }
    let (said, took) = waiting.join().unwrap();
    assert_eq!((said.len(), &said[0]["reconnect"]), (1, &json!(true)), "{said:?}");
    assert!(took >= Duration::from_millis(1900), "closed after {took:?} already");
    assert!(took < Duration::from_secs(10), "closed after {took:?} only");
    assert_eq!(alive.ask(json!({"type": "ping"}))["type"], "pong");
    server.still_fine();
}

/// Anything that a client sends is a sign of life: no Ping goes to one that is busy.
#[test]
fn who_talks_is_not_pinged() {
    let server = Server::start(&Setup { limits: LIMITS, ..Setup::default() });
    let mut busy = server.connect();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(3) {
        busy.send(r#"{"type":"ping","id":1}"#).unwrap();
        assert!(matches!(busy.receive().unwrap(), Message::Text(_)));
    }
}

/// The presence of a client that went dead ends, and others are told.
#[test]
fn a_dead_member_leaves() {
    let server = Server::start(&Setup { limits: LIMITS, ..Setup::default() });
    let (mut watcher, mut dead) = (server.connect(), server.connect());
    let subscribe = json!({"type": "subscribe", "channel": "cast:room", "presence": true});
    assert_eq!(watcher.ask(subscribe)["count"], 0);
    let enter = json!({"type": "enter", "channel": "cast:room", "data": {"name": "Ada"}});
    assert_eq!(dead.ask(enter)["type"], "entered");
    let entered = watcher.push();
    assert_eq!((&entered["action"], &entered["count"]), (&json!("enter"), &json!(1)));
    let begin = Instant::now();
    // Two seconds of silence, and the five that a leave is held back for.
    let left = watcher.push();
    assert_eq!((&left["action"], &left["count"]), (&json!("leave"), &json!(0)), "{left}");
    let took = begin.elapsed();
    assert!(took > Duration::from_secs(6), "left after {took:?} already");
    assert!(took < Duration::from_secs(20), "left after {took:?} only");
}
