//! A webhook's configuration, checked and ready for use.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidings_core::engine::Happened;
use tidings_core::identity::fits;

use super::queue::Rules;
use crate::config::{self, Config, Egress, Secret, WebhookEvent};
use crate::egress::{Guard, Target, secrets};

/// Webhooks that there may be: what is published is written to the log once for each.
const HOOKS_MAX: usize = 16;

/// A webhook as it is used.
#[derive(Debug)]
pub(crate) struct Webhook {
    pub(super) name: Arc<str>,
    pub(super) target: Target,
    pub(super) secrets: Vec<Secret>,
    pub(super) timeout: Duration,
    pub(super) rules: Rules,
    events: Vec<WebhookEvent>,
    channels: Vec<String>,
}

/// Where something cannot be used, why, and what to do.
pub(crate) type Fault = (String, String, &'static str);

impl Webhook {
    /// What it calls something, if it is to be told of it.
    pub(super) fn word(&self, what: &Happened) -> Option<&'static str> {
        let event = event(what);
        let wanted = match what {
            Happened::Attendance(tidings_core::engine::Attendee::User(_), _) => true,
            Happened::Attendance(who, _) => self.has(who.name()),
            Happened::Published { channel, .. } => self.has(channel),
        };
        (wanted && self.events.contains(&event)).then_some(event.as_str())
    }

    fn has(&self, channel: &str) -> bool {
        self.channels.iter().any(|pattern| fits(pattern, channel))
    }

    /// All webhooks of a configuration; files are relative to `base_dir`.
    ///
    /// # Errors
    /// The first that cannot be used.
    pub(crate) fn load_all(config: &Config, base_dir: &Path) -> Result<Vec<Arc<Self>>, Fault> {
        if config.webhook.len() > HOOKS_MAX {
            let why = format!("more than {HOOKS_MAX}");
            return Err(("webhook".into(), why, "let one backend pass things on to others"));
        }
        let mut hooks: Vec<Arc<Self>> = Vec::new();
        for (index, entry) in config.webhook.iter().enumerate() {
            let fault = |(field, why, remedy)| (format!("webhook.{index}{field}"), why, remedy);
            let hook = Self::load(entry, &config.egress, base_dir).map_err(fault)?;
            if hooks.iter().any(|other| other.name == hook.name) {
                let why = "another one has this name".into();
                return Err(fault((".name", why, "give each a name of its own")));
            }
            hooks.push(Arc::new(hook));
        }
        Ok(hooks)
    }

    fn load(
        entry: &config::Webhook,
        egress: &Egress,
        base_dir: &Path,
    ) -> Result<Self, (&'static str, String, &'static str)> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
        if !(1..=32).contains(&entry.name.len()) || !entry.name.chars().all(plain) {
            let why = format!("{:?} cannot be the name of a webhook", entry.name);
            return Err((".name", why, "use 1 to 32 characters of a-z 0-9 _ -"));
        }
        if entry.events.is_empty() {
            let why = "it is told nothing".into();
            return Err((".events", why, "name what it is told: [\"user.online\"]"));
        }
        let star = |pattern: &String| pattern.strip_suffix('*').unwrap_or(pattern).contains('*');
        if entry.channels.iter().any(star) || entry.channels.is_empty() {
            let why = "a pattern is a whole name, or a prefix that ends in `*`".into();
            return Err((".channels", why, "write [\"*\"] for all channels"));
        }
        check_numbers(entry)?;
        // What is wrong with the list of networks is said there.
        let guard = Guard::new(&egress.allow).unwrap_or_default();
        let target = Target::parse(&entry.url, &guard).map_err(|error| {
            (".url", error.to_string(), "write https://… (egress.allow names internal networks)")
        })?;
        let secrets = secrets(entry.secret.as_ref(), entry.secret_file.as_deref(), base_dir)?;
        if secrets.is_empty() {
            let why = "it has no secret".into();
            return Err(("", why, "set one of secret and secret_file"));
        }
        Ok(Self {
            name: entry.name.as_str().into(),
            target,
            secrets,
            timeout: Duration::from_millis(entry.timeout.ms),
            rules: Rules {
                batch: entry.batch,
                concurrency: entry.concurrency,
                keep_ms: entry.keep.ms,
                items: entry.queue,
                bytes: entry.queue_bytes,
            },
            events: entry.events.clone(),
            channels: entry.channels.clone(),
        })
    }
}

fn event(what: &Happened) -> WebhookEvent {
    use tidings_core::engine::Attendee;
    match what {
        Happened::Attendance(Attendee::Channel(_), true) => WebhookEvent::ChannelOccupied,
        Happened::Attendance(Attendee::Channel(_), false) => WebhookEvent::ChannelVacated,
        Happened::Attendance(Attendee::User(_), true) => WebhookEvent::UserOnline,
        Happened::Attendance(Attendee::User(_), false) => WebhookEvent::UserOffline,
        Happened::Published { .. } => WebhookEvent::EventPublished,
    }
}

fn check_numbers(entry: &config::Webhook) -> Result<(), (&'static str, String, &'static str)> {
    let remedy = "see the meaning of each: tidings config reference";
    for (field, value, least, most) in [
        (".batch", entry.batch, 1, 1000),
        (".concurrency", entry.concurrency, 1, 64),
        (".queue", entry.queue, 1000, 1_000_000),
        (".queue_bytes", entry.queue_bytes, 1 << 20, 1 << 30),
    ] {
        if !(least..=most).contains(&value) {
            return Err((field, format!("{value} is not {least} to {most}"), remedy));
        }
    }
    for (field, period, least, most) in
        [(".timeout", entry.timeout, 100, 300_000), (".keep", entry.keep, 1000, 30 * 86_400_000)]
    {
        if !(least..=most).contains(&period.ms) {
            let range = match field {
                ".keep" => "1s to 30d",
                _ => "100ms to 5m",
            };
            return Err((field, format!("{period} is not {range}"), remedy));
        }
    }
    Ok(())
}
