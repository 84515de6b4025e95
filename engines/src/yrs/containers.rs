//! What a Yrs document holds besides its text.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use yrs::types::ToJson;
use yrs::types::text::YChange;
use yrs::{
    Any, Array, ArrayPrelim, ArrayRef, Doc, In, Map, MapPrelim, MapRef, ReadTxn, Text, TextPrelim,
    TextRef, Transact, TransactionMut,
};

use super::{NO_COUNTER, NO_MOVES};
use crate::{Edit, EngineError, Span, Value};

/// Handles to the containers at the root.
pub(super) struct Containers {
    map: MapRef,
    list: ArrayRef,
    /// Length of the list with the edits that are not committed yet.
    open_len: Option<usize>,
}

/// An edit that the next commit applies.
pub(super) enum Open {
    MapSet(String, In),
    MapDelete(String),
    ListInsert(u32, Vec<Any>),
    /// A container of its own as one element.
    ListNest(u32, In),
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

    /// What a commit is to do, after a look at the bounds: Yrs panics on those.
    pub(super) fn open(&mut self, doc: &Doc, edit: &Edit<'_>) -> Result<Vec<Open>, EngineError> {
        Ok(match *edit {
            Edit::MapSet { key, value } => vec![Open::MapSet(key.to_owned(), input(value))],
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
            Open::MapSet(key, value) => set(&self.map, txn, key.into(), value),
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

/// Plain values that stand together are one block, as `insert_range` makes it.
fn inserts(pos: u32, values: &[Value<'_>]) -> Vec<Open> {
    let mut opened = Vec::new();
    for (pos, &value) in (pos..).zip(values) {
        match (input(value), opened.last_mut()) {
            (In::Any(any), Some(Open::ListInsert(_, plain))) => plain.push(any),
            (In::Any(any), _) => opened.push(Open::ListInsert(pos, vec![any])),
            (nested, _) => opened.push(Open::ListNest(pos, nested)),
        }
    }
    opened
}

/// Maps are made empty and filled in the order of their keys: Yrs itself would
/// take the order of a hash table, and no two runs would encode the same bytes.
fn set(map: &MapRef, txn: &mut TransactionMut<'_>, key: Arc<str>, value: In) {
    match value {
        In::Map(mut entries) => {
            let inner = map.insert(txn, key, MapPrelim::default());
            fill_map(&inner, txn, entries.drain());
        }
        In::Array(values) => {
            let inner = map.insert(txn, key, ArrayPrelim::default());
            fill_list(&inner, txn, values);
        }
        other => {
            map.insert(txn, key, other);
        }
    }
}

fn insert(list: &ArrayRef, txn: &mut TransactionMut<'_>, pos: u32, value: In) {
    match value {
        In::Map(mut entries) => {
            let inner = list.insert(txn, pos, MapPrelim::default());
            fill_map(&inner, txn, entries.drain());
        }
        In::Array(values) => {
            let inner = list.insert(txn, pos, ArrayPrelim::default());
            fill_list(&inner, txn, values);
        }
        other => {
            list.insert(txn, pos, other);
        }
    }
}

fn fill_map(
    map: &MapRef,
    txn: &mut TransactionMut<'_>,
    entries: impl Iterator<Item = (Arc<str>, In)>,
) {
    let entries: BTreeMap<_, _> = entries.collect();
    for (key, value) in entries {
        set(map, txn, key, value);
    }
}

fn fill_list(list: &ArrayRef, txn: &mut TransactionMut<'_>, mut values: ArrayPrelim) {
    for (pos, value) in (0..).zip(values.drain(..)) {
        insert(list, txn, pos, value);
    }
}

fn input(value: Value<'_>) -> In {
    match value {
        Value::Text(content) => In::Text(TextPrelim::new(content).into()),
        Value::Map(entries) => In::Map(
            entries
                .iter()
                .map(|&(key, value)| (key, input(value)))
                .collect::<MapPrelim>(),
        ),
        Value::List(values) => In::Array(ArrayPrelim::from_iter(
            values.iter().map(|&value| input(value)),
        )),
        plain => In::Any(plain_value(plain)),
    }
}

/// A value that is no container of its own.
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

/// Positions in UTF-16 units.
pub(super) fn bold(text: &TextRef, txn: &mut TransactionMut<'_>, start: u32, len: u32) {
    let bold = HashMap::from([("bold".into(), true.into())]);
    text.format(txn, start, len, bold);
}

/// The runs of a text as Yrs gives them.
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
