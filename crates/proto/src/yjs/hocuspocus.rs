//! The frames of Hocuspocus, versions 2 to 4: many documents on one connection.

use super::sync::{self, Sync};
use super::{Fault, Reader, put_bytes, put_string, put_var_uint};

const SYNC: u64 = 0;
const AWARENESS: u64 = 1;
const AUTH: u64 = 2;
const QUERY_AWARENESS: u64 = 3;
const SYNC_REPLY: u64 = 4;
const STATELESS: u64 = 5;
const BROADCAST_STATELESS: u64 = 6;
const CLOSE: u64 = 7;
const SYNC_STATUS: u64 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

const TOKEN: u64 = 0;
const DENIED: u64 = 1;
const AUTHENTICATED: u64 = 2;

/// A frame that asks whether the line is alive. Only providers that told a version know it.
pub const PING_FRAME: &[u8] = &[PING];

/// The answer.
pub const PONG_FRAME: &[u8] = &[PONG];

/// A frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// See [`PING_FRAME`].
    Ping,
    /// See [`PONG_FRAME`].
    Pong,
    /// Something about a document.
    Document(Address<'a>, Message<'a>),
}

/// Which document, and which of a connection's providers of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address<'a> {
    /// As it stands in the frame, and has to stand in what answers it.
    pub whole: &'a str,
}

impl<'a> Address<'a> {
    /// The document's name.
    pub fn name(&self) -> &'a str {
        self.whole.split_once('\0').map_or(self.whole, |(name, _)| name)
    }

    /// What a provider of version 4 puts behind it, to have a session of its own.
    pub fn session(&self) -> Option<&'a str> {
        self.whole.split_once('\0').map(|(_, session)| session)
    }
}

