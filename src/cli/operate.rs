//! How a command that a person runs changes record sets: it shows everything, asks, writes the undo file,
//! and applies one atomic batch for each pool, each decided anew right before. Only what was shown happens.

mod apply;
mod patience;

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use serde::Serialize;

use crate::cli::args::{Consent, Output};
use crate::cli::diff::{PoolDiff, PoolDiffView, render};
use crate::cli::exit::Exit;
use crate::cli::render::{emit, terminal_width};
use crate::cli::undo::{UndoFile, write_somewhere};
use crate::config::Config;
use crate::decide::batch::Batch;
use crate::decide::record::Pool;
use crate::watch::clock;

pub use apply::{Fresh, carry_out};
pub use patience::{patiently, patiently_while};

/// What a command is about to do.
#[derive(Debug, Clone)]
pub struct Operation<'a> {
    /// The command's name: in the undo file, and its name.
    pub command: &'static str,
    /// The command as it was typed, to be typed again: see [`typed`]. In hints.
    pub typed: String,
    /// What to ask, without the question mark: `delete 3 record sets`.
    pub question: String,
    /// Whether to do it.
    pub consent: Consent,
    /// How the command shows what it does.
    pub output: Output,
    /// Where the undo file goes, if that was said.
    pub undo_file: Option<&'a Path>,
    /// The cluster and the state directory are in the undo file, and where it goes.
    pub config: &'a Config,
}

/// One pool's part: the batch, and the pool as it was read, which the batch was decided for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is to be done.
    pub batch: Batch,
    /// What the batch was decided for.
    pub pool: Pool,
}

impl Step {
    /// What would become of the pool's record sets.
    pub fn diff(&self) -> PoolDiff {
        PoolDiff::of(&self.batch, &self.pool)
    }
}

/// What became of the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// There is nothing to do.
    Nothing,
    /// It was only shown: that was all that was asked for, nobody could be asked, or the answer was no.
    Shown,
    /// Go ahead.
    Go,
}

/// What became of an operation, for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether it was only shown what would be done.
    pub dry_run: bool,
    /// Whether a signal ended it before its end.
    pub interrupted: bool,
    /// Where what was done can be undone from; `null` when nothing was to be done.
    pub undo_file: Option<PathBuf>,
    /// The pools with something to change, and what became of each.
    pub pools: Vec<PoolReport>,
    /// Whether it ended because something was denied.
    #[serde(skip)]
    pub denied: bool,
}

/// What became of one pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolReport {
    /// What was shown.
    #[serde(flatten)]
    pub diff: PoolDiffView,
    /// What became of it.
    pub outcome: Outcome,
    /// The set identifiers of the changes that were shown, and then not made as they were no longer called for.
    pub left: Vec<String>,
    /// The id of the change that Route 53 accepted.
    pub change_id: Option<String>,
    /// Why, where it was not simply done.
    pub message: Option<String>,
}

/// What became of the changes of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing was to be changed.
    Shown,
    /// Done.
    Done,
    /// Nothing of it is called for any more, so nothing was done.
    Left,
    /// Something else would be called for by now than what was shown, so nothing was done.
    Changed,
    /// It may have been done, or may still be.
    Unconfirmed,
    /// It was not done.
    Failed,
    /// Not tried any more, after what became of another.
    NotTried,
}

impl Report {
    /// The report of what was only shown, or of nothing.
    pub fn shown(steps: &[Step]) -> Self {
        let pool = |step: &Step| PoolReport {
            diff: step.diff().view(),
            outcome: Outcome::Shown,
            left: Vec::new(),
            change_id: None,
            message: None,
        };
        let pools = steps.iter().map(pool).collect();
        Report { dry_run: true, interrupted: false, undo_file: None, pools, denied: false }
    }

    /// How the command ends: good when everything is done or no longer called for.
    pub fn exit(&self) -> Exit {
        let is_good = |pool: &PoolReport| matches!(pool.outcome, Outcome::Done | Outcome::Left);
        match self {
            Report { dry_run: true, pools, .. } if !pools.is_empty() => Exit::Differs,
            Report { denied: true, .. } => Exit::NotPermitted,
            Report { interrupted: true, .. } => Exit::Failed,
            Report { pools, dry_run: false, .. } if !pools.iter().all(is_good) => Exit::Failed,
            _ => Exit::Ok,
        }
    }
}

