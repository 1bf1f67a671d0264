//! The port to Web Push: what a browser is told of a user's notification while the user is away.
//!
//! The engine says that a notification may need a push ([`PushDue`]). A driver waits, asks whether
//! it is still wanted ([`Engine::ask_push`](crate::Engine::ask_push)), and sends it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// Who sends pushes, and what they can send to.
pub trait PushService: fmt::Debug {
    /// The key that a browser subscribes with: `applicationServerKey`, base64url.
    fn key(&self) -> &str;

    /// Whether something can be sent to this subscription.
    ///
    /// # Errors
    /// Why not, for the developer.
    fn check(&self, subscription: &PushSubscription) -> Result<(), String>;
}

/// A browser's subscription, as its `toJSON` says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushSubscription {
    /// Where to send to: a URL that only this browser and we know.
    pub endpoint: Box<str>,
    /// The browser's public key, base64url.
    pub p256dh: Box<str>,
    /// What both know beside it, base64url.
    pub auth: Box<str>,
}

/// A notification that may need a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushDue {
    /// Whose.
    pub user: Arc<str>,
    /// Its id.
    pub id: u64,
}

/// Whether a push is wanted now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushAnswer {
    /// A session of the user is subscribed to the inbox.
    Present,
    /// The store does not answer: it may be asked again.
    Unknown,
    /// The notification is not there, expired, seen, read or archived, or there is no subscription.
    Unwanted,
    /// It is.
    Wanted(Box<PushText>),
}

/// What is pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushText {
    /// The item as its user gets it: JSON.
    pub item: Bytes,
    /// When it expires: milliseconds since 1970.
    pub expires_ms: Option<u64>,
    /// How many items the user has not read.
    pub unread: u64,
    /// Where to.
    pub subscriptions: Vec<PushSubscription>,
}
