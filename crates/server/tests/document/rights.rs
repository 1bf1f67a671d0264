//! Tokens, and what they allow.

use std::time::{SystemTime, UNIX_EPOCH};

use tidings::auth::{SigningKey, TokenRequest, mint, parse_grant};
use yrs::Doc;

use crate::common::{SECRET, Server, Socket, request_of};
use crate::editor::{Editor, UPDATE, sync};
use crate::setup;

/// A token of `user`, who may do these things.
pub(crate) fn token(user: &str, grants: &[&str]) -> String {
    let key = SigningKey::from_secret(SECRET).unwrap();
    let grants = grants.iter().map(|grant| parse_grant(grant).unwrap()).collect();
    let ttl = Some(tidings_core::Period::secs(600));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now_ms = u64::try_from(now.as_millis()).unwrap();
    mint(&TokenRequest { user: user.into(), ttl, grants }, &key, now_ms).unwrap()
}

fn writer() -> String {
    token("ada", &["draft:*=subscribe,publish,presence"])
}

#[test]
fn a_token_comes_in_the_url_a_header_or_a_subprotocol_and_is_never_logged() {
    let mut server = Server::start(&crate::common::Setup { log: "trace", ..setup() });
    let token = writer();
    let mut ada = Editor::open(&server, &format!("draft:plan?token={token}")).synced();
    ada.write("by the URL. ");
    let header = format!("Authorization: Bearer {token}\r\n");
    let mut bob = Editor::open_with(&server, "draft:plan", &header, Doc::new()).synced();
    bob.write("by a header. ");
    let offer = format!("Sec-WebSocket-Protocol: yjs, bearer.{token}\r\n");
    let mut cy = Editor::open_with(&server, "draft:plan", &offer, Doc::new()).synced();
    assert!(cy.socket.head.to_lowercase().contains("sec-websocket-protocol: yjs\r\n"));
    assert!(!cy.socket.head.contains(&token), "it is not sent back");
    cy.write("by a subprotocol. ");
    for editor in [&mut ada, &mut bob, &mut cy] {
        for way in ["URL", "header", "subprotocol"] {
            editor.reads(way);
        }
    }
    Editor::open(&server, "draft:plan?token=ey.no.token").closed_with(4401);
    let log = server.whole_log();
    assert!(!log.contains(&token) && !log.contains("ey.no.token"), "{log}");
}

#[test]
fn who_may_only_read_changes_nothing_by_any_message() {
    let server = Server::start(&setup());
    let mut ada = Editor::open(&server, &format!("draft:plan?token={}", writer())).synced();
    ada.write("by Ada");
    let reader = token("bob", &[]);
    let mut bob = Editor::open(&server, &format!("draft:plan?token={reader}"));
    bob.reads("by Ada");
    for kind in [1, UPDATE] {
        let update = bob.write_here(" and Bob");
        bob.send(&sync(kind, &update)).unwrap();
    }
    // Once is enough, however often it tries.
    bob.until("bob is told", |bob| bob.denied == 1);
    ada.write(", again");
    bob.reads("again");
    assert_eq!(bob.denied, 1);
    let cy = Editor::open(&server, &format!("draft:plan?token={}", writer())).synced();
    assert_eq!(cy.text(), "by Ada, again");
}

#[test]
fn who_is_let_in_nowhere_is_told_so_for_good() {
    let server = Server::start(&setup());
    Editor::open(&server, "draft:plan").closed_with(4403);
    Editor::open(&server, "nowhere:plan").closed_with(4404);
    Editor::open(&server, "doc:%00").closed_with(4400);
    Editor::open(&server, "").closed_with(4400);
    // A channel of events is no document.
    Editor::open(&server, "chat:lobby").closed_with(4404);
    server.still_fine();
}

#[test]
fn a_page_of_a_foreign_origin_is_refused() {
    let server = Server::start(&setup());
    for path in ["/yjs/doc:plan", "/hocuspocus"] {
        let request = request_of(path, "Origin: https://evil.example\r\n");
        assert!(Socket::open(server.tcp(), &request).unwrap_err().to_string().contains(" 403 "));
    }
    assert_eq!(server.metric("tidings_handshakes_refused_total{reason=\"origin\"}"), 2.0);
}
