//! What is sent: a notification in few bytes, encrypted for one browser (RFC 8291).

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use tidings_core::{PushSubscription, PushText};
use url::{Host, Url};
use web_push_native::p256::PublicKey;
use web_push_native::{Auth, encrypt};

use crate::egress::{Guard, Target};

/// What push services must take (RFC 8030, 7.2) without what encryption adds: a head of 86 bytes, a
/// tag of 16 and a delimiter.
const PLAIN_MAX: usize = 4096 - 86 - 16 - 1;

/// Browsers write base64url, some libraries pad it.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A subscription that can be used.
pub(super) struct Browser {
    pub(super) target: Target,
    public: PublicKey,
    auth: Auth,
}

impl Browser {
    /// # Errors
    /// Why nothing can be sent to it.
    pub(super) fn parse(subscription: &PushSubscription, guard: &Guard) -> Result<Self, String> {
        let PushSubscription { endpoint, p256dh, auth } = subscription;
        let target =
            Target::parse(endpoint, guard).map_err(|error| format!("endpoint: {error}"))?;
        if !is_secure(endpoint, guard) {
            return Err("endpoint: not an https: URL".into());
        }
        let point = LENIENT.decode(&**p256dh).ok();
        let public = point.and_then(|point| PublicKey::from_sec1_bytes(&point).ok());
        let public = public.ok_or("keys.p256dh: not a point of P-256 in base64url")?;
        let auth = LENIENT.decode(&**auth).ok().filter(|auth| auth.len() == 16);
        let auth = auth.ok_or("keys.auth: not 16 bytes in base64url")?;
        Ok(Self { target, public, auth: Auth::clone_from_slice(&auth) })
    }

    /// # Errors
    /// When the message is too long; [`plain`] makes none such.
    pub(super) fn encrypt(&self, plain: &[u8]) -> Result<Vec<u8>, String> {
        encrypt(plain.to_vec(), &self.public, &self.auth).map_err(|error| error.to_string())
    }
}

/// `http:` leads only to networks that the operator has named, and by address.
fn is_secure(endpoint: &str, guard: &Guard) -> bool {
    let Ok(url) = Url::parse(endpoint) else { return false };
    match url.host() {
        _ if url.scheme() == "https" => true,
        Some(Host::Ipv4(v4)) => guard.is_named(v4.into()),
        Some(Host::Ipv6(v6)) => guard.is_named(v6.into()),
        _ => false,
    }
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    topic: Option<&'a RawValue>,
    #[serde(borrow)]
    subject: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Plain<'a> {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    unread: u64,
}

/// What the browser is told, and under which name of a push service (RFC 8030, 5.4) a later one
/// takes its place. What is too long is left out, data first: the page can ask for it.
pub(super) fn plain(id: u64, text: &PushText) -> (Vec<u8>, Option<Subject>) {
    let nothing = Item { topic: None, subject: None, data: None };
    let item: Item<'_> = serde_json::from_slice(&text.item).unwrap_or(nothing);
    let Item { topic, subject, data } = item;
    let of = |topic, subject, data| {
        let plain = Plain { id, topic, subject, data, unread: text.unread };
        serde_json::to_vec(&plain).unwrap_or_default()
    };
    let mut plain = of(topic, subject, data);
    if plain.len() > PLAIN_MAX {
        plain = of(topic, subject, None);
    }
    if plain.len() > PLAIN_MAX {
        plain = of(None, None, None);
    }
    (plain, subject.map(|subject| Subject::of(topic, subject)))
}

/// What a notification is about.
pub(super) struct Subject([u8; 32]);

impl Subject {
    fn of(topic: Option<&RawValue>, subject: &RawValue) -> Self {
        let mut hash = Sha256::new();
        hash.update(topic.map_or("", RawValue::get));
        hash.update([0]);
        hash.update(subject.get());
        Self(hash.finalize().into())
    }

    /// Its name for one browser: 32 characters of base64url. The push service, which does not know
    /// what the browser and we know, can neither guess the subject nor tell who has the same.
    pub(super) fn name_for(&self, to: &PushSubscription) -> String {
        let mut hash = Sha256::new();
        hash.update(&*to.auth);
        hash.update(self.0);
        LENIENT.encode(&hash.finalize()[..24])
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};
    use web_push_native::{decrypt, p256};

    use super::*;

    const P256DH: &str =
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

