//! What clients and the server say about documents.
//!
//! Yjs is a binary format and these frames are JSON: its bytes stand in them as base64 (the
//! standard alphabet, padded).

use base64::Engine as _;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::Text;
use crate::decode::{CommandBody, Fields, MAX_ID, read};

/// What a client asks for that wants to be as far as the document is.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub struct DocumentSync<'a> {
    pub channel: Text<'a>,
    /// The document's, not the channel's.
    pub epoch: Option<Text<'a>>,
    /// A state vector; that of nothing, `[0]`, when the client sends none.
    pub vector: Vec<u8>,
    /// All of this version, instead of the document as it is.
    pub version: Option<u64>,
}

/// A change of a document, or a part of its bytes.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub struct DocumentMerge<'a> {
    pub channel: Text<'a>,
    /// The document's, not the channel's.
    pub epoch: Option<Text<'a>>,
    pub update: Vec<u8>,
    /// The update goes on in the session's next one: bytes are joined, then looked at.
    pub more: bool,
}

/// What others shall see of somebody who has a document open.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub struct DocumentAwareness<'a> {
    pub channel: Text<'a>,
    /// The number that the Yjs document writes with.
    pub client: u64,
    pub clock: u32,
    /// `None`: gone.
    pub state: Option<&'a RawValue>,
}

/// What is to be seen of one of those who have a document open.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub struct AwarenessView<'a> {
    pub client: u64,
    pub clock: u32,
    pub user: &'a str,
    /// `None` is written as `null`: gone.
    pub state: Option<&'a RawValue>,
}

impl<'a> Fields<'a> {
    /// What is asked of a document.
    pub(crate) fn into_document(self) -> Result<CommandBody<'a>, String> {
        let missing = |field: &str| format!("missing field `{field}`");
        let channel = self.channel.ok_or_else(|| missing("channel"))?;
        let epoch = self.epoch;
        Ok(match self.kind.as_deref().unwrap_or_default() {
            "sync" => {
                let vector = self.vector.map(|text| binary("vector", &text)).transpose()?;
                let vector = vector.unwrap_or_else(|| vec![0]);
                let version = self.version;
                CommandBody::Sync(DocumentSync { channel, epoch, vector, version })
            }
            "merge" => {
                let update = self.update.ok_or_else(|| missing("update"))?;
                let update = binary("update", &update)?;
                let more = self.more.unwrap_or(false);
                CommandBody::Merge(DocumentMerge { channel, epoch, update, more })
            }
            _ => {
                let client: u64 = read("client", self.client)?.ok_or_else(|| missing("client"))?;
                if client > MAX_ID {
                    return Err(format!("`client` is at most {MAX_ID}"));
                }
                let clock = self.clock.ok_or_else(|| missing("clock"))?;
                let clock = u32::try_from(clock).map_err(|_| "`clock` is at most 4294967295")?;
                let state = self.state.ok_or_else(|| missing("state"))?;
                let state = Some(state).filter(|state| state.get() != "null");
                CommandBody::Awareness(DocumentAwareness { channel, client, clock, state })
            }
        })
    }
}

fn binary(field: &str, text: &str) -> Result<Vec<u8>, String> {
    from_base64(text).ok_or_else(|| format!("`{field}` is not base64"))
}

/// The bytes that base64 stands for, as these frames have it; `None` if it is none.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Bytes as these frames have them.
pub fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn base64<S: serde::Serializer>(
    bytes: &&[u8],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Base64Display::new(bytes, &STANDARD))
}

#[cfg(test)]
mod tests {
    use crate::{AwarenessView, CommandBody, Epoch, Frame, decode};

    fn refused(frame: &str) -> String {
        decode(frame).unwrap_err().message
    }

    #[test]
    fn an_update_comes_as_base64_and_goes_as_base64() {
        let frame = r#"{"type":"merge","id":1,"channel":"doc:a","update":"AQID/w==","more":true}"#;
        let CommandBody::Merge(merge) = decode(frame).unwrap().body else { panic!("not a merge") };
        assert_eq!((&merge.update[..], merge.more), (&[1, 2, 3, 255][..], true));
        let update = &merge.update[..];
        let frame =
            Frame::Document { channel: "doc:a", offset: 7, user: "ada", update, more: false };
        assert_eq!(
            frame.encode(),
            r#"{"type":"document","channel":"doc:a","offset":7,"user":"ada","update":"AQID/w=="}"#
        );
    }

    #[test]
    fn a_client_that_has_nothing_sends_no_vector() {
        let frame = r#"{"type":"sync","id":1,"channel":"doc:a"}"#;
        let CommandBody::Sync(sync) = decode(frame).unwrap().body else { panic!("not a sync") };
        assert!(sync.vector == [0] && sync.epoch.is_none());
        let (epoch, update, vector) = (Epoch(1), &[0u8, 0][..], &[0u8][..]);
        let frame = Frame::Synced { id: 1, channel: "doc:a", epoch, update, vector, more: false };
        assert_eq!(
            frame.encode(),
            concat!(
                r#"{"type":"synced","id":1,"channel":"doc:a","epoch":"0000000000000001","#,
                r#""update":"AAA=","vector":"AA=="}"#
            )
        );
    }

    #[test]
    fn a_state_of_null_says_that_somebody_is_gone() {
        let frame =
            r#"{"type":"awareness","id":1,"channel":"doc:a","client":9,"clock":2,"state":null}"#;
        let CommandBody::Awareness(aware) = decode(frame).unwrap().body else { panic!("not it") };
        assert_eq!((aware.client, aware.clock, aware.state.is_none()), (9, 2, true));
        let states = &[AwarenessView { client: 9, clock: 2, user: "ada", state: None }];
        assert_eq!(
            Frame::Awareness { channel: "doc:a", states }.encode(),
            concat!(
                r#"{"type":"awareness","channel":"doc:a","#,
                r#""states":[{"client":9,"clock":2,"user":"ada","state":null}]}"#
            )
        );
    }

    #[test]
    fn what_is_wrong_with_a_document_s_command_is_named() {
        let merge = |rest: &str| format!(r#"{{"type":"merge","id":1,"channel":"doc:a"{rest}}}"#);
        assert_eq!(refused(&merge("")), "missing field `update`");
        // Not the alphabet, not padded, not whole.
        for text in ["AQI_", "AQI", "A"] {
            let frame = merge(&format!(r#","update":"{text}""#));
            assert_eq!(refused(&frame), "`update` is not base64", "{text}");
        }
        let aware = |rest: &str| {
            format!(r#"{{"type":"awareness","id":1,"channel":"doc:a","state":{{}}{rest}}}"#)
        };
        assert_eq!(refused(&aware(r#","client":1"#)), "missing field `clock`");
        let clock = aware(r#","client":1,"clock":4294967296"#);
        assert_eq!(refused(&clock), "`clock` is at most 4294967295");
        let client = aware(r#","client":9007199254740992,"clock":1"#);
        assert_eq!(refused(&client), "`client` is at most 9007199254740991");
        assert!(refused(&aware(r#","client":"ada","clock":1"#)).starts_with("`client`: "));
    }
}
