//! A client that comes back by itself.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde_json::{Value, json};
use tidings_proto::CloseCode;
use tokio::time::{Instant, sleep_until};

use crate::outbox::{Outbox, Outcome};
use crate::{Address, Backoff, Client, Error, Frame, Options, Refusal, Welcome};

/// A channel that is subscribed again after each lost connection, from where it was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subscription {
    /// So many of the newest events first, if there is no position to go on from.
    pub rewind: u64,
    /// Whether to see who is here.
    pub presence: bool,
    /// Data to enter the channel with.
    pub enter: Option<Value>,
    /// The epoch and offset of the last event that was seen.
    pub since: Option<(String, u64)>,
}

impl Subscription {
    fn fields(&self, channel: &str) -> Value {
        let mut fields = json!({ "channel": channel });
        if let Some((epoch, offset)) = &self.since {
            fields["since"] = json!({ "epoch": epoch, "offset": offset });
        }
        if self.rewind > 0 {
            fields["rewind"] = self.rewind.into();
        }
        if self.presence {
            fields["presence"] = true.into();
        }
        fields
    }

    /// Whether the event at `offset` is new. From then on it is not.
    fn advance(&mut self, offset: u64) -> bool {
        match &mut self.since {
            Some((_, seen)) if offset > *seen => {
                *seen = offset;
                true
            }
            // An event in front of `subscribed` would be a fault of the server.
            _ => false,
        }
    }
}

/// What happens to a [`Reconnecting`] client.
#[derive(Debug)]
pub enum Happening {
    /// A connection is open; subscriptions are on their way.
    Connected(Welcome),
    /// A frame: a push that is new, or the answer to a command.
    Frame(Frame),
    /// The connection was lost, and the next attempt is made after this long.
    Lost(Error, Duration),
    /// The publish with this ticket was refused for good.
    Refused(u64, Refusal),
    /// The publish with this ticket is stored.
    Stored(u64, Frame),
}

type Connecting = Pin<Box<dyn Future<Output = Result<Client, Error>> + Send>>;

enum Link {
    Connecting(Connecting),
    Down { until: Instant },
    Up { client: Box<Client>, since: Instant },
}

/// Keeps one session through lost connections. Poll [`Reconnecting::next`] all the time.
pub struct Reconnecting {
    address: Address,
    options: Options,
    link: Link,
    backoff: Backoff,
    subscriptions: BTreeMap<String, Subscription>,
    /// The commands that opened them and have no answer yet.
    opening: BTreeMap<u64, String>,
    outbox: Outbox,
    /// When the outbox may go on.
    outbox_at: Option<Instant>,
}

impl fmt::Debug for Reconnecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnecting")
            .field("address", &self.address)
            .field("subscriptions", &self.subscriptions)
            .finish_non_exhaustive()
    }
}

impl Reconnecting {
    /// Connects when it is polled. `producer` is a name that nobody else can guess (a UUID, say):
    /// by it the server recognises what is published twice.
    pub fn new(address: Address, options: Options, producer: String) -> Self {
        let link = Link::Connecting(connect(&address, &options));
        Self {
            address,
            options,
            link,
            backoff: Backoff::default(),
            subscriptions: BTreeMap::new(),
            opening: BTreeMap::new(),
            outbox: Outbox::new(producer),
            outbox_at: None,
        }
    }

    /// Whether a connection is open now.
    pub fn is_connected(&self) -> bool {
        matches!(self.link, Link::Up { .. })
    }

    /// Subscribes, now or as soon as there is a connection.
    pub fn subscribe(&mut self, channel: &str, subscription: Subscription) {
        if let Link::Up { client, .. } = &mut self.link {
            self.opening.insert(open(client, channel, &subscription), channel.into());
        }
        self.subscriptions.insert(channel.into(), subscription);
    }

    /// Unsubscribes, which also leaves.
    pub fn unsubscribe(&mut self, channel: &str) {
        if self.subscriptions.remove(channel).is_some() {
            self.command("unsubscribe", json!({ "channel": channel }));
        }
    }

    /// The position of the last event of a channel: epoch and offset.
    pub fn position(&self, channel: &str) -> Option<&(String, u64)> {
        self.subscriptions.get(channel)?.since.as_ref()
    }

    /// Publishes exactly once, whatever happens to connections; `fields` are those of the command
    /// besides `channel`, `producer` and `seq`. Returns the ticket by which its end is told; `None`
    /// if a thousand wait already.
    pub fn publish(&mut self, channel: &str, fields: Value) -> Option<u64> {
        self.outbox.push(channel, fields)
    }

    /// How many publishes are not stored yet.
    pub fn waiting(&self) -> usize {
        self.outbox.len()
    }

    /// Sends a command that is not repeated; returns its id, or `None` without a connection.
    pub fn command(&mut self, kind: &str, fields: Value) -> Option<u64> {
        match &mut self.link {
            Link::Up { client, .. } => Some(client.command(kind, fields)),
            Link::Connecting(_) | Link::Down { .. } => None,
        }
    }

    /// Sends any text; `false` without a connection.
    pub fn send_raw(&mut self, text: &str) -> bool {
        match &mut self.link {
            Link::Up { client, .. } => client.send_raw(text),
            Link::Connecting(_) | Link::Down { .. } => return false,
        }
        true
    }

