//! Stories about the codec as its users see it.

mod common;
mod decoding;
mod encoding;
mod properties;
