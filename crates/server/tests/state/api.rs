//! Live data from a backend.

use serde_json::json;

use crate::common::Server;
use crate::http::{get, post};
use crate::map::setup;

#[test]
fn a_backend_sets_patches_reads_and_removes_and_clients_hear_it() {
    let server = Server::start(&setup());
    let mut ada = server.connect();
    ada.subscribe("board:main");
    assert_eq!(ada.push()["type"], "snapshot");
    let card = json!({ "channel": "board:main", "key": "card 7", "user": "shop",
        "value": { "text": "Paint the door, and the window", "done": false },
        "idempotency_key": "job-1" });
    let first = post(&server, "/state/set", &card).ok();
    assert_eq!((&first["version"], &first["level"]), (&json!(1), &json!("fsync")));
    let again = post(&server, "/state/set", &card).ok();
    assert_eq!((&again["version"], &again["duplicate"]), (&json!(1), &json!(true)));
    let patch = json!({ "channel": "board:main", "key": "card 7", "patch": { "done": true },
        "if_version": 1 });
    assert_eq!(post(&server, "/state/patch", &patch).ok()["version"], 2);
    let late = post(&server, "/state/patch", &patch);
    assert_eq!(late.body["version"], 2);
    assert_eq!(late.problem(409), "conflict");
    let (told, patched) = (ada.push(), ada.push());
    assert_eq!((&told["user"], &told["version"]), (&json!("shop"), &json!(1)));
    assert_eq!(
        (&patched["patch"], &patched["user"]),
        (&json!({ "done": true }), &json!("backend"))
    );
    let page = get(&server, "/state?channel=board%3Amain&key=card%207").ok();
    assert_eq!(page["entries"][0]["value"]["done"], true, "{page}");
    let gone = json!({ "channel": "board:main", "key": "card 7" });
    assert_eq!(post(&server, "/state/remove", &gone).ok()["version"], 3);
    let page = get(&server, "/state?channel=board%3Amain").ok();
    assert_eq!(
        (&page["entries"], &page["offset"], &page["more"]),
        (&json!([]), &json!(3), &json!(false))
    );
}

#[test]
fn what_is_wrong_with_a_request_is_said() {
    let server = Server::start(&setup());
    assert_eq!(get(&server, "/state").problem(400), "bad_request");
    assert_eq!(get(&server, "/state?channel=nobody%3Ahere").problem(404), "not_found");
    assert_eq!(get(&server, "/state?channel=chat%3Alobby").problem(400), "bad_request");
    let set = json!({ "channel": "chat:lobby", "key": "k", "value": 1 });
    assert_eq!(post(&server, "/state/set", &set).problem(400), "bad_request");
    let set = json!({ "channel": "board:main", "key": "", "value": 1 });
    assert_eq!(post(&server, "/state/set", &set).problem(400), "bad_request");
    let set = json!({ "channel": "board:main", "key": "k", "value": 1, "idempotency_key":
        "x".repeat(200) });
    assert_eq!(post(&server, "/state/set", &set).problem(413), "too_large");
    let event = json!({ "channel": "board:main", "data": 1 });
    assert_eq!(post(&server, "/publish", &event).problem(400), "bad_request");
}
