//! The number of clients that the system allows: descriptors and ports.

use std::fs;

use rustix::process::{Resource, getrlimit};
use syncbench_reports::quantity;

use super::{Check, Figure, Verdict};
use crate::process::SPARE;

/// A number of clients that is enough for most runs.
const PLENTY: u64 = 10_000;
/// The number of clients below which only small runs are possible.
const FEW: u64 = 1_000;

/// Checks descriptors and ports.
pub fn checks() -> [Check; 2] {
    let limit = getrlimit(Resource::Nofile);
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    [
        descriptors(limit.current, limit.maximum),
        ports(range.ok().as_deref().and_then(width)),
    ]
}

/// Judges the hard limit, which only the user can raise: a run raises the soft
/// limit by itself.
fn descriptors(soft: Option<u64>, hard: Option<u64>) -> Check {
    let clients = hard.map(|hard| hard.saturating_sub(SPARE));
    let shown = |limit: Option<u64>| limit.map_or("no limit".to_owned(), quantity::count);
    let verdict = judge(clients.unwrap_or(u64::MAX));
    let known = [("soft", soft), ("hard", hard), ("clients", clients)];
    Check {
        name: "descriptors",
        title: "open descriptors",
        verdict,
        value: format!(
            "soft {}, hard {}: {} clients at most",
            shown(soft),
            shown(hard),
            shown(clients)
        ),
        advice: (verdict != Verdict::Good).then(|| {
            "for more clients, raise the hard limit (ulimit -Hn as root, LimitNOFILE= of a service)"
                .to_owned()
        }),
        figures: known
            .into_iter()
            .filter_map(|(name, value)| Some(Figure::read(name, value? as f64, "descriptors")))
            .collect(),
    }
}

fn ports(ports: Option<u64>) -> Check {
    let (name, title) = ("ports", "ephemeral ports");
    let Some(ports) = ports else {
        return Check::unknown(name, title, "only Linux reports it");
    };
    Check {
        name,
        title,
        verdict: judge(ports),
        value: format!(
            "{} connections to one address from each source address",
            quantity::count(ports)
        ),
        advice: (judge(ports) != Verdict::Good).then(|| {
            "widen net.ipv4.ip_local_port_range, or connect from several source addresses \
             (127.0.0.2, 127.0.0.3, ...): each adds as many ports"
                .to_owned()
        }),
        figures: vec![Figure::read("ports", ports as f64, "connections")],
    }
}

fn judge(clients: u64) -> Verdict {
    match clients {
        PLENTY.. => Verdict::Good,
        FEW..PLENTY => Verdict::Note,
        _ => Verdict::Bad,
    }
}

/// Returns the number of ports in a range `first last`.
fn width(range: &str) -> Option<u64> {
    let mut ends = range.split_whitespace().map(str::parse::<u64>);
    let (first, last) = (ends.next()?.ok()?, ends.next()?.ok()?);
    Some(last.checked_sub(first)? + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hard_limit_determines_the_number_of_clients() {
        let check = descriptors(Some(1_024), Some(4_096));
        assert_eq!(check.verdict, Verdict::Note);
        assert!(
            check.value.ends_with("4,032 clients at most"),
            "{}",
            check.value
        );
        assert_eq!(descriptors(Some(256), Some(256)).verdict, Verdict::Bad);
        assert_eq!(descriptors(None, None).verdict, Verdict::Good);
    }

    #[test]
    fn a_port_range_counts_both_its_ends() {
        assert_eq!(width("32768\t60999\n"), Some(28_232));
        assert_eq!(width("5 4"), None);
        assert_eq!(width("many"), None);
    }

    #[test]
    fn few_ports_come_with_advice_on_source_addresses() {
        assert!(ports(Some(5_000)).advice.unwrap().contains("127.0.0.2"));
        assert_eq!(ports(None).verdict, Verdict::Unknown);
    }
}
