//! What the stories share: items that outlive their buffer, and frames by hand.

use tidings_websocket::{Config, Decoder, Error, Head, Inflater, Item, Opcode, encode};

pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// An [`Item`] with its own bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owned {
    Binary(Vec<u8>),
    Close(Option<(u16, String)>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Text(String),
}

impl From<Item<'_>> for Owned {
    fn from(item: Item<'_>) -> Self {
        match item {
            Item::Binary(bytes) => Self::Binary(bytes.into()),
            Item::Close(close) => Self::Close(close.map(|c| (c.code, c.reason.into()))),
            Item::Ping(bytes) => Self::Ping(bytes.into()),
            Item::Pong(bytes) => Self::Pong(bytes.into()),
            Item::Text(text) => Self::Text(text.into()),
        }
    }
}

/// Feeds `pieces` one after the other and collects what comes out, up to the first error.
pub(crate) fn feed<'a>(
    decoder: &mut Decoder,
    config: &Config,
    mut inflater: Option<&mut Inflater>,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Owned>, Option<Error>) {
    let mut items = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut reader = decoder.read(config, &mut piece, inflater.as_deref_mut());
        loop {
            match reader.next_item() {
                Ok(Some(item)) => items.push(item.into()),
                Ok(None) => break,
                Err(error) => return (items, Some(error)),
            }
        }
        assert!(reader.unread().is_empty(), "everything is used up");
    }
    (items, None)
}

/// A client's frame.
pub(crate) fn frame(head: Head, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode::put_frame(&mut out, head.masked(KEY), payload);
    out
}

/// A client's frame that is not the last of its message.
pub(crate) fn first(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    frame(Head { fin: false, ..Head::new(opcode) }, payload)
}

/// A client's frame that is the last of its message.
pub(crate) fn last(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    frame(Head::new(opcode), payload)
}
