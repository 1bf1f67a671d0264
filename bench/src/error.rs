//! What can go wrong, by whose fault.

use std::io;
use std::path::PathBuf;

/// Why a run could not be made. What a run *finds* (lost events, a missed target) is not an error:
/// it stands in the report and in the exit code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's: options that do not make sense together, or a URL that cannot be read.
    #[error("{0}")]
    Usage(String),
    /// The system's: a call failed.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The server's: it did not do what the protocol says.
    #[error("the server {0}")]
    Server(String),
    /// A saved run that cannot be read.
    #[error("{path}: {source}")]
    Saved {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
}

impl Error {
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    pub(crate) fn server(text: impl Into<String>) -> Self {
        Self::Server(text.into())
    }

    /// For `map_err`: what was tried.
    pub(crate) fn system<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::System { what, source: source.into() }
    }
}

/// What everything here answers.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;
