//! Web Push: browsers are told of notifications while their user is away, at least once
//! (RFC 8030, 8291, 8292).
//!
//! - `agenda`: on the storage thread: what is due goes into the log, with what it is about;
//! - `queue`: when each notification has its turn, back-off, limits, without I/O;
//! - `desk`: shards are asked whether it is still wanted;
//! - `sender`: the calls, on a thread of their own;
//! - `message`: what is sent, encrypted;
//! - `vapid`: who sends it;
//! - `tally`: what is counted.

mod agenda;
mod desk;
mod message;
mod queue;
mod sender;
mod tally;
mod vapid;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tidings_core::{PushAnswer, PushService, PushSubscription};

use crate::clock::Clock;
use crate::config::{self, Config, StoreKind};
use crate::egress::{Egress, Guard};
use crate::shard::mailbox::Mailbox;
pub(crate) use agenda::{Agenda, CHANNEL};
use desk::{Desk, Shards};
use message::Browser;
use queue::Rules;
use sender::Means;
pub(crate) use sender::Sender;
pub(crate) use tally::Tally;
use vapid::Vapid;

/// Where something cannot be used, why, and what to do.
pub(crate) type Fault = (&'static str, String, &'static str);

/// The file of the key, if it is not named.
const KEY_FILE: &str = "push-key.pem";

/// Web Push, as it runs.
#[derive(Debug)]
pub(crate) struct Pushes {
    pub(crate) sender: Arc<Sender>,
    service: Arc<Service>,
    means: Means,
}

impl Pushes {
    /// Makes what is configured; `None` if it is off.
    ///
    /// # Errors
    /// When the key cannot be read or made, or there can be no thread.
    pub(crate) fn open(
        config: &Config,
        base_dir: &Path,
        mailboxes: &Arc<[Mailbox]>,
        clock: Clock,
    ) -> io::Result<Option<Self>> {
        let (Some(subject), Some(file)) = (&config.push.subject, key_file(config, base_dir)) else {
            return Ok(None);
        };
        let vapid = Arc::new(Vapid::open(&file, subject)?);
        let egress = Egress::start(&egress_of(config), base_dir)?;
        let next = Default::default();
        let shards = Shards { mailboxes: mailboxes.clone(), clock, next };
        Ok(Some(Self::with(&config.push, vapid, egress, clock, Desk::new(Box::new(shards)))))
    }

    fn with(
        config: &config::Push,
        vapid: Arc<Vapid>,
        egress: Egress,
        clock: Clock,
        desk: Desk,
    ) -> Self {
        let rules = Rules {
            delay_ms: config.delay.ms,
            ttl_ms: config.ttl.ms,
            timeout_ms: config.timeout.ms,
            concurrency: config.concurrency,
            items: config.queue,
        };
        let service = Service { guard: egress.guard(), vapid: vapid.clone() };
        let timeout = Duration::from_millis(config.timeout.ms);
        Self {
            sender: Arc::new(Sender::new(rules, desk)),
            service: Arc::new(service),
            means: Means { egress, clock, vapid, timeout },
        }
    }

    /// Starts sending what is due.
    pub(crate) fn start(&self) {
        self.means.egress.spawn(self.sender.clone().run(self.means.clone()));
    }

    /// Sends nothing more.
    pub(crate) fn stop(&self) {
        self.sender.stop();
    }

    /// What engines know of it.
    pub(crate) fn service(&self) -> Arc<dyn PushService + Send + Sync> {
        self.service.clone()
    }

    /// A shard says whether something is still to be pushed.
    pub(crate) fn answered(&self, ticket: u64, answer: PushAnswer) {
        self.sender.desk.answered(ticket, answer);
    }
}

/// What engines know of it.
#[derive(Debug)]
struct Service {
    guard: Arc<Guard>,
    vapid: Arc<Vapid>,
}

impl PushService for Service {
    fn key(&self) -> &str {
        self.vapid.public()
    }

    fn check(&self, subscription: &PushSubscription) -> Result<(), String> {
        Browser::parse(subscription, &self.guard).map(drop)
    }
}

/// Users choose what is called: what the operator's own URLs may reach is not for them.
fn egress_of(config: &Config) -> config::Egress {
    let certificates = config.egress.certificates.clone();
    config::Egress { allow: config.push.allow.clone(), certificates }
}

fn key_file(config: &Config, base_dir: &Path) -> Option<PathBuf> {
    let own = config.push.key_file.as_ref().map(|file| base_dir.join(file));
    let on_disk = config.store.kind == StoreKind::Disk;
    own.or_else(|| on_disk.then(|| base_dir.join(&config.store.path).join(KEY_FILE)))
}

/// Checks what [`Pushes::open`] would refuse, and makes nothing.
///
/// # Errors
/// The first that cannot be used.
pub(crate) fn check(config: &Config, base_dir: &Path) -> Result<(), Fault> {
    let push = &config.push;
    let remedy = "see the meaning of each: tidings config reference";
    for (field, period, least, most, range) in [
        ("push.delay", push.delay, 0, 3_600_000, "0s to 1h"),
        ("push.ttl", push.ttl, 1000, 28 * 86_400_000, "1s to 28d"),
        ("push.timeout", push.timeout, 100, 60_000, "100ms to 1m"),
    ] {
        if !(least..=most).contains(&period.ms) {
            return Err((field, format!("{period} is not {range}"), remedy));
        }
    }
    if push.ttl <= push.delay {
        let why = format!("{} is over before push.delay is", push.ttl);
        return Err(("push.ttl", why, "write 24h"));
    }
    for (field, value, least, most) in
        [("push.concurrency", push.concurrency, 1, 256), ("push.queue", push.queue, 100, 1_000_000)]
    {
        if !(least..=most).contains(&value) {
            return Err((field, format!("{value} is not {least} to {most}"), remedy));
        }
    }
    if let Err(place) = Guard::new(&push.allow) {
        let why = format!("{:?} is neither a network nor an address", push.allow[place]);
        return Err(("push.allow", why, "write networks as \"10.1.0.0/16\", or an address"));
    }
    let Some(subject) = &push.subject else { return Ok(()) };
    let is_mail = subject.strip_prefix("mailto:").is_some_and(|mail| mail.contains('@'));
    if !is_mail && !subject.starts_with("https://") {
        let why = format!("{subject:?} is no address that push services could write to");
        return Err(("push.subject", why, "write mailto:operator@example.com"));
    }
    let Some(file) = key_file(config, base_dir) else {
        let why = "without a store on disk there is no place for the key".into();
        return Err(("push.key_file", why, "name a file; it is made when there is none"));
    };
    if file.exists()
        && let Err(error) = Vapid::read(&file, subject)
    {
        let remedy = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out FILE";
        return Err(("push.key_file", error.to_string(), remedy));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
