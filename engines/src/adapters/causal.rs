//! Peers, versions and history for libraries that have operations only and leave the
//! rest to the application.
//!
//! Each commit carries what its peer had newly seen. It is applied once everything that
//! it builds on has arrived, and kept, so that it can be sent on. A counter counts
//! commits.

mod encoding;

use std::collections::BTreeMap;
use std::ops::Range;

pub(crate) use encoding::{Payload, Reader, put};

use crate::{Counter, EngineError, Imported, OpRange, PeerId, VersionVector};

/// A commit as its peer made it.
#[derive(Debug)]
pub(crate) struct Commit<T> {
    pub peer: PeerId,
    /// The number of commits that its peer had made before.
    pub counter: Counter,
    /// The commits of others that its peer had seen since its own previous commit: the
    /// end for each of those peers.
    seen: Box<[(PeerId, Counter)]>,
    /// The library's encoding of the commit.
    pub payload: T,
}

/// The commits of one peer.
#[derive(Debug)]
struct Log<T> {
    /// Each commit, with its index among all that this replica contains.
    commits: Vec<(usize, Commit<T>)>,
    /// The commits of others that the peer had seen at its last commit.
    seen: BTreeMap<PeerId, Counter>,
}

impl<T> Log<T> {
    fn new() -> Self {
        Self {
            commits: Vec::new(),
            seen: BTreeMap::new(),
        }
    }

    fn end(&self) -> Counter {
        self.commits.len() as Counter
    }
}

/// All commits that a replica contains, and those that are pending.
#[derive(Debug)]
pub(crate) struct History<T> {
    peer: PeerId,
    logs: BTreeMap<PeerId, Log<T>>,
    /// The number of commits in all logs.
    commits: usize,
    /// The ends of others that changed since this replica's last commit.
    news: BTreeMap<PeerId, Counter>,
    /// Pending commits, each under one (peer, end) that it lacks.
    waiting: BTreeMap<(PeerId, Counter), Vec<Commit<T>>>,
}

impl<T: Payload> History<T> {
    /// Creates the history of an empty replica of `peer`.
    pub fn new(peer: PeerId) -> Self {
        Self {
            peer,
            logs: BTreeMap::new(),
            commits: 0,
            news: BTreeMap::new(),
            waiting: BTreeMap::new(),
        }
    }

    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// Returns the number of commits of `peer`.
    pub fn end(&self, peer: PeerId) -> Counter {
        self.logs.get(&peer).map_or(0, Log::end)
    }

    pub fn version_vector(&self) -> VersionVector {
        let logs = self.logs.iter();
        logs.map(|(&peer, log)| (peer, log.end())).collect()
    }

    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Adds a commit of this replica, which builds on everything that it contains.
    pub fn commit(&mut self, payload: T) {
        let log = self.logs.entry(self.peer).or_insert_with(Log::new);
        let news = std::mem::take(&mut self.news).into_iter();
        let commit = Commit {
            peer: self.peer,
            counter: log.end(),
            seen: news
                .filter(|&(peer, end)| log.seen.insert(peer, end) != Some(end))
                .collect(),
            payload,
        };
        self.add(commit);
    }

    /// Accepts commits that arrived. `execute` receives those that lack nothing, each
    /// with what its peer had seen, before they are added to the history.
    pub fn deliver(
        &mut self,
        commits: Vec<Commit<T>>,
        mut execute: impl FnMut(&Commit<T>, Seen<'_, T>) -> Result<(), EngineError>,
    ) -> Result<Imported, EngineError> {
        let mut ids: Vec<_> = commits.iter().map(|c| (c.peer, c.counter)).collect();
        let mut applied = BTreeMap::<PeerId, Range<Counter>>::new();
        let mut ready = Vec::new();
        for commit in commits {
            ready.push(commit);
            while let Some(commit) = ready.pop() {
                let Some(commit) = self.admit(commit) else {
                    continue;
                };
                let (peer, end) = (commit.peer, commit.counter + 1);
                execute(&commit, self.seen_by(&commit))?;
                self.add(commit);
                applied.entry(peer).or_insert(end - 1..end).end = end;
                ready.extend(self.waiting.remove(&(peer, end)).into_iter().flatten());
            }
        }
        ids.retain(|&(peer, counter)| counter >= self.end(peer));
        let applied = applied.into_iter();
        Ok(Imported {
            applied: applied
                .map(|(peer, counters)| OpRange { peer, counters })
                .collect(),
            pending: ranges(ids),
        })
    }

    /// Returns the commit if it is new and lacks nothing; otherwise it becomes pending.
    fn admit(&mut self, commit: Commit<T>) -> Option<Commit<T>> {
        if commit.counter < self.end(commit.peer) {
            return None;
        }
        let own = (commit.peer, commit.counter);
        let mut needs = std::iter::once(own).chain(commit.seen.iter().copied());
        match needs.find(|&(peer, end)| self.end(peer) < end) {
            None => Some(commit),
            Some(lacking) => {
                self.waiting.entry(lacking).or_default().push(commit);
                None
            }
        }
    }

    fn seen_by(&mut self, commit: &Commit<T>) -> Seen<'_, T> {
        let log = self.logs.entry(commit.peer).or_insert_with(Log::new);
        log.seen.extend(commit.seen.iter().copied());
        Seen {
            by: (commit.peer, commit.counter),
            logs: &self.logs,
        }
    }

