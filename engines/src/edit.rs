//! Edits of what a document holds besides its text.

use crate::{Counter, PeerId};

/// An edit of one of the containers that every document has at its root: the
/// map `map`, the list `list`, the movable list `movable` and the counter
/// `counter`; also of the marks of its text. Positions count elements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Edit<'a> {
    /// Sets a key of the map.
    MapSet {
        /// The key.
        key: &'a str,
        /// What it is set to.
        value: Value<'a>,
    },
    /// Removes a key of the map. Removing what is not there is no error.
    MapDelete {
        /// The key.
        key: &'a str,
    },
    /// Inserts elements into the list.
    ListInsert {
        /// Before which element.
        pos: usize,
        /// The elements.
        values: &'a [Value<'a>],
    },
    /// Deletes elements of the list.
    ListDelete {
        /// The first of them.
        pos: usize,
        /// How many.
        len: usize,
    },
    /// Makes a range of the text bold. Text that is typed at its end becomes
    /// bold as well.
    Bold {
        /// First character.
        start: usize,
        /// Behind the last character.
        end: usize,
    },
    /// Inserts an element into the movable list.
    MovableInsert {
        /// Before which element.
        pos: usize,
        /// The element.
        value: Value<'a>,
    },
    /// Gives an element of the movable list another value, in its place.
    MovableSet {
        /// Which element.
        pos: usize,
        /// Its new value.
        value: Value<'a>,
    },
    /// Moves an element of the movable list.
    MovableMove {
        /// Which element.
        from: usize,
        /// Its position afterwards.
        to: usize,
    },
    /// Adds to the counter.
    CounterAdd {
        /// How much; may be negative.
        by: i32,
    },
}

/// A node of the tree `tree`: who made it, and the counter of that operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId {
    /// The peer that made it.
    pub peer: PeerId,
    /// The counter of the operation that made it.
    pub counter: Counter,
}

/// A run of text with the same marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The text.
    pub text: String,
    /// Whether it is bold.
    pub bold: bool,
}

/// A value in a map or list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// A whole number.
    Int(i64),
    /// A string that is replaced as a whole.
    Str(&'a str),
    /// A map of values, as one value that is replaced as a whole where the
    /// engine has such values, and a map of its own where it has not.
    Object(&'a [(&'a str, Value<'a>)]),
    /// A text of its own that can be edited, with this content.
    Text(&'a str),
    /// A map of its own that can be edited, with these entries.
    Map(&'a [(&'a str, Value<'a>)]),
    /// A list of its own that can be edited, with these elements.
    List(&'a [Value<'a>]),
}
