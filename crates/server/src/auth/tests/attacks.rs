//! Attacks on tokens, as tables. The numbers (J1 …) are those of the threat model.

use super::*;

#[test]
fn j1_a_token_without_a_signature_is_refused() {
    let authority = authority(vec![secret(None)]);
    for alg in ["none", "None", "NONE", "nOnE", "", "hs256", "HS384", "HS512", "RS256"] {
        for sign in [hs256, |_: &[u8]| Vec::new()] {
            let token = token(&json!({ "alg": alg }), &ada(), sign);
            assert!(authority.verify(&token, NOW_MS).is_err(), "{alg}");
        }
    }
    for header in [json!({}), json!({ "alg": null }), json!({ "alg": ["HS256"] }), json!([])] {
        assert!(authority.verify(&token(&header, &ada(), hs256), NOW_MS).is_err(), "{header}");
    }
    assert!(
        authority.verify(&token(&json!({ "alg": "HS256" }), &ada(), |_| vec![]), NOW_MS).is_err()
    );
    for text in ["", ".", "..", "...", "a.b.c", "a.b", "\0.\0.\0", "é.é.é"] {
        assert!(authority.verify(text, NOW_MS).is_err(), "{text:?}");
    }
}

#[test]
fn j2_a_public_key_is_no_secret() {
    let pem = KEYS.public("rsa");
    let der = KEYS.der("rsa");
    let trimmed = pem.trim_ascii_end().to_vec();
    for keys in
        [vec![public(Algorithm::RS256, "rsa")], vec![public(Algorithm::RS256, "rsa"), secret(None)]]
    {
        let authority = authority(keys);
        for secret in [&pem, &trimmed, &der, &Vec::new()] {
            let sign = |message: &[u8]| hmac_with(secret, message);
            for alg in ["HS256", "RS256"] {
                assert!(
                    authority.verify(&token(&json!({ "alg": alg }), &ada(), sign), NOW_MS).is_err()
                );
            }
        }
    }
}

#[test]
fn j3_a_kid_only_picks_among_the_configured_keys() {
    let authority = authority(vec![secret(Some("a"))]);
    let with = |kid: Value| token(&json!({ "alg": "HS256", "kid": kid }), &ada(), hs256);
    assert!(authority.verify(&with(json!("a")), NOW_MS).is_ok());
    assert!(authority.verify(&hs(&ada()), NOW_MS).is_ok(), "no kid: all keys of the algorithm");
    for kid in [
        json!("b"),
        json!(""),
        json!("A"),
        json!("a\0"),
        json!("../a"),
        json!("../../etc/passwd"),
        json!("/dev/null"),
        json!("' OR 1=1 --"),
        json!("a' UNION SELECT 'x"),
        json!(1),
        json!(null),
        json!(["a"]),
        json!({ "a": 1 }),
        json!("%61"),
        json!("a".repeat(4000)),
    ] {
        assert!(authority.verify(&with(kid.clone()), NOW_MS).is_err(), "{kid}");
    }
}

#[test]
fn j3_keys_in_a_header_are_not_keys() {
    let own = b"the attacker's own secret, 32 bytes long";
    let jwk = json!({ "kty": "oct", "alg": "HS256", "k": URL_SAFE_NO_PAD.encode(own) });
    let authority = authority(vec![secret(None)]);
    for (name, value) in [
        ("jwk", jwk),
        ("jku", json!("http://127.0.0.1:9/jwks.json")),
        ("x5u", json!("http://127.0.0.1:9/certificate.pem")),
        ("x5c", json!(["AAAA"])),
    ] {
        let header = json!({ "alg": "HS256", name: value });
        let forged = token(&header, &ada(), |message| hmac_with(own, message));
        assert!(authority.verify(&forged, NOW_MS).is_err(), "{name}");
        let honest = token(&header, &ada(), hs256);
        assert!(authority.verify(&honest, NOW_MS).is_ok(), "{name} is ignored");
    }
    let critical = json!({ "alg": "HS256", "crit": ["b64"], "b64": false });
    assert!(authority.verify(&token(&critical, &ada(), hs256), NOW_MS).is_err());
}

