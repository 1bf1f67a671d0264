//! What sessions ask of documents: checked here, done at the document's home.

use std::sync::Arc;

use tidings_proto::{
    CommandBody, DocumentAwareness, DocumentMerge, DocumentSync, Epoch, ErrorCode, Text,
    depth_exceeds,
};

use super::refusals::no_document;
use super::syncing::Wanted;
use super::{Ask, Merge, Terms};
use crate::channel::aware::Told;
use crate::engine::Engine;
use crate::engine::commands::{Target, check_size};
use crate::engine::types::{Now, RequestBody, SessionKey, own};
use crate::identity::Action;
use crate::policy::Kind;
use crate::reject::Reject;

/// A change that a session asks for, or a part of it.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) channel: Arc<str>,
    pub(super) epoch: Option<Epoch>,
    pub(super) update: Vec<u8>,
    pub(super) more: bool,
}

impl Engine {
    /// Carries out a command that is about a document.
    pub(in crate::engine) fn document_command(
        &mut self,
        now: Now,
        key: SessionKey,
        id: u64,
        body: CommandBody<'_>,
    ) -> Result<(), Reject> {
        match body {
            CommandBody::Awareness(aware) => self.aware_command(key, id, &aware),
            CommandBody::Merge(merge) => self.merge_command(now, key, id, merge),
            CommandBody::Sync(sync) => self.sync_command(key, id, sync),
            CommandBody::Versions(asked) => self.versions_command(key, id, asked),
            _ => Ok(()),
        }
    }

    /// A document that the session has open, if it may do `action` there.
    pub(super) fn open_document(
        &mut self,
        key: SessionKey,
        channel: &str,
        action: Action,
    ) -> Result<Target, Reject> {
        let target = self.find_target(channel)?;
        if target.namespace.policy.kind != Kind::Document {
            return Err(no_document());
        }
        self.require(key, &target, action)?;
        let topic = self.topics.find(channel);
        let is_open = topic.is_some_and(|topic| {
            self.session(key).is_some_and(|session| session.subscription(topic).is_some())
        });
        if !is_open {
            return Err(Reject::new(ErrorCode::NotSubscribed, "subscribe to the document first"));
        }
        Ok(target)
    }

    fn merge_command(
        &mut self,
        now: Now,
        key: SessionKey,
        id: u64,
        merge: DocumentMerge<'_>,
    ) -> Result<(), Reject> {
        let target = self.open_document(key, &merge.channel, Action::Publish)?;
        let epoch = epoch_of(merge.epoch.as_ref())?;
        let DocumentMerge { update, more, .. } = merge;
        let change = Change { channel: target.channel.clone(), epoch, update, more };
        let Some(change) = self.collect(now, key, id, change)? else { return Ok(()) };
        check_update(change.update.len(), self.config.limits.update)?;
        let Some(user) = self.user_of(key) else { return Ok(()) };
        let (epoch, update) = (change.epoch, change.update.into());
        let (editor, began_us, terms) = (false, now.mono_us, Terms::default());
        let merge = Merge { user, epoch, update, editor, allowed: true, began_us, terms };
        self.ask_inside(key, id, target, RequestBody::Document(Box::new(Ask::Merge(merge))))
    }

    fn sync_command(
        &mut self,
        key: SessionKey,
        id: u64,
        sync: DocumentSync<'_>,
    ) -> Result<(), Reject> {
        let action = if sync.version.is_some() { Action::History } else { Action::Subscribe };
        let target = self.open_document(key, &sync.channel, action)?;
        let epoch = epoch_of(sync.epoch.as_ref())?;
        self.check_inside(key, &target)?;
        let DocumentSync { vector, version, .. } = sync;
        let wanted = Wanted { id, channel: target.channel, epoch, vector, version };
        self.sync_document(key, wanted);
        Ok(())
    }

    fn aware_command(
        &mut self,
        key: SessionKey,
        id: u64,
        aware: &DocumentAwareness<'_>,
    ) -> Result<(), Reject> {
        let target = self.open_document(key, &aware.channel, Action::Presence)?;
        let limits = &self.config.limits;
        let text = aware.state.map(|state| state.get());
        check_size("`state`", "awareness", text, limits.awareness)?;
        if text.is_some_and(|text| depth_exceeds(text, limits.depth)) {
            return Err(Reject::bad_request("`state` is nested too deep"));
        }
        let Some(user) = self.user_of(key) else { return Ok(()) };
        let DocumentAwareness { client, clock, state, .. } = *aware;
        let told = vec![Told { client, clock, state: state.map(own) }];
        self.note_told(key, &target.channel);
        let ask = Ask::Aware { user, told, editor: false };
        self.ask_inside(key, id, target, RequestBody::Document(Box::new(ask)))
    }

    pub(super) fn user_of(&mut self, key: SessionKey) -> Option<Arc<str>> {
        let session = self.session(key)?;
        session.identity.as_ref().map(|who| who.user.clone())
    }
}

pub(super) fn check_update(len: usize, max: usize) -> Result<(), Reject> {
    if len > max {
        return Err(Reject::too_large("the update", "update", max));
    }
    Ok(())
}

fn epoch_of(text: Option<&Text<'_>>) -> Result<Option<Epoch>, Reject> {
    // One that is none of ours is of no document that there is.
    let other = || Reject::new(ErrorCode::DocumentReset, "the document has another epoch");
    text.map(|text| text.parse().map_err(|_| other())).transpose()
}
