//! Power failures and kills at every step of a workload.

mod common;

use common::{Model, START, open, open_with, options, segments, work};
use tidings_core::store::{Level, Store};
use tidings_store::{LogStore, Options, SimFs};

const TURNS: u64 = 40;

/// The length of a file without the zeros that it was made longer by ahead of need.
fn written(fs: &SimFs, name: &str) -> usize {
    let bytes = fs.get(name).expect("it is there");
    bytes.iter().rposition(|&b| b != 0).map_or(0, |at| at + 1)
}

/// How many changes of the disk the whole workload makes.
fn steps(options: &Options) -> u64 {
    let fs = SimFs::new(0);
    let (mut store, _) = open_with(&fs, options.clone());
    assert!(work(&mut store, &mut Model::default(), 0..TURNS, true));
    store.close().expect("closing works");
    assert!(segments(&fs)[0].as_str() > "seg-00000003.log", "the workload makes it compact");
    fs.steps()
}

#[test]
fn a_power_failure_at_any_step_loses_nothing_acknowledged() {
    for step in 1..=steps(&options()) {
        for seed in 0..4 {
            let context = format!("step {step}, seed {seed}");
            let fs = SimFs::new(step * 1000 + seed);
            let mut model = Model::default();
            let (mut store, _) = open(&fs);
            fs.cut_after(step);
            let done = work(&mut store, &mut model, 0..TURNS, true);
            assert!(store.close().is_err() || !fs.is_off() && done, "{context}");
            fs.crash();
            let (mut store, report) = open(&fs);
            assert!(report.damage.is_empty(), "{context}: {:?}", report.damage);
            model.check(&mut store, &context);
            // Life goes on, and what comes next survives the next failure too.
            assert!(work(&mut store, &mut model, 1..8, true), "{context}");
            fs.crash();
            let (mut store, _) = open(&fs);
            model.check(&mut store, &format!("{context}, second failure"));
        }
    }
}

#[test]
fn a_power_failure_while_opening_after_a_power_failure_loses_nothing() {
    let fs = SimFs::new(3);
    let mut model = Model::default();
    let (mut store, _) = open(&fs);
    assert!(work(&mut store, &mut model, 0..30, true));
    fs.cut_after(2);
    work(&mut store, &mut model, 30..40, true);
    drop(store);
    for step in 1..12 {
        let mut model = model.clone();
        let fs = fs.fork(step);
        fs.crash();
        fs.cut_after(step);
        let opened = LogStore::open(fs.clone(), options(), START);
        if let Ok((mut store, _)) = opened {
            work(&mut store, &mut Model::default(), 0..0, true);
        }
        fs.crash();
        model.check(&mut open(&fs).0, &format!("step {step}"));
    }
}

#[test]
fn a_kill_at_any_step_changes_nothing_at_either_level() {
    for level in [Level::Fsync, Level::Os] {
        let options = Options { level, boot_id: Some(9), ..options() };
        for step in 1..=steps(&options) {
            let context = format!("{level:?}, step {step}");
            let fs = SimFs::new(step);
            let mut model = Model::default();
            let (mut store, _) = open_with(&fs, options.clone());
            fs.cut_after(step);
            work(&mut store, &mut model, 0..TURNS, true);
            drop(store);
            fs.kill();
            let (mut store, report) = open_with(&fs, options.clone());
            assert!(report.damage.is_empty(), "{context}: {:?}", report.damage);
            model.check(&mut store, &context);
            if level == Level::Fsync {
                // What was found is served and built on: a power failure may not take it.
                assert!(work(&mut store, &mut model, 1..3, false), "{context}");
                fs.crash();
                let (mut store, report) = open_with(&fs, options.clone());
                assert!(report.damage.is_empty(), "{context}: {:?}", report.damage);
                model.check(&mut store, &format!("{context}, then a power failure"));
            }
        }
    }
}

