//! What was revoked: users, sessions, tokens and rights to channels, until their tokens have ended.
//! Written down before it is in force, so that a restart forgets nothing.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use tidings_core::identity::{Identity, fits};

use crate::secret::keep;

/// Revocations in force.
const MOST: usize = 100_000;

/// Revoked patterns of channels: each is looked at for each command.
const PATTERNS: usize = 1000;

/// One revocation: of what is given. `user` and `channel` may stand together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Revocation {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<u64>,
    /// A token's `jti`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    /// A pattern of channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) channel: Option<String>,
    /// Tokens that were issued later are not meant. Milliseconds since 1970, as the next.
    pub(crate) before_ms: u64,
    /// When it is forgotten.
    pub(crate) until_ms: u64,
}

/// Why something was not revoked.
#[derive(Debug)]
pub(crate) enum RevokeError {
    /// Too many are in force.
    Full,
    /// It could not be written down.
    Io(io::Error),
}

/// As they are looked up.
#[derive(Debug, Default)]
struct Index {
    /// The newest `before_ms` of each.
    users: HashMap<String, u64>,
    sessions: HashSet<u64>,
    tokens: HashSet<String>,
    patterns: Vec<(Option<String>, String, u64)>,
}

impl Index {
    fn new(all: &[Revocation]) -> Self {
        let mut index = Self::default();
        for one in all {
            match (&one.user, &one.channel) {
                (user, Some(pattern)) => {
                    index.patterns.push((user.clone(), pattern.clone(), one.before_ms));
                }
                (Some(user), None) => {
                    let before = index.users.entry(user.clone()).or_default();
                    *before = one.before_ms.max(*before);
                }
                (None, None) => {}
            }
            index.sessions.extend(one.session);
            index.tokens.extend(one.token.clone());
        }
        index
    }

