//! Rate limits: who asks too much is told to wait, and nobody else notices.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::time::{Duration, Instant};

use common::{PATIENCE, Server, Setup, Socket, token, until};
use serde_json::{Value, json};
use tidings_client::{Client, Options, Push};

const MINUTE: Duration = Duration::from_secs(60);

/// Posts, and reads the answer's status, its `Retry-After` and, unless it goes on, its body.
fn post(server: &Server, path: &str, head: &str, body: &str) -> (u16, Option<u64>) {
    let mut tcp = server.tcp();
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{head}\r\n{body}"
    );
    tcp.write_all(request.as_bytes()).unwrap();
    let mut lines = BufReader::new(tcp).lines().map_while(Result::ok);
    let status = lines.next().unwrap()[9..12].parse().unwrap();
    let lower = lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase());
    let retry = lower.filter_map(|line| line.strip_prefix("retry-after: ")?.parse().ok());
    (status, { retry }.next())
}

#[test]
fn ada_publishes_too_fast_on_two_devices_and_bob_does_not_notice() {
    let more = "[rate.command]\npublish = \"1/m burst 10\"\n";
    let server = Server::start(&Setup { more, server: "shards = 2", ..Setup::default() });
    let (ada, bob) = (token("ada", MINUTE), token("bob", MINUTE));
    let (mut phone, mut laptop) = (server.connect_as(&ada), server.connect_as(&ada));
    let mut bob = server.connect_as(&bob);
    for n in 0..5 {
        assert_eq!(phone.publish("chat:lobby", json!(n))["type"], "published");
        assert_eq!(laptop.publish("cast:lobby", json!(n))["type"], "published");
    }
    for device in [&mut phone, &mut laptop] {
        let refused = device.publish("chat:lobby", json!("too much"));
        assert_eq!(refused["code"], "rate_limited", "{refused}");
        let wait = refused["retry_after"].as_u64().unwrap();
        assert!((50_000..=60_001).contains(&wait), "a minute, as configured: {refused}");
        assert_eq!(device.ask(json!({"type": "ping"}))["type"], "pong");
    }
    assert_eq!(bob.publish("chat:lobby", json!("hello"))["type"], "published");
    server.still_fine();
}

#[test]
fn whoever_never_waits_is_closed_with_4529() {
    let more = "[rate]\ncommands = \"1/m burst 1\"\n";
    let limits = "rate_refusals = 20";
    let server = Server::start(&Setup { more, limits, ..Setup::default() });
    let mut ada = server.connect();
    for _ in 0..40 {
        let _ = ada.command(json!({"type": "ping"}));
    }
    let frames = ada.bye(4529);
    let refused = frames.iter().filter(|frame| frame["code"] == "rate_limited").count();
    assert_eq!(refused, 20);
}

/// What an outbox sends faster than allowed arrives all the same: once, and in order.
#[test]
fn an_outbox_that_is_told_to_wait_waits_and_loses_nothing() {
    let more = "[rate.command]\npublish = \"200/s burst 40\"\n";
    let server = Server::start(&Setup { more, ..Setup::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = format!("localhost:{}", server.port);
        let options = Options { token: Some(token("ada", MINUTE).into()), ..Options::default() };
        let bob = Client::connect(&url, Options::default()).await.unwrap();
        let mut lobby = bob.channel("chat:lobby").subscribe().await.unwrap();
        let ada = Client::connect(&url, options).await.unwrap();
        let mut acks = Vec::new();
        for n in 0..300 {
            acks.push(ada.channel("chat:lobby").publish(n).queue().await.unwrap());
        }
        let mut heard = Vec::new();
        while heard.len() < 300 {
            let push = tokio::time::timeout(PATIENCE, lobby.next()).await.unwrap();
            if let Push::Event(event) = push.unwrap().unwrap() {
                heard.push(event.position.unwrap().offset);
            }
        }
        assert_eq!(heard, (1..=300).collect::<Vec<u64>>());
        for ack in acks {
            tokio::time::timeout(PATIENCE, ack).await.unwrap().unwrap();
        }
    });
}

#[test]
fn an_address_that_opens_sessions_too_fast_is_told_when_to_come_back() {
    let more = "[rate]\nsessions = \"1/m burst 4\"\n";
    let server = Server::start(&Setup { more, ..Setup::default() });
    let mut sockets: Vec<_> = (0..2).map(|_| server.connect()).collect();
    assert_eq!(post(&server, "/events", "", ""), (200, None));
    assert_eq!(post(&server, "/poll", "", ""), (200, None));
    for path in ["/events", "/poll"] {
        let (status, retry) = post(&server, path, "", "");
        assert_eq!(status, 429, "{path}");
        assert!((50..=60).contains(&retry.unwrap()), "{retry:?}");
    }
    let mut late = server.connect();
    let bye = late.bye(4529).pop().unwrap();
    assert!(bye["retry_after"].as_u64().unwrap() > 50_000, "{bye}");
    for socket in &mut sockets {
        assert_eq!(socket.ask(json!({"type": "ping"}))["type"], "pong", "who is in stays");
    }
    let metrics = get(&server, "/metrics");
    assert!(metrics.contains("tidings_handshakes_refused_total{reason=\"rate\"} 3\n"));
}

