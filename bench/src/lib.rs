//! `tidings bench`: load for a Tidings server, and what it costs the server.
//!
//! | module | what |
//! | --- | --- |
//! | `swarm` | many connections on one thread of epoll, far cheaper than what they measure |
//! | `wire`, `frame` | what a loader says and understands |
//! | `order` | nothing lost, nothing twice, nothing out of order |
//! | `process` | CPU time and memory of a process |
//! | `floor` | the reference: a bare loop of `send()` |
//! | `scenario` | `fanout`, `rooms`, `idle`, `publish`, `live`, `notify`, `storm`, `trace`, `all` |
//! | `report` | figures for people, files and comparisons |
//!
//! `docs/performance.md` says how to read the figures.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

mod error;
mod floor;
mod frame;
mod options;
mod order;
mod process;
mod report;
mod scenario;
mod spawn;
mod swarm;
mod token;
mod url;
mod wire;

pub use error::Error;
pub use options::ServerArgs;
pub use scenario::all::AllArgs;
pub use scenario::broadcast::{BroadcastArgs, FanoutArgs, RoomsArgs};
pub use scenario::idle::IdleArgs;
pub use scenario::live::LiveArgs;
pub use scenario::notify::NotifyArgs;
pub use scenario::publish::PublishArgs;
pub use scenario::storm::StormArgs;
pub use scenario::trace::TraceArgs;

use report::{Outcome, Run};

/// Loads a server and measures it.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to measure.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// One channel, many subscribers
    Fanout(FanoutArgs),
    /// Many channels, few subscribers each
    Rooms(RoomsArgs),
    /// The memory of idle connections
    Idle(IdleArgs),
    /// Durable publishes a second, alone and together
    Publish(PublishArgs),
    /// Live data for consumers of which some cannot keep up
    Live(LiveArgs),
    /// A notification for everybody, and a long inbox that is opened
    Notify(NotifyArgs),
    /// The return of clients that all lost their connection
    Storm(StormArgs),
    /// A recorded editing session through the engine's document
    Trace(TraceArgs),
    /// All targets in one table
    All(AllArgs),
    /// Two saved runs side by side
    Compare {
        /// The first run.
        a: PathBuf,
        /// The second run.
        b: PathBuf,
    },
    /// The bare loop that others are measured by
    #[command(hide = true)]
    FloorServer,
}

/// Does what was asked and prints what was found. The exit code is a failure when something was
/// lost, doubled or out of order, or a target was missed.
///
/// # Errors
/// When the run could not be made.
pub fn run(args: Args) -> Result<ExitCode, Error> {
    let one = |outcome: Outcome, server: &ServerArgs| {
        print!("{}", outcome.text());
        finish(&Run::new(vec![outcome], Vec::new()), server.json.as_deref())
    };
    match args.command {
        Command::Fanout(args) => one(args.run()?, &args.common.server),
        Command::Rooms(args) => one(args.run()?, &args.common.server),
        Command::Idle(args) => one(args.run()?, &args.server),
        Command::Publish(args) => one(args.run()?, &args.server),
        Command::Live(args) => one(args.run()?, &args.server),
        Command::Notify(args) => one(args.run()?, &args.server),
        Command::Storm(args) => one(args.run()?, &args.server),
        Command::Trace(args) => {
            let outcome = args.run()?;
            print!("{}", outcome.text());
            finish(&Run::new(vec![outcome], Vec::new()), args.json.as_deref())
        }
        Command::All(args) => {
            let (outcomes, verdicts) = args.run(|outcome| println!("{}", outcome.text()))?;
            print!("{}", report::verdicts(&verdicts));
            finish(&Run::new(outcomes, verdicts), args.server.json.as_deref())
        }
        Command::Compare { a, b } => {
            print!("{}", report::compare(&Run::load(&a)?, &Run::load(&b)?));
            Ok(ExitCode::SUCCESS)
        }
        Command::FloorServer => floor::serve().map(|()| ExitCode::SUCCESS),
    }
}

fn finish(run: &Run, json: Option<&Path>) -> Result<ExitCode, Error> {
    if let Some(path) = json {
        run.save(path)?;
    }
    Ok(if run.ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
