//! The parts of the explanations that are made from definitions, so that they cannot go stale. They
//! are in the markup of [`page`](super::page).

use clap::CommandFactory;

use crate::cli::args::Cli;
use crate::cli::check::findings::Section;
use crate::cli::check::ids::Id;
use crate::cli::exit::Exit;
use crate::cli::help::reasons::{examples, intent};
use crate::config::{DEFAULT_PATH, DEFAULT_SOCKET, DEFAULT_STATE_DIRECTORY};
use crate::decide::policy::{DEFAULT_TAINT_KEYS, Signal, SignalAction};

/// Puts what is made from definitions in the place of each `{{…}}`.
pub(super) fn expand(source: &str) -> String {
    let made: [(&str, &dyn Fn() -> String); 10] = [
        ("{{exit-codes}}", &exit_codes),
        ("{{check-ids}}", &check_ids),
        ("{{signals}}", &signals),
        ("{{publish}}", &|| reasons("publish")),
        ("{{withdraw}}", &|| reasons("withdraw")),
        ("{{hold}}", &|| reasons("hold")),
        ("{{preserve}}", &|| reasons("preserve")),
        ("{{config}}", &|| DEFAULT_PATH.to_owned()),
        ("{{socket}}", &|| DEFAULT_SOCKET.to_owned()),
        ("{{state}}", &|| DEFAULT_STATE_DIRECTORY.to_owned()),
    ];
    made.iter().fold(source.to_owned(), |text, (place, make)| match text.contains(place) {
        true => text.replace(place, &make()),
        false => text,
    })
}

/// Every command with its first line.
pub(super) fn commands() -> Vec<(String, String)> {
    let command = Cli::command();
    let about = |child: &clap::Command| child.get_about().map(ToString::to_string).unwrap_or_default();
    command.get_subcommands().map(|child| (child.get_name().to_owned(), about(child))).collect()
}

fn exit_codes() -> String {
    Exit::ALL.iter().map(|exit| format!("{} :: {}\n\n", exit.code(), exit.meaning())).collect()
}

/// Every check, under its section.
fn check_ids() -> String {
    let word = |section: Section| section.title().to_lowercase().replace(' ', "_");
    Id::ALL.iter().map(|id| format!("{} :: {}: {}\n\n", id.as_str(), word(id.section()), id.meaning())).collect()
}

fn reasons(wanted: &str) -> String {
    let of_intent = examples().into_iter().filter(|reason| intent(reason) == wanted);
    of_intent.map(|reason| format!("{} :: {reason}\n\n", reason.as_str())).collect()
}

fn signals() -> String {
    Signal::ALL
        .into_iter()
        .map(|signal| format!("{} :: {} {}\n\n", signal.as_str(), up(signal), default(signal)))
        .collect()
}

/// When a signal is up.
fn up(signal: Signal) -> String {
    match signal {
        Signal::Stopping => "The system is shutting down. A restart or a stop of the service is not that.".to_owned(),
        Signal::Drained => "The operator has drained the node with 'nodedns drain'.".to_owned(),
        Signal::Deleting => "The Node has a deletionTimestamp.".to_owned(),
        Signal::NotReady => "The Node is absent, or its Ready condition is not True.".to_owned(),
        Signal::Cordoned => "The Node is unschedulable.".to_owned(),
        Signal::Excluded => "The Node has the label node.kubernetes.io/exclude-from-external-load-balancers or the \
                             annotation nodedns.io/exclude, or kubernetes.label_selector does not match its labels."
            .to_owned(),
        Signal::Tainted => {
            format!("The Node has a taint of one of 'keys', by default {}.", DEFAULT_TAINT_KEYS.join(" and "))
        }
        Signal::ProbeFailed => "What the node serves does not answer. Only where a probe is configured.".to_owned(),
        Signal::ApiUnreachable => "The Kubernetes API server does not answer.".to_owned(),
    }
}

fn default(signal: Signal) -> String {
    let policy = signal.default_policy();
    match policy.action {
        SignalAction::Ignore => "Default: ignore.".to_owned(),
        SignalAction::Withdraw => format!(
            "Default: withdraw, after {} s, and back {} s after it has cleared.",
            policy.after.as_secs(),
            policy.recover_after.as_secs()
        ),
    }
}
