//! A user's devices, of which some are away.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{Server, Setup, Socket, token};
use crate::http::{get, post, setup};

/// A device of a user.
pub(crate) fn device(server: &Server, user: &str) -> Socket {
    server.connect_as(&token(user, Duration::from_secs(600)))
}

pub(crate) fn open(socket: &mut Socket) -> Value {
    let page = socket.ask(json!({ "type": "inbox", "limit": 100 }));
    assert_eq!(page["type"], "inbox", "{page}");
    page
}

pub(crate) fn notify(server: &Server, user: &str, n: u64) -> Value {
    let body = json!({ "user": user, "topic": "news", "subject": format!("doc:{}", n % 3),
        "data": { "n": n }, "user_from": "eve" });
    post(server, "/notify", &body).ok()
}

#[test]
fn who_was_away_gets_it_all_later_also_from_another_process() {
    let mut server = Server::start(&setup());
    for n in 1..=5 {
        let told = notify(&server, "ada", n);
        assert_eq!((&told["notified"], &told["failed"]), (&json!(1), &json!([])));
    }
    let dir = server.dir();
    server.kill();
    let server = Server::start_in(dir, &setup());
    let mut ada = device(&server, "ada");
    let page = open(&mut ada);
    let numbers: Vec<_> =
        page["items"].as_array().unwrap().iter().map(|item| item["data"]["n"].clone()).collect();
    assert_eq!(numbers, [5, 4, 3, 2, 1]);
    assert_eq!((&page["unread"], &page["unseen"]), (&json!(5), &json!(5)));
    let groups = ada.ask(json!({ "type": "inbox", "group": true }));
    let counts: Vec<_> =
        groups["groups"].as_array().unwrap().iter().map(|group| group["count"].clone()).collect();
    assert_eq!(counts, [2, 2, 1]);
    assert_eq!(open(&mut device(&server, "bob"))["items"], json!([]));
}

#[test]
fn two_devices_of_which_one_is_offline_end_with_the_same() {
    let server = Server::start(&setup());
    let (mut phone, mut tablet) = (device(&server, "ada"), device(&server, "ada"));
    phone.subscribe("inbox:ada");
    let at = tablet.subscribe("inbox:ada");
    for n in 1..=4 {
        notify(&server, "ada", n);
    }
    for device in [&mut phone, &mut tablet] {
        for n in 1..=4 {
            let heard = device.push();
            assert_eq!((&heard["type"], &heard["unread"]), (&json!("notification"), &json!(n)));
            assert_eq!(heard["item"]["user"], "eve");
        }
    }
    drop(tablet);
    let marked = phone.ask(json!({ "type": "mark", "as": "read", "ids": [1, 2] }));
    assert_eq!((&marked["unread"], &marked["unseen"]), (&json!(2), &json!(2)));
    notify(&server, "ada", 5);
    // It comes back with what its user did meanwhile.
    let mut tablet = device(&server, "ada");
    let offline = [("unread", json!([2])), ("archived", json!([3]))];
    for (seq, (how, ids)) in (1..).zip(offline) {
        let mark =
            json!({ "type": "mark", "as": how, "ids": ids, "producer": "tablet", "seq": seq });
        assert_eq!(tablet.ask(mark.clone())["duplicate"], false);
        assert_eq!(tablet.ask(mark)["duplicate"], true);
    }
    let since = json!({ "epoch": at["epoch"], "offset": 4 });
    let back = tablet.ask(json!({ "type": "subscribe", "channel": "inbox:ada", "since": since }));
    assert_eq!(back["recovered"], true);
    for device in [&mut phone, &mut tablet] {
        let kinds: Vec<Value> = (0..4).map(|_| device.push()).collect();
        let kinds: Vec<_> = kinds.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["mark", "notification", "mark", "mark"]);
    }
    let page = open(&mut tablet);
    assert_eq!(open(&mut phone)["items"], page["items"]);
    // 2, 4 and 5 are unread; of these 4 and 5 are unseen.
    assert_eq!((&page["unread"], &page["unseen"]), (&json!(3), &json!(2)));
}

#[test]
fn a_read_marker_is_on_all_devices_and_counts_what_is_behind_it() {
    let server = Server::start(&setup());
    let (mut phone, mut tablet, mut bob) =
        (device(&server, "ada"), device(&server, "ada"), device(&server, "bob"));
    tablet.subscribe("inbox:ada");
    for n in 0..5 {
        bob.publish("chat:lobby", json!(n));
    }
    phone.publish("chat:lobby", json!("mine"));
    let unread = phone.ask(json!({ "type": "unread", "channel": "chat:lobby" }));
    assert_eq!((&unread["count"], &unread["first"]), (&json!(5), &json!(1)));
    let read = phone.ask(json!({ "type": "read", "channel": "chat:lobby", "offset": 3 }));
    assert_eq!(read["offset"], 3);
    let cursor = tablet.push();
    assert_eq!((&cursor["of"], &cursor["upto"]), (&json!("chat:lobby"), &json!(3)));
    let unread = tablet.ask(json!({ "type": "unread", "channel": "chat:lobby" }));
    assert_eq!((&unread["count"], &unread["first"]), (&json!(2), &json!(4)));
    let cursors = get(&server, "/cursors?user=ada").ok();
    assert_eq!(cursors["cursors"][0]["offset"], 3, "{cursors}");
    let hidden = phone.ask(json!({ "type": "unread", "channel": "inbox:bob" }));
    assert_eq!(hidden["code"], "forbidden");
}

#[test]
fn whose_right_to_a_topic_was_taken_can_follow_it_no_more() {
    const MORE: &str = "[[api.key]]\nname = \"backend\"\n\
        secret = \"an-api-key-of-tests-with-32-bytes-and-more\"\n\
        [inbox]\nfollow = \"signed-in\"\n";
    let server = Server::start(&Setup { more: MORE, ..Setup::default() });
    let mut eve = device(&server, "eve");
    let follow = |topic: &str| json!({ "type": "follow", "topic": topic });
    assert_eq!(eve.ask(follow("news"))["type"], "followed");
    post(&server, "/revoke", &json!({ "user": "eve", "channel": "topic:*" })).ok();
    assert_eq!(eve.ask(follow("news"))["code"], "forbidden");
    let unfollow = json!({ "type": "unfollow", "topic": "news" });
    assert_eq!(eve.ask(unfollow)["type"], "unfollowed", "that may everybody");
}

#[test]
fn nobody_gets_at_anothers_inbox() {
    let server = Server::start(&setup());
    notify(&server, "ada", 1);
    let mut bob = device(&server, "bob");
    for command in [
        json!({ "type": "subscribe", "channel": "inbox:ada" }),
        json!({ "type": "history", "channel": "inbox:ada" }),
        json!({ "type": "publish", "channel": "inbox:ada", "data": 1 }),
        json!({ "type": "presence", "channel": "inbox:ada" }),
        json!({ "type": "read", "channel": "inbox:ada", "offset": 1 }),
    ] {
        assert_eq!(bob.ask(command.clone())["code"], "forbidden", "{command}");
    }
    let mut anonymous = server.connect();
    assert_eq!(anonymous.ask(json!({ "type": "inbox" }))["code"], "forbidden");
    assert_eq!(bob.ask(json!({ "type": "follow", "topic": "news" }))["code"], "forbidden");
    let published = post(&server, "/publish", &json!({ "channel": "inbox:ada", "data": 1 }));
    assert_eq!(published.problem(400), "bad_request");
    server.still_fine();
}
