//! The server of Tidings: sockets, threads, clocks and disks around the rules of `tidings-core`.
//!
//! - [`run()`] starts a node: a thread for each shard and one for storage;
//! - `transport`: accepting, TLS, HTTP, the upgrade, sockets;
//! - `acme`: certificates that the server gets by itself;
//! - `api`: the HTTP API for backends; `console`: the page that uses it;
//! - `trace`: what operators follow as it happens;
//! - `egress`: what the server itself calls;
//! - `hooks`: what it asks the application's backend;
//! - `rate`: how fast somebody may ask;
//! - `shard`: one thread's connections and its engine;
//! - `storage`: the thread that commits to the log;
//! - `telemetry`: traces and logs for a collector;
//! - [`config`], [`auth`], [`schema`]: what is configured, who signs in, what data must look like;
//! - [`cli`]: the commands of the binary.

mod acme;
mod api;
pub mod auth;
pub mod cli;
mod clock;
pub mod config;
mod console;
#[allow(dead_code, unused_imports, reason = "webhooks, which come next, use the rest of it")]
mod egress;
mod error;
mod hooks;
mod lifecycle;
pub mod metrics;
mod node;
mod operations;
mod outbound;
mod page;
mod push;
mod rate;
mod reload;
mod run;
pub mod schema;
mod secret;
mod shard;
mod storage;
mod systemd;
mod telemetry;
mod trace;
mod transport;
mod webhooks;

pub use error::RunError;
pub use reload::Again;
pub use run::{Start, run};
pub use transport::tls::TlsError;
