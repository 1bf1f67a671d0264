//! One endpoint of the backend: bounded calls, a bounded queue, a breaker.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use tidings_core::engine::Verdict;

use super::Kind;
use super::answer;
use super::breaker::{Admission, Breaker, BreakerRules};
use super::tally::{Outcome, Tallies};
use crate::config::{CallRules, Secret};
use crate::egress::{Egress, EgressError, Guard, SIGNATURE, Target, secrets, sign};

/// Answers at most: rights of a user are as long as a token, an event may be changed.
const ANSWER_BYTES: usize = 16 << 10;
const EVENT_ANSWER_BYTES: usize = 256 << 10;

/// Failures are logged so often at most; how many there were, metrics say.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// Why a hook cannot be used.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Where in the configuration.
    pub(crate) key: String,
    pub(crate) why: String,
    pub(crate) remedy: &'static str,
}

/// Where a verdict goes. Dropped without one, there is none: nobody waits for ever.
pub(crate) struct Reply(Option<Box<dyn FnOnce(Verdict) + Send>>);

impl Reply {
    pub(crate) fn new(to: impl FnOnce(Verdict) + Send + 'static) -> Self {
        Self(Some(Box::new(to)))
    }

    fn send(mut self, verdict: Verdict) {
        if let Some(to) = self.0.take() {
            to(verdict);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(to) = self.0.take() {
            to(Verdict::Failed);
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply(..)")
    }
}

/// A hook's configuration, checked.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    kind: Kind,
    target: Target,
    secrets: Vec<Secret>,
    timeout: Duration,
    concurrency: usize,
    queue: usize,
    breaker: BreakerRules,
}

type FieldFault = (&'static str, String, &'static str);

impl Plan {
    pub(super) fn load(
        kind: Kind,
        rules: CallRules<'_>,
        base_dir: &Path,
        guard: &Guard,
    ) -> Result<Self, FieldFault> {
        let target = Target::parse(rules.url, guard).map_err(|error| {
            (".url", error.to_string(), "write https://host/path; internal ones: see [egress]")
        })?;
        let ranges = [
            (".timeout", rules.timeout.ms, 50, 60_000, "write 500ms or 2s"),
            (".pause", rules.pause.ms, 50, 3_600_000, "write 500ms or 1s"),
            (".pause_max", rules.pause_max.ms, rules.pause.ms, 3_600_000, "at least `pause`"),
            (".concurrency", rules.concurrency as u64, 1, 1024, "1 to 1024"),
            (".queue", rules.queue as u64, 0, 100_000, "0 to 100000"),
            (".failures", rules.failures.into(), 1, 10_000, "1 to 10000"),
        ];
        for (field, value, least, most, remedy) in ranges {
            if !(least..=most).contains(&value) {
                return Err((field, "out of range".into(), remedy));
            }
        }
        let period = |period: tidings_core::Period| Duration::from_millis(period.ms);
        Ok(Self {
            kind,
            target,
            secrets: secrets(rules.secret, rules.secret_file.map(PathBuf::as_path), base_dir)?,
            timeout: period(rules.timeout),
            concurrency: rules.concurrency,
            queue: rules.queue,
            breaker: BreakerRules {
                failures: rules.failures,
                pause: period(rules.pause),
                pause_max: period(rules.pause_max),
            },
        })
    }
}

/// A question on its way.
#[derive(Debug)]
struct Call {
    body: Bytes,
    asked: Instant,
    /// It tries whether the backend is back.
    probe: bool,
    reply: Reply,
}

#[derive(Debug)]
struct State {
    breaker: Breaker,
    /// Calls under way.
    calls: usize,
    waiting: VecDeque<Call>,
    /// When a failure was logged last.
    logged: Option<Instant>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Hook {
    plan: Plan,
    state: Mutex<State>,
    tallies: Arc<Tallies>,
}

impl Hook {
    pub(super) fn new(plan: Plan, tallies: Arc<Tallies>) -> Self {
        let breaker = Breaker::new(plan.breaker);
        let state = State { breaker, calls: 0, waiting: VecDeque::new(), logged: None };
        tallies.of(plan.kind).opened(false);
        Self { plan, state: Mutex::new(state), tallies }
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, outcome: Outcome) {
        self.tallies.of(self.plan.kind).count(outcome);
    }

    /// Asks now, or when there is room; or not at all.
    pub(super) fn ask(self: &Arc<Self>, egress: &Egress, body: Bytes, reply: Reply) {
        let asked = Instant::now();
        let mut state = self.state();
        let admission = state.breaker.admit(asked);
        if admission == Admission::No {
            drop(state);
            return self.count(Outcome::Skipped);
        }
        let call = Call { body, asked, probe: admission == Admission::Probe, reply };
        if state.calls < self.plan.concurrency {
            state.calls += 1;
            drop(state);
            let (hook, thread) = (self.clone(), egress.clone());
            egress.spawn(async move { hook.work(&thread, call).await });
        } else if state.waiting.len() < self.plan.queue {
            state.waiting.push_back(call);
            self.tallies.of(self.plan.kind).waiting(state.waiting.len());
        } else {
            if call.probe {
                state.breaker.not_tried(asked);
            }
            drop(state);
            self.count(Outcome::Full);
        }
    }

    /// One of the places: makes calls as long as there are any.
    async fn work(self: Arc<Self>, egress: &Egress, first: Call) {
        let mut place = Place::take(&self);
        let mut next = Some(first);
        while let Some(call) = next {
            self.call(egress, call).await;
            next = self.next();
        }
        place.given_back = true;
    }

