//! The seeded edits of the conflict rows, and the content that they must lead to.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use crate::{Edit, EngineError, Replica, Value};

/// The exclusive upper bound of numbers in lists.
const LARGEST: i64 = 0x7fff_ffff;

/// A change of the text or of the list.
pub enum Change {
    Text {
        pos: usize,
        del: usize,
        ins: String,
    },
    Numbers {
        pos: usize,
        values: Vec<Value<'static>>,
    },
}

impl Change {
    pub fn make(&self, replica: &mut dyn Replica) -> Result<(), EngineError> {
        match self {
            Self::Text { pos, del, ins } => replica.splice(*pos, *del, ins),
            Self::Numbers { pos, values } => replica.edit(&Edit::ListInsert { pos: *pos, values }),
        }
    }
}

/// Returns the next change, drawn at random for the current content.
pub type Step = fn(&mut Xoshiro256PlusPlus, &Model) -> Change;

/// A series of changes, and the content of a document that had only these.
pub struct Input {
    pub changes: Vec<Change>,
    pub end: Model,
}

impl Input {
    /// Draws `count` changes to a document that shows `base`.
    pub fn new(seed: u64, base: &str, count: usize, step: Step) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut end = Model {
            text: base.chars().collect(),
            list: Vec::new(),
            changes: 0,
        };
        let changes = (0..count).map(|_| {
            let change = step(&mut rng, &end);
            end.apply(&change);
            change
        });
        Self {
            changes: changes.collect(),
            end,
        }
    }
}

/// The content of a document.
pub struct Model {
    text: Vec<char>,
    list: Vec<Value<'static>>,
    changes: usize,
}

impl Model {
    pub fn text(&self) -> String {
        self.text.iter().collect()
    }

    pub fn list(&self) -> Vec<serde_json::Value> {
        let numbers = self.list.iter().map(|value| match value {
            Value::Int(number) => (*number).into(),
            _ => serde_json::Value::Null,
        });
        numbers.collect()
    }

    fn apply(&mut self, change: &Change) {
        self.changes += 1;
        match change {
            Change::Text { pos, del, ins } => {
                self.text.splice(*pos..pos + del, ins.chars());
            }
            Change::Numbers { pos, values } => {
                self.list.splice(*pos..*pos, values.iter().copied());
            }
        }
    }
}

/// Draws lower-case letters; their number is drawn from `lengths`.
pub fn word(rng: &mut Xoshiro256PlusPlus, lengths: std::ops::RangeInclusive<usize>) -> String {
    let len = rng.random_range(lengths);
    let letters = (0..len).map(|_| char::from(rng.random_range(b'a'..=b'z')));
    letters.collect()
}

pub fn append(rng: &mut Xoshiro256PlusPlus, there: &Model) -> Change {
    typed(there.text.len(), word(rng, 1..=1))
}

pub fn prepend(rng: &mut Xoshiro256PlusPlus, _: &Model) -> Change {
    typed(0, word(rng, 1..=1))
}

/// Inserts as many characters at once as the other rows insert one by one.
pub fn string(rng: &mut Xoshiro256PlusPlus, _: &Model) -> Change {
    typed(0, word(rng, super::N..=super::N))
}

pub fn character(rng: &mut Xoshiro256PlusPlus, there: &Model) -> Change {
    typed(anywhere(rng, there), word(rng, 1..=1))
}

pub fn long_word(rng: &mut Xoshiro256PlusPlus, there: &Model) -> Change {
    typed(anywhere(rng, there), word(rng, 2..=10))
}

pub fn short_word(rng: &mut Xoshiro256PlusPlus, there: &Model) -> Change {
    typed(anywhere(rng, there), word(rng, 3..=9))
}

/// Inserts a long string first, then deletes it.
pub fn string_then_nothing(rng: &mut Xoshiro256PlusPlus, there: &Model) -> Change {
    match there.text.len() {
        0 => string(rng, there),
        all => deleted(0, all),
    }
}

/// Inserts a word, or deletes up to nine characters.
pub fn word_or_deletion(rng: &mut Xoshiro256PlusPlus, there: &Model) -> Change {
    let pos = anywhere(rng, there);
    let left = there.text.len() - pos;
    match left == 0 || rng.random() {
        true => typed(pos, word(rng, 2..=10)),
        false => deleted(pos, rng.random_range(1..=left.min(9))),
    }
}

/// Alternates between a word and what [`word_or_deletion`] draws.
pub fn in_turn(rng: &mut Xoshiro256PlusPlus, there: &Model) -> Change {
    match there.changes.is_multiple_of(2) {
        true => short_word(rng, there),
        false => word_or_deletion(rng, there),
    }
}

pub fn append_number(rng: &mut Xoshiro256PlusPlus, there: &Model) -> Change {
    numbers(rng, there.list.len(), 1)
}

pub fn prepend_number(rng: &mut Xoshiro256PlusPlus, _: &Model) -> Change {
    numbers(rng, 0, 1)
}

pub fn number(rng: &mut Xoshiro256PlusPlus, there: &Model) -> Change {
    let pos = rng.random_range(0..=there.list.len());
    numbers(rng, pos, 1)
}

pub fn all_numbers(rng: &mut Xoshiro256PlusPlus, _: &Model) -> Change {
    numbers(rng, 0, super::N)
}

fn anywhere(rng: &mut Xoshiro256PlusPlus, there: &Model) -> usize {
    rng.random_range(0..=there.text.len())
}

fn typed(pos: usize, ins: String) -> Change {
    Change::Text { pos, del: 0, ins }
}

fn deleted(pos: usize, del: usize) -> Change {
    let ins = String::new();
    Change::Text { pos, del, ins }
}

fn numbers(rng: &mut Xoshiro256PlusPlus, pos: usize, count: usize) -> Change {
    let values = (0..count).map(|_| Value::Int(rng.random_range(0..LARGEST)));
    let values = values.collect();
    Change::Numbers { pos, values }
}
