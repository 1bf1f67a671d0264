//! A request to the API, once its path is known.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{self, HeaderValue};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidings_core::engine::{Contribution, Inquiry, VersionAsk, Whom};
use tidings_proto::{CommandBody, ServerFrame};

use super::endpoints::MANY;
use super::keys::Key;
use super::problem::Problem;
use crate::shard::Shard;
use crate::transport::http::{Answer, text};

/// See the module.
pub(super) struct Call<'a> {
    pub(super) shard: &'a Rc<Shard>,
    pub(super) key: Arc<Key>,
    /// Parameters of the path, decoded.
    pub(super) path: Vec<String>,
    pub(super) query: HashMap<String, String>,
    pub(super) body: Bytes,
}

/// The answer to a request that was understood.
pub(super) fn json(body: &impl Serialize) -> Answer {
    let body = match serde_json::to_vec(body) {
        Ok(body) => body,
        Err(error) => {
            // An empty "200" would be taken for an answer.
            tracing::error!(%error, "an answer of the API cannot be written");
            return Problem::unavailable().answer();
        }
    };
    let mut answer = text(StatusCode::OK, Bytes::from(body));
    let kind = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

/// A part of a path, without its percent signs.
pub(super) fn decoded(part: &str) -> Result<String, Problem> {
    let text = percent_decode_str(part).decode_utf8().map(Cow::into_owned);
    text.map_err(|_| Problem::bad_request("the path is not UTF-8"))
}

impl Call<'_> {
    /// The body as JSON.
    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        // serde takes a list for the fields in their order.
        if self.body.trim_ascii_start().starts_with(b"[") {
            return Err(Problem::bad_request("the body: a list, and no object"));
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| Problem::bad_request(format!("the body: {error}")))
    }

    /// The path's parameter.
    pub(super) fn name(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }

    /// Who is said to have done it: this user, or the key.
    pub(super) fn author(&self, user: Option<&str>) -> Result<Arc<str>, Problem> {
        match user {
            Some(user) => check_user(user).map(|()| user.into()),
            None => Ok(self.key.name.clone()),
        }
    }

    /// A number of the query.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(text) = self.query.get(name) else { return Ok(None) };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| digits && *number <= MANY);
        let why = || Problem::bad_request(format!("`{name}` is not a whole number up to 2^53"));
        number.map(Some).ok_or_else(why)
    }

    /// A number of the query from 1 to `most`.
    pub(super) fn limit(&self, default: usize, most: usize) -> Result<usize, Problem> {
        let limit = self.number("limit")?.map_or(Ok(default), usize::try_from).unwrap_or(0);
        if (1..=most).contains(&limit) {
            return Ok(limit);
        }
        Err(Problem::bad_request(format!("`limit` is not 1 to {most}")))
    }

    /// Carries out a command of the engine and reads its answer.
    pub(super) async fn serve<T: DeserializeOwned>(
        &self,
        author: &Arc<str>,
        command: CommandBody<'_>,
    ) -> Result<T, Problem> {
        read(self.shard.serve(author, command).await)
    }

    /// Reads all of a document.
    pub(super) async fn read_document<T: DeserializeOwned>(
        &self,
        channel: &str,
    ) -> Result<T, Problem> {
        read(self.shard.read_document(channel).await)
    }

    /// Changes it.
    pub(super) async fn contribute<T: DeserializeOwned>(
        &self,
        author: &Arc<str>,
        channel: &str,
        change: Contribution,
    ) -> Result<T, Problem> {
        read(self.shard.contribute(author, channel, change).await)
    }

    /// Makes the document that the path names another one; `versions`: they go as well.
    pub(super) async fn reset_document<T: DeserializeOwned>(
        &self,
        versions: bool,
    ) -> Result<T, Problem> {
        read(self.shard.reset_document(&self.key.name, self.name(), versions).await)
    }

    /// Asks something of its versions.
    pub(super) async fn ask_version<T: DeserializeOwned>(
        &self,
        ask: VersionAsk,
    ) -> Result<T, Problem> {
        read(self.shard.ask_version(self.name(), ask).await)
    }

    /// Carries out a question about inboxes and reads its answer.
    pub(super) async fn inquire<T: DeserializeOwned>(
        &self,
        inquiry: Inquiry<'_>,
    ) -> Result<T, Problem> {
        read(self.shard.inquire(inquiry).await)
    }

    /// The same for one of many.
    pub(super) async fn inquire_one_of_many<T: DeserializeOwned>(
        &self,
        inquiry: Inquiry<'_>,
    ) -> Result<T, Problem> {
        read(self.shard.inquire_one_of_many(inquiry).await)
    }
}

/// Reads the engine's answer, if there is one.
fn read<T: DeserializeOwned>(text: Option<Bytes>) -> Result<T, Problem> {
    let text = text.ok_or_else(Problem::unavailable)?;
    let fault = |_| Problem::new(tidings_proto::ErrorCode::Server, "the answer is not JSON");
    let frame = ServerFrame::decode(std::str::from_utf8(&text).unwrap_or_default());
    if let Ok(frame) = &frame
        && &*frame.kind == "error"
    {
        return Err(Problem::of_frame(frame).unwrap_or_else(Problem::unavailable));
    }
    serde_json::from_slice(&text).map_err(fault)
}

/// Which sessions a body means.
pub(super) fn whom(user: Option<&str>, session: Option<&str>) -> Result<Whom, Problem> {
    if user.is_none() && session.is_none() {
        return Err(Problem::bad_request("whose? give `user`, `session` or both"));
    }
    user.map_or(Ok(()), check_user)?;
    Ok(Whom { user: user.map(Into::into), session: session.map(session_id).transpose()? })
}

/// A session's public id.
pub(super) fn session_id(text: &str) -> Result<u64, Problem> {
    let hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = u64::from_str_radix(text, 16).ok().filter(|_| hex);
    id.ok_or_else(|| Problem::bad_request("a session's id has 16 hexadecimal digits"))
}

/// Whether a pattern of channels can be one.
pub(super) fn check_pattern(pattern: &str) -> Result<(), Problem> {
    let stars = pattern.strip_suffix('*').unwrap_or(pattern).contains('*');
    if pattern.is_empty() || pattern.len() > 255 || stars {
        let why = "a pattern is a channel's whole name, or a prefix that ends in `*`";
        return Err(Problem::bad_request(why));
    }
    Ok(())
}

/// Whether a user's name can be one.
pub(super) fn check_user(user: &str) -> Result<(), Problem> {
    if user.is_empty() || user.len() > 255 || user.chars().any(char::is_control) {
        let why = "a user's name has 1 to 255 bytes and no control characters";
        return Err(Problem::bad_request(why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;
    use serde::ser::Error as _;
    use serde::{Serialize, Serializer};

    use super::json;

    struct Unwritable;

    impl Serialize for Unwritable {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("it has no name"))
        }
    }

    #[test]
    fn an_answer_that_cannot_be_written_is_no_empty_success() {
        assert_eq!(json(&1).status(), StatusCode::OK);
        assert_eq!(json(&Unwritable).status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
