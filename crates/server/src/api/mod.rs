//! The HTTP API for backends, `/api/v1`: what users' backends publish, look at and take back.
//!
//! A request is authorised by a key ([`keys`]), found in the table of [`endpoints`], and carried
//! out as a command of the server's own (`shard/service.rs`) or by a visit to all shards
//! (`shard/visit.rs`). Errors are problem details ([`problem`]).

mod call;
mod channels;
mod document_endpoints;
mod document_types;
mod documents;
mod endpoints;
mod events;
mod inbox;
mod inbox_types;
mod keys;
mod openapi;
mod problem;
mod revoke;
mod state;
mod trace;
mod types;
mod users;
mod version_types;
mod versions;

use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Request, StatusCode};
use matchit::Router;
use tracing::{Instrument, Span, field};

use crate::shard::Shard;
use crate::telemetry;
use crate::transport::http::{Answer, text};
use crate::transport::{BODY_BYTES, collect};
use call::{Call, decoded};
use endpoints::{Endpoint, Operation};
pub(crate) use keys::{ApiKeys, Key};
use problem::Problem;

/// What stands beside an update in the body of a request.
const BESIDE_UPDATE: usize = 4096;

/// What clients and the server say to each other: for pages that offer it. No secret.
static COMMANDS: LazyLock<Bytes> = LazyLock::new(|| tidings_proto::catalogue().to_string().into());

/// Paths, each with the endpoints that it has.
static ROUTER: LazyLock<Router<Vec<&'static Endpoint>>> = LazyLock::new(|| {
    let mut paths: Vec<(&str, Vec<&'static Endpoint>)> = Vec::new();
    for endpoint in endpoints::all() {
        match paths.iter_mut().find(|(path, _)| *path == endpoint.path) {
            Some((_, here)) => here.push(endpoint),
            None => paths.push((endpoint.path, vec![endpoint])),
        }
    }
    let mut router = Router::new();
    for (path, here) in paths {
        if let Err(error) = router.insert(path, here) {
            // invariant: the table has no two paths that contradict each other; a test asks it.
            tracing::error!(%error, path, "a path of the API is unreachable");
        }
    }
    router
});

/// Answers a request to `/api/`.
pub(crate) async fn respond(shard: &Rc<Shard>, request: Request<Incoming>) -> Answer {
    let mut answer = match try_respond(shard, request).await {
        Ok(answer) => answer,
        Err(problem) => problem.answer(),
    };
    let no_store = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(header::CACHE_CONTROL, no_store);
    answer
}

async fn try_respond(shard: &Rc<Shard>, request: Request<Incoming>) -> Result<Answer, Problem> {
    let open = match request.uri().path() {
        "/api/commands.json" => Some(COMMANDS.clone()),
        "/api/openapi.json" => Some(openapi::served()),
        _ => None,
    };
    if let Some(document) = open {
        let mut answer = text(StatusCode::OK, document);
        let json = HeaderValue::from_static("application/json");
        answer.headers_mut().insert(header::CONTENT_TYPE, json);
        return Ok(answer);
    }
    let key = {
        let keys = &shard.settings().api;
        if keys.is_empty() {
            let why = "the API is off: add an [[api.key]] to the configuration";
            return Err(Problem::not_found(why));
        }
        keys.authorise(request.headers())?
    };
    let path = request.uri().path().strip_prefix("/api/v1").unwrap_or_default();
    let found = ROUTER.at(path).map_err(|_| Problem::not_found("there is no such path"))?;
    let method = found.value.iter().find(|endpoint| endpoint.method == *request.method());
    let Some(endpoint) = method else {
        let methods: Vec<_> = found.value.iter().map(|e| e.method.as_str()).collect();
        return Ok(wrong_method(&methods.join(", ")));
    };
    let path = found.params.iter().map(|(_, value)| decoded(value)).collect::<Result<_, _>>();
    let span = span_of(&request, endpoint, &key);
    let serving = serve(shard, key, endpoint, path, request).instrument(span.clone());
    let answered = serving.await;
    let status = answered.as_ref().map_or_else(|problem| problem.status, |a| a.status().as_u16());
    span.record("http.response.status_code", status);
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
    answered
}

