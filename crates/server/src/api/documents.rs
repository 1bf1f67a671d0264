//! Documents that several edit at once: backends read them, and write into them beside editors.
//!
//! To read one, or to make an edit, it is opened whole, on a thread of its own: meanwhile the
//! shard goes on.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use tidings_core::document::{EditFault, Fault, RootKind, Values};
use tidings_core::document::{edit_text, json as json_of, json_patch, plain_text, restore};
use tidings_core::engine::Contribution;
use tidings_proto::{Epoch, ErrorCode, from_base64};

use super::call::{Call, json};
use super::document_types::{
    Changed, CopyDocumentBody, Document, EditTextBody, MergeUpdateBody, PatchDocumentBody, Shown,
};
use super::problem::Problem;
use crate::config::Scope;
use crate::transport::http::Answer;

/// How often an edit is made again when another one of the API was faster.
const ATTEMPTS: usize = 16;

/// A document as the engine tells it.
#[derive(Deserialize)]
pub(super) struct Whole {
    epoch: String,
    offset: u64,
    vector: String,
    bytes: usize,
    clients: usize,
    pub(super) update: String,
    scribe: u64,
}

/// What a change depends on, and who is said to have made it.
struct Terms {
    epoch: Option<Epoch>,
    if_offset: Option<u64>,
    /// It may be as long as a whole document.
    whole: bool,
    author: Arc<str>,
}

impl Terms {
    fn new(
        call: &Call<'_>,
        epoch: Option<&str>,
        if_offset: Option<u64>,
        user: Option<&str>,
    ) -> Result<Self, Problem> {
        let author = call.author(user)?;
        // What is no epoch is that of no document.
        let epoch = epoch.map(str::parse).transpose().map_err(|_| was_reset())?;
        Ok(Self { epoch, if_offset, whole: false, author })
    }
}

pub(super) async fn get(call: &Call<'_>) -> Result<Answer, Problem> {
    call.key.require_channel(call.name())?;
    let view = View::of(call)?;
    let _turn = call.shard.document_turn().await.ok_or_else(Problem::unavailable)?;
    let whole = call.read_document(call.name()).await?;
    let Whole { epoch, offset, vector, bytes, clients, update, .. } = whole;
    let shown = view.show(update).await?;
    Ok(json(&Document { epoch, offset, vector, bytes, clients, shown }))
}

pub(super) async fn update(call: &Call<'_>) -> Result<Answer, Problem> {
    let MergeUpdateBody { update, epoch, if_offset, user } = call.body()?;
    call.key.require_channel(call.name())?;
    let terms = Terms::new(call, epoch.as_deref(), if_offset, user.as_deref())?;
    let not_base64 = || Problem::new(ErrorCode::InvalidData, "`update` is not base64");
    let update = from_base64(&update).ok_or_else(not_base64)?.into();
    let (epoch, scribe, whole) = (terms.epoch, None, false);
    let change = Contribution { epoch, if_offset, scribe, whole, update };
    Ok(json(&call.contribute::<Changed>(&terms.author, call.name(), change).await?))
}

pub(super) async fn text(call: &Call<'_>) -> Result<Answer, Problem> {
    let EditTextBody { root, path, edits, epoch, if_offset, user } = call.body()?;
    let terms = Terms::new(call, epoch.as_deref(), if_offset, user.as_deref())?;
    let edits: Vec<_> = edits.into_iter().map(Into::into).collect();
    edit(call, &terms, "edits", move |state, client| edit_text(state, &root, &path, &edits, client))
        .await
}

pub(super) async fn patch(call: &Call<'_>) -> Result<Answer, Problem> {
    let PatchDocumentBody { root, kind, plain, patch, epoch, if_offset, user } = call.body()?;
    let terms = Terms::new(call, epoch.as_deref(), if_offset, user.as_deref())?;
    let ops: Vec<_> = patch.into_iter().map(Into::into).collect();
    let values = if plain { Values::Plain } else { Values::Shared };
    edit(call, &terms, "patch", move |state, client| {
        json_patch(state, &root, kind.map(Into::into), values, &ops, client)
    })
    .await
}

/// The copy is a change of its own: the clients that have written the one do not count as those of
/// the other, and what is in the other already goes.
pub(super) async fn copy(call: &Call<'_>) -> Result<Answer, Problem> {
    let CopyDocumentBody { to, user } = call.body()?;
    call.key.require(Scope::History)?;
    call.key.require_channel(call.name())?;
    call.key.require_channel(&to)?;
    let terms = Terms { whole: true, ..Terms::new(call, None, None, user.as_deref())? };
    let _turn = call.shard.document_turn().await.ok_or_else(Problem::unavailable)?;
    let Whole { update, .. } = call.read_document(call.name()).await?;
    change(call, &to, &terms, "", move |state, client| {
        let from = decode(&update).map_err(EditFault::State)?;
        restore(state, &from, client).map_err(EditFault::State)
    })
    .await
}

pub(super) async fn reset(call: &Call<'_>) -> Result<Answer, Problem> {
    call.key.require_channel(call.name())?;
    let versions = match call.query.get("versions").map(String::as_str) {
        None | Some("delete") => true,
        Some("keep") => false,
        Some(_) => return Err(Problem::bad_request("`versions` is `delete` or `keep`")),
    };
    Ok(json(&call.reset_document::<Changed>(versions).await?))
}

