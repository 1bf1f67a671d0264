//! The table of what the server itself may call.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the server itself calls: the application's backend. Addresses that are not on the public
/// internet are refused, whatever name leads to them, so that nobody who can choose a URL reaches
/// what is behind the server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Egress {
    /// Networks that may be called although they are internal, and over `http:` too, as
    /// `10.1.0.0/16` or `127.0.0.1`.
    #[schemars(extend("examples" = [["10.1.0.0/16"]]))]
    pub allow: Vec<String>,
    /// A PEM file of certificates that are trusted beside those that browsers trust: for a backend
    /// with a certificate of one's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["internal-ca.pem"]))]
    pub certificates: Option<PathBuf>,
}
