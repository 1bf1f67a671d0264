//! Following what sessions send and get.

use hyper::Response;
use hyper::header::{self, HeaderName, HeaderValue};
use tidings_proto::ErrorCode;

use super::call::{Call, check_user, session_id};
use super::problem::Problem;
use crate::trace::Target;
use crate::trace::body::{Trace, TraceBody};
use crate::transport::http::{Answer, Content};

/// How long a trace may be asked for: a day.
pub(super) const SECONDS_MAX: u64 = 86_400;

pub(super) async fn trace(call: &Call<'_>) -> Result<Answer, Problem> {
    let target = target(call)?;
    call.key.may_trace(&target)?;
    let seconds = call.number("seconds")?;
    if seconds.is_some_and(|seconds| !(1..=SECONDS_MAX).contains(&seconds)) {
        return Err(Problem::bad_request(format!("`seconds` is not 1 to {SECONDS_MAX}")));
    }
    tracing::info!(key = &*call.key.name, ?target, "a trace begins");
    let trace = Trace::begin(call.shard, call.key.clone(), target).await;
    let too_many = || Problem::new(ErrorCode::LimitExceeded, "too many traces run: limits.traces");
    let body = TraceBody::new(trace.ok_or_else(too_many)?, seconds);
    let mut answer = Response::new(Content::Trace(body));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // nginx passes an answer with this on as it comes.
    let buffering = HeaderName::from_static("x-accel-buffering");
    headers.insert(buffering, HeaderValue::from_static("no"));
    Ok(answer)
}

fn target(call: &Call<'_>) -> Result<Target, Problem> {
    let given = |name: &str| call.query.get(name).map(String::as_str);
    match (given("channel"), given("user"), given("session")) {
        (Some(channel), None, None) => {
            let max = call.shard.settings().limits.channel_name;
            let name = tidings_proto::ChannelName::parse(channel, max);
            let name = name.map_err(|error| Problem::bad_request(error.to_string()))?;
            Ok(Target::Channel(name.as_str().into()))
        }
        (None, Some(user), None) => {
            check_user(user)?;
            Ok(Target::User(user.into()))
        }
        (None, None, Some(session)) => Ok(Target::Session(session_id(session)?)),
        _ => Err(Problem::bad_request("give one of `channel`, `user` and `session`")),
    }
}
