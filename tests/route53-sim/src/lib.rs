//! A simulator of the Route 53 API that is stricter than most clients are, for tests.
//!
//! | module | what |
//! |---|---|
//! | [`model`], [`name`], [`options`] | the words: record sets, changes, operations; names as they are stored and sorted; settings |
//! | [`zone`], [`rules`], [`account`] | the state machine, without sockets and clocks: one zone, what a batch may do to it, all zones |
//! | [`xsd`], [`schema`], [`places`] | request bodies against the service's XML schema |
//! | `texts` | every message; the ones whose wording is not recorded from the service stand apart |
//! | [`api`], `render`, `sts` | requests to calls, answers to XML |
//! | [`iam`] | what the caller may do |
//! | [`throttle`], [`fault`], [`log`] | rate limits, faults on demand, the log of requests |
//! | `server`, `connection`, `exchange`, `admin` | HTTP: connections, one request and its answer, the admin endpoint |
//! | [`sim`] | a running simulator, for tests in Rust |

pub mod account;
mod admin;
pub mod api;
mod connection;
mod exchange;
pub mod fault;
pub mod health;
pub mod iam;
pub mod log;
pub mod model;
pub mod name;
pub mod options;
pub mod places;
mod rdata;
pub mod record_set;
mod render;
pub mod rules;
pub mod schema;
mod server;
pub mod sim;
mod sts;
pub mod tags;
mod texts;
pub mod throttle;
mod xml;
pub mod xsd;
pub mod zone;

pub use crate::fault::{Count, Fault, Target};
pub use crate::iam::ChangeConditions;
pub use crate::log::Request;
pub use crate::model::{Action, Operation, RecordSet};
pub use crate::options::{Options, Switch, Throttle, Throughput};
pub use crate::sim::{Builder, Sim};
