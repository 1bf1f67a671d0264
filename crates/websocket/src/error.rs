//! What a peer can do wrong, by kind, and the close code each is answered with.

use std::fmt;

use crate::close::close_code;

/// Why a connection must be failed (RFC 6455 section 7.1.7). The variants say who is at fault,
/// and all of these are the peer's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer sent a payload which is not what its frame says it is.
    InvalidPayload(InvalidPayload),
    /// The peer kept to the protocol and asked for more than our [`Config`](crate::Config)
    /// allows.
    LimitExceeded(Limit),
    /// The peer broke the protocol.
    PeerMisbehaved(Misbehaviour),
}

impl Error {
    /// The status code of the Close frame to send before closing (RFC 6455 section 7.4.1).
    pub const fn close_code(self) -> u16 {
        match self {
            Self::InvalidPayload(_) => close_code::INVALID_PAYLOAD,
            Self::LimitExceeded(_) => close_code::TOO_BIG,
            Self::PeerMisbehaved(_) => close_code::PROTOCOL_ERROR,
        }
    }
}

/// How a payload can differ from what its frame announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidPayload {
    /// A compressed message is not DEFLATE data (RFC 7692 section 7.2.2).
    Deflate,
    /// A text message or the reason of a Close frame is not UTF-8 (RFC 6455 section 8.1).
    Utf8,
}

/// Which limit of the [`Config`](crate::Config) a peer ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// A message of more frames than `max_fragments`.
    Fragments,
    /// A frame longer than `max_frame`.
    Frame,
    /// A message which inflates to more than `max_message`.
    Inflated,
    /// A message longer than `max_message` as it arrives.
    Message,
}

/// The rules of RFC 6455 a peer can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misbehaviour {
    /// A Close frame with a status code that must not be sent (section 7.4).
    BadCloseCode(u16),
    /// A control frame of more than 125 bytes (section 5.5).
    ControlTooLong,
    /// A control frame in pieces (section 5.5).
    FragmentedControl,
    /// A 64-bit length with its top bit set (section 5.2).
    LengthTopBit,
    /// A client's frame without a mask (section 5.1).
    MaskMissing,
    /// A server's frame with a mask (section 5.1).
    MaskUnexpected,
    /// A length written with more bytes than it needs (section 5.2).
    NonMinimalLength,
    /// A reserved bit which no negotiated extension gives a meaning (section 5.2).
    ReservedBits,
    /// A reserved opcode (section 5.2).
    ReservedOpcode(u8),
    /// A Close frame with a single byte of payload, half a status code (section 5.5.1).
    TruncatedCloseCode,
    /// A continuation frame with nothing to continue (section 5.4).
    UnexpectedContinuation,
    /// A new message before the last one was finished (section 5.4).
    UnfinishedMessage,
}

impl From<InvalidPayload> for Error {
    fn from(fault: InvalidPayload) -> Self {
        Self::InvalidPayload(fault)
    }
}

impl From<Limit> for Error {
    fn from(limit: Limit) -> Self {
        Self::LimitExceeded(limit)
    }
}

impl From<Misbehaviour> for Error {
    fn from(fault: Misbehaviour) -> Self {
        Self::PeerMisbehaved(fault)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidPayload(fault) => write!(f, "invalid payload: {fault}"),
            Self::LimitExceeded(limit) => write!(f, "limit exceeded: {limit}"),
            Self::PeerMisbehaved(fault) => write!(f, "protocol error: {fault}"),
        }
    }
}

impl fmt::Display for InvalidPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deflate => "bad compressed data",
            Self::Utf8 => "bad UTF-8",
        })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fragments => "too many fragments",
            Self::Frame => "frame too long",
            Self::Inflated => "message too long when inflated",
            Self::Message => "message too long",
        })
    }
}

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadCloseCode(code) => return write!(f, "close code {code} must not be sent"),
            Self::ControlTooLong => "control frame too long",
            Self::FragmentedControl => "fragmented control frame",
            Self::LengthTopBit => "frame length beyond 63 bits",
            Self::MaskMissing => "unmasked client frame",
            Self::MaskUnexpected => "masked server frame",
            Self::NonMinimalLength => "frame length not in its shortest form",
            Self::ReservedBits => "reserved bit set",
            Self::ReservedOpcode(code) => return write!(f, "reserved opcode {code}"),
            Self::TruncatedCloseCode => "close code cut short",
            Self::UnexpectedContinuation => "continuation of nothing",
            Self::UnfinishedMessage => "message inside another message",
        })
    }
}

impl std::error::Error for Error {}
