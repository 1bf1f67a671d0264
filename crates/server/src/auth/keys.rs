//! The keys that tokens are checked with. Each has one algorithm; a token can only name a key.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use jsonwebtoken::DecodingKey;
use serde_json::Value;
use tidings_core::identity::TokenError;

use super::claims::Header;
use super::{provider, refused};
use crate::config::{Algorithm, Auth, Key};

/// HS256 secrets have at least as many bytes as the hash (RFC 7518 3.2).
const SECRET_BYTES_MIN: usize = 32;
/// The bytes of an RSA modulus of 2048 bits.
const RSA_BYTES_MIN: usize = 256;
/// A point of P-256 as it stands in a key: a tag and two coordinates.
const P256_BYTES: usize = 65;
/// A key file is not larger than this.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A key that tokens are checked with.
pub(super) struct VerifyKey {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
    pub(super) issuer: Option<String>,
    pub(super) audience: Option<String>,
}

impl VerifyKey {
    /// Tells it from other keys in this process; never 0. By what it takes, not by its name.
    pub(super) fn mark(&self) -> u32 {
        use jsonwebtoken::DecodingKeyKind::{RsaModulusExponent, SecretOrDer};
        let mut hasher = DefaultHasher::new();
        (self.algorithm, &self.issuer, &self.audience).hash(&mut hasher);
        match self.key.kind() {
            SecretOrDer(bytes) => bytes.hash(&mut hasher),
            RsaModulusExponent { n, e } => (n, e).hash(&mut hasher),
        }
        (hasher.finish() >> 32) as u32 | 1
    }
}

/// All keys that tokens are checked with.
#[derive(Default)]
pub struct KeySet(Vec<VerifyKey>);

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|key| (key.id.as_deref(), key.algorithm.as_str()));
        f.debug_list().entries(shown).finish()
    }
}

/// Why a configured key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyError {
    /// Which entry of `auth.key`, from 0.
    pub index: usize,
    /// The field, as `.secret`; empty for the whole entry.
    pub field: &'static str,
    /// What is wrong. Never holds anything of the key.
    pub message: String,
    /// What to do.
    pub remedy: &'static str,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "auth.key.{}{}: {} ({})", self.index, self.field, self.message, self.remedy)
    }
}

impl std::error::Error for KeyError {}

/// A [`KeyError`] without the index that its caller knows.
type Fault = (&'static str, String, &'static str);

impl KeySet {
    /// Reads all keys; files are relative to `base_dir`.
    ///
    /// # Errors
    /// Every key that cannot be used, and those that could be mistaken for each other.
    pub fn load(auth: &Auth, base_dir: &Path) -> Result<Self, Vec<KeyError>> {
        provider::install();
        let mut keys: Vec<VerifyKey> = Vec::new();
        let mut errors = Vec::new();
        for (index, entry) in auth.key.iter().enumerate() {
            let loaded = load_entry(entry, base_dir).and_then(|new| {
                let same = |a: &VerifyKey, b: &VerifyKey| {
                    a.id.is_some()
                        && (&a.id, a.algorithm, &a.issuer) == (&b.id, b.algorithm, &b.issuer)
                };
                if new.iter().any(|new| keys.iter().any(|old| same(old, new))) {
                    let message = "an earlier key has the same id, algorithm and issuer".into();
                    return Err(("", message, "give each key an id of its own"));
                }
                keys.extend(new);
                Ok(())
            });
            if let Err((field, message, remedy)) = loaded {
                errors.push(KeyError { index, field, message, remedy });
            }
        }
        if errors.is_empty() { Ok(Self(keys)) } else { Err(errors) }
    }

    /// One HS256 secret, whose tokens name it.
    pub(super) fn of_secret(id: &str, secret: &[u8]) -> Self {
        let key = DecodingKey::from_secret(secret);
        let (id, algorithm) = (Some(id.to_owned()), Algorithm::HS256);
        Self(vec![VerifyKey { id, algorithm, key, issuer: None, audience: None }])
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether `other` has all of these keys.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.0.iter().all(|key| other.has(key.mark()))
    }