    fn subscription(endpoint: &str) -> PushSubscription {
        PushSubscription { endpoint: endpoint.into(), p256dh: P256DH.into(), auth: AUTH.into() }
    }

    fn text(item: &Value) -> PushText {
        PushText {
            item: Bytes::from(item.to_string()),
            expires_ms: None,
            unread: 3,
            subscriptions: Vec::new(),
        }
    }

    #[test]
    fn what_is_encrypted_is_read_by_the_browser_of_the_standard() {
        // RFC 8291, section 5 and appendix A.
        let private = LENIENT.decode("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94").unwrap();
        let private = p256::SecretKey::from_slice(&private).unwrap();
        let auth = Auth::clone_from_slice(&LENIENT.decode(AUTH).unwrap());
        let body = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
        let read = decrypt(LENIENT.decode(body).unwrap(), &private, &auth).unwrap();
        assert_eq!(read, b"When I grow up, I want to be a watermelon");
        let browser =
            Browser::parse(&subscription("https://push.example/1"), &Guard::default()).unwrap();
        for plain in [&b"{}"[..], &[b'x'; PLAIN_MAX]] {
            let sealed = browser.encrypt(plain).unwrap();
            assert!(sealed.len() <= 4096 && !sealed.windows(2).any(|two| two == plain));
            assert_eq!(decrypt(sealed, &private, &auth).unwrap(), plain);
        }
    }

    #[test]
    fn only_subscriptions_that_can_be_used_are_taken() {
        let guard = Guard::new(&["10.1.0.0/16".into()]).unwrap();
        let check = |subscription: &PushSubscription| Browser::parse(subscription, &guard).err();
        assert_eq!(check(&subscription("https://push.example/1")), None);
        assert_eq!(check(&subscription("http://10.1.2.3/1")), None);
        for (endpoint, why) in [
            ("http://push.example/1", "not an https: URL"),
            ("https://127.0.0.1/", "internal"),
            ("https://2130706433/", "internal"),
            ("https://[::ffff:169.254.169.254]/latest", "internal"),
            ("https://10.2.0.1/", "internal"),
            ("ftp://push.example/", "neither an https:"),
            ("https://a:b@push.example/", "a user name"),
            ("push", "not a URL"),
        ] {
            let said = check(&subscription(endpoint)).unwrap();
            assert!(said.starts_with("endpoint: ") && said.contains(why), "{endpoint}: {said}");
        }
        let base = subscription("https://push.example/1");
        let off_the_curve = format!("{}A", &P256DH[..P256DH.len() - 1]).replace("BCV", "BCW");
        for p256dh in ["", "!", "AAAA", &off_the_curve] {
            let said = check(&PushSubscription { p256dh: p256dh.into(), ..base.clone() });
            assert!(said.unwrap().starts_with("keys.p256dh"), "{p256dh}");
        }
        let padded = PushSubscription { auth: format!("{AUTH}==").into(), ..base.clone() };
        assert_eq!(check(&padded), None);
        let short = PushSubscription { auth: "AAAA".into(), ..base };
        assert!(check(&short).unwrap().starts_with("keys.auth"));
    }

    #[test]
    fn what_is_too_long_is_left_out() {
        let read = |plain: &[u8]| serde_json::from_slice::<Value>(plain).unwrap();
        let item = json!({"id": 7, "topic": "mentions", "data": {"a": 1}, "seen": false});
        let (short, replaces) = plain(7, &text(&item));
        let expected = json!({"id": 7, "topic": "mentions", "data": {"a": 1}, "unread": 3});
        assert_eq!((read(&short), replaces.is_none()), (expected, true));
        let item = json!({"topic": "a", "subject": "s", "data": "x".repeat(PLAIN_MAX)});
        let (without, replaces) = plain(7, &text(&item));
        let expected = json!({"id": 7, "topic": "a", "subject": "s", "unread": 3});
        assert_eq!(read(&without), expected);
        let to = |auth: &str| PushSubscription {
            endpoint: "https://a".into(),
            p256dh: P256DH.into(),
            auth: auth.into(),
        };
        let subject = replaces.unwrap();
        assert_eq!(subject.name_for(&to("a")).len(), 32);
        assert_ne!(subject.name_for(&to("a")), subject.name_for(&to("b")));
        let item = json!({"topic": "a".repeat(3000), "subject": "s".repeat(3000)});
        assert_eq!(read(&plain(7, &text(&item)).0), json!({"id": 7, "unread": 3}));
    }
}
