//! Who a session belongs to: hello, tokens, their end, and names that come back.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "stories, told briefly")]

use serde_json::{Value, json};
use tidings_sim::{Time, Who, World};

fn token(w: &World, user: &str, lives_ms: u64) -> String {
    format!("user:{user};exp={}", w.wall_ms() + lives_ms)
}

fn hello(w: &mut World, who: Who, token: Option<&str>, ticket: Option<&str>) -> Value {
    w.ask(who, json!({ "type": "hello", "token": token, "session": ticket }))
}

fn last_bye(w: &World, who: Who) -> Value {
    w.frames_of(who, "bye").last().cloned().unwrap_or_default()
}

#[test]
fn hello_may_be_left_out_where_anonymous_users_are_allowed() {
    let mut w = World::new(1);
    let somebody = w.stranger();
    assert_eq!(w.ask(somebody, json!({ "type": "ping" }))["type"], "pong");
    let late = hello(&mut w, somebody, None, None);
    assert_eq!(late["code"], "bad_request", "it is the first command or none");
    assert!(w.closed(somebody).is_empty());
}

#[test]
fn anonymous_users_are_refused_where_they_are_not_allowed() {
    let mut w = World::with(2, |setup| setup.policy.anonymous = false);
    for command in [json!({ "type": "ping" }), json!({ "type": "hello" })] {
        let somebody = w.stranger();
        w.tell(somebody, command);
        w.run(1.secs());
        assert_eq!(w.closed(somebody), [4403]);
        assert_eq!(last_bye(&w, somebody)["reconnect"], false);
    }
    let ada = w.user("ada");
    assert!(w.is_up(ada));
}

#[test]
fn a_token_that_is_not_valid_is_refused() {
    let mut w = World::new(3);
    let in_hello = w.stranger();
    w.tell(in_hello, json!({ "type": "hello", "token": "nonsense" }));
    let in_header = w.stranger_with(Some("nonsense"));
    let in_name = w.stranger_with(Some("user:anon-1"));
    let too_long = w.stranger_with(Some(&format!("user:{}", "x".repeat(9000))));
    w.run(1.secs());
    for who in [in_hello, in_header, in_name, too_long] {
        assert_eq!(w.closed(who), [4401]);
    }
}

#[test]
fn a_token_that_has_expired_is_another_matter() {
    let mut w = World::new(4);
    let old = format!("user:ada;exp={}", w.wall_ms());
    let somebody = w.stranger();
    w.tell(somebody, json!({ "type": "hello", "token": old }));
    w.run(1.secs());
    assert_eq!(w.closed(somebody), [4501]);
    assert_eq!(last_bye(&w, somebody)["reconnect"], true);
}

#[test]
fn a_header_does_what_hello_does() {
    let mut w = World::new(5);
    let ada = w.stranger_with(Some("user:ada"));
    let welcome = hello(&mut w, ada, None, None);
    assert_eq!(welcome["user"], "ada");
    assert_eq!(welcome["limits"], json!({ "frame": 65536, "channels": 128, "in_flight": 64 }));
}

#[test]
fn ada_is_warned_then_closed_and_comes_back_at_once_with_a_fresh_token() {
    let mut w = World::new(6);
    let short = token(&w, "ada", 60_000);
    let ada = w.user_with("ada", &short);
    w.join(ada, "chat:lobby");
    w.run(29.secs());
    assert!(w.frames_of(ada, "expiring").is_empty());
    w.run(3.secs());
    assert!(w.frames_of(ada, "expiring")[0]["expires_in"].as_u64().unwrap() <= 30_000);
    w.run(29.secs());
    assert_eq!(w.frames_of(ada, "expiring").len(), 1);
    assert_eq!(w.closed(ada), [4501]);
    assert!(w.is_up(ada), "the client has fetched another");
    w.say(ada, "chat:lobby", "still here");
    assert_eq!(w.heard(ada, "chat:lobby"), ["still here"]);
}

#[test]
fn a_refresh_in_place_keeps_subscriptions_and_the_connection() {
    let mut w = World::new(7);
    let short = token(&w, "ada", 60_000);
    let ada = w.user_with("ada", &short);
    w.join(ada, "chat:lobby");
    w.run(40.secs());
    let longer = token(&w, "ada", 3_600_000);
    let refreshed = w.ask(ada, json!({ "type": "refresh", "token": longer }));
    assert_eq!(refreshed["type"], "refreshed");
    w.run(60.secs());
    w.say(ada, "chat:lobby", "hi");
    assert_eq!(w.heard(ada, "chat:lobby"), ["hi"]);
    assert!(w.closed(ada).is_empty());
}

