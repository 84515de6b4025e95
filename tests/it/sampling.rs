//! A relay that was started elsewhere is found and sampled.
#![cfg(target_os = "linux")] // only Linux tells

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use syncbench_loadgen::process::{Sampler, Subject, pid_listening_on};

/// Ends the relay even if a test fails.
struct Relay(Child);

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_relay_given_by_its_address_is_found_and_sampled_until_it_ends() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncbench"));
    command.args(["relay", "--listen", "127.0.0.1:0"]);
    let mut relay = Relay(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    let stdout = relay.0.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    let addr: SocketAddr = line["listening"].as_str().unwrap().parse().unwrap();

    let pid = pid_listening_on(addr).unwrap();
    assert_eq!(pid, relay.0.id());
    let mut sampler = Sampler::new(Subject::Process(pid)).unwrap();
    let sample = sampler.sample().unwrap();
    assert!(sample.rss_bytes > 0 && sample.threads > 0);
    assert!(sample.descriptors >= Some(4), "standard ones and a socket");

    relay.0.kill().unwrap();
    relay.0.wait().unwrap();
    assert_eq!(sampler.sample(), None);
    assert_eq!(pid_listening_on(addr), None);
    assert_eq!(sampler.used().pid, pid);
}
