//! `autobahn`: the WebSocket conformance suite against the codec's echo server.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::project::{Project, Result, read, shell};
use crate::started::Started;
use crate::tools;

/// How many cases the suite has: a run of fewer proves nothing.
const CASES: usize = 517;

/// How a case may end; everything else is a failure.
const GOOD: &[&str] = &["OK", "NON-STRICT", "INFORMATIONAL"];

/// The suite takes two to three minutes; a machine may be ten times slower.
const SUITE_MAX: Duration = Duration::from_secs(30 * 60);

/// Builds the echo server, runs all cases against it, and judges the report.
///
/// # Errors
/// A case failed, cases are missing, or one of the two programs did not run.
pub fn run(project: &Project) -> Result {
    let kosoku = tools::kosoku(project)?;
    project.run(shell("cargo build --release -p tidings-websocket --example echo_server"))?;
    let report = project.target.join("autobahn");
    if report.exists() {
        fs::remove_dir_all(&report)
            .map_err(|error| format!("cannot remove {}: {error}", report.display()))?;
    }
    fs::create_dir_all(&report)
        .map_err(|error| format!("cannot create {}: {error}", report.display()))?;
    let mut server = project.command(project.target.join("release/examples/echo_server"));
    let server = Started::new(server.args(["--port", "0"]), "listening on ")?;
    let log = report.join("log");
    let mut suite = project.command(&kosoku);
    suite.args(["-m", "fuzzingclient", "-p", "4", "-o"]).arg(&report).arg(&server.said);
    // It fails when a case does. The report says so better, so only the report is asked.
    run_logged(&mut suite, &log)?;
    drop(server);
    let index = report.join("index.json");
    let index = read(&index).map_err(|error| match read(&log) {
        Ok(said) => format!("{error}; the suite said:\n{said}"),
        Err(_) => error,
    })?;
    let tally = Tally::of(&index)?;
    println!("{tally}");
    tally.judge(CASES).map_err(|error| format!("{error}\nreport: {}", report.display()))
}

/// Runs a program to its end, whatever that is, with its output in a file.
fn run_logged(command: &mut Command, log: &Path) -> Result {
    let file = File::create(log).map_err(|error| error.to_string())?;
    let errors = file.try_clone().map_err(|error| error.to_string())?;
    let mut child = command
        .stdout(file)
        .stderr(errors)
        .spawn()
        .map_err(|error| format!("cannot start the suite: {error}"))?;
    let begun = Instant::now();
    while begun.elapsed() < SUITE_MAX {
        if child.try_wait().map_err(|error| error.to_string())?.is_some() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(100));
    }
    let _ = child.kill();
    let _ = child.wait();
    Err(format!("the suite had not ended after {} minutes", SUITE_MAX.as_secs() / 60))
}

/// How many cases ended in which way.
#[derive(Debug, Default)]
struct Tally {
    counts: BTreeMap<String, usize>,
    bad: Vec<String>,
}

impl Tally {
    /// Counts the cases of an `index.json` as Autobahn writes it: agent, then case, then verdicts.
    fn of(index: &str) -> Result<Self> {
        let unreadable = "the report's index.json is not as Autobahn writes it";
        let index: Value = serde_json::from_str(index).map_err(|_| unreadable)?;
        let mut tally = Self::default();
        for (case, verdict) in
            index.as_object().ok_or(unreadable)?.values().filter_map(Value::as_object).flatten()
        {
            let word = |field: &str| verdict.get(field).and_then(Value::as_str);
            let behavior = word("behavior").ok_or(unreadable)?;
            let close = word("behaviorClose").ok_or(unreadable)?;
            *tally.counts.entry(behavior.to_owned()).or_default() += 1;
            if !GOOD.contains(&behavior) || !GOOD.contains(&close) {
                tally.bad.push(format!("{case}: {behavior} (close: {close})"));
            }
        }
        Ok(tally)
    }

    fn judge(&self, cases: usize) -> Result {
        /// More than this helps nobody; the report has them all.
        const SHOWN: usize = 20;
        let total: usize = self.counts.values().sum();
        if total != cases {
            return Err(format!("{total} cases were run, not {cases}"));
        }
        if self.bad.is_empty() {
            return Ok(());
        }
        let shown = &self.bad[..self.bad.len().min(SHOWN)];
        Err(format!("{} cases failed, among them\n  {}", self.bad.len(), shown.join("\n  ")))
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} cases", self.counts.values().sum::<usize>())?;
        for (behavior, count) in &self.counts {
            write!(f, ", {count} {behavior}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    fn index(behaviors: &[(&str, &str)]) -> String {
        let cases = behaviors.iter().enumerate().map(|(number, (behavior, close))| {
            format!(r#""1.1.{number}":{{"behavior":"{behavior}","behaviorClose":"{close}"}}"#)
        });
        format!(r#"{{"echo":{{{}}}}}"#, cases.collect::<Vec<_>>().join(","))
    }

    #[test]
    fn cases_are_counted_by_verdict() {
        let index = index(&[("OK", "OK"), ("NON-STRICT", "OK"), ("OK", "INFORMATIONAL")]);
        let tally = Tally::of(&index).unwrap();
        assert_eq!(tally.to_string(), "3 cases, 1 NON-STRICT, 2 OK");
        tally.judge(3).unwrap();
    }

    #[test]
    fn a_run_of_fewer_cases_fails() {
        let tally = Tally::of(&index(&[("OK", "OK")])).unwrap();
        assert_eq!(tally.judge(517).unwrap_err(), "1 cases were run, not 517");
    }

    #[test]
    fn failed_unimplemented_and_badly_closed_cases_are_named() {
        let index = index(&[("OK", "FAILED"), ("UNIMPLEMENTED", "OK"), ("FAILED", "OK")]);
        let error = Tally::of(&index).unwrap().judge(3).unwrap_err();
        assert!(error.starts_with("3 cases failed"), "{error}");
        assert!(error.contains("1.1.1: UNIMPLEMENTED (close: OK)"), "{error}");
    }

    #[test]
    fn another_format_is_refused() {
        assert!(Tally::of("[]").is_err());
        assert!(Tally::of(r#"{"echo":{"1.1.1":{}}}"#).is_err());
    }
}
