//! What the generator and the relay use, second by second and in all.

use std::net::SocketAddr;

use syncbench_reports::record::ProcessUse;

use crate::net::target::UrlTemplate;
use crate::outcome::{Rows, Usage};
use crate::process::{ProcessSample, Sampler, pid_listening_on};
use crate::relay::OwnedRelay;

/// Looks at both processes once a second; at none by default.
#[derive(Default)]
pub struct Processes {
    generator: Option<Sampler>,
    relay: Option<Sampler>,
    relay_pid: Option<u32>,
    /// What relays used that were killed.
    ended: Option<ProcessUse>,
}

impl Processes {
    /// Looks at this process and the relay: an own one, or one that listens at
    /// a loopback address of this machine.
    pub fn new(relay: Option<&OwnedRelay>, url: &UrlTemplate) -> Self {
        let pid = match relay {
            Some(relay) => relay.pid(),
            None => loopback(url).and_then(pid_listening_on),
        };
        Self {
            generator: Sampler::new(std::process::id()),
            relay: pid.and_then(Sampler::new),
            relay_pid: pid,
            ended: None,
        }
    }

    /// Looks again, and notes what it sees in `rows`.
    pub fn sample(&mut self, relay: Option<&OwnedRelay>, rows: &mut Rows) {
        self.follow(relay);
        let sides = [
            ("generator", &mut self.generator),
            ("relay", &mut self.relay),
        ];
        for (side, sampler) in sides {
            if let Some(sample) = sampler.as_mut().and_then(Sampler::sample) {
                note(rows, side, &sample);
            }
        }
    }

    /// Turns to a relay that was started again.
    fn follow(&mut self, relay: Option<&OwnedRelay>) {
        let pid = relay.and_then(OwnedRelay::pid);
        if relay.is_none() || pid == self.relay_pid {
            return;
        }
        self.ended = self.relay_used();
        self.relay = pid.and_then(Sampler::new);
        self.relay_pid = pid;
    }

    fn relay_used(&self) -> Option<ProcessUse> {
        let now = self.relay.as_ref().map(Sampler::used);
        match (now, &self.ended) {
            (Some(now), Some(ended)) => Some(ProcessUse {
                cpu_s: now.cpu_s + ended.cpu_s,
                rss_peak_bytes: now.rss_peak_bytes.max(ended.rss_peak_bytes),
                ..now
            }),
            (now, ended) => now.or_else(|| ended.clone()),
        }
    }

    /// What both have used until the last look.
    pub fn used(&self) -> Usage {
        Usage {
            generator: self.generator.as_ref().map(Sampler::used),
            relay: self.relay_used(),
        }
    }
}

fn note(rows: &mut Rows, side: &str, sample: &ProcessSample) {
    let figures = [
        ("cpu", sample.cpu_cores),
        ("rss_bytes", Some(sample.rss_bytes as f64)),
        ("threads", Some(sample.threads as f64)),
        ("descriptors", sample.descriptors.map(|count| count as f64)),
    ];
    for (name, value) in figures {
        if let Some(value) = value {
            rows.note(&format!("{side}_{name}"), value);
        }
    }
}

/// The address of a relay on this machine.
fn loopback(url: &UrlTemplate) -> Option<SocketAddr> {
    let url = url.url("room-0", "client-0").ok()?;
    let host = url.host().replace("localhost", "127.0.0.1");
    let address = SocketAddr::new(host.parse().ok()?, url.port());
    address.ip().is_loopback().then_some(address)
}
