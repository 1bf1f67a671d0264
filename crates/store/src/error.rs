//! What opening a log says: an error, or a report of what was found.

use std::io;
use std::sync::Arc;

use tidings_core::store::StoreError;

/// Why a log could not be opened. Damage is not among the reasons: it is handled and reported.
#[derive(Debug)]
pub enum OpenError {
    /// Another process has the folder open.
    Locked(String),
    /// The disk failed, or the folder may not be read or written.
    Io(io::Error),
    /// What was decided about damage could not be written; nothing may be served before it is.
    Decide(StoreError),
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OpenError::Locked(dir) => {
                write!(f, "{dir} is in use by another server: give each server its own folder")
            }
            OpenError::Io(e) => write!(f, "the log cannot be read: {e}"),
            OpenError::Decide(e) => write!(f, "the repair of the log cannot be written: {e}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Locked(_) => None,
            OpenError::Io(e) => Some(e),
            OpenError::Decide(e) => Some(e),
        }
    }
}

impl From<io::Error> for OpenError {
    fn from(e: io::Error) -> OpenError {
        OpenError::Io(e)
    }
}

/// What was found when a log was opened. Worth a line in the server's log each time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Channels known after opening.
    pub channels: u64,
    /// Events kept after opening.
    pub events: u64,
    /// Segments of the log.
    pub segments: u64,
    /// Bytes of the log.
    pub bytes: u64,
    /// Bytes of a last batch that was being written when the power or the process went away. It
    /// was never acknowledged; it is left out and no epoch changed because of it.
    pub torn_bytes: u64,
    /// The log was closed with [`crate::LogStore::close`] before.
    pub clean: bool,
    /// Damage found, in words, one line each; empty for a sound log.
    pub damage: Vec<String>,
    /// Every channel got a new epoch: what was lost cannot be told apart by channel.
    pub all_renewed: bool,
    /// The channels that got a new epoch one by one.
    pub renewed: Vec<Arc<str>>,
    /// Damaged channels of which nothing is left, not even the name.
    pub vanished: u64,
}

/// A failed write or sync in the port's words.
pub(crate) fn store_error(what: &str, e: &io::Error) -> StoreError {
    use io::ErrorKind as E;
    if matches!(e.kind(), E::FileTooLarge | E::QuotaExceeded | E::StorageFull) {
        return StoreError::Full;
    }
    StoreError::Io(format!("{what}: {e}"))
}
