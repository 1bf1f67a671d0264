//! Certificates that the server gets by itself (ACME, RFC 8555), from a thread of its own.
//!
//! - `schedule`: when one is ordered, pure rules;
//! - `order`: one order, from the account to the certificate;
//! - `client`: how the authority is spoken to;
//! - `state`: what is kept on disk.
//!
//! The proof is tls-alpn-01 (RFC 8737): a TLS handshake on the port that clients use, so that no
//! second port has to be opened.

mod client;
mod order;
mod schedule;
mod state;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use instant_acme::CertificateIdentifier;
use tidings_core::Period;
use tokio::runtime::Builder;

use crate::RunError;
use crate::clock::Clock;
use crate::config::{Acme, Config};
use crate::outbound::Outbound;
use crate::transport::certificate::Certificate;
use crate::transport::tls::{TlsKeys, fail};
use client::Caller;
use order::{Desk, Failure};
use schedule::{At, Schedule, Step, Validity};
use state::State;

/// How long the authority may take to answer a request.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How long an order may take as a whole, whatever the authority says.
const ORDER_WITHIN: Duration = Duration::from_secs(600);

/// Sees to it that there is always a certificate.
#[derive(Debug)]
pub(crate) struct Keeper {
    desk: Desk,
    keys: Arc<TlsKeys>,
    clock: Clock,
    schedule: Schedule,
    current: Option<Certificate>,
    /// The authority gives advice on renewal, so it can be told what an order replaces.
    advises: bool,
}

impl Keeper {
    /// Puts the certificate in force that is on disk. Asks nobody.
    ///
    /// # Errors
    /// When the folder cannot be made, or the authorities to trust cannot be read.
    pub(crate) fn open(
        config: &Config,
        base_dir: &Path,
        keys: &Arc<TlsKeys>,
        clock: Clock,
    ) -> Result<Option<Self>, RunError> {
        let acme = config.server.tls.as_ref().and_then(|tls| tls.acme.clone());
        let (Some(acme), Some(proofs)) = (acme, keys.proofs()) else { return Ok(None) };
        let state = State::open(&base_dir.join(&config.store.path), &acme).map_err(RunError::Io)?;
        let ca_file = acme.ca_file.as_ref().map(|path| base_dir.join(path));
        let outbound = Outbound::new(ca_file.as_deref(), ANSWER_WITHIN);
        let outbound =
            outbound.map_err(|error| RunError::Tls(fail(error, "see server.tls.acme.ca_file")))?;
        let desk = Desk { state, caller: Caller::new(outbound), proofs: proofs.clone(), acme };
        let schedule = Schedule::new(desk.acme.retry.ms);
        let keys = keys.clone();
        let mut keeper = Self { desk, keys, clock, schedule, current: None, advises: false };
        keeper.take_stored();
        Ok(Some(keeper))
    }

