//! Checks that the settings of a scenario fit together.

use std::time::Duration;

use syncbench_reports::threshold::Threshold;

use super::{
    Arrivals, DocumentForm, EditKind, LinkClass, LinkFault, Phase, RelayFaultKind, ReplicaKind,
    Scenario, Stage,
};

/// A reason why a scenario cannot be run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// Some rooms would be empty.
    #[error("{rooms} rooms for {clients} clients: use at most {clients} rooms, or more clients")]
    MoreRoomsThanClients {
        /// The number of rooms.
        rooms: u32,
        /// The number of clients.
        clients: u32,
    },
    /// There are more writers than clients.
    #[error("{writers} writers of {clients} clients: use at most {clients} writers")]
    MoreWritersThanClients {
        /// The number of writers.
        writers: u32,
        /// The number of clients.
        clients: u32,
    },
    /// No client shares its document with another.
    #[error(
        "every room has one client, which leaves nothing to deliver: use fewer rooms (--rooms), or \
         more clients (--clients)"
    )]
    NobodyElse,
    /// Only constant arrivals can be locked.
    #[error("{0} arrivals have no phase: drop phase locked, or use constant arrivals")]
    LockedArrivals(Arrivals),
    /// Settings exclude each other, or cannot be met.
    #[error("{0}")]
    Contradiction(String),
}

/// The longest time that a run may last.
const MAX_DURATION: Duration = Duration::from_secs(24 * 3600);

/// The largest number of clients in one process.
const MAX_CLIENTS: u32 = 1_000_000;

/// The largest number of outages, each of which the plan holds in memory.
const MAX_OUTAGES: f64 = 10_000_000.0;

/// The most characters that the names of rooms may begin with. Protocols limit
/// the whole name.
const MAX_PREFIX: usize = 64;

type Checked = Result<(), ScenarioError>;

fn contradiction(message: impl Into<String>) -> Checked {
    Err(ScenarioError::Contradiction(message.into()))
}

impl Scenario {
    /// Checks that the settings fit together.
    ///
    /// # Errors
    /// Names the first contradiction, and the fix.
    pub fn validate(&self) -> Result<(), ScenarioError> {
        self.validate_population()?;
        if self.duration > MAX_DURATION {
            return contradiction("the [[stages]] last more than 24h in all");
        }
        let arrivals = self.workload.arrivals;
        if arrivals != Arrivals::Constant && self.workload.phase == Phase::Locked {
            return Err(ScenarioError::LockedArrivals(arrivals));
        }
        let mut stages = self.stages.iter();
        stages.try_for_each(|stage| self.validate_stage(stage))?;
        self.validate_links()?;
        self.validate_relay()?;
        self.validate_mix()?;
        self.validate_replicas()?;
        self.validate_document()?;
        let mut thresholds = self.thresholds.iter();
        thresholds.try_for_each(|threshold| self.validate_threshold(threshold))
    }

    fn validate_population(&self) -> Checked {
        let (clients, rooms) = (self.clients.count, self.room_count());
        let writers = self.clients.writer_count();
        if rooms > clients {
            return Err(ScenarioError::MoreRoomsThanClients { rooms, clients });
        }
        if writers > clients {
            return Err(ScenarioError::MoreWritersThanClients { writers, clients });
        }
        if self.clients.late == 0 && self.rooms.iter().all(|class| class.size < 2) {
            return Err(ScenarioError::NobodyElse);
        }
        if self.clients_in_all() > f64::from(MAX_CLIENTS) {
            return contradiction(
                "more than 1,000,000 clients, with those that arrive during the run (clients.late, \
                 churn and stages): use fewer, or several machines",
            );
        }
        Ok(())
    }

    /// The number of clients to expect, over the whole run.
    fn clients_in_all(&self) -> f64 {
        let initial = f64::from(self.clients.count) + f64::from(self.clients.late);
        let replaced = self.churn.per_second * self.duration.as_secs_f64();
        let stages = self.stages.iter().filter_map(|stage| stage.clients);
        let levels: Vec<u32> = [self.clients.count].into_iter().chain(stages).collect();
        let steps = levels.windows(2);
        let more = steps.map(|step| f64::from(step[1].saturating_sub(step[0])));
        initial + replaced + more.sum::<f64>()
    }

    fn validate_stage(&self, stage: &Stage) -> Checked {
        let name = &stage.name;
        let count = self.clients.count;
        if stage.clients.is_some_and(|clients| clients > count) {
            return contradiction(format!(
                "stage `{name}` has more clients than [clients] count = {count}, which is the \
                 maximum"
            ));
        }
        Ok(())
    }

    fn validate_links(&self) -> Checked {
        let mut total = 0.0;
        for link in &self.links {
            total += link.share;
            for fault in &link.faults {
                validate_link_fault(fault, &link.name, self.duration)?;
            }
            if self.outages(link) > MAX_OUTAGES {
                return contradiction(format!(
                    "link `{}`: its faults are more than {MAX_OUTAGES} outages over all clients: let \
                     `every` be longer, or the run shorter",
                    link.name
                ));
            }
        }
        if total > 1.0 + 1e-9 {
            return contradiction(format!(
                "the shares of all links add up to {total}; they must not exceed 1"
            ));
        }
        Ok(())
    }

    /// The number of outages to expect, over all clients with `link`.
    fn outages(&self, link: &LinkClass) -> f64 {
        let clients = self.clients_in_all() * link.share;
        let intervals = link.faults.iter().filter_map(|fault| fault.every);
        let each = intervals.map(|every| self.duration.as_secs_f64() / every.as_secs_f64());
        clients * each.sum::<f64>()
    }

