//! From what is due to what a browser reads: with a push service that answers as badly as it wants,
//! and a test in the place of the shards.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

use bytes::Bytes;
use serde_json::json;
use tempfile::TempDir;
use tidings_core::{Period, PushDue, PushText};
use tidings_proto::Epoch;
use tidings_store::{LogStore, Options, SimFs};

use super::desk::Knows;
use super::*;

#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../../tests/push/service.rs"]
mod service;

use service::{Answer, Service};

/// What the shards would know.
#[derive(Debug, Default)]
struct Knowledge {
    answers: Mutex<HashMap<u64, PushAnswer>>,
    asked: Mutex<Vec<u64>>,
    forgotten: Mutex<Vec<String>>,
    pushes: Mutex<Option<std::sync::Weak<Sender>>>,
}

impl Knows for Arc<Knowledge> {
    fn ask(&self, ticket: u64, _: Arc<str>, id: u64) {
        self.asked.lock().unwrap().push(id);
        let answer = self.answers.lock().unwrap().get(&id).cloned();
        let sender = self.pushes.lock().unwrap().as_ref().and_then(std::sync::Weak::upgrade);
        if let Some(sender) = sender {
            sender.desk.answered(ticket, answer.unwrap_or(PushAnswer::Unwanted));
        }
    }

    fn forget(&self, _: Arc<str>, endpoint: Box<str>) {
        self.forgotten.lock().unwrap().push(endpoint.into());
    }
}

struct World {
    pushes: Pushes,
    knows: Arc<Knowledge>,
    clock: Clock,
    _dir: TempDir,
}

impl World {
    fn new(change: impl FnOnce(&mut config::Push)) -> Self {
        let mut config = config::Push {
            delay: Period::millis(0),
            timeout: Period::millis(500),
            allow: vec!["127.0.0.1".into()],
            ..config::Push::default()
        };
        change(&mut config);
        let dir = tempfile::tempdir().unwrap();
        let vapid = Vapid::open(&dir.path().join("key"), "mailto:a@example.com").unwrap();
        let allow = config::Egress { allow: config.allow.clone(), certificates: None };
        let egress = Egress::start(&allow, dir.path()).unwrap();
        let (clock, knows) = (Clock::start(), Arc::new(Knowledge::default()));
        let desk = Desk::new(Box::new(knows.clone()));
        let pushes = Pushes::with(&config, Arc::new(vapid), egress, clock, desk);
        *knows.pushes.lock().unwrap() = Some(Arc::downgrade(&pushes.sender));
        pushes.start();
        Self { pushes, knows, clock, _dir: dir }
    }

    /// A notification is wanted by these, and due now.
    fn due(&self, id: u64, browsers: &[Arc<service::Browser>]) {
        let subscriptions = browsers.iter().map(|browser| {
            let [endpoint, p256dh, auth] = browser.subscription().map(String::into_boxed_str);
            PushSubscription { endpoint, p256dh, auth }
        });
        let item = json!({"id": id, "topic": "mentions", "subject": "room", "data": {"n": id}});
        let text = PushText {
            item: Bytes::from(item.to_string()),
            expires_ms: None,
            unread: 2,
            subscriptions: subscriptions.collect(),
        };
        self.knows.answers.lock().unwrap().insert(id, PushAnswer::Wanted(Box::new(text)));
        self.push(id);
    }

    fn push(&self, id: u64) {
        let due = (("ada".into(), id), self.clock.steady_ms());
        self.pushes.sender.push([due].into_iter(), 0);
    }

