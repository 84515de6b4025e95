//! Checks that make a parsed file a trace: the graph is one that agents can
//! have made, and the edits give the end text.

use std::collections::BinaryHeap;

use jumprope::JumpRope;

use crate::body::{Body, Parents};
use crate::error::{Fault, Place};
use crate::json::Parsed;

/// Turns what a file said into a body, or says where it contradicts itself.
pub(crate) fn finish(parsed: Parsed) -> Result<Body, Fault> {
    let Parsed {
        mut body,
        concurrent,
        num_agents,
        num_children,
    } = parsed;
    if concurrent == Some(true) && body.parents.is_none() && body.txn_count() > 0 {
        return Err(malformed(
            Place::txn_field(0, "parents"),
            "missing, though `kind` says concurrent",
        ));
    }
    if concurrent == Some(false) && body.parents.is_some() {
        return Err(malformed(
            Place::field("kind"),
            "says sequential, though txns have parents",
        ));
    }
    check_agents(&mut body, num_agents)?;
    if let Some(parents) = &body.parents {
        check_parents(parents)?;
        check_children(parents, &num_children)?;
        check_agents_are_sequential(&body, parents)?;
        if is_chain(parents) {
            body.parents = None;
        }
    }
    replay(&body)?;
    body.shrink();
    Ok(body)
}

fn malformed(place: Place, reason: impl Into<String>) -> Fault {
    Fault::Malformed(place, reason.into())
}

fn check_agents(body: &mut Body, stated: Option<u32>) -> Result<(), Fault> {
    let count = body.txn_count();
    if !body.agents.is_empty() {
        body.agents.resize(count, 0);
    }
    let used = body
        .agents
        .iter()
        .max()
        .map_or(1, |&agent| agent.saturating_add(1));
    let stated = stated.unwrap_or(used);
    if let Some(txn) = body.agents.iter().position(|&agent| agent >= stated) {
        let reason = format!(
            "agent {} of {stated}; agents are numbered from 0",
            body.agents[txn]
        );
        return Err(malformed(Place::txn_field(txn, "agent"), reason));
    }
    if stated as usize > count.max(1) {
        let reason =
            format!("{stated} agents in {count} txns; number the agents from 0 without gaps");
        return Err(malformed(Place::field("numAgents"), reason));
    }
    body.agent_count = stated;
    if body.agents.iter().all(|&agent| agent == 0) {
        body.agents = Vec::new();
    }
    Ok(())
}

fn check_parents(parents: &Parents) -> Result<(), Fault> {
    let count = parents.ends.len();
    for txn in 0..count {
        let own = parents.of(txn);
        for (at, &parent) in own.iter().enumerate() {
            let reason = if parent as usize >= count {
                format!("parent {parent} dangles: there are only {count} txns")
            } else if parent as usize >= txn {
                format!(
                    "parent {parent} lies in the future (or in a cycle); parents come before their children"
                )
            } else if own[..at].contains(&parent) {
                format!("parent {parent} is named twice")
            } else {
                continue;
            };
            return Err(malformed(Place::txn_field(txn, "parents"), reason));
        }
    }
    Ok(())
}

fn check_children(parents: &Parents, stated: &[u32]) -> Result<(), Fault> {
    let mut found = vec![0_u32; stated.len()];
    for &parent in &parents.list {
        if let Some(children) = found.get_mut(parent as usize) {
            *children += 1;
        }
    }
    match (0..stated.len()).find(|&txn| found[txn] != stated[txn]) {
        None => Ok(()),
        Some(txn) => {
            let reason = format!(
                "says {}, but {} txns name it as a parent",
                stated[txn], found[txn]
            );
            Err(malformed(Place::txn_field(txn, "numChildren"), reason))
        }
    }
}

/// An agent types one txn after the other, so each must build on its last one.
fn check_agents_are_sequential(body: &Body, parents: &Parents) -> Result<(), Fault> {
    let mut last = vec![None; body.agent_count as usize];
    let mut ancestry = Ancestry::new(parents);
    for txn in 0..body.txn_count() {
        let agent = body.agent(txn);
        let before = last[agent as usize].replace(txn as u32);
        if let Some(before) = before
            && !ancestry.builds_on(txn as u32, before)
        {
            let reason = format!(
                "agent {agent} is concurrent with itself: this txn does not build on its txn {before}; give each branch an agent of its own"
            );
            return Err(malformed(Place::txn_field(txn, "parents"), reason));
        }
    }
    Ok(())
}

