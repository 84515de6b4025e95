//! Saving and sending a document that is in use.
//!
//! For `first`, nothing was exported from this replica before. `warm` is the same
//! export again, with everything that the engine cached the first time.

use std::fmt;

use super::{Form, Input, Outcome, Prepared, Repetition, Subject, Workload, WorkloadError, check};
use crate::peer_ids::peer;
use crate::{Capability, EngineError, Export, PeerId, Replica, VersionVector};

/// The peer that holds the document.
const HOLDER: PeerId = peer(2);

pub fn workloads() -> Vec<Workload> {
    let kinds = [
        What::Whole(Form::Snapshot),
        What::Whole(Form::Shallow),
        What::ShallowAt(90),
        What::ShallowAt(50),
        What::StateOnly,
        What::Whole(Form::Updates),
        What::UpdatesSince(90),
        What::Json,
        What::JsonSince(90),
    ];
    let rows = kinds.into_iter();
    rows.flat_map(|what| [row(what, false), row(what, true)])
        .collect()
}

fn row(what: What, warm: bool) -> Workload {
    let when = if warm { "warm" } else { "first" };
    let row = Workload::new(
        Input::Sequential,
        format!("{what}/{when}"),
        move |subject| Save::prepare(what, warm, subject),
    );
    row.needs(what.needs())
}

/// The content of an export. A percentage stands for the version that a replica has
/// with that share of the txns.
#[derive(Debug, Clone, Copy)]
enum What {
    Whole(Form),
    /// The state, and the history from that version on.
    ShallowAt(usize),
    StateOnly,
    /// The updates that a replica at that version lacks.
    UpdatesSince(usize),
    Json,
    JsonSince(usize),
}

impl What {
    fn needs(self) -> Vec<Capability> {
        match self {
            Self::Whole(form) => form.needs(),
            Self::ShallowAt(_) | Self::StateOnly => vec![Capability::ShallowSnapshot],
            Self::UpdatesSince(_) => Vec::new(),
            Self::Json | Self::JsonSince(_) => vec![Capability::Json],
        }
    }

    /// Returns the version of the export, in per cent of the txns.
    fn percent(self) -> usize {
        match self {
            Self::ShallowAt(percent) | Self::UpdatesSince(percent) | Self::JsonSince(percent) => {
                percent
            }
            Self::Whole(_) | Self::StateOnly | Self::Json => 0,
        }
    }

    /// Returns true if the receiver must have that version already.
    fn continues(self) -> bool {
        matches!(self, Self::UpdatesSince(_) | Self::JsonSince(_))
    }

    fn export(
        self,
        replica: &mut dyn Replica,
        version: &VersionVector,
    ) -> Result<Vec<u8>, EngineError> {
        match self {
            Self::Whole(form) => form.export(replica),
            Self::ShallowAt(_) => replica.export(Export::ShallowSnapshotAt { version }),
            Self::StateOnly => replica.export(Export::StateOnly),
            Self::UpdatesSince(_) => replica.export(Export::Updates { since: version }),
            Self::Json | Self::JsonSince(_) => replica.export(Export::Json { since: version }),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(form) => write!(f, "{form}"),
            Self::ShallowAt(percent) => write!(f, "shallow-at-{percent}%"),
            Self::StateOnly => f.write_str("state-only"),
            Self::UpdatesSince(percent) => write!(f, "updates-since-{percent}%"),
            Self::Json => f.write_str("json"),
            Self::JsonSince(percent) => write!(f, "json-since-{percent}%"),
        }
    }
}

struct Save<'a> {
    what: What,
    subject: &'a Subject,
    /// The number of txns up to the version of the export, and that version.
    txns: usize,
    version: VersionVector,
    replica: Box<dyn Replica>,
    exported: Vec<u8>,
}

impl<'a> Save<'a> {
    fn prepare(what: What, warm: bool, subject: &'a Subject) -> Prepared<'a> {
        let txns = subject.txns() * what.percent() / 100;
        let version = match txns {
            0 => VersionVector::new(),
            _ => subject.document(txns)?.version.clone(),
        };
        let mut repetition = Self {
            what,
            subject,
            txns,
            version,
            replica: subject.replica(HOLDER, subject.txns(), Form::Updates)?,
            exported: Vec::new(),
        };
        if warm {
            repetition.run()?;
        }
        Ok(Box::new(repetition))
    }
}

impl Repetition for Save<'_> {
    fn run(&mut self) -> Result<(), EngineError> {
        self.exported = self.what.export(&mut *self.replica, &self.version)?;
        Ok(())
    }

    fn check(&mut self) -> Result<Outcome, WorkloadError> {
        let subject = self.subject;
        let mut receiver = match self.what.continues() {
            true => subject.replica(peer(3), self.txns, Form::Updates)?,
            false => subject.engine().replica(peer(3)),
        };
        let imported = receiver.import(&self.exported)?;
        check::brought_all(&imported, subject.engine().capabilities())?;
        if let What::ShallowAt(_) = self.what {
            // The receiver must still have the history since that version.
            let since = &self.version;
            receiver.export(Export::Updates { since })?;
        }
        check::same(&*self.replica, &*receiver, self.exported.len())
    }
}
