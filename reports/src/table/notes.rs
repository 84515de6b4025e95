//! Footnotes, without duplicates and numbered in the order of their first use.

use serde::Serialize;

/// A footnote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Its number, from 1.
    pub number: usize,
    /// The text of the note.
    pub text: String,
}

/// The footnotes of a table under construction.
#[derive(Debug, Default)]
pub struct Notes(Vec<Note>);

impl Notes {
    /// Returns the number of the note with this text, and adds it if it is new.
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

    /// Returns all footnotes in the order of their numbers.
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
