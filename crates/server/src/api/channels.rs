//! Which channels there are, what the server is, and what it has counted.

use std::sync::Arc;

use tidings_core::engine::ChannelInfo;
use tidings_core::policy::Kind;

use super::call::{Call, json};
use super::problem::Problem;
use super::types::{Channel, Channels, Info};
use crate::metrics;
use crate::transport::http::Answer;

/// Channels of one page.
const PAGE: usize = 1000;

pub(super) async fn list(call: &Call<'_>) -> Result<Answer, Problem> {
    let prefix: Arc<str> = call.query.get("prefix").map_or("", String::as_str).into();
    call.key.require_pattern(&format!("{prefix}*"))?;
    let after: Option<Arc<str>> = call.query.get("after").map(|after| after.as_str().into());
    let limit = call.limit(100, PAGE)?;
    let pages = call
        .shard
        .on_all(move |shard| shard.engine().channels(&prefix, after.as_deref(), limit + 1));
    let mut found: Vec<ChannelInfo> = pages.await.into_iter().flatten().collect();
    found.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| last.name.to_string());
    Ok(json(&Channels { channels: with_subscriptions(call, found).await, next }))
}

pub(super) async fn one(call: &Call<'_>) -> Result<Answer, Problem> {
    call.key.require_channel(call.name())?;
    let name: Arc<str> = call.name().into();
    let found = call.shard.on_all(move |shard| shard.engine().channel(&name)).await;
    let found: Vec<_> = found.into_iter().flatten().collect();
    let channel = with_subscriptions(call, found).await.into_iter().next();
    let none = || Problem::not_found("nobody uses this channel now: it is not in memory");
    Ok(json(&channel.ok_or_else(none)?))
}

async fn with_subscriptions(call: &Call<'_>, found: Vec<ChannelInfo>) -> Vec<Channel> {
    let names: Arc<[Arc<str>]> = found.iter().map(|info| info.name.clone()).collect();
    let counts = call.shard.on_all(move |shard| {
        let engine = shard.engine();
        names.iter().map(|name| engine.subscriptions(name)).collect::<Vec<_>>()
    });
    let counts = counts.await;
    let channels = found.into_iter().enumerate().map(|(index, info)| Channel {
        channel: info.name.to_string(),
        epoch: info.position.epoch.to_string(),
        offset: info.position.offset,
        events: info.events,
        members: info.members,
        subscriptions: counts.iter().map(|counts| counts[index]).sum(),
    });
    channels.collect()
}

pub(super) async fn info(call: &Call<'_>) -> Result<Answer, Problem> {
    let counts = call.shard.on_all(|shard| shard.engine().counts()).await;
    let settings = call.shard.settings();
    // Topics have no channel that anybody could name.
    let namespaces = settings.policy.namespaces.values();
    let namespaces = namespaces.filter(|found| found.policy.kind != Kind::Topic);
    Ok(json(&Info {
        version: env!("CARGO_PKG_VERSION"),
        connections: call.shard.node.connections(),
        sessions: counts.iter().map(|counts| counts.sessions).sum(),
        channels: counts.iter().map(|counts| counts.channels).sum(),
        kinds: namespaces.map(|found| (found.name.to_string(), found.policy.kind)).collect(),
    }))
}

pub(super) async fn stats(call: &Call<'_>) -> Result<Answer, Problem> {
    let stats = metrics::stats(&call.shard.node).await;
    Ok(json(&stats.ok_or_else(Problem::unavailable)?))
}
