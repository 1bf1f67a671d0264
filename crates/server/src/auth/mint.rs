//! Makes tokens: for trying out, for tests and for services without a library at hand.

use std::fmt;
use std::path::Path;

use jsonwebtoken::EncodingKey;
use serde_json::{Map, Value, json};
use tidings_core::Period;
use tidings_core::identity::Grant;

use super::claims::{action, check_pattern, check_user};
use super::{keys, provider};
use crate::config::{Algorithm, Auth};

/// What a token shall say.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The user: `sub`.
    pub user: String,
    /// How long it is good; `None`: for ever (servers refuse it unless `auth.allow_no_expiry`).
    pub ttl: Option<Period>,
    /// What the user may do beyond what namespaces allow everybody.
    pub grants: Vec<Grant>,
}

/// An HS256 secret and what its tokens carry. `Debug` does not show the secret.
#[derive(Clone)]
pub struct SigningKey {
    secret: Vec<u8>,
    id: Option<String>,
    issuer: Option<String>,
    audience: Option<String>,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why no token was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MintError {
    /// The key in the configuration cannot be used: why, and what to do.
    Key(String),
    /// The configuration has no key that can sign.
    NoSigningKey,
    /// The secret has fewer than 32 bytes.
    ShortSecret,
    /// The token would be refused: why.
    Token(String),
}

impl fmt::Display for MintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(why) => f.write_str(why),
            Self::NoSigningKey => f.write_str(
                "the configuration has no HS256 key (with this id): a public key only checks \
                 tokens, so sign where the private key is, or add an [[auth.key]] with \
                 algorithm = \"HS256\"",
            ),
            Self::ShortSecret => f.write_str(
                "an HS256 secret has at least 32 bytes: make one with: openssl rand -base64 32",
            ),
            Self::Token(why) => write!(f, "such a token would be refused: {why}"),
        }
    }
}

impl std::error::Error for MintError {}

impl SigningKey {
    /// A secret given by hand.
    ///
    /// # Errors
    /// When it has fewer than 32 bytes.
    pub fn from_secret(secret: &str) -> Result<Self, MintError> {
        if secret.len() < 32 {
            return Err(MintError::ShortSecret);
        }
        let secret = secret.as_bytes().to_vec();
        Ok(Self { secret, id: None, issuer: None, audience: None })
    }

    /// The first HS256 key of the configuration, or the one with that `id`.
    ///
    /// # Errors
    /// When there is none, or its file cannot be read.
    pub fn from_config(auth: &Auth, base_dir: &Path, id: Option<&str>) -> Result<Self, MintError> {
        let named = |key: &str| id.is_none_or(|id| id == key);
        let (index, entry) = auth
            .key
            .iter()
            .enumerate()
            .find(|(_, key)| {
                key.algorithm == Some(Algorithm::HS256)
                    && key.id.as_deref().map_or(id.is_none(), named)
            })
            .ok_or(MintError::NoSigningKey)?;
        let secret = keys::secret_of(entry, Algorithm::HS256, base_dir).map_err(
            |(field, message, remedy)| {
                MintError::Key(format!("auth.key.{index}{field}: {message} ({remedy})"))
            },
        )?;
        Ok(Self {
            secret,
            id: entry.id.clone(),
            issuer: entry.issuer.clone(),
            audience: entry.audience.clone(),
        })
    }
}

/// Makes a token at `wall_ms` (milliseconds since 1970).
///
/// # Errors
/// When servers would refuse it.
pub fn mint(request: &TokenRequest, key: &SigningKey, wall_ms: u64) -> Result<String, MintError> {
    provider::install();
    check_user(&request.user).map_err(|why| MintError::Token(why.into()))?;
    let now = wall_ms / 1000;
    let mut claims = json!({ "sub": request.user, "iat": now });
    if let Some(ttl) = request.ttl {
        claims["exp"] = (now + ttl.ms.div_ceil(1000)).into();
    }
    if let Some(issuer) = &key.issuer {
        claims["iss"] = issuer.as_str().into();
    }
    if let Some(audience) = &key.audience {
        claims["aud"] = audience.as_str().into();
    }
    if !request.grants.is_empty() {
        claims["channels"] = channels(&request.grants)?;
    }
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    header.kid.clone_from(&key.id);
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&key.secret))
        .map_err(|error| MintError::Token(error.to_string()))
}

/// Grants as they stand in a token: an object of patterns.
fn channels(grants: &[Grant]) -> Result<Value, MintError> {
    let mut channels: Map<String, Value> = Map::new();
    for grant in grants {
        check_pattern(&grant.pattern).map_err(|why| MintError::Token(why.into()))?;
        let actions = channels.entry(&*grant.pattern).or_insert_with(|| json!([]));
        let list = actions.as_array_mut().into_iter();
        list.for_each(|list| list.extend(grant.actions.iter().map(|a| a.as_str().into())));
    }
    Ok(channels.into())
}

/// Why a grant on the command line was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidGrant(String);

impl fmt::Display for InvalidGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidGrant {}

/// A grant as it is written on the command line: `chat:*=subscribe,publish`.
///
/// # Errors
/// When there is no `=`, an action is not known or the pattern has a `*` that is not at its end.
pub fn parse_grant(text: &str) -> Result<Grant, InvalidGrant> {
    let (pattern, actions) = text.rsplit_once('=').ok_or_else(|| {
        InvalidGrant(format!("{text:?} has no `=`: write 'chat:*=subscribe,publish'"))
    })?;
    check_pattern(pattern)
        .map_err(|_| InvalidGrant(format!("{pattern:?}: a `*` stands only at the end")))?;
    let actions = actions.split(',').map(|name| {
        action(name).ok_or_else(|| {
            let known = "subscribe, publish, history, presence, moderate";
            InvalidGrant(format!("{name:?} is not an action: there are {known}"))
        })
    });
    Ok(Grant { pattern: pattern.into(), actions: actions.collect::<Result<_, _>>()? })
}
