//! Whole stories of Tidings on virtual time, with faults, and a checker of what was promised.
//!
//! - [`World`]: a node of some shards, its store on a simulated disk, clients, and the network
//!   between them; one seed decides everything;
//! - [`Setup`], [`Keeping`]: what a world is made with;
//! - [`Who`], [`Span`], [`Time`]: the words that stories are told in;
//! - [`checker`]: what must hold of any run, also of the real process;
//! - [`random`]: whole runs that a seed makes up.

mod authority;
pub mod checker;
mod client;
mod keeper;
pub mod random;
mod rng;
mod setup;
mod world;

pub use authority::TestAuthority;
pub use rng::Rng;
pub use setup::{Keeping, Setup};
pub use world::{Span, Time, Who, World};
