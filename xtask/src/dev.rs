//! `dev`: a server to work with, and the pages that it serves.

use std::process::{Command, ExitCode};

use crate::project::{Project, Result, shell};
use crate::web;

/// Builds the SDK, the demo and the server, and becomes `tidings dev`: its signals and exit code
/// are then ours.
///
/// # Errors
/// It cannot be built or started.
pub fn run(project: &Project, words: &[String]) -> Result<ExitCode> {
    web::build(project)?;
    project.run(shell("cargo build --release -p tidings"))?;
    let words = match words.split_first() {
        Some((first, rest)) if first == "--" => rest,
        _ => words,
    };
    let mut server = project.command(project.target.join("release/tidings"));
    server.arg("dev").args(words);
    become_it(&mut server)
}

#[cfg(unix)]
fn become_it(server: &mut Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    let error = server.exec();
    Err(format!("cannot start {}: {error}", server.get_program().display()))
}

#[cfg(not(unix))]
fn become_it(server: &mut Command) -> Result<ExitCode> {
    let status = server.status().map_err(|error| error.to_string())?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}
