//! One webhook: its queue, shared by the storage thread that fills it and the task that empties it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use tidings_core::engine::Happened;
use tokio::sync::Notify;

use super::hook::Webhook;
use super::queue::{Batch, Item, LANES, Next, Outcome, Queue, Rules};
use crate::clock::{Clock, wall_ms};
use crate::egress::{Egress, SIGNATURE, sign};
use crate::metrics::{Dropped, HookTally};

/// What is read of an answer, whose body does not matter.
const ANSWER_BYTES: usize = 64 << 10;

/// A webhook that runs.
#[derive(Debug)]
pub(crate) struct Outbox {
    hook: Mutex<Arc<Webhook>>,
    queue: Mutex<Queue>,
    /// Something has come, or a call has ended.
    woken: Notify,
    started: AtomicBool,
    closed: AtomicBool,
    pub(crate) tally: HookTally,
}

impl Outbox {
    /// `done`: how far each lane was told before; `last`: the newest item that there ever was.
    pub(super) fn new(hook: Arc<Webhook>, done: &[u64; LANES], last: u64) -> Self {
        Self {
            queue: Mutex::new(Queue::new(hook.rules, done, last)),
            hook: Mutex::new(hook),
            woken: Notify::new(),
            started: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            tally: HookTally::default(),
        }
    }

    fn hook(&self) -> Arc<Webhook> {
        self.hook.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its name.
    pub(crate) fn name(&self) -> Arc<str> {
        self.hook().name.clone()
    }

    /// Whether it is this webhook's, maybe with another configuration.
    pub(super) fn is(&self, hook: &Webhook) -> bool {
        self.hook().name == hook.name
    }

    pub(super) fn rules(&self) -> Rules {
        self.hook().rules
    }

    pub(super) fn word(&self, what: &Happened) -> Option<&'static str> {
        self.hook().word(what)
    }

    pub(super) fn floor(&self) -> u64 {
        self.queue().floor()
    }

    pub(super) fn take_done(&self) -> Vec<(u8, u64)> {
        self.queue().take_done()
    }

    pub(super) fn not_noted(&self, lanes: &[(u8, u64)]) {
        self.queue().not_noted(lanes);
    }

    /// How many items wait, and for how long the oldest has.
    pub(crate) fn waiting(&self, steady_ms: u64) -> (usize, u64) {
        let (count, since) = self.queue().waiting();
        (count, since.map_or(0, |since| steady_ms.saturating_sub(since)))
    }

    pub(super) fn push(&self, items: impl Iterator<Item = Item>) {
        let mut queue = self.queue();
        let mut some = false;
        for item in items {
            queue.push(item);
            some = true;
        }
        drop(queue);
        if some {
            self.woken.notify_one();
        }
    }

    pub(super) fn reconfigure(&self, hook: Arc<Webhook>) {
        self.queue().reconfigure(hook.rules);
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = hook;
        self.woken.notify_one();
    }

