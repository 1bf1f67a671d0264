//! `kill -9` at random moments, again and again, while many clients publish and follow: whatever
//! was acknowledged is there, each event once, in one order, without a gap.
//!
//! What happened is recorded as a [`History`](tidings_sim::checker::History) and judged by the
//! checker of the simulation. The moments come from a seed, which is printed;
//! `TIDINGS_CRASH_SEED` sets it, `TIDINGS_CRASH_ROUNDS` says how many times the server is killed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod clients;
#[path = "../common/mod.rs"]
mod common;
mod run;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::{Server, Setup, until};
use run::{CHANNELS, Run};
use tidings_sim::{Rng, checker};

/// Publishers; each has its own producer.
const PUBLISHERS: u64 = 8;

/// Subscribers; each follows all channels.
const SUBSCRIBERS: u64 = 4;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

/// Kills the server again and again, and starts it on the same data.
fn kill_rounds(run: &Run, rounds: u64, rng: &mut Rng) -> Server {
    let setup = Setup { server: "shards = 2", ..Setup::default() };
    let mut server = Server::start(&setup);
    run.port.store(server.port, Ordering::SeqCst);
    for round in 1..=rounds {
        let acknowledged = run.acknowledged.load(Ordering::SeqCst);
        until("publishers are at work again", || {
            (run.acknowledged.load(Ordering::SeqCst) > acknowledged + 20).then_some(())
        });
        // The moment itself: anything from in the midst of it to a while later.
        std::thread::sleep(Duration::from_millis(rng.below(600)));
        server.kill();
        run.fault();
        let begin = Instant::now();
        server = Server::start_in(server.dir(), &setup);
        run.port.store(server.port, Ordering::SeqCst);
        println!("round {round}: started again in {:?}", begin.elapsed());
    }
    server
}

#[test]
fn what_was_acknowledged_survives_being_killed() {
    let seed = number("TIDINGS_CRASH_SEED", u64::from(std::process::id()));
    let rounds = number("TIDINGS_CRASH_ROUNDS", 10);
    println!("TIDINGS_CRASH_SEED={seed}");
    let (run, mut rng) = (Run::new(), Rng::new(seed));
    let (published, server) = std::thread::scope(|scope| {
        let run = &run;
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|name| scope.spawn(move || clients::publisher(run, name)))
            .collect();
        let subscribers: Vec<_> =
            (0..SUBSCRIBERS).map(|_| scope.spawn(move || clients::subscriber(run))).collect();
        let server = kill_rounds(run, rounds, &mut rng);
        run.publishing.store(false, Ordering::SeqCst);
        let published: u64 = publishers.into_iter().map(|thread| thread.join().unwrap()).sum();
        run.rest(&mut server.connect());
        for thread in subscribers {
            thread.join().unwrap();
        }
        (published, server)
    });
    let history = run.history();
    let (mut stored, mut epochs) = (0, Vec::new());
    for entry in &history.entries {
        if let checker::Op::Final { events, at, .. } = &entry.op {
            stored += events.len() as u64;
            epochs.push(at.epoch.clone());
        }
    }
    println!("{published} events were acknowledged, {stored} are stored, {rounds} kills");
    let violations = checker::check(&history);
    if !violations.is_empty() {
        let file = std::env::temp_dir().join(format!("tidings-crash-{seed}.jsonl"));
        history.write_jsonl(std::fs::File::create(&file).unwrap()).unwrap();
        let first: Vec<String> = violations.iter().take(10).map(ToString::to_string).collect();
        panic!("seed {seed}, written to {}: {first:#?}", file.display());
    }
    // Each publisher goes on until its last publish is acknowledged, so nothing is in doubt.
    assert_eq!(stored, published, "each event once, and no other");
    assert_eq!(epochs.len(), CHANNELS.len());
    server.until_logged("clean=false");
    server.still_fine();
}