/// Shows what would be done, and asks. What it says goes to `out`, or to `err` where `out` is for programs.
///
/// # Errors
/// When it cannot be shown; then nothing may be done.
pub fn ask(
    operation: &Operation<'_>,
    steps: &[Step],
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<Answer> {
    if steps.is_empty() {
        return Ok(Answer::Nothing);
    }
    let Consent { yes, dry_run } = operation.consent;
    let stdin = io::stdin();
    let asks = !yes && !dry_run && stdin.is_terminal();
    let diffs: Vec<String> = steps.iter().map(|step| render(&step.diff(), terminal_width())).collect();
    let shown = match operation.output.structured() {
        None => emit(out, &diffs.join("\n")),
        // For whoever is asked; programs get it with what became of it.
        Some(_) if asks => emit(err, &diffs.join("\n")),
        Some(_) => Ok(()),
    };
    match shown {
        // A reader that has seen enough of a diff has not agreed to it.
        Err(error) if yes => return Err(anyhow!("{error}, so nothing was changed")),
        shown => shown?,
    }
    if yes {
        return Ok(Answer::Go);
    }
    if asks {
        write!(err, "\n{}? [y/N] ", operation.question)?;
        err.flush()?;
        let mut answer = String::new();
        stdin.lock().read_line(&mut answer)?;
        if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
            return Ok(Answer::Go);
        }
    }
    let hint = if asks || dry_run { String::new() } else { format!("hint: {}\n", quoted(&operation.typed)) };
    emit(err, &format!("nothing was changed\n{hint}"))?;
    Ok(Answer::Shown)
}

/// The command line of this process with `--yes`, as a POSIX shell takes it.
pub fn typed() -> String {
    again(std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()))
}

fn again(words: impl Iterator<Item = String>) -> String {
    let mut words: Vec<String> = words.map(|word| shell_word(&word)).collect();
    // What follows a `--` is no option.
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    words.insert(end, "--yes".to_owned());
    format!("nodedns {}", words.join(" "))
}

/// In quotation marks, unless it has some of its own.
fn quoted(command: &str) -> String {
    if command.contains('\'') { command.to_owned() } else { format!("'{command}'") }
}

fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// Writes the undo file and says where it is.
///
/// # Errors
/// When it cannot be written; then nothing may be done.
fn write_undo(operation: &Operation<'_>, steps: &[Step], err: &mut dyn Write) -> anyhow::Result<PathBuf> {
    let diffs: Vec<PoolDiff> = steps.iter().map(Step::diff).collect();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let file = UndoFile::new(operation.command, &operation.config.cluster, &host, clock::wall(), &diffs);
    let hint = "nothing was changed, as the undo file cannot be written\nhint: name another place with --undo-file";
    let path = match operation.undo_file {
        Some(path) => file.write(path).map(|()| path.to_owned()).with_context(|| format!("{}", path.display())),
        None => write_somewhere(&file, &operation.config.state_directory).map_err(anyhow::Error::from),
    };
    let path = path.map_err(|error| anyhow!("{error:#}\n{hint}"))?;
    emit(err, &format!("undo file: {}\n", path.display()))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_is_the_command_to_type() {
        for (words, expected) in [
            (&["prune"][..], "'nodedns prune --yes'"),
            (&["restore", "/var/lib/a_b/prune-1.json"], "'nodedns restore /var/lib/a_b/prune-1.json --yes'"),
            (&["restore", "my undo.json"], "nodedns restore 'my undo.json' --yes"),
            (&["adopt", "it's", ""], r"nodedns adopt 'it'\''s' '' --yes"),
            (&["prune", "--grace", "1h", "--", "{node}.x"], "nodedns prune --grace 1h --yes -- '{node}.x'"),
        ] {
            assert_eq!(quoted(&again(words.iter().map(|word| (*word).to_owned()))), expected);
        }
    }
}
