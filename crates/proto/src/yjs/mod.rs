//! What editors of Yjs documents say: bytes, without the documents themselves.
//!
//! - [`Reader`]: the primitives, as the npm package `lib0` writes them;
//! - [`check_update`], [`check_vector`]: whether bytes of a stranger may be given to a decoder;
//! - [`split`]: one update as several;
//! - [`sync`]: the messages of `y-websocket`; [`hocuspocus`]: those of Hocuspocus;
//! - [`aware`]: who is there, where their cursors are.
//!
//! Updates and vectors are of version 1 throughout: no protocol spoken here sends version 2.

pub mod aware;
mod depth;
mod fit;
mod guard;
pub mod hocuspocus;
mod lib0;
mod split;
pub mod sync;
mod walk;

use std::fmt;

pub use depth::levels;
pub use fit::{Fit, fit};
pub use guard::{Shape, UpdateLimits, check_update, check_vector, crowd, erasure, for_each_client};
pub use lib0::{Reader, put_bytes, put_string, put_var_uint};
pub use split::split;

/// The update that changes nothing.
pub const EMPTY_UPDATE: &[u8] = &[0, 0];

/// The state vector of a document without content.
pub const EMPTY_VECTOR: &[u8] = &[0];

/// The largest client number and the largest length: what JavaScript can count to.
pub(crate) const MAX_NUMBER: u64 = (1 << 53) - 1;

/// The largest clock, and the largest sum of a clock and a length: what decoders keep in 31 bits.
pub(crate) const MAX_CLOCK: u64 = (1 << 31) - 1;

/// What is wrong with bytes that a stranger sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They end in the middle of something.
    Short,
    /// They go on behind the end.
    Trailing,
    /// A number is larger than it may be.
    Number,
    /// A string is not UTF-8.
    Text,
    /// Something that has to be JSON is none.
    Json,
    /// A count says more than the bytes can hold.
    Count,
    /// Nothing that is known here.
    Unknown,
    /// A struct without length.
    Empty,
    /// A client is listed twice, or ranges are not in order.
    Order,
    /// Over the limit of this name.
    Limit(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Short => "it ends too early",
            Fault::Trailing => "something stands behind its end",
            Fault::Number => "a number is too large",
            Fault::Text => "a string is not UTF-8",
            Fault::Json => "something is not JSON",
            Fault::Count => "a count is larger than what follows",
            Fault::Unknown => "something of an unknown kind is in it",
            Fault::Empty => "something in it has no length",
            Fault::Order => "a client is in it twice, or ranges are out of order",
            Fault::Limit(limit) => return write!(f, "it is over the limit `{limit}`"),
        })
    }
}

impl std::error::Error for Fault {}
