//! Documents are changed without an editor.

use serde_json::{Value, json};

use super::*;

const CLIENT: u64 = 4_000_000_000;

fn ops(ops: &Value) -> Vec<PatchOp> {
    serde_json::from_value(ops.clone()).unwrap()
}

/// Applies a patch to the root "map".
fn patches(document: &mut Document, values: Values, patch: &Value) -> Result<(), EditFault> {
    let client = CLIENT + document.clients() as u64;
    let update = json_patch(&document.encode().unwrap(), "map", None, values, &ops(patch), client)?;
    commit(document, "", &update);
    Ok(())
}

fn map(document: &mut Document) -> Value {
    json(&document.encode().unwrap(), &[("map", RootKind::Map)]).unwrap()["map"].clone()
}

#[test]
fn a_patch_makes_maps_and_lists_that_others_can_write_into() {
    let (mut ada, mut document) = (Author::new(1), Document::new());
    let patch = json!([
        {"op": "add", "path": "/todos", "value": [{"text": "milk", "done": false}]},
        {"op": "add", "path": "/todos/-", "value": {"text": "eggs"}},
        {"op": "add", "path": "/todos/0/by", "value": "ada"},
        {"op": "test", "path": "/todos/0", "value": {"text": "milk", "done": false, "by": "ada"}},
        {"op": "copy", "from": "/todos/0/by", "path": "/todos/1/by"},
    ]);
    patches(&mut document, Values::Shared, &patch).unwrap();
    ada.hears(&document.encode().unwrap());
    let todos = ada.doc.get_or_insert_map("map").get(&ada.doc.transact(), "todos");
    let todos: yrs::ArrayRef = todos.unwrap().cast().unwrap();
    let first: MapRef = todos.get(&ada.doc.transact(), 0).unwrap().cast().unwrap();
    first.insert(&mut ada.doc.transact_mut(), "done", true);
    let meanwhile = ada.changes();
    let patch = json!([
        {"op": "replace", "path": "/todos/0/text", "value": "oat milk"},
        {"op": "move", "from": "/todos/1", "path": "/todos/0"},
        {"op": "remove", "path": "/todos/0/by"},
    ]);
    patches(&mut document, Values::Shared, &patch).unwrap();
    commit(&mut document, "ada", &meanwhile);
    let todos = json!([{"text": "eggs"}, {"text": "oat milk", "done": true, "by": "ada"}]);
    assert_eq!(map(&mut document), json!({ "todos": todos }));
}

#[test]
fn plain_values_are_changed_inside_and_replaced_whole() {
    let mut document = Document::new();
    let patch = json!([
        {"op": "add", "path": "/a~1b", "value": {"list": [1, 2.5, null], "on": true}},
        {"op": "add", "path": "/a~1b/list/1", "value": "x"},
        {"op": "replace", "path": "/a~1b/on", "value": {"deep": [-7]}},
        {"op": "remove", "path": "/a~1b/list/0"},
        {"op": "test", "path": "/a~1b/on/deep/0", "value": -7},
        {"op": "add", "path": "/long", "value": 9_007_199_254_740_991_i64},
    ]);
    patches(&mut document, Values::Plain, &patch).unwrap();
    let expected = json!({
        "a/b": {"list": ["x", 2.5, null], "on": {"deep": [-7]}}, "long": 9_007_199_254_740_991_i64,
    });
    assert_eq!(map(&mut document), expected);
}

