//! Pages of an inbox, the newest item first.

use std::collections::HashMap;

use super::{Inbox, Item};

/// What somebody asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    /// Only what is older than this item.
    pub(crate) before: Option<u64>,
    pub(crate) limit: usize,
    pub(crate) topic: Option<Box<str>>,
    pub(crate) subject: Option<Box<str>>,
    /// Only what was not read.
    pub(crate) unread: bool,
    /// What is archived, and else only what is not.
    pub(crate) archived: bool,
    /// By subject.
    pub(crate) group: bool,
}

/// A page: JSON arrays.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) json: String,
    pub(crate) more: bool,
}

/// All items about one subject.
struct Group<'a> {
    latest: &'a Item,
    count: u64,
    unread: u64,
}

impl Query {
    fn fits(&self, item: &Item) -> bool {
        let is = |wanted: &Option<Box<str>>, has: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| has == Some(wanted))
        };
        item.flags.archived == self.archived
            && (!self.unread || item.flags.is_unread())
            && is(&self.topic, Some(&item.topic))
            && is(&self.subject, item.subject.as_deref())
    }
}

impl Inbox {
    /// A page of at most `room` bytes, but at least one item.
    pub(crate) fn list(&self, query: &Query, room: usize) -> Listed {
        if query.group { self.groups(query, room) } else { self.page(query, room) }
    }

    fn page(&self, query: &Query, room: usize) -> Listed {
        let below = |item: &&Item| query.before.is_none_or(|before| item.id < before);
        let found = self.items.iter().rev().skip_while(|item| !below(item));
        let (mut json, mut count, mut more) = (String::from("["), 0, false);
        for item in found.filter(|item| query.fits(item)) {
            if count >= query.limit || (count > 0 && json.len() + item.bytes() > room) {
                more = true;
                break;
            }
            if count > 0 {
                json.push(',');
            }
            item.write(&mut json);
            count += 1;
        }
        json.push(']');
        Listed { json, more }
    }

    /// A group stands where its newest item does; `before` is the newest item of the last one.
    fn groups(&self, query: &Query, room: usize) -> Listed {
        let (mut groups, mut places) = (Vec::<Group<'_>>::new(), HashMap::new());
        for item in self.items.iter().rev().filter(|item| query.fits(item)) {
            let fresh = groups.len();
            let place = match &item.subject {
                Some(subject) => *places.entry((&*item.topic, &**subject)).or_insert(fresh),
                None => fresh,
            };
            if place == fresh {
                groups.push(Group { latest: item, count: 0, unread: 0 });
            }
            groups[place].count += 1;
            groups[place].unread += u64::from(item.flags.is_unread());
        }
        let below = |group: &&Group<'_>| query.before.is_none_or(|b| group.latest.id < b);
        let (mut json, mut count, mut more) = (String::from("["), 0, false);
        for group in groups.iter().filter(below) {
            if count >= query.limit || (count > 0 && json.len() + group.latest.bytes() > room) {
                more = true;
                break;
            }
            if count > 0 {
                json.push(',');
            }
            group.write(&mut json);
            count += 1;
        }
        json.push(']');
        Listed { json, more }
    }
}

impl Group<'_> {
    fn write(&self, out: &mut String) {
        let Self { latest, count, unread } = self;
        let text = |text: &str| serde_json::to_string(text).unwrap_or_default();
        let topic = text(&latest.topic);
        let subject = latest.subject.as_ref().map(|subject| text(subject));
        let subject = subject.map(|text| format!("\"subject\":{text},")).unwrap_or_default();
        out.push_str(&format!(
            "{{{subject}\"topic\":{topic},\"count\":{count},\"unread\":{unread},\"latest\":"
        ));
        latest.write(out);
        out.push('}');
    }
}
