//! Session tickets, and tokens for URLs. A session's ticket is `SSSSSSSSSSSSSSSS.EXPIRES.MAC`: the
//! session's id, when the ticket ends (seconds since 1970), and what proves that this server wrote
//! both.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use ring::hmac;
use serde_json::{Value, json};

use super::keys::KeySet;
use super::provider;

/// Keeps this MAC apart from every other that the same secret may ever make.
const PURPOSE: &[u8] = b"tidings session ticket 1";

/// Longer than any ticket: 16 + 1 + 20 + 1 + 43 characters.
const TICKET_BYTES: usize = 81;

/// Signs and reads tickets.
pub(super) struct TicketKey(hmac::Key);

impl TicketKey {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    pub(super) fn sign(&self, session: u64, expires_ms: u64) -> String {
        let expires = expires_ms / 1000;
        let mac = hmac::sign(&self.0, &message(session, expires));
        format!("{session:016x}.{expires}.{}", URL_SAFE_NO_PAD.encode(mac))
    }

    pub(super) fn read(&self, ticket: &str, wall_ms: u64) -> Option<u64> {
        if ticket.len() > TICKET_BYTES {
            return None;
        }
        let (proved, mac) = ticket.rsplit_once('.')?;
        let (session, expires) = proved.split_once('.')?;
        let session = u64::from_str_radix(session, 16).ok()?;
        let expires: u64 = expires.parse().ok()?;
        // One spelling each: `+5`, `05` and upper case would be other names of the same ticket.
        if format!("{session:016x}.{expires}") != proved {
            return None;
        }
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        hmac::verify(&self.0, &message(session, expires), &mac).ok()?;
        (expires.saturating_mul(1000) > wall_ms).then_some(session)
    }
}

/// What is signed. Each field has its length in front, so that no two lists of fields are the same
/// bytes.
fn message(session: u64, expires: u64) -> Vec<u8> {
    let mut message = Vec::with_capacity(64);
    for field in [PURPOSE, &session.to_be_bytes(), &expires.to_be_bytes()] {
        message.extend_from_slice(&(field.len() as u64).to_be_bytes());
        message.extend_from_slice(field);
    }
    message
}

/// The `kid` of tokens that the API makes for URLs.
pub(super) const URL_TICKET: &str = "tidings-ticket";

/// Tokens for clients that can say who they are only in their URL. Signed with a secret of the
/// server's own, so that they can be had where tokens are signed elsewhere.
pub(super) struct UrlTickets {
    keys: KeySet,
    signing: EncodingKey,
}

impl UrlTickets {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let own = hmac::sign(&secret, b"tidings url ticket 1");
        let keys = KeySet::of_secret(URL_TICKET, own.as_ref());
        Self { keys, signing: EncodingKey::from_secret(own.as_ref()) }
    }

    pub(super) fn keys(&self) -> &KeySet {
        &self.keys
    }

    pub(super) fn mint(&self, user: &str, channels: &Value, ttl: u64, now_ms: u64) -> String {
        provider::install();
        let now = now_ms / 1000;
        let exp = now + ttl;
        let claims = json!({ "sub": user, "iat": now, "exp": exp, "channels": channels });
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
        header.kid = Some(URL_TICKET.into());
        jsonwebtoken::encode(&header, &claims, &self.signing).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_read_until_it_ends() {
        let key = TicketKey::new(&[7; 32]);
        let ticket = key.sign(0xab, 1_000_000);
        assert!(ticket.starts_with("00000000000000ab.1000."));
        assert_eq!(key.read(&ticket, 999_999), Some(0xab));
        assert_eq!(key.read(&ticket, 1_000_000), None);
        assert_eq!(TicketKey::new(&[8; 32]).read(&ticket, 0), None, "another server's");
    }

    #[test]
    fn a_ticket_has_one_spelling() {
        let key = TicketKey::new(&[7; 32]);
        let ticket = key.sign(0xab, 1_000_000);
        let (head, mac) = ticket.rsplit_once('.').unwrap();
        for changed in [
            format!("00000000000000ac.1000.{mac}"),
            format!("00000000000000ab.1001.{mac}"),
            format!("00000000000000AB.1000.{mac}"),
            format!("00000000000000ab.01000.{mac}"),
            format!("00000000000000ab.+1000.{mac}"),
            format!("ab.1000.{mac}"),
            format!("{head}.{mac}="),
            format!("{head}."),
            format!("{head}.{}", "A".repeat(43)),
            format!("{ticket}."),
            head.to_owned(),
            String::new(),
            ".".repeat(100),
        ] {
            assert_eq!(key.read(&changed, 0), None, "{changed}");
        }
    }

    #[test]
    fn a_ticket_for_a_url_is_a_token_whose_key_is_never_withdrawn() {
        use tidings_core::identity::Authority;
        let auth = crate::config::Auth::default();
        let here = std::path::Path::new(".");
        let authority = super::super::JwtAuthority::from_config(&auth, here, &[7; 32]).unwrap();
        let channels = json!({"chat:a": ["subscribe"]});
        let ticket = authority.mint_ticket("ada", &channels, 60, 1_700_000_000_000);
        let ada = authority.verify(&ticket, 1_700_000_030_000).unwrap();
        assert_eq!(&*ada.user, "ada");
        assert!(authority.honours(ada.key));
        assert!(authority.verify(&ticket, 1_700_000_070_000).is_err(), "it has ended");
        let other = super::super::JwtAuthority::from_config(&auth, here, &[8; 32]).unwrap();
        assert!(other.verify(&ticket, 1_700_000_030_000).is_err(), "another server's");
    }

    /// J11: fields that run together would let one ticket stand for another.
    #[test]
    fn no_two_tickets_are_signed_alike() {
        let pairs = [(1, 23), (12, 3), (1, 2 << 8), (1 << 8, 2), (0, 1), (1, 0)];
        let messages: Vec<_> = pairs.iter().map(|(s, e)| message(*s, *e)).collect();
        for (index, one) in messages.iter().enumerate() {
            assert!(messages[index + 1..].iter().all(|other| other != one));
        }
    }
}
