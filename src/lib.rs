//! nodedns keeps one node's own record sets in Route 53 true to its addresses and health.
//!
//! On every node it **watches** what is true, **decides** what should be published, and
//! **publishes** exactly that, and nothing that is not its own.
//!
//! ```text
//!   netlink ──┐                                        ┌── Route 53
//!             ├─▶ watch ──events──▶ decide ──effects──▶ publish
//!   Node ─────┘                       │                └── memory (dry run)
//!                                     └─ report ─▶ control ─▶ nodedns status
//! ```
//!
//! | module | what it is for | what is deliberately absent |
//! |---|---|---|
//! | [`decide`] | what should be published, and why: plan, guard, engine | IO, clocks, logging, `async`, serde |
//! | [`watch`] | what is true: addresses, the Node, time | decisions; settling; a way to write anything |
//! | [`publish`] | makes it so: one trait, Route 53 and memory behind it | retries; an SDK's types in its interface |
//! | [`control`] | talks to the running daemon over a unix socket | decisions; a way to change anything but the drain |
//! | [`config`] | what the operator wants, from files to policy | secrets; anything read from the network |
//! | [`cli`] | the commands, one file each | the daemon's internals |
//! | [`daemon`] | wires all of it to one loop | decisions |
//! | [`state`] | what must survive a restart: the operator's drain; `nodedns plan` reads it where no daemon says | anything that can be found out again |
//! | [`metrics`] | what is true and what has happened, in Prometheus's words | a truth of its own beside the status; a listener that nobody asked for |
//! | [`systemd`], [`telemetry`] | the service manager and the log | |
//!
//! `tests/it/layers.rs` enforces who may use whom.
//!
//! # Invariants
//! - Only record sets with this node's own owner id ([`decide::owner::OwnerId`]) are created,
//!   changed or deleted. One exception is a witness: deleted and created again, unchanged, in
//!   one batch, so that Route 53 itself refuses a withdrawal that would empty a pool
//!   ([`decide::guard`]).
//! - The other exception, where it is switched on: what a dead sibling of the same cluster has left
//!   behind is removed, by exact match and with witnesses ([`decide::survivors`]).
//! - Only health checks that carry this node's mark in their caller reference are deleted, and none
//!   that a record set refers to. Publishing does not depend on them.
//! - `nodedns check` tries rights with batches that Route 53 must refuse as a whole
//!   ([`publish::route53::rights`]).
//! - Not knowing never deletes and never creates: every input is [`decide::observed::Observed`].
//! - A listing is whole or an error. Nothing remote ends the process.
//! - One loop owns all state; watchers and requests are tasks that only send.
//! - A dry run holds no Route 53 client, so there is nothing in it that could write.

pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod decide;
pub mod metrics;
pub mod publish;
pub mod state;
pub mod systemd;
pub mod telemetry;
pub mod watch;
