//! Commands that change what is there: events and keys.

use serde_json::value::RawValue;

use crate::Text;
use crate::decode::{CommandBody, Fields, pair};

/// A change of one key of a state channel.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub struct Write<'a> {
    pub channel: Text<'a>,
    pub key: Text<'a>,
    /// The `value` or the `patch`; `null` of a removal.
    pub data: &'a RawValue,
    pub if_version: Option<u64>,
    /// Milliseconds.
    pub ttl: Option<u64>,
    pub producer: Option<(Text<'a>, u64)>,
    /// The caller's own key against doubles: the HTTP API has it, frames do not.
    pub idempotency_key: Option<Text<'a>>,
}

/// What an event shall be changed to.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub struct Amend<'a> {
    pub channel: Text<'a>,
    pub offset: u64,
    pub what: Amending<'a>,
    pub key: Option<Text<'a>>,
    pub producer: Option<(Text<'a>, u64)>,
}

/// How an event is changed.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are those of the protocol document")]
pub enum Amending<'a> {
    Delete,
    Edit { data: &'a RawValue },
    React { reaction: Text<'a>, remove: bool },
}

impl<'a> Fields<'a> {
    /// What changes an event or a key.
    pub(crate) fn into_change(self) -> Result<CommandBody<'a>, String> {
        use CommandBody as B;
        let missing = |field: &str| format!("missing field `{field}`");
        Ok(match self.kind.as_deref().unwrap_or_default() {
            "delete" => B::Amend(self.into_amend(Amending::Delete)?),
            "edit" => {
                let data = self.data.ok_or_else(|| missing("data"))?;
                B::Amend(self.into_amend(Amending::Edit { data })?)
            }
            "patch" => {
                let patch = self.patch.ok_or_else(|| missing("patch"))?;
                B::Patch(self.into_write(patch)?)
            }
            "react" => {
                let reaction = self.reaction.clone().ok_or_else(|| missing("reaction"))?;
                let remove = self.remove.unwrap_or(false);
                B::Amend(self.into_amend(Amending::React { reaction, remove })?)
            }
            "remove" => B::Remove(self.into_write(RawValue::NULL)?),
            _ => {
                let value = self.value.ok_or_else(|| missing("value"))?;
                B::Set(self.into_write(value)?)
            }
        })
    }

    fn into_amend(self, what: Amending<'a>) -> Result<Amend<'a>, String> {
        Ok(Amend {
            channel: self.channel.ok_or("missing field `channel`")?,
            offset: self.offset.ok_or("missing field `offset`")?,
            what,
            key: self.key,
            producer: pair(self.producer, self.seq)?,
        })
    }

    fn into_write(self, data: &'a RawValue) -> Result<Write<'a>, String> {
        Ok(Write {
            channel: self.channel.ok_or("missing field `channel`")?,
            key: self.key.ok_or("missing field `key`")?,
            data,
            if_version: self.if_version,
            ttl: self.ttl,
            producer: pair(self.producer, self.seq)?,
            idempotency_key: None,
        })
    }
}
