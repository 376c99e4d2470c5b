//! The commands around what Route 53 holds.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{ConfigFile, Kubeconfig, Output};

/// The arguments of `nodedns plan`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct PlanArgs {
    /// How to show it
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Output,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take the text for the command's own")]
    pub config: ConfigFile,
}

/// The arguments of `nodedns list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ListArgs {
    /// Only these names
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,

    /// Read every hosted zone of the account, and show every pool that nodedns of any cluster has written to
    #[arg(long)]
    pub all_zones: bool,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take the text for the command's own")]
    pub kubeconfig: Kubeconfig,

    /// How to show it
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Output,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take the text for the command's own")]
    pub config: ConfigFile,
}

/// The arguments of `nodedns prune`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct PruneArgs {
    /// Only these names
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,

    /// Only what these nodes have left; repeatable
    #[arg(long = "node", value_name = "NODE")]
    pub nodes: Vec<String>,

    /// How long a node must have been gone or not Ready
    ///
    /// Since when a node has not been Ready, Kubernetes says. Since when one is gone, nobody does: such a
    /// node is looked for twice, this long apart.
    #[arg(long, value_name = "TIME", value_parser = super::patience, default_value = "5m")]
    pub grace: Duration,

    /// How many record sets whose nodes may be alive must stay at a name and type [default: keep_min of the record]
    #[arg(long, value_name = "COUNT")]
    pub keep_min: Option<u32>,

    /// Delete nothing at all if it would be more record sets than this
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub max_delete: usize,

    /// Go on although more than half of the nodes are gone or not Ready
    ///
    /// Otherwise nothing is deleted then, nor when more than half of the nodes that own record sets are gone:
    /// it is more likely that the control plane is wrong, or the kubeconfig another cluster's. Nodes count as
    /// gone when record sets of theirs are left.
    #[arg(long)]
    pub allow_majority_down: bool,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take the text for the command's own")]
    pub consent: Consent,

    /// Where to write the undo file [default: a new one in control.state_directory/undo, or here]
    #[arg(long, value_name = "PATH")]
    pub undo_file: Option<PathBuf>,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take the text for the command's own")]
    pub kubeconfig: Kubeconfig,

    /// How to show it
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Output,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take the text for the command's own")]
    pub config: ConfigFile,
}

/// Whether to change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct Consent {
    /// Do it without asking
    #[arg(long, short, conflicts_with = "dry_run")]
    pub yes: bool,

    /// Only show what would be done
    #[arg(long)]
    pub dry_run: bool,
}

/// The arguments of `nodedns restore`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct RestoreArgs {
    /// The undo file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take the text for the command's own")]
    pub consent: Consent,

    /// Where to write the undo file of this [default: a new one in control.state_directory/undo, or here]
    #[arg(long, value_name = "PATH")]
    pub undo_file: Option<PathBuf>,

    /// How to show it
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Output,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take the text for the command's own")]
    pub config: ConfigFile,
}

/// The arguments of `nodedns adopt`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct AdoptArgs {
    /// Only these names
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,

    /// Drop the values that are not this node's, and not published by a sibling, instead of keeping them in DNS
    #[arg(long)]
    pub drop_others: bool,

    /// Adopt although the daemon would withdraw this node at once
    ///
    /// With --drop-others: although fewer record sets than keep_min would be left. Never both: for a node
    /// that is not fit nobody else's address is dropped.
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take the text for the command's own")]
    pub consent: Consent,

    /// Where to write the undo file [default: a new one in control.state_directory/undo, or here]
    #[arg(long, value_name = "PATH")]
    pub undo_file: Option<PathBuf>,

    /// How to show it
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Output,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take the text for the command's own")]
    pub config: ConfigFile,
}