    /// Whether there is a key that a token with this header may have been signed with.
    pub(super) fn knows(&self, header: &Header) -> bool {
        self.candidates(header).next().is_some()
    }

    fn candidates<'a>(&'a self, header: &Header) -> impl Iterator<Item = &'a VerifyKey> {
        self.0
            .iter()
            .filter(|key| key.algorithm == header.algorithm)
            .filter(|key| header.kid.is_none() || key.id.is_none() || key.id == header.kid)
    }

    /// Whether there is a key with this mark.
    pub(super) fn has(&self, mark: u32) -> bool {
        self.0.iter().any(|key| key.mark() == mark)
    }

    /// The keys that this token may have been signed with and that its signature fits: more than
    /// one only if the same key stands there for several issuers.
    pub(super) fn signers(
        &self,
        header: &Header,
        signed: &[u8],
        signature: &str,
    ) -> Result<Vec<&VerifyKey>, TokenError> {
        let mut candidates = self.candidates(header).peekable();
        if candidates.peek().is_none() {
            return Err(refused("no key of its algorithm and `kid` is configured"));
        }
        let fits = |key: &&VerifyKey| {
            let algorithm = jwt_algorithm(key.algorithm);
            jsonwebtoken::crypto::verify(signature, signed, &key.key, algorithm).unwrap_or(false)
        };
        let signers: Vec<_> = candidates.filter(fits).collect();
        if signers.is_empty() { Err(refused("its signature is wrong")) } else { Ok(signers) }
    }
}

/// The same algorithm, in the words of the library.
pub(super) fn jwt_algorithm(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::HS256 => jsonwebtoken::Algorithm::HS256,
        Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::EdDSA => jsonwebtoken::Algorithm::EdDSA,
    }
}

fn load_entry(entry: &Key, base_dir: &Path) -> Result<Vec<VerifyKey>, Fault> {
    let given = [
        entry.secret.is_some(),
        entry.secret_file.is_some(),
        entry.public_key_file.is_some(),
        entry.jwks_file.is_some(),
        entry.jwks_url.is_some(),
    ];
    if given.into_iter().filter(|given| *given).count() != 1 {
        let remedy =
            "set exactly one of secret, secret_file, public_key_file, jwks_file and jwks_url";
        return Err(("", "it has no key, or several".into(), remedy));
    }
    let own = |id: Option<String>, algorithm, key| VerifyKey {
        id,
        algorithm,
        key,
        issuer: entry.issuer.clone(),
        audience: entry.audience.clone(),
    };
    let is_set = entry.jwks_file.is_some() || entry.jwks_url.is_some();
    if is_set && (entry.algorithm.is_some() || entry.id.is_some()) {
        let remedy = "remove id and algorithm: each key of the set has its own";
        return Err(("", "id and algorithm do not go with a key set".into(), remedy));
    }
    if entry.jwks_url.is_some() {
        if entry.issuer.is_none() {
            let remedy = "set issuer: keys that are fetched are those of one issuer";
            return Err((".jwks_url", "it has no issuer".into(), remedy));
        }
        return Ok(Vec::new());
    }
    if let Some(file) = &entry.jwks_file {
        let keys = read_jwks(&read(".jwks_file", &base_dir.join(file))?)?;
        return Ok(keys.into_iter().map(|(id, alg, key)| own(id, alg, key)).collect());
    }
    let Some(algorithm) = entry.algorithm else {
        let remedy = "set algorithm to HS256, RS256, ES256 or EdDSA";
        return Err(("", "it has no algorithm".into(), remedy));
    };
    let key = match &entry.public_key_file {
        Some(file) => read_public(algorithm, &read(".public_key_file", &base_dir.join(file))?)?,
        None => DecodingKey::from_secret(&secret_of(entry, algorithm, base_dir)?),
    };
    Ok(vec![own(entry.id.clone(), algorithm, key)])
}

