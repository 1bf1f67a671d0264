//! The connection as a pure function: no clock, timer, socket or random number of its own.
//!
//! It is the machine of the TypeScript SDK (`sdk/src/connection/machine.ts`), name by name, and is
//! tested by the same vectors (`testdata/connection`). Some of its events only a page in a browser
//! has.

mod state;

pub use state::{Backoff, Cause, Effect, Env, Event, Fault, Jitter, Phase, State, TokenReason};

/// A connection that stood this long has proven itself: the next failure is the first again.
const STABLE: u64 = 5000;
/// Grace on top of the server's heartbeat, before the client asks.
const SILENCE: u64 = 10_000;
/// How long the answer to a ping may take.
const PROBE_TIMEOUT: u64 = 5000;
/// Nobody looks at a hidden page: it waits at least this long.
const HIDDEN_DELAY: u64 = 10_000;
/// How long a fallback transport is kept before the first one is tried again.
const FALLBACK_KEPT: u64 = 600_000;
/// A token that ends within this is not worth connecting with.
const TOKEN_MARGIN: u64 = 10_000;
/// After so many failures even a transport that once worked is doubted: the network may be
/// another one.
const DOUBT: u32 = 7;
/// After three of these in a row, one end does not speak WebSocket as the other understands it.
const PROTOCOL_FAULTS: [u16; 5] = [1002, 1003, 1007, 1009, 1010];
const FAULTS_MAX: u32 = 3;

/// The close code of a token that is not taken, and of one that was but has ended.
const TOKEN_REFUSED: u16 = 4401;
const TOKEN_EXPIRED: u16 = 4501;

type Step = (State, Vec<Effect>);

/// What one step is taken with, beside the state and the event.
struct At<'a> {
    now: u64,
    random: f64,
    env: &'a Env,
}

/// What is next, and what to do. `random`, from 0 up to 1, is for this step alone.
pub fn step(state: State, event: Event, now: u64, random: f64, env: &Env) -> Step {
    let before = deadline(&state, env);
    let (heard, timer) = (event == Event::Heard, event == Event::Timer);
    let (next, mut effects) = decide(state, event, &At { now, random, env });
    // A deadline that only moved away needs no new timer: an early one looks at the clock again.
    if !heard {
        let at = deadline(&next, env);
        if timer || at != before {
            effects.push(Effect::Timer { at });
        }
    }
    (next, effects)
}

/// One sentence to remember: 44xx stops, everything else comes back.
pub fn is_terminal(code: u16) -> bool {
    code / 100 == 44
}

/// What a close code says in words of errors.
fn meaning(code: u16) -> Fault {
    match code {
        4400 => Fault::BadRequest,
        TOKEN_REFUSED | TOKEN_EXPIRED => Fault::Unauthorized,
        4403 => Fault::Forbidden,
        4404 => Fault::NotFound,
        4408 | 4508 => Fault::Timeout,
        4409 => Fault::Replaced,
        4410 => Fault::Revoked,
        4413 => Fault::TooLarge,
        4426 => Fault::UnsupportedVersion,
        4500 => Fault::Server,
        4503 => Fault::Unavailable,
        4513 | 4529 => Fault::RateLimited,
        code if is_terminal(code) => Fault::Closed,
        code if PROTOCOL_FAULTS.contains(&code) => Fault::Protocol,
        _ => Fault::Network,
    }
}

fn deadline(state: &State, env: &Env) -> Option<u64> {
    match state.phase {
        Phase::Connecting => Some(state.since + env.connect_timeout),
        Phase::Waiting => Some(state.retry_at),
        Phase::Connected => Some(match state.probed {
            Some(probed) => probed + PROBE_TIMEOUT,
            None => state.heard + state.heartbeat + SILENCE,
        }),
        Phase::Idle | Phase::Away | Phase::Closed => None,
    }
}

fn stay(state: State) -> Step {
    (state, Vec::new())
}

