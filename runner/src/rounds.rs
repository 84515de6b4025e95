//! Cells of several programs, in turns.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use syncbench_reports::comparison::Turn;
use syncbench_reports::record::Record;

use crate::Contender;

/// One suite on one data set: the work of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Name of the suite.
    pub suite: String,
    /// The other arguments of `cell`.
    pub args: Vec<String>,
}

/// The jobs that every contender does, in turns.
#[derive(Debug, Clone, Copy)]
pub struct Rounds<'a> {
    /// The programs; the first is the base.
    pub contenders: &'a [Contender],
    /// The jobs of each round.
    pub jobs: &'a [Job],
    /// The number of rounds.
    pub rounds: usize,
}

/// An error while the programs run.
#[derive(Debug, thiserror::Error)]
pub enum RoundsError {
    /// A program cannot be started.
    #[error("cannot start {}: {source}", executable.display())]
    Start {
        /// The program.
        executable: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A program printed something other than records.
    #[error("{label} could not measure {suite}: its output is not a record ({source})")]
    NotARecord {
        /// The contender.
        label: String,
        /// The suite.
        suite: String,
        /// The syntax error.
        source: serde_json::Error,
    },
    /// A program printed nothing.
    #[error("{label} could not measure {suite}: {status}: {stderr}")]
    NoRecord {
        /// The contender.
        label: String,
        /// The suite.
        suite: String,
        /// The exit status of the process.
        status: ExitStatus,
        /// The error messages of the process.
        stderr: String,
    },
    /// The records cannot be saved.
    #[error("cannot write the records: {0}")]
    Save(io::Error),
}

impl Rounds<'_> {
    /// Runs every job in every contender, each time in a new process. Each
    /// record goes to `records` at once, so that an interrupted comparison
    /// keeps what it measured. `progress` is called before each process.
    ///
    /// # Errors
    /// When a program cannot be started, or ends without measuring.
    pub fn run(
        &self,
        mut records: impl Write,
        mut progress: impl FnMut(String),
    ) -> Result<Vec<Turn>, RoundsError> {
        let mut turns = Vec::new();
        for round in 0..self.rounds {
            for job in self.jobs {
                for contender in order(self.contenders.len(), round) {
                    let program = &self.contenders[contender];
                    let (of, suite, label) = (self.rounds, &job.suite, &program.label);
                    progress(format!("round {} of {of}: {suite}, {label}", round + 1));
                    let measured = measure(program, job)?;
                    save(&measured, &mut records).map_err(RoundsError::Save)?;
                    let cells = measured.into_iter().filter_map(|record| record.cell);
                    turns.push(Turn {
                        contender,
                        round,
                        cells: cells.collect(),
                    });
                }
            }
        }
        Ok(turns)
    }
}

/// The order of the contenders in a round. It is reversed in every other round,
/// so that no contender always finds the machine warm.
fn order(contenders: usize, round: usize) -> Vec<usize> {
    let forward = 0..contenders;
    match round.is_multiple_of(2) {
        true => forward.collect(),
        false => forward.rev().collect(),
    }
}

/// Runs one process. It also exits with a failure if a single cell failed; the
/// record of that cell gives the reason.
fn measure(program: &Contender, job: &Job) -> Result<Vec<Record>, RoundsError> {
    let mut command = Command::new(&program.executable);
    command.args(["cell", &job.suite]);
    if let Some(engine) = &program.engine {
        command.args(["--engine", engine]);
    }
    let output = command.args(&job.args).stdin(Stdio::null()).output();
    let output = output.map_err(|source| RoundsError::Start {
        executable: program.executable.clone(),
        source,
    })?;
    let (label, suite) = (program.label.clone(), job.suite.clone());
    let lines = String::from_utf8_lossy(&output.stdout);
    let records: Result<Vec<Record>, _> = lines.lines().map(serde_json::from_str).collect();
    match records {
        Ok(records) if records.is_empty() => Err(RoundsError::NoRecord {
            label,
            suite,
            status: output.status,
            stderr: String::from_utf8_lossy(&output.stderr)
                .trim_end()
                .to_owned(),
        }),
        Ok(mut records) => {
            records
                .iter_mut()
                .for_each(|record| name_version(record, program));
            Ok(records)
        }
        Err(source) => Err(RoundsError::NotARecord {
            label,
            suite,
            source,
        }),
    }
}

fn save(records: &[Record], file: &mut impl Write) -> io::Result<()> {
    for record in records {
        writeln!(file, "{}", serde_json::to_string(record)?)?;
    }
    Ok(())
}

/// Writes the version that the program was built with into the record.
fn name_version(record: &mut Record, program: &Contender) {
    let Some(version) = &program.version else {
        return;
    };
    if let Some(engine) = &program.engine {
        record.run.engine = format!("{engine} {version}");
    }
    if let Some(cell) = &mut record.cell {
        cell.engine_version.clone_from(version);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn no_contender_is_always_first() {
        assert_eq!(order(2, 0), [0, 1]);
        assert_eq!(order(2, 1), [1, 0]);
        assert_eq!(order(3, 3), [2, 1, 0]);
    }

    fn error_of(executable: &str) -> String {
        let contender = Contender {
            label: "it".to_owned(),
            executable: executable.into(),
            engine: None,
            version: None,
        };
        let job = Job {
            suite: "import".to_owned(),
            args: Vec::new(),
        };
        let rounds = Rounds {
            contenders: &[contender],
            jobs: &[job],
            rounds: 1,
        };
        let error = rounds.run(io::sink(), |_| {}).unwrap_err();
        error.to_string()
    }

    #[test]
    fn a_program_that_does_not_measure_is_named() {
        assert!(error_of("/no/such/program").contains("cannot start /no/such/program"));
        assert!(error_of("/bin/echo").contains("it could not measure import: its output"));
        assert!(error_of("/bin/false").contains("it could not measure import: exit status"));
    }
}
