//! `soak`: the randomised tests, for much longer than `test` runs them.

use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::project::{Project, Result, Shell, shell};

/// A test that runs longer when a variable tells it to.
struct Soak {
    name: &'static str,
    /// How many seeds or rounds the test runs.
    count: &'static str,
    /// So many of the seeds asked for are one of this test's.
    seeds_each: u64,
    shell: Shell,
}

const SOAKS: &[Soak] = &[
    Soak {
        name: "simulation",
        count: "TIDINGS_SIM_SEEDS",
        seeds_each: 1,
        shell: shell("cargo test --release --package tidings-sim"),
    },
    Soak {
        name: "crashes",
        count: "TIDINGS_CRASH_ROUNDS",
        seeds_each: 100,
        shell: shell("cargo test --release --package tidings --test crash"),
    },
];

/// The seed that the simulation begins with, so that a second round tries others.
const FIRST_SEED: &str = "TIDINGS_SIM_FIRST";

/// Runs every soak once, or again and again until the time is up.
///
/// # Errors
/// One failed; the others of its round were run all the same.
pub fn run(project: &Project, mut arguments: Arguments) -> Result {
    let seeds: u64 = arguments.number("--seeds")?.unwrap_or(3000);
    let minutes: u64 = arguments.number("--minutes")?.unwrap_or(0);
    arguments.finish()?;
    let begun = Instant::now();
    let enough = Duration::from_secs(minutes * 60);
    let mut first_seed = 0;
    loop {
        let failed = round(project, first_seed, seeds);
        println!("seeds {first_seed} to {}: {failed} failed", first_seed + seeds - 1);
        if failed > 0 {
            return Err(format!("{failed} of {} failed; the seed stands above", SOAKS.len()));
        }
        if begun.elapsed() >= enough {
            return Ok(());
        }
        first_seed += seeds;
    }
}

fn round(project: &Project, first_seed: u64, seeds: u64) -> usize {
    let mut failed = 0;
    for soak in SOAKS {
        let count = (seeds / soak.seeds_each).max(1);
        println!("\n=== {}: {count}", soak.name);
        let begun = Instant::now();
        let env = [(soak.count, count.to_string()), (FIRST_SEED, first_seed.to_string())];
        let result = project.run_with(soak.shell, &env);
        println!("{}: {:.0} s", soak.name, begun.elapsed().as_secs_f64());
        if let Err(message) = result {
            println!("{}: FAILED: {message}", soak.name);
            failed += 1;
        }
    }
    failed
}
