//! What a record comes to, in the words that all exporters share.

use crate::quantity;
use crate::record::{Counts, Distribution, Machine, Record, Status};

/// A latency metric with what it means.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric<'a> {
    /// Its name in the record.
    pub name: &'a str,
    /// What it is called in reports.
    pub title: &'a str,
    /// From when until when it measures.
    pub meaning: &'a str,
    /// Its distribution.
    pub distribution: &'a Distribution,
}

/// Name, title and meaning of the known metrics, in the order of a reader's
/// interest.
const METRICS: [(&str, &str, &str); 14] = [
    (
        "propagation",
        "propagation",
        "from the time the schedule intended an edit until it was visible at another replica of its \
         room; one sample for each of these replicas. It includes any wait before the edit was made, \
         so a stall counts against every edit that it held up",
    ),
    (
        "propagation_from_send",
        "propagation from the send",
        "the same, but from the time the edit was handed to the socket: what a generator that waits \
         for a slow relay would report",
    ),
    (
        "generator_lag",
        "generator lag",
        "from the intended time of an edit until the generator began it; large figures mean that the \
         generator, not the relay, was the limit",
    ),
    (
        "edit",
        "edit and encode",
        "making one edit: the local change, its commit and its encoding",
    ),
    (
        "transit",
        "transit",
        "from handing an update to the socket until it had reached the receiver's machine, behind \
         its link: both sockets, the links and the relay",
    ),
    (
        "receive_queue",
        "receive queue",
        "from the arrival of an update at the receiver's machine until the generator took it; large \
         figures mean that the generator, not the relay, was the limit",
    ),
    (
        "import",
        "import",
        "applying one received update to a replica",
    ),
    (
        "ack",
        "acknowledgement",
        "from the intended time of an edit until the relay acknowledged it",
    ),
    ("connect", "connect", "opening one connection"),
    (
        "join",
        "join",
        "from when a client was to come until its replica had everything that the relay had",
    ),
    (
        "catch_up",
        "catch-up",
        "the same for a client that comes back after an absence",
    ),
    (
        "delayed",
        "propagation, delayed",
        "propagation of the deliveries during which the scenario kept the writer or the receiver \
         away; none of them is in propagation",
    ),
    (
        "presence",
        "presence",
        "from the intended time of a presence message until another client had it",
    ),
    (
        "convergence_time",
        "convergence time",
        "by room, from its last edit until its last delivery",
    ),
];

/// The parts of the way of an edit, as metrics whose means add up to the mean
/// propagation.
const STAGES: [&str; 5] = [
    "generator_lag",
    "edit",
    "transit",
    "receive_queue",
    "import",
];

/// Name of a part of the attribution, what it is called, and who makes it.
const PARTS: [(&str, &str, Maker); 7] = [
    ("generator_lag", "generator lag", Maker::Generator),
    ("edit", "edit and encode", Maker::Replicas),
    ("batch", "waiting to be sent", Maker::Batching),
    ("link", "links", Maker::Links),
    ("relay", "relay and transport", Maker::Relay),
    ("receive_queue", "receive queue", Maker::Generator),
    ("import", "import", Maker::Replicas),
];

/// Who makes a part of the latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Maker {
    Generator,
    Replicas,
    Batching,
    Links,
    Relay,
}

/// Above this share of the latency, one maker is named.
const MOST: f64 = 0.5;

/// Who makes most of the latency, in words; `None` where nobody does.
pub fn maker(record: &Record) -> Option<String> {
    let makers = [
        (
            Maker::Generator,
            "by the generator, not by your relay: use fewer clients or more cores",
        ),
        (
            Maker::Replicas,
            "by your replicas, not by your relay: editing and importing",
        ),
        (
            Maker::Batching,
            "by waiting before the send, not by your relay",
        ),
        (Maker::Links, "by the links, as the scenario asks"),
        (Maker::Relay, "by the relay and the transport"),
    ];
    makers.into_iter().find_map(|(maker, words)| {
        let own = PARTS.iter().filter(|(.., made_by)| *made_by == maker);
        let share: f64 = own
            .filter_map(|(name, ..)| record.attribution.get(*name))
            .sum();
        let share_in_words = quantity::percent(share);
        (share > MOST).then(|| format!("{share_in_words} of the latency is made {words}"))
    })
}

