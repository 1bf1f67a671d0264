//! The fold by itself: whatever happens, its counts are those of what it holds, and it is the same
//! from its log, from a checkpoint and the log behind that, and on every device.

use serde_json::{Value, json};
use tidings_proto::{Epoch, MarkAs, Timestamp};

use super::{Inbox, Item, Marked, Notification, Query, Step, Tally};
use crate::rng::Rng;

const KEEP_MS: u64 = 10_000;

/// An inbox at its home, with the log that it is made of.
#[derive(Default)]
struct Home {
    inbox: Inbox,
    log: Vec<(u64, String)>,
    now_ms: u64,
}

impl Home {
    fn log(&mut self, event: &Value) {
        self.log.push((self.now_ms, event.to_string()));
    }

    fn notify(&mut self, topic: &str, subject: Option<&str>, ttl_ms: Option<u64>) -> u64 {
        let data = serde_json::value::to_raw_value(&json!({ "text": "x\"y" })).unwrap();
        let (id, now) = (self.inbox.next_id(self.log.len() as u64 + 1), Timestamp(self.now_ms));
        let made = Notification {
            id,
            topic,
            subject,
            data: &data,
            timestamp: now,
            user: None,
            expires_at: ttl_ms.map(|ttl| Timestamp(self.now_ms + ttl)),
        };
        let item = Item::new(&made, self.now_ms);
        let over = self.inbox.over(30, 6000, item.bytes());
        let text = format!(
            r#"{{"type":"notification","item":{},"dropped":{}}}"#,
            item.json(),
            json!(over)
        );
        self.log.push((self.now_ms, text));
        self.inbox.apply(Step::Add(item, over));
        id
    }

    fn mark(&mut self, how: MarkAs, which: Marked) {
        let Some(which) = self.inbox.changing(how, which) else { return };
        self.log(&match &which {
            Marked::Ids(ids) => json!({ "type": "mark", "as": how, "ids": ids }),
            Marked::Upto(upto) => json!({ "type": "mark", "as": how, "upto": upto }),
        });
        self.inbox.apply(Step::Mark(how, which));
    }

    fn expire(&mut self) {
        let over = self.inbox.expired(self.now_ms, KEEP_MS, 7);
        if !over.is_empty() {
            self.log(&json!({ "type": "expired", "ids": over }));
            self.inbox.apply(Step::Expire(over));
        }
    }
}

fn counted(inbox: &Inbox) -> Tally {
    let of = |is: fn(&Item) -> bool| inbox.items.iter().filter(|item| is(item)).count() as u64;
    Tally { unread: of(|i| i.flags.is_unread()), unseen: of(|i| i.flags.is_unseen()) }
}

fn assert_same(one: &Inbox, other: &Inbox, about: &str) {
    assert_eq!(one.items, other.items, "{about}");
    assert_eq!(one.tally, other.tally, "{about}");
    assert_eq!((one.newest, one.item_bytes), (other.newest, other.item_bytes), "{about}");
    assert_eq!((&one.ends, &one.cursors), (&other.ends, &other.cursors), "{about}");
    assert_eq!(one.subscriptions, other.subscriptions, "{about}");
}

/// Marks that a device made while it was away, to be sent when it is back.
type Away = Vec<(MarkAs, Marked)>;

fn some_mark(rng: &mut Rng, home: &Home) -> (MarkAs, Marked) {
    let how = MarkAs::ALL[(rng.next() % 4) as usize];
    let newest = home.inbox.newest;
    let near = |rng: &mut Rng| newest.saturating_sub(rng.next() % 40);
    let which = match rng.next() % 3 {
        0 => Marked::Upto(near(rng)),
        _ => Marked::Ids((0..1 + rng.next() % 4).map(|_| near(rng)).collect()),
    };
    (how, which)
}

#[test]
fn counts_kept_are_counts_taken_and_every_way_to_the_fold_is_the_same() {
    for seed in 0..200 {
        let (mut rng, mut home) = (Rng::new(seed), Home::default());
        let mut devices: [Away; 2] = Default::default();
        let mut checkpoint = (Vec::new(), 0);
        for _ in 0..400 {
            match rng.next() % 10 {
                0..=3 => {
                    let subject = [None, Some("doc:1"), Some("doc:2")][(rng.next() % 3) as usize];
                    let ttl = (rng.next() % 4 == 0).then(|| 1 + rng.next() % 5000);
                    home.notify(["news", "chat"][(rng.next() % 2) as usize], subject, ttl);
                }
                4 | 5 => {
                    let (how, which) = some_mark(&mut rng, &home);
                    home.mark(how, which);
                }
                // Two devices mark while they are away, and one comes back.
                6 | 7 => {
                    let mark = some_mark(&mut rng, &home);
                    devices[(rng.next() % 2) as usize].push(mark);
                }
                8 => {
                    let device = (rng.next() % 2) as usize;
                    for (how, which) in std::mem::take(&mut devices[device]) {
                        home.mark(how, which);
                    }
                }
                _ => {
                    home.now_ms += rng.next() % 2000;
                    home.expire();
                }
            }
            assert_eq!(home.inbox.tally, counted(&home.inbox), "seed {seed}");
            assert!(home.inbox.items.len() <= 30 && home.inbox.item_bytes <= 6000, "seed {seed}");
            if rng.next() % 50 == 0 {
                checkpoint = (home.inbox.pages(1000), home.log.len());
            }
        }
        let mut whole = Inbox::default();
        home.log.iter().for_each(|(at, event)| whole.replay(*at, event.as_bytes()));
        assert_same(&whole, &home.inbox, &format!("seed {seed}: the log"));
        let mut kept = Inbox::default();
        checkpoint.0.iter().for_each(|page| kept.take_page(page));
        home.log[checkpoint.1..].iter().for_each(|(at, event)| kept.replay(*at, event.as_bytes()));
        assert_same(&kept, &home.inbox, &format!("seed {seed}: a checkpoint and the log"));
    }
}

