//! Consistency checks of a parsed file: agents can have made its graph, and its edits
//! yield the end text.

use std::borrow::Cow;
use std::collections::BinaryHeap;

use jumprope::JumpRope;

use crate::body::{Body, NO_TIME, Parents};
use crate::error::{Fault, Place};
use crate::json::Parsed;

/// Turns the content of a JSON file into a body, or reports its first contradiction.
pub(crate) fn finish(parsed: Parsed) -> Result<Body, Fault> {
    let Parsed {
        mut body,
        concurrent,
        num_agents,
        num_children,
    } = parsed;
    check_kind(&body, concurrent)?;
    check_agents(&mut body, num_agents)?;
    if let Some(parents) = &body.parents {
        check_parents(parents)?;
        check_children(parents, &num_children)?;
    }
    if !body.times.is_empty() {
        body.times.resize(body.txn_count(), NO_TIME);
    }
    check_body(&body)?;
    body.compact();
    Ok(body)
}

/// Checks that agents can have made the graph and that the edits yield the end text,
/// which the tables alone do not ensure. Parents must already be in range.
pub(crate) fn check_body(body: &Body) -> Result<(), Fault> {
    match &body.parents {
        Some(parents) if !parents.is_chain() => {
            check_ancestry(body, parents)?;
            check_bounds(body)
        }
        _ => replay_chain(body),
    }
}

fn malformed(place: Place, reason: impl Into<String>) -> Fault {
    Fault::Malformed(place, reason.into())
}

fn check_kind(body: &Body, concurrent: Option<bool>) -> Result<(), Fault> {
    match (concurrent, &body.parents) {
        (Some(true), None) if body.txn_count() > 0 => Err(malformed(
            Place::txn_field(0, "parents"),
            "missing, though `kind` says concurrent",
        )),
        (Some(false), Some(_)) => Err(malformed(
            Place::field("kind"),
            "says sequential, though txns have parents",
        )),
        _ => Ok(()),
    }
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
    Ok(())
}

