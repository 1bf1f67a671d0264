//! What a story is told with.

use serde_json::{Value, json};

use super::World;
use crate::client::{Client, Sub};

/// A client of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Who(pub(crate) usize);

/// A stretch of virtual time: `30.secs()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(u64);

impl Span {
    pub(crate) fn from_ms(ms: u64) -> Span {
        Span(ms)
    }

    pub(crate) fn ms(self) -> u64 {
        self.0
    }
}

/// Makes spans of numbers.
pub trait Time {
    /// So many milliseconds.
    fn ms(self) -> Span;
    /// So many seconds.
    fn secs(self) -> Span;
    /// So many minutes.
    fn mins(self) -> Span;
}

impl Time for u64 {
    fn ms(self) -> Span {
        Span(self)
    }

    fn secs(self) -> Span {
        Span(self * 1000)
    }

    fn mins(self) -> Span {
        Span(self * 60_000)
    }
}

/// Long enough for a command and its answer, and for what follows from it.
const SOON: Span = Span(300);

impl World {
    /// Lets time pass.
    pub fn run(&mut self, span: Span) {
        self.pass(span.0);
    }

    fn add(&mut self, client: Client) -> Who {
        self.clients.push(client);
        Who(self.clients.len() - 1)
    }

    /// A client of this user, with a token, connected; it comes back by itself.
    pub fn user(&mut self, name: &str) -> Who {
        self.user_with(name, &format!("user:{name}"))
    }

    /// The same, with a token of its own.
    pub fn user_with(&mut self, name: &str, token: &str) -> Who {
        let who = self.add(Client::new(name, Some(token.into()), true));
        self.connect(who.0);
        self.run(SOON);
        who
    }

    /// An anonymous client, connected; it comes back by itself.
    pub fn anonymous(&mut self) -> Who {
        let who = self.add(Client::new("somebody", None, true));
        self.connect(who.0);
        self.run(SOON);
        who
    }

    /// A connection that does nothing by itself: no hello, no return.
    pub fn stranger(&mut self) -> Who {
        self.stranger_with(None)
    }

    /// The same, with an `Authorization` header.
    pub fn stranger_with(&mut self, header: Option<&str>) -> Who {
        let mut client = Client::new("stranger", header.map(Into::into), false);
        client.in_header = true;
        let who = self.add(client);
        self.connect(who.0);
        self.run(SOON);
        who
    }

    /// Sends a command without waiting. Its id.
    ///
    /// # Panics
    /// There is no connection.
    #[track_caller]
    pub fn tell(&mut self, who: Who, command: Value) -> u64 {
        let id = self.transmit(who.0, command);
        assert!(id.is_some(), "{} has no connection", self.clients[who.0].name);
        id.unwrap_or(0)
    }

    /// Sends a command; the answer, or `null` if none came in ten seconds.
    ///
    /// # Panics
    /// There is no connection.
    #[track_caller]
    pub fn ask(&mut self, who: Who, command: Value) -> Value {
        let id = self.tell(who, command);
        for _ in 0..100 {
            self.run(Span(100));
            if let Some(answer) = self.answer(who, id) {
                return answer;
            }
        }
        Value::Null
    }

    /// The answer to a command, if it has come.
    pub fn answer(&self, who: Who, id: u64) -> Option<Value> {
        self.clients[who.0].answers.get(&id).cloned()
    }

    /// Sends any text, and waits a little.
    ///
    /// # Panics
    /// There is no connection.
    #[track_caller]
    pub fn send_text(&mut self, who: Who, text: &str) {
        let link = self.clients[who.0].link;
        assert!(link.is_some(), "{} has no connection", self.clients[who.0].name);
        self.upload(link.unwrap_or(0), text.into());
        self.run(SOON);
    }

    /// Subscribes.
    pub fn join(&mut self, who: Who, channel: &str) {
        self.join_with(who, channel, 0, false);
    }

    /// Subscribes, with a rewind and with presence or not.
    pub fn join_with(&mut self, who: Who, channel: &str, rewind: u64, presence: bool) {
        let sub = self.clients[who.0].subs.entry(channel.into()).or_default();
        (sub.rewind, sub.presence) = (rewind, presence);
        self.subscribe(who.0, channel);
        self.run(SOON);
    }

    /// Unsubscribes.
    pub fn part(&mut self, who: Who, channel: &str) {
        self.unwant(who, channel);
        self.run(SOON);
    }

