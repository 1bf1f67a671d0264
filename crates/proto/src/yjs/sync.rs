//! The messages of `y-websocket`: what `y-protocols` calls sync, awareness and auth.

use super::{Fault, Reader, put_bytes, put_string, put_var_uint};

const SYNC: u64 = 0;
const AWARENESS: u64 = 1;
const AUTH: u64 = 2;
const QUERY_AWARENESS: u64 = 3;
const STEP1: u64 = 0;
const STEP2: u64 = 1;
const UPDATE: u64 = 2;
const DENIED: u64 = 0;

/// A message. What is in it has not been looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// About the document.
    Sync(Sync<'a>),
    /// An awareness update: see [`aware`](super::aware).
    Awareness(&'a [u8]),
    /// Something may not be done, for this reason. Servers say it.
    Denied(&'a str),
    /// Asks for the awareness of everybody.
    QueryAwareness,
}

/// About a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync<'a> {
    /// A state vector: asks for what it lacks.
    Step1(&'a [u8]),
    /// The answer: an update.
    Step2(&'a [u8]),
    /// An update.
    Update(&'a [u8]),
}

/// The messages of a frame, one after the other: as a rule there is one. After a fault there are
/// none.
pub fn decode(frame: &[u8]) -> Messages<'_> {
    Messages { reader: Reader::new(frame) }
}

/// See [`decode`].
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let message = message(&mut self.reader);
        if message.is_err() {
            self.reader = Reader::new(&[]);
        }
        Some(message)
    }
}

fn message<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>, Fault> {
    Ok(match reader.var_uint()? {
        SYNC => Message::Sync(sync(reader)?),
        AWARENESS => Message::Awareness(reader.bytes()?),
        AUTH => match reader.var_uint()? {
            DENIED => Message::Denied(reader.string()?),
            _ => return Err(Fault::Unknown),
        },
        QUERY_AWARENESS => Message::QueryAwareness,
        _ => return Err(Fault::Unknown),
    })
}

pub(super) fn sync<'a>(reader: &mut Reader<'a>) -> Result<Sync<'a>, Fault> {
    Ok(match reader.var_uint()? {
        STEP1 => Sync::Step1(reader.bytes()?),
        STEP2 => Sync::Step2(reader.bytes()?),
        UPDATE => Sync::Update(reader.bytes()?),
        _ => return Err(Fault::Unknown),
    })
}

/// Writes what a message about a document has behind its type.
pub(super) fn put_sync(out: &mut Vec<u8>, sync: Sync<'_>) {
    let (kind, bytes) = match sync {
        Sync::Step1(vector) => (STEP1, vector),
        Sync::Step2(update) => (STEP2, update),
        Sync::Update(update) => (UPDATE, update),
    };
    put_var_uint(out, kind);
    put_bytes(out, bytes);
}

fn about(sync: Sync<'_>, length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(length + 8);
    put_var_uint(&mut out, SYNC);
    put_sync(&mut out, sync);
    out
}

/// The message that asks for what this state vector lacks.
pub fn step1(vector: &[u8]) -> Vec<u8> {
    about(Sync::Step1(vector), vector.len())
}

/// The message that answers [`step1`]. A client of `y-websocket` is synced when it has come.
pub fn step2(update: &[u8]) -> Vec<u8> {
    about(Sync::Step2(update), update.len())
}

/// The message with a change.
pub fn update(update: &[u8]) -> Vec<u8> {
    about(Sync::Update(update), update.len())
}

/// The message with an awareness update.
pub fn awareness(update: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(update.len() + 8);
    put_var_uint(&mut out, AWARENESS);
    put_bytes(&mut out, update);
    out
}

/// The message that says that something may not be done.
pub fn denied(reason: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(reason.len() + 8);
    put_var_uint(&mut out, AUTH);
    put_var_uint(&mut out, DENIED);
    put_string(&mut out, reason);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(frame: &[u8]) -> Result<Message<'_>, Fault> {
        let mut messages = decode(frame);
        let message = messages.next().unwrap();
        assert_eq!(messages.next(), None);
        message
    }

    /// As the npm packages write them.
    #[test]
    fn messages_are_those_of_the_official_packages() {
        let vectors: &[(&[u8], Message<'_>, Vec<u8>)] = &[
            (&[0, 0, 1, 0], Message::Sync(Sync::Step1(&[0])), step1(&[0])),
            (&[0, 0, 3, 1, 1, 1], Message::Sync(Sync::Step1(&[1, 1, 1])), step1(&[1, 1, 1])),
            (&[0, 1, 2, 0, 0], Message::Sync(Sync::Step2(&[0, 0])), step2(&[0, 0])),
            (
                b"\0\x02\x0b\x01\x01\x01\0\x04\x01\x01t\x01A\0",
                Message::Sync(Sync::Update(b"\x01\x01\x01\0\x04\x01\x01t\x01A\0")),
                update(b"\x01\x01\x01\0\x04\x01\x01t\x01A\0"),
            ),
            (
                b"\x01\x0d\x01\x01\x01\x09{\"n\":\"x\"}",
                Message::Awareness(b"\x01\x01\x01\x09{\"n\":\"x\"}"),
                awareness(b"\x01\x01\x01\x09{\"n\":\"x\"}"),
            ),
            (
                b"\x01\x08\x01\x01\x02\x04null",
                Message::Awareness(b"\x01\x01\x02\x04null"),
                awareness(b"\x01\x01\x02\x04null"),
            ),
            (b"\x02\0\x02no", Message::Denied("no"), denied("no")),
        ];
        for (bytes, message, written) in vectors {
            assert_eq!(one(bytes), Ok(*message), "{bytes:x?}");
            assert_eq!(written, bytes);
        }
        assert_eq!(one(&[3]), Ok(Message::QueryAwareness));
        assert_eq!(awareness(&[0]), [1, 1, 0], "what keeps a client from closing");
    }

    #[test]
    fn several_messages_may_come_in_one_frame() {
        let frame = [step1(&[0]), vec![3], update(&[0, 0])].concat();
        let messages: Result<Vec<_>, _> = decode(&frame).collect();
        let expected = [
            Message::Sync(Sync::Step1(&[0])),
            Message::QueryAwareness,
            Message::Sync(Sync::Update(&[0, 0])),
        ];
        assert_eq!(messages.unwrap(), expected);
    }

    #[test]
    fn behind_a_fault_nothing_is_read() {
        for (frame, fault) in [
            (&[0, 9, 0][..], Fault::Unknown),
            (&[102, 0], Fault::Unknown),
            (&[0, 2, 200], Fault::Short),
            (&[0], Fault::Short),
            (&[2, 1], Fault::Unknown),
        ] {
            assert_eq!(decode(frame).collect::<Vec<_>>(), [Err(fault)], "{frame:x?}");
        }
    }
}
