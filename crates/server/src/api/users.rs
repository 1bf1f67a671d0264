//! Users' connections: seeing and ending them.

use std::sync::Arc;

use tidings_core::engine::Whom;
use tidings_proto::CloseCode;

use super::call::{Call, check_pattern, check_user, json, whom};
use super::problem::Problem;
use super::types::{
    Connection, Connections, DisconnectBody, Disconnected, UnsubscribeBody, Unsubscribed,
};
use crate::transport::http::Answer;

/// Sessions that are shown of a user.
const SHOWN: usize = 1000;

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
    let mut sessions = 0;
    // Twice: a session that moves from one shard to another has arrived by then.
    for _ in 0..2 {
        let whom = whom.clone();
        let ended = call.shard.on_all(move |shard| {
            let now = shard.node.clock.now();
            shard.engine_mut().disconnect(now, &whom, code)
        });
        sessions += ended.await.into_iter().sum::<usize>();
    }
    Ok(json(&Disconnected { sessions }))
}

pub(super) async fn unsubscribe(call: &Call<'_>) -> Result<Answer, Problem> {
    let body: UnsubscribeBody = call.body()?;
    check_pattern(&body.channel)?;
    call.key.require_pattern(&body.channel)?;
    let whom = whom(body.user.as_deref(), body.session.as_deref())?;
    let pattern: Arc<str> = body.channel.as_str().into();
    let mut subscriptions = 0;
    for _ in 0..2 {
        let (whom, pattern) = (whom.clone(), pattern.clone());
        let ended = call.shard.on_all(move |shard| {
            let now = shard.node.clock.now();
            shard.engine_mut().unsubscribe_all(now, &whom, &pattern)
        });
        subscriptions += ended.await.into_iter().sum::<usize>();
    }
    Ok(json(&Unsubscribed { subscriptions }))
}
