//! The commands of documents, as data.

use crate::catalogue::{CHANNEL, CommandSpec, FieldKind, may, must};

const EPOCH: crate::FieldSpec =
    may("epoch", FieldKind::Text, "The document's epoch, as `synced` said it");

pub(crate) const SYNC: CommandSpec = CommandSpec {
    kind: "sync",
    summary: "Asks for what a document has and the client has not",
    fields: &[
        CHANNEL,
        EPOCH,
        may("vector", FieldKind::Base64, "The client's state vector; without it: everything"),
    ],
    examples: &[
        r#"{"type":"sync","id":41,"channel":"doc:plan"}"#,
        r#"{"type":"sync","id":41,"channel":"doc:plan","vector":"AQEB"}"#,
    ],
};

pub(crate) const MERGE: CommandSpec = CommandSpec {
    kind: "merge",
    summary: "Merges a change into a document; answered when it is stored",
    fields: &[
        CHANNEL,
        EPOCH,
        must("update", FieldKind::Base64, "A Yjs update, version 1, or a part of it"),
        may("more", FieldKind::Boolean, "The update goes on in the session's next `merge`"),
    ],
    examples: &[
        r#"{"type":"merge","id":42,"channel":"doc:plan","update":"AQEBAAQBAXQBQQA="}"#,
        r#"{"type":"merge","id":42,"channel":"doc:plan","epoch":"5c1f03a9d47be511","update":"AQEBAAQB","more":true}"#,
    ],
};

pub(crate) const AWARENESS: CommandSpec = CommandSpec {
    kind: "awareness",
    summary: "Shows others who has a document open: a name, a cursor",
    fields: &[
        CHANNEL,
        must("client", FieldKind::Count(0), "The number that the Yjs document writes with"),
        must("clock", FieldKind::Count(0), "Larger each time"),
        must("state", FieldKind::Any, "What others see; `null`: gone"),
    ],
    examples: &[
        r#"{"type":"awareness","id":43,"channel":"doc:plan","client":1,"clock":1,"state":{"user":{"name":"Ada"}}}"#,
    ],
};