/// Answers whether one txn is an ancestor of another by walking back between
/// the two, newest first.
struct Ancestry<'p> {
    parents: &'p Parents,
    /// The walk that saw a txn last.
    seen: Vec<u32>,
    queue: BinaryHeap<u32>,
}

impl<'p> Ancestry<'p> {
    fn new(parents: &'p Parents) -> Self {
        Self {
            parents,
            seen: vec![0; parents.ends.len()],
            queue: BinaryHeap::new(),
        }
    }

    /// Each `txn` may be asked for once.
    fn builds_on(&mut self, txn: u32, ancestor: u32) -> bool {
        self.queue.clear();
        self.queue.push(txn);
        while let Some(at) = self.queue.pop() {
            for &parent in self.parents.of(at as usize) {
                if parent == ancestor {
                    return true;
                }
                // A txn never is its own parent, so 0 marks "not seen" safely.
                let unseen = std::mem::replace(&mut self.seen[parent as usize], txn) != txn;
                if parent > ancestor && unseen {
                    self.queue.push(parent);
                }
            }
        }
        false
    }
}

fn is_chain(parents: &Parents) -> bool {
    (0..parents.ends.len()).all(|txn| match parents.of(txn) {
        [] => txn == 0,
        [parent] => *parent as usize + 1 == txn,
        _ => false,
    })
}

/// Replays what can be replayed without merging branches. A concurrent trace's
/// text needs a CRDT, so here only the bounds that hold for any merge are
/// checked; its replay through an engine checks the text.
fn replay(body: &Body) -> Result<(), Fault> {
    match body.parents {
        None => replay_chain(body),
        Some(_) => check_bounds(body),
    }
}

fn replay_chain(body: &Body) -> Result<(), Fault> {
    let mut text = JumpRope::from(body.start.as_str());
    for txn in 0..body.txn_count() {
        for patch in body.patch_range(txn) {
            let row = body.patches[patch];
            let end = row.pos as usize + row.del as usize;
            if end > text.len_chars() {
                return Err(past_the_end(txn, end, text.len_chars()));
            }
            if row.del > 0 {
                text.remove(row.pos as usize..end);
            }
            let inserted = body.inserted(patch);
            if !inserted.is_empty() {
                text.insert(row.pos as usize, inserted);
            }
        }
    }
    if text == body.end.as_str() {
        return Ok(());
    }
    let reason = match differing(&text, &body.end) {
        Some(at) => {
            format!("the edits give another text than `endContent`, from character {at} on")
        }
        None => format!(
            "the edits give {} characters, `endContent` has {}",
            text.len_chars(),
            body.end.chars().count()
        ),
    };
    Err(Fault::Replay(Place::default(), reason))
}

fn past_the_end(txn: usize, end: usize, len: usize) -> Fault {
    let reason =
        format!("a patch reaches character {end}, past the end of the text, which has {len}");
    Fault::Replay(Place::txn_field(txn, "patches"), reason)
}

fn differing(text: &JumpRope, wanted: &str) -> Option<usize> {
    text.chars()
        .zip(wanted.chars())
        .position(|(left, right)| left != right)
}

fn check_bounds(body: &Body) -> Result<(), Fault> {
    let mut longest = body.start.chars().count();
    let mut shortest = longest;
    for txn in 0..body.txn_count() {
        for patch in body.patch_range(txn) {
            let row = body.patches[patch];
            let end = row.pos as usize + row.del as usize;
            if end > longest {
                return Err(past_the_end(txn, end, longest));
            }
            shortest = shortest.saturating_sub(row.del as usize);
            let inserted = body.inserted(patch).chars().count();
            shortest += inserted;
            longest += inserted;
        }
    }
    let end = body.end.chars().count();
    if (shortest..=longest).contains(&end) {
        return Ok(());
    }
    let reason = format!(
        "`endContent` has {end} characters; these edits can only give {shortest} to {longest}"
    );
    Err(Fault::Replay(Place::default(), reason))
}
