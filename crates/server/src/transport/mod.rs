//! From the listening socket to a shard: accepting, TLS, HTTP, the upgrade.

pub(crate) mod accept;
pub(crate) mod certificate;
mod editor;
mod fallback;
pub(crate) mod http;
pub(crate) mod link;
pub(crate) mod origin;
pub(crate) mod positions;
#[cfg_attr(not(target_os = "linux"), path = "no_ring.rs")]
pub(crate) mod ring;
mod socket;
pub(crate) mod stream;
mod takeover;
pub(crate) mod tls;
mod upgrade;

pub(crate) use fallback::{BODY_BYTES, collect};
pub(crate) use upgrade::bearer;
