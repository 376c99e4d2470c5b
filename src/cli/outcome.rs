//! What becomes of a record when the node is drained or resumed, read off its status.

use std::net::IpAddr;

use crate::control::protocol::{ChangeStatus, Intent, RecordStatus};

/// Where the operator wants the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Out of DNS.
    Out,
    /// In DNS.
    In,
}

/// How far a record is on its way there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There, on every name server of Route 53; or no concern of the command.
    Done,
    /// On its way.
    Moving,
    /// Not there, and waiting alone does not help.
    Stuck,
}

/// What becomes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How far it is.
    pub progress: Progress,
    /// For scripts: `withdrawing`, `withdrawn`, `held`, `publishing`, `published`, `waiting` or `unaffected`.
    pub word: &'static str,
    /// For people.
    pub text: String,
}

/// What becomes of a record.
pub fn outcome(record: &RecordStatus, goal: Goal) -> Outcome {
    let tell = |progress, word, text: String| Outcome { progress, word, text };
    if !record.follows_drain {
        return tell(Progress::Done, "unaffected", "stays as it is, as it ignores 'drained'".to_owned());
    }
    let why = &record.explanation;
    match (goal, record.intent) {
        (_, Intent::Preserve) => tell(Progress::Moving, "waiting", format!("waits: {why}")),
        (Goal::Out, Intent::Withdraw) | (Goal::In, Intent::Publish) => on_the_way(record),
        // The name is read once more before that is the last word.
        (Goal::Out, Intent::Hold) if !record.in_sync => tell(Progress::Moving, "held", format!("held for now: {why}")),
        (Goal::In, Intent::Hold) if record.reason == "address_unconfirmed" => {
            tell(Progress::Moving, "waiting", format!("waits: {why}"))
        }
        (_, Intent::Hold) => tell(Progress::Stuck, "held", format!("held: {why}")),
        (Goal::Out, Intent::Publish) => {
            tell(Progress::Moving, "waiting", "waits until the drain has lasted for its 'after'".to_owned())
        }
        (Goal::In, Intent::Withdraw) => match record.reason.as_str() {
            "recovering" | "damped" | "pending" | "drained" => {
                tell(Progress::Moving, "waiting", format!("waits: {why}"))
            }
            "no_address" => tell(Progress::Done, "withdrawn", format!("stays out: {why}")),
            _ => tell(Progress::Stuck, "withdrawn", format!("stays out: {why}")),
        },
    }
}

/// The record wants to be where the operator wants it.
fn on_the_way(record: &RecordStatus) -> Outcome {
    let leaves = record.intent == Intent::Withdraw;
    let (moves, there) = if leaves { ("withdrawing", "withdrawn") } else { ("publishing", "published") };
    let addresses = if leaves { record.actual.as_deref().unwrap_or_default() } else { &record.desired };
    let addresses: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
    let addresses = addresses.join(", ");
    let is_pending = record.last_change.as_ref().is_some_and(|change| change.status == ChangeStatus::Pending);
    let (progress, word, text) = match (&record.last_error, record.in_sync) {
        (Some(error), false) => (Progress::Moving, moves, format!("{moves}: {}; trying again", error.message)),
        (None, false) => (Progress::Moving, moves, format!("{moves} {addresses}").trim_end().to_owned()),
        (_, true) if is_pending => (Progress::Moving, moves, format!("{there}, and on its way to the name servers")),
        (_, true) => (Progress::Done, there, there.to_owned()),
    };
    Outcome { progress, word, text }
}
