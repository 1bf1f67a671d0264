//! Documents that several edit at once: what is asked of them, and in which dialect.
//!
//! `editor.rs` is the side of connections that speak a protocol of Yjs editors instead of JSON.

mod editor;

use std::sync::Arc;

/// What a session speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// The frames of `docs/protocol.md`.
    #[default]
    Json,
    /// The messages of `y-websocket`: one document for each connection.
    Yjs,
    /// The messages of `@hocuspocus/provider`: each names its document.
    Hocuspocus,
}

/// A connection of an editor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Editor {
    /// [`Dialect::Yjs`].
    Yjs {
        /// The document's channel.
        document: Arc<str>,
    },
    /// [`Dialect::Hocuspocus`].
    Hocuspocus,
}

/// What a session has to do with documents.
#[derive(Debug, Default)]
pub(crate) struct Editing {
    pub(super) dialect: Dialect,
}
