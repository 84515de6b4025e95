//! The result of a run in the words that all exporters share.

use crate::metric;
use crate::quantity;
use crate::record::{Convergence, Counts, Distribution, Machine, Record, Status};

/// A latency metric of a record, with its meaning.
#[derive(Debug, Clone, PartialEq)]
pub struct Latency<'a> {
    /// The name in the record.
    pub name: &'a str,
    /// The name in reports.
    pub title: &'a str,
    /// One sentence that says what is measured; empty for a metric that this
    /// version does not know.
    pub meaning: &'a str,
    /// The samples.
    pub distribution: &'a Distribution,
    /// The statistics that are the generator's rather than the relay's.
    marked: Vec<&'a str>,
}

/// The sign behind a figure that is the generator's rather than the relay's.
pub const MARK: &str = "*";

/// What [`MARK`] means, as a sentence.
pub const MARK_MEANING: &str = "* More of this figure than may pass as the relay's is the \
     generator's own time.";

impl<'a> Latency<'a> {
    fn new(
        (name, title, meaning): (&'a str, &'a str, &'a str),
        distribution: &'a Distribution,
        record: &'a Record,
    ) -> Self {
        let marked = record.marked.iter().filter(|figure| figure.metric == name);
        Self {
            name,
            title,
            meaning,
            distribution,
            marked: marked.map(|figure| figure.stat.as_str()).collect(),
        }
    }

    /// The statistic `stat`, `value` microseconds, as text: marked if it is the
    /// generator's, a dash without samples.
    pub fn figure(&self, stat: &str, value: f64) -> String {
        let mark = match self.marked.contains(&stat) {
            true => MARK,
            false => "",
        };
        format!("{}{mark}", figure(self.distribution, value))
    }
}

/// The parts of the attribution: name in the record, title, and cause.
const PARTS: [(&str, &str, Cause); 7] = [
    ("generator_lag", "generator lag", Cause::Generator),
    ("edit", "edit and encode", Cause::Replicas),
    ("batch", "waiting to be sent", Cause::Batching),
    ("link", "links", Cause::Links),
    ("relay", "relay and transport", Cause::Relay),
    ("client_queue", "client's queue", Cause::Replicas),
    ("import", "import", Cause::Replicas),
];

/// The cause of a part of the latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Generator,
    Replicas,
    Batching,
    Links,
    Relay,
}

/// A cause is named if it accounts for more than this share of the latency.
const MIN_SHARE: f64 = 0.5;

/// The cause of most of the latency, as a sentence without its full stop;
/// `None` if no single cause accounts for most of it.
pub fn main_cause(record: &Record) -> Option<String> {
    let causes = [
        (
            Cause::Generator,
            "comes from the generator, not from your relay: use fewer clients or more cores",
        ),
        (
            Cause::Replicas,
            "comes from your replicas, not from your relay: editing and importing",
        ),
        (
            Cause::Batching,
            "is waiting before the send, and does not come from your relay",
        ),
        (
            Cause::Links,
            "comes from the links, as the scenario asks for",
        ),
        (Cause::Relay, "comes from the relay and the transport"),
    ];
    causes.into_iter().find_map(|(cause, words)| {
        let own = PARTS.iter().filter(|(.., of_part)| *of_part == cause);
        let share: f64 = own
            .filter_map(|(name, ..)| record.attribution.get(*name))
            .sum();
        let percent = quantity::percent(share);
        (share > MIN_SHARE).then(|| format!("{percent} of the latency {words}"))
    })
}

/// The latency metrics of a record, the most interesting first; those that
/// this version does not know come last under their own names.
pub fn latencies(record: &Record) -> Vec<Latency<'_>> {
    let known = metric::DISTRIBUTIONS.iter().filter_map(|metric| {
        let distribution = record.latency.get(metric.name)?;
        let words = (metric.name, metric.title, metric.meaning);
        Some(Latency::new(words, distribution, record))
    });
    let unknown = record.latency.iter();
    let unknown = unknown.filter(|(name, _)| metric::distribution(name).is_none());
    let unknown =
        unknown.map(|(name, distribution)| Latency::new((name, name, ""), distribution, record));
    known.chain(unknown).collect()
}

/// The distribution of a metric, if it has samples.
pub fn sampled<'a>(record: &'a Record, metric: &str) -> Option<&'a Distribution> {
    record.latency.get(metric).filter(|d| d.count > 0)
}

/// One stage in the life of an edit and its part in the mean propagation.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The name of the stage in reports.
    pub title: &'static str,
    /// The mean time spent in it, microseconds.
    pub mean: f64,
    /// Its share of the mean propagation, 0 to 1.
    pub share: f64,
}

/// Splits the mean propagation into stages; empty without samples. A remainder
/// that no stage accounts for is a part of its own. Means are split: lag and
/// edit have one sample per edit, the others one per delivery.
pub fn where_time_went(record: &Record) -> Vec<Part> {
    let Some(propagation) = sampled(record, "propagation") else {
        return Vec::new();
    };
    if !record.attribution.is_empty() {
        return attributed(record, propagation.mean);
    }
    let stages = metric::DISTRIBUTIONS
        .iter()
        .filter(|metric| metric::STAGES.contains(&metric.name))
        .filter_map(|metric| Some((metric.title, sampled(record, metric.name)?.mean)))
        .collect();
    split(propagation.mean, stages)
}

/// The split that the run itself recorded, delivery by delivery.
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

