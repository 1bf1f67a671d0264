//! Attacks in front of the WebSocket: origins, headers, dripping, silence.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{Server, Setup, Socket, request, status_of, token, until};

/// The status of an upgrade with more header fields.
fn upgrade(server: &Server, more: &str) -> u16 {
    server.status(request(more).as_bytes())
}

#[test]
fn pages_of_other_sites_cannot_connect() {
    let origins = r#"origins = ["https://app.example.com"]"#;
    let server = Server::start(&Setup { server: origins, ..Setup::default() });
    for origin in [
        "https://evil",
        "null",
        "https://app.example.com.evil",
        "https://app.example.com:444",
        "HTTPS://APP.EXAMPLE.COM",
        "http://app.example.com",
        "http://localhost",
        "https://app.example.com\r\nOrigin: https://app.example.com",
        "",
    ] {
        assert_eq!(upgrade(&server, &format!("Origin: {origin}\r\n")), 403, "{origin:?}");
    }
    assert_eq!(upgrade(&server, "Origin: https://app.example.com\r\n"), 101);
    assert_eq!(upgrade(&server, ""), 101, "a program has no origin");
    server.still_fine();
}

#[test]
fn on_loopback_only_pages_of_loopback_connect_by_default() {
    let server = Server::start(&Setup::default());
    for (origin, status) in [
        ("http://localhost:5173", 101),
        ("http://127.0.0.1", 101),
        ("https://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("http://127.0.0.1.evil.example", 403),
        ("file://", 403),
    ] {
        assert_eq!(upgrade(&server, &format!("Origin: {origin}\r\n")), status, "{origin}");
    }
    server.still_fine();
}

/// Whether the server has ended the connection. Waits for that a moment.
fn is_over(tcp: &mut TcpStream) -> bool {
    let mut buffer = [0; 512];
    tcp.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    match tcp.read(&mut buffer) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

/// Fifty clients send a header a byte at a time, others nothing at all. All are shown the door, and
/// a normal client talks on meanwhile.
#[test]
fn who_drips_a_header_is_closed_in_time() {
    let server = Server::start(&Setup { limits: "header_timeout = \"1s\"", ..Setup::default() });
    let (mut ada, mut bob) = (server.connect(), server.connect());
    bob.subscribe("cast:drip");
    let begin = Instant::now();
    let mut open: Vec<TcpStream> = (0..50).map(|_| server.tcp()).collect();
    for tcp in &mut open {
        tcp.write_all(b"GET /socket HTTP/1.1\r\nHost: localhost\r\nX-Drip: ").unwrap();
    }
    open.extend((0..10).map(|_| server.tcp()));
    let mut said = 0;
    until("all drips are over", || {
        for tcp in open.iter_mut().take(50) {
            let _ = tcp.write_all(b"x");
        }
        open.retain_mut(|tcp| !is_over(tcp));
        said += 1;
        ada.publish("cast:drip", json!(said));
        assert_eq!(bob.event()["data"], said);
        open.is_empty().then_some(())
    });
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(900), "closed too early, after {took:?}");
    assert!(took < Duration::from_secs(10), "closed after {took:?} only");
    server.still_fine();
}

#[test]
fn who_says_nothing_behind_the_upgrade_is_told_and_closed() {
    let server = Server::start(&Setup { limits: "hello_timeout = \"1s\"", ..Setup::default() });
    let mut ada = server.connect();
    assert_eq!(ada.ask(json!({"type": "ping"}))["type"], "pong");
    let begin = Instant::now();
    let silent: Vec<Socket> = (0..50).map(|_| server.connect()).collect();
    for mut socket in silent {
        let said = socket.bye(4408);
        assert_eq!((said.len(), &said[0]["reconnect"]), (1, &json!(false)), "{said:?}");
    }
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(900), "closed too early, after {took:?}");
    assert!(took < Duration::from_secs(10), "closed after {took:?} only");
    assert_eq!(ada.ask(json!({"type": "ping"}))["type"], "pong", "who has spoken may stay");
    server.still_fine();
}

