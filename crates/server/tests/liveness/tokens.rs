//! Tokens: in the header or in `hello`, expiring and refreshed in mid session.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{Server, Setup, Socket, token};

#[test]
fn a_token_may_come_in_the_header() {
    let server = Server::start(&Setup::default());
    let bearer = format!("Authorization: Bearer {}\r\n", token("ada", Duration::from_secs(60)));
    let mut ada = Socket::upgrade(server.tcp(), &bearer).unwrap();
    let welcome = ada.ask(json!({"type": "hello"}));
    assert_eq!(welcome["user"], "ada", "{welcome}");
    assert!(welcome["expires_in"].as_u64().unwrap() <= 60_000, "{welcome}");
    // The scheme's name is written in upper or lower case (RFC 9110 section 11.1).
    let lower = bearer.replace("Bearer", "bearer");
    let mut first = Socket::upgrade(server.tcp(), &lower).unwrap();
    first.subscribe("club:room");
    assert_eq!(ada.publish("club:room", json!("hi"))["type"], "published");
    assert_eq!(first.event()["user"], "ada", "without hello it is the same user");

    for bad in ["nonsense", "e30.e30.", "a b c", ""] {
        let bearer = format!("Authorization: Bearer {bad}\r\n");
        Socket::upgrade(server.tcp(), &bearer).unwrap().bye(4401);
    }
    let mut anonymous = server.connect();
    assert_eq!(
        anonymous.ask(json!({"type": "subscribe", "channel": "club:room"}))["code"],
        "forbidden"
    );
    server.still_fine();
}

/// One session lets its token expire, another one refreshes in place; both are warned before.
#[test]
fn a_token_expires_in_mid_session() {
    let server = Server::start(&Setup { limits: "expiry_warning = \"3s\"", ..Setup::default() });
    let short = || token("ada", Duration::from_secs(4));
    let begin = Instant::now();
    let (mut lets_go, mut refreshes) = (server.connect_as(&short()), server.connect_as(&short()));
    let mut bob = server.connect_as(&token("bob", Duration::from_secs(600)));
    lets_go.subscribe("club:room");
    refreshes.subscribe("club:room");
    assert_eq!(lets_go.push()["type"], "expiring");
    let warned = refreshes.push();
    assert_eq!(warned["type"], "expiring");
    assert!(warned["expires_in"].as_u64().unwrap() <= 3000, "{warned}");

    let other = json!({"type": "refresh", "token": token("eve", Duration::from_secs(600))});
    assert_eq!(refreshes.ask(other)["code"], "unauthorized", "another user's token");
    let longer = json!({"type": "refresh", "token": token("ada", Duration::from_secs(600))});
    let refreshed = refreshes.ask(longer);
    assert_eq!(refreshed["type"], "refreshed", "{refreshed}");
    assert!(refreshed["expires_in"].as_u64().unwrap() > 500_000, "{refreshed}");

    let said = lets_go.bye(4501);
    let took = begin.elapsed();
    assert!(took > Duration::from_millis(2500), "expired after {took:?} already");
    assert!(took < Duration::from_secs(10), "expired after {took:?} only");
    assert_eq!(said.last().unwrap()["reconnect"], true);
    assert_eq!(bob.publish("club:room", json!("still here?"))["type"], "published");
    assert_eq!(refreshes.event()["data"], "still here?", "subscriptions outlive a refresh");
    let late = token("ada", Duration::ZERO);
    let mut expired = server.connect();
    expired.command(json!({"type": "hello", "token": late})).unwrap();
    expired.bye(4501);
    server.still_fine();
}
