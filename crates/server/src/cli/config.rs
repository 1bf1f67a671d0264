//! `tidings config`: checks and explains configurations.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::error::CliError;
use super::style::Style;
use crate::config::{Config, reference};
use crate::metrics;

/// Check, write and explain configurations
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tidings config default > tidings.toml
  tidings config check --config tidings.toml
  tidings config reference | less")]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Subcommand, Debug)]
enum ConfigCommand {
    /// Check a file, its keys, certificates and schemas, without starting a server
    Check {
        /// The configuration: one TOML file
        #[arg(long, value_name = "FILE", env = "TIDINGS_CONFIG")]
        config: PathBuf,
    },
    /// Print a file with every option and its default: what `tidings dev` runs
    Default,
    /// Print the documentation of every option, in Markdown
    Reference,
    /// Print the documentation of every metric, in Markdown
    Metrics,
}

pub(super) fn run(args: ConfigArgs) -> Result<(), CliError> {
    match args.command {
        ConfigCommand::Check { config: path } => {
            let config = Config::load(&path)?;
            let style = Style::of_stderr();
            for warning in config.check(&config.base_dir())? {
                eprintln!("{} {warning}", style.warning("warning:"));
            }
            print(&format!("{} is good\n", path.display()))
        }
        ConfigCommand::Default => print(&reference::example()),
        ConfigCommand::Metrics => print(&metrics::markdown()),
        ConfigCommand::Reference => print(&reference::markdown()),
    }
}

/// Prints; that nobody reads on (`| head`) is no error.
fn print(text: &str) -> Result<(), CliError> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
