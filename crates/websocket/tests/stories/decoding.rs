//! Stories about a [`Decoder`]: what it hands out, what it keeps, and when it refuses.

use crate::common::{KEY, Owned, feed, first, frame, last};
use tidings_websocket::{
    Config, Decoder, Deflater, Error, Head, Inflater, InvalidPayload, Item, Limit, Misbehaviour,
    Opcode, Role, close_code, encode,
};

const CONFIG: Config = Config { max_frame: 1000, max_message: 1500, max_fragments: 8 };

fn server(bytes: &[u8]) -> (Vec<Owned>, Option<Error>) {
    feed(&mut Decoder::new(Role::Server), &CONFIG, None, [bytes])
}

fn client(bytes: &[u8]) -> (Vec<Owned>, Option<Error>) {
    feed(&mut Decoder::new(Role::Client), &CONFIG, None, [bytes])
}

/// What a server makes of bytes that only contain a fault.
fn fault(bytes: &[u8]) -> Error {
    let (items, error) = server(bytes);
    assert_eq!(items, []);
    error.expect("a fault")
}

#[test]
fn the_examples_of_rfc_6455_section_5_7() {
    let hello = [Owned::Text("Hello".into())];
    assert_eq!(client(b"\x81\x05Hello"), (hello.to_vec(), None));
    let masked = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(server(masked), (hello.to_vec(), None));
    assert_eq!(client(b"\x01\x03Hel\x80\x02lo"), (hello.to_vec(), None));
    assert_eq!(client(b"\x89\x05Hello"), (vec![Owned::Ping(b"Hello".into())], None));
    let pong = b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(server(pong), (vec![Owned::Pong(b"Hello".into())], None));

    let roomy = Config { max_frame: 1 << 16, max_message: 1 << 16, ..CONFIG };
    for (len, head) in [(256, &b"\x82\x7e\x01\x00"[..]), (65536, b"\x82\x7f\0\0\0\0\0\x01\0\0")] {
        let wire = [head, &vec![7; len]].concat();
        let got = feed(&mut Decoder::new(Role::Client), &roomy, None, [&wire[..]]);
        assert_eq!(got, (vec![Owned::Binary(vec![7; len])], None));
    }
}

#[test]
fn whole_messages_are_handed_out_from_where_they_are() {
    let mut wire = [last(Opcode::Text, b"one"), last(Opcode::Binary, b"two")].concat();
    let range = wire.as_ptr_range();
    let mut decoder = Decoder::new(Role::Server);
    let mut reader = decoder.read(&CONFIG, &mut wire, None);
    let Ok(Some(Item::Text(one))) = reader.next_item() else { panic!("a text") };
    assert!(range.contains(&one.as_ptr()));
    let Ok(Some(Item::Binary(two))) = reader.next_item() else { panic!("a binary") };
    assert!(range.contains(&two.as_ptr()));
    assert_eq!(reader.next_item(), Ok(None));
    assert!(decoder.is_idle());
}

#[test]
fn memory_follows_what_arrived_and_is_freed_with_the_message() {
    let roomy = Config { max_frame: 1 << 30, max_message: 1 << 30, max_fragments: 8 };
    let head = Head::new(Opcode::Binary).masked(KEY).with_len(1 << 20).encode();
    let mut decoder = Decoder::new(Role::Server);
    feed(&mut decoder, &roomy, None, [&head[..]]);
    assert!(decoder.held_bytes() < 256, "a promise costs nothing: {}", decoder.held_bytes());

    let quarter = vec![0; 1 << 18];
    feed(&mut decoder, &roomy, None, [&quarter[..]]);
    assert!(decoder.held_bytes() <= (1 << 19) + 256);
    let (items, _) = feed(&mut decoder, &roomy, None, [&quarter[..], &quarter, &quarter]);
    assert_eq!(items.len(), 1);
    assert!(decoder.is_idle());
    assert_eq!(decoder.held_bytes(), 0);
}

