//! What a server logs, and how: to the standard error, one line for each thing that happened.

use clap::{Args, ValueEnum};
use tracing::Metadata;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use super::style::Style;
use crate::config::Problem;
use crate::telemetry::{TARGET, Telemetry};

/// How a server logs.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Logging {
    /// How the log on the standard error looks; RUST_LOG says how much there is
    #[arg(long, value_name = "FORMAT", env = "TIDINGS_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// One JSON object a line, for programs
    Json,
    /// For people
    Text,
}

impl Logging {
    /// From here on what happens is logged, and told to the collector, if there is one.
    pub(super) fn start(self, telemetry: Option<&Telemetry>) {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        // Without a collector spans are not made, whatever RUST_LOG says.
        let level = if telemetry.is_some() { LevelFilter::INFO } else { LevelFilter::OFF };
        let filter = match format!("{TARGET}={level}").parse() {
            Ok(spans) => filter.add_directive(spans),
            Err(_) => filter,
        };
        let coloured = self.log_format == LogFormat::Text && Style::of_stderr().is_coloured();
        // A line says what happened, not in which span.
        let plain = filter_fn(|meta: &Metadata<'_>| meta.is_event());
        let (json, text) = match self.log_format {
            LogFormat::Json => {
                let json = fmt::layer().with_writer(std::io::stderr).with_ansi(false).json();
                let json = json.flatten_event(true).with_current_span(false).with_span_list(false);
                (Some(json.with_filter(plain)), None)
            }
            LogFormat::Text => {
                let text = fmt::layer().with_writer(std::io::stderr).with_ansi(coloured);
                (None, Some(text.with_filter(plain)))
            }
        };
        tracing_subscriber::registry()
            .with(filter)
            .with(json)
            .with(text)
            .with(telemetry.map(Telemetry::layer))
            .init();
    }

    /// Says what is doubtful in a configuration.
    pub(super) fn doubt(self, problem: &Problem) {
        let style = Style::of_stderr();
        match self.log_format {
            LogFormat::Json => tracing::warn!("{problem}"),
            LogFormat::Text => eprintln!("{} {problem}", style.warning("warning:")),
        }
    }
}
