//! A backend reads what editors write, and writes beside them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use yrs::updates::decoder::Decode;
use yrs::{Doc, GetString, Map, Out, Transact, Update};

use crate::common::{Server, Setup, until};
use crate::editor::{Editor, write};
use crate::http::{Answer, KEY, ask, get, post};
use crate::{DOCUMENTS, setup};

const PLAN: &str = "/documents/doc:plan";

/// A key that may only read, and only what begins so.
const READER: &str = "another-api-key-with-32-bytes-and-more";

fn text_of(server: &Server) -> String {
    let read = get(server, &format!("{PLAN}?as=text&root=text")).ok();
    read["text"].as_str().unwrap().to_owned()
}

fn edit(server: &Server, edits: Value) -> Answer {
    post(server, &format!("{PLAN}/text"), &json!({"root": "text", "edits": edits}))
}

fn delete(server: &Server) -> Answer {
    ask(server, KEY, &format!("DELETE /api/v1{PLAN}"), "")
}

#[test]
fn ada_writes_and_the_backend_reads_it_and_writes_beside_her() {
    let server = Server::start(&setup());
    let mut ada = Editor::open(&server, "doc:plan").synced();
    ada.write("Dear Bob 🙂,");
    until("it is stored", || (text_of(&server) == "Dear Bob 🙂,").then_some(()));

    // Positions are those of JavaScript: 🙂 has two.
    let edited = edit(&server, json!([{"at": 12, "insert": " hello"}, {"at": 5, "delete": 3}]));
    let offset = edited.ok()["offset"].as_u64().unwrap();
    assert_eq!(offset, 2);
    ada.reads("hello");
    assert_eq!(ada.text(), "Dear  🙂, hello");
    ada.write("!");
    ada.write("?");

    let read = get(&server, PLAN).ok();
    assert_eq!(read["data"].as_object().unwrap().len(), 1, "{read}");
    assert!(read["epoch"].is_string() && read["vector"].is_string(), "{read}");
    assert!(read["bytes"].as_u64() > Some(20) && read["clients"] == 2, "{read}");
    let whole = get(&server, &format!("{PLAN}?as=update")).ok();
    let update = STANDARD.decode(whole["update"].as_str().unwrap()).unwrap();
    let copy = Doc::new();
    copy.transact_mut().apply_update(Update::decode_v1(&update).unwrap()).unwrap();
    let text = copy.get_or_insert_text("text").get_string(&copy.transact());
    assert!(text.starts_with("Dear  🙂, hello"), "{text}");

    // What the backend writes in a copy of its own is merged as well.
    let update = STANDARD.encode(write(&copy, " (seen)"));
    let merged = post(&server, &format!("{PLAN}/update"), &json!({"update": update})).ok();
    assert!(merged["offset"].as_u64() > Some(offset), "{merged}");
    ada.reads("(seen)");
    assert_eq!(text_of(&server), ada.text());
    server.still_fine();
}

#[test]
fn a_patch_of_a_map_is_seen_by_editors_whole_or_not_at_all() {
    let server = Server::start(&setup());
    let mut ada = Editor::open(&server, "doc:plan").synced();
    let patch = |ops: Value| {
        post(&server, &format!("{PLAN}/patch"), &json!({"root": "todos", "patch": ops}))
    };
    patch(json!([
        {"op": "add", "path": "/milk", "value": {"done": false, "tags": ["shop"]}},
        {"op": "replace", "path": "/milk/done", "value": true},
        {"op": "add", "path": "/milk/tags/-", "value": "fridge"},
    ]))
    .ok();
    ada.until("ada has milk", |ada| {
        let todos = ada.doc.get_or_insert_map("todos");
        matches!(todos.get(&ada.doc.transact(), "milk"), Some(Out::YMap(_)))
    });
    let read = get(&server, PLAN).ok();
    let milk = json!({"done": true, "tags": ["shop", "fridge"]});
    assert_eq!(read["data"]["todos"], json!({"milk": milk}));

    let refused = patch(json!([
        {"op": "remove", "path": "/milk"},
        {"op": "test", "path": "/bread", "value": 1},
    ]));
    assert_eq!(refused.body["path"], "/patch/1", "{refused:?}");
    assert_eq!(refused.problem(422), "invalid_data");
    assert_eq!(get(&server, PLAN).ok(), read);
    assert_eq!(patch(json!([{"op": "grow", "path": "/milk"}])).problem(400), "bad_request");
    // What doubles with each operation ends before it fills the memory.
    let doubles = (0..60).map(|n| json!({"op": "copy", "from": "", "path": format!("/{n}")}));
    assert_eq!(patch(doubles.collect()).status, 422);
    let grow = json!([{"op": "add", "path": "/a", "value": {"b": 1}}]).as_array().unwrap().clone();
    let doubles = (0..60).map(|n| json!({"op": "copy", "from": "/a", "path": format!("/a/{n}")}));
    assert_eq!(patch(grow.into_iter().chain(doubles).collect()).status, 422);
    assert_eq!(get(&server, PLAN).ok(), read);
    server.still_fine();
}

