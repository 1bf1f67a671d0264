//! What is to be published: checked, shown to the backend where the namespace wants that, and sent
//! to the channel's home.

use std::sync::Arc;

use serde_json::value::RawValue;
use tidings_proto::{CommandBody, ErrorCode, depth_exceeds};

use super::Engine;
use super::commands::{Target, check_size};
use super::consulting::{About, Advice, Pending};
use super::counters::CommandKind;
use super::live::wrong_kind;
use super::types::{Now, SessionKey, own};
use super::writing::check_written;
use crate::channel::Publish;
use crate::identity::{Action, Identity};
use crate::policy::{Hook, Kind, Namespace};
use crate::reject::Reject;
use crate::store::Scoped;

/// On whose behalf something is published.
pub(super) struct Author<'a> {
    pub(super) user: &'a Arc<str>,
    /// Whose producers and keys are meant.
    pub(super) scope: &'a str,
    pub(super) session: u64,
}

/// A publish that waits for the backend, or behind one that does: what one session publishes keeps
/// its order, whichever verdict comes first.
#[derive(Debug)]
pub(super) struct Held {
    /// The command's.
    id: u64,
    channel: Arc<str>,
    publish: Publish,
    /// The number of what was asked; 0: nothing had to be.
    question: u64,
    /// `None` while the backend is asked. Refused here, it does not use its number up.
    outcome: Option<Result<(), Reject>>,
}

impl Engine {
    pub(super) fn publish_command(
        &mut self,
        now: Now,
        key: SessionKey,
        id: u64,
        command: CommandBody<'_>,
    ) -> Result<(), Reject> {
        let CommandBody::Publish { channel, .. } = &command else { return Ok(()) };
        let target = self.target(key, channel, Action::Publish)?;
        let Some(session) = self.session(key) else { return Ok(()) };
        let (session, identity) = (session.id, session.identity.clone());
        let Some(identity) = identity else { return Ok(()) };
        let author = Author { user: &identity.user, scope: identity.scope(), session };
        let publish = self.make_publish(now, &author, &target, command)?;
        self.submit(key, id, target, &identity, publish)
    }

    /// It goes home, when the backend has nothing against it where that has to be asked.
    pub(super) fn submit(
        &mut self,
        key: SessionKey,
        id: u64,
        target: Target,
        identity: &Identity,
        publish: Publish,
    ) -> Result<(), Reject> {
        // What is refused for good needs no advice.
        let asks = target.namespace.policy.hooks.contains(&Hook::Publish) && publish.data.is_ok();
        if !asks && !self.consulting.lanes.contains_key(&key) {
            self.count_in_flight(key);
            self.send_publish(key, id, target, publish);
            return Ok(());
        }
        let question = if asks {
            let about = About::publish(&target.channel, identity, &publish);
            self.consult(key, about, Pending::Publish(key))?
        } else {
            0
        };
        self.count_in_flight(key);
        let outcome = (!asks).then_some(Ok(()));
        let held = Held { id, channel: target.channel, publish, question, outcome };
        self.consulting.lanes.entry(key).or_default().push_back(held);
        Ok(())
    }

    /// The backend has said what it thinks of a publish. What is in front of it goes first.
    pub(super) fn publish_advised(
        &mut self,
        key: SessionKey,
        question: u64,
        verdict: Result<Advice, Reject>,
    ) {
        let limits = self.config.limits.clone();
        let Some(lane) = self.consulting.lanes.get_mut(&key) else { return };
        let Some(held) = lane.iter_mut().find(|held| held.question == question) else { return };
        let namespace = self.config.policy.namespace_of(&held.channel);
        let verdict = verdict.and_then(|mut advice| {
            // Many a backend says again what it was asked, which is no event's data then.
            advice.data = advice.data.filter(|_| held.publish.has_data());
            // A namespace that is gone refuses it below.
            if let (Some(data), Some(namespace)) = (&advice.data, namespace) {
                advice.data = Some(match &held.publish.write {
                    Some(wish) => check_written(wish.verb, data, &limits, namespace)?,
                    None => check_data(data, limits.data, limits.depth, Some(namespace))?,
                });
            }
            Ok(advice)
        });
        let verdict = verdict.and_then(|advice| {
            let event = advice.event.as_deref();
            check_size("`event`", "event_name", event, limits.event_name)?;
            Ok(advice)
        });
        held.outcome = Some(match verdict {
            Ok(advice) => {
                held.publish.rewrite(advice.data, advice.event);
                Ok(())
            }
            // Refused for good: with a number it goes home to use that up.
            Err(reject) if held.publish.producer.is_some() && !reject.code.retryable() => {
                held.publish.refuse(reject);
                Ok(())
            }
            Err(reject) => Err(reject),
        });
        self.release_publishes(key);
    }

