//! What clients and the server say about versions of documents.

use serde::Serialize;

use crate::decode::{CommandBody, Fields, read};
use crate::{Epoch, Text, Timestamp};

/// What a client asks for that has to do with a document's versions.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub struct DocumentVersions<'a> {
    pub channel: Text<'a>,
    pub what: Versioning<'a>,
}

/// See [`DocumentVersions`].
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub enum Versioning<'a> {
    /// `versions`
    List { before: Option<u64>, limit: Option<u64> },
    /// `name_version`; `None`: it has no name any more.
    Name { version: u64, name: Option<Text<'a>> },
    /// `restore_version`
    Restore { version: u64 },
    /// `save_version`
    Save { name: Option<Text<'a>> },
}

/// A version of a document, as all are told.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub struct VersionView<'a> {
    pub version: u64,
    pub timestamp: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<&'a str>,
    pub authors: &'a [Box<str>],
    pub bytes: usize,
    pub offset: u64,
    pub epoch: Epoch,
}

impl<'a> Fields<'a> {
    /// What is asked of a document's versions.
    pub(crate) fn into_versions(self) -> Result<CommandBody<'a>, String> {
        let missing = |field: &str| format!("missing field `{field}`");
        let channel = self.channel.ok_or_else(|| missing("channel"))?;
        let version = self.version.ok_or_else(|| missing("version"));
        let what = match self.kind.as_deref().unwrap_or_default() {
            "name_version" => {
                let name = self.name.ok_or_else(|| missing("name"))?;
                let name: Option<Option<_>> = read("name", Some(name))?;
                Versioning::Name { version: version?, name: name.flatten() }
            }
            "restore_version" => Versioning::Restore { version: version? },
            "save_version" => {
                let name: Option<Option<_>> = read("name", self.name)?;
                Versioning::Save { name: name.flatten() }
            }
            _ => Versioning::List { before: self.before, limit: self.limit },
        };
        Ok(CommandBody::Versions(DocumentVersions { channel, what }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Frame, decode};

    fn asked(frame: &str) -> Versioning<'_> {
        match decode(frame).unwrap().body {
            CommandBody::Versions(asked) if &*asked.channel == "doc:a" => asked.what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_version_is_saved_with_a_name_and_loses_it_again() {
        let frame = r#"{"type":"save_version","id":1,"channel":"doc:a","name":"Draft"}"#;
        assert!(matches!(asked(frame), Versioning::Save { name: Some(name) } if &*name == "Draft"));
        let frame = r#"{"type":"save_version","id":1,"channel":"doc:a"}"#;
        assert!(matches!(asked(frame), Versioning::Save { name: None }));
        let frame = r#"{"type":"name_version","id":1,"channel":"doc:a","version":3,"name":null}"#;
        assert!(matches!(asked(frame), Versioning::Name { version: 3, name: None }));
        let authors = ["ada".into()];
        let (timestamp, epoch) = (Timestamp(0), Epoch(1));
        let (name, user) = (Some("Draft"), None);
        let version = VersionView {
            version: 3,
            timestamp,
            name,
            user,
            authors: &authors,
            bytes: 9,
            offset: 7,
            epoch,
        };
        assert_eq!(
            Frame::Version { id: 1, channel: "doc:a", version }.encode(),
            concat!(
                r#"{"type":"version","id":1,"channel":"doc:a","version":3,"#,
                r#""timestamp":"1970-01-01T00:00:00.000Z","name":"Draft","authors":["ada"],"#,
                r#""bytes":9,"offset":7,"epoch":"0000000000000001"}"#
            )
        );
    }

    #[test]
    fn what_is_wrong_with_a_version_s_command_is_named() {
        let refused = |kind: &str, rest: &str| {
            let frame = format!(r#"{{"type":"{kind}","id":1,"channel":"doc:a"{rest}}}"#);
            decode(&frame).unwrap_err().message
        };
        assert_eq!(refused("restore_version", ""), "missing field `version`");
        assert_eq!(refused("name_version", r#","version":1"#), "missing field `name`");
        assert!(refused("save_version", r#","name":7"#).starts_with("`name`: "));
    }
}
