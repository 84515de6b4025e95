//! The network between clients and relay: addresses, connections, encryption,
//! and the simulated links in front of clients.

pub mod link;
pub mod network;
pub mod placeholder;
pub mod secret;
pub mod target;
pub mod tls;
