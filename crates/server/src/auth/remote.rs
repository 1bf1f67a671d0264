//! Key sets that an issuer publishes at a URL (RFC 7517): fetched ahead of need, and again when a
//! token names a key that is not among them, which a new key looks like.
//!
//! The URL stands in the configuration: nothing in a token says what is fetched. Keys belong to the
//! entry of the configuration that they came by and to its issuer: a key of one issuer, whatever
//! it is called, checks no token of another. No token waits for a fetch: the client is told to come
//! again.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::keys::{KeySet, of_set};
use crate::config::Key;

/// How often a set is fetched when all is well.
const EVERY: Duration = Duration::from_secs(300);

/// How long between two fetches of a set at least, whatever tokens name.
const PAUSE: Duration = Duration::from_secs(30);

/// What a set is known by: its URL, its issuer, its audience.
type Name = (String, String, Option<String>);

/// One set.
pub(crate) struct RemoteKeys {
    name: Name,
    keys: RwLock<Arc<KeySet>>,
    times: Mutex<Times>,
}

#[derive(Debug)]
struct Times {
    /// When it is to be fetched next.
    due: Instant,
    /// A fetch is under way.
    fetching: bool,
    /// When a fetch began last.
    tried: Option<Instant>,
    /// When it succeeded last.
    fetched: Option<Instant>,
}

impl std::fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteKeys").field("url", &self.name.0).finish_non_exhaustive()
    }
}

impl RemoteKeys {
    fn new(name: Name, now: Instant) -> Self {
        let times = Times { due: now, fetching: false, tried: None, fetched: None };
        Self { name, keys: RwLock::new(Arc::new(KeySet::default())), times: Mutex::new(times) }
    }

    /// The sets of a configuration.
    pub(super) fn of(entries: &[Key], now: Instant) -> Vec<Arc<Self>> {
        let of_entry = |entry: &Key| {
            let name = (entry.jwks_url.clone()?, entry.issuer.clone()?, entry.audience.clone());
            Some(Arc::new(Self::new(name, now)))
        };
        entries.iter().filter_map(of_entry).collect()
    }

