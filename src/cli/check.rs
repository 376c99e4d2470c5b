//! `nodedns check`: everything that nodedns needs.

use std::io::Write;

use crate::cli::args::CheckArgs;
use crate::cli::exit::Exit;

/// Runs the command.
///
/// # Errors
/// When it cannot be carried out.
pub fn run(args: &CheckArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Exit> {
    let _ = (args, out, err);
    anyhow::bail!("not built yet")
}
