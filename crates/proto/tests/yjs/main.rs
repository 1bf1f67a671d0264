//! Updates, as yrs writes and reads them, against what checks and splits them.

#![allow(clippy::unwrap_used, reason = "stories, told briefly")]

mod authors;
mod checking;
mod splitting;

use std::collections::BTreeMap;

use proptest::prelude::ProptestConfig;
use tidings_proto::yjs::{Shape, UpdateLimits, check_update};
use yrs::types::ToJson;
use yrs::types::text::YChange;
use yrs::updates::decoder::Decode;
use yrs::{Any, Doc, GetString, OffsetKind, Options, ReadTxn, StateVector, Text, Transact, Update};

/// As many as do not take long; `CASES` of them when it is set.
fn cases() -> ProptestConfig {
    let cases = std::env::var("CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(48);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// A document as the server has it: places are those of JavaScript.
fn document(client: u64) -> Doc {
    let mut options = Options::with_client_id(yrs::block::ClientID::new(client));
    options.offset_kind = OffsetKind::Utf16;
    Doc::with_options(options)
}

/// What is in a document, whole.
fn state(doc: &Doc) -> Vec<u8> {
    doc.transact().encode_state_as_update_v1(&StateVector::default())
}

/// All that can be seen of a document.
fn seen(doc: &Doc) -> String {
    let text = doc.get_or_insert_text("text");
    let map = doc.get_or_insert_map("map");
    let array = doc.get_or_insert_array("array");
    let page = doc.get_or_insert_xml_fragment("page");
    let transaction = doc.transact();
    let pieces = text.diff(&transaction, YChange::identity).into_iter().map(|piece| {
        let attributes = piece.attributes.map(|all| all.into_iter().collect::<BTreeMap<_, _>>());
        format!("{:?} {attributes:?}", piece.insert)
    });
    // Keys in their order: what holds them here has none.
    let sorted = |any: Any| serde_json::to_value(any).unwrap();
    let (map, array) = (sorted(map.to_json(&transaction)), sorted(array.to_json(&transaction)));
    let page = page.get_string(&transaction);
    let pieces = pieces.collect::<Vec<_>>().join("\n");
    format!("{pieces}\n{map}\n{array}\n{page}")
}

/// Reads an update and applies it: whether yrs took it.
fn apply(doc: &Doc, update: &[u8]) -> bool {
    let Ok(update) = Update::decode_v1(update) else { return false };
    doc.transact_mut().apply_update(update).is_ok()
}

fn check(update: &[u8]) -> Shape {
    check_update(update, &UpdateLimits::default())
        .unwrap_or_else(|fault| panic!("{fault}: {update:?}"))
}
