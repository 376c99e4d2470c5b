//! `nodedns`: parses the command line, runs the command, ends with its exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use nodedns::cli::args::{Cli, Command};
use nodedns::cli::exit::Exit;
use nodedns::cli::{
    addresses, adopt, check, completions, config, drain, failure, health_checks, help, iam_policy, list, plan, prune,
    restore, run, status,
};
use nodedns::{daemon, telemetry};

fn main() -> ExitCode {
    let exit = match Cli::try_parse() {
        Ok(cli) => dispatch(cli.command).unwrap_or_else(|error| report(&error)),
        Err(error) => failure::of_command_line(&error, &mut io::stderr()),
    };
    exit.into()
}

fn report(error: &anyhow::Error) -> Exit {
    let mut text = Vec::new();
    let exit = failure::report(error, &mut text);
    // Where even the error output is gone, the exit code has to do.
    let _ = io::stderr().write_all(telemetry::failure(&String::from_utf8_lossy(&text)).as_bytes());
    exit
}

fn dispatch(command: Command) -> anyhow::Result<Exit> {
    let (out, err) = (&mut io::stdout(), &mut io::stderr());
    match command {
        Command::Run(args) => {
            let on_status = args.dry_run.then(|| run::printer(io::stdout()));
            daemon::run(daemon::Options { sources: run::sources(&args), dry_run: args.dry_run, on_status })?;
            Ok(Exit::Ok)
        }
        Command::Status(args) => status::run(&args, out),
        Command::Drain(args) => drain::drain(&args, out, err),
        Command::Resume(args) => drain::resume(&args, out, err),
        Command::Addresses(args) => addresses::run(&args, out),
        Command::HealthChecks(args) => health_checks::run(&args, out, err),
        Command::Plan(args) => plan::run(&args, out, err),
        Command::List(args) => list::run(&args, out, err),
        Command::Prune(args) => prune::run(&args, out, err),
        Command::Restore(args) => restore::run(&args, out, err),
        Command::Adopt(args) => adopt::run(&args, out, err),
        Command::Check(args) => check::run(&args, out),
        Command::IamPolicy(args) => iam_policy::run(&args, out, err),
        Command::Config(args) => Ok(config::run(&args, out, err)),
        Command::Completions(args) => completions::run(&args, out),
        Command::Help(args) => help::run(&args, out, err),
    }
}