    fn calls(&self) -> HashMap<&'static str, u64> {
        self.pushes.sender.tally.calls().into_iter().collect()
    }
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn each_browser_reads_what_was_signed_and_encrypted_for_it() {
    let (service, world) = (Service::start(), World::new(|_| {}));
    let browsers = [service.browser(), service.browser()];
    world.due(7, &browsers);
    until("both are told", || service.taken().len() == 2);
    for push in service.taken() {
        let said = json!({
            "id": 7, "topic": "mentions", "subject": "room", "data": {"n": 7}, "unread": 2,
        });
        assert_eq!(push.said, said);
        assert!((86_000..=86_400).contains(&push.ttl), "{push:?}");
        assert_eq!(
            (push.subject.as_str(), push.topic.unwrap().len()),
            ("mailto:a@example.com", 32)
        );
        assert_eq!(push.key, world.pushes.service().key());
    }
    until("it is done with", || world.pushes.sender.take_done() == [("ada".into(), 7)]);
}

#[test]
fn a_subscription_that_is_over_is_forgotten() {
    let (service, world) = (Service::start(), World::new(|_| {}));
    let browsers = [service.browser(), service.browser(), service.browser()];
    service.now(|browser| match browser {
        0 => Answer::Status(404),
        1 => Answer::Status(410),
        _ => Answer::Take,
    });
    world.due(1, &browsers);
    until("it is done with", || world.pushes.sender.waiting() == 0);
    let mut forgotten = world.knows.forgotten.lock().unwrap().clone();
    forgotten.sort();
    let expected = [&browsers[0], &browsers[1]].map(|browser| browser.subscription()[0].clone());
    assert_eq!(forgotten, expected);
    assert_eq!((world.calls()["gone"], world.calls()["sent"]), (2, 1));
}

#[test]
fn retry_after_is_kept_and_who_has_it_is_not_told_again() {
    let (service, world) = (Service::start(), World::new(|_| {}));
    let browsers = [service.browser(), service.browser()];
    let mut calls = 0;
    service.now(move |browser| {
        calls += usize::from(browser == 0);
        if browser == 0 && calls == 1 { Answer::Later(429, 4) } else { Answer::Take }
    });
    world.due(1, &browsers);
    until("one is told, one shall wait", || service.calls().len() == 2);
    let begun = Instant::now();
    // Another notification does not disturb who shall wait, and reaches who need not.
    world.due(2, &browsers);
    until("the other has both", || {
        service.taken().iter().filter(|push| push.browser == 1).count() == 2
    });
    assert!(begun.elapsed() < Duration::from_secs(3));
    until("all have both", || service.taken().len() == 4);
    assert!(begun.elapsed() > Duration::from_millis(3500), "{:?}", begun.elapsed());
    assert_eq!(service.calls().len(), 5);
}

#[test]
fn what_fails_is_tried_again_and_what_was_read_meanwhile_is_not() {
    let (service, world) = (Service::start(), World::new(|_| {}));
    let browser = [service.browser()];
    service.now(|_| Answer::Status(503));
    world.due(1, &browser);
    world.due(2, &browser);
    until("both were tried", || service.calls().len() == 2);
    world.knows.answers.lock().unwrap().insert(2, PushAnswer::Unwanted);
    service.now(|_| Answer::Take);
    until("all is done with", || world.pushes.sender.waiting() == 0);
    assert_eq!(service.taken().len(), 1);
    assert_eq!(service.taken()[0].said["id"], 1);
    assert_eq!(world.pushes.sender.tally.not_called()[1], ("unwanted", 1));
}

#[test]
fn one_that_hangs_holds_up_its_own_pushes_and_no_others() {
    let world = World::new(|config| config.concurrency = 2);
    let (hanging, service) = (Service::start(), Service::start());
    hanging.now(|_| Answer::Hang);
    let stuck = [hanging.browser()];
    for id in 0..20 {
        world.due(id, &stuck);
    }
    let browser = [service.browser()];
    for id in 100..120 {
        world.due(id, &browser);
    }
    let begun = Instant::now();
    until("the others are told", || service.taken().len() == 20);
    // Five calls of 500 ms find out, two at a time.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(hanging.calls().len() <= 7, "{}", hanging.calls().len());
}

