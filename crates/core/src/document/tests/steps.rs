//! Updates that would keep everybody waiting, and those of people who were away, which do not.

use yrs::MapPrelim;

use super::random::writes;
use super::*;
use crate::limits::{DOCUMENT_STEPS, UPDATE_STEPS, WAITING_LOOSE};
use crate::rng::Rng;

/// A picture in the text "body", behind and before what is said, if that is anything.
fn picture(origin: Option<(u64, u64)>, right: Option<(u64, u64)>) -> Vec<u8> {
    let info = |has: bool, bit: u8| if has { bit } else { 0 };
    let mut item = vec![5 | info(origin.is_some(), 0x80) | info(right.is_some(), 0x40)];
    for (client, clock) in [origin, right].into_iter().flatten() {
        yjs::put_var_uint(&mut item, client);
        yjs::put_var_uint(&mut item, clock);
    }
    if origin.is_none() && right.is_none() {
        item.extend(b"\x01\x04body");
    }
    item.extend(b"\x011");
    item
}

/// An update of clients, each from a clock on.
fn update(clients: &[(u64, u64, Vec<Vec<u8>>)]) -> Vec<u8> {
    let mut update = vec![clients.len() as u8];
    for (client, clock, items) in clients {
        yjs::put_var_uint(&mut update, items.len() as u64);
        yjs::put_var_uint(&mut update, *client);
        yjs::put_var_uint(&mut update, *clock);
        update.extend(items.concat());
    }
    update.push(0);
    update
}

/// Pictures one behind the other.
fn pictures(client: u64, count: u64) -> Vec<Vec<u8>> {
    let behind = |clock: u64| clock.checked_sub(1).map(|clock| (client, clock));
    (0..count).map(|clock| picture(behind(clock), None)).collect()
}

/// Pictures each of which says that it came between another one of client 1 and the last one.
fn scattered(count: u64, apart: u64) -> Vec<Vec<u8>> {
    let last = Some((1, count * apart - 1));
    (0..count).rev().map(|at| picture(Some((1, at * apart)), last)).collect()
}

fn prepare(update: &[u8]) -> Prepared {
    Document::prepare(update, &limits()).unwrap()
}

/// From now on steps are counted, and not estimated.
fn counts(document: &mut Document) {
    document.count_steps(&prepare(EMPTY_UPDATE)).unwrap();
}

#[test]
fn an_update_that_was_written_all_over_a_long_document_keeps_nobody_waiting() {
    let mut document = Document::new();
    let long = prepare(&update(&[(1, 0, pictures(1, 20_000))]));
    assert!(document.admits(&long), "a long document is no crime");
    document.commit("ada", (1, 0), long).unwrap();
    let crafted = prepare(&update(&[(2, 0, scattered(1000, 20))]));
    assert!(!document.admits(&crafted) && document.steps.has_refused(), "10,000,000 steps");
    let mut document = reopened(&mut document, 100_000);
    assert!(!document.admits(&crafted) && document.steps.has_refused(), "nor after a restart");
    document.rest();
    assert!(!document.admits(&crafted), "nor when nobody has it open");
    assert!(document.admits(&prepare(&update(&[(2, 0, scattered(10, 1000))]))), "a few may");
    document.revert();
    let typed = prepare(&Author::new(9).types(0, "Hello"));
    assert!(document.admits(&typed) && !document.steps.has_refused());
    document.commit("ada", (1, 0), typed).unwrap();
}

#[test]
fn what_the_server_has_made_itself_is_never_refused_and_counts_all_the_same() {
    let mut document = Document::new();
    commit(&mut document, "ada", &update(&[(1, 0, pictures(1, 20_000))]));
    let made = prepare(&update(&[(2, 0, scattered(450, 44))]));
    assert!(!document.admits(&made) && document.admits_own(&made));
    document.commit("ada", (1, 0), made).unwrap();
    let typed = prepare(&update(&[(2, 450, vec![picture(Some((1, 10)), None)])]));
    assert!(document.admits(&typed), "others go on");
    document.commit("bob", (1, 0), typed).unwrap();
    assert!(document.steps.spent().is_some_and(|spent| spent > UPDATE_STEPS));
}