/// The shares of the stages in a whole, with a part for the remainder.
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
        Status::Usage if record.convergence.is_some() => {
            "Nothing was measured: the relay does not fit the scenario"
        }
        Status::Usage => "Nothing was measured: the input was rejected",
        Status::Regression => "Worse than the baseline",
        Status::Inconclusive => "The samples do not allow a verdict",
        Status::NoBaseline => "No baseline to compare with",
        Status::NotConverged => "The replicas did not converge",
        Status::Invalid => "Not a valid measurement",
        Status::Threshold => "A threshold was missed",
        Status::Interrupted => "Interrupted: the figures cover the part before the interruption",
    }
}

/// The outcome of the convergence check with its faults, such as `yes (40 of 40
/// rooms)`.
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
        (c.pending, "pending"),
        (c.duplicated, "duplicated"),
        (c.corrupt, "corrupt"),
        (c.unexpected_frames, "unexpected frames"),
        (c.leaked, "leaked"),
    ] {
        if number > 0 {
            text.push_str(&format!(", {} {what}", quantity::count(number)));
        }
    }
    let counts = record.counts.as_ref();
    let some_are_light = |counts: &&Counts| counts.full_replicas < counts.clients;
    if let Some(counts) = counts.filter(some_are_light)
        && (1..counts.clients).contains(&c.compared)
    {
        text.push_str(&format!(
            "; the documents of {} compared, and the versions of the others",
            quantity::things(c.compared, "replica")
        ));
    }
    text.push(')');
    Some(text)
}

/// The strangers whose operations were in the rooms, the first of them by name;
/// `None` if there were none.
pub fn strangers(convergence: &Convergence) -> Option<String> {
    let first = convergence.strangers.first()?;
    Some(format!(
        "{} with {} by peers outside of this run; first: {} by peer {} in {}",
        quantity::things(convergence.foreign, "update"),
        quantity::things(convergence.foreign_operations, "operation"),
        quantity::things(first.operations, "operation"),
        first.peer,
        first.room,
    ))
}

/// The connections that ended before the run did, with the reasons; `None` if
/// there were none.
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
            "{} lost or failed",
            quantity::count(counts.disconnects)
        ));
    }
    if counts.refused > 0 {
        words.push(format!(
            "{} refused for the time being",
            quantity::count(counts.refused)
        ));
    }
    let kinds = record.errors.iter();
    words.extend(kinds.map(|(kind, number)| format!("{} × {kind}", quantity::count(*number))));
    (!words.is_empty()).then(|| words.join(", "))
}

/// The time until all initial clients had connected.
pub fn connecting(counts: &Counts) -> Option<String> {
    let took = quantity::duration(counts.connecting_us? as f64);
    Some(format!("all initial clients after {took}"))
}

/// The presence messages, and where they have arrived; `None` if there were none.
pub fn presence(counts: &Counts) -> Option<String> {
    let share = share_of(counts.presence_visible, counts.presence_expected);
    let mut text = format!(
        "{} sent, {} expected, {} visible{}",
        quantity::count(counts.presence_sent),
        quantity::count(counts.presence_expected),
        quantity::count(counts.presence_visible),
        share.map_or(String::new(), |share| format!(" ({share})")),
    );
    if counts.presence_refused > 0 {
        let refused = quantity::count(counts.presence_refused);
        text.push_str(&format!(", {refused} refused"));
    }
    (counts.presence_sent > 0).then_some(text)
}

/// The traffic of the clients, and the bytes received per byte of an update. The bytes
/// of joining do not count for that: documents are there whatever is typed.
pub fn traffic(counts: &Counts) -> Option<String> {
    if counts.bytes_typed == 0 {
        return None;
    }
    let joining = match counts.bytes_joining {
        0 => String::new(),
        bytes => format!(" ({} of it while joining)", quantity::bytes(bytes as f64)),
    };
    let delivering = counts.bytes_in.saturating_sub(counts.bytes_joining);
    Some(format!(
        "{} sent in {} frames, {} received in {} frames{joining}; {:.1} bytes received per byte of \
         update",
        quantity::bytes(counts.bytes_out as f64),
        quantity::count(counts.frames_out),
        quantity::bytes(counts.bytes_in as f64),
        quantity::count(counts.frames_in),
        delivering as f64 / counts.bytes_typed as f64,
    ))
}

/// The deliveries by group: a title for each kind of group, and the name and
/// distribution of each group.
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

/// `part` of `whole` in percent; `None` if `whole` is 0.
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

/// A value of a distribution in microseconds, as text; a dash without samples.
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
    fn bytes_of_joining_do_not_count_as_bytes_per_byte_of_update() {
        let mut counts = Counts {
            bytes_in: 5_000,
            bytes_joining: 1_024,
            bytes_typed: 994,
            ..Counts::default()
        };
        let text = traffic(&counts).unwrap_or_default();
        assert!(text.contains("(1.00 KiB of it while joining)"), "{text}");
        assert!(
            text.ends_with("; 4.0 bytes received per byte of update"),
            "{text}"
        );
        counts.bytes_joining = 0;
        let text = traffic(&counts).unwrap_or_default();
        assert!(!text.contains("joining"), "{text}");
    }

    #[test]
    fn lost_connections_and_refused_ones_are_told_apart() {
        let mut record = Record::example();
        record.errors.clear();
        record.counts = Some(Counts {
            disconnects: 2,
            refused: 3,
            ..Counts::default()
        });
        let text = connections(&record);
        let wanted = "2 lost or failed, 3 refused for the time being";
        assert_eq!(text.as_deref(), Some(wanted));
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
