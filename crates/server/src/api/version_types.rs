//! What the API takes and gives about versions of documents. The comments are its documentation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidings_core::document::{self, Compared};

use super::document_types::{DOCUMENT, Shown};
use super::endpoints::{Kind, MANY, Parameter};

const VERSION: Parameter =
    Parameter { name: "version", about: "Its number", kind: Kind::PathNumber };

/// How versions are listed.
pub(super) const VERSIONS: [Parameter; 3] = [
    DOCUMENT[0],
    Parameter {
        name: "before",
        about: "Only versions with smaller numbers",
        kind: Kind::Number(0, MANY),
    },
    Parameter { name: "limit", about: "How many at most", kind: Kind::Number(1, 100) },
];

/// How one is asked for.
pub(super) const ONE: [Parameter; 2] = [DOCUMENT[0], VERSION];

/// How one is read.
pub(super) const READ: [Parameter; 5] =
    [DOCUMENT[0], VERSION, DOCUMENT[1], DOCUMENT[2], DOCUMENT[3]];

/// How two are compared.
pub(super) const COMPARED: [Parameter; 4] = [
    DOCUMENT[0],
    VERSION,
    Parameter {
        name: "with",
        about: "The number of the other one; the document as it is now, if not given",
        kind: Kind::Number(1, MANY),
    },
    DOCUMENT[2],
];

/// What a document held at one moment.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(super) struct Version {
    /// Its number: they grow, and are never used twice.
    pub(super) version: u64,
    /// When it was taken.
    pub(super) timestamp: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// Who asked for it; without one it was taken by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<String>,
    /// Who changed the document between the version before and this one; at most 32.
    pub(super) authors: Vec<String>,
    /// Bytes of its content.
    pub(super) bytes: usize,
    /// The offset of the newest change in it.
    pub(super) offset: u64,
    /// The document's epoch.
    pub(super) epoch: String,
}

/// Versions of a document.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(super) struct Versions {
    /// The newest first.
    pub(super) versions: Vec<Version>,
    /// There are older ones.
    pub(super) more: bool,
    /// Whether the document has changed since the newest one.
    pub(super) changed: bool,
    /// Who has changed it since then.
    pub(super) authors: Vec<String>,
}

/// A version and what it holds.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct VersionContent {
    #[serde(flatten)]
    pub(super) version: Version,
    /// Its Yjs state vector, in base64.
    pub(super) vector: String,
    #[serde(flatten)]
    pub(super) shown: Shown,
}

/// What differs between two versions, for people.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Comparison {
    /// Pieces of both texts, in their order: put together without those that were added they are
    /// the older one, without those that were removed the newer one.
    pub(super) changes: Vec<TextPiece>,
    /// Who changed the document between the two.
    pub(super) authors: Vec<String>,
}

/// A piece of two texts.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TextPiece {
    change: TextChange,
    text: String,
}

/// Which text has a piece.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum TextChange {
    /// Both.
    Same,
    /// The older one.
    Removed,
    /// The newer one.
    Added,
}

impl From<Compared> for TextPiece {
    fn from(Compared { change, text }: Compared) -> Self {
        let change = match change {
            document::TextChange::Same => TextChange::Same,
            document::TextChange::Removed => TextChange::Removed,
            document::TextChange::Added => TextChange::Added,
        };
        Self { change, text }
    }
}

/// A version to be taken.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveVersionBody {
    /// What people call it. No control characters.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255), example = &"Sent to the printer")]
    pub(super) name: Option<Box<str>>,
    /// Who asks for it, instead of the API key's name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub(super) user: Option<String>,
}

/// Another name for a version.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NameVersionBody {
    /// `null`: it has none any more. No control characters.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schemars(required, length(min = 1, max = 255), example = &"Final")]
    pub(super) name: Option<Box<str>>,
}

/// A version to be brought back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RestoreVersionBody {
    /// The user that the change is from, instead of the API key's name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub(super) user: Option<String>,
}
