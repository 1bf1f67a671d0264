//! An application's backend with a say, in real processes: it allows, denies, changes, is slow,
//! down, or lies.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;

mod backend;
mod doors;
mod example;
mod trouble;
mod verdicts;
