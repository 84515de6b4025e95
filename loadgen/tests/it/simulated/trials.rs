//! Trials of the convergence checker: runs over a sabotaged relay, whose verdicts
//! are compared with the truth.

use std::rc::Rc;
use std::time::Duration;

use syncbench_loadgen::outcome::Outcome;
use syncbench_loadgen::plan::Plan;
use syncbench_loadgen::scenario::{
    Clients, LinkClass, LinkFault, LinkFaultKind, ProtocolKind, RelaySettings, ReplicaKind,
    RoomClass, Scenario, Verify, Workload,
};
use syncbench_reports::record::Status;
use tokio::task::spawn_local;
use tokio::time::sleep;

use super::saboteur::{Sabotage, Saboteur};
use super::{Run, in_virtual_time, play};

/// One in this number of deliveries is manipulated. A trial has some more.
const ONE_IN: u64 = 1_000;

/// The verdict that is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// All edits arrived nevertheless.
    Converged,
    /// Edits were lost.
    Lost,
    /// The damage was detected, or it did no harm.
    CorruptOrHarmless,
    /// A room received edits of another room.
    Leaked,
}

/// The events of a trial besides the sabotage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circumstance {
    Plain,
    /// All clients lose their connections near the end, and reconnect.
    Reconnect,
    /// Two more clients arrive late.
    Latecomers,
    /// All replicas are light, a writer leaves, and then another client arrives.
    OnlyVersions,
}

/// A kind of trial.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub protocol: ProtocolKind,
    pub sabotage: Sabotage,
    pub circumstance: Circumstance,
    pub expected: Expected,
}

/// Returns all kinds of trials, those without sabotage first.
pub fn cases() -> Vec<Case> {
    use Expected::{Converged, CorruptOrHarmless, Leaked, Lost};
    use ProtocolKind::{Broadcast, Loro};
    use Sabotage as S;
    let late = S::Late(Duration::from_secs(3));
    let never = S::Late(Duration::from_secs(60));
    let both = [
        ("nothing", S::None, Converged),
        ("drop 1 in 1,000", S::Drop(ONE_IN), Lost),
        ("duplicate 1 in 20", S::Duplicate(20), Converged),
        ("reorder between senders", S::ReorderSenders, Converged),
        (
            "reorder within a sender",
            S::ReorderWithinSender(20),
            Converged,
        ),
        (
            "corrupt a byte, 1 in 1,000",
            S::Corrupt(ONE_IN),
            CorruptOrHarmless,
        ),
        (
            "truncate 1 in 1,000",
            S::Truncate(ONE_IN),
            CorruptOrHarmless,
        ),
        ("cross rooms, 1 in 1,000", S::CrossRooms(ONE_IN), Leaked),
        ("echo to the sender", S::Echo, Converged),
        ("replay old frames", S::Replay(20), Converged),
        ("deliver 3 s late", late, Converged),
    ];
    let case = |protocol, (name, sabotage, expected), circumstance| Case {
        name,
        protocol,
        sabotage,
        circumstance,
        expected,
    };
    let mut cases: Vec<Case> = both
        .into_iter()
        .flat_map(|what| [Broadcast, Loro].map(|p| case(p, what, Circumstance::Plain)))
        .collect();
    let never = ("deliver 60 s late", never, Lost);
    cases.push(case(Broadcast, never, Circumstance::Plain));
    cases.extend(
        [
            (
                (
                    // Only one: an edit lost after the reconnection stays lost.
                    "drop one, then reconnect",
                    S::DropOnce(ONE_IN),
                    Converged,
                ),
                Circumstance::Reconnect,
            ),
            (
                ("forget history on restart", S::Forget, Converged),
                Circumstance::Latecomers,
            ),
            (
                (
                    "forget edits that only a departed client had",
                    S::Forget,
                    Lost,
                ),
                Circumstance::OnlyVersions,
            ),
            (
                ("stale snapshot to late joiners", S::StaleSnapshot, Lost),
                Circumstance::Latecomers,
            ),
        ]
        .map(|(what, circumstance)| case(Loro, what, circumstance)),
    );
    cases
}

impl Case {
    /// Runs the trial of `seed`, and returns the faults that the verdict named.
    ///
    /// # Errors
    /// If the verdict is wrong, with a description.
    pub fn trial(&self, seed: u64) -> Result<Named, String> {
        let scenario = self.scenario(seed);
        let mut plan = Plan::new(&scenario);
        if self.circumstance == Circumstance::OnlyVersions {
            plan.clients[0].leaves = Some(300_000_000);
        }
        let (run, touched) = in_virtual_time(async {
            let network = Saboteur::before_relay(&scenario, self.sabotage);
            if self.sabotage == Sabotage::Forget {
                let relay = Rc::clone(&network);
                spawn_local(async move {
                    sleep(Duration::from_millis(400)).await;
                    relay.restart();
                });
            }
            let run = play(scenario, plan, Rc::clone(&network) as Rc<_>).await;
            (run, network.touched())
        });
        if touched == 0 && self.sabotage != Sabotage::None {
            return Err("nothing was sabotaged".to_owned());
        }
        self.judge(&run, touched)
    }