    /// Whether another has the keys of the same issuer from the same place.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.name == other.name
    }

    pub(crate) fn url(&self) -> &str {
        &self.name.0
    }

    /// Whose tokens it checks.
    pub(super) fn issuer(&self) -> &str {
        &self.name.1
    }

    /// The keys as they are now.
    pub(super) fn keys(&self) -> Arc<KeySet> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A token names a key that is not here. Whether it may be here soon: the set is being fetched,
    /// or is from now on.
    pub(super) fn misses(&self, now: Instant) -> bool {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let rested = times.tried.is_none_or(|tried| now >= tried + PAUSE);
        if rested {
            times.due = times.due.min(now);
        }
        times.fetching || rested || times.fetched.is_none()
    }

    /// It is fetched at once, however long ago that was done: the operator says so.
    pub(super) fn renew(&self, now: Instant) {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).due = now;
    }

    /// Whether it is to be fetched now; whoever asked does.
    pub(crate) fn begin(&self, now: Instant) -> bool {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let due = !times.fetching && now >= times.due;
        if due {
            times.fetching = true;
            times.tried = Some(now);
        }
        due
    }

    /// What a fetch brought: the text of a set, or why there is none. Whether a key is no longer
    /// taken. Keys of a set that cannot be fetched are taken for `grace`.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(crate) fn end(
        &self,
        now: Instant,
        grace: Duration,
        outcome: Result<&[u8], String>,
    ) -> Result<bool, String> {
        let outcome = outcome.and_then(|text| {
            let (_, issuer, audience) = &self.name;
            of_set(text, issuer, audience.as_deref())
        });
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.fetching = false;
        times.due = now + if outcome.is_ok() { EVERY } else { PAUSE };
        let (new, error) = match outcome {
            Ok(new) => {
                times.fetched = Some(now);
                (new, None)
            }
            Err(error) => match times.fetched {
                Some(fetched) if now >= fetched + grace => {
                    times.fetched = None;
                    (KeySet::default(), Some(error))
                }
                _ => return Err(error),
            },
        };
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let withdrawn = !keys.is_within(&new);
        *keys = Arc::new(new);
        match error {
            // Sessions by these keys have to end, which only the next success would tell.
            Some(error) if !withdrawn => Err(error),
            _ => Ok(withdrawn),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const GRACE: Duration = Duration::from_secs(3600);

    fn set(kids: &[&str]) -> String {
        let key = |kid: &&str| -> Value {
            json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid,
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })
        };
        json!({ "keys": kids.iter().map(key).collect::<Vec<_>>() }).to_string()
    }

    fn keys(now: Instant) -> RemoteKeys {
        let name = ("https://a.example/jwks".into(), "https://a.example/".into(), None);
        RemoteKeys::new(name, now)
    }

    #[test]
    fn j6_a_thousand_unknown_keys_a_second_are_one_fetch_in_thirty() {
        let start = Instant::now();
        let remote = keys(start);
        let mut fetches = 0;
        for ms in 0..60_000_u64 {
            let now = start + Duration::from_millis(ms);
            let _ = remote.misses(now);
            if remote.begin(now) {
                fetches += 1;
                assert_eq!(remote.end(now, GRACE, Ok(set(&["a"]).as_bytes())), Ok(false));
                assert!(!remote.misses(now), "what is not there now is not there soon");
            }
        }
        assert_eq!(fetches, 2);
    }

    #[test]
    fn whoever_comes_before_the_first_fetch_is_told_to_come_again() {
        let now = Instant::now();
        let remote = keys(now);
        assert!(remote.misses(now));
        assert!(remote.begin(now) && !remote.begin(now), "one fetch at a time");
        assert!(remote.misses(now));
        assert!(remote.end(now, GRACE, Err("down".into())).is_err());
        assert!(remote.misses(now), "nobody knows yet");
        assert!(!remote.begin(now), "but it rests");
        assert!(remote.begin(now + PAUSE));
    }

    #[test]
    fn j6_keys_are_taken_while_the_issuer_is_away_but_not_for_ever() {
        let start = Instant::now();
        let remote = keys(start);
        assert!(remote.begin(start));
        assert_eq!(remote.end(start, GRACE, Ok(set(&["a"]).as_bytes())), Ok(false));
        let html = b"<html>we are down</html>";
        let mut now = start + EVERY;
        while now < start + GRACE {
            assert!(remote.begin(now));
            assert!(remote.end(now, GRACE, Ok(html)).is_err());
            assert!(remote.keys().is_within(&remote.keys()) && remote.keys().len() == 1);
            now += PAUSE;
        }
        assert!(remote.begin(now));
        assert_eq!(remote.end(now, GRACE, Err("down".into())), Ok(true), "sessions have to end");
        assert_eq!(remote.keys().len(), 0);
    }

    #[test]
    fn a_key_that_is_gone_from_the_set_is_withdrawn() {
        let now = Instant::now();
        let remote = keys(now);
        let fetch = |kids: &[&str]| {
            let now = now + EVERY * 10;
            let _ = remote.begin(now);
            remote.end(now, GRACE, Ok(set(kids).as_bytes()))
        };
        assert_eq!(fetch(&["a"]), Ok(false));
        assert_eq!(fetch(&["a", "b"]), Ok(false));
        assert_eq!(fetch(&["b"]), Ok(false), "the same key by another name");
        assert!(fetch(&[]).is_err(), "a set without keys is a mistake");
    }

    #[test]
    fn a_set_is_known_by_its_url_and_its_issuer() {
        let now = Instant::now();
        let entry = |url: &str, issuer: &str| Key {
            jwks_url: Some(url.into()),
            issuer: Some(issuer.into()),
            ..Key::default()
        };
        let (a, b) = (entry("https://a.example/", "a"), entry("https://a.example/", "b"));
        let before = RemoteKeys::of(&[a.clone(), b], now);
        assert_eq!(before.len(), 2, "one URL, two issuers: two sets");
        let after = RemoteKeys::of(&[a, Key::default()], now);
        assert!(after.len() == 1 && after[0].is_as(&before[0]) && !after[0].is_as(&before[1]));
    }
}
