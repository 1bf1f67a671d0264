//! Carries out what the machine decides, and what the program asks for: one task for each client.

mod channel;
mod commands;
mod hearing;
mod link;
mod presence;
mod requests;
mod sink;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsConnector;

use crate::client::Status;
use crate::frame::{Ack, Welcome};
use crate::machine::{self, Effect, Env, Event, Fault, Phase, State, TokenReason};
use crate::options::Source;
use crate::outbox::{Outbox, Sending};
use crate::{Address, Error, Frame, Options, TokenError};
use channel::Channel;
use commands::{Asked, Commands, Entering};
use link::{Link, News};

pub(crate) use channel::Wish;
pub(crate) use requests::Request;
pub(crate) use sink::Spring;

/// What a program may have asked for before the driver looks at it.
const REQUESTS: usize = 256;
/// Frames that belong to no subscription, for whoever looks at them too late.
const NOTICES: usize = 16;

/// What a driver tells without being asked.
#[derive(Debug)]
pub(crate) struct Reports {
    pub(crate) status: watch::Receiver<Status>,
    /// How many publishes are not known to be stored.
    pub(crate) waiting: watch::Receiver<usize>,
    pub(crate) notices: broadcast::Sender<Frame>,
}

/// See the [module](self).
pub(crate) struct Driver {
    address: Address,
    tls: Option<TlsConnector>,
    options: Options,
    env: Env,
    state: State,
    link: Link,
    commands: Commands,
    outbox: Outbox,
    /// Who waits for the publish with this ticket, and for which channel's sake if it is not
    /// echoed.
    publishes: HashMap<u64, Publishing>,
    channels: HashMap<Arc<str>, Channel>,
    requests: mpsc::Receiver<Request>,
    /// A reader has made room, or has gone.
    notify: Arc<Notify>,
    status: watch::Sender<Status>,
    /// Who waits to be told what comes of the attempt of now.
    awaiting: Vec<Awaiting>,
    waiting: watch::Sender<usize>,
    notices: broadcast::Sender<Frame>,
    /// A secret that is our session.
    session: Option<String>,
    /// The newest `hello`'s: a late one that was given up takes nobody's place.
    attempt: u64,
    token: Option<String>,
    welcome: Option<Welcome>,
    /// How the transport has ended, until the status says it.
    fault: Option<Error>,
    timer: Option<u64>,
    begin: Instant,
}

/// Who waits for a publish, and whether its channel has to know that it does not come back.
type Publishing = (oneshot::Sender<Result<Ack, Error>>, Option<Arc<str>>);

/// Who waits for a welcome, or the failure of an attempt.
pub(crate) type Awaiting = oneshot::Sender<Result<Welcome, Error>>;

/// Starts the task of a client. `first` is told what comes of the first attempt.
pub(crate) fn start(
    address: Address,
    tls: Option<TlsConnector>,
    options: Options,
    name: String,
    first: Option<Awaiting>,
) -> (mpsc::Sender<Request>, Arc<Notify>, Reports) {
    let (sender, requests) = mpsc::channel(REQUESTS);
    let (status, status_seen) = watch::channel(Status::Connecting { attempt: 0 });
    let (waiting, waiting_seen) = watch::channel(0);
    let notices = broadcast::Sender::new(NOTICES);
    let reports = Reports { status: status_seen, waiting: waiting_seen, notices: notices.clone() };
    let notify = Arc::new(Notify::new());
    let env = Env {
        backoff: options.backoff,
        transports: 1,
        token: options.token.is_some(),
        connect_timeout: ms(options.timeout),
    };
    let driver = Driver {
        outbox: Outbox::new(name, options.outbox),
        session: options.session.clone(),
        attempt: 0,
        address,
        tls,
        options,
        env,
        state: State::default(),
        link: Link::new(),
        commands: Commands::new(),
        publishes: HashMap::new(),
        channels: HashMap::new(),
        requests,
        notify: notify.clone(),
        status,
        awaiting: first.into_iter().collect(),
        waiting,
        notices,
        token: None,
        welcome: None,
        fault: None,
        timer: None,
        begin: Instant::now(),
    };
    tokio::spawn(driver.run());
    (sender, notify, reports)
}

impl Driver {
    async fn run(mut self) {
        self.tell(Event::Connect);
        let mut ended = None;
        while ended.is_none() && self.state.phase != Phase::Closed {
            self.pump();
            let wake = self.wake();
            tokio::select! {
                news = self.link.next() => self.handle_news(news),
                request = self.requests.recv(), if self.commands.listening() => match request {
                    Some(Request::Close(done)) => ended = Some(Some(done)),
                    Some(request) => self.handle_request(request),
                    // All handles are gone.
                    None => ended = Some(None),
                },
                () = self.notify.notified() => self.look(),
                () = sleep_until(wake.unwrap_or(self.begin)), if wake.is_some() => {
                    self.handle_time();
                }
            }
        }
        self.requests.close();
        if let Some(socket) = self.link.socket() {
            socket.close().await;
        }
        self.end();
        if let Some(Some(done)) = ended {
            let _ = done.send(());
        }
    }

