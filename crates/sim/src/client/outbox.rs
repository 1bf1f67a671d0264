//! Publishes that must become exactly one event each, in order, whatever happens.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::world::{Event, World};

/// What waits to be stored in one channel.
#[derive(Debug)]
pub(crate) struct Outbox {
    producer: String,
    next_seq: u64,
    waiting: VecDeque<Waiting>,
    /// What the server said would follow.
    expected: Option<u64>,
    retrying: bool,
}

#[derive(Debug)]
struct Waiting {
    seq: u64,
    fields: Value,
    /// Its publish's number, once it was sent.
    publish: Option<u64>,
    /// It is under way.
    sent: bool,
}

impl Outbox {
    /// The connection is over: nothing is under way.
    pub(crate) fn forget(&mut self) {
        self.waiting.iter_mut().for_each(|one| one.sent = false);
        self.retrying = false;
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

impl World {
    /// Publishes through the outbox; `fields` are those of the command.
    pub(crate) fn post(&mut self, client: usize, channel: &str, mut fields: Value) {
        if fields["type"].is_null() {
            fields["type"] = "publish".into();
        } else if fields["key"].is_null() {
            fields["key"] = self.change_key();
        }
        fields["channel"] = channel.into();
        let fresh = || Outbox {
            producer: format!("p-{client}"),
            next_seq: 1,
            waiting: VecDeque::new(),
            expected: None,
            retrying: false,
        };
        let outboxes = &mut self.clients[client].outboxes;
        let outbox = outboxes.entry(channel.to_owned()).or_insert_with(fresh);
        let seq = outbox.next_seq;
        outbox.next_seq += 1;
        outbox.waiting.push_back(Waiting { seq, fields, publish: None, sent: false });
        // Once something waits to be sent again, the rest waits behind it.
        if !outbox.retrying {
            self.resend(client, channel);
        }
    }

    /// Sends, in order, all that is not under way.
    pub(crate) fn resend(&mut self, client: usize, channel: &str) {
        if !self.clients[client].welcome {
            return;
        }
        let Some(outbox) = self.clients[client].outboxes.get_mut(channel) else { return };
        if let (Some(expected), Some(first)) = (outbox.expected.take(), outbox.waiting.front())
            && first.seq > expected
        {
            // The server has forgotten, or never counted, what came before.
            let down = first.seq - expected;
            outbox.waiting.iter_mut().for_each(|one| one.seq -= down);
            outbox.next_seq -= down;
        }
        let mut frames = Vec::new();
        for (index, one) in outbox.waiting.iter_mut().enumerate() {
            if !std::mem::replace(&mut one.sent, true) {
                let mut frame = one.fields.clone();
                frame["producer"] = outbox.producer.as_str().into();
                frame["seq"] = one.seq.into();
                frame["outbox"] = json!(channel);
                frames.push((index, frame));
            }
        }
        for (index, frame) in frames {
            let Some(id) = self.transmit(client, frame) else { return };
            let publish = self.clients[client].publish_of(id);
            if let Some(outbox) = self.clients[client].outboxes.get_mut(channel) {
                outbox.waiting[index].publish = publish;
            }
        }
    }

    /// The time has come to try again.
    pub(crate) fn retry(&mut self, client: usize, channel: &str) {
        let Some(outbox) = self.clients[client].outboxes.get_mut(channel) else { return };
        if !outbox.retrying {
            return;
        }
        if outbox.waiting.iter().any(|one| one.sent) {
            let channel = channel.to_owned();
            return self.after(200, Event::Retry { client, channel });
        }
        outbox.retrying = false;
        self.resend(client, channel);
    }

    /// A publish of the outbox was answered: `retry` says when to try again, if at all.
    pub(crate) fn posted(
        &mut self,
        client: usize,
        channel: &str,
        publish: u64,
        retry: Option<u64>,
        expected: Option<u64>,
    ) {
        let Some(outbox) = self.clients[client].outboxes.get_mut(channel) else { return };
        let index = outbox.waiting.iter().position(|one| one.publish == Some(publish));
        let Some(index) = index else { return };
        let Some(retry_ms) = retry else {
            outbox.waiting.remove(index);
            return;
        };
        outbox.waiting[index].sent = false;
        outbox.expected = expected;
        if !std::mem::replace(&mut outbox.retrying, true) {
            let channel = channel.to_owned();
            self.after(retry_ms, Event::Retry { client, channel });
        }
    }
}
