//! A disk in memory that fails as disks do, the same way each time for the same seed.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::fs::{Fs, FsFile};
use crate::sim_fate::{Rng, put, survive};

/// A folder in memory. Clones are handles to the same disk.
///
/// What was written but not synced is at the mercy of [`SimFs::crash`]: each write is kept, dropped
/// or torn (a prefix of it, or some of its 512-byte sectors never written), and each name
/// that was created, renamed or removed without a sync of the folder may be as before.
#[derive(Clone, Debug)]
pub struct SimFs(Arc<Mutex<Disk>>);

/// A file of a [`SimFs`].
#[derive(Debug)]
pub struct SimFile {
    disk: Arc<Mutex<Disk>>,
    id: u64,
    life: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Bytes that were written at a place.
    Write {
        at: usize,
        bytes: Vec<u8>,
    },
    SetLen(usize),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Inode {
    /// What a reader sees now.
    pub(crate) now: Vec<u8>,
    /// What is on the disk for sure.
    pub(crate) synced: Vec<u8>,
    /// What is in memory only.
    pub(crate) pending: Vec<Change>,
    /// What a failed sync gave up on: no later sync brings it to the disk.
    pub(crate) given_up: Vec<Change>,
}

#[derive(Clone, Debug)]
pub(crate) enum NameChange {
    Create(String, u64),
    Remove(String),
    Rename(String, String, u64),
}

#[derive(Clone, Debug)]
struct Disk {
    rng: Rng,
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<String, u64>,
    synced_names: BTreeMap<String, u64>,
    pending_names: Vec<NameChange>,
    next_id: u64,
    /// Handles of an earlier life fail.
    life: u64,
    /// Changes to the disk that were asked for so far.
    steps: u64,
    cut_at: Option<u64>,
    off: bool,
    /// Bytes that may still be written.
    space: Option<u64>,
    failing_syncs: u32,
    failing_writes: u32,
}

/// What is asked of the disk.
enum Step {
    Go,
    /// The power goes away in the middle of it.
    Cut,
}

impl Disk {
    fn alive(&self, life: u64) -> io::Result<()> {
        if self.off || life != self.life {
            return Err(io::Error::other("the power is off"));
        }
        Ok(())
    }

    fn step(&mut self, life: u64) -> io::Result<Step> {
        self.alive(life)?;
        self.steps += 1;
        if self.cut_at == Some(self.steps) {
            self.off = true;
            return Ok(Step::Cut);
        }
        Ok(Step::Go)
    }

    fn go(&mut self, life: u64) -> io::Result<()> {
        match self.step(life)? {
            Step::Go => Ok(()),
            Step::Cut => Err(io::Error::other("the power is off")),
        }
    }