    fn now(&self) -> u64 {
        ms(self.begin.elapsed())
    }

    /// When something is to be done though nothing happens.
    fn wake(&self) -> Option<Instant> {
        let channels = self.channels.values().filter_map(Channel::wake);
        let all = channels.chain(self.timer).chain(self.outbox.wake());
        all.min().map(|at| self.begin + Duration::from_millis(at))
    }

    fn handle_time(&mut self) {
        let now = self.now();
        if self.timer.is_some_and(|at| at <= now) {
            self.timer = None;
            self.tell(Event::Timer);
        }
        self.outbox.handle_time(now);
        for channel in self.channels.values_mut() {
            channel.handle_time(now, &mut self.commands);
        }
    }

    /// Looks after subscriptions whose readers have made room or gone.
    fn look(&mut self) {
        for channel in self.channels.values_mut() {
            channel.look(&mut self.commands);
        }
        self.tidy();
    }

    fn tidy(&mut self) {
        self.channels.retain(|_, channel| !channel.is_idle());
    }

    /// Sends as much as may be sent, and tells what has ended.
    fn pump(&mut self) {
        let now = self.now();
        loop {
            while let Some(text) = self.commands.next() {
                if let Some(socket) = self.link.socket() {
                    socket.send(&text);
                }
            }
            if self.commands.room() == 0 {
                break;
            }
            let Some(Sending { ticket, body }) = self.outbox.next(now) else { break };
            self.commands.push(body, Asked::Publish(ticket));
        }
        self.settle();
    }

    /// Tells what has become of publishes.
    fn settle(&mut self) {
        for (ticket, outcome) in self.outbox.outcomes() {
            let Some((reply, quiet)) = self.publishes.remove(&ticket) else { continue };
            if let (Some(channel), Ok(Ack { position: Some(position), .. })) = (quiet, &outcome)
                && let Some(channel) = self.channels.get_mut(&channel)
            {
                channel.handle_quiet(position);
            }
            let _ = reply.send(outcome);
        }
        let waiting = self.outbox.len();
        self.waiting.send_if_modified(|seen| std::mem::replace(seen, waiting) != waiting);
    }

    fn tell(&mut self, event: Event) {
        let before = std::mem::take(&mut self.state);
        let (phase, since) = (before.phase, before.since);
        let random = f64::from(getrandom::u32().unwrap_or(u32::MAX)) / 4_294_967_296.0;
        let (state, effects) = machine::step(before, event, self.now(), random, &self.env);
        self.state = state;
        for effect in effects {
            self.carry_out(effect);
        }
        if (self.state.phase, self.state.since) != (phase, since) {
            let status = self.status_of(phase);
            self.status.send_replace(status);
            self.answer_awaiting();
        }
    }

    /// Tells what has come of the attempt, if it is over.
    fn answer_awaiting(&mut self) {
        let answer = match &*self.status.borrow() {
            Status::Connecting { .. } => return,
            Status::Connected(welcome) => Ok(welcome.clone()),
            Status::Waiting { cause, .. } | Status::Closed { cause: Some(cause) } => {
                Err(cause.clone())
            }
            Status::Closed { cause: None } => Err(Error::Ended),
        };
        for awaiting in self.awaiting.drain(..) {
            let _ = awaiting.send(answer.clone());
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Open { .. } => {
                let max = self.options.message_bytes;
                self.link.open(self.address.clone(), self.tls.clone(), max);
            }
            Effect::Close => {
                self.link.close();
                self.handle_lost(false);
            }
            Effect::AskToken { reason } => self.ask_token(reason),
            Effect::Refresh => {
                let refresh = json!({ "type": "refresh", "token": self.token });
                self.commands.ask(&refresh, Asked::Refresh);
            }
            Effect::Ping => {
                if let Some(socket) = self.link.socket() {
                    socket.ping();
                }
            }
            Effect::Timer { at } => self.timer = at,
        }
    }

    fn ask_token(&mut self, reason: TokenReason) {
        let token = match self.options.token.as_ref().map(|token| &token.0) {
            None => return,
            Some(Source::Function(ask)) => return self.link.ask(ask(reason)),
            Some(Source::Fixed(token)) => token.clone(),
        };
        // There is no other one: it is no use to offer again what was refused, and the connection
        // may as well go on to its end.
        let answer = match reason {
            TokenReason::Expiring if self.state.phase == Phase::Connected => return,
            _ if self.state.refused => Err(TokenError::Refused("there is only one".into())),
            _ => Ok(token),
        };
        self.link.ask(Box::pin(std::future::ready(answer)));
    }

