//! Tokens that are taken and tokens that are not, with keys made for each run.

mod attacks;
mod jwks;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::{hmac, rand::SystemRandom, rsa, signature as sig};
use serde_json::{Value, json};
use tempfile::TempDir;
use tidings_core::identity::{Action, Authority, Grant, Identity, TokenError};

use super::*;
use crate::config::{Algorithm, Auth, Key, Secret};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NOW: u64 = 1_700_000_000;
const NOW_MS: u64 = NOW * 1000;

/// Keys made for this run of the tests.
struct Keys {
    dir: TempDir,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let dir = TempDir::new().unwrap();
    let make = |name: &str, arguments: &[&str]| {
        let private = dir.path().join(format!("{name}.key"));
        let public = dir.path().join(format!("{name}.pem"));
        let der = dir.path().join(format!("{name}.der"));
        let openssl = |arguments: &[&str], rest: &[&std::ffi::OsStr]| {
            let made = Command::new("openssl").args(arguments).args(rest).output().unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        };
        openssl(&[&["genpkey"], arguments].concat(), &["-out".as_ref(), private.as_ref()]);
        let from = ["-in".as_ref(), private.as_ref(), "-out".as_ref(), public.as_ref()];
        openssl(&["pkey", "-pubout"], &from);
        let from = ["-in".as_ref(), private.as_ref(), "-out".as_ref(), der.as_ref()];
        openssl(&["pkcs8", "-topk8", "-nocrypt", "-outform", "DER"], &from);
    };
    make("rsa", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    make("rsa1024", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]);
    make("ec", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    make("ec384", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]);
    make("ed", &["-algorithm", "ED25519"]);
    Keys { dir }
});

impl Keys {
    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn der(&self, name: &str) -> Vec<u8> {
        fs::read(self.path().join(format!("{name}.der"))).unwrap()
    }

    fn public(&self, name: &str) -> Vec<u8> {
        fs::read(self.path().join(format!("{name}.pem"))).unwrap()
    }
}

fn hs256(message: &[u8]) -> Vec<u8> {
    hmac_with(SECRET.as_bytes(), message)
}

fn hmac_with(secret: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
}

