//! Ada, Bob and Cyd edit one document in all the ways there are, each for a while alone.

use yrs::types::Attrs;
use yrs::updates::decoder::Decode;
use yrs::{
    Any, Array, ArrayPrelim, Doc, Map, MapPrelim, ReadTxn, StateVector, Text, TextPrelim, Transact,
    TransactionMut, Update, WriteTxn, XmlElementPrelim, XmlFragment, XmlTextPrelim,
};

use super::{apply, document, state};

/// Dice: the same for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 33) as u32) % sides
    }
}

/// The update of each step, and the documents behind them, which all know everything.
pub(crate) struct Story {
    pub(crate) updates: Vec<Vec<u8>>,
    pub(crate) docs: Vec<Doc>,
}

/// A story in which text is formatted.
pub(crate) fn story(seed: u64, steps: usize) -> Story {
    told(seed, steps, true)
}

/// A story in which it is not.
pub(crate) fn plain_story(seed: u64, steps: usize) -> Story {
    told(seed, steps, false)
}

fn told(seed: u64, steps: usize, formats: bool) -> Story {
    let mut dice = Dice::new(seed);
    // Small and large numbers: their order among each other matters to merges.
    let docs: Vec<_> = [7, 4_000_000_000, 1 << 52].map(document).into();
    let mut updates = Vec::new();
    for _ in 0..steps {
        let doc = &docs[dice.roll(3) as usize];
        if dice.roll(6) == 0 {
            meet(doc, &docs[dice.roll(3) as usize]);
        }
        let before = doc.transact().state_vector();
        let mut transaction = doc.transact_mut();
        step(&mut transaction, &mut dice, formats);
        drop(transaction);
        updates.push(doc.transact().encode_diff_v1(&before));
    }
    for _ in 0..2 {
        docs.iter().for_each(|doc| docs.iter().for_each(|other| meet(doc, other)));
    }
    Story { updates, docs }
}

fn meet(doc: &Doc, other: &Doc) {
    let vector = doc.transact().state_vector();
    let missing = other.try_transact().map(|known| known.encode_state_as_update_v1(&vector));
    if let Ok(missing) = missing {
        assert!(apply(doc, &missing));
    }
}

const WORDS: [&str; 6] = ["a", "Hello ", "añb", "👍👎", "\n", "a line that is somewhat longer. "];

fn step(transaction: &mut TransactionMut<'_>, dice: &mut Dice, formats: bool) {
    match dice.roll(8) {
        0..4 => write_text(transaction, dice, formats),
        4 => set_key(transaction, dice),
        5 => fill_array(transaction, dice),
        6 => write_xml(transaction, dice, formats),
        _ => write_text(transaction, dice, formats),
    }
}

fn write_text(transaction: &mut TransactionMut<'_>, dice: &mut Dice, formats: bool) {
    let text = transaction.get_or_insert_text("text");
    let length = text.len(transaction);
    // Between characters of two places it would be cut.
    let at = if length == 0 { 0 } else { safe(&text, transaction, dice.roll(length + 1)) };
    match dice.roll(5) {
        0 if length > at => {
            let end = safe(&text, transaction, (at + 1 + dice.roll(8)).min(length));
            text.remove_range(transaction, at, end.saturating_sub(at));
        }
        1 if formats && length > at => {
            let end = safe(&text, transaction, (at + 1 + dice.roll(8)).min(length));
            let value = if dice.roll(2) == 0 { Any::Null } else { Any::Bool(true) };
            text.format(
                transaction,
                at,
                end.saturating_sub(at),
                Attrs::from([("b".into(), value)]),
            );
        }
        2 => {
            let image = Any::from_json(r#"{"image":"a.png"}"#).unwrap();
            text.insert_embed(transaction, at, image);
        }
        _ => text.insert(transaction, at, WORDS[dice.roll(6) as usize]),
    }
}

/// A place that is not within a character: places of all that comes before are summed up.
fn safe(text: &yrs::TextRef, transaction: &TransactionMut<'_>, wanted: u32) -> u32 {
    let mut at = 0;
    for chunk in text.diff(transaction, yrs::types::text::YChange::identity) {
        let lengths: Vec<u32> = match chunk.insert {
            yrs::Out::Any(Any::String(text)) => {
                text.chars().map(|c| c.len_utf16() as u32).collect()
            }
            _ => vec![1],
        };
        for length in lengths {
            if at + length > wanted {
                return at;
            }
            at += length;
        }
    }
    at
}

fn set_key(transaction: &mut TransactionMut<'_>, dice: &mut Dice) {
    let map = transaction.get_or_insert_map("map");
    let key = ["title", "done", "list"][dice.roll(3) as usize];
    match dice.roll(5) {
        0 => {
            map.remove(transaction, key);
        }
        1 => {
            let inner = map.insert(transaction, key, MapPrelim::from([("x", 1)]));
            inner.insert(transaction, "note", TextPrelim::new("Paint the door"));
        }
        2 => {
            map.insert(transaction, key, vec![0u8, 1, 255]);
        }
        3 => {
            let any = r#"{"a":[1,2.5,null,"x",{"b":true}],"n":-1,"big":4294967296}"#;
            map.insert(transaction, key, Any::from_json(any).unwrap());
        }
        _ => {
            map.insert(transaction, key, f64::from(dice.roll(100)) / 3.0);
        }
    }
}

fn fill_array(transaction: &mut TransactionMut<'_>, dice: &mut Dice) {
    let array = transaction.get_or_insert_array("array");
    let length = array.len(transaction);
    let at = dice.roll(length + 1);
    match dice.roll(4) {
        0 if at < length => array.remove_range(transaction, at, 1 + dice.roll(length - at)),
        1 => {
            array.insert(transaction, at, ArrayPrelim::from([1, 2, 3]));
        }
        2 => {
            array.insert(transaction, at, Doc::with_client_id(u64::from(dice.roll(1000))));
        }
        _ => {
            array.insert_range(transaction, at, ["x", "y", "zz"]);
        }
    }
}

fn write_xml(transaction: &mut TransactionMut<'_>, dice: &mut Dice, formats: bool) {
    let page = transaction.get_or_insert_xml_fragment("page");
    let length = page.len(transaction);
    if length > 3 && dice.roll(3) == 0 {
        page.remove_range(transaction, dice.roll(length), 1);
        return;
    }
    let paragraph = page.insert(transaction, length, XmlElementPrelim::empty("p"));
    let text = paragraph.insert(transaction, 0, XmlTextPrelim::new("Dear all"));
    if formats {
        text.format(transaction, 0, 4, Attrs::from([("em".into(), true.into())]));
    }
}

/// What yrs makes of all the updates, in their order.
pub(crate) fn together(updates: &[Vec<u8>]) -> Doc {
    let doc = document(1);
    for update in updates {
        let update = Update::decode_v1(update).unwrap();
        doc.transact_mut().apply_update(update).unwrap();
    }
    doc
}

#[test]
fn a_story_ends_in_one_state_for_all() {
    let story = story(3, 200);
    let whole = state(&story.docs[0]);
    for doc in &story.docs {
        assert_eq!(super::seen(doc), super::seen(&story.docs[0]));
        assert_eq!(doc.transact().state_vector(), story.docs[0].transact().state_vector());
    }
    assert_eq!(super::seen(&together(&story.updates)), super::seen(&together(&[whole])));
    assert!(story.docs[0].transact().state_vector() != StateVector::default());
}
