//! `test`: runs the steps, times them, and sums up.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::project::{Project, Result};
use crate::steps::{Action, STEPS, Step};

/// How a step ended. A step that could not run has failed: nothing is skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed(String),
}

/// A step that ended, and how long it took.
type Ended = (&'static str, Outcome, Duration);

/// Runs the steps that were asked for.
///
/// # Errors
/// The arguments make no sense. Steps that fail are in the exit code instead.
pub fn run(project: &Project, mut arguments: Arguments) -> Result<ExitCode> {
    let keep_going = arguments.flag("--keep-going");
    let list = arguments.flag("--list");
    let only = arguments.list("--only")?;
    arguments.finish()?;
    let steps = select(STEPS, &only)?;
    if list {
        for step in steps {
            println!("{:<12} {}", step.name, step.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let ended = run_all(&steps, keep_going, |step| perform(project, step));
    print!("{}", summary(&steps, &ended));
    let green = ended.len() == steps.len() && ended.iter().all(|step| step.1 == Outcome::Passed);
    Ok(if green { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The steps of these names and all that they need, in the table's order; without names, all.
fn select(table: &'static [Step], only: &[String]) -> Result<Vec<&'static Step>> {
    if let Some(name) = only.iter().find(|name| table.iter().all(|step| step.name != **name)) {
        let names: Vec<_> = table.iter().map(|step| step.name).collect();
        return Err(format!("there is no step `{name}`; there are {}", names.join(", ")));
    }
    let mut wanted: Vec<&str> = only.iter().map(String::as_str).collect();
    let mut selected = Vec::new();
    // Needs come before what needs them, so one walk from the end finds all.
    for step in table.iter().rev() {
        if only.is_empty() || wanted.contains(&step.name) {
            wanted.extend(step.needs);
            selected.push(step);
        }
    }
    selected.reverse();
    Ok(selected)
}

fn run_all(
    steps: &[&'static Step],
    keep_going: bool,
    mut perform: impl FnMut(&Step) -> Result,
) -> Vec<Ended> {
    let mut ended: Vec<Ended> = Vec::new();
    for step in steps {
        let bad = |need: &&&str| {
            ended.iter().any(|(name, outcome, _)| *name == **need && *outcome != Outcome::Passed)
        };
        let begun = Instant::now();
        let result = match step.needs.iter().find(bad) {
            Some(need) => Err(format!("could not run, because `{need}` failed")),
            None => perform(step),
        };
        let outcome = match result {
            Ok(()) => Outcome::Passed,
            Err(message) => Outcome::Failed(message),
        };
        let failed = outcome != Outcome::Passed;
        ended.push((step.name, outcome, begun.elapsed()));
        if failed && !keep_going {
            break;
        }
    }
    ended
}

fn perform(project: &Project, step: &Step) -> Result {
    println!("\n=== {}: {}", step.name, step.about);
    let result = match step.action {
        Action::Call(function) => function(project),
        Action::Run(shells) => shells.iter().try_for_each(|shell| project.run(*shell)),
    };
    if let Err(message) = &result {
        println!("{}: FAILED: {message}", step.name);
    }
    // So that what the next step's programs print stands behind it.
    let _ = std::io::stdout().flush();
    result
}

/// The table, what failed, and the line that a machine reads.
fn summary(steps: &[&'static Step], ended: &[Ended]) -> String {
    let mut text = String::from("\n");
    for (name, outcome, time) in ended {
        let word = if *outcome == Outcome::Passed { "passed" } else { "FAILED" };
        text += &format!("{name:<12} {word:<8} {:>7.1} s\n", time.as_secs_f64());
    }
    for step in &steps[ended.len()..] {
        text += &format!("{:<12} not run\n", step.name);
    }
    let total: Duration = ended.iter().map(|step| step.2).sum();
    text += &format!("{:<12} {:<8} {:>7.1} s\n", "all", "", total.as_secs_f64());
    for (name, outcome, _) in ended {
        if let Outcome::Failed(message) = outcome {
            text += &format!("\n{name}: {message}\nagain: cargo xtask test --only {name}\n");
        }
    }
    let passed = ended.iter().filter(|step| step.1 == Outcome::Passed).count();
    text + &format!("\n{passed} passed, {} failed\n", ended.len() - passed)
}

#[cfg(test)]
mod tests {
    use super::{Outcome, run_all, select, summary};
    use crate::steps::{Action, Step};

    const fn step(name: &'static str, needs: &'static [&'static str]) -> Step {
        Step { name, about: "", needs, action: Action::Run(&[]) }
    }

    const TABLE: &[Step] =
        &[step("tools", &[]), step("fmt", &["tools"]), step("doc", &[]), step("last", &["fmt"])];

    fn names(only: &[&str]) -> Vec<&'static str> {
        let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
        select(TABLE, &only).unwrap().iter().map(|step| step.name).collect()
    }

    #[test]
    fn a_step_brings_what_it_needs() {
        assert_eq!(names(&[]), ["tools", "fmt", "doc", "last"]);
        assert_eq!(names(&["doc"]), ["doc"]);
        assert_eq!(names(&["last"]), ["tools", "fmt", "last"]);
    }

    #[test]
    fn an_unknown_step_is_refused_with_the_names_there_are() {
        let error = select(TABLE, &["fnt".to_owned()]).unwrap_err();
        assert_eq!(error, "there is no step `fnt`; there are tools, fmt, doc, last");
    }

    #[test]
    fn the_first_failure_stops_the_run() {
        let steps = select(TABLE, &[]).unwrap();
        let ended = run_all(&steps, false, |step| match step.name {
            "fmt" => Err("ugly".to_owned()),
            _ => Ok(()),
        });
        assert_eq!(ended.len(), 2);
        let text = summary(&steps, &ended);
        assert!(text.contains("fmt          FAILED"), "{text}");
        assert!(text.contains("doc          not run"), "{text}");
        assert!(text.ends_with("\n1 passed, 1 failed\n"), "{text}");
    }

    #[test]
    fn a_step_that_could_not_run_has_failed() {
        let steps = select(TABLE, &[]).unwrap();
        let ended = run_all(&steps, true, |step| match step.name {
            "tools" => Err("absent".to_owned()),
            _ => Ok(()),
        });
        let passed: Vec<_> =
            ended.iter().filter(|step| step.1 == Outcome::Passed).map(|step| step.0).collect();
        assert_eq!(passed, ["doc"]);
        assert!(summary(&steps, &ended).ends_with("\n1 passed, 3 failed\n"));
    }
}
