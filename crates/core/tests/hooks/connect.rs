//! Sessions that the backend lets in, changes or turns away.

use serde_json::{Value, json};
use tidings_core::engine::{About, Advice, Denial, Occasion, SessionKey, Verdict};
use tidings_core::identity::{Action, Grant};
use tidings_core::policy::{ConnectRule, WhenDown};
use tidings_proto::{CloseCode, ErrorCode};

use super::door::{Door, allow, bye, deny};

fn door(rule: ConnectRule) -> Door {
    Door::new(|policy, _| policy.hooks.connect = Some(rule))
}

fn asked_to_verify() -> Door {
    door(ConnectRule::default())
}

fn opaque() -> Door {
    door(ConnectRule { opaque: true, ..ConnectRule::default() })
}

fn named(user: &str) -> Verdict {
    Verdict::Allow(Advice { user: Some(user.into()), ..Advice::default() })
}

fn hello(d: &mut Door, fields: Value) -> (SessionKey, u64) {
    let key = d.engine.open(d.now, None);
    let mut command = json!({ "type": "hello" });
    for (name, value) in fields.as_object().unwrap() {
        command[name] = value.clone();
    }
    let id = d.say(key, command);
    (key, id)
}

/// Who is asked about: the occasion, the user, the token.
fn question(d: &Door, n: usize) -> (Occasion, Option<&str>, Option<&str>) {
    match &d.asked[n].1 {
        About::Connect { occasion, user, token, .. } => {
            (*occasion, user.as_deref(), token.as_deref())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_is_welcome_when_the_backend_says_so_and_is_not_read_before() {
    let mut d = asked_to_verify();
    let (ada, id) = hello(&mut d, json!({ "token": "user:ada" }));
    assert_eq!(question(&d, 0), (Occasion::Hello, Some("ada"), None));
    assert_eq!((d.kind(id), &d.paused), ("nothing", &vec![ada]));
    let early = d.say(ada, json!({ "type": "ping" }));
    assert_eq!(d.code(early), "bad_request", "a driver that reads it nevertheless");
    d.pass(60_000);
    assert!(d.closed.is_empty(), "it said hello in time");
    d.answer(0, allow());
    assert_eq!((d.kind(id), &d.reply(id).unwrap()["user"]), ("welcome", &json!("ada")));
    assert!(d.paused.is_empty());
}

#[test]
fn the_backend_says_who_it_is_what_may_be_done_and_for_how_long() {
    let mut d = asked_to_verify();
    let (ada, id) = hello(&mut d, json!({ "token": "user:ada;grants=secret:*=publish" }));
    let grant = Grant { pattern: "chat:*".into(), actions: vec![Action::Publish] };
    d.answer(
        0,
        Verdict::Allow(Advice {
            user: Some("42".into()),
            grants: Some(vec![grant].into()),
            expires_at_ms: Some(d.now.wall_ms + 60_000),
            ..Advice::default()
        }),
    );
    let welcome = d.reply(id).unwrap();
    assert_eq!((&welcome["user"], &welcome["expires_in"]), (&json!("42"), &json!(60_000)));
    let who = d.engine.sessions_of(&Default::default(), 1)[0].identity.clone();
    assert!(who.grants(Action::Publish, "chat:a") && !who.grants(Action::Publish, "secret:a"));
    d.pass(61_000);
    assert_eq!(d.closed, [(ada, 4501)]);
}

#[test]
fn the_backend_turns_people_away() {
    let mut d = asked_to_verify();
    let (ada, _) = hello(&mut d, json!({ "token": "user:ada" }));
    d.answer(0, deny("banned"));
    assert_eq!((&d.closed, &bye(&d)["reconnect"]), (&vec![(ada, 4403)], &json!(false)));
    let (late, _) = hello(&mut d, json!({ "token": "user:ada" }));
    let (code, close) = (ErrorCode::Unauthorized, CloseCode::TokenExpired);
    d.answer(0, Verdict::Deny(Denial { code, close, message: None }));
    let (past, _) = hello(&mut d, json!({ "token": "user:ada" }));
    d.answer(0, Verdict::Allow(Advice { expires_at_ms: Some(1), ..Advice::default() }));
    assert_eq!(d.closed[1..], [(late, 4501), (past, 4501)]);
    assert_eq!(d.engine.counts().sessions, 0);
}

#[test]
fn a_bad_token_is_refused_and_nobody_is_asked() {
    let mut d = asked_to_verify();
    let (one, _) = hello(&mut d, json!({ "token": "nonsense" }));
    let (two, _) = hello(&mut d, json!({}));
    assert_eq!((&d.closed, d.asked.len()), (&vec![(one, 4401), (two, 4403)], 0));
}

#[test]
fn without_an_answer_a_client_is_sent_away_to_come_back() {
    let mut d = asked_to_verify();
    let (ada, _) = hello(&mut d, json!({ "token": "user:ada" }));
    d.answer(0, Verdict::Failed);
    assert_eq!((&d.closed, &bye(&d)["reconnect"]), (&vec![(ada, 4504)], &json!(true)));
    assert!(bye(&d)["retry_after"].as_u64().unwrap() >= 1000);
    let mut d = door(ConnectRule { when_down: WhenDown::Allow, ..ConnectRule::default() });
    let (_, id) = hello(&mut d, json!({ "token": "user:ada" }));
    d.answer(0, Verdict::Failed);
    assert_eq!(d.kind(id), "welcome");
}

#[test]
fn a_token_that_only_the_backend_understands_is_shown_to_it_from_wherever_it_came() {
    let mut d = opaque();
    let (_, id) = hello(&mut d, json!({ "token": "s3cr3t" }));
    assert_eq!(question(&d, 0), (Occasion::Hello, None, Some("s3cr3t")));
    d.answer(0, named("ada"));
    assert_eq!(d.reply(id).unwrap()["user"], "ada");
    let header = d.engine.open(d.now, Some("from the header"));
    assert!(d.asked.is_empty(), "not before it says hello");
    d.say(header, json!({ "type": "hello" }));
    assert_eq!(question(&d, 0).2, Some("from the header"));
    d.answer(0, named("bob"));
    // Nobody is let in whom the backend does not name, and anonymous users are not wanted here.
    let (nobody, _) = hello(&mut d, json!({}));
    assert_eq!(question(&d, 0), (Occasion::Hello, None, None));
    d.answer(0, allow());
    let (long, _) = hello(&mut d, json!({ "token": "x".repeat(9000) }));
    let down = hello(&mut d, json!({ "token": "x" })).0;
    d.answer(0, Verdict::Failed);
    assert_eq!(d.closed, [(nobody, 4403), (long, 4401), (down, 4504)]);
}

#[test]
fn a_first_command_waits_where_hello_is_left_out() {
    let mut d = Door::new(|policy, _| {
        policy.anonymous = true;
        policy.hooks.connect = Some(ConnectRule::default());
    });
    let somebody = d.engine.open(d.now, None);
    let id = d.publish(somebody, "free:a", "first");
    assert_eq!((d.kind(id), d.asked.len()), ("nothing", 1));
    d.answer(0, named("ada"));
    assert_eq!(d.kind(id), "published");
    let who = &d.engine.sessions_of(&Default::default(), 1)[0].identity;
    assert_eq!((&*who.user, who.anonymous), ("ada", false));
}

#[test]
fn who_comes_back_with_a_ticket_is_not_asked_about_again() {
    for (mut d, token) in [(asked_to_verify(), "user:ada"), (opaque(), "s3cr3t")] {
        let (ada, id) = hello(&mut d, json!({ "token": token }));
        d.answer(0, named("42"));
        let ticket = d.reply(id).unwrap()["session"].clone();
        d.engine.close(d.now, ada, true);
        for fields in [json!({ "session": ticket, "token": token }), json!({ "session": ticket })] {
            let (again, id) = hello(&mut d, fields);
            let welcome = d.reply(id).unwrap();
            assert_eq!((&welcome["resumed"], &welcome["user"]), (&json!(true), &json!("42")));
            assert!(d.asked.is_empty());
            d.engine.close(d.now, again, true);
        }
        // With something else to show it is somebody else.
        let other = if token == "s3cr3t" { "other" } else { "user:bob" };
        let (_, id) = hello(&mut d, json!({ "session": ticket, "token": other }));
        assert_eq!(question(&d, 0).0, Occasion::Resume);
        d.answer(0, named("43"));
        assert_eq!(d.reply(id).unwrap()["resumed"], false);
    }
}

#[test]
fn who_comes_back_is_asked_about_again_where_the_configuration_says_so() {
    let mut d = door(ConnectRule { resumed: true, ..ConnectRule::default() });
    let (ada, id) = hello(&mut d, json!({ "token": "user:ada" }));
    d.answer(0, named("42"));
    let ticket = d.reply(id).unwrap()["session"].clone();
    d.engine.close(d.now, ada, true);
    let (_, id) = hello(&mut d, json!({ "session": ticket, "token": "user:ada" }));
    assert_eq!(question(&d, 0), (Occasion::Resume, Some("ada"), None));
    d.answer(0, named("42"));
    assert_eq!(d.reply(id).unwrap()["resumed"], true);
}

#[test]
fn a_fresh_token_is_shown_too_and_stays_the_same_users() {
    let mut d = opaque();
    let (ada, _) = hello(&mut d, json!({ "token": "old" }));
    d.answer(0, named("ada"));
    let refresh = |token: &str| json!({ "type": "refresh", "token": token });
    let good = d.say(ada, refresh("new"));
    assert_eq!(question(&d, 0), (Occasion::Refresh, None, Some("new")));
    d.answer(0, named("ada"));
    let stolen = d.say(ada, refresh("bob's"));
    d.answer(0, named("bob"));
    let denied = d.say(ada, refresh("bad"));
    d.answer(0, deny("no"));
    let later = d.say(ada, refresh("newer"));
    d.answer(0, Verdict::Failed);
    assert_eq!(d.kind(good), "refreshed");
    assert_eq!(
        [d.code(stolen), d.code(denied), d.code(later)],
        ["unauthorized", "unauthorized", "unavailable"]
    );
    assert!(d.closed.is_empty());
}

#[test]
fn who_hangs_up_at_the_door_is_forgotten() {
    let mut d = asked_to_verify();
    let (ada, id) = hello(&mut d, json!({ "token": "user:ada" }));
    d.engine.close(d.now, ada, true);
    d.answer(0, allow());
    assert_eq!((d.kind(id), d.engine.counts().sessions), ("nothing", 0));
    let parked = d.engine.open(d.now, Some("user:ada"));
    d.engine.close(d.now, parked, true);
    assert_eq!(d.engine.counts().questions, 0);
}

#[test]
fn who_waits_at_the_door_when_the_server_stops_is_let_in_and_told() {
    let mut d = asked_to_verify();
    let (ada, id) = hello(&mut d, json!({ "token": "user:ada" }));
    d.engine.farewell(d.now, ada, CloseCode::Draining, Some(100));
    d.settle();
    assert!(d.closed.is_empty());
    d.answer(0, allow());
    assert_eq!((d.kind(id), &d.closed), ("welcome", &vec![(ada, 4503)]));
}
