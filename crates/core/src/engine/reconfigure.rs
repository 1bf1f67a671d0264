//! Rules that change while sessions are open.

use std::sync::Arc;

use tidings_proto::CloseCode;

use super::Engine;
use super::inspect::Whom;
use super::knocking::NO_KEY;
use super::types::{Now, SessionKey};
use crate::Limits;
use crate::identity::Identity;
use crate::policy::{Namespace, Policy};

impl Engine {
    /// From now on these rules and limits hold, also for what is open: sessions lose what they may
    /// not do any more, and those end whose keys the authority does not honour any more. A channel
    /// in memory stays durable or not until it leaves memory.
    pub fn reconfigure(&mut self, now: Now, policy: Arc<Policy>, limits: Arc<Limits>) {
        let before = std::mem::replace(&mut self.config.policy, policy);
        self.config.limits = limits;
        for (_, home) in &mut self.homes.slab {
            let old = &mut home.channel.namespace;
            if let Some(new) = self.config.policy.namespaces.get(&old.name) {
                *old = with_nature_of(new, old);
            }
        }
        if before.wants != self.config.policy.wants {
            self.change_wants(now, &before.wants);
        }
        for key in self.keys_of(&Whom::default()) {
            self.hold_to_policy(key);
        }
        self.settle(now);
    }

    /// Takes from a session what the rules do not allow it.
    pub(super) fn hold_to_policy(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get(key.slot as usize) else { return };
        match session.identity.as_ref().and_then(|who| self.unwelcome(who)) {
            Some(code) => self.end_session(key, code, None),
            None => self.revoke_disallowed(key),
        }
    }

    /// Why somebody who was let in once may not be here any more. Whose key was withdrawn is asked
    /// for a fresh token, which another key may have signed.
    pub(super) fn unwelcome(&self, who: &Identity) -> Option<CloseCode> {
        if who.key == NO_KEY && !who.anonymous {
            self.config.policy.hooks.connect.is_none().then_some(CloseCode::TokenExpired)
        } else if who.anonymous {
            (!self.config.policy.anonymous).then_some(CloseCode::Forbidden)
        } else {
            (!self.config.authority.honours(who.key)).then_some(CloseCode::TokenExpired)
        }
    }
}

/// A namespace as it is for a channel that is in memory: its events are where, and what, they are.
fn with_nature_of(new: &Arc<Namespace>, old: &Namespace) -> Arc<Namespace> {
    let durable = old.policy.history.durable;
    let kind = old.policy.kind;
    if new.policy.history.durable == durable && new.policy.kind == kind {
        return new.clone();
    }
    let mut namespace = Namespace::clone(new);
    namespace.policy.history.durable = durable;
    namespace.policy.kind = kind;
    Arc::new(namespace)
}
