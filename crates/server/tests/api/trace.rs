//! Following what sessions send and get.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{PATIENCE, Server, Setup, frame, token, until};
use crate::http::{KEY, ask, get, post, setup};

const HOUR: Duration = Duration::from_secs(3600);

/// Whoever looks on.
struct Viewer {
    lines: BufReader<TcpStream>,
    /// All that came, as it came.
    raw: String,
}

impl Viewer {
    /// With whatever the server answers.
    fn ask(server: &Server, key: &str, query: &str) -> (u16, Self) {
        let mut tcp = server.tcp();
        // Over HTTP/1.0 a stream has no chunks.
        let head = format!(
            "GET /api/v1/trace?{query} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n"
        );
        tcp.write_all(head.as_bytes()).unwrap();
        let mut lines = BufReader::new(tcp);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(lines.read_line(&mut head).unwrap() > 0, "{head}");
        }
        let status = head[9..12].parse().unwrap();
        let events = head.to_ascii_lowercase().contains("\r\ncontent-type: text/event-stream\r\n");
        assert_eq!(events, status == 200, "{head}");
        (status, Self { lines, raw: String::new() })
    }

    /// One that sees everything from now on.
    fn open(server: &Server, query: &str) -> Self {
        let (status, mut viewer) = Self::ask(server, KEY, query);
        assert_eq!(status, 200, "{query}");
        assert_eq!(viewer.next()["kind"], "start");
        viewer
    }

    /// The next thing, unless it is over.
    fn try_next(&mut self) -> Option<Value> {
        let began = Instant::now();
        loop {
            // Comments keep the line alive, but not the test.
            assert!(began.elapsed() < PATIENCE, "nothing comes behind {}", self.raw);
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            self.raw.push_str(&line);
            if let Some(data) = line.strip_prefix("data: ") {
                let value: Value = serde_json::from_str(data).unwrap();
                assert!(value["at"].is_u64(), "{value}");
                return Some(value);
            }
        }
    }

    fn next(&mut self) -> Value {
        self.try_next().unwrap_or_else(|| panic!("it is over behind {}", self.raw))
    }

    /// What comes until a frame of this type has gone in this direction.
    fn until(&mut self, kind: &str, frame: &str) -> Vec<Value> {
        let mut seen = Vec::new();
        while seen.last().is_none_or(|l: &Value| l["kind"] != kind || l["frame"]["type"] != frame) {
            seen.push(self.next());
        }
        seen
    }
}

/// Each line in two words.
fn short(lines: &[Value]) -> Vec<String> {
    let word = |line: &Value| {
        let about = line["frame"]["type"].as_str().or(line["code"].as_str());
        format!("{} {}", line["kind"].as_str().unwrap(), about.unwrap_or("-"))
    };
    lines.iter().map(word).collect()
}

#[test]
fn a_users_sessions_are_followed_and_nobody_elses() {
    let server = Server::start(&Setup { server: "shards = 2", ..setup() });
    let mut bob = server.connect_as(&token("bob", HOUR));
    bob.subscribe("chat:room");
    let mut viewer = Viewer::open(&server, "user=ada");
    let secret = token("ada", HOUR);
    let mut ada = server.connect();
    let welcome = ada.ask(json!({"type": "hello", "token": secret}));
    ada.subscribe("chat:room");
    bob.publish("chat:room", json!({"text": "Hi Ada"}));
    ada.event();
    ada.publish("nowhere:room", json!(1));
    ada.ask(json!({"type": "refresh", "token": "not.a.token"}));
    post(&server, "/disconnect", &json!({"user": "ada"})).ok();
    ada.bye(4410);
    let mut seen = viewer.until("out", "bye");
    seen.push(viewer.next());
    assert_eq!(
        short(&seen),
        [
            "opened -",
            "in hello",
            "out welcome",
            "in subscribe",
            "out subscribed",
            "out event",
            "in publish",
            "out error",
            "refused not_found",
            "in refresh",
            "out error",
            "refused unauthorized",
            "out bye",
            "closed -",
        ],
        "{seen:#?}"
    );
    let ticket = welcome["session"].as_str().unwrap();
    let session = ticket.split('.').next().unwrap();
    for line in &seen {
        assert_eq!(line["session"], session, "{line}");
        assert_eq!(line["user"], "ada", "{line}");
        assert_eq!(line["transport"], "websocket", "{line}");
    }
    assert_eq!(seen[1]["frame"]["token"], "…");
    assert_eq!(seen[2]["frame"]["session"], "…");
    assert_eq!(seen[5]["frame"]["data"]["text"], "Hi Ada");
    let refused = &seen[8];
    assert_eq!(refused["command"], "publish");
    assert_eq!((&refused["id"], &refused["channel"]), (&json!(3), &json!("nowhere:room")));
    assert!(refused["reason"].as_str().unwrap().contains("namespace"), "{refused}");
    assert!(!seen[11]["reason"].as_str().unwrap().is_empty(), "{seen:#?}");
    assert_eq!(seen[13]["code"], 4410);
    assert_eq!(seen[13]["reason"], "revoked");
    for hidden in [&*secret, ticket, "not.a.token"] {
        assert!(!viewer.raw.contains(hidden), "{hidden} in {}", viewer.raw);
    }
    server.still_fine();
}