async fn serve(
    shard: &Rc<Shard>,
    key: Arc<Key>,
    endpoint: &Endpoint,
    path: Result<Vec<String>, Problem>,
    request: Request<Incoming>,
) -> Result<Answer, Problem> {
    key.require(endpoint.scope)?;
    let path = path?;
    let query = request.uri().query().unwrap_or_default();
    let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let body = match endpoint.body {
        Some(_) => {
            let body = collect(request, body_bytes(shard, endpoint.operation)).await;
            body.map_err(|(status, why)| Problem::of_http(status, &why))?
        }
        None => Bytes::new(),
    };
    let call = Call { shard, key, path, query, body };
    carry_out(&call, endpoint.operation).await
}

/// What a body may have: an update in base64 as much as one of an editor.
fn body_bytes(shard: &Shard, operation: Operation) -> usize {
    let update = shard.settings().limits.update.div_ceil(3).saturating_mul(4);
    match operation {
        Operation::DocumentUpdate => BODY_BYTES.max(update.saturating_add(BESIDE_UPDATE)),
        _ => BODY_BYTES,
    }
}

/// A request of the API for the collector, part of the caller's trace if it says so. Of what is
/// asked for only the operation is told.
fn span_of(request: &Request<Incoming>, endpoint: &Endpoint, key: &Key) -> Span {
    let span = tracing::info_span!(
        target: telemetry::TARGET,
        "api",
        otel.name = endpoint.id,
        otel.kind = "server",
        otel.status_code = field::Empty,
        tidings.operation = endpoint.id,
        tidings.key = &*key.name,
        http.request.method = endpoint.method.as_str(),
        http.route = %format_args!("/api/v1{}", endpoint.path),
        http.response.status_code = field::Empty,
    );
    telemetry::follow(&span, request.headers());
    span
}

async fn carry_out(call: &Call<'_>, operation: Operation) -> Result<Answer, Problem> {
    match operation {
        Operation::Broadcast => events::broadcast(call).await,
        Operation::Channel => channels::one(call).await,
        Operation::Channels => channels::list(call).await,
        Operation::Connections => users::connections(call).await,
        Operation::Cursors => inbox::cursors(call).await,
        Operation::Disconnect => users::disconnect(call).await,
        Operation::Document => documents::get(call).await,
        Operation::DocumentCopy => documents::copy(call).await,
        Operation::DocumentPatch => documents::patch(call).await,
        Operation::DocumentReset => documents::reset(call).await,
        Operation::DocumentText => documents::text(call).await,
        Operation::DocumentUpdate => documents::update(call).await,
        Operation::DocumentVersion => versions::get(call).await,
        Operation::DocumentVersionCompare => versions::compare(call).await,
        Operation::DocumentVersionDelete => versions::delete(call).await,
        Operation::DocumentVersionName => versions::name(call).await,
        Operation::DocumentVersionRestore => versions::restore(call).await,
        Operation::DocumentVersionSave => versions::save(call).await,
        Operation::DocumentVersions => versions::list(call).await,
        Operation::Follow => inbox::follow(call).await,
        Operation::Followers => inbox::followers(call).await,
        Operation::Delete => events::delete(call).await,
        Operation::Edit => events::edit(call).await,
        Operation::History => events::history(call).await,
        Operation::Inbox => inbox::inbox(call).await,
        Operation::Info => channels::info(call).await,
        Operation::Mark => inbox::mark(call).await,
        Operation::Notify => inbox::notify(call).await,
        Operation::Presence => events::presence(call).await,
        Operation::Publish => events::publish(call).await,
        Operation::React => events::react(call).await,
        Operation::Revoke => revoke::revoke(call).await,
        Operation::State => state::get(call).await,
        Operation::StateSet => state::set(call).await,
        Operation::StatePatch => state::patch(call).await,
        Operation::StateRemove => state::remove(call).await,
        Operation::Stats => channels::stats(call).await,
        Operation::Ticket => revoke::ticket(call),
        Operation::Trace => trace::trace(call).await,
        Operation::Unsubscribe => users::unsubscribe(call).await,
        Operation::Users => users::list(call).await,
    }
}

fn wrong_method(methods: &str) -> Answer {
    let why = format!("this path takes {methods}");
    let mut answer = Problem::of_http(StatusCode::METHOD_NOT_ALLOWED, &why).answer();
    if let Ok(methods) = HeaderValue::from_str(methods) {
        answer.headers_mut().insert(header::ALLOW, methods);
    }
    answer
}
