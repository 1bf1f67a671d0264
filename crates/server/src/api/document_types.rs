//! What the API takes and gives about documents. The comments are its documentation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tidings_core::document::{self, PatchOp, RootKind};

use super::endpoints::{Kind, Parameter};

/// How a document is asked for; the first one is its channel.
pub(super) const DOCUMENT: [Parameter; 4] = [
    Parameter {
        name: "channel",
        about: "The document's channel, percent-encoded",
        kind: Kind::PathAs("doc:plan"),
    },
    Parameter {
        name: "as",
        about: "What it is told as; `json` if not given",
        kind: Kind::OneOf(&["json", "text", "update"]),
    },
    Parameter {
        name: "root",
        about: "Only this root: the name that editors give to `getText` or `getMap`",
        kind: Kind::Text,
    },
    Parameter {
        name: "type",
        about: "What the root is, where that cannot be seen: an empty list is like an empty text",
        kind: Kind::OneOf(&["text", "map", "array", "xml"]),
    },
];

/// How one is reset.
pub(super) const RESET: [Parameter; 2] = [
    DOCUMENT[0],
    Parameter {
        name: "versions",
        about: "What becomes of its versions; `delete` if not given",
        kind: Kind::OneOf(&["delete", "keep"]),
    },
];

/// A document, all as of one offset.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Document {
    /// Which document it is of those that have had its name: another one after each reset.
    pub(super) epoch: String,
    /// The offset of its newest change.
    pub(super) offset: u64,
    /// What is stored, as a Yjs state vector, in base64.
    pub(super) vector: String,
    /// About how long it is, encoded.
    pub(super) bytes: usize,
    /// How many Yjs clients have written into it.
    pub(super) clients: usize,
    #[serde(flatten)]
    pub(super) shown: Shown,
}

/// What a document holds, or has held, as it was asked for.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct Shown {
    /// `as=json`: what each root holds. A map is an object, a list an array, a text a string, rich
    /// text XML in a string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<Map<String, Value>>,
    /// `as=text`: what people read of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    /// `as=update`: all of it as a Yjs update, in base64, but for what waits for updates that have
    /// not come yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) update: Option<String>,
}

/// What a root is used as: a document does not know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum RootType {
    Text,
    Map,
    Array,
    Xml,
}

impl From<RootType> for RootKind {
    fn from(kind: RootType) -> Self {
        match kind {
            RootType::Text => Self::Text,
            RootType::Map => Self::Map,
            RootType::Array => Self::Array,
            RootType::Xml => Self::Xml,
        }
    }
}

/// A Yjs update.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MergeUpdateBody {
    /// Of version 1, in base64.
    #[schemars(example = "AAA=")]
    pub(super) update: String,
    /// Only if the document still has this epoch.
    #[serde(default)]
    pub(super) epoch: Option<String>,
    /// Only if nothing has changed since it had this offset.
    #[serde(default)]
    pub(super) if_offset: Option<u64>,
    /// The user that the change is from, instead of the API key's name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub(super) user: Option<String>,
}

/// Edits of a text: all are made, or none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EditTextBody {
    /// The root: the name that editors give to `getText`.
    #[schemars(example = &"text")]
    pub(super) root: String,
    /// A text in a map or a list of the root, as a JSON Pointer.
    #[serde(default)]
    pub(super) path: String,
    /// One after the other.
    pub(super) edits: Vec<TextEdit>,
    /// Only if the document still has this epoch.
    #[serde(default)]
    pub(super) epoch: Option<String>,
    /// Only if nothing has changed since it had this offset.
    #[serde(default)]
    pub(super) if_offset: Option<u64>,
    /// The user that the change is from, instead of the API key's name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub(super) user: Option<String>,
}

/// An edit: first something goes, then something comes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TextEdit {
    /// Where, in UTF-16 code units (as JavaScript counts), in the text as the edits before this
    /// one have left it.
    at: u32,
    /// How many UTF-16 code units go.
    #[serde(default)]
    delete: u32,
    /// What comes there.
    #[serde(default)]
    insert: String,
    /// Its format, as `{"bold": true}`; without one it has that of what is in front of it.
    #[serde(default)]
    attributes: Option<Map<String, Value>>,
}

impl From<TextEdit> for document::TextEdit {
    fn from(edit: TextEdit) -> Self {
        let TextEdit { at, delete, insert, attributes } = edit;
        Self { at, delete, insert, attributes }
    }
}

/// JSON Patch (RFC 6902) for a root that is a map or a list: all of it is made, or nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PatchDocumentBody {
    /// The root: the name that editors give to `getMap` or `getArray`.
    #[schemars(example = &"todos")]
    pub(super) root: String,
    /// What the root is, if nobody has written there: a map, unless it is said.
    #[serde(default, rename = "type")]
    pub(super) kind: Option<RootType>,
    /// Objects and arrays are written as plain values, which are replaced whole, instead of maps
    /// and lists that several can change at once.
    #[serde(default)]
    pub(super) plain: bool,
    /// The operations. Paths begin in the root.
    pub(super) patch: Vec<PatchOperation>,
    /// Only if the document still has this epoch.
    #[serde(default)]
    pub(super) epoch: Option<String>,
    /// Only if nothing has changed since it had this offset.
    #[serde(default)]
    pub(super) if_offset: Option<u64>,
    /// The user that the change is from, instead of the API key's name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub(super) user: Option<String>,
}

/// An operation of JSON Patch.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum PatchOperation {
    Add { path: String, value: Value },
    Remove { path: String },
    Replace { path: String, value: Value },
    Move { from: String, path: String },
    Copy { from: String, path: String },
    Test { path: String, value: Value },
}

impl From<PatchOperation> for PatchOp {
    fn from(op: PatchOperation) -> Self {
        match op {
            PatchOperation::Add { path, value } => Self::Add { path, value },
            PatchOperation::Remove { path } => Self::Remove { path },
            PatchOperation::Replace { path, value } => Self::Replace { path, value },
            PatchOperation::Move { from, path } => Self::Move { from, path },
            PatchOperation::Copy { from, path } => Self::Copy { from, path },
            PatchOperation::Test { path, value } => Self::Test { path, value },
        }
    }
}

/// Where to copy a document to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CopyDocumentBody {
    /// The channel of the copy. What is in it already goes.
    #[schemars(example = &"doc:copy", length(min = 1, max = 255))]
    pub(super) to: String,
    /// The user that the change is from, instead of the API key's name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub(super) user: Option<String>,
}

/// The change is stored.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(super) struct Changed {
    /// Its offset, or that of the newest change if it has changed nothing.
    offset: u64,
}
