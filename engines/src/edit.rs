//! Edits of what a document holds besides its text.

/// An edit of one of the containers that every document has at its root: the
/// map `map` and the list `list`. Positions count elements.
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
