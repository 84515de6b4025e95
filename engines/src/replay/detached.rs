//! One Loro document, checked out at the version that each step was made on.
//!
//! A checkout costs the difference between two versions, so steps that go on
//! where the one before ended do without.

use ::loro::{ExportMode, Frontiers, IdSpan, LoroDoc, LoroText};
use syncbench_datasets::Txn;

use super::{Merged, ReplayError, Steps, UpdateStream, peer, types_anything};
use crate::EngineError;

pub(super) fn replay(steps: &mut Steps<'_>) -> Result<Merged, ReplayError> {
    let mut document = Document::new(steps.trace.txn_count());
    let mut spans = Vec::new();
    for unit in 0..steps.starts.len() {
        let txns = steps.txns(unit);
        let first = steps.trace.txn(txns.start);
        document
            .go_before(&first)
            .map_err(|error| steps.failed(first.index(), error))?;
        let before = document.operations(first.agent());
        for txn in txns.clone().map(|txn| steps.trace.txn(txn)) {
            document
                .type_txn(&txn)
                .map_err(|error| steps.failed(txn.index(), error))?;
        }
        document.commit(txns.clone());
        if txns
            .clone()
            .any(|txn| types_anything(&steps.trace.txn(txn)))
        {
            let after = document.operations(first.agent());
            spans.push((
                first.agent(),
                IdSpan::new(peer(first.agent()), before, after),
            ));
        }
        steps.done(unit + 1);
    }
    let last = steps.trace.txn_count().saturating_sub(1);
    let failed = |error| steps.failed(last, error);
    let stream = document.stream(&spans).map_err(failed)?;
    let texts = [document.latest(), text_of(&stream).map_err(failed)?];
    Ok(Merged { stream, texts })
}

struct Document {
    doc: LoroDoc,
    text: LoroText,
    /// By txn, the version after it.
    versions: Vec<Frontiers>,
}

impl Document {
    fn new(txns: usize) -> Self {
        let doc = LoroDoc::new();
        doc.set_detached_editing(true);
        let text = doc.get_text("text");
        Self {
            doc,
            text,
            versions: vec![Frontiers::default(); txns],
        }
    }

    /// Goes to the version that a txn was made on, to edit as its agent.
    fn go_before(&mut self, txn: &Txn<'_>) -> Result<(), EngineError> {
        let mut version = Frontiers::default();
        for parent in txn.parents() {
            for id in self.versions[parent].iter() {
                version.push(id);
            }
        }
        if version != self.doc.state_frontiers() || !self.doc.is_detached() {
            self.doc.checkout(&version).map_err(edit_error)?;
        }
        self.doc.set_peer_id(peer(txn.agent())).map_err(edit_error)
    }

    fn type_txn(&self, txn: &Txn<'_>) -> Result<(), EngineError> {
        for patch in txn.patches() {
            let len = self.text.len_unicode();
            if patch.pos + patch.del > len {
                return Err(EngineError::OutOfBounds {
                    pos: patch.pos,
                    del: patch.del,
                    len,
                });
            }
            if patch.del > 0 {
                self.text.delete(patch.pos, patch.del).map_err(edit_error)?;
            }
            if !patch.ins.is_empty() {
                self.text.insert(patch.pos, patch.ins).map_err(edit_error)?;
            }
        }
        Ok(())
    }

    /// Ends a unit; only its last txn is built on by others.
    fn commit(&mut self, txns: std::ops::Range<usize>) {
        self.doc.commit();
        let version = self.doc.state_frontiers();
        self.versions[txns].fill(version);
    }

    fn operations(&self, agent: usize) -> i32 {
        self.doc.oplog_vv().get(&peer(agent)).copied().unwrap_or(0)
    }

    fn stream(&self, spans: &[(usize, IdSpan)]) -> Result<UpdateStream, EngineError> {
        let mut stream = UpdateStream::new();
        for &(agent, span) in spans {
            let update = self.doc.export(ExportMode::updates_in_range(vec![span]));
            stream.push(
                agent,
                &update.map_err(|error| EngineError::Export(error.to_string()))?,
            );
        }
        Ok(stream)
    }

    fn latest(&self) -> String {
        self.doc.checkout_to_latest();
        self.text.to_string()
    }
}

/// The text that a fresh document shows after all updates. They are imported as
/// one batch: one by one takes as long as the replay.
fn text_of(stream: &UpdateStream) -> Result<String, EngineError> {
    let updates: Vec<Vec<u8>> = stream.iter().map(|(_, bytes)| bytes.to_vec()).collect();
    let doc = LoroDoc::new();
    let status = doc.import_batch(&updates);
    let status = status.map_err(|error| EngineError::Import(error.to_string()))?;
    match status.pending {
        None => Ok(doc.get_text("text").to_string()),
        Some(_) => Err(EngineError::Import(
            "updates of the stream are missing".to_owned(),
        )),
    }
}

fn edit_error(error: ::loro::LoroError) -> EngineError {
    EngineError::Edit(error.to_string())
}
