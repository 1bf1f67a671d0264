//! The attacks of docs/security.md, one story for each row of its tables that has none elsewhere.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[path = "../api/http.rs"]
#[allow(dead_code, reason = "each test uses a part of this")]
mod backend;
#[path = "../common/mod.rs"]
mod common;
#[path = "../fallback/http.rs"]
#[allow(dead_code, reason = "each test uses a part of this")]
mod http;

mod frames;
mod handshake;
mod http2;
mod identity;
mod isolation;
mod logs;
mod neighbours;
mod noisy;
mod page;
mod ports;
mod revoked;
mod waiting;
