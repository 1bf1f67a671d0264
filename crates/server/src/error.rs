//! Why a server did not start or had to stop.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tidings_store::OpenError;

use crate::auth::KeyError;
use crate::config::ConfigError;
use crate::transport::tls::TlsError;

/// An error of [`run`](crate::run()). Each says what to do about it.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// A key of the API cannot be used.
    Api(String),
    /// The configuration cannot be used.
    Config(ConfigError),
    /// What the server may call cannot be used.
    Egress(String),
    /// The operating system refused something.
    Io(io::Error),
    /// Keys that tokens are signed with cannot be used.
    Keys(Vec<KeyError>),
    /// The address cannot be listened on.
    Listen(SocketAddr, io::Error),
    /// The store in this folder cannot be opened.
    Store(PathBuf, OpenError),
    /// The certificate or its key cannot be used.
    Tls(TlsError),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Api(why) | RunError::Egress(why) => f.write_str(why),
            RunError::Config(error) => error.fmt(f),
            RunError::Io(error) => error.fmt(f),
            RunError::Keys(errors) => errors.iter().try_for_each(|error| writeln!(f, "{error}")),
            RunError::Listen(address, error) if error.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "{address} is taken by another program\n  choose another --port")
            }
            RunError::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            RunError::Store(dir, error) => write!(f, "the store in {}: {error}", dir.display()),
            RunError::Tls(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RunError {}
