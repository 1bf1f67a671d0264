//! What was published and is not stored yet. Each publish has a sequence number of its channel, so
//! that it can be sent again without being stored twice. One is under way at a time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::Value;

use crate::Refusal;

/// How many publishes may wait.
const WAITING_MAX: usize = 1000;
/// How long to wait before a publish is tried again, if the server does not say.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Outbox {
    /// This client's name among those that publish.
    producer: String,
    /// The last number that each channel's store has seen.
    stored: BTreeMap<String, u64>,
    waiting: VecDeque<Publish>,
    next_ticket: u64,
    /// The id of the command that carries the first one that waits.
    under_way: Option<u64>,
}

#[derive(Debug)]
struct Publish {
    ticket: u64,
    channel: String,
    fields: Value,
}

/// What an answer means for the publish that it belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is stored.
    Stored(u64),
    /// It was refused for good.
    Refused(u64),
    /// It is to be sent again, not before this long.
    Again(Duration),
}

impl Outbox {
    pub(crate) fn new(producer: String) -> Self {
        Self {
            producer,
            stored: BTreeMap::new(),
            waiting: VecDeque::new(),
            next_ticket: 1,
            under_way: None,
        }
    }

    /// Adds a publish; `None` if too many wait already.
    pub(crate) fn push(&mut self, channel: &str, fields: Value) -> Option<u64> {
        if self.waiting.len() >= WAITING_MAX {
            return None;
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting.push_back(Publish { ticket, channel: channel.into(), fields });
        Some(ticket)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The publish to send now. Tell its command's id to [`Outbox::sent`].
    pub(crate) fn next(&self) -> Option<Value> {
        let first = self.waiting.front().filter(|_| self.under_way.is_none())?;
        let mut fields = first.fields.clone();
        fields["channel"] = first.channel.as_str().into();
        fields["producer"] = self.producer.as_str().into();
        fields["seq"] = (self.stored.get(&first.channel).copied().unwrap_or(0) + 1).into();
        Some(fields)
    }

    /// Command `id` carries what [`Outbox::next`] gave.
    pub(crate) fn sent(&mut self, id: u64) {
        self.under_way = Some(id);
    }

    /// The connection has ended: what was under way is to be sent again.
    pub(crate) fn handle_lost(&mut self) {
        self.under_way = None;
    }

    /// The answer to command `id`; `None` if it is not one of these.
    pub(crate) fn handle(&mut self, id: u64, refusal: Option<&Refusal>) -> Option<Outcome> {
        if self.under_way != Some(id) {
            return None;
        }
        self.under_way = None;
        let first = self.waiting.front()?;
        let seen = self.stored.entry(first.channel.clone()).or_default();
        let outcome = match refusal {
            None => {
                *seen += 1;
                Outcome::Stored(first.ticket)
            }
            // The server's memory is shorter or longer than ours: its count goes.
            Some(Refusal { expected: Some(expected), .. }) => {
                *seen = expected.saturating_sub(1);
                return Some(Outcome::Again(Duration::ZERO));
            }
            Some(refusal) if refusal.retryable => {
                return Some(Outcome::Again(refusal.retry_after.unwrap_or(RETRY_AFTER)));
            }
            Some(refusal) => {
                // These two use up their number; other refusals do not.
                if matches!(refusal.code.as_str(), "invalid_data" | "too_large") {
                    *seen += 1;
                }
                Outcome::Refused(first.ticket)
            }
        };
        self.waiting.pop_front();
        Some(outcome)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(code: &str, retryable: bool, expected: Option<u64>) -> Refusal {
        Refusal {
            code: code.into(),
            message: String::new(),
            retryable,
            retry_after: None,
            expected,
            path: None,
        }
    }

    fn outbox() -> Outbox {
        let mut outbox = Outbox::new("p".into());
        for (channel, data) in [("a:1", 1), ("a:1", 2), ("b:1", 3)] {
            outbox.push(channel, json!({ "data": data })).unwrap();
        }
        outbox
    }

    fn seq(outbox: &Outbox) -> u64 {
        outbox.next().unwrap()["seq"].as_u64().unwrap()
    }

    #[test]
    fn one_after_the_other_with_numbers_of_their_channel() {
        let mut outbox = outbox();
        let expected = json!({ "channel": "a:1", "data": 1, "producer": "p", "seq": 1 });
        assert_eq!(outbox.next(), Some(expected));
        outbox.sent(10);
        assert_eq!(outbox.next(), None);
        assert_eq!(outbox.handle(9, None), None, "not ours");
        assert_eq!(outbox.handle(10, None), Some(Outcome::Stored(1)));
        assert_eq!(seq(&outbox), 2);
        outbox.sent(11);
        assert_eq!(outbox.handle(11, None), Some(Outcome::Stored(2)));
        assert_eq!(seq(&outbox), 1, "another channel");
    }

    #[test]
    fn after_a_lost_connection_the_same_number_is_sent_again() {
        let mut outbox = outbox();
        outbox.sent(10);
        outbox.handle_lost();
        assert_eq!(seq(&outbox), 1);
        outbox.sent(1);
        assert_eq!(outbox.handle(10, None), None, "an answer of the old connection");
        assert_eq!(outbox.handle(1, None), Some(Outcome::Stored(1)));
    }

    #[test]
    fn a_refusal_uses_up_its_number_only_if_the_server_says_so() {
        for (code, next) in [("forbidden", 1), ("invalid_data", 2), ("too_large", 2)] {
            let mut outbox = outbox();
            outbox.sent(10);
            let refusal = refusal(code, false, None);
            assert_eq!(outbox.handle(10, Some(&refusal)), Some(Outcome::Refused(1)));
            assert_eq!(seq(&outbox), next, "{code}");
        }
    }

    #[test]
    fn what_may_succeed_later_stays() {
        let mut outbox = outbox();
        outbox.sent(10);
        let busy = refusal("unavailable", true, None);
        assert_eq!(outbox.handle(10, Some(&busy)), Some(Outcome::Again(RETRY_AFTER)));
        assert_eq!((seq(&outbox), outbox.len()), (1, 3));
        outbox.sent(11);
        let behind = refusal("out_of_sequence", true, Some(5));
        assert_eq!(outbox.handle(11, Some(&behind)), Some(Outcome::Again(Duration::ZERO)));
        assert_eq!(seq(&outbox), 5);
    }
}
