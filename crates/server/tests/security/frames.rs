//! T10 to T13: frames that are good one by one, and what many of them cost.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use serde_json::json;
use tidings_websocket::Deflater;

use crate::common::{Message, Server, Setup, Socket, frame, frame_head};
use crate::neighbours::Neighbours;

/// Sends the same until the server has had enough, a million times at most.
fn pour(socket: &mut Socket, what: &[u8]) -> usize {
    let many = what.repeat(1000);
    (0..1000).position(|_| socket.send_raw(&many).is_err()).map_or(1_000_000, |sent| sent * 1000)
}

#[test]
fn t10_endless_fragments_are_cut_off_and_cost_no_memory() {
    let server = Server::start(&Setup::default());
    server.still_fine();
    let before = server.memory();
    // As many fragments as are allowed, and none is the last.
    let mut waiting: Vec<Socket> = (0..50).map(|_| server.connect()).collect();
    for socket in &mut waiting {
        socket.send_raw(&frame(0x01, &[b' '; 500])).unwrap();
        socket.send_raw(&frame(0x00, &[b' '; 500]).repeat(126)).unwrap();
    }
    server.still_fine();
    let held = server.memory().saturating_sub(before) / 50;
    println!("{held} bytes for each message of 127 fragments");
    assert!(held < 256 << 10, "{held} bytes for each who sends 64 KiB");
    for socket in &mut waiting {
        socket.send_raw(&frame(0x00, b" ").repeat(2)).unwrap();
        socket.bye(1009);
    }
    for (what, more) in [("empty", &b""[..]), ("of a byte", b" "), ("of 100 bytes", &[b' '; 100])] {
        let mut sockets: Vec<Socket> = (0..20).map(|_| server.connect()).collect();
        for socket in &mut sockets {
            socket.send_raw(&frame(0x01, b" ")).unwrap();
            let sent = pour(socket, &frame(0x00, more));
            assert!(sent < 1_000_000, "{what}: a million fragments were taken");
        }
        let grown = server.memory().saturating_sub(before) / 20;
        println!("{what}: {grown} bytes for each");
        assert!(grown < 1 << 20, "{what}: {grown} bytes for each");
    }
    server.still_fine();
}

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";

/// 64 MiB in 64 KiB: as one frame, as fragments, and as a bomb inside another.
#[test]
fn t11_a_bomb_is_refused_while_it_is_inflated() {
    let server = Server::start(&Setup { server: "compression = true", ..Setup::default() });
    let deflate = |data: &[u8]| Deflater::new(15, 9, false).compress(data).unwrap().to_vec();
    let bomb = deflate(&vec![b' '; 64 << 20]);
    assert!(bomb.len() <= 66 << 10, "{} bytes", bomb.len());
    let nested = deflate(&bomb);
    let short = &bomb[..bomb.len().min(60 << 10)];
    let parts = |data: &[u8]| -> Vec<u8> {
        let mut parts = data.chunks(1000).map(|part| frame(0x00, part)).collect::<Vec<_>>();
        parts[0][0] |= 0x41;
        parts.last_mut().unwrap()[0] |= 0x80;
        parts.concat()
    };
    server.still_fine();
    let before = server.memory();
    for (what, bytes, code) in [
        ("whole", frame(0xc1, &bomb), 1009),
        ("a little less", frame(0xc1, short), 1009),
        ("in fragments", parts(&bomb), 1009),
        ("a little less, in fragments", parts(short), 1009),
        ("a bomb in a bomb, which is inflated once", frame(0xc1, &nested), 1007),
        ("what is no deflate", frame(0xc1, &[0xff; 1000]), 1007),
    ] {
        for _ in 0..5 {
            let mut socket = Socket::upgrade(server.tcp(), OFFER).unwrap();
            let _ = socket.send_raw(&bytes);
            println!("{what}");
            socket.bye(code);
        }
    }
    let grown = server.memory().saturating_sub(before);
    println!("memory has grown by {grown} bytes");
    assert!(grown < 4 << 20, "memory grew by {grown} bytes");
    server.still_fine();
}