fn decide(state: State, event: Event, at: &At<'_>) -> Step {
    let connected = state.phase == Phase::Connected;
    let connecting = state.phase == Phase::Connecting;
    let waiting = state.phase == Phase::Waiting;
    let active = connecting || connected;
    match event {
        Event::Connect if active || waiting => stay(state),
        Event::Connect => {
            let again = state.phase == Phase::Closed;
            let ask = if again { Some(TokenReason::Connect) } else { state.ask };
            begin(State { ask, ..fresh(state) }, at)
        }
        Event::Disconnect => stop(fresh(state), Phase::Idle, None, at),
        Event::Logout => {
            let ask = Some(TokenReason::Connect);
            stop(State { ask, expires_at: None, ..fresh(state) }, Phase::Idle, None, at)
        }
        Event::Retry if waiting => begin(state, at),
        Event::Timer => overdue(state, at),
        Event::Heard if connected => stay(State { heard: at.now, probed: None, ..state }),
        Event::Hidden => stay(State { hidden: true, ..state }),
        Event::Visible => wake(State { hidden: false, ..state }, at),
        Event::Resume | Event::Return => wake(state, at),
        Event::Online if connecting => stay(state),
        // Perhaps another network, through which other transports pass.
        Event::Online => wake(State { proven: false, tries: 0, ..state }, at),
        Event::Offline if connected => probe(state, at),
        Event::Leave if active || waiting => stop(state, Phase::Away, None, at),
        Event::Token if connected => (State { ask: None, ..state }, vec![Effect::Refresh]),
        Event::Token if connecting && state.ask.is_some() => {
            let effects = vec![Effect::Open { transport: state.transport }];
            (State { ask: None, expires_at: None, ..state }, effects)
        }
        Event::TokenFailed { terminal: true, cause } if active => {
            stop(state, Phase::Closed, Some(cause), at)
        }
        Event::TokenFailed { cause, .. } if connecting => wait(state, cause, at),
        Event::Expiring if connected && at.env.token => {
            let reason = TokenReason::Expiring;
            (State { ask: Some(reason), ..state }, vec![Effect::AskToken { reason }])
        }
        Event::Welcome { heartbeat, expires_in } if connecting && state.ask.is_none() => {
            stay(State {
                phase: Phase::Connected,
                since: at.now,
                heard: at.now,
                probed: None,
                tries: 0,
                proven: true,
                heartbeat,
                expires_at: expires_in.map(|ms| at.now + ms),
                cause: None,
                ..state
            })
        }
        Event::Refreshed { expires_in } => {
            stay(State { expires_at: expires_in.map(|ms| at.now + ms), ..state })
        }
        Event::Closed { code, reason, retry_after } if active => {
            ended(state, cause_of(code, reason, retry_after), code, true, at)
        }
        Event::Bye { code, reason, reconnect, retry_after } if active => {
            ended(state, cause_of(code, reason, retry_after), code, reconnect, at)
        }
        _ => stay(state),
    }
}

fn cause_of(code: u16, reason: Option<String>, retry_after: Option<u64>) -> Cause {
    let message = reason.filter(|reason| !reason.is_empty());
    Cause { code: meaning(code), close_code: Some(code), message, retry_after }
}

/// Without the failures of the past.
fn fresh(mut state: State) -> State {
    (state.failures, state.faults, state.refused) = (0, 0, false);
    (state.tries, state.proven, state.cause) = (0, false, None);
    state
}

/// What a connection that stood for a while has earned.
fn settled(state: State, now: u64) -> State {
    if state.phase == Phase::Connected && now - state.since >= STABLE {
        State { failures: 0, faults: 0, refused: false, ..state }
    } else {
        state
    }
}

fn begin(from: State, at: &At<'_>) -> Step {
    let asleep = from.hidden;
    let mut state = State { phase: Phase::Connecting, since: at.now, asleep, ..from };
    if state.transport > 0 && at.now - state.chosen_at >= FALLBACK_KEPT {
        state = State { transport: 0, chosen_at: at.now, tries: 0, proven: false, ..state };
    }
    if state.expires_at.is_some_and(|ends| ends < at.now + TOKEN_MARGIN) {
        state.ask = state.ask.or(Some(TokenReason::Expiring));
    }
    if let Some(reason) = state.ask.filter(|_| at.env.token) {
        return (state, vec![Effect::AskToken { reason }]);
    }
    let effects = vec![Effect::Open { transport: state.transport }];
    (State { ask: None, ..state }, effects)
}

