//! How fast somebody may ask, and how many sessions a user may have: counted over all shards of a
//! node, by whoever drives the engines.

use std::fmt;

use crate::engine::{CommandKind, Now};

/// Counts what users do. Asked for each command: it must not wait.
pub trait Meter: fmt::Debug {
    /// `user` sends a command now.
    ///
    /// # Errors
    /// After how many milliseconds it may be sent again, if that was too soon. It does not count
    /// then.
    fn command(&self, now: Now, user: &str, kind: CommandKind) -> Result<(), u64>;

    /// A session of `user` begins; `false` if the user has as many as allowed.
    fn begins(&self, user: &str) -> bool;

    /// A session that was told of with [`begins`](Self::begins) has ended.
    fn ends(&self, user: &str);
}