#[test]
fn a_head_that_comes_byte_by_byte_leaves_nothing_behind() {
    let wire = last(Opcode::Ping, b"x");
    let mut decoder = Decoder::new(Role::Server);
    let (items, error) = feed(&mut decoder, &CONFIG, None, wire.chunks(1));
    assert_eq!((items, error), (vec![Owned::Ping(b"x".into())], None));
    assert!(decoder.is_idle());
}

#[test]
fn a_paused_reader_leaves_the_rest_untouched() {
    let (one, two) = (last(Opcode::Text, b"one"), last(Opcode::Text, b"two"));
    let cut = two.len() - 1;
    let mut wire = [&one[..], &two[..cut]].concat();
    let mut decoder = Decoder::new(Role::Server);
    let mut reader = decoder.read(&CONFIG, &mut wire, None);
    assert_eq!(reader.next_item(), Ok(Some(Item::Text("one"))));
    let rest = reader.unread().to_vec();
    assert_eq!(rest, &two[..cut]);

    let (items, _) = feed(&mut decoder, &CONFIG, None, [&rest[..], &two[cut..]]);
    assert_eq!(items, [Owned::Text("two".into())]);
}

#[test]
fn control_frames_pass_between_fragments() {
    let wire = [
        first(Opcode::Text, b"a"),
        last(Opcode::Ping, b"1"),
        first(Opcode::Continuation, b""),
        last(Opcode::Pong, b""),
        last(Opcode::Continuation, b"b"),
    ]
    .concat();
    let expected =
        vec![Owned::Ping(b"1".into()), Owned::Pong(b"".into()), Owned::Text("ab".into())];
    assert_eq!(server(&wire), (expected.clone(), None));
    let bytewise = feed(&mut Decoder::new(Role::Server), &CONFIG, None, wire.chunks(1));
    assert_eq!(bytewise, (expected, None));
}

#[test]
fn items_before_a_fault_are_handed_out() {
    let wire = [last(Opcode::Text, b"ok"), vec![0xff, 0xff]].concat();
    let (items, error) = server(&wire);
    assert_eq!(items, [Owned::Text("ok".into())]);
    assert_eq!(error, Some(Misbehaviour::ReservedBits.into()));
}

#[test]
fn nothing_is_decoded_after_a_close_frame_or_a_fault() {
    for ending in [last(Opcode::Close, b"\x03\xe8"), vec![0xff, 0xff]] {
        let mut decoder = Decoder::new(Role::Server);
        let more = last(Opcode::Text, b"more");
        feed(&mut decoder, &CONFIG, None, [&[&ending[..], &more].concat()[..]]);
        assert!(decoder.is_stopped() && decoder.is_idle());
        assert_eq!(feed(&mut decoder, &CONFIG, None, [&more[..]]), (vec![], None));
    }
}

#[test]
fn broken_rules_are_answered_with_1002() {
    let binary = Head::new(Opcode::Binary);
    let cases = [
        (b"\x81\x01a".to_vec(), Misbehaviour::MaskMissing),
        (frame(Head { rsv1: true, ..binary }, b""), Misbehaviour::ReservedBits),
        (frame(Head { rsv1: true, ..Head::new(Opcode::Ping) }, b""), Misbehaviour::ReservedBits),
        (b"\xa1\x80".to_vec(), Misbehaviour::ReservedBits),
        (b"\x87\x80".to_vec(), Misbehaviour::ReservedOpcode(7)),
        (first(Opcode::Ping, b""), Misbehaviour::FragmentedControl),
        (last(Opcode::Ping, &[0; 126]), Misbehaviour::ControlTooLong),
        (b"\x82\xfe\x00\x05".to_vec(), Misbehaviour::NonMinimalLength),
        (b"\x82\xff\x80\0\0\0\0\0\0\0".to_vec(), Misbehaviour::LengthTopBit),
        (last(Opcode::Continuation, b""), Misbehaviour::UnexpectedContinuation),
        (
            [first(Opcode::Text, b"a"), last(Opcode::Text, b"b")].concat(),
            Misbehaviour::UnfinishedMessage,
        ),
        (last(Opcode::Close, b"\x03"), Misbehaviour::TruncatedCloseCode),
        (last(Opcode::Close, b"\x03\xed"), Misbehaviour::BadCloseCode(1005)),
    ];
    for (wire, misbehaviour) in cases {
        let error = fault(&wire);
        assert_eq!(error, Error::PeerMisbehaved(misbehaviour));
        assert_eq!(error.close_code(), close_code::PROTOCOL_ERROR);
    }
    let (_, error) = client(&last(Opcode::Text, b"a"));
    assert_eq!(error, Some(Misbehaviour::MaskUnexpected.into()));
}

