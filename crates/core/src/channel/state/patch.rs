//! JSON Merge Patch (RFC 7396) on raw JSON: numbers and texts stay as they were written, which a
//! tree of parsed values would not promise.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

type Members<'a> = BTreeMap<String, &'a RawValue>;

/// The members of an object; `None`: it is none.
fn members(raw: &RawValue) -> Option<Members<'_>> {
    let is_object = raw.get().starts_with('{');
    // invariant: a RawValue is valid JSON, so this fails for nothing that begins like an object.
    is_object.then(|| serde_json::from_str(raw.get()).unwrap_or_default())
}

fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// What `target` becomes by `patch`. It is nested no deeper than both are.
pub(crate) fn merge(target: Option<&RawValue>, patch: &RawValue) -> Box<RawValue> {
    let mut out = String::new();
    merge_into(&mut out, target, patch);
    // invariant: it is put together of valid JSON.
    RawValue::from_string(out).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn merge_into(out: &mut String, target: Option<&RawValue>, patch: &RawValue) {
    let Some(mut patch) = members(patch) else { return out.push_str(patch.get()) };
    let mut object = Object::begin(out);
    for (name, old) in target.and_then(members).unwrap_or_default() {
        match patch.remove(&name) {
            None => object.member(&name).push_str(old.get()),
            Some(new) if is_null(new) => {}
            Some(new) => merge_into(object.member(&name), Some(old), new),
        }
    }
    for (name, new) in patch.into_iter().filter(|(_, new)| !is_null(new)) {
        merge_into(object.member(&name), None, new);
    }
    object.end();
}

/// The merge patch that makes `new` of `old`, if both are objects, one can say it, and it is
/// shorter than `new`.
pub(crate) fn diff(old: &RawValue, new: &RawValue) -> Option<Box<RawValue>> {
    let mut out = String::new();
    let sayable = diff_into(&mut out, &members(old)?, &members(new)?);
    let worth_it = sayable && out.len() < new.get().len();
    worth_it.then(|| RawValue::from_string(out).ok()).flatten()
}

fn diff_into(out: &mut String, old: &Members<'_>, new: &Members<'_>) -> bool {
    let mut object = Object::begin(out);
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        object.member(name).push_str("null");
    }
    for (name, value) in new {
        let before = old.get(name);
        if before.is_some_and(|before| before.get() == value.get()) {
            continue;
        }
        let inside = before.and_then(|before| members(before)).zip(members(value));
        if let Some((before, after)) = inside {
            if !diff_into(object.member(name), &before, &after) {
                return false;
            }
            continue;
        }
        // In a patch a null removes a member, and may do so deep inside of what is new. One in a
        // text does no harm, and is rare enough to be taken for one.
        if value.get().contains("null") {
            return false;
        }
        object.member(name).push_str(value.get());
    }
    object.end();
    true
}

/// An object that is being written.
struct Object<'a> {
    out: &'a mut String,
    is_empty: bool,
}

impl<'a> Object<'a> {
    fn begin(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, is_empty: true }
    }

    /// Where the value of its next member goes.
    fn member(&mut self, name: &str) -> &mut String {
        if !self.is_empty {
            self.out.push(',');
        }
        self.is_empty = false;
        // invariant: every string is JSON.
        self.out.push_str(&serde_json::to_string(name).unwrap_or_default());
        self.out.push(':');
        self.out
    }

    fn end(self) {
        self.out.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.into()).unwrap()
    }

    #[test]
    fn the_examples_of_the_rfc() {
        for (target, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
            (r#"{"a":"foo"}"#, "null", "null"),
            (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            assert_eq!(merge(Some(&raw(target)), &raw(patch)).get(), result, "{target} {patch}");
        }
        assert_eq!(merge(None, &raw(r#"{"a":1,"b":null}"#)).get(), r#"{"a":1}"#);
    }

    #[test]
    fn a_patch_says_what_has_changed_and_nothing_else() {
        let old = raw(r#"{"name":"Tidings Limited","price":10.50,"day":{"low":1,"high":2}}"#);
        for (new, patch) in [
            (
                r#"{"name":"Tidings Limited","price":10.5,"day":{"low":1,"high":2}}"#,
                Some(r#"{"price":10.5}"#),
            ),
            (
                r#"{"name":"Tidings Limited","day":{"low":1,"high":3}}"#,
                Some(r#"{"price":null,"day":{"high":3}}"#),
            ),
            (r#"{"name":"Tidings Limited","price":null,"day":{"low":1}}"#, None),
            (r#"{"name":"x"}"#, None),
            ("[1]", None),
        ] {
            let said = diff(&old, &raw(new));
            assert_eq!(said.as_deref().map(RawValue::get), patch, "{new}");
        }
        assert!(
            diff(
                &raw(r#"{"a":1,"long":"aaaaaaaaaaaaaa"}"#),
                &raw(r#"{"a":{"b":[null]},"long":"aaaaaaaaaaaaaa"}"#)
            )
            .is_none()
        );
    }

    #[test]
    fn numbers_stay_as_they_were_written() {
        let target = raw(r#"{"big":123456789012345678901234567890,"odd":1e400,"n":1}"#);
        let merged = merge(Some(&target), &raw(r#"{"n":2.50}"#));
        assert_eq!(merged.get(), r#"{"big":123456789012345678901234567890,"n":2.50,"odd":1e400}"#);
    }
}
