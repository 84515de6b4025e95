//! The suites, which group related workloads, and their data sets.

use super::{
    SYNTHETIC, Workload, compaction, conflict, export, history, import, interleaving, live, local,
    merge, sync, types,
};

/// A group of related workloads.
#[derive(Debug, Clone, Copy)]
pub struct Suite {
    /// The first part of the benchmark ids.
    pub name: &'static str,
    /// A one-line description of what the suite measures.
    pub about: &'static str,
    /// The data sets on which it runs by default. Cells use the first of them.
    pub datasets: &'static [&'static str],
    /// Data sets that take minutes, for cells only.
    pub large: &'static [&'static str],
    workloads: fn(Size) -> Vec<Workload>,
}

/// The amount of work in the rows whose size is a parameter of their suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// As published: what is measured.
    Published,
    /// A twentieth: for checking that the rows do what they say.
    Small,
}

impl Suite {
    /// Every suite, in the order of the documentation.
    pub const ALL: &'static [Self] = &[
        Self {
            name: "import",
            about: "from bytes to a usable document, in four cumulative stages",
            datasets: &[
                "automerge-paper",
                "latch-v016",
                "latch-snapshot",
                "latch-shallow",
            ],
            large: &["automerge-paper-x100"],
            workloads: |_| import::workloads(),
        },
        Self {
            name: "export",
            about: "from a document to bytes, for the first time and again",
            datasets: &["automerge-paper"],
            large: &[],
            workloads: |_| export::workloads(),
        },
        Self {
            name: "merge",
            about: "remote operations into a replica that has others, or none",
            datasets: &["automerge-paper", "friendsforever", "clownschool"],
            large: &["S1", "S2", "S3", "A1", "A2", "C1", "C2"],
            workloads: |_| merge::workloads(),
        },
        Self {
            name: "live",
            about: "replicas that edit at the same time: an import as the history grows",
            datasets: &[SYNTHETIC, "friendsforever", "clownschool"],
            large: &[],
            workloads: |_| live::workloads(),
        },
        Self {
            name: "local",
            about: "a whole trace typed into an empty replica",
            datasets: &[
                "automerge-paper",
                "sveltecomponent",
                "json-crdt-patch",
                "json-crdt-blog-post",
                "friendsforever_flat",
                "clownschool_flat",
            ],
            large: &["seph-blog1", "rustcode", "S3"],
            workloads: |_| local::workloads(),
        },
        Self {
            name: "conflict",
            about: "the rows of dmonad's crdt-benchmarks: one, two and very many writers",
            datasets: &[SYNTHETIC, "automerge-paper"],
            large: &["automerge-paper-x100"],
            workloads: conflict::workloads,
        },
        Self {
            name: "types",
            about: "marks, lists, maps, counters and trees: edits, and their concurrent merge",
            datasets: &[SYNTHETIC],
            large: &[],
            workloads: |_| types::workloads(),
        },
        Self {
            name: "history",
            about: "reading, copying, undoing and editing the past",
            datasets: &["automerge-paper"],
            large: &[],
            workloads: |_| history::workloads(),
        },
        Self {
            name: "sync",
            about: "how two replicas come to agree, and how a client sends: time and bytes",
            datasets: &["automerge-paper"],
            large: &[],
            workloads: |_| sync::workloads(),
        },
        Self {
            name: "compaction",
            about: "stored documents that are brought up to date, served, and opened",
            datasets: &["automerge-paper", SYNTHETIC],
            large: &[],
            workloads: |_| compaction::workloads(),
        },
        Self {
            name: "interleaving",
            about: "what becomes of edits that meet at one place: findings, not times",
            datasets: &[SYNTHETIC],
            large: &[],
            workloads: |_| interleaving::workloads(),
        },
    ];

    /// Returns the suite called `name`.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|suite| suite.name == name)
    }

    /// Returns the rows of the suite, in the order in which tables show them.
    pub fn workloads(&self) -> Vec<Workload> {
        self.workloads_of(Size::Published)
    }

    /// Its rows at the given size.
    pub fn workloads_of(&self, size: Size) -> Vec<Workload> {
        (self.workloads)(size)
    }
}
