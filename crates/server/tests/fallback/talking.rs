//! People talk, whatever they came by.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Server, Setup, token};
use crate::http::{Events, ask, begin, finish, lines, poll, poll_until, send};

fn subscribe(id: u64, channel: &str) -> Value {
    json!({"type": "subscribe", "id": id, "channel": channel})
}

fn publish(id: u64, channel: &str, data: impl Into<Value>) -> Value {
    json!({"type": "publish", "id": id, "channel": channel, "data": data.into()})
}

/// Opens a session by long-polling and waits for a frame of this type, which may come with the
/// first answer. What its client is called, and the number of the last answer.
fn open_poll(server: &Server, commands: &[Value], kind: &str) -> (String, u64) {
    let opened = ask(server, "POST /poll", "", &lines(commands)).lines();
    assert_eq!(opened[0]["type"], "opened");
    let mut at = (opened[0]["connection"].as_str().unwrap().to_owned(), 0);
    if !opened.iter().any(|frame| frame["type"] == kind) {
        poll_until(server, &mut at, kind);
    }
    at
}

#[test]
fn ada_by_events_bob_by_polls_and_carol_by_websocket_hear_the_same() {
    let server = Server::start(&Setup::default());
    let (mut ada, ada_is) = Events::open(&server, "", &[subscribe(1, "chat:lobby")]);
    ada.wait("subscribed");
    let mut bob = open_poll(&server, &[subscribe(1, "chat:lobby")], "subscribed");
    let mut carol = server.connect();
    carol.subscribe("chat:lobby");

    assert_eq!(send(&server, &ada_is, 1, &[publish(2, "chat:lobby", "a")]), 204);
    assert_eq!(send(&server, &bob.0, 1, &[publish(2, "chat:lobby", "b")]), 204);
    assert_eq!(carol.publish("chat:lobby", json!("c"))["type"], "published");
    let heard = |event: &Value| (event["offset"].as_u64().unwrap(), event["data"].clone());
    let carols: Vec<_> = carol.events(3).iter().map(heard).collect();
    let adas: Vec<_> = (0..3).map(|_| heard(&ada.wait("event").data)).collect();
    assert_eq!(adas, carols);
    let mut bobs = Vec::new();
    while bobs.len() < 3 {
        let frames = poll_until(&server, &mut bob, "event");
        bobs.extend(frames.iter().filter(|frame| frame["type"] == "event").map(heard));
    }
    assert_eq!(bobs, carols);
    server.still_fine();
}

#[test]
fn a_batch_that_is_sent_twice_is_executed_once_and_none_is_left_out() {
    let server = Server::start(&Setup::default());
    let (mut ada, ada_is) = Events::open(&server, "", &[subscribe(1, "chat:lobby")]);
    for _ in 0..2 {
        assert_eq!(send(&server, &ada_is, 1, &[publish(2, "chat:lobby", 1)]), 204);
    }
    assert_eq!(send(&server, &ada_is, 3, &[publish(4, "chat:lobby", 3)]), 409);
    assert_eq!(send(&server, &ada_is, 0, &[publish(4, "chat:lobby", 3)]), 409);
    assert_eq!(send(&server, &ada_is, 2, &[publish(3, "chat:lobby", 2)]), 204);
    let heard: Vec<_> = (0..2).map(|_| ada.wait("event").data["data"].clone()).collect();
    assert_eq!(heard, [1, 2]);
}

#[test]
fn an_answer_to_a_poll_that_was_lost_comes_again() {
    let server = Server::start(&Setup::default());
    let bob = open_poll(&server, &[subscribe(1, "cast:lobby")], "subscribed");
    let mut ada = server.connect();
    let body = json!({"connection": bob.0, "ack": bob.1}).to_string();
    let link = begin(&server, "POST /poll", "", body.as_bytes());
    ada.publish("cast:lobby", json!("one"));
    // Bob's link is gone once the answer has left, and before he reads it.
    assert_eq!(link.peek(&mut [0]).unwrap(), 1);
    drop(link);
    let first = poll(&server, &bob.0, bob.1).lines();
    assert_eq!((first.len(), &first[1]["data"]), (2, &json!("one")));
    ada.publish("cast:lobby", json!("two"));
    assert_eq!(poll(&server, &bob.0, bob.1).lines(), first, "not acknowledged: the same again");
    let second = poll(&server, &bob.0, bob.1 + 1).lines();
    assert_eq!((second.len(), &second[1]["data"]), (2, &json!("two")));
    assert_eq!(poll(&server, &bob.0, bob.1).status, 404, "that is long gone");
}

