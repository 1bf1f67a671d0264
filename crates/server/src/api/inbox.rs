//! Notifications, inboxes, read cursors and those who follow topics.

use std::collections::HashSet;

use futures_util::StreamExt;
use futures_util::stream;
use serde::de::IgnoredAny;
use tidings_core::engine::{Inquiry, Notify};
use tidings_proto::{InboxQuery, Mark};

use super::call::{Call, check_user, json};
use super::inbox_types::{
    Cursors, FollowBody, Followed, Followers, Inbox, MarkBody, Marked, NotNotified, Notified,
    NotifiedOne, NotifyBody,
};
use super::problem::Problem;
use crate::transport::http::Answer;

/// Users of one request.
const USERS: usize = 10_000;
/// Users of one request who are looked after at once.
const AT_ONCE: usize = 256;
/// Followers that are asked for at once.
const PAGE: usize = 1000;

pub(super) async fn notify(call: &Call<'_>) -> Result<Answer, Problem> {
    let body: NotifyBody = call.body()?;
    body.user_from.as_deref().map_or(Ok(()), check_user)?;
    check_topic(&body.topic)?;
    let NotifyBody { topic, subject, data, key, ttl, user_from, .. } = &body;
    let wish = Notify {
        topic,
        subject: subject.as_deref(),
        data,
        key: key.as_deref(),
        ttl_ms: *ttl,
        from: user_from.as_deref(),
    };
    let mut told = Notified::default();
    match (&body.user, &body.users, &body.topic_followers) {
        (Some(user), None, None) => {
            may_notify(call, user)?;
            // What is wrong with the only one is wrong with the request.
            let one: NotifiedOne = call.inquire(Inquiry::Notify(user, &wish)).await?;
            told.note(user, Ok(one));
        }
        (None, Some(users), None) => {
            if !(1..=USERS).contains(&users.len()) {
                return Err(Problem::bad_request("`users` has 1 to 10000 entries"));
            }
            // Whoever is named twice is told once.
            let mut named = HashSet::with_capacity(users.len());
            let users: Vec<&str> =
                users.iter().map(String::as_str).filter(|user| named.insert(*user)).collect();
            notify_all(call, &users, &wish, &mut told).await;
        }
        (None, None, Some(topic)) => {
            call.key.require_pattern("inbox:*")?;
            let mut page = followers_page(call, topic, None, PAGE).await?;
            loop {
                let users: Vec<&str> = page.users.iter().map(String::as_str).collect();
                notify_all(call, &users, &wish, &mut told).await;
                let Some(last) = page.users.last().filter(|_| page.more) else { break };
                page = followers_page(call, topic, Some(last), PAGE).await?;
            }
        }
        _ => {
            let why = "whom? give one of `user`, `users` and `topic_followers`";
            return Err(Problem::bad_request(why));
        }
    }
    Ok(json(&told))
}

/// All at once, so that those that are stored share a sync.
async fn notify_all(call: &Call<'_>, users: &[&str], wish: &Notify<'_>, told: &mut Notified) {
    let outcomes = users.iter().map(|&user| async move {
        let outcome = match may_notify(call, user) {
            Ok(()) => call.inquire_one_of_many(Inquiry::Notify(user, wish)).await,
            Err(problem) => Err(problem),
        };
        (user, outcome)
    });
    let mut outcomes = stream::iter(outcomes).buffer_unordered(AT_ONCE);
    while let Some((user, outcome)) = outcomes.next().await {
        told.note(user, outcome);
    }
}

impl Notified {
    fn note(&mut self, user: &str, outcome: Result<NotifiedOne, Problem>) {
        match outcome {
            Ok(NotifiedOne { duplicate: false }) => self.notified += 1,
            Ok(NotifiedOne { duplicate: true }) => self.duplicates += 1,
            Err(problem) if self.failed.len() < USERS => {
                self.failed.push(NotNotified { user: user.to_owned(), code: problem.code() });
            }
            Err(_) => {}
        }
    }
}

/// Also where nobody is named or follows, so that it would not be looked at.
fn check_topic(topic: &str) -> Result<(), Problem> {
    if topic.is_empty() {
        return Err(Problem::bad_request("`topic` is empty"));
    }
    Ok(())
}

fn may_notify(call: &Call<'_>, user: &str) -> Result<(), Problem> {
    check_user(user)?;
    call.key.require_channel(&format!("inbox:{user}"))
}

/// The user that a question is about.
fn whose<'a>(call: &'a Call<'_>) -> Result<&'a str, Problem> {
    let user = call.query.get("user").map(String::as_str);
    let user = user.ok_or_else(|| Problem::bad_request("whose? give a `user`"))?;
    may_notify(call, user)?;
    Ok(user)
}

pub(super) async fn inbox(call: &Call<'_>) -> Result<Answer, Problem> {
    let user = whose(call)?;
    let text = |name: &str| call.query.get(name).map(|text| text.as_str().into());
    let flag = |name: &str| match call.query.get(name).map(String::as_str) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::bad_request(format!("`{name}` is `true` or `false`"))),
    };
    let query = InboxQuery {
        before: call.number("before")?,
        limit: Some(call.limit(50, 100)? as u64),
        topic: text("topic"),
        subject: text("subject"),
        unread: flag("unread")?,
        archived: flag("archived")?,
        group: flag("group")?,
    };
    Ok(json(&call.inquire::<Inbox>(Inquiry::Inbox(user, query)).await?))
}

pub(super) async fn mark(call: &Call<'_>) -> Result<Answer, Problem> {
    let MarkBody { user, how, ids, upto } = call.body()?;
    may_notify(call, &user)?;
    let mark = Mark { how, ids, upto, producer: None };
    Ok(json(&call.inquire::<Marked>(Inquiry::Mark(&user, mark)).await?))
}

pub(super) async fn cursors(call: &Call<'_>) -> Result<Answer, Problem> {
    let user = whose(call)?;
    Ok(json(&call.inquire::<Cursors>(Inquiry::Cursors(user)).await?))
}

pub(super) async fn followers(call: &Call<'_>) -> Result<Answer, Problem> {
    let topic = call.query.get("topic").map(String::as_str);
    let topic = topic.ok_or_else(|| Problem::bad_request("of which `topic`?"))?;
    call.key.require_pattern("inbox:*")?;
    let (after, limit) = (call.query.get("after").map(String::as_str), call.limit(100, PAGE)?);
    Ok(json(&followers_page(call, topic, after, limit).await?))
}

async fn followers_page(
    call: &Call<'_>,
    topic: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Followers, Problem> {
    call.inquire(Inquiry::Followers { topic, after, limit }).await
}

pub(super) async fn follow(call: &Call<'_>) -> Result<Answer, Problem> {
    let FollowBody { topic, add, remove } = call.body()?;
    call.key.require_pattern("inbox:*")?;
    check_topic(&topic)?;
    if add.len() + remove.len() > USERS {
        return Err(Problem::bad_request("`add` and `remove` have 10000 entries at most"));
    }
    add.iter().chain(&remove).try_for_each(|user| check_user(user))?;
    for (users, on) in [(&add, true), (&remove, false)] {
        let outcomes = users.iter().map(|user| {
            let inquiry = Inquiry::Follow { topic: &topic, user, on };
            call.inquire_one_of_many::<IgnoredAny>(inquiry)
        });
        let mut outcomes = stream::iter(outcomes).buffered(AT_ONCE);
        while let Some(outcome) = outcomes.next().await {
            outcome?;
        }
    }
    Ok(json(&Followed { added: add.len(), removed: remove.len() }))
}
