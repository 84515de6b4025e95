//! Footnotes: each text once, numbered in the order of its first use.

use serde::Serialize;

/// A footnote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Its number, from 1.
    pub number: usize,
    /// What it says.
    pub text: String,
}

/// The footnotes of a table while it is made.
#[derive(Debug, Default)]
pub struct Notes(Vec<Note>);

impl Notes {
    /// The number of the note with this text, which is added where it is new.
    pub fn number(&mut self, text: &str) -> usize {
        if let Some(note) = self.0.iter().find(|note| note.text == text) {
            return note.number;
        }
        let number = self.0.len() + 1;
        self.0.push(Note {
            number,
            text: text.to_owned(),
        });
        number
    }

    /// All of them, by number.
    pub fn into_notes(self) -> Vec<Note> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_number_however_often_it_is_used() {
        let mut notes = Notes::default();
        let numbers = ["lazy", "gc", "lazy", "gc", "other"].map(|text| notes.number(text));
        assert_eq!(numbers, [1, 2, 1, 2, 3]);
        assert_eq!(notes.into_notes().len(), 3);
    }
}
