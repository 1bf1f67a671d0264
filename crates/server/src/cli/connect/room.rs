//! The room that one is in, and what was asked of the server.

use serde_json::{Value, json};
use tidings_client::{Ack, Channel, Client, Error, Frame, Push, Subscription};
use tidings_proto::ChannelName;
use tokio::task::JoinSet;

use super::view::View;

/// What a reply is the answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    History(u64),
    Raw,
    Who,
}

/// Something asked for has come to its end.
#[derive(Debug)]
pub(super) enum Done {
    Asked(Asked, Result<Frame, Error>),
    Entered(Result<(), Error>),
    Left,
    Said(Result<Ack, Error>),
}

/// What happens in a room.
#[derive(Debug)]
pub(super) enum Happening {
    Done(Done),
    Push(Result<Push, Error>),
}

/// At most one room at a time.
pub(super) struct Room {
    pub(super) client: Client,
    namespace: String,
    /// What others call us.
    nickname: Option<String>,
    rewind: u64,
    channel: Option<Channel>,
    subscription: Option<Subscription>,
    /// Whether the server has let us in, now or before a lost connection.
    inside: bool,
    under_way: JoinSet<Done>,
}

impl Room {
    pub(super) fn new(
        client: Client,
        namespace: String,
        nickname: Option<String>,
        rewind: u64,
    ) -> Self {
        Self {
            client,
            namespace,
            nickname: nickname.filter(|name| !name.trim().is_empty()),
            rewind,
            channel: None,
            subscription: None,
            inside: false,
            under_way: JoinSet::new(),
        }
    }

    /// The room's name, without the namespace that goes without saying.
    pub(super) fn name(&self) -> &str {
        let channel = self.channel.as_ref().map(Channel::name).unwrap_or_default();
        let short = channel.strip_prefix(&*self.namespace);
        short.and_then(|rest| rest.strip_prefix(':')).unwrap_or(channel)
    }

    /// Whether everything asked for is answered and everything said is stored.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way.is_empty() && (self.inside || self.channel.is_none())
    }

    /// Waits for what happens, for ever if that is nothing. Pushes wait until they are wanted.
    pub(super) async fn next(&mut self, pushes: bool) -> Happening {
        loop {
            tokio::select! {
                push = next_push(&mut self.subscription), if pushes => match push {
                    Some(push) => return Happening::Push(push),
                    // The client has ended, and its status says why.
                    None => self.subscription = None,
                },
                Some(done) = self.under_way.join_next() => match done {
                    Ok(done) => return Happening::Done(done),
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
                else => std::future::pending().await,
            }
        }
    }

    pub(super) async fn join(&mut self, room: &str) -> Result<(), String> {
        let name = match room.contains(':') {
            true => room.to_owned(),
            false => format!("{}:{room}", self.namespace),
        };
        ChannelName::parse(&name, 255).map_err(|error| error.to_string())?;
        if self.channel.as_ref().is_some_and(|channel| channel.name() == name) {
            return Err(format!("you are in {} already", self.name()));
        }
        if self.channel.is_some() {
            self.leave()?;
        }
        let channel = self.client.channel(&name);
        let subscribe = channel.subscribe().rewind(self.rewind).presence();
        self.subscription = Some(subscribe.later().await.map_err(|error| error.to_string())?);
        let me = self.nickname.as_ref().map_or(json!({}), |name| json!({ "name": name }));
        let entering = channel.clone();
        self.under_way.spawn(async move { Done::Entered(entering.enter(me).await) });
        self.channel = Some(channel);
        Ok(())
    }

    pub(super) fn leave(&mut self) -> Result<(), String> {
        let channel = self.channel.take().ok_or_else(nowhere)?;
        self.inside = false;
        self.subscription = None;
        self.under_way.spawn(async move {
            let _ = channel.leave().await;
            Done::Left
        });
        Ok(())
    }

    /// The server does not want us in the room.
    pub(super) fn handle_refused(&mut self) {
        (self.channel, self.subscription, self.inside) = (None, None, false);
    }

    pub(super) async fn say(&mut self, text: &str) -> Result<(), String> {
        let channel = self.channel.as_ref().ok_or_else(nowhere)?;
        let mut data = json!({ "text": text });
        if let Some(name) = &self.nickname {
            data["name"] = name.as_str().into();
        }
        let said = channel.publish(data).event("message").queue().await;
        let said = said.map_err(|error| error.to_string())?;
        self.under_way.spawn(async move { Done::Said(said.await) });
        Ok(())
    }

    pub(super) fn ask(&mut self, what: Asked) -> Result<(), String> {
        let channel = self.channel.clone().ok_or_else(nowhere)?;
        self.under_way.spawn(async move {
            let answer = match what {
                Asked::History(count) => {
                    channel.history().limit(count).await.map(|page| page.frame().clone())
                }
                Asked::Who | Asked::Raw => {
                    channel.presence().await.map(|members| members.frame().clone())
                }
            };
            Done::Asked(what, answer)
        });
        Ok(())
    }

    /// Sends a command as it stands, but for its `id`.
    pub(super) fn raw(&mut self, json: &str) -> Result<(), String> {
        let fields: Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let kind = fields["type"].as_str().ok_or("it has no type")?.to_owned();
        let client = self.client.clone();
        self.under_way.spawn(async move {
            let answer = client.request(&kind, fields).await;
            Done::Asked(Asked::Raw, answer)
        });
        Ok(())
    }

    /// The lines of an answer.
    pub(super) fn answer(view: &mut View, asked: Asked, frame: &Frame) -> String {
        match asked {
            Asked::Raw => view.note(frame.text()),
            Asked::History(_) => history(view, frame),
            Asked::Who => {
                let here = view.members(&frame.decode());
                let left = view.departed(&frame.value());
                view.note(&[Some(here), left].into_iter().flatten().collect::<Vec<_>>().join("\n"))
            }
        }
    }

    /// The line of a push; `None` if there is nothing to say.
    pub(super) fn show(&mut self, view: &mut View, push: &Push) -> Option<String> {
        let Push::Subscribed(_) = push else { return view.push(push.frame()) };
        let members = view.members(&push.frame().decode());
        let how = if std::mem::replace(&mut self.inside, true) { "back in" } else { "in" };
        Some(view.note(&format!("{how} {}; {members}", self.name())))
    }
}

async fn next_push(subscription: &mut Option<Subscription>) -> Option<Result<Push, Error>> {
    match subscription {
        Some(subscription) => subscription.next().await,
        None => std::future::pending().await,
    }
}

fn nowhere() -> String {
    "you are in no room: /join one".into()
}

fn history(view: &mut View, frame: &Frame) -> String {
    let fields = frame.decode();
    let mut lines = vec![view.note("— history —")];
    for event in fields.events.iter().flatten() {
        let event = event.get().parse::<Frame>();
        lines.extend(event.ok().and_then(|event| view.push(&event)));
    }
    lines.push(view.note(if fields.more == Some(true) {
        "— there is more —"
    } else {
        "— all —"
    }));
    lines.join("\n")
}
