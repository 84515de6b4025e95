//! Finds the local process that listens on an address.

use std::net::SocketAddr;

use crate::net::target::UrlTemplate;

/// Returns the pid of the process that listens at `url`, if that is a loopback
/// address; see [`pid_listening_on`].
pub fn listener_of(url: &UrlTemplate) -> Option<u32> {
    let url = url.url("room-0", "client-0").ok()?;
    let host = url.host().replace("localhost", "127.0.0.1");
    pid_listening_on(SocketAddr::new(host.parse().ok()?, url.port()))
}

/// Returns the pid of the process that listens on the loopback address `addr`,
/// so that a relay can be sampled even if only its URL is known. If several
/// processes share the socket, it is the lowest pid, which usually is that of
/// the parent.
///
/// Returns `None` for an address of another machine, if no process listens, and
/// if the process belongs to another user or another network namespace.
#[cfg(target_os = "linux")]
pub fn pid_listening_on(addr: SocketAddr) -> Option<u32> {
    let ip = addr.ip().to_canonical();
    if !ip.is_loopback() {
        return None;
    }
    holder_of(&listening_sockets(SocketAddr::new(ip, addr.port())))
}

/// Returns `None`: only Linux reports which process listens on an address.
#[cfg(not(target_os = "linux"))]
pub fn pid_listening_on(_addr: SocketAddr) -> Option<u32> {
    None
}

/// Returns the inodes of the sockets that accept connections to `addr`: those
/// bound to the address itself if there are any, otherwise those bound to all
/// addresses.
#[cfg(target_os = "linux")]
fn listening_sockets(addr: SocketAddr) -> Vec<u64> {
    use procfs::net::{TcpState, tcp, tcp6};

    let entries = [tcp(), tcp6()].into_iter().flatten().flatten();
    let (exact, of_all): (Vec<_>, Vec<_>) = entries
        .filter(|entry| entry.state == TcpState::Listen)
        .map(|entry| (entry.local_address, entry.inode))
        .filter(|(local, _)| local.port() == addr.port())
        .filter(|(local, _)| accepts(*local, addr))
        .partition(|(local, _)| local.ip().to_canonical() == addr.ip());
    let sockets = if exact.is_empty() { of_all } else { exact };
    sockets.into_iter().map(|(_, inode)| inode).collect()
}

/// Returns whether a socket bound to `local` may accept connections to `addr`. A
/// socket bound to `[::]` accepts IPv4 connections too, unless it is restricted
/// to IPv6.
#[cfg(target_os = "linux")]
fn accepts(local: SocketAddr, addr: SocketAddr) -> bool {
    let ip = local.ip().to_canonical();
    ip == addr.ip() || (ip.is_unspecified() && (ip.is_ipv6() || addr.is_ipv4()))
}

/// Returns the first process, in the order of pids, that holds one of the
/// sockets. Skips processes that this one may not inspect.
#[cfg(target_os = "linux")]
fn holder_of(sockets: &[u64]) -> Option<u32> {
    use procfs::process::{FDTarget, Process, all_processes};

    if sockets.is_empty() {
        return None;
    }
    let holds = |process: &Process| {
        process.fd().is_ok_and(|descriptors| {
            descriptors.flatten().any(|descriptor| {
                matches!(descriptor.target, FDTarget::Socket(inode) if sockets.contains(&inode))
            })
        })
    };
    let holder = all_processes().ok()?.flatten().find(holds)?;
    u32::try_from(holder.pid()).ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::TcpListener;

    use super::*;

    fn listening(on: &str) -> (TcpListener, u16) {
        let listener = TcpListener::bind(on).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    #[test]
    fn the_listener_on_a_loopback_address_is_found() {
        let (listener, port) = listening("127.0.0.1:0");
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(pid_listening_on(addr), Some(std::process::id()));
        drop(listener);
        assert_eq!(pid_listening_on(addr), None);
    }

    #[test]
    fn a_listener_on_all_addresses_is_found_by_loopback() {
        let (_listener, port) = listening("0.0.0.0:0");
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(pid_listening_on(addr), Some(std::process::id()));
    }

    #[test]
    fn another_loopback_address_is_not_mistaken_for_it() {
        let (_listener, port) = listening("127.0.0.1:0");
        let other = SocketAddr::from(([127, 0, 0, 9], port));
        assert_eq!(pid_listening_on(other), None);
    }

    #[test]
    fn an_address_that_is_not_of_this_machine_has_no_local_process() {
        let (_listener, port) = listening("0.0.0.0:0");
        let remote = SocketAddr::from(([192, 0, 2, 1], port));
        assert_eq!(pid_listening_on(remote), None);
    }
}
