//! The Rust client and a real server: kills, lost connections, tokens, slow readers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod common;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use common::{PATIENCE, Server, Setup, free_port, token};
use tempfile::TempDir;
use tidings_client::{Backoff, Client, Error, Options, Push, Status, Subscription, Token};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Publishes that are under way at once.
const WINDOW: usize = 32;

/// Comes back soon.
fn options() -> Options {
    Options { backoff: Backoff { base: 100, ..Backoff::default() }, ..Options::default() }
}

fn run<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(story)
}

async fn connect(server: &Server, options: Options) -> Client {
    Client::connect(&format!("localhost:{}", server.port), options).await.unwrap()
}

/// The next event; that nothing is missing in front of it is a part of that.
async fn event(subscription: &mut Subscription) -> tidings_client::Event {
    loop {
        let push = timeout(PATIENCE, subscription.next()).await.expect("something comes");
        match push.unwrap().unwrap() {
            Push::Event(event) => return event,
            Push::Subscribed(subscribed) => assert!(subscribed.recovered, "{subscribed:?}"),
            push => panic!("{push:?}"),
        }
    }
}

/// Publishes numbers until it is told to stop, and tells how many are acknowledged. How many.
async fn publish(client: Client, acked: watch::Sender<u64>, stop: watch::Receiver<bool>) -> u64 {
    let lobby = client.channel("chat:lobby");
    let (mut window, mut next, mut offset) = (VecDeque::new(), 0_u64, 0);
    loop {
        if window.len() < WINDOW && !*stop.borrow() {
            window.push_back(lobby.publish(next).queue().await.unwrap());
            next += 1;
        } else if let Some(published) = window.pop_front() {
            let ack = timeout(PATIENCE, published).await.expect("it is stored").unwrap();
            offset += 1;
            assert_eq!(ack.position.unwrap().offset, offset, "in order, each once");
            acked.send_replace(offset);
        } else {
            return next;
        }
    }
}

#[test]
fn through_kills_everything_arrives_once_and_in_order() {
    let (port, dir) = (free_port(), Arc::new(TempDir::new().unwrap()));
    let setup = Setup { server: "shards = 2", ..Setup::default() };
    let mut server = Server::start_at(port, dir.clone(), &setup);
    run(async {
        let ada = connect(&server, options()).await;
        let bob = connect(&server, options()).await;
        let mut lobby = bob.channel("chat:lobby").subscribe().rewind(1).await.unwrap();
        assert!(matches!(lobby.next().await, Some(Ok(Push::Subscribed(_)))));
        let ((acked, mut seen), (stop, stopped)) = (watch::channel(0), watch::channel(false));
        let publishing = tokio::spawn(publish(ada, acked, stopped));
        for round in 1..=3 {
            let goal = *seen.borrow() + 100;
            let reached = seen.wait_for(|acked| *acked >= goal);
            timeout(PATIENCE, reached).await.expect("publishing goes on").unwrap();
            server.kill();
            server = Server::start_at(port, dir.clone(), &setup);
            println!("round {round}: killed behind {goal}");
        }
        stop.send_replace(true);
        let count = publishing.await.unwrap();
        for number in 0..count {
            let event = event(&mut lobby).await;
            assert_eq!(event.json::<u64>().unwrap(), number);
            assert_eq!(event.position.unwrap().offset, number + 1);
        }
        println!("{count} events");
    });
}

#[test]
fn a_token_that_is_none_stops_the_client() {
    let server = Server::start(&Setup::default());
    run(async {
        let options = Options { token: Some("no.token.this".into()), ..options() };
        let address = format!("localhost:{}", server.port);
        let error = Client::connect(&address, options).await.unwrap_err();
        let Error::Closed(closed) = &error else { panic!("{error}") };
        assert_eq!((closed.code, error.is_final()), (4401, true));
    });
}

#[test]
fn a_token_that_has_ended_is_replaced_and_opens_the_club() {
    let server = Server::start(&Setup::default());
    run(async {
        let source = Token::from_fn(|reason| async move {
            Ok(match reason {
                tidings_client::TokenReason::Connect => token("ada", Duration::ZERO),
                _ => token("ada", Duration::from_mins(10)),
            })
        });
        let client = Client::start(
            &format!("localhost:{}", server.port),
            Options { token: Some(source), ..options() },
        )
        .unwrap();
        assert_eq!(timeout(PATIENCE, client.welcomed()).await.unwrap().unwrap().user, "ada");
        let ack = client.channel("club:a").publish("let in").await.unwrap();
        assert_eq!((ack.level.as_str(), ack.duplicate), ("memory", false));
    });
}

