//! Notifications and what their user does with them.

use serde_json::{Value, json};
use tidings_core::Period;
use tidings_core::engine::{Inquiry, SessionKey};
use tidings_core::policy::InboxPolicy;

use crate::desk::Desk;

pub(crate) fn open(desk: &mut Desk, who: SessionKey) -> Value {
    let frame = desk.ask(who, &json!({ "type": "inbox", "id": 3 }));
    assert_eq!(frame["type"], "inbox", "{frame}");
    frame
}

/// What a device knows by what it is told.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Device {
    items: Vec<Value>,
    pub(crate) offset: u64,
    unread: u64,
    unseen: u64,
}

impl Device {
    pub(crate) fn open(desk: &mut Desk, who: SessionKey) -> Self {
        let frame = open(desk, who);
        let number = |name: &str| frame[name].as_u64().unwrap();
        let items = frame["items"].as_array().unwrap().iter().rev().cloned().collect();
        let (unread, unseen) = (number("unread"), number("unseen"));
        Self { items, offset: number("offset"), unread, unseen }
    }

    /// What it was told is what it counts.
    pub(crate) fn check(&self) {
        let count = |flag: &str| self.items.iter().filter(|item| item[flag] == false).count();
        let counted = (count("read") as u64, count("seen") as u64);
        assert_eq!((self.unread, self.unseen), counted, "{self:?}");
    }

    pub(crate) fn hear(&mut self, frames: &[Value]) {
        for frame in frames.iter().filter(|frame| !frame["offset"].is_null()) {
            if frame["type"] == "subscribed" {
                continue;
            }
            assert_eq!(frame["offset"], self.offset + 1, "a hole: {frame}");
            self.offset += 1;
            let gone = |ids: &Value, item: &Value| {
                ids.as_array().is_some_and(|ids| ids.contains(&item["id"]))
            };
            match frame["type"].as_str().unwrap() {
                "notification" => {
                    self.items.retain(|item| !gone(&frame["dropped"], item));
                    self.items.push(frame["item"].clone());
                }
                "expired" => self.items.retain(|item| !gone(&frame["ids"], item)),
                "mark" => {
                    let hit = |item: &&mut Value| {
                        gone(&frame["ids"], item)
                            || frame["upto"].as_u64() >= item["id"].as_u64()
                                && frame["upto"].is_u64()
                    };
                    for item in self.items.iter_mut().filter(hit) {
                        match frame["as"].as_str().unwrap() {
                            "seen" => item["seen"] = true.into(),
                            "read" => {
                                item["read"] = true.into();
                                item["seen"] = true.into();
                            }
                            "unread" => item["read"] = false.into(),
                            _ => item["archived"] = true.into(),
                        }
                    }
                    self.items.retain(|item| item["archived"] == false);
                }
                "hidden" | "cursor" => continue,
                other => panic!("{other}: {frame}"),
            }
            (self.unread, self.unseen) =
                (frame["unread"].as_u64().unwrap(), frame["unseen"].as_u64().unwrap());
        }
    }
}

#[test]
fn every_device_is_told_and_who_was_away_gets_it_all_later() {
    let mut desk = Desk::new();
    let (phone, tablet) = (desk.device("ada"), desk.device("ada"));
    assert_eq!(desk.notify("ada", None, None)["type"], "notified");
    desk.notify("bob", None, None);
    for device in [phone, tablet] {
        let heard = desk.heard(device);
        let told = heard.iter().filter(|frame| frame["type"] == "notification");
        let told: Vec<_> = told.collect();
        assert_eq!(told.len(), 1);
        assert_eq!((&told[0]["unread"], &told[0]["unseen"]), (&json!(1), &json!(1)));
        let item = &told[0]["item"];
        assert_eq!((&item["topic"], &item["subject"]), (&json!("news"), &json!("doc:1")));
        assert_eq!((&item["user"], &item["read"]), (&json!("eve"), &json!(false)));
    }
    let bob = desk.user("bob");
    let page = open(&mut desk, bob);
    assert_eq!((page["items"].as_array().unwrap().len(), &page["unread"]), (1, &json!(1)));
}

