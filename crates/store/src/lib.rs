//! The embedded store: an append-only log of checksummed batches with an index in memory.
//!
//! - [`LogStore`] is the store. It implements [`tidings_core::store::Store`] over any [`Fs`].
//! - [`RealFs`] is a locked folder of this machine; [`SimFs`] is a disk in memory that loses
//!   power, tears writes, fills up and flips bits on demand.
//! - [`Options`], [`OpenReport`], [`OpenError`]: how a log is opened and what was found in it.
//! - [`conformance`] holds the contract of a store as checks that any implementation can run.
//!
//! Where to read on: `frame.rs` has the format on disk, `replay.rs` what opening concludes from
//! damage, `compact.rs` how space comes back, `docs/adr/0001-store.md` why it is built so.

mod batch;
mod commit;
mod compact;
pub mod conformance;
mod error;
mod frame;
mod fs;
mod index;
mod judge;
mod load;
mod log;
mod mark;
mod options;
mod replay;
mod salvage;
mod sim;
mod sim_fate;
mod wire;

pub use commit::{Outcomes, Riders};
pub use error::{OpenError, OpenReport};
pub use fs::{Fs, FsFile, RealFile, RealFs, boot_id};
pub use log::LogStore;
pub use options::Options;
pub use sim::{SimFile, SimFs};
