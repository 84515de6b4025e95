//! The containers of a Loro document other than its text, cursors and undo. The
//! calls are the same in 0.16 and in 1.x, so both adapters compile this file,
//! each with its own library as `library`.

use std::cell::OnceCell;

use super::library::cursor::{Cursor, Side};
use super::library::{
    LoroDoc, LoroError, LoroList, LoroMap, LoroMovableList, LoroText, LoroTree, LoroValue, TreeID,
    UndoManager,
};
use crate::{Counter, Edit, EngineError, NodeId, Value};

/// Handles to the containers at the root. Each is created at its first use, so
/// that a document shows no empty container that nobody asked for.
#[derive(Default)]
pub(super) struct Containers {
    map: OnceCell<LoroMap>,
    list: OnceCell<LoroList>,
    movable: OnceCell<LoroMovableList>,
    tree: OnceCell<LoroTree>,
}

/// Appends a value to a list at the root.
pub(super) fn append(doc: &LoroDoc, list: &str, value: Value<'_>) -> Result<(), EngineError> {
    let list = doc.get_list(list);
    list_insert(&list, list.len(), &[value]).map_err(refused)
}

impl Containers {
    pub(super) fn edit(&self, doc: &LoroDoc, edit: &Edit<'_>) -> Result<(), EngineError> {
        match *edit {
            Edit::MapSet { key, value } => map_set(self.map(doc), key, value),
            Edit::MapDelete { key } => self.map(doc).delete(key),
            Edit::ListInsert { pos, values } => list_insert(self.list(doc), pos, values),
            Edit::ListDelete { pos, len } => self.list(doc).delete(pos, len),
            Edit::Bold { start, end } => doc.get_text("text").mark(start..end, "bold", true),
            Edit::MovableInsert { pos, value } => self.movable(doc).insert(pos, plain_value(value)),
            Edit::MovableSet { pos, value } => self.movable(doc).set(pos, plain_value(value)),
            Edit::MovableMove { from, to } => self.movable(doc).mov(from, to),
            Edit::CounterAdd { by } => return super::counter_add(doc, by),
        }
        .map_err(refused)
    }

    pub(super) fn tree_create(
        &self,
        doc: &LoroDoc,
        parent: Option<NodeId>,
    ) -> Result<NodeId, EngineError> {
        let created = self.tree(doc).create(parent.map(tree_id));
        created.map(node_id).map_err(refused)
    }

    pub(super) fn tree_move(
        &self,
        doc: &LoroDoc,
        node: NodeId,
        parent: Option<NodeId>,
    ) -> Result<(), EngineError> {
        let tree = self.tree(doc);
        tree.mov(tree_id(node), parent.map(tree_id))
            .map_err(refused)
    }

    pub(super) fn tree_parent(
        &self,
        doc: &LoroDoc,
        node: NodeId,
    ) -> Result<Option<NodeId>, EngineError> {
        match super::parent(self.tree(doc), tree_id(node)) {
            Some(parent) => Ok(parent.map(node_id)),
            None => Err(EngineError::Edit(format!("there is no node {node:?}"))),
        }
    }

    fn tree(&self, doc: &LoroDoc) -> &LoroTree {
        self.tree.get_or_init(|| doc.get_tree("tree"))
    }

    fn movable(&self, doc: &LoroDoc) -> &LoroMovableList {
        self.movable.get_or_init(|| doc.get_movable_list("movable"))
    }

    fn map(&self, doc: &LoroDoc) -> &LoroMap {
        self.map.get_or_init(|| doc.get_map("map"))
    }

    fn list(&self, doc: &LoroDoc) -> &LoroList {
        self.list.get_or_init(|| doc.get_list("list"))
    }
}

fn map_set(map: &LoroMap, key: &str, value: Value<'_>) -> Result<(), LoroError> {
    match value {
        Value::Text(content) => map
            .insert_container(key, LoroText::new())?
            .insert(0, content),
        Value::Map(entries) => map_fill(&map.insert_container(key, LoroMap::new())?, entries),
        Value::List(values) => list_insert(&map.insert_container(key, LoroList::new())?, 0, values),
        plain => map.insert(key, plain_value(plain)),
    }
}

fn map_fill(map: &LoroMap, entries: &[(&str, Value<'_>)]) -> Result<(), LoroError> {
    let mut entries = entries.iter();
    entries.try_for_each(|&(key, value)| map_set(map, key, value))
}

fn list_insert(list: &LoroList, pos: usize, values: &[Value<'_>]) -> Result<(), LoroError> {
    for (pos, &value) in (pos..).zip(values) {
        match value {
            Value::Text(content) => list
                .insert_container(pos, LoroText::new())?
                .insert(0, content),
            Value::Map(entries) => map_fill(&list.insert_container(pos, LoroMap::new())?, entries),
            Value::List(inner) => {
                list_insert(&list.insert_container(pos, LoroList::new())?, 0, inner)
            }
            plain => list.insert(pos, plain_value(plain)),
        }?;
    }
    Ok(())
}

/// Converts a value that is not a container.
fn plain_value(value: Value<'_>) -> LoroValue {
    match value {
        Value::Int(number) => number.into(),
        Value::Str(text) | Value::Text(text) => text.into(),
        Value::Object(entries) | Value::Map(entries) => {
            let entries = entries.iter();
            let entries = entries.map(|&(key, value)| (key.to_owned(), plain_value(value)));
            entries.collect::<std::collections::HashMap<_, _>>().into()
        }
        Value::List(values) => {
            let values = values.iter().map(|&value| plain_value(value));
            values.collect::<Vec<_>>().into()
        }
    }
}

/// Encodes the position before a scalar value of the text.
pub(super) fn cursor(text: &LoroText, pos: usize) -> Result<Vec<u8>, EngineError> {
    let cursor = text.get_cursor(pos, Side::Middle);
    let cursor = cursor.filter(|cursor| cursor.id.is_some());
    Ok(cursor.ok_or_else(crate::replica::invalid_cursor)?.encode())
}

pub(super) fn cursor_pos(doc: &LoroDoc, cursor: &[u8]) -> Result<usize, EngineError> {
    let cursor = Cursor::decode(cursor).map_err(|_| crate::replica::invalid_cursor())?;
    let found = doc
        .get_cursor_pos(&cursor)
        .map_err(|_| crate::replica::invalid_cursor())?;
    Ok(found.current.pos)
}

/// Returns a manager that undoes each commit separately, without a limit.
pub(super) fn undo_manager(doc: &LoroDoc) -> UndoManager {
    let mut manager = UndoManager::new(doc);
    manager.set_merge_interval(0);
    manager.set_max_undo_steps(usize::MAX);
    manager
}

fn tree_id(node: NodeId) -> TreeID {
    TreeID::new(node.peer, loro_counter(node.counter))
}

fn node_id(id: TreeID) -> NodeId {
    NodeId {
        peer: id.peer,
        counter: counter(id.counter),
    }
}

fn refused(e: LoroError) -> EngineError {
    EngineError::Edit(e.to_string())
}

/// Converts a counter of Loro, which is an `i32` that is never negative.
pub(super) fn counter(loro: i32) -> Counter {
    loro.unsigned_abs()
}

/// Converts a counter to that of Loro.
pub(super) fn loro_counter(counter: Counter) -> i32 {
    i32::try_from(counter).unwrap_or(i32::MAX)
}
