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
const VERSION_KEPT: u8 = 3;
const VERSION_DELETED: u8 = 4;
const VERSION_FORGOTTEN: u8 = 5;
const VERSION_NAMED: u8 = 6;

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
    Reset {
        /// Its epoch.
        epoch: Epoch,
        /// The versions that there are go as well.
        versions: bool,
    },
    /// A version was taken: a [`Version`](super::Version) as JSON.
    Version(&'a [u8]),
    /// The version of this number is called so; empty: it has no name any more.
    NameVersion(u64, &'a str),
    /// The version of this number is not there any more.
    DeleteVersion(u64),
    /// What it held has left the store.
    ForgetVersion(u64),
}

impl<'a> Record<'a> {
    /// For the log.
    pub fn encode(&self) -> Bytes {
        let mut number = [0; 9];
        let mut numbered = |value: u64, len| {
            number[..8].copy_from_slice(&value.to_le_bytes());
            number[8] = u8::from(len == 9);
            (number, len)
        };
        let (kind, (number, len), payload) = match self.what {
            What::Update(update) => (UPDATE, ([0; 9], 0), update),
            What::Reset { epoch, versions } => {
                (RESET, numbered(epoch.0, if versions { 9 } else { 8 }), &[][..])
            }
            What::Version(version) => (VERSION_KEPT, ([0; 9], 0), version),
            What::NameVersion(version, name) => {
                (VERSION_NAMED, numbered(version, 8), name.as_bytes())
            }
            What::DeleteVersion(version) => (VERSION_DELETED, numbered(version, 8), &[][..]),
            What::ForgetVersion(version) => (VERSION_FORGOTTEN, numbered(version, 8), &[][..]),
        };
        let mut out = Vec::with_capacity(2 + 5 + self.user.len() + len + payload.len());
        out.extend([VERSION, kind]);
        put_string(&mut out, self.user);
        out.extend(&number[..len]);
        out.extend(payload);
        out.into()
    }

    /// `None`: this is none, or one of another version.
    pub fn decode(record: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(record);
        let (version, kind) = (reader.byte().ok()?, reader.byte().ok()?);
        let user = reader.string().ok()?;
        let payload = reader.rest();
        let number = || payload.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let what = match (version, kind) {
            (VERSION, UPDATE) => What::Update(payload),
            (VERSION, RESET) => {
                What::Reset { epoch: Epoch(number()?), versions: payload.get(8) == Some(&1) }
            }
            (VERSION, VERSION_KEPT) => What::Version(payload),
            (VERSION, VERSION_NAMED) => {
                What::NameVersion(number()?, std::str::from_utf8(payload.get(8..)?).ok()?)
            }
            (VERSION, VERSION_DELETED) => What::DeleteVersion(number()?),
            (VERSION, VERSION_FORGOTTEN) => What::ForgetVersion(number()?),
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
            Record { user: "", what: What::Reset { epoch: Epoch(7), versions: false } },
            Record { user: "ada", what: What::Reset { epoch: Epoch(7), versions: true } },
            Record { user: &"b".repeat(300), what: What::Version(b"{}") },
            Record { user: "ada", what: What::NameVersion(3, "Größe") },
            Record { user: "ada", what: What::NameVersion(3, "") },
            Record { user: "ada", what: What::DeleteVersion(3) },
            Record { user: "", what: What::ForgetVersion(u64::MAX) },
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
