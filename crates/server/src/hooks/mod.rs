//! The application's backend is asked: who may come in, subscribe and publish (docs/hooks.md).
//!
//! - `hook`: one endpoint: its queue, the calls under way, and the `breaker` that leaves a backend
//!   alone which does not answer;
//! - `question`, `answer`: the JSON of both;
//! - `tally`: what is counted.
//!
//! What a verdict means is the engine's matter (`core/src/engine/consulting.rs`). Here it is made
//! sure that there is one, always and once, and in time.

mod answer;
mod breaker;
mod hook;
mod question;
mod tally;

use std::path::Path;
use std::sync::Arc;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use tidings_core::engine::{About, Occasion};

use crate::config;
use crate::egress::{Egress, Guard};
pub(crate) use hook::{Fault, Reply};
use hook::{Hook, Plan};
pub(crate) use tally::{OUTCOMES, Tallies};

/// What the backend is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Connect,
    Publish,
    Subscribe,
}

/// Their names, in the order of [`Kind`].
pub(crate) const KINDS: [&str; 3] = ["connect", "publish", "subscribe"];

impl Kind {
    const ALL: [Kind; 3] = [Kind::Connect, Kind::Publish, Kind::Subscribe];

    fn of(about: &About) -> Self {
        match about {
            About::Connect { .. } => Kind::Connect,
            About::Publish(_) => Kind::Publish,
            About::Subscribe { .. } => Kind::Subscribe,
        }
    }

    fn name(self) -> &'static str {
        KINDS[self as usize]
    }
}

/// Headers of a connection's request, kept until the backend is asked about it.
#[derive(Debug)]
pub(crate) struct Shown(Vec<(HeaderName, HeaderValue)>);

impl Shown {
    /// By name; several of one name as one, with a comma between. What is not text is left out.
    fn json(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut map = serde_json::Map::new();
        for (name, value) in &self.0 {
            let Ok(value) = value.to_str() else { continue };
            let text = match map.get(name.as_str()).and_then(serde_json::Value::as_str) {
                Some(before) => format!("{before}, {value}"),
                None => value.to_owned(),
            };
            map.insert(name.as_str().into(), text.into());
        }
        map
    }
}

/// All hooks, as one configuration has them.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    hooks: [Option<Arc<Hook>>; 3],
    /// Which headers of a connection's request are shown.
    headers: Vec<HeaderName>,
}

impl Hooks {
    /// Reads the configuration; files are relative to `base_dir`. A hook that is as in `before`
    /// goes on, with what it knows of its backend.
    ///
    /// # Errors
    /// Where the first fault stands, why it cannot be used, and what to do.
    pub(crate) fn load(
        config: &config::Config,
        base_dir: &Path,
        tallies: &Arc<Tallies>,
        before: Option<&Hooks>,
    ) -> Result<Self, Fault> {
        let mut hooks = Hooks::default();
        // A network that is none is the fault of `egress`, and found there.
        let Ok(guard) = Guard::new(&config.egress.allow) else { return Ok(hooks) };
        for ((name, call), kind) in config.hooks.calls().into_iter().zip(Kind::ALL) {
            let Some(call) = call else { continue };
            let plan =
                Plan::load(kind, call, base_dir, &guard).map_err(|(field, why, remedy)| Fault {
                    key: format!("hooks.{name}{field}"),
                    why,
                    remedy,
                })?;
            let kept = before.and_then(|before| before.hooks[kind as usize].clone());
            let kept = kept.filter(|hook| *hook.plan() == plan);
            hooks.hooks[kind as usize] =
                Some(kept.unwrap_or_else(|| Arc::new(Hook::new(plan, tallies.clone()))));
        }
        if let Some(connect) = &config.hooks.connect {
            hooks.headers = headers(&connect.headers)?;
        }
        Ok(hooks)
    }

    /// What of a connection's request the backend will be shown.
    pub(crate) fn show(&self, headers: &HeaderMap) -> Option<Box<Shown>> {
        let of = |name: &HeaderName| {
            let name = name.clone();
            headers
                .get_all(&name)
                .iter()
                .map(move |v| (name.clone(), v.clone()))
                .collect::<Vec<_>>()
        };
        let shown: Vec<_> = self.headers.iter().flat_map(of).collect();
        (!shown.is_empty()).then(|| Box::new(Shown(shown)))
    }

    /// Asks; the verdict goes to `reply`.
    pub(crate) fn ask(
        &self,
        egress: &Egress,
        about: &About,
        transport: &'static str,
        shown: Option<&Shown>,
        reply: Reply,
    ) {
        let kind = Kind::of(about);
        // Without a hook, a reload has just taken it away: the reply says so when it is dropped.
        if let Some(hook) = &self.hooks[kind as usize] {
            hook.ask(egress, question::encode(about, transport, shown), reply);
        }
    }
}

/// Whether the backend is shown the headers of the connection's request with this.
pub(crate) fn shows_headers(about: &About) -> bool {
    matches!(about, About::Connect { occasion: Occasion::Hello | Occasion::Resume, .. })
}

fn headers(names: &[String]) -> Result<Vec<HeaderName>, Fault> {
    let key = "hooks.connect.headers".to_owned();
    let mut headers = Vec::with_capacity(names.len());
    for name in names {
        match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) if name == hyper::header::AUTHORIZATION => {
                let why = "`authorization` has the token, which is never shown as a header".into();
                let remedy = "set tokens = \"opaque\" if your backend checks tokens";
                return Err(Fault { key, why, remedy });
            }
            Ok(name) => headers.push(name),
            Err(_) => {
                let why = format!("{name:?} cannot be the name of a header");
                return Err(Fault { key, why, remedy: "write names as \"cookie\"" });
            }
        }
    }
    Ok(headers)
}
