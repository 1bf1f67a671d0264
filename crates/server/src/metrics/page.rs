//! The Prometheus text format, version 0.0.4.

use std::fmt::{Display, Write as _};

use super::counted::{BOUNDS, Histogram, Reading};
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
        self.metric(metric);
        self.buckets(metric.name, "", &reading, (bounds, scale));
    }

    /// A histogram with one label, whose values are known.
    pub(super) fn histograms<'a>(
        &mut self,
        metric: &'static Metric,
        values: impl IntoIterator<Item = (&'a str, &'a Histogram)>,
        bounds: &[u64; BOUNDS],
        scale: f64,
    ) {
        self.metric(metric);
        for (value, histogram) in values {
            let label = format!("{}=\"{value}\"", metric.labels.first().unwrap_or(&""));
            self.buckets(metric.name, &label, &histogram.read(), (bounds, scale));
        }
    }

    fn buckets(
        &mut self,
        name: &str,
        label: &str,
        reading: &Reading,
        (bounds, scale): (&[u64; BOUNDS], f64),
    ) {
        let Reading { counts, sum } = *reading;
        let (more, alone) = match label {
            "" => (String::new(), String::new()),
            label => (format!("{label},"), format!("{{{label}}}")),
        };
        let page = &mut self.0;
        for (bound, count) in bounds.iter().zip(counts) {
            let bound = *bound as f64 / scale;
            let _ = writeln!(page, "{name}_bucket{{{more}le=\"{bound}\"}} {count}");
        }
        let count = counts[BOUNDS];
        let sum = sum as f64 / scale;
        let _ = writeln!(
            page,
            "{name}_bucket{{{more}le=\"+Inf\"}} {count}\n{name}_sum{alone} {sum}\n\
             {name}_count{alone} {count}"
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
