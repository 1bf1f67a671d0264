//! Long answers over HTTP/1.1 leave the HTTP library; nobody notices.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConnection, StreamOwned};

use crate::common::{Server, Setup, trusting, until};
use crate::http::{Events, lines, poll, send};

/// One connection for many requests.
struct Link<S>(BufReader<S>);

impl<S: Read + Write> Link<S> {
    fn write(&mut self, line: &str, body: &str) {
        let length = body.len();
        let request =
            format!("{line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}");
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        self.0.get_mut().flush().unwrap();
    }

    /// Status, header and body of the next answer.
    fn read(&mut self) -> (u16, String, String) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.0.read_line(&mut head).unwrap() > 0, "no answer: {head:?}");
        }
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).unwrap();
        (head[9..12].parse().unwrap(), head, String::from_utf8(body).unwrap())
    }

    fn ask(&mut self, line: &str, body: &str) -> Vec<Value> {
        self.write(line, body);
        let (status, _, body) = self.read();
        assert_eq!(status, 200, "{body}");
        body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Opens a session by polling; what it is called, and the number of the last answer.
    fn open(&mut self, channel: &str) -> (String, u64) {
        let subscribe = json!({"type": "subscribe", "id": 1, "channel": channel});
        let mut told = self.ask("POST /poll", &lines(&[subscribe]));
        let connection = told[0]["connection"].as_str().unwrap().to_owned();
        let mut ack = 0;
        while !told.iter().any(|frame| frame["type"] == "subscribed") {
            told = self.ask("POST /poll", &asks(&connection, ack));
            ack += 1;
        }
        (connection, ack)
    }
}

fn asks(connection: &str, ack: u64) -> String {
    json!({"connection": connection, "ack": ack}).to_string()
}

fn link(server: &Server) -> Link<TcpStream> {
    Link(BufReader::new(server.tcp()))
}

fn secure(
    server: &Server,
    certificate: CertificateDer<'static>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let config = trusting(certificate);
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(client, server.tcp())
}

/// Twenty polls, each of which waits, over one connection; what it is asked meanwhile waits too.
fn polls_and_a_page<S: Read + Write>(server: &Server, link: &mut Link<S>) {
    let (bob, ack) = link.open("cast:lobby");
    let mut ada = server.connect();
    for round in 0..20 {
        link.write("POST /poll", &asks(&bob, ack + round));
        // Behind it on the same connection, before it is answered.
        link.write("GET /health", "");
        ada.publish("cast:lobby", json!(round));
        let (status, head, body) = link.read();
        assert_eq!(status, 200, "{head}{body}");
        assert!(head.contains("\r\nconnection: keep-alive\r\n"), "{head}");
        assert!(head.contains("\r\ncontent-type: application/x-ndjson\r\n"), "{head}");
        assert!(head.contains("\r\ncache-control: no-store, no-transform\r\n"), "{head}");
        assert!(head.contains("\r\ndate: "), "{head}");
        let event: Value = serde_json::from_str(body.lines().nth(1).unwrap()).unwrap();
        assert_eq!(event["data"], round);
        let (status, _, body) = link.read();
        assert_eq!((status, body.as_str()), (200, "ok\n"));
    }
}

#[test]
fn polls_that_wait_share_a_connection_with_other_requests() {
    let server = Server::start(&Setup::default());
    polls_and_a_page(&server, &mut link(&server));
    server.still_fine();
}

#[test]
fn over_tls_too() {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let dir = Arc::new(tempfile::tempdir().unwrap());
    std::fs::write(dir.path().join("cert.pem"), key.cert.pem()).unwrap();
    std::fs::write(dir.path().join("key.pem"), key.signing_key.serialize_pem()).unwrap();
    let tls = "tls = { certificate = \"cert.pem\", key = \"key.pem\" }";
    let server = Server::start_in(dir, &Setup { server: tls, ..Setup::default() });
    let open = || secure(&server, key.cert.der().clone());
    let mut bobs = Link(BufReader::new(open()));
    let (bob, ack) = bobs.open("cast:lobby");
    bobs.write("POST /poll", &asks(&bob, ack));
    let mut carols = Link(BufReader::new(open()));
    let subscribe = json!({"type": "subscribe", "id": 1, "channel": "cast:lobby"});
    carols.write("POST /events", &lines(&[subscribe]));
    let mut told = String::new();
    while !told.contains("\"subscribed\"") {
        assert!(carols.0.read_line(&mut told).unwrap() > 0, "{told}");
    }
    let mut ada = Link(BufReader::new(open()));
    let publish = json!({"type": "publish", "id": 1, "channel": "cast:lobby", "data": "hello"});
    ada.ask("POST /poll", &lines(&[publish]));
    assert!(bobs.read().2.contains("\"data\":\"hello\""));
    while !told.contains("\"data\":\"hello\"") {
        assert!(carols.0.read_line(&mut told).unwrap() > 0, "{told}");
    }
    let told = told.to_ascii_lowercase();
    assert!(told.contains("\r\nx-accel-buffering: no\r\n"), "{told}");
    assert!(told.contains("\r\ncontent-type: text/event-stream\r\n"), "{told}");
}

