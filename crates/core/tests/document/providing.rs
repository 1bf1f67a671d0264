//! Stock providers of Hocuspocus: many documents on one connection.

use tidings_core::engine::{Advice, Denial, Editor, Verdict};
use tidings_core::identity::{Action, Grant};
use tidings_core::policy::Access;
use tidings_core::store::StoreError;
use tidings_proto::yjs::aware::{self, AwareLimits};
use tidings_proto::yjs::hocuspocus::{Frame, Message, decode, encode};
use tidings_proto::yjs::sync::Sync;
use tidings_proto::{CloseCode, ErrorCode};

use crate::desk::{DOC, Desk, Who};
use crate::writer::Writer;

const OTHER: &str = "doc:other";

/// What the npm package does with what it gets; what else it was told.
fn listen(desk: &mut Desk, who: Who, at: &[(&str, &Writer)]) -> Vec<String> {
    listen_by_address(desk, who, at).into_iter().map(|(_, told)| told).collect()
}

/// The same, with the address of each.
pub(crate) fn listen_by_address(
    desk: &mut Desk,
    who: Who,
    at: &[(&str, &Writer)],
) -> Vec<(String, String)> {
    let mut told = Vec::new();
    loop {
        let messages = desk.got(who);
        if messages.is_empty() {
            return told;
        }
        for message in messages {
            let Ok(Frame::Document(address, word)) = decode(&message) else { continue };
            let writer = at.iter().find(|(name, _)| *name == address.whole).map(|(_, it)| *it);
            let mut hear = |word: String| told.push((address.whole.to_owned(), word));
            match (word, writer) {
                (Message::Sync(Sync::Step1(vector)), Some(writer)) => {
                    let update = writer.since(vector);
                    say(desk, who, address.whole, Message::Sync(Sync::Step2(&update)));
                }
                (Message::Sync(Sync::Step2(it) | Sync::Update(it)), Some(writer)) => {
                    if matches!(word, Message::Sync(Sync::Step2(_))) {
                        hear("synced".to_owned());
                    }
                    writer.take(it);
                }
                (Message::SyncStatus(stored), _) => hear(format!("stored {stored}")),
                (Message::Authenticated { readonly }, _) => hear(format!("readonly {readonly}")),
                (Message::Denied(why), _) => hear(format!("denied {why}")),
                (Message::Close(why), _) => hear(format!("closed {why}")),
                (Message::SendToken, _) => hear("token?".to_owned()),
                (Message::Awareness(update), _) => {
                    let limits = AwareLimits { entries: 100, state: 1000, depth: 9 };
                    for entry in aware::entries(update, &limits).unwrap() {
                        let state = entry.state.unwrap_or("nobody");
                        hear(format!("{} is {state}", entry.client));
                    }
                }
                _ => {}
            }
        }
    }
}

pub(crate) fn say(desk: &mut Desk, who: Who, document: &str, word: Message<'_>) {
    desk.send(who, &encode(document, word));
}

pub(crate) fn token(token: &str) -> Message<'_> {
    Message::Token { token, version: Some("4.8.0") }
}

/// As the package: its token, and at once its question.
pub(crate) fn attach(desk: &mut Desk, who: Who, document: &str, with: &str, writer: &Writer) {
    say(desk, who, document, token(with));
    say(desk, who, document, Message::Sync(Sync::Step1(&writer.vector())));
}

pub(crate) fn socket(desk: &mut Desk) -> Who {
    desk.editor_without_token(Editor::Hocuspocus)
}

#[test]
fn one_connection_has_two_documents_and_each_change_is_confirmed_once_when_it_is_stored() {
    let mut desk = Desk::with(2, |_, _| {});
    let (plan, other, at_bob) = (Writer::new(1), Writer::new(2), Writer::new(3));
    let at = [(DOC, &plan), (OTHER, &other)];
    plan.write(0, "offline");
    let ada = socket(&mut desk);
    attach(&mut desk, ada, DOC, "ada", &plan);
    attach(&mut desk, ada, OTHER, "ada", &other);
    let mut told = listen(&mut desk, ada, &at);
    told.sort();
    let once =
        ["readonly false", "readonly false", "stored true", "stored true", "synced", "synced"];
    assert_eq!(told, once);
    desk.slow = true;
    say(&mut desk, ada, DOC, Message::Sync(Sync::Update(&plan.add("!"))));
    assert!(listen(&mut desk, ada, &at).is_empty(), "not stored yet");
    desk.store(&Ok(()));
    assert_eq!(listen(&mut desk, ada, &at), ["stored true"]);
    desk.slow = false;
    let bob = crate::editing::connect(&mut desk, "bob", &at_bob);
    assert_eq!(at_bob.text(), "offline!");
    desk.send(bob, &tidings_proto::yjs::sync::update(&at_bob.add(" bob")));
    listen(&mut desk, ada, &at);
    assert_eq!(plan.text(), "offline! bob");
    say(&mut desk, ada, DOC, Message::Close(""));
    desk.send(bob, &tidings_proto::yjs::sync::update(&at_bob.add(" alone")));
    listen(&mut desk, ada, &at);
    assert_eq!(plan.text(), "offline! bob", "it is closed");
    attach(&mut desk, ada, DOC, "ada", &plan);
    listen(&mut desk, ada, &at);
    assert_eq!(plan.text(), "offline! bob alone");
}

