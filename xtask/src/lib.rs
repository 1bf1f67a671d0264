//! The development tasks of Tidings, one module a task.
//!
//! - [`suite`]: `test`, which runs the table in [`steps`];
//! - [`tidy`]: the rules of the house that a machine can check;
//! - [`generate`]: files that are written by the program they describe;
//! - [`tools`]: what the checks need beyond Rust and Node, and how it gets here;
//! - [`autobahn`], [`schemathesis`], [`fuzz`], [`soak`], [`dev`]: one check or command each.
//!
//! [`started`] runs a program beside a check; [`project`] knows where things are and how to start
//! one.

pub mod arguments;
pub mod autobahn;
pub mod dev;
pub mod fuzz;
pub mod generate;
pub mod project;
pub mod schemathesis;
pub mod snippets;
pub mod soak;
pub mod started;
pub mod steps;
pub mod suite;
pub mod tidy;
pub mod tools;
pub mod web;

use std::process::ExitCode;

use arguments::Arguments;
use project::{Project, Result};

const USAGE: &str = "\
Development tasks of Tidings.

    cargo xtask dev [-- ARGS]      build the server and run `tidings dev ARGS`
    cargo xtask test               every check, in order, as CI runs them
        --list                     say which steps there are
        --only STEP[,STEP]         these steps (and those they need)
        --keep-going               do not stop at the first failure
    cargo xtask tidy               check files, lines, bans and dependencies
    cargo xtask gen [--check]      write (or check) the generated files
        --docs                     only those that need no build of the server
    cargo xtask tools              install what the checks need
    cargo xtask autobahn           the WebSocket conformance suite
    cargo xtask advisories         known vulnerabilities in dependencies
    cargo xtask soak               long runs: seeds, crashes, faults
        --seeds N                  seeds (and, by tens, crash rounds) a round
        --minutes N                repeat, with new seeds, for this long
    cargo xtask fuzz [TARGET ...]  fuzz these targets, or all
        --seconds N                time for each (60)
";

/// Runs one command line, given without the program's name.
///
/// # Errors
/// A message for people: what went wrong and what to do about it.
pub fn run(words: &[String]) -> Result<ExitCode> {
    let project = Project::find()?;
    let (command, rest) = match words.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", words),
    };
    if command == "dev" {
        return dev::run(&project, rest);
    }
    let mut arguments = Arguments::new(rest);
    match command {
        "test" => return suite::run(&project, arguments),
        "soak" => soak::run(&project, arguments)?,
        "fuzz" => fuzz::run(&project, arguments)?,
        "gen" => {
            let (check, docs) = (arguments.flag("--check"), arguments.flag("--docs"));
            arguments.finish()?;
            generate::run(&project, check, docs)?;
        }
        "tidy" | "tools" | "autobahn" | "advisories" => {
            arguments.finish()?;
            simple(&project, command)?;
        }
        "help" | "--help" | "-h" => print!("{USAGE}"),
        other => return Err(format!("there is no command `{other}`\n\n{USAGE}")),
    }
    Ok(ExitCode::SUCCESS)
}

/// The commands without arguments.
fn simple(project: &Project, command: &str) -> Result {
    match command {
        "tidy" => tidy::run(project),
        "tools" => tools::install(project),
        "autobahn" => autobahn::run(project),
        _ => tools::advisories(project),
    }
}
