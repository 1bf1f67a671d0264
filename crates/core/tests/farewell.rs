//! Sessions that are told to go, and what is still owed to them.

mod common_engine;

use common_engine::Desk;
use tidings_core::engine::Effect;
use tidings_core::store::Level;
use tidings_proto::CloseCode;

fn publish(id: u64) -> String {
    format!(r#"{{"type":"publish","id":{id},"channel":"chat:x","data":{id}}}"#)
}

#[test]
fn who_waits_for_nothing_goes_at_once() {
    let mut desk = Desk::new();
    let ada = desk.open();
    desk.say(ada, r#"{"type":"ping","id":1}"#);
    desk.engine.farewell(desk.now, ada, CloseCode::Draining, Some(4200));
    assert_eq!(desk.engine.counts().sessions, 0);
    let said = desk.sent();
    let bye = r#""code":4503,"reason":"draining","reconnect":true,"retry_after":4200"#;
    assert!(said.contains("pong") && said.contains(bye), "{said}");
}

#[test]
fn a_publish_under_way_is_acknowledged_before_the_goodbye() {
    let mut desk = Desk::new();
    let ada = desk.open();
    desk.say(ada, &publish(1));
    desk.say(ada, &publish(2));
    desk.engine.loaded(desk.now, "chat:x", Ok(None));
    desk.effects();
    desk.engine.farewell(desk.now, ada, CloseCode::Draining, Some(1));
    let effects = desk.effects();
    assert!(matches!(effects[..], [Effect::Pause { .. }]), "nothing more is read: {effects:?}");
    desk.engine.stored(desk.now, "chat:x", &Ok(Level::Fsync));
    let said = desk.sent();
    assert!(said.contains("published") && !said.contains("bye"), "one is still owed: {said}");
    desk.engine.stored(desk.now, "chat:x", &Ok(Level::Fsync));
    let said = desk.sent();
    let (answer, bye) = (said.find(r#""id":2"#), said.find("bye"));
    assert!(answer.is_some() && answer < bye, "{said}");
    assert_eq!(desk.engine.counts().sessions, 0);
}

#[test]
fn who_has_gone_by_itself_is_not_told() {
    let mut desk = Desk::new();
    let ada = desk.open();
    desk.say(ada, &publish(1));
    desk.engine.farewell(desk.now, ada, CloseCode::Draining, None);
    desk.engine.close(desk.now, ada, true);
    let bob = desk.open();
    desk.engine.loaded(desk.now, "chat:x", Ok(None));
    desk.engine.stored(desk.now, "chat:x", &Ok(Level::Fsync));
    assert!(!desk.sent().contains("bye"), "its place is bob's now");
    assert_eq!((desk.engine.counts().sessions, ada.slot), (1, bob.slot));
}
