//! A sans-IO WebSocket codec: RFC 6455 framing and RFC 7692 compression.
//!
//! There is no socket, runtime, clock or random source in here. The caller reads bytes into any
//! buffer it likes, lets a [`Decoder`] find the messages in it, and sends the bytes which the
//! functions of [`encode`] produce. Masking keys and nonces are arguments.
//!
//! | step of a connection | where | RFC |
//! |---|---|---|
//! | opening handshake | [`handshake`] | 6455 section 4 |
//! | agreeing on compression | [`DeflateConfig`], [`DeflateParams`] | 7692 section 7.1 |
//! | bytes to messages | [`Decoder`], [`Reader`], [`Item`] | 6455 sections 5 and 8 |
//! | messages to bytes | [`encode`], [`Head`] | 6455 section 5 |
//! | compressed payloads | [`Deflater`], [`Inflater`] | 7692 section 7.2 |
//! | closing handshake | [`CloseHandshake`] | 6455 section 7 |
//!
//! What a peer does wrong is an [`Error`], which knows the close code to answer with.
//!
//! The crate is built for servers with very many idle connections: a [`Decoder`] between two
//! messages is 16 bytes and owns no heap memory, the limits live in one shared [`Config`], and
//! without context takeover one [`Deflater`] and one [`Inflater`] serve a whole thread.
//!
//! ```
//! use tidings_websocket::{Config, Decoder, Head, Item, Opcode, Role, encode};
//!
//! // A client sends a masked frame ...
//! let mut wire = Vec::new();
//! encode::put_frame(&mut wire, Head::new(Opcode::Text).masked([1, 2, 3, 4]), b"hello");
//!
//! // ... and the server finds the text in it, unmasked in place.
//! let config = Config::default();
//! let mut decoder = Decoder::new(Role::Server);
//! let mut reader = decoder.read(&config, &mut wire, None);
//! assert_eq!(reader.next_item(), Ok(Some(Item::Text("hello"))));
//! assert_eq!(reader.next_item(), Ok(None));
//! ```

mod buffer;
mod close;
mod config;
mod decode;
mod deflate;
pub mod encode;
mod error;
mod frame;
pub mod handshake;
mod mask;

pub use close::{Close, CloseHandshake, CloseStep, close_code, is_valid_close_code};
pub use config::{Config, Role};
pub use decode::{Decoder, Item, Reader};
pub use deflate::{DeflateConfig, DeflateParams, Deflater, Inflater};
pub use error::{Error, InvalidPayload, Limit, Misbehaviour};
pub use frame::{Head, HeadBytes, MAX_CONTROL_PAYLOAD, MAX_HEAD, MessageKind, Opcode};
pub use mask::apply_mask;
