//! What the types cannot say: files that must exist, values that contradict each other.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use tidings_core::policy::{Access, Hook, INBOX, Kind, NamespacePolicy, WhenDown};

use super::{Acme, Config, ConfigError, Problem, StoreKind, Tls, Tokens};
use crate::acme::{NAMES_MAX, is_name};
use crate::api::ApiKeys;
use crate::auth::KeySet;
use crate::egress::{self, Guard, Target};
use crate::hooks::Hooks;
use crate::outbound::Outbound;
use crate::push;
use crate::rate::Proxies;
use crate::telemetry;
use crate::webhooks;

/// Versions of one document, of either kind: the list of them is part of it.
const VERSIONS_MAX: usize = 10_000;

/// Ten years: longer is for ever.
const FOREVER_MS: u64 = 3650 * 86_400_000;

/// Collects what is wrong and what is only doubtful.
struct Findings<'a> {
    config: &'a Config,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Findings<'_> {
    fn error(&mut self, key: &str, message: impl Into<String>, remedy: &str) {
        self.errors.push(self.config.problem(key, message.into(), remedy));
    }

    fn warn(&mut self, key: &str, message: impl Into<String>, remedy: &str) {
        self.warnings.push(self.config.problem(key, message.into(), remedy));
    }
}

impl Config {
    /// Checks everything that needs no running server: returns what is doubtful but allowed.
    /// Paths are relative to `base_dir`.
    ///
    /// # Errors
    /// All that is wrong: files that are missing or not what they should be, limits that
    /// contradict each other, names that no channel can have.
    pub fn check(&self, base_dir: &Path) -> Result<Vec<Problem>, ConfigError> {
        let mut found = Findings { config: self, errors: Vec::new(), warnings: Vec::new() };
        self.check_server(base_dir, &mut found);
        self.check_auth(base_dir, &mut found);
        self.check_hooks(base_dir, &mut found);
        self.check_limits(&mut found);
        if let Err((key, why, remedy)) = telemetry::check(&self.telemetry, base_dir) {
            found.error(&key, why, remedy);
        }
        for (name, rules) in &self.namespace {
            self.check_namespace(name, rules, &mut found);
        }
        self.check_inbox(&mut found);
        if self.namespace.is_empty() {
            found.warn(
                "namespace",
                "there is no namespace: nobody can do anything",
                "add one: \
                 [namespace.chat]",
            );
        }
        if let Err((key, why, remedy)) = webhooks::Webhook::load_all(self, base_dir) {
            found.error(&key, why, remedy);
        }
        if let Err((key, why, remedy)) = push::check(self, base_dir) {
            found.error(key, why, remedy);
        }
        let delay = self.limits.leave_delay;
        if !(1000..=3_600_000).contains(&delay.ms) {
            found.error("limits.leave_delay", format!("{delay} is not 1s to 1h"), "write 10s");
        }
        if !self.webhook.is_empty() && self.store.kind == StoreKind::Memory {
            found.warn(
                "webhook",
                "there is no store on disk: what waits to be told is lost when the server ends",
                "set store.kind = \"disk\"",
            );
        }
        if let Err(error) = self.policy(base_dir) {
            found.errors.extend(error.problems);
        }
        let Findings { errors, warnings, .. } = found;
        if errors.is_empty() { Ok(warnings) } else { Err(ConfigError { problems: errors }) }
    }