    fn inode(&mut self, id: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn id(&self, name: &str) -> io::Result<u64> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn lock(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimFs {
    /// An empty folder; the seed decides what each crash does.
    #[must_use]
    pub fn new(seed: u64) -> SimFs {
        SimFs(Arc::new(Mutex::new(Disk {
            rng: Rng(seed),
            inodes: BTreeMap::new(),
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            pending_names: Vec::new(),
            next_id: 1,
            life: 0,
            steps: 0,
            cut_at: None,
            off: false,
            space: None,
            failing_syncs: 0,
            failing_writes: 0,
        })))
    }

    /// Another disk with the same contents and its own fate.
    #[must_use]
    pub fn fork(&self, seed: u64) -> SimFs {
        let mut disk = lock(&self.0).clone();
        disk.rng = Rng(seed);
        SimFs(Arc::new(Mutex::new(disk)))
    }

    /// The power fails and comes back. Open files are dead.
    pub fn crash(&self) {
        let mut guard = lock(&self.0);
        let disk = &mut *guard;
        let mut names = disk.synced_names.clone();
        for change in std::mem::take(&mut disk.pending_names) {
            if disk.rng.one_in(2) {
                continue;
            }
            match change {
                NameChange::Create(name, id) => drop(names.insert(name, id)),
                NameChange::Remove(name) => drop(names.remove(&name)),
                NameChange::Rename(from, to, id) => {
                    names.remove(&from);
                    names.insert(to, id);
                }
            }
        }
        for inode in disk.inodes.values_mut() {
            survive(inode, &mut disk.rng);
        }
        disk.names.clone_from(&names);
        disk.synced_names = names;
        disk.power_on();
    }

    /// The process is killed: all that was written stays, a write that was going on may be cut
    /// short. Open files are dead.
    pub fn kill(&self) {
        lock(&self.0).power_on();
    }

    /// The power goes away at the `n`th change of the disk from now (1 is the next one): that and
    /// all after it fail until [`SimFs::crash`] or [`SimFs::kill`].
    pub fn cut_after(&self, n: u64) {
        let mut disk = lock(&self.0);
        disk.cut_at = Some(disk.steps + n);
    }

    /// How many changes of the disk were asked for so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        lock(&self.0).steps
    }

    /// Whether the power went away.
    #[must_use]
    pub fn is_off(&self) -> bool {
        lock(&self.0).off
    }

    /// Only this many more bytes fit; `None`: no limit.
    pub fn set_space(&self, bytes: Option<u64>) {
        lock(&self.0).space = bytes;
    }

    /// The next `n` syncs of files fail with an I/O error, and what they were to sync is lost at
    /// the next crash, whatever is synced later.
    pub fn fail_syncs(&self, n: u32) {
        lock(&self.0).failing_syncs = n;
    }

    /// The next `n` writes fail with an I/O error after a part of them.
    pub fn fail_writes(&self, n: u32) {
        lock(&self.0).failing_writes = n;
    }

    /// Flips one bit (0 to 7) of a byte of a file, on the disk and for readers.
    ///
    /// # Errors
    /// There is no such file or byte.
    pub fn flip(&self, name: &str, at: usize, bit: u32) -> io::Result<()> {
        let mut disk = lock(&self.0);
        let id = disk.id(name)?;
        let inode = disk.inode(id)?;
        let byte = inode.now.get_mut(at).ok_or(io::ErrorKind::UnexpectedEof)?;
        *byte ^= 1 << (bit & 7);
        if let Some(byte) = inode.synced.get_mut(at) {
            *byte ^= 1 << (bit & 7);
        }
        Ok(())
    }

    /// Replaces the contents of a file, durably; creates it if need be.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let mut disk = lock(&self.0);
        let id = disk.id(name).unwrap_or(disk.next_id);
        disk.next_id = disk.next_id.max(id + 1);
        disk.names.insert(name.to_owned(), id);
        disk.synced_names.insert(name.to_owned(), id);
        let (now, synced) = (bytes.to_vec(), bytes.to_vec());
        disk.inodes.insert(id, Inode { now, synced, ..Inode::default() });
    }

    /// The contents of a file as a reader sees them.
    ///
    /// # Errors
    /// There is no such file.
    pub fn get(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut disk = lock(&self.0);
        let id = disk.id(name)?;
        Ok(disk.inode(id)?.now.clone())
    }

    /// Cuts a file, durably.
    ///
    /// # Errors
    /// There is no such file.
    pub fn cut_file(&self, name: &str, len: usize) -> io::Result<()> {
        let mut bytes = self.get(name)?;
        bytes.truncate(len);
        self.put(name, &bytes);
        Ok(())
    }

    /// Deletes a file, durably.
    ///
    /// # Errors
    /// There is no such file.
    pub fn delete(&self, name: &str) -> io::Result<()> {
        let mut disk = lock(&self.0);
        disk.id(name)?;
        disk.names.remove(name);
        disk.synced_names.remove(name);
        Ok(())
    }

    fn life(&self) -> u64 {
        lock(&self.0).life
    }
}

impl Disk {
    fn power_on(&mut self) {
        self.life += 1;
        self.off = false;
        self.cut_at = None;
    }
}

impl Fs for SimFs {
    type File = SimFile;

