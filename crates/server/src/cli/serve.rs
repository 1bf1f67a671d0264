//! `tidings dev` and `tidings serve`: a server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::error::CliError;
use super::logging::Logging;
use crate::config::{ApiKey, Config, ConfigError, Secret, StoreKind, Tls};
use crate::telemetry::{self, Telemetry};
use crate::{Again, RunError, Start, secret};

/// Run a server for trying out: open to anyone, with a page to open in a browser
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tidings dev                           http://localhost:8000, data in ./tidings-data
  tidings dev --port 9000 --data /tmp/x
  tidings dev --tls self-signed         https, with a certificate of its own
  tidings dev --config tidings.toml     your namespaces, and the page

Without --config there are the namespaces chat (durable) and cast (in memory), open to anyone.
RUST_LOG=debug shows more. Ctrl-C stops it.")]
pub(super) struct DevArgs {
    /// The configuration, instead of the built-in one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// With --listen, lets others in too: to the page, the metrics and all that is open to anyone
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    logging: Logging,
}

/// Run a server as a file says
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tidings config default > tidings.toml && tidings serve --config tidings.toml
  tidings serve --config /etc/tidings/tidings.toml --listen 0.0.0.0:8000 --log-format json

What is given here goes before what the file says. RUST_LOG=debug shows more.
SIGHUP reads the file again; SIGTERM lets clients go one after the other; Ctrl-C stops it.")]
pub(super) struct ServeArgs {
    /// The configuration: one TOML file
    #[arg(long, value_name = "FILE", env = "TIDINGS_CONFIG")]
    config: PathBuf,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    logging: Logging,
}

/// What the command line changes in a configuration.
#[derive(Args, Clone, Debug)]
struct Changes {
    /// The port to listen on, instead of the configuration's
    #[arg(long, short)]
    port: Option<u16>,
    /// The address to listen on, as 0.0.0.0:8000
    #[arg(long, value_name = "ADDRESS", conflicts_with = "port")]
    listen: Option<SocketAddr>,
    /// Where to keep data on disk
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Speak TLS
    #[arg(long, value_name = "KIND")]
    tls: Option<TlsKind>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TlsKind {
    /// With a certificate that it makes for itself, for trying out
    SelfSigned,
}

impl Changes {
    fn apply(&self, config: &mut Config) -> Result<(), std::io::Error> {
        if let Some(listen) = self.listen {
            config.server.listen = listen;
        }
        if let Some(port) = self.port {
            config.server.listen.set_port(port);
        }
        if let Some(data) = &self.data {
            // Relative to where the command was typed, not to the configuration.
            config.store.path = std::path::absolute(data)?;
        }
        if let Some(TlsKind::SelfSigned) = self.tls {
            config.server.tls = Some(Tls { self_signed: true, ..Tls::default() });
        }
        Ok(())
    }
}

/// How a server is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// For trying out; whether other machines may, too.
    Dev {
        open: bool,
    },
    Serve,
}

pub(super) fn dev(args: DevArgs) -> Result<(), CliError> {
    start(args.config, args.changes, args.logging, Mode::Dev { open: args.open })
}

/// A development server has no secrets from whoever reaches it.
fn stay_inside(config: &Config) -> Result<(), RunError> {
    let listen = config.server.listen;
    if listen.ip().is_loopback() || config.server.open {
        return Ok(());
    }
    let what = format!("{listen} is reached from other machines, and `tidings dev` is open to all");
    let remedy = "use a loopback address, or `tidings serve`; if it is meant, add --open";
    Err(RunError::Config(ConfigError {
        problems: vec![config.problem("server.listen", what, remedy)],
    }))
}

/// The API key that a development server has of its own.
struct DevKey {
    secret: Secret,
    /// The file that it is in.
    path: PathBuf,
}

/// A development server that only this machine reaches has an API key of its own.
fn allow_api(config: &mut Config) -> Result<Option<DevKey>, RunError> {
    let on_disk = config.store.kind == StoreKind::Disk;
    if !config.api.key.is_empty() || !config.server.listen.ip().is_loopback() || !on_disk {
        return Ok(None);
    }
    let dir = config.base_dir().join(&config.store.path);
    let secret = Secret::new(secret::dev_api_key(&dir).map_err(RunError::Io)?);
    let (name, known) = ("dev".into(), Some(secret.clone()));
    config.api.key.push(ApiKey { name, secret: known, ..ApiKey::default() });
    // Without the `./.` of a folder beside the current one.
    let path = dir.join("api-key").components().collect();
    Ok(Some(DevKey { secret, path }))
}

pub(super) fn serve(args: ServeArgs) -> Result<(), CliError> {
    start(Some(args.config), args.changes, args.logging, Mode::Serve)
}

/// The configuration with what the command line changes in it, and the key of a development
/// server's API.
fn read(
    file: Option<&Path>,
    changes: &Changes,
    mode: Mode,
) -> Result<(Config, Option<DevKey>), RunError> {
    let mut config = match file {
        Some(path) => Config::load(path).map_err(RunError::Config)?,
        None => Config::dev(),
    };
    changes.apply(&mut config).map_err(RunError::Io)?;
    let Mode::Dev { open } = mode else { return Ok((config, None)) };
    config.server.page = true;
    config.server.open |= open;
    stay_inside(&config)?;
    let key = allow_api(&mut config)?;
    Ok((config, key))
}

fn start(
    file: Option<PathBuf>,
    changes: Changes,
    logging: Logging,
    mode: Mode,
) -> Result<(), CliError> {
    let (config, api_key) = read(file.as_deref(), &changes, mode)?;
    let base_dir = config.base_dir();
    let last_words = telemetry::last_words(&config);
    let telemetry = Telemetry::start(&config.telemetry, &base_dir);
    let telemetry = telemetry.map_err(|why| RunError::Io(std::io::Error::other(why)))?;
    logging.start(telemetry.as_ref());
    for doubt in config.check(&base_dir)? {
        logging.doubt(&doubt);
    }
    if let Some(DevKey { path, .. }) = &api_key {
        println!("The key of its HTTP API is in {}", path.display());
    }
    let again = file.map(|file| -> Again {
        Box::new(move || read(Some(&file), &changes, mode).map(|(config, _)| config))
    });
    let (dev, console_key) = (mode != Mode::Serve, api_key.map(|key| key.secret));
    let ended = crate::run(Start { config, base_dir, dev, console_key, again });
    if let Some(telemetry) = telemetry {
        telemetry.end(last_words);
    }
    Ok(ended?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_goes_before_the_file() {
        let mut config = Config::dev();
        let changes = Changes {
            port: Some(9000),
            listen: None,
            data: Some("/tmp/x".into()),
            tls: Some(TlsKind::SelfSigned),
        };
        changes.apply(&mut config).unwrap();
        assert_eq!(config.server.listen, "127.0.0.1:9000".parse().unwrap());
        assert_eq!(config.store.path, PathBuf::from("/tmp/x"));
        assert!(config.server.tls.unwrap().self_signed);
    }
}
