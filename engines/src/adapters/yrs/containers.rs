//! The content of a Yrs document besides its text.

use std::collections::HashMap;

use yrs::types::ToJson;
use yrs::types::text::YChange;
use yrs::{
    Any, Array, ArrayPrelim, ArrayRef, Doc, Map, MapPrelim, MapRef, ReadTxn, Text, TextPrelim,
    TextRef, Transact, TransactionMut,
};

use super::{NO_COUNTER, NO_MOVES};
use crate::{Edit, EngineError, Span, Value};

/// Handles to the containers at the root.
pub(super) struct Containers {
    map: MapRef,
    list: ArrayRef,
    /// The length of the list, including edits that are not committed yet.
    open_len: Option<usize>,
}

/// An edit that the next commit applies.
pub(super) enum Open {
    MapSet(String, Content),
    MapDelete(String),
    ListInsert(u32, Vec<Any>),
    /// A nested container as one element.
    ListNest(u32, Content),
    ListDelete(u32, u32),
    /// Start and length, in scalar values.
    Bold(usize, usize),
}

impl Containers {
    pub(super) fn new(doc: &Doc) -> Self {
        Self {
            map: doc.get_or_insert_map("map"),
            list: doc.get_or_insert_array("list"),
            open_len: None,
        }
    }

    /// Returns the steps of an edit for the next commit. The bounds are checked here,
    /// because Yrs panics if they are wrong.
    pub(super) fn open(&mut self, doc: &Doc, edit: &Edit<'_>) -> Result<Vec<Open>, EngineError> {
        Ok(match *edit {
            Edit::MapSet { key, value } => vec![Open::MapSet(key.to_owned(), Content::of(value))],
            Edit::MapDelete { key } => vec![Open::MapDelete(key.to_owned())],
            Edit::ListInsert { pos, values } => {
                self.resize(doc, pos, 0, values.len())?;
                inserts(pos as u32, values)
            }
            Edit::ListDelete { pos, len } => {
                self.resize(doc, pos, len, 0)?;
                vec![Open::ListDelete(pos as u32, len as u32)]
            }
            Edit::Bold { start, end } => vec![Open::Bold(start, end.saturating_sub(start))],
            Edit::MovableInsert { .. } | Edit::MovableSet { .. } | Edit::MovableMove { .. } => {
                return Err(EngineError::Unsupported(NO_MOVES));
            }
            Edit::CounterAdd { .. } => return Err(EngineError::Unsupported(NO_COUNTER)),
        })
    }

    fn resize(&mut self, doc: &Doc, pos: usize, del: usize, ins: usize) -> Result<(), EngineError> {
        let len = self
            .open_len
            .unwrap_or_else(|| self.list.len(&doc.transact()) as usize);
        if pos > len || del > len - pos {
            return Err(EngineError::Edit(format!(
                "element {pos} with {del} deleted is past the end of a list of {len}",
            )));
        }
        self.open_len = Some(len - del + ins);
        Ok(())
    }

    pub(super) fn committed(&mut self) {
        self.open_len = None;
    }

    pub(super) fn apply(&self, txn: &mut TransactionMut<'_>, edit: Open) {
        match edit {
            Open::MapSet(key, value) => set(&self.map, txn, key, value),
            Open::MapDelete(key) => {
                self.map.remove(txn, &key);
            }
            Open::ListInsert(pos, values) => self.list.insert_range(txn, pos, values),
            Open::ListNest(pos, value) => insert(&self.list, txn, pos, value),
            Open::ListDelete(pos, len) => self.list.remove_range(txn, pos, len),
            Open::Bold(..) => {} // needs the positions of the text
        }
    }

    pub(super) fn map_json<T: ReadTxn>(&self, txn: &T) -> serde_json::Value {
        json(&self.map.to_json(txn))
    }

    pub(super) fn list_json<T: ReadTxn>(&self, txn: &T) -> serde_json::Value {
        json(&self.list.to_json(txn))
    }
}

