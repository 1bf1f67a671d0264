//! What holds for all bytes, however they are cut.

use crate::common::{KEY, Owned, feed};
use proptest::prelude::*;
use tidings_websocket::{
    Config, Decoder, DeflateConfig, Deflater, Error, Head, Inflater, MessageKind, Opcode, Role,
    encode, handshake,
};

const CONFIG: Config = Config { max_frame: 400, max_message: 600, max_fragments: 5 };

fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Owned>, Option<Error>) {
    let mut inflater = Inflater::new(15, true);
    let mut decoder = Decoder::new(Role::Server);
    let result = feed(&mut decoder, &CONFIG, Some(&mut inflater), pieces);
    let held = decoder.held_bytes();
    assert!(held <= 2 * (CONFIG.max_message + 125) + 256, "holds {held} bytes");
    result
}

/// A frame that is well-formed but not necessarily allowed where it stands.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop_oneof![
        Just(Opcode::Continuation),
        Just(Opcode::Text),
        Just(Opcode::Binary),
        Just(Opcode::Ping),
        Just(Opcode::Pong),
        Just(Opcode::Close),
    ];
    let payload = prop_oneof![
        "\\PC{0,40}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..130),
        Just(vec![0x03, 0xe8]),
    ];
    (opcode, prop::bool::weighted(0.7), prop::bool::weighted(0.1), payload).prop_map(
        |(opcode, fin, rsv1, payload)| {
            let mut out = Vec::new();
            let head = Head { fin, rsv1, ..Head::new(opcode) }.masked(KEY);
            encode::put_frame(&mut out, head, &payload);
            out
        },
    )
}

/// Messages in fragments with Pings between them, as a client may send them.
fn any_message() -> impl Strategy<Value = (Vec<u8>, Vec<Owned>)> {
    let text = "\\PC{1,60}";
    (text, any::<bool>(), 1..5_usize, any::<[u8; 4]>()).prop_map(|(text, zip, pieces, key)| {
        let zipped = Deflater::new(12, 6, true).compress(text.as_bytes());
        let payload = zipped.filter(|_| zip).unwrap_or_else(|| text.clone().into_bytes());
        let size = payload.len().div_ceil(pieces);
        let count = payload.len().div_ceil(size);
        let (mut wire, mut items) = (Vec::new(), Vec::new());
        for (i, piece) in payload.chunks(size).enumerate() {
            let opcode = if i == 0 { Opcode::Text } else { Opcode::Continuation };
            let (fin, rsv1) = (i + 1 == count, zip && i == 0);
            let head = Head { fin, rsv1, ..Head::new(opcode) }.masked(key);
            encode::put_frame(&mut wire, head, piece);
            if !fin {
                let ping = &piece[..piece.len().min(3)];
                encode::put_ping(&mut wire, ping, Some(key)).expect("short enough");
                items.push(Owned::Ping(ping.to_vec()));
            }
        }
        items.push(Owned::Text(text));
        (wire, items)
    })
}

proptest! {
    #[test]
    fn messages_are_the_same_cut_at_every_byte(
        messages in prop::collection::vec(any_message(), 1..4),
    ) {
        let (wire, items): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
        let (wire, items) = (wire.concat(), items.concat());
        for cut in 0..wire.len() {
            let (head, tail) = wire.split_at(cut);
            prop_assert_eq!(decode([head, tail]), (items.clone(), None));
        }
        prop_assert_eq!(decode(wire.chunks(1)), (items, None));
    }

    #[test]
    fn faults_are_the_same_however_the_bytes_are_cut(
        frames in prop::collection::vec(any_frame(), 0..12),
        noise in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        step in 1..50_usize,
    ) {
        let mut wire = frames.concat();
        if let Some((index, byte)) = noise && !wire.is_empty() {
            let index = index.index(wire.len());
            wire[index] = byte;
        }
        let whole = decode([&wire[..]]);
        prop_assert_eq!(&decode(wire.chunks(1)), &whole);
        prop_assert_eq!(&decode(wire.chunks(step)), &whole);
    }

    #[test]
    fn random_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        step in 1..300_usize,
    ) {
        let _ = decode(bytes.chunks(step));
        let mut client = Decoder::new(Role::Client);
        feed(&mut client, &Config::default(), None, bytes.chunks(step));
        let _ = Inflater::new(15, false).inflate(&bytes, 1000);
        let _ = DeflateConfig::default().accept([&bytes[..]]);
        let _ = DeflateConfig::default().confirm([&bytes[..]]);
        let _ = handshake::check_key(&bytes);
        let _ = handshake::choose_subprotocol([&bytes[..]], &["a"]);
        let _ = handshake::accept_key(&bytes);
    }

    #[test]
    fn inflating_stays_within_its_limit(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        limit in 0..2000_usize,
    ) {
        if let Ok(out) = Inflater::new(15, false).inflate(&bytes, limit) {
            prop_assert!(out.len() <= limit);
            prop_assert!(out.capacity() <= limit + 64);
        }
    }

    #[test]
    fn compression_is_undone_for_all_parameters(
        payloads in prop::collection::vec(prop::collection::vec(0..4_u8, 0..2000), 1..6),
        bits in 9..=15_u8,
        level in 0..=9_u8,
        takeover in any::<bool>(),
    ) {
        let mut deflater = Deflater::new(bits, level, takeover);
        let mut inflater = Inflater::new(bits, takeover);
        let config = Config::default();
        let mut decoder = Decoder::new(Role::Client);
        for payload in payloads {
            let wire = encode::compressed(&mut deflater, MessageKind::Binary, &payload);
            let got = feed(&mut decoder, &config, Some(&mut inflater), [&wire[..]]);
            prop_assert_eq!(got, (vec![Owned::Binary(payload)], None));
        }
    }
}
