//! A changed configuration: taken as a whole while clients are connected, or refused as a whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tidings_core::policy::Policy;
use tracing::field;

use crate::RunError;
use crate::api::ApiKeys;
use crate::auth::JwtAuthority;
use crate::config::{Config, StoreKind};
use crate::hooks::Hooks;
use crate::node::{Node, Settings};
use crate::push::Pushes;
use crate::rate::{Proxies, Rates};
use crate::shard::mailbox::Mail;
use crate::telemetry::TARGET;
use crate::webhooks::Webhook;

/// Reads the configuration again, with what the command line changes in it.
pub type Again = Box<dyn Fn() -> Result<Config, RunError>>;

/// When a file changed last, and how long it is. `None`: it is not there.
type Stamp = Option<(SystemTime, u64)>;

/// The configuration in force, and how to get the next one.
pub(crate) struct Reloader {
    again: Option<Again>,
    running: Config,
    settings: Arc<Settings>,
    base_dir: PathBuf,
    secret: [u8; 32],
    /// The files as they were when they were read, and at the last look.
    read: Vec<Stamp>,
    seen: Vec<Stamp>,
}

impl Reloader {
    pub(crate) fn new(
        again: Option<Again>,
        (running, settings): (&Config, Arc<Settings>),
        base_dir: &Path,
        secret: [u8; 32],
    ) -> Self {
        let stamps = stamps(running, base_dir);
        let (running, base_dir) = (running.clone(), base_dir.to_owned());
        Self { again, running, settings, base_dir, secret, read: stamps.clone(), seen: stamps }
    }

    /// What is in force.
    pub(crate) fn running(&self) -> &Config {
        &self.running
    }

    /// What shards have been told.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Keys that were fetched may be gone: shards look again who is still welcome.
    pub(crate) fn hold_to_keys(&self, node: &Node) {
        if node.authority.take_withdrawn() {
            for mailbox in node.mailboxes.iter() {
                mailbox.post(&mut vec![Mail::Settings(self.settings.clone())]);
            }
        }
    }

    /// Reloads if files have changed, and not again since the last look: an editor may be writing.
    pub(crate) fn look(&mut self, node: &Node) {
        if self.again.is_none() {
            return;
        }
        let now = stamps(&self.running, &self.base_dir);
        let settled = std::mem::replace(&mut self.seen, now) == self.seen;
        if settled && self.seen != self.read {
            self.reload(node);
        }
    }

    /// Takes the configuration as it is now, if it is good.
    pub(crate) fn reload(&mut self, node: &Node) {
        let Some(again) = &self.again else {
            return tracing::warn!("there is no configuration file to read again");
        };
        self.read = stamps(&self.running, &self.base_dir);
        let span = tracing::info_span!(target: TARGET, "reload", tidings.taken = field::Empty);
        let _entered = span.enter();
        let taken = again().and_then(|config| self.take(node, config));
        node.operations.reloaded(taken.is_ok());
        span.record("tidings.taken", taken.is_ok());
        match taken {
            Ok(()) => tracing::info!("the configuration was read again and is in force"),
            Err(error) => {
                tracing::error!(%error, "the changed configuration is refused; the old one stays");
            }
        }
        self.read = stamps(&self.running, &self.base_dir);
        self.seen = self.read.clone();
    }

    /// Everything that can fail comes first.
    fn take(&mut self, node: &Node, mut config: Config) -> Result<(), RunError> {
        for doubt in config.check(&self.base_dir).map_err(RunError::Config)? {
            tracing::warn!("{doubt}");
        }
        for key in keep_what_cannot_change(&mut config, &self.running) {
            tracing::warn!(%key, "this takes effect at the next start only");
        }
        let before = Some(&*self.settings.hooks);
        let settings = Arc::new(settings(&config, &self.base_dir, node, before)?);
        let authority = JwtAuthority::from_config(&config.auth, &self.base_dir, &self.secret);
        let authority = authority.map_err(RunError::Keys)?;
        let fault = |(key, why, _)| RunError::Egress(format!("{key}: {why}"));
        node.egress.reconfigure(&config.egress, &self.base_dir).map_err(fault)?;
        node.authority.replace(authority);
        node.allow_connections(config.limits.connections);
        // First: engines tell of what is wanted anew as soon as they know it.
        node.storage.webhooks(settings.webhooks.clone());
        for mailbox in node.mailboxes.iter() {
            mailbox.post(&mut vec![Mail::Settings(settings.clone())]);
        }
        self.running = config;
        self.settings = settings;
        Ok(())
    }
}

