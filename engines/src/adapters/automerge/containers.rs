//! The content of an Automerge document besides its text.

use std::collections::HashMap;

use automerge::hydrate;
use automerge::iter::Span as AutomergeSpan;
use automerge::marks::{ExpandMark, Mark};
use automerge::transaction::Transactable;
use automerge::{
    AutoCommit, AutomergeError, ObjId, ObjType, ROOT, ReadDoc, ScalarValue, TextEncoding,
};

use super::{NO_MOVES, foreign};
use crate::{Edit, EngineError, Span, Value};

/// The objects at the root.
#[derive(Clone)]
pub(super) struct Containers {
    pub(super) text: ObjId,
    map: ObjId,
    list: ObjId,
}

const COUNTER: &str = "counter";

impl Containers {
    /// Creates the objects in a document that has none.
    pub(super) fn create(doc: &mut AutoCommit) -> Result<Self, AutomergeError> {
        doc.put(ROOT, COUNTER, ScalarValue::counter(0))?;
        Ok(Self {
            text: doc.put_object(ROOT, "text", ObjType::Text)?,
            map: doc.put_object(ROOT, "map", ObjType::Map)?,
            list: doc.put_object(ROOT, "list", ObjType::List)?,
        })
    }

    /// Finds the objects in a document that was loaded.
    pub(super) fn find(doc: &AutoCommit) -> Result<Self, EngineError> {
        Ok(Self {
            text: object(doc, "text")?,
            map: object(doc, "map")?,
            list: object(doc, "list")?,
        })
    }

    pub(super) fn edit(&self, doc: &mut AutoCommit, edit: &Edit<'_>) -> Result<(), EngineError> {
        match *edit {
            Edit::MapSet { key, value } => self.map_set(doc, key, value),
            Edit::MapDelete { key } => doc.delete(&self.map, key),
            Edit::ListInsert { pos, values } => {
                let values = values.iter().map(|&value| hydrated(value));
                doc.splice(&self.list, pos, 0, values)
            }
            Edit::ListDelete { pos, len } => self.list_delete(doc, pos, len),
            Edit::CounterAdd { by } => doc.increment(ROOT, COUNTER, by.into()),
            Edit::Bold { start, end } => {
                let bold = Mark::new("bold".to_owned(), true, start, end);
                doc.mark(&self.text, bold, ExpandMark::After)
            }
            Edit::MovableInsert { .. } | Edit::MovableSet { .. } | Edit::MovableMove { .. } => {
                return Err(EngineError::Unsupported(NO_MOVES));
            }
        }
        .map_err(|e| EngineError::Edit(e.to_string()))
    }

    fn map_set(
        &self,
        doc: &mut AutoCommit,
        key: &str,
        value: Value<'_>,
    ) -> Result<(), AutomergeError> {
        match hydrated(value) {
            hydrate::Value::Scalar(scalar) => doc.put(&self.map, key, scalar),
            nested => doc
                .batch_create_object(&self.map, key, &nested, false)
                .map(drop),
        }
    }

    fn list_delete(
        &self,
        doc: &mut AutoCommit,
        pos: usize,
        len: usize,
    ) -> Result<(), AutomergeError> {
        let there = doc.length(&self.list);
        if pos > there || len > there - pos {
            return Err(AutomergeError::InvalidIndex(pos + len));
        }
        doc.splice(&self.list, pos, len as isize, Vec::<hydrate::Value>::new())
    }
}

/// Returns the object under a key of the root, which every document has.
fn object(doc: &AutoCommit, key: &str) -> Result<ObjId, EngineError> {
    let found = doc.get(ROOT, key).map_err(super::import_error)?;
    let (_, object) = found.ok_or_else(|| foreign(&format!("a document without a {key}")))?;
    Ok(object)
}

/// Returns the runs of a text as Automerge reports them.
pub(super) fn spans(doc: &AutoCommit, text: &ObjId) -> Result<Vec<Span>, AutomergeError> {
    let runs = doc.spans(text)?;
    let runs = runs.filter_map(|run| match run {
        AutomergeSpan::Text { text, marks } => Some(Span {
            text,
            bold: marks.is_some_and(|marks| {
                let mut marks = marks.iter();
                marks.any(|(name, value)| name == "bold" && *value == ScalarValue::Boolean(true))
            }),
        }),
        AutomergeSpan::Block(_) => None,
    });
    Ok(runs.collect())
}

/// Converts a value. All maps in Automerge can be edited, so plain ones become such.
fn hydrated(value: Value<'_>) -> hydrate::Value {
    match value {
        Value::Int(number) => number.into(),
        Value::Str(text) => text.into(),
        Value::Text(content) => hydrate::Value::text(TextEncoding::platform_default(), content),
        Value::Object(entries) | Value::Map(entries) => {
            let entries = entries.iter();
            let entries = entries.map(|&(key, value)| (key, hydrated(value)));
            hydrate::Map::from(entries.collect::<HashMap<_, _>>()).into()
        }
        Value::List(values) => {
            let values = values.iter().map(|&value| hydrated(value));
            hydrate::List::from(values.collect::<Vec<_>>()).into()
        }
    }
}
