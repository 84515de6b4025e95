//! The resources that the generator and the relay use, second by second and in total.

use std::time::Duration;

use syncbench_reports::record::ProcessUse;
use tokio::time::{Instant, sleep};

use crate::net::target::UrlTemplate;
use crate::outcome::{Rows, Usage};
use crate::process::{ProcessSample, Sampler, Subject, listener_of};
use crate::relay::OwnedRelay;

/// The time between two looks at a relay that its clients have left.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A relay whose memory goes on falling has settled after this many times the
/// time in which it should not have fallen.
const MAX_SETTLING: u32 = 20;

/// Looks at both processes once a second; at none by default.
#[derive(Default)]
pub struct Processes {
    generator: Option<Sampler>,
    relay: Option<Sampler>,
    relay_subject: Option<Subject>,
    /// The resources that killed relays had used.
    ended: Option<ProcessUse>,
    /// What the relay used after its clients had left.
    after: Option<ProcessSample>,
}

impl Processes {
    /// Looks at this process and the relay: an own one, or one that listens at
    /// a loopback address of this machine.
    pub fn new(relay: Option<&OwnedRelay>, url: &UrlTemplate) -> Self {
        let subject = match relay {
            Some(relay) => relay.subject(),
            None => listener_of(url).map(Subject::Process),
        };
        Self {
            generator: Sampler::new(Subject::Process(std::process::id())),
            relay: subject.and_then(Sampler::new),
            relay_subject: subject,
            ended: None,
            after: None,
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
            match sampler.as_mut().and_then(Sampler::sample) {
                Some(sample) => note(rows, side, &sample),
                None => rows.forget(side),
            }
        }
    }

    /// Turns to a relay that was started again.
    fn follow(&mut self, relay: Option<&OwnedRelay>) {
        let subject = relay.and_then(OwnedRelay::subject);
        if relay.is_none() || subject == self.relay_subject {
            return;
        }
        self.ended = self.relay_used();
        self.relay = subject.and_then(Sampler::new);
        self.relay_subject = subject;
    }

    /// Waits until a relay that its clients have left has settled: neither its
    /// memory nor the number of its descriptors has reached a new low for the
    /// time `quiet`. Then notes what it still uses.
    pub async fn settle(&mut self, quiet: Duration) {
        let Some(relay) = &mut self.relay else { return };
        let begun = Instant::now();
        let (mut low, mut since) = ((u64::MAX, u64::MAX), begun);
        while let Some(sample) = relay.sample() {
            self.after = Some(sample);
            let now = (sample.rss_bytes, sample.descriptors.unwrap_or(0));
            if now.0 < low.0 || now.1 < low.1 {
                low = (now.0.min(low.0), now.1.min(low.1));
                since = Instant::now();
            }
            if since.elapsed() >= quiet || begun.elapsed() >= quiet * MAX_SETTLING {
                return;
            }
            sleep(LOOK_EVERY.min(quiet)).await;
        }
        // It has ended.
        self.after = None;
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

    /// Returns the resources that both had used at the last sample.
    pub fn used(&self) -> Usage {
        let relay = self.relay_used().map(|used| ProcessUse {
            rss_after_bytes: self.after.map(|after| after.rss_bytes),
            descriptors_after: self.after.and_then(|after| after.descriptors),
            ..used
        });
        Usage {
            generator: self.generator.as_ref().map(Sampler::used),
            relay,
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