    fn check_server(&self, base_dir: &Path, found: &mut Findings<'_>) {
        let server = &self.server;
        if server.shards > 64 {
            found.error("server.shards", "more than 64", "0 means: one per core");
        }
        for origin in &server.origins {
            if !is_origin(origin) {
                found.error(
                    "server.origins",
                    format!("{origin:?} is not an origin"),
                    "write scheme://host or scheme://host:port in lower case, with nothing behind",
                );
            }
        }
        if let Err(place) = Proxies::new(&server.proxies) {
            let why = format!("{:?} is neither a network nor an address", server.proxies[place]);
            found.error("server.proxies", why, "write networks as \"10.1.0.0/16\"");
        }
        if server.drain.ms > 3_600_000 {
            found.error("server.drain", "more than 1h", "write 10s or 5m; 0s stops at once");
        }
        if let Some(operations) = server.operations {
            if operations == server.listen && operations.port() != 0 {
                let remedy = "give operations a port of its own";
                found.error("server.operations", "clients are served there", remedy);
            }
            if !operations.ip().is_loopback() {
                found.warn(
                    "server.operations",
                    format!("{operations} is reached from other machines, without a password"),
                    "let only your monitoring reach it, or use a loopback address",
                );
            }
        }
        match &server.tls {
            Some(tls) => check_tls(tls, base_dir, found),
            None if !server.listen.ip().is_loopback() => found.warn(
                "server.listen",
                format!("{} is reached from other machines, without TLS", server.listen),
                "set [server.tls], or put a proxy that does TLS in front",
            ),
            None => {}
        }
    }

    fn check_auth(&self, base_dir: &Path, found: &mut Findings<'_>) {
        let auth = &self.auth;
        if auth.key.is_empty() && !auth.anonymous {
            found.warn(
                "auth",
                "there is no key and anonymous users are not allowed: nobody can connect",
                "add [[auth.key]], or set anonymous = true",
            );
        }
        if auth.leeway.ms > 300_000 {
            found.error("auth.leeway", "more than 5m", "set the clocks right instead");
        }
        if let Err(fault) = ApiKeys::load(&self.api, base_dir) {
            found.error(&fault.key, fault.why, fault.remedy);
        }
        if let Err((key, why, remedy)) = egress::Egress::check(&self.egress, base_dir) {
            found.error(key, why, remedy);
        }
        let guard = Guard::new(&self.egress.allow).unwrap_or_default();
        for (index, key) in auth.key.iter().enumerate() {
            let Some(url) = &key.jwks_url else { continue };
            if let Err(why) = Target::parse(url, &guard) {
                let remedy = "give an https: URL on the internet, or see egress.allow";
                found.error(&format!("auth.key.{index}.jwks_url"), why.to_string(), remedy);
            }
        }
        if let Err(errors) = KeySet::load(auth, base_dir) {
            for error in errors {
                let key = format!("auth.key.{}{}", error.index, error.field);
                found.error(&key, error.message, error.remedy);
            }
        }
    }

    fn check_hooks(&self, base_dir: &Path, found: &mut Findings<'_>) {
        if let Err(fault) = Hooks::load(self, base_dir, &Arc::default(), None) {
            found.error(&fault.key, fault.why, fault.remedy);
        }
        if let Some(connect) = &self.hooks.connect
            && connect.tokens == Tokens::Opaque
            && connect.when_down == WhenDown::Allow
        {
            let why = "nobody but the backend knows whose an opaque token is";
            found.error("hooks.connect.when_down", why, "set when_down = \"deny\"");
        }
        for (name, call) in self.hooks.calls() {
            if let Some(call) = call
                && call.secret.is_none()
                && call.secret_file.is_none()
            {
                let why = "calls are not signed: whoever reaches the backend can ask it the same";
                found.warn(&format!("hooks.{name}"), why, "set secret_file, and check signatures");
            }
        }
    }

