//! Documents in editors that speak y-websocket, with real sockets and a real disk.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "stories, told briefly")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../api/http.rs"]
#[expect(dead_code, reason = "it has a configuration of its own")]
mod http;

mod backends;
mod crash;
mod editor;
mod hooks;
mod limits;
mod rights;
mod stories;
mod versions;

use common::Setup;

/// `doc` is open to anyone; in `draft` whoever has a token reads, and who has one that says so
/// writes.
pub(crate) const DOCUMENTS: &str = "
[[api.key]]
name = \"backend\"
secret = \"an-api-key-of-tests-with-32-bytes-and-more\"
[namespace.doc]
kind = \"document\"
subscribe = \"anyone\"
publish = \"anyone\"
presence = { access = \"anyone\" }
[namespace.draft]
kind = \"document\"
subscribe = \"signed-in\"
publish = \"token\"
presence = { access = \"signed-in\" }
";

fn setup() -> Setup<'static> {
    Setup { server: "shards = 2", more: DOCUMENTS, ..Setup::default() }
}
