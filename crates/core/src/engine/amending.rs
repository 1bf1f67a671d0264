//! Changes of events: edits, deletions and reactions. They are published like events, and take
//! effect on the event that they are about.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::value::RawValue;
use tidings_proto::{Amend as Asked, Amended, Amending, ErrorCode, Frame, Timestamp};

use super::Engine;
use super::authoring::{Author, check_data};
use super::commands::{Target, check_size};
use super::home::Scene;
use super::types::{Now, RequestBody, SessionKey};
use crate::channel::{Amend, Fold, How, Publish};
use crate::identity::Action;
use crate::limits::{REACTION_BYTES, REACTIONS_PER_EVENT};
use crate::policy::{Changer, ChangesPolicy, Kind, Reacter};
use crate::reject::Reject;
use crate::store::Scoped;

impl Engine {
    pub(super) fn amend_command(
        &mut self,
        now: Now,
        key: SessionKey,
        id: u64,
        asked: &Asked<'_>,
    ) -> Result<(), Reject> {
        let target = self.find_target(&asked.channel)?;
        let moderates = self.require(key, &target, Action::Moderate).is_ok();
        let mut right = right(&target.namespace.policy.changes, &asked.what, moderates)?;
        let Some(session) = self.session(key) else { return Ok(()) };
        let (session, identity) = (session.id, session.identity.clone());
        let Some(identity) = identity else { return Ok(()) };
        if identity.anonymous && right == Action::Subscribe {
            // Else a page that all may read were one that all may write to.
            right = Action::Publish;
        }
        self.require(key, &target, right)?;
        if right == Action::Subscribe {
            self.check_inside(key, &target)?;
        }
        let author = Author { user: &identity.user, scope: identity.scope(), session };
        let publish = self.make_amend(now, &author, &target, asked, right)?;
        self.submit(key, id, target, &identity, publish)
    }

    /// The same for the API, which may change whatever it likes.
    pub(super) fn amend_body(
        &self,
        now: Now,
        author: &Author<'_>,
        target: &Target,
        asked: &Asked<'_>,
    ) -> Result<RequestBody, Reject> {
        let publish = self.make_amend(now, author, target, asked, Action::Moderate)?;
        Ok(RequestBody::Publish(Box::new(publish)))
    }

    fn make_amend(
        &self,
        now: Now,
        author: &Author<'_>,
        target: &Target,
        asked: &Asked<'_>,
        right: Action,
    ) -> Result<Publish, Reject> {
        if target.namespace.policy.kind != Kind::Events {
            return Err(no_events());
        }
        let (limits, producer) = (&self.config.limits, asked.producer.as_ref());
        check_size("`producer`", "producer", producer.map(|p| &*p.0), limits.producer)?;
        let key = asked.key.as_deref();
        let mut how = How::Delete;
        // What is refused for good uses the producer's number up, whichever field it is about.
        let mut data = check_size("`key`", "key", key, limits.key);
        match &asked.what {
            Amending::Delete => {}
            Amending::Edit { .. } => how = How::Edit,
            Amending::React { reaction, remove } => {
                if reaction.is_empty() || reaction.chars().any(char::is_control) {
                    let why = "`reaction` is not empty and has no control characters";
                    return Err(Reject::bad_request(why));
                }
                let size = check_size("`reaction`", "reaction", Some(reaction), REACTION_BYTES);
                data = data.and(size);
                how = How::React { reaction: (**reaction).into(), remove: *remove };
            }
        }
        let data = data.and_then(|()| match &asked.what {
            Amending::Edit { data } => {
                check_data(data, limits.data, limits.depth, Some(&target.namespace))
            }
            Amending::Delete | Amending::React { .. } => Ok(RawValue::NULL.to_owned()),
        });
        if let Err(reject) = &data
            && producer.is_none()
        {
            return Err(reject.clone());
        }
        let scoped = |name: &str| Scoped { user: author.scope.into(), name: name.into() };
        let user = author.user.clone();
        let amend = Amend { target: asked.offset, user: user.clone(), how, right, count: 0 };
        Ok(Publish {
            user,
            session: author.session,
            event: None,
            key: key.filter(|_| data.is_ok()).map(scoped),
            data,
            write: None,
            amend: Some(Box::new(amend)),
            producer: producer.map(|(name, seq)| (scoped(name), *seq)),
            ephemeral: false,
            echo: true,
            began_us: now.mono_us,
        })
    }
}

