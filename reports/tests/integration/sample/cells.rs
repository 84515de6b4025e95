//! Records of cells, made up: samples of the format and measurements of
//! nothing.

use std::collections::BTreeMap;

use syncbench_reports::record::{Cell, DatasetRef, Kind, Record, Run, SCHEMA, Scale, Status};

/// Engines of the sample, as name and version.
pub const LORO: (&str, &str) = ("loro", "1.17.1");
pub const YRS: (&str, &str) = ("yrs", "0.28.1");
pub const DT: (&str, &str) = ("diamond-types", "1.0.0");

/// A cell of `suite/dataset/variant` in an engine, with `n` times around `ns`.
pub fn cell(engine: (&str, &str), id: &str, ns: u64, n: usize) -> Record {
    let mut parts = id.splitn(3, '/').map(str::to_owned);
    let mut part = || parts.next().expect("suite/dataset/variant");
    let (workload, dataset, variant) = (part(), part(), part());
    // Up to 2 % around, in an order that is not sorted.
    let times = (0..n as u64).map(|at| ns + ns * ((at * 7) % 9) / 200 - ns / 50);
    let times: Vec<u64> = times.collect();
    let run = Run {
        command: format!(
            "syncbench cell {workload} --engine {} --dataset {dataset}",
            engine.0
        ),
        engine: format!("{} {}", engine.0, engine.1),
        datasets: vec![DatasetRef {
            name: dataset.clone(),
            sha256: "42c0ff1720c0cad77077e190e36135c9cab9f7bbc266351c0a7fe4981c6a1546".into(),
        }],
        ..super::run()
    };
    let cell = Cell {
        workload,
        engine: engine.0.into(),
        engine_version: engine.1.into(),
        dataset,
        variant,
        n: n as u64,
        samples_cpu_ns: times.clone(),
        samples_wall_ns: times,
        encoded_bytes: 229_440,
        allocs: Some(388),
        alloc_bytes: Some(4_822_471),
        peak_bytes: Some(1_820_740),
        live_bytes: Some(1_605_228),
        instructions: None,
        result_hash: "00112233445566".into(),
        elements: None,
        document_bytes: None,
        scale: None,
        finding: None,
        differs: None,
        unavailable: None,
    };
    Record {
        schema: SCHEMA.into(),
        kind: Kind::Cell,
        run,
        verdict: super::verdict(Status::Ok, &[]),
        convergence: None,
        counts: None,
        cell: Some(cell),
        latency: BTreeMap::new(),
        groups: Default::default(),
        attribution: Default::default(),
        attribution_ns: Default::default(),
        course: None,
        errors: Default::default(),
        resources: None,
        series: None,
        marked: Vec::new(),
        thresholds: Vec::new(),
        artifacts: Vec::new(),
    }
}

/// The same record with its cell changed.
pub fn with(mut record: Record, change: impl FnOnce(&mut Cell)) -> Record {
    if let Some(cell) = &mut record.cell {
        change(cell);
    }
    record
}

/// A place that an engine has no figure for.
pub fn unavailable(engine: (&str, &str), id: &str, reason: &str) -> Record {
    with(cell(engine, id, 0, 0), |cell| {
        cell.unavailable = Some(reason.into());
        cell.encoded_bytes = 0;
        (cell.allocs, cell.alloc_bytes) = (None, None);
        (cell.peak_bytes, cell.live_bytes) = (None, None);
        cell.result_hash.clear();
    })
}

/// Three suites with all that can stand in a table.
pub fn all() -> Vec<Record> {
    let no_snapshot = "no form apart from its updates";
    let lazy = |cell: &mut Cell| cell.differs = Some("decoded when it is needed".into());
    let each = |cell: &mut Cell| cell.elements = Some(259_778);
    let mut records = vec![
        with(
            cell(LORO, "import/automerge-paper/snapshot", 88_000, 20),
            lazy,
        ),
        unavailable(YRS, "import/automerge-paper/snapshot", no_snapshot),
        unavailable(DT, "import/automerge-paper/snapshot", no_snapshot),
        with(
            cell(LORO, "import/automerge-paper/updates", 7_270_000, 20),
            each,
        ),
        with(
            cell(YRS, "import/automerge-paper/updates", 6_400_000, 20),
            each,
        ),
        with(
            cell(DT, "import/automerge-paper/updates", 1_600_000, 20),
            each,
        ),
        with(
            cell(
                LORO,
                "import/automerge-paper-x100/snapshot+edit",
                92_184_000_000,
                1,
            ),
            lazy,
        ),
        cell(LORO, "import/odd|name <i>x<i>/updates", 1_000_000, 20),
    ];
    for size in [1_000u64, 2_000, 4_000, 8_000] {
        let scaled = |cell: &mut Cell| {
            cell.elements = Some(size);
            cell.scale = Some(Scale {
                series: "text-append".into(),
                size,
                unit: "rounds".into(),
            });
        };
        let id = format!("live/generated/text-append-{size}");
        records.push(with(cell(LORO, &id, size * size * 100, 10), scaled));
        records.push(with(cell(YRS, &id, size * 800, 10), scaled));
    }
    for (engine, finding) in [(LORO, "kept apart: 123Hi"), (YRS, "interleaved: 1H2i3")] {
        let finds = |cell: &mut Cell| cell.finding = Some(finding.into());
        records.push(with(
            cell(engine, "interleaving/generated/forward", 1_000, 1),
            finds,
        ));
    }
    records
}
