//! `tidings bench`: its own crate does the work.

use std::process::ExitCode;

use super::style::Style;

pub(super) fn run(args: tidings_bench::Args) -> ExitCode {
    tidings_bench::run(args).unwrap_or_else(|error| {
        eprintln!("{} {error}", Style::of_stderr().bad("error:"));
        ExitCode::FAILURE
    })
}
