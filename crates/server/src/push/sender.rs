//! The calls of push services, on a thread of their own: encryption takes its time, and a hook's
//! question shall not wait for it.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use hyper::StatusCode;
use hyper::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use tidings_core::{PushAnswer, PushSubscription, PushText};
use tokio::sync::Notify;

use super::desk::Desk;
use super::message::{self, Browser, Subject};
use super::queue::{Call, Key, Lost, Next, Outcome, Queue, Rules, Turn};
use super::tally::{Spared, Tally, Told};
use super::vapid::Vapid;
use crate::clock::{Clock, wall_ms};
use crate::egress::{Egress, EgressError, Reply};
use crate::metrics::Dropped;
use crate::webhooks::retry_after_ms;

/// What is read of an answer, whose body does not matter.
const ANSWER_BYTES: usize = 64 << 10;

/// How long a shard may take to answer: as long as a command of the API.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// When a shard is asked again that could not say what it was asked.
const ASK_AGAIN_MS: u64 = 5000;

const TTL: HeaderName = HeaderName::from_static("ttl");
const TOPIC: HeaderName = HeaderName::from_static("topic");

/// See the module.
#[derive(Debug)]
pub(crate) struct Sender {
    queue: Mutex<Queue>,
    /// Something has come, or a turn has ended.
    woken: Notify,
    pub(super) desk: Desk,
    pub(crate) tally: Tally,
    hasher: RandomState,
    stopped: AtomicBool,
}

/// What calls are made with.
#[derive(Clone, Debug)]
pub(super) struct Means {
    pub(super) egress: Egress,
    pub(super) clock: Clock,
    pub(super) vapid: Arc<Vapid>,
    pub(super) timeout: Duration,
}

/// How it went with one browser.
enum Sent {
    /// It has it, or never will.
    Done(u64),
    /// Not yet; when it may be called again.
    Later(u64),
}

impl Sender {
    pub(super) fn new(rules: Rules, desk: Desk) -> Self {
        Self {
            queue: Mutex::new(Queue::new(rules)),
            woken: Notify::new(),
            desk,
            tally: Tally::default(),
            hasher: RandomState::new(),
            stopped: AtomicBool::new(false),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many notifications wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue().waiting()
    }

    /// These are due when their delay is over, which begins when they were made, or at `from_ms`.
    pub(super) fn push(&self, items: impl Iterator<Item = (Key, u64)>, from_ms: u64) {
        let mut queue = self.queue();
        let mut some = false;
        for (key, at_ms) in items {
            queue.push(key, at_ms, at_ms.max(from_ms));
            some = true;
        }
        drop(queue);
        if some {
            self.woken.notify_one();
        }
    }

    /// As if the first that is due had been pushed.
    #[cfg(test)]
    pub(super) fn end_one(&self) {
        let mut queue = self.queue();
        if let Next::Turn(turn) = queue.next(1 << 39) {
            queue.done(0, turn.key, Outcome::Over, 0);
        }
    }

    /// What waits, in order.
    #[cfg(test)]
    pub(super) fn keys(&self) -> Vec<Key> {
        self.queue().keys()
    }

    /// What is done with since the last time it was asked.
    pub(super) fn take_done(&self) -> Vec<Key> {
        self.queue().take_done()
    }

    /// Sends nothing more: the shards are ending, and what waits is stored.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.woken.notify_one();
    }

    pub(super) async fn run(self: Arc<Self>, means: Means) {
        while !self.stopped.load(Ordering::Relaxed) {
            let (next, lost) = {
                let mut queue = self.queue();
                (queue.next(means.clock.steady_ms()), queue.take_lost())
            };
            self.count_lost(lost);
            match next {
                Next::Turn(turn) => {
                    let (sender, with) = (self.clone(), means.clone());
                    means.egress.spawn(async move { sender.turn(&with, turn).await });
                }
                Next::Wait(None) => self.woken.notified().await,
                Next::Wait(Some(until_ms)) => {
                    let wait_ms = until_ms.saturating_sub(means.clock.steady_ms()).max(1);
                    let wait = Duration::from_millis(wait_ms);
                    let _ = tokio::time::timeout(wait, self.woken.notified()).await;
                }
            }
        }
    }

    fn count_lost(&self, lost: Lost) {
        if lost.expired > 0 {
            self.tally.dropped(Dropped::Expired, lost.expired);
            tracing::warn!(items = lost.expired, "not pushed within push.ttl");
        }
        if lost.full > 0 {
            self.tally.dropped(Dropped::Full, lost.full);
            tracing::error!(items = lost.full, "not pushed: more wait than push.queue allows");
        }
    }

    /// A notification has its turn.
    async fn turn(&self, means: &Means, turn: Turn) {
        let key = turn.key.clone();
        let (user, id) = &key;
        let asked = tokio::time::timeout(ANSWERED_WITHIN, self.desk.ask(user, *id)).await;
        let outcome = match asked.ok().flatten().unwrap_or(PushAnswer::Unknown) {
            PushAnswer::Present => {
                self.tally.spared(Spared::Present);
                Outcome::Present
            }
            PushAnswer::Unknown => {
                Outcome::Again(turn.sent, means.clock.steady_ms() + ASK_AGAIN_MS)
            }
            PushAnswer::Unwanted => {
                self.tally.spared(Spared::Unwanted);
                Outcome::Over
            }
            PushAnswer::Wanted(text) => self.send_all(means, turn, &text).await,
        };
        let chance = getrandom::u32().unwrap_or(0);
        self.queue().done(means.clock.steady_ms(), key, outcome, chance);
        self.woken.notify_one();
    }

