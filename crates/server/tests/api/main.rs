//! The HTTP API, as a backend uses it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod commands;
#[path = "../common/mod.rs"]
mod common;
mod console;
mod events;
mod http;
mod keys;
mod revoking;
mod stats;
mod trace;
mod users;
