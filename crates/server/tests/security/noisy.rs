//! M3: a tenant that takes all it can get.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Server, Setup, Socket, frame, token};
use crate::neighbours::{Neighbours, Ways};

/// A second of one user's commands.
const RATE: u64 = 200;

/// Publishes as fast as the line takes it, comes back when it is closed, and never reads.
fn abuse(server: &Server, who: usize, stop: &AtomicBool, refused: &AtomicUsize) {
    let publish = |id: usize| {
        let data = "x".repeat(1000);
        let publish = json!({"type": "publish", "id": id, "channel": "club:noise", "data": data});
        frame(0x81, publish.to_string().as_bytes())
    };
    let flood: Vec<u8> = (2..102).flat_map(publish).collect();
    let hello =
        json!({"type": "hello", "id": 1, "token": token("mallory", Duration::from_secs(600))});
    let subscribe = json!({"type": "subscribe", "id": 2, "channel": "club:noise"});
    while !stop.load(SeqCst) {
        // No longer: threads of the test share processors with the server.
        std::thread::sleep(Duration::from_millis(5));
        let Ok(mut socket) = Socket::upgrade(server.tcp(), "") else {
            refused.fetch_add(1, SeqCst);
            continue;
        };
        socket.stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut go_on = socket.send(&hello.to_string()).is_ok();
        if who.is_multiple_of(2) {
            go_on &= socket.send(&subscribe.to_string()).is_ok();
        }
        while go_on && !stop.load(SeqCst) {
            go_on = socket.send_raw(&flood).is_ok();
            std::thread::sleep(Duration::from_millis(5));
        }
        refused.fetch_add(1, SeqCst);
    }
}

fn talk(neighbours: &mut Neighbours, words: u32) -> Ways {
    for _ in 0..words {
        neighbours.talk();
        std::thread::sleep(Duration::from_millis(10));
    }
    neighbours.ways()
}

/// With `[rate]` and `[limits]` set, those who shout get no more than their share, and others talk
/// as before.
#[test]
fn m3_a_tenant_that_floods_gets_its_share_and_its_neighbours_talk_on() {
    let more =
        format!("[rate]\ncommands = \"{RATE}/s burst {RATE}\"\nsessions = \"5/s burst 20\"\n");
    let limits = "rate_refusals = 64\nsessions_per_user = 4\nclose_timeout = \"200ms\"";
    let setup = Setup { server: "shards = 2", limits, more: &more, ..Setup::default() };
    let server = Server::start(&setup);
    let mut judge = server.connect_as(&token("judge", Duration::from_secs(600)));
    let mut neighbours = Neighbours::meet(&server);
    let alone = talk(&mut neighbours, 300);
    let (stop, refused) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (meanwhile, took) = std::thread::scope(|scope| {
        let (server, stop, refused) = (&server, &stop, &refused);
        for who in 0..6 {
            scope.spawn(move || abuse(server, who, stop, refused));
        }
        let begin = Instant::now();
        // Whatever comes of it, those threads have to end.
        let meanwhile =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| talk(&mut neighbours, 400)));
        stop.store(true, SeqCst);
        let meanwhile = meanwhile.unwrap();
        (meanwhile, begin.elapsed())
    });
    let page: Value = judge.ask(json!({"type": "history", "channel": "club:noise", "limit": 1}));
    let taken = page["events"][0]["offset"].as_u64().unwrap();
    let refused = refused.load(SeqCst);
    println!("{taken} events were taken in {took:?}");
    meanwhile.are_like(&alone, "a flood");
    println!("{refused} times she was shown the door");
    let share = RATE * (took.as_secs() + 2);
    assert!(taken > RATE && taken <= share, "{taken} events, of which {share} are its share");
    assert!(refused >= 5, "{refused}: it was a flood");
}
