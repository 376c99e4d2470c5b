//! nodedns keeps one node's own record sets in Route 53 true to its addresses and health.

pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod decide;
pub mod publish;
pub mod systemd;
pub mod telemetry;
pub mod watch;
