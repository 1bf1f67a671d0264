//! Frames that break RFC 6455 or go over a limit: each ends its connection with the right code.

use std::time::Duration;

use serde_json::json;

use crate::common::{Server, Setup, Socket, frame, frame_head};

const FRAME_MAX: usize = 64 << 10;

/// A text message of so many bytes, which is a good command.
fn long_ping(bytes: usize) -> Vec<u8> {
    let mut text = String::from(r#"{"type":"ping","id":1"#);
    text.push_str(&" ".repeat(bytes - text.len() - 1));
    text.push('}');
    frame(0x81, text.as_bytes())
}

/// What a client sends, and with which code it is closed.
fn faults() -> Vec<(&'static str, Vec<u8>, u16)> {
    let endless = |first: &[u8], more: &[u8]| {
        let begin = frame(0x01, first);
        [begin, frame(0x00, more).repeat(10_000)].concat()
    };
    let mut top_bit = vec![0x81, 0xff];
    top_bit.extend([0xff; 8]);
    top_bit.extend([0; 4]);
    vec![
        ("a message one byte too long", long_ping(FRAME_MAX + 1), 1009),
        ("a length of 2^62", frame_head(0x81, 1 << 62), 1009),
        ("a length of 16 MiB, then nothing", frame_head(0x81, 16 << 20), 1009),
        ("a length with its top bit set", top_bit, 1002),
        ("a length in too many bytes", vec![0x81, 0xfe, 0, 5, 0, 0, 0, 0], 1002),
        ("endless empty continuations", endless(b"", b""), 1009),
        ("endless continuations of a byte", endless(b" ", b" "), 1009),
        (
            "fragments that add up",
            [frame(0x01, &[b' '; 40_000]), frame(0x80, &[b' '; 40_000])].concat(),
            1009,
        ),
        ("no mask", vec![0x81, 2, b'{', b'}'], 1002),
        ("no mask, and no payload", vec![0x81, 0], 1002),
        ("reserved bit 1, compression", frame(0xc1, b"{}"), 1002),
        ("reserved bit 2", frame(0xa1, b"{}"), 1002),
        ("reserved bit 3", frame(0x91, b"{}"), 1002),
        ("a reserved opcode", frame(0x83, b""), 1002),
        ("a reserved control opcode", frame(0x8b, b""), 1002),
        ("a Ping of 126 bytes", frame(0x89, &[0; 126]), 1002),
        ("a Ping in fragments", frame(0x09, b""), 1002),
        ("a continuation of nothing", frame(0x80, b""), 1002),
        ("a message inside another", [frame(0x01, b"{"), frame(0x81, b"}")].concat(), 1002),
        ("a Close of one byte", frame(0x88, &[3]), 1002),
        ("a Close with code 1005", frame(0x88, &1005u16.to_be_bytes()), 1002),
        ("a Close with code 999", frame(0x88, &999u16.to_be_bytes()), 1002),
        ("text that is not UTF-8", frame(0x81, b"{\"\xff\"}"), 1007),
        ("text with a surrogate", frame(0x81, b"\xed\xa0\x80"), 1007),
        ("text cut inside a character", frame(0x81, b"\"\xf0\x9f\x98"), 1007),
        ("a binary message", frame(0x82, b"{\"type\":\"ping\",\"id\":1}"), 4400),
    ]
}

#[test]
fn every_fault_is_answered_with_its_code() {
    let server = Server::start(&Setup::default());
    for opened in [false, true] {
        for (what, bytes, code) in faults() {
            let mut socket = server.connect();
            if opened {
                assert_eq!(socket.ask(json!({"type": "ping"}))["type"], "pong");
            }
            // The server may close while this is still sending.
            let _ = socket.send_raw(&bytes);
            println!("{what}: {code}");
            socket.bye(code);
        }
    }
    let mut socket = server.connect();
    socket.send_raw(&long_ping(FRAME_MAX)).unwrap();
    assert_eq!(socket.push()["type"], "pong", "a message of exactly the limit is good");
    server.still_fine();
}

/// What a client says it will send costs nothing before it has sent it.
#[test]
fn declared_lengths_cost_no_memory() {
    let server = Server::start(&Setup::default());
    server.still_fine();
    let before = server.memory();
    let mut waiting: Vec<Socket> = (0..300).map(|_| server.connect()).collect();
    for socket in &mut waiting {
        // As long as is allowed; then one byte of it.
        socket.send_raw(&frame_head(0x81, FRAME_MAX as u64)).unwrap();
        socket.send_raw(b" ").unwrap();
    }
    // A turn of each shard comes behind what was sent before.
    server.still_fine();
    let grown = server.memory().saturating_sub(before) / waiting.len() as u64;
    assert!(grown < 32 << 10, "{grown} bytes for each who promises 64 KiB");
    for socket in &mut waiting {
        let rest = vec![b' '; FRAME_MAX - 1];
        socket.send_raw(&rest).unwrap();
        assert_eq!(socket.push()["code"], "bad_request", "blanks are no command");
    }
    server.still_fine();
}

/// A message may come in fragments, with a Ping between them, and each in single bytes.
#[test]
fn odd_but_right_frames_are_taken() {
    let server = Server::start(&Setup::default());
    let mut socket = server.connect();
    let parts = [
        frame(0x01, b"{\"type\":"),
        frame(0x89, b"?"),
        frame(0x00, b""),
        frame(0x00, b"\"ping\","),
        frame(0x8a, b"a Pong that nobody asked for"),
        frame(0x80, b"\"id\":7}"),
    ];
    for byte in parts.concat() {
        socket.send_raw(&[byte]).unwrap();
    }
    assert_eq!(socket.push(), json!({"type": "pong", "id": 7}));
    // A close of the client's is answered with the same code, and the connection ends.
    socket.send_raw(&frame(0x88, &3000u16.to_be_bytes())).unwrap();
    let answer = socket.receive().unwrap();
    assert_eq!(answer, crate::common::Message::Close(3000));
    socket.ended();
    server.still_fine();
}

/// Who answers no Close is not waited for.
#[test]
fn a_close_that_is_not_answered_ends_in_time() {
    let limits = "hello_timeout = \"500ms\"\nclose_timeout = \"500ms\"";
    let server = Server::start(&Setup { limits, ..Setup::default() });
    let mut socket = server.connect();
    let begin = std::time::Instant::now();
    while socket.receive().is_ok() {}
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(900), "ended after {took:?} already");
    assert!(took < Duration::from_secs(10), "ended after {took:?} only");
    server.still_fine();
}