    /// The next question that is still worth a call; without one the place is given back.
    fn next(&self) -> Option<Call> {
        let (now, mut late) = (Instant::now(), Vec::new());
        let mut state = self.state();
        let next = loop {
            let Some(call) = state.waiting.pop_front() else {
                state.calls -= 1;
                break None;
            };
            if state.breaker.is_open() && !call.probe {
                late.push((call, Outcome::Skipped));
            } else if now.duration_since(call.asked) >= self.plan.timeout {
                if call.probe {
                    state.breaker.not_tried(now);
                }
                late.push((call, Outcome::TimedOut));
            } else {
                break Some(call);
            }
        };
        self.tallies.of(self.plan.kind).waiting(state.waiting.len());
        drop(state);
        for (call, outcome) in late {
            self.count(outcome);
            call.reply.send(Verdict::Failed);
        }
        next
    }

    async fn call(&self, egress: &Egress, call: Call) {
        let Call { body, asked, probe, reply } = call;
        let left = self.plan.timeout.saturating_sub(asked.elapsed());
        let began = Instant::now();
        let outcome = self.post(egress, body, left).await;
        self.tallies.of(self.plan.kind).took(began.elapsed());
        let (verdict, outcome) = match outcome {
            Ok(verdict) => {
                self.succeeded(probe);
                let allowed = matches!(verdict, Verdict::Allow(_));
                (verdict, if allowed { Outcome::Allowed } else { Outcome::Denied })
            }
            Err((why, outcome)) => {
                // Who waited long and had little time left says nothing of the backend.
                let fair = left >= self.plan.timeout / 2 || outcome != Outcome::TimedOut;
                self.failed(probe, fair, &why);
                (Verdict::Failed, outcome)
            }
        };
        self.count(outcome);
        reply.send(verdict);
    }

    async fn post(
        &self,
        egress: &Egress,
        body: Bytes,
        left: Duration,
    ) -> Result<Verdict, (String, Outcome)> {
        let deadline = Instant::now() + left;
        let most = match self.plan.kind {
            Kind::Connect | Kind::Subscribe => ANSWER_BYTES,
            Kind::Publish => EVENT_ANSWER_BYTES,
        };
        let mut again = true;
        let reply = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let headers = self.headers(&body);
            let reply = egress.post(&self.plan.target, headers, body.clone(), (left, most)).await;
            match reply {
                // A connection that was kept may have been closed just now by the other side.
                Err(EgressError::Broken(_)) if std::mem::take(&mut again) => {}
                reply => break reply,
            }
        };
        let reply = reply.map_err(|error| {
            let late = error == EgressError::TimedOut;
            (error.to_string(), if late { Outcome::TimedOut } else { Outcome::Failed })
        })?;
        if reply.status != StatusCode::OK {
            let why = format!("it answered with status {}", reply.status.as_u16());
            return Err((why, Outcome::Failed));
        }
        answer::decode(self.plan.kind, &reply.body)
            .map_err(|why| (format!("what it answered cannot be used: {why}"), Outcome::Failed))
    }

    fn headers(&self, body: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(4);
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json.clone());
        headers.insert(header::ACCEPT, json);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if let Some(signature) = sign(&self.plan.secrets, now, body) {
            headers.insert(HeaderName::from_static(SIGNATURE), signature);
        }
        headers
    }

    fn succeeded(&self, probe: bool) {
        let mut state = self.state();
        let was_open = state.breaker.is_open();
        state.breaker.succeeded(probe);
        let is_open = state.breaker.is_open();
        drop(state);
        self.tallies.of(self.plan.kind).opened(is_open);
        if was_open && !is_open {
            let (hook, backend) = (self.plan.kind.name(), self.plan.target.origin());
            tracing::info!(hook, backend, "the backend answers again");
        }
    }

    fn failed(&self, probe: bool, fair: bool, why: &str) {
        let now = Instant::now();
        let mut state = self.state();
        let paused = if fair {
            state.breaker.failed(probe, now)
        } else {
            if probe {
                state.breaker.not_tried(now);
            }
            None
        };
        let is_open = state.breaker.is_open();
        let quiet = state.logged.is_some_and(|at| now.duration_since(at) < LOG_EVERY);
        if !quiet {
            state.logged = Some(now);
        }
        drop(state);
        self.tallies.of(self.plan.kind).opened(is_open);
        let (hook, backend) = (self.plan.kind.name(), self.plan.target.origin());
        match paused {
            Some(pause) => {
                let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                tracing::warn!(
                    hook,
                    backend,
                    why,
                    pause_ms,
                    "the backend is left alone for a while"
                );
            }
            None if !quiet => tracing::warn!(hook, backend, why, "the backend was asked in vain"),
            None => {}
        }
    }
}

/// A place among the calls under way: given back too if its task is dropped with the thread.
struct Place<'a> {
    hook: &'a Hook,
    given_back: bool,
}

impl<'a> Place<'a> {
    fn take(hook: &'a Hook) -> Self {
        hook.tallies.of(hook.plan.kind).under_way(true);
        Self { hook, given_back: false }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.hook.tallies.of(self.hook.plan.kind).under_way(false);
        if !self.given_back {
            let mut state = self.hook.state();
            state.calls -= 1;
            state.breaker.not_tried(Instant::now());
        }
    }
}
