//! The tables of the file. Their doc comments are the reference documentation.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidings_core::Period;

/// Where the server listens and whom it lets in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port. `0.0.0.0:8000` or `[::]:8000` is reached from other machines.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// An address of its own for `/metrics`, `/health` and `/ready`, never for clients: set it on a
    /// server that others reach, and let only your monitoring reach it. Without it `/metrics` is
    /// served to this machine alone, if `listen` is a loopback address, and else not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("examples" = ["127.0.0.1:9090"]))]
    pub operations: Option<SocketAddr>,
    /// What SIGTERM takes at most. Clients are told to come back one after the other, over three
    /// quarters of this time (sooner if they are few); meanwhile the others go on, and what is
    /// under way is answered. Whoever stops the server has to wait for so long before it is killed.
    pub drain: Period,
    /// Threads that serve connections; 0: one per core.
    pub shards: usize,
    /// Web pages that may connect, each exactly as `scheme://host` or `scheme://host:port`. Empty:
    /// pages of the server's own host and, when it listens on loopback, of any loopback host.
    pub origins: Vec<String>,
    /// Networks of proxies in front, as `10.1.0.0/16` or `127.0.0.1`: what their `X-Forwarded-For`
    /// says is believed. Without it all who come through a proxy have its address.
    pub proxies: Vec<String>,
    /// Offers compression of messages (permessage-deflate, without context takeover) to clients
    /// that ask for it. It costs CPU time: a broadcast is compressed once for all.
    pub compression: bool,
    /// Serves the demo page at `/`.
    pub page: bool,
    /// Serves the console at `/console`: a page that shows and does what the HTTP API can, for
    /// whoever types one of its keys in. Without a key of `[[api.key]]` it shows nothing.
    pub console: bool,
    /// It is meant that everybody can publish without a token, although `listen` is reached from
    /// other machines. Without this such a configuration is refused.
    pub open: bool,
    /// TLS. Without it, put a proxy that does TLS in front of a server that others reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)),
            operations: None,
            drain: Period::secs(10),
            shards: 0,
            origins: Vec::new(),
            proxies: Vec::new(),
            compression: false,
            page: false,
            console: true,
            open: false,
            tls: None,
        }
    }
}

/// TLS: a certificate and its key, one from an authority, or a self-signed one for trying out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The certificate and its chain, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["/etc/tidings/fullchain.pem"]))]
    pub certificate: Option<PathBuf>,
    /// The certificate's private key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["/etc/tidings/privkey.pem"]))]
    pub key: Option<PathBuf>,
    /// Makes a certificate of its own at each start instead. Browsers warn; for trying out only.
    pub self_signed: bool,
    /// Gets a certificate from an authority, and renews it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acme: Option<Acme>,
}

/// Certificates from an authority that speaks ACME (RFC 8555), as Let's Encrypt: ordered at the
/// first start, renewed while the server runs, kept in the folder `acme` of `store.path`. The
/// authority looks for the server at port 443 of each name (tls-alpn-01): `listen` there, or have
/// the port forwarded as TCP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Acme {
    /// The names of the certificate, which must lead to this server.
    pub domains: Vec<String>,
    /// Mail addresses that the authority may write to.
    pub contact: Vec<String>,
    /// Where the authority is. To try out: `https://acme-staging-v02.api.letsencrypt.org/directory`.
    pub directory: String,
    /// That you agree to the authority's terms of service. Must be `true`.
    pub terms_agreed: bool,
    /// The certificates (PEM) by which an authority of your own is known when it is asked. Without
    /// it those are trusted that browsers trust.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["/etc/tidings/ca.pem"]))]
    pub ca_file: Option<PathBuf>,
    /// How long an order that failed is waited for, at first: three times as long after each
    /// further failure, up to six hours, or as long as the authority asks for. Public authorities
    /// count failures; less than a minute is for your own.
    pub retry: Period,
}

impl Default for Acme {
    fn default() -> Self {
        Self {
            domains: Vec::new(),
            contact: Vec::new(),
            directory: "https://acme-v02.api.letsencrypt.org/directory".into(),
            terms_agreed: false,
            ca_file: None,
            retry: Period::secs(60),
        }
    }
}