/// The latency metrics of a record, the most interesting first; those that
/// this version does not know come last under their own names.
pub fn metrics(record: &Record) -> Vec<Metric<'_>> {
    let known = METRICS.iter().filter_map(|&(name, title, meaning)| {
        Some(Metric {
            name,
            title,
            meaning,
            distribution: record.latency.get(name)?,
        })
    });
    let is_known = |name: &str| METRICS.iter().any(|&(known, ..)| known == name);
    let unknown = record
        .latency
        .iter()
        .filter(|(name, _)| !is_known(name))
        .map(|(name, distribution)| Metric {
            name,
            title: name,
            meaning: "",
            distribution,
        });
    known.chain(unknown).collect()
}

/// The distribution of a metric, if it has samples.
pub fn sampled<'a>(record: &'a Record, metric: &str) -> Option<&'a Distribution> {
    record.latency.get(metric).filter(|d| d.count > 0)
}

/// One stage of an edit's way and its part in the mean propagation.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What the stage is called.
    pub title: &'static str,
    /// Its mean, microseconds.
    pub mean: f64,
    /// Its share of the whole.
    pub share: f64,
}

/// How the mean propagation splits into stages; empty without samples. What no
/// stage accounts for is a part of its own. The split is of means: lag and edit
/// have one sample an edit, the others one a delivery.
pub fn where_time_went(record: &Record) -> Vec<Part> {
    let Some(propagation) = sampled(record, "propagation") else {
        return Vec::new();
    };
    if !record.attribution.is_empty() {
        return attributed(record, propagation.mean);
    }
    let stages = METRICS
        .iter()
        .filter(|(name, ..)| STAGES.contains(name))
        .filter_map(|&(name, title, _)| Some((title, sampled(record, name)?.mean)))
        .collect();
    split(propagation.mean, stages)
}

/// The split that the run itself took, delivery by delivery.
fn attributed(record: &Record, mean: f64) -> Vec<Part> {
    let shares = PARTS
        .iter()
        .filter_map(|&(name, title, _)| Some((title, *record.attribution.get(name)?)));
    shares
        .filter(|(_, share)| *share > 0.0005)
        .map(|(title, share)| Part {
            title,
            mean: mean * share,
            share,
        })
        .collect()
}

/// The shares of the stages in a whole, with a part for what they leave over.
fn split(whole: f64, mut stages: Vec<(&'static str, f64)>) -> Vec<Part> {
    let accounted: f64 = stages.iter().map(|(_, mean)| mean).sum();
    let rest = whole - accounted;
    if rest > whole * 0.005 {
        stages.push(("not accounted for", rest));
    }
    // Means over different samples may add up to more than the whole.
    let whole = whole.max(accounted).max(f64::MIN_POSITIVE);
    stages
        .into_iter()
        .map(|(title, mean)| Part {
            title,
            mean,
            share: mean / whole,
        })
        .collect()
}

/// The verdict as a statement.
pub fn statement(record: &Record) -> &'static str {
    match record.verdict.status {
        Status::Ok if record.convergence.is_some() => {
            "Passed: every room converged, and the measurement is valid"
        }
        Status::Ok => "Passed",
        Status::Failure => "The run failed",
        Status::Usage => "Nothing was measured: the input was refused",
        Status::Regression => "Worse than the baseline",
        Status::Inconclusive => "The samples do not allow a verdict",
        Status::NoBaseline => "There is no baseline to compare with",
        Status::NotConverged => "The replicas did not converge",
        Status::Invalid => "Not a valid measurement: the generator was the bottleneck",
        Status::Threshold => "A threshold was missed",
    }
}

/// `yes (40 of 40 rooms)`, with what went wrong if anything did.
pub fn converged(record: &Record) -> Option<String> {
    let c = record.convergence.as_ref()?;
    let answer = match (c.rooms, c.rooms == c.converged) {
        (0, _) => return Some("not checked".to_owned()),
        (_, true) => "yes",
        (_, false) => "no",
    };
    let mut text = format!(
        "{answer} ({} of {} rooms",
        quantity::count(c.converged),
        quantity::count(c.rooms)
    );
    for (number, what) in [
        (c.lost, "lost"),
        (c.duplicated, "duplicated"),
        (c.corrupt, "corrupt"),
        (c.leaked, "leaked"),
    ] {
        if number > 0 {
            text.push_str(&format!(", {} {what}", quantity::count(number)));
        }
    }
    text.push(')');
    Some(text)
}

