//! The room that one is in, and what was asked of the server.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tidings_client::{Frame, Reconnecting, Subscription};
use tidings_proto::ChannelName;

use super::view::View;

/// What a reply is the answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    History(u64),
    Raw,
    Who,
}

/// At most one room at a time.
pub(super) struct Room {
    pub(super) client: Reconnecting,
    namespace: String,
    /// What others call us.
    nickname: Option<String>,
    rewind: u64,
    channel: Option<String>,
    /// Whether the server has let us in, now or before a lost connection.
    inside: bool,
    asked: BTreeMap<u64, Asked>,
    unsent: BTreeSet<u64>,
}

impl Room {
    pub(super) fn new(
        client: Reconnecting,
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
            inside: false,
            asked: BTreeMap::new(),
            unsent: BTreeSet::new(),
        }
    }

    /// The room's name, without the namespace that goes without saying.
    pub(super) fn name(&self) -> &str {
        let channel = self.channel.as_deref().unwrap_or_default();
        let short = channel.strip_prefix(&*self.namespace);
        short.and_then(|rest| rest.strip_prefix(':')).unwrap_or(channel)
    }

    /// Whether everything asked for is answered and everything said is stored.
    pub(super) fn is_idle(&self) -> bool {
        self.asked.is_empty() && self.unsent.is_empty() && (self.inside || self.channel.is_none())
    }

    /// The connection is lost: answers that were under way do not come.
    pub(super) fn handle_lost(&mut self) {
        self.asked.clear();
    }

    /// A publish has come to its end.
    pub(super) fn settle(&mut self, ticket: u64) {
        self.unsent.remove(&ticket);
    }

    pub(super) fn join(&mut self, room: &str) -> Result<(), String> {
        let channel = match room.contains(':') {
            true => room.to_owned(),
            false => format!("{}:{room}", self.namespace),
        };
        ChannelName::parse(&channel, 255).map_err(|error| error.to_string())?;
        if self.channel.as_ref() == Some(&channel) {
            return Err(format!("you are in {} already", self.name()));
        }
        if self.channel.is_some() {
            self.leave()?;
        }
        let me = self.nickname.as_ref().map_or(json!({}), |name| json!({ "name": name }));
        let subscription =
            Subscription { rewind: self.rewind, presence: true, enter: Some(me), since: None };
        self.client.subscribe(&channel, subscription);
        self.channel = Some(channel);
        Ok(())
    }

    pub(super) fn leave(&mut self) -> Result<(), String> {
        let channel = self.channel.take().ok_or_else(nowhere)?;
        self.inside = false;
        self.client.unsubscribe(&channel);
        Ok(())
    }

    pub(super) fn say(&mut self, text: &str) -> Result<(), String> {
        let channel = self.channel.as_ref().ok_or_else(nowhere)?;
        let mut data = json!({ "text": text });
        if let Some(name) = &self.nickname {
            data["name"] = name.as_str().into();
        }
        let fields = json!({ "event": "message", "data": data });
        let ticket = self.client.publish(channel, fields);
        self.unsent.insert(ticket.ok_or("too many messages wait: is there no connection?")?);
        Ok(())
    }

    pub(super) fn ask(&mut self, what: Asked) -> Result<(), String> {
        let channel = self.channel.as_ref().ok_or_else(nowhere)?;
        let id = match what {
            Asked::Who => self.client.command("presence", json!({ "channel": channel })),
            Asked::History(count) => {
                self.client.command("history", json!({ "channel": channel, "limit": count }))
            }
            Asked::Raw => None,
        };
        self.asked.insert(id.ok_or("there is no connection now")?, what);
        Ok(())
    }

    /// Sends JSON as it stands; without an `id` it gets one.
    pub(super) fn raw(&mut self, json: &str) -> Result<(), String> {
        let value: Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let kind = value["type"].as_str().unwrap_or_default().to_owned();
        let sent = if value.get("id").is_some() || kind.is_empty() {
            self.client.send_raw(json)
        } else {
            let id = self.client.command(&kind, value);
            id.inspect(|id| _ = self.asked.insert(*id, Asked::Raw)).is_some()
        };
        if sent { Ok(()) } else { Err("there is no connection now".into()) }
    }

    /// The lines of a frame; `None` if there is nothing to say.
    pub(super) fn show(&mut self, view: &mut View, frame: &Frame) -> Option<String> {
        let asked = frame.id().and_then(|id| self.asked.remove(&id));
        let refused = frame.kind() == "error";
        let fields = frame.decode();
        let here = fields.channel.as_deref() == self.channel.as_deref();
        match (frame.kind(), asked) {
            (_, Some(Asked::Raw)) => Some(view.note(frame.text())),
            ("members", Some(Asked::Who)) => {
                let here = view.members(&fields);
                let left = view.departed(&frame.value());
                Some(
                    view.note(
                        &[Some(here), left].into_iter().flatten().collect::<Vec<_>>().join("\n"),
                    ),
                )
            }
            ("history", Some(Asked::History(_))) => Some(history(view, frame)),
            ("subscribed", _) if here => {
                let members = view.members(&fields);
                let how = if self.inside { "back in" } else { "in" };
                self.inside = true;
                Some(view.note(&format!("{how} {}; {members}", self.name())))
            }
            ("subscribed" | "entered" | "unsubscribed", _) => None,
            // What is pushed from a room just left.
            ("event" | "presence" | "gap", _) if !here => None,
            _ => {
                let line = view.push(frame);
                if refused && here && (!self.inside || frame.id().is_none()) {
                    self.channel = None;
                    self.inside = false;
                }
                line
            }
        }
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
