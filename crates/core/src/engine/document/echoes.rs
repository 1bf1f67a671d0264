//! Awareness that comes back. `y-websocket` sends on whatever it hears of others, so what is told
//! to n editors comes back n times: it is recognised here, before anybody looks at the states.

use std::collections::HashMap;

use tidings_proto::yjs::sync::{self, Message};
use tidings_proto::yjs::{Fault, Reader, aware};

use crate::engine::Engine;
use crate::engine::types::{Delivery, TopicKey};

/// The newest clock of each client that the editors of this shard have heard of, by document.
pub(super) type Heard = HashMap<TopicKey, HashMap<u64, u32>>;

impl Engine {
    /// Notes what editors are told of clients.
    pub(in crate::engine) fn note_heard(&mut self, topic: TopicKey, batch: &[Delivery]) {
        for delivery in batch.iter().filter(|delivery| delivery.presence) {
            let Some(raw) = &delivery.raw else { continue };
            for message in sync::decode(&raw.yjs) {
                let Ok(Message::Awareness(update)) = message else { continue };
                let clients = self.desks.heard.entry(topic).or_default();
                // invariant: the home wrote it.
                let _ = skim(update, |entry| match entry.state {
                    Some(_) => drop(clients.insert(entry.client, entry.clock)),
                    None => drop(clients.remove(&entry.client)),
                });
            }
        }
    }

    /// Nobody of this shard has the document open any more.
    pub(super) fn forget_heard(&mut self, topic: TopicKey) {
        if self.topics.holders(topic) <= 1 {
            self.desks.heard.remove(&topic);
        }
    }

    /// An awareness update without what this shard's editors have heard before.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn without_echoes(&self, document: &str, update: &[u8]) -> Result<Vec<u8>, Fault> {
        let heard = self.topics.find(document).and_then(|topic| self.desks.heard.get(&topic));
        let mut news = Vec::new();
        skim(update, |entry| {
            let known = heard.and_then(|heard| heard.get(&entry.client));
            let is_echo = known.is_some_and(|clock| entry.clock <= *clock);
            // Who says good-bye may say it with the clock of before.
            if !is_echo || entry.state.is_none() {
                news.push(entry);
            }
        })?;
        Ok(aware::encode(&news))
    }
}

/// Goes through an awareness update without a look into its states.
fn skim<'a>(update: &'a [u8], mut each: impl FnMut(aware::Entry<'a>)) -> Result<(), Fault> {
    let mut reader = Reader::new(update);
    for _ in 0..reader.var_uint()? {
        let client = reader.var_uint()?;
        let clock = u32::try_from(reader.var_uint()?).map_err(|_| Fault::Number)?;
        let state = reader.string()?;
        each(aware::Entry { client, clock, state: Some(state).filter(|state| *state != "null") });
    }
    Ok(())
}