/// The keys of a set that was fetched, for tokens of this issuer. What is public is no secret: a
/// key for HS256 in it is an error.
pub(super) fn of_set(text: &[u8], issuer: &str, audience: Option<&str>) -> Result<KeySet, String> {
    let keys = read_jwks(text).map_err(|(_, message, _)| message)?;
    if keys.iter().any(|(_, algorithm, _)| *algorithm == Algorithm::HS256) {
        return Err("it has a key for HS256, which is secret, and anybody can fetch it".into());
    }
    let own = |(id, algorithm, key)| VerifyKey {
        id,
        algorithm,
        key,
        issuer: Some(issuer.to_owned()),
        audience: audience.map(str::to_owned),
    };
    Ok(KeySet(keys.into_iter().map(own).collect()))
}

/// The HS256 secret of an entry.
pub(super) fn secret_of(
    entry: &Key,
    algorithm: Algorithm,
    base_dir: &Path,
) -> Result<Vec<u8>, Fault> {
    let (field, secret) = match (&entry.secret, &entry.secret_file) {
        (Some(secret), _) => (".secret", secret.expose().as_bytes().to_vec()),
        (None, Some(file)) => {
            let text = read(".secret_file", &base_dir.join(file))?;
            (".secret_file", text.trim_ascii_end().to_vec())
        }
        (None, None) => return Err(("", "it has no secret".into(), "set secret_file")),
    };
    if algorithm != Algorithm::HS256 {
        let message = format!("{} has no secret", algorithm.as_str());
        return Err((field, message, "set public_key_file, or algorithm = \"HS256\""));
    }
    if secret.len() < SECRET_BYTES_MIN {
        let message = format!("{} bytes are too few", secret.len());
        return Err((field, message, "make one of 32 or more: openssl rand -base64 32"));
    }
    Ok(secret)
}

fn read(field: &'static str, path: &Path) -> Result<Vec<u8>, Fault> {
    let remedy = "the path is relative to the configuration file";
    let fault = |what: &dyn fmt::Display| (field, format!("{}: {what}", path.display()), remedy);
    let size = std::fs::metadata(path).map_err(|error| fault(&error))?.len();
    if size > FILE_BYTES_MAX {
        return Err(fault(&"larger than 1 MiB"));
    }
    std::fs::read(path).map_err(|error| fault(&error))
}

/// A public key from PEM.
fn read_public(algorithm: Algorithm, pem: &[u8]) -> Result<DecodingKey, Fault> {
    let field = ".public_key_file";
    let has = |label: &[u8]| pem.windows(label.len()).any(|window| window == label);
    if has(b"PRIVATE KEY-----") {
        let remedy = "give the public one: openssl pkey -in private.pem -pubout -out public.pem";
        return Err((field, "it is a private key, which a server must not have".into(), remedy));
    }
    if has(b"BEGIN CERTIFICATE-----") {
        let remedy = "take the key out: openssl x509 -in certificate.pem -noout -pubkey";
        return Err((field, "it is a certificate".into(), remedy));
    }
    let key = match algorithm {
        Algorithm::HS256 => {
            let remedy = "set secret_file, or algorithm to RS256, ES256 or EdDSA";
            return Err((field, "HS256 has no public key".into(), remedy));
        }
        Algorithm::RS256 => DecodingKey::from_rsa_pem(pem),
        Algorithm::ES256 => DecodingKey::from_ec_pem(pem),
        Algorithm::EdDSA => DecodingKey::from_ed_pem(pem),
    };
    key.ok().filter(|key| is_sound(algorithm, key)).ok_or_else(|| {
        let message = format!("it is not a public key for {}", algorithm.as_str());
        (field, message, "RS256: RSA of 2048 bits or more; ES256: P-256; EdDSA: Ed25519; as PEM")
    })
}

/// Whether a key has the size that its algorithm asks for.
fn is_sound(algorithm: Algorithm, key: &DecodingKey) -> bool {
    use jsonwebtoken::DecodingKeyKind::{RsaModulusExponent, SecretOrDer};
    match (algorithm, key.kind()) {
        (Algorithm::HS256, SecretOrDer(secret)) => secret.len() >= SECRET_BYTES_MIN,
        (Algorithm::ES256, SecretOrDer(point)) => point.len() == P256_BYTES && point[0] == 4,
        (Algorithm::EdDSA, SecretOrDer(key)) => key.len() == 32,
        // DER: the modulus and some bytes around it.
        (Algorithm::RS256, SecretOrDer(der)) => der.len() > RSA_BYTES_MIN,
        (Algorithm::RS256, RsaModulusExponent { n, .. }) => n.len() >= RSA_BYTES_MIN,
        (_, RsaModulusExponent { .. }) => false,
    }
}