    /// Goes on in a thread of its own until the process ends. What it writes is whole at any time,
    /// so nobody waits for it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(self) -> Result<(), RunError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(RunError::Io)?;
        let thread = std::thread::Builder::new().name("certificates".into());
        thread.spawn(move || runtime.block_on(self.run())).map(drop).map_err(RunError::Io)
    }

    fn take_stored(&mut self) {
        let path = self.desk.state.certificate_path().display().to_string();
        let stored = match self.desk.state.certificate() {
            Ok(None) => {
                let names = self.names();
                return tracing::info!(%names, "there is no certificate yet; one is ordered");
            }
            Ok(Some(pem)) => Certificate::from_pem(&pem),
            Err(error) => Err(error.to_string()),
        };
        match stored.and_then(|stored| self.put(&stored).map(|()| stored)) {
            Ok(stored) => {
                tracing::info!(until = %date(stored.to_ms), "the stored certificate is in force");
                self.schedule.has(validity(&stored), chance());
                self.current = Some(stored);
            }
            Err(error) => {
                tracing::error!(%error, %path, "the stored certificate is of no use");
            }
        }
    }

    fn put(&self, certificate: &Certificate) -> Result<(), String> {
        self.keys.put(certificate).map_err(|error| error.to_string())
    }

    async fn run(mut self) {
        loop {
            match self.schedule.next(self.now()) {
                Step::Wait(ms) => tokio::time::sleep(Duration::from_millis(ms.max(1))).await,
                Step::Ask => self.ask().await,
                Step::Order => self.order().await,
            }
        }
    }

    async fn order(&mut self) {
        let replaced = if self.advises { self.identifier() } else { None };
        let ordering = tokio::time::timeout(ORDER_WITHIN, self.desk.order(replaced));
        let ordered = match ordering.await {
            Ok(ordered) => ordered.and_then(|new| self.put(&new).map(|()| new).map_err(Failure)),
            Err(_) => Err(Failure(format!("it has taken {ORDER_WITHIN:?}"))),
        };
        match ordered {
            Ok(new) => {
                self.keys.issued.fetch_add(1, Relaxed);
                self.schedule.issued(self.now(), validity(&new), chance());
                let names = self.names();
                tracing::info!(%names, until = %date(new.to_ms), "a new certificate is in force");
                self.current = Some(new);
            }
            Err(Failure(error)) => {
                self.keys.failed.fetch_add(1, Relaxed);
                // It may be the advice that it does not like.
                self.advises = false;
                self.say_failed(&error);
            }
        }
    }

    fn say_failed(&mut self, error: &str) {
        let now = self.now();
        let patience = self.desk.caller.patience_ms();
        let wait = Period::secs(self.schedule.failed(now, patience, chance()).div_ceil(1000));
        let names = self.names();
        match &self.current {
            Some(old) if old.to_ms > now.wall_ms => {
                let until = date(old.to_ms);
                tracing::warn!(
                    %error, %names, %until, again_in = %wait,
                    "the certificate could not be renewed; the old one stays in force"
                );
            }
            _ => tracing::error!(
                %error, %names, again_in = %wait,
                "there is no certificate that clients trust: the order failed"
            ),
        }
    }

    /// Asks when the authority would like the certificate to be renewed (RFC 9773). Not all of them
    /// have an opinion, and nothing depends on it.
    async fn ask(&mut self) {
        let asking = async {
            let id = self.identifier()?;
            let account = self.desk.known_account().await.ok()??;
            account.renewal_info(&id).await.ok()
        };
        let advice = tokio::time::timeout(ORDER_WITHIN, asking).await.ok().flatten();
        self.advises = advice.is_some();
        let (window, again) = match advice {
            None => (None, None),
            Some((info, again)) => {
                let millis = |ms: i128| u64::try_from(ms / 1_000_000).unwrap_or(0);
                let window = info.suggested_window;
                let start = millis(window.start.unix_timestamp_nanos());
                let end = millis(window.end.unix_timestamp_nanos());
                (Some((start, end)), u64::try_from(again.as_millis()).ok())
            }
        };
        tracing::debug!(?window, "the authority was asked when to renew");
        self.schedule.advised(self.now(), window, again, chance());
    }

    /// How the authority knows the certificate in force.
    fn identifier(&self) -> Option<CertificateIdentifier<'static>> {
        let leaf = self.current.as_ref()?.leaf()?;
        CertificateIdentifier::try_from(leaf).ok().map(CertificateIdentifier::into_owned)
    }

    fn names(&self) -> String {
        self.desk.acme.domains.join(" ")
    }

    fn now(&self) -> At {
        let now = self.clock.now();
        At { mono_ms: now.mono_ms, wall_ms: now.wall_ms }
    }
}

fn validity(certificate: &Certificate) -> Validity {
    Validity { from_ms: certificate.from_ms, to_ms: certificate.to_ms }
}

fn date(ms: u64) -> String {
    // Dates behind the year 9999 have no name.
    let ms = ms.min(253_402_300_799_000);
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_millis(ms))
}

fn chance() -> u32 {
    getrandom::u32().unwrap_or(0)
}

/// A name that a certificate can have: DNS names only, without a star, for which this proof is not
/// made.
pub(crate) fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(letter)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label) && name.parse::<std::net::Ipv4Addr>().is_err()
}

/// The names of one certificate, at most: what well-known authorities allow.
pub(crate) const NAMES_MAX: usize = 100;

impl Acme {
    /// Whether its authority looks at port 443 of the open internet.
    pub(crate) fn is_public(&self) -> bool {
        self.ca_file.is_none()
    }
}
