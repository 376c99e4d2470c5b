//! The command line: one file per subcommand.

pub mod args;
pub mod config;
pub mod exit;
