//! The network between clients and relay: addresses, connections, encryption,
//! and the simulated links in front of clients.

pub mod link;
pub mod network;
pub mod target;
pub mod tls;
