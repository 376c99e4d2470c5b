//! `nodedns completions`: the completion scripts of shells.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::generate;

use crate::cli::args::{Cli, CompletionsArgs, Shell};
use crate::cli::exit::Exit;
use crate::cli::help::explained;
use crate::cli::render::emit_exact;

/// Prints the script, the same that the packages install.
///
/// # Errors
/// When the output cannot be written.
pub fn run(args: &CompletionsArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    emit_exact(out, &script(args.shell))?;
    Ok(Exit::Ok)
}

/// The script, without white space at the ends of lines.
pub fn script(shell: Shell) -> String {
    let generator = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    generate(generator, &mut Cli::command(), "nodedns", &mut script);
    if shell == Shell::Fish {
        // The generator knows options only. It is quoted as there: twice, as fish expands what -a says.
        let quoted = |summary: &str| summary.replace(['"', '$', '\\'], "").replace('\'', "\\'");
        let word = |(name, summary): &(String, String)| format!("{name}\\t'{}'", quoted(summary));
        let words = explained().iter().map(word).collect::<Vec<_>>().join("\n");
        let first = "__fish_nodedns_using_subcommand help; and test (count (commandline -opc)) -eq 2";
        script.extend(format!("complete -c nodedns -n \"{first}\" -f -a \"{words}\"\n").bytes());
    }
    String::from_utf8_lossy(&script).lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}
