//! Key sets.

use super::*;

/// An authority with this key set.
fn with(keys: &Value) -> Result<JwtAuthority, Vec<KeyError>> {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("jwks.json"), json!({ "keys": keys }).to_string()).unwrap();
    let key = Key { jwks_file: Some("jwks.json".into()), ..Key::default() };
    let auth = Auth { key: vec![key], ..Auth::default() };
    JwtAuthority::from_config(&auth, dir.path(), &[1; 32])
}

/// The public keys of this run as JWKs, without `alg`.
fn own() -> [Value; 4] {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let rsa = rsa::KeyPair::from_pkcs8(&KEYS.der("rsa")).unwrap();
    let parts = rsa::PublicKeyComponents::<Vec<u8>>::from(rsa.public());
    let algorithm = &sig::ECDSA_P256_SHA256_FIXED_SIGNING;
    let random = SystemRandom::new();
    let ec = sig::EcdsaKeyPair::from_pkcs8(algorithm, &KEYS.der("ec"), &random).unwrap();
    let point = sig::KeyPair::public_key(&ec).as_ref().to_vec();
    let ed = sig::Ed25519KeyPair::from_pkcs8_maybe_unchecked(&KEYS.der("ed")).unwrap();
    let x = sig::KeyPair::public_key(&ed).as_ref().to_vec();
    [
        json!({ "kty": "RSA", "kid": "r", "n": encode(&parts.n), "e": encode(&parts.e) }),
        json!({ "kty": "EC", "crv": "P-256", "kid": "e", "x": encode(&point[1..33]),
            "y": encode(&point[33..]) }),
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "d", "x": encode(&x) }),
        json!({ "kty": "oct", "kid": "o", "k": encode(SECRET.as_bytes()) }),
    ]
}

fn set(key: &Value, name: &str, value: Value) -> Value {
    let mut key = key.clone();
    key[name] = value;
    key
}

#[test]
fn keys_of_a_set_check_tokens() {
    let [rsa, ec, ed, oct] = own();
    let keys = json!([
        set(&rsa, "alg", json!("RS256")),
        set(&ec, "use", json!("sig")),
        ed,
        set(&oct, "alg", json!("HS256")),
        { "kty": "RSA", "use": "enc", "kid": "x" },
        { "kty": "RSA", "alg": "RSA-OAEP", "kid": "y" },
    ]);
    let authority = with(&keys).unwrap();
    type Sign = fn(&[u8]) -> Vec<u8>;
    let signers = [
        ("RS256", "r", rs256 as Sign),
        ("ES256", "e", es256),
        ("EdDSA", "d", eddsa),
        ("HS256", "o", hs256),
    ];
    for (alg, kid, sign) in signers {
        let verify = |kid: &str| {
            let token = token(&json!({ "alg": alg, "kid": kid }), &ada(), sign);
            authority.verify(&token, NOW_MS).is_ok()
        };
        assert!(verify(kid), "{alg}");
        assert!(signers.iter().all(|(_, other, _)| verify(other) == (*other == kid)));
    }
}

#[test]
fn a_set_that_could_be_misread_is_refused() {
    let [rsa, ec, ed, oct] = own();
    for keys in [
        json!([]),
        json!([rsa.clone()]),
        json!([oct.clone()]),
        json!([set(&rsa, "alg", json!("HS256"))]),
        json!([set(&rsa, "alg", json!("ES256"))]),
        json!([set(&ec, "crv", json!("P-384"))]),
        json!([set(&ec, "x", json!("AAAA"))]),
        json!([set(&ec, "d", json!("AAAA"))]),
        json!([set(&ed, "x", json!("!"))]),
        json!([set(&oct, "k", json!("AAAA")).as_object().cloned(), { "alg": "HS256" }]),
        json!([set(&set(&rsa, "alg", json!("RS256")), "n", json!("AQAB"))]),
        json!([ed.clone(), ed.clone()]),
        json!([set(&rsa, "use", json!("enc"))]),
        json!({ "ed": ed }),
    ] {
        assert!(with(&keys).is_err(), "{keys}");
    }
}
