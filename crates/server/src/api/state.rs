//! Live data: what keys hold, and writes to them.

use serde_json::value::RawValue;
use tidings_proto::{CommandBody, Write};

use super::call::{Call, json};
use super::problem::Problem;
use super::types::{Held, PatchBody, RemoveBody, SetBody, Written};
use crate::transport::http::Answer;

/// Keys in one answer.
const KEYS: usize = 1000;

pub(super) async fn get(call: &Call<'_>) -> Result<Answer, Problem> {
    let channel = call.query.get("channel").map(String::as_str);
    let channel = channel.ok_or_else(|| Problem::bad_request("which `channel`?"))?;
    call.key.require_channel(channel)?;
    let text = |name: &str| call.query.get(name).map(|text| text.as_str().into());
    let command = CommandBody::Get {
        channel: channel.into(),
        key: text("key"),
        after: text("after"),
        limit: Some(call.limit(100, KEYS)? as u64),
    };
    Ok(json(&call.serve::<Held>(&call.key.name, command).await?))
}

pub(super) async fn set(call: &Call<'_>) -> Result<Answer, Problem> {
    let body: SetBody = call.body()?;
    let SetBody { channel, key, value, if_version, ttl, user, idempotency_key } = &body;
    let write = write((channel, key), value, (*if_version, *ttl), idempotency_key.as_deref());
    carry_out(call, user.as_deref(), channel, CommandBody::Set(write)).await
}

pub(super) async fn patch(call: &Call<'_>) -> Result<Answer, Problem> {
    let body: PatchBody = call.body()?;
    let PatchBody { channel, key, patch, if_version, ttl, user, idempotency_key } = &body;
    let write = write((channel, key), patch, (*if_version, *ttl), idempotency_key.as_deref());
    carry_out(call, user.as_deref(), channel, CommandBody::Patch(write)).await
}

pub(super) async fn remove(call: &Call<'_>) -> Result<Answer, Problem> {
    let body: RemoveBody = call.body()?;
    let RemoveBody { channel, key, if_version, user, idempotency_key } = &body;
    let idempotency = idempotency_key.as_deref();
    let write = write((channel, key), RawValue::NULL, (*if_version, None), idempotency);
    carry_out(call, user.as_deref(), channel, CommandBody::Remove(write)).await
}

fn write<'a>(
    (channel, key): (&'a str, &'a str),
    data: &'a RawValue,
    (if_version, ttl): (Option<u64>, Option<u64>),
    idempotency_key: Option<&'a str>,
) -> Write<'a> {
    Write {
        channel: channel.into(),
        key: key.into(),
        data,
        if_version,
        ttl,
        producer: None,
        idempotency_key: idempotency_key.map(Into::into),
    }
}

async fn carry_out(
    call: &Call<'_>,
    user: Option<&str>,
    channel: &str,
    command: CommandBody<'_>,
) -> Result<Answer, Problem> {
    call.key.require_channel(channel)?;
    let author = call.author(user)?;
    Ok(json(&call.serve::<Written>(&author, command).await?))
}
