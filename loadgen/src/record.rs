//! The outcome of a load run in the shape of a record.

use std::collections::BTreeMap;

use syncbench_reports::record::{
    Counts, Distribution, Kind, Record, Resources, Run, SCHEMA, Series,
};

use crate::metrics::{Latency, Metrics};
use crate::outcome::Outcome;

impl Outcome {
    /// The record of this run, made under the conditions of `run`.
    pub fn record(&self, run: Run) -> Record {
        Record {
            schema: SCHEMA.to_owned(),
            kind: Kind::Load,
            run,
            verdict: self.verdict(),
            convergence: Some(self.convergence.clone()),
            counts: Some(self.counts()),
            cell: None,
            latency: self.latency(),
            resources: self.resources(),
            series: Some(self.series()),
            thresholds: Vec::new(),
            artifacts: Vec::new(),
        }
    }

    fn counts(&self) -> Counts {
        Counts {
            clients: self.scenario.clients.into(),
            rooms: self.scenario.rooms.into(),
            scheduled: self.scheduled,
            sent: self.total.sent,
            expected: self.expected,
            visible: self.total.visible,
            frames_in: self.total.frames_in,
            frames_out: self.total.frames_out,
            bytes_in: self.total.bytes_in,
            bytes_out: self.total.bytes_out,
        }
    }

    fn latency(&self) -> BTreeMap<String, Distribution> {
        let named = self.total.distributions();
        named
            .map(|(name, l)| (name.to_owned(), Distribution::from_histogram(l.histogram())))
            .into()
    }

    fn resources(&self) -> Option<Resources> {
        let (edit, import) = (self.total.edit_cpu, self.total.import_cpu);
        let other = self.worker_cpu.saturating_sub(edit + import);
        let activities = [("edit", edit), ("import", import), ("other", other)];
        Some(Resources {
            generator: self.usage.generator.clone()?,
            relay: self.usage.relay.clone(),
            generator_cpu_by_activity: activities
                .map(|(name, cpu)| (name.to_owned(), cpu as f64 / 1e9))
                .into(),
        })
    }

    fn series(&self) -> Series {
        let rows: Vec<&Metrics> = self.seconds.values().collect();
        let column = |figure: &dyn Fn(&Metrics) -> Option<f64>| -> Vec<Option<f64>> {
            rows.iter().map(|row| figure(row)).collect()
        };
        let mut columns = BTreeMap::new();
        columns.insert("sent".to_owned(), column(&|row| Some(row.sent as f64)));
        columns.insert(
            "visible".to_owned(),
            column(&|row| Some(row.visible as f64)),
        );
        for (name, latency) in [
            (
                "propagation",
                (|row| &row.propagation) as fn(&Metrics) -> &Latency,
            ),
            ("generator_lag", |row| &row.generator_lag),
        ] {
            for (figure, quantile) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
                let values = column(&|row| micros_at(latency(row), quantile));
                columns.insert(format!("{name}_{figure}"), values);
            }
        }
        let t = self.seconds.keys().map(|&second| second as f64).collect();
        Series {
            interval_s: 1.0,
            t,
            columns,
        }
    }
}

fn micros_at(latency: &Latency, quantile: f64) -> Option<f64> {
    let histogram = latency.histogram();
    (!histogram.is_empty()).then(|| histogram.value_at_quantile(quantile) as f64 / 1e3)
}