fn stop(mut state: State, phase: Phase, cause: Option<Cause>, at: &At<'_>) -> Step {
    (state.phase, state.cause, state.since, state.probed) = (phase, cause, at.now, None);
    (state, vec![Effect::Close])
}

/// The attempt or the connection has failed: the next one after a while, perhaps in another way.
fn wait(from: State, cause: Cause, at: &At<'_>) -> Step {
    let (failures, transport) = (from.failures, from.transport);
    // While a token is asked for, no transport is tried.
    let tried = from.phase == Phase::Connecting && from.ask.is_none();
    let state = if tried { fall_back(from, at) } else { from };
    // A transport is to blame if another one passes at the same moment; if none does, the server is
    // down.
    let other = state.transport > transport;
    let own = if other { 0 } else { at.env.backoff.delay(failures, at.random) };
    let ms = cause.retry_after.unwrap_or(own);
    let ms = if state.hidden { ms.max(HIDDEN_DELAY) } else { ms };
    let next = State {
        phase: Phase::Waiting,
        since: at.now,
        cause: Some(cause),
        probed: None,
        failures: failures.saturating_add(u32::from(!other)),
        retry_at: at.now + ms,
        ..state
    };
    (next, vec![Effect::Close])
}

fn fall_back(state: State, at: &At<'_>) -> State {
    let hopeless = if state.proven {
        state.failures >= DOUBT
    } else {
        state.transport > 0 || state.tries > 0 || at.now - state.since >= STABLE
    };
    if !hopeless {
        return State { tries: 1, ..state };
    }
    let transport = (state.transport + 1) % at.env.transports.max(1);
    State { transport, chosen_at: at.now, tries: 0, ..state }
}

/// The page is looked at again, or the network is back.
fn wake(state: State, at: &At<'_>) -> Step {
    match state.phase {
        Phase::Waiting | Phase::Away => begin(state, at),
        Phase::Connected => probe(state, at),
        Phase::Connecting if state.asleep => {
            let (next, effects) = begin(state, at);
            (State { asleep: false, ..next }, closed_before(effects))
        }
        Phase::Connecting | Phase::Idle | Phase::Closed => stay(state),
    }
}

fn closed_before(mut effects: Vec<Effect>) -> Vec<Effect> {
    effects.insert(0, Effect::Close);
    effects
}

fn probe(state: State, at: &At<'_>) -> Step {
    match state.probed {
        None => (State { probed: Some(at.now), ..state }, vec![Effect::Ping]),
        Some(_) => stay(state),
    }
}

fn overdue(state: State, at: &At<'_>) -> Step {
    if deadline(&state, at.env).is_none_or(|deadline| at.now < deadline) {
        return stay(state);
    }
    match state.phase {
        Phase::Waiting => begin(state, at),
        Phase::Connected if state.probed.is_none() => probe(state, at),
        _ => {
            let code = Fault::Timeout;
            let cause = Cause { code, close_code: None, message: None, retry_after: None };
            wait(settled(state, at.now), cause, at)
        }
    }
}

fn ended(state: State, cause: Cause, code: u16, reconnect: bool, at: &At<'_>) -> Step {
    if is_terminal(code) || !reconnect {
        return stop(state, Phase::Closed, Some(cause), at);
    }
    // What the connection was before is kept in what is closed, as in the SDK.
    let calm = settled(state.clone(), at.now);
    if code == TOKEN_EXPIRED && at.env.token {
        if calm.refused {
            let cause = Cause { close_code: Some(TOKEN_REFUSED), ..cause };
            return stop(state, Phase::Closed, Some(cause), at);
        }
        let over = calm.expires_at.is_some_and(|ends| ends < at.now + TOKEN_MARGIN);
        let ask = Some(if over { TokenReason::Expiring } else { TokenReason::Rejected });
        let (next, effects) = begin(State { refused: true, ask, ..calm }, at);
        return (next, closed_before(effects));
    }
    let faults = if PROTOCOL_FAULTS.contains(&code) { calm.faults + 1 } else { 0 };
    let calm = State { faults, ..calm };
    if faults >= FAULTS_MAX {
        return stop(calm, Phase::Closed, Some(cause), at);
    }
    wait(calm, cause, at)
}