#[test]
fn each_document_has_a_token_of_its_own() {
    let mut desk = Desk::new();
    let (plan, other) = (Writer::new(1), Writer::new(2));
    let at = [(DOC, &plan), (OTHER, &other)];
    let eve = socket(&mut desk);
    attach(&mut desk, eve, DOC, "eve/publish", &plan);
    attach(&mut desk, eve, OTHER, "eve", &other);
    let told = listen(&mut desk, eve, &at);
    assert!(
        told.contains(&"readonly true".to_owned()) && told.contains(&"readonly false".to_owned())
    );
    say(&mut desk, eve, DOC, Message::Sync(Sync::Update(&plan.write(0, "no"))));
    say(&mut desk, eve, OTHER, Message::Sync(Sync::Update(&other.write(0, "yes"))));
    let told = listen(&mut desk, eve, &at);
    assert_eq!(told, ["stored false", "stored true"]);
    assert_eq!((desk.on_disk(DOC).0, desk.on_disk(OTHER).0), (0, 1));
    // The application gives her a better one, on the open document.
    say(&mut desk, eve, DOC, token("eve"));
    let told = listen(&mut desk, eve, &at);
    assert!(
        told.contains(&"readonly false".to_owned()) && told.contains(&"stored true".to_owned())
    );
    assert_eq!(desk.on_disk(DOC).0, 1, "she was asked for what was refused");
    say(&mut desk, eve, OTHER, token("bob"));
    assert_eq!(listen(&mut desk, eve, &at), ["denied the token is another user's"]);
    desk.reconfigure(|_, policy| policy.publish = Access::SignedIn);
    say(&mut desk, eve, DOC, token("eve/subscribe"));
    assert_eq!(listen(&mut desk, eve, &at), ["denied forbidden"]);
    assert_eq!(desk.closed(eve), None, "the connection is for others too");
}

#[test]
fn a_token_that_lives_longer_does_not_become_that_of_another_document() {
    for with_header in [false, true] {
        let mut desk = Desk::new();
        let (plan, other) = (Writer::new(1), Writer::new(2));
        let at = [(DOC, &plan), (OTHER, &other)];
        let first = "ada;doc:plan;100";
        let ada =
            if with_header { desk.editor(first, Editor::Hocuspocus) } else { socket(&mut desk) };
        attach(&mut desk, ada, DOC, if with_header { "" } else { first }, &plan);
        attach(&mut desk, ada, OTHER, "ada;doc:other;300", &other);
        listen(&mut desk, ada, &at);
        say(&mut desk, ada, DOC, Message::Sync(Sync::Update(&plan.write(0, "mine"))));
        say(&mut desk, ada, OTHER, Message::Sync(Sync::Update(&other.write(0, "too"))));
        assert_eq!(listen(&mut desk, ada, &at), ["stored true", "stored true"]);
        // A better token for the one is none for the other.
        say(&mut desk, ada, DOC, token("ada/publish;doc:plan;100"));
        say(&mut desk, ada, OTHER, token("ada;*;400"));
        assert_eq!(
            listen(&mut desk, ada, &at),
            ["readonly true", "readonly true", "readonly false"]
        );
        say(&mut desk, ada, DOC, Message::Sync(Sync::Update(&plan.add("!"))));
        assert_eq!(listen(&mut desk, ada, &at), ["stored false"]);
        desk.pass(80_000);
        assert_eq!(listen(&mut desk, ada, &at), ["token?"], "the first one is asked for as well");
        desk.pass(30_000);
        assert_eq!(listen(&mut desk, ada, &at), ["denied the token has expired"]);
        say(&mut desk, ada, OTHER, Message::Sync(Sync::Update(&other.add("!"))));
        assert_eq!(listen(&mut desk, ada, &at), ["stored true"]);
        assert_eq!((desk.on_disk(DOC).0, desk.on_disk(OTHER).0), (1, 2));
    }
}