    fn check_limits(&self, found: &mut Findings<'_>) {
        let limits = &self.limits;
        let ranges: [(&str, usize, usize, usize); 26] = [
            ("frame", limits.frame, 1024, 64 << 20),
            ("data", limits.data, 1, limits.frame),
            ("presence_data", limits.presence_data, 2, limits.data),
            ("channel_name", limits.channel_name, 3, 255),
            ("event_name", limits.event_name, 1, 1024),
            ("key", limits.key, 1, 1024),
            ("producer", limits.producer, 1, 1024),
            ("token", limits.token, 256, limits.header_bytes.min(limits.frame)),
            ("update", limits.update, 1024, 64 << 20),
            ("arriving", limits.arriving, limits.update + 1024, usize::MAX),
            ("awareness", limits.awareness, 2, limits.data),
            ("awareness_clients", limits.awareness_clients, 1, 1024),
            ("documents", limits.documents, limits.update, usize::MAX),
            // serde_json itself stops at 128.
            ("depth", limits.depth, 1, 120),
            ("channels_per_session", limits.channels_per_session, 1, 1 << 20),
            ("in_flight", limits.in_flight, 1, 65_536),
            ("bad_frames", limits.bad_frames, 1, 1 << 20),
            ("page_events", limits.page_events, 1, 1000),
            // A page has at least one event, and a connection must have room for a page.
            ("page_bytes", limits.page_bytes, limits.frame, limits.backlog),
            ("backlog", limits.backlog, limits.frame, 1 << 30),
            ("connections", limits.connections, 1, usize::MAX),
            ("header_bytes", limits.header_bytes, 1024, 1 << 20),
            ("headers", limits.headers, 8, 1024),
            ("questions", limits.questions, 1, 1 << 20),
            ("fragments", limits.fragments, 1, 65_536),
            ("mailbox", limits.mailbox, 16, 1 << 24),
        ];
        for (name, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                let remedy = "see the meaning of each limit: tidings config reference";
                let range = match most {
                    usize::MAX => format!("at least {least}"),
                    _ => format!("{least} to {most}"),
                };
                found.error(&format!("limits.{name}"), format!("{value} is not {range}"), remedy);
            }
        }
        for (name, period) in [
            ("hello_timeout", limits.hello_timeout),
            ("heartbeat", limits.heartbeat),
            ("pong_timeout", limits.pong_timeout),
            ("close_timeout", limits.close_timeout),
            ("header_timeout", limits.header_timeout),
        ] {
            if !(100..=86_400_000).contains(&period.ms) {
                let message = format!("{period} is not 100ms to 24h");
                found.error(&format!("limits.{name}"), message, "write 250ms, 10s or 15m");
            }
        }
    }

    /// What is asked of `[inbox]`.
    fn check_inbox(&self, found: &mut Findings<'_>) {
        let inbox = &self.inbox;
        if inbox.items == 0 || inbox.bytes < 2 * self.limits.data {
            let message = "an inbox that cannot hold one notification";
            found.error("inbox", message, "set items to 1 or more, bytes to twice limits.data");
        }
        for (name, period) in [("keep", inbox.keep), ("dedup_window", inbox.dedup_window)] {
            if !(1000..=FOREVER_MS).contains(&period.ms) {
                let message = format!("{period} is not 1s to 3650d");
                found.error(&format!("inbox.{name}"), message, "write 15m, 24h or 90d");
            }
        }
    }

    /// What is asked of a namespace of documents.
    fn check_document(&self, name: &str, rules: &NamespacePolicy, found: &mut Findings<'_>) {
        let key = |rest: &str| format!("namespace.{name}{rest}");
        let document = &rules.document;
        if document.clients == 0 || document.size < self.limits.update {
            let message = "a document that cannot take one update";
            let remedy = "set clients to 1 or more, size to limits.update or more";
            found.error(&key(".document"), message, remedy);
        }
        for (name, period) in [("quiet", rules.versions.quiet), ("busy", rules.versions.busy)] {
            if !(1000..=FOREVER_MS).contains(&period.ms) {
                let message = format!("{period} is not 1s to 3650d");
                found.error(&key(&format!(".versions.{name}")), message, "write 90s, 2m or 1h");
            }
        }
        let most = rules.versions.automatic.max(rules.versions.named);
        if most > VERSIONS_MAX {
            let message = format!("{most} versions of one document");
            found.error(
                &key(".versions"),
                message,
                "keep 10000 or fewer: all are listed in memory",
            );
        }
        if rules.kind == Kind::Document && !rules.history.durable {
            let message = "a document is made of all that was ever written in it";
            let remedy = "leave it out: documents are stored before anybody is told";
            found.error(&key(".history.durable"), message, remedy);
        }
        if rules.kind == Kind::Document && rules.hooks.contains(&Hook::Publish) {
            let message = "nobody is asked about changes of documents";
            let remedy = "leave out \"publish\"; grants say who may write in a document";
            found.error(&key(".hooks"), message, remedy);
        }
    }

    fn check_namespace(&self, name: &str, rules: &NamespacePolicy, found: &mut Findings<'_>) {
        let key = |rest: &str| format!("namespace.{name}{rest}");
        if !is_namespace(name) {
            let message = format!("{name:?} cannot be the name of a namespace");
            found.error(&key(""), message, "use 1 to 32 characters of a-z 0-9 _ -");
        }
        let hooks = [
            (Hook::Publish, "publish", self.hooks.publish.is_some()),
            (Hook::Subscribe, "subscribe", self.hooks.subscribe.is_some()),
        ];
        for (hook, name, there) in hooks {
            if rules.hooks.contains(&hook) && !there {
                let why = format!("{name:?} is to be asked about, and nobody is there to ask");
                let remedy = "add [hooks.subscribe] or [hooks.publish] with its url";
                found.error(&key(".hooks"), why, remedy);
            }
        }
        if name == INBOX {
            let remedy = "call it something else; what inboxes keep is said in [inbox]";
            found.error(&key(""), "this is the namespace of users' inboxes", remedy);
        }
        if rules.state.keys == 0 || rules.state.bytes == 0 {
            let remedy = "set state.keys and state.bytes to how much a channel may hold";
            found.error(&key(".state"), "a channel that can hold nothing", remedy);
        }
        self.check_document(name, rules, found);
        let history = &rules.history;
        if history.durable && self.store.kind == StoreKind::Memory {
            found.warn(
                &key(".history.durable"),
                "there is no store on disk: this history is kept in memory",
                match rules.kind {
                    Kind::Document => "set store.kind = \"disk\"",
                    _ => "set store.kind = \"disk\", or durable = false",
                },
            );
        }
        if history.durable && history.size == 0 {
            let remedy = match rules.kind {
                Kind::Document => "leave it out: documents do not go by it",
                _ => "set size to the number of events to keep, or durable = false",
            };
            found.error(&key(".history.size"), "durable history of 0 events", remedy);
        }
        for (field, period) in [("ttl", history.ttl), ("dedup_window", history.dedup_window)] {
            if period.ms < 1000 {
                let message = format!("{period} is less than 1s");
                found.error(&key(&format!(".history.{field}")), message, "write 15m, 24h or 7d");
            }
        }
        let most = self.limits.members_per_channel;
        if rules.presence.members_max > most {
            let message = format!("more than limits.members_per_channel ({most})");
            found.error(&key(".presence.members_max"), message, "lower it, or raise the limit");
        }
        let open = rules.publish == Access::Anyone && self.auth.anonymous;
        if open && !self.server.listen.ip().is_loopback() {
            let what = "everybody who reaches this server can publish without a token";
            let remedy = "set publish = \"signed-in\", or auth.anonymous = false";
            if self.server.open {
                found.warn(&key(".publish"), what, remedy);
            } else {
                let remedy = format!("{remedy}; if it is meant, server.open = true");
                found.error(&key(".publish"), what, &remedy);
            }
        }
    }
}

