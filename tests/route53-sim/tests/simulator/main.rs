//! The simulator's own conformance suite.

mod boto3;
mod client;
mod program;
mod table;
mod wire;
