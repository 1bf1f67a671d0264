//! What both sides of a connection are told from outside: who they are and what they may use.

/// Which end of the connection this is. Clients mask their frames, servers do not (RFC 6455
/// section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The end which opened the connection.
    Client,
    /// The end which accepted it.
    Server,
}

impl Role {
    /// The other end.
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// Limits on what a peer may make us hold (RFC 6455 section 10.4).
///
/// One value is shared by all connections: it is lent to each [`read`](crate::Decoder::read), so
/// that no connection spends memory on a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Payload bytes of one frame. Checked against the declared length, before any byte of it
    /// has arrived.
    pub max_frame: usize,
    /// Payload bytes of one message over all its frames. A compressed message is measured twice:
    /// by what arrives and by what it inflates to.
    pub max_message: usize,
    /// Frames of one message. It is what ends an endless row of empty continuation frames, which
    /// the limits on bytes never would.
    pub max_fragments: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_frame: 1 << 20, max_message: 1 << 20, max_fragments: 1024 }
    }
}
