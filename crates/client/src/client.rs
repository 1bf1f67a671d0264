//! The handle of a client.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::driver::{self, Awaiting, Reports, Request};
use crate::{Address, Channel, Error, Frame, Options, Welcome, tls};

/// Where a client's connection is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Status {
    /// An attempt is made; so many failed in a row before.
    Connecting {
        /// How many failed.
        attempt: u32,
    },
    /// The server has welcomed us.
    Connected(Welcome),
    /// The connection was lost, or could not be made; it is tried again.
    Waiting {
        /// How many attempts failed in a row.
        attempt: u32,
        /// When the next one is made.
        retry_at: Instant,
        /// Why.
        cause: Error,
    },
    /// For good: the server does not want this client back, or the program has closed it.
    Closed {
        /// Why; `None`: the program has.
        cause: Option<Error>,
    },
}

/// A client of one server: one connection, which comes back by itself. Clones are the same client;
/// it says good-bye when the last of them, of its channels and its subscriptions is dropped.
#[derive(Clone, Debug)]
pub struct Client(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    requests: mpsc::Sender<Request>,
    reports: Reports,
    /// Keeps what readers of subscriptions use.
    _notify: Arc<Notify>,
}

impl Client {
    /// Connects to `address` (see [`Address`]) and waits for the server's welcome. From then on the
    /// client comes back by itself after a lost connection.
    ///
    /// # Errors
    /// When the first attempt fails. For a client that goes on trying, see [`Client::start`].
    pub async fn connect(address: &str, options: Options) -> Result<Self, Error> {
        Self::connect_to(address.parse().map_err(Error::Address)?, options).await
    }

    /// As [`Client::connect`].
    ///
    /// # Errors
    /// As there.
    pub async fn connect_to(address: Address, options: Options) -> Result<Self, Error> {
        let (first, answer) = oneshot::channel();
        let client = Self::start_with(address, options, Some(first))?;
        answer.await.map_err(|_| client.ended())??;
        Ok(client)
    }

    /// Starts to connect, and goes on until there is a connection. Must be called in a Tokio
    /// runtime.
    ///
    /// # Errors
    /// When `address` is none, or the file of certificates cannot be used.
    pub fn start(address: &str, options: Options) -> Result<Self, Error> {
        Self::start_to(address.parse().map_err(Error::Address)?, options)
    }

    /// As [`Client::start`].
    ///
    /// # Errors
    /// When the file of certificates cannot be used.
    pub fn start_to(address: Address, options: Options) -> Result<Self, Error> {
        Self::start_with(address, options, None)
    }

    fn start_with(
        address: Address,
        options: Options,
        first: Option<Awaiting>,
    ) -> Result<Self, Error> {
        let tls = tls::connector(&address, &options.trust)?;
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| Error::lost(std::io::Error::other(error)))?;
        let name = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let (requests, notify, reports) = driver::start(address, tls, options, name, first);
        Ok(Self(Arc::new(Shared { requests, reports, _notify: notify })))
    }

    /// The welcome of the connection there is; else waits for what comes of the attempt under way.
    ///
    /// # Errors
    /// Why there is no connection now; the client goes on trying.
    pub async fn welcomed(&self) -> Result<Welcome, Error> {
        self.send(Request::Welcomed).await?
    }

    /// Where the connection is; it may be waited for changes. Who looks seldom sees the newest
    /// status only.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.0.reports.status.clone()
    }

    /// A channel: `namespace:name`. Nothing is asked of the server yet.
    pub fn channel(&self, name: &str) -> Channel {
        Channel::new(self.clone(), name.to_owned())
    }

    /// Sends a command as the protocol has it, and waits for the answer. It is sent once: without a
    /// connection it fails, and if the connection is lost before the answer, nobody knows whether
    /// it was carried out.
    ///
    /// The client does not look into it: a channel that is subscribed to in this way is unknown to
    /// it, and is forgotten with the connection.
    ///
    /// # Errors
    /// [`Error::Refused`] if the answer is an `error`; else when the connection is lost.
    pub async fn request(&self, kind: &str, mut fields: Value) -> Result<Frame, Error> {
        if !fields.is_object() {
            fields = json!({});
        }
        fields["type"] = kind.into();
        if let Some(fields) = fields.as_object_mut() {
            fields.remove("id");
        }
        self.ask(fields.to_string(), false).await
    }

    /// `body` is JSON of a command without `id`, with at least one member.
    pub(crate) async fn ask(&self, body: String, read: bool) -> Result<Frame, Error> {
        self.send(|reply| Request::Ask { body, read, reply }).await?
    }

    /// Hands a request to the driver, and waits for what it says.
    pub(crate) async fn send<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Error> {
        self.queue(request).await?.await.map_err(|_| self.ended())
    }

    /// Hands a request to the driver.
    pub(crate) async fn queue<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<oneshot::Receiver<T>, Error> {
        let (reply, answer) = oneshot::channel();
        self.0.requests.send(request(reply)).await.map_err(|_| self.ended())?;
        Ok(answer)
    }

    /// Why there is no driver any more.
    pub(crate) fn ended(&self) -> Error {
        match &*self.0.reports.status.borrow() {
            Status::Closed { cause: Some(cause) } => cause.clone(),
            _ => Error::Ended,
        }
    }

    /// Frames that belong to no subscription: `expiring`, when the token ends soon, and errors
    /// about what had no `id`. There is seldom one; who does not look in time misses the oldest.
    pub fn notices(&self) -> broadcast::Receiver<Frame> {
        self.0.reports.notices.subscribe()
    }

    /// Connects at once instead of waiting for the next attempt.
    pub async fn retry_now(&self) {
        let _ = self.0.requests.send(Request::Retry).await;
    }

    /// How many publishes are not known to be stored.
    pub fn waiting(&self) -> usize {
        *self.0.reports.waiting.borrow()
    }

    /// Waits until nothing is in the outbox: every publish has come to its end, good or bad. With
    /// `tokio::time::timeout` around it, for so long at most.
    pub async fn flush(&self) {
        // What was published before is in the outbox when this is answered.
        let _ = self.send(Request::Mark).await;
        let _ = self.0.reports.waiting.clone().wait_for(|waiting| *waiting == 0).await;
    }

    /// Says good-bye and ends. The server does not wait for this session to come back; what was
    /// published and not stored fails, and subscriptions end.
    pub async fn close(self) {
        let _ = self.send(Request::Close).await;
    }
}

/// The JSON of data that a program publishes or enters with.
pub(crate) fn to_json(data: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(data).map_err(|error| Error::Json(error.to_string()))
}
