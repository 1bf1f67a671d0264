//! Stories about the functions of [`encode`].

use crate::common::{KEY, Owned, feed};
use bytes::BytesMut;
use tidings_websocket::{
    Close, Config, Decoder, Deflater, Inflater, MessageKind, Role, close_code, encode,
};

fn read(role: Role, wire: &[u8]) -> Vec<Owned> {
    let mut inflater = Inflater::new(15, true);
    let mut decoder = Decoder::new(role);
    let (items, error) = feed(&mut decoder, &Config::default(), Some(&mut inflater), [wire]);
    assert_eq!(error, None);
    assert!(decoder.is_idle());
    items
}

#[test]
fn a_server_makes_a_frame_once_for_all() {
    let frame = encode::text("Hello");
    assert_eq!(&frame[..], b"\x81\x05Hello");
    assert_eq!(&encode::binary(&[1, 2])[..], b"\x82\x02\x01\x02");
    assert_eq!(read(Role::Client, &frame), [Owned::Text("Hello".into())]);
}

#[test]
fn both_roles_append_everything_they_can_say() {
    for (reader, mask) in [(Role::Client, None), (Role::Server, Some(KEY))] {
        let mut out = BytesMut::new();
        let mut deflater = Deflater::new(15, 6, true);
        let long = "spam ".repeat(1000);
        encode::put_message(&mut out, MessageKind::Text, b"text", mask);
        encode::put_message(&mut out, MessageKind::Binary, long.as_bytes(), mask);
        let kind = MessageKind::Text;
        encode::put_compressed(&mut out, &mut deflater, kind, long.as_bytes(), mask);
        encode::put_compressed(&mut out, &mut deflater, kind, b"", mask);
        encode::put_ping(&mut out, &[1; 125], mask).unwrap();
        encode::put_pong(&mut out, b"", mask).unwrap();
        let close = Close { code: close_code::NORMAL, reason: "bye" };
        encode::put_close(&mut out, Some(close), mask);
        let expected = [
            Owned::Text("text".into()),
            Owned::Binary(long.clone().into()),
            Owned::Text(long),
            Owned::Text(String::new()),
            Owned::Ping(vec![1; 125]),
            Owned::Pong(vec![]),
            Owned::Close(Some((1000, "bye".into()))),
        ];
        assert_eq!(read(reader, &out), expected);
    }
}

#[test]
fn control_payloads_that_are_too_long_are_refused() {
    let mut out = Vec::new();
    assert_eq!(encode::put_ping(&mut out, &[0; 126], None), Err(encode::ControlTooLong));
    assert_eq!(encode::put_pong(&mut out, &[0; 126], None), Err(encode::ControlTooLong));
    assert_eq!(out, []);
}

#[test]
fn close_reasons_are_cut_at_a_character() {
    let mut out = Vec::new();
    let reason = "é".repeat(100);
    encode::put_close(&mut out, Some(Close { code: 4000, reason: &reason }), None);
    assert_eq!(read(Role::Client, &out), [Owned::Close(Some((4000, "é".repeat(61))))]);
    out.clear();
    encode::put_close(&mut out, None, Some(KEY));
    assert_eq!(read(Role::Server, &out), [Owned::Close(None)]);
}