#[test]
fn two_devices_of_which_one_was_away_come_to_the_same() {
    let mut desk = Desk::new();
    let phone = desk.device("ada");
    for _ in 0..6 {
        desk.notify("ada", None, None);
    }
    let mut here = Device::open(&mut desk, phone);
    desk.heard(phone);
    // The tablet knows what was there, and goes away. It marks things meanwhile.
    let tablet = desk.device("ada");
    let mut there = Device::open(&mut desk, tablet);
    let epoch = open(&mut desk, tablet)["epoch"].clone();
    desk.engine.close(desk.now, tablet, false);
    desk.run();
    let mark = |how: &str, ids: Value| json!({ "type": "mark", "id": 5, "as": how, "ids": ids });
    desk.ask(phone, &mark("read", json!([1, 2])));
    desk.notify("ada", None, None);
    desk.ask(phone, &mark("archived", json!([3])));
    let tablet = desk.user("ada");
    let offline = [("seen", json!([1, 4, 5])), ("unread", json!([2])), ("read", json!([6, 99]))];
    for (seq, (how, ids)) in (1..).zip(offline) {
        let mut mark = mark(how, ids);
        (mark["producer"], mark["seq"]) = (json!("tablet"), json!(seq));
        assert_eq!(desk.ask(tablet, &mark)["type"], "marked");
    }
    let since = json!({ "epoch": epoch, "offset": there.offset });
    let subscribe = json!({ "type": "subscribe", "id": 6, "channel": "inbox:ada", "since": since });
    desk.say(tablet, &subscribe);
    desk.notify("ada", None, None);
    there.hear(&desk.heard(tablet));
    here.hear(&desk.heard(phone));
    assert_eq!(here, there);
    assert_eq!(here, Device::open(&mut desk, phone), "and that is what there is");
    assert_eq!((here.unread, here.unseen), (5, 2));
}

#[test]
fn marking_all_while_more_comes_leaves_what_came() {
    let mut desk = Desk::new();
    let ada = desk.device("ada");
    desk.notify("ada", None, None);
    let shown = open(&mut desk, ada)["items"][0]["id"].clone();
    desk.notify("ada", None, None);
    let mark = json!({ "type": "mark", "id": 5, "as": "read", "upto": shown });
    let marked = desk.ask(ada, &mark);
    assert_eq!((&marked["unread"], &marked["unseen"]), (&json!(1), &json!(1)));
    let offset = marked["offset"].clone();
    let again = desk.ask(ada, &mark);
    assert_eq!((&again["offset"], &again["unread"]), (&offset, &json!(1)), "no event");
}

#[test]
fn the_same_key_and_the_same_number_do_nothing_twice() {
    let mut desk = Desk::new();
    let ada = desk.device("ada");
    assert_eq!(desk.notify("ada", Some("order-1"), None)["duplicate"], false);
    assert_eq!(desk.notify("ada", Some("order-1"), None)["duplicate"], true);
    assert_eq!(desk.notify("bob", Some("order-1"), None)["duplicate"], false, "another user's");
    desk.restart();
    assert_eq!(desk.notify("ada", Some("order-1"), None)["duplicate"], true);
    let _ = ada;
    let ada = desk.user("ada");
    assert_eq!(open(&mut desk, ada)["unread"], 1);
    let mark = |seq: u64, how: &str| json!({ "type": "mark", "id": 5, "as": how, "upto": 9, "producer": "p", "seq": seq });
    assert_eq!(desk.ask(ada, &mark(1, "read"))["duplicate"], false);
    assert_eq!(desk.ask(ada, &mark(2, "read"))["duplicate"], false, "it changes nothing");
    assert_eq!(desk.ask(ada, &mark(3, "unread"))["unread"], 1);
    assert_eq!(desk.ask(ada, &mark(2, "read"))["duplicate"], true, "late, and done before");
    assert_eq!(desk.ask(ada, &mark(5, "read"))["expected"], 4);
    assert_eq!(open(&mut desk, ada)["unread"], 1);
}

#[test]
fn what_is_old_too_much_or_over_goes_and_is_told() {
    let keep = Period::secs(100);
    let mut desk = Desk::with(InboxPolicy { items: 3, keep, ..InboxPolicy::default() });
    let ada = desk.device("ada");
    desk.notify("ada", None, Some(5000));
    desk.pass(1000);
    for _ in 0..3 {
        desk.notify("ada", None, None);
    }
    let mut device = Device::default();
    device.hear(&desk.heard(ada));
    assert_eq!(device.items.len(), 3, "{device:?}");
    assert_eq!(device.items[0]["id"], 2, "the oldest made room");
    desk.notify("ada", None, Some(2000));
    desk.pass(3000);
    device.hear(&desk.heard(ada));
    assert_eq!((device.items.len(), device.unread), (2, 2), "its time was over");
    desk.pass(100_000);
    device.hear(&desk.heard(ada));
    assert_eq!((device.items.len(), device.unread, device.unseen), (0, 0, 0));
}

