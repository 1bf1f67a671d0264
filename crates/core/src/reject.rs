//! Refusals: what is said to a client whose command cannot be done.

use std::borrow::Cow;

use bytes::Bytes;
use tidings_proto::{ErrorCode, Frame};

/// Why a command was refused; becomes an `error` frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Whose fault it is.
    pub code: ErrorCode,
    /// For the developer who reads it.
    pub message: Cow<'static, str>,
    /// Where in `data` (JSON Pointer).
    pub path: Option<Box<str>>,
    /// The limit that was met.
    pub limit: Option<&'static str>,
    /// The sequence number that would follow.
    pub expected: Option<u64>,
    /// The version that a key has.
    pub version: Option<u64>,
    /// Milliseconds after which it may succeed.
    pub retry_after: Option<u64>,
}

impl Reject {
    pub(crate) fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            path: None,
            limit: None,
            expected: None,
            version: None,
            retry_after: None,
        }
    }

    pub(crate) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }

    pub(crate) fn forbidden(what: &'static str) -> Self {
        Self::new(ErrorCode::Forbidden, what)
    }

    pub(crate) fn too_large(what: &str, limit: &'static str, max: usize) -> Self {
        let message = format!("{what} is over its limit of {max} bytes");
        Self { limit: Some(limit), ..Self::new(ErrorCode::TooLarge, message) }
    }

    pub(crate) fn limit(what: &str, limit: &'static str, max: usize) -> Self {
        let message = format!("{what}: the limit is {max}");
        Self { limit: Some(limit), ..Self::new(ErrorCode::LimitExceeded, message) }
    }

    /// Somebody was faster; `version`: what the key has now, 0 if it is absent.
    pub(crate) fn conflict(version: u64) -> Self {
        let message = "the key has changed since `if_version`";
        Self { version: Some(version), ..Self::new(ErrorCode::Conflict, message) }
    }

    pub(crate) fn unavailable() -> Self {
        Self::later("the store cannot take it now; try again")
    }

    /// It may succeed in a second.
    pub(crate) fn later(message: impl Into<Cow<'static, str>>) -> Self {
        Self { retry_after: Some(1000), ..Self::new(ErrorCode::Unavailable, message) }
    }

    /// The backend that has to be asked does not answer.
    pub(crate) fn no_advice() -> Self {
        Self::later("the application's backend does not answer; try again")
    }

    /// The `error` frame.
    pub fn encode(&self, id: Option<u64>, channel: Option<&str>) -> Bytes {
        Frame::Error {
            id,
            code: self.code,
            message: &self.message,
            retryable: self.code.retryable(),
            channel,
            path: self.path.as_deref(),
            limit: self.limit,
            expected: self.expected,
            version: self.version,
            retry_after: self.retry_after,
        }
        .encode()
    }
}
