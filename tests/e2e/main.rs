//! Whole-system tests: the built program, as an operator would start it, in network namespaces of
//! its own, beside a strict Route 53 and a scripted API server.
//!
//! `NODEDNS_BIN` names the program to test, e.g. `target/dist/nodedns`; without it the one that
//! Cargo has built for the tests is taken.

#[path = "../it/support/mod.rs"]
#[expect(dead_code, reason = "shared with the other test binary, which uses the rest")]
mod support;

mod cluster;
mod compare;
mod drain;
mod faults;
mod host;
mod lifecycle;
mod machine;
mod metrics;
mod node;
mod probe;
mod service;
mod shutdown;
mod survivors;
