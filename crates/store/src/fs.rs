//! The few things the log asks of a folder, and the real folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::OpenError;

/// A folder of files with plain names. All that the log does to a disk goes through it.
pub trait Fs {
    /// An open file.
    type File: FsFile;

    /// Creates a file.
    ///
    /// # Errors
    /// `AlreadyExists`, or what the disk says.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file for reading, writing and syncing.
    ///
    /// # Errors
    /// `NotFound`, or what the disk says.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// The names of all files, in any order.
    ///
    /// # Errors
    /// What the disk says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Removes a file; durable after [`Fs::sync_dir`].
    ///
    /// # Errors
    /// `NotFound`, or what the disk says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Gives a file another name, replacing what had it; durable after [`Fs::sync_dir`].
    ///
    /// # Errors
    /// `NotFound`, or what the disk says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Makes created, renamed and removed names survive a power failure.
    ///
    /// # Errors
    /// What the disk says.
    fn sync_dir(&self) -> io::Result<()>;
}

/// An open file of an [`Fs`].
pub trait FsFile {
    /// Writes all of `bytes` at `pos`. After an error any part of it may have been written.
    ///
    /// # Errors
    /// `StorageFull`, or what the disk says.
    fn write_at(&mut self, pos: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes all that was written survive a power failure.
    ///
    /// # Errors
    /// What the disk says. What was written since the last sync may then be lost for good, even
    /// if a later sync succeeds.
    fn sync_data(&mut self) -> io::Result<()>;

    /// Reads up to `into.len()` bytes at `pos`; fewer only at the end of the file.
    ///
    /// # Errors
    /// What the disk says.
    fn read_at(&self, pos: u64, into: &mut [u8]) -> io::Result<usize>;

    /// The length in bytes.
    ///
    /// # Errors
    /// What the disk says.
    fn size(&self) -> io::Result<u64>;

    /// Makes the file `len` bytes long: cuts it, or adds zeros.
    ///
    /// # Errors
    /// What the disk says.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
}

const LOCK: &str = "lock";

/// A folder on a disk of this machine, locked against other processes while it is open.
#[derive(Debug)]
pub struct RealFs {
    dir: PathBuf,
    /// Holds the lock: the operating system lets go of it with the last handle.
    _lock: File,
}

impl RealFs {
    /// Creates the folder if need be and locks it.
    ///
    /// # Errors
    /// [`OpenError::Locked`] if another process has it, else what the disk says.
    pub fn open(dir: &Path) -> Result<RealFs, OpenError> {
        std::fs::create_dir_all(dir)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(dir.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => Ok(RealFs { dir: dir.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked(dir.display().to_string())),
            Err(TryLockError::Error(e)) => Err(OpenError::Io(e)),
        }
    }
}

/// A file of a [`RealFs`].
#[derive(Debug)]
pub struct RealFile(File);

impl Fs for RealFs {
    type File = RealFile;

    fn create(&self, name: &str) -> io::Result<RealFile> {
        let mut how = OpenOptions::new();
        how.read(true).write(true).create_new(true).open(self.dir.join(name)).map(RealFile)
    }

    fn open(&self, name: &str) -> io::Result<RealFile> {
        OpenOptions::new().read(true).write(true).open(self.dir.join(name)).map(RealFile)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.dir.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.dir.join(from), self.dir.join(to))
    }

    #[cfg(unix)]
    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }

    /// Other systems cannot open a folder as a file; their file systems log names themselves.
    #[cfg(not(unix))]
    fn sync_dir(&self) -> io::Result<()> {
        Ok(())
    }
}

impl FsFile for RealFile {
    fn write_at(&mut self, pos: u64, bytes: &[u8]) -> io::Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            match pwrite(&self.0, pos + done as u64, &bytes[done..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn read_at(&self, pos: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut got = 0;
        while got < into.len() {
            match pread(&self.0, pos + got as u64, &mut into[got..]) {
                Ok(0) => break,
                Ok(n) => got += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(got)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}

#[cfg(unix)]
fn pread(file: &File, pos: u64, into: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, pos)
}

#[cfg(windows)]
fn pread(file: &File, pos: u64, into: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, into, pos)
}

#[cfg(unix)]
fn pwrite(file: &File, pos: u64, bytes: &[u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, bytes, pos)
}

#[cfg(windows)]
fn pwrite(file: &File, pos: u64, bytes: &[u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, bytes, pos)
}

/// Identifies this run of the operating system, where it tells (Linux).
#[must_use]
pub fn boot_id() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(crate::wire::hash(text.trim()))
}

/// Reads the whole of a file, up to `limit` bytes.
pub(crate) fn read_upto<F: FsFile>(file: &F, limit: u64, into: &mut Vec<u8>) -> io::Result<()> {
    let len = file.size()?.min(limit);
    into.clear();
    into.resize(usize::try_from(len).unwrap_or(usize::MAX), 0);
    let got = file.read_at(0, into)?;
    into.truncate(got);
    Ok(())
}
