//! The command line: definitions only. The help texts are also the manual pages.
#![expect(rustdoc::broken_intra_doc_links, reason = "in a help text [[record]] is TOML and no link")]

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use node::{
    AddressesArgs, ChangeArgs, Class, ConfigArgs, ConfigCommand, ConfigReadArgs, DrainArgs, GcArgs, HealthChecksArgs,
    HealthChecksCommand, HealthChecksListArgs, InitArgs, ResumeArgs, RunArgs, StatusArgs,
};
pub use pools::{AdoptArgs, Consent, ListArgs, PlanArgs, PruneArgs, RestoreArgs};
pub use setup::{CheckArgs, CompletionsArgs, HelpArgs, IamPolicyArgs, Role, Shell};

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

// After the macro, which they use.
mod node;
mod pools;
mod setup;

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

    /// Show what would change in Route 53 now, and why
    ///
    /// Reads the addresses, the Node, the probes and the drain of this node and what Route 53 holds,
    /// and shows the changes that the daemon would come to if everything stays as it is: every wait is
    /// taken to be over. Changes nothing and needs no daemon; a running one is asked for the drain. Each
    /// probe is made until it has a verdict.
    ///
    /// What could not be read is shown as '?' with the reason. As changes may be missing, it exits with 69
    /// then where something could only not be reached, with 77 where something is not permitted, and with 1
    /// for every other reason; else with 2 when there is something to change.
    #[command(after_long_help = after_help!("nodedns plan", "nodedns plan --output json | jq '.records[].changes'"))]
    Plan(PlanArgs),

    /// Show every record set at the configured names, whose it is, and how its node is
    ///
    /// Joins what Route 53 holds at the configured names with the cluster's nodes: live, cordoned, not
    /// ready and since when, gone, of another cluster, or not written by nodedns at all. What needs
    /// attention comes first. Without a kubeconfig that may list nodes it says what it cannot know.
    #[command(after_long_help = after_help!(
        "nodedns list",
        "nodedns list edge.example.com",
        "nodedns list --kubeconfig /etc/rancher/k3s/k3s.yaml",
        "nodedns list --all-zones --output json | jq '.pools[].sets[] | select(.node_state == \"gone\")'"
    ))]
    List(ListArgs),

    /// Delete what dead nodes have left in DNS
    ///
    /// Deletes record sets of this cluster's nodes that are gone, or have not been Ready, for longer
    /// than --grace, at the configured names. Only when the cluster's nodes could be read whole and are
    /// the right ones; never below keep_min; never more than --max-delete; by exact match, so that a
    /// node that has come back wins. Shows everything first and asks; without a terminal and without
    /// --yes it only shows, and exits with 2 if there is anything. Writes an undo file for 'nodedns restore'.
    #[command(after_long_help = after_help!(
        "nodedns prune",
        "nodedns prune --dry-run --output json",
        "nodedns prune --yes --grace 1h --max-delete 3"
    ))]
    Prune(PruneArgs),

    /// Undo a prune or an adopt from its undo file
    ///
    /// Puts the record sets back as they were, one atomic batch for each pool. What has been changed by
    /// somebody else since is left alone and named. Shows everything first and asks.
    #[command(after_long_help = after_help!("nodedns restore prune-20261121T120000Z.json"))]
    Restore(RestoreArgs),

    /// Take over a name from hand-made records or from another tool
    ///
    /// Turns what other tools have left at the configured names into what nodedns can share: this
    /// node's address becomes its own record set, everybody else's stays in DNS until its node does
    /// the same. Where another policy is to be turned into this record's, each of the others' addresses
    /// becomes a record set of its own, which works for weighted and multivalue; what else there is to
    /// know of a place or role nobody does, so that the others then stay only in hand-made record sets
    /// of the same policy.
    ///
    /// One atomic batch for each pool, so that resolvers see no gap. No record set of other nodes is
    /// touched. Aliases and what a traffic policy or IP-based routing has made are refused, and so is a
    /// node that the daemon would withdraw at once. Shows everything first and asks. Writes an undo file
    /// for 'nodedns restore'. To be run on each node, after the other tool has been stopped. Exits with 1
    /// when a pool was refused.
    #[command(after_long_help = after_help!("nodedns adopt", "nodedns adopt edge.example.com --dry-run"))]
    Adopt(AdoptArgs),

    /// Check everything that nodedns needs, and say what to do about what is missing
    ///
    /// The configuration, the node's name, the kubeconfig and its rights, the clock, the AWS identity
    /// and its rights, the hosted zones and their delegation, and what the names hold. One line for
    /// each. Changes nothing. Exits with 2 when something is wrong.
    #[command(after_long_help = after_help!("nodedns check", "nodedns check --output json | jq '.checks[] | select(.outcome == \"failed\")'"))]
    Check(CheckArgs),

    /// Print the IAM policy that the configuration needs
    ///
    /// JSON with the least rights: only the configured hosted zones, names, record types and actions.
    /// Works offline where every [[record]] has its 'zone_id'; other hosted zones are looked up.
    ///
    /// IAM knows no set identifiers: nodes that share a name can change each other's record sets. Where
    /// names say {node}, '*' stands for any node; --node makes a policy for one. See 'nodedns help iam'.
    #[command(after_long_help = after_help!(
        "nodedns iam-policy > policy.json",
        "nodedns iam-policy --node n1",
        "nodedns iam-policy --role operator"
    ))]
    IamPolicy(IamPolicyArgs),

    /// Check, show or write the configuration
    #[command(after_long_help = after_help!(
        "nodedns config init",
        "nodedns config check",
        "nodedns config show"
    ))]
    Config(ConfigArgs),

    /// Print the completion script of a shell
    ///
    /// The packages install it already. Otherwise put it where the shell looks for it.
    #[command(after_long_help = after_help!(
        "nodedns completions bash > /etc/bash_completion.d/nodedns",
        "nodedns completions zsh > /usr/local/share/zsh/site-functions/_nodedns",
        "nodedns completions fish > ~/.config/fish/completions/nodedns.fish"
    ))]
    Completions(CompletionsArgs),

    /// Explain a topic or a command at length
    ///
    /// Without a topic it lists them. The text is wrapped for the terminal; a pager is up to you.
    #[command(after_long_help = after_help!(
        "nodedns help",
        "nodedns help signals | less",
        "nodedns help config check"
    ))]
    Help(HelpArgs),
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