#[test]
fn who_hangs_up_while_a_poll_waits_may_ask_again() {
    let server = Server::start(&Setup::default());
    let mut first = link(&server);
    let (bob, ack) = first.open("cast:lobby");
    first.write("POST /poll", &asks(&bob, ack));
    first.0.get_ref().shutdown(Shutdown::Write).unwrap();
    // The server lets that connection go, and keeps the session.
    assert_eq!(first.0.read(&mut [0]).unwrap(), 0);
    let mut ada = server.connect();
    ada.publish("cast:lobby", json!("one"));
    assert_eq!(poll(&server, &bob, ack).lines()[1]["data"], "one");
}

#[test]
fn a_poll_that_another_one_replaces_is_told_so_and_its_connection_stays() {
    let server = Server::start(&Setup::default());
    let (mut first, mut second) = (link(&server), link(&server));
    let (bob, ack) = first.open("cast:lobby");
    first.write("POST /poll", &asks(&bob, ack));
    // One of the two has to be first; whichever is not gets the answer.
    second.write("POST /poll", &asks(&bob, ack));
    let replaced = until("one is replaced", || {
        [&mut first, &mut second].into_iter().position(|link| {
            let socket = link.0.get_ref();
            socket.set_nonblocking(true).unwrap();
            let there = socket.peek(&mut [0]).is_ok();
            socket.set_nonblocking(false).unwrap();
            there
        })
    });
    let (told, waits) =
        if replaced == 0 { (&mut first, &mut second) } else { (&mut second, &mut first) };
    let (status, head, body) = told.read();
    assert_eq!(status, 404, "{body}");
    assert!(head.contains("\r\ncontent-type: text/plain; charset=utf-8\r\n"), "{head}");
    assert_eq!(send(&server, &bob, 1, &[]), 204, "the session lives");
    server.connect().publish("cast:lobby", json!("one"));
    assert!(waits.read().2.contains("\"one\""));
    told.write("GET /health", "");
    assert_eq!(told.read().2, "ok\n");
}

#[test]
fn what_comes_behind_the_request_for_events_is_nothing() {
    let server = Server::start(&Setup::default());
    let subscribe = json!({"type": "subscribe", "id": 1, "channel": "cast:lobby"});
    let body = lines(&[subscribe]);
    let mut tcp = server.tcp();
    let request = format!(
        "POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}GET /health HTTP/1.1\r\n\r\n",
        body.len()
    );
    tcp.write_all(request.as_bytes()).unwrap();
    let mut ada = Events::read(tcp.try_clone().unwrap());
    ada.wait("subscribed");
    tcp.write_all(&[b'x'; 100_000]).unwrap();
    let mut bob = server.connect();
    for number in 0..3 {
        bob.publish("cast:lobby", json!(number));
        assert_eq!(ada.wait("event").data["data"], number);
    }
}

#[test]
fn the_bench_weighs_those_that_wait() {
    let program = env!("CARGO_BIN_EXE_tidings");
    for transport in ["sse", "poll"] {
        let saved = tempfile::NamedTempFile::new().unwrap();
        let outcome = Command::new(program)
            .args(["bench", "idle", "--connections", "60", "--rest", "0.1"])
            .args(["--transport", transport, "--spawn", program, "--json"])
            .arg(saved.path())
            .output()
            .unwrap();
        assert!(outcome.status.success(), "{outcome:?}");
        let run: Value = serde_json::from_slice(&std::fs::read(saved.path()).unwrap()).unwrap();
        let outcome = &run["outcomes"][0];
        assert_eq!(outcome["faults"], json!([]), "{outcome}");
        assert!(outcome["figures"][0]["value"].as_f64().is_some(), "{outcome}");
    }
}