    /// Waits until something happens. May be dropped at any time.
    ///
    /// # Errors
    /// When the server does not want this client back, or its token has ended; it is of no use any
    /// more.
    pub async fn next(&mut self) -> Result<Happening, Error> {
        loop {
            match &mut self.link {
                Link::Down { until } => {
                    sleep_until(*until).await;
                    self.link = Link::Connecting(connect(&self.address, &self.options));
                }
                Link::Connecting(connecting) => match connecting.await {
                    Ok(client) => return Ok(self.handle_connected(client)),
                    Err(error) => return self.handle_lost(error),
                },
                Link::Up { .. } => {
                    if let Some(happening) = self.next_connected().await? {
                        return Ok(happening);
                    }
                }
            }
        }
    }

    async fn next_connected(&mut self) -> Result<Option<Happening>, Error> {
        let Link::Up { client, .. } = &mut self.link else { return Ok(None) };
        let ready = self.outbox_at.is_none_or(|at| at <= Instant::now());
        if ready {
            self.outbox_at = None;
            if let Some(fields) = self.outbox.next() {
                let id = client.command("publish", fields);
                self.outbox.sent(id);
            }
        }
        let received = match self.outbox_at {
            Some(at) => tokio::select! {
                received = client.recv() => received,
                () = sleep_until(at) => return Ok(None),
            },
            None => client.recv().await,
        };
        match received {
            Ok(frame) => Ok(self.handle_frame(frame)),
            Err(error) => self.handle_lost(error).map(Some),
        }
    }

    /// Ends the session. Publishes that wait are given until `patience` to be stored; returns how
    /// many were not.
    pub async fn close(mut self, patience: Duration) -> usize {
        let deadline = Instant::now() + patience;
        while self.outbox.len() > 0 {
            match tokio::time::timeout_at(deadline, self.next()).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => break,
            }
        }
        if let Link::Up { client, .. } = self.link {
            client.close().await;
        }
        self.outbox.len()
    }

    fn handle_connected(&mut self, mut client: Client) -> Happening {
        let welcome = client.welcome().clone();
        self.options.session = Some(welcome.session.clone());
        for (channel, subscription) in &self.subscriptions {
            self.opening.insert(open(&mut client, channel, subscription), channel.clone());
        }
        self.outbox_at = None;
        self.link = Link::Up { client: Box::new(client), since: Instant::now() };
        Happening::Connected(welcome)
    }

    fn handle_lost(&mut self, error: Error) -> Result<Happening, Error> {
        if let Link::Up { since, .. } = &self.link {
            self.backoff.handle_lost(since.elapsed());
        }
        self.outbox.handle_lost();
        self.opening.clear();
        let random = f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX);
        let wait = self.backoff.next(random, error.retry_after());
        self.link = Link::Down { until: Instant::now() + wait };
        // The one token that there is has ended, and would again.
        let ended = CloseCode::TokenExpired.code();
        let expired = matches!(&error, Error::Closed(closed) if closed.code == ended);
        if expired || error.is_final() { Err(error) } else { Ok(Happening::Lost(error, wait)) }
    }

    /// What a frame means; `None` if it is nothing new.
    fn handle_frame(&mut self, frame: Frame) -> Option<Happening> {
        if let Some(id) = frame.id() {
            let refusal = frame.refusal();
            let opened = self.opening.remove(&id);
            if let (Some(channel), Some(_)) = (opened, &refusal) {
                self.subscriptions.remove(&channel);
            }
            match self.outbox.handle(id, refusal.as_ref()) {
                Some(Outcome::Stored(ticket)) => return Some(Happening::Stored(ticket, frame)),
                Some(Outcome::Refused(ticket)) => {
                    return refusal.map(|refusal| Happening::Refused(ticket, refusal));
                }
                Some(Outcome::Again(wait)) => {
                    self.outbox_at = Some(Instant::now() + wait);
                    return None;
                }
                None => {}
            }
        }
        self.is_news(&frame).then_some(Happening::Frame(frame))
    }

    /// Keeps positions up to date; whether the frame is to be shown.
    fn is_news(&mut self, frame: &Frame) -> bool {
        let fields = frame.decode();
        let Some(channel) = &fields.channel else { return true };
        let Some(subscription) = self.subscriptions.get_mut(&**channel) else { return true };
        let epoch = || fields.epoch.as_ref().map(|epoch| epoch.to_string());
        match (frame.kind(), fields.offset) {
            ("event", Some(offset)) => return subscription.advance(offset),
            ("subscribed", Some(offset)) => {
                let kept = subscription.since.take().filter(|_| fields.recovered);
                // What is rewound to comes next and is not old news.
                let fresh =
                    || (epoch().unwrap_or_default(), offset.saturating_sub(subscription.rewind));
                subscription.since = Some(kept.unwrap_or_else(fresh));
            }
            ("gap", _) => {
                let to = &frame.value()["to"];
                if let (Some(epoch), Some(offset)) = (to["epoch"].as_str(), to["offset"].as_u64()) {
                    subscription.since = Some((epoch.into(), offset));
                }
            }
            // The server has ended it.
            ("error", _) if frame.id().is_none() => {
                self.subscriptions.remove(&**channel);
            }
            _ => {}
        }
        true
    }
}

fn connect(address: &Address, options: &Options) -> Connecting {
    let (address, options) = (address.clone(), options.clone());
    Box::pin(async move { Client::connect_to(&address, &options).await })
}

/// Sends what opens a subscription; returns the id of its command.
fn open(client: &mut Client, channel: &str, subscription: &Subscription) -> u64 {
    let id = client.command("subscribe", subscription.fields(channel));
    if let Some(data) = &subscription.enter {
        client.command("enter", json!({ "channel": channel, "data": data }));
    }
    id
}
