//! Loading traces: from gzip to checked patches, and from the binary form in the cache
//! folder, next to the time of unpacking alone.
//!
//! Ids: `load/gz/<dataset>` parses and replays, `load/cache/<dataset>` is the cost of
//! every later load of the same file, `unpack/gzip-dc/<dataset>` is the program gzip,
//! and `unpack/flate2/<dataset>` is the library that `load/gz` uses.

use std::cell::LazyCell;
use std::hint::black_box;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use criterion::{Bencher, Criterion};
use syncbench_datasets::{catalog, load, load_bytes, locate, read_entry};

/// Compressed data sets: a long one, one with larger edits, a graph.
const DATASETS: [&str; 3] = ["automerge-paper", "seph-blog1", "clownschool"];

fn main() {
    let mut criterion = Criterion::default()
        .measurement_time(Duration::from_secs(5))
        .configure_from_args();
    for name in DATASETS {
        let here = catalog().entry(name).map(locate);
        if !matches!(here, Some(Ok(Some(_)))) {
            eprintln!("skipped: {name}; `syncbench datasets fetch {name}` downloads it");
            continue;
        }
        measure(&mut criterion, name);
    }
    criterion.final_summary();
}

fn measure(criterion: &mut Criterion, name: &str) {
    // Read when the first benchmark runs, so that listing them is instant.
    let packed = LazyCell::new(|| packed(name));
    criterion.bench_function(&format!("unpack/gzip-dc/{name}"), |bencher| {
        gzip(bencher, &packed)
    });
    criterion.bench_function(&format!("unpack/flate2/{name}"), |bencher| {
        bencher.iter(|| unpack(black_box(&packed)));
    });
    criterion.bench_function(&format!("load/gz/{name}"), |bencher| {
        bencher
            .iter(|| load_bytes(name, black_box(&packed)).expect("the catalog's file is a trace"));
    });
    criterion.bench_function(&format!("load/cache/{name}"), |bencher| {
        // The first load fills the cache.
        load(name).expect("the data set is here");
        bencher.iter(|| load(black_box(name)).expect("the data set is here"));
    });
}

fn packed(name: &str) -> Vec<u8> {
    let entry = catalog()
        .entry(name)
        .expect("the names above are in the catalog");
    read_entry(entry)
        .expect("the data set is here")
        .into_owned()
}

fn unpack(packed: &[u8]) -> usize {
    let mut unpacked = flate2::read::MultiGzDecoder::new(packed);
    let mut buffer = vec![0; 64 << 10];
    let mut total = 0;
    loop {
        match unpacked
            .read(&mut buffer)
            .expect("the catalog's file is intact")
        {
            0 => return total,
            read => total += black_box(&buffer[..read]).len(),
        }
    }
}

fn gzip(bencher: &mut Bencher<'_>, packed: &[u8]) {
    let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    std::fs::write(file.path(), packed).expect("a temporary file can be written");
    bencher.iter(|| {
        let mut gzip = Command::new("gzip");
        let gzip = gzip.arg("-dc").stdout(Stdio::null());
        let input = std::fs::File::open(file.path()).expect("the file was written");
        assert!(
            gzip.stdin(input)
                .status()
                .expect("gzip is installed")
                .success()
        );
    });
}
