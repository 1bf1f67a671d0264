//! Versions of documents: backends take them, read them and bring them back.

use serde::Deserialize;
use tidings_core::document::{compare as compare_texts, plain_text};
use tidings_core::engine::VersionAsk;

use super::call::{Call, json};
use super::document_types::Changed;
use super::documents::{View, Whole, aside, decode, unreadable};
use super::problem::Problem;
use super::version_types::{
    Comparison, NameVersionBody, RestoreVersionBody, SaveVersionBody, TextPiece, Version,
    VersionContent, Versions,
};
use crate::config::Scope;
use crate::transport::http::Answer;

/// A version as the engine tells it.
#[derive(Deserialize)]
struct Told {
    #[serde(flatten)]
    version: Version,
    vector: String,
    update: String,
}

pub(super) async fn list(call: &Call<'_>) -> Result<Answer, Problem> {
    call.key.require_channel(call.name())?;
    let (before, limit) = (call.number("before")?, call.number("limit")?);
    Ok(json(&call.ask_version::<Versions>(VersionAsk::List { before, limit }).await?))
}

pub(super) async fn save(call: &Call<'_>) -> Result<Answer, Problem> {
    let SaveVersionBody { name, user } = call.body()?;
    call.key.require(Scope::History)?;
    call.key.require_channel(call.name())?;
    let user = call.author(user.as_deref())?;
    Ok(json(&call.ask_version::<Version>(VersionAsk::Save { name, user }).await?))
}

pub(super) async fn get(call: &Call<'_>) -> Result<Answer, Problem> {
    call.key.require_channel(call.name())?;
    let view = View::of(call)?;
    let number = number(call)?;
    let Told { version, vector, update } = call.ask_version(VersionAsk::Read { number }).await?;
    let _turn = call.shard.document_turn().await.ok_or_else(Problem::unavailable)?;
    let shown = view.show(update).await?;
    Ok(json(&VersionContent { version, vector, shown }))
}

pub(super) async fn name(call: &Call<'_>) -> Result<Answer, Problem> {
    let NameVersionBody { name } = call.body()?;
    call.key.require(Scope::History)?;
    call.key.require_channel(call.name())?;
    let number = number(call)?;
    Ok(json(&call.ask_version::<Version>(VersionAsk::Name { number, name }).await?))
}

pub(super) async fn delete(call: &Call<'_>) -> Result<Answer, Problem> {
    call.key.require(Scope::History)?;
    call.key.require_channel(call.name())?;
    let number = number(call)?;
    Ok(json(&call.ask_version::<Changed>(VersionAsk::Delete { number }).await?))
}

pub(super) async fn restore(call: &Call<'_>) -> Result<Answer, Problem> {
    let RestoreVersionBody { user } = call.body()?;
    call.key.require(Scope::History)?;
    call.key.require_channel(call.name())?;
    let (number, user) = (number(call)?, call.author(user.as_deref())?);
    Ok(json(&call.ask_version::<Changed>(VersionAsk::Restore { number, user }).await?))
}

/// Whichever is asked for first: the smaller number is the older one, and `now` is newer than all.
pub(super) async fn compare(call: &Call<'_>) -> Result<Answer, Problem> {
    call.key.require_channel(call.name())?;
    let (one, other) = (number(call)?, call.number("with")?);
    let root = call.query.get("root").cloned();
    let (old, new) = match other {
        Some(other) => (one.min(other), Some(one.max(other))),
        None => (one, None),
    };
    let before = call.ask_version::<Told>(VersionAsk::Read { number: old }).await?.update;
    let after = match new {
        Some(number) => call.ask_version::<Told>(VersionAsk::Read { number }).await?.update,
        None => call.read_document::<Whole>(call.name()).await?.update,
    };
    let authors = authors_between(call, old, new).await?;
    let _turn = call.shard.document_turn().await.ok_or_else(Problem::unavailable)?;
    let compared = aside(move || {
        let text = |update: &str| plain_text(&decode(update)?, root.as_deref());
        text(&before).and_then(|before| Ok(compare_texts(&before, &text(&after)?)))
    });
    let compared = compared.await?.map_err(|_| unreadable())?;
    let changes = compared.into_iter().map(TextPiece::from).collect();
    Ok(json(&Comparison { changes, authors }))
}

/// Who changed the document behind `old`, up to `new`, or to now.
async fn authors_between(
    call: &Call<'_>,
    old: u64,
    new: Option<u64>,
) -> Result<Vec<String>, Problem> {
    let mut authors = Vec::new();
    let mut before = new.map(|new| new + 1);
    loop {
        let ask = VersionAsk::List { before, limit: Some(100) };
        let page: Versions = call.ask_version(ask).await?;
        if before.is_none() {
            authors.extend(page.authors);
        }
        let Some(last) = page.versions.last().map(|version| version.version) else { break };
        let between = page.versions.into_iter().filter(|version| version.version > old);
        authors.extend(between.flat_map(|version| version.authors));
        if !page.more || last <= old {
            break;
        }
        before = Some(last);
    }
    authors.sort_unstable();
    authors.dedup();
    Ok(authors)
}

fn number(call: &Call<'_>) -> Result<u64, Problem> {
    let text = call.path.get(1).map_or("", String::as_str);
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number.ok_or_else(|| Problem::not_found("there is no such version"))
}
