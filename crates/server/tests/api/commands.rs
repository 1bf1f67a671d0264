//! The catalogue of the protocol: `/api/commands.json`.

use serde_json::{Value, json};
use tidings_proto::{CloseCode, ErrorCode, decode};

use crate::common::{Server, Setup};
use crate::http::ask;

/// A value that is none of this field's.
fn wrong(schema: &Value) -> Option<Value> {
    Some(match schema["type"].as_str()? {
        "string" => json!(7),
        _ => json!("seven"),
    })
}

/// What a console offers is what the server takes, and nothing else: where the schema says no,
/// the decoder does, and the other way round.
#[test]
fn the_schemas_of_commands_agree_with_the_decoder() {
    let server = Server::start(&Setup::default());
    let document = ask(&server, "", "GET /api/commands.json", "").ok();
    let commands = document["commands"].as_array().unwrap();
    assert_eq!(commands.len(), 34);
    let mut refused = 0;
    for command in commands {
        let schema = jsonschema::draft202012::new(&command["schema"]).unwrap();
        let agree = |frame: &Value, good: bool| {
            assert_eq!(schema.is_valid(frame), good, "by its schema: {frame}");
            assert_eq!(decode(&frame.to_string()).is_ok(), good, "by the decoder: {frame}");
        };
        let properties = command["schema"]["properties"].as_object().unwrap();
        let required = command["schema"]["required"].as_array().unwrap();
        let examples = command["examples"].as_array().unwrap();
        assert!(!examples.is_empty() && command["summary"].is_string(), "{command}");
        for example in examples {
            assert_eq!(example["type"], command["type"]);
            agree(example, true);
            for name in required {
                let mut without = example.clone();
                without.as_object_mut().unwrap().remove(name.as_str().unwrap());
                agree(&without, false);
                refused += 1;
            }
            for (name, property) in properties {
                let Some(value) = wrong(property) else { continue };
                let mut other = example.clone();
                other[name] = value;
                agree(&other, false);
                refused += 1;
            }
        }
    }
    assert!(refused > 80, "{refused}");
    for odd in [
        json!({"type": "publish", "id": 1, "channel": "chat:a", "data": 1, "seq": 1}),
        json!({"type": "publish", "id": 1, "channel": "chat:a", "data": 1, "producer": "p"}),
        json!({"type": "publish", "id": 1, "channel": "a:b", "data": 1, "producer": "p", "seq": 0}),
        json!({"type": "ping", "id": -1}),
        json!({"type": "ping", "id": 1_u64 << 53}),
        json!({"type": "subscribe", "id": 1, "channel": "chat:a", "since": {"epoch": "0"}}),
    ] {
        let command = commands.iter().find(|command| command["type"] == odd["type"]).unwrap();
        assert!(!jsonschema::draft202012::is_valid(&command["schema"], &odd), "{odd}");
        assert!(decode(&odd.to_string()).is_err(), "{odd}");
    }
}

#[test]
fn every_code_and_frame_has_a_summary() {
    let server = Server::start(&Setup::default());
    let document = ask(&server, "", "GET /api/commands.json", "").ok();
    for (list, count) in [("errors", ErrorCode::ALL.len()), ("closes", CloseCode::ALL.len())] {
        assert_eq!(document[list].as_array().unwrap().len(), count);
    }
    for list in ["commands", "frames", "errors", "closes"] {
        for one in document[list].as_array().unwrap() {
            let summary = one["summary"].as_str().unwrap();
            assert!(summary.len() > 10 && summary.trim() == summary, "{one}");
        }
    }
    let replaced = document["closes"].as_array().unwrap();
    let replaced = replaced.iter().find(|close| close["code"] == 4409).unwrap();
    assert_eq!(replaced["reason"], "replaced");
    assert_eq!(replaced["reconnect"], false);
}
