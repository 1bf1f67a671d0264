//! Changes that restore versions of documents: made on threads of their own, as the document is
//! opened whole, twice.

use std::sync::Arc;

use bytes::Bytes;
use tidings_core::document::{Fault, restore};

use super::Shard;
use super::mailbox::Mail;

impl Shard {
    /// Makes one when it is its turn; it comes as mail, always.
    pub(super) fn restore(
        &self,
        (channel, ticket): (Arc<str>, u64),
        now: Bytes,
        then: Bytes,
        client: u64,
    ) {
        let (node, shard) = (self.node.clone(), usize::from(self.id.0));
        let places = self.service.restoring.clone();
        tokio::spawn(async move {
            // It is never closed; without a place it would only take more memory.
            let _place = places.acquire_owned().await;
            let made = tokio::task::spawn_blocking(move || restore(&now, &then, client)).await;
            let outcome = made.unwrap_or(Err(Fault::Broken));
            node.mailboxes[shard].post(&mut vec![Mail::Restored { channel, ticket, outcome }]);
        });
    }
}
