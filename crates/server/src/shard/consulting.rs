//! Questions of the engine to the application's backend.

use tidings_core::engine::{About, SessionKey};

use super::Shard;
use super::mailbox::Mail;
use crate::hooks::{Reply, shows_headers};

impl Shard {
    /// Asks; the verdict comes as mail, always.
    pub(super) fn consult(&self, id: u64, session: SessionKey, about: &About) {
        let (node, shard) = (self.node.clone(), usize::from(self.id.0));
        let reply = Reply::new(move |verdict| {
            let verdict = Box::new(verdict);
            node.mailboxes[shard].post(&mut vec![Mail::Advice { id, verdict }]);
        });
        let mut shown = None;
        if shows_headers(about) {
            self.with(session, |connection| shown = connection.shown.take());
        }
        let transport = self.transport_of(session);
        let hooks = self.settings().hooks.clone();
        hooks.ask(&self.node.egress, about, transport, shown.as_deref(), reply);
    }
}