#[test]
fn at_level_os_a_power_failure_changes_every_epoch() {
    for step in (1..150).step_by(7) {
        let at = |boot| Options { level: Level::Os, boot_id: Some(boot), ..options() };
        let fs = SimFs::new(step);
        let mut model = Model::default();
        let (mut store, _) = open_with(&fs, at(1));
        assert!(work(&mut store, &mut model, 0..20, true));
        store.sync().expect("syncing works");
        fs.cut_after(step);
        work(&mut store, &mut model, 20..40, true);
        drop(store);
        fs.crash();
        let (mut store, report) = open_with(&fs, at(2));
        assert!(report.all_renewed, "step {step}");
        let mut epochs = Vec::new();
        for (name, known) in &model.channels {
            let loaded = store.load(START, name).expect("loading works").expect("it was synced");
            assert_ne!(loaded.epoch, known.epoch, "step {step}: {name}");
            epochs.push((name.clone(), loaded));
        }
        drop(store);
        fs.kill();
        let (mut store, report) = open_with(&fs, at(2));
        assert!(!report.all_renewed, "the decision is taken once");
        for (name, loaded) in epochs {
            assert_eq!(store.load(START, &name).expect("loading works"), Some(loaded));
        }
    }
}

#[test]
fn at_level_os_a_run_that_vanished_wholly_changes_epochs_although_the_last_close_was_clean() {
    let at = |boot| Options { level: Level::Os, boot_id: Some(boot), ..options() };
    for seed in 0..20 {
        let fs = SimFs::new(seed);
        let mut model = Model::default();
        let (mut store, _) = open_with(&fs, at(1));
        assert!(work(&mut store, &mut model, 0..10, false));
        store.close().expect("closing works");
        let (store, report) = open_with(&fs, at(2));
        assert!(report.clean && !report.all_renewed);
        let mut store = store;
        assert!(work(&mut store, &mut model, 10..12, false));
        drop(store);
        fs.crash();
        let (_, report) = open_with(&fs, at(3));
        assert!(report.all_renewed, "seed {seed}");
    }
}

#[test]
fn a_log_cut_at_any_byte_of_its_last_four_kibibytes_opens_with_what_is_left() {
    let fs = SimFs::new(1);
    let mut model = Model::default();
    let big = Options { segment_bytes: 1 << 20, ..options() };
    let (mut store, _) = open_with(&fs, big.clone());
    assert!(work(&mut store, &mut model, 0..TURNS, false));
    let name = segments(&fs).pop().expect("there is a segment");
    let len = written(&fs, &name);
    assert!(len > 6000);
    for cut in len - 4096..len {
        let fs = fs.fork(1);
        fs.cut_file(&name, cut).expect("it is there");
        let (mut store, report) = open_with(&fs, big.clone());
        assert!(report.damage.is_empty(), "cut at {cut}: {:?}", report.damage);
        for (name, known) in &model.channels {
            let Some(loaded) = store.load(START, name).expect("loading works") else { continue };
            assert_eq!(loaded.epoch, known.epoch);
            let mut known = known.clone();
            known.acked.truncate(loaded.last_offset as usize);
            known.check_events(&loaded, &format!("cut at {cut}: {name}"));
        }
    }
}

#[test]
fn a_log_that_was_closed_and_then_cut_changes_epochs() {
    let fs = SimFs::new(1);
    let (mut store, _) = open(&fs);
    let mut model = Model::default();
    assert!(work(&mut store, &mut model, 0..20, false));
    store.close().expect("closing works");
    let name = segments(&fs).pop().expect("there is a segment");
    let len = written(&fs, &name);
    for cut in (0..len).rev().step_by(13) {
        let fs = fs.fork(1);
        fs.cut_file(&name, cut).expect("it is there");
        let first = open(&fs).1;
        let (mut store, report) = open(&fs);
        assert!(!report.all_renewed, "cut at {cut}: the decision is taken once");
        for (name, known) in &model.channels {
            let Some(loaded) = store.load(START, name).expect("loading works") else { continue };
            if loaded.epoch == known.epoch {
                known.check_events(&loaded, &format!("{first:?}, cut at {cut}: {name}"));
            }
        }
        // The end of the last batch is its table of contents, without which nothing is lost.
        let noticed = first.all_renewed || !first.renewed.is_empty();
        assert!(noticed || cut > len - 200, "cut at {cut} of {len}: {first:?}");
    }
}