pub(crate) fn check_parents(parents: &Parents) -> Result<(), Fault> {
    let count = parents.ends.len();
    // For each txn, the last child that named it, from 1.
    let mut named_by = vec![0; count];
    for txn in 0..count {
        for &parent in parents.of(txn) {
            let reason = if parent as usize >= count {
                format!("parent {parent} dangles: there are only {count} txns")
            } else if parent as usize >= txn {
                format!(
                    "parent {parent} lies in the future (or in a cycle); parents come before their children"
                )
            } else if std::mem::replace(&mut named_by[parent as usize], txn + 1) == txn + 1 {
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

/// Checks that each txn builds on the previous one of its agent, since an agent makes
/// one txn after the other, and that no parent is an ancestor of another parent.
fn check_ancestry(body: &Body, parents: &Parents) -> Result<(), Fault> {
    let mut last = vec![None; body.agent_count as usize];
    let mut walk = Walk::new(parents);
    for txn in 0..body.txn_count() as u32 {
        let agent = body.agent(txn as usize);
        let before = last[agent as usize].replace(txn);
        let found = walk.back_from(txn, before);
        let reason = if let Some(parent) = found.redundant {
            format!("parent {parent} is an ancestor of another parent; name only the newest ones")
        } else if let (Some(before), false) = (before, found.ancestor) {
            format!(
                "agent {agent} is concurrent with itself: this txn does not build on its txn {before}; give each branch an agent of its own"
            )
        } else {
            continue;
        };
        return Err(malformed(Place::txn_field(txn as usize, "parents"), reason));
    }
    Ok(())
}

/// A walk from a txn back through its ancestors, newest first and no further than
/// necessary. Its memory is linear in the size of the trace, whatever its shape.
struct Walk<'p> {
    parents: &'p Parents,
    /// For each txn, the start of the last walk that saw it; 0, which has no
    /// ancestors, for none.
    seen: Vec<u32>,
    /// For each txn, the start of the last walk that has it as a parent; 0 for none.
    named: Vec<u32>,
    queue: BinaryHeap<u32>,
}

struct Found {
    /// True if the given txn is an ancestor.
    ancestor: bool,
    /// A parent that is an ancestor of another parent.
    redundant: Option<u32>,
}

impl<'p> Walk<'p> {
    fn new(parents: &'p Parents) -> Self {
        Self {
            parents,
            seen: vec![0; parents.ends.len()],
            named: vec![0; parents.ends.len()],
            queue: BinaryHeap::new(),
        }
    }

    /// Walks back from `txn`, which is allowed once for each txn.
    fn back_from(&mut self, txn: u32, ancestor: Option<u32>) -> Found {
        let own = self.parents.of(txn as usize);
        let mut found = Found {
            ancestor: ancestor.is_some_and(|ancestor| own.contains(&ancestor)),
            redundant: None,
        };
        let settled = found.ancestor || ancestor.is_none();
        if own.len() < 2 && settled {
            return found;
        }
        let oldest = own.iter().copied().chain(ancestor).min().unwrap_or(0);
        for &parent in own {
            self.named[parent as usize] = txn;
        }
        self.queue.clear();
        self.queue.extend(own);
        while let Some(at) = self.queue.pop() {
            for &parent in self.parents.of(at as usize) {
                found.ancestor |= Some(parent) == ancestor;
                if self.named[parent as usize] == txn {
                    found.redundant = Some(parent);
                }
                let seen = std::mem::replace(&mut self.seen[parent as usize], txn) == txn;
                if parent > oldest && !seen {
                    self.queue.push(parent);
                }
            }
        }
        found
    }
}

/// Replays a sequential trace. One that replays only if its positions count other units
/// is refused with their name.
fn replay_chain(body: &Body) -> Result<(), Fault> {
    let Err(fault) = replay(body, scalar_values) else {
        return Ok(());
    };
    let units: [(&str, Units); 2] = [
        ("UTF-16 code units, as JavaScript does", utf16_units),
        ("UTF-8 bytes", bytes),
    ];
    let counted = units.iter().find(|(_, units)| replay(body, *units).is_ok());
    match counted {
        None => Err(fault),
        Some((units, _)) => Err(malformed(
            fault.place(),
            format!("positions and lengths count {units}; convert them to Unicode scalar values"),
        )),
    }
}

/// Returns a text with one character for each unit of another text that positions count.
type Units = fn(&str) -> Cow<'_, str>;

fn scalar_values(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

fn utf16_units(text: &str) -> Cow<'_, str> {
    // Surrogates are no characters, and above the first plane there are none.
    let unit = |unit: u16| char::from_u32(0x1_0000 + u32::from(unit));
    text.encode_utf16().filter_map(unit).collect()
}

fn bytes(text: &str) -> Cow<'_, str> {
    text.bytes().map(char::from).collect()
}

/// Returns the text to which the txns of a sequential trace lead.
pub(crate) fn end_of_chain(body: &Body) -> Result<JumpRope, Fault> {
    end_in_units(body, scalar_values)
}

/// Returns the text to which the txns lead, with one character for each of `units`.
fn end_in_units(body: &Body, units: Units) -> Result<JumpRope, Fault> {
    let mut text = JumpRope::from(&*units(&body.start));
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
            let inserted = units(body.inserted(patch));
            if !inserted.is_empty() {
                text.insert(row.pos as usize, &inserted);
            }
        }
    }
    Ok(text)
}

/// Replays the edits in a rope of `units`, in which they must yield the end text.
fn replay(body: &Body, units: Units) -> Result<(), Fault> {
    let text = end_in_units(body, units)?;
    // Not `text == body.end`: the rope slices the string where its own pieces
    // end, and panics when that is inside a character.
    let end = units(&body.end);
    if text.to_string() == end {
        return Ok(());
    }
    let reason = match differing(&text, &end) {
        Some(at) => {
            format!("the edits give another text than `endContent`, from character {at} on")
        }
        None => format!(
            "the edits give {} characters, `endContent` has {}",
            text.len_chars(),
            end.chars().count()
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
