//! What stands in a token. Reasons name claims, never their values: they end up in logs.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use tidings_core::Period;
use tidings_core::identity::{Action, Grant, Identity, TokenError};

use super::keys::VerifyKey;
use super::refused;
use crate::config::Algorithm;

/// A user's name has at most this many bytes.
pub(super) const USER_BYTES: usize = 255;

/// The end of the year 9999. A larger time is one in milliseconds.
const LAST_SECOND: u64 = 253_402_300_799;

/// The part of a token's header that counts. `jwk`, `jku`, `x5u` and the like are not read.
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
}

impl Header {
    pub(super) fn decode(part: &str) -> Result<Self, TokenError> {
        let fields = object(part).ok_or_else(|| refused("its header is not JSON"))?;
        let text = |name: &str| match fields.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(refused("a field of its header is not a string")),
        };
        let algorithm = match text("alg")? {
            Some("HS256") => Algorithm::HS256,
            Some("RS256") => Algorithm::RS256,
            Some("ES256") => Algorithm::ES256,
            Some("EdDSA") => Algorithm::EdDSA,
            _ => return Err(refused("its `alg` is not one of HS256, RS256, ES256 and EdDSA")),
        };
        let types = ["JWT", "at+jwt", "application/at+jwt", "application/jwt"];
        if text("typ")?.is_some_and(|typ| !types.iter().any(|t| t.eq_ignore_ascii_case(typ))) {
            return Err(refused("its header's `typ` is not JWT or at+jwt"));
        }
        // RFC 7515 4.1.11: an extension that is critical and not known must be refused.
        if fields.contains_key("crit") {
            return Err(refused("its header has `crit`, and no extension is known"));
        }
        Ok(Self { algorithm, kid: text("kid")?.map(str::to_owned) })
    }
}

/// A token's claims.
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    pub(super) fn decode(part: &str) -> Result<Self, TokenError> {
        object(part).map(Self).ok_or_else(|| refused("its claims are not a JSON object"))
    }

    /// Whether the token says that it is of this issuer.
    pub(super) fn names(&self, issuer: &str) -> bool {
        self.0.get("iss").and_then(Value::as_str) == Some(issuer)
    }

    /// Whether the token is of the key's issuer and for its audience.
    pub(super) fn is_for(&self, key: &VerifyKey) -> bool {
        let is = |value: &Value, expected: &str| value.as_str() == Some(expected);
        let issuer = key
            .issuer
            .as_ref()
            .is_none_or(|expected| self.0.get("iss").is_some_and(|issuer| is(issuer, expected)));
        let audience = key.audience.as_ref().is_none_or(|expected| match self.0.get("aud") {
            Some(Value::Array(list)) => list.iter().any(|audience| is(audience, expected)),
            Some(audience) => is(audience, expected),
            None => false,
        });
        issuer && audience
    }

    /// Who the token says its bearer is. The session ends at `exp` and the leeway.
    pub(super) fn identity(
        &self,
        wall_ms: u64,
        leeway: Period,
        allow_no_expiry: bool,
        key: u32,
    ) -> Result<Identity, TokenError> {
        let expires_at_ms = match self.time("exp")? {
            Some(exp) => Some(exp.saturating_add(leeway.ms)),
            None if allow_no_expiry => None,
            None => return Err(refused("it has no `exp`")),
        };
        if expires_at_ms.is_some_and(|at| at <= wall_ms) {
            return Err(TokenError::Expired);
        }
        if self.time("nbf")?.is_some_and(|nbf| nbf > wall_ms.saturating_add(leeway.ms)) {
            return Err(refused("its `nbf` lies ahead: it is not valid yet"));
        }
        match self.0.get("typ") {
            None => {}
            Some(Value::String(typ)) if typ == "tidings" || typ.eq_ignore_ascii_case("bearer") => {}
            Some(_) => return Err(refused("its claim `typ` is not `tidings` or `Bearer`")),
        }
        let user = match self.0.get("sub") {
            Some(Value::String(user)) => user,
            _ => return Err(refused("it has no `sub` that is a string")),
        };
        check_user(user).map_err(refused)?;
        Ok(Identity {
            user: user.as_str().into(),
            anonymous: false,
            key,
            expires_at_ms,
            issued_at_ms: self.time("iat")?.unwrap_or(0),
            token: self.token_id()?,
            grants: self.grants()?,
        })
    }

    /// What the token is called, so that it can be revoked.
    fn token_id(&self) -> Result<Option<Box<str>>, TokenError> {
        match self.0.get("jti") {
            None => Ok(None),
            Some(Value::String(id)) if id.len() <= USER_BYTES => Ok(Some(id.as_str().into())),
            Some(_) => Err(refused("its `jti` is not a string of at most 255 bytes")),
        }
    }

    /// A time claim in milliseconds since 1970.
    fn time(&self, name: &str) -> Result<Option<u64>, TokenError> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let wrong = |why: &str| TokenError::Refused(format!("its `{name}` {why}"));
        // Not a float, nor a string: those who compare them differently would disagree.
        let Some(seconds) = value.as_u64() else {
            return Err(wrong("is not a whole number of seconds since 1970"));
        };
        if seconds > LAST_SECOND {
            return Err(wrong("is behind the year 9999: it counts seconds, not milliseconds"));
        }
        Ok(Some(seconds * 1000))
    }

    fn grants(&self) -> Result<Option<Box<[Grant]>>, TokenError> {
        let Some(channels) = self.0.get("channels") else { return Ok(None) };
        let grants = read_grants(channels).map_err(refused)?;
        Ok((!grants.is_empty()).then_some(grants))
    }
}

/// Patterns and what each allows, as in a token's `channels`.
pub(crate) fn read_grants(channels: &Value) -> Result<Box<[Grant]>, &'static str> {
    let shape = "its `channels` is not an object of patterns with lists of actions";
    let channels = channels.as_object().ok_or(shape)?;
    let mut grants = Vec::with_capacity(channels.len());
    for (pattern, actions) in channels {
        check_pattern(pattern)?;
        let names = actions.as_array().ok_or(shape)?.iter().map(Value::as_str);
        let actions: Result<_, ()> = names.map(|name| name.and_then(action).ok_or(())).collect();
        let actions = actions.map_err(
            |()| "`channels`: an action is not subscribe, publish, history, presence or moderate",
        )?;
        grants.push(Grant { pattern: pattern.as_str().into(), actions });
    }
    Ok(grants.into())
}

/// The action of that name.
pub(super) fn action(name: &str) -> Option<Action> {
    Action::ALL.into_iter().find(|action| action.as_str() == name)
}

/// Whether `user` can be a token's `sub`.
pub(crate) fn check_user(user: &str) -> Result<(), &'static str> {
    if user.is_empty() || user.len() > USER_BYTES {
        return Err("its `sub` is not 1 to 255 bytes long");
    }
    if user.chars().any(char::is_control) {
        return Err("its `sub` has control characters");
    }
    if user.starts_with("anon-") {
        return Err("its `sub` starts with `anon-`, as only anonymous users' names do");
    }
    Ok(())
}

/// Whether `pattern` can be a key of `channels`.
pub(super) fn check_pattern(pattern: &str) -> Result<(), &'static str> {
    if pattern.is_empty() {
        return Err("a pattern in its `channels` is empty");
    }
    if pattern.strip_suffix('*').unwrap_or(pattern).contains('*') {
        return Err("a pattern in its `channels` has a `*` that is not at the end");
    }
    Ok(())
}

/// The JSON object in a part of a token.
fn object(part: &str) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&bytes).ok()
}
