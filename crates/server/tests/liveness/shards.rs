//! Clients on different shards, channels at home on different shards, compressed or not.

use serde_json::{Value, json};
use tidings_websocket::{Config, Decoder, Inflater, Item, Role};

use crate::common::{Server, Setup, Socket};

const CHANNELS: u64 = 20;
const EVENTS: u64 = 50;

/// Events by channel, as a subscriber saw them.
fn seen(socket: &mut Socket, count: u64) -> Vec<Vec<(u64, Value)>> {
    let mut seen = vec![Vec::new(); usize::try_from(CHANNELS).unwrap()];
    for _ in 0..count {
        let event = socket.event();
        let channel = event["channel"].as_str().unwrap();
        let index: usize = channel.rsplit_once('-').unwrap().1.parse().unwrap();
        seen[index].push((event["offset"].as_u64().unwrap(), event["data"].clone()));
    }
    seen
}

/// Six subscribers and four publishers, spread over two shards by the system, and twenty channels:
/// everybody sees the same events in the same order, dense and each once.
#[test]
fn everybody_sees_the_same_order() {
    for namespace in ["cast", "chat"] {
        let server = Server::start(&Setup { server: "shards = 2", ..Setup::default() });
        let mut subscribers: Vec<Socket> = (0..6).map(|_| server.connect()).collect();
        for socket in &mut subscribers {
            for index in 0..CHANNELS {
                socket.subscribe(&format!("{namespace}:order-{index}"));
            }
        }
        std::thread::scope(|scope| {
            for publisher in 0..4 {
                let mut socket = server.connect();
                scope.spawn(move || {
                    for number in 0..EVENTS {
                        let channel =
                            format!("{namespace}:order-{}", (number + publisher) % CHANNELS);
                        let reply = socket.publish(&channel, json!([publisher, number]));
                        assert_eq!(reply["type"], "published", "{reply}");
                    }
                });
            }
        });
        let all: Vec<_> = subscribers.iter_mut().map(|s| seen(s, 4 * EVENTS)).collect();
        for other in &all[1..] {
            assert_eq!(*other, all[0]);
        }
        for channel in &all[0] {
            let offsets = channel.iter().map(|(offset, _)| *offset);
            assert!(offsets.eq(1..=channel.len() as u64), "{channel:?}");
        }
        server.still_fine();
    }
}

/// Connections move to the shard of their first channel, with all that they said in one breath:
/// every command is answered, in the order in which it was given.
#[test]
fn who_says_everything_at_once_is_answered_in_order_wherever_it_moves_to() {
    let server = Server::start(&Setup { server: "shards = 3", ..Setup::default() });
    for round in 0..30 {
        let (mut socket, channel) = (server.connect(), format!("cast:breath-{round}"));
        let mut breath = Vec::new();
        let commands = [
            json!({"type": "hello", "id": 1}),
            json!({"type": "subscribe", "id": 2, "channel": channel}),
            json!({"type": "publish", "id": 3, "channel": channel, "data": "x".repeat(3000)}),
            json!({"type": "ping", "id": 4}),
            json!({"type": "unsubscribe", "id": 5, "channel": channel}),
        ];
        for command in commands {
            breath.extend(crate::common::frame(0x81, command.to_string().as_bytes()));
        }
        // The last byte comes later: a frame that is there in part moves too.
        let (most, last) = breath.split_at(breath.len() - 1);
        socket.send_raw(most).unwrap();
        let mut heard: Vec<Value> = (0..5).map(|_| socket.try_next().unwrap()).collect();
        socket.send_raw(last).unwrap();
        heard.push(socket.try_next().unwrap());
        let mut kinds: Vec<_> = heard.iter().map(|one| one["type"].as_str().unwrap()).collect();
        assert_eq!((kinds[0], kinds[5]), ("welcome", "unsubscribed"), "{kinds:?}");
        kinds.sort_unstable();
        assert_eq!(
            kinds,
            ["event", "pong", "published", "subscribed", "unsubscribed", "welcome"][..]
        );
    }
    server.still_fine();
}

/// Reads texts of a connection that negotiated compression, and says how many bytes they took.
fn read_compressed(mut socket: Socket, count: usize) -> (Vec<Value>, usize) {
    use std::io::Read;
    let config = Config { max_frame: 1 << 20, max_message: 1 << 20, max_fragments: 1 };
    let (mut decoder, mut inflater) = (Decoder::new(Role::Client), Inflater::new(15, false));
    let (mut texts, mut bytes) = (Vec::new(), 0);
    let mut buffer = vec![0; 64 << 10];
    while texts.len() < count {
        let got = socket.stream.read(&mut buffer).unwrap();
        assert!(got > 0, "the connection ended behind {} texts", texts.len());
        bytes += got;
        let mut reader = decoder.read(&config, &mut buffer[..got], Some(&mut inflater));
        while let Some(item) = reader.next_item().unwrap() {
            if let Item::Text(text) = item {
                texts.push(serde_json::from_str(text).unwrap());
            }
        }
    }
    (texts, bytes)
}

#[test]
fn a_compressed_connection_gets_the_same() {
    let server = Server::start(&Setup { server: "compression = true", ..Setup::default() });
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let mut small = Socket::upgrade(server.tcp(), offer).unwrap();
    assert!(small.head.to_ascii_lowercase().contains("permessage-deflate"), "{}", small.head);
    let mut plain = server.connect();
    assert!(!plain.head.to_ascii_lowercase().contains("permessage-deflate"), "{}", plain.head);
    small.subscribe("cast:deflate");
    plain.subscribe("cast:deflate");
    let mut ada = server.connect();
    for number in 0..40 {
        let text = format!("{number} says so. ").repeat(1 + 20 * number);
        assert_eq!(ada.publish("cast:deflate", json!({"text": text}))["type"], "published");
    }
    let expected = plain.events(40);
    let (events, bytes) = read_compressed(small, 40);
    assert_eq!(events, expected);
    let whole: usize = expected.iter().map(|event| event.to_string().len()).sum();
    assert!(bytes * 4 < whole, "{bytes} bytes for {whole}");

    // A message that would inflate beyond the limit is refused while it is inflated.
    let mut bomb = Socket::upgrade(server.tcp(), offer).unwrap();
    let zeros = tidings_websocket::Deflater::new(15, 9, false).compress(&vec![b' '; 32 << 20]);
    let before = server.memory();
    let _ = bomb.send_raw(&crate::common::frame(0xc1, &zeros.unwrap()));
    bomb.bye(1009);
    assert!(server.memory().saturating_sub(before) < 4 << 20);
    server.still_fine();
}

#[test]
fn compression_is_not_offered_by_default() {
    let server = Server::start(&Setup::default());
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let socket = Socket::upgrade(server.tcp(), offer).unwrap();
    assert!(!socket.head.to_ascii_lowercase().contains("sec-websocket-extensions"));
}
