//! T1 to T7: in front of the session.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{Server, Setup, Socket, request, status_of, token, until};
use crate::http::{Events, ask, begin, finish};
use crate::neighbours::Neighbours;

const LISTED: &str = "https://app.example.com";

/// Origins that are easily taken for the listed one.
const STRANGERS: [&str; 7] = [
    "https://evil",
    "null",
    "https://app.example.com.evil",
    "https://app.example.com:444",
    "HTTPS://APP.EXAMPLE.COM",
    "http://app.example.com",
    "https://evil.example/?https://app.example.com",
];

/// The ways in, and the status with which a listed page is let in.
const DOORS: [(&str, u16); 11] = [
    ("GET /socket", 101),
    ("GET /yjs/chat:room", 101),
    ("GET /hocuspocus", 101),
    ("GET /events?channel=chat:room", 200),
    ("POST /events", 200),
    ("POST /poll", 200),
    ("POST /send", 404),
    ("OPTIONS /events", 204),
    ("OPTIONS /poll", 204),
    ("OPTIONS /send", 204),
    ("OPTIONS /socket", 405),
];

fn listed() -> Server {
    let origins = format!("origins = [\"{LISTED}\"]");
    Server::start(&Setup { server: &origins, ..Setup::default() })
}

/// Whether a WebSocket is behind a door.
fn is_socket(door: &str) -> bool {
    ["/socket", "/yjs/", "/hocuspocus"].iter().any(|path| door.contains(path))
}

/// The head of the answer to somebody at a door, in lower case.
fn knock(server: &Server, door: &str, more: &str) -> (u16, String) {
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let body = match door.rsplit_once('/').unwrap().1 {
        "send" => json!({"connection": "0".repeat(28), "batch": 1}).to_string(),
        _ => json!({"type": "ping", "id": 1}).to_string(),
    };
    let more = if is_socket(door) { format!("{upgrade}{more}") } else { more.into() };
    let mut tcp = server.tcp();
    let length = body.len();
    write!(
        tcp,
        "{door} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{more}\r\n{body}"
    )
    .unwrap();
    let events = Events::read(tcp);
    (events.status, events.head)
}

#[test]
fn t1_no_door_is_open_to_a_page_of_another_origin() {
    let server = listed();
    for (door, status) in DOORS {
        for stranger in STRANGERS {
            let more = format!("Origin: {stranger}\r\nCookie: session=ada\r\n");
            let (refused, head) = knock(&server, door, &more);
            assert_eq!(refused, 403, "{door} for {stranger}");
            assert!(!head.contains("access-control-"), "{door} for {stranger}: {head}");
        }
        let (taken, _) = knock(&server, door, &format!("Origin: {LISTED}\r\n"));
        assert_eq!(taken, status, "{door} for the listed page");
        let (taken, _) = knock(&server, door, "");
        assert_eq!(taken, status, "{door} for a program");
    }
    server.still_fine();
}

/// There is nothing that a browser adds by itself, and a page that was lured here could use.
#[test]
fn t2_no_answer_allows_credentials_and_no_cookie_is_looked_at() {
    let server = listed();
    for (door, _) in DOORS {
        let (_, head) = knock(&server, door, &format!("Origin: {LISTED}\r\n"));
        assert!(!head.contains("access-control-allow-credentials"), "{door}: {head}");
        assert!(!head.contains("set-cookie"), "{door}: {head}");
        assert!(!head.contains("access-control-allow-origin: *"), "{door}: {head}");
        if !is_socket(door) {
            assert!(head.contains("vary: origin"), "a cache keeps origins apart: {head}");
        }
    }
    let ada = token("ada", Duration::from_secs(60));
    let cookie = format!("Cookie: token={ada}; authorization=Bearer {ada}; session={ada}\r\n");
    let hello = json!({"type": "hello", "id": 1}).to_string();
    let lines = ask(&server, "POST /poll", &cookie, &hello).lines();
    let welcome = lines.iter().find(|line| line["type"] == "welcome").unwrap();
    assert!(welcome["user"].as_str().unwrap().starts_with("anon-"), "{welcome}");
    let mut socket = Socket::upgrade(server.tcp(), &cookie).unwrap();
    let welcome = socket.ask(json!({"type": "hello"}));
    assert!(welcome["user"].as_str().unwrap().starts_with("anon-"), "{welcome}");
    // A form of another page can post text without asking first: its origin is refused as well.
    let form = format!("Origin: https://evil\r\nContent-Type: text/plain\r\n{cookie}");
    assert_eq!(ask(&server, "POST /send", &form, "{}").status, 403);
    // No page is told that it may use the API, whose keys are for backends.
    let (_, head) = knock(&server, "OPTIONS /api/v1/publish", &format!("Origin: {LISTED}\r\n"));
    assert!(!head.contains("access-control-"), "{head}");
    server.still_fine();
}

