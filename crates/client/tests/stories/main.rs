//! The client against a server that follows a script.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::needless_pass_by_value, reason = "`json!` is written where it is needed")]

mod fake;
mod tokens;

use std::time::Duration;

use fake::{Peer, Server};
use serde_json::json;
use tidings_client::{Backoff, Client, Error, Options, Push, Status, Subscription};

/// What must come comes within this.
const PATIENCE: Duration = Duration::from_secs(30);

/// Comes back at once.
fn options() -> Options {
    let backoff = Backoff { base: 0, ..Backoff::default() };
    Options { token: Some("a.b.c".into()), backoff, ..Options::default() }
}

async fn next(subscription: &mut Subscription) -> Option<Result<Push, Error>> {
    tokio::time::timeout(PATIENCE, subscription.next()).await.expect("something comes")
}

/// The offsets of the next events, and `|` for a subscription, `?` for a gap.
async fn told(subscription: &mut Subscription, count: usize) -> String {
    let mut told = Vec::new();
    while told.len() < count {
        told.push(match next(subscription).await.unwrap().unwrap() {
            Push::Subscribed(_) => "|".into(),
            Push::Event(event) => event.position.map_or("-".into(), |at| at.offset.to_string()),
            Push::Gap(gap) => format!("?{}", gap.to.offset),
            other => panic!("{other:?}"),
        });
    }
    told.join(" ")
}

async fn until_closed(client: &Client) -> Error {
    let mut status = client.status();
    let closed = status.wait_for(|status| matches!(status, Status::Closed { .. }));
    match &*tokio::time::timeout(PATIENCE, closed).await.unwrap().unwrap() {
        Status::Closed { cause: Some(cause) } => cause.clone(),
        status => panic!("{status:?}"),
    }
}

#[tokio::test]
async fn an_answer_is_found_among_pushes() {
    let (server, address) = Server::start().await;
    let serving = tokio::spawn(async move {
        let mut peer = server.welcome().await;
        let ask = peer.command("history").await;
        peer.event(1).await;
        tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &[0x89, 0x02, b'h', b'i'])
            .await
            .unwrap();
        let events = json!([{ "type": "event", "channel": "chat:a", "offset": 7, "user": "bob",
            "session": "2", "timestamp": "", "data": [1, {}] }]);
        let page = json!({ "type": "history", "epoch": "e", "offset": 9, "events": events });
        peer.reply(&ask, page).await;
        let refused = peer.command("publish").await;
        assert_eq!((&refused["ephemeral"], &refused["echo"]), (&json!(true), &json!(false)));
        peer.refuse(&refused, "forbidden").await;
        let raw = peer.command("something").await;
        assert_eq!(raw["member"], 7);
        peer.reply(&raw, json!({ "type": "done" })).await;
        peer.revoke().await;
    });
    let client = Client::connect(&address, options()).await.unwrap();
    let welcome = client.welcomed().await.unwrap();
    assert_eq!((welcome.user.as_str(), welcome.public_session()), ("anon-5e55", "5e55"));
    let mut notices = client.notices();
    let channel = client.channel("chat:a");
    let page = channel.history().limit(1).await.unwrap();
    assert_eq!((page.position.offset, page.events.len(), page.more), (9, 1, false));
    let event = &page.events[0];
    assert_eq!((event.user.as_str(), event.data(), event.replayed), ("bob", "[1,{}]", true));
    assert_eq!(event.position.as_ref().unwrap().to_string(), "e:7");
    assert_eq!(notices.recv().await.unwrap().kind(), "event", "of no subscription");
    let refused = channel.publish(json!({})).ephemeral().no_echo().await.unwrap_err();
    assert_eq!((refused.code(), refused.is_final()), (Some("forbidden"), true));
    let done = client.request("something", json!({ "member": 7, "id": 99 })).await.unwrap();
    assert_eq!(done.kind(), "done");
    assert!(matches!(until_closed(&client).await, Error::Closed(closed) if closed.code == 4410));
    let late = channel.publish(1).await.unwrap_err();
    assert!(matches!(late, Error::Closed(closed) if closed.code == 4410), "it says why");
    serving.await.unwrap();
}

