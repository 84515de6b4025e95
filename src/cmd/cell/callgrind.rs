//! Counts of instructions, from a second run of this executable under valgrind's
//! callgrind.

use std::io::ErrorKind;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, bail};
use syncbench_engines::cell::COUNTED_FUNCTION;

use crate::cmd::BadInput;

/// Checks that valgrind is installed, before anything is measured.
///
/// # Errors
/// Fails if it is not.
pub fn find() -> Result<(), BadInput> {
    let mut valgrind = Command::new("valgrind");
    let found = valgrind.arg("--version").stdout(Stdio::null()).status();
    match found {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(BadInput::new(format!(
            "`valgrind --version` failed: {status}"
        ))),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(BadInput::new(
            "--instructions needs valgrind, which is not on the PATH; install it (Debian: \
             `apt install valgrind`) or leave --instructions out",
        )),
        Err(error) => Err(BadInput::new(format!("cannot start valgrind: {error}"))),
    }
}

/// Counts the instructions of the timed part that this executable runs once when it is
/// started with `args`.
///
/// # Errors
/// Fails if the run fails, or if callgrind did not see the timed part.
pub fn count(args: &[String]) -> anyhow::Result<u64> {
    let program = std::env::current_exe().context("cannot find the syncbench executable")?;
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg("--callgrind-out-file=/dev/null")
        .arg("--collect-atstart=no")
        .arg(format!("--toggle-collect={COUNTED_FUNCTION}"))
        .arg(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .context("cannot start valgrind")?;
    collected(&output)
}

fn collected(output: &Output) -> anyhow::Result<u64> {
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!(
            "the run under callgrind failed ({}):\n{said}",
            output.status
        );
    }
    match total(&said) {
        None => bail!("callgrind reported no total:\n{said}"),
        Some(0) => bail!(
            "callgrind did not find the timed part: this executable has no symbols; build it \
             without `strip`"
        ),
        Some(instructions) => Ok(instructions),
    }
}

/// Returns the number in callgrind's line `==123== Collected : 4567`.
fn total(said: &str) -> Option<u64> {
    said.lines()
        .filter(|line| line.starts_with("=="))
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, figure)| figure.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::total;

    #[test]
    fn the_total_is_read_off_callgrinds_last_words() {
        let said = "==7== Callgrind, a call-graph generating cache profiler\n\
            n/a: Collected : 3\n==7== Events    : Ir\n==7== Collected : 4272558\n==7==\n";
        assert_eq!(total(said), Some(4_272_558));
        assert_eq!(total("valgrind: no such tool"), None);
    }
}