    /// To each browser that does not have it.
    async fn send_all(&self, means: &Means, turn: Turn, text: &PushText) -> Outcome {
        let Turn { key: (user, id), expires_ms, mut sent } = turn;
        let mut left_ms = expires_ms.saturating_sub(means.clock.steady_ms());
        if let Some(expires_ms) = text.expires_ms {
            left_ms = left_ms.min(expires_ms.saturating_sub(wall_ms()));
        }
        let (plain, subject) = message::plain(id, text);
        let message = Message { plain, subject, ttl_secs: left_ms / 1000 };
        let browser = |endpoint: &str| self.hasher.hash_one(endpoint);
        let open = text.subscriptions.iter().map(|to| (browser(&to.endpoint), to));
        let open = open.filter(|(browser, _)| !sent.contains(browser));
        let calls = open.map(|(browser, to)| self.send(means, &message, &user, (browser, to)));
        let mut later = None;
        for outcome in join_all(calls).await {
            match outcome {
                Sent::Done(browser) => sent.push(browser),
                Sent::Later(at_ms) => later = Some(later.map_or(at_ms, |at: u64| at.min(at_ms))),
            }
        }
        later.map_or(Outcome::Over, |at_ms| Outcome::Again(sent, at_ms))
    }

    /// To one browser.
    async fn send(
        &self,
        means: &Means,
        message: &Message,
        user: &Arc<str>,
        (number, to): (u64, &PushSubscription),
    ) -> Sent {
        // The guard may have changed since it was subscribed.
        let browser = Browser::parse(to, &means.egress.guard());
        let ready = browser.and_then(|browser| Ok((browser.encrypt(&message.plain)?, browser)));
        let (body, browser) = match ready {
            Ok(ready) => ready,
            Err(why) => {
                self.tally.told(Told::Refused);
                tracing::debug!(why, "a subscription cannot be used");
                return Sent::Done(number);
            }
        };
        let origin = browser.target.origin();
        let may = self.queue().may_call(means.clock.steady_ms(), number, origin);
        if let Err(at_ms) = may {
            return Sent::Later(at_ms);
        }
        let Some(authorization) = means.vapid.authorization(origin, wall_ms() / 1000) else {
            return Sent::Later(means.clock.steady_ms());
        };
        let limits = (means.timeout, ANSWER_BYTES);
        let headers = message.headers(authorization, to);
        let answer = means.egress.post(&browser.target, headers, body.into(), limits).await;
        let (told, call, why) = verdict(&answer);
        self.tally.told(told);
        let chance = getrandom::u32().unwrap_or(0);
        let (was_broken, at_ms, is_broken) = {
            let mut queue = self.queue();
            let before = queue.is_broken(origin);
            let at_ms = queue.called(means.clock.steady_ms(), (number, origin), call, chance);
            (before, at_ms, queue.is_broken(origin))
        };
        if is_broken && !was_broken {
            tracing::warn!(to = origin, why, "the push service fails; what is for it waits");
        } else if was_broken && !is_broken {
            tracing::info!(to = origin, "the push service works again");
        } else if told == Told::Refused {
            tracing::warn!(to = origin, why, "the push service refuses a push");
        }
        match told {
            Told::Failed => Sent::Later(at_ms),
            Told::Gone => {
                self.desk.forget(user, &to.endpoint);
                Sent::Done(number)
            }
            Told::Refused | Told::Sent => Sent::Done(number),
        }
    }
}

/// What is said to each browser.
struct Message {
    plain: Vec<u8>,
    subject: Option<Subject>,
    ttl_secs: u64,
}

impl Message {
    fn headers(&self, authorization: HeaderValue, to: &PushSubscription) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, authorization);
        headers.insert(TTL, self.ttl_secs.into());
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("aes128gcm"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        let name = self.subject.as_ref().and_then(|subject| subject.name_for(to).parse().ok());
        if let Some(name) = name {
            headers.insert(TOPIC, name);
        }
        headers
    }
}

/// What an answer means.
fn verdict(answer: &Result<Reply, EgressError>) -> (Told, Call, String) {
    let reply = match answer {
        Ok(reply) => reply,
        // That address is not called tomorrow either.
        Err(error @ EgressError::Internal(_)) => {
            return (Told::Refused, Call::Answered, error.to_string());
        }
        Err(error) => return (Told::Failed, Call::Failed(None), error.to_string()),
    };
    let after = reply.headers.get(RETRY_AFTER).and_then(retry_after_ms);
    let (told, call) = match reply.status {
        status if status.is_success() => (Told::Sent, Call::Answered),
        StatusCode::NOT_FOUND | StatusCode::GONE => (Told::Gone, Call::Answered),
        StatusCode::TOO_MANY_REQUESTS => (Told::Failed, Call::Held(after.unwrap_or(0))),
        StatusCode::REQUEST_TIMEOUT => (Told::Failed, Call::Failed(after)),
        status if status.is_server_error() => (Told::Failed, Call::Failed(after)),
        // A redirect is not followed: it would lead around the guard's reasons.
        _ => (Told::Refused, Call::Answered),
    };
    let said: Bytes = reply.body.slice(..reply.body.len().min(200));
    let why = format!("it answered {}: {}", reply.status, String::from_utf8_lossy(&said));
    (told, call, why)
}
