//! Web Push through the binary: its configuration, its key, and the service worker of the
//! documentation. What it sends is tested in `src/push/tests.rs`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod config;
mod example;
