//! What operators rely on: metrics, probes, deploys, changed configurations, logs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod collector;
#[path = "../common/mod.rs"]
mod common;
mod drain;
mod http;
mod logs;
mod metrics;
mod reload;
mod reload_load;
mod systemd;
mod telemetry;
