//! A client of Tidings for Rust programs: the command line and the tests use it.
//!
//! - [`Client`]: one connection; [`Client::request`] waits for the answer to a command, while
//!   [`Client::recv`] hands out what the server pushes;
//! - [`Reconnecting`]: comes back after a lost connection, keeps subscriptions with their
//!   positions, and publishes exactly once;
//! - [`Address`]: the forms in which a server's address may be written.
//!
//! There is no task in the background: a connection lives while one of its futures is polled. All
//! of them may be dropped at any time (in `select!`) without losing anything.
//!
//! ```no_run
//! # async fn example() -> Result<(), tidings_client::Error> {
//! use tidings_client::{Client, Options};
//!
//! let mut client = Client::connect("http://localhost:8000", &Options::default()).await?;
//! let fields = serde_json::json!({ "channel": "chat:lobby", "rewind": 10 });
//! client.request("subscribe", fields).await?;
//! loop {
//!     println!("{}", client.recv().await?.text());
//! }
//! # }
//! ```

mod address;
mod backoff;
mod client;
mod error;
pub mod machine;
mod outbox;
mod reconnecting;
mod socket;
mod tls;
mod upgrade;

pub use address::{Address, InvalidAddress};
pub use backoff::Backoff;
pub use client::{Client, Frame, Options, Welcome};
pub use error::{Closed, Error, Refusal};
pub use reconnecting::{Happening, Reconnecting, Subscription};
pub use tls::Trust;
