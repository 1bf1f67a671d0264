//! Writes to keys of a state channel: checked here, and from there on published like events.

use std::sync::Arc;

use serde_json::value::RawValue;
use tidings_proto::{CommandBody, Write};

use super::Engine;
use super::authoring::{Author, check_data};
use super::commands::{Target, check_size};
use super::live::wrong_kind;
use super::types::{Now, RequestBody, SessionKey};
use crate::channel::{Publish, Verb, Wish};
use crate::identity::Action;
use crate::limits::STATE_TTL_MS;
use crate::policy::{Kind, Namespace};
use crate::reject::Reject;
use crate::store::Scoped;

/// Keys in one answer.
const GET: usize = 100;
const GET_MAX: usize = 1000;

impl Engine {
    pub(super) fn write_command(
        &mut self,
        now: Now,
        key: SessionKey,
        id: u64,
        verb: Verb,
        write: &Write<'_>,
    ) -> Result<(), Reject> {
        let target = self.target(key, &write.channel, Action::Publish)?;
        let Some(session) = self.session(key) else { return Ok(()) };
        let (session, identity) = (session.id, session.identity.clone());
        let Some(identity) = identity else { return Ok(()) };
        let author = Author { user: &identity.user, scope: identity.scope(), session };
        let publish = self.make_write(now, &author, &target, verb, write)?;
        self.submit(key, id, target, &identity, publish)
    }

    pub(super) fn get_command(
        &mut self,
        key: SessionKey,
        id: u64,
        body: &CommandBody<'_>,
    ) -> Result<(), Reject> {
        let CommandBody::Get { channel, .. } = body else { return Ok(()) };
        let target = self.target(key, channel, Action::Subscribe)?;
        let body = self.get_body(&target.namespace, body)?;
        self.ask_inside(key, id, target, body)
    }

    /// What a `get` asks for.
    pub(super) fn get_body(
        &self,
        namespace: &Namespace,
        body: &CommandBody<'_>,
    ) -> Result<RequestBody, Reject> {
        let CommandBody::Get { key, after, limit, .. } = body else {
            return Err(Reject::bad_request("this is no `get`"));
        };
        if namespace.policy.kind != Kind::State {
            return Err(wrong_kind(false));
        }
        if key.is_some() && after.is_some() {
            return Err(Reject::bad_request("`key` or `after`, not both"));
        }
        let max = self.config.limits.state_key;
        for (what, name) in [("`key`", key), ("`after`", after)] {
            check_size(what, "state_key", name.as_deref(), max)?;
        }
        let limit = limit.map_or(GET, |n| usize::try_from(n).unwrap_or(GET_MAX)).clamp(1, GET_MAX);
        let own = |text: &tidings_proto::Text<'_>| Box::<str>::from(&**text);
        let (key, after) = (key.as_ref().map(own), after.as_ref().map(own));
        Ok(RequestBody::Get { key, after, limit })
    }

    /// Checks what is to be written.
    pub(super) fn make_write(
        &self,
        now: Now,
        author: &Author<'_>,
        target: &Target,
        verb: Verb,
        write: &Write<'_>,
    ) -> Result<Publish, Reject> {
        if target.namespace.policy.kind != Kind::State {
            return Err(wrong_kind(false));
        }
        let limits = &self.config.limits;
        let producer = write.producer.as_ref();
        check_size("`producer`", "producer", producer.map(|p| &*p.0), limits.producer)?;
        let idempotency = write.idempotency_key.as_deref();
        check_size("`idempotency_key`", "key", idempotency, limits.key)?;
        // What is refused for good uses the producer's number up, whichever field it is about.
        let data = check_key(&write.key, limits.state_key)
            .and_then(|()| check_ttl(write.ttl))
            .and_then(|()| check_written(verb, write.data, limits, &target.namespace));
        if let Err(reject) = &data
            && producer.is_none()
        {
            return Err(reject.clone());
        }
        let scoped = |name: &str| Scoped { user: author.scope.into(), name: name.into() };
        let wish = Wish {
            key: Arc::from(&*write.key),
            verb,
            if_version: write.if_version,
            ttl_ms: write.ttl.filter(|_| verb != Verb::Remove),
        };
        Ok(Publish {
            user: author.user.clone(),
            session: author.session,
            event: None,
            key: idempotency.filter(|_| data.is_ok()).map(scoped),
            data,
            write: Some(Box::new(wish)),
            amend: None,
            producer: producer.map(|(name, seq)| (scoped(name), *seq)),
            ephemeral: false,
            echo: true,
            began_us: now.mono_us,
        })
    }
}

/// Whether this may be written. What a patch makes is checked where it is made.
pub(super) fn check_written(
    verb: Verb,
    data: &RawValue,
    limits: &crate::Limits,
    namespace: &Namespace,
) -> Result<Box<RawValue>, Reject> {
    let schema = (verb == Verb::Set).then_some(namespace);
    check_data(data, limits.data, limits.depth, schema)
}

fn check_key(key: &str, max: usize) -> Result<(), Reject> {
    check_size("`key`", "state_key", Some(key), max)?;
    if key.is_empty() || key.chars().any(char::is_control) {
        return Err(Reject::bad_request("`key` is not empty and has no control characters"));
    }
    Ok(())
}

fn check_ttl(ttl: Option<u64>) -> Result<(), Reject> {
    match ttl {
        Some(ttl) if ttl == 0 || ttl > STATE_TTL_MS => {
            Err(Reject::bad_request("`ttl` is 1 to 315360000000 milliseconds: ten years"))
        }
        _ => Ok(()),
    }
}
