//! Who follows a topic: a set of users, in a channel of the topic's own that nobody can name.

use std::sync::Arc;

use tidings_proto::{Frame, Secret};

use super::home::Asked;
use crate::channel::Fold;
use crate::channel::topic::Topic;
use crate::engine::home::Scene;
use crate::reject::Reject;

impl Scene<'_> {
    fn topic(&mut self) -> Result<&mut Topic, Reject> {
        match &mut self.channel.fold {
            Fold::Topic(topic) => Ok(topic),
            _ => Err(Reject::bad_request("the channel is no topic")),
        }
    }

    pub(super) fn follow(&mut self, asked: Asked, user: &Arc<str>, on: bool) -> Result<(), Reject> {
        let (name, max) = (self.channel.name.clone(), self.limits.followers_per_topic);
        let (id, topic) = (asked.id, name_of(&name));
        let text = match on {
            true => Frame::Followed { id, topic },
            false => Frame::Unfollowed { id, topic },
        };
        let text = text.encode();
        let followers = self.topic()?;
        if followers.has(user) == on {
            return self.answer(asked, text);
        }
        if on && followers.len() >= max {
            return Err(Reject::limit("too many follow the topic", "followers_per_topic", max));
        }
        if self.channel.failing {
            return Err(Reject::unavailable());
        }
        let event = self.hidden(if on { Secret::Follow(user) } else { Secret::Unfollow(user) });
        self.topic()?.set(user, on);
        self.write(asked, Ok(event), (None, None), text);
        Ok(())
    }

    /// A page of them, by name.
    pub(super) fn followers(
        &mut self,
        asked: Asked,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(), Reject> {
        let name = self.channel.name.clone();
        let topic = self.topic()?;
        let mut users: Vec<&str> = topic.after(after).take(limit + 1).collect();
        let more = users.len() > limit;
        users.truncate(limit);
        let frame = Frame::Followers { id: asked.id, topic: name_of(&name), users: &users, more };
        let text = frame.encode();
        self.answer(asked, text)
    }
}

fn name_of(channel: &str) -> &str {
    channel.split_once(':').map_or("", |(_, topic)| topic)
}
