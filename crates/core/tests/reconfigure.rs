//! Rules that change under open sessions.

mod common_engine;

use std::sync::Arc;

use common_engine::Desk;
use tidings_core::Limits;
use tidings_core::engine::{Crowd, Effect};
use tidings_core::policy::{Access, Policy};

fn reconfigure(desk: &mut Desk, change: impl FnOnce(&mut Policy)) {
    let mut policy = Desk::policy();
    change(&mut policy);
    desk.engine.reconfigure(desk.now, Arc::new(policy), Arc::default());
}

/// Changes `chat`.
fn chat(policy: &mut Policy, change: impl FnOnce(&mut tidings_core::policy::NamespacePolicy)) {
    let chat = policy.namespaces.get_mut("chat").expect("it is there");
    change(&mut Arc::make_mut(chat).policy);
}

fn subscribed(desk: &mut Desk) -> tidings_core::engine::SessionKey {
    let ada = desk.open();
    desk.subscribe(ada, "chat:x");
    desk.engine.loaded(desk.now, "chat:x", Ok(None));
    assert!(desk.sent().contains("subscribed"));
    ada
}

#[test]
fn a_session_loses_what_it_may_not_do_any_more_and_stays() {
    let mut desk = Desk::new();
    let ada = subscribed(&mut desk);
    reconfigure(&mut desk, |policy| chat(policy, |chat| chat.subscribe = Access::SignedIn));
    let said = desk.sent();
    assert!(said.contains("forbidden") && said.contains("chat:x"), "{said}");
    assert_eq!((desk.engine.counts().sessions, desk.engine.counts().subscriptions), (1, 0));
    desk.subscribe(ada, "chat:x");
    assert!(desk.sent().contains("forbidden"), "and cannot come back to it");
    reconfigure(&mut desk, |_| {});
    desk.subscribe(ada, "chat:x");
    assert!(desk.sent().contains("subscribed"), "until it may again");
}

#[test]
fn what_is_still_allowed_goes_on_without_a_word() {
    let mut desk = Desk::new();
    let ada = subscribed(&mut desk);
    reconfigure(&mut desk, |policy| chat(policy, |chat| chat.history.size = 7));
    assert_eq!(desk.sent(), "");
    desk.say(ada, r#"{"type":"publish","id":2,"channel":"chat:x","data":1,"ephemeral":true}"#);
    assert!(desk.sent().contains("event"), "it is subscribed as before");
}

#[test]
fn anonymous_users_go_when_there_shall_be_none() {
    let mut desk = Desk::new();
    subscribed(&mut desk);
    let quiet = desk.open();
    reconfigure(&mut desk, |policy| policy.anonymous = false);
    let said = desk.sent();
    assert!(said.contains("4403"), "{said}");
    assert_eq!(desk.engine.counts().sessions, 1, "who has not said who it is may have a token");
    desk.say(quiet, r#"{"type":"ping","id":1}"#);
    assert!(desk.sent().contains("4403"));
}

#[test]
fn new_limits_hold_for_who_is_here() {
    let mut desk = Desk::new();
    let ada = subscribed(&mut desk);
    let limits = Limits { channels_per_session: 1, ..Limits::default() };
    desk.engine.reconfigure(desk.now, Arc::new(Desk::policy()), Arc::new(limits));
    desk.subscribe(ada, "chat:y");
    assert!(desk.sent().contains("limit_exceeded"));
}

/// Offsets that the store has never seen must not be appended to it.
#[test]
fn a_channel_in_memory_stays_where_its_events_are() {
    let mut desk = Desk::new();
    let ada = subscribed(&mut desk);
    reconfigure(&mut desk, |policy| chat(policy, |chat| chat.history.durable = false));
    desk.say(ada, r#"{"type":"publish","id":2,"channel":"chat:x","data":1}"#);
    desk.say(ada, r#"{"type":"publish","id":3,"channel":"chat:y","data":1}"#);
    let appended: Vec<_> = desk
        .effects()
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Append(append) => Some(append.channel),
            _ => None,
        })
        .collect();
    assert_eq!(appended, ["chat:x".into()], "the new channel is as the rules say now");
}

/// Rules that change while a session is on its way to another shard.
#[test]
fn who_is_between_two_shards_is_held_to_the_new_rules() {
    let crowd = Arc::new(Crowd::new(2));
    let mut traveller = None;
    for n in 0.. {
        let mut here = Desk::of_two(0, crowd.clone());
        let ada = here.open();
        here.subscribe(ada, &format!("chat:{n}"));
        let moves = here.effects().into_iter().find_map(|effect| match effect {
            Effect::Move { traveller, .. } => Some((format!("chat:{n}"), traveller)),
            _ => None,
        });
        if moves.is_some() {
            traveller = moves;
            break;
        }
    }
    let (channel, traveller) = traveller.expect("one of them lives on the other shard");
    let mut there = Desk::of_two(1, crowd);
    reconfigure(&mut there, |policy| chat(policy, |chat| chat.subscribe = Access::SignedIn));
    there.engine.arrive(there.now, *traveller);
    there.engine.loaded(there.now, &channel, Ok(None));
    let said = there.sent();
    assert!(said.contains("subscribed") && said.contains("forbidden"), "{said}");
    assert_eq!(there.engine.counts().subscriptions, 0);
}
