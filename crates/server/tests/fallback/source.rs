//! A plain `EventSource`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{Server, Setup, token};
use crate::http::{Events, begin};

fn open(server: &Server, query: &str, last: Option<&str>) -> Events {
    let head = last.map(|last| format!("Last-Event-ID: {last}\r\n")).unwrap_or_default();
    Events::read(begin(server, &format!("GET /events?{query}"), &head, b""))
}

#[test]
fn a_browser_that_lost_its_connection_gets_once_what_it_missed() {
    let server = Server::start(&Setup::default());
    let mut ada = server.connect();
    let query = "channel=chat:news&channel=cast:more";
    let mut events = open(&server, query, None);
    assert_eq!(events.status, 200);
    for _ in 0..2 {
        events.wait("subscribed");
    }
    assert!(events.comments.iter().any(|block| block.starts_with("retry: ")));
    ada.publish("chat:news", json!(1));
    ada.publish("cast:more", json!(2));
    let mut heard: Vec<Value> = Vec::new();
    let mut id = None;
    for _ in 0..2 {
        let event = events.wait("event");
        heard.push(event.data["data"].clone());
        id = event.id;
    }
    drop(events);
    for number in 3..8 {
        let channel = if number % 2 == 0 { "chat:news" } else { "cast:more" };
        ada.publish(channel, json!(number));
    }
    let mut events = open(&server, query, id.as_deref());
    ada.publish("chat:news", json!(8));
    heard.extend((3..=8).map(|_| events.wait("event").data["data"].clone()));
    heard.sort_by_key(Value::as_u64);
    assert_eq!(heard, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn a_position_that_is_no_more_is_a_gap() {
    let server = Server::start(&Setup::default());
    let mut events = open(&server, "channel=chat:news", Some("01f3a9c2d47be511:5"));
    assert_eq!(events.wait("gap").data["reason"], "new_epoch");
}

#[test]
fn refusals_have_a_status_on_which_a_browser_stops() {
    let server = Server::start(&Setup::default());
    let ticket = token("ada", Duration::from_secs(60));
    let token = token("ada", Duration::from_secs(3600));
    for (query, status) in [
        ("", 400),
        ("channel=", 400),
        ("channel=chat:a&rewind=x", 400),
        (&*(0..17).map(|n| format!("channel=chat:{n}&")).collect::<String>(), 400),
        ("channel=nowhere:a", 404),
        ("channel=club:a", 403),
        ("channel=club:a&ticket=x", 401),
        (&*format!("channel=club:a&ticket={token}"), 401),
        (&*format!("channel=club:a&ticket={ticket}"), 200),
        ("channel=chat:a&rewind=3", 200),
    ] {
        assert_eq!(open(&server, query, None).status, status, "{query}");
    }
    server.still_fine();
}

#[test]
fn a_ticket_that_expires_meanwhile_ends_nothing() {
    let server = Server::start(&Setup::default());
    let query = format!("channel=club:a&ticket={}", token("ada", Duration::from_millis(1500)));
    let mut events = open(&server, &query, None);
    assert_eq!(events.status, 200);
    std::thread::sleep(Duration::from_secs(3));
    let mut bob = server.connect_as(&token("bob", Duration::from_secs(60)));
    bob.publish("club:a", json!("still here?"));
    assert_eq!(events.wait("event").data["data"], "still here?");
    assert_eq!(open(&server, &query, None).status, 401, "but it lets nobody in any more");
}
