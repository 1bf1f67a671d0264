//! Development tasks. fn main is filled in below.
fn main() {}
