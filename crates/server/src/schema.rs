//! JSON Schemas that `data` must fit, compiled once and checked on every publish.

use std::fmt;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;
use tidings_core::policy::{DataFault, DataSchema};

/// Characters of a reason: it quotes the offending value, which may be long.
const REASON_CHARS: usize = 200;

/// A compiled JSON Schema (2020-12, or what its `$schema` says). It never reads files or the
/// network: a `$ref` leads only into the schema itself.
pub struct JsonSchema(Validator);

impl fmt::Debug for JsonSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonSchema(..)")
    }
}

/// Why a schema was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaError {
    /// Where in the schema: a JSON Pointer; empty for the whole.
    pub path: String,
    /// What is wrong there.
    pub reason: String,
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.reason),
            path => write!(f, "at {path}: {}", self.reason),
        }
    }
}

impl std::error::Error for SchemaError {}

impl JsonSchema {
    /// Compiles `text`.
    ///
    /// # Errors
    /// When it is not JSON, not a valid schema, or refers to something outside itself.
    pub fn compile(text: &str) -> Result<Self, SchemaError> {
        let schema: Value = serde_json::from_str(text).map_err(|error| SchemaError {
            path: String::new(),
            reason: format!("not JSON: {error}"),
        })?;
        // The `regex` engine runs in linear time: clients choose the text that is matched.
        let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
        options.build(&schema).map(Self).map_err(|error| SchemaError {
            path: error.instance_path().to_string(),
            reason: cut(&error.to_string()),
        })
    }
}

impl DataSchema for JsonSchema {
    fn check(&self, data: &str) -> Result<(), DataFault> {
        // The engine has checked that it is JSON; what still fails here is nested too deep.
        let value: Value = serde_json::from_str(data).map_err(|error| DataFault {
            path: String::new(),
            reason: cut(&format!("cannot be checked: {error}")),
        })?;
        self.0.validate(&value).map_err(|error| DataFault {
            path: error.instance_path().to_string(),
            reason: cut(&error.to_string()),
        })
    }
}

/// The first characters of `reason`.
fn cut(reason: &str) -> String {
    match reason.char_indices().nth(REASON_CHARS) {
        Some((at, _)) => format!("{}…", &reason[..at]),
        None => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = r#"{"type":"object","required":["text"],"properties":{
        "text":{"type":"string","maxLength":5},"a/b":{"type":"integer"}}}"#;

    #[test]
    fn a_fault_says_where_and_why() {
        let schema = JsonSchema::compile(MESSAGE).unwrap();
        assert_eq!(schema.check(r#"{"text":"Hello"}"#), Ok(()));
        for (data, path, reason) in [
            (r#"{"text":5}"#, "/text", "5 is not of type \"string\""),
            (r#"{"text":"a","a/b":"x"}"#, "/a~1b", "\"x\" is not of type \"integer\""),
            ("{}", "", "\"text\" is a required property"),
            ("3", "", "3 is not of type \"object\""),
        ] {
            let fault = schema.check(data).unwrap_err();
            assert_eq!((fault.path.as_str(), fault.reason.as_str()), (path, reason), "{data}");
        }
    }

    #[test]
    fn a_reason_is_short_whatever_the_data() {
        let schema = JsonSchema::compile(MESSAGE).unwrap();
        let data = format!(r#"{{"text":"{}"}}"#, "ä".repeat(10_000));
        assert!(schema.check(&data).unwrap_err().reason.chars().count() <= REASON_CHARS + 1);
    }

    #[test]
    fn deep_data_is_a_fault_and_no_overflow() {
        let schema = JsonSchema::compile(r##"{"items":{"$ref":"#"}}"##).unwrap();
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(schema.check(&nested(100)), Ok(()));
        assert!(schema.check(&nested(10_000)).is_err());
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        for (text, reason) in [
            ("{", "not JSON"),
            (r#"{"type":"strng"}"#, "strng"),
            (r#"{"$ref":"http://127.0.0.1:9/schema.json"}"#, "127.0.0.1:9"),
            (r#"{"$ref":"file:///etc/passwd"}"#, "passwd"),
            (r#"{"pattern":"(?<=a)b"}"#, "regex"),
        ] {
            let error = JsonSchema::compile(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        if let Ok(schema) = JsonSchema::compile(r##"{"$ref":"#"}"##) {
            let _ = schema.check("1");
        }
    }
}
