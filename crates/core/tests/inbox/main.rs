//! Inboxes: who is told what, and what is kept of it.

#![allow(clippy::unwrap_used, clippy::float_cmp, reason = "stories, told briefly")]

mod cursors;
mod desk;
mod notifying;
mod pushing;
mod random;
mod storing;