type JwksKey = (Option<String>, Algorithm, DecodingKey);

/// The keys of a set that sign; those for encryption and of other algorithms are left out.
fn read_jwks(text: &[u8]) -> Result<Vec<JwksKey>, Fault> {
    let fault = |message: String, remedy| (".jwks_file", message, remedy);
    let shape = "a JSON Web Key Set is an object with a list of `keys`";
    let set: Value =
        serde_json::from_slice(text).map_err(|_| fault("it is not JSON".into(), shape))?;
    let list = set.get("keys").and_then(Value::as_array);
    let list = list.ok_or_else(|| fault("it has no `keys`".into(), shape))?;
    let mut keys: Vec<JwksKey> = Vec::new();
    for (index, jwk) in list.iter().enumerate() {
        let in_key =
            |(message, remedy): (&str, _)| fault(format!("key {index}: {message}"), remedy);
        if let Some(key) = read_jwk(jwk).map_err(in_key)? {
            if key.0.is_some() && keys.iter().any(|old| (&old.0, old.1) == (&key.0, key.1)) {
                return Err(in_key(("an earlier key has its `kid` and `alg`", "remove one")));
            }
            keys.push(key);
        }
    }
    if keys.is_empty() {
        let remedy = "it needs a key with alg HS256, RS256, ES256 or EdDSA and use sig";
        return Err(fault("it has no key that can be used".into(), remedy));
    }
    Ok(keys)
}

/// One key of a set; `None` if it is not for checking tokens.
fn read_jwk(jwk: &Value) -> Result<Option<JwksKey>, (&'static str, &'static str)> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    if text("use").is_some_and(|usage| usage != "sig") {
        return Ok(None);
    }
    let kind = (text("kty").unwrap_or_default(), text("crv").unwrap_or_default());
    let algorithm = match (text("alg"), kind) {
        (Some("HS256"), ("oct", _)) => Algorithm::HS256,
        (Some("RS256"), ("RSA", _)) => Algorithm::RS256,
        (Some("ES256") | None, ("EC", "P-256")) => Algorithm::ES256,
        (Some("EdDSA" | "Ed25519") | None, ("OKP", "Ed25519")) => Algorithm::EdDSA,
        (None, _) => {
            return Err(("it has no `alg`, and its `kty` allows several", "add its `alg`"));
        }
        (Some("HS256" | "RS256" | "ES256" | "EdDSA"), _) => {
            return Err(("its `alg` does not go with its `kty` or `crv`", "correct one of them"));
        }
        (Some(_), _) => return Ok(None),
    };
    if algorithm != Algorithm::HS256 && jwk.get("d").is_some() {
        return Err(("it is a private key, which a server must not have", "remove `d` and so on"));
    }
    let part = |name: &str| text(name).unwrap_or_default();
    let key = match algorithm {
        Algorithm::HS256 => {
            use base64::Engine;
            let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
            engine.decode(part("k")).ok().map(|secret| DecodingKey::from_secret(&secret))
        }
        Algorithm::RS256 => DecodingKey::from_rsa_components(part("n"), part("e")).ok(),
        Algorithm::ES256 => DecodingKey::from_ec_components(part("x"), part("y")).ok(),
        Algorithm::EdDSA => DecodingKey::from_ed_components(part("x")).ok(),
    };
    let key = key.filter(|key| is_sound(algorithm, key)).ok_or((
        "its parts are missing or of the wrong size",
        "HS256: 32 bytes or more; RS256: 2048 bits or more; ES256: P-256; EdDSA: Ed25519",
    ))?;
    Ok(Some((text("kid").map(str::to_owned), algorithm, key)))
}
