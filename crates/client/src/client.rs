//! One connection: commands, their answers, and pushes.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use tidings_proto::{ServerFrame, command};
use tokio::time::timeout;

use crate::error::{Closed, Refusal};
use crate::socket::Socket;
use crate::tls::{self, Trust};
use crate::upgrade::upgrade;
use crate::{Address, Error};

/// Frames that may pile up while an answer is waited for.
const PUSHES_MAX: usize = 100_000;
/// How long a server may be silent beyond its heartbeat.
const GRACE: Duration = Duration::from_secs(10);

/// How to connect. `Debug` shows neither the token nor the session.
#[derive(Clone)]
pub struct Options {
    /// A JWT; without one the user is anonymous.
    pub token: Option<String>,
    /// The session of an earlier [`Welcome`]: gives an anonymous user their name back.
    pub session: Option<String>,
    /// What the server's logs call this program.
    pub client: String,
    /// Whose certificates are trusted.
    pub trust: Trust,
    /// How long connecting may take, until the server's welcome.
    pub timeout: Duration,
    /// A message of the server is not longer than this many bytes.
    pub message_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            token: None,
            session: None,
            client: concat!("tidings-client/", env!("CARGO_PKG_VERSION")).into(),
            trust: Trust::Web,
            timeout: Duration::from_secs(10),
            message_bytes: 1 << 20,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("token", &self.token.as_ref().map(|_| ".."))
            .field("session", &self.session.as_ref().map(|_| ".."))
            .field("client", &self.client)
            .field("trust", &self.trust)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What the server said first.
#[derive(Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The session's secret, for [`Options::session`] after a lost connection.
    pub session: String,
    /// Who the user is.
    pub user: String,
    /// Whether the session of [`Options::session`] goes on, presence included.
    pub resumed: bool,
    /// The longest silence of a living connection.
    pub heartbeat: Duration,
    /// When the token ends, from now.
    pub expires_in: Option<Duration>,
}

impl Welcome {
    /// The part of the session that others see on its events.
    pub fn public_session(&self) -> &str {
        self.session.split('.').next().unwrap_or_default()
    }
}

impl fmt::Debug for Welcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Welcome").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A frame of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    text: String,
    kind: String,
    id: Option<u64>,
}

impl std::str::FromStr for Frame {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::new(text.to_owned())
    }
}

impl Frame {
    fn new(text: String) -> Result<Self, Error> {
        let frame = ServerFrame::decode(&text).map_err(|e| Error::Protocol(e.to_string()))?;
        let (kind, id) = (frame.kind.to_string(), frame.id);
        Ok(Self { text, kind, id })
    }

    /// Its JSON.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its `type`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The command that it answers.
    pub fn id(&self) -> Option<u64> {
        self.id
    }

    /// Its fields.
    pub fn decode(&self) -> ServerFrame<'_> {
        // invariant: `new` has decoded the same text.
        ServerFrame::decode(&self.text).expect("a frame decodes twice")
    }

    /// Its fields as JSON.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// What an `error` frame says.
    pub fn refusal(&self) -> Option<Refusal> {
        let frame = self.decode();
        (self.kind == "error").then(|| Refusal {
            code: frame
                .code
                .and_then(|code| serde_json::from_str(code.get()).ok())
                .unwrap_or_default(),
            message: frame.message.map(|message| message.to_string()).unwrap_or_default(),
            retryable: frame.retryable,
            retry_after: frame.retry_after.map(Duration::from_millis),
            expected: frame.expected,
            path: frame.path.map(|path| path.to_string()),
        })
    }

    /// What a `bye` frame says.
    fn closed(&self) -> Option<Closed> {
        let frame = self.decode();
        (self.kind == "bye").then(|| {
            let code = frame.code.and_then(|code| code.get().parse().ok()).unwrap_or(1005);
            Closed {
                code,
                reason: frame.reason.map(|reason| reason.to_string()).unwrap_or_default(),
                reconnect: frame.reconnect.unwrap_or(!(4400..4500).contains(&code)),
                retry_after: frame.retry_after.map(Duration::from_millis),
            }
        })
    }
}

/// An open session.
#[derive(Debug)]
pub struct Client {
    socket: Socket,
    next_id: u64,
    /// What arrived while an answer was waited for.
    pushes: VecDeque<Frame>,
    welcome: Welcome,
}

