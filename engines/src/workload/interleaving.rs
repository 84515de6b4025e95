//! The result of edits that meet at one place: correctness as data.
//!
//! The times are incidental. What a row shows is its finding. As everywhere, it is
//! checked that all replicas show the same.

use super::commit::commit;
use super::repetition::{Prepared, timed};
use super::{Input, Outcome, Subject, Workload, WorkloadError, check};
use crate::peer_ids::peer;
use crate::{Capability, Edit, EngineError, NodeId, Replica, Span, Value};

pub fn workloads() -> Vec<Workload> {
    vec![
        Workload::new(Input::Synthetic, "forward-2", |s| {
            texts(s, &["123", "Hi"], forward)
        }),
        Workload::new(Input::Synthetic, "backward-2", |s| {
            texts(s, &["123", "Hi"], backward)
        }),
        Workload::new(Input::Synthetic, "cursor-back-2", |s| {
            texts(s, &["1234", "abcd"], cursor_back)
        }),
        Workload::new(Input::Synthetic, "forward-3", |s| {
            texts(s, &["123", "Hi", "xyz"], forward)
        }),
        Workload::new(Input::Synthetic, "backward-3", |s| {
            texts(s, &["123", "Hi", "xyz"], backward)
        }),
        Workload::new(Input::Synthetic, "bold-over-inside", |s| bold(s, 2))
            .needs([Capability::RichText]),
        Workload::new(Input::Synthetic, "bold-over-end", |s| bold(s, 4))
            .needs([Capability::RichText]),
        Workload::new(Input::Synthetic, "move-one-element", move_element)
            .needs([Capability::MovableLists]),
        Workload::new(Input::Synthetic, "move-into-each-other", move_nodes)
            .needs([Capability::Trees]),
    ]
}

/// Replicas, each with an edit that the others have not seen.
struct Meeting {
    replicas: Vec<Box<dyn Replica>>,
    updates: Vec<Vec<Vec<u8>>>,
}

/// Edits a replica before it has seen the edits of the others.
type Edits<'a> = dyn Fn(&mut dyn Replica, usize) -> Result<Vec<Vec<u8>>, EngineError> + 'a;

/// Describes what all replicas show in the end.
type Finding = fn(&dyn Replica) -> Result<String, WorkloadError>;

impl Meeting {
    /// Makes replicas that start with the content of `base` and edit concurrently.
    fn new(
        subject: &Subject,
        count: usize,
        base: impl FnOnce(&mut dyn Replica) -> Result<(), EngineError>,
        edits: &Edits<'_>,
    ) -> Result<Self, WorkloadError> {
        let numbers = 1..=count as u64;
        let replicas = numbers.map(|number| subject.engine().replica(peer(number)));
        let mut replicas: Vec<_> = replicas.collect();
        let start = commit(&mut *replicas[0], base)?;
        for replica in &mut replicas[1..] {
            replica.import(&start)?;
        }
        let updates = replicas.iter_mut().enumerate();
        let updates = updates.map(|(who, replica)| edits(&mut **replica, who));
        let updates = updates.collect::<Result<_, _>>()?;
        Ok(Self { replicas, updates })
    }

    /// Sends every replica the edits of all others, in the order of their numbers.
    fn exchange(&mut self) -> Result<(), EngineError> {
        for (to, replica) in self.replicas.iter_mut().enumerate() {
            let others = self.updates.iter().enumerate();
            for (_, updates) in others.filter(|&(from, _)| from != to) {
                for update in updates {
                    replica.import(update)?;
                }
            }
        }
        Ok(())
    }

    fn check(&mut self, finding: Finding) -> Result<Outcome, WorkloadError> {
        let sent = self.updates.iter().flatten().map(Vec::len).sum();
        let mut outcome = None;
        let found = finding(&*self.replicas[0])?;
        for replica in &self.replicas[1..] {
            outcome = Some(check::same(&*self.replicas[0], &**replica, sent)?);
            let other = finding(&**replica)?;
            if other != found {
                return Err(check::wrong(format!("one shows {found}, another {other}")));
            }
        }
        let mut outcome = outcome.ok_or_else(|| check::wrong("there are no replicas"))?;
        outcome.finding = Some(found);
        Ok(outcome)
    }
}

fn prepared<'a>(meeting: Meeting, finding: Finding) -> Prepared<'a> {
    timed(meeting, Meeting::exchange, move |meeting| {
        meeting.check(finding)
    })
}

/// Types a run into a replica: each character with its position.
type Typing = fn(&str) -> Vec<(usize, char)>;

/// Types left to right, each character after the one typed before.
fn forward(run: &str) -> Vec<(usize, char)> {
    run.chars().enumerate().collect()
}

/// Types each character before the one typed before, so that the run reads as given.
fn backward(run: &str) -> Vec<(usize, char)> {
    run.chars().rev().map(|c| (0, c)).collect()
}

/// Types the second half left to right, moves the cursor back, and types the first
/// half.
fn cursor_back(run: &str) -> Vec<(usize, char)> {
    let half = run.chars().count() / 2;
    let second = run.chars().skip(half).enumerate();
    second.chain(run.chars().take(half).enumerate()).collect()
}

