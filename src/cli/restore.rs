//! `nodedns restore`: undoes a prune or an adopt.

use std::io::Write;

use crate::cli::args::RestoreArgs;
use crate::cli::exit::Exit;

/// Runs the command.
///
/// # Errors
/// When it cannot be carried out.
pub fn run(args: &RestoreArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Exit> {
    let _ = (args, out, err);
    anyhow::bail!("not built yet")
}
