//! Live data: keys with values, for whoever joins, comes back, or writes at the same time.

#![allow(clippy::unwrap_used, reason = "stories, told briefly")]

mod desk;
mod joining;
mod writing;
