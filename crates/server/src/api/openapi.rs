//! The OpenAPI 3.1 document, made of the table of endpoints and the types' own comments.

use std::sync::LazyLock;

use bytes::Bytes;
use hyper::StatusCode;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::endpoints::{self, Endpoint, Kind, MANY, Parameter, Said};
use super::problem::Problem;

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

/// The document as it is served.
pub(super) fn served() -> Bytes {
    DOCUMENT.clone()
}

/// Statuses that every request can have.
const COMMON: [u16; 3] = [400, 401, 403];

fn document() -> Value {
    let settings = SchemaSettings::draft2020_12();
    let mut generator =
        settings.with(|s| s.definitions_path = "/components/schemas".into()).into_generator();
    let problem = generator.subschema_for::<Problem>();
    let mut paths = Map::new();
    for endpoint in endpoints::all() {
        let mut operation = json!({
            "operationId": endpoint.id,
            "summary": endpoint.summary,
            "description": format!("Needs the scope `{}`.", endpoint.scope.as_str()),
            "tags": [endpoint.scope.as_str()],
            "parameters": endpoint.parameters.iter().map(parameter).collect::<Vec<_>>(),
            "responses": responses(endpoint, &problem, &mut generator),
        });
        if let Some(body) = endpoint.body {
            let content = json!({ "application/json": { "schema": body(&mut generator) } });
            operation["requestBody"] = json!({ "required": true, "content": content });
        }
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[endpoint.method.as_str().to_ascii_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidings",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The HTTP API for backends. Errors are problem details (RFC 9457).",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/api/v1" }],
        "security": [{ "key": [] }],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "key": { "type": "http", "scheme": "bearer", "description": "Of [[api.key]]" },
            },
        },
    })
}

fn responses(
    endpoint: &Endpoint,
    problem: &schemars::Schema,
    generator: &mut SchemaGenerator,
) -> Value {
    let mut responses = Map::new();
    let content = match endpoint.answer {
        Said::Json(answer) => json!({ "application/json": { "schema": answer(generator) } }),
        Said::Events(about) => {
            json!({ "text/event-stream": { "schema": { "type": "string", "description": about } } })
        }
    };
    responses.insert("200".into(), json!({ "description": "It is done", "content": content }));
    for status in COMMON.iter().chain(endpoint.errors) {
        let code = StatusCode::from_u16(*status).ok();
        let reason = code.and_then(|code| code.canonical_reason()).unwrap_or("An error");
        let content = json!({ "application/problem+json": { "schema": problem } });
        responses.insert(status.to_string(), json!({ "description": reason, "content": content }));
    }
    responses.into()
}

fn parameter(parameter: &Parameter) -> Value {
    let (place, schema) = match parameter.kind {
        Kind::Path => ("path", json!({ "type": "string", "minLength": 1, "maxLength": 255 })),
        Kind::PathAs(example) => {
            let name = json!({ "type": "string", "minLength": 1, "maxLength": 255 });
            ("path", with_example(name, example))
        }
        Kind::PathNumber => ("path", json!({ "type": "integer", "minimum": 1, "maximum": MANY })),
        Kind::Text => ("query", json!({ "type": "string" })),
        Kind::OneOf(words) => ("query", json!({ "type": "string", "enum": words })),
        Kind::Number(least, most) => {
            ("query", json!({ "type": "integer", "minimum": least, "maximum": most }))
        }
    };
    json!({
        "name": parameter.name,
        "in": place,
        "required": place == "path",
        "description": parameter.about,
        "schema": schema,
    })
}

fn with_example(mut schema: Value, example: &str) -> Value {
    schema["examples"] = json!([example]);
    schema
}
