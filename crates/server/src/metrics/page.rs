//! The Prometheus text format, version 0.0.4.

use std::fmt::{Display, Write as _};

use super::counted::{BOUNDS, Reading};
use super::table::Metric;

/// What a scrape gets.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    pub(super) fn finish(self) -> String {
        self.0
    }

    /// Begins a metric: its values follow.
    pub(super) fn metric(&mut self, metric: &'static Metric) -> Values<'_> {
        let Metric { name, kind, help, .. } = metric;
        let help = help.replace('\\', "\\\\").replace('\n', " ");
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {}", kind.as_str());
        Values { page: self, metric }
    }

    /// A metric without labels.
    pub(super) fn one(&mut self, metric: &'static Metric, value: impl Display) {
        self.metric(metric).put(&[], value);
    }

    /// A metric with one label, whose values are known.
    pub(super) fn each<'a, V: Display>(
        &mut self,
        metric: &'static Metric,
        values: impl IntoIterator<Item = (&'a str, V)>,
    ) {
        let mut open = self.metric(metric);
        for (label, value) in values {
            open.put(&[label], value);
        }
    }

    /// A histogram whose values are `scale`ths of its unit.
    pub(super) fn histogram(
        &mut self,
        metric: &'static Metric,
        reading: Reading,
        bounds: &[u64; BOUNDS],
        scale: f64,
    ) {
        let Reading { counts, sum } = reading;
        let name = metric.name;
        let page = self.metric(metric).page;
        for (bound, count) in bounds.iter().zip(counts) {
            let bound = *bound as f64 / scale;
            let _ = writeln!(page.0, "{name}_bucket{{le=\"{bound}\"}} {count}");
        }
        let count = counts[BOUNDS];
        let sum = sum as f64 / scale;
        let _ = writeln!(
            page.0,
            "{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {sum}\n{name}_count {count}"
        );
    }
}

/// The values of one metric.
pub(super) struct Values<'a> {
    page: &'a mut Page,
    metric: &'static Metric,
}

impl Values<'_> {
    /// `labels` are the values of the metric's labels, which come from fixed sets: nothing in them
    /// has to be escaped.
    pub(super) fn put(&mut self, labels: &[&str], value: impl Display) {
        debug_assert_eq!(labels.len(), self.metric.labels.len(), "{}", self.metric.name);
        let out = &mut self.page.0;
        out.push_str(self.metric.name);
        for (index, (name, label)) in self.metric.labels.iter().zip(labels).enumerate() {
            let lead = if index == 0 { '{' } else { ',' };
            let _ = write!(out, "{lead}{name}=\"{label}\"");
        }
        let end = if self.metric.labels.is_empty() { "" } else { "}" };
        let _ = writeln!(out, "{end} {value}");
    }
}
