//! The engine of Tidings, sans-IO: time and randomness are arguments, effects are data.
pub mod store;