#[test]
fn a_backend_that_has_read_something_older_is_told_so() {
    let server = Server::start(&setup());
    edit(&server, json!([{"insert": "one", "at": 0}])).ok();
    let read = get(&server, PLAN).ok();
    let change = |more: Value| {
        let mut body = json!({"root": "text", "edits": [{"at": 0, "insert": "zero "}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        post(&server, &format!("{PLAN}/text"), &body)
    };
    let offset = read["offset"].as_u64().unwrap();
    assert_eq!(change(json!({"if_offset": offset - 1})).problem(409), "conflict");
    let changed = change(json!({"if_offset": offset, "epoch": read["epoch"]})).ok();
    assert_eq!(changed["offset"], offset + 1);
    assert_eq!(change(json!({"if_offset": offset})).problem(409), "conflict");
    let stale = json!({"update": "AAA=", "if_offset": offset});
    assert_eq!(post(&server, &format!("{PLAN}/update"), &stale).problem(409), "conflict");

    let mut ada = Editor::open(&server, "doc:plan").synced();
    delete(&server).ok();
    ada.closed_with(4411);
    assert_eq!(change(json!({"epoch": read["epoch"]})).problem(409), "document_reset");
    assert_eq!(change(json!({"epoch": "of nobody"})).problem(409), "document_reset");
    let empty = get(&server, PLAN).ok();
    assert_eq!(empty["data"], json!({}));
    assert_ne!(empty["epoch"], read["epoch"]);
    change(json!({})).ok();
    assert_eq!(text_of(&server), "zero ");
    server.still_fine();
}

#[test]
fn a_template_is_copied_as_often_as_somebody_wants_it() {
    // What is longer than an update can be copied all the same.
    let server = Server::start(&Setup { limits: "update = 700000", ..setup() });
    let mut bob = Editor::open(&server, "doc:template").synced();
    let long = "lorem ipsum ".repeat(100_000);
    let half = long.len() / 2;
    bob.write(&long[..half]);
    bob.write(&long[half..]);
    let tags = json!({"root": "tags", "type": "array",
        "patch": [{"op": "add", "path": "/-", "value": {"name": "new"}}]});
    post(&server, "/documents/doc:template/patch", &tags).ok();
    until("both halves are stored", || {
        let read = get(&server, "/documents/doc:template?as=text&root=text").ok();
        (read["text"].as_str().unwrap().len() == long.len()).then_some(())
    });

    let copy = |to: &str| post(&server, "/documents/doc:template/copy", &json!({"to": to}));
    let mut ada = Editor::open(&server, "doc:plan").synced();
    ada.write("in the way");
    until("it is stored", || (text_of(&server) == "in the way").then_some(()));
    copy("doc:plan").ok();
    ada.until("ada has the template", |ada| ada.text() == long);
    let (plan, template) = (get(&server, PLAN).ok(), get(&server, "/documents/doc:template").ok());
    assert_eq!(plan["data"]["tags"], json!([{"name": "new"}]));
    assert_eq!(plan["data"], template["data"]);
    // Once more it changes nothing; after a reset it is there again.
    assert_eq!(copy("doc:plan").ok()["offset"], plan["offset"]);
    delete(&server).ok();
    copy("doc:plan").ok();
    assert_eq!(get(&server, PLAN).ok()["data"], template["data"]);
    assert_eq!(copy("chat:lobby").problem(400), "bad_request");
    server.still_fine();
}

#[test]
fn many_edits_at_once_are_all_made_and_leave_few_clients() {
    let server = Server::start(&setup());
    std::thread::scope(|scope| {
        for writer in 0..6 {
            let server = &server;
            scope.spawn(move || {
                for line in 0..10 {
                    let insert = format!("<{writer}.{line}>");
                    edit(server, json!([{"at": 0, "insert": insert}])).ok();
                }
            });
        }
    });
    let text = text_of(&server);
    for writer in 0..6 {
        for line in 0..10 {
            assert!(text.contains(&format!("<{writer}.{line}>")), "{writer}.{line}: {text}");
        }
    }
    let read = get(&server, PLAN).ok();
    assert!(read["clients"].as_u64() <= Some(4), "{read}");
    assert_eq!(read["offset"], 60);
    server.still_fine();
}

#[test]
fn what_a_backend_was_answered_is_there_after_kill_9() {
    let mut server = Server::start(&setup());
    for round in 0..5 {
        for line in 0..5 {
            let insert = format!("<{round}.{line}>");
            edit(&server, json!([{"at": 0, "insert": insert}])).ok();
        }
        let dir = server.dir();
        server.kill();
        server = Server::start_in(dir, &setup());
        let text = text_of(&server);
        for line in 0..5 {
            assert!(text.contains(&format!("<{round}.{line}>")), "{round}.{line}: {text}");
        }
    }
    server.still_fine();
}

#[test]
fn what_is_asked_wrongly_is_refused_with_a_reason() {
    let more = format!(
        "{DOCUMENTS}[[api.key]]\nname = \"reader\"\nsecret = \"{READER}\"\n\
         scopes = [\"history\"]\nchannels = [\"doc:*\"]\n"
    );
    let server = Server::start(&Setup { more: &more, ..setup() });
    for (query, why) in [("as=yaml", 400), ("type=map", 400), ("root=a&type=set", 400)] {
        assert_eq!(get(&server, &format!("{PLAN}?{query}")).problem(why), "bad_request");
    }
    assert_eq!(get(&server, "/documents/chat:lobby").problem(400), "bad_request");
    assert_eq!(get(&server, "/documents/nothing:here").problem(404), "not_found");
    for (at, delete) in [(1, 0), (0, 1), (u32::MAX, u32::MAX)] {
        let refused = edit(&server, json!([{"at": at, "delete": delete, "insert": "x"}]));
        assert_eq!(refused.body["path"], "/edits/0");
        assert_eq!(refused.problem(422), "invalid_data");
    }
    let update = |update: &str| {
        post(&server, &format!("{PLAN}/update"), &json!({"update": update})).problem(422)
    };
    assert_eq!(update("no base64!"), "invalid_data");
    assert_eq!(update("/////w=="), "invalid_data");
    // A root of a kind that cannot be seen is what the backend says.
    let todos = json!({"root": "list", "type": "array",
        "patch": [{"op": "add", "path": "/-", "value": 1}]});
    post(&server, &format!("{PLAN}/patch"), &todos).ok();
    let list = get(&server, &format!("{PLAN}?root=list&type=array")).ok();
    assert_eq!(list["data"], json!({"list": [1]}));

    let read = |path: &str| ask(&server, READER, &format!("GET /api/v1/documents/{path}"), "");
    read("doc:plan").ok();
    assert_eq!(read("draft:plan").problem(403), "forbidden");
    let write = json!({"root": "text", "edits": []}).to_string();
    let line = format!("POST /api/v1{PLAN}/text");
    assert_eq!(ask(&server, READER, &line, &write).problem(403), "forbidden");
    let line = format!("DELETE /api/v1{PLAN}");
    assert_eq!(ask(&server, READER, &line, "").problem(403), "forbidden");
    server.still_fine();
}

#[test]
fn an_update_may_be_as_long_as_one_of_an_editor_and_other_requests_have_their_mebibyte() {
    const MOST: usize = 2_000_000;
    let server = Server::start(&Setup { limits: "update = 2000000", ..setup() });
    let send = |update: &[u8]| {
        post(&server, &format!("{PLAN}/update"), &json!({"update": STANDARD.encode(update)}))
    };
    // One client number: others take more or fewer bytes.
    let update = |len: usize| write(&Doc::with_client_id(7), &"x".repeat(len));
    // What stands around its text.
    let around = update(MOST).len() - MOST;
    let longest = update(MOST - around);
    assert_eq!(longest.len(), MOST);
    assert_eq!(send(&longest).ok()["offset"], 1);
    let too_long = send(&update(MOST - around + 1));
    assert_eq!(too_long.body["limit"], "update");
    assert_eq!(too_long.problem(413), "too_large");
    // As long as its base64, and some, is all that is read.
    let much = "x".repeat(MOST.div_ceil(3) * 4 + 4097);
    let much = ask(&server, KEY, &format!("POST /api/v1{PLAN}/update"), &much);
    assert_eq!(much.problem(413), "too_large");
    assert_eq!(text_of(&server).len(), MOST - around);

    let text = "y".repeat(1 << 20);
    assert_eq!(edit(&server, json!([{"at": 0, "insert": text}])).problem(413), "too_large");
    let text = "y".repeat((1 << 20) - 100);
    assert_eq!(edit(&server, json!([{"at": 0, "insert": text}])).ok()["offset"], 2);
}