/// Makes a change of the document that the path names.
async fn edit(
    call: &Call<'_>,
    terms: &Terms,
    list: &'static str,
    make: impl Fn(&[u8], u64) -> Result<Bytes, EditFault> + Send + Sync + 'static,
) -> Result<Answer, Problem> {
    call.key.require_channel(call.name())?;
    let _turn = call.shard.document_turn().await.ok_or_else(Problem::unavailable)?;
    change(call, call.name(), terms, list, make).await
}

/// Makes a change of what there is. While others write, what it is made of is of before; that is
/// how everybody edits here. Another one of the API may have been made as the same client, though:
/// then it is made again.
async fn change(
    call: &Call<'_>,
    channel: &str,
    terms: &Terms,
    list: &'static str,
    make: impl Fn(&[u8], u64) -> Result<Bytes, EditFault> + Send + Sync + 'static,
) -> Result<Answer, Problem> {
    let make = Arc::new(make);
    for _ in 0..ATTEMPTS {
        let whole: Whole = call.read_document(channel).await?;
        let epoch: Epoch = whole.epoch.parse().map_err(|_| Problem::unavailable())?;
        if terms.epoch.is_some_and(|wanted| wanted != epoch) {
            return Err(was_reset());
        }
        if terms.if_offset.is_some_and(|wanted| wanted != whole.offset) {
            let why = format!("the document has changed since then: it is at {}", whole.offset);
            return Err(Problem::new(ErrorCode::Conflict, why));
        }
        let (make, scribe) = (make.clone(), whole.scribe);
        let made = move || make(&decode(&whole.update).map_err(EditFault::State)?, scribe);
        let update = aside(made).await?;
        let update = update.map_err(|fault| refused(&fault, list))?;
        let (epoch, scribe) = (Some(epoch), Some(scribe));
        let Terms { if_offset, whole, .. } = *terms;
        let change = Contribution { epoch, if_offset, scribe, whole, update };
        match call.contribute::<Changed>(&terms.author, channel, change).await {
            Err(problem) if problem.code() == ErrorCode::Conflict.as_str() => {}
            outcome => return Ok(json(&outcome?)),
        }
    }
    Err(Problem::unavailable())
}

/// As what somebody wants to have what a document holds, or has held.
pub(super) struct View<'a> {
    form: &'a str,
    root: Option<String>,
    kind: Option<RootKind>,
}

impl<'a> View<'a> {
    /// As the query says.
    pub(super) fn of(call: &'a Call<'_>) -> Result<Self, Problem> {
        let text = |name: &str| call.query.get(name).map(String::as_str);
        let (root, form) = (text("root").map(str::to_owned), text("as").unwrap_or("json"));
        let kind = text("type").map(kind_of).transpose()?;
        if kind.is_some() && root.is_none() {
            return Err(Problem::bad_request("`type` of which `root`?"));
        }
        Ok(Self { form, root, kind })
    }

    pub(super) async fn show(self, update: String) -> Result<Shown, Problem> {
        let Self { form, root, kind } = self;
        Ok(match form {
            "json" => Shown { data: Some(data(update, root, kind).await?), ..Shown::default() },
            "text" => Shown { text: Some(words(update, root).await?), ..Shown::default() },
            "update" => Shown { update: Some(update), ..Shown::default() },
            _ => return Err(Problem::bad_request("`as` is `json`, `text` or `update`")),
        })
    }
}

/// What each root holds, or one of them.
async fn data(
    update: String,
    root: Option<String>,
    kind: Option<RootKind>,
) -> Result<serde_json::Map<String, Value>, Problem> {
    let read = aside(move || {
        let kinds: Vec<_> = root.as_deref().zip(kind).into_iter().collect();
        let mut read = decode(&update).and_then(|state| json_of(&state, &kinds));
        if let (Ok(Value::Object(roots)), Some(root)) = (&mut read, &root) {
            roots.retain(|name, _| name == root);
        }
        read
    });
    match read.await? {
        Ok(Value::Object(roots)) => Ok(roots),
        _ => Err(unreadable()),
    }
}

async fn words(update: String, root: Option<String>) -> Result<String, Problem> {
    let read = move || plain_text(&decode(&update)?, root.as_deref());
    aside(read).await?.map_err(|_: Fault| unreadable())
}

/// Does what takes long where nobody waits for it.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|_| unreadable())
}

/// A state as the engine tells it: of ten megabytes even this takes long.
pub(super) fn decode(update: &str) -> Result<Vec<u8>, Fault> {
    from_base64(update).ok_or(Fault::Invalid)
}

fn kind_of(text: &str) -> Result<RootKind, Problem> {
    match text {
        "text" => Ok(RootKind::Text),
        "map" => Ok(RootKind::Map),
        "array" => Ok(RootKind::Array),
        "xml" => Ok(RootKind::Xml),
        _ => Err(Problem::bad_request("`type` is `text`, `map`, `array` or `xml`")),
    }
}

fn refused(fault: &EditFault, list: &str) -> Problem {
    match fault {
        EditFault::State(_) => unreadable(),
        EditFault::Refused(number, _) => {
            let why = fault.to_string();
            Problem::new(ErrorCode::InvalidData, why).at(&format!("/{list}/{number}"))
        }
    }
}

/// Its editors can: what they make of it is theirs to say.
pub(super) fn unreadable() -> Problem {
    Problem::new(ErrorCode::Server, "the document cannot be read here")
}

fn was_reset() -> Problem {
    Problem::new(ErrorCode::DocumentReset, "the document has another epoch")
}