/// What a configuration says of all that can change.
///
/// # Errors
/// When a file that it names cannot be read or used.
pub(crate) fn settings(
    config: &Config,
    base_dir: &Path,
    node: &Node,
    before: Option<&Hooks>,
) -> Result<Settings, RunError> {
    let api = ApiKeys::load(&config.api, base_dir);
    let api = api.map_err(|fault| RunError::Api(fault.to_string()))?;
    let asks = Hooks::load(config, base_dir, &node.hook_tallies, before)
        .map_err(|fault| RunError::Hooks(format!("{}: {}", fault.key, fault.why)))?;
    let hooks = Webhook::load_all(config, base_dir);
    let hooks = hooks.map_err(|(key, why, _)| RunError::Egress(format!("{key}: {why}")))?;
    let mut policy = policy(config, base_dir)?;
    policy.push = node.pushes.as_ref().map(Pushes::service);
    let rates = Arc::new(Rates::new(config, node.users.clone()));
    if rates.concern_users() {
        policy.meter = Some(rates.clone());
    }
    let proxies = Proxies::new(&config.server.proxies);
    let proxies = proxies.map_err(|_| RunError::Api("server.proxies: not a network".into()))?;
    Ok(Settings::new(config, policy, api, (Arc::new(asks), hooks), (rates, proxies)))
}

/// The rules of a configuration, compiled.
fn policy(config: &Config, base_dir: &Path) -> Result<Policy, RunError> {
    let mut policy = config.policy(base_dir).map_err(RunError::Config)?;
    if config.store.kind == StoreKind::Memory {
        // Without a store on disk nothing is durable, and no publisher is told that it was.
        for namespace in policy.namespaces.values_mut() {
            Arc::make_mut(namespace).policy.history.durable = false;
        }
    }
    Ok(policy)
}

/// Puts back what a running server cannot change; the names of what was another.
fn keep_what_cannot_change(config: &mut Config, running: &Config) -> Vec<String> {
    let mut kept = Vec::new();
    fn keep<T: Clone + PartialEq>(kept: &mut Vec<String>, key: &str, new: &mut T, old: &T) {
        if new != old {
            new.clone_from(old);
            kept.push(key.to_owned());
        }
    }
    let (new, old) = (&mut config.server, &running.server);
    keep(&mut kept, "server.listen", &mut new.listen, &old.listen);
    keep(&mut kept, "server.operations", &mut new.operations, &old.operations);
    keep(&mut kept, "server.shards", &mut new.shards, &old.shards);
    keep(&mut kept, "server.tls", &mut new.tls, &old.tls);
    keep(&mut kept, "push", &mut config.push, &running.push);
    keep(&mut kept, "store", &mut config.store, &running.store);
    keep(&mut kept, "telemetry", &mut config.telemetry, &running.telemetry);
    for (name, rules) in &mut config.namespace {
        if let Some(old) = running.namespace.get(name) {
            let key = format!("namespace.{name}.history.durable");
            keep(&mut kept, &key, &mut rules.history.durable, &old.history.durable);
        }
    }
    kept
}

fn stamps(config: &Config, base_dir: &Path) -> Vec<Stamp> {
    let stamp = |path: &Path| {
        let data = std::fs::metadata(path).ok()?;
        Some((data.modified().ok()?, data.len()))
    };
    let keys = config.auth.key.iter().flat_map(|key| {
        [&key.secret_file, &key.public_key_file, &key.jwks_file].into_iter().flatten()
    });
    let api = config.api.key.iter().filter_map(|key| key.secret_file.as_ref());
    let webhooks = config.webhook.iter().filter_map(|webhook| webhook.secret_file.as_ref());
    let keys = keys.chain(api).chain(webhooks);
    let schemas = config.namespace.values().filter_map(|rules| rules.schema_file.as_ref());
    let egress = config.egress.certificates.iter();
    let keys = keys.chain(egress).chain(config.hooks.files());
    let others =
        keys.map(|path| base_dir.join(path)).chain(schemas.map(|file| base_dir.join(file)));
    config.file().map(Path::to_owned).into_iter().chain(others).map(|path| stamp(&path)).collect()
}