#[test]
fn both_in_one_update_are_refused_whatever_the_numbers_of_the_clients_are() {
    for other in [0, 2] {
        let mut document = Document::new();
        let both = update(&[(1, 0, pictures(1, 20_000)), (other, 0, scattered(1000, 20))]);
        assert!(!document.admits(&prepare(&both)), "{other}");
        assert!(document.admits(&prepare(&update(&[(1, 0, pictures(1, 20_000))]))), "{other}");
    }
}

#[test]
fn a_long_text_is_not_cut_from_its_end_thousands_of_times() {
    let (mut ada, mut document) = (Author::new(1), Document::new());
    commit(&mut document, "ada", &ada.types(0, &"a".repeat(1_000_000)));
    let cut = |count: u64, apart: u64| {
        let places = (1..=count).rev().map(|at| at * apart);
        let between = places.map(|at| picture(Some((1, at)), Some((1, at + 1))));
        prepare(&update(&[(2, 0, between.collect())]))
    };
    assert!(!document.admits(&cut(9000, 100)) && document.steps.has_refused());
    assert!(document.admits(&cut(900, 1000)), "so many words may be replaced at once");
}

#[test]
fn who_replaces_a_word_of_a_long_text_everywhere_from_its_end_is_let_in() {
    let (mut ada, mut document) = (Author::new(1), Document::new());
    commit(&mut document, "ada", &ada.types(0, &"one word, ".repeat(100_000)));
    let (mut all, mut deleted) = (vec![1], vec![1, 1]);
    yjs::put_var_uint(&mut all, 3000);
    all.extend([2, 0]);
    yjs::put_var_uint(&mut deleted, 3000);
    for at in (0..3000_u64).rev() {
        let place = 1 + at * 333;
        all.push(4 | 0x80 | 0x40);
        for number in [1, place - 1, 1, place] {
            yjs::put_var_uint(&mut all, number);
        }
        yjs::put_string(&mut all, "two");
        yjs::put_var_uint(&mut deleted, 1 + (2999 - at) * 333);
        yjs::put_var_uint(&mut deleted, 3);
    }
    all.extend(deleted);
    assert!(document.admits(&prepare(&all)), "a million bytes are cut three thousand times");
    let mut document = reopened(&mut document, 100_000);
    assert!(document.admits(&prepare(&all)), "nor after a restart");
}

#[test]
fn what_waits_may_not_be_carried_far_by_what_it_waits_for() {
    let mut document = Document::new();
    let first = prepare(&update(&[(1, 0, pictures(1, 4000))]));
    let many = prepare(&update(&[(2, 0, scattered(400, 10))]));
    let few = prepare(&update(&[(2, 0, scattered(WAITING_LOOSE as u64, 10))]));
    assert!(!document.admits(&many) && !document.steps.has_refused(), "it may come again later");
    let Taken { part, lost, .. } = document.share(many, &limits());
    assert!(part.is_none() && lost, "there is no place for it to wait");
    assert!(document.admits(&few));
    document.commit("eve", (1, 0), few).unwrap();
    assert!(!document.admits(&prepare(&update(&[(3, 0, scattered(1, 2))]))), "there is no room");
    assert!(document.admits(&first), "what they wait for is not kept out");
    let behind = (0..400).map(|at| picture(Some((1, at * 10)), Some((1, at * 10 + 1))));
    let behind = prepare(&update(&[(4, 0, behind.collect())]));
    let Taken { part, lost, .. } = document.share(behind, &limits());
    let behind = part.filter(|_| !lost).expect("all of it is taken");
    assert!(document.admits(&behind), "nobody waits for what is at the store");
    document.commit("ada", (1, 0), first).unwrap();
    document.commit("ada", (1, 0), behind).unwrap();
    assert!(document.waiting().is_empty());
}

#[test]
fn an_estimate_that_has_grown_too_large_is_made_anew() {
    let (mut ada, mut document) = (Author::new(1), Document::new());
    for at in 0..100 {
        commit(&mut document, "ada", &ada.types(at / 2, "word "));
        document.steps.exhaust();
        let typed = prepare(&ada.types(at * 3 / 2, "more "));
        assert!(document.admits(&typed), "the document has hardly taken any");
        document.commit("ada", (1, 0), typed).unwrap();
        document.rest();
    }
    const { assert!(UPDATE_STEPS <= DOCUMENT_STEPS / 4) };
}

