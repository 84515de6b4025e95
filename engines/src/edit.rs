//! Edits of the content of a document other than its text.

use crate::{Counter, PeerId};

/// An edit of the marks of the text, or of one of the containers that every document
/// has at its root: the map `map`, the list `list`, the movable list `movable` and the
/// counter `counter`. Positions count elements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Edit<'a> {
    /// Sets a key of the map.
    MapSet {
        /// The key.
        key: &'a str,
        /// The new value.
        value: Value<'a>,
    },
    /// Removes a key of the map. Removing an absent key is not an error.
    MapDelete {
        /// The key.
        key: &'a str,
    },
    /// Inserts elements into the list.
    ListInsert {
        /// The position of the element before which they are inserted.
        pos: usize,
        /// The elements.
        values: &'a [Value<'a>],
    },
    /// Deletes elements of the list.
    ListDelete {
        /// The position of the first element.
        pos: usize,
        /// The number of elements.
        len: usize,
    },
    /// Makes a range of the text bold. Text that is typed at its end becomes
    /// bold as well.
    Bold {
        /// The position of the first character.
        start: usize,
        /// The position after the last character.
        end: usize,
    },
    /// Inserts an element into the movable list.
    MovableInsert {
        /// The position of the element before which it is inserted.
        pos: usize,
        /// The element.
        value: Value<'a>,
    },
    /// Replaces an element of the movable list in its place.
    MovableSet {
        /// The position of the element.
        pos: usize,
        /// The new value.
        value: Value<'a>,
    },
    /// Moves an element of the movable list.
    MovableMove {
        /// The position of the element.
        from: usize,
        /// The position of the element after the move.
        to: usize,
    },
    /// Adds to the counter.
    CounterAdd {
        /// The number to add, which may be negative.
        by: i32,
    },
}

/// A node of the tree `tree`, identified by the operation that created it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId {
    /// The peer that created the node.
    pub peer: PeerId,
    /// The counter of the operation that created it.
    pub counter: Counter,
}

/// A run of text with the same marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The text.
    pub text: String,
    /// True if it is bold.
    pub bold: bool,
}

/// A value in a map or list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// A whole number.
    Int(i64),
    /// A string that is replaced as a whole.
    Str(&'a str),
    /// A map as one value that is replaced as a whole, in engines that have such
    /// values; in others, a nested map.
    Object(&'a [(&'a str, Value<'a>)]),
    /// A nested text that can be edited, with this content.
    Text(&'a str),
    /// A nested map that can be edited, with these entries.
    Map(&'a [(&'a str, Value<'a>)]),
    /// A nested list that can be edited, with these elements.
    List(&'a [Value<'a>]),
}
