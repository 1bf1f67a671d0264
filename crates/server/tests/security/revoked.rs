//! J10: rights that are taken back while a thousand events a second go through the channel.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::backend;
use crate::common::{Server, Setup, Socket, frame, token};
use crate::http::{Events, begin, poll};

const CHANNEL: &str = "club:stream";

/// Events a second.
const RATE: u32 = 1000;

/// What a session heard, and when: the numbers of events, and the end if there was one.
#[derive(Debug, Default)]
struct Heard {
    events: Vec<(u64, Instant)>,
    bye: Option<u64>,
}

impl Heard {
    /// Takes one frame in; whether it was the last.
    fn take(&mut self, value: &Value, last: u64) -> bool {
        match value["type"].as_str() {
            Some("event") => {
                let number = value["data"].as_u64().unwrap();
                self.events.push((number, Instant::now()));
                number == last
            }
            Some("bye") => {
                self.bye = value["code"].as_u64();
                true
            }
            _ => false,
        }
    }
}

/// How a session is spoken.
#[derive(Clone, Copy, Debug)]
enum Way {
    Socket,
    Events,
    Poll,
}

/// Opens a session, and reads it to its end or to the last event, in a thread of its own.
fn listen(
    server: &Arc<Server>,
    token: &str,
    way: Way,
    last: &Arc<AtomicU64>,
) -> std::thread::JoinHandle<Heard> {
    let (server, last) = (server.clone(), last.clone());
    let subscribe = json!({"type": "subscribe", "id": 1, "channel": CHANNEL});
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let mut heard = Heard::default();
    match way {
        Way::Socket => {
            let mut socket = server.connect_as(token);
            socket.subscribe(CHANNEL);
            std::thread::spawn(move || {
                while let Ok(value) = socket.try_push() {
                    if heard.take(&value, last.load(SeqCst)) {
                        break;
                    }
                }
                heard
            })
        }
        Way::Events => {
            let (mut events, _) = Events::open(&server, &bearer, &[subscribe]);
            events.wait("subscribed");
            std::thread::spawn(move || {
                while let Some(event) = events.next() {
                    if heard.take(&event.data, last.load(SeqCst)) {
                        break;
                    }
                }
                heard
            })
        }
        Way::Poll => {
            let first = begin(&server, "POST /poll", &bearer, subscribe.to_string().as_bytes());
            let lines = crate::http::finish(first).lines();
            let handle = lines[0]["connection"].as_str().unwrap().to_owned();
            std::thread::spawn(move || {
                for number in 0.. {
                    let answer = poll(&server, &handle, number);
                    if answer.status == 404 {
                        break;
                    }
                    let mut lines = answer.lines().into_iter();
                    if lines.any(|value| heard.take(&value, last.load(SeqCst))) {
                        break;
                    }
                }
                heard
            })
        }
    }
}

/// Publishes at the rate, in order, until it is told to stop; how many.
fn stream(mut socket: Socket, stop: &AtomicBool) -> u64 {
    let begin = Instant::now();
    let (mut sent, mut open) = (0_u64, VecDeque::new());
    loop {
        let due = u64::from(RATE) * u64::try_from(begin.elapsed().as_millis()).unwrap() / 1000;
        let mut bytes = Vec::new();
        while sent < due && open.len() < 60 {
            sent += 1;
            let command = json!({"type": "publish", "id": sent, "channel": CHANNEL, "data": sent});
            bytes.extend(frame(0x81, command.to_string().as_bytes()));
            open.push_back(sent);
        }
        socket.send_raw(&bytes).unwrap();
        while let Some(id) = open.pop_front() {
            let answer = socket.push();
            assert_eq!((&answer["type"], &answer["id"]), (&json!("published"), &json!(id)));
        }
        if stop.load(SeqCst) {
            return sent;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Every session of hers ends, on each shard and however it is spoken; every other one goes on and
/// misses nothing.
#[test]
fn j10_a_second_after_a_revocation_at_a_thousand_events_a_second_nothing_is_heard() {
    let setup = Setup { server: "shards = 2", ..backend::setup() };
    let server = Arc::new(Server::start(&setup));
    let last = Arc::new(AtomicU64::new(0));
    let [eve, bob] = ["eve", "bob"].map(|user| token(user, Duration::from_secs(600)));
    let ways =
        [Way::Socket, Way::Socket, Way::Socket, Way::Socket, Way::Events, Way::Events, Way::Poll];
    let hers: Vec<_> = ways.iter().map(|way| listen(&server, &eve, *way, &last)).collect();
    let others: Vec<_> = ways.iter().map(|way| listen(&server, &bob, *way, &last)).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let ada = server.connect_as(&token("ada", Duration::from_secs(600)));
    let publishing = {
        let stop = stop.clone();
        std::thread::spawn(move || stream(ada, &stop))
    };
    // Behind what it takes to warm up, in the middle of the stream.
    std::thread::sleep(Duration::from_secs(2));
    let asked = Instant::now();
    let answer = backend::post(&server, "/revoke", &json!({"user": "eve"})).ok();
    let done = Instant::now();
    assert_eq!(answer["sessions"], hers.len(), "{answer}");
    let hers: Vec<Heard> = hers.into_iter().map(|it| it.join().unwrap()).collect();
    std::thread::sleep(Duration::from_secs(2));
    // The readers stop at the event behind the last one of the stream.
    stop.store(true, SeqCst);
    let sent = publishing.join().unwrap();
    last.store(sent + 1, SeqCst);
    let mut judge = server.connect_as(&token("ada", Duration::from_secs(600)));
    assert_eq!(judge.publish(CHANNEL, json!(sent + 1))["type"], "published");
    let others: Vec<Heard> = others.into_iter().map(|it| it.join().unwrap()).collect();

    assert!(sent > 3 * u64::from(RATE), "{sent} were published: this was no load");
    let mut latest = Duration::ZERO;
    for (heard, way) in hers.iter().zip(ways) {
        let events = &heard.events;
        assert!(events.len() > 1000, "{way:?}: she was there: {}", events.len());
        assert!(events.iter().map(|(number, _)| *number).eq(1..=events.len() as u64), "{way:?}");
        let behind = events.last().unwrap().1.saturating_duration_since(done);
        latest = latest.max(behind);
        assert!(behind < Duration::from_secs(1), "{way:?}: an event {behind:?} behind the answer");
        if !matches!(way, Way::Poll) {
            assert_eq!(heard.bye, Some(4410), "{way:?}");
        }
    }
    println!("revoked within {:?}; the last event {latest:?} behind the answer", done - asked);
    println!("{sent} events to {} sessions", others.len());
    for (heard, way) in others.iter().zip(ways) {
        let numbers = heard.events.iter().map(|(number, _)| *number);
        assert!(numbers.eq(1..=sent + 1), "{way:?}: others miss nothing and hear all in order");
    }
    let mut late = server.connect();
    late.command(json!({"type": "hello", "token": eve})).unwrap();
    late.bye(4401);
    server.still_fine();
}
