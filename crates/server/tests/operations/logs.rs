//! The log: for programs as JSON, and never with what clients keep to themselves.

use std::io::{Read, Write};
use std::time::Duration;

use serde_json::{Value, json};

use crate::collector::{Collector, Manner};
use crate::common::{SECRET, Server, Setup, Socket, token};
use crate::http::get;

const PAYLOAD: &str = "meet-me-at-noon-behind-the-station";

#[test]
fn a_log_for_programs_is_json_line_by_line() {
    let arguments = &["--log-format", "json"];
    let mut server =
        Server::start(&Setup { arguments, shell: "export NO_COLOR=", ..Setup::default() });
    server.connect().subscribe("chat:room");
    std::fs::write(server.path().join("tidings.toml"), "[nonsense]\n").unwrap();
    server.signal("HUP");
    server.until_logged("the old one stays");
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));
    let log = server.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    for line in &lines {
        for key in ["timestamp", "level", "target", "message"] {
            assert!(line[key].is_string(), "{key} in {line}");
        }
    }
    let opened = lines.iter().find(|line| line["message"] == "the store is open").unwrap();
    assert_eq!(opened["channels"], 0, "fields stand beside the message: {opened}");
    let refused = lines.iter().find(|line| line["level"] == "ERROR").unwrap();
    assert!(refused["error"].as_str().unwrap().contains("nonsense"), "{refused}");
}

/// A request with a body, and what comes of it until `enough`.
fn post(server: &Server, path: &str, more: &str, body: &str, enough: &str) -> String {
    let mut tcp = server.tcp();
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{more}Content-Length: {length}");
    tcp.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains(enough) {
        let count = tcp.read(&mut buffer).unwrap();
        assert!(count > 0, "the end instead of {enough}: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    text
}

/// All that a client says to all transports, with everything logged that can be.
#[test]
fn no_token_and_no_payload_is_ever_logged() {
    let collector = Collector::start(Manner::Good);
    let more = collector.table();
    let setup = Setup { log: "trace", more: &more, ..Setup::default() };
    let mut server = Server::start(&setup);
    let (ada, eve) =
        (token("ada", Duration::from_secs(600)), token("eve", Duration::from_secs(60)));
    let forged = format!("{}x", &ada[..ada.len() - 1]);

    let bearer = format!("Authorization: Bearer {ada}\r\n");
    let mut first = Socket::upgrade(server.tcp(), &bearer).unwrap();
    let welcome = first.ask(json!({"type": "hello"}));
    let ticket = welcome["session"].as_str().unwrap().to_owned();
    first.subscribe("club:room");
    first.subscribe("chat:room");
    for channel in ["club:room", "chat:room"] {
        assert_eq!(first.publish(channel, json!(PAYLOAD))["type"], "published");
        first.event();
    }
    first.ask(json!({"type": "enter", "channel": "chat:room", "data": {"mood": PAYLOAD}}));
    first.ask(json!({"type": "refresh", "token": ada}));
    first.ask(json!({"type": "refresh", "token": forged}));
    first.send(&format!("{{\"{PAYLOAD}")).unwrap();
    drop(first);
    let mut again = server.connect();
    assert_eq!(again.ask(json!({"type": "hello", "session": ticket}))["user"], "ada");
    let mut bad = server.connect();
    bad.command(json!({"type": "hello", "token": forged})).unwrap();
    bad.bye(4401);

    let hello = json!({"type": "hello", "id": 1, "token": ada});
    let publish = json!({"type": "publish", "id": 2, "channel": "chat:room", "data": PAYLOAD});
    let lines = format!("{hello}\n{publish}\n");
    post(&server, "/events", "", &lines, "published");
    post(&server, "/poll", &bearer, &lines, "welcome");
    post(&server, "/send", &bearer, &lines, "\r\n\r\n");
    let (mut tcp, mut answer) = (server.tcp(), [0; 12]);
    let line = format!("GET /events?channel=club:room&ticket={eve} HTTP/1.1\r\n");
    tcp.write_all(format!("{line}Host: localhost\r\n\r\n").as_bytes()).unwrap();
    tcp.read_exact(&mut answer).unwrap();
    let broken = format!("GET /socket?token={ada} HTTP/1.1\r\n{bearer}no header {PAYLOAD}\r\n\r\n");
    assert_eq!(server.status(broken.as_bytes()), 400);
    assert_eq!(get(server.port, &format!("/nothing?token={ada}")).0, 404);

    server.signal("HUP");
    server.until_logged("is in force");
    server.signal("INT");
    assert_eq!(server.ended().code(), Some(0));
    let log = server.log();
    assert!(log.contains("DEBUG"), "all is logged that can be: {log}");
    let taken = collector.taken();
    assert!(taken.lines.iter().any(|line| line == "the store is open"), "{:?}", taken.lines);
    for secret in [&*ada, &eve, &forged, &ticket, SECRET, PAYLOAD] {
        // A part of it would be too much as well.
        let part = secret.rsplit('.').next().unwrap_or(secret);
        let found = log.lines().find(|line| line.contains(part));
        assert!(found.is_none(), "{secret} is in the log: {found:?}");
        let told = String::from_utf8_lossy(&taken.bytes);
        assert!(!told.contains(part), "{secret} was told to the collector");
    }
}