/// What is said about a document. What is in it has not been looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A message of the sync protocol.
    Sync(Sync<'a>),
    /// The same, to be answered without a question of one's own: servers say it to each other.
    SyncReply(Sync<'a>),
    /// An awareness update: see [`aware`](super::aware).
    Awareness(&'a [u8]),
    /// Asks for the awareness of everybody.
    QueryAwareness,
    /// Who the user is. The version is that of the provider, since 4.
    Token {
        /// Anything, a JWT here.
        token: &'a str,
        /// `4.8.0`.
        version: Option<&'a str>,
    },
    /// Asks for the token again.
    SendToken,
    /// The user may not open the document.
    Denied(&'a str),
    /// The user may: write it, or read it alone.
    Authenticated {
        /// Changes will be refused.
        readonly: bool,
    },
    /// Anything, for the application.
    Stateless(&'a str),
    /// The same, for everybody: servers say it to each other.
    BroadcastStateless(&'a str),
    /// The document is closed, the connection is not.
    Close(&'a str),
    /// The update that this answers was stored; or it was refused.
    SyncStatus(bool),
}

/// Reads a frame.
///
/// # Errors
/// Whatever is wrong with the bytes; [`Fault::Unknown`] for a type that there is not.
pub fn decode(frame: &[u8]) -> Result<Frame<'_>, Fault> {
    match frame {
        PING_FRAME => return Ok(Frame::Ping),
        PONG_FRAME => return Ok(Frame::Pong),
        _ => {}
    }
    let mut reader = Reader::new(frame);
    let address = Address { whole: reader.string()? };
    let message = message(&mut reader)?;
    reader.end()?;
    Ok(Frame::Document(address, message))
}

fn message<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>, Fault> {
    Ok(match reader.var_uint()? {
        SYNC => Message::Sync(sync::sync(reader)?),
        SYNC_REPLY => Message::SyncReply(sync::sync(reader)?),
        AWARENESS => Message::Awareness(reader.bytes()?),
        QUERY_AWARENESS => Message::QueryAwareness,
        AUTH => auth(reader)?,
        STATELESS => Message::Stateless(reader.string()?),
        BROADCAST_STATELESS => Message::BroadcastStateless(reader.string()?),
        CLOSE => Message::Close(optional(reader)?.unwrap_or_default()),
        SYNC_STATUS => Message::SyncStatus(reader.var_uint()? == 1),
        _ => return Err(Fault::Unknown),
    })
}

fn auth<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>, Fault> {
    Ok(match reader.var_uint()? {
        TOKEN => match optional(reader)? {
            None => Message::SendToken,
            Some(token) => {
                let version = optional(reader)?;
                // What later versions may say besides is none of ours.
                *reader = Reader::new(&[]);
                Message::Token { token, version }
            }
        },
        DENIED => Message::Denied(reader.string()?),
        AUTHENTICATED => Message::Authenticated { readonly: reader.string()? == "readonly" },
        _ => return Err(Fault::Unknown),
    })
}

fn optional<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a str>, Fault> {
    if reader.is_empty() { Ok(None) } else { reader.string().map(Some) }
}

/// Writes a frame about the document of this address: that of the frame which it answers.
pub fn encode(address: &str, message: Message<'_>) -> Vec<u8> {
    let out = &mut Vec::with_capacity(address.len() + size(message) + 16);
    put_string(out, address);
    match message {
        Message::Sync(sync) => {
            put_var_uint(out, SYNC);
            sync::put_sync(out, sync);
        }
        Message::SyncReply(sync) => {
            put_var_uint(out, SYNC_REPLY);
            sync::put_sync(out, sync);
        }
        Message::Awareness(update) => {
            put_var_uint(out, AWARENESS);
            put_bytes(out, update);
        }
        Message::QueryAwareness => put_var_uint(out, QUERY_AWARENESS),
        Message::Token { token, version } => {
            put_auth(out, TOKEN, Some(token));
            version.into_iter().for_each(|version| put_string(out, version));
        }
        Message::SendToken => put_auth(out, TOKEN, None),
        Message::Denied(reason) => put_auth(out, DENIED, Some(reason)),
        Message::Authenticated { readonly } => {
            let scope = if readonly { "readonly" } else { "read-write" };
            put_auth(out, AUTHENTICATED, Some(scope));
        }
        Message::Stateless(text) => put_text(out, STATELESS, text),
        Message::BroadcastStateless(text) => put_text(out, BROADCAST_STATELESS, text),
        Message::Close(reason) => put_text(out, CLOSE, reason),
        Message::SyncStatus(stored) => {
            put_var_uint(out, SYNC_STATUS);
            put_var_uint(out, u64::from(stored));
        }
    }
    std::mem::take(out)
}

/// The same frame for another address; `None`: it is about no document.
pub fn readdress(frame: &[u8], address: &str) -> Option<Vec<u8>> {
    let mut reader = Reader::new(frame);
    let before = reader.string().ok()?.len();
    let rest = reader.rest();
    let mut out = Vec::with_capacity(frame.len() + address.len().saturating_sub(before) + 2);
    put_string(&mut out, address);
    out.extend_from_slice(rest);
    Some(out)
}

/// The bytes in a message that may be many.
fn size(message: Message<'_>) -> usize {
    match message {
        Message::Sync(Sync::Step1(bytes) | Sync::Step2(bytes) | Sync::Update(bytes))
        | Message::Awareness(bytes) => bytes.len(),
        Message::Stateless(text) => text.len(),
        _ => 32,
    }
}

fn put_auth(out: &mut Vec<u8>, kind: u64, text: Option<&str>) {
    put_var_uint(out, AUTH);
    put_var_uint(out, kind);
    text.into_iter().for_each(|text| put_string(out, text));
}

fn put_text(out: &mut Vec<u8>, kind: u64, text: &str) {
    put_var_uint(out, kind);
    put_string(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about<'a>(frame: &'a [u8]) -> Message<'a> {
        let Ok(Frame::Document(address, message)) = decode(frame) else { panic!("{frame:x?}") };
        assert_eq!((address.name(), address.session()), ("doc", None));
        message
    }

    /// As the npm packages write them.
    #[test]
    fn frames_are_those_of_the_official_packages() {
        let token = Message::Token { token: "tok", version: Some("4.8.0") };
        let vectors: &[(&[u8], Message<'_>)] = &[
            (b"\x03doc\x02\0\x03tok\x054.8.0", token),
            (b"\x03doc\x02\0\x03tok", Message::Token { token: "tok", version: None }),
            (b"\x03doc\x02\0", Message::SendToken),
            (b"\x03doc\x02\x01\x02no", Message::Denied("no")),
            (b"\x03doc\x02\x02\x0aread-write", Message::Authenticated { readonly: false }),
            (b"\x03doc\x02\x02\x08readonly", Message::Authenticated { readonly: true }),
            (b"\x03doc\x08\x01", Message::SyncStatus(true)),
            (b"\x03doc\x08\0", Message::SyncStatus(false)),
            (b"\x03doc\0\0\x01\0", Message::Sync(Sync::Step1(&[0]))),
            (b"\x03doc\x04\x01\x02\0\0", Message::SyncReply(Sync::Step2(&[0, 0]))),
            (b"\x03doc\x01\x01\0", Message::Awareness(&[0])),
            (b"\x03doc\x03", Message::QueryAwareness),
            (b"\x03doc\x05\x02{}", Message::Stateless("{}")),
            (b"\x03doc\x06\x02{}", Message::BroadcastStateless("{}")),
            (b"\x03doc\x07\x04done", Message::Close("done")),
        ];
        for (bytes, message) in vectors {
            assert_eq!(about(bytes), *message, "{bytes:x?}");
            assert_eq!(encode("doc", *message), *bytes);
        }
        assert_eq!(decode(&[9]), Ok(Frame::Ping));
        assert_eq!(decode(&[10]), Ok(Frame::Pong));
        assert_eq!(about(b"\x03doc\x07"), Message::Close(""));
    }

    #[test]
    fn a_provider_of_version_4_may_have_a_session_of_its_own() {
        let frame = b"\x08doc\0s-17\x03";
        let Ok(Frame::Document(address, Message::QueryAwareness)) = decode(frame) else {
            panic!("not that")
        };
        assert_eq!((address.name(), address.session()), ("doc", Some("s-17")));
        assert_eq!(encode(address.whole, Message::QueryAwareness), frame);
        let made = encode("doc", Message::Denied("no"));
        let theirs = encode(address.whole, Message::Denied("no"));
        assert_eq!(readdress(&made, address.whole).as_ref(), Some(&theirs));
        assert_eq!(readdress(&theirs, "doc").as_ref(), Some(&made));
        assert_eq!(readdress(b"\x09do", "doc"), None);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for (frame, fault) in [
            (&b""[..], Fault::Short),
            (b"\x03do", Fault::Short),
            (b"\x03doc", Fault::Short),
            (b"\x03doc\x0b", Fault::Unknown),
            (b"\x03doc\x02\x03", Fault::Unknown),
            (b"\x03doc\x03\0", Fault::Trailing),
            (b"\x01\xff\x03", Fault::Text),
        ] {
            assert_eq!(decode(frame), Err(fault), "{frame:x?}");
        }
    }
}