#[test]
fn a_patch_that_cannot_be_made_changes_nothing_and_says_which_operation_it_was() {
    let mut document = Document::new();
    let list = json!([{"op": "add", "path": "/list", "value": [1]}]);
    patches(&mut document, Values::Shared, &list).unwrap();
    for (wrong, why) in [
        (json!({"op": "remove", "path": "/none"}), "there is nothing at `/none`"),
        (json!({"op": "add", "path": "list", "value": 1}), "`list` is no JSON Pointer"),
        (json!({"op": "add", "path": "/list/3", "value": 1}), "`3` is no place in a list of 2"),
        (json!({"op": "add", "path": "/list/01", "value": 1}), "`01` is no place in a list of 2"),
        (json!({"op": "replace", "path": "/list/2", "value": 1}), "there is nothing at `/list/2`"),
        (json!({"op": "test", "path": "/list/0", "value": 2}), "`/list/0` is another value"),
        (
            json!({"op": "add", "path": "/list/0/x", "value": 2}),
            "there is no such place in the value",
        ),
        (
            json!({"op": "move", "from": "/list", "path": "/list/0"}),
            "nothing can be moved into itself",
        ),
    ] {
        let patch = json!([{"op": "add", "path": "/list/-", "value": 2}, wrong]);
        let refused = patches(&mut document, Values::Shared, &patch);
        assert_eq!(refused, Err(EditFault::Refused(1, why.to_owned())));
    }
    assert_eq!(map(&mut document), json!({"list": [1]}));
    let many = vec![json!({"op": "add", "path": "/x", "value": 1}); 1001];
    assert!(patches(&mut document, Values::Shared, &Value::Array(many)).is_err());
    let text = Author::new(1).types(0, "a text");
    let patch = ops(&json!([{"op": "add", "path": "/x", "value": 1}]));
    assert!(json_patch(&text, "body", None, Values::Shared, &patch, CLIENT).is_err());
}

#[test]
fn a_text_is_edited_where_editors_count_and_what_others_type_is_kept() {
    let (mut ada, mut document) = (Author::new(1), Document::new());
    commit(&mut document, "ada", &ada.types(0, "Hi 🙂, all"));
    let edits = json!([{"at": 3, "delete": 2, "insert": "dear"}, {"at": 9, "insert": "to "}]);
    let edits: Vec<TextEdit> = serde_json::from_value(edits).unwrap();
    let update = edit_text(&document.encode().unwrap(), "body", "", &edits, CLIENT).unwrap();
    let meanwhile = ada.types(0, "> ");
    commit(&mut document, "", &update);
    commit(&mut document, "ada", &meanwhile);
    assert_eq!(text(&mut document), "> Hi dear, to all");
    for (wrong, why) in [
        (json!({"at": 4, "insert": "x"}), "it begins or ends in the middle of a character"),
        (json!({"at": 2, "delete": 2}), "it begins or ends in the middle of a character"),
        (json!({"at": 9, "delete": 2}), "it ends at 11, and the text at 10"),
        (json!({"at": u32::MAX, "delete": 2}), "it ends behind the text"),
    ] {
        let edit: TextEdit = serde_json::from_value(wrong).unwrap();
        let state = Author::new(1).types(0, "Hi 🙂, all");
        let refused = edit_text(&state, "body", "", &[edit], CLIENT);
        assert_eq!(refused, Err(EditFault::Refused(0, why.to_owned())));
    }
}

#[test]
fn a_text_in_a_map_is_edited_by_its_path_and_formatted() {
    let mut ada = Author::new(1);
    let map = ada.doc.get_or_insert_map("map");
    map.insert(&mut ada.doc.transact_mut(), "title", yrs::TextPrelim::new("Plan"));
    let state = ada.changes();
    let edit = json!({"at": 4, "insert": " B", "attributes": {"bold": true}});
    let edit: [TextEdit; 1] = [serde_json::from_value(edit).unwrap()];
    let update = edit_text(&state, "map", "/title", &edit, CLIENT).unwrap();
    ada.hears(&update);
    let title: yrs::TextRef = map.get(&ada.doc.transact(), "title").unwrap().cast().unwrap();
    let diff = title.diff(&ada.doc.transact(), yrs::types::text::YChange::identity);
    assert_eq!((diff.len(), title.get_string(&ada.doc.transact())), (2, "Plan B".to_owned()));
    for path in ["/none", "/title/0", "title", ""] {
        assert!(edit_text(&state, "map", path, &edit, CLIENT).is_err(), "{path}");
    }
}
