//! A client of Tidings for Rust programs, on Tokio. The command line of the server uses it, too.
//!
//! - [`Client`]: one connection, which comes back by itself; cheap to clone;
//! - [`Channel`]: subscribe, publish, read history, be present;
//! - [`Subscription`]: a stream of what comes, without a silent gap through lost connections;
//! - [`Status`]: where the connection is;
//! - [`Address`]: the forms in which a server's address may be written.
//!
//! It has the rules of the TypeScript SDK: the same [`machine`] for its connection, tested by the
//! same vectors, and the same outbox, by which each publish is stored exactly once and in order. It
//! speaks WebSocket only: what keeps WebSockets from passing stands in front of browsers.
//!
//! Everything has a bound: [`OutboxLimits`], [`Options::buffer`], and what the server allows.
//!
//! ```no_run
//! # async fn example() -> Result<(), tidings_client::Error> {
//! use serde_json::json;
//! use tidings_client::{Client, Options, Push};
//!
//! let client = Client::connect("http://localhost:8000", Options::default()).await?;
//! let lobby = client.channel("chat:lobby");
//! let mut subscription = lobby.subscribe().rewind(10).await?;
//! lobby.publish(json!({ "text": "Hello" })).await?;
//! while let Some(push) = subscription.next().await {
//!     match push? {
//!         Push::Event(event) => println!("{}: {}", event.user, event.data()),
//!         Push::Gap(gap) => println!("events are missing up to {}", gap.to),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod address;
mod amend;
mod channel;
mod client;
mod driver;
mod error;
mod frame;
pub mod machine;
mod options;
mod outbox;
mod push;
mod socket;
mod subscription;
mod tls;
mod upgrade;

pub use address::{Address, InvalidAddress};
pub use amend::{Amend, Amended, Amendment, Reaction, Reactions};
pub use channel::{Channel, History, Publish, Published, Subscribe};
pub use client::{Client, Status};
pub use error::{Closed, Error, Refusal};
pub use frame::{Ack, Frame, Limits, Position, Welcome};
pub use machine::{Backoff, Jitter, TokenReason};
pub use options::{Options, Token, TokenError};
pub use outbox::OutboxLimits;
pub use push::{Change, Event, Gap, Member, Members, Page, Push, Subscribed};
pub use subscription::Subscription;
pub use tls::Trust;
