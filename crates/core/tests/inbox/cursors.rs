//! How far a user has read in channels, and what is unread there.

use serde_json::json;
use tidings_core::engine::{Inquiry, SessionKey};

use crate::desk::Desk;

fn publish(desk: &mut Desk, who: SessionKey) {
    let publish = json!({ "type": "publish", "id": 9, "channel": "chat:a", "data": 1 });
    assert_eq!(desk.ask(who, &publish)["type"], "published");
}

#[test]
fn what_others_said_behind_the_cursor_is_unread() {
    let mut desk = Desk::new();
    let (ada, bob) = (desk.device("ada"), desk.user("bob"));
    let unread = json!({ "type": "unread", "id": 3, "channel": "chat:a" });
    let none = desk.ask(ada, &unread);
    assert_eq!(
        (&none["count"], &none["read"], &none["first"]),
        (&json!(0), &json!(0), &json!(null))
    );
    for who in [bob, bob, ada, bob] {
        publish(&mut desk, who);
    }
    let all = desk.ask(ada, &unread);
    assert_eq!((&all["count"], &all["first"], &all["offset"]), (&json!(3), &json!(1), &json!(4)));
    let read =
        |offset: u64| json!({ "type": "read", "id": 4, "channel": "chat:a", "offset": offset });
    let answer = json!({ "type": "read", "id": 4, "channel": "chat:a", "offset": 2 });
    assert_eq!(desk.ask(ada, &read(2)), answer);
    assert_eq!(desk.ask(ada, &read(1)), answer, "only forwards");
    let rest = desk.ask(ada, &unread);
    assert_eq!((&rest["count"], &rest["first"], &rest["read"]), (&json!(1), &json!(4), &json!(2)));
    assert_eq!(desk.ask(ada, &read(99))["offset"], 4, "nobody has read what is not there");
    assert_eq!(desk.ask(ada, &unread)["count"], 0);
    let told: Vec<_> = desk.heard(ada).into_iter().filter(|f| f["type"] == "cursor").collect();
    assert_eq!(told.len(), 2, "on all devices");
    assert_eq!((&told[1]["of"], &told[1]["upto"]), (&json!("chat:a"), &json!(4)));
    desk.restart();
    let ada = desk.user("ada");
    assert_eq!(desk.ask(ada, &unread)["count"], 0);
    let cursors = desk.ask(ada, &json!({ "type": "cursors", "id": 5 }));
    assert_eq!(
        (&cursors["cursors"][0]["channel"], &cursors["cursors"][0]["offset"]),
        (&json!("chat:a"), &json!(4))
    );
    assert_eq!(desk.inquire(Inquiry::Cursors("ada")).unwrap()["cursors"], cursors["cursors"]);
}

#[test]
fn what_was_deleted_or_only_changed_is_not_unread() {
    let mut desk = Desk::new();
    let (ada, bob) = (desk.user("ada"), desk.user("bob"));
    publish(&mut desk, bob);
    publish(&mut desk, bob);
    for change in [
        json!({ "type": "edit", "id": 5, "channel": "chat:a", "offset": 1, "data": 2 }),
        json!({ "type": "react", "id": 5, "channel": "chat:a", "offset": 1, "reaction": "+1" }),
        json!({ "type": "delete", "id": 5, "channel": "chat:a", "offset": 2 }),
    ] {
        assert_eq!(desk.ask(bob, &change)["type"], "published", "{change}");
    }
    let unread = desk.ask(ada, &json!({ "type": "unread", "id": 3, "channel": "chat:a" }));
    assert_eq!((&unread["count"], &unread["first"]), (&json!(1), &json!(1)));
}

#[test]
fn a_cursor_of_another_history_says_nothing_of_this_one() {
    let mut desk = Desk::new();
    let (ada, bob) = (desk.user("ada"), desk.user("bob"));
    publish(&mut desk, bob);
    desk.ask(ada, &json!({ "type": "read", "id": 4, "channel": "chat:a", "offset": 1 }));
    desk.disk.get_mut("chat:a").unwrap().epoch.0 ^= 1;
    desk.restart();
    let ada = desk.user("ada");
    let unread = desk.ask(ada, &json!({ "type": "unread", "id": 3, "channel": "chat:a" }));
    assert_eq!((&unread["count"], &unread["read"]), (&json!(1), &json!(0)));
}

#[test]
fn a_room_that_is_not_ones_own_has_neither_cursor_nor_count() {
    let mut desk = Desk::new();
    let ada = desk.user("ada");
    for command in [
        json!({ "type": "unread", "id": 3, "channel": "inbox:bob" }),
        json!({ "type": "read", "id": 3, "channel": "inbox:bob", "offset": 1 }),
    ] {
        assert_eq!(desk.ask(ada, &command)["code"], "forbidden");
    }
    let wrong = json!({ "type": "unread", "id": 3, "channel": "nowhere:x" });
    assert_eq!(desk.ask(ada, &wrong)["code"], "not_found");
}