#[tokio::test]
async fn what_is_no_server_is_refused() {
    for (response, status) in
        [("HTTP/1.1 403 Forbidden\r\n\r\nno such origin", Some(403)), ("220 mail\r\n", None)]
    {
        let (server, address) = Server::start().await;
        let serving = tokio::spawn(async move {
            let (mut stream, _) = server.head().await;
            tokio::io::AsyncWriteExt::write_all(&mut stream, response.as_bytes()).await.unwrap();
        });
        match Client::connect(&address, options()).await.unwrap_err() {
            Error::Upgrade(code, text) => {
                assert_eq!((Some(code), text.as_str()), (status, "no such origin"));
            }
            Error::Protocol(_) => assert_eq!(status, None),
            error => panic!("{error}"),
        }
        serving.await.unwrap();
    }
    let nobody = Client::connect("127.0.0.1:1", options()).await.unwrap_err();
    assert!(matches!(nobody, Error::Connect(..)) && !nobody.is_final());
    let address = Client::connect("ftp://a", options()).await.unwrap_err();
    assert!(matches!(address, Error::Address(_)));
}

#[tokio::test]
async fn after_a_lost_connection_nothing_is_missing_or_doubled() {
    let (server, address) = Server::start().await;
    let serving = tokio::spawn(async move {
        let mut peer = server.welcome().await;
        let subscribe = peer.subscribed(7, false).await;
        assert_eq!((&subscribe["rewind"], subscribe.get("since")), (&json!(5), None));
        peer.event(7).await;
        peer.event(8).await;
        let first = peer.command("publish").await;
        let second = peer.command("publish").await;
        assert_eq!((&first["seq"], &second["seq"]), (&json!(1), &json!(2)), "both under way");
        // One is stored, but the answer is lost.
        peer.event(9).await;
        peer.drain().await;

        let (mut peer, hello) = server.welcome_as(json!({})).await;
        assert_eq!(hello["session"], "5e55.1.mac", "the same session");
        assert!(hello["attempt"].as_u64().unwrap() > 0, "one that comes late can be told");
        assert_eq!(hello["token"], "a.b.c");
        let subscribe = peer.subscribed(10, true).await;
        assert_eq!(subscribe["since"], json!({ "epoch": "e", "offset": 9 }));
        for (publish, duplicate) in [(first, true), (second, false)] {
            let again = peer.command("publish").await;
            for member in ["seq", "data", "producer"] {
                assert_eq!(again[member], publish[member]);
            }
            let reply = json!({ "type": "published", "duplicate": duplicate, "epoch": "e",
                "offset": 8 + again["seq"].as_u64().unwrap(), "level": "os" });
            peer.reply(&again, reply).await;
        }
        peer.event(9).await;
        peer.event(10).await;
        peer.revoke().await;
    });
    let client = Client::connect(&address, options()).await.unwrap();
    let channel = client.channel("chat:a");
    let mut subscription = channel.subscribe().rewind(5).await.unwrap();
    assert_eq!(told(&mut subscription, 3).await, "| 7 8");
    let first = channel.publish("once").queue().await.unwrap();
    let second = channel.publish("more").queue().await.unwrap();
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    assert_eq!((first.duplicate, first.position.unwrap().offset), (true, 9));
    assert_eq!((second.duplicate, second.level.as_str()), (false, "os"));
    assert_eq!(client.waiting(), 0);
    assert_eq!(told(&mut subscription, 3).await, "9 | 10");
    let end = next(&mut subscription).await.unwrap().unwrap_err();
    assert!(matches!(end, Error::Closed(closed) if closed.code == 4410), "the last word");
    assert!(next(&mut subscription).await.is_none());
    serving.await.unwrap();
}

