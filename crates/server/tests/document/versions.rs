//! What a document held before: a backend takes it, reads it, compares it and brings it back.

use std::io::Write;

use serde_json::{Value, json};

use crate::common::{Server, Setup, until};
use crate::editor::Editor;
use crate::http::{Answer, KEY, ask, get, post};
use crate::{DOCUMENTS, setup};

const PLAN: &str = "/documents/doc:plan";
const VERSIONS: &str = "/documents/doc:plan/versions";

fn save(server: &Server, name: &str) -> u64 {
    let saved = post(server, VERSIONS, &json!({ "name": name, "user": "ada" })).ok();
    assert_eq!((&saved["name"], &saved["user"]), (&json!(name), &json!("ada")));
    saved["version"].as_u64().unwrap()
}

fn one(server: &Server, version: u64, rest: &str) -> Answer {
    get(server, &format!("{VERSIONS}/{version}{rest}"))
}

fn text_now(server: &Server) -> Value {
    get(server, &format!("{PLAN}?as=text&root=text")).ok()["text"].clone()
}

fn numbers(server: &Server) -> Vec<u64> {
    let listed = get(server, VERSIONS).ok();
    let versions = listed["versions"].as_array().unwrap().iter();
    versions.map(|version| version["version"].as_u64().unwrap()).collect()
}

fn edit(server: &Server, edits: Value, user: &str) {
    let body = json!({ "root": "text", "edits": edits, "user": user });
    post(server, &format!("{PLAN}/text"), &body).ok();
}

#[test]
fn a_backend_keeps_a_draft_sees_what_was_made_of_it_and_brings_it_back_under_an_editor() {
    let server = Server::start(&setup());
    let mut ada = Editor::open(&server, "doc:plan").synced();
    ada.write("We meet on Monday.\n");
    until("it is stored", || (text_now(&server) == "We meet on Monday.\n").then_some(()));
    assert_eq!(save(&server, "Draft"), 1);
    edit(&server, json!([{ "at": 11, "delete": 6, "insert": "Friday" }]), "bob");
    ada.reads("Friday");
    let compared = one(&server, 1, "/compare?root=text").ok();
    assert_eq!(
        compared,
        json!({
            "changes": [
                { "change": "same", "text": "We meet on " },
                { "change": "removed", "text": "Monday" },
                { "change": "added", "text": "Friday" },
                { "change": "same", "text": ".\n" },
            ],
            "authors": ["bob"],
        })
    );
    let restored = post(&server, &format!("{VERSIONS}/1/restore"), &json!({ "user": "cyd" })).ok();
    assert!(restored["offset"].as_u64() > Some(2), "{restored}");
    ada.until("monday is back", |ada| ada.text() == "We meet on Monday.\n");
    ada.write("Bring milk.\n");
    until("both are there", || {
        let text = text_now(&server);
        (text == "We meet on Monday.\nBring milk.\n").then_some(())
    });
    assert_eq!(numbers(&server), [2, 1], "what bob made of it is kept");
    let kept = one(&server, 2, "?as=text").ok();
    assert_eq!(
        (&kept["text"], &kept["authors"]),
        (&json!("We meet on Friday.\n"), &json!(["bob"]))
    );
    let both = one(&server, 2, "/compare?with=1").ok();
    assert_eq!(
        (&both["changes"][1]["text"], &both["authors"]),
        (&json!("Monday"), &json!(["bob"]))
    );
    server.still_fine();
}

#[test]
fn versions_are_listed_named_and_deleted() {
    let server = Server::start(&setup());
    for number in 1..=3 {
        edit(&server, json!([{ "at": 0, "insert": "x" }]), "ada");
        assert_eq!(save(&server, "Draft"), number);
    }
    let renamed = |name: Value| {
        let path = format!("PATCH /api/v1{VERSIONS}/2");
        ask(&server, KEY, &path, &json!({ "name": name }).to_string())
    };
    assert_eq!(renamed(json!("Final")).ok()["name"], "Final");
    assert!(renamed(Value::Null).ok().get("name").is_none());
    assert_eq!(renamed(json!("a\nb")).problem(400), "bad_request");
    let page = get(&server, &format!("{VERSIONS}?limit=2")).ok();
    assert_eq!((&page["more"], &page["changed"]), (&json!(true), &json!(false)));
    let page = get(&server, &format!("{VERSIONS}?before=2")).ok();
    assert_eq!(page["versions"][0]["version"], 1);
    assert_eq!(one(&server, 2, "").ok()["data"]["text"], "xx");
    let update = one(&server, 2, "?as=update").ok();
    assert!(update["update"].is_string() && update["vector"].is_string());
    ask(&server, KEY, &format!("DELETE /api/v1{VERSIONS}/2"), "").ok();
    assert_eq!(numbers(&server), [3, 1]);
    for (answer, status, code) in [
        (one(&server, 2, ""), 404, "not_found"),
        (one(&server, 9, "/compare"), 404, "not_found"),
        (get(&server, &format!("{VERSIONS}/two")), 404, "not_found"),
        (one(&server, 1, "/compare?with=2"), 404, "not_found"),
        (one(&server, 1, "?as=pdf"), 400, "bad_request"),
        (get(&server, &format!("{VERSIONS}?limit=0")), 400, "bad_request"),
        (post(&server, &format!("{VERSIONS}/2/restore"), &json!({})), 404, "not_found"),
        (post(&server, VERSIONS, &json!([null, null])), 400, "bad_request"),
        (post(&server, "/documents/chat:lobby/versions", &json!({})), 400, "bad_request"),
    ] {
        assert_eq!(answer.problem(status), code);
    }
    server.still_fine();
}

