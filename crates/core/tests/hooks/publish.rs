//! Publishes that the backend allows, changes or denies.

use std::sync::Arc;

use serde_json::json;
use tidings_core::engine::{Advice, Verdict};
use tidings_core::policy::{Access, WhenDown};
use tidings_proto::{Command, decode};

use super::door::{Door, allow, deny};

#[test]
fn publishes_of_a_session_keep_their_order_whichever_verdict_comes_first() {
    let (mut d, ada, bob) = Door::pair();
    d.join(bob, "chat:a");
    let ids: Vec<_> = ["a", "b", "c", "d"].map(|data| d.publish(ada, "chat:a", data)).into();
    d.answer(3, allow());
    d.answer(1, allow());
    d.answer(1, deny("not c"));
    assert!(d.heard(bob).is_empty(), "all wait for the first");
    d.answer(0, allow());
    assert_eq!(d.heard(bob), ["a", "b", "d"]);
    assert_eq!(ids.iter().map(|id| d.kind(*id)).collect::<Vec<_>>().join(" "), {
        "published published error published"
    });
    assert_eq!(d.reply(ids[2]).unwrap()["message"], "not c");
    assert_eq!(d.engine.counts().questions, 0);
}

#[test]
fn the_backend_is_told_who_publishes_what_and_where() {
    let (mut d, ada, _) = Door::pair();
    d.say(
        ada,
        json!({
            "type": "publish", "channel": "chat:a", "data": {"text": "Hi"}, "event": "message",
            "producer": "p", "seq": 1, "key": "k",
        }),
    );
    let draft = d.draft(0);
    assert_eq!((&*draft.user, &*draft.channel, draft.anonymous), ("ada", "chat:a", false));
    assert_eq!((draft.event.as_deref(), draft.data.get()), (Some("message"), r#"{"text":"Hi"}"#));
    let producer = draft.producer.as_ref().map(|(name, seq)| (&**name, *seq));
    assert_eq!((producer, draft.key.as_deref()), (Some(("p", 1)), Some("k")));
}

#[test]
fn what_the_engine_refuses_is_not_asked_about() {
    let (mut d, ada, _) = Door::pair();
    d.publish(ada, "free:a", "nobody is asked here");
    d.publish(ada, "nowhere:a", "x");
    d.publish(ada, "chat:a", &"x".repeat(40 << 10));
    assert!(d.asked.is_empty());
    let mut d = Door::new(|policy, _| {
        let chat = policy.namespaces.get_mut("chat").unwrap();
        Arc::make_mut(chat).policy.publish = Access::Token;
    });
    let ada = d.user("ada");
    let refused = d.publish(ada, "chat:a", "no right to it");
    assert_eq!((d.code(refused), d.asked.len()), ("forbidden", 0));
}

#[test]
fn the_backend_changes_an_event_and_that_is_checked_as_all_others() {
    let (mut d, ada, bob) = Door::pair();
    d.join(bob, "chat:a");
    let change = |json: &str, event: Option<&str>| {
        let data = Some(serde_json::from_str(json).unwrap());
        Verdict::Allow(Advice { data, event: event.map(Into::into), ..Advice::default() })
    };
    d.publish(ada, "chat:a", "damn");
    d.answer(0, change(r#""d***""#, Some("moderated")));
    assert_eq!(d.heard(bob), ["d***"]);
    assert_eq!(d.sent.iter().find(|(k, f)| *k == bob && f["event"] == "moderated").iter().len(), 1);
    let lines = d.publish(ada, "chat:a", "pretty");
    d.answer(0, change("{\n\"a\":\r\n1}", None));
    assert_eq!(d.kind(lines), "published");
    let long = d.publish(ada, "chat:a", "short");
    d.answer(0, change(&format!("{:?}", "x".repeat(40 << 10)), None));
    let name = d.publish(ada, "chat:a", "short");
    d.answer(0, change("1", Some(&"n".repeat(100))));
    let deep = d.publish(ada, "chat:a", "flat");
    d.answer(0, change(&format!("{}{}", "[".repeat(70), "]".repeat(70)), None));
    assert_eq!(
        [d.code(long), d.code(name), d.code(deep)],
        ["too_large", "too_large", "invalid_data"]
    );
    assert_eq!(d.heard(bob), [json!("d***"), json!({ "a": 1 })]);
}

#[test]
fn a_denied_number_is_used_up_and_the_next_one_follows() {
    let (mut d, ada, bob) = Door::pair();
    d.join(bob, "chat:a");
    let (first, second) = (d.numbered(ada, "no", 1), d.numbered(ada, "yes", 2));
    d.answer(1, allow());
    d.answer(0, deny("never"));
    assert_eq!((d.code(first), d.kind(second)), ("forbidden", "published"));
    // Sent again, it is asked about again, and stays refused even if the backend changed its mind:
    // to say `published` of what is no event would be a lie.
    let again = d.numbered(ada, "no", 1);
    d.answer(0, allow());
    assert_eq!(d.code(again), "invalid_data");
    // What was stored stays so, whatever the backend says now.
    let again = d.numbered(ada, "yes", 2);
    d.answer(0, deny("changed my mind"));
    assert_eq!(d.reply(again).unwrap()["duplicate"], true);
    assert_eq!(d.heard(bob), ["yes"]);
}

#[test]
fn a_number_sent_twice_is_one_event_though_the_backend_is_asked_twice() {
    let (mut d, ada, bob) = Door::pair();
    d.join(bob, "chat:a");
    let (first, again) = (d.numbered(ada, "once", 1), d.numbered(ada, "once", 1));
    d.answer(1, allow());
    d.answer(0, allow());
    assert_eq!(d.heard(bob), ["once"]);
    let offset = |id| d.reply(id).unwrap()["offset"].clone();
    assert_eq!(offset(first), offset(again));
}

#[test]
fn without_an_answer_nothing_is_used_up_and_what_followed_comes_again() {
    let (mut d, ada, bob) = Door::pair();
    d.join(bob, "chat:a");
    let (first, second) = (d.numbered(ada, "a", 1), d.numbered(ada, "b", 2));
    d.answer(1, allow());
    d.answer(0, Verdict::Failed);
    assert_eq!((d.code(first), d.code(second)), ("unavailable", "out_of_sequence"));
    assert!(d.reply(first).unwrap()["retry_after"].is_u64());
    for (data, seq) in [("a", 1), ("b", 2)] {
        d.numbered(ada, data, seq);
        d.answer(0, allow());
    }
    assert_eq!(d.heard(bob), ["a", "b"]);
}

#[test]
fn without_an_answer_all_goes_on_where_the_configuration_says_so() {
    let mut d = Door::new(|policy, _| policy.hooks.publish = WhenDown::Allow);
    let (ada, bob) = (d.user("ada"), d.user("bob"));
    d.join(bob, "chat:a");
    d.publish(ada, "chat:a", "anyway");
    d.answer(0, Verdict::Failed);
    assert_eq!(d.heard(bob), ["anyway"]);
}

#[test]
fn a_right_that_is_lost_while_the_backend_thinks_is_lost() {
    let (mut d, ada, bob) = Door::pair();
    d.join(bob, "chat:a");
    let id = d.publish(ada, "chat:a", "late");
    let chat = d.policy.namespaces.get_mut("chat").unwrap();
    Arc::make_mut(chat).policy.publish = Access::Token;
    let (policy, limits) = (Arc::new(d.policy.clone()), Arc::new(d.limits.clone()));
    d.engine.reconfigure(d.now, policy, limits);
    d.answer(0, allow());
    assert_eq!((d.code(id), d.heard(bob).len()), ("forbidden", 0));
}

#[test]
fn of_a_session_that_is_over_nothing_is_published_any_more() {
    let (mut d, ada, bob) = Door::pair();
    d.join(bob, "chat:a");
    d.publish(ada, "chat:a", "gone");
    d.engine.close(d.now, ada, true);
    d.answer(0, allow());
    assert!(d.heard(bob).is_empty());
    assert_eq!(d.engine.counts().questions, 0);
    // Its place belongs to somebody else by now.
    let cyd = d.user("cyd");
    assert_eq!(cyd.slot, ada.slot);
}

#[test]
fn a_session_is_read_no_further_with_so_many_open_questions() {
    let mut d = Door::new(|_, limits| limits.in_flight = 4);
    let ada = d.user("ada");
    for _ in 0..4 {
        d.publish(ada, "chat:a", "x");
    }
    assert_eq!(d.paused, [ada]);
    d.answer(0, allow());
    d.answer(0, allow());
    assert!(d.paused.is_empty());
}

#[test]
fn a_shard_with_too_many_open_questions_asks_no_more() {
    let mut d = Door::new(|_, limits| limits.questions = 2);
    let ada = d.user("ada");
    let ids = ["a", "b", "c"].map(|data| d.publish(ada, "both:a", data));
    let joins = d.join(ada, "both:a");
    assert_eq!((d.asked.len(), d.code(ids[2]), d.code(joins)), (2, "unavailable", "unavailable"));
    d.answer(0, allow());
    d.answer(0, allow());
    assert_eq!((d.kind(ids[0]), d.kind(ids[1])), ("published", "published"));
}

#[test]
fn what_the_api_publishes_is_not_asked_about() {
    let (mut d, _, bob) = Door::pair();
    d.join(bob, "chat:a");
    let text = r#"{"type":"publish","id":1,"channel":"chat:a","data":"from the backend"}"#;
    let Ok(Command { id, body }) = decode(text) else { panic!("a command") };
    d.engine.serve(d.now, &"backend".into(), Command { id, body });
    d.settle();
    assert_eq!((d.heard(bob), d.asked.len()), (vec![json!("from the backend")], 0));
}
