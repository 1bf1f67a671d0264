//! Figures: for people, for files, and one run beside another.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// One measured number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
}

/// What a scenario found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Its name and what was asked of it.
    pub(crate) scenario: String,
    pub(crate) figures: Vec<Figure>,
    /// What may not be: lost events, broken connections. Empty when all is well.
    pub(crate) faults: Vec<String>,
}

/// A figure beside what it should be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) what: String,
    pub(crate) target: String,
    pub(crate) measured: String,
    pub(crate) ok: bool,
}

/// A saved run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// Seconds since 1970.
    pub(crate) at: u64,
    pub(crate) machine: String,
    pub(crate) command: String,
    pub(crate) outcomes: Vec<Outcome>,
    #[serde(default)]
    pub(crate) verdicts: Vec<Verdict>,
}

impl Outcome {
    pub(crate) fn new(scenario: impl Into<String>) -> Self {
        Self { scenario: scenario.into(), ..Self::default() }
    }

    pub(crate) fn figure(&mut self, name: impl Into<String>, value: f64, unit: &str) {
        self.figures.push(Figure { name: name.into(), value, unit: unit.to_owned() });
    }

    /// The quantiles of times in nanoseconds.
    pub(crate) fn latency(&mut self, prefix: &str, times: &Histogram<u64>) {
        if times.is_empty() {
            return;
        }
        let ms = |ns: u64| ns as f64 / 1e6;
        for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
            self.figure(format!("{prefix} {name}"), ms(times.value_at_quantile(quantile)), "ms");
        }
        self.figure(format!("{prefix} max"), ms(times.max()), "ms");
    }

    pub(crate) fn value(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|figure| figure.name == name).map(|figure| figure.value)
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n", self.scenario);
        for Figure { name, value, unit } in &self.figures {
            let _ = writeln!(text, "  {name:<32} {:>12} {unit}", shown(*value));
        }
        for fault in &self.faults {
            let _ = writeln!(text, "  FAULT: {fault}");
        }
        text
    }
}

/// Times from 1 us to 10 min, to 1 %.
pub(crate) fn histogram() -> Histogram<u64> {
    let bounded = Histogram::new_with_bounds(1_000, 600_000_000_000, 2);
    // invariant: the bounds are constants that the crate accepts.
    #[expect(clippy::unwrap_used, reason = "the bounds are constants that the crate accepts")]
    bounded.unwrap()
}

/// With as many decimals as mean something.
pub(crate) fn shown(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// The one in the middle; of two, their mean.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

impl Run {
    pub(crate) fn new(outcomes: Vec<Outcome>, verdicts: Vec<Verdict>) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            at: now.as_secs(),
            machine: machine(),
            command: std::env::args()
                .skip(1)
                .filter(|arg| !arg.is_empty())
                .collect::<Vec<_>>()
                .join(" "),
            outcomes,
            verdicts,
        }
    }

    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let saved = |source| Error::Saved { path: path.to_owned(), source };
        let text = serde_json::to_string_pretty(self).map_err(saved)?;
        fs::write(path, text + "\n").map_err(Error::system(path.display().to_string()))
    }

    pub(crate) fn load(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(Error::system(path.display().to_string()))?;
        serde_json::from_str(&text).map_err(|source| Error::Saved { path: path.to_owned(), source })
    }

    /// Whether everything is as it should be.
    pub(crate) fn ok(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.faults.is_empty())
            && self.verdicts.iter().all(|verdict| verdict.ok)
    }
}

fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{cores} x {}, Linux {}", model.unwrap_or("?"), kernel.trim())
}

/// The table of targets.
pub(crate) fn verdicts(verdicts: &[Verdict]) -> String {
    let mut text = format!("{:<44} {:>12} {:>14}  ok\n", "what", "target", "measured");
    for Verdict { what, target, measured, ok } in verdicts {
        let ok = if *ok { "yes" } else { "NO" };
        let _ = writeln!(text, "{what:<44} {target:>12} {measured:>14}  {ok}");
    }
    text
}

/// Two runs side by side, figure by figure.
pub(crate) fn compare(a: &Run, b: &Run) -> String {
    let mut text = format!("A: {} ({})\nB: {} ({})\n", a.command, a.machine, b.command, b.machine);
    for left in &a.outcomes {
        let Some(right) = b.outcomes.iter().find(|right| right.scenario == left.scenario) else {
            let _ = writeln!(text, "\n{}: only in A", left.scenario);
            continue;
        };
        let _ = writeln!(text, "\n{:<36} {:>12} {:>12} {:>8}", left.scenario, "A", "B", "B/A");
        for Figure { name, value, unit } in &left.figures {
            let Some(other) = right.value(name) else { continue };
            let ratio = if *value == 0.0 { "-".to_owned() } else { shown(other / value) };
            let name = format!("{name} ({unit})");
            let _ = writeln!(
                text,
                "  {name:<34} {:>12} {:>12} {ratio:>8}",
                shown(*value),
                shown(other)
            );
        }
    }
    for right in &b.outcomes {
        if !a.outcomes.iter().any(|left| left.scenario == right.scenario) {
            let _ = writeln!(text, "\n{}: only in B", right.scenario);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
    }

    #[test]
    fn runs_are_saved_and_compared() {
        let mut outcome = Outcome::new("fanout");
        outcome.figure("cpu", 4.0, "us");
        let a = Run::new(vec![outcome.clone(), Outcome::new("idle")], Vec::new());
        outcome.figures[0].value = 6.0;
        let b = Run::new(vec![outcome], Vec::new());
        let file = tempfile::NamedTempFile::new().unwrap();
        a.save(file.path()).unwrap();
        assert_eq!(Run::load(file.path()).unwrap(), a);
        let text = compare(&a, &b);
        assert!(text.contains("1.50") && text.contains("idle: only in A"), "{text}");
        assert!(a.ok());
    }

    #[test]
    fn a_fault_or_a_missed_target_is_not_ok() {
        let mut run = Run::new(vec![Outcome::new("x")], Vec::new());
        run.outcomes[0].faults.push("3 lost".into());
        assert!(!run.ok());
        run.outcomes.clear();
        let no = Verdict { what: "a".into(), target: "1".into(), measured: "2".into(), ok: false };
        run.verdicts.push(no);
        assert!(!run.ok());
        assert!(verdicts(&run.verdicts).contains("NO"));
    }

    #[test]
    fn times_are_kept_to_a_percent() {
        let mut outcome = Outcome::new("x");
        let mut times = histogram();
        for ms in 1..=100u64 {
            times.saturating_record(ms * 1_000_000);
        }
        outcome.latency("latency", &times);
        let p50 = outcome.value("latency p50").unwrap();
        assert!((49.0..=51.0).contains(&p50), "{p50}");
    }
}
