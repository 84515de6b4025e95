//! The load generator: simulated clients, each a CRDT replica on a WebSocket,
//! that edit by an open-loop schedule, and the ledger that says when each edit
//! became visible where.
//!
//! The [`scenario`] says what is to happen, and the [`plan`] who does it when.
//! The way of one edit: the [`schedule`] intends it, the [`worker`] waits for
//! its time on the [`timer`] and gives it to its [`room`], where the [`editor`]
//! makes it in the writer's [`replica`] and the [`ledger`] notes it; the
//! [`protocol`] frames it, the [`session`] of its [`client`] writes it to the
//! socket, and the [`link`] carries it. Behind the relay another session reads
//! it, its room imports it, the ledger tells which edits became visible, and
//! the [`metrics`] count them. [`load`] leads all that, the [`outcome`] adds up
//! what the workers report, [`convergence`] proves that nothing was lost, and
//! the [`verdict`] says what it is all worth.

#![forbid(unsafe_code)]

pub mod client;
pub mod doctor;
pub mod load;
pub mod metrics;
pub mod net;
pub mod outcome;
pub mod plan;
pub mod process;
pub mod protocol;
pub mod relay;
pub mod room;
pub mod scenario;
pub mod schedule;
pub mod time;
pub mod worker;
