//! The same session in HTTP requests: Server-Sent Events and long-polling.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod hostile;
mod http;
mod http2;
mod source;
mod takeover;
mod talking;
