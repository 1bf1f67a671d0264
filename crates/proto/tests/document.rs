//! The protocol document is normative: every frame in it is parsed here.

use std::collections::BTreeSet;

use serde_json::Value;
use tidings_proto::{
    Amending, COMMANDS, CommandBody, FRAMES, FieldSpec, ServerFrame, Versioning, decode,
};

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
    let mut kinds = BTreeSet::new();
    for (_, frame) in frames().into_iter().filter(|(by_client, _)| *by_client) {
        let command = decode(frame).unwrap_or_else(|e| panic!("{frame}: {}", e.message));
        kinds.insert(match command.body {
            CommandBody::Awareness(_) => "awareness",
            CommandBody::Cursors => "cursors",
            CommandBody::Amend(amend) => match amend.what {
                Amending::Delete => "delete",
                Amending::Edit { .. } => "edit",
                Amending::React { .. } => "react",
            },
            CommandBody::Enter { .. } => "enter",
            CommandBody::Follow { .. } => "follow",
            CommandBody::Get { .. } => "get",
            CommandBody::Hello { .. } => "hello",
            CommandBody::History { .. } => "history",
            CommandBody::Inbox(_) => "inbox",
            CommandBody::Leave { .. } => "leave",
            CommandBody::Mark(_) => "mark",
            CommandBody::Merge(_) => "merge",
            CommandBody::Patch(_) => "patch",
            CommandBody::Ping => "ping",
            CommandBody::Presence { .. } => "presence",
            CommandBody::Publish { .. } => "publish",
            CommandBody::PushSubscribe(_) => "push_subscribe",
            CommandBody::PushUnsubscribe { .. } => "push_unsubscribe",
            CommandBody::Read { .. } => "read",
            CommandBody::Refresh { .. } => "refresh",
            CommandBody::Remove(_) => "remove",
            CommandBody::Set(_) => "set",
            CommandBody::Subscribe { .. } => "subscribe",
            CommandBody::Sync(_) => "sync",
            CommandBody::Unfollow { .. } => "unfollow",
            CommandBody::Unread { .. } => "unread",
            CommandBody::Unsubscribe { .. } => "unsubscribe",
            CommandBody::Update { .. } => "update",
            CommandBody::Versions(asked) => match asked.what {
                Versioning::List { .. } => "versions",
                Versioning::Name { .. } => "name_version",
                Versioning::Restore { .. } => "restore_version",
                Versioning::Save { .. } => "save_version",
            },
        });
    }
    let known: BTreeSet<_> = COMMANDS.iter().map(|command| command.kind).collect();
    assert_eq!(kinds, known, "a command has no example, or is not in the catalogue");
}

/// What the catalogue says of a command is what the document shows, field by field.
#[test]
fn every_field_in_the_document_is_in_the_catalogue_and_every_other_is_shown() {
    let mut shown = BTreeSet::new();
    for (_, frame) in frames().into_iter().filter(|(by_client, _)| *by_client) {
        let frame: Value = serde_json::from_str(frame).unwrap();
        let kind = frame["type"].as_str().unwrap();
        let command = COMMANDS.iter().find(|command| command.kind == kind).unwrap();
        for name in frame.as_object().unwrap().keys().filter(|name| *name != "type") {
            let known = name == "id" || command.fields.iter().any(|field| field.name == name);
            assert!(known, "{name} of {kind}");
            shown.insert((kind.to_owned(), name.clone()));
        }
    }
    for command in COMMANDS {
        for FieldSpec { name, .. } in command.fields {
            let shown = shown.contains(&(command.kind.to_owned(), (*name).to_owned()));
            assert!(shown, "{name} of {} has no example in the document", command.kind);
        }
    }
}

#[test]
fn every_answer_in_the_document_is_read_by_a_client() {
    let known: BTreeSet<_> = FRAMES.iter().map(|(kind, _)| *kind).collect();
    let mut seen = BTreeSet::new();
    for (_, frame) in frames().into_iter().filter(|(by_client, _)| !by_client) {
        let decoded = ServerFrame::decode(frame).unwrap_or_else(|e| panic!("{frame}: {e}"));
        assert!(known.contains(&&*decoded.kind), "{frame}");
        seen.insert(decoded.kind.to_string());
    }
    assert_eq!(seen.len(), known.len(), "a frame has no example: {seen:?}");
}
