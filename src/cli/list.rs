//! `nodedns list`: every record set at the configured names, whose it is, and how its node is.

use std::io::Write;

use crate::cli::args::ListArgs;
use crate::cli::exit::Exit;

/// Runs the command.
///
/// # Errors
/// When it cannot be carried out.
pub fn run(args: &ListArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Exit> {
    let _ = (args, out, err);
    anyhow::bail!("not built yet")
}
