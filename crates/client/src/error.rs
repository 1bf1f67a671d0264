//! What can go wrong, by who must do something about it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::InvalidAddress;

/// Why something did not work.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The address is none.
    Address(InvalidAddress),
    /// Too many commands wait for a connection.
    Busy,
    /// The certificate file to trust cannot be used: why.
    Certificate(String),
    /// The server ended the connection, and said why.
    Closed(Closed),
    /// No connection could be made to this address.
    Connect(String, Arc<io::Error>),
    /// The client was closed by this program.
    Ended,
    /// A publish could not be sent in time; it was not stored.
    Expired,
    /// The data cannot be made JSON: why.
    Json(String),
    /// The connection broke off.
    Lost(Arc<io::Error>),
    /// There is no connection now.
    NotConnected,
    /// Too many publishes wait.
    OutboxFull,
    /// The server sent something that no Tidings server sends: what.
    Protocol(String),
    /// The server refused a command.
    Refused(Box<Refusal>),
    /// Nothing came in time: for what was waited.
    Timeout(&'static str),
    /// The program gave no token: why.
    Token(String),
    /// A publish was sent and is perhaps stored: the connection was lost, and the server no longer
    /// remembers.
    Unconfirmed,
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

impl Refusal {
    /// What the server would say, said without asking it.
    pub(crate) fn own(code: &str, message: String) -> Self {
        Self {
            code: code.into(),
            message,
            retryable: false,
            retry_after: None,
            expected: None,
            path: None,
        }
    }
}

impl Error {
    /// Whether trying again by itself makes sense: not after a refusal that was meant for good.
    pub fn is_final(&self) -> bool {
        match self {
            Error::Closed(closed) => !closed.reconnect,
            Error::Upgrade(status, _) => (400..500).contains(status) && *status != 429,
            Error::Refused(refusal) => !refusal.retryable,
            Error::Address(_)
            | Error::Certificate(_)
            | Error::Ended
            | Error::Expired
            | Error::Json(_)
            | Error::Unconfirmed
            | Error::Token(_) => true,
            Error::Busy
            | Error::Connect(..)
            | Error::Lost(_)
            | Error::NotConnected
            | Error::OutboxFull
            | Error::Protocol(_)
            | Error::Timeout(_) => false,
        }
    }

    /// The code of a refused command.
    pub fn code(&self) -> Option<&str> {
        match self {
            Error::Refused(refusal) => Some(&refusal.code),
            _ => None,
        }
    }

    pub(crate) fn connect(address: &str, error: io::Error) -> Self {
        Error::Connect(address.to_owned(), Arc::new(error))
    }

    pub(crate) fn lost(error: impl Into<io::Error>) -> Self {
        Error::Lost(Arc::new(error.into()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Address(error) => error.fmt(f),
            Error::Busy => f.write_str("too many commands wait for a connection"),
            Error::Certificate(why) => write!(f, "cannot use the certificate: {why}"),
            Error::Closed(closed) => closed.fmt(f),
            Error::Connect(address, error) => write!(f, "cannot connect to {address}: {error}"),
            Error::Ended => f.write_str("the client is closed"),
            Error::Expired => f.write_str("it could not be sent in time"),
            Error::Json(why) => write!(f, "the data is no JSON: {why}"),
            Error::Lost(error) => write!(f, "the connection broke off: {error}"),
            Error::NotConnected => f.write_str("there is no connection now"),
            Error::OutboxFull => f.write_str("too many publishes wait: is there no connection?"),
            Error::Protocol(what) => write!(f, "not a Tidings server? {what}"),
            Error::Refused(refusal) => refusal.fmt(f),
            Error::Timeout(what) => write!(f, "timed out: {what}"),
            Error::Token(why) => write!(f, "there is no token: {why}"),
            Error::Unconfirmed => f.write_str("it was sent, and perhaps stored"),
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
