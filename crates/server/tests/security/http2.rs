//! T14: HTTP/2 by hand, over TLS, so that every rule can be broken.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConnection, StreamOwned};

use crate::common::{Server, Setup, Socket, token, trusting};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A frame as it came.
#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// A field without Huffman's code, for no table (RFC 7541 section 6.2.2).
fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

/// `GET path`.
fn get(path: &str) -> Vec<u8> {
    let mut fields = vec![0x82, 0x87];
    fields.extend(field(":path", path));
    fields.extend(field(":authority", "localhost"));
    fields
}

struct Secure {
    server: Server,
    certificate: CertificateDer<'static>,
}

impl Secure {
    fn start(log: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let dir = Arc::new(TempDir::new().unwrap());
        std::fs::write(dir.path().join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(dir.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let tls = "tls = { certificate = \"cert.pem\", key = \"key.pem\" }";
        let server = Server::start_in(dir, &Setup { server: tls, log, ..Setup::default() });
        Self { server, certificate: made.cert.der().clone() }
    }

    fn tls(&self, protocol: &[u8]) -> StreamOwned<ClientConnection, TcpStream> {
        let mut config = trusting(self.certificate.clone());
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        StreamOwned::new(tls, self.server.tcp())
    }

    /// Somebody with a WebSocket, to see that others are served.
    fn somebody(&self) -> Socket<StreamOwned<ClientConnection, TcpStream>> {
        Socket::upgrade(self.tls(b"http/1.1"), "").unwrap()
    }

    /// A connection whose settings have been exchanged.
    fn connect(&self) -> H2 {
        let mut h2 = H2(self.tls(b"h2"));
        h2.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        h2.send(&frame(SETTINGS, 0, 0, b"")).unwrap();
        h2
    }
}

struct H2(StreamOwned<ClientConnection, TcpStream>);

impl H2 {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)?;
        self.0.flush()
    }

