//! Clients and servers that come and go: heartbeats, tokens that expire, stopping, full disks.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod disk;
mod heartbeat;
mod pages;
mod shards;
mod stopping;
mod tokens;
