//! Web Push: whether a notification is still to be pushed, and subscriptions that are over.

use std::sync::Arc;

use super::Engine;
use super::inbox::Ask;
use super::types::{Effect, Now};
use crate::push::PushAnswer;

impl Engine {
    /// Asks whether the item `id` of a user's inbox is to be pushed. An [`Effect::Pushed`] with
    /// this `ticket` says it, always and once.
    pub fn ask_push(&mut self, now: Now, ticket: u64, user: &Arc<str>, id: u64) {
        if self.ask_inbox(user, Ask::Push { ticket, item: id }).is_err() {
            self.out.effects.push(Effect::Pushed { ticket, answer: PushAnswer::Unwanted });
        }
        self.settle(now);
    }

    /// A subscription is over: the push service knows it no more. If this is lost, the next push
    /// finds it out again.
    pub fn drop_push(&mut self, now: Now, user: &Arc<str>, endpoint: &str) {
        // A user who cannot have an inbox has no subscription.
        let _ = self.ask_inbox(user, Ask::DropPush(endpoint.into()));
        self.settle(now);
    }
}
