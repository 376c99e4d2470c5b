//! The command line: one file per subcommand.

pub mod addresses;
pub mod adopt;
pub mod args;
pub mod check;
pub mod completions;
pub mod config;
pub mod diff;
pub mod drain;
pub mod exit;
pub mod failure;
pub mod health_checks;
pub mod help;
pub mod iam_policy;
pub mod list;
pub mod operate;
pub mod outcome;
pub mod plan;
pub mod pools;
pub mod progress;
pub mod prune;
pub mod render;
pub mod restore;
pub mod run;
pub mod status;
pub mod undo;
pub mod world;
