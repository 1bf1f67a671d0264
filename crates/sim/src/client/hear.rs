//! What a client makes of the frames that it is sent.

use serde_json::{Value, json};

use super::{Asked, Client, pos, text};
use crate::checker::{Op, Pos};
use crate::world::{World, connection};

/// Codes after which the same publish will never be stored.
const FOR_GOOD: [&str; 6] =
    ["bad_request", "forbidden", "invalid_data", "not_found", "too_large", "unauthorized"];

/// What an event said when it was published; empty: it was changed since.
pub(crate) fn original(event: &Value) -> String {
    let changed = event["edited"].is_string() || event["deleted"] == true;
    if changed { String::new() } else { event["data"].to_string() }
}

impl Client {
    pub(super) fn publish_of(&self, id: u64) -> Option<u64> {
        match self.asked.get(&id)? {
            Asked::Publish { publish, .. } => Some(*publish),
            _ => None,
        }
    }
}

fn users(list: &Value) -> std::collections::BTreeMap<String, u64> {
    let members = list.as_array().into_iter().flatten();
    members.map(|one| (text(one, "user"), one["sessions"].as_u64().unwrap_or(0))).collect()
}

impl World {
    /// A client has read a frame.
    ///
    /// # Panics
    /// It is not JSON.
    pub(crate) fn hear(&mut self, link: usize, frame: &str) {
        let client = self.client_of(link);
        let parsed = serde_json::from_str(frame);
        assert!(parsed.is_ok(), "not JSON: {frame}");
        let frame: Value = parsed.unwrap_or_default();
        match frame["type"].as_str().unwrap_or_default() {
            "event" => self.hear_event(client, &frame),
            "edited" | "deleted" | "reacted" | "hidden" => self.hear_change(client, &frame),
            "gap" => self.hear_gap(client, &frame),
            "presence" => self.hear_presence(client, &frame),
            "expiring" => {}
            "bye" => self.said_bye(client, frame["retry_after"].as_u64()),
            kind => {
                if let Some(id) = frame["id"].as_u64() {
                    self.note(Op::Answer { connection: connection(link), id });
                    let asked = self.clients[client].asked.remove(&id);
                    self.hear_answer(client, link, kind, asked, &frame);
                    self.clients[client].answers.insert(id, frame.clone());
                } else if kind == "error" && frame["channel"].is_string() {
                    self.subscription_over(client, &text(&frame, "channel"));
                }
            }
        }
        self.clients[client].frames.push(frame);
    }

    fn hear_answer(
        &mut self,
        client: usize,
        link: usize,
        kind: &str,
        asked: Option<Asked>,
        frame: &Value,
    ) {
        let failed = kind == "error";
        match asked {
            Some(Asked::Subscribe { channel, since, rewind }) if !failed => {
                let at = pos(frame).unwrap_or(Pos { epoch: String::new(), offset: 0 });
                self.subscribed(client, link, channel, at, (since, rewind), frame);
            }
            Some(Asked::Unsubscribe { channel }) if !failed => {
                self.subscription_over(client, &channel);
            }
            Some(Asked::Publish { publish, outbox, change }) => {
                self.hear_published(client, (publish, change), outbox, failed, frame);
            }
            Some(Asked::Enter { channel, data }) if !failed => {
                self.clients[client].entered.insert(channel, data);
            }
            // Whoever wants to be seen asks again.
            Some(Asked::Enter { channel, data }) if frame["retryable"] == true => {
                let again = json!({ "type": "enter", "channel": channel, "data": data });
                self.transmit(client, again);
            }
            Some(Asked::Leave { channel }) if !failed => {
                self.clients[client].entered.remove(&channel);
            }
            _ if kind == "welcome" => self.welcomed(client, frame),
            _ => {}
        }
    }

    fn hear_published(
        &mut self,
        client: usize,
        (publish, change): (u64, bool),
        outbox: Option<String>,
        failed: bool,
        frame: &Value,
    ) {
        if !failed {
            let (at, duplicate) = (pos(frame), frame["duplicate"] == true);
            if let (false, Some(Pos { offset, .. })) = (change, &at) {
                self.stored.push((client, text(frame, "channel"), *offset));
            }
            self.note(Op::Ok { publish, at, duplicate });
            if let Some(channel) = outbox {
                self.posted(client, &channel, publish, None, None);
            }
            return;
        }
        let code = text(frame, "code");
        let certain = FOR_GOOD.contains(&&*code);
        self.note(Op::Fail { publish, code, certain: certain && !change });
        if let Some(channel) = outbox {
            let retry = (!certain).then(|| frame["retry_after"].as_u64().unwrap_or(1000));
            self.posted(client, &channel, publish, retry, frame["expected"].as_u64());
        }
    }

