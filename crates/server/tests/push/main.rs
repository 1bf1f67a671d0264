//! Web Push through the binary: its configuration, its key, what it sends, and the service worker
//! of the documentation. What is hard to reach from outside is tested in `src/push/tests.rs`.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "stories, told briefly")]

#[path = "../common/mod.rs"]
mod common;
mod config;
mod example;
#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../api/http.rs"]
mod http;
#[allow(dead_code, reason = "other tests use the rest of it")]
mod service;
mod stories;
