//! Limits as they are counted.

use hyper::header::{HeaderMap, HeaderValue};

use super::*;

fn at(ms: u64) -> Now {
    Now { mono_ms: ms, mono_us: ms * 1000, wall_ms: 0 }
}

fn rates(change: impl FnOnce(&mut Config)) -> Rates {
    let mut config = Config::default();
    change(&mut config);
    Rates::new(&config, Arc::default())
}

#[test]
fn a_user_who_stays_below_the_rate_is_never_refused() {
    let rates = rates(|config| config.rate.commands = Some("50/s".parse().unwrap()));
    for n in 0..10_000 {
        assert_eq!(rates.command(at(n * 20), "ada", CommandKind::Publish), Ok(()), "{n}");
    }
}

#[test]
fn a_burst_is_let_through_and_then_one_each_time() {
    let rates = rates(|config| {
        config.rate.command.publish = Some("10/s burst 5".parse().unwrap());
    });
    let publish = |ms, user| rates.command(at(ms), user, CommandKind::Publish);
    for _ in 0..5 {
        assert_eq!(publish(1000, "ada"), Ok(()));
    }
    let wait = publish(1000, "ada").unwrap_err();
    assert!((100..=101).contains(&wait), "{wait}");
    assert_eq!(publish(1000, "bob"), Ok(()), "bob has a rate of his own");
    assert_eq!(rates.command(at(1000), "ada", CommandKind::History), Ok(()), "not a publish");
    assert!(publish(1099, "ada").is_err());
    assert_eq!(publish(1000 + wait, "ada"), Ok(()), "what was said was true");
    assert!(publish(1000 + wait, "ada").is_err());
}

#[test]
fn a_clock_of_another_shard_that_is_a_little_behind_changes_nothing() {
    let rates = rates(|config| config.rate.commands = Some("1/s".parse().unwrap()));
    assert_eq!(rates.command(at(5000), "ada", CommandKind::Publish), Ok(()));
    assert!(rates.command(at(4990), "ada", CommandKind::Publish).is_err());
    assert_eq!(rates.command(at(6001), "ada", CommandKind::Publish), Ok(()));
}

#[test]
fn who_has_been_quiet_is_forgotten() {
    let rates = rates(|config| config.rate.commands = Some("10/s".parse().unwrap()));
    for n in 0..1000 {
        let _ = rates.command(at(0), &format!("user-{n}"), CommandKind::Publish);
    }
    let _ = rates.command(at(10_000), "ada", CommandKind::Publish);
    rates.forget();
    assert_eq!(rates.commands.as_ref().unwrap().limiter.len(), 1);
}

#[test]
fn sessions_are_counted_up_and_down() {
    let rates = rates(|config| config.limits.sessions_per_user = 2);
    assert!(rates.begins("ada") && rates.begins("ada"));
    assert!(!rates.begins("ada"), "a third one");
    assert!(rates.begins("bob"));
    rates.ends("ada");
    assert!(rates.begins("ada"));
    rates.ends("nobody");
}

#[test]
fn an_address_is_believed_only_as_far_as_ones_own_proxies_wrote_it() {
    let proxies = Proxies::new(&["10.0.0.0/8".into(), "::1".into()]).unwrap();
    let client = |peer: &str, lists: &[&str]| {
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append("x-forwarded-for", HeaderValue::from_str(list).unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    };
    assert_eq!(client("203.0.113.5", &["198.51.100.1"]), "203.0.113.5", "no proxy of ours");
    assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    assert_eq!(client("10.0.0.1", &["203.0.113.5"]), "203.0.113.5");
    assert_eq!(client("::ffff:10.0.0.1", &["203.0.113.5"]), "203.0.113.5");
    let lie = "1.2.3.4, 203.0.113.5, 10.0.0.2";
    assert_eq!(client("10.0.0.1", &[lie]), "203.0.113.5", "what stands in front is a claim");
    assert_eq!(client("10.0.0.1", &["1.2.3.4", "203.0.113.5"]), "203.0.113.5", "the last header");
    assert_eq!(client("10.0.0.1", &["203.0.113.5, nonsense"]), "10.0.0.1");
    assert!(Proxies::new(&["everyone".into()]).is_err());
}

#[test]
fn a_network_of_ipv6_is_one_address() {
    let key = |text: &str| key_of(text.parse().unwrap());
    assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
    assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
    assert_ne!(key("203.0.113.5"), key("203.0.113.6"));
}
