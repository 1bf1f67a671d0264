//! Who on this shard is subscribed to what.

use std::collections::HashMap;
use std::sync::Arc;

use slab::Slab;

use super::conflating::Newest;
use super::document::Dialect;
use super::types::{SessionKey, TopicKey};

/// A live subscriber: an entry of the list that a fan-out goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// The session's slot.
    pub slot: u32,
    /// Whether it asked for presence.
    pub presence: bool,
    /// It is behind: what is in history is not sent to it, see [`Engine::lag`](super::Engine::lag).
    pub held: bool,
    /// What it speaks: editors get [`Delivery::binary`](super::Delivery::binary), not the text.
    pub dialect: Dialect,
    /// What is sent to all is not sent to it: the engine tells it by itself.
    pub apart: bool,
}

/// A channel that sessions of this shard are subscribed to.
#[derive(Debug)]
struct Topic {
    channel: Arc<str>,
    subscribers: Vec<Subscriber>,
    /// Sessions that are still reading pages, and whether they asked for presence. What is not in
    /// history (presence, ephemeral events) reaches them at once.
    paging: Vec<(SessionKey, bool)>,
    /// Subscriptions of any stage: the topic lives as long as there is one.
    holders: u32,
    /// Where values may be skipped.
    newest: Option<Box<Newest>>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    by_name: HashMap<Arc<str>, TopicKey>,
    topics: Slab<Topic>,
    subscriptions: usize,
}

impl Topics {
    pub(crate) fn find(&self, channel: &str) -> Option<TopicKey> {
        self.by_name.get(channel).copied()
    }

    /// Of all sessions.
    pub(crate) fn subscriptions(&self) -> usize {
        self.subscriptions
    }

    pub(crate) fn channel(&self, key: TopicKey) -> &Arc<str> {
        &self.topics[key.0 as usize].channel
    }

    /// How many subscriptions there are, whatever their stage.
    pub(crate) fn holders(&self, key: TopicKey) -> usize {
        self.topics.get(key.0 as usize).map_or(0, |topic| topic.holders as usize)
    }

    pub(crate) fn subscribers(&self, key: TopicKey) -> &[Subscriber] {
        self.topics.get(key.0 as usize).map_or(&[], |topic| &topic.subscribers)
    }

    /// A subscription begins.
    pub(crate) fn hold(&mut self, channel: &Arc<str>) -> TopicKey {
        self.subscriptions += 1;
        if let Some(&key) = self.by_name.get(channel) {
            self.topics[key.0 as usize].holders += 1;
            return key;
        }
        let (channel, subscribers, paging) = (channel.clone(), Vec::new(), Vec::new());
        let (name, newest) = (channel.clone(), None);
        let topic = Topic { channel: name, subscribers, paging, holders: 1, newest };
        // A slab of more than 2^32 topics does not fit into any memory.
        let key = TopicKey(u32::try_from(self.topics.insert(topic)).unwrap_or(u32::MAX));
        self.by_name.insert(channel, key);
        key
    }

    /// A subscription has ended; the channel, if it was the last one.
    pub(crate) fn release(&mut self, key: TopicKey) -> Option<Arc<str>> {
        let topic = &mut self.topics[key.0 as usize];
        topic.holders -= 1;
        self.subscriptions -= 1;
        if topic.holders > 0 {
            return None;
        }
        let topic = self.topics.remove(key.0 as usize);
        self.by_name.remove(&topic.channel);
        Some(topic.channel)
    }

    /// A subscription goes live; its place in the list.
    pub(crate) fn join(&mut self, key: TopicKey, subscriber: Subscriber) -> u32 {
        let list = &mut self.topics[key.0 as usize].subscribers;
        list.push(subscriber);
        u32::try_from(list.len() - 1).unwrap_or(u32::MAX)
    }

    pub(super) fn newest(&self, key: TopicKey) -> Option<&Newest> {
        self.topics.get(key.0 as usize)?.newest.as_deref()
    }

    pub(super) fn newest_mut(&mut self, key: TopicKey) -> Option<&mut Newest> {
        self.topics.get_mut(key.0 as usize)?.newest.as_deref_mut()
    }

    pub(super) fn newest_and_channel(&mut self, key: TopicKey) -> Option<(&mut Newest, &str)> {
        let topic = self.topics.get_mut(key.0 as usize)?;
        Some((topic.newest.as_deref_mut()?, &topic.channel))
    }

    pub(super) fn all_newest(&mut self) -> impl Iterator<Item = (&str, &mut Newest)> {
        self.topics.iter_mut().filter_map(|(_, topic)| {
            let Topic { channel, newest, .. } = topic;
            Some((&**channel, newest.as_deref_mut()?))
        })
    }

    /// Values may be skipped there.
    pub(super) fn conflate(&mut self, key: TopicKey) -> &mut Newest {
        self.topics[key.0 as usize].newest.get_or_insert_default()
    }

    /// Whether what is in history is kept from a subscriber.
    pub(super) fn hold_back(&mut self, key: TopicKey, place: u32, held: bool) {
        let list = &mut self.topics[key.0 as usize].subscribers;
        if let Some(subscriber) = list.get_mut(place as usize) {
            subscriber.held = held;
        }
    }

    /// Whether a subscriber hears presence: it may change.
    pub(super) fn hear(&mut self, key: TopicKey, place: u32, presence: bool) {
        let list = &mut self.topics[key.0 as usize].subscribers;
        if let Some(subscriber) = list.get_mut(place as usize) {
            subscriber.presence = presence;
        }
    }

    /// A subscriber is told by the engine from now on.
    pub(super) fn set_apart(&mut self, key: TopicKey, place: u32) {
        let list = &mut self.topics[key.0 as usize].subscribers;
        if let Some(subscriber) = list.get_mut(place as usize) {
            subscriber.apart = true;
        }
    }

    /// Sessions that are still reading pages of a channel, and whether they asked for presence.
    pub(crate) fn paging(&self, key: TopicKey) -> &[(SessionKey, bool)] {
        self.topics.get(key.0 as usize).map_or(&[], |topic| &topic.paging)
    }

    /// A subscription begins with more than one page.
    pub(crate) fn start_paging(&mut self, key: TopicKey, session: SessionKey, presence: bool) {
        self.topics[key.0 as usize].paging.push((session, presence));
    }

    /// It has read them all, or is over.
    pub(crate) fn stop_paging(&mut self, key: TopicKey, session: SessionKey) {
        let paging = &mut self.topics[key.0 as usize].paging;
        paging.retain(|(other, _)| *other != session);
        if paging.is_empty() {
            paging.shrink_to_fit();
        }
    }

    /// A live subscription ends; whoever was last in the list now has its place.
    pub(crate) fn part(&mut self, key: TopicKey, place: u32) -> Option<Subscriber> {
        let list = &mut self.topics[key.0 as usize].subscribers;
        list.swap_remove(place as usize);
        if list.len() * 4 < list.capacity() {
            list.shrink_to(list.len() * 2);
        }
        list.get(place as usize).copied()
    }
}