/// The next frame's first byte and its payload's length.
fn next_frame(socket: &mut Socket) -> (u8, usize) {
    let mut head = [0; 2];
    socket.stream.read_exact(&mut head).unwrap();
    let length = match head[1] {
        126 => {
            let mut long = [0; 2];
            socket.stream.read_exact(&mut long).unwrap();
            usize::from(u16::from_be_bytes(long))
        }
        length => usize::from(length),
    };
    socket.stream.read_exact(&mut vec![0; length]).unwrap();
    (head[0], length)
}

/// CRIME and BREACH need a message whose length tells what stood in another one.
#[test]
fn t12_no_message_is_compressed_with_the_help_of_another() {
    let server = Server::start(&Setup { server: "compression = true", ..Setup::default() });
    let mut bob = Socket::upgrade(server.tcp(), OFFER).unwrap();
    let head = bob.head.to_ascii_lowercase();
    for promise in ["server_no_context_takeover", "client_no_context_takeover"] {
        assert!(head.contains(promise), "{head}");
    }
    let (mut seed, mut secret) = (1_u64, String::new());
    while secret.len() < 2000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        secret.push(char::from(b'a' + u8::try_from(seed >> 59).unwrap() % 26));
    }
    bob.send(r#"{"type":"subscribe","id":1,"channel":"cast:secret"}"#).unwrap();
    assert_eq!(next_frame(&mut bob).0, 0x81, "a short message is not compressed");
    let mut ada = server.connect();
    let mut lengths = Vec::new();
    for _ in 0..3 {
        ada.publish("cast:secret", json!(secret));
        let (first, length) = next_frame(&mut bob);
        assert_eq!(first, 0xc1, "a long one is");
        lengths.push(length);
    }
    println!("{lengths:?} bytes for the same message");
    let (least, most) = (*lengths.iter().min().unwrap(), *lengths.iter().max().unwrap());
    assert!(most - least < 20 && least > 1000, "{lengths:?}");
    server.still_fine();
}

/// Pings that are answered and read, and what no answer is owed for: none holds up anybody else.
#[test]
fn t13_a_flood_of_pings_and_of_nothing_holds_up_nobody() {
    let server = Server::start(&Setup { server: "shards = 2", ..Setup::default() });
    let mut neighbours = Neighbours::meet(&server);
    (0..300).for_each(|_| neighbours.talk());
    let (alone, before) = (neighbours.ways(), server.memory());
    for (what, bytes) in [
        ("Pings", frame(0x89, b"?")),
        ("empty Pings", frame(0x89, b"")),
        ("Pongs that nobody asked for", frame(0x8a, &[b'!'; 125])),
    ] {
        let mut socket = server.connect();
        let mut writer = socket.stream.try_clone().unwrap();
        let answers = socket.stream.try_clone().unwrap();
        let many = bytes.repeat(500);
        let begin = Instant::now();
        let sending = std::thread::spawn(move || {
            // 50,000, as fast as they are taken, or until the server has had enough.
            (0..100).take_while(|_| writer.write_all(&many).is_ok()).count() * 500
        });
        let reading = std::thread::spawn(move || drain(answers));
        while !sending.is_finished() || begin.elapsed() < Duration::from_secs(1) {
            neighbours.talk();
        }
        let sent = sending.join().unwrap();
        println!("{sent} in {:?}", begin.elapsed());
        neighbours.ways().are_like(&alone, what);
        let _ = socket.send_raw(&frame(0x88, &1000_u16.to_be_bytes()));
        reading.join().unwrap();
    }
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 8 << 20, "memory grew by {grown} bytes");
    server.still_fine();
}

/// Reads to the end.
fn drain(mut from: impl Read) {
    let mut buffer = [0; 64 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(1..) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
        }
    }
}

/// Messages without content are messages: sixteen that are no commands end the connection.
#[test]
fn t13_empty_messages_are_bad_commands() {
    let server = Server::start(&Setup::default());
    let mut socket = server.connect();
    let _ = socket.send_raw(&frame_head(0x81, 0).repeat(1000));
    let mut errors = 0;
    loop {
        match socket.receive().unwrap() {
            Message::Text(value) if value["type"] == "error" => errors += 1,
            Message::Text(bye) => {
                assert_eq!(bye["code"], 4400);
                break;
            }
            _ => {}
        }
    }
    assert_eq!(errors, 16);
    server.still_fine();
}