    fn add(&mut self, commit: Commit<T>) {
        if commit.peer != self.peer {
            self.news.insert(commit.peer, commit.counter + 1);
        }
        let log = self.logs.entry(commit.peer).or_insert_with(Log::new);
        log.commits.push((self.commits, commit));
        self.commits += 1;
    }

    /// Encodes what a replica at this version lacks.
    pub fn encode_since(&self, since: &VersionVector) -> Vec<u8> {
        let logs = self.logs.iter();
        let lacking =
            logs.flat_map(|(&peer, log)| log.commits.iter().skip(since.get(peer) as usize));
        let mut lacking: Vec<_> = lacking.collect();
        lacking.sort_unstable_by_key(|(place, _)| *place);
        encoding::encode(lacking.into_iter().map(|(_, commit)| commit))
    }

    /// Encodes commits of one peer.
    ///
    /// # Errors
    /// Fails if this replica does not contain all of them.
    pub fn encode_range(&self, range: &OpRange) -> Result<Vec<u8>, EngineError> {
        let OpRange { peer, counters } = range;
        let commits = self.logs.get(peer).map_or(&[][..], |log| &log.commits);
        let (start, end) = (counters.start as usize, counters.end as usize);
        match commits.get(start..end) {
            Some(commits) => Ok(encoding::encode(commits.iter().map(|(_, commit)| commit))),
            None => Err(EngineError::Export(format!(
                "commits {start}..{end} of peer {peer} are asked for, and this document has 0..{}",
                commits.len(),
            ))),
        }
    }

    /// Decodes commits that any replica's history encoded.
    pub fn decode(bytes: &[u8]) -> Result<Vec<Commit<T>>, EngineError> {
        encoding::decode(bytes)
    }
}

/// The commits that the peer of a commit had seen when it made it.
#[cfg_attr(
    not(feature = "ot"),
    allow(dead_code, reason = "only OT transforms by it")
)]
pub(crate) struct Seen<'a, T> {
    by: (PeerId, Counter),
    logs: &'a BTreeMap<PeerId, Log<T>>,
}

#[cfg_attr(
    not(feature = "ot"),
    allow(dead_code, reason = "only OT transforms by it")
)]
impl<T> Seen<'_, T> {
    /// Returns the number of commits seen of `peer`.
    pub fn of(&self, peer: PeerId) -> Counter {
        let (by, counter) = self.by;
        if peer == by {
            return counter;
        }
        let log = self.logs.get(&by);
        let end = log.and_then(|log| log.seen.get(&peer));
        end.copied().unwrap_or(0)
    }

    /// Returns the number of commits in this history that the peer had not seen.
    pub fn unseen(&self) -> usize {
        let logs = self.logs.iter();
        logs.map(|(&peer, log)| (log.end() - self.of(peer)) as usize)
            .sum()
    }
}

/// Returns commits as ranges in ascending order.
fn ranges(mut commits: Vec<(PeerId, Counter)>) -> Vec<OpRange> {
    commits.sort_unstable();
    let runs = commits.chunk_by(|a, b| a.0 == b.0 && a.1 + 1 == b.1);
    let range = |run: &[(PeerId, Counter)]| OpRange {
        peer: run[0].0,
        counters: run[0].1..run[0].1 + run.len() as Counter,
    };
    runs.map(range).collect()
}