/// A way to the server that can be cut.
struct Way {
    port: u16,
    cut: watch::Sender<u64>,
}

impl Way {
    async fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let to = AtomicU16::new(server.port);
        let (cut, cuts) = watch::channel(0);
        tokio::spawn(async move {
            let mut ways = JoinSet::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut far =
                    TcpStream::connect(("127.0.0.1", to.load(Ordering::SeqCst))).await.unwrap();
                let mut cuts = cuts.clone();
                cuts.mark_unchanged();
                ways.spawn(async move {
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Self { port, cut }
    }

    fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}

/// The next change of presence.
async fn change(subscription: &mut Subscription) -> (String, String) {
    loop {
        let push = timeout(PATIENCE, subscription.next()).await.expect("something comes");
        if let Push::Presence(change) = push.unwrap().unwrap() {
            return (change.action, change.member.unwrap().data.to_string());
        }
    }
}

#[test]
fn a_lost_connection_is_resumed_and_nobody_has_left() {
    let server = Server::start(&Setup::default());
    run(async {
        let way = Way::to(&server).await;
        let bob = connect(&server, options()).await;
        let mut lobby = bob.channel("chat:lobby").subscribe().presence().await.unwrap();
        let ada = Client::connect(&format!("localhost:{}", way.port), options()).await.unwrap();
        ada.channel("chat:lobby").enter("ada").await.unwrap();
        let mut status = ada.status();
        for _ in 0..2 {
            status.mark_unchanged();
            way.cut();
            let lost = |status: &Status| !matches!(status, Status::Connected(_));
            timeout(PATIENCE, status.wait_for(lost)).await.unwrap().unwrap();
            let back = |status: &Status| matches!(status, Status::Connected(_));
            let seen = timeout(PATIENCE, status.wait_for(back)).await.unwrap().unwrap().clone();
            assert!(matches!(seen, Status::Connected(welcome) if welcome.resumed));
        }
        ada.channel("chat:lobby").update("still ada").await.unwrap();
        let said = |action: &str, data: &str| (action.to_owned(), format!("{data:?}"));
        assert_eq!(change(&mut lobby).await, said("enter", "ada"));
        assert_eq!(change(&mut lobby).await, said("update", "still ada"));
    });
}

#[test]
fn a_slow_reader_is_waited_for_and_others_are_not() {
    const EVENTS: u64 = 500;
    let server = Server::start(&Setup::default());
    run(async {
        let bob = connect(&server, Options { buffer: 16, ..options() }).await;
        let mut slow = bob.channel("cast:slow").subscribe().await.unwrap();
        let mut quick = bob.channel("cast:quick").subscribe().await.unwrap();
        assert!(matches!(slow.next().await, Some(Ok(Push::Subscribed(_)))));
        assert!(matches!(quick.next().await, Some(Ok(Push::Subscribed(_)))));
        let ada = connect(&server, options()).await;
        for number in 0..EVENTS {
            for channel in ["cast:slow", "cast:quick"] {
                ada.channel(channel).publish(number).queue().await.unwrap();
            }
            // What is not read stands in nobody's way.
            assert_eq!(event(&mut quick).await.json::<u64>().unwrap(), number);
        }
        for number in 0..EVENTS {
            let event = loop {
                // Where it was left out it is taken up again: all of it is in history.
                match timeout(PATIENCE, slow.next()).await.expect("it goes on").unwrap().unwrap() {
                    Push::Event(event) => break event,
                    Push::Subscribed(_) => {}
                    push => panic!("{push:?}"),
                }
            };
            assert_eq!(event.json::<u64>().unwrap(), number);
        }
    });
}

#[test]
fn own_events_that_are_not_echoed_leave_no_hole() {
    let server = Server::start(&Setup::default());
    run(async {
        let ada = connect(&server, options()).await;
        let channel = ada.channel("cast:quiet");
        let mut pushes = channel.subscribe().await.unwrap();
        assert!(matches!(pushes.next().await, Some(Ok(Push::Subscribed(_)))));
        for number in 0..3 {
            channel.publish(number).no_echo().await.unwrap();
        }
        let bob = connect(&server, options()).await;
        bob.channel("cast:quiet").publish("heard").await.unwrap();
        let push = timeout(PATIENCE, pushes.next()).await.expect("something comes");
        let event = push.unwrap().unwrap().into_event().expect("no new subscription before it");
        assert_eq!(event.json::<String>().unwrap(), "heard");
        assert_eq!(event.position.unwrap().offset, 4);
    });
}