#[test]
fn marking_all_does_not_swallow_what_came_meanwhile() {
    let mut home = Home::default();
    let shown = (0..3).map(|_| home.notify("news", None, None)).last().unwrap();
    let later = home.notify("news", None, None);
    home.mark(MarkAs::Read, Marked::Upto(shown));
    assert_eq!(home.inbox.tally(), Tally { unread: 1, unseen: 1 });
    assert!(home.inbox.item(later).is_some_and(|item| item.flags.is_unread()));
}

#[test]
fn a_mark_that_changes_nothing_is_no_event() {
    let mut home = Home::default();
    let id = home.notify("news", None, None);
    assert!(home.inbox.changing(MarkAs::Unread, Marked::Ids(vec![id])).is_none());
    assert!(home.inbox.changing(MarkAs::Read, Marked::Ids(vec![id + 1])).is_none());
    home.mark(MarkAs::Read, Marked::Ids(vec![id, id]));
    assert!(home.inbox.changing(MarkAs::Seen, Marked::Upto(id)).is_none(), "read is seen");
    home.mark(MarkAs::Unread, Marked::Ids(vec![id]));
    assert_eq!(home.inbox.tally(), Tally { unread: 1, unseen: 0 }, "unread keeps seen");
}

#[test]
fn pages_and_groups_are_newest_first() {
    let mut home = Home::default();
    for n in 0..10 {
        home.notify("chat", [None, Some("doc:1")][n % 2], None);
    }
    home.mark(MarkAs::Archived, Marked::Ids(vec![10]));
    let ask = |home: &Home, query: Query, room| {
        let listed = home.inbox.list(&query, room);
        (serde_json::from_str::<Value>(&listed.json).unwrap(), listed.more)
    };
    let ids = |page: &Value| -> Vec<u64> {
        page.as_array().unwrap().iter().map(|item| item["id"].as_u64().unwrap()).collect()
    };
    let query = Query { limit: 4, ..Query::default() };
    let (page, more) = ask(&home, query.clone(), 10_000);
    assert_eq!((ids(&page), more), (vec![9, 8, 7, 6], true));
    assert_eq!(page[0]["data"]["text"], "x\"y");
    let (page, more) = ask(&home, Query { before: Some(4), ..query.clone() }, 10_000);
    assert_eq!((ids(&page), more), (vec![3, 2, 1], false));
    assert_eq!(ids(&ask(&home, query.clone(), 1).0), [9], "a page is never empty");
    let (page, _) = ask(&home, Query { subject: Some("doc:1".into()), ..query.clone() }, 10_000);
    assert_eq!(ids(&page), [8, 6, 4, 2]);
    assert_eq!(ids(&ask(&home, Query { archived: true, ..query.clone() }, 10_000).0), [10]);
    let group = Query { group: true, ..query };
    let (page, more) = ask(&home, group.clone(), 10_000);
    assert!(more);
    let counts: Vec<_> = page.as_array().unwrap().iter().map(|g| g["count"].clone()).collect();
    assert_eq!(counts, [1, 4, 1, 1]);
    let last = page[3]["latest"]["id"].as_u64();
    let (page, more) = ask(&home, Query { before: last, ..group }, 10_000);
    assert_eq!((page.as_array().map(Vec::len), more), (Some(2), false));
}

#[test]
fn a_cursor_only_goes_forwards() {
    let mut inbox = Inbox::default();
    let cursor = |offset| super::Cursor { channel: "chat:a".into(), epoch: Epoch(1), offset };
    inbox.apply(Step::Cursor(cursor(5)));
    assert!(!inbox.moves("chat:a", Epoch(1), 5) && inbox.moves("chat:a", Epoch(1), 6));
    assert!(inbox.moves("chat:a", Epoch(2), 1), "another history");
    for n in 0..super::CURSORS {
        let channel = format!("chat:{n}").into();
        inbox.apply(Step::Cursor(super::Cursor { channel, epoch: Epoch(1), offset: 1 }));
    }
    assert_eq!((inbox.cursors().len(), inbox.cursor("chat:a")), (super::CURSORS, None));
}