fn check_tls(tls: &Tls, base_dir: &Path, found: &mut Findings<'_>) {
    let pair = [("certificate", &tls.certificate), ("key", &tls.key)];
    let given = pair.iter().filter(|(_, path)| path.is_some()).count();
    let others = usize::from(tls.self_signed) + usize::from(tls.acme.is_some());
    if others + given.min(1) > 1 {
        let remedy = "keep one of: certificate and key, acme, self_signed";
        found.error("server.tls", "several kinds of certificate at once", remedy);
    } else if others == 0 && given < 2 {
        let remedy = "set both certificate and key, or acme, or self_signed = true";
        found.error("server.tls", "a certificate needs its key and a key its certificate", remedy);
    }
    for (name, path) in pair {
        let Some(path) = path.as_ref().map(|path| base_dir.join(path)) else { continue };
        if let Err(error) = std::fs::File::open(&path) {
            let message = format!("{}: {error}", path.display());
            let remedy = "the path is relative to the configuration file";
            found.error(&format!("server.tls.{name}"), message, remedy);
        }
    }
    if let Some(acme) = &tls.acme {
        check_acme(acme, base_dir, found);
    }
}

fn check_acme(acme: &Acme, base_dir: &Path, found: &mut Findings<'_>) {
    let key = |name: &str| format!("server.tls.acme.{name}");
    if !acme.terms_agreed {
        let remedy = "read them where the authority has them, and set terms_agreed = true";
        found.error(&key("terms_agreed"), "its terms of service are not agreed to", remedy);
    }
    if !(1..=NAMES_MAX).contains(&acme.domains.len()) {
        let message = format!("a certificate has 1 to {NAMES_MAX} names");
        found.error(&key("domains"), message, "write domains = [\"chat.example.com\"]");
    }
    for name in acme.domains.iter().filter(|name| !is_name(name)) {
        let remedy = "write names as chat.example.com, without a star; no addresses";
        found.error(&key("domains"), format!("{name:?} cannot be ordered"), remedy);
    }
    let is_mail = |text: &str| text.contains('@') && text.is_ascii() && !text.contains([':', ' ']);
    for address in acme.contact.iter().filter(|address| !is_mail(address)) {
        let message = format!("{address:?} is not a mail address");
        found.error(&key("contact"), message, "write contact = [\"ops@example.com\"], or nothing");
    }
    let uri = acme.directory.parse::<Uri>().ok();
    if !uri.is_some_and(|uri| uri.scheme_str() == Some("https") && uri.host().is_some()) {
        let remedy = "write the https:// address of the authority's directory";
        found.error(&key("directory"), format!("{:?} is not one", acme.directory), remedy);
    }
    if let Some(path) = &acme.ca_file
        && let Err(error) = Outbound::new(Some(&base_dir.join(path)), Duration::ZERO)
    {
        let remedy = "the path is relative to the configuration file, which has PEM in it";
        found.error(&key("ca_file"), error.to_string(), remedy);
    }
    if !(100..=86_400_000).contains(&acme.retry.ms) {
        let message = format!("{} is not 100ms to 24h", acme.retry);
        found.error(&key("retry"), message, "write 1m");
    }
    let port = found.config.server.listen.port();
    if acme.is_public() && port != 443 {
        found.warn(
            "server.tls.acme",
            format!("the authority will look at port 443 of each name, and this is {port}"),
            "listen on 0.0.0.0:443, or have that port forwarded here as TCP",
        );
    }
}

/// As browsers write it: lower case, no path, no default port is fine either way.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    };
    let named = |c: char| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c) || "[:]".contains(c)
    };
    !scheme.is_empty()
        && scheme.chars().all(plain)
        && !name.is_empty()
        && name.chars().all(named)
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn is_namespace(name: &str) -> bool {
    tidings_proto::ChannelName::parse(&format!("{name}:x"), 255)
        .is_ok_and(|channel| channel.namespace() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        for good in ["https://a.example", "http://localhost:5173", "http://[::1]:80", "app://x"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "a.example",
            "https://",
            "https://A.example",
            "https://a/",
            "*",
            "null",
            "https://a.example/x",
            "https://a:0",
            "https://a:99999",
            "https://a b",
            "https://*.a",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
