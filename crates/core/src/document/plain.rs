//! Changes inside of plain JSON.

use serde_json::Value;

fn child<'v>(value: &'v mut Value, name: &str) -> Option<&'v mut Value> {
    match value {
        Value::Object(members) => members.get_mut(name),
        Value::Array(items) => items.get_mut(number(name)?),
        _ => None,
    }
}

fn number(name: &str) -> Option<usize> {
    let is_plain = name == "0" || !name.starts_with(['0', '+']);
    name.parse().ok().filter(|_| is_plain)
}

/// What holds the last of the names.
fn holder<'v, 'p>(value: &'v mut Value, path: &'p [String]) -> Option<(&'v mut Value, &'p str)> {
    let (last, outer) = path.split_last()?;
    let holder = outer.iter().try_fold(value, |value, name| child(value, name))?;
    Some((holder, last))
}

pub(super) fn find<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, name| match value {
        Value::Object(members) => members.get(name),
        Value::Array(items) => items.get(number(name)?),
        _ => None,
    })
}

pub(super) fn add(value: &mut Value, path: &[String], new: Value) -> Option<()> {
    let (holder, name) = holder(value, path)?;
    match holder {
        Value::Object(members) => drop(members.insert(name.to_owned(), new)),
        Value::Array(items) => {
            let at = if name == "-" { items.len() } else { number(name)? };
            if at > items.len() {
                return None;
            }
            items.insert(at, new);
        }
        _ => return None,
    }
    Some(())
}

pub(super) fn replace(value: &mut Value, path: &[String], new: Value) -> Option<()> {
    let (holder, name) = holder(value, path)?;
    *child(holder, name)? = new;
    Some(())
}

pub(super) fn remove(value: &mut Value, path: &[String]) -> Option<()> {
    let (holder, name) = holder(value, path)?;
    match holder {
        Value::Object(members) => members.remove(name).map(drop),
        Value::Array(items) => {
            let at = number(name).filter(|at| *at < items.len())?;
            items.remove(at);
            Some(())
        }
        _ => None,
    }
}
