//! What is measured: a server that runs, or one that is started for the measurement.

use std::path::PathBuf;

use clap::Args;

use crate::error::Result;
use crate::process::Process;
use crate::spawn::Spawned;
use crate::token::Tokens;
use crate::url::Url;

/// Which server, as whom, and where the figures go.
#[derive(Args, Clone, Debug)]
pub struct ServerArgs {
    /// The server.
    #[arg(long, default_value = "ws://127.0.0.1:8000/socket", conflicts_with = "spawn")]
    pub url: String,
    /// A token that all connections use.
    #[arg(long, conflicts_with_all = ["secret", "spawn"])]
    pub token: Option<String>,
    /// The secret of one of the server's HS256 keys: each connection gets a token of its own.
    #[arg(long, conflicts_with = "spawn")]
    pub secret: Option<String>,
    /// The namespace of the channels [default: `chat`; of a started server the one that fits].
    #[arg(long)]
    pub namespace: Option<String>,
    /// The server's process, if it cannot be found by its port.
    #[arg(long, conflicts_with = "spawn")]
    pub server_pid: Option<u32>,
    /// Starts `PATH serve` with a configuration of its own, and ends it afterwards.
    #[arg(long, value_name = "PATH")]
    pub spawn: Option<PathBuf>,
    /// Where a started server keeps its data: a directory on the disk that is to be measured.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// How many shards a started server has [default: one for each core].
    #[arg(long, default_value_t = 0, requires = "spawn", hide_default_value = true)]
    pub shards: usize,
    /// Saves the figures.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// What a scenario needs of the namespace it measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// History in memory.
    History,
    /// Every event on the disk before it is acknowledged.
    Durable,
    /// Values by their keys.
    Live,
}

/// A server to measure.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) url: Url,
    pub(crate) tokens: Tokens,
    pub(crate) namespace: String,
    /// Unless the server is on another machine.
    pub(crate) process: Option<Process>,
    /// Ends with the target.
    spawned: Option<Spawned>,
}

impl Target {
    /// The secret of a server that was started here; also its key of the API.
    pub(crate) fn secret(&self) -> Option<&str> {
        self.spawned.as_ref().map(Spawned::secret)
    }

    /// Kills a server that was started here, and starts it again with its data.
    pub(crate) fn restart(&mut self) -> Result<()> {
        if let Some(spawned) = &mut self.spawned {
            spawned.restart()?;
            self.process = Some(spawned.process());
        }
        Ok(())
    }
}

impl ServerArgs {
    /// Finds or starts the server.
    pub(crate) fn target(&self, need: Need) -> Result<Target> {
        if let Some(path) = &self.spawn {
            let spawned = Spawned::start(path, self.data_dir.as_deref(), self.shards)?;
            let fitting = match need {
                Need::History => "bench",
                Need::Durable => "durable",
                Need::Live => "live",
            };
            return Ok(Target {
                url: Url::parse(&spawned.url())?,
                tokens: Tokens::from_secret(spawned.secret()),
                namespace: self.namespace.clone().unwrap_or_else(|| fitting.to_owned()),
                process: Some(spawned.process()),
                spawned: Some(spawned),
            });
        }
        let url = Url::parse(&self.url)?;
        let tokens = match (&self.token, &self.secret) {
            (Some(token), _) => Tokens::Fixed(token.clone()),
            (None, Some(secret)) => Tokens::from_secret(secret),
            (None, None) => Tokens::None,
        };
        let process = match self.server_pid {
            Some(pid) => Some(Process::new(pid)),
            None if url.address.ip().is_loopback() => Process::listening_on(url.address.port()),
            None => None,
        };
        let namespace = self.namespace.clone().unwrap_or_else(|| "chat".to_owned());
        Ok(Target { url, tokens, namespace, process, spawned: None })
    }
}
