//! The load generator: simulated clients, each a CRDT replica on a WebSocket,
//! that edit by an open-loop schedule, and the ledger that says when each edit
//! became visible where.
//!
//! The way of one edit: the [`schedule`] intends it, the [`pacer`] lets it go,
//! the [`worker`] gives it to its [`room`], where the [`typist`] makes it in
//! the writer's replica and the [`ledger`] notes it; the [`protocol`] frames
//! it, the [`session`] writes it to the socket. Behind the relay another
//! session reads it, its room imports it, the ledger tells which edits became
//! visible, and the [`metrics`] count them. [`load`] leads all that, the
//! [`outcome`] adds up what the workers report, [`convergence`] proves that
//! nothing was lost, and the [`verdict`] says what it is all worth.

#![forbid(unsafe_code)]

pub mod clock;
pub mod connection;
pub mod convergence;
pub mod doctor;
pub mod ledger;
pub mod load;
pub mod metrics;
pub mod metrics_server;
pub mod outcome;
pub mod pacer;
pub mod process;
pub mod protocol;
mod record;
pub mod relay;
pub mod room;
pub mod scenario;
pub mod schedule;
pub mod session;
pub mod target;
pub mod typist;
pub mod verdict;
pub mod worker;
