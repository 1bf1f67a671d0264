//! Who may do what with which key.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::common::{Server, Setup};
use crate::http::{KEY, ask, setup};

const OTHER: &str = "another-api-key-of-tests-with-32-bytes-and-more";

#[test]
fn without_a_key_in_the_configuration_there_is_no_api() {
    let server = Server::start(&Setup::default());
    let answer = ask(&server, KEY, "GET /api/v1/info", "");
    assert_eq!(answer.problem(404), "not_found");
    // What it would be is no secret.
    assert_eq!(ask(&server, "", "GET /api/openapi.json", "").status, 200);
}

#[test]
fn a_key_is_asked_for_and_does_what_its_scopes_and_channels_say() {
    let more = format!(
        "[[api.key]]\nname = \"all\"\nsecret = \"{KEY}\"\n\
         [[api.key]]\nname = \"shop\"\nsecret = \"{OTHER}\"\n\
         scopes = [\"publish\", \"manage\"]\nchannels = [\"chat:shop-*\", \"cast:news\"]\n"
    );
    let server = Server::start(&Setup { more: &more, ..Setup::default() });
    let body = |channel: &str| json!({"channel": channel, "data": 1}).to_string();
    for wrong in ["", "x", &KEY[1..], &format!("{KEY}x")] {
        let answer = ask(&server, wrong, "POST /api/v1/publish", &body("chat:a"));
        assert!(answer.head.contains("\r\nwww-authenticate: bearer\r\n"), "{answer:?}");
        assert_eq!(answer.problem(401), "unauthorized", "{wrong}");
    }
    let shop = |line: &str, body: &str| ask(&server, OTHER, line, body);
    let publish = |channel| shop("POST /api/v1/publish", &body(channel));
    publish("chat:shop-1").ok();
    publish("cast:news").ok();
    for channel in ["chat:lobby", "cast:news2", "chat:shop"] {
        assert_eq!(publish(channel).problem(403), "forbidden", "{channel}");
    }
    assert_eq!(shop("GET /api/v1/channels/cast:news/history", "").problem(403), "forbidden");
    let many = json!({"channels": ["cast:news", "chat:lobby"], "data": 1}).to_string();
    let many = shop("POST /api/v1/broadcast", &many).ok();
    assert_eq!(many["results"][0]["published"]["offset"], 2);
    assert_eq!(many["results"][1]["error"]["code"], "forbidden");
    // It may take back what concerns its channels, not whole users.
    let of = |fields: Value| fields.to_string();
    let line = "POST /api/v1/unsubscribe";
    shop(line, &of(json!({"user": "ada", "channel": "chat:shop-*"}))).ok();
    let wide = shop(line, &of(json!({"user": "ada", "channel": "chat:*"})));
    assert_eq!(wide.problem(403), "forbidden");
    let line = "POST /api/v1/revoke";
    shop(line, &of(json!({"user": "ada", "channel": "chat:shop-1"}))).ok();
    assert_eq!(shop(line, &of(json!({"user": "ada"}))).problem(403), "forbidden");
    let line = "POST /api/v1/disconnect";
    assert_eq!(shop(line, &of(json!({"user": "ada"}))).problem(403), "forbidden");
}

#[test]
fn odd_requests_get_a_problem() {
    let server = Server::start(&setup());
    let answer = ask(&server, KEY, "PUT /api/v1/publish", "{}");
    assert!(answer.head.contains("\r\nallow: post\r\n"), "{answer:?}");
    assert_eq!(answer.problem(405), "bad_request");
    for path in ["/api/v1", "/api/v1/", "/api/v2/info", "/api/v1/channels/a:b/x", "/api/"] {
        assert_eq!(
            ask(&server, KEY, &format!("GET {path}"), "").problem(404),
            "not_found",
            "{path}"
        );
    }
    let bad = ask(&server, KEY, "GET /api/v1/channels/%ff/history", "");
    assert_eq!(bad.problem(400), "bad_request");
    let bad = ask(&server, KEY, "POST /api/v1/publish", "{\"channel\": \"chat:a\", ");
    assert_eq!(bad.problem(400), "bad_request");
    server.still_fine();
}

/// Every `$ref` of the document leads somewhere, and every operation is there.
#[test]
fn the_openapi_document_holds_together() {
    let server = Server::start(&setup());
    let document = ask(&server, "", "GET /api/openapi.json", "").ok();
    assert_eq!(document["openapi"], "3.1.0");
    let mut refs = BTreeSet::new();
    collect_refs(&document, &mut refs);
    assert!(refs.len() > 8, "{refs:?}");
    for path in refs {
        assert!(document.pointer(path.trim_start_matches('#')).is_some(), "{path}");
    }
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 36);
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(operation["operationId"].is_string(), "{method} {path}");
            assert_eq!(
                operation["requestBody"].is_object(),
                matches!(&**method, "patch" | "post"),
                "{path}"
            );
            let named = path.matches('{').count();
            let parameters = operation["parameters"].as_array().unwrap();
            let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path").count();
            assert_eq!(named, in_path, "{path}");
        }
    }
}

fn collect_refs(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Array(list) => list.iter().for_each(|one| collect_refs(one, into)),
        Value::Object(fields) => {
            into.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|one| collect_refs(one, into));
        }
        _ => {}
    }
}