    fn stands(&self, who: &Identity, session: u64, channel: Option<&str>) -> bool {
        let revoked = self.users.get(&*who.user).is_some_and(|at| who.issued_at_ms <= *at)
            || self.sessions.contains(&session)
            || who.token.as_deref().is_some_and(|token| self.tokens.contains(token));
        let barred = |channel| {
            self.patterns.iter().any(|(user, pattern, before_ms)| {
                user.as_ref().is_none_or(|user| **user == *who.user)
                    && who.issued_at_ms <= *before_ms
                    && fits(pattern, channel)
            })
        };
        !revoked && !channel.is_some_and(barred)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Revocations {
    /// Spares a lock where nothing is revoked.
    any: AtomicBool,
    index: RwLock<Index>,
    /// What is written down; its lock is held while writing, so that no older one comes last.
    all: Mutex<Vec<Revocation>>,
    file: Option<PathBuf>,
}

impl Revocations {
    /// Reads those that are in force from a folder. Without one they last as long as the process.
    ///
    /// # Errors
    /// When the file cannot be read, or is none of ours.
    pub(crate) fn open(dir: Option<&Path>, now_ms: u64) -> io::Result<Self> {
        let file = dir.map(|dir| dir.join("revocations.json"));
        let mut all: Vec<Revocation> = match file.as_deref().map(std::fs::read) {
            None => Vec::new(),
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Some(text) => serde_json::from_slice(&text?).map_err(|error| {
                let path = file.as_deref().unwrap_or(Path::new("")).display();
                let why = format!("{path}: {error}; mend it, or what was revoked is not any more");
                io::Error::new(io::ErrorKind::InvalidData, why)
            })?,
        };
        all.retain(|one| one.until_ms > now_ms);
        let (any, index) = (AtomicBool::new(!all.is_empty()), RwLock::new(Index::new(&all)));
        Ok(Self { any, index, all: Mutex::new(all), file })
    }

    /// Puts one in force, written down. Waits for the disk.
    pub(crate) fn add(&self, new: Revocation, now_ms: u64) -> Result<(), RevokeError> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next: Vec<_> = all.iter().filter(|one| one.until_ms > now_ms).cloned().collect();
        next.push(new);
        let patterns = next.iter().filter(|one| one.channel.is_some()).count();
        if next.len() > MOST || patterns > PATTERNS {
            return Err(RevokeError::Full);
        }
        if let Some(file) = &self.file {
            let text = serde_json::to_vec(&next).map_err(|e| RevokeError::Io(e.into()))?;
            keep(file, &text).map_err(RevokeError::Io)?;
        }
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = Index::new(&next);
        self.any.store(true, Ordering::Release);
        *all = next;
        Ok(())
    }

    /// See [`Authority::stands`](tidings_core::identity::Authority::stands).
    pub(crate) fn stands(&self, who: &Identity, session: u64, channel: Option<&str>) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return true;
        }
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.stands(who, session, channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(user: &str, issued_at_ms: u64, token: Option<&str>) -> Identity {
        Identity {
            user: user.into(),
            anonymous: false,
            key: 1,
            expires_at_ms: None,
            issued_at_ms,
            token: token.map(Into::into),
            grants: None,
        }
    }

    fn of(until_ms: u64) -> Revocation {
        let (user, session, token, channel) = (None, None, None, None);
        Revocation { user, session, token, channel, before_ms: 1000, until_ms }
    }

    #[test]
    fn a_user_is_revoked_until_a_later_token_and_nobody_else_is() {
        let list = Revocations::open(None, 0).unwrap();
        assert!(list.stands(&who("ada", 0, None), 1, None));
        list.add(Revocation { user: Some("ada".into()), ..of(9000) }, 0).unwrap();
        assert!(!list.stands(&who("ada", 1000, None), 1, None));
        assert!(!list.stands(&who("ada", 0, None), 1, Some("chat:a")), "no `iat`: an old one");
        assert!(list.stands(&who("ada", 1001, None), 1, None));
        assert!(list.stands(&who("bob", 0, None), 1, None));
    }

    #[test]
    fn a_session_a_token_and_a_channel_of_a_user_or_of_all() {
        let list = Revocations::open(None, 0).unwrap();
        list.add(Revocation { session: Some(7), ..of(9000) }, 0).unwrap();
        list.add(Revocation { token: Some("t1".into()), ..of(9000) }, 0).unwrap();
        let (user, channel) = (Some("ada".into()), Some("chat:*".into()));
        list.add(Revocation { user, channel, ..of(9000) }, 0).unwrap();
        list.add(Revocation { channel: Some("cast:a".into()), ..of(9000) }, 0).unwrap();
        let (ada, bob) = (who("ada", 5, None), who("bob", 5, Some("t2")));
        assert!(!list.stands(&ada, 7, None) && list.stands(&ada, 8, None));
        assert!(!list.stands(&who("eve", 5, Some("t1")), 8, None));
        assert!(list.stands(&bob, 8, Some("chat:a")) && !list.stands(&ada, 8, Some("chat:a")));
        assert!(!list.stands(&bob, 8, Some("cast:a")) && list.stands(&bob, 8, Some("cast:ab")));
    }

    #[test]
    fn a_restart_forgets_none_that_is_in_force() {
        let dir = tempfile::tempdir().unwrap();
        let list = Revocations::open(Some(dir.path()), 0).unwrap();
        list.add(Revocation { token: Some("long".into()), ..of(9000) }, 0).unwrap();
        list.add(Revocation { token: Some("short".into()), ..of(500) }, 0).unwrap();
        let list = Revocations::open(Some(dir.path()), 600).unwrap();
        assert!(!list.stands(&who("ada", 0, Some("long")), 1, None));
        assert!(list.stands(&who("ada", 0, Some("short")), 1, None));
        std::fs::write(dir.path().join("revocations.json"), "{").unwrap();
        assert!(Revocations::open(Some(dir.path()), 0).is_err(), "never silently open again");
    }

    #[test]
    fn there_is_a_limit() {
        let list = Revocations::open(None, 0).unwrap();
        let one = Revocation { channel: Some("chat:a".into()), ..of(9000) };
        for _ in 0..PATTERNS {
            list.add(one.clone(), 0).unwrap();
        }
        assert!(matches!(list.add(one.clone(), 0), Err(RevokeError::Full)));
        list.add(one, 9000).unwrap();
    }
}