/// Which kubeconfig to ask the cluster with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct Kubeconfig {
    /// The kubeconfig of one who may list nodes, instead of kubernetes.kubeconfig
    ///
    /// Counts as kubernetes.enabled = true. Without either, the first that is found is taken, which on
    /// k3s, RKE2 and kubeadm is the kubelet's own; that may list no other node since Kubernetes 1.32.
    /// An administrator's is /etc/rancher/k3s/k3s.yaml, /etc/rancher/rke2/rke2.yaml or
    /// /etc/kubernetes/admin.conf.
    #[arg(id = "kubeconfig", long = "kubeconfig", value_name = "PATH")]
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
    /// The same in YAML
    Yaml,
}

/// A length of time as the configuration file writes it, of a second at least.
fn lasts(text: &str) -> Result<Duration, String> {
    let Span(lasts) = Span::parse(text).map_err(|why| format!("{why}; write it like 90s, 30m or 2h"))?;
    match lasts >= Duration::from_secs(1) && lasts <= Duration::from_secs(SECONDS_MAX) {
        true => Ok(lasts),
        false => Err("it must be between one second and 365 days".to_owned()),
    }
}

/// A length of time as the configuration file writes it, which may be none at all.
fn patience(text: &str) -> Result<Duration, String> {
    let Span(lasts) = Span::parse(text).map_err(|why| format!("{why}; write it like 0s, 90s, 30m or 2h"))?;
    match lasts <= Duration::from_secs(SECONDS_MAX) {
        true => Ok(lasts),
        false => Err("it must be 365 days at most".to_owned()),
    }
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
