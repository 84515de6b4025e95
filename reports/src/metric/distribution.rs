//! The latency distributions.

use super::{Metric, Unit, Worse};

/// Every latency distribution, the most interesting first. The names are the
/// keys of the record's `latency` map.
pub const DISTRIBUTIONS: [Metric; 17] = [
    latency(
        "propagation",
        "propagation",
        "Time from the intended time of an edit until it is visible at another replica of its \
         room whose client has a core to itself, one sample per such replica; any wait before the \
         edit was made is included, so a stall counts against every edit it held up.",
    ),
    latency(
        "propagation_in_generator",
        "propagation in the generator",
        "The same until the generator, whose threads all clients share, had imported the edit.",
    ),
    latency(
        "propagation_at_least",
        "propagation, at least",
        "The part of the propagation that certainly is not the generator's: without its lag, and \
         without imports into documents that were behind because the generator was busy with \
         other clients.",
    ),
    latency(
        "propagation_from_send",
        "propagation from the send",
        "Time from handing an edit to the socket until it is visible at another replica: what a \
         generator that waits for a slow relay would report.",
    ),
    latency(
        "generator_lag",
        "generator lag",
        "Time from the intended time of an edit until the generator began it; large values mean \
         that the generator, not the relay, was the limit.",
    ),
    latency(
        "edit",
        "edit and encode",
        "Time to make one edit: the local change, its commit and its encoding.",
    ),
    latency(
        "transit",
        "transit",
        "Time from handing an update to the socket until it reached the receiver's machine, \
         behind its link: both sockets, the links and the relay.",
    ),
    latency(
        "client_queue",
        "client's queue",
        "Time from the arrival of an update at the receiver's machine until a client with a core \
         to itself would import it: behind its own earlier imports and edits.",
    ),
    latency(
        "generator_queue",
        "generator's queue",
        "Time by which the generator imported an update later than a client with a core to \
         itself would have; no part of the propagation.",
    ),
    latency(
        "import",
        "import",
        "Time to apply one received update to a replica.",
    ),
    latency(
        "ack",
        "acknowledgement",
        "Time from the intended time of an edit until the relay acknowledged it.",
    ),
    latency(
        "connect",
        "connect",
        "Time to open one connection, up to the open WebSocket.",
    ),
    latency(
        "join",
        "join",
        "Time from the intended arrival of a client until its replica has everything that the \
         relay has.",
    ),
    latency(
        "catch_up",
        "catch-up",
        "Time from the intended return of an absent client until its replica has everything that \
         the relay has.",
    ),
    latency(
        "delayed",
        "propagation, delayed",
        "Propagation of the deliveries during which the scenario kept the writer or the receiver \
         away; none of them is in `propagation`.",
    ),
    latency(
        "presence",
        "presence",
        "Time from the intended time of a presence message until another client has it, or a \
         later one of the same user.",
    ),
    latency(
        "convergence_time",
        "convergence time",
        "Time from the last edit of a room until its last delivery, one sample per room.",
    ),
];

/// The stages of an edit's way as distributions, whose means add up to the mean
/// propagation.
pub const STAGES: [&str; 5] = ["generator_lag", "edit", "transit", "client_queue", "import"];

const fn latency(name: &'static str, title: &'static str, meaning: &'static str) -> Metric {
    Metric {
        name,
        title,
        unit: Unit::Micros,
        worse: Worse::Higher,
        meaning,
    }
}