#[test]
fn headers_too_large_or_too_many_are_refused() {
    let server = Server::start(&Setup::default());
    let before = server.memory();
    let one = |bytes: usize| format!("X-Large: {}\r\n", "x".repeat(bytes));
    let many = |count: usize| "X-Many: x\r\n".repeat(count);
    let large = [one(20 << 10), one(64 << 10), one(1 << 20), many(100), many(2000), many(50_000)];
    for more in large {
        let status = upgrade(&server, &more);
        // 0: it was cut off while it was still sending.
        assert!([0, 400, 431].contains(&status), "{status} for {} bytes", more.len());
    }
    assert_eq!(upgrade(&server, &(one(8 << 10) + &many(40))), 101, "large, but not too large");
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 8 << 20, "memory grew by {grown} bytes");
    server.still_fine();
}

/// A request that comes in segments of one byte is a request like any other.
#[test]
fn a_request_may_come_in_single_bytes() {
    let server = Server::start(&Setup::default());
    let mut tcp = server.tcp();
    for byte in request("").as_bytes() {
        tcp.write_all(&[*byte]).unwrap();
    }
    assert_eq!(status_of(&mut tcp), 101);
    server.still_fine();
}

/// CVE-2021-32640 and its like: a list of subprotocols that takes for ever, or that is no text.
#[test]
fn hostile_subprotocols_cost_nothing() {
    let server = Server::start(&Setup::default());
    let field = |value: &[u8]| {
        let plain = request("Sec-WebSocket-Protocol: @\r\n").into_bytes();
        let at = plain.iter().position(|byte| *byte == b'@').unwrap();
        [&plain[..at], value, &plain[at + 1..]].concat()
    };
    let spaces = format!("b{}x", " ".repeat(15_000));
    let commas = ",".repeat(1000);
    let list = "a, ".repeat(4000);
    let raw: Vec<u8> = (0x80..=0xff).collect();
    for value in [spaces.as_bytes(), commas.as_bytes(), list.as_bytes(), &raw, b"", b"tidings.v1 "]
    {
        let begin = Instant::now();
        let status = server.status(&field(value));
        assert!([101, 400, 431].contains(&status), "{status} for {value:?}");
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    }
    let mut unknown = Socket::upgrade(server.tcp(), "Sec-WebSocket-Protocol: v9, x\r\n").unwrap();
    assert!(!unknown.head.to_ascii_lowercase().contains("sec-websocket-protocol"));
    unknown.bye(4426);
    let both = Socket::upgrade(server.tcp(), "Sec-WebSocket-Protocol: v9, tidings.v1\r\n").unwrap();
    assert!(both.head.to_ascii_lowercase().contains("sec-websocket-protocol: tidings.v1"));
    server.still_fine();
}

/// Requests that are no upgrade get an answer of HTTP, and none ends the server.
#[test]
fn what_is_no_upgrade_is_answered_as_http() {
    let server = Server::start(&Setup::default());
    let good = request("");
    for (request, statuses) in [
        (good.replace("GET", "POST"), [405, 405]),
        (good.replace("Version: 13", "Version: 8"), [426, 426]),
        (good.replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), [400, 400]),
        (good.replace("Upgrade: websocket", "Upgrade: h2c"), [426, 426]),
        (good.replace("HTTP/1.1", "HTTP/1.0"), [426, 400]),
        (good.replace("/socket", "/../../etc/passwd"), [404, 400]),
        ("\0\0\0\0\r\n\r\n".into(), [400, 0]),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), [400, 0]),
    ] {
        let status = server.status(request.as_bytes());
        assert!(statuses.contains(&status), "{status} for {request}");
    }
    server.still_fine();
}

/// Tokens stay out of the logs, even where they do not belong and at the most talkative level.
#[test]
fn tokens_are_not_logged() {
    let mut server = Server::start(&Setup { log: "trace", ..Setup::default() });
    let secret = token("ada", Duration::from_secs(60));
    let forged = format!("{secret}x");
    let query = request("").replace("/socket", &format!("/socket?token={secret}"));
    assert_eq!(server.status(query.as_bytes()), 101);
    for (token, refused) in [(&secret, false), (&forged, true)] {
        let bearer = format!("Authorization: Bearer {token}\r\n");
        let mut socket = Socket::upgrade(server.tcp(), &bearer).unwrap();
        if refused {
            socket.bye(4401);
        } else {
            assert_eq!(socket.ask(json!({"type": "hello"}))["user"], "ada");
        }
    }
    server.connect_as(&secret);
    server.still_fine();
    let log = server.whole_log();
    assert!(log.len() > 100, "there is a log at all: {log}");
    let signature = secret.rsplit_once('.').unwrap().1;
    assert!(!log.contains(signature), "a token stands in the log");
}
