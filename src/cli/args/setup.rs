//! The commands around setting nodedns up.

use std::ffi::OsStr;
use std::net::SocketAddr;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Args, Command, ValueEnum};

use super::{ConfigFile, Kubeconfig, Output};
use crate::cli::help::explained;

/// The arguments of `nodedns check`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CheckArgs {
    /// Ask this resolver who serves the hosted zones [default: those of /etc/resolv.conf]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub resolver: Option<SocketAddr>,

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

/// The arguments of `nodedns iam-policy`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct IamPolicyArgs {
    /// For whom
    #[arg(long, value_enum, default_value_t, value_name = "ROLE")]
    pub role: Role,

    /// Only for this node, where names say {node} [default: for any node]
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take the text for the command's own")]
    pub config: ConfigFile,
}

/// Who is to be given rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Role {
    /// The daemon on a node, and the commands that only look
    #[default]
    Daemon,
    /// Whoever also runs prune, restore, adopt, check and list --all-zones
    Operator,
}

/// The arguments of `nodedns completions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// A shell that completions are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// Bourne-Again SHell, with its bash-completion
    Bash,
    /// Z shell
    Zsh,
    /// Friendly interactive shell
    Fish,
}

/// The arguments of `nodedns help`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct HelpArgs {
    /// A topic or a command
    #[arg(value_name = "TOPIC", value_parser = Explained, hide_possible_values = true)]
    pub topic: Option<String>,

    /// The command's subcommand
    #[arg(value_name = "SUBCOMMAND")]
    pub subcommand: Vec<String>,
}

/// Takes any word, as [`help`](crate::cli::help) says best what may have been meant by an unknown one, and
/// tells the shells which there are.
#[derive(Debug, Clone, Copy)]
struct Explained;

impl TypedValueParser for Explained {
    type Value = String;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<String, clap::Error> {
        value.to_str().map(str::to_owned).ok_or_else(|| clap::Error::new(ErrorKind::InvalidUtf8).with_cmd(command))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let value =
            |(name, summary): &'static (String, String)| PossibleValue::new(name.as_str()).help(summary.as_str());
        Some(Box::new(explained().iter().map(value)))
    }
}
