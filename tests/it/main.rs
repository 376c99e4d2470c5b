//! One test binary, in reading order: the core, the edges, the repository's own invariants.

mod support;

// The core: pure, in virtual time.
mod engine_sim;
mod forecast;
mod model;
mod plan_checks;
mod plan_props;
mod plan_table;
mod registry;
mod select;
mod signal_table;

// The edges, each against the real thing or a strict stand-in.
mod check_kills;
mod cli;
mod commands;
mod config;
mod control;
mod drain;
mod health_checks_cli;
mod journal;
mod metrics;
mod netns;
mod node_watch;
mod probe;
mod provider;
mod state;
mod system_bus;

// The whole, in trouble.
mod matrix;

// The repository's own invariants.
mod generated;
mod layers;
mod monitoring;
mod nix;
mod packaging;
mod units;
