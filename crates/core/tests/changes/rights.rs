//! Who may change what.

use serde_json::json;
use tidings_core::policy::{Access, Changer, Hook, Reacter};
use tidings_sim::World;

use super::{LOBBY, data_of, delete, edit, history, lobby, react};

#[test]
fn only_the_author_or_a_moderator_changes_an_event() {
    let (mut w, ada, bob) = lobby(31, &["one", "two"]);
    let moderator = w.user_with("mod", "user:mod;grants=chat:*=moderate");
    for command in [edit(1, "x"), delete(1)] {
        assert_eq!(w.ask(bob, command)["code"], "forbidden");
    }
    assert_eq!(w.ask(ada, edit(1, "uno"))["type"], "published");
    assert_eq!(w.ask(moderator, edit(1, "[…]"))["type"], "published");
    assert_eq!(w.ask(moderator, delete(2))["type"], "published");
    assert_eq!(data_of(&history(&mut w, bob, LOBBY)), ["[…]", "-"]);
    assert_eq!(history(&mut w, bob, LOBBY)[0]["user"], "ada", "it is still hers");
    w.check();
}

#[test]
fn a_moderator_of_one_channel_is_none_of_another() {
    let (mut w, _, _) = lobby(32, &["one"]);
    let moderator = w.user_with("mod", "user:mod;grants=chat:other=moderate");
    assert_eq!(w.ask(moderator, delete(1))["code"], "forbidden");
    w.check();
}

#[test]
fn a_namespace_says_who_may() {
    let mut w = World::with(33, |setup| {
        setup.namespace("chat", |policy| {
            (policy.changes.edit, policy.changes.delete) = (Changer::Nobody, Changer::Author);
            policy.changes.react = Reacter::Nobody;
        });
    });
    let ada = w.user("ada");
    let moderator = w.user_with("mod", "user:mod;grants=chat:*=moderate");
    w.say(ada, LOBBY, "one");
    assert_eq!(w.ask(ada, edit(1, "uno"))["code"], "forbidden");
    assert_eq!(w.ask(moderator, edit(1, "uno"))["type"], "published");
    assert_eq!(w.ask(moderator, react(1, "+1"))["code"], "forbidden");
    assert_eq!(w.ask(ada, delete(1))["type"], "published");
}

#[test]
fn who_may_not_publish_any_more_may_not_edit_but_may_react() {
    let mut w = World::new(34);
    let ada = w.user_with("ada", "user:ada;grants=closed:*=publish+subscribe");
    w.say(ada, "closed:room", "one");
    let token = "user:ada;grants=closed:*=subscribe";
    assert_eq!(w.ask(ada, json!({ "type": "refresh", "token": token }))["type"], "refreshed");
    let at = |mut command: serde_json::Value| {
        command["channel"] = "closed:room".into();
        command
    };
    assert_eq!(w.ask(ada, at(edit(1, "x")))["code"], "forbidden");
    assert_eq!(w.ask(ada, at(delete(1)))["code"], "forbidden");
    assert_eq!(w.ask(ada, at(react(1, "+1")))["type"], "published");
    let bob = w.user("bob");
    assert_eq!(w.ask(bob, at(react(1, "+1")))["code"], "forbidden", "he may not read it");
}

#[test]
fn where_the_application_says_who_may_subscribe_only_who_is_subscribed_reacts() {
    let mut w = World::with(35, |setup| {
        setup.namespace("chat", |policy| policy.hooks = vec![Hook::Subscribe]);
    });
    let (ada, bob) = (w.user("ada"), w.user("bob"));
    w.say(ada, LOBBY, "one");
    assert_eq!(w.ask(bob, react(1, "+1"))["code"], "forbidden");
    w.join(bob, LOBBY);
    assert_eq!(w.ask(bob, react(1, "+1"))["type"], "published");
}

#[test]
fn there_is_nothing_to_edit_where_there_are_keys() {
    let mut w = World::with(36, |setup| {
        setup.namespace("chat", |policy| policy.kind = tidings_core::policy::Kind::State);
    });
    let ada = w.user("ada");
    for command in [edit(1, "x"), delete(1), react(1, "+1")] {
        assert_eq!(w.ask(ada, command)["code"], "bad_request");
    }
}

#[test]
fn a_page_that_all_may_read_is_none_that_all_may_react_on() {
    let mut w = World::with(37, |setup| {
        setup.namespace("chat", |policy| policy.subscribe = Access::Anyone);
        setup.namespace("open", |policy| {
            (policy.subscribe, policy.publish) = (Access::Anyone, Access::Anyone);
        });
    });
    let (ada, anybody) = (w.user("ada"), w.anonymous());
    w.say(ada, LOBBY, "one");
    w.join(anybody, LOBBY);
    assert_eq!(w.ask(anybody, react(1, "+1"))["code"], "forbidden");
    w.say(ada, "open:room", "one");
    let mut command = react(1, "+1");
    command["channel"] = "open:room".into();
    assert_eq!(w.ask(anybody, command)["type"], "published");
}
