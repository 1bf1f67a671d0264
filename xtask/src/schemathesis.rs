//! `schemathesis`: the HTTP API is asked all that its own OpenAPI document allows, and more.

use std::fs;

use crate::project::{Project, Result, read, run};
use crate::started::Started;
use crate::tools;

/// How long it may ask, in seconds.
const SECONDS: &str = "40";

/// Starts the shipped server with nothing in it, and asks.
///
/// # Errors
/// An answer is not as the document says, or a program did not run.
pub fn check(project: &Project) -> Result {
    let program = tools::schemathesis(project)?;
    let data = project.target.join("schemathesis");
    if data.exists() {
        fs::remove_dir_all(&data)
            .map_err(|error| format!("cannot remove {}: {error}", data.display()))?;
    }
    let mut server = project.command(project.target.join("release/tidings"));
    server.args(["dev", "--port", "0", "--data"]).arg(&data).env("RUST_LOG", "warn");
    let server = Started::new(&mut server, "Tidings listens on ")?;
    let key = read(&data.join("api-key"))?;
    let mut ask = project.command(program);
    // What it writes down (examples that failed) belongs into no checkout.
    ask.current_dir(&data);
    ask.arg("run").arg(format!("{}/api/openapi.json", server.said));
    ask.arg("--header").arg(format!("Authorization: Bearer {}", key.trim()));
    // A schema cannot say everything: that a namespace exists, or that bytes are counted.
    ask.args(["--checks", "all", "--exclude-checks", "positive_data_acceptance"]);
    // One worker: before Python 3.11.8 and 3.12.2 two threads that parse Python at once, as its
    // generators do, end in a SystemError (python/cpython#106905).
    ask.args(["--max-time", SECONDS, "--workers", "1", "-n", "30", "--seed", "1"]);
    // A trace has no end of its own.
    ask.args(["--exclude-operation-id", "trace", "--warnings", "off"]);
    run(&mut ask)
}
