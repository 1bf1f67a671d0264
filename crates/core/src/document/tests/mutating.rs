//! Updates that were changed on the way: yrs has no assertions, nor pointers, that they reach.

use super::random::writes;
use super::*;
use crate::rng::Rng;

const SEEDS: u64 = 150;

#[test]
fn an_update_that_was_changed_on_the_way_hurts_no_process() {
    let mut accepted = 0;
    for seed in 0..SEEDS {
        let (mut rng, mut document) = (Rng::new(seed), Document::new());
        let mut authors: Vec<_> = (1..=3).map(Author::new).collect();
        for _ in 0..60 {
            let author = &mut authors[(rng.next() % 3) as usize];
            let mut update = writes(author, &mut rng);
            if rng.next().is_multiple_of(6) {
                update = document.encode().unwrap().to_vec();
            }
            for _ in 0..rng.next() % 3 {
                let at = (rng.next() % update.len() as u64) as usize;
                match rng.next() % 4 {
                    0 => update[at] = rng.next() as u8,
                    1 => update[at] = update[at].wrapping_add(1),
                    2 => update[at] ^= 1 << (rng.next() % 8),
                    _ => drop(update.remove(at)),
                }
            }
            let Ok(prepared) = Document::prepare(&update, &limits()) else { continue };
            if !document.admits(&prepared) {
                continue;
            }
            accepted += 1;
            assert_eq!(document.commit("eve", (1, 0), prepared), Ok(()), "seed {seed}: {update:?}");
            if rng.next().is_multiple_of(10) {
                document = reopened(&mut document, 50);
            }
            let state = document.encode().unwrap();
            let checked = yjs::check_update(&state, &UpdateLimits::default());
            assert!(checked.is_ok(), "seed {seed}: {checked:?}");
        }
    }
    assert!(accepted > 10 * SEEDS, "most of them pass, or this proves nothing");
}
