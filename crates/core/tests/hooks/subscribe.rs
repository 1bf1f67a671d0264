//! Subscriptions that the backend allows or denies.

use serde_json::{Value, json};
use tidings_core::engine::{About, Verdict};
use tidings_core::policy::WhenDown;

use super::door::{Door, allow, deny};

fn command(kind: &str) -> Value {
    json!({ "type": kind, "channel": "club:a" })
}

#[test]
fn only_who_the_backend_lets_in_hears_anything() {
    let (mut d, ada, bob) = Door::pair();
    let (adas, bobs) = (d.join(ada, "club:a"), d.join(bob, "club:a"));
    match &d.asked[0].1 {
        About::Subscribe { user, channel, anonymous: false, .. } => {
            assert_eq!((&**user, &**channel), ("ada", "club:a"));
        }
        other => panic!("{other:?}"),
    }
    d.answer(0, allow());
    d.answer(0, deny("members only"));
    d.publish(ada, "club:a", "among us");
    assert_eq!((d.kind(adas), d.code(bobs)), ("subscribed", "forbidden"));
    assert_eq!(d.reply(bobs).unwrap()["message"], "members only");
    assert_eq!((d.heard(ada).len(), d.heard(bob).len()), (1, 0));
    assert_eq!(d.engine.counts().subscriptions, 1);
}

/// Else whoever is denied the channel reads its history instead.
#[test]
fn history_and_presence_are_for_those_who_were_let_in() {
    let (mut d, ada, bob) = Door::pair();
    for kind in ["history", "presence", "enter", "update"] {
        let refused = d.say(bob, command(kind));
        assert_eq!(d.code(refused), "forbidden", "{kind}");
    }
    d.join(bob, "club:a");
    d.answer(0, deny("no"));
    let refused = d.say(bob, command("history"));
    assert_eq!(d.code(refused), "forbidden");
    d.join(ada, "club:a");
    d.answer(0, allow());
    for (kind, done) in [("history", "history"), ("enter", "entered"), ("leave", "left")] {
        let id = d.say(ada, command(kind));
        assert_eq!(d.kind(id), done);
    }
    d.say(ada, command("unsubscribe"));
    let refused = d.say(ada, command("history"));
    assert_eq!(d.code(refused), "forbidden");
}

#[test]
fn commands_behind_a_subscription_wait_for_the_same_verdict() {
    let (mut d, ada, bob) = Door::pair();
    d.join(ada, "club:a");
    let ids = ["enter", "presence", "history"].map(|kind| d.say(ada, command(kind)));
    let said = d.publish(ada, "club:a", "hello");
    assert_eq!(ids.map(|id| d.kind(id)), ["nothing"; 3]);
    d.answer(0, allow());
    assert_eq!(ids.map(|id| d.kind(id)), ["entered", "members", "history"]);
    assert_eq!((d.kind(said), d.heard(ada)), ("published", vec![json!("hello")]));

    d.join(bob, "club:a");
    let ids = ["enter", "history"].map(|kind| d.say(bob, command(kind)));
    let said = d.publish(bob, "club:a", "to publish is another right");
    d.answer(0, deny("no"));
    assert_eq!(ids.map(|id| d.code(id)), ["forbidden"; 2]);
    assert_eq!(d.kind(said), "published");
    let who = d.say(ada, command("presence"));
    assert_eq!(d.reply(who).unwrap()["count"], 1);
}

#[test]
fn who_unsubscribes_before_the_verdict_has_both_answers_and_is_nowhere() {
    for verdict in [allow(), deny("no"), Verdict::Failed] {
        let (mut d, ada, _) = Door::pair();
        let (joins, enters) = (d.join(ada, "club:a"), d.say(ada, command("enter")));
        let parts = d.say(ada, command("unsubscribe"));
        assert_eq!((d.code(enters), d.kind(parts)), ("forbidden", "nothing"));
        d.answer(0, verdict);
        assert_ne!(d.kind(joins), "nothing");
        assert_eq!((d.kind(parts), d.engine.counts().subscriptions), ("unsubscribed", 0));
        d.publish(ada, "club:a", "x");
        assert!(d.heard(ada).is_empty());
        assert_eq!(d.engine.sessions_of(&Default::default(), 9)[0].entered.len(), 0);
    }
}

#[test]
fn a_second_subscription_is_one_too_many_while_the_first_is_asked_about() {
    let (mut d, ada, _) = Door::pair();
    d.join(ada, "club:a");
    let second = d.join(ada, "club:a");
    assert_eq!((d.code(second), d.asked.len()), ("already_subscribed", 1));
}

#[test]
fn without_an_answer_one_may_come_again() {
    let (mut d, ada, _) = Door::pair();
    let id = d.join(ada, "club:a");
    d.answer(0, Verdict::Failed);
    assert_eq!((d.code(id), d.engine.counts().subscriptions), ("unavailable", 0));
    let id = d.join(ada, "club:a");
    d.answer(0, allow());
    assert_eq!(d.kind(id), "subscribed");
    let mut d = Door::new(|policy, _| policy.hooks.subscribe = WhenDown::Allow);
    let ada = d.user("ada");
    let id = d.join(ada, "club:a");
    d.answer(0, Verdict::Failed);
    assert_eq!(d.kind(id), "subscribed");
}

#[test]
fn who_leaves_while_asked_about_leaves_nothing_behind() {
    let (mut d, ada, _) = Door::pair();
    d.join(ada, "club:a");
    d.say(ada, command("enter"));
    d.engine.close(d.now, ada, false);
    d.answer(0, allow());
    let counts = d.engine.counts();
    assert_eq!((counts.subscriptions, counts.questions), (0, 0));
    d.pass(120_000);
    assert_eq!(d.engine.counts().channels, 0);
}

/// Else a slow verdict for one channel would hold the pages of all others back.
#[test]
fn a_question_holds_no_other_channel_up() {
    let (mut d, ada, bob) = Door::pair();
    for n in 0..150 {
        d.publish(bob, "free:a", &n.to_string());
    }
    for channel in ["club:a", "club:b", "club:c"] {
        d.join(ada, channel);
    }
    d.say(ada, json!({ "type": "subscribe", "channel": "free:a", "rewind": 100 }));
    assert_eq!(d.heard(ada).len(), 100);
}