#[test]
fn nobody_reads_or_writes_what_is_another_users() {
    let mut desk = Desk::new();
    desk.notify("ada", None, None);
    let bob = desk.user("bob");
    for command in [
        json!({ "type": "subscribe", "id": 4, "channel": "inbox:ada" }),
        json!({ "type": "history", "id": 4, "channel": "inbox:ada" }),
        json!({ "type": "presence", "id": 4, "channel": "inbox:bob" }),
        json!({ "type": "enter", "id": 4, "channel": "inbox:bob" }),
        json!({ "type": "publish", "id": 4, "channel": "inbox:bob", "data": 1 }),
    ] {
        assert_eq!(desk.ask(bob, &command)["code"], "forbidden", "{command}");
    }
    assert_eq!(open(&mut desk, bob)["items"], json!([]));
    let hidden = json!({ "type": "history", "id": 4, "channel": "\u{0}topic:news" });
    assert_eq!(desk.ask(bob, &hidden)["code"], "bad_request");
}

#[test]
fn what_makes_no_sense_is_refused_and_costs_nobody_anything() {
    let mut desk = Desk::new();
    let ada = desk.device("ada");
    let ids: Vec<u64> = (0..1001).collect();
    for wrong in [
        json!({ "type": "mark", "id": 4, "as": "read" }),
        json!({ "type": "mark", "id": 4, "as": "read", "ids": [] }),
        json!({ "type": "mark", "id": 4, "as": "read", "ids": ids }),
        json!({ "type": "mark", "id": 4, "as": "read", "ids": [1], "upto": 2 }),
        json!({ "type": "mark", "id": 4, "as": "forgotten", "upto": 2 }),
        json!({ "type": "mark", "id": 4, "upto": 2 }),
        json!({ "type": "follow", "id": 4, "topic": "" }),
        json!({ "type": "push_subscribe", "id": 4, "subscription": {
            "endpoint": "http://10.0.0.1", "keys": { "p256dh": "k", "auth": "a" } } }),
    ] {
        assert_eq!(desk.ask(ada, &wrong)["code"], "bad_request", "{wrong}");
    }
    let data = serde_json::value::to_raw_value(&json!(1)).unwrap();
    let notify = tidings_core::engine::Notify {
        topic: "news",
        subject: None,
        data: &data,
        key: None,
        ttl_ms: Some(0),
        from: None,
    };
    let refused = desk.inquire(Inquiry::Notify("ada", &notify)).unwrap();
    assert_eq!(refused["code"], "bad_request");
    assert_eq!(open(&mut desk, ada)["offset"], 0, "nothing has happened");
}

#[test]
fn a_topic_has_followers_until_they_stop() {
    let mut desk = Desk::new();
    for name in ["ada", "bob", "eve"] {
        let user = desk.user(name);
        let follow = json!({ "type": "follow", "id": 4, "topic": "news" });
        assert_eq!(desk.ask(user, &follow)["type"], "followed");
        assert_eq!(desk.ask(user, &follow)["type"], "followed", "again");
    }
    let bob = desk.user("bob");
    let unfollow = json!({ "type": "unfollow", "id": 4, "topic": "news" });
    assert_eq!(desk.ask(bob, &unfollow), json!({ "type": "unfollowed", "id": 4, "topic": "news" }));
    desk.restart();
    let ask = |desk: &mut Desk, after, limit| {
        desk.inquire(Inquiry::Followers { topic: "news", after, limit }).unwrap()
    };
    let page = ask(&mut desk, None, 1);
    assert_eq!((&page["users"], &page["more"]), (&json!(["ada"]), &json!(true)));
    let page = ask(&mut desk, Some("ada"), 1);
    assert_eq!((&page["users"], &page["more"]), (&json!(["eve"]), &json!(false)));
    assert!(desk.engine.channels("", None, 10).iter().all(|c| !c.name.starts_with('\0')));
}