#[tokio::test]
async fn a_subscription_that_was_refused_is_not_tried_again() {
    let (server, address) = Server::start().await;
    let serving = tokio::spawn(async move {
        let mut peer = server.welcome().await;
        let subscribe = peer.command("subscribe").await;
        peer.refuse(&subscribe, "forbidden").await;
        peer.command("something").await;
        peer.drain().await;
        let mut peer = server.welcome().await;
        peer.command("else").await;
        peer.revoke().await;
    });
    let client = Client::connect(&address, options()).await.unwrap();
    let refused = client.channel("chat:a").subscribe().await.unwrap_err();
    assert_eq!(refused.code(), Some("forbidden"));
    let lost = client.request("something", json!({})).await.unwrap_err();
    assert!(matches!(lost, Error::Closed(closed) if closed.code == 4503), "once, at most");
    client.welcomed().await.ok();
    while client.request("else", json!({})).await.is_err_and(|error| !error.is_final()) {
        client.status().wait_for(|status| matches!(status, Status::Connected(_))).await.unwrap();
    }
    serving.await.unwrap();
}

#[tokio::test]
async fn a_hole_is_asked_for_again_and_old_news_are_none() {
    let (server, address) = Server::start().await;
    let serving = tokio::spawn(async move {
        let mut peer = server.welcome().await;
        peer.subscribed(0, false).await;
        peer.event(1).await;
        peer.event(1).await;
        peer.event(4).await;
        let unsubscribe = peer.command("unsubscribe").await;
        peer.event(5).await;
        peer.reply(&unsubscribe, json!({ "type": "unsubscribed" })).await;
        let again = peer.subscribed(5, false).await;
        assert_eq!(again["since"]["offset"], 1);
        peer.send(json!({ "type": "gap", "channel": "chat:a", "reason": "expired",
            "from": { "epoch": "e", "offset": 1 }, "to": { "epoch": "e", "offset": 3 } }))
            .await;
        peer.event(4).await;
        peer.event(5).await;
        peer
    });
    let client = Client::connect(&address, options()).await.unwrap();
    let channel = client.channel("chat:a");
    let mut subscription = channel.subscribe().await.unwrap();
    assert_eq!(told(&mut subscription, 6).await, "| 1 | ?3 4 5");
    let twice = channel.subscribe().await.unwrap_err();
    assert_eq!(twice.code(), Some("already_subscribed"));
    drop(serving.await.unwrap());
}

#[tokio::test]
async fn a_slow_reader_misses_nothing_that_is_in_history() {
    let (server, address) = Server::start().await;
    let serving = tokio::spawn(async move {
        let mut peer = server.welcome().await;
        peer.subscribed(0, false).await;
        // The subscription itself takes a place.
        for offset in 1..=5 {
            peer.event(offset).await;
        }
        let ask = peer.command("something").await;
        peer.reply(&ask, json!({ "type": "done" })).await;
        let unsubscribe = peer.command("unsubscribe").await;
        peer.reply(&unsubscribe, json!({ "type": "unsubscribed" })).await;
        let again = peer.subscribed(5, true).await;
        assert_eq!(again["since"]["offset"], 3, "where there was no more room");
        for offset in 4..=5 {
            peer.event(offset).await;
        }
        peer
    });
    let client = Client::connect(&address, Options { buffer: 4, ..options() }).await.unwrap();
    let subscribe = client.channel("chat:a").subscribe();
    let mut subscription = subscribe.later().await.unwrap();
    // Behind the answer are all five events, and nobody has read.
    client.request("something", json!({})).await.unwrap();
    assert_eq!(told(&mut subscription, 4).await, "| 1 2 3");
    assert_eq!(told(&mut subscription, 3).await, "| 4 5");
    drop(serving.await.unwrap());
}

