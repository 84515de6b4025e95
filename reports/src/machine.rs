//! The machine that a record was made on.

use std::fs;
use std::thread::available_parallelism;

use crate::record::Machine;

/// The text for values that the system does not report.
const UNKNOWN: &str = "unknown";

impl Machine {
    /// Examines the machine that this process runs on. What the system does not report
    /// is `unknown`, or 0 for the memory. Details beyond the name of the operating
    /// system come from `/proc`, so only Linux has them.
    pub fn detect() -> Machine {
        Machine {
            os: os(
                &read("/etc/os-release"),
                &read("/proc/sys/kernel/osrelease"),
            ),
            arch: std::env::consts::ARCH.to_owned(),
            cpu: cpu_model(&read("/proc/cpuinfo")),
            cpus: available_parallelism().map_or(1, usize::from),
            memory_bytes: memory_bytes(&read("/proc/meminfo")),
        }
    }
}

/// Reads a file; an absent file counts as an empty one.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn os(os_release: &str, kernel: &str) -> String {
    let distribution = os_release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map(|name| name.trim_matches('"'));
    match (distribution, kernel.trim()) {
        (Some(name), "") => name.to_owned(),
        (Some(name), kernel) => format!("{name}, Linux {kernel}"),
        (None, "") => std::env::consts::OS.to_owned(),
        (None, kernel) => format!("Linux {kernel}"),
    }
}

fn cpu_model(cpuinfo: &str) -> String {
    field(cpuinfo, "model name").unwrap_or(UNKNOWN).to_owned()
}

fn memory_bytes(meminfo: &str) -> u64 {
    field(meminfo, "MemTotal")
        .and_then(|value| value.strip_suffix(" kB"))
        .and_then(|kib| kib.parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024)
}

/// The value of the first `name : value` line.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
        .filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_named_with_its_kernel() {
        let release = "NAME=\"Some Linux\"\nPRETTY_NAME=\"Some Linux 13\"\n";
        assert_eq!(os(release, "6.1.0-9\n"), "Some Linux 13, Linux 6.1.0-9");
        assert_eq!(os("", "6.1.0-9\n"), "Linux 6.1.0-9");
        assert_eq!(os("", ""), std::env::consts::OS);
    }

    #[test]
    fn cpu_and_memory_are_read_where_the_system_tells_them() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Fast CPU 3000\n\nmodel name\t: Other\n";
        assert_eq!(cpu_model(cpuinfo), "Fast CPU 3000");
        assert_eq!(cpu_model("processor : 0\n"), UNKNOWN);
        assert_eq!(
            memory_bytes("MemTotal:       2048 kB\nMemFree: 1 kB\n"),
            2048 * 1024
        );
        assert_eq!(memory_bytes("MemTotal: many\n"), 0);
    }

    #[test]
    fn this_machine_has_a_cpu_and_a_name() {
        let machine = Machine::detect();
        assert!(machine.cpus > 0);
        assert!(!machine.os.is_empty() && !machine.arch.is_empty() && !machine.cpu.is_empty());
    }
}