#[test]
fn a_deleted_document_takes_its_versions_along_unless_they_are_to_stay() {
    let server = Server::start(&setup());
    edit(&server, json!([{ "at": 0, "insert": "text" }]), "ada");
    save(&server, "Draft");
    let delete = |rest: &str| ask(&server, KEY, &format!("DELETE /api/v1{PLAN}{rest}"), "");
    assert_eq!(delete("?versions=some").problem(400), "bad_request");
    delete("?versions=keep").ok();
    assert_eq!((text_now(&server), numbers(&server)), (json!(""), vec![1]));
    post(&server, &format!("{VERSIONS}/1/restore"), &json!({})).ok();
    assert_eq!(text_now(&server), "text");
    delete("").ok();
    assert!(numbers(&server).is_empty());
    assert_eq!(one(&server, 1, "").problem(404), "not_found");
}

/// Rounds of it.
const ROUNDS: u64 = 10;

#[test]
fn every_version_that_was_acknowledged_is_there_whole_after_kill_9() {
    let quick = "\n[namespace.doc.versions]\nquiet = \"1s\"\nautomatic = 3\n";
    let more = format!("{DOCUMENTS}{quick}");
    let setup = Setup { server: "shards = 2", more: &more, ..Setup::default() };
    let mut server = Server::start(&setup);
    let mut saved = Vec::new();
    for round in 0..ROUNDS {
        for step in 0..=round % 3 {
            edit(&server, json!([{ "at": 0, "insert": format!("<{round}.{step}>") }]), "ada");
            saved.push((save(&server, "Draft"), text_now(&server)));
        }
        let dir = server.dir();
        // In the middle of another one.
        let body = json!({ "name": "Never heard of" }).to_string();
        let mut asking = server.tcp();
        let length = body.len();
        let head = format!("POST /api/v1{VERSIONS} HTTP/1.1\r\nHost: localhost\r\n");
        let key = format!("Authorization: Bearer {KEY}\r\nContent-Length: {length}\r\n\r\n");
        asking.write_all(format!("{head}{key}{body}").as_bytes()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(round % 4));
        server.kill();
        drop(asking);
        server = Server::start_in(dir, &setup);
        for (version, text) in &saved {
            let kept = one(&server, *version, "?as=text&root=text").ok();
            assert_eq!(&kept["text"], text, "version {version} after round {round}");
        }
        let listed = numbers(&server);
        assert!(listed.is_sorted_by(|a, b| a > b), "{listed:?}");
    }
    server.still_fine();
}

/// Those who read versions had the places that restoring one waited for, and waited for it.
#[test]
fn who_reads_versions_while_one_is_restored_does_not_wait_half_a_minute() {
    let server =
        Server::start(&Setup { server: "shards = 1", more: DOCUMENTS, ..Setup::default() });
    let edit = |round: u32| {
        let edits = json!([{ "at": 0, "insert": format!("{round} ").repeat(1000) }]);
        post(&server, &format!("{PLAN}/text"), &json!({ "root": "text", "edits": edits })).ok();
    };
    edit(0);
    post(&server, &format!("{PLAN}/versions"), &json!({ "name": "one" })).ok();
    for round in 1..=4 {
        edit(round);
        std::thread::scope(|scope| {
            let restore =
                || post(&server, &format!("{PLAN}/versions/1/restore"), &json!({})).status;
            let read = || get(&server, &format!("{PLAN}/versions/1?as=text&root=text")).status;
            let mut all = vec![scope.spawn(restore)];
            all.extend((0..6).map(|_| scope.spawn(read)));
            let statuses: Vec<_> = all.into_iter().map(|it| it.join().unwrap()).collect();
            // Who waits for half a minute is refused.
            assert!(statuses.iter().all(|status| *status == 200), "{round} {statuses:?}");
        });
    }
}
