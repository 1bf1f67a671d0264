//! Taking rights back before their token ends.

use super::call::{Call, check_pattern, check_user, json, session_id};
use super::problem::Problem;
use super::types::{RevokeBody, Revoked, Ticket, TicketBody};
use crate::auth::{Revocation, RevokeError};
use crate::transport::http::Answer;

/// How long a revocation is remembered, if nothing else is asked for: 30 days.
const TTL_SECONDS: u64 = 30 * 86_400;

/// A year.
const TTL_SECONDS_MAX: u64 = 365 * 86_400;

/// How long a ticket lets in, if nothing else is asked for, and at most.
const TICKET_SECONDS: (u64, u64) = (60, 300);

pub(super) async fn revoke(call: &Call<'_>) -> Result<Answer, Problem> {
    let body: RevokeBody = call.body()?;
    let (revocation, until_ms) = understand(call, body)?;
    let revocations = call.shard.node.authority.revocations().clone();
    let now_ms = call.shard.node.clock.now().wall_ms;
    // Writing it down waits for the disk.
    let written = tokio::task::spawn_blocking(move || revocations.add(revocation, now_ms)).await;
    match written {
        Ok(Ok(())) => {}
        Ok(Err(RevokeError::Full)) => {
            let why = "too many things are revoked: give each a shorter `ttl`";
            return Err(Problem::new(tidings_proto::ErrorCode::LimitExceeded, why));
        }
        Ok(Err(RevokeError::Io(error))) => {
            tracing::error!(%error, "a revocation could not be written down");
            return Err(Problem::unavailable());
        }
        Err(_) => return Err(Problem::unavailable()),
    }
    let ended = call.shard.on_all(|shard| {
        let now = shard.node.clock.now();
        shard.engine_mut().enforce(now)
    });
    Ok(json(&Revoked { sessions: ended.await.into_iter().sum(), until_ms }))
}

fn understand(call: &Call<'_>, body: RevokeBody) -> Result<(Revocation, u64), Problem> {
    let RevokeBody { user, session, token, channel, ttl } = body;
    match (&user, &session, &token, &channel) {
        (Some(_), None, None, _) | (None, None, None, Some(_)) => {}
        (None, Some(_), None, None) | (None, None, Some(_), None) => {}
        _ => {
            let why = "give `user`, `channel` or both, or `session`, or `token`";
            return Err(Problem::bad_request(why));
        }
    }
    match &channel {
        Some(pattern) => {
            check_pattern(pattern)?;
            call.key.require_pattern(pattern)?;
        }
        None => call.key.require_everything()?,
    }
    user.as_deref().map_or(Ok(()), check_user)?;
    if token.as_ref().is_some_and(|token| token.is_empty() || token.len() > 255) {
        return Err(Problem::bad_request("a token's `jti` has 1 to 255 bytes"));
    }
    let ttl = ttl.unwrap_or(TTL_SECONDS);
    if !(1..=TTL_SECONDS_MAX).contains(&ttl) {
        return Err(Problem::bad_request("`ttl` is 1 second to a year"));
    }
    let before_ms = call.shard.node.clock.now().wall_ms;
    let until_ms = before_ms + ttl * 1000;
    let session = session.as_deref().map(session_id).transpose()?;
    Ok((Revocation { user, session, token, channel, before_ms, until_ms }, until_ms))
}

pub(super) fn ticket(call: &Call<'_>) -> Result<Answer, Problem> {
    let body: TicketBody = call.body()?;
    check_user(&body.user)?;
    if body.user.starts_with("anon-") {
        return Err(Problem::bad_request("only anonymous users' names start with `anon-`"));
    }
    for pattern in body.channels.keys() {
        check_pattern(pattern)?;
        call.key.require_pattern(pattern)?;
    }
    let (usual, most) = TICKET_SECONDS;
    let ttl = body.ttl.unwrap_or(usual);
    if !(1..=most).contains(&ttl) {
        return Err(Problem::bad_request("`ttl` is 1 to 300 seconds"));
    }
    let channels = serde_json::to_value(&body.channels).unwrap_or_default();
    let now_ms = call.shard.node.clock.now().wall_ms;
    let ticket = call.shard.node.authority.mint_ticket(&body.user, &channels, ttl, now_ms);
    Ok(json(&Ticket { ticket, expires_in: ttl }))
}