    /// Sends home what waits for nothing any more, in order.
    fn release_publishes(&mut self, key: SessionKey) {
        while let Some(lane) = self.consulting.lanes.get_mut(&key) {
            let Some(held) = lane.pop_front() else {
                self.consulting.lanes.remove(&key);
                break;
            };
            let Some(outcome) = held.outcome else {
                lane.push_front(held);
                break;
            };
            let Held { id, channel, publish, .. } = held;
            let kind = publish.kind();
            // Its rights may have gone while it waited.
            let right = publish.right();
            let outcome = outcome.and_then(|()| self.target(key, &channel, right));
            match outcome {
                Ok(target) => self.send_publish(key, id, target, publish),
                Err(reject) => {
                    self.answer_refused(kind, key, (id, &channel), &reject);
                }
            }
        }
    }

    /// A command that was counted as under way is refused.
    pub(super) fn answer_refused(
        &mut self,
        kind: CommandKind,
        key: SessionKey,
        (id, channel): (u64, &str),
        why: &Reject,
    ) {
        self.out.counters.command(kind, Some(why.code));
        self.answered(key, why.encode(Some(id), Some(channel)));
    }

    /// Checks what is to be published.
    pub(super) fn make_publish(
        &self,
        now: Now,
        author: &Author<'_>,
        target: &Target,
        command: CommandBody<'_>,
    ) -> Result<Publish, Reject> {
        let CommandBody::Publish { data, event, key, producer, ephemeral, echo, .. } = command
        else {
            return Err(Reject::bad_request("this is no publish"));
        };
        match target.namespace.policy.kind {
            Kind::Events => {}
            Kind::State => return Err(wrong_kind(true)),
            Kind::Document => return Err(Reject::bad_request("documents are changed by `merge`")),
            Kind::Inbox | Kind::Topic => {
                let why = "nobody publishes to an inbox: `notify` its user, by the HTTP API";
                return Err(Reject::bad_request(why));
            }
        }
        let limits = &self.config.limits;
        check_size("`producer`", "producer", producer.as_ref().map(|p| &*p.0), limits.producer)?;
        if ephemeral && (key.is_some() || producer.is_some()) {
            let why = "ephemeral events are never stored: they take no `key` and no `producer`";
            return Err(Reject::bad_request(why));
        }
        let scoped = |name: &str| Scoped { user: author.scope.into(), name: name.into() };
        // What is refused for good uses the producer's number up, whichever field it is about.
        let data = check_size("`event`", "event_name", event.as_deref(), limits.event_name)
            .and_then(|()| check_size("`key`", "key", key.as_deref(), limits.key))
            .and_then(|()| check_data(data, limits.data, limits.depth, Some(&target.namespace)));
        if let Err(reject) = &data
            && producer.is_none()
        {
            return Err(reject.clone());
        }
        Ok(Publish {
            user: author.user.clone(),
            session: author.session,
            event: event.as_deref().map(Into::into),
            key: key.as_deref().filter(|_| data.is_ok()).map(scoped),
            data,
            write: None,
            amend: None,
            producer: producer.map(|(name, seq)| (scoped(&name), seq)),
            ephemeral,
            echo,
            began_us: now.mono_us,
        })
    }
}

/// Whether `data` may be published: refusals that use the sequence number up.
pub(super) fn check_data(
    data: &RawValue,
    max: usize,
    depth: usize,
    namespace: Option<&Namespace>,
) -> Result<Box<RawValue>, Reject> {
    check_size("`data`", "data", Some(data.get()), max)?;
    if depth_exceeds(data.get(), depth) {
        let why = format!("data is nested deeper than {depth}");
        return Err(Reject { limit: Some("depth"), ..Reject::new(ErrorCode::InvalidData, why) });
    }
    namespace.map_or(Ok(()), |namespace| namespace.check(data.get()))?;
    Ok(own(data))
}
