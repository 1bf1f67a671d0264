//! Coming and coming back.

use serde_json::{Value, json};

use crate::world::{Event, World};

impl World {
    /// Dials, unless it is connected.
    pub(crate) fn connect(&mut self, client: usize) {
        let at = &mut self.clients[client];
        if at.link.is_some() || at.stopped {
            return;
        }
        at.generation += 1;
        let header = at.token.clone().filter(|_| at.in_header);
        let link = self.dial(client, header);
        self.clients[client].link = Some(link);
        if self.clients[client].automatic {
            let at = &self.clients[client];
            let mut hello = json!({ "type": "hello", "client": "sim" });
            if let Some(token) = at.token.as_ref().filter(|_| !at.in_header) {
                hello["token"] = token.as_str().into();
            }
            if let Some(ticket) = &at.ticket {
                hello["session"] = ticket.as_str().into();
                hello["attempt"] = at.generation.into();
            }
            self.transmit(client, hello);
        }
    }

    pub(crate) fn reconnect(&mut self, client: usize, generation: u64) {
        if self.clients[client].generation == generation {
            self.connect(client);
        }
    }

    /// Its connection is over.
    pub(crate) fn mourn(&mut self, link: usize, code: Option<u16>) {
        let client = self.client_of(link);
        if self.clients[client].link != Some(link) {
            return;
        }
        let welcomed = self.clients[client].welcome;
        self.forget_asked(client);
        let now_ms = self.now();
        let at = &mut self.clients[client];
        at.closed.push(code.unwrap_or(0));
        if welcomed && now_ms - at.since_ms >= 5000 {
            at.attempt = 0;
        }
        let retry_after = at.retry_after.take();
        let expired = code == Some(4501);
        if code.is_some_and(|code| (4400..4500).contains(&code)) {
            at.stopped = true;
        }
        if !at.automatic || at.stopped {
            return;
        }
        if expired {
            at.token = Some(format!("user:{}", at.name));
        }
        let base_ms = [1000, 2000, 4000, 8000, 16_000, 30_000][at.attempt.min(5) as usize];
        at.attempt += 1;
        at.generation += 1;
        let generation = at.generation;
        let delay_ms = match retry_after {
            _ if expired => 0,
            Some(ms) => ms,
            None => self.rng.below(base_ms),
        };
        self.after(delay_ms, Event::Reconnect { client, generation });
    }

    /// It was told `welcome`: everything is taken up again.
    pub(crate) fn welcomed(&mut self, client: usize, frame: &Value) {
        let now_ms = self.now();
        let ticket = frame["session"].as_str().unwrap_or_default().to_owned();
        let at = &mut self.clients[client];
        (at.welcome, at.since_ms, at.ticket) = (true, now_ms, Some(ticket));
        if !at.automatic {
            return;
        }
        let wanted = at.subs.iter().filter(|(_, sub)| sub.wanted);
        let wanted: Vec<String> = wanted.map(|(channel, _)| channel.clone()).collect();
        let entered = at.entered.clone();
        let outboxes: Vec<String> = at.outboxes.keys().cloned().collect();
        let present = frame["entered"].as_array().into_iter().flatten();
        let present: Vec<_> = present.filter_map(Value::as_str).map(str::to_owned).collect();
        for channel in present.iter().filter(|channel| !entered.contains_key(*channel)) {
            self.transmit(client, json!({ "type": "leave", "channel": channel }));
        }
        for channel in wanted {
            self.subscribe(client, &channel);
        }
        for (channel, data) in entered {
            let frame = json!({ "type": "enter", "channel": channel, "data": data });
            self.transmit(client, frame);
        }
        for channel in outboxes {
            self.resend(client, &channel);
        }
    }

    pub(crate) fn said_bye(&mut self, client: usize, retry_after: Option<u64>) {
        self.clients[client].retry_after = retry_after;
    }
}
