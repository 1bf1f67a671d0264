//! Users and their connections: seeing and ending them.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use tidings_core::engine::Whom;
use tidings_proto::CloseCode;

use super::call::{Call, check_pattern, check_user, json, whom};
use super::problem::Problem;
use super::types::{
    Connection, Connections, DisconnectBody, Disconnected, UnsubscribeBody, Unsubscribed, User,
    Users,
};
use crate::shard::Shard;
use crate::transport::http::Answer;

/// Sessions that are shown of a user.
const SHOWN: usize = 1000;

/// Users of one page.
const PAGE: usize = 1000;

pub(super) async fn list(call: &Call<'_>) -> Result<Answer, Problem> {
    call.key.require_everything()?;
    let prefix: Arc<str> = call.query.get("prefix").map_or("", String::as_str).into();
    let after: Option<Arc<str>> = call.query.get("after").map(|after| after.as_str().into());
    let limit = call.limit(100, PAGE)?;
    let channel: Option<Arc<str>> = call.query.get("channel").map(|name| name.as_str().into());
    let pages = call.shard.on_all(move |shard| {
        let which = (&*prefix, channel.as_deref());
        shard.engine().users(which, after.as_deref(), limit + 1)
    });
    let mut found: BTreeMap<Arc<str>, usize> = BTreeMap::new();
    // A user of this page is on the page of each shard where they are.
    for (user, sessions) in pages.await.into_iter().flatten() {
        *found.entry(user).or_default() += sessions;
    }
    let more = found.len() > limit;
    let users = found.into_iter().take(limit);
    let users: Vec<_> =
        users.map(|(user, sessions)| User { user: user.to_string(), sessions }).collect();
    let next = users.last().filter(|_| more).map(|last| last.user.clone());
    Ok(json(&Users { users, next }))
}

pub(super) async fn connections(call: &Call<'_>) -> Result<Answer, Problem> {
    call.key.require_everything()?;
    check_user(call.name())?;
    let whom = Whom { user: Some(call.name().into()), session: None };
    let found = call.shard.on_all(move |shard| {
        let now_ms = shard.node.clock.now().mono_ms;
        let sessions = shard.engine().sessions_of(&whom, SHOWN + 1).into_iter();
        let described = sessions.map(|info| {
            let connected_ms = now_ms.saturating_sub(info.opened_ms);
            let names = |list: Vec<Arc<str>>| list.iter().map(ToString::to_string).collect();
            let connection = Connection {
                session: format!("{:016x}", info.id),
                transport: shard.transport_of(info.key),
                connected_seconds: connected_ms / 1000,
                token_expires_ms: info.identity.expires_at_ms,
                channels: names(info.channels),
                entered: names(info.entered),
            };
            (connected_ms, connection)
        });
        described.collect::<Vec<_>>()
    });
    let mut found: Vec<_> = found.await.into_iter().flatten().collect();
    found.sort_by_key(|(connected_ms, _)| std::cmp::Reverse(*connected_ms));
    let more = found.len() > SHOWN;
    found.truncate(SHOWN);
    let connections = found.into_iter().map(|(_, connection)| connection).collect();
    Ok(json(&Connections { connections, more }))
}

pub(super) async fn disconnect(call: &Call<'_>) -> Result<Answer, Problem> {
    call.key.require_everything()?;
    let body: DisconnectBody = call.body()?;
    let whom = whom(body.user.as_deref(), body.session.as_deref())?;
    let code = if body.reconnect { CloseCode::GoingAway } else { CloseCode::Revoked };
    let sessions = end_all(call, move |shard| {
        let now = shard.node.clock.now();
        shard.engine_mut().disconnect(now, &whom, code)
    });
    let sessions = sessions.await;
    Ok(json(&Disconnected { sessions }))
}

pub(super) async fn unsubscribe(call: &Call<'_>) -> Result<Answer, Problem> {
    let body: UnsubscribeBody = call.body()?;
    check_pattern(&body.channel)?;
    call.key.require_pattern(&body.channel)?;
    let whom = whom(body.user.as_deref(), body.session.as_deref())?;
    let pattern: Arc<str> = body.channel.as_str().into();
    let subscriptions = end_all(call, move |shard| {
        let now = shard.node.clock.now();
        shard.engine_mut().unsubscribe_all(now, &whom, &pattern)
    });
    let subscriptions = subscriptions.await;
    Ok(json(&Unsubscribed { subscriptions }))
}

/// Ends something on all shards; how much. Twice: a session that moves from one shard to another
/// has arrived by then.
async fn end_all(
    call: &Call<'_>,
    act: impl Fn(&Rc<Shard>) -> usize + Clone + Send + 'static,
) -> usize {
    let first: usize = call.shard.on_all(act.clone()).await.into_iter().sum();
    first + call.shard.on_all(act).await.into_iter().sum::<usize>()
}
