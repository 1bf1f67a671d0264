//! Any text as a frame, of a client and of a server.
//!
//! Nothing panics, and a text that is decoded twice is decoded alike.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings_proto::{ServerFrame, decode};

fuzz_target!(|text: &str| {
    let once = format!("{:?}", decode(text));
    let twice = format!("{:?}", decode(text));
    assert_eq!(once, twice);
    // A message that is sent back to its author must not grow with what they sent.
    if let Err(error) = decode(text) {
        assert!(error.message.len() <= text.len() + 1024, "{}", error.message);
    }
    let _ = ServerFrame::decode(text);
});