#[test]
fn a_refresh_is_refused_with_another_users_token_or_a_bad_one() {
    let mut w = World::new(8);
    let ada = w.user("ada");
    let expired = token(&w, "ada", 0);
    for token in ["user:bob", "nonsense", &expired] {
        let refused = w.ask(ada, json!({ "type": "refresh", "token": token }));
        assert_eq!(refused["code"], "unauthorized", "{token}");
    }
    assert!(w.closed(ada).is_empty());
}

const GRANT: &str = "user:ada;grants=closed:*=subscribe+publish+presence";

#[test]
fn what_the_new_token_does_not_allow_ends() {
    let mut w = World::new(9);
    let (ada, bob) = (w.user_with("ada", GRANT), w.user_with("bob", &GRANT.replace("ada", "bob")));
    for who in [ada, bob] {
        w.join(who, "closed:room");
        w.join(who, "chat:lobby");
    }
    w.enter(ada, "closed:room", json!(1));
    w.ask(ada, json!({ "type": "refresh", "token": "user:ada" }));
    w.run(1.secs());
    let error = w.frames_of(ada, "error").last().cloned().unwrap();
    assert_eq!((&error["code"], &error["channel"]), (&json!("forbidden"), &json!("closed:room")));
    assert_eq!(error["id"], Value::Null);
    w.say(bob, "closed:room", "secret");
    w.say(bob, "chat:lobby", "public");
    assert!(w.heard(ada, "closed:room").is_empty());
    assert_eq!(w.heard(ada, "chat:lobby"), ["public"]);
    let here = w.ask(bob, json!({ "type": "presence", "channel": "closed:room" }));
    assert_eq!(here["count"], 0, "nor is she shown where she may not be");
    w.check();
}

#[test]
fn a_subscribe_in_front_of_a_refresh_that_forbids_it_is_answered_too() {
    let mut w = World::with(10, |setup| setup.latency_ms = (5, 5));
    let ada = w.user_with("ada", GRANT);
    let subscribe = json!({ "type": "subscribe", "channel": "closed:new" });
    let first = w.tell(ada, subscribe.clone());
    let refresh = w.tell(ada, json!({ "type": "refresh", "token": "user:ada" }));
    let unsubscribe = w.tell(ada, json!({ "type": "unsubscribe", "channel": "closed:new" }));
    w.run(1.secs());
    assert_eq!(w.answer(ada, first).unwrap()["type"], "subscribed");
    assert_eq!(w.answer(ada, refresh).unwrap()["type"], "refreshed");
    assert!(w.answer(ada, unsubscribe).is_some());
    assert_eq!(w.ask(ada, subscribe)["code"], "forbidden");
    w.check();
}

#[test]
fn a_ticket_gives_an_anonymous_user_their_name_back() {
    let mut w = World::new(11);
    let first = w.stranger();
    let welcome = hello(&mut w, first, None, None);
    let (name, ticket) = (welcome["user"].clone(), welcome["session"].as_str().unwrap().to_owned());
    assert!(name.as_str().unwrap().starts_with("anon-"));
    w.leave_for_good(first);
    let again = w.stranger();
    assert_eq!(hello(&mut w, again, None, Some(&ticket))["user"], name);
    let forged = ticket.replace('.', ".1");
    let other = w.stranger();
    assert_ne!(hello(&mut w, other, None, Some(&forged))["user"], name);
    w.clock_jump(2 * 86_400_000);
    let late = w.stranger();
    assert_ne!(hello(&mut w, late, None, Some(&ticket))["user"], name, "it has expired");
}

#[test]
fn the_public_id_is_all_that_others_see_of_a_ticket() {
    let mut w = World::new(12);
    let (ada, bob) = (w.user("ada"), w.user("bob"));
    w.join(bob, "chat:lobby");
    w.say(ada, "chat:lobby", "hi");
    let ticket = w.frames_of(ada, "welcome")[0]["session"].as_str().unwrap().to_owned();
    let seen = w.frames_of(bob, "event")[0]["session"].as_str().unwrap().to_owned();
    assert_eq!(ticket.split('.').next(), Some(&*seen));
    assert_ne!(ticket, seen);
}