/// Every way to connect, to one user.
#[test]
fn every_transport_is_followed_alike() {
    let server = Server::start(&Setup { server: "shards = 2", ..setup() });
    let ticket = json!({"user": "ada", "channels": {"chat:room": ["subscribe"]}});
    let ticket = post(&server, "/tickets", &ticket).ok()["ticket"].as_str().unwrap().to_owned();
    let mut viewer = Viewer::open(&server, "user=ada");
    let hello = format!("{{\"type\":\"hello\",\"id\":1,\"token\":\"{}\"}}", token("ada", HOUR));
    let lines = format!("{hello}\n{{\"type\":\"subscribe\",\"id\":2,\"channel\":\"chat:room\"}}\n");
    let mut held = Vec::new();
    for (request, transport, first) in [
        (format!("POST /events HTTP/1.1\r\nContent-Length: {}", lines.len()), "sse", "hello"),
        (format!("POST /poll HTTP/1.1\r\nContent-Length: {}", lines.len()), "poll", "hello"),
        (
            format!("GET /events?channel=chat:room&ticket={ticket} HTTP/1.1"),
            "eventsource",
            "subscribe",
        ),
    ] {
        let mut tcp = server.tcp();
        let body = if request.starts_with("POST") { &*lines } else { "" };
        tcp.write_all(format!("{request}\r\nHost: localhost\r\n\r\n{body}").as_bytes()).unwrap();
        held.push(tcp);
        // Those who connected before hear events too, in any order.
        let mut until = |frame: &str| {
            let mut seen: Vec<Value> = Vec::new();
            while seen.last().is_none_or(|line| line["frame"]["type"] != frame) {
                seen.extend(Some(viewer.next()).filter(|line| line["transport"] == transport));
            }
            seen
        };
        let seen = until("subscribed");
        assert_eq!(short(&seen[..2]), ["opened -", &format!("in {first}")], "{seen:#?}");
        post(&server, "/publish", &json!({"channel": "chat:room", "data": transport})).ok();
        let seen = until("event");
        let last = seen.last().unwrap();
        assert_eq!((&last["kind"], &last["frame"]["data"]), (&json!("out"), &json!(transport)));
    }
    assert!(!viewer.raw.contains(&ticket));
    assert!(!viewer.raw.contains("\"connection\":"), "the secret of HTTP connections");
}

