//! Live data, with real sockets and a real disk.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "stories, told briefly")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../api/http.rs"]
#[expect(dead_code, reason = "it has a configuration of its own")]
mod http;

mod api;
mod crash;
mod joining;
mod map;
mod slow;
