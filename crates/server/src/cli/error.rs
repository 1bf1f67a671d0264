//! Why a command failed, and the exit code that says so to scripts.

use std::fmt;
use std::io;
use std::process::ExitCode;

use tidings_client::Error as ClientError;

use super::style;
use crate::RunError;
use crate::auth::MintError;
use crate::config::ConfigError;

/// Why a command failed.
#[derive(Debug)]
pub(super) enum CliError {
    Client(ClientError),
    Config(ConfigError),
    Io(io::Error),
    Mint(MintError),
    Run(RunError),
    /// It has been said already.
    Said,
    /// What was asked for does not make sense: why.
    Usage(String),
}

impl CliError {
    /// 1 refused or failed, 2 usage, 3 no connection.
    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            CliError::Client(ClientError::Address(_)) | CliError::Usage(_) => 2,
            CliError::Client(error) => match error {
                ClientError::Connect(..)
                | ClientError::Expired
                | ClientError::Lost(_)
                | ClientError::NotConnected
                | ClientError::Protocol(_)
                | ClientError::Timeout(_)
                | ClientError::Unconfirmed
                | ClientError::Upgrade(..) => 3,
                _ => 1,
            },
            CliError::Config(_)
            | CliError::Io(_)
            | CliError::Mint(_)
            | CliError::Run(_)
            | CliError::Said => 1,
        })
    }

    /// Says on the standard error what went wrong and what to do.
    pub(super) fn report(&self) {
        if matches!(self, CliError::Said) {
            return;
        }
        let style = style::Style::of_stderr();
        eprintln!("{} {}", style.bad("error:"), style::printable(&self.to_string()));
        if let Some(remedy) = self.remedy() {
            eprintln!("  {remedy}");
        }
    }

    fn remedy(&self) -> Option<&'static str> {
        let CliError::Client(error) = self else { return None };
        match error {
            ClientError::Connect(_, cause) => Some(match cause.kind() {
                io::ErrorKind::ConnectionRefused => {
                    "is the server running? start one with: tidings dev"
                }
                io::ErrorKind::TimedOut => "is the address right, and does a firewall let it pass?",
                io::ErrorKind::InvalidData if cause.to_string().contains("certificate") => {
                    "the certificate is not trusted: give its authority with --ca FILE, or \
                     --insecure for a self-signed one on your own machine"
                }
                io::ErrorKind::InvalidData => "does the server speak TLS? if not: http://",
                _ => "is the address right?",
            }),
            ClientError::Closed(closed) => match closed.code {
                4401 | 4501 => Some("make a new token, with: tidings token"),
                4403 => Some("this server wants a token: give one with --token or TIDINGS_TOKEN"),
                4426 => Some("the server speaks another version: use its own binary"),
                _ => None,
            },
            ClientError::Refused(refusal) => match refusal.code.as_str() {
                "forbidden" => Some("the namespace does not allow it, nor does the token grant it"),
                "not_found" => Some("the server's configuration has no such [namespace.NAME]"),
                "unauthorized" => Some("give a token with --token or TIDINGS_TOKEN"),
                _ => None,
            },
            ClientError::Upgrade(404, _) => Some("is this the address of a Tidings server?"),
            ClientError::Protocol(_) => {
                Some("is this the address of a Tidings server, and https where it has TLS?")
            }
            _ => None,
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CliError::Client(error) => error.fmt(f),
            CliError::Config(error) => error.fmt(f),
            CliError::Io(error) => error.fmt(f),
            CliError::Mint(error) => error.fmt(f),
            CliError::Run(error) => error.fmt(f),
            CliError::Said => Ok(()),
            CliError::Usage(why) => f.write_str(why),
        }
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<MintError> for CliError {
    fn from(error: MintError) -> Self {
        Self::Mint(error)
    }
}

impl From<RunError> for CliError {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}