/// A token that was written into a URL all the same goes no further.
#[test]
fn t3_a_token_in_a_url_is_nowhere_to_be_found() {
    let mut server = Server::start(&Setup { log: "trace", ..Setup::default() });
    let ada = token("ada", Duration::from_secs(60));
    let signature = ada.rsplit_once('.').unwrap().1;
    let referrer = "referrer-policy: no-referrer";
    for path in [
        "/socket",
        "/yjs/doc:plan",
        "/hocuspocus",
        "/poll",
        "/send",
        "/",
        "/health",
        "/ready",
        "/metrics",
        "/tidings.js",
        "/tidings-live.js",
        "/nothing",
        "/api/v1/info",
        "/api/openapi.json",
        "/events",
    ] {
        for method in ["GET", "POST", "PUT"] {
            let line = format!("{method} {path}?token={ada}&ticket={ada}&access_token={ada}");
            let referer = format!("Referer: https://app.example/?token={ada}\r\n");
            let answer = finish(begin(&server, &line, &referer, b""));
            assert!(answer.head.contains(referrer), "{method} {path}: {}", answer.head);
            for said in [&answer.head, &answer.body] {
                assert!(!said.contains(&signature.to_ascii_lowercase()), "{method} {path}");
                assert!(!said.contains(signature), "{method} {path}: {said}");
            }
        }
    }
    let metrics = ask(&server, "GET /metrics", "", "").body;
    assert!(metrics.contains("tidings_sessions") && !metrics.contains(signature));
    let broken = format!("GET /socket?token={ada} HTTP/1.1\r\nno header {ada}\r\n\r\n");
    assert_eq!(server.status(broken.as_bytes()), 400);
    server.still_fine();
    let log = server.whole_log();
    assert!(log.contains("DEBUG") && !log.contains(signature), "a token stands in the log");
}

