//! Notifications, with real sockets and a real disk.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "stories, told briefly")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../api/http.rs"]
mod http;

mod api;
mod crash;
mod devices;