#[test]
fn j7_times() {
    let strict = authority(vec![secret(None)]);
    let verify = |claims: Value| strict.verify(&hs(&claims), NOW_MS);
    let exp = |exp: Value| verify(json!({ "sub": "ada", "exp": exp }));
    let leeway = 5;
    assert_eq!(exp(json!(NOW + 1)).unwrap().expires_at_ms, Some(NOW_MS + 6000));
    assert!(exp(json!(NOW - leeway + 1)).is_ok());
    for expired in [NOW - leeway, NOW - 60, 1, 0] {
        assert_eq!(exp(json!(expired)), Err(TokenError::Expired), "{expired}");
    }
    for odd in [
        json!(NOW.to_string()),
        json!(1e300),
        json!(NOW as f64 + 60.5),
        json!(-1),
        json!(null),
        json!(true),
        json!([NOW + 60]),
        json!({}),
        json!(NOW_MS + 60_000),
        json!(u64::MAX),
        json!((NOW + 60) as f64),
    ] {
        assert!(matches!(exp(odd.clone()), Err(TokenError::Refused(_))), "{odd}");
    }
    assert_eq!(reason(verify(json!({ "sub": "ada" }))), "it has no `exp`");

    let nbf = |nbf: Value| verify(json!({ "sub": "ada", "exp": NOW + 60, "nbf": nbf }));
    assert!(nbf(json!(NOW + leeway)).is_ok());
    for ahead in [json!(NOW + leeway + 1), json!("0"), json!(0.5), json!(1e300)] {
        assert!(matches!(nbf(ahead.clone()), Err(TokenError::Refused(_))), "{ahead}");
    }

    let auth = Auth { allow_no_expiry: true, key: vec![secret(None)], ..Auth::default() };
    let lax = load(&auth).unwrap();
    let forever = lax.verify(&hs(&json!({ "sub": "ada" })), NOW_MS).unwrap();
    assert_eq!(forever.expires_at_ms, None);
    let expired = lax.verify(&hs(&json!({ "sub": "ada", "exp": NOW - 60 })), NOW_MS);
    assert_eq!(expired, Err(TokenError::Expired), "an `exp` that is there counts");
}

#[test]
fn j8_a_token_of_another_kind_issuer_or_audience_is_refused() {
    let key = Key {
        issuer: Some("https://login.example".into()),
        audience: Some("tidings".into()),
        ..secret(None)
    };
    let authority = authority(vec![key]);
    let base = json!({ "sub": "ada", "exp": NOW + 60, "iss": "https://login.example",
        "aud": "tidings" });
    let with = |name: &str, value: Value| {
        let mut claims = base.clone();
        claims[name] = value;
        authority.verify(&hs(&claims), NOW_MS).is_ok()
    };
    assert!(with("aud", json!("tidings")));
    assert!(with("aud", json!(["other", "tidings"])));
    assert!(with("typ", json!("Bearer")) && with("typ", json!("tidings")));
    for (name, value) in [
        ("iss", json!("https://login.example/")),
        ("iss", json!("https://evil.example")),
        ("iss", json!(null)),
        ("iss", json!(["https://login.example"])),
        ("aud", json!("tiding")),
        ("aud", json!([])),
        ("aud", json!({ "tidings": 1 })),
        ("aud", json!(null)),
        ("typ", json!("Refresh")),
        ("typ", json!("ID")),
        ("typ", json!(1)),
    ] {
        assert!(!with(name, value.clone()), "{name}: {value}");
    }
    for typ in ["dpop+jwt", "logout+jwt", "JWE"] {
        let header = json!({ "alg": "HS256", "typ": typ });
        assert!(authority.verify(&token(&header, &base, hs256), NOW_MS).is_err(), "{typ}");
    }
}

#[test]
fn the_same_id_of_two_issuers_is_two_keys() {
    let second = "another secret of thirty-two bytes and more";
    let of = |issuer: &str, text: &str| Key {
        issuer: Some(issuer.into()),
        secret: Some(Secret::new(text.into())),
        ..secret(Some("1"))
    };
    let authority = authority(vec![of("a", SECRET), of("b", second)]);
    let verify = |issuer: &str, text: &str| {
        let claims = json!({ "sub": "ada", "exp": NOW + 60, "iss": issuer });
        let header = json!({ "alg": "HS256", "kid": "1" });
        let token = token(&header, &claims, |message| hmac_with(text.as_bytes(), message));
        authority.verify(&token, NOW_MS).is_ok()
    };
    assert!(verify("a", SECRET) && verify("b", second));
    assert!(!verify("a", second) && !verify("b", SECRET));
    let twice = Auth { key: vec![of("a", SECRET), of("a", second)], ..Auth::default() };
    assert!(load(&twice).is_err());
}
