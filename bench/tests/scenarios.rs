//! Each scenario against a small fake: what it counts when all is well, and what it notices when
//! not.
#![allow(clippy::unwrap_used, reason = "a panic is how a test says no")]

mod fake;

use clap::Parser;
use fake::Fault;
use serde_json::Value;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    bench: tidings_bench::Args,
}

/// Runs `tidings bench ARGS` against a fake; answers the saved outcome.
fn bench(fault: Fault, args: &str) -> Value {
    let url = format!("ws://{}/socket", fake::serve(fault));
    let saved = tempfile::NamedTempFile::new().unwrap();
    let path = saved.path().to_str().unwrap();
    let command = ["bench"].into_iter().chain(args.split(' '));
    let command = command.chain(["--url", &url, "--json", path]);
    tidings_bench::run(Cli::try_parse_from(command).unwrap().bench).unwrap();
    let run: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    run["outcomes"][0].clone()
}

fn figure(outcome: &Value, name: &str) -> f64 {
    let figures = outcome["figures"].as_array().unwrap();
    let figure = figures.iter().find(|figure| figure["name"] == name);
    figure.unwrap_or_else(|| panic!("no {name} in {outcome}"))["value"].as_f64().unwrap()
}

fn faults(outcome: &Value) -> usize {
    outcome["faults"].as_array().unwrap().len()
}

#[test]
fn a_fan_out_reaches_everybody_in_order() {
    let outcome = bench(Fault::None, "fanout --subscribers 20 --rate 50 --seconds 0.5");
    assert_eq!(faults(&outcome), 0, "{outcome}");
    assert!(figure(&outcome, "deliveries") > 20.0);
}

#[test]
fn a_closed_loop_never_stands_still() {
    let outcome = bench(Fault::None, "fanout --subscribers 5 --in-flight 4 --seconds 0.5");
    assert_eq!(faults(&outcome), 0, "{outcome}");
    assert!(figure(&outcome, "events") > 20.0, "{outcome}");
}

#[test]
fn lost_events_are_a_fault() {
    let outcome = bench(Fault::Loses, "rooms --rooms 4 --members 5 --rate 20 --seconds 0.3");
    assert!(figure(&outcome, "lost") > 0.0);
    assert_eq!(figure(&outcome, "duplicated"), 0.0);
    // The second: nine of ten are less than the rate that was asked for.
    assert_eq!(faults(&outcome), 2, "{outcome}");
}

#[test]
fn doubled_events_are_a_fault() {
    let outcome = bench(Fault::Doubles, "fanout --subscribers 20 --rate 20 --seconds 0.3");
    assert!(figure(&outcome, "duplicated") > 0.0);
    assert_eq!(figure(&outcome, "lost"), 0.0);
    assert_eq!(faults(&outcome), 1, "{outcome}");
}

#[test]
fn idle_connections_are_weighed() {
    let outcome = bench(Fault::None, "idle --connections 30 --rest 0.1");
    assert_eq!(faults(&outcome), 0, "{outcome}");
    figure(&outcome, "memory per connection");
}

#[test]
fn publishers_are_counted_alone_and_together() {
    let outcome = bench(Fault::None, "publish --publishers 8 --seconds 0.3");
    assert_eq!(faults(&outcome), 0, "{outcome}");
    assert!(figure(&outcome, "alone") > 0.0 && figure(&outcome, "together") > 0.0);
}

#[test]
fn a_storm_brings_everybody_back_with_what_they_missed() {
    let outcome = bench(Fault::None, "storm --clients 50 --channels 5 --missed 20");
    assert_eq!(faults(&outcome), 0, "{outcome}");
}

#[test]
fn a_storm_without_recovery_is_a_fault() {
    let args = "storm --clients 10 --channels 2 --missed 5 --timeout 0.5";
    let outcome = bench(Fault::Forgets, args);
    assert_eq!(figure(&outcome, "lost"), 50.0);
    assert_eq!(faults(&outcome), 3, "{outcome}");
}
