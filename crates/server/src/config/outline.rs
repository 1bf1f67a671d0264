//! What the types say about themselves: each table's keys, kinds, defaults and comments, taken from
//! their JSON Schema, in the order in which they are declared.

use schemars::JsonSchema;
use serde::de::{DeserializeOwned, Visitor};
use serde_json::Value;

/// One table of the file.
pub(super) struct Section {
    /// As `server.tls`; a namespace's name is `NAME`.
    pub(super) path: &'static str,
    /// Whether there may be several: `[[auth.key]]`.
    pub(super) list: bool,
    /// Its type's comment.
    pub(super) meaning: String,
    /// Its keys that are not tables.
    pub(super) rows: Vec<Row>,
    /// Its keys that are tables.
    pub(super) tables: Vec<&'static str>,
}

/// One key.
pub(super) struct Row {
    pub(super) key: &'static str,
    /// As `integer`, or `"disk" or "memory"`.
    pub(super) kind: String,
    /// As JSON; `None` if it need not be set.
    pub(super) default: Option<Value>,
    /// What to show where there is no default.
    pub(super) example: Option<Value>,
    pub(super) meaning: String,
    /// The values of an enumeration, each with its comment.
    pub(super) choices: Vec<(String, String)>,
}

/// The outline of table `path`, of type `T`.
pub(super) fn section<T: JsonSchema + DeserializeOwned>(path: &'static str, list: bool) -> Section {
    let schema = schemars::schema_for!(T).to_value();
    let (mut rows, mut tables) = (Vec::new(), Vec::new());
    for key in field_names::<T>() {
        let property = &schema["properties"][*key];
        let target = resolve(&schema, property);
        if target.get("properties").is_some() || is_list_of_tables(&schema, target) {
            tables.push(*key);
            continue;
        }
        if target.get("additionalProperties").is_some_and(Value::is_object) {
            tables.push(*key);
            continue;
        }
        let choices = choices(target);
        rows.push(Row {
            key,
            kind: kind(target, &choices),
            default: property.get("default").filter(|value| !value.is_null()).cloned(),
            example: property.pointer("/examples/0").cloned(),
            meaning: words(property.get("description").or_else(|| target.get("description"))),
            choices,
        });
    }
    Section { path, list, meaning: words(schema.get("description")), rows, tables }
}

/// The schema that a `$ref` or an option of one leads to.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let inner = schema.pointer("/anyOf/0").unwrap_or(schema);
    let target = inner.get("$ref").and_then(Value::as_str);
    let target = target.and_then(|path| root.pointer(path.trim_start_matches('#')));
    target.unwrap_or(inner)
}

fn is_list_of_tables(root: &Value, schema: &Value) -> bool {
    schema.get("items").is_some_and(|items| resolve(root, items).get("properties").is_some())
}

fn choices(schema: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let variants = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    variants.map(|one| (text(&one["const"]), words(one.get("description")))).collect()
}

fn kind(schema: &Value, choices: &[(String, String)]) -> String {
    if !choices.is_empty() {
        return choices
            .iter()
            .map(|(name, _)| format!("`\"{name}\"`"))
            .collect::<Vec<_>>()
            .join(", ");
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.first().and_then(Value::as_str),
        kind => kind.as_str(),
    };
    match kind {
        Some("array") => "list of strings".into(),
        // The only strings with a pattern are durations.
        Some("string") if schema.get("pattern").is_some() => "duration".into(),
        Some(kind) => kind.into(),
        None => "string".into(),
    }
}

/// A comment's words, without its line breaks.
fn words(description: Option<&Value>) -> String {
    let text = description.and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The names of `T`'s fields in the order of their declaration. (A JSON Schema's properties are
/// sorted by name.)
fn field_names<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // Ends with an error by design: it only listens to what the type asks for.
    let _ = T::deserialize(Listener(&mut names));
    names
}

/// A deserializer that hands out nothing and remembers the fields it was asked for.
struct Listener<'a>(&'a mut &'static [&'static str]);

impl<'de> serde::Deserializer<'de> for Listener<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom("only structs have names of fields"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