/// The right that a change needs. Whose event it is, is seen at the channel's home.
fn right(rules: &ChangesPolicy, what: &Amending<'_>, moderates: bool) -> Result<Action, Reject> {
    let own = match what {
        Amending::Delete => rules.delete,
        Amending::Edit { .. } => rules.edit,
        Amending::React { .. } => {
            return match rules.react {
                Reacter::Publish => Ok(Action::Publish),
                Reacter::Subscribe => Ok(Action::Subscribe),
                Reacter::Nobody => Err(Reject::forbidden("nobody may react in this namespace")),
            };
        }
    };
    match own {
        _ if moderates => Ok(Action::Moderate),
        Changer::Author => Ok(Action::Publish),
        Changer::Nobody => {
            Err(Reject::forbidden("only a moderator may change events in this namespace"))
        }
    }
}

fn no_events() -> Reject {
    Reject::bad_request("the channel has no events: its namespace is not of kind `events`")
}

impl Scene<'_> {
    /// Whether a change may be made, as of all that were assigned before; what it comes to is
    /// noted in it.
    pub(super) fn plan_amend(&mut self, publish: &mut Publish) -> Result<(), Reject> {
        let (Some(amend), Ok(_)) = (&mut publish.amend, &publish.data) else { return Ok(()) };
        if !matches!(self.channel.fold, Fold::Events) {
            return Err(no_events());
        }
        self.channel.expire_history(self.steady_ms);
        let history = &self.channel.history;
        let ahead = || {
            let pending =
                self.channel.pending.iter().filter_map(|pending| pending.amend.as_deref());
            pending.filter(|earlier| earlier.target == amend.target)
        };
        let deleted = ahead().any(|earlier| matches!(earlier.how, How::Delete));
        if deleted || !history.has(amend.target) {
            let why = "there is no such event: it has left the history, or is deleted";
            return Err(Reject::new(ErrorCode::NotFound, why));
        }
        let How::React { reaction, remove } = &amend.how else {
            if amend.right != Action::Moderate && !history.is_from(amend.target, &publish.user) {
                return Err(Reject::forbidden("the event is somebody else's"));
            }
            return Ok(());
        };
        let tally = history.tally(amend.target);
        let mut reacting: BTreeMap<&str, bool> = BTreeMap::new();
        let mut reactions: BTreeSet<&str> =
            tally.map(|tally| tally.reactions().collect()).unwrap_or_default();
        for earlier in ahead() {
            let How::React { reaction: other, remove } = &earlier.how else { continue };
            if other == reaction {
                reacting.insert(&earlier.user, !remove);
            }
            if !remove {
                reactions.insert(other);
            }
        }
        reacting.insert(&amend.user, !remove);
        if !remove && reactions.len() >= REACTIONS_PER_EVENT && !reactions.contains(&**reaction) {
            let why = format!("the event has {REACTIONS_PER_EVENT} different reactions already");
            let limit = Some("reactions");
            return Err(Reject { limit, ..Reject::new(ErrorCode::TooLarge, why) });
        }
        let had = |user: &str| tally.is_some_and(|tally| tally.has(reaction, user));
        let mut count = tally.map_or(0, |tally| tally.count(reaction));
        for (user, reacts) in reacting {
            match (had(user), reacts) {
                (false, true) => count += 1,
                (true, false) => count -= 1,
                _ => {}
            }
        }
        amend.count = count;
        Ok(())
    }

    /// The change, as subscribers get it and as it is stored.
    pub(super) fn encode_amend(
        &self,
        publish: &Publish,
        amend: &Amend,
        data: &RawValue,
        offset: u64,
    ) -> Bytes {
        let mut amended = Amended {
            channel: &self.channel.name,
            offset,
            timestamp: Timestamp(self.now.wall_ms),
            user: &publish.user,
            session: publish.session,
            target: amend.target,
            reaction: None,
            removed: false,
            count: None,
            key: publish.key.as_ref().map(|key| &*key.name),
            data: None,
        };
        match &amend.how {
            How::Delete => Frame::Deleted(amended),
            How::Edit => {
                amended.data = Some(data);
                Frame::Edited(amended)
            }
            How::React { reaction, remove } => {
                amended.reaction = Some(reaction);
                (amended.removed, amended.count) = (*remove, Some(amend.count));
                Frame::Reacted(amended)
            }
        }
        .encode()
    }
}
