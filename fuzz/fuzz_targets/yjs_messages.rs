//! Any bytes as what editors send: messages of y-websocket, frames of Hocuspocus, awareness.
//!
//! Nothing panics, and what was read and written again is read as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings_proto::yjs::aware;
use tidings_proto::yjs::hocuspocus::{self, Frame};
use tidings_proto::yjs::sync::{self, Message, Sync};

fuzz_target!(|bytes: &[u8]| {
    for message in sync::decode(bytes).flatten() {
        let written = match message {
            Message::Sync(Sync::Step1(vector)) => sync::step1(vector),
            Message::Sync(Sync::Step2(update)) => sync::step2(update),
            Message::Sync(Sync::Update(update)) => sync::update(update),
            Message::Awareness(update) => sync::awareness(update),
            Message::Denied(reason) => sync::denied(reason),
            Message::QueryAwareness => continue,
        };
        assert_eq!(sync::decode(&written).collect::<Vec<_>>(), [Ok(message)]);
    }
    if let Ok(Frame::Document(address, message)) = hocuspocus::decode(bytes) {
        let written = hocuspocus::encode(address.whole, message);
        assert_eq!(hocuspocus::decode(&written), Ok(Frame::Document(address, message)));
    }
    if let Ok(entries) = aware::entries(bytes, &aware::AwareLimits::default()) {
        let written = aware::encode(&entries);
        assert_eq!(aware::entries(&written, &aware::AwareLimits::default()), Ok(entries));
    }
});
