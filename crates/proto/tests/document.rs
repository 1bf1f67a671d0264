//! The protocol document is normative: every frame in it is parsed here.

use tidings_proto::{CommandBody, ServerFrame, decode};

const DOCUMENT: &str = include_str!("../../../docs/protocol.md");

/// The frames of the document's `json` blocks, with whether a client sends them.
fn frames() -> Vec<(bool, &'static str)> {
    let (mut found, mut by_client, mut inside) = (Vec::new(), false, false);
    for line in DOCUMENT.lines() {
        match line {
            "client" => by_client = true,
            "server" => by_client = false,
            "```json" => inside = true,
            "```" => inside = false,
            _ if line.starts_with('#') => by_client = false,
            _ if inside => found.push((by_client, line)),
            _ => {}
        }
    }
    found
}

#[test]
fn every_command_in_the_document_is_a_command() {
    let mut kinds = std::collections::BTreeSet::new();
    for (_, frame) in frames().into_iter().filter(|(by_client, _)| *by_client) {
        let command = decode(frame).unwrap_or_else(|e| panic!("{frame}: {}", e.message));
        kinds.insert(match command.body {
            CommandBody::Enter { .. } => "enter",
            CommandBody::Hello { .. } => "hello",
            CommandBody::History { .. } => "history",
            CommandBody::Leave { .. } => "leave",
            CommandBody::Ping => "ping",
            CommandBody::Presence { .. } => "presence",
            CommandBody::Publish { .. } => "publish",
            CommandBody::Refresh { .. } => "refresh",
            CommandBody::Subscribe { .. } => "subscribe",
            CommandBody::Unsubscribe { .. } => "unsubscribe",
            CommandBody::Update { .. } => "update",
        });
    }
    assert_eq!(kinds.len(), 11, "a command has no example: {kinds:?}");
}

#[test]
fn every_answer_in_the_document_is_read_by_a_client() {
    let known = [
        "bye",
        "entered",
        "error",
        "event",
        "expiring",
        "gap",
        "history",
        "left",
        "members",
        "pong",
        "presence",
        "published",
        "refreshed",
        "subscribed",
        "unsubscribed",
        "updated",
        "welcome",
    ];
    let mut seen = std::collections::BTreeSet::new();
    for (_, frame) in frames().into_iter().filter(|(by_client, _)| !by_client) {
        let decoded = ServerFrame::decode(frame).unwrap_or_else(|e| panic!("{frame}: {e}"));
        assert!(known.contains(&&*decoded.kind), "{frame}");
        seen.insert(decoded.kind.to_string());
    }
    assert_eq!(seen.len(), known.len(), "a frame has no example: {seen:?}");
}
