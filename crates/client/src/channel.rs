//! What can be done in a channel.

use std::future::IntoFuture;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use tokio::sync::oneshot;

use crate::amend::Amend;
use crate::client::to_json;
use crate::driver::{Request, Wish};
use crate::frame::{Ack, Position};
use crate::outbox::Draft;
use crate::push::{Members, Page};
use crate::{Client, Error, Subscription};

/// A future of this crate.
pub(crate) type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// A channel of a client. Clones are the same channel.
#[derive(Clone, Debug)]
pub struct Channel {
    client: Client,
    name: String,
}

impl Channel {
    pub(crate) fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// `namespace:name`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Subscribes: `channel.subscribe().rewind(20).await?`.
    pub fn subscribe(&self) -> Subscribe {
        Subscribe { channel: self.clone(), wish: Wish::default() }
    }

    /// Publishes, exactly once and in order whatever happens to connections:
    /// `channel.publish(data).await?` waits until it is stored.
    pub fn publish(&self, data: impl Serialize) -> Publish {
        Publish {
            channel: self.clone(),
            data: to_json(&data),
            event: None,
            key: None,
            ephemeral: false,
            echo: true,
            age_max: None,
        }
    }

    /// Gives an event of one's own other data: `channel.edit(offset, data).await?`. It goes through
    /// the outbox like a publish.
    pub fn edit(&self, offset: u64, data: impl Serialize) -> Amend {
        Amend::new(self, "edit", offset, Some(to_json(&data)))
    }

    /// Deletes an event of one's own.
    pub fn delete(&self, offset: u64) -> Amend {
        Amend::new(self, "delete", offset, None)
    }

    /// Reacts to an event.
    pub fn react(&self, offset: u64, reaction: &str) -> Amend {
        Amend::new(self, "react", offset, None).with("reaction", reaction)
    }

    /// Takes a reaction back.
    pub fn unreact(&self, offset: u64, reaction: &str) -> Amend {
        self.react(offset, reaction).with("remove", true)
    }

    pub(crate) async fn put(&self, draft: Draft, echo: bool) -> Result<Published, Error> {
        let publish = |reply| Request::Publish { draft, echo, reply };
        let answer = Waiting::Stored(self.client.queue(publish).await?);
        Ok(Published { client: self.client.clone(), answer })
    }

    /// Reads history: the newest events, or those before or after one.
    pub fn history(&self) -> History {
        History { channel: self.clone(), before: None, after: None, limit: None }
    }

    /// Who is here.
    ///
    /// # Errors
    /// When the server refuses it, or the client ends.
    pub async fn presence(&self) -> Result<Members, Error> {
        let body = json!({ "type": "presence", "channel": self.name }).to_string();
        self.client.ask(body, true).await.map(Members::new)
    }

    /// Is here, with `data` that all can see, until [`Channel::leave`]: after a lost connection the
    /// client enters again by itself. Waits until the server knows it.
    ///
    /// # Errors
    /// When the server refuses it, or the client ends.
    pub async fn enter(&self, data: impl Serialize) -> Result<(), Error> {
        self.say(&data, false).await
    }

    /// Changes what [`Channel::enter`] said.
    ///
    /// # Errors
    /// As there.
    pub async fn update(&self, data: impl Serialize) -> Result<(), Error> {
        self.say(&data, true).await
    }

    async fn say(&self, data: &impl Serialize, update: bool) -> Result<(), Error> {
        let (channel, data) = (self.name.clone(), to_json(data)?);
        self.client.send(|reply| Request::Enter { channel, data, update, reply }).await??;
        Ok(())
    }

    /// Is not here any more.
    ///
    /// # Errors
    /// When the server refuses it, or the client ends.
    pub async fn leave(&self) -> Result<(), Error> {
        let channel = self.name.clone();
        self.client.send(|reply| Request::Leave { channel, reply }).await??;
        Ok(())
    }
}

/// A subscription to be made; `.await` makes it.
#[derive(Clone, Debug)]
#[must_use = "nothing happens until it is awaited"]
pub struct Subscribe {
    channel: Channel,
    wish: Wish,
}

impl Subscribe {
    /// Begins behind this event. If history no longer reaches back to it, a
    /// [`Gap`](crate::Gap) says so.
    pub fn since(mut self, position: Position) -> Self {
        self.wish.since = Some(position);
        self
    }

    /// Begins with so many of the newest events; with [`Subscribe::since`], if that cannot be
    /// recovered.
    pub fn rewind(mut self, events: u64) -> Self {
        self.wish.rewind = events;
        self
    }

    /// Tells who comes and goes, too.
    pub fn presence(mut self) -> Self {
        self.wish.presence = true;
        self
    }

    /// Subscribes as soon as there is a connection, without waiting for that. If the server refuses
    /// it, the subscription's stream says so.
    ///
    /// # Errors
    /// When this client has a subscription to the channel already, or has ended.
    pub async fn later(self) -> Result<Subscription, Error> {
        let Channel { client, name } = self.channel;
        let (channel, wish) = (name, self.wish);
        let spring = client.send(|reply| Request::Follow { channel, wish, reply }).await??;
        Ok(Subscription::new(spring, client))
    }
}

