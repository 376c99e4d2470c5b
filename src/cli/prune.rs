//! `nodedns prune`: what dead nodes have left.

use std::io::Write;

use crate::cli::args::PruneArgs;
use crate::cli::exit::Exit;

/// Runs the command.
///
/// # Errors
/// When it cannot be carried out.
pub fn run(args: &PruneArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Exit> {
    let _ = (args, out, err);
    anyhow::bail!("not built yet")
}
