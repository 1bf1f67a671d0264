//! The contract of a store, on a simulated disk and on a real one.

mod common;

use common::{START, open, options};
use tidings_core::store::Level;
use tidings_store::{LogStore, OpenError, Options, RealFs, SimFs, conformance};

struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let dir = std::env::temp_dir().join(format!("tidings-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        Folder(dir)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_log_on_a_simulated_disk_keeps_the_contract() {
    let disk = std::cell::RefCell::new(SimFs::new(1));
    conformance::run(
        || {
            *disk.borrow_mut() = SimFs::new(1);
            open(&disk.borrow()).0
        },
        |store| {
            store.close().expect("closing works");
            open(&disk.borrow()).0
        },
    );
}

#[test]
fn a_log_that_was_not_closed_keeps_the_contract() {
    for level in [Level::Os, Level::Fsync] {
        let options = Options { level, boot_id: Some(5), ..options() };
        let disk = std::cell::RefCell::new(SimFs::new(1));
        let open = || LogStore::open(disk.borrow().clone(), options.clone(), START);
        conformance::run(
            || {
                *disk.borrow_mut() = SimFs::new(1);
                open().expect("it opens").0
            },
            |store| {
                drop(store);
                disk.borrow().kill();
                open().expect("it opens").0
            },
        );
    }
}

#[test]
fn a_log_in_a_real_folder_keeps_the_contract() {
    let folder = Folder::new("conformance");
    let n = std::cell::Cell::new(0);
    let open = || {
        let fs = RealFs::open(&folder.0.join(n.get().to_string())).expect("the folder opens");
        LogStore::open(fs, options(), START).expect("the log opens").0
    };
    conformance::run(
        || {
            n.set(n.get() + 1);
            open()
        },
        |store| {
            store.close().expect("closing works");
            open()
        },
    );
}

#[test]
fn two_servers_cannot_share_a_folder() {
    let folder = Folder::new("lock");
    let first = RealFs::open(&folder.0).expect("the folder opens");
    let second = RealFs::open(&folder.0);
    assert!(matches!(&second, Err(OpenError::Locked(_))));
    let text = second.err().map(|e| e.to_string()).unwrap_or_default();
    assert!(text.contains("in use by another server"), "{text}");
    drop(first);
    RealFs::open(&folder.0).expect("the lock is gone with its holder");
}
