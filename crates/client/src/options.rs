//! How to connect.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::machine::{Backoff, TokenReason};
use crate::{OutboxLimits, Trust};

/// How to connect. `Debug` shows neither the token nor the session.
#[derive(Clone)]
pub struct Options {
    /// A JWT, or what makes one; without it the user is anonymous.
    pub token: Option<Token>,
    /// The session of a [`Welcome`](crate::Welcome) of an earlier process: resumes it if it was
    /// lost lately, and gives an anonymous user their name back.
    pub session: Option<String>,
    /// What the server's logs call this program.
    pub client: String,
    /// Whose certificates are trusted.
    pub trust: Trust,
    /// How long connecting may take, until the server's welcome.
    pub timeout: Duration,
    /// How long to wait between attempts.
    pub backoff: Backoff,
    /// How much may wait to be stored.
    pub outbox: OutboxLimits,
    /// Pushes that wait in a [`Subscription`](crate::Subscription) for their reader.
    pub buffer: usize,
    /// A message of the server is not longer than this many bytes.
    pub message_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            token: None,
            session: None,
            client: concat!("tidings-client/", env!("CARGO_PKG_VERSION")).into(),
            trust: Trust::Web,
            timeout: Duration::from_secs(10),
            backoff: Backoff::default(),
            outbox: OutboxLimits::default(),
            buffer: 1024,
            message_bytes: 1 << 20,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("token", &self.token)
            .field("session", &self.session.as_ref().map(|_| ".."))
            .field("client", &self.client)
            .field("trust", &self.trust)
            .field("timeout", &self.timeout)
            .field("backoff", &self.backoff)
            .field("outbox", &self.outbox)
            .finish_non_exhaustive()
    }
}

/// Where tokens (JWT) come from.
///
/// ```
/// use tidings_client::{Token, TokenError};
///
/// let fixed: Token = "eyJ.e30.c2ln".into();
/// let fresh = Token::from_fn(|reason| async move {
///     println!("a token is wanted: {reason:?}");
///     std::fs::read_to_string("token").map_err(|error| TokenError::Later(error.to_string()))
/// });
/// ```
#[derive(Clone)]
pub struct Token(pub(crate) Source);

#[derive(Clone)]
pub(crate) enum Source {
    Fixed(String),
    Function(Arc<dyn Fn(TokenReason) -> Asking + Send + Sync>),
}

pub(crate) type Asking = Pin<Box<dyn Future<Output = Result<String, TokenError>> + Send>>;

impl Token {
    /// Asks this function for a token: before the first connection, when the one there is ends
    /// soon, and once when the server refused it. A question that is no longer of interest is
    /// dropped.
    pub fn from_fn<F, R>(ask: F) -> Self
    where
        F: Fn(TokenReason) -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, TokenError>> + Send + 'static,
    {
        Self(Source::Function(Arc::new(move |reason| Box::pin(ask(reason)))))
    }
}

impl From<String> for Token {
    fn from(token: String) -> Self {
        Self(Source::Fixed(token))
    }
}

impl From<&str> for Token {
    fn from(token: &str) -> Self {
        token.to_owned().into()
    }
}

/// Without the token.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Fixed(_) => "Token(..)",
            Source::Function(_) => "Token(fn)",
        })
    }
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// There will be none: the client stops.
    Refused(String),
    /// Not now: it is asked for again after a while.
    Later(String),
}
