//! Webhooks against backends of every kind: what they are told is signed, in order, and complete,
//! however often they fail and whenever the server is killed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod backend;
#[path = "../common/mod.rs"]
mod common;
mod config;
mod crash;
mod example;
mod faults;
mod telling;
