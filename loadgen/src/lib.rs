//! The load generator: simulated clients, each a CRDT replica on a WebSocket,
//! that edit by an open-loop schedule, and the ledger that says when each edit
//! became visible where.
//!
//! The [`scenario`] describes the run, and the [`plan`] which client is where,
//! and when. The way of one edit: the [`schedule`] intends it; the pacer of a
//! [`worker`] waits for its time and hands it to the client's [`room`], which
//! makes it in the client's replica and notes it in the room's ledger; the
//! [`protocol`] frames it, the session of the [`client`] writes it to the
//! socket, and the link, a part of [`net`], carries it. Behind the relay another
//! session reads it, its room imports it, the ledger tells which edits became
//! visible, and the [`metrics`] count them. [`load`] leads all that and judges
//! the [`outcome`], once every room has been checked for convergence.

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