#[test]
fn bad_text_is_answered_with_1007_at_its_first_bad_byte() {
    let bad = b"ab\xce\xba\xed\xa0\x80";
    let whole = fault(&last(Opcode::Text, bad));
    assert_eq!(whole, Error::InvalidPayload(InvalidPayload::Utf8));
    assert_eq!(whole.close_code(), close_code::INVALID_PAYLOAD);
    assert_eq!(fault(&last(Opcode::Close, b"\x03\xe8\xff")).close_code(), 1007);
    // A character that never ends is bad at the end of the message only.
    assert_eq!(fault(&last(Opcode::Text, b"\xce")).close_code(), 1007);
    let halves = [first(Opcode::Text, b"\xce"), last(Opcode::Continuation, b"")].concat();
    assert_eq!(fault(&halves).close_code(), 1007);

    // Neither the frame nor the message is complete; the sixth byte is the bad one.
    let wire = first(Opcode::Text, &[&bad[..], &[b'x'; 100]].concat());
    let mut decoder = Decoder::new(Role::Server);
    let start = wire.len() - bad.len() - 100;
    let early = feed(&mut decoder, &CONFIG, None, wire[..start + 5].chunks(1));
    assert_eq!(early, (vec![], None));
    let (_, error) = feed(&mut decoder, &CONFIG, None, [&wire[start + 5..start + 6]]);
    assert_eq!(error, Some(InvalidPayload::Utf8.into()));
}

#[test]
fn characters_may_be_cut_by_frames() {
    let text = "κόσμε 🎈";
    let mut wire = first(Opcode::Text, &text.as_bytes()[..1]);
    for byte in &text.as_bytes()[1..4] {
        wire.extend(first(Opcode::Continuation, &[*byte]));
    }
    wire.extend(last(Opcode::Continuation, &text.as_bytes()[4..]));
    assert_eq!(server(&wire), (vec![Owned::Text(text.into())], None));
}

#[test]
fn limits_are_answered_with_1009_before_the_payload_arrives() {
    let promise = |opcode, fin, len| {
        Head { fin, ..Head::new(opcode) }.masked(KEY).with_len(len).encode().to_vec()
    };
    let half = first(Opcode::Binary, &[0; 800]);
    let cases = [
        (promise(Opcode::Binary, true, 1001), Limit::Frame),
        (promise(Opcode::Binary, true, usize::MAX >> 1), Limit::Frame),
        ([&half[..], &promise(Opcode::Continuation, true, 701)].concat(), Limit::Message),
    ];
    for (wire, limit) in cases {
        let error = fault(&wire);
        assert_eq!(error, Error::LimitExceeded(limit));
        assert_eq!(error.close_code(), close_code::TOO_BIG);
    }
    let fits = [half, last(Opcode::Continuation, &[0; 700])].concat();
    assert_eq!(server(&fits), (vec![Owned::Binary(vec![0; 1500])], None));
}

