//! What the commands that talk to a server have in common.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tidings_client::{Address, Options, Token, Trust};
use tidings_proto::ChannelName;
use tokio::runtime::{Builder, Runtime};

use super::error::CliError;

/// Which server, and as whom.
#[derive(Args)]
pub(super) struct Remote {
    /// The server: http://localhost:8000, wss://example.com/socket, localhost:8000
    #[arg(value_name = "URL")]
    pub(super) address: Address,
    /// A token (JWT); without one you are anonymous, if the server allows that
    #[arg(long, env = "TIDINGS_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Trust the certificates in this PEM file, and no others
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Trust any certificate: for a self-signed one on your own machine, nowhere else
    #[arg(long, conflicts_with = "ca")]
    insecure: bool,
    /// How long connecting may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(super) timeout: u64,
}

/// Without the token.
impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Remote {
    pub(super) fn options(&self) -> Options {
        Options {
            token: self.token.clone().filter(|token| !token.is_empty()).map(Token::from),
            client: concat!("tidings-cli/", env!("CARGO_PKG_VERSION")).into(),
            trust: match &self.ca {
                _ if self.insecure => Trust::Anybody,
                Some(file) => Trust::File(file.clone()),
                None => Trust::Web,
            },
            timeout: Duration::from_secs(self.timeout),
            ..Options::default()
        }
    }
}

/// A runtime for one connection.
pub(super) fn runtime() -> Result<Runtime, CliError> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// A channel's name, for the command line.
pub(super) fn parse_channel(text: &str) -> Result<String, String> {
    match ChannelName::parse(text, 255) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error}; write chat:lobby, say")),
    }
}