/// Some write while nobody hears them, for a while or for hours; nobody is ever refused, and the
/// order that is kept is that of the document.
fn hours_apart(seed: u64) {
    let mut rng = Rng::new(seed);
    let mut authors: Vec<_> = (1..=5).map(Author::new).collect();
    let mut document = Document::new();
    for round in 0..6 {
        if rng.next().is_multiple_of(2) {
            counts(&mut document);
        }
        for author in &mut authors {
            let before = author.doc.transact().state_vector();
            for _ in 0..rng.next() % 150 {
                writes(author, &mut rng);
            }
            let all = author.doc.transact().encode_diff_v1(&before);
            let all = prepare(&all);
            assert!(document.admits(&all), "seed {seed}, round {round}");
            document.commit("ada", (1, 0), all).unwrap();
        }
        for author in &mut authors {
            author.hears(&document.missing(&author.vector(), &limits()).unwrap());
        }
        match rng.next() % 3 {
            0 => document.rest(),
            1 => document = reopened(&mut document, 1000),
            _ => {}
        }
    }
    counts(&mut document);
    let spent = document.steps.spent().unwrap();
    assert!(spent < DOCUMENT_STEPS / 100, "seed {seed}: {spent}");
}

#[test]
fn editors_who_were_offline_for_hours_are_always_let_in() {
    (0..20).for_each(hours_apart);
}

#[test]
fn two_who_have_each_put_1500_todos_to_the_top_of_one_list_offline_meet() {
    let (mut ada, mut bob, mut document) = (Author::new(1), Author::new(2), Document::new());
    for author in [&mut ada, &mut bob] {
        let list = author.doc.get_or_insert_array("list");
        for at in 0..1500 {
            let todo = MapPrelim::from([("title", format!("todo {at}")), ("done", "no".into())]);
            list.insert(&mut author.doc.transact_mut(), 0, todo);
        }
        let all = prepare(&author.changes());
        assert!(document.admits(&all));
        document.commit("ada", (1, 0), all).unwrap();
    }
}

#[test]
fn an_estimate_is_never_too_low() {
    let mut admitted = 0;
    for seed in 0..40 {
        let (mut rng, mut document) = (Rng::new(seed), Document::new());
        let mut ends = [0_u64; 4];
        counts(&mut document);
        for _ in 0..60 {
            let client = 1 + rng.next() % 4;
            let known: Vec<_> = (1..).zip(ends).filter(|(_, end)| *end > 0).collect();
            let first = ends[client as usize - 1];
            let mut place = || {
                let (client, end) = *known.get((rng.next() % 5) as usize)?;
                Some((client, rng.next() % end))
            };
            let mut items = Vec::new();
            for clock in first..first + 1 + seed % 7 {
                let own = clock.checked_sub(1).map(|clock| (client, clock));
                let origin = if place().is_some() { own } else { place() };
                items.push(picture(origin, place()));
            }
            let count = items.len() as u64;
            let next = prepare(&update(&[(client, first, items)]));
            let (before, bytes) = (document.steps.spent().unwrap(), document.bytes());
            let estimate = document.steps.estimate(&next, bytes + next.bytes.len());
            if !document.admits(&next) {
                continue;
            }
            (ends[client as usize - 1], admitted) = (first + count, admitted + 1);
            let taken = document.steps.spent().unwrap() - before;
            assert!(taken <= estimate, "seed {seed}: {taken} of {estimate}");
            document.commit("eve", (1, 0), next).unwrap();
        }
    }
    assert!(admitted > 1000, "{admitted}");
}

#[test]
fn what_no_editor_writes_makes_no_way_around_the_count() {
    let (mut ada, mut document) = (Author::new(9), Document::new());
    let long = prepare(&update(&[(1, 0, pictures(1, 20_000))]));
    assert!(document.admits(&long));
    document.commit("eve", (1, 0), long).unwrap();
    let astray = update(&[(3, 0, vec![picture(Some((1, 7)), Some((1, 7)))])]);
    let mut plain = reopened(&mut document, 100_000);
    assert!(!plain.admits(&prepare(&astray)), "it is counted, and nobody writes that");
    assert!(document.admits(&prepare(&astray)), "it cannot take long, whatever it is");
    commit(&mut document, "eve", &astray);
    let mut document = reopened(&mut document, 100_000);
    assert!(!document.admits(&prepare(&update(&[(4, 0, scattered(1000, 20))]))));
    let typed = prepare(&ada.types(0, "Hello"));
    assert!(document.admits(&typed), "others go on");
}
