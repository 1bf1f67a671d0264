//! Any bytes as an update of a Yjs document, and as a state vector.
//!
//! What passes the check is split into parts that pass it too, and never makes yrs panic, whether
//! it is applied at once or in parts.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings_proto::yjs::{
    UpdateLimits, check_update, check_vector, erasure, for_each_client, put_var_uint, split,
};
use yrs::updates::decoder::Decode;
use yrs::{Doc, OffsetKind, Options, ReadTxn, StateVector, Transact, Update};

fuzz_target!(|bytes: &[u8]| {
    let limits = UpdateLimits { clients: 50, same_place: 50, ..UpdateLimits::default() };
    if check_vector(bytes, 50).is_ok() {
        let _ = StateVector::decode_v1(bytes);
    }
    let Ok(shape) = check_update(bytes, &limits) else { return };
    let mut clients = 0;
    assert!(for_each_client(bytes, |_, _, _| clients += 1).is_ok());
    assert_eq!(clients, shape.clients);
    let whole = document();
    apply(&whole, bytes);
    let in_parts = document();
    for part in split(bytes, 64) {
        assert!(check_update(&part, &limits).is_ok(), "{part:?}");
        apply(&in_parts, &part);
    }
    let state = whole.transact().encode_state_as_update_v1(&StateVector::default());
    let again = document();
    apply(&again, &state);
    // yrs frees no document that has another one in it.
    [whole, in_parts, again].iter().for_each(erase);
});

/// Behind a hole, too: there the state vector does not reach.
fn erase(doc: &Doc) {
    let state = doc.transact().encode_state_as_update_v1(&StateVector::default());
    let mut ends = Vec::new();
    let _ = for_each_client(&state, |client, clock, len| ends.push((client, clock + len)));
    let mut vector = Vec::new();
    put_var_uint(&mut vector, ends.len() as u64);
    for (client, end) in ends {
        put_var_uint(&mut vector, client);
        put_var_uint(&mut vector, u64::from(end));
    }
    let erasure = erasure(&vector);
    assert!(erasure.is_ok());
    apply(doc, &erasure.unwrap_or_default());
}

fn document() -> Doc {
    let options =
        Options { offset_kind: OffsetKind::Utf16, cleanup_formatting: false, ..Options::default() };
    Doc::with_options(options)
}

fn apply(doc: &Doc, update: &[u8]) {
    if let Ok(update) = Update::decode_v1(update) {
        let _ = doc.transact_mut().apply_update(update);
    }
}
