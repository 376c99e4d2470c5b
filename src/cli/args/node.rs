//! The commands around one node: its daemon, its addresses, its health checks, its configuration.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::{ConfigFile, Output, lasts};
use crate::config::Span;

/// The arguments of `nodedns run`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct RunArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take the text for the command's own")]
    pub config: ConfigFile,

    /// Write nothing: show what would be published
    #[arg(long)]
    pub dry_run: bool,

    /// Publish under this name too, as a [[record]] with its defaults; repeatable
    #[arg(long = "name", value_name = "NAME")]
    pub names: Vec<String>,

    /// The hosted zone of the names given with --name
    ///
    /// Without it the hosted zone with the longest matching name is looked up.
    #[arg(long, value_name = "ID", requires = "names")]
    pub zone_id: Option<String>,

    /// The cluster's name, in place of 'cluster' in the configuration
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,

    /// The node's name, in place of 'node' in the configuration
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,

    /// The least severe messages to log, in place of 'log.level' in the configuration
    #[arg(long, value_name = "LEVEL", value_parser = ["error", "warn", "info", "debug", "trace"])]
    pub log_level: Option<String>,
}

/// The arguments of `nodedns status`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct StatusArgs {
    /// How to show it
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Output,

    /// Keep showing it as it changes, until interrupted
    #[arg(long, short)]
    pub watch: bool,

    /// The daemon's control socket [default: control.socket of the configuration]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take the text for the command's own")]
    pub config: ConfigFile,
}

/// The arguments of `nodedns drain`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct DrainArgs {
    /// End the drain by itself after this time, like 30m or 2h
    ///
    /// Counted from now, also while the machine sleeps. Across a restart of the daemon it ends when
    /// the clock shows the time that it would have shown.
    #[arg(long = "for", value_name = "TIME", value_parser = lasts)]
    pub lasts: Option<Duration>,

    /// Override keep_min: even the last record set of a name goes
    #[arg(long)]
    pub force: bool,

    /// Why, for whoever looks at the status or the log
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take the text for the command's own")]
    pub change: ChangeArgs,
}

/// The arguments of `nodedns resume`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ResumeArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take the text for the command's own")]
    pub change: ChangeArgs,
}

/// What the commands that change the daemon's mind have in common.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ChangeArgs {
    /// Wait until every record is where it should be, on every name server of Route 53
    #[arg(long, short)]
    pub wait: bool,

    /// How long to wait at most; the daemon goes on after that
    #[arg(long, value_name = "TIME", value_parser = lasts, default_value = "10m", requires = "wait")]
    pub timeout: Duration,

    /// How to show it
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Output,

    /// The daemon's control socket [default: control.socket of the configuration]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take the text for the command's own")]
    pub config: ConfigFile,
}

/// The arguments of `nodedns addresses`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct AddressesArgs {
    /// How to show it
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Output,

    /// Judge for this address class [default: those of the configured records]
    #[arg(long, value_enum, value_name = "CLASS")]
    pub class: Option<Class>,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take the text for the command's own")]
    pub config: ConfigFile,
}

/// The arguments of `nodedns health-checks`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct HealthChecksArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: HealthChecksCommand,
}

/// What to do with health checks.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum HealthChecksCommand {
    /// Show every health check of this cluster, and whether a record set refers to it
    ///
    /// Reads the account's health checks and what the configured names hold. A health check is
    /// attached when a record set of these names refers to it; unattached when none does; unknown
    /// when it is for a name that is not configured here.
    #[command(after_long_help = after_help!(
        "nodedns health-checks list",
        "nodedns health-checks list --output json | jq '.health_checks[] | select(.state != \"attached\")'"
    ))]
    List(HealthChecksListArgs),

    /// Delete the health checks of this cluster that are not in use
    ///
    /// Shows them and asks. Reads the hosted zones of the configured records whole, twice, and
    /// deletes only what no record set of any name in them referred to both times; other hosted
    /// zones are not looked at. What is for a record that is not configured here, or by its tags in
    /// another hosted zone, is left alone. Without a terminal and without --yes
    /// it only shows them, and exits with 2 if there are any.
    #[command(after_long_help = after_help!("nodedns health-checks gc", "nodedns health-checks gc --yes --grace 5m"))]
    Gc(GcArgs),
}

/// The arguments of `nodedns health-checks list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct HealthChecksListArgs {
    /// How to show it
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Output,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take the text for the command's own")]
    pub config: ConfigFile,
}

/// The arguments of `nodedns health-checks gc`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct GcArgs {
    /// Delete them without asking
    #[arg(long, short)]
    pub yes: bool,

    /// How long to wait before the second look
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = crate::cli::health_checks::grace)]
    pub grace: Span,

    /// How to show it
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Output,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take the text for the command's own")]
    pub config: ConfigFile,
}

/// The arguments of `nodedns config`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What to do with the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Find every mistake in the configuration
    ///
    /// Reads the files, drop-ins and environment variables as the daemon does and reports every
    /// mistake with its place and remedy. Works offline: nothing is asked of Kubernetes or AWS.
    /// Exits with 78 when there is a mistake.
    #[command(after_long_help = after_help!(
        "nodedns config check",
        "nodedns config check --config ./nodedns.toml",
        "nodedns config check --output json | jq '.problems[]'"
    ))]
    Check(ConfigReadArgs),

    /// Show the effective configuration, and where each value comes from
    ///
    /// Prints every key as TOML with its value's origin: the built-in default, file and line, or
    /// an environment variable.
    #[command(after_long_help = after_help!(
        "nodedns config show",
        "nodedns config show | grep -v '# default'",
        "nodedns config show --output json | jq '.values[] | select(.key == \"resync\")'"
    ))]
    Show(ConfigReadArgs),

    /// Print the configuration file's JSON schema
    ///
    /// For editors that complete and check TOML files by a schema.
    #[command(after_long_help = after_help!("nodedns config schema > nodedns.schema.json"))]
    Schema,

    /// Write a commented example of the configuration file
    ///
    /// Every key is there with its default and explanation, commented out. To start, set 'cluster'
    /// and one [[record]].
    #[command(after_long_help = after_help!("nodedns config init", "nodedns config init -"))]
    Init(InitArgs),
}

/// The arguments of `nodedns config check` and `nodedns config show`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ConfigReadArgs {
    /// How to show it
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Output,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take the text for the command's own")]
    pub config: ConfigFile,
}

/// The arguments of `nodedns config init`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct InitArgs {
    /// Where to write it; '-' prints it
    #[arg(value_name = "PATH", default_value = "/etc/nodedns/nodedns.toml")]
    pub path: PathBuf,

    /// Replace the file if it exists
    #[arg(long, short)]
    pub force: bool,
}

/// An address class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Class {
    /// Globally reachable, by the IANA registries
    Global,
    /// RFC 1918, and unique local IPv6
    Private,
    /// 100.64.0.0/10, which mesh VPNs use
    Shared,
    /// Any unicast address
    Any,
}
