//! From the listening socket to a shard: accepting, TLS, HTTP, the upgrade.

pub(crate) mod accept;
pub(crate) mod http;
pub(crate) mod origin;
pub(crate) mod stream;
pub(crate) mod tls;
mod upgrade;
