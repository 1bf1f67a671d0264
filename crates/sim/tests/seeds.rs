//! Runs that a seed makes up, many of them.
//!
//! `TIDINGS_SIM_SEEDS=5000` runs more; `TIDINGS_SIM_SEED=17` runs one and prints all that happens.

use std::collections::{BTreeMap, BTreeSet};

use tidings_core::engine::Happened;
use tidings_sim::random;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn a_few_hundred_seeds() {
    if let Some(seed) = number("TIDINGS_SIM_SEED") {
        let found = random::run_world(seed, true).violations();
        assert!(found.is_empty(), "{found:#?}");
        return;
    }
    let first = number("TIDINGS_SIM_FIRST").unwrap_or(1);
    for seed in first..first + number("TIDINGS_SIM_SEEDS").unwrap_or(300) {
        let repeat = format!("TIDINGS_SIM_SEED={seed} cargo test -p tidings-sim --test seeds");
        let found = std::panic::catch_unwind(|| random::run(seed));
        let found = found.unwrap_or_else(|_| panic!("a panic; repeat it with\n  {repeat}"));
        assert!(found.is_empty(), "repeat it with\n  {repeat}\n{found:#?}");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [3, 4] {
        let once = random::run_world(seed, false).history;
        assert!(once == random::run_world(seed, false).history, "seed {seed} had two outcomes");
    }
}

#[test]
fn who_comes_and_who_goes_is_told_in_turn_and_an_event_once_whatever_fails() {
    let (mut gone, mut events) = (0, 0);
    for seed in 1..=150 {
        let world = random::run_world(seed, false);
        let (mut there, mut told) = (BTreeMap::new(), BTreeSet::new());
        for notice in world.notices() {
            match &notice.what {
                Happened::Attendance(who, here) => {
                    let before = there.insert(who, *here).unwrap_or(false);
                    assert!(before != *here, "seed {seed}: {who:?} is told twice in a row");
                    gone += u64::from(!here);
                }
                Happened::Published { channel, epoch, event } => {
                    assert!(told.insert((channel, epoch, event)), "seed {seed}: {channel} twice");
                    events += 1;
                }
            }
        }
    }
    assert!(gone > 30 && events > 500, "{gone} and {events}: such things happen");
}
