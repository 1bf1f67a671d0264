//! Clients that mean harm, one attack after another. Behind each, others are served as before.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod descriptors;
mod floods;
mod frames;
mod handshake;
mod json;
