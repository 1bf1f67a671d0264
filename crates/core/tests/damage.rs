//! The store finds damage while the server runs.

mod common_engine;

use common_engine::Desk;
use tidings_core::Effect;
use tidings_core::store::{Epoch, Loaded, StoreError};

/// Ada is subscribed and publishes; the store says that its history is another one now.
#[test]
fn an_epoch_that_changes_under_a_running_server_is_told_and_publishing_goes_on() {
    let mut desk = Desk::new();
    let ada = desk.open();
    desk.say(ada, r#"{"type":"subscribe","id":1,"channel":"chat:a"}"#);
    desk.engine.loaded(desk.now, "chat:a", Ok(None));
    assert!(desk.sent().contains("subscribed"));
    desk.say(ada, r#"{"type":"publish","id":2,"channel":"chat:a","data":1}"#);
    assert!(matches!(desk.effects()[..], [Effect::Append(_)]));

    desk.engine.stored(desk.now, "chat:a", &Err(StoreError::OutOfOrder));
    let effects = desk.effects();
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Load { .. })), "{effects:?}");
    let kept =
        Loaded { epoch: Epoch(7), last_offset: 4, events: vec![], producers: vec![], keys: vec![] };
    desk.engine.loaded(desk.now, "chat:a", Ok(Some(kept)));
    let told = desk.sent();
    assert!(told.contains(r#""reason":"new_epoch""#) && told.contains(r#""offset":4"#), "{told}");

    desk.say(ada, r#"{"type":"publish","id":3,"channel":"chat:a","data":2}"#);
    let effects = desk.effects();
    let [Effect::Append(append)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((append.epoch, append.offset), (Epoch(7), 5));
}