/// Each replica types its run at the start of an empty text.
fn texts<'a>(subject: &Subject, runs: &'static [&'static str], typing: Typing) -> Prepared<'a> {
    let meeting = Meeting::new(subject, runs.len(), |_| Ok(()), &|replica, who| {
        let typed = typing(runs[who]).into_iter();
        typed
            .map(|(pos, c)| commit(replica, |replica| replica.splice(pos, 0, &c.to_string())))
            .collect()
    })?;
    timed(meeting, Meeting::exchange, move |meeting| {
        let mut outcome = meeting.check(|replica| Ok(replica.text()))?;
        let text = meeting.replicas[0].text();
        if text.chars().count() != runs.iter().map(|run| run.chars().count()).sum::<usize>() {
            return Err(check::wrong(format!(
                "{text}: characters are lost or duplicated"
            )));
        }
        outcome.finding = Some(verdict(&text, runs));
        Ok(outcome)
    })
}

/// Says whether each run stayed in one piece.
fn verdict(text: &str, runs: &[&str]) -> String {
    match runs.iter().all(|run| text.contains(run)) {
        true => format!("{text}: runs kept"),
        false => format!("{text}: interleaved"),
    }
}

/// One replica makes the word `bold` of "a bold text" bold; the other types `x` into
/// it.
fn bold<'a>(subject: &Subject, offset: usize) -> Prepared<'a> {
    const START: usize = 2;
    const END: usize = 6;
    let base = |replica: &mut dyn Replica| replica.splice(0, 0, "a bold text");
    let meeting = Meeting::new(subject, 2, base, &|replica, who| {
        let update = commit(replica, |replica| match who {
            0 => replica.edit(&Edit::Bold {
                start: START,
                end: END,
            }),
            _ => replica.splice(START + offset, 0, "x"),
        })?;
        Ok(vec![update])
    })?;
    prepared(meeting, |replica| {
        let spans = replica.spans()?;
        let of_x = spans.iter().find(|span| span.text.contains('x'));
        let bold = of_x.ok_or_else(|| check::wrong("the typed character is lost"))?;
        let verdict = match bold.bold {
            true => "the typed character is bold",
            false => "the typed character is plain",
        };
        Ok(format!("{}: {verdict}", marked(&spans)))
    })
}

/// Returns the text with bold parts between asterisks.
fn marked(spans: &[Span]) -> String {
    let runs = spans.iter().map(|span| match span.bold {
        true => format!("*{}*", span.text),
        false => span.text.clone(),
    });
    runs.collect()
}

/// Two replicas move the first of four elements to different places.
fn move_element(subject: &Subject) -> Prepared<'_> {
    let base = |replica: &mut dyn Replica| {
        ["a", "b", "c", "d"]
            .iter()
            .enumerate()
            .try_for_each(|(pos, element)| {
                let value = Value::Str(element);
                replica.edit(&Edit::MovableInsert { pos, value })
            })
    };
    let meeting = Meeting::new(subject, 2, base, &|replica, who| {
        let to = [3, 1][who];
        let moved = commit(replica, |replica| {
            replica.edit(&Edit::MovableMove { from: 0, to })
        })?;
        Ok(vec![moved])
    })?;
    prepared(meeting, |replica| {
        let value = replica.deep_value();
        let elements = value["movable"].as_array();
        let elements = elements.ok_or_else(|| check::wrong("there is no list"))?;
        let order: String = elements.iter().filter_map(|e| e.as_str()).collect();
        Ok(match order.matches('a').count() {
            1 => format!("{order}: in one place"),
            0 => format!("{order}: lost"),
            n => format!("{order}: in {n} places"),
        })
    })
}

/// Two nodes are at the root, and each replica moves one below the other.
fn move_nodes(subject: &Subject) -> Prepared<'_> {
    let mut nodes = Vec::new();
    let base = |replica: &mut dyn Replica| {
        for _ in 0..2 {
            nodes.push(replica.tree_create(None)?);
        }
        Ok(())
    };
    // The ids of the nodes are known once the first replica has created them.
    let mut first = subject.engine().replica(peer(1));
    let start = commit(&mut *first, base)?;
    let (a, b) = (nodes[0], nodes[1]);
    let mut second = subject.engine().replica(peer(2));
    second.import(&start)?;
    let updates = vec![
        vec![commit(&mut *first, |first| first.tree_move(a, Some(b)))?],
        vec![commit(&mut *second, |second| second.tree_move(b, Some(a)))?],
    ];
    let meeting = Meeting {
        replicas: vec![first, second],
        updates,
    };
    timed(meeting, Meeting::exchange, move |meeting| {
        let parents = |replica: &dyn Replica| -> Result<_, EngineError> {
            Ok([replica.tree_parent(a)?, replica.tree_parent(b)?])
        };
        let found = parents(&*meeting.replicas[0])?;
        if found != parents(&*meeting.replicas[1])? {
            return Err(check::wrong("the replicas show different trees"));
        }
        let mut outcome = meeting.check(|_| Ok(String::new()))?;
        outcome.finding = Some(below(found, a, b).to_owned());
        Ok(outcome)
    })
}

fn below(parents: [Option<NodeId>; 2], a: NodeId, b: NodeId) -> &'static str {
    match parents {
        [Some(of_a), None] if of_a == b => "a below b: one move won, no cycle",
        [None, Some(of_b)] if of_b == a => "b below a: one move won, no cycle",
        [None, None] => "both at the root: both moves lost, no cycle",
        [Some(of_a), Some(of_b)] if of_a == b && of_b == a => "a cycle",
        _ => "below something else",
    }
}