    pub(crate) fn unwant(&mut self, who: Who, channel: &str) {
        if let Some(sub) = self.clients[who.0].subs.get_mut(channel) {
            (sub.wanted, sub.position) = (false, None);
        }
        self.clients[who.0].entered.remove(channel);
        self.transmit(who.0, json!({ "type": "unsubscribe", "channel": channel }));
    }

    /// Publishes a text through the outbox.
    pub fn say(&mut self, who: Who, channel: &str, text: &str) {
        self.post(who.0, channel, json!({ "data": text }));
        self.run(SOON);
    }

    /// Publishes through the outbox, with further fields, without waiting.
    pub fn publish(&mut self, who: Who, channel: &str, fields: Value) {
        self.post(who.0, channel, fields);
    }

    /// Enters a channel.
    pub fn enter(&mut self, who: Who, channel: &str, data: impl Into<Value>) -> Value {
        let data = data.into();
        self.ask(who, json!({ "type": "enter", "channel": channel, "data": data }))
    }

    /// Goes away for good; the node hears of it.
    pub fn leave_for_good(&mut self, who: Who) {
        if let Some(link) = self.clients[who.0].link {
            self.links[link].goodbye = true;
        }
        self.go_away(who);
    }

    /// Is away and does not come back before [`come_back`](Self::come_back).
    pub fn go_away(&mut self, who: Who) {
        self.clients[who.0].stopped = true;
        self.drop_link(who);
        self.run(SOON);
    }

    /// Comes back.
    pub fn come_back(&mut self, who: Who) {
        self.clients[who.0].stopped = false;
        self.connect(who.0);
        self.run(SOON);
    }

    /// Comes back and reads nothing behind its `welcome`.
    pub fn come_back_stalled(&mut self, who: Who) {
        self.clients[who.0].stopped = false;
        self.connect(who.0);
        while !self.is_up(who) && !self.is_idle() {
            self.run(Span(1));
        }
        self.stall(who);
        self.run(SOON);
    }

    fn sub(&self, who: Who, channel: &str) -> Option<&Sub> {
        self.clients[who.0].subs.get(channel)
    }

    /// The texts of all events that a client has, each once, in order.
    pub fn heard(&self, who: Who, channel: &str) -> Vec<String> {
        self.sub(who, channel).map_or_else(Vec::new, |sub| sub.heard.clone())
    }

    /// The ephemeral ones.
    pub fn whispers(&self, who: Who, channel: &str) -> Vec<String> {
        self.sub(who, channel).map_or_else(Vec::new, |sub| sub.whispers.clone())
    }

    /// The reasons of all gaps.
    pub fn gaps(&self, who: Who, channel: &str) -> Vec<String> {
        self.sub(who, channel).map_or_else(Vec::new, |sub| sub.gaps.clone())
    }

    /// What each `subscribed` said.
    pub fn recovered(&self, who: Who, channel: &str) -> Vec<bool> {
        self.sub(who, channel).map_or_else(Vec::new, |sub| sub.recovered.clone())
    }

    /// The position that a client has: epoch and offset.
    pub fn position(&self, who: Who, channel: &str) -> Option<(String, u64)> {
        let at = self.sub(who, channel)?.position.as_ref()?;
        Some((at.epoch.clone(), at.offset))
    }

    /// How many publishes wait in a client's outboxes.
    pub fn unsent(&self, who: Who) -> usize {
        self.clients[who.0].outboxes.values().map(crate::client::Outbox::len).sum()
    }

    /// All frames that a client was ever sent.
    pub fn frames(&self, who: Who) -> &[Value] {
        &self.clients[who.0].frames
    }

    /// Those of one type.
    pub fn frames_of(&self, who: Who, kind: &str) -> Vec<Value> {
        self.frames(who).iter().filter(|frame| frame["type"] == kind).cloned().collect()
    }

    /// The codes with which a client's connections ended; 0: without one.
    pub fn closed(&self, who: Who) -> &[u16] {
        &self.clients[who.0].closed
    }

    /// Whether a client has been welcomed and is connected.
    pub fn is_up(&self, who: Who) -> bool {
        self.clients[who.0].welcome
    }

    /// The members that a client sees by its subscription; `None`: it is told counts alone.
    pub fn members(&self, who: Who, channel: &str) -> Option<Vec<(String, u64)>> {
        let members = self.sub(who, channel)?.members.as_ref()?;
        Some(members.iter().map(|(user, sessions)| (user.clone(), *sessions)).collect())
    }
}