/// Whether the server has ended the connection.
fn is_over(tcp: &mut TcpStream) -> bool {
    match tcp.read(&mut [0; 512]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

/// Half of them send a header, half a body, and each a byte in five seconds.
#[test]
fn t4_five_hundred_who_drip_are_closed_within_the_header_timeout() {
    let server = Server::start(&Setup::default());
    let mut neighbours = Neighbours::meet(&server);
    (0..300).for_each(|_| neighbours.talk());
    let alone = neighbours.ways();
    let begin = Instant::now();
    let mut open: Vec<TcpStream> = (0..500).map(|_| server.tcp()).collect();
    for (index, tcp) in open.iter_mut().enumerate() {
        let head: &[u8] = match index % 2 {
            0 => b"GET /socket HTTP/1.1\r\nHost: localhost\r\nX-Drip: ",
            _ => b"POST /poll HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n",
        };
        tcp.write_all(head).unwrap();
        tcp.set_nonblocking(true).unwrap();
    }
    let mut drips = 0;
    until("all are closed", || {
        if begin.elapsed() > Duration::from_secs(5) * drips {
            drips += 1;
            for tcp in &mut open {
                let _ = tcp.write_all(b"x");
            }
        }
        open.retain_mut(|tcp| !is_over(tcp));
        neighbours.talk();
        open.is_empty().then_some(())
    });
    let (took, ways) = (begin.elapsed(), neighbours.ways());
    ways.are_like(&alone, "five hundred drip");
    assert!(took >= Duration::from_millis(9900), "closed too early, after {took:?}");
    assert!(took < Duration::from_secs(13), "closed after {took:?} only");
    server.still_fine();
}

#[test]
fn t5_a_thousand_who_say_nothing_are_closed_and_their_memory_comes_back() {
    let server = Server::start(&Setup::default());
    let mut ada = server.connect();
    assert_eq!(ada.ask(json!({"type": "ping"}))["type"], "pong");
    // The first ones leave behind what stays: buffers of shards, the allocator's own.
    drop((0..1000).map(|_| server.connect()).collect::<Vec<_>>());
    let page = || ask(&server, "GET /metrics", "", "").body;
    let none = "\ntidings_connections{transport=\"websocket\"} 1\n";
    until("they are gone", || page().contains(none).then_some(()));
    let before = server.memory();
    let begin = Instant::now();
    let silent: Vec<Socket> = (0..1000).map(|_| server.connect()).collect();
    let grown = server.memory().saturating_sub(before);
    let opened = begin.elapsed();
    for mut socket in silent {
        let said = socket.bye(4408);
        assert_eq!((said.len(), &said[0]["reconnect"]), (1, &json!(false)), "{said:?}");
    }
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(9900), "closed too early, after {took:?}");
    assert!(took < opened + Duration::from_secs(15), "closed after {took:?} only");
    assert_eq!(ada.ask(json!({"type": "ping"}))["type"], "pong", "who has spoken may stay");
    until("they are gone", || page().contains(none).then_some(()));
    let kept = until("memory comes back", || {
        let kept = server.memory().saturating_sub(before);
        (kept < 2 << 20).then_some(kept)
    });
    println!("a thousand took {grown} bytes; {kept} are left");
    server.still_fine();
}

/// What one of `count` attempts costs the server, in processor time.
fn cost(server: &Server, count: u32, mut attempt: impl FnMut()) -> Duration {
    let before = server.cpu();
    (0..count).for_each(|_| attempt());
    (server.cpu() - before) / count
}

/// The numbers of CVE-2024-37890 and CVE-2023-43669, and what each attempt costs.
#[test]
fn t6_headers_too_large_or_too_many_cost_less_than_ten_milliseconds() {
    let server = Server::start(&Setup::default());
    let before = server.memory();
    for (what, more) in [
        ("2,000 fields", "X-Many: x\r\n".repeat(2000)),
        ("a field of 1 MiB", format!("X-Large: {}\r\n", "x".repeat(1 << 20))),
        ("a field of 64 KiB", format!("X-Large: {}\r\n", "x".repeat(64 << 10))),
        ("a name of 64 KiB", format!("{}: x\r\n", "x".repeat(64 << 10))),
        ("a line without end", "x".repeat(1 << 20)),
    ] {
        let head = request(&more).into_bytes();
        let spent = cost(&server, 50, || {
            let status = server.status(&head);
            // 0: it was cut off while it was still sending.
            assert!([0, 400, 431].contains(&status), "{status} for {what}");
        });
        println!("{what}: {spent:?} each");
        assert!(spent < Duration::from_millis(10), "{what}: {spent:?} each");
    }
    let whole = request("");
    let spent = cost(&server, 20, || {
        let mut tcp = server.tcp();
        whole.as_bytes().iter().for_each(|byte| tcp.write_all(&[*byte]).unwrap());
        assert_eq!(status_of(&mut tcp), 101);
    });
    println!("in segments of a byte: {spent:?} each");
    assert!(spent < Duration::from_millis(50), "a request in single bytes: {spent:?}");
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 8 << 20, "memory grew by {grown} bytes");
    server.still_fine();
}

/// CVE-2021-32640 and its like. As long as a header may be, and twice that.
#[test]
fn t7_a_hostile_subprotocol_takes_no_longer_the_longer_it_is() {
    let server = Server::start(&Setup::default());
    let field = |value: &[u8]| {
        let plain = request("Sec-WebSocket-Protocol: @\r\n").into_bytes();
        let at = plain.iter().position(|byte| *byte == b'@').unwrap();
        [&plain[..at], value, &plain[at + 1..]].concat()
    };
    let spaces = |count: usize| format!("b{}x", " ".repeat(count)).into_bytes();
    let raw: Vec<u8> = (0x80..=0xff).collect();
    for (what, value, statuses) in [
        ("15,000 spaces", spaces(15_000), [101, 101]),
        ("32,000 spaces", spaces(32_000), [431, 431]),
        ("1,000 commas", b",".repeat(1000), [101, 400]),
        ("1,000 names", b"a, ".repeat(1000), [101, 101]),
        ("bytes of 0x80 to 0xff", raw, [101, 400]),
        ("quotes", b"\"".repeat(15_000), [101, 400]),
    ] {
        let head = field(&value);
        let spent = cost(&server, 100, || {
            let status = server.status(&head);
            assert!(statuses.contains(&status), "{status} for {what}");
        });
        println!("{what}: {spent:?} each");
        // A good upgrade, with its session and its end, is most of it in a build for tests.
        assert!(spent < Duration::from_millis(5), "{what}: {spent:?} each");
    }
    server.still_fine();
}
