//! Rights that sessions lose: what they have open ends, and they are told why.

use std::sync::Arc;

use tidings_proto::ErrorCode;

use super::Engine;
use super::document::Dialect;
use super::session::{Stage, Subscription};
use super::types::{Effect, RequestBody, SessionKey, TopicKey};
use crate::identity::Action;
use crate::policy::Kind;
use crate::reject::Reject;

/// What is said of a subscription that ends.
pub(super) const NOT_ALLOWED: &str = "the user may not subscribe to this any more";

impl Engine {
    /// The token or the rules have changed, or something was revoked: subscriptions that are not
    /// allowed any more end.
    pub(super) fn revoke_disallowed(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get(key.slot as usize) else { return };
        let Some(identity) = &session.identity else { return };
        let (authority, id) = (&self.config.authority, session.id);
        let mut ended = Vec::new();
        for sub in &session.subscriptions {
            let channel = self.topics.channel(sub.topic);
            let identity = session.identity_for(channel).unwrap_or(identity);
            let allowed = self.config.policy.namespace_of(channel).is_some_and(|namespace| {
                namespace.allows(identity, Action::Subscribe, channel)
                    && (!sub.presence
                        || namespace.policy.kind == Kind::Document
                        || namespace.allows(identity, Action::Presence, channel))
                    && authority.stands(identity, id, Some(channel))
            });
            if !allowed {
                ended.push(*sub);
            }
        }
        self.revoke_all(key, ended, NOT_ALLOWED);
        self.hold_papers(key);
        self.leave_disallowed(key);
    }

    /// Ends subscriptions of a session, which is told why.
    pub(super) fn revoke_all(
        &mut self,
        key: SessionKey,
        subs: Vec<Subscription>,
        why: &'static str,
    ) {
        for Subscription { topic, nonce, stage, .. } in subs {
            match stage {
                // It ends by itself, and both commands have to be answered.
                Stage::Leaving(_) => {}
                // The reply to `subscribe` has to come first.
                Stage::Asked(_) | Stage::Joining | Stage::Revoked => {
                    if let Stage::Asked(question) = stage {
                        self.give_up_behind(key, question);
                    }
                    if let Some(sub) = self.session(key).and_then(|s| s.by_nonce(topic, nonce)) {
                        sub.stage = Stage::Revoked;
                    }
                }
                Stage::Live(_) | Stage::Page(_) | Stage::Waiting => {
                    self.revoke(key, topic, nonce, why);
                }
            }
        }
    }

    /// Ends a subscription that the session may not have any more.
    pub(super) fn revoke(
        &mut self,
        key: SessionKey,
        topic: TopicKey,
        nonce: u16,
        why: &'static str,
    ) {
        let channel = self.topics.channel(topic).clone();
        self.end_subscription(key, topic, nonce);
        if self.dialect(key) != Dialect::Json {
            return self.editor_shut_out(key, &channel, ErrorCode::Forbidden);
        }
        let reject = Reject::new(ErrorCode::Forbidden, why);
        let text = reject.encode(None, Some(&channel));
        self.out.effects.push(Effect::Send { session: key, text });
    }

    /// The token or the rules have changed: nobody is shown as present where they may not be.
    pub(super) fn leave_disallowed(&mut self, key: SessionKey) {
        let (policy, authority) = (self.config.policy.clone(), self.config.authority.clone());
        let Some(session) = self.session(key) else { return };
        if session.entered.is_none() {
            return;
        }
        let (id, identity) = (session.id, session.identity.clone());
        let Some(identity) = identity else { return };
        let allowed = |channel: &Arc<str>| {
            let namespace = policy.namespace_of(channel);
            namespace.is_some_and(|at| at.allows(&identity, Action::Presence, channel))
                && authority.stands(&identity, id, Some(channel))
        };
        let entered = session.entered.as_deref().cloned().unwrap_or_default();
        let left = entered.into_iter().filter(|channel| !allowed(channel)).collect();
        self.leave_all(key, left);
    }

    /// A session is not present in these channels any more.
    pub(super) fn leave_all(&mut self, key: SessionKey, channels: Vec<Arc<str>>) {
        let user = self.session(key).and_then(|session| session.identity.as_ref());
        let Some(user) = user.map(|who| who.user.clone()) else { return };
        for channel in channels {
            if self.session(key).is_some_and(|session| session.note_left(&channel)) {
                let body = RequestBody::Leave { user: user.clone(), answer: false };
                self.send_home(key, 0, channel, body);
            }
        }
    }
}
