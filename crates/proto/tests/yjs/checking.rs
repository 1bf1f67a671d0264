//! Whatever yrs writes passes; whatever passes never makes yrs panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;
use tidings_proto::yjs::{
    EMPTY_UPDATE, EMPTY_VECTOR, UpdateLimits, check_update, check_vector, for_each_client,
};
use yrs::updates::encoder::Encode;
use yrs::{Doc, ReadTxn, StateVector, Transact};

use super::authors::{Dice, story, together};
use super::{apply, cases, check, document, state};

#[test]
fn nothing_is_the_same_for_everybody() {
    let doc = document(1);
    assert_eq!(state(&doc), EMPTY_UPDATE);
    assert_eq!(StateVector::default().encode_v1(), EMPTY_VECTOR);
}

/// Changes some bytes, or takes some away, or takes some twice.
fn damage(update: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = update.to_vec();
    for _ in 0..=dice.roll(3) {
        let length = bytes.len() as u32;
        if length < 2 {
            break;
        }
        let at = dice.roll(length) as usize;
        match dice.roll(6) {
            0 => bytes[at] ^= 1 << dice.roll(8),
            1 => bytes[at] = dice.roll(256) as u8,
            2 => {
                bytes.remove(at);
            }
            3 => bytes.insert(at, dice.roll(256) as u8),
            4 => bytes[at] = bytes[at].wrapping_add(1),
            _ => {
                let piece = bytes[at..(at + 8).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

/// Applies it, and then writes what the document has. To read it as JSON is another matter: an
/// item between neighbours of two arrays passes, and yrs counts wrong then and panics.
fn survives(doc: &Doc, update: &[u8]) {
    let used = catch_unwind(AssertUnwindSafe(|| {
        apply(doc, update);
        let whole = state(doc);
        let vector = doc.transact().state_vector();
        let _ = doc.transact().encode_state_as_update_v1(&vector);
        apply(&document(2), &whole);
    }));
    assert!(used.is_ok(), "yrs does not survive what passed: {update:?}");
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn whatever_yrs_writes_passes(seed: u64) {
        let story = story(seed, 80);
        story.updates.iter().for_each(|update| {
            let shape = check(update);
            assert!(shape.clients <= 3 && shape.bytes == update.len());
        });
        let doc = &story.docs[0];
        let shape = check(&state(doc));
        prop_assert!(!shape.is_empty());
        let vector = doc.transact().state_vector();
        let known = check_vector(&vector.encode_v1(), 3);
        prop_assert_eq!(known, Ok(vector.len()));
        let mut clients = 0;
        for_each_client(&state(doc), |client, clock, len| {
            assert_eq!((clock, len), (0, vector.get(&yrs::block::ClientID::new(client))));
            clients += 1;
        }).unwrap();
        prop_assert_eq!(clients, vector.len());
    }

    #[test]
    fn whatever_passes_is_survived(seed: u64) {
        let story = story(seed, 30);
        let mut dice = Dice::new(seed.rotate_left(7));
        let whole = state(&story.docs[0]);
        let mut passed = 0;
        for _ in 0..40 {
            let from = if dice.roll(3) == 0 {
                &whole
            } else {
                &story.updates[dice.roll(30) as usize]
            };
            let damaged = damage(from, &mut dice);
            if check_update(&damaged, &UpdateLimits::default()).is_err() {
                continue;
            }
            passed += 1;
            // On a document that knows the rest, on one that knows some of it, on an empty one.
            survives(&together(std::slice::from_ref(&whole)), &damaged);
            survives(&together(&story.updates[..15]), &damaged);
            survives(&document(1), &damaged);
        }
        prop_assert!(passed < 40);
    }
}
