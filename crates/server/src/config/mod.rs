//! The configuration: one TOML file, or [`Config::dev`].
//!
//! - [`Config::load`] reads a file; what does not fit names its file, line and column;
//! - [`Config::check`] looks at what types cannot say: files, limits that contradict each other;
//! - [`Config::policy`] compiles the namespaces for the engine;
//! - [`mod@reference`] writes the documentation and the example file from the types' own comments.
//!
//! Paths in the file are relative to the file.

mod api;
mod check;
mod egress;
mod error;
mod hooks;
mod inbox;
mod outline;
mod policy;
mod push;
mod rate;
pub mod reference;
mod sections;
mod telemetry;
mod webhook;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidings_core::policy::{
    Access, HistoryPolicy, Kind, NamespacePolicy, Overflow, PresencePolicy, StatePolicy,
};
use tidings_core::{Limits, Period};

pub use api::{Api, ApiKey, Scope};
pub use egress::Egress;
use error::Source;
pub use error::{ConfigError, Place, Problem};
pub(crate) use hooks::CallRules;
pub use hooks::{CommandHook, ConnectHook, Hooks, Tokens};
pub use inbox::Inbox;
pub use push::Push;
pub use rate::{CommandRates, Rate, Rates};
pub use sections::{Acme, Algorithm, Auth, Key, Secret, Server, Store, StoreKind, StoreLevel, Tls};
pub use telemetry::{Telemetry, TelemetryHeader};
pub use webhook::{Webhook, WebhookEvent};

/// Everything that can be configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the server listens and whom it lets in.
    pub server: Server,
    /// Where durable history is kept.
    pub store: Store,
    /// Whose tokens are taken.
    pub auth: Auth,
    /// The HTTP API for backends.
    pub api: Api,
    /// What the server itself calls.
    pub egress: Egress,
    /// What the application's backend is asked before it is done.
    pub hooks: Hooks,
    /// Calls the application's backend when something has happened.
    pub webhook: Vec<Webhook>,
    /// What users are told, and what they have seen of it.
    pub inbox: Inbox,
    /// Tells browsers of notifications while their user is away.
    pub push: Push,
    /// How fast somebody may ask.
    pub rate: Rates,
    /// Traces and logs for a collector.
    pub telemetry: Telemetry,
    /// What one client, one channel or one node may use. Sizes are bytes.
    pub limits: Limits,
    /// Namespaces, by what stands in front of a channel's colon. Only channels of these exist.
    pub namespace: BTreeMap<String, NamespacePolicy>,
    /// The file's text, to tell where a problem is.
    #[serde(skip)]
    source: Source,
}

impl Config {
    /// Reads `path`. [`Config::check`] is a step of its own, because the command line may still
    /// change something.
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, or has a key or a value that is not known.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigError::new(
                None,
                "",
                format!("{}: cannot read the configuration: {error}", path.display()),
                "write one with: tidings config default > tidings.toml",
            )
        })?;
        Self::parse(text, path)
    }

    /// Parses `text`; errors call it `path`.
    ///
    /// # Errors
    /// When it is not TOML, or has a key or a value that is not known.
    pub fn parse(text: String, path: &Path) -> Result<Self, ConfigError> {
        let source = Source::new(text, path);
        let mut config: Self =
            toml::from_str(source.text()).map_err(|fault| source.toml_error(&fault))?;
        config.source = source;
        config.keep_documents();
        Ok(config)
    }

    /// Documents are stored if nothing else is written: `false` is said by nobody who does not mean
    /// it, and is refused.
    fn keep_documents(&mut self) {
        let documents = self.namespace.iter_mut().filter(|(_, rules)| rules.kind == Kind::Document);
        let written: Written = toml::from_str(self.source.text()).unwrap_or_default();
        for (name, rules) in documents {
            let history = written.namespace.get(name).and_then(|rules| rules.history.as_ref());
            rules.history.durable |= history.and_then(|history| history.durable).is_none();
        }
    }

    /// What `tidings dev` runs: a chat, a cast, documents and a ticker that are open to anyone, and
    /// the demo page.
    pub fn dev() -> Self {
        let open = |history: HistoryPolicy| NamespacePolicy {
            subscribe: Access::Anyone,
            publish: Access::Anyone,
            history,
            presence: PresencePolicy { access: Access::Anyone, ..PresencePolicy::default() },
            ..NamespacePolicy::default()
        };
        let month = Period::millis(30 * 86_400_000);
        let chat =
            HistoryPolicy { size: 1000, ttl: month, durable: true, ..HistoryPolicy::default() };
        let cast = open(HistoryPolicy::default());
        let durable = HistoryPolicy { durable: true, ..HistoryPolicy::default() };
        let doc = NamespacePolicy { kind: Kind::Document, ..open(durable) };
        // Many values that change all the time: who is slow gets the newest of each.
        let ticker = NamespacePolicy {
            kind: Kind::State,
            state: StatePolicy { overflow: Overflow::Conflate, ..StatePolicy::default() },
            ..cast.clone()
        };
        Self {
            server: Server { page: true, ..Server::default() },
            auth: Auth { anonymous: true, ..Auth::default() },
            inbox: Inbox { access: Access::Anyone, follow: Access::Anyone, ..Inbox::default() },
            namespace: [("chat", open(chat)), ("cast", cast), ("doc", doc), ("ticker", ticker)]
                .map(|(name, policy)| (name.to_owned(), policy))
                .into(),
            ..Self::default()
        }
    }

    /// The file that this was read from, if it was.
    pub fn file(&self) -> Option<&Path> {
        self.source.path()
    }

    /// What paths in the configuration are relative to: the folder of its file, or the current one.
    pub fn base_dir(&self) -> PathBuf {
        let folder = self.file().and_then(Path::parent).filter(|path| !path.as_os_str().is_empty());
        folder.unwrap_or(Path::new(".")).to_owned()
    }
}

/// What a file says of its namespaces by itself, without what holds when nothing is said.
#[derive(Default, Deserialize)]
struct Written {
    #[serde(default)]
    namespace: BTreeMap<String, WrittenRules>,
}

#[derive(Deserialize)]
struct WrittenRules {
    history: Option<WrittenHistory>,
}

#[derive(Deserialize)]
struct WrittenHistory {
    durable: Option<bool>,
}

#[cfg(test)]
mod tests;