    fn subscribed(
        &mut self,
        client: usize,
        link: usize,
        channel: String,
        at: Pos,
        (since, rewind): (Option<Pos>, u64),
        frame: &Value,
    ) {
        let recovered = frame["recovered"] == true;
        self.subscriptions += 1;
        let subscription = self.subscriptions;
        let Some(sub) = self.clients[client].subs.get_mut(&channel) else { return };
        sub.active = Some(subscription);
        sub.recovered.push(recovered);
        if since.is_none() && rewind == 0 {
            sub.position = Some(at.clone());
        } else if since.is_none() {
            // Known with the first event; until then only the epoch is.
            sub.position = (at.offset == 0).then(|| at.clone());
        }
        sub.members = frame["members"].is_array().then(|| users(&frame["members"]));
        let connection = connection(link);
        self.note(Op::Subscribed {
            subscription,
            connection,
            channel: channel.clone(),
            at: at.clone(),
            since,
            rewind,
            recovered,
        });
        self.epochs.insert((client, channel), at.epoch);
    }

    fn subscription_over(&mut self, client: usize, channel: &str) {
        self.clients[client].entered.remove(channel);
        let Some(sub) = self.clients[client].subs.get_mut(channel) else { return };
        if let Some(subscription) = sub.active.take() {
            self.note(Op::Unsubscribed { subscription });
        }
    }

    fn hear_event(&mut self, client: usize, frame: &Value) {
        let channel = text(frame, "channel");
        let offset = frame["offset"].as_u64();
        let data = &frame["data"];
        let shown = data.as_str().map_or_else(|| data.to_string(), ToOwned::to_owned);
        let epoch = self.epochs.get(&(client, channel.clone())).cloned().unwrap_or_default();
        let sub = self.clients[client].subs.entry(channel.clone()).or_default();
        let subscription = sub.active.unwrap_or(0);
        match offset {
            None => sub.whispers.push(shown),
            Some(offset) => {
                let old = |at: &Pos| at.epoch == epoch && at.offset >= offset;
                if !sub.position.as_ref().is_some_and(old) {
                    sub.heard.push(shown);
                    sub.position = Some(Pos { epoch, offset });
                }
            }
        }
        let data = original(frame);
        self.note(Op::Delivered { subscription, channel, offset, data });
    }

    /// A change has a key that says which it is, unless it is hidden.
    fn hear_change(&mut self, client: usize, frame: &Value) {
        let channel = text(frame, "channel");
        let key = frame["key"].as_str().map(|key| Value::from(key).to_string());
        let key = key.unwrap_or_default();
        let offset = frame["offset"].as_u64();
        let epoch = self.epochs.get(&(client, channel.clone())).cloned().unwrap_or_default();
        let sub = self.clients[client].subs.entry(channel.clone()).or_default();
        let old = |at: &Pos| at.epoch == epoch && Some(at.offset) >= offset;
        if let Some(offset) = offset.filter(|_| !sub.position.as_ref().is_some_and(old)) {
            sub.position = Some(Pos { epoch, offset });
        }
        let subscription = sub.active.unwrap_or(0);
        self.note(Op::Delivered { subscription, channel, offset, data: key });
    }

    fn hear_gap(&mut self, client: usize, frame: &Value) {
        let sub = self.clients[client].subs.entry(text(frame, "channel")).or_default();
        sub.gaps.push(text(frame, "reason"));
        let (Some(from), Some(to)) = (pos(&frame["from"]), pos(&frame["to"])) else { return };
        sub.position = Some(to.clone());
        let subscription = sub.active.unwrap_or(0);
        self.note(Op::Gap { subscription, from, to });
    }

    fn hear_presence(&mut self, client: usize, frame: &Value) {
        let sub = self.clients[client].subs.entry(text(frame, "channel")).or_default();
        let member = &frame["member"];
        let user = text(member, "user");
        match (frame["action"].as_str().unwrap_or_default(), &mut sub.members) {
            ("count", members) => *members = None,
            ("leave", Some(members)) => {
                members.remove(&user);
            }
            (_, Some(members)) => {
                members.insert(user, member["sessions"].as_u64().unwrap_or(0));
            }
            (_, None) => {}
        }
    }
}
