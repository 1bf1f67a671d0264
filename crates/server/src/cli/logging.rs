//! What a server logs, and how: to the standard error, one line for each thing that happened.

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use super::style::Style;
use crate::config::Problem;

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
    /// From here on what happens is logged.
    pub(super) fn start(self) {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(self.log_format == LogFormat::Text && Style::of_stderr().is_coloured());
        match self.log_format {
            LogFormat::Json => {
                let json = log.json().flatten_event(true);
                json.with_current_span(false).with_span_list(false).init();
            }
            LogFormat::Text => log.init(),
        }
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
