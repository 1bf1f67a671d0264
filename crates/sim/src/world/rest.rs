//! The end of a run: faults are over, everything comes to rest, and what is there is written down.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Span, Who, World};
use crate::checker::{Op, Pos};
use crate::client::original;

impl World {
    /// Ends all faults and lets everything come to rest.
    pub fn heal(&mut self) {
        self.setup.backend_fails = 0;
        self.disk_space(None);
        self.disk.fs.fail_writes(0);
        self.disk.fs.fail_syncs(0);
        // A power failure that was to come does not.
        self.disk.fs.cut_after(1 << 40);
        for client in 0..self.clients.len() {
            self.speed_up(Who(client));
            if self.clients[client].automatic {
                self.clients[client].stopped = false;
                self.connect(client);
            }
        }
        // Heartbeat, back-off, and places in presence that are held.
        self.run(Span::from_ms(200_000));
        // Where few commands may be under way, and the backend is slow, outboxes take their time.
        for _ in 0..100 {
            if (0..self.clients.len()).all(|client| self.unsent(Who(client)) == 0) {
                break;
            }
            self.run(Span::from_ms(60_000));
        }
    }

    /// Writes down what is left of these channels and who is in them. After [`heal`](Self::heal).
    pub fn write_down(&mut self, channels: &[&str]) {
        let probe = self.user("probe");
        for channel in channels {
            let mut users = BTreeMap::<String, u64>::new();
            for client in self.clients.iter().filter(|client| client.welcome) {
                if client.entered.contains_key(*channel) {
                    *users.entry(client.name.clone()).or_default() += 1;
                }
            }
            self.note(Op::Present { channel: (*channel).into(), users });
            self.write_down_members(probe, channel);
            if let Some((at, said)) = self.read_said(probe, channel) {
                let is_changed = |event: &&Said| event.original.is_empty();
                let changed = said.iter().filter(is_changed);
                let changed = changed.map(|event| (event.offset, event.data.clone())).collect();
                let events = said.into_iter().map(|event| (event.offset, event.original)).collect();
                self.note(Op::Final { channel: (*channel).into(), at, events, changed });
            }
        }
    }

    fn write_down_members(&mut self, probe: Who, channel: &str) {
        let answer = self.ask(probe, json!({ "type": "presence", "channel": channel }));
        let mut views = Vec::new();
        if let Some(list) = answer["members"].as_array() {
            let one = |one: &Value| {
                let user = one["user"].as_str().unwrap_or_default().to_owned();
                (user, one["sessions"].as_u64().unwrap_or(0))
            };
            views.push(("probe".to_owned(), list.iter().map(one).collect()));
        }
        for client in &self.clients {
            let sub = client.subs.get(channel).filter(|sub| sub.presence && sub.active.is_some());
            if let Some(members) = sub.and_then(|sub| sub.members.clone()) {
                views.push((client.name.clone(), members));
            }
        }
        for (by, users) in views {
            self.note(Op::Seen { by, channel: channel.to_owned(), users });
        }
    }

    /// All events of a channel's history, read in pages: offsets and data.
    pub fn read_all(&mut self, who: Who, channel: &str) -> Option<(Pos, Vec<(u64, String)>)> {
        let (at, said) = self.read_said(who, channel)?;
        Some((at, said.into_iter().map(|event| (event.offset, event.data)).collect()))
    }

    fn read_said(&mut self, who: Who, channel: &str) -> Option<(Pos, Vec<Said>)> {
        let (mut after, mut events) = (0, Vec::new());
        loop {
            let page = json!({ "type": "history", "channel": channel, "after": after });
            let page = self.ask(who, page);
            let epoch = page["epoch"].as_str()?.to_owned();
            let at = Pos { epoch, offset: page["offset"].as_u64()? };
            for event in page["events"].as_array()? {
                after = event["offset"].as_u64()?;
                let (data, original) = (event["data"].to_string(), original(event));
                events.push(Said { offset: after, data, original });
            }
            if page["more"] != true {
                return Some((at, events));
            }
        }
    }
}

/// An event of a page of history.
struct Said {
    offset: u64,
    data: String,
    /// Empty: it was changed since.
    original: String,
}
