//! Disks that are full, and disks that fail.

mod common;

use common::{KEEP, Model, START, open, open_with, options, segments, work};
use tidings_core::store::{Level, Store, StoreError};
use tidings_store::{LogStore, Options, SimFs};

fn full(store: &mut LogStore<SimFs>, model: &mut Model) {
    let batch = model.batch(&["a", "b", "a"], KEEP);
    let out = store.commit(START, &batch);
    assert!(out.iter().all(|o| *o == Err(StoreError::Full)), "{out:?}");
}

#[test]
fn a_full_disk_refuses_and_takes_again_when_there_is_space() {
    for space in (0..1400).step_by(50) {
        let fs = SimFs::new(space);
        let mut model = Model::default();
        let (mut store, _) = open(&fs);
        assert!(work(&mut store, &mut model, 0..6, false));
        fs.set_space(Some(space % 500));
        for _ in 0..3 {
            full(&mut store, &mut model);
            model.check(&mut store, "reading goes on");
        }
        if space >= 700 {
            // The power fails while the disk is full.
            fs.crash();
            store = open_full(&fs);
            model.check(&mut store, "after a power failure");
        }
        fs.set_space(None);
        assert!(work(&mut store, &mut model, 1..8, true), "no restart is needed");
        fs.crash();
        model.check(&mut open(&fs).0, &format!("space {space}"));
    }
}

fn open_full(fs: &SimFs) -> LogStore<SimFs> {
    open(fs).0
}

#[test]
fn what_a_failed_sync_refused_never_comes_back_over_what_came_after() {
    for seed in 0..200 {
        let fs = SimFs::new(seed);
        let mut model = Model::default();
        let (mut store, _) = open(&fs);
        assert!(work(&mut store, &mut model, 0..seed % 9, false));
        fs.fail_syncs(1 + (seed % 2) as u32);
        while !work(&mut store, &mut model, 1..2, false) {}
        assert!(work(&mut store, &mut model, 2..6, true));
        fs.crash();
        let (mut store, report) = open(&fs);
        assert!(report.damage.is_empty(), "seed {seed}: {:?}", report.damage);
        model.check(&mut store, &format!("seed {seed}"));
    }
}

#[test]
fn an_append_with_an_error_may_survive_a_crash_but_not_in_part() {
    for seed in 0..200 {
        let fs = SimFs::new(seed);
        let mut model = Model::default();
        let (mut store, _) = open(&fs);
        assert!(work(&mut store, &mut model, 0..seed % 7, false));
        let batch = model.batch(&["a", "b", "a"], KEEP);
        if seed % 2 == 0 {
            fs.fail_syncs(1);
        } else {
            fs.fail_writes(1);
        }
        let out = store.commit(START, &batch);
        assert!(out.iter().all(|o| matches!(o, Err(StoreError::Io(_)))), "{out:?}");
        let refused: Vec<_> = batch.iter().filter_map(|a| a.event.clone()).collect();
        model.channels.get_mut("a").expect("known").unknown =
            vec![refused[0].clone(), refused[2].clone()];
        model.channels.get_mut("b").expect("known").unknown = vec![refused[1].clone()];
        fs.crash();
        let (mut store, report) = open(&fs);
        assert!(report.damage.is_empty(), "seed {seed}: {:?}", report.damage);
        model.check(&mut store, &format!("seed {seed}"));
        assert!(work(&mut store, &mut model, 1..6, true));
        fs.crash();
        model.check(&mut open(&fs).0, &format!("seed {seed}, again"));
    }
}

#[test]
fn a_failed_sync_at_level_os_renews_all_when_the_log_is_opened_again() {
    let os = Options { level: Level::Os, boot_id: Some(1), ..options() };
    let fs = SimFs::new(1);
    let mut model = Model::default();
    let (mut store, _) = open_with(&fs, os.clone());
    assert!(work(&mut store, &mut model, 0..10, false));
    fs.fail_syncs(1);
    assert!(matches!(store.sync(), Err(StoreError::Io(_))));
    assert!(work(&mut store, &mut model, 10..20, false), "it goes on");
    store.close().expect("closing works");
    assert!(open_with(&fs, os.clone()).1.all_renewed);
    assert!(!open_with(&fs, os).1.all_renewed, "the decision is taken once");
}

#[test]
fn a_disk_that_cannot_be_read_is_an_error_and_not_damage() {
    let fs = SimFs::new(1);
    let mut model = Model::default();
    let (mut store, _) = open(&fs);
    assert!(work(&mut store, &mut model, 0..10, false));
    fs.cut_after(1);
    let batch = model.batch(&["a"], KEEP);
    assert!(!model.commit(&mut store, &batch));
    assert!(matches!(store.load(START, "busy"), Err(StoreError::Io(_))));
    assert!(LogStore::open(fs.clone(), options(), START).is_err());
    fs.crash();
    model.check(&mut open(&fs).0, "when it can be read again");
}

#[test]
fn files_of_failed_attempts_do_not_pile_up() {
    let fs = SimFs::new(1);
    let mut model = Model::default();
    let (mut store, _) = open(&fs);
    assert!(work(&mut store, &mut model, 0..3, false));
    let before = segments(&fs).len();
    fs.set_space(Some(10));
    for _ in 0..50 {
        full(&mut store, &mut model);
    }
    assert_eq!(segments(&fs).len(), before);
}