#[test]
fn whom_the_backend_has_made_a_reader_stays_one_with_the_same_token_again() {
    let mut desk = Desk::ruled(|policy| {
        policy.hooks.connect = Some(tidings_core::policy::ConnectRule::default());
    });
    let (plan, other) = (Writer::new(1), Writer::new(2));
    let at = [(DOC, &plan), (OTHER, &other)];
    let eve = socket(&mut desk);
    attach(&mut desk, eve, DOC, "eve;*;60", &plan);
    let read = Grant { pattern: "doc:*".into(), actions: [Action::Subscribe].into() };
    let (user, grants) = (Some("guest".into()), Some([read].into()));
    desk.advise(Verdict::Allow(Advice { user, grants, ..Advice::default() }));
    assert!(listen(&mut desk, eve, &at).contains(&"readonly true".to_owned()));
    say(&mut desk, eve, DOC, token("eve;*;600"));
    assert_eq!(listen(&mut desk, eve, &at), ["readonly true"]);
    attach(&mut desk, eve, OTHER, "eve;*;600", &other);
    assert!(listen(&mut desk, eve, &at).contains(&"readonly true".to_owned()));
    for (name, writer) in at {
        say(&mut desk, eve, name, Message::Sync(Sync::Update(&writer.write(0, "no"))));
    }
    assert_eq!(listen(&mut desk, eve, &at), ["stored false", "stored false"]);
    assert_eq!((desk.on_disk(DOC).0, desk.on_disk(OTHER).0), (0, 0));
    say(&mut desk, eve, OTHER, token("guest"));
    assert_eq!(listen(&mut desk, eve, &at), ["denied the token is another user's"]);
    desk.pass(61_000);
    assert_eq!(desk.closed(eve), Some(CloseCode::TokenExpired), "the backend is asked again");
}

#[test]
fn what_is_refused_costs_one_document_and_what_passes_costs_the_connection() {
    let mut desk = Desk::new();
    let plan = Writer::new(1);
    let at = [(DOC, &plan)];
    let ada = socket(&mut desk);
    say(&mut desk, ada, "nothing:here", token("ada"));
    say(&mut desk, ada, "chat:lobby", token("ada"));
    assert_eq!(listen(&mut desk, ada, &at), ["denied not_found", "denied not_found"]);
    attach(&mut desk, ada, DOC, "ada", &plan);
    listen(&mut desk, ada, &at);
    say(&mut desk, ada, DOC, Message::Sync(Sync::Update(b"nonsense")));
    assert_eq!(listen(&mut desk, ada, &at), ["closed invalid_data"]);
    say(&mut desk, ada, DOC, Message::BroadcastStateless("psst"));
    attach(&mut desk, ada, DOC, "ada", &plan);
    listen(&mut desk, ada, &at);
    desk.slow = true;
    say(&mut desk, ada, DOC, Message::Sync(Sync::Update(&plan.write(0, "kept"))));
    desk.store(&Err(StoreError::Full));
    assert!(desk.closed(ada).is_some_and(CloseCode::reconnect));
    let mallory = socket(&mut desk);
    attach(&mut desk, mallory, DOC, "mallory", &plan);
    assert_eq!(listen(&mut desk, mallory, &at), ["denied the token is refused"]);
    assert_eq!(desk.closed(mallory), None, "it may have another one");
    attach(&mut desk, mallory, DOC, "ada", &plan);
    assert!(listen(&mut desk, mallory, &at).contains(&"synced".to_owned()));
    let guesser = socket(&mut desk);
    for _ in 0..16 {
        say(&mut desk, guesser, DOC, token("mallory"));
    }
    assert_eq!(desk.closed(guesser), Some(CloseCode::BadFrame));
    let nobody = socket(&mut desk);
    say(&mut desk, nobody, DOC, token(""));
    assert_eq!(listen(&mut desk, nobody, &at), ["denied a token is needed"]);
    desk.pass(11_000);
    assert_eq!(desk.closed(nobody), Some(CloseCode::HelloTimeout));
    let noise = socket(&mut desk);
    desk.send(noise, b"\xff\xff\xff");
    assert_eq!(desk.closed(noise), Some(CloseCode::BadFrame));
    let long = socket(&mut desk);
    say(&mut desk, long, &format!("doc:plan\0{}", "x".repeat(65)), token("ada"));
    assert_eq!(desk.closed(long), Some(CloseCode::BadFrame));
}

/// What the npm package still takes for unsaved, of so many.
fn unsaved(told: &[String], of: usize) -> isize {
    let saved = told.iter().filter(|it| *it == "stored true").count();
    isize::try_from(of).unwrap() - isize::try_from(saved).unwrap()
}