/// Returns the insertions of several values. Adjacent plain values are one block, as
/// `insert_range` makes it.
fn inserts(pos: u32, values: &[Value<'_>]) -> Vec<Open> {
    let mut opened = Vec::new();
    for (pos, &value) in (pos..).zip(values) {
        match (Content::of(value), opened.last_mut()) {
            (Content::Plain(any), Some(Open::ListInsert(_, plain))) => plain.push(any),
            (Content::Plain(any), _) => opened.push(Open::ListInsert(pos, vec![any])),
            (nested, _) => opened.push(Open::ListNest(pos, nested)),
        }
    }
    opened
}

/// A value to insert. Containers are created empty and filled in order: Yrs itself
/// would insert the entries of a map in the order of a hash table, and no two runs
/// would encode the same bytes.
pub(super) enum Content {
    Plain(Any),
    Text(String),
    Map(Vec<(String, Content)>),
    List(Vec<Content>),
}

impl Content {
    fn of(value: Value<'_>) -> Self {
        match value {
            Value::Text(content) => Self::Text(content.to_owned()),
            Value::Map(entries) => {
                let entries = entries.iter();
                let entries = entries.map(|&(key, value)| (key.to_owned(), Self::of(value)));
                Self::Map(entries.collect())
            }
            Value::List(values) => {
                Self::List(values.iter().map(|&value| Self::of(value)).collect())
            }
            plain => Self::Plain(plain_value(plain)),
        }
    }
}

fn set(map: &MapRef, txn: &mut TransactionMut<'_>, key: String, content: Content) {
    match content {
        Content::Plain(any) => {
            map.insert(txn, key, any);
        }
        Content::Text(text) => {
            map.insert(txn, key, TextPrelim::new(text));
        }
        Content::Map(entries) => {
            let inner = map.insert(txn, key, MapPrelim::default());
            fill_map(&inner, txn, entries);
        }
        Content::List(values) => {
            let inner = map.insert(txn, key, ArrayPrelim::default());
            fill_list(&inner, txn, values);
        }
    }
}

fn insert(list: &ArrayRef, txn: &mut TransactionMut<'_>, pos: u32, content: Content) {
    match content {
        Content::Plain(any) => {
            list.insert(txn, pos, any);
        }
        Content::Text(text) => {
            list.insert(txn, pos, TextPrelim::new(text));
        }
        Content::Map(entries) => {
            let inner = list.insert(txn, pos, MapPrelim::default());
            fill_map(&inner, txn, entries);
        }
        Content::List(values) => {
            let inner = list.insert(txn, pos, ArrayPrelim::default());
            fill_list(&inner, txn, values);
        }
    }
}

fn fill_map(map: &MapRef, txn: &mut TransactionMut<'_>, entries: Vec<(String, Content)>) {
    for (key, content) in entries {
        set(map, txn, key, content);
    }
}

fn fill_list(list: &ArrayRef, txn: &mut TransactionMut<'_>, values: Vec<Content>) {
    for (pos, content) in (0..).zip(values) {
        insert(list, txn, pos, content);
    }
}

/// Converts a value that is not a container.
fn plain_value(value: Value<'_>) -> Any {
    match value {
        Value::Int(number) => number.into(),
        Value::Str(text) | Value::Text(text) => text.into(),
        Value::Object(entries) | Value::Map(entries) => {
            let entries = entries.iter();
            let entries = entries.map(|&(key, value)| (key.to_owned(), plain_value(value)));
            entries.collect::<HashMap<_, _>>().into()
        }
        Value::List(values) => {
            let values = values.iter().map(|&value| plain_value(value));
            values.collect::<Vec<_>>().into()
        }
    }
}

/// Makes a range of the text bold; positions are in UTF-16 units.
pub(super) fn bold(text: &TextRef, txn: &mut TransactionMut<'_>, start: u32, len: u32) {
    let bold = HashMap::from([("bold".into(), true.into())]);
    text.format(txn, start, len, bold);
}

/// Returns the runs of a text as Yrs reports them.
pub(super) fn spans<T: ReadTxn>(text: &TextRef, txn: &T) -> Vec<Span> {
    let runs = text.diff(txn, YChange::identity).into_iter();
    runs.map(|run| Span {
        text: run.insert.to_string(txn),
        bold: run
            .attributes
            .is_some_and(|marks| marks.get("bold") == Some(&true.into())),
    })
    .collect()
}

fn json(value: &Any) -> serde_json::Value {
    serde_json::to_value(value).expect("the values that edits make are JSON")
}
