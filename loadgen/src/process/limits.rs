//! The number of file descriptors that this process may open.

/// The limit of file descriptors is too low for a run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{clients} clients need {needed} file descriptors, but the limit is {limit}: \
     raise it (ulimit -n {needed}), or use at most {} clients", limit.saturating_sub(SPARE)
)]
pub struct TooFewDescriptors {
    /// The number of clients in the run.
    pub clients: u64,
    /// The number of descriptors that they need.
    pub needed: u64,
    /// The hard limit.
    pub limit: u64,
}

/// The number of descriptors reserved for everything but the clients' sockets.
pub(crate) const SPARE: u64 = 64;

/// Raises the soft limit of file descriptors to the number that `clients` need.
/// The embedded relay, which needs as many, inherits the limit.
///
/// # Errors
/// If the hard limit is too low.
#[cfg(unix)]
pub fn reserve_descriptors(clients: u32) -> Result<(), TooFewDescriptors> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let clients = u64::from(clients);
    let needed = clients + SPARE;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|soft| soft >= needed) {
        return Ok(());
    }
    let raised = Rlimit {
        current: Some(needed),
        maximum: limit.maximum,
    };
    let allowed = limit.maximum.is_none_or(|hard| hard >= needed);
    if allowed && setrlimit(Resource::Nofile, raised).is_ok() {
        return Ok(());
    }
    Err(TooFewDescriptors {
        clients,
        needed,
        limit: limit.maximum.unwrap_or(0),
    })
}