#[test]
fn endless_empty_fragments_end_with_1009() {
    let mut wire = first(Opcode::Text, b"");
    for _ in 1..CONFIG.max_fragments {
        wire.extend(first(Opcode::Continuation, b""));
    }
    assert_eq!(server(&wire), (vec![], None));
    wire.extend(last(Opcode::Continuation, b""));
    assert_eq!(fault(&wire), Error::LimitExceeded(Limit::Fragments));

    // The count begins anew with each message.
    let pair = [first(Opcode::Text, b""), last(Opcode::Continuation, b"")].concat();
    assert_eq!(server(&pair.repeat(20)).0.len(), 20);
}

#[test]
fn compressed_messages_are_inflated_whole_and_in_fragments() {
    let mut deflater = Deflater::new(15, 6, true);
    let mut inflater = Inflater::new(15, true);
    let mut decoder = Decoder::new(Role::Server);
    for _ in 0..3 {
        let small = deflater.compress(b"hello hello hello").unwrap();
        let (a, b) = small.split_at(small.len() / 2);
        let head = Head { rsv1: true, ..Head::new(Opcode::Text) };
        let wire = [
            frame(Head { fin: false, ..head }, a),
            last(Opcode::Ping, b"plain"),
            last(Opcode::Continuation, b),
            last(Opcode::Text, b"plain"),
            frame(head, &deflater.compress(b"hello").unwrap()),
        ]
        .concat();
        let (items, error) = feed(&mut decoder, &CONFIG, Some(&mut inflater), [&wire[..]]);
        assert_eq!(error, None);
        let expected = [
            Owned::Text("hello hello hello".into()),
            Owned::Text("plain".into()),
            Owned::Text("hello".into()),
        ];
        assert_eq!(items[0], Owned::Ping(b"plain".into()));
        assert_eq!(items[1..], expected);
    }
    assert!(decoder.is_idle());
}

#[test]
fn compressed_messages_have_their_own_faults() {
    let zipped = Head { rsv1: true, ..Head::new(Opcode::Text) };
    let compress = |payload: &[u8]| Deflater::new(15, 6, true).compress(payload).unwrap();
    let marked = Head { rsv1: true, ..Head::new(Opcode::Continuation) };
    let cases = [
        (frame(zipped, &compress(&[b' '; 1501])), Limit::Inflated.into()),
        (frame(zipped, b"\xff\xff\xff"), InvalidPayload::Deflate.into()),
        (frame(zipped, &compress(b"\xff")), InvalidPayload::Utf8.into()),
        (
            [frame(Head { fin: false, ..zipped }, b""), frame(marked, b"")].concat(),
            Misbehaviour::ReservedBits.into(),
        ),
    ];
    for (wire, error) in cases {
        let mut inflater = Inflater::new(15, false);
        for step in [1, wire.len()] {
            let mut decoder = Decoder::new(Role::Server);
            let pieces = wire.chunks(step);
            let (items, got) = feed(&mut decoder, &CONFIG, Some(&mut inflater), pieces);
            assert_eq!((items, got), (vec![], Some::<Error>(error)));
        }
    }
}

#[test]
fn a_broadcast_is_compressed_once_for_all() {
    let payload = "to all of you ".repeat(20);
    let mut deflater = Deflater::new(15, 6, false);
    let kind = tidings_websocket::MessageKind::Text;
    let frame = encode::compressed(&mut deflater, kind, payload.as_bytes());
    assert!(frame.len() < payload.len());
    assert_eq!(encode::compressed(&mut deflater, kind, payload.as_bytes()), frame);
    for takeover in [true, false] {
        let mut inflater = Inflater::new(15, takeover);
        let mut decoder = Decoder::new(Role::Client);
        let (items, _) = feed(&mut decoder, &CONFIG, Some(&mut inflater), [&frame[..], &frame]);
        assert_eq!(items, [Owned::Text(payload.clone()), Owned::Text(payload.clone())]);
    }
}
