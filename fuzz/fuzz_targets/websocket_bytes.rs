//! Any bytes as a peer's half of a connection.
//!
//! Nothing panics, nothing is held beyond the limits, and it does not matter in which pieces the
//! bytes arrive. The first byte of the input picks the variant, the second the size of a piece.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings_websocket::{Config, Decoder, Inflater, Role};

/// Small, so that inputs reach them.
const CONFIG: Config = Config { max_frame: 4096, max_message: 8192, max_fragments: 16 };

/// What a decoder may hold for a message that has arrived in part, with what it holds it in.
const HELD_MAX: usize = 8 * CONFIG.max_message;

/// What one connection has come to: its items in order, and whether it ended in an error.
#[derive(Debug, Default, PartialEq)]
struct Story {
    items: Vec<String>,
    failed: bool,
}

fuzz_target!(|input: &[u8]| {
    let [variant, size, bytes @ ..] = input else { return };
    let role = if variant & 1 == 0 { Role::Server } else { Role::Client };
    let deflate = (variant & 2 != 0).then_some(variant & 4 != 0);
    let whole = tell(role, deflate, bytes, bytes.len().max(1));
    let pieces = tell(role, deflate, bytes, usize::from(*size).max(1));
    assert_eq!(whole, pieces);
});

/// Decodes bytes that arrive in pieces. `deflate` says whether compression was negotiated, and if
/// so, whether with context takeover.
fn tell(role: Role, deflate: Option<bool>, bytes: &[u8], size: usize) -> Story {
    let mut story = Story::default();
    let mut decoder = Decoder::new(role);
    let mut inflater = deflate.map(|takeover| Inflater::new(15, takeover));
    for piece in bytes.chunks(size) {
        let mut piece = piece.to_vec();
        let mut reader = decoder.read(&CONFIG, &mut piece, inflater.as_mut());
        loop {
            match reader.next_item() {
                Ok(Some(item)) => story.items.push(format!("{item:?}")),
                Ok(None) => break,
                Err(_) => {
                    story.failed = true;
                    break;
                }
            }
        }
        let held = decoder.held_bytes();
        assert!(held <= HELD_MAX, "{held} bytes are held");
        if decoder.is_stopped() {
            break;
        }
    }
    story
}
