//! Who may use the API.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use hyper::header::{self, HeaderMap};
use sha2::{Digest, Sha256};
use tidings_core::identity::fits;

use super::problem::Problem;
use crate::config::{Api, ApiKey, Scope};
use crate::trace::Target;
use crate::transport::bearer;

/// A secret has at least this many bytes.
const SECRET_BYTES_MIN: usize = 32;

/// A key as it is used.
pub(crate) struct Key {
    /// Its name: the user that its events are from.
    pub(crate) name: Arc<str>,
    /// Secrets are compared by their hashes: how far two are alike shows nowhere.
    digest: [u8; 32],
    scopes: Vec<Scope>,
    channels: Vec<String>,
}

impl Key {
    /// Whether the key is for this part of the API.
    pub(crate) fn require(&self, scope: Scope) -> Result<(), Problem> {
        if self.scopes.is_empty() || self.scopes.contains(&scope) {
            return Ok(());
        }
        let why = format!("this key does not have the scope `{}`", scope.as_str());
        Err(Problem::forbidden(why))
    }

    /// Whether the key is for this channel.
    pub(crate) fn is_for(&self, channel: &str) -> bool {
        self.channels.iter().any(|pattern| fits(pattern, channel))
    }

    /// An error unless the key is for this channel.
    pub(crate) fn require_channel(&self, channel: &str) -> Result<(), Problem> {
        if self.is_for(channel) {
            return Ok(());
        }
        Err(Problem::forbidden("this key is not for this channel"))
    }

    /// An error unless the key is for all channels of a pattern.
    pub(crate) fn require_pattern(&self, wanted: &str) -> Result<(), Problem> {
        let covers = |own: &String| match (own.strip_suffix('*'), wanted.strip_suffix('*')) {
            (Some(own), Some(wanted)) => wanted.starts_with(own),
            (Some(own), None) => wanted.starts_with(own),
            (None, Some(_)) => false,
            (None, None) => own == wanted,
        };
        if self.channels.iter().any(covers) {
            return Ok(());
        }
        Err(Problem::forbidden("this key is not for all channels of this pattern"))
    }

    /// An error unless the key may follow this.
    pub(crate) fn may_trace(&self, target: &Target) -> Result<(), Problem> {
        self.require(Scope::Trace)?;
        match target {
            Target::Channel(channel) => self.require_channel(channel),
            Target::Session(_) | Target::User(_) => self.require_everything(),
        }
    }

    /// An error unless the key is for all channels.
    pub(crate) fn require_everything(&self) -> Result<(), Problem> {
        self.require_pattern("*")
    }
}

/// All keys.
#[derive(Default)]
pub(crate) struct ApiKeys(Vec<Arc<Key>>);

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &*key.name)).finish()
    }
}

impl ApiKeys {
    /// Reads the keys; files are relative to `base_dir`.
    ///
    /// # Errors
    /// Where the first one that cannot be used stands in the configuration, why, and what to do.
    pub(crate) fn load(api: &Api, base_dir: &Path) -> Result<Self, Fault> {
        let mut keys: Vec<Arc<Key>> = Vec::new();
        for (index, entry) in api.key.iter().enumerate() {
            let fault = |(field, why, remedy): (&str, String, &'static str)| Fault {
                key: format!("api.key.{index}{field}"),
                why,
                remedy,
            };
            let key = load(entry, base_dir).map_err(fault)?;
            if keys.iter().any(|other| other.digest == key.digest) {
                let why = "an earlier key has the same secret".into();
                return Err(fault(("", why, "give each key a secret of its own")));
            }
            keys.push(Arc::new(key));
        }
        Ok(Self(keys))
    }

    /// Whether there is none: the API is off.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key that a request has.
    pub(crate) fn authorise(&self, headers: &HeaderMap) -> Result<Arc<Key>, Problem> {
        let given = headers.get(header::AUTHORIZATION).and_then(bearer);
        let found = given.and_then(|secret| self.find(&secret));
        found.cloned().ok_or_else(Problem::unauthorized)
    }

    /// What has become of a key: `None`, it is gone.
    pub(crate) fn current(&self, key: &Key) -> Option<&Arc<Key>> {
        self.0.iter().find(|other| other.digest == key.digest)
    }

    /// The key with this secret.
    pub(crate) fn find(&self, secret: &str) -> Option<&Arc<Key>> {
        let digest = <[u8; 32]>::from(Sha256::digest(secret.as_bytes()));
        self.0.iter().find(|key| key.digest == digest)
    }
}

/// Why a configured key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where it stands in the configuration.
    pub(crate) key: String,
    /// What is wrong. Never holds anything of the secret.
    pub(crate) why: String,
    /// What to do.
    pub(crate) remedy: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.key, self.why, self.remedy)
    }
}

fn load(entry: &ApiKey, base_dir: &Path) -> Result<Key, (&'static str, String, &'static str)> {
    let name_ok = (1..=64).contains(&entry.name.len()) && !entry.name.contains(char::is_control);
    if !name_ok || entry.name.starts_with("anon-") {
        let why = "a name has 1 to 64 bytes, no control characters, and is not `anon-…`".into();
        return Err((".name", why, "call it after who uses it, as \"backend\""));
    }
    let secret = match (&entry.secret, &entry.secret_file) {
        (Some(secret), None) => secret.expose().to_owned(),
        (None, Some(file)) => std::fs::read_to_string(base_dir.join(file))
            .map_err(|e| (".secret_file", e.to_string(), "put the secret there"))?
            .trim_end()
            .to_owned(),
        _ => {
            let why = "it has no secret, or two".to_owned();
            return Err(("", why, "set exactly one of secret and secret_file"));
        }
    };
    if secret.len() < SECRET_BYTES_MIN || secret.contains(|c: char| !c.is_ascii_graphic()) {
        let why = "a secret has at least 32 printable characters and no white space".into();
        return Err((".secret", why, "make one: openssl rand -base64 32"));
    }
    let star = |pattern: &String| pattern.strip_suffix('*').unwrap_or(pattern).contains('*');
    if entry.channels.iter().any(star) || entry.channels.is_empty() {
        let why = "a pattern is a whole name, or a prefix that ends in `*`".into();
        return Err((".channels", why, "write [\"*\"] for all channels"));
    }
    Ok(Key {
        name: entry.name.as_str().into(),
        digest: Sha256::digest(secret.as_bytes()).into(),
        scopes: entry.scopes.clone(),
        channels: entry.channels.clone(),
    })
}
