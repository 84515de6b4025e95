//! Cells of several programs, in turns.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use syncbench_reports::comparison::Turn;
use syncbench_reports::record::Record;

/// A program that measures cells of one engine.
pub struct Program {
    /// As it is called in tables.
    pub label: String,
    /// Its executable, which takes `cell` and its arguments.
    pub executable: PathBuf,
    /// The engine, as `--engine` takes it.
    pub engine: String,
    /// The version of the library, where it was asked for.
    pub version: Option<String>,
}

/// One suite on one data set: what one process measures.
pub struct Job {
    /// Name of the suite.
    pub suite: String,
    /// The other arguments of `cell`.
    pub args: Vec<String>,
}

/// Who runs in which order: each round the other way round, so that nobody is
/// always the one who finds the machine warm.
pub fn order(contenders: usize, round: usize) -> Vec<usize> {
    let forward = 0..contenders;
    match round.is_multiple_of(2) {
        true => forward.collect(),
        false => forward.rev().collect(),
    }
}

/// Runs every job in every program, `rounds` times. Each record goes to
/// `records` as soon as it is there, so that an interrupted comparison leaves
/// what it measured.
///
/// # Errors
/// When a program cannot be started, or ends without measuring.
pub fn run(
    programs: &[Program],
    jobs: &[Job],
    rounds: usize,
    mut records: File,
    mut progress: impl FnMut(String),
) -> anyhow::Result<Vec<Turn>> {
    let mut turns = Vec::new();
    for round in 0..rounds {
        for job in jobs {
            for contender in order(programs.len(), round) {
                let program = &programs[contender];
                let (label, suite) = (&program.label, &job.suite);
                progress(format!("round {} of {rounds}: {suite}, {label}", round + 1));
                let measured = measure(program, job)
                    .with_context(|| format!("{label} could not measure {suite}"))?;
                let mut cells = Vec::new();
                for record in measured {
                    writeln!(records, "{}", serde_json::to_string(&record)?)
                        .context("cannot write the records")?;
                    cells.extend(record.cell);
                }
                turns.push(Turn {
                    contender,
                    round,
                    cells,
                });
            }
        }
    }
    Ok(turns)
}

/// What one process measures. It ends with a failure also where a single cell
/// failed; the record of that cell says why.
fn measure(program: &Program, job: &Job) -> anyhow::Result<Vec<Record>> {
    let output = Command::new(&program.executable)
        .args(["cell", &job.suite, "--engine", &program.engine])
        .args(&job.args)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", program.executable.display()))?;
    let lines = String::from_utf8_lossy(&output.stdout);
    let records: Result<Vec<Record>, _> = lines.lines().map(serde_json::from_str).collect();
    let mut records = records.context("it printed something else than records")?;
    if records.is_empty() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}", output.status, said.trim_end());
    }
    for record in &mut records {
        name_version(record, program);
    }
    Ok(records)
}

/// Writes the version that was built into the record: an adapter may only know
/// the one that it was written for.
fn name_version(record: &mut Record, program: &Program) {
    let Some(version) = &program.version else {
        return;
    };
    record.run.engine = format!("{} {version}", program.engine);
    if let Some(cell) = &mut record.cell {
        cell.engine_version.clone_from(version);
    }
}

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn nobody_is_always_first() {
        assert_eq!(order(2, 0), [0, 1]);
        assert_eq!(order(2, 1), [1, 0]);
        assert_eq!(order(3, 3), [2, 1, 0]);
    }
}