fn get(server: &Server, path: &str) -> String {
    let mut tcp = server.tcp();
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    tcp.write_all(head.as_bytes()).unwrap();
    let mut body = String::new();
    tcp.read_to_string(&mut body).unwrap();
    body
}

/// Row T15 of docs/security.md.
#[test]
fn t15_parked_polls_and_streams_of_one_address_are_only_so_many() {
    let limits = "sessions_per_address = 20";
    let server = Server::start(&Setup { limits, server: "shards = 2", ..Setup::default() });
    let mut parked = Vec::new();
    for n in 0..20 {
        let mut tcp = server.tcp();
        let path = if n % 2 == 0 { "/events" } else { "/poll" };
        let request =
            format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        tcp.write_all(request.as_bytes()).unwrap();
        assert_eq!(common::status_of(&mut tcp), 200);
        parked.push(tcp);
    }
    let began = Instant::now();
    for _ in 0..500 {
        assert_eq!(post(&server, "/poll", "", "").0, 429);
    }
    assert!(began.elapsed() < PATIENCE);
    let (_, retry) = post(&server, "/events", "", "");
    assert!((1..=10).contains(&retry.unwrap()));
    server.connect().bye(4529);
    drop(parked);
    // Streams end with their sockets; whoever polled is missed only after a while.
    until("there is room again", || (post(&server, "/poll", "", "").0 == 200).then_some(()));
}

#[test]
fn sessions_of_one_user_are_only_so_many_and_a_place_becomes_free() {
    let limits = "sessions_per_user = 2";
    let server = Server::start(&Setup { limits, server: "shards = 2", ..Setup::default() });
    let ada = token("ada", MINUTE);
    let (_phone, laptop) = (server.connect_as(&ada), server.connect_as(&ada));
    let mut third = server.connect();
    third.command(json!({"type": "hello", "token": ada})).unwrap();
    third.bye(4529);
    server.connect_as(&token("bob", MINUTE));
    drop(laptop);
    until("her place is free", || {
        let mut again = server.connect();
        let welcome = again.try_ask(json!({"type": "hello", "token": ada})).ok()?;
        (welcome["type"] == "welcome").then_some(())
    });
    let polls = (0..30).map(|_| server.connect());
    assert_eq!(polls.count(), 30, "anonymous users have one each");
}

#[test]
fn behind_a_trusted_proxy_each_client_has_its_own_rate_and_nobody_can_lie() {
    let setup = Setup {
        server: "proxies = [\"127.0.0.1\"]",
        more: "[rate]\nsessions = \"1/m burst 1\"\n",
        ..Setup::default()
    };
    let server = Server::start(&setup);
    let opens = |forwarded: &str| {
        post(&server, "/events", &format!("X-Forwarded-For: {forwarded}\r\n"), "").0
    };
    assert_eq!(opens("203.0.113.1"), 200);
    assert_eq!(opens("203.0.113.2"), 200, "another client");
    assert_eq!(opens("203.0.113.1"), 429);
    assert_eq!(opens("198.51.100.7, 203.0.113.1"), 429, "what the client wrote itself is no proof");
    let mut socket = Socket::upgrade(server.tcp(), "X-Forwarded-For: 203.0.113.1\r\n").unwrap();
    socket.bye(4529);

    let direct = Setup { server: "", ..setup };
    let server = Server::start(&direct);
    let opens = |forwarded: &str| {
        post(&server, "/events", &format!("X-Forwarded-For: {forwarded}\r\n"), "").0
    };
    assert_eq!(opens("203.0.113.1"), 200);
    assert_eq!(opens("203.0.113.2"), 429, "nobody is believed who is no proxy of ours");
}

#[test]
fn limits_are_changed_while_clients_are_connected() {
    let setup = Setup { more: "[rate.command]\npublish = \"1/m burst 1\"\n", ..Setup::default() };
    let server = Server::start(&setup);
    let mut ada = server.connect_as(&token("ada", MINUTE));
    assert_eq!(ada.publish("chat:lobby", json!(1))["type"], "published");
    assert_eq!(ada.publish("chat:lobby", json!(2))["code"], "rate_limited");
    std::fs::write(server.path().join("tidings.toml"), Setup::default().text()).unwrap();
    server.signal("HUP");
    let answer: Value = until("the limit is gone", || {
        let answer = ada.publish("chat:lobby", json!(3));
        (answer["type"] == "published").then_some(answer)
    });
    assert_eq!(answer["offset"], 2, "what was refused was not published");
}