#[test]
fn a_channel_shows_each_event_once_however_many_hear_it() {
    let server = Server::start(&Setup { server: "shards = 2", ..setup() });
    let mut crowd: Vec<_> = (0..12).map(|_| server.connect()).collect();
    crowd.iter_mut().for_each(|one| drop(one.subscribe("chat:room")));
    let mut viewer = Viewer::open(&server, "channel=chat:room");
    let mut ada = server.connect_as(&token("ada", HOUR));
    ada.subscribe("chat:other");
    ada.publish("chat:other", json!("not here"));
    ada.publish("chat:room", json!(1));
    post(&server, "/publish", &json!({"channel": "chat:room", "data": 2})).ok();
    let typing = json!({"type": "publish", "channel": "chat:room", "data": 3, "ephemeral": true});
    ada.ask(typing);
    ada.ask(json!({"type": "history", "channel": "chat:room"}));
    for one in &mut crowd {
        one.events(3);
    }
    let seen = viewer.until("out", "history");
    let mut words = short(&seen);
    // An event leaves at the end of the turn, in front of its answer or behind it.
    words.sort();
    let expected = [
        "in history",
        "in publish",
        "in publish",
        "out event",
        "out event",
        "out event",
        "out history",
        "out published",
        "out published",
    ];
    assert_eq!(words, expected, "{seen:#?}");
    let events: Vec<_> = seen.iter().filter(|line| line["frame"]["type"] == "event").collect();
    let data: Vec<_> = events.iter().map(|line| &line["frame"]["data"]).collect();
    assert_eq!(data, [1, 2, 3]);
    assert!(events.iter().all(|line| line["session"].is_null()), "it goes to many: {events:?}");
    let others = seen.iter().filter(|line| line["frame"]["type"] != "event");
    assert!(others.into_iter().all(|line| line["user"] == "ada"), "{seen:#?}");
    assert!(!viewer.raw.contains("not here"));
}

/// Sessions move to the shard of their first channel; whoever follows them must not see that.
#[test]
fn a_session_that_moves_is_followed_without_a_seam() {
    let server = Server::start(&Setup { server: "shards = 2", ..setup() });
    let mut viewer = Viewer::open(&server, "user=ada");
    let mut sockets: Vec<_> = (0..12).map(|_| server.connect_as(&token("ada", HOUR))).collect();
    for (index, socket) in sockets.iter_mut().enumerate() {
        let channel = format!("chat:{index}");
        socket.subscribe(&channel);
        socket.publish(&channel, json!(index));
        socket.event();
    }
    drop(sockets);
    let (mut seen, mut closed) = (Vec::new(), 0);
    while closed < 12 {
        seen.push(viewer.next());
        closed += usize::from(seen.last().unwrap()["kind"] == "closed");
    }
    let words = short(&seen);
    let kinds =
        ["opened -", "in hello", "out welcome", "in subscribe", "out subscribed", "out event"];
    for word in kinds.into_iter().chain(["in publish", "out published", "closed -"]) {
        assert_eq!(words.iter().filter(|one| *one == word).count(), 12, "{word} in {words:?}");
    }
    assert!(seen.iter().filter(|line| line["kind"] == "closed").all(|l| l["reason"] == "lost"));
}

#[test]
fn a_viewer_that_is_too_slow_is_told_what_it_missed_and_slows_nobody() {
    let limits = "backlog = 262144";
    let server = Server::start(&Setup { server: "shards = 2", limits, ..setup() });
    let mut viewer = Viewer::open(&server, "channel=cast:room");
    let mut ada = server.connect();
    let count = 150;
    let data = json!("x".repeat(30_000));
    for _ in 0..count {
        assert_eq!(ada.publish("cast:room", data.clone())["type"], "published");
    }
    let (mut lines, mut dropped) = (0, 0);
    // Each is a command, an answer and an event.
    while lines + dropped < 3 * count {
        match viewer.next() {
            line if line["kind"] == "dropped" => dropped += line["count"].as_u64().unwrap(),
            _ => lines += 1,
        }
    }
    assert_eq!(lines + dropped, 3 * count);
    assert!(dropped > 0 && lines > 0, "{lines} lines, {dropped} dropped");
    ada.publish("cast:room", json!("again"));
    assert_eq!(viewer.next()["frame"]["data"], "again", "and it goes on");
    server.still_fine();
}

#[test]
fn what_is_no_frame_is_not_shown() {
    let server = Server::start(&setup());
    let mut ada = server.connect();
    let welcome = ada.ask(json!({"type": "hello"}));
    let session = welcome["session"].as_str().unwrap().split('.').next().unwrap();
    let mut viewer = Viewer::open(&server, &format!("session={session}"));
    ada.send_raw(&frame(0x81, b"{\"type\":\"hello\",\"token\":\"half of a secret")).unwrap();
    assert_eq!(ada.push()["code"], "bad_request");
    let seen = viewer.until("out", "error");
    assert_eq!((&seen[0]["kind"], &seen[0]["bytes"]), (&json!("in"), &json!(41)), "{seen:?}");
    assert_eq!(viewer.next()["kind"], "refused");
    drop(ada);
    assert_eq!(viewer.next()["reason"], "lost");
    assert!(!viewer.raw.contains("half of"), "{}", viewer.raw);
}

