//! Killed in the middle of updates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::common::{Server, Socket};
use crate::editor::Editor;
use crate::setup;

/// Rounds of it.
const ROUNDS: u64 = 10;

#[test]
fn every_update_that_was_acknowledged_is_there_after_kill_9() {
    let mut server = Server::start(&setup());
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let mut writer = server.connect();
        writer.subscribe("doc:plan");
        // It writes as a page does that was just loaded: with a client id of its own.
        let ada = Editor::open(&server, "doc:plan").synced();
        let mut under_way = Vec::new();
        for line in 0..60 + round * 10 {
            let name = format!("<{round}.{line}>");
            let update = STANDARD.encode(ada.write_here(&name));
            let merge = json!({"type": "merge", "channel": "doc:plan", "update": update});
            under_way.push((writer.command(merge).unwrap(), name));
            if line % 7 == 3 {
                take_answer(&mut writer, &mut under_way, &mut acknowledged);
            }
        }
        let dir = server.dir();
        server.kill();
        while take_answer(&mut writer, &mut under_way, &mut acknowledged) {}
        server = Server::start_in(dir, &setup());
        let text = Editor::open(&server, "doc:plan").synced().text();
        for name in &acknowledged {
            assert!(text.contains(name), "{name} was acknowledged in round {round}");
        }
    }
    assert!(acknowledged.len() > 50, "{}", acknowledged.len());
    server.still_fine();
}

/// Takes one answer; whether there was one.
fn take_answer(
    writer: &mut Socket,
    under_way: &mut Vec<(u64, String)>,
    acknowledged: &mut Vec<String>,
) -> bool {
    while let Ok(answer) = writer.try_next() {
        let Some(id) = answer["id"].as_u64() else { continue };
        assert_eq!(answer["type"], "merged", "{answer}");
        let place = under_way.iter().position(|(asked, _)| *asked == id).unwrap();
        acknowledged.push(under_way.remove(place).1);
        return true;
    }
    false
}

/// What another editor has read was stored.
#[test]
fn what_others_have_read_is_there_after_kill_9() {
    let mut server = Server::start(&setup());
    for round in 0..5 {
        let mut ada = Editor::open(&server, "doc:plan").synced();
        let mut bob = Editor::open(&server, "doc:plan").synced();
        for line in 0..40 {
            ada.write(&format!("<{round}.{line}>"));
        }
        bob.reads(&format!("<{round}.{}>", round * 5 + 10));
        let dir = server.dir();
        server.kill();
        while bob.hear().is_ok() {}
        server = Server::start_in(dir, &setup());
        let cy = Editor::open(&server, "doc:plan").synced();
        assert!(cy.text().starts_with(&bob.text()), "{} and {}", cy.text(), bob.text());
    }
}
