//! The commands that a person runs, the program itself, against the simulators.

mod adopt;
mod adopt_props;
mod check;
mod check_aws;
mod formats;
mod help;
mod iam_policy;
mod list;
mod names;
mod plan;
mod prune;
mod restore;
