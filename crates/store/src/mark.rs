//! The mark: a small file that says how far the log is known to have been on the disk.
//!
//! It tells a log that was cut (acknowledged history is gone) from one whose last batch was being
//! written, and a closed log from one whose server went away. It is only ever behind the log, so
//! a stale or missing mark does no harm.

use std::io;

use crate::fs::{Fs, FsFile, read_upto};
use crate::wire::Reader;

const NAME: &str = "mark";
const NEW: &str = "mark.new";
const MAGIC: &[u8; 8] = b"TDNGMRK1";
const LEN: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The last batch that is known to be on the disk.
    pub(crate) lsn: u64,
    /// The log of this mark: a mark that was left by another log is not believed.
    pub(crate) salt: u64,
    /// The log was closed after that batch.
    pub(crate) clean: bool,
}

impl Mark {
    /// `None` if there is none, or none that passes its checksum.
    pub(crate) fn read<F: Fs>(fs: &F) -> io::Result<Option<Mark>> {
        let file = match fs.open(NAME) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let mut bytes = Vec::new();
        read_upto(&file, LEN as u64, &mut bytes)?;
        Ok(Self::decode(&bytes))
    }

    fn decode(bytes: &[u8]) -> Option<Mark> {
        let mut r = Reader(bytes);
        if r.bytes(8)? != MAGIC {
            return None;
        }
        let (lsn, salt, clean, crc) = (r.u64()?, r.u64()?, r.u32()?, r.u32()?);
        let sound = crc32c::crc32c(&bytes[..28]) == crc;
        sound.then_some(Mark { lsn, salt, clean: clean == 1 })
    }

    /// Replaces the mark; durable when it returns.
    pub(crate) fn write<F: Fs>(&self, fs: &F) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(LEN);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.lsn.to_le_bytes());
        bytes.extend_from_slice(&self.salt.to_le_bytes());
        bytes.extend_from_slice(&u32::from(self.clean).to_le_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        match fs.remove(NEW) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            Ok(()) | Err(_) => {}
        }
        let mut file = fs.create(NEW)?;
        file.write_at(0, &bytes)?;
        file.sync_data()?;
        fs.rename(NEW, NAME)?;
        fs.sync_dir()
    }
}
