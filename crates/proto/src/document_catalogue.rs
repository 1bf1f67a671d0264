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
        may(
            "version",
            FieldKind::Count(1),
            "All of this version, instead of the document as it is",
        ),
    ],
    examples: &[
        r#"{"type":"sync","id":41,"channel":"doc:plan"}"#,
        r#"{"type":"sync","id":41,"channel":"doc:plan","vector":"AQEB"}"#,
        r#"{"type":"sync","id":41,"channel":"doc:plan","version":3}"#,
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

const NAME: FieldKind = FieldKind::Text;
const VERSION: crate::FieldSpec = must("version", FieldKind::Count(1), "Its number");

pub(crate) const VERSIONS: CommandSpec = CommandSpec {
    kind: "versions",
    summary: "Lists a document's versions, the newest first",
    fields: &[
        CHANNEL,
        may("before", FieldKind::Count(1), "Only those with smaller numbers"),
        may("limit", FieldKind::Count(1), "At most so many: 1 to 100, 50 if not given"),
    ],
    examples: &[
        r#"{"type":"versions","id":44,"channel":"doc:plan"}"#,
        r#"{"type":"versions","id":44,"channel":"doc:plan","before":3,"limit":20}"#,
    ],
};

pub(crate) const SAVE_VERSION: CommandSpec = CommandSpec {
    kind: "save_version",
    summary: "Keeps what a document holds now as a version",
    fields: &[CHANNEL, may("name", NAME, "What people call it: 1 to 255 bytes")],
    examples: &[r#"{"type":"save_version","id":45,"channel":"doc:plan","name":"Draft"}"#],
};

pub(crate) const NAME_VERSION: CommandSpec = CommandSpec {
    kind: "name_version",
    summary: "Gives a version a name, or another one",
    fields: &[CHANNEL, VERSION, must("name", FieldKind::Any, "As in `save_version`; `null`: none")],
    examples: &[
        r#"{"type":"name_version","id":46,"channel":"doc:plan","version":3,"name":"Final"}"#,
    ],
};

pub(crate) const RESTORE_VERSION: CommandSpec = CommandSpec {
    kind: "restore_version",
    summary: "Has a document hold what a version holds, by a change of its own",
    fields: &[CHANNEL, VERSION],
    examples: &[r#"{"type":"restore_version","id":47,"channel":"doc:plan","version":3}"#],
};