    /// Calls nobody any more.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.woken.notify_one();
    }

    #[cfg(test)]
    pub(super) fn bodies(&self) -> Vec<Bytes> {
        self.queue().bodies()
    }

    /// As if the backend had taken all.
    #[cfg(test)]
    pub(super) fn take_all(&self) {
        self.queue().take_all();
    }

    /// Starts telling, unless that was done before.
    pub(super) fn start(self: &Arc<Self>, egress: &Egress, clock: Clock) {
        if !self.started.swap(true, Ordering::Relaxed) {
            egress.spawn(self.clone().run(egress.clone(), clock));
        }
    }

    async fn run(self: Arc<Self>, egress: Egress, clock: Clock) {
        while !self.closed.load(Ordering::Relaxed) {
            let next = self.queue().next(clock.steady_ms());
            self.count_lost();
            match next {
                Next::Send(batch) => {
                    let (outbox, caller) = (self.clone(), egress.clone());
                    egress.spawn(async move { outbox.tell(&caller, clock, batch).await });
                }
                Next::Wait(None) => self.woken.notified().await,
                Next::Wait(Some(until_ms)) => {
                    let wait_ms = until_ms.saturating_sub(clock.steady_ms()).max(1);
                    let wait = Duration::from_millis(wait_ms);
                    let _ = tokio::time::timeout(wait, self.woken.notified()).await;
                }
            }
        }
    }

    /// One call.
    async fn tell(&self, egress: &Egress, clock: Clock, batch: Batch) {
        let hook = self.hook();
        let body = body(&hook.name, &batch.bodies);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(signature) = sign(&hook.secrets, wall_ms() / 1000, &body) {
            headers.insert(SIGNATURE, signature);
        }
        let answer = egress.post(&hook.target, headers, body, (hook.timeout, ANSWER_BYTES)).await;
        let (outcome, why) = match answer {
            Ok(reply) if reply.status.is_success() => (Outcome::Taken, None),
            Ok(reply) => {
                let after = reply.headers.get(RETRY_AFTER).and_then(retry_after_ms);
                (Outcome::Failed(after), Some(format!("it answered {}", reply.status)))
            }
            Err(error) => (Outcome::Failed(None), Some(error.to_string())),
        };
        let (was_broken, is_broken) = {
            let mut queue = self.queue();
            let before = queue.is_broken();
            let chance = getrandom::u32().unwrap_or(0);
            queue.done(clock.steady_ms(), &batch, outcome, chance);
            (before, queue.is_broken())
        };
        let (webhook, to) = (&*hook.name, hook.target.origin());
        match &why {
            None => self.tally.told(batch.bodies.len() as u64),
            Some(why) => {
                self.tally.failed();
                tracing::debug!(webhook, to, why, items = batch.bodies.len(), "a call failed");
            }
        }
        if is_broken && !was_broken {
            let why = why.unwrap_or_default();
            tracing::warn!(webhook, to, why, "the webhook fails; what it is to be told waits");
        } else if was_broken && !is_broken {
            tracing::info!(webhook, to, "the webhook works again");
        }
        self.woken.notify_one();
    }

    fn count_lost(&self) {
        let lost = self.queue().take_lost();
        let webhook = &*self.name();
        if lost.expired > 0 {
            self.tally.dropped(Dropped::Expired, lost.expired);
            let items = lost.expired;
            tracing::error!(webhook, items, "dropped: they were not taken within `keep`");
        }
        if lost.full > 0 {
            self.tally.dropped(Dropped::Full, lost.full);
            tracing::error!(webhook, items = lost.full, "dropped: more waits than `queue` allows");
        }
    }
}

fn body(webhook: &str, items: &[Bytes]) -> Bytes {
    let length = items.iter().map(|item| item.len() + 1).sum::<usize>();
    let mut out = BytesMut::with_capacity(length + 64);
    // A webhook's name needs no escapes.
    out.put_slice(format!("{{\"webhook\":\"{webhook}\",\"items\":[").as_bytes());
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            out.put_u8(b',');
        }
        out.put_slice(item);
    }
    out.put_slice(b"]}");
    out.freeze()
}

/// Seconds, or a date (RFC 9110, 10.2.3).
pub(crate) fn retry_after_ms(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(seconds.saturating_mul(1000));
    }
    let wait = httpdate::parse_http_date(text).ok()?.duration_since(std::time::SystemTime::now());
    wait.ok().and_then(|wait| u64::try_from(wait.as_millis()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_json_with_all_items() {
        let items = ["{\"id\":\"1\"}", "{\"id\":\"2\"}"].map(Bytes::from);
        let parsed: serde_json::Value = serde_json::from_slice(&body("a-b", &items)).unwrap();
        assert_eq!(parsed, serde_json::json!({"webhook": "a-b", "items": [{"id":"1"},{"id":"2"}]}));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let parse = |text: &str| retry_after_ms(&HeaderValue::from_str(text).unwrap());
        assert_eq!(parse("120"), Some(120_000));
        assert_eq!(parse("soon"), None);
        assert_eq!(parse("Wed, 21 Oct 2015 07:28:00 GMT"), None, "that is over");
        let date = std::time::SystemTime::now() + Duration::from_secs(100);
        let wait = parse(&httpdate::fmt_http_date(date)).unwrap();
        assert!((98_000..=100_000).contains(&wait), "{wait}");
    }
}
