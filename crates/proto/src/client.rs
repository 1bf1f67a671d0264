//! The other side: what a client encodes and decodes.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Text;

/// A frame of the server, decoded. Fields that its type does not have are `None`.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub struct ServerFrame<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Text<'a>,
    pub id: Option<u64>,
    #[serde(borrow)]
    pub channel: Option<Text<'a>>,
    #[serde(borrow)]
    pub epoch: Option<Text<'a>>,
    pub offset: Option<u64>,
    #[serde(default)]
    pub recovered: bool,
    #[serde(default)]
    pub duplicate: bool,
    #[serde(default)]
    pub ephemeral: bool,
    #[serde(borrow)]
    pub level: Option<Text<'a>>,
    #[serde(borrow)]
    pub timestamp: Option<Text<'a>>,
    #[serde(borrow)]
    pub user: Option<Text<'a>>,
    #[serde(borrow)]
    pub session: Option<Text<'a>>,
    #[serde(borrow)]
    pub event: Option<Text<'a>>,
    #[serde(borrow)]
    pub key: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "crate::decode::present")]
    pub data: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "crate::decode::present")]
    pub value: Option<&'a RawValue>,
    #[serde(borrow)]
    pub patch: Option<&'a RawValue>,
    /// `true` in a change, keys in `values`.
    #[serde(borrow)]
    pub removed: Option<&'a RawValue>,
    pub version: Option<u64>,
    #[serde(borrow)]
    pub expires_at: Option<Text<'a>>,
    #[serde(default)]
    pub expired: bool,
    #[serde(default)]
    pub conflated: bool,
    /// `true` in a snapshot, an offset in `unread`.
    #[serde(borrow)]
    pub first: Option<&'a RawValue>,
    #[serde(borrow)]
    pub entries: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub values: Option<&'a RawValue>,
    /// The offset of the event that was changed.
    pub target: Option<u64>,
    #[serde(borrow)]
    pub reaction: Option<Text<'a>>,
    #[serde(borrow)]
    pub edited: Option<Text<'a>>,
    #[serde(default)]
    pub deleted: bool,
    #[serde(borrow)]
    pub reactions: Option<&'a RawValue>,
    #[serde(borrow)]
    pub item: Option<&'a RawValue>,
    #[serde(borrow)]
    pub items: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub groups: Option<Vec<&'a RawValue>>,
    pub unread: Option<u64>,
    pub unseen: Option<u64>,
    pub ids: Option<Vec<u64>>,
    pub dropped: Option<Vec<u64>>,
    pub upto: Option<u64>,
    #[serde(rename = "as")]
    pub how: Option<crate::MarkAs>,
    #[serde(borrow)]
    pub of: Option<Text<'a>>,
    pub read: Option<u64>,
    #[serde(borrow)]
    pub cursors: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub topic: Option<Text<'a>>,
    #[serde(borrow)]
    pub push_key: Option<Text<'a>>,
    #[serde(borrow)]
    pub events: Option<Vec<&'a RawValue>>,
    pub more: Option<bool>,
    #[serde(borrow)]
    pub members: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub member: Option<&'a RawValue>,
    pub count: Option<u64>,
    #[serde(borrow)]
    pub action: Option<Text<'a>>,
    #[serde(borrow)]
    pub reason: Option<Text<'a>>,
    #[serde(borrow)]
    pub code: Option<&'a RawValue>,
    #[serde(borrow)]
    pub message: Option<Text<'a>>,
    #[serde(default)]
    pub retryable: bool,
    pub reconnect: Option<bool>,
    pub retry_after: Option<u64>,
    pub expected: Option<u64>,
    #[serde(borrow)]
    pub path: Option<Text<'a>>,
    #[serde(borrow)]
    pub limit: Option<Text<'a>>,
    pub expires_in: Option<u64>,
    pub heartbeat: Option<u64>,
    /// Whether an earlier session goes on.
    pub resumed: Option<bool>,
    pub dedup_window: Option<u64>,
    #[serde(borrow)]
    pub limits: Option<&'a RawValue>,
    #[serde(borrow)]
    pub departed: Option<Vec<&'a RawValue>>,
    /// A Yjs update in base64: see [`from_base64`](crate::from_base64).
    #[serde(borrow)]
    pub update: Option<Text<'a>>,
    /// A state vector in base64.
    #[serde(borrow)]
    pub vector: Option<Text<'a>>,
    /// What is to be seen of others who have a document open.
    #[serde(borrow)]
    pub states: Option<Vec<&'a RawValue>>,
    pub write: Option<bool>,
    pub awareness: Option<bool>,
}

/// A frame that no server of this version sends.
#[derive(Debug)]
pub struct DecodeServerFrameError(serde_json::Error);

impl fmt::Display for DecodeServerFrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a frame of a Tidings server: {}", self.0)
    }
}

impl std::error::Error for DecodeServerFrameError {}

impl<'a> ServerFrame<'a> {
    /// Decodes one frame. Fields and types that are not known are no error: a newer server may
    /// send them.
    ///
    /// # Errors
    /// When it is not a JSON object with a `type`, or a known field is of the wrong kind.
    pub fn decode(frame: &'a str) -> Result<Self, DecodeServerFrameError> {
        serde_json::from_str(frame).map_err(DecodeServerFrameError)
    }
}

/// The JSON of a command: `kind`, `id` and further fields.
///
/// ```
/// let frame = tidings_proto::command("subscribe", 1, serde_json::json!({"channel": "chat:a"}));
/// assert_eq!(frame, r#"{"channel":"chat:a","id":1,"type":"subscribe"}"#);
/// ```
pub fn command(kind: &str, id: u64, mut fields: serde_json::Value) -> String {
    if !fields.is_object() {
        fields = serde_json::json!({});
    }
    fields["type"] = kind.into();
    fields["id"] = id.into();
    fields.to_string()
}
