//! The scenarios, and what they share.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::{Error, Result};
use crate::process::{Cpu, Process};
use crate::swarm::{Behaviour, Swarm};

pub(crate) mod all;
mod audience;
pub(crate) mod broadcast;
pub(crate) mod idle;
pub(crate) mod live;
pub(crate) mod notify;
pub(crate) mod publish;
pub(crate) mod storm;
pub(crate) mod trace;
mod waiting;

/// How many upgrades are on their way at once, when nobody is in a hurry.
const UPGRADES_MAX: usize = 256;
/// How long everybody may take to come.
const GATHER_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest that a loop waits before it looks at the clock.
const TURN_MAX: Duration = Duration::from_millis(50);

/// Makes channel names that no earlier run has used.
pub(crate) fn run_id() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:08x}", (now.as_millis() as u64) & 0xffff_ffff)
}

/// A behaviour that knows whether something went wrong for good.
pub(crate) trait Watched: Behaviour {
    /// What went wrong, if so.
    fn broken(&self) -> Option<&str>;
    /// For the progress bar.
    fn progress(&self) -> u64;
}

/// Connects `count` and waits until `done`.
pub(crate) fn gather<B: Watched>(
    swarm: &mut Swarm,
    count: usize,
    behaviour: &mut B,
    done: impl Fn(&B) -> bool,
) -> Result<()> {
    let bar = bar("connecting", count as u64);
    let start = Instant::now();
    let mut connected = 0;
    while connected < count || !done(behaviour) {
        while connected < count && swarm.upgrading() < UPGRADES_MAX {
            swarm.connect()?;
            connected += 1;
        }
        swarm.turn(TURN_MAX, behaviour)?;
        bar.set_position(behaviour.progress());
        if let Some(why) = behaviour.broken() {
            return Err(Error::server(why));
        }
        if start.elapsed() > GATHER_TIMEOUT {
            let came = behaviour.progress();
            return Err(Error::server(format!("let in {came} of {count} connections in 60 s")));
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// Turns for as long as it is told, or until `done`.
pub(crate) fn linger<B: Watched>(
    swarm: &mut Swarm,
    patience: Duration,
    behaviour: &mut B,
    done: impl Fn(&B) -> bool,
) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < patience && !done(behaviour) {
        swarm.turn(TURN_MAX.min(patience), behaviour)?;
    }
    Ok(())
}

/// A progress bar; nothing where there is no terminal.
pub(crate) fn bar(what: &'static str, length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{msg:>12} {wide_bar} {pos}/{len} {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

/// What server and loader had spent at one moment.
#[derive(Debug)]
pub(crate) struct Spent {
    at: Instant,
    server: Option<Cpu>,
    loader: Cpu,
}

impl Spent {
    /// Until now.
    pub(crate) fn now(server: Option<Process>) -> Result<Self> {
        Ok(Self {
            at: Instant::now(),
            server: server.map(Process::cpu).transpose()?,
            loader: Process::own().cpu()?,
        })
    }

    /// Nanoseconds of the server since `earlier`.
    pub(crate) fn server_since(&self, earlier: &Self) -> Option<u64> {
        Some(self.server.as_ref()?.since(earlier.server.as_ref()?))
    }

    /// Nanoseconds of the loader since `earlier`.
    pub(crate) fn loader_since(&self, earlier: &Self) -> u64 {
        self.loader.since(&earlier.loader)
    }

    /// Seconds on the clock since `earlier`.
    pub(crate) fn seconds_since(&self, earlier: &Self) -> f64 {
        self.at.duration_since(earlier.at).as_secs_f64()
    }
}
