//! What can go wrong, by who must do something about it.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::InvalidAddress;

/// Why something did not work.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The address is none.
    Address(InvalidAddress),
    /// The certificate file to trust cannot be used: why.
    Certificate(String),
    /// The server ended the connection, and said why.
    Closed(Closed),
    /// No connection could be made to this address.
    Connect(String, io::Error),
    /// The connection broke off.
    Lost(io::Error),
    /// The server sent something that no Tidings server sends: what.
    Protocol(String),
    /// The server refused a command.
    Refused(Box<Refusal>),
    /// Nothing came in time: for what was waited.
    Timeout(&'static str),
    /// The server answered the upgrade with this status and text.
    Upgrade(u16, String),
}

/// The server's good-bye.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The close code; 1005 if there was none, 1006 if there was not even a Close frame.
    pub code: u16,
    /// Why, in a word.
    pub reason: String,
    /// Whether to come back.
    pub reconnect: bool,
    /// When to come back, if the server said so.
    pub retry_after: Option<Duration>,
}

/// A command that was refused: an `error` frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One of the protocol's error codes.
    pub code: String,
    /// For the developer.
    pub message: String,
    /// Whether the same command may succeed later.
    pub retryable: bool,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// The sequence number that would have been right.
    pub expected: Option<u64>,
    /// Where `data` does not fit: a JSON Pointer.
    pub path: Option<String>,
}

impl Error {
    /// Whether trying again by itself makes sense: not after a refusal that was meant for good.
    pub fn is_final(&self) -> bool {
        match self {
            Error::Closed(closed) => !closed.reconnect,
            Error::Upgrade(status, _) => (400..500).contains(status) && *status != 429,
            Error::Address(_) | Error::Certificate(_) | Error::Refused(_) => true,
            Error::Connect(..) | Error::Lost(_) | Error::Protocol(_) | Error::Timeout(_) => false,
        }
    }

    /// When the server wants the client back.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Closed(closed) => closed.retry_after,
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Address(error) => error.fmt(f),
            Error::Certificate(why) => write!(f, "cannot use the certificate: {why}"),
            Error::Closed(closed) => closed.fmt(f),
            Error::Connect(address, error) => write!(f, "cannot connect to {address}: {error}"),
            Error::Lost(error) => write!(f, "the connection broke off: {error}"),
            Error::Protocol(what) => write!(f, "not a Tidings server? {what}"),
            Error::Refused(refusal) => refusal.fmt(f),
            Error::Timeout(what) => write!(f, "timed out: {what}"),
            Error::Upgrade(status, text) => {
                write!(f, "the server refused the WebSocket with status {status}")?;
                if text.is_empty() { Ok(()) } else { write!(f, ": {text}") }
            }
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server closed the connection ({}", self.code)?;
        if self.reason.is_empty() { f.write_str(")") } else { write!(f, " {})", self.reason) }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        match &self.path {
            Some(path) if !path.is_empty() => write!(f, " (at {path})"),
            _ => Ok(()),
        }
    }
}