    fn validate_relay(&self) -> Checked {
        if self.relay.command.is_some() && self.relay.url.is_none() {
            return contradiction(
                "[relay] `command` starts a relay, and `url` must give its address (--relay)",
            );
        }
        if !self.faults.is_empty() && !self.relay.is_owned() {
            return contradiction(
                "[[fault]] needs a relay that this run owns: embedded, or started by `command`",
            );
        }
        let endless = self
            .faults
            .iter()
            .find(|fault| fault.lasting.is_none() && fault.kind != RelayFaultKind::Kill);
        if let Some(fault) = endless {
            return contradiction(format!(
                "[[fault]] at {:?} needs `for`: only the kind `kill` lasts for good",
                fault.at
            ));
        }
        let late = self.faults.iter().find(|fault| fault.at >= self.duration);
        if let Some(fault) = late {
            return contradiction(format!(
                "[[fault]] at {:?} is after the end of the run at {:?}",
                fault.at, self.duration
            ));
        }
        let prefix = &self.relay.room_prefix;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._~-".contains(c);
        if prefix.len() > MAX_PREFIX || !prefix.chars().all(is_plain) {
            return contradiction(format!(
                "[relay] room_prefix `{prefix}`: use at most {MAX_PREFIX} letters, digits and \
                 `.`, `_`, `~`, `-` (--room-prefix)"
            ));
        }
        if let Err(message) = self.relay.check_access() {
            return contradiction(message);
        }
        let protocol = self.relay.protocol;
        if self.presence_bytes().is_some() && !protocol.carries_presence() {
            return contradiction(format!(
                "protocol {} carries no presence: drop [presence] and the presence of \
                 workload.mix, or use loro",
                protocol.name()
            ));
        }
        Ok(())
    }

    fn validate_mix(&self) -> Checked {
        let Some(mix) = &self.workload.mix else {
            return Ok(());
        };
        let edited: f64 = mix.edits().iter().map(|(_, share)| share).sum();
        let total = edited + mix.presence;
        if (total - 1.0).abs() > 1e-6 {
            return contradiction(format!(
                "the shares of workload.mix add up to {total}; they must add up to 1"
            ));
        }
        if edited <= 0.0 {
            return contradiction(
                "workload.mix has presence alone, which leaves nothing to converge: add a kind of \
                 edits",
            );
        }
        if mix.presence > 0.0 && self.presence.is_some() {
            return contradiction(
                "presence comes from [presence], or from workload.mix as a share of the rate: drop \
                 one of them",
            );
        }
        Ok(())
    }

    fn validate_replicas(&self) -> Checked {
        let kinds = self.workload.edit_shares();
        let only_text = kinds.iter().all(|(kind, _)| *kind == EditKind::Trace);
        if self.clients.replica == ReplicaKind::Light && !only_text {
            return contradiction("light replicas have no document: they make only trace edits");
        }
        Ok(())
    }

    fn validate_document(&self) -> Checked {
        let is_typed = self.document.typed > 0.0 || self.document.form != DocumentForm::default();
        if self.document.file.is_some() && is_typed {
            return contradiction(
                "[document] has either a `file`, which is stored as it is, or `typed` and `form`",
            );
        }
        if !self.document.begins_shallow() {
            return Ok(());
        }
        if self.workload.edits == EditKind::ReplaceAll {
            return contradiction(
                "edits replace-all send the whole history, which a shallow document does not \
                 have: use the form snapshot or updates",
            );
        }
        if self.clients.replica == ReplicaKind::Light {
            return contradiction(
                "light replicas edit without the document, and a shallow one refuses edits that \
                 do not build on it: use the form snapshot or updates",
            );
        }
        Ok(())
    }

    /// Refuses a threshold on a part that the scenario does not have, or on what
    /// the run does not measure.
    fn validate_threshold(&self, threshold: &Threshold) -> Checked {
        if threshold.needs_owned_relay() && !self.relay.is_owned() {
            return contradiction(format!(
                "threshold `{threshold}`: only a relay that this run owns is measured as a whole: \
                 embedded, or started by `command` (--relay-cmd)"
            ));
        }
        let Some((kind, part)) = threshold.group() else {
            return Ok(());
        };
        let parts: Vec<String> = match kind {
            "stage" => self.stages.iter().map(|s| s.name.clone()).collect(),
            "link" => {
                let named = self.links.iter().map(|link| link.name.clone());
                named.chain(["none".to_owned()]).collect()
            }
            _ => self.rooms.iter().map(|r| r.size.to_string()).collect(),
        };
        if parts.iter().any(|known| known == part) {
            return Ok(());
        }
        let known = match parts.is_empty() {
            true => "none".to_owned(),
            false => parts.join(", "),
        };
        contradiction(format!(
            "threshold `{threshold}`: the scenario has no {kind} `{part}`; it has: {known}"
        ))
    }
}

fn validate_link_fault(fault: &LinkFault, link: &str, run: Duration) -> Checked {
    let lasting = fault.lasting;
    match (fault.at, fault.every) {
        (None, None) | (Some(_), Some(_)) => {
            contradiction(format!("link `{link}`: a fault has either `at` or `every`"))
        }
        (Some(at), None) if at >= run => contradiction(format!(
            "link `{link}`: a fault at {at:?} is after the end of the run at {run:?}"
        )),
        (None, Some(every)) if every <= lasting => contradiction(format!(
            "link `{link}`: a fault of {lasting:?} every {every:?} leaves no time in between"
        )),
        _ => Ok(()),
    }
}
