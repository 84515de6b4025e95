//! The ratios of a run.

use super::{Metric, Unit, Worse};
use crate::record::Record;

/// A share of one, computed from two counts.
#[derive(Debug, Clone, Copy)]
pub struct Ratio {
    /// Its name and meaning. The name may be that of a count: a threshold asks
    /// for the ratio as `name.rate`.
    pub metric: Metric,
    read: fn(&Record) -> Option<(u64, u64)>,
}

impl Ratio {
    /// The share in a record; `None` where there is no whole.
    pub fn of(&self, record: &Record) -> Option<f64> {
        let (part, whole) = (self.read)(record)?;
        (whole > 0).then(|| part as f64 / whole as f64)
    }
}

/// Every ratio.
pub const RATIOS: [Ratio; 4] = [
    Ratio {
        metric: share(
            "convergence",
            "share of rooms converged",
            "Rooms that converged as a share of the rooms checked.",
        ),
        read: |record| {
            let convergence = record.convergence.as_ref()?;
            Some((convergence.converged, convergence.rooms))
        },
    },
    Ratio {
        metric: share(
            "sent",
            "share of edits sent",
            "Edits sent as a share of the edits scheduled.",
        ),
        read: |record| {
            let counts = record.counts.as_ref()?;
            Some((counts.sent, counts.scheduled))
        },
    },
    Ratio {
        metric: share(
            "visible",
            "share of deliveries visible",
            "Deliveries made as a share of the deliveries owed.",
        ),
        read: |record| {
            let counts = record.counts.as_ref()?;
            Some((counts.visible, counts.expected))
        },
    },
    Ratio {
        metric: share(
            "presence_visible",
            "share of presence delivered",
            "Deliveries of presence messages made as a share of those owed.",
        ),
        read: |record| {
            let counts = record.counts.as_ref()?;
            Some((counts.presence_visible, counts.presence_expected))
        },
    },
];

const fn share(name: &'static str, title: &'static str, meaning: &'static str) -> Metric {
    Metric {
        name,
        title,
        unit: Unit::Share,
        worse: Worse::Lower,
        meaning,
    }
}
