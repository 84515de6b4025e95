//! The cost that the trait adds to an engine's own calls, per keystroke: a writer
//! types, commits and exports each character; a reader imports it.
//!
//! `cargo run --release -p syncbench-engines --example overhead`

use std::error::Error;
use std::time::{Duration, Instant};

use loro::{ExportMode, IdSpan, LoroDoc};
use syncbench_engines::{Engine, Export, Loro, OpRange};

const KEYSTROKES: u32 = 20_000;
const ROUNDS: usize = 15;

/// The time of all keystrokes at the writer, and of all imports at the reader.
struct Cost {
    write: Duration,
    read: Duration,
}

impl Cost {
    fn least(self, other: Self) -> Self {
        Self {
            write: self.write.min(other.write),
            read: self.read.min(other.read),
        }
    }
}

fn library() -> Result<Cost, Box<dyn Error>> {
    let (writer, reader) = (LoroDoc::new(), LoroDoc::new());
    writer.set_peer_id(1)?;
    reader.set_peer_id(2)?;
    let text = writer.get_text("text");
    let mut updates = Vec::with_capacity(KEYSTROKES as usize);

    let start = Instant::now();
    for i in 0..KEYSTROKES as i32 {
        text.insert(i as usize / 2, "a")?;
        writer.commit();
        let span = IdSpan::new(1, i, i + 1);
        updates.push(writer.export(ExportMode::updates_in_range(vec![span]))?);
    }
    let write = start.elapsed();

    let start = Instant::now();
    for update in &updates {
        reader.import(update)?;
    }
    let read = start.elapsed();
    Ok(Cost { write, read })
}

fn adapter() -> Result<Cost, Box<dyn Error>> {
    let mut writer = Loro.replica(1);
    let mut reader = Loro.replica(2);
    let mut updates = Vec::with_capacity(KEYSTROKES as usize);

    let start = Instant::now();
    for i in 0..KEYSTROKES as usize {
        let from = writer.own_counter();
        writer.splice(i / 2, 0, "a")?;
        writer.commit();
        let counters = from..writer.own_counter();
        updates.push(writer.export(Export::Range(OpRange { peer: 1, counters }))?);
    }
    let write = start.elapsed();

    let start = Instant::now();
    for update in &updates {
        reader.import(update)?;
    }
    let read = start.elapsed();
    Ok(Cost { write, read })
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut plain, mut adapted) = (library()?, adapter()?);
    // They take turns, and the minimum of each counts: load on the machine only ever
    // adds time.
    for _ in 1..ROUNDS {
        plain = plain.least(library()?);
        adapted = adapted.least(adapter()?);
    }
    let us = |cost: Duration| cost.as_secs_f64() * 1e6 / f64::from(KEYSTROKES);
    println!("us per keystroke    library  adapter");
    let (library, adapter) = (us(plain.write), us(adapted.write));
    println!("edit + export       {library:7.2}  {adapter:7.2}");
    let (library, adapter) = (us(plain.read), us(adapted.read));
    println!("import              {library:7.2}  {adapter:7.2}");
    Ok(())
}
