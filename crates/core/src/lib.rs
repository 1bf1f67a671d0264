//! The engine of Tidings, sans-IO: time and randomness are arguments, effects are data.

pub mod identity;
mod limits;
mod period;
pub mod policy;
pub mod store;

pub use limits::Limits;
pub use period::Period;