#[test]
fn neither_a_redirect_nor_an_endpoint_leads_inside() {
    let (service, inner) = (Service::start(), Service::start());
    let world = World::new(|_| {});
    let place = inner.browser().subscription()[0].clone();
    service.now(move |_| Answer::Elsewhere(place.clone()));
    world.due(1, &[service.browser()]);
    until("it is done with", || world.pushes.sender.waiting() == 0);
    assert_eq!((world.calls()["refused"], inner.calls().len()), (1, 0));
    // What was taken while the operator allowed it, and is not now.
    let strict = World::new(|config| config.allow = Vec::new());
    strict.due(1, &[inner.browser()]);
    until("it is done with", || strict.pushes.sender.waiting() == 0);
    assert_eq!((strict.calls()["refused"], inner.calls().len()), (1, 0));
    let [endpoint, p256dh, auth] = inner.browser().subscription().map(String::into_boxed_str);
    let said = strict.pushes.service().check(&PushSubscription { endpoint, p256dh, auth });
    assert!(said.unwrap_err().contains("127.0.0.1 is an internal address"));
}

#[test]
fn a_push_that_nobody_takes_is_given_up_when_its_time_is_up() {
    let world = World::new(|config| config.ttl = Period::secs(4));
    let service = Service::start();
    service.now(|_| Answer::Status(500));
    world.due(1, &[service.browser()]);
    until("it is given up", || world.pushes.sender.waiting() == 0);
    assert!((1..=3).contains(&service.calls().len()), "{}", service.calls().len());
    until("it is counted", || {
        world.pushes.sender.tally.lost() == [("disk", 0), ("expired", 1), ("full", 0)]
    });
}

#[test]
fn who_is_there_gets_no_push() {
    let (service, world) = (Service::start(), World::new(|_| {}));
    world.knows.answers.lock().unwrap().insert(1, PushAnswer::Present);
    world.push(1);
    until("it was asked", || world.pushes.sender.tally.not_called()[0].1 == 1);
    assert!(service.calls().is_empty());
    assert_eq!(world.pushes.sender.waiting(), 1, "it is looked once more");
}

fn log(fs: &SimFs) -> LogStore<SimFs> {
    LogStore::open(fs.clone(), Options::new(1), 1000).unwrap().0
}

/// A commit of an agenda; `full`: the disk is.
fn commit(log: &mut LogStore<SimFs>, agenda: &mut Agenda, stored: bool) {
    use tidings_core::store::Store;
    agenda.look();
    if !agenda.begin() {
        return;
    }
    let riders = agenda.riders(1000);
    if stored {
        assert!(log.commit(1000, &riders).iter().all(Result::is_ok));
    }
    agenda.end(stored);
}

#[test]
fn what_waits_is_known_after_a_crash_however_much_came_and_went() {
    use tidings_core::store::Store;
    let fs = SimFs::new(1);
    let idle = || {
        let rules =
            Rules { delay_ms: 0, ttl_ms: 1 << 40, timeout_ms: 1, concurrency: 9, items: 9999 };
        let knows: Arc<Knowledge> = Arc::default();
        Arc::new(Sender::new(rules, Desk::new(Box::new(knows))))
    };
    let (mut store, sender) = (log(&fs), idle());
    let mut agenda = Agenda::new(sender.clone(), None, (Epoch(9), 0));
    let user: Arc<str> = "ada lovelace".into();
    for id in 1..=20_000 {
        agenda.note(PushDue { user: user.clone(), id }, 1000);
        // Now and then the disk takes nothing, and it is said again.
        commit(&mut store, &mut agenda, id % 7 != 0);
        if id % 10 != 0 {
            sender.end_one();
        }
    }
    commit(&mut store, &mut agenda, true);
    let waiting = sender.waiting();
    assert!((1990..2100).contains(&waiting), "{waiting}");
    drop(store);
    fs.kill();
    let mut store = log(&fs);
    let loaded = store.load(1000, CHANNEL).unwrap().unwrap();
    assert!(loaded.events.len() < 15_000, "{} events: all there ever was", loaded.events.len());
    let again = idle();
    drop(Agenda::new(again.clone(), Some(loaded), (Epoch(1), 0)));
    assert_eq!(again.keys(), sender.keys());
}
