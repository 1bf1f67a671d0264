use std::collections::BTreeMap;

use yrs::block::ClientID;
use yrs::updates::decoder::Decode;
use yrs::{Doc, GetString, OffsetKind, Options, ReadTxn, Text, Transact, Update};

use super::*;
use crate::yjs::put_var_uint;

/// Pictures of a client in the text "t": behind what, before what.
fn pictures(client: u64, places: &[(Option<Place>, Option<Place>)]) -> Vec<u8> {
    let mut update = vec![1];
    put_var_uint(&mut update, places.len() as u64);
    update.extend([client as u8, 0]);
    for (origin, right) in places {
        let bit = |place: &Option<Place>, bit: u8| if place.is_some() { bit } else { 0 };
        update.push(5 | bit(origin, 0x80) | bit(right, 0x40));
        for (client, clock) in [origin, right].into_iter().flatten() {
            put_var_uint(&mut update, *client);
            put_var_uint(&mut update, *clock);
        }
        if origin.is_none() && right.is_none() {
            update.extend([1, 1, b't']);
        }
        update.extend([1, b'1']);
    }
    update.push(0);
    update
}

type Place = (u64, u64);

/// So many of client 1, one behind the other.
fn row(count: u64) -> Vec<u8> {
    let before = |clock: u64| clock.checked_sub(1).map(|clock| (1, clock));
    pictures(1, &(0..count).map(|clock| (before(clock), None)).collect::<Vec<_>>())
}

fn order_of(update: &[u8]) -> Order {
    let mut order = Order::default();
    assert_eq!(order.take(update, 0, 0), Ok(0));
    order
}

#[test]
fn an_item_takes_a_step_past_each_that_stands_between_its_two() {
    let late = |origin, right| pictures(2, &[(origin, right)]);
    let steps = |update: &[u8]| order_of(&row(100)).take(update, u64::MAX, 0);
    assert_eq!(steps(&late(Some((1, 0)), None)), Ok(99));
    assert_eq!(steps(&late(Some((1, 0)), Some((1, 90)))), Ok(89));
    assert_eq!(steps(&late(Some((1, 0)), Some((1, 1)))), Ok(0), "they are neighbours");
    assert_eq!(steps(&late(Some((1, 99)), None)), Ok(0), "it is the last");
    assert_eq!(steps(&late(None, None)), Ok(100));
    let first = |origin, right| pictures(0, &[(origin, right)]);
    assert_eq!(steps(&first(Some((1, 0)), None)), Ok(1), "it stands before all of them");
    assert_eq!(steps(&first(Some((1, 0)), Some((1, 90)))), Ok(89));
}

#[test]
fn what_takes_too_many_steps_changes_nothing() {
    let mut order = order_of(&row(100));
    let places: Vec<_> = (0..10).map(|at| (Some((1, 90 - at * 10)), None)).collect();
    let crafted = pictures(2, &places);
    let unmarked = |order: &mut Order| {
        order.stamp = 0;
        order.nodes.iter_mut().for_each(|node| (node.seen, node.passed) = (0, 0));
        format!("{order:?}")
    };
    let before = unmarked(&mut order);
    assert_eq!(order.take(&crafted, 53, 0), Err(Fault::Limit("steps")));
    assert_eq!(unmarked(&mut order), before);
    let steps = order.take(&crafted, u64::MAX, 0).unwrap();
    assert!((9 + 19..1000).contains(&steps), "{steps}");
    assert_eq!((order.take(&crafted, 0, 0), order.steps()), (Ok(0), steps), "it is there already");
    assert_eq!(order.items(), 110);
}

#[test]
fn a_value_of_a_key_takes_the_way_back_to_the_first_one() {
    let mut values = vec![1, 3, 1, 0, 0x28, 1, 1, b'm', 1, b'k', 1, 126];
    for clock in 0..2 {
        values.extend([0xa8, 1, clock, 1, 126]);
    }
    values.push(0);
    let one = [1, 1, 2, 0, 0x28, 1, 1, b'm', 1, b'k', 1, 126, 0];
    let mut order = Order::default();
    assert_eq!(order.take(&values, 0, 0), Ok(0));
    assert_eq!(order.take(&one, u64::MAX, 0), Ok(2 * 3 + 3));
}

#[test]
fn neighbours_in_two_texts_are_nobody_s() {
    let mut order = order_of(&row(2));
    let other = [1, 1, 3, 0, 4, 1, 1, b'u', 1, b'a', 0];
    order.take(&other, 0, 0).unwrap();
    let astray = pictures(2, &[(Some((1, 0)), Some((3, 0)))]);
    assert_eq!(order.take(&astray, 1 << 20, 0), Err(Fault::Limit("steps")));
}

/// Dice: the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        ((self.0 >> 33) as u32) % sides
    }
}

fn document(client: u64) -> Doc {
    let mut options = Options::with_client_id(ClientID::new(client));
    options.offset_kind = OffsetKind::Utf16;
    Doc::with_options(options)
}

fn hear(doc: &Doc, update: &[u8]) {
    doc.transact_mut().apply_update(Update::decode_v1(update).unwrap()).unwrap();
}

