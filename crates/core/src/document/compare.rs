//! What differs between two texts, for people.

use serde::Serialize;

use super::diff::parts;

/// A piece of two texts, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Whether it is in both.
    pub change: TextChange,
    /// Itself.
    pub text: String,
}

/// Which text has a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TextChange {
    /// Both.
    Same,
    /// The old one.
    Removed,
    /// The new one.
    Added,
}

/// What is in both, and what in one of them only: by words, inside of the lines that differ. Takes
/// bounded time: what is too much to compare was removed and added.
pub fn compare(old: &str, new: &str) -> Vec<Compared> {
    let (old, new) = (words(old), words(new));
    let mut found: Vec<Compared> = Vec::new();
    let mut add = |change, words: &[&str]| {
        let text = words.concat();
        match found.last_mut() {
            _ if text.is_empty() => {}
            Some(last) if last.change == change => last.text.push_str(&text),
            _ => found.push(Compared { change, text }),
        }
    };
    for part in parts(&old, &new, |word| *word == "\n") {
        if part.equal {
            add(TextChange::Same, &new[part.new]);
        } else {
            add(TextChange::Removed, &old[part.old]);
            add(TextChange::Added, &new[part.new]);
        }
    }
    found
}

/// Words, and what stands between them, one by one.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(word.max(if word == 0 { first.len_utf8() } else { 0 }));
        words.push(word);
        rest = behind;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(old: &str, new: &str) -> String {
        let shown = |piece: &Compared| match piece.change {
            TextChange::Same => piece.text.clone(),
            TextChange::Removed => format!("[-{}]", piece.text),
            TextChange::Added => format!("[+{}]", piece.text),
        };
        compare(old, new).iter().map(shown).collect()
    }

    #[test]
    fn words_that_were_changed_are_shown_in_their_lines() {
        let (old, new) = ("We meet on Monday.\nBring milk.\n", "We meet on Friday.\nBring milk.\n");
        assert_eq!(shown(old, new), "We meet on [-Monday][+Friday].\nBring milk.\n");
        assert_eq!(shown("", "Größe 🙂"), "[+Größe 🙂]");
        assert_eq!(shown("all", ""), "[-all]");
        assert_eq!(shown("same", "same"), "same");
        assert_eq!(shown("", ""), "");
        assert_eq!(shown("one\n", "zero\none\n"), "[+zero\n]one\n");
    }

    #[test]
    fn two_long_texts_with_nothing_in_common_take_no_longer_than_they_have_to() {
        let (old, new) = ("old words ".repeat(50_000), "new text\n".repeat(50_000));
        let found = compare(&old, &new);
        let has = |change| found.iter().filter(move |piece| piece.change == change);
        let removed: String = has(TextChange::Removed).map(|piece| &*piece.text).collect();
        assert!(removed.len() > 300_000);
    }
}