/// Waits until the server has taken it, however long it takes to be connected.
impl IntoFuture for Subscribe {
    type Output = Result<Subscription, Error>;
    type IntoFuture = Answer<Subscription>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut subscription = self.later().await?;
            subscription.begin().await?;
            Ok(subscription)
        })
    }
}

/// A publish to be made; `.await` makes it and waits until it is stored.
#[derive(Debug)]
#[must_use = "nothing happens until it is awaited"]
pub struct Publish {
    channel: Channel,
    data: Result<String, Error>,
    event: Option<String>,
    key: Option<String>,
    ephemeral: bool,
    echo: bool,
    age_max: Option<Duration>,
}

impl Publish {
    /// The event's name inside the channel.
    pub fn event(mut self, name: impl Into<String>) -> Self {
        self.event = Some(name.into());
        self
    }

    /// A key of the program's own: a second publish with the same one is not stored again, whoever
    /// sends it.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// To whoever is subscribed now; it is not stored or repeated, and fails without a connection.
    pub fn ephemeral(mut self) -> Self {
        self.ephemeral = true;
        self
    }

    /// Not to this client.
    pub fn no_echo(mut self) -> Self {
        self.echo = false;
        self
    }

    /// Waits for a connection for so long at most; see
    /// [`OutboxLimits::age`](crate::OutboxLimits::age).
    pub fn max_age(mut self, age: Duration) -> Self {
        self.age_max = Some(age);
        self
    }

    /// Puts it into the outbox, and does not wait until it is stored. It will be even if what is
    /// returned is dropped. What is queued in turn is stored in that order.
    ///
    /// # Errors
    /// When the client has ended.
    pub async fn queue(self) -> Result<Published, Error> {
        let Channel { client, name } = &self.channel;
        let mut frame = json!({ "type": "publish", "channel": name });
        for (member, value) in [("event", &self.event), ("key", &self.key)] {
            if let Some(value) = value {
                frame[member] = value.as_str().into();
            }
        }
        if !self.echo {
            frame["echo"] = false.into();
        }
        if self.ephemeral {
            frame["ephemeral"] = true.into();
        }
        let frame = format!(r#"{{"data":{},{}"#, self.data?, &frame.to_string()[1..]);
        if self.ephemeral {
            let ask = |reply| Request::Ask { body: frame, read: false, reply };
            let answer = Waiting::Ephemeral(client.queue(ask).await?);
            return Ok(Published { client: client.clone(), answer });
        }
        let (keyed, age_max) = (self.key.is_some(), self.age_max);
        let draft = Draft { channel: name.clone(), frame, keyed, age_max };
        self.channel.put(draft, self.echo).await
    }
}

impl IntoFuture for Publish {
    type Output = Result<Ack, Error>;
    type IntoFuture = Answer<Ack>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.queue().await?.await })
    }
}

/// A publish on its way: a future of what became of it.
#[derive(Debug)]
pub struct Published {
    client: Client,
    answer: Waiting,
}

#[derive(Debug)]
enum Waiting {
    Ephemeral(oneshot::Receiver<Result<crate::Frame, Error>>),
    Stored(oneshot::Receiver<Result<Ack, Error>>),
}

impl Future for Published {
    type Output = Result<Ack, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match &mut self.answer {
            Waiting::Ephemeral(answer) => Pin::new(answer)
                .poll(cx)
                .map(|answer| answer.map(|answer| answer.map(|frame| frame.ack()))),
            Waiting::Stored(answer) => Pin::new(answer).poll(cx),
        };
        answer.map(|answer| answer.unwrap_or_else(|_| Err(self.client.ended())))
    }
}

/// A page of history to be read; `.await` reads it.
#[derive(Clone, Debug)]
#[must_use = "nothing happens until it is awaited"]
pub struct History {
    channel: Channel,
    before: Option<u64>,
    after: Option<u64>,
    limit: Option<u64>,
}

impl History {
    /// The events just below this offset.
    pub fn before(mut self, offset: u64) -> Self {
        self.before = Some(offset);
        self
    }

    /// The events just above this offset.
    pub fn after(mut self, offset: u64) -> Self {
        self.after = Some(offset);
        self
    }

    /// So many at most; 100 is the most that there is.
    pub fn limit(mut self, events: u64) -> Self {
        self.limit = Some(events);
        self
    }
}

/// Waits for a connection, if there is none.
impl IntoFuture for History {
    type Output = Result<Page, Error>;
    type IntoFuture = Answer<Page>;

    fn into_future(self) -> Self::IntoFuture {
        let Channel { client, name } = self.channel;
        let mut body = json!({ "type": "history", "channel": name });
        let members = [("before", self.before), ("after", self.after), ("limit", self.limit)];
        for (member, value) in members {
            if let Some(value) = value {
                body[member] = value.into();
            }
        }
        Box::pin(async move { Page::new(client.ask(body.to_string(), true).await?) })
    }
}
