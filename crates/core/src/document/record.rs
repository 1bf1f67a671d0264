//! What a document's log is made of.
//!
//! `[version][kind][length of the user's name, varint][user][payload]`. A record of a version or a
//! kind that this program does not know is skipped: an older one may be started on a newer log.

use bytes::Bytes;
use tidings_proto::yjs::{Reader, put_string};

use crate::store::Epoch;

const VERSION: u8 = 1;

const UPDATE: u8 = 1;
const RESET: u8 = 2;
const VERSION_MARK: u8 = 3;

/// A record of the log, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Who asked for it; empty: nobody in particular.
    pub user: &'a str,
    /// What it does.
    pub what: What<'a>,
}

/// What a record does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What<'a> {
    /// A change: a Yjs update, version 1 of that format.
    Update(&'a [u8]),
    /// From here on it is another document, with nothing in it.
    Reset(Epoch),
    /// A version was taken: who changed what is counted anew. What the version says of itself is
    /// not the document's business.
    Version(&'a [u8]),
}

impl<'a> Record<'a> {
    /// For the log.
    pub fn encode(&self) -> Bytes {
        let epoch;
        let (kind, payload) = match self.what {
            What::Update(update) => (UPDATE, update),
            What::Reset(new) => {
                epoch = new.0.to_le_bytes();
                (RESET, &epoch[..])
            }
            What::Version(note) => (VERSION_MARK, note),
        };
        let mut out = Vec::with_capacity(2 + 5 + self.user.len() + payload.len());
        out.extend([VERSION, kind]);
        put_string(&mut out, self.user);
        out.extend(payload);
        out.into()
    }

    /// `None`: this is none, or one of another version.
    pub fn decode(record: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(record);
        let (version, kind) = (reader.byte().ok()?, reader.byte().ok()?);
        let user = reader.string().ok()?;
        let payload = reader.rest();
        let what = match (version, kind) {
            (VERSION, UPDATE) => What::Update(payload),
            (VERSION, RESET) => What::Reset(Epoch(u64::from_le_bytes(*payload.first_chunk()?))),
            (VERSION, VERSION_MARK) => What::Version(payload),
            _ => return None,
        };
        Some(Self { user, what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_logged_is_read_again() {
        let all = [
            Record { user: "ada", what: What::Update(&[0, 0]) },
            Record { user: "", what: What::Reset(Epoch(7)) },
            Record { user: &"b".repeat(300), what: What::Version(b"{}") },
        ];
        for record in all {
            assert_eq!(Record::decode(&record.encode()), Some(record));
        }
    }

    #[test]
    fn a_record_of_a_newer_program_or_of_none_is_no_record() {
        let mut newer = Record { user: "ada", what: What::Update(&[0, 0]) }.encode().to_vec();
        newer[0] = 2;
        assert_eq!(Record::decode(&newer), None);
        for bytes in [&b""[..], b"\x01", b"\x01\x01", b"\x01\x01\x09ada", b"\x01\x02\x00short"] {
            assert_eq!(Record::decode(bytes), None, "{bytes:?}");
        }
        assert_eq!(Record::decode(b"\x01\x09\x00"), None, "an unknown kind");
        assert_eq!(Record::decode(b"\x01\x01\x02\xff\xfe"), None, "a user of no text");
    }
}