impl Client {
    /// Connects to `address` (see [`Address`]) and opens a session.
    ///
    /// # Errors
    /// When there is no such server, or it does not want this user.
    pub async fn connect(address: &str, options: &Options) -> Result<Self, Error> {
        let address = address.parse().map_err(Error::Address)?;
        Self::connect_to(&address, options).await
    }

    /// Connects to `address` and opens a session.
    ///
    /// # Errors
    /// When there is no such server, or it does not want this user.
    pub async fn connect_to(address: &Address, options: &Options) -> Result<Self, Error> {
        let opening = Self::open(address, options);
        let late = |_| Error::Connect(address.to_string(), std::io::ErrorKind::TimedOut.into());
        timeout(options.timeout, opening).await.map_err(late)?
    }

    async fn open(address: &Address, options: &Options) -> Result<Self, Error> {
        let mut stream = tls::open(address, &options.trust).await?;
        let rest = upgrade(&mut *stream, address).await?;
        let socket = Socket::new(stream, rest, options.message_bytes, options.timeout);
        let welcome = Welcome {
            session: String::new(),
            user: String::new(),
            resumed: false,
            heartbeat: Duration::ZERO,
            expires_in: None,
        };
        let mut client = Self { socket, next_id: 1, pushes: VecDeque::new(), welcome };
        let mut hello = json!({ "client": options.client });
        for (name, value) in [("token", &options.token), ("session", &options.session)] {
            if let Some(value) = value {
                hello[name] = value.as_str().into();
            }
        }
        let reply = client.request("hello", hello).await?;
        let reply = reply.decode();
        client.welcome = Welcome {
            session: reply.session.map(|session| session.to_string()).unwrap_or_default(),
            user: reply.user.map(|user| user.to_string()).unwrap_or_default(),
            resumed: reply.resumed.unwrap_or(false),
            heartbeat: Duration::from_millis(reply.heartbeat.unwrap_or(25_000)),
            expires_in: reply.expires_in.map(Duration::from_millis),
        };
        client.socket.patience = client.welcome.heartbeat + GRACE;
        Ok(client)
    }

    /// What the server said first.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Queues a command and returns its id. It goes out with the next [`Client::recv`],
    /// [`Client::request`] or [`Client::flush`].
    pub fn command(&mut self, kind: &str, fields: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.socket.send(&command(kind, id, fields));
        id
    }

    /// Queues any text, whether it is a command or not.
    pub fn send_raw(&mut self, text: &str) {
        self.socket.send(text);
    }

    /// Waits until everything queued has been written.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn flush(&mut self) -> Result<(), Error> {
        self.socket.flush().await
    }

    /// Sends a command and waits for its answer. What is pushed meanwhile waits for
    /// [`Client::recv`].
    ///
    /// # Errors
    /// [`Error::Refused`] if the answer is an `error`; else when the connection has ended.
    pub async fn request(&mut self, kind: &str, fields: Value) -> Result<Frame, Error> {
        let id = self.command(kind, fields);
        loop {
            let frame = self.next_frame().await?;
            if frame.id() == Some(id) {
                return match frame.refusal() {
                    Some(refusal) => Err(Error::Refused(Box::new(refusal))),
                    None => Ok(frame),
                };
            }
            if self.pushes.len() >= PUSHES_MAX {
                return Err(Error::Protocol("it sends and sends and does not answer".into()));
            }
            self.pushes.push_back(frame);
        }
    }

    /// Waits for the next frame: a push, or the answer to a [`Client::command`].
    ///
    /// # Errors
    /// When the connection has ended: [`Error::Closed`] if the server said good-bye.
    pub async fn recv(&mut self) -> Result<Frame, Error> {
        match self.pushes.pop_front() {
            Some(frame) => Ok(frame),
            None => self.next_frame().await,
        }
    }

    async fn next_frame(&mut self) -> Result<Frame, Error> {
        let frame = Frame::new(self.socket.recv().await?)?;
        match frame.closed() {
            Some(closed) => Err(Error::Closed(closed)),
            None => Ok(frame),
        }
    }

    /// Says good-bye: the server does not wait for this session to come back.
    pub async fn close(mut self) {
        self.socket.close().await;
    }
}
