//! The engine of Tidings, sans-IO: every rule of channels, sessions and presence.
//!
//! [`Engine`] takes what happened (a frame came, the store answered, time passed) and says what to
//! do ([`Effect`]). It has no socket, no clock, no thread and no random source: a driver gives it
//! the time and a seed. The same engine runs in the server and, under virtual time, in the
//! simulation.
//!
//! - [`engine`]: one shard: its sessions, and the channels whose home it is;
//! - `channel`: one channel: order, history, exactly-once, presence;
//! - `document`: one collaborative document: what its log makes;
//! - [`policy`], [`identity`]: who may do what;
//! - [`Meter`]: how fast somebody may ask;
//! - [`PushService`]: whether and where a notification is pushed;
//! - [`store`]: the port to whatever keeps channels;
//! - [`Limits`]: every limit, once.

mod channel;
pub mod document;
pub mod engine;
pub mod identity;
mod limits;
mod meter;
mod period;
pub mod policy;
mod push;
mod reject;
mod rng;
pub mod store;

pub use engine::{Effect, Engine};
pub use limits::{DocumentLimits, Limits};
pub use meter::Meter;
pub use period::Period;
pub use push::{PushAnswer, PushDue, PushService, PushSubscription, PushText};
pub use reject::Reject;
