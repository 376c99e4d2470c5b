//! The command line: one file per subcommand.

pub mod addresses;
pub mod args;
pub mod config;
pub mod drain;
pub mod exit;
pub mod failure;
pub mod health_checks;
pub mod outcome;
pub mod render;
pub mod run;
pub mod status;