    fn create(&self, name: &str) -> io::Result<SimFile> {
        let mut disk = lock(&self.0);
        let life = disk.life;
        disk.go(life)?;
        if disk.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = disk.next_id;
        disk.next_id += 1;
        disk.inodes.insert(id, Inode::default());
        disk.names.insert(name.to_owned(), id);
        disk.pending_names.push(NameChange::Create(name.to_owned(), id));
        Ok(SimFile { disk: self.0.clone(), id, life })
    }

    fn open(&self, name: &str) -> io::Result<SimFile> {
        let disk = lock(&self.0);
        disk.alive(disk.life)?;
        let id = disk.id(name)?;
        Ok(SimFile { disk: self.0.clone(), id, life: disk.life })
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let disk = lock(&self.0);
        disk.alive(disk.life)?;
        Ok(disk.names.keys().cloned().collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = lock(&self.0);
        disk.id(name)?;
        let life = disk.life;
        disk.go(life)?;
        disk.names.remove(name);
        disk.pending_names.push(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = lock(&self.0);
        let id = disk.id(from)?;
        let life = disk.life;
        disk.go(life)?;
        disk.names.remove(from);
        disk.names.insert(to.to_owned(), id);
        disk.pending_names.push(NameChange::Rename(from.to_owned(), to.to_owned(), id));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let life = self.life();
        let mut disk = lock(&self.0);
        disk.go(life)?;
        disk.pending_names.clear();
        disk.synced_names = disk.names.clone();
        Ok(())
    }
}

impl FsFile for SimFile {
    fn write_at(&mut self, pos: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = lock(&self.disk);
        let step = disk.step(self.life)?;
        let mut fits = bytes.len();
        let mut result = Ok(());
        if disk.failing_writes > 0 {
            disk.failing_writes -= 1;
            fits = disk.rng.below(bytes.len() as u64 + 1) as usize;
            result = Err(io::Error::other("injected: the write failed"));
        } else if disk.space.is_some_and(|space| space < bytes.len() as u64) {
            fits = disk.space.unwrap_or(0) as usize;
            result = Err(io::ErrorKind::StorageFull.into());
        }
        if matches!(step, Step::Cut) {
            fits = disk.rng.below(fits as u64 + 1) as usize;
            result = Err(io::Error::other("the power is off"));
        }
        disk.space = disk.space.map(|space| space.saturating_sub(fits as u64));
        let inode = disk.inode(self.id)?;
        let at = pos as usize;
        put(&mut inode.now, at, &bytes[..fits]);
        // A power failure may also tear what did not get that far in memory.
        inode.pending.push(Change::Write { at, bytes: bytes[..fits].to_vec() });
        result
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let mut disk = lock(&self.disk);
        disk.go(self.life)?;
        let fails = disk.failing_syncs > 0;
        disk.failing_syncs = disk.failing_syncs.saturating_sub(1);
        let inode = disk.inode(self.id)?;
        let pending = std::mem::take(&mut inode.pending);
        if fails {
            inode.given_up.extend(pending);
            return Err(io::Error::other("injected: the sync failed"));
        }
        for change in pending {
            change.apply(&mut inode.synced);
        }
        Ok(())
    }

    fn read_at(&self, pos: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut disk = lock(&self.disk);
        disk.alive(self.life)?;
        let bytes = &disk.inode(self.id)?.now;
        let from = bytes.len().min(usize::try_from(pos).unwrap_or(usize::MAX));
        let n = into.len().min(bytes.len() - from);
        into[..n].copy_from_slice(&bytes[from..from + n]);
        Ok(n)
    }

    fn size(&self) -> io::Result<u64> {
        let mut disk = lock(&self.disk);
        disk.alive(self.life)?;
        Ok(disk.inode(self.id)?.now.len() as u64)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let mut disk = lock(&self.disk);
        disk.go(self.life)?;
        let inode = disk.inode(self.id)?;
        inode.now.resize(len as usize, 0);
        inode.pending.push(Change::SetLen(len as usize));
        Ok(())
    }
}