    /// The connection is gone, perhaps for good.
    fn handle_lost(&mut self, forget: bool) {
        let now = self.now();
        let lost = self.fault.clone().unwrap_or(Error::Timeout("the server has gone silent"));
        for (asked, sent) in self.commands.stop(forget) {
            let error = if sent { lost.clone() } else { Error::NotConnected };
            match asked {
                Asked::Once(reply) | Asked::Read(reply) => _ = reply.send(Err(error)),
                Asked::Enter(channel, Entering { waiting, .. }) => {
                    if let Some(channel) = self.channels.get_mut(&channel) {
                        channel.presence.handle_unanswered(waiting);
                    }
                }
                Asked::Leave(channel, reply) => {
                    if let Some(channel) = self.channels.get_mut(&channel) {
                        channel.presence.handle_leave_lost();
                    }
                    if let Some(reply) = reply {
                        let _ = reply.send(Frame::new(r#"{"type":"left"}"#.into()));
                    }
                }
                Asked::Hello
                | Asked::Publish(_)
                | Asked::Refresh
                | Asked::Subscribe(_)
                | Asked::Unsubscribe(_) => {}
            }
        }
        self.outbox.handle_lost(now);
        for channel in self.channels.values_mut() {
            channel.handle_lost();
        }
        self.tidy();
    }

    fn handle_news(&mut self, news: News) {
        match news {
            News::Opened => self.begin_session(),
            News::Life => self.heard(),
            News::Text(text) => {
                self.handle_text(text);
                while let Some(text) = self.link.socket().and_then(crate::socket::Socket::take) {
                    self.handle_text(text);
                }
            }
            News::Ended(error) => {
                let event = ended_by(&error);
                self.fault = Some(error);
                self.tell(event);
            }
            News::Token(Ok(token)) => {
                self.token = Some(token);
                self.tell(Event::Token);
            }
            News::Token(Err(error)) => self.handle_no_token(error),
        }
    }

    fn handle_no_token(&mut self, error: TokenError) {
        let (code, terminal, why) = match error {
            TokenError::Refused(why) => (Fault::Unauthorized, true, why),
            TokenError::Later(why) => (Fault::Network, false, why),
        };
        // What made the question necessary says more.
        if !self.state.refused || self.fault.is_none() {
            self.fault = Some(Error::Token(why.clone()));
        }
        let message = Some(why);
        let cause = machine::Cause { code, close_code: None, message, retry_after: None };
        self.tell(Event::TokenFailed { terminal, cause });
    }

    /// `hello`, and all that shall follow it without waiting for the answer.
    fn begin_session(&mut self) {
        let mut hello = json!({ "type": "hello", "client": self.options.client });
        for (name, value) in [("token", &self.token), ("session", &self.session)] {
            if let Some(value) = value {
                hello[name] = value.as_str().into();
            }
        }
        if self.session.is_some() {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.attempt = (self.attempt + 1).max(ms(since));
            hello["attempt"] = self.attempt.into();
        }
        let kept = self.commands.start(&hello);
        for channel in self.channels.values_mut() {
            channel.sync(&mut self.commands);
        }
        self.commands.resume(kept);
    }

    fn status_of(&mut self, before: Phase) -> Status {
        let attempt = self.state.failures;
        match self.state.phase {
            Phase::Connected => match &self.welcome {
                Some(welcome) => Status::Connected(welcome.clone()),
                None => Status::Connecting { attempt },
            },
            Phase::Waiting => {
                let retry_at = self.begin + Duration::from_millis(self.state.retry_at);
                Status::Waiting { attempt, retry_at, cause: self.cause(before) }
            }
            Phase::Closed => Status::Closed { cause: Some(self.cause(before)) },
            Phase::Connecting => Status::Connecting { attempt },
            Phase::Idle | Phase::Away => Status::Closed { cause: None },
        }
    }

    /// Why there is no connection.
    fn cause(&mut self, before: Phase) -> Error {
        self.fault.take().unwrap_or_else(|| match before {
            Phase::Connecting => {
                Error::connect(&self.address.to_string(), std::io::ErrorKind::TimedOut.into())
            }
            _ => Error::Timeout("the server has gone silent"),
        })
    }

    /// There will be no other connection: everything that waits is told so.
    fn end(&mut self) {
        let status = self.status.borrow().clone();
        let error = match status {
            Status::Closed { cause: Some(cause) } => cause,
            _ => Error::Ended,
        };
        self.fault = Some(error.clone());
        self.handle_lost(true);
        self.outbox.clear(&error);
        self.settle();
        for channel in self.channels.values_mut() {
            channel.presence.fail(&error);
            if !matches!(error, Error::Ended) {
                channel.fail(error.clone());
            }
        }
        self.channels.clear();
        if matches!(error, Error::Ended) {
            self.status.send_replace(Status::Closed { cause: None });
        }
        self.answer_awaiting();
        while let Ok(request) = self.requests.try_recv() {
            request.refuse(&error);
        }
    }
}

/// What a broken transport is for the machine: only what the server has said by a code may stop it.
fn ended_by(error: &Error) -> Event {
    let (code, reason) = match error {
        Error::Closed(closed) => (closed.code, closed.reason.clone()),
        Error::Protocol(what) => (1002, what.clone()),
        error => (1006, error.to_string()),
    };
    Event::Closed { code, reason: Some(reason), retry_after: None }
}

/// As the machine counts.
fn ms(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}
