//! `nodedns help`.

use std::io::Write;

use crate::cli::args::HelpArgs;
use crate::cli::exit::Exit;

/// Runs the command.
///
/// # Errors
/// When it cannot be carried out.
pub fn run(args: &HelpArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let _ = (args, out);
    anyhow::bail!("not built yet")
}
