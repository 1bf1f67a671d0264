//! The application's backend has a say: in who comes in, who subscribes and what is published.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "stories, told briefly")]

mod connect;
mod door;
mod publish;
mod subscribe;
