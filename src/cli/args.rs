//! The command line: definitions only. The help texts are also the manual pages.
#![expect(rustdoc::broken_intra_doc_links, reason = "in a help text [[record]] is TOML and no link")]

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::Span;
use crate::control::protocol::SECONDS_MAX;

/// What follows the options in a help text: examples, then the exit codes.
macro_rules! after_help {
    ($($examples:literal),*) => {
        concat!(
            "Examples:\n",
            $("  ", $examples, "\n",)*
            "\n",
            "Exit codes:\n",
            "  0   good\n",
            "  1   the command failed\n",
            "  2   there are differences, or something is not healthy\n",
            "  64  the command line is wrong\n",
            "  69  the daemon or a service cannot be reached\n",
            "  77  not permitted\n",
            "  78  the configuration is bad"
        )
    };
}

/// Keep this node's own record sets in Route 53 true to its addresses and health
///
/// On every node of a Kubernetes cluster, nodedns watches the host's addresses and the node's own
/// Ready condition and cordon, and keeps this node's own A and AAAA record sets in Amazon Route 53
/// true to them: weighted, geoproximity or another routing policy. It never touches a record set
/// that it has not written.
///
/// The daemon is 'nodedns run', usually started by systemd. The other commands show what it sees
/// and does.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(
    name = "nodedns",
    version,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_long_help = after_help!("nodedns run --dry-run --name edge.example.com", "nodedns status")
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the daemon: watch, decide and publish until stopped
    ///
    /// Reads the configuration, watches the node's addresses and state, and keeps this node's
    /// record sets in Route 53 true to them. Stops on SIGTERM or SIGINT and leaves the record sets
    /// as they are.
    ///
    /// With --dry-run nothing is written: what would be published, and why, is shown instead. A dry
    /// run needs no configuration file, --name is enough.
    #[command(after_long_help = after_help!(
        "nodedns run",
        "nodedns run --dry-run --name edge.example.com",
        "nodedns run --dry-run --config ./nodedns.toml --log-level debug"
    ))]
    Run(RunArgs),

    /// Show what the daemon publishes, and why
    ///
    /// Asks the running daemon, over its control socket, for every record and type: what it wants
    /// (publish, withdraw, hold or preserve) and for which reason, what Route 53 has, since when,
    /// and the last change and error. Exits with 2 when something needs attention.
    #[command(after_long_help = after_help!(
        "nodedns status",
        "nodedns status --watch",
        "nodedns status --output json | jq '.records[] | select(.in_sync | not)'"
    ))]
    Status(StatusArgs),

    /// Take this node out of DNS, for maintenance
    ///
    /// Withdraws every record set of this node, until 'nodedns resume' or for as long as --for says.
    /// It holds across restarts of the daemon and of the machine, whatever Kubernetes says of the
    /// node. Draining again replaces what was asked for before. Records whose signal 'drained' is
    /// ignored stay. No record set leaves that is among the last keep_min of its name, unless
    /// --force is given.
    ///
    /// Says for every record what becomes of it. Exits with 2 when one is held by keep_min, when the
    /// drain could not be saved and so would not hold across a restart, or when --wait has waited in
    /// vain. For root and the daemon's own user.
    #[command(after_long_help = after_help!(
        "nodedns drain --wait && systemctl reboot",
        "nodedns drain --for 30m --reason 'kernel upgrade'",
        "nodedns drain --wait --output json"
    ))]
    Drain(DrainArgs),

    /// Let this node back into DNS
    ///
    /// Ends a drain. What else keeps the node out, such as a cordon, still does. Says for every record
    /// what becomes of it. For root and the daemon's own user.
    #[command(after_long_help = after_help!("nodedns resume", "nodedns resume --wait --timeout 2m"))]
    Resume(ResumeArgs),

    /// Show every address of this host, and why it is or is not published
    ///
    /// Reads the host's addresses as the daemon does and applies the [addresses] table and the
    /// address class of each record. Needs neither the daemon nor any right.
    #[command(after_long_help = after_help!(
        "nodedns addresses",
        "nodedns addresses --class private"
    ))]
    Addresses(AddressesArgs),

    /// Show the managed health checks of this cluster, or delete those that are not in use
    ///
    /// Health checks that nodedns has created for records with a 'health_check' carry its mark in
    /// their caller reference. Each daemon collects what was for its own configured records; what a
    /// node has left that is gone for good is left to 'gc'.
    #[command(after_long_help = after_help!(
        "nodedns health-checks list",
        "nodedns health-checks gc",
        "nodedns health-checks gc --yes --grace 5m"
    ))]
    HealthChecks(HealthChecksArgs),

    /// Check, show or write the configuration
    #[command(after_long_help = after_help!(
        "nodedns config init",
        "nodedns config check",
        "nodedns config show"
    ))]
    Config(ConfigArgs),
}

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

/// A length of time as the configuration file writes it, of a second at least.
fn lasts(text: &str) -> Result<Duration, String> {
    let Span(lasts) = Span::parse(text).map_err(|why| format!("{why}; write it like 90s, 30m or 2h"))?;
    match lasts >= Duration::from_secs(1) && lasts <= Duration::from_secs(SECONDS_MAX) {
        true => Ok(lasts),
        false => Err("it must be between one second and 365 days".to_owned()),
    }
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
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = super::health_checks::grace)]
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
    #[command(after_long_help = after_help!("nodedns config check", "nodedns config check --config ./nodedns.toml"))]
    Check(ConfigFile),

    /// Show the effective configuration, and where each value comes from
    ///
    /// Prints every key as TOML with its value's origin: the built-in default, file and line, or
    /// an environment variable.
    #[command(after_long_help = after_help!("nodedns config show", "nodedns config show | grep -v '# default'"))]
    Show(ConfigFile),

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

/// Which configuration to read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct ConfigFile {
    /// The configuration file; its drop-ins lie in PATH.d/*.toml
    ///
    /// Without it the file is $NODEDNS_CONFIG, else /etc/nodedns/nodedns.toml.
    #[arg(id = "config", long = "config", short, value_name = "PATH")]
    pub path: Option<PathBuf>,
}

/// How to show something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Output {
    /// For people
    #[default]
    Table,
    /// For scripts
    Json,
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::exit::Exit;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_lists_every_exit_code() {
        let help = after_help!("");
        for exit in Exit::ALL {
            let line = format!("  {:<4}{}", exit.code(), exit.meaning());
            assert!(help.lines().any(|l| l == line), "{line:?} is not in {help}");
        }
    }

    #[test]
    fn a_wrong_command_line_ends_as_a_usage_error_and_help_does_not() {
        let exit = |args: &[&str]| {
            let args = std::iter::once("nodedns").chain(args.iter().copied());
            Cli::try_parse_from(args).map_or_else(|error| Exit::of_usage(&error), |_| Exit::Ok)
        };
        for args in [
            &["run", "--dryrun"][..],
            &["stat"],
            &[],
            &["run", "--zone-id", "Z1"],
            &["run", "--log-level", "x"],
            &["drain", "--for", "30"],
            &["drain", "--for", "0s"],
            &["drain", "--for", "366d"],
            &["resume", "--timeout", "1m"],
        ] {
            assert_eq!(exit(args), Exit::Usage, "{args:?}");
        }
        for args in [
            &["--help"][..],
            &["--version"],
            &["config", "check", "-h"],
            &["run", "--name", "a.b", "--zone-id", "Z1"],
            &["drain", "--for", "1h30m", "--wait", "--timeout", "90s"],
            &["resume"],
        ] {
            assert_eq!(exit(args), Exit::Ok, "{args:?}");
        }
    }
}