/// Where durable history is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// What kind of store.
    pub kind: StoreKind,
    /// The folder of the store on disk. It is created; one server uses it at a time.
    pub path: PathBuf,
    /// When a publisher is told that its event is stored.
    pub level: StoreLevel,
}

impl Default for Store {
    fn default() -> Self {
        Self { kind: StoreKind::Disk, path: "./tidings-data".into(), level: StoreLevel::Fsync }
    }
}

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// On disk, in `path`.
    Disk,
    /// In memory: everything is lost when the server ends.
    Memory,
}

/// How far an event gets before its publisher is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StoreLevel {
    /// Synced to the disk: survives a power failure.
    Fsync,
    /// Handed to the operating system: survives a crash of the server, not a power failure.
    Os,
}

/// Whose tokens are taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Lets in users without a token. What they may do, each namespace says.
    pub anonymous: bool,
    /// How far clocks may differ when `exp` and `nbf` are checked.
    pub leeway: Period,
    /// Takes tokens without `exp`. Such a token can never be withdrawn but by changing its key.
    pub allow_no_expiry: bool,
    /// How long keys of a `jwks_url` are taken that cannot be fetched any more. Then their sessions
    /// end.
    pub jwks_grace: Period,
    /// The keys that tokens are signed with.
    pub key: Vec<Key>,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            anonymous: false,
            leeway: Period::secs(5),
            allow_no_expiry: false,
            jwks_grace: Period::secs(86_400),
            key: Vec::new(),
        }
    }
}

/// A key that tokens are signed with: exactly one of `secret`, `secret_file`, `public_key_file`,
/// `jwks_file` and `jwks_url`. The algorithm belongs to the key: a token cannot choose another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Key {
    /// The key's id: a token with this `kid` is checked with this key. A key without an id is tried
    /// for every token of its algorithm. (Keys of `jwks_file` have their own.)
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["2026-05"]))]
    pub id: Option<String>,
    /// What tokens are signed with. (Keys of `jwks_file` have their own.)
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["HS256"]))]
    pub algorithm: Option<Algorithm>,
    /// HS256: the secret itself, at least 32 bytes. Better in `secret_file`.
    #[serde(skip_serializing)]
    #[schemars(extend("examples" = ["replace me: openssl rand -base64 32"]))]
    pub secret: Option<Secret>,
    /// HS256: a file with the secret; white space at its end does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["/run/secrets/tidings"]))]
    pub secret_file: Option<PathBuf>,
    /// RS256, ES256 or EdDSA: the public key, PEM (`-----BEGIN PUBLIC KEY-----`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["issuer.pem"]))]
    pub public_key_file: Option<PathBuf>,
    /// A JSON Web Key Set (RFC 7517): several public keys, each with its `kid` and `alg`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["jwks.json"]))]
    pub jwks_file: Option<PathBuf>,
    /// Where an issuer publishes its set: fetched at the start, every five minutes, and when a
    /// token names a key that is not in it, at most every 30 s. `issuer` is required. See
    /// `[egress]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["https://login.example.com/.well-known/jwks.json"]))]
    pub jwks_url: Option<String>,
    /// If set, a token of this key must have exactly this `iss`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["https://login.example.com/"]))]
    pub issuer: Option<String>,
    /// If set, a token of this key must have this `aud` (or have it in its list).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["tidings"]))]
    pub audience: Option<String>,
}

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Algorithm {
    /// HMAC with SHA-256: one secret signs and checks.
    HS256,
    /// RSA (PKCS #1 1.5) with SHA-256, at least 2048 bits.
    RS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// Ed25519.
    EdDSA,
}

impl Algorithm {
    /// As it is written in a token's header.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::HS256 => "HS256",
            Algorithm::RS256 => "RS256",
            Algorithm::ES256 => "ES256",
            Algorithm::EdDSA => "EdDSA",
        }
    }
}

/// Text that is never shown: neither by `Debug` nor when the configuration is written.
#[derive(Clone, PartialEq, Eq, JsonSchema)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself. Do not log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not `String`: its error for a number would show the number.
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => Ok(Self(text)),
            _ => Err(serde::de::Error::custom("a secret is a string, in quotation marks")),
        }
    }
}