    fn next(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload)?;
        Ok(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// Reads until a frame of this kind has come for this stream; `None` at the end.
    fn wait(&mut self, kind: u8, stream: u32) -> Option<Frame> {
        loop {
            match self.next() {
                Ok(frame) if frame.kind == kind && frame.stream == stream => return Some(frame),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    /// Whether a request is answered with 200.
    fn works(&mut self, stream: u32) -> bool {
        let sent = self.send(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &get("/health")));
        let answer = sent.ok().and_then(|()| self.wait(HEADERS, stream));
        // `:status: 200` is number 8 of the static table.
        answer.is_some_and(|answer| answer.payload.first() == Some(&0x88))
    }
}

/// Sends the same until the connection is cut, so often at most.
fn pour(h2: &mut H2, times: usize, mut what: impl FnMut(usize) -> Vec<u8>) -> usize {
    (0..times).take_while(|number| h2.send(&what(*number)).is_ok()).count()
}

#[test]
fn t14_streams_that_are_opened_and_reset_end_the_connection() {
    let secure = Secure::start("");
    let mut ada = secure.somebody();
    let before = secure.server.memory();
    for path in ["/health", "/metrics", "/events?channel=chat:room"] {
        let mut h2 = secure.connect();
        let cpu = secure.server.cpu();
        let sent = pour(&mut h2, 1000, |number| {
            let first = u32::try_from(number).unwrap() * 200 + 1;
            let both = |stream| {
                let open = frame(HEADERS, END_STREAM | END_HEADERS, stream, &get(path));
                [open, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
            };
            (0..100).flat_map(|index| both(first + 2 * index)).collect()
        });
        assert!(sent < 1000, "{path}: a hundred thousand streams were taken");
        let spent = secure.server.cpu() - cpu;
        println!("{path}: cut off behind {} streams and {spent:?} of processor time", sent * 100);
        assert!(spent < Duration::from_secs(5), "{path}: {spent:?}");
        assert_eq!(ada.ask(serde_json::json!({"type": "ping"}))["type"], "pong");
    }
    let grown = secure.server.memory().saturating_sub(before);
    assert!(grown < 16 << 20, "memory grew by {grown} bytes");
    assert!(secure.connect().works(1));
}

/// VU#421644: a header that never ends.
#[test]
fn t14_continuations_without_an_end_end_the_connection() {
    let secure = Secure::start("");
    let mut ada = secure.somebody();
    let before = secure.server.memory();
    let large: Vec<u8> = field("x-more", &"x".repeat(120)).repeat(100);
    for (what, payload) in [("empty", vec![]), ("of 13 KB", large), ("of a byte", vec![0])] {
        let mut h2 = secure.connect();
        h2.send(&frame(HEADERS, END_STREAM, 1, &get("/health"))).unwrap();
        let piece = frame(CONTINUATION, 0, 1, &payload).repeat(20);
        let cpu = secure.server.cpu();
        let sent = pour(&mut h2, 5000, |_| piece.clone());
        let (spent, grown) =
            (secure.server.cpu() - cpu, secure.server.memory().saturating_sub(before));
        println!("{what}: cut off behind {} frames, {spent:?}, {grown} bytes", sent * 20);
        assert!(sent < 5000, "{what}: a hundred thousand continuations were taken");
        assert!(spent < Duration::from_secs(5) && grown < 16 << 20, "{what}: {spent:?}, {grown}");
        assert_eq!(ada.ask(serde_json::json!({"type": "ping"}))["type"], "pong");
    }
    assert!(secure.connect().works(1));
}

/// Frames that have to be answered, whose answers are not read.
#[test]
fn t14_who_reads_no_answers_makes_no_queue() {
    let secure = Secure::start("");
    let mut ada = secure.somebody();
    let before = secure.server.memory();
    let window = [0, 4, 0, 0, 0, 1];
    for (what, piece) in [
        ("pings", frame(PING, 0, 0, &[7; 8])),
        ("settings", frame(SETTINGS, 0, 0, &window)),
        ("empty data", frame(DATA, 0, 1, b"")),
    ] {
        let mut h2 = secure.connect();
        if what == "empty data" {
            let post = [&[0x83, 0x87][..], &field(":path", "/poll")].concat();
            h2.send(&frame(HEADERS, END_HEADERS, 1, &post)).unwrap();
        }
        h2.0.sock.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        let many = piece.repeat(1000);
        let sent = pour(&mut h2, 200, |_| many.clone());
        let grown = secure.server.memory().saturating_sub(before);
        println!("{what}: {sent} thousand were taken; memory has grown by {grown} bytes");
        assert!(grown < 16 << 20, "{what}: memory grew by {grown} bytes");
        assert_eq!(ada.ask(serde_json::json!({"type": "ping"}))["type"], "pong");
    }
    assert!(secure.connect().works(1));
}

/// RFC 8441 is not spoken: nobody gets a WebSocket past the checks of an upgrade.
#[test]
fn t14_extended_connect_is_not_spoken() {
    let secure = Secure::start("");
    let mut h2 = secure.connect();
    let settings = h2.wait(SETTINGS, 0).unwrap();
    assert_eq!(settings.flags & 1, 0, "the server's own settings");
    let ids: Vec<u16> =
        settings.payload.chunks(6).map(|one| u16::from_be_bytes([one[0], one[1]])).collect();
    assert!(!ids.contains(&8), "SETTINGS_ENABLE_CONNECT_PROTOCOL in {ids:?}");
    let fields = [
        field(":method", "CONNECT"),
        field(":protocol", "websocket"),
        field(":scheme", "https"),
        field(":path", "/socket"),
        field(":authority", "localhost"),
        field("sec-websocket-version", "13"),
        field("origin", "https://evil"),
    ];
    h2.send(&frame(HEADERS, END_HEADERS, 1, &fields.concat())).unwrap();
    loop {
        match h2.next() {
            Ok(answer) if answer.kind == HEADERS => {
                assert_ne!(answer.payload.first(), Some(&0x88), "it is not taken");
                break;
            }
            Ok(end) if end.kind == RST_STREAM || end.kind == GOAWAY => break,
            Ok(_) => {}
            Err(_) => break,
        }
    }
    assert!(secure.connect().works(1));
}

/// One connection may have 128 requests under way, as the server says at its start.
#[test]
fn t14_a_connection_has_so_many_streams_and_no_more() {
    let secure = Secure::start("");
    let mut h2 = secure.connect();
    let settings = h2.wait(SETTINGS, 0).unwrap();
    let most = settings.payload.chunks(6).find(|one| one[..2] == [0, 3]).unwrap();
    assert_eq!(most[2..], 128_u32.to_be_bytes());
    h2.send(&frame(SETTINGS, 1, 0, b"")).unwrap();
    let events = get("/events?channel=cast:room");
    for index in 0..160 {
        h2.send(&frame(HEADERS, END_STREAM | END_HEADERS, index * 2 + 1, &events)).unwrap();
    }
    let (mut taken, mut refused) = (0, 0);
    while taken + refused < 160 {
        match h2.next().unwrap() {
            Frame { kind: HEADERS, payload, .. } if payload.first() == Some(&0x88) => taken += 1,
            Frame { kind: RST_STREAM, payload, .. } => {
                assert_eq!(payload, 7_u32.to_be_bytes(), "REFUSED_STREAM");
                refused += 1;
            }
            Frame { kind: GOAWAY, payload, .. } => panic!("{payload:?}"),
            _ => {}
        }
    }
    assert_eq!((taken, refused), (128, 32));
}

/// T3, over HTTP/2: fields are taken apart by another library, which logs as well.
#[test]
fn t3_no_token_is_logged_over_http2() {
    let mut secure = Secure::start("trace");
    let ada = token("ada", Duration::from_secs(60));
    let mut h2 = secure.connect();
    let short = &ada[..100];
    let fields =
        [get(&format!("/poll?token={short}")), field("authorization", &format!("Bearer {short}"))];
    h2.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &fields.concat())).unwrap();
    assert!(h2.wait(HEADERS, 1).is_some());
    let log = secure.server.whole_log();
    assert!(log.contains("DEBUG") && !log.contains(&short[20..]), "a token stands in the log");
}
