//! Tokens for the loader's users: JWTs, HS256.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::hmac;

/// Where a connection's token comes from.
#[derive(Clone, Debug)]
pub(crate) enum Tokens {
    /// Anonymous users.
    None,
    /// The same for all.
    Fixed(String),
    /// One of its own for each.
    Minted(Arc<Mint>),
}

/// Makes tokens.
#[derive(Clone, Debug)]
pub(crate) struct Mint {
    key: hmac::Key,
    expires: u64,
}

impl Tokens {
    /// With the secret of the server's key.
    pub(crate) fn from_secret(secret: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        Self::Minted(Arc::new(Mint { key, expires: now.as_secs() + 24 * 3600 }))
    }

    /// The token of the user with this number.
    pub(crate) fn of(&self, index: usize) -> Option<String> {
        self.named(&format!("bench-{index}"))
    }

    /// The token of this user.
    pub(crate) fn named(&self, user: &str) -> Option<String> {
        match self {
            Self::None => None,
            Self::Fixed(token) => Some(token.clone()),
            Self::Minted(mint) => Some(mint.token(user)),
        }
    }
}

impl Mint {
    fn token(&self, user: &str) -> String {
        let base64 = BASE64_URL_SAFE_NO_PAD;
        let head = base64.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let claims = base64.encode(format!(r#"{{"sub":"{user}","exp":{}}}"#, self.expires));
        let signed = format!("{head}.{claims}");
        let signature = base64.encode(hmac::sign(&self.key, signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_signed_with_the_secret() {
        let token = Tokens::from_secret("secret").of(7).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
        assert!(hmac::verify(&key, signed.as_bytes(), &signature).is_ok());
        let claims = signed.split('.').nth(1).unwrap();
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["sub"], "bench-7");
        assert!(claims["exp"].as_u64().unwrap() > 1_700_000_000);
    }
}