/// Answers an `enter`, which has to have this data.
async fn entered(peer: &mut Peer, kind: &str, data: &str) {
    let enter = peer.command(kind).await;
    assert_eq!(enter["data"], data);
    peer.reply(&enter, json!({ "type": format!("{kind}ed") })).await;
}

#[tokio::test]
async fn presence_goes_on_with_the_session_and_is_said_again_in_another() {
    let (server, address) = Server::start().await;
    let serving = tokio::spawn(async move {
        let mut peer = server.welcome().await;
        entered(&mut peer, "enter", "here").await;
        entered(&mut peer, "update", "busy").await;
        peer.drain().await;
        let (mut peer, _) = server.welcome_as(json!({ "resumed": true })).await;
        peer.command("something").await;
        peer.drain().await;
        let (mut peer, _) = server.welcome_as(json!({ "resumed": false })).await;
        entered(&mut peer, "enter", "busy").await;
        let leave = peer.command("leave").await;
        peer.reply(&leave, json!({ "type": "left" })).await;
        peer.next().await
    });
    let client = Client::connect(&address, options()).await.unwrap();
    let channel = client.channel("chat:a");
    channel.enter("here").await.unwrap();
    channel.update("busy").await.unwrap();
    let mut status = client.status();
    let resumed = |status: &Status| matches!(status, Status::Connected(now) if now.resumed);
    status.wait_for(resumed).await.unwrap();
    // If it entered again, that would come before this.
    client.request("something", json!({})).await.unwrap_err();
    let anew = |status: &Status| matches!(status, Status::Connected(now) if !now.resumed);
    status.wait_for(anew).await.unwrap();
    channel.leave().await.unwrap();
    client.close().await;
    assert_eq!(serving.await.unwrap(), None, "a good-bye");
}

#[tokio::test]
async fn the_last_handle_says_good_bye() {
    let (server, address) = Server::start().await;
    let serving = tokio::spawn(async move {
        let mut peer = server.welcome().await;
        peer.subscribed(0, false).await;
        while peer.next().await.is_some() {}
    });
    let client = Client::connect(&address, options()).await.unwrap();
    let subscription = client.channel("chat:a").subscribe().await.unwrap();
    drop(client);
    drop(subscription);
    tokio::time::timeout(PATIENCE, serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_closed_says_so_to_everybody() {
    let (server, address) = Server::start().await;
    let serving = tokio::spawn(async move {
        let mut peer = server.welcome().await;
        peer.subscribed(0, false).await;
        peer.command("publish").await;
        while peer.next().await.is_some() {}
    });
    let client = Client::connect(&address, options()).await.unwrap();
    let channel = client.channel("chat:a");
    let mut subscription = channel.subscribe().await.unwrap();
    assert_eq!(told(&mut subscription, 1).await, "|");
    let published = channel.publish(1).queue().await.unwrap();
    client.clone().close().await;
    let end = published.await.unwrap_err();
    assert!(matches!(end, Error::Ended | Error::Unconfirmed), "{end}");
    assert!(next(&mut subscription).await.is_none(), "no error: the program wanted it");
    assert!(matches!(channel.history().await, Err(Error::Ended)));
    assert!(matches!(client.welcomed().await, Err(Error::Ended)));
    drop(serving);
}

#[tokio::test]
async fn a_full_outbox_says_so_and_an_old_publish_too() {
    let outbox = tidings_client::OutboxLimits { entries: 1, ..Default::default() };
    let client = Client::start("127.0.0.1:1", Options { outbox, ..options() }).unwrap();
    let channel = client.channel("chat:a");
    let first = channel.publish(1).max_age(Duration::from_millis(50)).queue().await.unwrap();
    assert!(matches!(channel.publish(2).await, Err(Error::OutboxFull)));
    assert!(matches!(first.await, Err(Error::Expired)));
    assert!(matches!(channel.publish(3).ephemeral().await, Err(Error::NotConnected)));
    assert!(matches!(client.request("ping", json!({})).await, Err(Error::NotConnected)));
    client.close().await;
}
