//! Clients that send without reading, or do not read at all.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use socket2::{Domain, Protocol, Socket as RawSocket, Type};

use crate::common::{Message, PATIENCE, Server, Setup, Socket, frame, numbers, until};

/// A connection with small buffers of the system's, so that one who does not read is noticed soon.
fn narrow(server: &Server) -> TcpStream {
    let socket = RawSocket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], server.port));
    socket.connect(&address.into()).unwrap();
    let tcp = TcpStream::from(socket);
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.set_write_timeout(Some(PATIENCE)).unwrap();
    tcp
}

/// Sends the same again and again and never reads, until the server has had enough.
fn flood(server: &Server, what: &[u8]) {
    let mut socket = Socket::upgrade(narrow(server), "").unwrap();
    let many = what.repeat((64 << 10) / what.len());
    socket.stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    until("the flood is cut off", || match socket.stream.write_all(&many) {
        Ok(()) => None,
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(_) => Some(()),
    });
}

/// Five clients at once flood the server with what has to be answered, and read no answer. They are
/// read no further, and closed. What is kept for each is bounded: 1 MiB that waits to be sent, and
/// not much else, however small a command is and however large its answer.
#[test]
fn who_does_not_read_answers_is_cut_off() {
    let limits = "heartbeat = \"1s\"\npong_timeout = \"1s\"\nclose_timeout = \"500ms\"";
    let server = Server::start(&Setup { limits, ..Setup::default() });
    server.still_fine();
    let before = server.memory();
    let history = frame(0x81, br#"{"type":"history","id":1,"channel":"cast:long"}"#);
    let mut ada = server.connect();
    for _ in 0..50 {
        ada.publish("cast:long", json!("x".repeat(5000)));
    }
    // Five backlogs of 1 MiB, what was read and has to wait, and slack for the allocator. Pages
    // come from other shards too, and 64 of up to 256 KiB may be under way to each.
    let (small, pages) = (24 << 20, (24 << 20) + 5 * 64 * (256 << 10));
    for (what, bytes, bound) in [
        ("WebSocket Pings", frame(0x89, &[b'?'; 125]), small),
        ("empty WebSocket Pings", frame(0x89, b""), small),
        ("pings", frame(0x81, br#"{"type":"ping","id":1}"#), small),
        ("pages of history", history, pages),
    ] {
        std::thread::scope(|scope| {
            for _ in 0..5 {
                scope.spawn(|| flood(&server, &bytes));
            }
        });
        let grown = server.memory().saturating_sub(before);
        println!("{what}: memory has grown by {grown} bytes");
        assert!(grown < bound, "{what}: memory grew by {grown} bytes");
        server.still_fine();
    }
}

/// Reads events until the server says `bye`; returns them. `None`: it only heard the end.
fn until_bye(socket: &mut Socket) -> (Vec<Value>, Option<Value>) {
    let mut events = Vec::new();
    loop {
        match socket.receive() {
            Ok(Message::Text(value)) if value["type"] == "bye" => return (events, Some(value)),
            Ok(Message::Text(value)) => events.push(value),
            Ok(_) => {}
            Err(_) => return (events, None),
        }
    }
}

/// Five subscribers fall asleep while 300 events of 28 KiB come. Another one hears all of them
/// meanwhile. The sleepers are told that they were too slow, come back, and have missed nothing.
#[test]
fn slow_consumers_are_closed_and_recover() {
    const EVENTS: u64 = 300;
    let limits = "close_timeout = \"60s\"";
    let server = Server::start(&Setup { limits, ..Setup::default() });
    let mut slow: Vec<Socket> =
        (0..5).map(|_| Socket::upgrade(narrow(&server), "").unwrap()).collect();
    let mut since = Vec::new();
    for socket in &mut slow {
        since.push(socket.subscribe("cast:fast"));
    }
    let (mut ada, mut fast) = (server.connect(), server.connect());
    fast.subscribe("cast:fast");
    let before = server.memory();
    let padding = "x".repeat(28 << 10);
    for number in 1..=EVENTS {
        let published = ada.publish("cast:fast", json!([number, padding]));
        assert_eq!(published["offset"], number, "{published}");
        assert_eq!(fast.event()["offset"], number, "the fast one is not held up");
    }
    let (grown, history) = (server.memory().saturating_sub(before), EVENTS * (28 << 10));
    // History, and what may wait for each; slack for the allocator.
    let bound = history + 5 * (1 << 20) + (24 << 20);
    println!("memory grew by {grown} bytes, of which {history} are history");
    assert!(grown < bound, "memory grew by {grown} bytes, more than {bound}");
    for (mut socket, start) in slow.into_iter().zip(since) {
        let (events, bye) = until_bye(&mut socket);
        let bye = bye.expect("the end is announced");
        assert_eq!((&bye["code"], &bye["reconnect"]), (&json!(4513), &json!(true)), "{bye}");
        let last = events.len() as u64;
        assert!(last < EVENTS, "it was slow");
        let offsets = events.iter().map(|event| event["offset"].as_u64().unwrap());
        assert!(offsets.eq(1..=last), "what came before the bye is whole");
        recover(&server, start["epoch"].as_str().unwrap(), last, EVENTS);
    }
    server.still_fine();
}

/// Comes back with what it has and gets the rest.
fn recover(server: &Server, epoch: &str, last: u64, newest: u64) {
    let mut socket = server.connect();
    let since = json!({"epoch": epoch, "offset": last});
    let reply = socket.ask(json!({"type": "subscribe", "channel": "cast:fast", "since": since}));
    assert_eq!(reply["recovered"], true, "{reply}");
    for offset in last + 1..=newest {
        assert_eq!(socket.event()["offset"], offset);
    }
}

/// A client that sends commands much faster than they can be answered is read slower, not dropped.
#[test]
fn a_burst_of_commands_is_answered_in_full() {
    let server = Server::start(&Setup::default());
    let mut socket = server.connect();
    socket.subscribe("cast:burst");
    let burst: Vec<u8> = (1..=2000)
        .flat_map(|id| {
            let publish =
                json!({"type": "publish", "id": id + 1, "channel": "cast:burst", "data": id});
            frame(0x81, publish.to_string().as_bytes())
        })
        .collect();
    let mut writer = socket.stream.try_clone().unwrap();
    let sending = std::thread::spawn(move || writer.write_all(&burst).unwrap());
    let (mut answers, mut events) = (Vec::new(), Vec::new());
    while answers.len() < 2000 || events.len() < 2000 {
        let value = socket.push();
        if value["type"] == "event" { events.push(value) } else { answers.push(value) }
    }
    sending.join().unwrap();
    assert!(answers.iter().all(|answer| answer["type"] == "published"), "{answers:?}");
    assert!(numbers(&events).into_iter().eq(1..=2000));
    server.still_fine();
}
