//! Documents that several write at once: whoever writes, leaves and comes back.

#![allow(clippy::unwrap_used, reason = "stories, told briefly")]

mod attacks;
mod backends;
mod desk;
mod editing;
mod lasting;
mod merging;
mod providing;
mod random;
mod seats;
mod seeing;
mod stranded;
mod version_faults;
mod version_histories;
mod versions;
mod writer;
