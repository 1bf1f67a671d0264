//! A journal and its log, on a disk that fails.

use std::path::Path;

use serde_json::Value;
use tidings_store::{Options, SimFs};

use super::*;
use crate::clock::{Clock, wall_ms};
use crate::config::{self, Config};
use crate::egress::Egress;

/// Now, because what is as old as 1970 is not told any more.
fn times() -> Times {
    Times { wall_ms: wall_ms(), steady_ms: wall_ms() }
}

/// A webhook whose backend is not there: what it is to be told waits.
fn hooks() -> Vec<Arc<Webhook>> {
    let text = "[egress]\nallow = [\"127.0.0.1\"]\n[[webhook]]\nname = \"test\"\n\
                url = \"http://127.0.0.1:9/\"\nsecret = \"a-secret-of-webhooks-32-bytes-and-more\"\n\
                events = [\"user.online\", \"user.offline\", \"event.published\"]\n";
    let config = Config::parse(text.into(), Path::new("test.toml")).unwrap();
    Webhook::load_all(&config, Path::new(".")).unwrap()
}

struct Desk {
    fs: SimFs,
    log: Option<LogStore<SimFs>>,
    journal: Journal,
}

impl Desk {
    fn open(fs: SimFs) -> Self {
        let mut log = LogStore::open(fs.clone(), Options::new(1), wall_ms()).unwrap().0;
        let egress = Egress::start(&config::Egress::default(), Path::new(".")).unwrap();
        let webhooks = Webhooks::new(egress, Clock::start());
        let journal = Journal::open(Some(&mut log), times(), webhooks, &hooks()).unwrap();
        Self { fs, log: Some(log), journal }
    }

    /// The process is killed and starts again.
    fn kill(self) -> Self {
        drop(self.log);
        self.fs.kill();
        Self::open(self.fs)
    }

    fn user(&mut self, place: usize, name: &str, there: bool) {
        let what = Happened::Attendance(Attendee::User(name.into()), there);
        self.journal.note(place, Notice { at_ms: 5, what });
    }

    fn commit(&mut self, batch: &[Append]) -> Vec<Result<Level, StoreError>> {
        self.journal.begin();
        let (outcomes, stored) = self.journal.write(self.log.as_mut(), times(), batch);
        self.journal.end(stored);
        outcomes
    }

    /// What waits: the number in each id, and what it is about.
    fn waits(&self) -> Vec<(u64, String)> {
        let bodies = self.journal.streams[0].outbox.bodies();
        let read = |body: Bytes| {
            let item: Value = serde_json::from_slice(&body).unwrap();
            let (_, number) = item["id"].as_str().unwrap().split_once('-').unwrap();
            let data = item["event"]["data"].as_str();
            (number.parse().unwrap(), data.or(item["user"].as_str()).unwrap().to_owned())
        };
        bodies.into_iter().map(read).collect()
    }
}

fn event(offset: u64) -> Append {
    let retention = Retention { size: 10, ttl_ms: 1 << 30, dedup_ms: 1 << 30 };
    let text = format!("{{\"type\":\"event\",\"offset\":{offset},\"data\":\"event {offset}\"}}");
    Append {
        channel: "chat:room".into(),
        epoch: Epoch(3),
        offset,
        at_ms: wall_ms(),
        event: Some(text.into()),
        producer: None,
        key: None,
        retention,
    }
}

fn waiting(items: &[(u64, &str)]) -> Vec<(u64, String)> {
    items.iter().map(|(number, about)| (*number, (*about).to_owned())).collect()
}

#[test]
fn all_that_happened_is_told_in_its_order_and_survives_a_kill() {
    let mut desk = Desk::open(SimFs::new(1));
    desk.user(0, "ada", true);
    desk.user(1, "bob", true);
    desk.commit(&[event(1), event(2)]);
    let expected = waiting(&[(1, "ada"), (2, "event 1"), (3, "bob"), (4, "event 2")]);
    assert_eq!(desk.waits(), expected);
    let mut desk = desk.kill();
    assert_eq!(desk.waits(), expected, "under the same ids");
    let users = ["ada", "bob"].map(|name| Attendee::User(name.into()));
    assert_eq!(desk.journal.there(), users);
    desk.user(0, "ada", false);
    desk.commit(&[]);
    let desk = desk.kill();
    assert_eq!(desk.waits().last(), Some(&(5, "ada".to_owned())));
    assert_eq!(desk.journal.there(), [Attendee::User("bob".into())]);
}

#[test]
fn an_event_that_is_refused_is_not_told() {
    let mut desk = Desk::open(SimFs::new(1));
    let outcomes = desk.commit(&[event(1), event(7), event(2)]);
    assert!(outcomes[0].is_ok() && outcomes[1].is_err() && outcomes[2].is_ok());
    assert_eq!(desk.kill().waits(), waiting(&[(1, "event 1"), (2, "event 2")]));
}

#[test]
fn what_a_disk_does_not_take_is_told_when_it_does() {
    let mut desk = Desk::open(SimFs::new(1));
    for (round, name) in ["ada", "bob"].into_iter().enumerate() {
        desk.user(0, name, true);
        desk.fs.fail_writes(1);
        assert!(desk.commit(&[event(1)])[0].is_err());
        assert!(desk.waits().is_empty(), "round {round}");
    }
    desk.user(0, "eve", true);
    desk.commit(&[event(1)]);
    let expected = waiting(&[(1, "ada"), (2, "bob"), (3, "eve"), (4, "event 1")]);
    assert_eq!(desk.waits(), expected, "its publisher was refused twice, and told once");
    assert_eq!(desk.kill().waits(), expected);
}

#[test]
fn a_disk_that_takes_nothing_for_long_costs_the_oldest_notices() {
    let mut desk = Desk::open(SimFs::new(1));
    for n in 0..11_000 {
        desk.user(0, &format!("user-{n}"), true);
    }
    desk.fs.fail_writes(1);
    desk.commit(&[]);
    desk.commit(&[]);
    let waits = desk.waits();
    assert_eq!((waits.len(), &*waits[0].1), (STALLED_MAX, "user-1000"));
}

#[test]
fn the_log_lets_go_of_what_was_told() {
    let mut desk = Desk::open(SimFs::new(1));
    for offset in 1..=100 {
        desk.commit(&[event(offset)]);
    }
    desk.journal.streams[0].outbox.take_all();
    desk.journal.look();
    desk.commit(&[]);
    let kept = |desk: &mut Desk| {
        let log = desk.log.as_mut().unwrap();
        log.load(wall_ms(), "\0webhook:test").unwrap().unwrap().events.len()
    };
    assert_eq!(kept(&mut desk), 0);
    let mut desk = desk.kill();
    assert!(desk.waits().is_empty());
    desk.commit(&[event(101)]);
    assert_eq!(desk.kill().waits(), waiting(&[(101, "event 101")]));
}

#[test]
fn what_is_changed_in_a_document_is_no_event_for_a_webhook() {
    let mut desk = Desk::open(SimFs::new(1));
    let record = Bytes::from_static(&[1, 1, 3, b'a', b'd', b'a', 0, 0]);
    desk.commit(&[Append { channel: "doc:plan".into(), event: Some(record), ..event(1) }]);
    desk.commit(&[event(1)]);
    assert_eq!(desk.waits(), waiting(&[(1, "event 1")]));
}