    fn scenario(&self, seed: u64) -> Scenario {
        let light = self.circumstance == Circumstance::OnlyVersions;
        let fault = LinkFault {
            kind: LinkFaultKind::Cut,
            at: Some(Duration::from_millis(990)),
            every: None,
            lasting: Duration::from_millis(5),
        };
        let link = LinkClass {
            name: "all".to_owned(),
            share: 1.0,
            faults: vec![fault],
            ..LinkClass::default()
        };
        let reconnects = self.circumstance == Circumstance::Reconnect;
        Scenario {
            relay: RelaySettings {
                protocol: self.protocol,
                ..RelaySettings::default()
            },
            rooms: vec![RoomClass { count: 2, size: 4 }],
            clients: Clients {
                late: match self.circumstance {
                    Circumstance::Plain | Circumstance::Reconnect => 0,
                    Circumstance::Latecomers => 2,
                    Circumstance::OnlyVersions => 1,
                },
                replica: if light {
                    ReplicaKind::Light
                } else {
                    ReplicaKind::Full
                },
                verify: Verify::Versions,
                ..Clients::new(8)
            },
            links: if reconnects { vec![link] } else { Vec::new() },
            workload: Workload::at_rate(400.0),
            duration: Duration::from_secs(1),
            seed,
            workers: 1,
            ..Scenario::default()
        }
    }

    /// Compares the verdict with the truth about a run in which `touched` frames
    /// were manipulated. Each of them holds one edit.
    fn judge(&self, Run { outcome, truth }: &Run, touched: u64) -> Result<Named, String> {
        let named = Named::of(outcome);
        let said = outcome.verdict().exit_code == Status::NotConverged.exit_code();
        let complete = outcome.expected == outcome.total.visible;
        let agreement = truth.agreement();
        let right = match self.expected {
            Expected::Converged => !said && complete && agreement.is_ok(),
            Expected::Lost => {
                let really = agreement.is_err() || self.circumstance == Circumstance::OnlyVersions;
                let exact = named.lost == touched && named.accounts_for(outcome);
                let exact = exact || self.circumstance != Circumstance::Plain;
                said && named.lost > 0 && exact && named.is_precise() && really
            }
            Expected::CorruptOrHarmless => match said {
                true => named.corrupt > 0 || (named.lost > 0 && named.is_precise()),
                false => complete && agreement.is_ok(),
            },
            Expected::Leaked => said && named.leaked > 0 && named.rooms && named.replicas,
        };
        match right {
            true => Ok(named),
            false => Err(format!(
                "{:?}\n{:?}\n{agreement:?}",
                outcome.verdict(),
                outcome.convergence
            )),
        }
    }
}

/// The faults that a verdict named.
#[derive(Debug, Clone, Copy)]
pub struct Named {
    pub lost: u64,
    pub pending: u64,
    pub duplicated: u64,
    pub corrupt: u64,
    pub leaked: u64,
    rooms: bool,
    replicas: bool,
    missing: bool,
}

impl Named {
    fn of(outcome: &Outcome) -> Self {
        let convergence = &outcome.convergence;
        let failures = &convergence.failures;
        let any = !failures.is_empty();
        Self {
            lost: convergence.lost,
            pending: convergence.pending,
            duplicated: convergence.duplicated,
            corrupt: convergence.corrupt,
            leaked: convergence.leaked,
            rooms: any && failures.iter().all(|f| f.room.starts_with("room-")),
            replicas: any && failures.iter().all(|f| !f.replicas.is_empty()),
            missing: any
                && failures
                    .iter()
                    .all(|f| !f.missing.is_empty() && f.first_lost.is_some()),
        }
    }

    /// Whether each delivery that was expected is visible, lost, or waits.
    fn accounts_for(self, outcome: &Outcome) -> bool {
        outcome.expected == outcome.total.visible + self.lost + self.pending
    }

    fn is_precise(self) -> bool {
        self.rooms && self.replicas && self.missing
    }
}

/// Sabotages one of `deliveries`, among clients with light replicas. Returns the
/// outcome and the number of manipulated frames.
pub fn needle(deliveries: u64, one: impl Fn(u64) -> Sabotage, seed: u64) -> (Outcome, u64) {
    let edits = deliveries / 10;
    let seconds = edits.div_ceil(10_000).max(1);
    let scenario = Scenario {
        rooms: vec![RoomClass {
            count: 10,
            size: 11,
        }],
        clients: Clients {
            replica: ReplicaKind::Light,
            verify: Verify::Versions,
            ..Clients::new(110)
        },
        workload: Workload::at_rate(edits as f64 / seconds as f64),
        duration: Duration::from_secs(seconds),
        seed,
        workers: 1,
        ..Scenario::default()
    };
    in_virtual_time(async {
        // A little below the real number, so that one surely falls into the run.
        let sabotage = one(deliveries - deliveries / 100);
        let network = Saboteur::before_relay(&scenario, sabotage);
        let plan = Plan::new(&scenario);
        let run = play(scenario, plan, Rc::clone(&network) as Rc<_>).await;
        (run.outcome, network.touched())
    })
}