fn rs256(message: &[u8]) -> Vec<u8> {
    let key = rsa::KeyPair::from_pkcs8(&KEYS.der("rsa")).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    let random = SystemRandom::new();
    key.sign(&sig::RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
    signature
}

fn es256(message: &[u8]) -> Vec<u8> {
    let algorithm = &sig::ECDSA_P256_SHA256_FIXED_SIGNING;
    let random = SystemRandom::new();
    let key = sig::EcdsaKeyPair::from_pkcs8(algorithm, &KEYS.der("ec"), &random).unwrap();
    key.sign(&random, message).unwrap().as_ref().to_vec()
}

fn eddsa(message: &[u8]) -> Vec<u8> {
    let key = sig::Ed25519KeyPair::from_pkcs8_maybe_unchecked(&KEYS.der("ed")).unwrap();
    key.sign(message).as_ref().to_vec()
}

fn token(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn ada() -> Value {
    json!({ "sub": "ada", "exp": NOW + 60 })
}

/// An HS256 token of these claims.
fn hs(claims: &Value) -> String {
    token(&json!({ "alg": "HS256" }), claims, hs256)
}

fn secret(id: Option<&str>) -> Key {
    Key {
        id: id.map(str::to_owned),
        algorithm: Some(Algorithm::HS256),
        secret: Some(Secret::new(SECRET.into())),
        ..Key::default()
    }
}

fn public(algorithm: Algorithm, name: &str) -> Key {
    Key {
        algorithm: Some(algorithm),
        public_key_file: Some(format!("{name}.pem").into()),
        ..Key::default()
    }
}

fn load(auth: &Auth) -> Result<JwtAuthority, Vec<KeyError>> {
    JwtAuthority::from_config(auth, KEYS.path(), &[1; 32])
}

fn authority(keys: Vec<Key>) -> JwtAuthority {
    load(&Auth { key: keys, ..Auth::default() }).unwrap()
}

fn reason(result: Result<Identity, TokenError>) -> String {
    match result.unwrap_err() {
        TokenError::Refused(reason) => reason,
        TokenError::Expired => "expired".into(),
        TokenError::Later => "later".into(),
    }
}

#[test]
fn each_algorithm_checks_its_own_signature_and_no_other() {
    type Sign = fn(&[u8]) -> Vec<u8>;
    let keys = [
        (secret(None), "HS256", hs256 as Sign),
        (public(Algorithm::RS256, "rsa"), "RS256", rs256),
        (public(Algorithm::ES256, "ec"), "ES256", es256),
        (public(Algorithm::EdDSA, "ed"), "EdDSA", eddsa),
    ];
    for (key, algorithm, _) in &keys {
        let authority = authority(vec![key.clone()]);
        for (_, other, sign) in &keys {
            let result = authority.verify(&token(&json!({ "alg": other }), &ada(), sign), NOW_MS);
            assert_eq!(result.is_ok(), other == algorithm, "{other} at a {algorithm} key");
            let forged = token(&json!({ "alg": algorithm }), &ada(), sign);
            assert_eq!(authority.verify(&forged, NOW_MS).is_ok(), other == algorithm);
        }
    }
    let all = authority(keys.iter().map(|(key, ..)| key.clone()).collect());
    for (_, algorithm, sign) in &keys {
        let token = token(&json!({ "alg": algorithm, "typ": "JWT" }), &ada(), sign);
        let identity = all.verify(&token, NOW_MS).unwrap();
        assert_eq!((&*identity.user, identity.anonymous), ("ada", false));
        let (head, _) = token.rsplit_once('.').unwrap();
        assert!(all.verify(&format!("{head}.AAAA"), NOW_MS).is_err());
        assert!(all.verify(&token[..token.len() - 4], NOW_MS).is_err());
    }
}

#[test]
fn a_user_has_a_name_that_can_be_shown_and_is_not_anonymous() {
    let authority = authority(vec![secret(None)]);
    let verify =
        |sub: Value| authority.verify(&hs(&json!({ "sub": sub, "exp": NOW + 60 })), NOW_MS).is_ok();
    assert!(verify(json!("ada")) && verify(json!("ä".repeat(127))) && verify(json!("anonymous")));
    for sub in [
        json!(""),
        json!("anon-1"),
        json!("anon-"),
        json!("a\nb"),
        json!("a\0"),
        json!("a\u{85}"),
        json!("ä".repeat(128)),
        json!(7),
        json!(null),
        json!(["ada"]),
    ] {
        assert!(!verify(sub.clone()), "{sub}");
    }
    assert!(authority.verify(&hs(&json!({ "exp": NOW + 60 })), NOW_MS).is_err());
}

#[test]
fn channels_are_patterns_with_actions() {
    let authority = authority(vec![secret(None)]);
    let verify = |channels: Value| {
        let claims = json!({ "sub": "ada", "exp": NOW + 60, "channels": channels });
        authority.verify(&hs(&claims), NOW_MS)
    };
    let ada =
        verify(json!({ "chat:*": ["subscribe", "publish"], "news:all": ["history"] })).unwrap();
    assert!(ada.grants(Action::Publish, "chat:lobby") && ada.grants(Action::History, "news:all"));
    assert!(!ada.grants(Action::Publish, "news:all") && !ada.grants(Action::Presence, "chat:a"));
    assert_eq!(verify(json!({})).unwrap().grants, None);
    for odd in [
        json!([]),
        json!("chat:*"),
        json!(null),
        json!({ "chat:*": "publish" }),
        json!({ "chat:*": ["admin"] }),
        json!({ "chat:*": [1] }),
        json!({ "chat:*": null }),
        json!({ "": ["publish"] }),
        json!({ "*:a": ["publish"] }),
        json!({ "a**": ["publish"] }),
    ] {
        assert!(verify(odd.clone()).is_err(), "{odd}");
    }
}

#[test]
fn a_reason_holds_nothing_of_the_token() {
    let authority = authority(vec![secret(Some("a"))]);
    let mark = "s3cr3t-mark";
    for token in [
        token(&json!({ "alg": mark }), &ada(), hs256),
        token(&json!({ "alg": "HS256", "kid": mark }), &ada(), hs256),
        token(&json!({ "alg": "HS256", "typ": mark }), &ada(), hs256),
        hs(&json!({ "sub": mark, "exp": mark })),
        hs(&json!({ "sub": format!("anon-{mark}"), "exp": NOW + 60 })),
        hs(&json!({ "sub": "ada", "exp": NOW + 60, "channels": { mark: [mark] } })),
        format!("{mark}.{mark}.{mark}"),
    ] {
        let error = authority.verify(&token, NOW_MS).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(mark), "{error}");
    }
    assert!(!format!("{authority:?}").contains("0123456789abcdef"));
}

#[test]
fn keys_that_do_not_fit_their_algorithm_are_refused() {
    let private =
        Key { public_key_file: Some("rsa.key".into()), ..public(Algorithm::RS256, "rsa") };
    for key in [
        public(Algorithm::RS256, "ec"),
        public(Algorithm::RS256, "ed"),
        public(Algorithm::RS256, "rsa1024"),
        public(Algorithm::RS256, "missing"),
        public(Algorithm::ES256, "rsa"),
        public(Algorithm::ES256, "ec384"),
        public(Algorithm::EdDSA, "ec"),
        public(Algorithm::HS256, "rsa"),
        private,
        Key { algorithm: None, ..secret(None) },
        Key { algorithm: Some(Algorithm::RS256), ..secret(None) },
        Key { secret: Some(Secret::new("short".into())), ..secret(None) },
        Key { public_key_file: Some("rsa.pem".into()), ..secret(None) },
        Key { jwks_file: Some("x".into()), ..Key::default() },
        Key::default(),
    ] {
        let errors = load(&Auth { key: vec![key.clone()], ..Auth::default() }).unwrap_err();
        assert_eq!((errors.len(), errors[0].index), (1, 0), "{key:?}");
    }
}

#[test]
fn a_minted_token_is_taken() {
    let key = Key { issuer: Some("me".into()), audience: Some("you".into()), ..secret(Some("a")) };
    let auth = Auth { key: vec![key], ..Auth::default() };
    let signing = SigningKey::from_config(&auth, Path::new("."), None).unwrap();
    let grant = parse_grant("chat:*=subscribe,publish").unwrap();
    let request = TokenRequest {
        user: "ada".into(),
        ttl: Some(Period::secs(60)),
        grants: vec![grant.clone()],
    };
    let token = mint(&request, &signing, NOW_MS).unwrap();
    let identity = load(&auth).unwrap().verify(&token, NOW_MS).unwrap();
    let expires_at_ms = Some(NOW_MS + 65_000);
    let grants = Some(vec![grant].into());
    let ada = Identity {
        user: "ada".into(),
        anonymous: false,
        key: identity.key,
        expires_at_ms,
        issued_at_ms: NOW_MS,
        token: None,
        grants,
    };
    assert_eq!(identity, ada);

    let by_hand = SigningKey::from_secret(SECRET).unwrap();
    let token =
        mint(&TokenRequest { grants: vec![], ..request.clone() }, &by_hand, NOW_MS).unwrap();
    assert!(authority(vec![secret(None)]).verify(&token, NOW_MS).is_ok());
    assert!(mint(&TokenRequest { user: "anon-1".into(), ..request }, &by_hand, NOW_MS).is_err());
}

#[test]
fn what_cannot_sign_says_so() {
    let auth = |key| Auth { key: vec![key], ..Auth::default() };
    let from = |auth: &Auth, id| SigningKey::from_config(auth, KEYS.path(), id).unwrap_err();
    assert_eq!(from(&auth(public(Algorithm::RS256, "rsa")), None), MintError::NoSigningKey);
    assert_eq!(from(&auth(secret(Some("a"))), Some("b")), MintError::NoSigningKey);
    assert_eq!(from(&Auth::default(), None), MintError::NoSigningKey);
    assert_eq!(SigningKey::from_secret("short").unwrap_err(), MintError::ShortSecret);
    assert!(!format!("{:?}", SigningKey::from_secret(SECRET).unwrap()).contains("0123"));
}

#[test]
fn a_grant_is_written_with_an_equals_sign() {
    let grant = parse_grant("chat:a=b*=history").unwrap();
    assert_eq!(grant, Grant { pattern: "chat:a=b*".into(), actions: vec![Action::History] });
    for wrong in ["chat:*", "=publish", "chat:*=", "chat:*=admin", "*a=publish", "a=publish,,"] {
        assert!(parse_grant(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_authority_can_be_exchanged() {
    let shared = SharedAuthority::new(authority(vec![secret(None)]));
    let shard = shared.clone();
    let ticket = shard.sign_ticket(7, NOW_MS + 1000);
    assert!(shard.verify(&hs(&ada()), NOW_MS).is_ok());
    shared.replace(authority(vec![public(Algorithm::EdDSA, "ed")]));
    assert!(shard.verify(&hs(&ada()), NOW_MS).is_err());
    assert_eq!(shard.read_ticket(&ticket, NOW_MS), Some(7));
}
