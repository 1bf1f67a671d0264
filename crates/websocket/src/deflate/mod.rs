//! Per-message compression: permessage-deflate (RFC 7692).

mod codec;
mod header;
mod negotiate;

pub use codec::{Deflater, Inflater};
pub use negotiate::{DeflateConfig, DeflateParams};

/// The largest window there is: 2 to the 15 bytes.
const MAX_WINDOW_BITS: u8 = 15;

/// The smallest window zlib can compress with, though the RFC allows 8.
const MIN_WINDOW_BITS: u8 = 9;
