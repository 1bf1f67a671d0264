//! The wire format of Tidings: the one place that knows what a frame looks like.
//!
//! - [`Command`]: what a client sends, decoded from JSON without copying;
//! - [`Frame`]: what a server sends, encoded to JSON;
//! - [`ServerFrame`]: the same, decoded, for clients; [`command`] encodes theirs;
//! - [`ErrorCode`] and [`CloseCode`]: every code there is, once;
//! - [`COMMANDS`], [`FRAMES`], [`catalogue`]: all of this described, for tools and pages;
//! - [`yjs`]: the binary messages of Yjs documents;
//! - [`Timestamp`], [`Epoch`], [`Level`], [`ChannelName`]: the values that frames carry.
//!
//! `docs/protocol.md` is the normative text. No I/O, no async, no clock.

mod amend;
mod catalogue;
mod change;
mod channel;
mod client;
mod codes;
mod decode;
mod document;
mod document_catalogue;
mod encode;
mod inbox;
mod inbox_catalogue;
mod text;
mod values;
mod version;
pub mod yjs;

pub use amend::{Amended, Amendment, Logged, Reaction, Says, author, hide, renew};
pub use catalogue::{COMMANDS, CommandSpec, FRAMES, FieldKind, FieldSpec, catalogue};
pub use change::{Amend, Amending, Write};
pub use channel::{ChannelName, InvalidChannelName};
pub use client::{DecodeServerFrameError, ServerFrame, command};
pub use codes::{CloseCode, ErrorCode};
pub use decode::{Command, CommandBody, DecodeError, InboxQuery, Since, decode, depth_exceeds};
pub use document::{
    AwarenessView, DocumentAwareness, DocumentMerge, DocumentSync, from_base64, to_base64,
};
pub use encode::{Change, Event, Frame, Held, MemberView, Position, WelcomeLimits};
pub use inbox::{Browser, BrowserKeys, CursorView, Hidden, Mark, MarkAs, Secret};
pub use text::Text;
pub use values::{Epoch, InvalidTimestamp, Level, Timestamp};
pub use version::{DocumentVersions, VersionView, Versioning};

/// The WebSocket subprotocol: JSON text frames, version 1.
pub const SUBPROTOCOL: &str = "tidings.v1";
