//! Who is asked for tokens, and when.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tidings_client::{Client, Error, Options, Token, TokenError, TokenReason};

use crate::fake::{Peer, Server};
use crate::{options, until_closed};

/// Gives `token-1`, `token-2` …, and notes why it was asked.
fn source() -> (Token, Arc<Mutex<Vec<TokenReason>>>) {
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let noted = reasons.clone();
    let token = Token::from_fn(move |reason| {
        noted.lock().unwrap().push(reason);
        let number = noted.lock().unwrap().len();
        async move { Ok(format!("token-{number}")) }
    });
    (token, reasons)
}

async fn expired(mut peer: Peer) {
    peer.send(json!({ "type": "bye", "code": 4501, "reason": "token_expired", "reconnect": true }))
        .await;
}

#[tokio::test]
async fn a_token_that_was_refused_is_asked_for_once_more() {
    let (server, address) = Server::start().await;
    let serving = tokio::spawn(async move {
        let mut tokens = Vec::new();
        for _ in 0..2 {
            let (peer, hello) = server.welcome_as(json!({})).await;
            tokens.push(hello["token"].clone());
            expired(peer).await;
        }
        tokens
    });
    let (token, reasons) = source();
    let client = Client::start(&address, Options { token: Some(token), ..options() }).unwrap();
    let end = until_closed(&client).await;
    assert!(matches!(end, Error::Closed(closed) if closed.code == 4501));
    assert_eq!(*reasons.lock().unwrap(), [TokenReason::Connect, TokenReason::Rejected]);
    assert_eq!(serving.await.unwrap(), ["token-1", "token-2"]);
}

#[tokio::test]
async fn a_token_that_ends_soon_is_replaced_on_the_connection() {
    let (server, address) = Server::start().await;
    let serving = tokio::spawn(async move {
        let (mut peer, _) = server.welcome_as(json!({ "expires_in": 60_000 })).await;
        peer.send(json!({ "type": "expiring", "expires_in": 30_000 })).await;
        let refresh: Value = peer.command("refresh").await;
        peer.reply(&refresh, json!({ "type": "refreshed", "expires_in": 3_600_000 })).await;
        peer.revoke().await;
        refresh["token"].clone()
    });
    let (token, reasons) = source();
    let client = Client::start(&address, Options { token: Some(token), ..options() }).unwrap();
    until_closed(&client).await;
    assert_eq!(*reasons.lock().unwrap(), [TokenReason::Connect, TokenReason::Expiring]);
    assert_eq!(serving.await.unwrap(), "token-2");
}

#[tokio::test]
async fn the_only_token_that_there_is_is_not_tried_twice() {
    let (server, address) = Server::start().await;
    let serving = tokio::spawn(async move {
        expired(server.welcome().await).await;
        server
    });
    let client = Client::start(&address, options()).unwrap();
    let end = until_closed(&client).await;
    assert!(matches!(end, Error::Closed(closed) if closed.code == 4501), "what the server said");
    serving.await.unwrap();
}

#[tokio::test]
async fn a_source_without_tokens_stops_the_client_or_makes_it_wait() {
    let asked = Arc::new(Mutex::new(0));
    let token = Token::from_fn(move |_| {
        *asked.lock().unwrap() += 1;
        let first = *asked.lock().unwrap() == 1;
        async move {
            match first {
                true => Err(TokenError::Later("the key server is away".into())),
                false => Err(TokenError::Refused("signed out".into())),
            }
        }
    });
    let client = Client::start("127.0.0.1:1", Options { token: Some(token), ..options() }).unwrap();
    let end = until_closed(&client).await;
    assert!(matches!(end, Error::Token(why) if why == "signed out"));
}