/// A queue that was taken in pieces forgot what was behind the first one.
#[test]
fn a_long_recovery_comes_whole_by_events_and_by_polls() {
    let server = Server::start(&Setup::default());
    let mut ada = server.connect();
    for number in 0..400 {
        ada.publish("chat:long", json!([number, "x".repeat(1000)]));
    }
    let mut all = subscribe(1, "chat:long");
    all["rewind"] = 400.into();
    let (mut bob, _) = Events::open(&server, "", std::slice::from_ref(&all));
    let (mut carol, mut carols) = (open_poll(&server, &[all], "subscribed"), Vec::new());
    for number in 0..400 {
        assert_eq!(bob.wait("event").data["data"][0], number);
    }
    while carols.len() < 300 {
        let frames = poll_until(&server, &mut carol, "event");
        carols.extend(frames.iter().filter(|f| f["type"] == "event").map(|f| f["offset"].as_u64()));
    }
    assert!(carols.windows(2).all(|two| two[1] == two[0].map(|offset| offset + 1)));
}

#[test]
fn what_ends_is_told_and_what_is_silent_is_noticed() {
    let limits = "heartbeat = \"1s\"\npong_timeout = \"1s\"";
    let server = Server::start(&Setup { limits, ..Setup::default() });
    let (mut ada, _) = Events::open(&server, "", &[json!({"type": "hello", "id": 1})]);
    ada.wait("welcome");
    let enter = json!({"type": "enter", "id": 2, "channel": "chat:lobby"});
    let bob = open_poll(&server, &[enter], "entered");
    let begun = Instant::now();
    let answer = poll(&server, &bob.0, bob.1).lines();
    assert_eq!(answer.len(), 1, "nothing came: {answer:?}");
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
    // Bob polls no more for a while.
    std::thread::sleep(Duration::from_millis(5000));
    let late = poll(&server, &bob.0, bob.1 + 1).lines();
    assert_eq!((&late[1]["type"], &late[1]["code"]), (&json!("bye"), &json!(4508)));
    assert_eq!(poll(&server, &bob.0, bob.1 + 2).status, 404);
    server.signal("TERM");
    let bye = ada.wait("bye").data;
    assert_eq!((&bye["code"], &bye["reconnect"]), (&json!(4503), &json!(true)));
    assert!(ada.next().is_none(), "nothing follows");
    let comments = ada.comments.iter().filter(|comment| *comment == ":\n\n").count();
    assert!(comments >= 3, "{comments} signs of life in five seconds of silence");
    assert!(ada.comments[0].len() > 2048, "padding in front");
}

#[test]
fn a_token_stands_in_the_header_or_in_hello_and_a_bad_one_is_told() {
    let server = Server::start(&Setup::default());
    let good = token("ada", Duration::from_secs(600));
    let hello = [json!({"type": "hello", "id": 1})];
    let header = format!("Authorization: Bearer {good}\r\n");
    let (mut ada, _) = Events::open(&server, &header, &hello);
    assert_eq!(ada.wait("welcome").data["user"], "ada");
    let (mut ada, _) =
        Events::open(&server, "", &[json!({"type": "hello", "id": 1, "token": good})]);
    assert_eq!(ada.wait("welcome").data["user"], "ada");
    let (mut eve, _) = Events::open(&server, "Authorization: Bearer x\r\n", &hello);
    assert_eq!(eve.wait("bye").data["code"], 4401);
    assert!(eve.next().is_none());
    let hello = lines(&[json!({"type": "hello", "id": 1, "token": "x"})]);
    let told = ask(&server, "POST /poll", "", &hello).lines();
    assert_eq!(told[1]["code"], 4401, "{told:?}");
}

#[test]
fn who_says_good_bye_is_gone_at_once() {
    let server = Server::start(&Setup::default());
    let (mut ada, ada_is) = Events::open(&server, "", &[subscribe(1, "cast:lobby")]);
    ada.wait("subscribed");
    let leave = format!("{{\"connection\":\"{ada_is}\",\"batch\":1,\"close\":true}}\n");
    let last = leave + &publish(2, "cast:lobby", "bye").to_string();
    let mut bob = server.connect();
    bob.subscribe("cast:lobby");
    assert_eq!(finish(begin(&server, "POST /send", "", last.as_bytes())).status, 204);
    assert_eq!(bob.event()["data"], "bye");
    while ada.next().is_some() {}
    assert_eq!(send(&server, &ada_is, 2, &[]), 404);
    server.still_fine();
}