#[test]
fn what_was_refused_is_saved_when_it_may_be_and_each_change_is_confirmed_once() {
    for refused in [0, 1, 3] {
        let mut desk = Desk::new();
        let plan = Writer::new(1);
        let at = [(DOC, &plan)];
        let eve = socket(&mut desk);
        attach(&mut desk, eve, DOC, "eve", &plan);
        assert_eq!(unsaved(&listen(&mut desk, eve, &at), 1), 0);
        say(&mut desk, eve, DOC, token("eve/publish"));
        for _ in 0..refused {
            say(&mut desk, eve, DOC, Message::Sync(Sync::Update(&plan.add("x"))));
        }
        assert_eq!(unsaved(&listen(&mut desk, eve, &at), refused), refused.cast_signed());
        desk.slow = true;
        say(&mut desk, eve, DOC, token("eve"));
        listen(&mut desk, eve, &at);
        say(&mut desk, eve, DOC, Message::Sync(Sync::Update(&plan.add("y"))));
        assert_eq!(unsaved(&listen(&mut desk, eve, &at), 1), 1, "it is not stored yet");
        desk.store(&Ok(()));
        assert_eq!(unsaved(&listen(&mut desk, eve, &at), refused + 1), 0);
        // A question of its own has it count anew.
        say(&mut desk, eve, DOC, Message::Sync(Sync::Step1(&plan.vector())));
        assert_eq!(unsaved(&listen(&mut desk, eve, &at), 1), 0);
    }
}

#[test]
fn who_may_write_now_is_asked_for_it_also_without_the_right_to_be_seen() {
    let mut desk = Desk::new();
    let plan = Writer::new(1);
    let at = [(DOC, &plan)];
    let eve = socket(&mut desk);
    attach(&mut desk, eve, DOC, "eve/publish,presence", &plan);
    listen(&mut desk, eve, &at);
    say(&mut desk, eve, DOC, Message::Sync(Sync::Update(&plan.add("x"))));
    assert_eq!(listen(&mut desk, eve, &at), ["stored false"]);
    say(&mut desk, eve, DOC, token("eve/presence"));
    assert!(listen(&mut desk, eve, &at).contains(&"stored true".to_owned()));
}

#[test]
fn a_provider_hears_something_in_time() {
    let mut desk = Desk::new();
    let plan = Writer::new(1);
    let ada = socket(&mut desk);
    attach(&mut desk, ada, DOC, "ada", &plan);
    listen(&mut desk, ada, &[(DOC, &plan)]);
    for _ in 0..3 {
        desk.pass(25_000);
        assert!(!desk.got(ada).is_empty());
    }
}

#[test]
fn version_2_without_a_token_is_who_its_connection_says() {
    let mut desk = Desk::with(2, |_, _| {});
    let plan = Writer::new(1);
    // One of them is on the document's shard, the other moves there.
    for _ in 0..2 {
        let ada = desk.editor("ada", Editor::Hocuspocus);
        say(&mut desk, ada, DOC, Message::Sync(Sync::Step1(&plan.vector())));
        let told = listen(&mut desk, ada, &[(DOC, &plan)]);
        assert_eq!(told, ["readonly false", "synced", "stored true"]);
        say(&mut desk, ada, DOC, Message::Close(""));
        say(&mut desk, ada, DOC, Message::Awareness(&[0]));
        assert!(listen(&mut desk, ada, &[(DOC, &plan)]).is_empty(), "it is closed");
        desk.leave(ada);
    }
    let ada = desk.editor("ada", Editor::Hocuspocus);
    say(&mut desk, ada, DOC, Message::Sync(Sync::Step1(&plan.vector())));
    let told = listen(&mut desk, ada, &[(DOC, &plan)]);
    assert_eq!(told, ["readonly false", "synced", "stored true"]);
    let mut desk = Desk::ruled(|policy| {
        policy.anonymous = true;
        policy.hooks.connect = Some(tidings_core::policy::ConnectRule::default());
    });
    desk.reconfigure(|_, policy| {
        (policy.subscribe, policy.publish) = (Access::Anyone, Access::Anyone);
    });
    let nobody = socket(&mut desk);
    say(&mut desk, nobody, DOC, Message::Sync(Sync::Step1(&plan.vector())));
    let denial = Denial { code: ErrorCode::Forbidden, close: CloseCode::Forbidden, message: None };
    desk.advise(Verdict::Deny(denial));
    let told = listen(&mut desk, nobody, &[(DOC, &plan)]);
    assert_eq!(told, ["denied the application does not allow this"]);
    attach(&mut desk, nobody, DOC, "ada", &plan);
    desk.advise(Verdict::Allow(Advice::default()));
    let told = listen(&mut desk, nobody, &[(DOC, &plan)]);
    assert_eq!(told, ["readonly false", "synced", "stored true"]);
}
