//! Who cannot keep up with live data that conflates.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{PATIENCE, Server, Setup, frame, request};
use crate::map::{Map, held, set, setup};

/// Reads some bytes a second of a socket and answers Pings, unless it is `rude`.
struct Thin {
    tcp: std::net::TcpStream,
    bytes: Vec<u8>,
    begun: Vec<u8>,
    rude: bool,
    /// The code with which it was closed.
    closed: Option<u16>,
}

impl Thin {
    fn subscribe(server: &Server, channel: &str) -> Self {
        let mut tcp = server.tcp();
        tcp.write_all(request("").as_bytes()).unwrap();
        let mut head = [0];
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            tcp.read_exact(&mut head).unwrap();
            seen.push(head[0]);
        }
        let subscribe = json!({ "type": "subscribe", "id": 1, "channel": channel }).to_string();
        tcp.write_all(&frame(0x81, subscribe.as_bytes())).unwrap();
        Self { tcp, bytes: Vec::new(), begun: Vec::new(), rude: false, closed: None }
    }

    /// Reads so much; the frames that are whole.
    fn read(&mut self, most: usize) -> Vec<Value> {
        let mut buffer = vec![0; most];
        let read = self.tcp.read(&mut buffer).unwrap();
        self.bytes.extend_from_slice(&buffer[..read]);
        let mut frames = Vec::new();
        while self.bytes.len() >= 2 {
            let short = usize::from(self.bytes[1]);
            let (head, length) = match short {
                126 if self.bytes.len() >= 4 => {
                    (4, usize::from(u16::from_be_bytes([self.bytes[2], self.bytes[3]])))
                }
                127 if self.bytes.len() >= 10 => {
                    let length = self.bytes[2..10].try_into().unwrap();
                    (10, usize::try_from(u64::from_be_bytes(length)).unwrap())
                }
                126 | 127 => break,
                _ => (2, short),
            };
            if self.bytes.len() < head + length {
                break;
            }
            let whole: Vec<u8> = self.bytes.drain(..head + length).collect();
            match whole[0] {
                0x88 => self.closed = Some(u16::from_be_bytes([whole[head], whole[head + 1]])),
                0x89 if self.rude => {}
                0x89 => self.tcp.write_all(&frame(0x8a, &whole[head..])).unwrap(),
                0x81 => frames.push(serde_json::from_slice(&whole[head..]).unwrap()),
                // A message with a Ping in it.
                0x01 => self.begun = whole[head..].to_vec(),
                0x80 => {
                    self.begun.extend_from_slice(&whole[head..]);
                    frames.push(serde_json::from_slice(&self.begun).unwrap());
                }
                other => panic!("a frame of kind {other:x}"),
            }
        }
        frames
    }
}

/// When a value was written, as a client that has it can tell.
fn age(value: &Value, began: Instant) -> Duration {
    began.elapsed().saturating_sub(Duration::from_micros(value.as_u64().unwrap()))
}

/// Ends the writer, also when the story fails: else nobody would hear of it.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_slow_reader_holds_values_of_the_last_seconds_while_others_see_each_change() {
    let server = Server::start(&Setup { server: "shards = 2", ..setup() });
    let (began, done) = (Instant::now(), AtomicBool::new(false));
    let stamp = || json!(u64::try_from(began.elapsed().as_micros()).unwrap());
    let mut ada = server.connect();
    for n in 0..100 {
        set(&mut ada, "feed:main", &format!("k{n:02}"), stamp());
    }
    let mut thin = Thin::subscribe(&server, "feed:main");
    let mut fast = Thin::subscribe(&server, "feed:main");
    let memory = server.memory();
    std::thread::scope(|scope| {
        let ends = Ends(&done);
        scope.spawn(|| {
            let mut n = 0_u64;
            while !done.load(Ordering::Relaxed) {
                n += 1;
                set(&mut ada, "feed:main", &format!("k{:02}", n % 100), stamp());
            }
        });
        let reading = scope.spawn(|| {
            let mut map = Map { conflated: true, ..Map::default() };
            while !map.keys.contains_key("last") {
                for frame in fast.read(65_536) {
                    if frame["type"] == "subscribed" {
                        assert_eq!(frame["conflated"], true);
                    } else {
                        map.hear(&frame);
                    }
                }
            }
            map
        });
        // 8 KB a second, where changes come with ten times as much.
        let (mut map, mut oldest) = (Map { conflated: true, ..Map::default() }, Duration::ZERO);
        while began.elapsed() < Duration::from_secs(9) {
            for frame in thin.read(400) {
                if frame["type"] == "subscribed" {
                    continue;
                }
                map.hear(&frame);
                // The first seconds are those in which the server learns how slow it is.
                if began.elapsed() > Duration::from_secs(4) && frame["type"] == "values" {
                    let values = frame["values"].as_object().unwrap().values();
                    oldest = oldest.max(values.map(|v| age(v, began)).max().unwrap_or_default());
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        drop(ends);
        let last = set(&mut server.connect(), "feed:main", "last", stamp());
        assert!(map.seen["values"] > 5, "{:?}", map.seen);
        assert!(server.metric("tidings_conflated_frames_total") > 5.0);
        assert!(oldest < Duration::from_secs(3), "{oldest:?}");
        let all = reading.join().unwrap();
        assert!(all.seen["state"] > 4 * map.seen.get("state").copied().unwrap_or(0));
        // It ends with what there is.
        while map.offset < last["offset"].as_u64().unwrap() {
            assert!(began.elapsed() < PATIENCE, "{} of {last}", map.offset);
            for frame in thin.read(4096) {
                map.hear(&frame);
            }
        }
        assert!(map.keys == held(&server, "feed:main"));
    });
    let grown = server.memory().saturating_sub(memory);
    assert!(grown < 8 << 20, "{grown} bytes");
}

/// It was told nothing any more, for ever: what it said kept its connection, and the server waited
/// for the one thing it did not say.
#[test]
fn who_talks_but_answers_no_ping_is_told_to_come_back() {
    let limits = "heartbeat = \"1s\"\npong_timeout = \"1s\"";
    let server = Server::start(&Setup { limits, ..setup() });
    let mut ada = server.connect();
    let mut rude = Thin::subscribe(&server, "feed:main");
    rude.rude = true;
    let began = Instant::now();
    for n in 0.. {
        assert!(began.elapsed() < PATIENCE, "it is not closed");
        set(&mut ada, "feed:main", "k", json!(n));
        rude.read(65_536);
        if rude.closed.is_some() {
            break;
        }
        let ping = json!({ "type": "ping", "id": n + 2 }).to_string();
        rude.tcp.write_all(&frame(0x81, ping.as_bytes())).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(rude.closed, Some(4513));
    assert!(began.elapsed() > Duration::from_secs(2), "it had its time");
}