/// Connections that ended before the run did, and why; `None` if none did.
pub fn connections(record: &Record) -> Option<String> {
    let counts = record.counts.as_ref()?;
    let mut words = Vec::new();
    if counts.outages > 0 {
        words.push(format!(
            "{} ended by the scenario",
            quantity::count(counts.outages)
        ));
    }
    if counts.disconnects > 0 {
        words.push(format!(
            "{} lost or refused",
            quantity::count(counts.disconnects)
        ));
    }
    let kinds = record.errors.iter();
    words.extend(kinds.map(|(kind, number)| format!("{} × {kind}", quantity::count(*number))));
    (!words.is_empty()).then(|| words.join(", "))
}

/// How long the clients of the start took to come.
pub fn connecting(counts: &Counts) -> Option<String> {
    let took = quantity::duration(counts.connecting_us? as f64);
    Some(format!("all clients of the start after {took}"))
}

/// What went over the wire, and how often each byte typed was delivered.
pub fn traffic(counts: &Counts) -> Option<String> {
    if counts.bytes_typed == 0 {
        return None;
    }
    Some(format!(
        "{} sent in {} frames, {} received in {} frames; {:.1} bytes received for each of an update",
        quantity::bytes(counts.bytes_out as f64),
        quantity::count(counts.frames_out),
        quantity::bytes(counts.bytes_in as f64),
        quantity::count(counts.frames_in),
        counts.bytes_in as f64 / counts.bytes_typed as f64,
    ))
}

/// The groups of the deliveries: what tells them apart in words, and each
/// group's name and distribution.
pub fn groups(record: &Record) -> Vec<(&str, Vec<(&str, &Distribution)>)> {
    let title = |kind: &str| match kind {
        "stage" => "propagation by stage",
        "room_size" => "propagation by clients in the room",
        "link" => "propagation by the receiver's link",
        _ => "propagation by group",
    };
    let kinds = record.groups.iter();
    kinds
        .map(|(kind, groups)| {
            let groups = groups.iter().map(|(name, d)| (name.as_str(), d));
            (title(kind), groups.collect())
        })
        .collect()
}

/// `part` of `whole` in percent; nothing where there is no whole.
pub fn share_of(part: u64, whole: u64) -> Option<String> {
    (whole > 0).then(|| {
        // All but a few must not round to 100 %.
        let share = part as f64 / whole as f64;
        match (part == whole, share > 0.9995 && share < 1.0) {
            (true, _) => "100 %".to_owned(),
            (false, true) => "just under 100 %".to_owned(),
            (false, false) => quantity::percent(share),
        }
    })
}

/// A figure of a distribution in microseconds; without samples there is none.
pub fn figure(distribution: &Distribution, value: f64) -> String {
    if distribution.count == 0 {
        return "–".to_owned();
    }
    quantity::duration(value)
}

/// The machine that made the record, in a line.
pub fn machine(record: &Record) -> String {
    machine_line(&record.run.machine)
}

/// A machine, in a line.
pub fn machine_line(m: &Machine) -> String {
    let cpus = if m.cpus == 1 { "CPU" } else { "CPUs" };
    let memory = match m.memory_bytes {
        0 => String::new(),
        bytes => format!(", {}", quantity::bytes(bytes as f64)),
    };
    format!("{}, {} {cpus}{memory}, {}, {}", m.cpu, m.cpus, m.arch, m.os)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(whole: f64, stages: &[f64]) -> Vec<f64> {
        let stages = stages.iter().map(|&mean| ("stage", mean)).collect();
        split(whole, stages).iter().map(|part| part.share).collect()
    }

    #[test]
    fn what_the_stages_leave_over_is_a_part_of_its_own() {
        assert_eq!(shares(100.0, &[25.0, 50.0]), [0.25, 0.5, 0.25]);
        assert_eq!(shares(100.0, &[40.0, 59.9]), [0.4, 0.599]);
    }

    #[test]
    fn shares_never_add_up_to_more_than_the_whole() {
        assert_eq!(shares(100.0, &[100.0, 100.0]), [0.5, 0.5]);
        assert_eq!(shares(0.0, &[0.0]), [0.0]);
    }

    #[test]
    fn all_but_a_few_are_not_all() {
        assert_eq!(share_of(10, 10).as_deref(), Some("100 %"));
        assert_eq!(
            share_of(999_999, 1_000_000).as_deref(),
            Some("just under 100 %")
        );
        assert_eq!(share_of(1, 2).as_deref(), Some("50.0 %"));
        assert_eq!(share_of(0, 0), None);
    }
}
