//! What the machine is told, knows and wants: plain data, as `testdata/README.md` describes it.

use serde::{Deserialize, Serialize};

/// How long to wait between attempts; all in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backoff {
    /// The ceiling of the first wait.
    pub base: u64,
    /// The ceiling of all.
    pub max: u64,
    /// What is made of a ceiling.
    pub jitter: Jitter,
}

/// What is made of a ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Jitter {
    /// It is the wait.
    None,
    /// It is multiplied by a random number from 0 to 1.
    Full,
}

impl Backoff {
    /// 1, 2, 4 … 30 s, times a number from 0 to 1: clients that were cut off together come back
    /// apart.
    pub fn delay(&self, failures: u32, random: f64) -> u64 {
        let factor = 1_u64.checked_shl(failures).unwrap_or(u64::MAX);
        let ceiling = self.base.saturating_mul(factor).min(self.max);
        match self.jitter {
            Jitter::None => ceiling,
            Jitter::Full => std::time::Duration::from_millis(ceiling)
                .mul_f64(random.clamp(0.0, 1.0))
                .as_millis()
                .try_into()
                .unwrap_or(ceiling),
        }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: 1000, max: 30_000, jitter: Jitter::Full }
    }
}

/// What does not change while a client lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Env {
    /// How long to wait between attempts.
    pub backoff: Backoff,
    /// How many transports there are.
    pub transports: u32,
    /// There is something to ask for a token.
    pub token: bool,
    /// A connection that is not welcome after this has failed; the SDK's is always 10 s.
    #[serde(default = "connect_timeout", skip_serializing_if = "is_connect_timeout")]
    pub connect_timeout: u64,
}

fn connect_timeout() -> u64 {
    10_000
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_connect_timeout(ms: &u64) -> bool {
    *ms == connect_timeout()
}

impl Default for Env {
    fn default() -> Self {
        let backoff = Backoff::default();
        Self { backoff, transports: 1, token: false, connect_timeout: connect_timeout() }
    }
}

/// What went wrong, in a word of the SDK's `ErrorCode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words are those of the protocol's codes")]
pub enum Fault {
    BadRequest,
    Closed,
    Forbidden,
    Network,
    NotFound,
    Protocol,
    RateLimited,
    Replaced,
    Revoked,
    Server,
    Timeout,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnsupportedVersion,
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// In a word.
    pub code: Fault,
    /// The close code, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close_code: Option<u16>,
    /// For the developer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When the server wants us back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// Where a connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nobody wants one.
    #[default]
    Idle,
    /// The page left and may return.
    Away,
    /// An attempt is made.
    Connecting,
    /// The server has welcomed us.
    Connected,
    /// The next attempt has its time.
    Waiting,
    /// For good.
    Closed,
}

/// Why a token is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenReason {
    /// There is none yet.
    Connect,
    /// The one there is ends soon.
    Expiring,
    /// The server refused the one there is.
    Rejected,
}

/// All that the machine knows. Moments are in milliseconds of the driver's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Where the connection is.
    pub phase: Phase,
    /// When this phase began.
    pub since: u64,
    /// Attempts that failed in a row: the exponent of the back-off.
    pub failures: u32,
    /// Faults of the WebSocket protocol in a row.
    pub faults: u32,
    /// A token was refused since the last stable connection: the next time is the last.
    pub refused: bool,
    /// Why a token must be asked for before the next attempt; `None`: the one we have will do.
    pub ask: Option<TokenReason>,
    /// When the token ends, if the server said so.
    pub expires_at: Option<u64>,
    /// Which transport, counted from 0.
    pub transport: u32,
    /// It was chosen then.
    pub chosen_at: u64,
    /// 1: the last attempt with it was not welcome.
    pub tries: u32,
    /// It was welcome at least once.
    pub proven: bool,
    /// The page is hidden.
    pub hidden: bool,
    /// Connecting: the attempt began while the page was hidden, so its timers may not have run.
    pub asleep: bool,
    /// Connected: when the server was last heard.
    pub heard: u64,
    /// Connected: as `welcome` says.
    pub heartbeat: u64,
    /// Connected: a ping was sent then and nothing was heard since.
    pub probed: Option<u64>,
    /// Waiting: until then.
    pub retry_at: u64,
    /// Waiting, closed: why.
    pub cause: Option<Cause>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            phase: Phase::Idle,
            since: 0,
            failures: 0,
            faults: 0,
            refused: false,
            ask: Some(TokenReason::Connect),
            expires_at: None,
            transport: 0,
            chosen_at: 0,
            tries: 0,
            proven: false,
            hidden: false,
            asleep: false,
            heard: 0,
            heartbeat: 0,
            probed: None,
            retry_at: 0,
            cause: None,
        }
    }
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of the protocol's frames")]
pub enum Event {
    /// The program wants a connection.
    Connect,
    /// The program wants none any more.
    Disconnect,
    /// The user is another one from now on.
    Logout,
    /// The program does not want to wait.
    Retry,
    /// The moment of the last [`Effect::Timer`] has come; it may come late.
    Timer,
    /// The server was heard.
    Heard,
    /// The page is hidden.
    Hidden,
    /// The page is seen again.
    Visible,
    /// The network is back.
    Online,
    /// The network is gone.
    Offline,
    /// The page was frozen and goes on.
    Resume,
    /// The page is left.
    Leave,
    /// The page came back out of the cache.
    Return,
    /// A token was given.
    Token,
    /// None was given; `terminal`: there will be none.
    TokenFailed { terminal: bool, cause: Cause },
    /// The server says that the token ends soon.
    Expiring,
    /// The server's reply to `hello`.
    Welcome {
        heartbeat: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_in: Option<u64>,
    },
    /// The server took the new token.
    Refreshed {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_in: Option<u64>,
    },
    /// The transport has ended, or could not be opened (1006).
    Closed {
        code: u16,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    },
    /// The server's good-bye.
    Bye {
        code: u16,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        reconnect: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    },
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "each is said at its variant")]
pub enum Effect {
    /// Open this transport; in its first flight go `hello` and all that waits.
    Open { transport: u32 },
    /// Close the transport; what it or a question for a token still says is nobody's business.
    Close,
    /// Ask for a token.
    AskToken { reason: TokenReason },
    /// Send the token that was just given on the connection there is.
    Refresh,
    /// Send a ping.
    Ping,
    /// Say [`Event::Timer`] then; replaces the timer before. `None`: none.
    Timer { at: Option<u64> },
}
