//! Publishing, and what is kept of it.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use serde_json::value::RawValue;
use tidings_proto::{Amend, Amending, CommandBody};

use super::call::{Call, json};
use super::problem::Problem;
use super::types::{
    Broadcast, BroadcastBody, BroadcastResult, DeleteBody, EditBody, History, Members, PublishBody,
    Published, ReactBody,
};
use crate::config::Scope;
use crate::transport::http::Answer;

/// Channels of one broadcast.
const CHANNELS: usize = 1000;

/// What is published, wherever.
struct Wish<'a> {
    data: &'a RawValue,
    event: Option<&'a str>,
    key: Option<&'a str>,
    ephemeral: bool,
}

pub(super) async fn publish(call: &Call<'_>) -> Result<Answer, Problem> {
    let body: PublishBody = call.body()?;
    call.key.require_channel(&body.channel)?;
    let author = call.author(body.user.as_deref())?;
    let PublishBody { data, event, key, ephemeral, .. } = &body;
    let (event, key) = (event.as_deref(), key.as_deref());
    let wish = Wish { data, event, key, ephemeral: *ephemeral };
    Ok(json(&publish_one(call, &author, &body.channel, &wish).await?))
}

pub(super) async fn broadcast(call: &Call<'_>) -> Result<Answer, Problem> {
    let body: BroadcastBody = call.body()?;
    if body.channels.is_empty() || body.channels.len() > CHANNELS {
        return Err(Problem::bad_request("`channels` has 1 to 1000 entries"));
    }
    let author = call.author(body.user.as_deref())?;
    let BroadcastBody { data, event, key, ephemeral, .. } = &body;
    let (event, key) = (event.as_deref(), key.as_deref());
    let wish = Wish { data, event, key, ephemeral: *ephemeral };
    // All at once, so that those that are stored share a sync.
    let (author, wish) = (&author, &wish);
    let outcomes: FuturesOrdered<_> = body
        .channels
        .iter()
        .map(|channel| async move {
            call.key.require_channel(channel)?;
            publish_one(call, author, channel, wish).await
        })
        .collect();
    let outcomes: Vec<_> = outcomes.collect().await;
    let results = body.channels.iter().zip(outcomes).map(|(channel, outcome)| {
        let channel = channel.clone();
        match outcome {
            Ok(published) => BroadcastResult { channel, published: Some(published), error: None },
            Err(error) => BroadcastResult { channel, published: None, error: Some(error) },
        }
    });
    Ok(json(&Broadcast { results: results.collect() }))
}

async fn publish_one(
    call: &Call<'_>,
    author: &Arc<str>,
    channel: &str,
    wish: &Wish<'_>,
) -> Result<Published, Problem> {
    let command = CommandBody::Publish {
        channel: channel.into(),
        data: wish.data,
        event: wish.event.map(Into::into),
        key: wish.key.map(Into::into),
        producer: None,
        ephemeral: wish.ephemeral,
        echo: true,
    };
    call.serve(author, command).await
}

pub(super) async fn edit(call: &Call<'_>) -> Result<Answer, Problem> {
    let body: EditBody = call.body()?;
    let what = Amending::Edit { data: &body.data };
    amend(call, (&body.channel, body.offset), what, (body.key.as_deref(), body.user.as_deref()))
        .await
}

pub(super) async fn delete(call: &Call<'_>) -> Result<Answer, Problem> {
    let body: DeleteBody = call.body()?;
    let by = (body.key.as_deref(), body.user.as_deref());
    amend(call, (&body.channel, body.offset), Amending::Delete, by).await
}

pub(super) async fn react(call: &Call<'_>) -> Result<Answer, Problem> {
    let body: ReactBody = call.body()?;
    let what = Amending::React { reaction: (&*body.reaction).into(), remove: body.remove };
    amend(call, (&body.channel, body.offset), what, (body.key.as_deref(), body.user.as_deref()))
        .await
}

async fn amend(
    call: &Call<'_>,
    (channel, offset): (&str, u64),
    what: Amending<'_>,
    (key, user): (Option<&str>, Option<&str>),
) -> Result<Answer, Problem> {
    call.key.require_channel(channel)?;
    let author = call.author(user)?;
    let (channel, key) = (channel.into(), key.map(Into::into));
    let command = CommandBody::Amend(Amend { channel, offset, what, key, producer: None });
    Ok(json(&call.serve::<Published>(&author, command).await?))
}

pub(super) async fn history(call: &Call<'_>) -> Result<Answer, Problem> {
    call.key.require_channel(call.name())?;
    // What users are told and have read is for keys that are for it.
    if call.name().starts_with("inbox:") {
        call.key.require(Scope::Inbox)?;
    }
    let most = call.shard.settings().limits.page_events;
    let command = CommandBody::History {
        channel: call.name().into(),
        before: call.number("before")?,
        after: call.number("after")?,
        limit: Some(call.limit(most.min(50), most)? as u64),
    };
    Ok(json(&call.serve::<History>(&call.key.name, command).await?))
}

pub(super) async fn presence(call: &Call<'_>) -> Result<Answer, Problem> {
    call.key.require_channel(call.name())?;
    let command = CommandBody::Presence { channel: call.name().into() };
    Ok(json(&call.serve::<Members>(&call.key.name, command).await?))
}
