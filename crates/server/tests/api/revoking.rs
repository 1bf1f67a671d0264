//! Rights that are taken back, and tickets for URLs.

use std::io::{BufRead, BufReader, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::common::{Server, Socket, token};
use crate::http::{get, post, setup};

const HOUR: Duration = Duration::from_secs(3600);

fn revoke(server: &Server, body: &Value) -> Value {
    let begun = Instant::now();
    let answer = post(server, "/revoke", body).ok();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    answer
}

/// Tokens tell whole seconds: waits until new ones are later than what was revoked.
fn next_second() {
    let part = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_millis();
    std::thread::sleep(Duration::from_millis(u64::from(1050 - part)));
}

#[test]
fn a_revoked_user_hears_nothing_more_is_not_let_in_and_comes_back_with_a_new_token() {
    let mut server = Server::start(&setup());
    let old = token("ada", HOUR);
    let (mut ada, mut bob) = (server.connect_as(&old), server.connect_as(&token("bob", HOUR)));
    ada.subscribe("club:inner");
    bob.subscribe("club:inner");
    let welcome = ada.ask(json!({"type": "ping"}));
    assert_eq!(welcome["type"], "pong");
    assert_eq!(revoke(&server, &json!({"user": "ada"}))["sessions"], 1);
    post(&server, "/publish", &json!({"channel": "club:inner", "data": "secret"})).ok();
    let heard = ada.bye(4410);
    assert!(heard.iter().all(|frame| frame["type"] != "event"), "{heard:?}");
    assert_eq!(bob.event()["data"], "secret");

    let turned_away = |server: &Server| {
        let mut late = server.connect();
        late.command(json!({"type": "hello", "token": old})).unwrap();
        late.bye(4401);
    };
    turned_away(&server);
    let dir = server.dir();
    server.kill();
    let server = Server::start_in(dir, &setup());
    turned_away(&server);
    next_second();
    server.connect_as(&token("ada", HOUR)).subscribe("club:inner");
}

#[test]
fn a_lost_session_of_a_revoked_user_is_not_resumed() {
    let server = Server::start(&setup());
    let mut ada = server.connect();
    let welcome = ada.ask(json!({"type": "hello", "token": token("ada", HOUR)}));
    ada.ask(json!({"type": "enter", "channel": "chat:lobby"}));
    drop(ada);
    revoke(&server, &json!({"user": "ada"}));
    let mut again = server.connect();
    let again = again.ask(json!({"type": "hello", "session": welcome["session"]}));
    assert_ne!(again["resumed"], true, "{again}");
    assert_ne!(again["user"], "ada", "{again}");
}

#[test]
fn rights_to_channels_are_taken_from_one_user_or_from_all() {
    let server = Server::start(&setup());
    let mut ada = server.connect_as(&token("ada", HOUR));
    let mut bob = server.connect_as(&token("bob", HOUR));
    for channel in ["club:a", "club:b", "chat:lobby"] {
        ada.subscribe(channel);
        bob.subscribe(channel);
    }
    let answer = revoke(&server, &json!({"user": "ada", "channel": "club:*"}));
    assert_eq!(answer["sessions"], 0, "the session lives: {answer}");
    revoke(&server, &json!({"channel": "club:b"}));
    let ended = |frames: Vec<Value>| {
        let mut channels: Vec<_> =
            frames.iter().map(|frame| frame["channel"].as_str().unwrap().to_owned()).collect();
        channels.sort();
        channels
    };
    assert_eq!(ended(vec![ada.push(), ada.push()]), ["club:a", "club:b"]);
    assert_eq!(ended(vec![bob.push()]), ["club:b"]);
    let may = |client: &mut Socket, channel: &str| {
        client.publish(channel, json!(1))["type"] == "published"
    };
    assert!(!may(&mut ada, "club:a") && may(&mut bob, "club:a"));
    assert!(!may(&mut bob, "club:b") && may(&mut ada, "chat:lobby"));
}

#[test]
fn what_to_revoke_has_to_be_said_clearly() {
    let server = Server::start(&setup());
    for wrong in [
        json!({}),
        json!({"user": "ada", "session": "00000000000000aa"}),
        json!({"token": "t", "channel": "chat:a"}),
        json!({"token": ""}),
        json!({"channel": "chat:*x"}),
        json!({"user": "ada", "ttl": 0}),
        json!({"user": "ada", "ttl": 99_999_999}),
        json!({"session": "123"}),
    ] {
        assert_eq!(post(&server, "/revoke", &wrong).problem(400), "bad_request", "{wrong}");
    }
    assert_eq!(revoke(&server, &json!({"token": "never-seen"}))["sessions"], 0);
}

#[test]
fn a_plain_eventsource_gets_in_with_a_ticket_for_its_channel_alone() {
    let server = Server::start(&setup());
    let body =
        json!({"user": "ada", "channels": {"club:news": ["subscribe", "history"]}, "ttl": 60});
    let ticket = post(&server, "/tickets", &body).ok();
    assert_eq!(ticket["expires_in"], 60);
    let ticket = ticket["ticket"].as_str().unwrap();
    let open = |channel: &str| {
        let mut tcp = server.tcp();
        let line = format!("GET /events?channel={channel}&ticket={ticket} HTTP/1.1");
        tcp.write_all(format!("{line}\r\nHost: localhost\r\n\r\n").as_bytes()).unwrap();
        BufReader::new(tcp).lines().map(Result::unwrap)
    };
    let mut stream = open("club:news");
    assert_eq!(stream.next().unwrap(), "HTTP/1.1 200 OK");
    assert!(stream.any(|line| line.contains("\"subscribed\"")));
    post(&server, "/publish", &json!({"channel": "club:news", "data": "extra"})).ok();
    assert!(stream.any(|line| line.contains("\"data\":\"extra\"")));
    assert_eq!(
        get(&server, "/users/ada/connections").ok()["connections"][0]["transport"],
        "eventsource"
    );
    assert_eq!(open("club:other").next().unwrap(), "HTTP/1.1 403 Forbidden");
    for wrong in [
        json!({"user": "ada", "ttl": 301}),
        json!({"user": "ada", "ttl": 0}),
        json!({"user": "anon-1"}),
        json!({"user": "ada", "channels": {"a*b": ["subscribe"]}}),
        json!({"user": "ada", "channels": {"chat:a": ["fly"]}}),
    ] {
        assert_eq!(post(&server, "/tickets", &wrong).problem(400), "bad_request", "{wrong}");
    }
}