/// A session comes back by its ticket, which is believed, with a token that is not. Wherever its
/// registry is: on its own shard, or on the other one.
#[test]
fn a_refused_token_of_a_known_session_says_why() {
    let server = Server::start(&Setup { server: "shards = 2", ..setup() });
    for _ in 0..8 {
        let mut ada = server.connect();
        let welcome = ada.ask(json!({"type": "hello"}));
        let ticket = welcome["session"].as_str().unwrap();
        let session = ticket.split('.').next().unwrap();
        let mut viewer = Viewer::open(&server, &format!("session={session}"));
        drop(ada);
        assert_eq!(viewer.next()["reason"], "lost");
        let mut again = server.connect();
        let hello = json!({"type": "hello", "session": ticket, "token": "not.a.token"});
        again.command(hello).unwrap();
        again.bye(4401);
        let mut seen = viewer.until("out", "bye");
        seen.extend([viewer.next(), viewer.next()]);
        let expected = ["opened -", "in hello", "out bye", "refused unauthorized", "closed -"];
        assert_eq!(short(&seen), expected, "{seen:#?}");
        assert!(seen[3]["reason"].as_str().unwrap().len() > 5, "{seen:#?}");
        assert!(seen.iter().all(|line| line["user"].is_null()), "nobody believed it: {seen:#?}");
        assert!(!viewer.raw.contains("not.a.token") && !viewer.raw.contains(ticket));
    }
}

#[test]
fn few_traces_run_at_once_and_each_ends_with_its_viewer() {
    let server = Server::start(&Setup { limits: "traces = 1", ..setup() });
    let first = Viewer::open(&server, "user=ada");
    assert_eq!(get(&server, "/trace?user=bob").problem(429), "limit_exceeded");
    drop(first);
    let (_, mut second) = until("the first has ended", || {
        let (status, viewer) = Viewer::ask(&server, KEY, "user=bob&seconds=1");
        (status == 200).then_some((status, viewer))
    });
    assert_eq!(second.next()["kind"], "start");
    assert!(second.try_next().is_none(), "it has ended by itself");
    for wrong in
        ["", "?user=ada&channel=chat:a", "?channel=nonsense", "?session=7", "?user=a&seconds=0"]
    {
        assert_eq!(get(&server, &format!("/trace{wrong}")).problem(400), "bad_request", "{wrong}");
    }
    server.still_fine();
}

#[test]
fn a_key_follows_what_it_is_for_and_only_as_long_as_it_is_one() {
    let other = "another-api-key-of-tests-with-32-bytes-and-more";
    let table = |scopes: &str| {
        format!(
            "[[api.key]]\nname = \"shop\"\nsecret = \"{other}\"\nscopes = [{scopes}]\n\
             channels = [\"chat:shop-*\"]\n"
        )
    };
    let more = format!("{}{}", setup().more, table("\"trace\""));
    let server = Server::start(&Setup { more: &more, ..Setup::default() });
    let (status, mut viewer) = Viewer::ask(&server, other, "channel=chat:shop-1");
    assert_eq!((status, &viewer.next()["kind"]), (200, &json!("start")));
    for query in ["channel=chat:room", "user=ada", "session=0123456789abcdef"] {
        let line = format!("GET /api/v1/trace?{query}");
        assert_eq!(ask(&server, other, &line, "").problem(403), "forbidden", "{query}");
    }
    let more = format!("{}{}", setup().more, table("\"stats\""));
    let changed = Setup { more: &more, ..Setup::default() }.text();
    std::fs::write(server.path().join("tidings.toml"), changed).unwrap();
    server.signal("HUP");
    let mut rest = String::new();
    viewer.lines.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("data:"), "it ended: {rest}");
    let line = "GET /api/v1/trace?channel=chat:shop-1";
    assert_eq!(ask(&server, other, line, "").problem(403), "forbidden");
    server.still_fine();
}
