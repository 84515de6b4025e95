//! The commits that a replica contains, in an order in which they can be executed, each
//! transformed for that order.
//!
//! To add a remote commit, the history is reordered so that everything that the
//! commit's peer had seen comes first (SOCT2's separation). The commit is then
//! transformed over each of the others, and each of them over the commit: one
//! transformation for each concurrent commit.

use std::rc::Rc;

use operational_transform::OTError;

use super::operation::{Operation, Step};
use crate::adapters::causal::Seen;

#[derive(Debug, Default)]
pub(super) struct Executed {
    steps: Vec<Step>,
}

impl Executed {
    /// Adds a step that builds on everything in this history.
    pub fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Adds a step that builds on what `seen` names. Returns the step as it is executed
    /// after all of them, on a document of `len` characters. On an error nothing has
    /// changed.
    pub fn add(
        &mut self,
        mut step: Step,
        len: usize,
        seen: &Seen<'_, Rc<Operation>>,
    ) -> Result<Step, OTError> {
        let is_seen = |step: &Step| step.counter < seen.of(step.peer);
        let start = self.first_unseen(seen.unseen(), is_seen);
        let (mut ordered, mut concurrent) = separate(&self.steps[start..], is_seen)?;
        ordered.push(step.clone());
        for other in &mut concurrent {
            step.transform(other)?;
        }
        if !step.op.fits(len) {
            return Err(OTError);
        }
        self.steps.truncate(start);
        self.steps.append(&mut ordered);
        self.steps.append(&mut concurrent);
        Ok(step)
    }

    /// Returns the index of the first of `unseen` steps. The search starts at the end,
    /// because unseen steps are recent.
    fn first_unseen(&self, unseen: usize, is_seen: impl Fn(&Step) -> bool) -> usize {
        let steps = self.steps.iter().enumerate().rev();
        let mut found = steps.filter(|(_, step)| !is_seen(step));
        let first = unseen.checked_sub(1).and_then(|nth| found.nth(nth));
        first.map_or(self.steps.len(), |(index, _)| index)
    }
}

/// Returns the same steps, reordered and split into those that are seen and those that
/// are not.
fn separate(
    steps: &[Step],
    is_seen: impl Fn(&Step) -> bool,
) -> Result<(Vec<Step>, Vec<Step>), OTError> {
    let (mut seen, mut concurrent) = (Vec::new(), Vec::<Step>::with_capacity(steps.len()));
    for step in steps {
        let mut step = step.clone();
        if !is_seen(&step) {
            concurrent.push(step);
            continue;
        }
        for before in concurrent.iter_mut().rev() {
            step.go_before(before)?;
        }
        seen.push(step);
    }
    Ok((seen, concurrent))
}