/// What an order makes of the letters that were typed.
fn read(order: &Order, typed: &BTreeMap<(u64, u32), char>) -> String {
    let list = order.names.get(&Name::Root("t".into(), None)).map(|list| *list as usize);
    let mut next = list.and_then(|list| order.lists[list].head);
    let mut text = String::new();
    while let Some(at) = next {
        let Node { spot, len, deleted, right, .. } = order.nodes[at as usize];
        let client = order.clients[spot.client as usize];
        let letters = (spot.clock..spot.clock + len).filter(|_| !deleted);
        text.extend(letters.map(|clock| typed[&(client, clock)]));
        next = right;
    }
    text
}

fn write(doc: &Doc, dice: &mut Dice, typed: &mut BTreeMap<(u64, u32), char>) -> Vec<u8> {
    let text = doc.get_or_insert_text("t");
    let mut txn = doc.transact_mut();
    let len = text.len(&txn);
    if len > 3 && dice.roll(4) == 0 {
        let at = dice.roll(len - 2);
        text.remove_range(&mut txn, at, 1 + dice.roll(2));
    } else {
        let client = doc.client_id();
        let clock = txn.state_vector().get(&client);
        let word: String =
            (0..1 + dice.roll(4)).map(|_| char::from(b'a' + dice.roll(26) as u8)).collect();
        let letters = word.chars().zip(clock..);
        typed.extend(letters.map(|(letter, clock)| ((client.get(), clock), letter)));
        let at = [0, len, dice.roll(len + 1)][dice.roll(3) as usize];
        text.insert(&mut txn, at, &word);
    }
    txn.commit();
    txn.encode_update_v1()
}

#[test]
fn the_order_is_that_of_the_document_whoever_wrote_at_the_same_time() {
    for seed in 0..60 {
        let (mut dice, mut typed, mut order) = (Dice(seed), BTreeMap::new(), Order::default());
        let (docs, all) = ([7, 300, 1 << 40].map(document), document(1));
        for _ in 0..150 {
            let doc = &docs[dice.roll(3) as usize];
            if dice.roll(8) == 0 {
                let state = all.transact().encode_diff_v1(&doc.transact().state_vector());
                hear(doc, &state);
            }
            let update = write(doc, &mut dice, &mut typed);
            hear(&all, &update);
            let known = read(&order, &typed);
            if order.take(&update, 0, u64::MAX).is_err() {
                assert_eq!(read(&order, &typed), known, "seed {seed}");
                order.take(&update, u64::MAX, u64::MAX).unwrap();
            }
            let text = all.get_or_insert_text("t").get_string(&all.transact());
            assert_eq!(read(&order, &typed), text, "seed {seed}");
        }
        let mut again = Order::default();
        let state = all.transact().encode_diff_v1(&yrs::StateVector::default());
        again.take(&state, u64::MAX, u64::MAX).unwrap();
        assert_eq!(read(&again, &typed), read(&order, &typed), "seed {seed}");
        assert!(again.items() <= order.items(), "what was cut is not joined here");
    }
}

/// Letters whose neighbours are any that there are, in whatever order those stand.
fn craft(dice: &mut Dice, typed: &mut BTreeMap<(u64, u32), char>) -> Vec<u8> {
    let client = u64::from(dice.roll(5)) + 1;
    let known: Vec<_> = typed.keys().map(|(client, clock)| (*client, u64::from(*clock))).collect();
    let first = known.iter().filter(|place| place.0 == client).count() as u32;
    let count = 1 + dice.roll(4);
    let mut update = vec![1, count as u8, client as u8];
    put_var_uint(&mut update, u64::from(first));
    for clock in first..first + count {
        let mut place = |of: u32| {
            let at = dice.roll(known.len().max(1) as u32) as usize;
            known.get(at).copied().filter(|_| dice.roll(of) > 0)
        };
        let own = clock.checked_sub(1).map(|clock| (client, u64::from(clock)));
        let origin = if place(3).is_some() { place(6) } else { own };
        let right = place(2);
        let bit = |place: Option<Place>, bit: u8| if place.is_some() { bit } else { 0 };
        update.push(4 | bit(origin, 0x80) | bit(right, 0x40));
        for (client, clock) in [origin, right].into_iter().flatten() {
            put_var_uint(&mut update, client);
            put_var_uint(&mut update, clock);
        }
        if origin.is_none() && right.is_none() {
            update.extend([1, 1, b't']);
        }
        let letter = b'a' + dice.roll(26) as u8;
        update.extend([1, letter]);
        typed.insert((client, clock), char::from(letter));
    }
    update.push(u8::from(!known.is_empty()));
    if let Some((client, clock)) = known.get(dice.roll(known.len().max(1) as u32) as usize) {
        update.extend([*client as u8, 1]);
        put_var_uint(&mut update, *clock);
        update.push(1);
    }
    update
}

#[test]
fn the_order_is_that_of_the_document_even_where_nobody_could_have_written() {
    let mut compared = 0;
    for seed in 0..1000 {
        let (mut dice, mut typed, mut order) = (Dice(seed), BTreeMap::new(), Order::default());
        let doc = document(9);
        for _ in 0..60 {
            let update = craft(&mut dice, &mut typed);
            hear(&doc, &update);
            let known = read(&order, &typed);
            if order.take(&update, 2, u64::MAX).is_err() {
                assert_eq!(read(&order, &typed), known, "seed {seed}");
                order.take(&update, u64::MAX, u64::MAX).unwrap();
            }
            if order.is_astray() {
                break;
            }
            let text = doc.get_or_insert_text("t").get_string(&doc.transact());
            assert_eq!(read(&order, &typed), text, "seed {seed}");
            compared += 1;
        }
    }
    assert!(compared > 5000, "{compared}");
}
