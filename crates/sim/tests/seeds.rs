//! Runs that a seed makes up, many of them.
//!
//! `TIDINGS_SIM_SEEDS=5000` runs more; `TIDINGS_SIM_SEED=17` runs one and prints all that happens.

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
