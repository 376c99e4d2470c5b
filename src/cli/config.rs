//! `nodedns config`: check, show or write the configuration.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::args::{ConfigArgs, ConfigCommand, ConfigFile, InitArgs, Kubeconfig, RunArgs};
use crate::cli::exit::Exit;
use crate::cli::failure::report;
use crate::cli::render::{Structured, emit_value};
use crate::config::{Config, Flags, Loaded, Problem, Problems, RecordTemplate, Shown, Sources, load, reference};
use crate::decide::select::AddressClass;

/// Where `nodedns run` reads its configuration from.
pub fn run_sources(args: &RunArgs) -> Sources {
    Sources {
        allow_no_file: args.dry_run,
        flags: Flags {
            names: args.names.clone(),
            zone_id: args.zone_id.clone(),
            cluster: args.cluster.clone(),
            node: args.node.clone(),
            log_level: args.log_level.clone(),
            kubeconfig: None,
        },
        ..Sources::new(args.config.path.clone())
    }
}

/// Where the other commands read it from.
pub fn sources(file: &ConfigFile) -> Sources {
    Sources::new(file.path.clone())
}

/// The same, with a kubeconfig from the command line. It is relative to this process's directory, unlike
/// the configuration's.
pub fn sources_with(file: &ConfigFile, kubeconfig: &Kubeconfig) -> Sources {
    let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let kubeconfig = kubeconfig.path.as_ref().map(|path| absolute(path).to_string_lossy().into_owned());
    let plain = sources(file);
    Sources { flags: Flags { kubeconfig, ..plain.flags }, ..plain }
}

/// Runs the command: what was asked for goes to `out`, everything else to `err`.
pub fn run(args: &ConfigArgs, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    match &args.command {
        ConfigCommand::Check(args) => match (load(&sources(&args.config)), args.output.structured()) {
            (result, Some(format)) => {
                let exit = if result.is_ok() { Exit::Ok } else { Exit::BadConfig };
                exit.max(print_value(&Checked::new(&result), format, out, err))
            }
            (Ok(loaded), None) => print(&checked(&loaded), out, err),
            (Err(problems), None) => refuse(&problems, err),
        },
        ConfigCommand::Show(args) => match (load(&sources(&args.config)), args.output.structured()) {
            (Ok(loaded), Some(format)) => print_value(&Effective::new(&loaded), format, out, err),
            (Ok(loaded), None) => print(&loaded.show(), out, err),
            (Err(problems), _) => refuse(&problems, err),
        },
        ConfigCommand::Schema => print(&reference::schema(), out, err),
        ConfigCommand::Init(InitArgs { path, .. }) if path == Path::new("-") => print(&reference::example(), out, err),
        ConfigCommand::Init(InitArgs { path, force }) => init(path, *force, out, err),
    }
}

/// What `config check` prints: also where there is a mistake, and the exit code says so.
#[derive(Serialize)]
struct Checked {
    /// Whether there is no mistake.
    valid: bool,
    /// The files that were read; none where there is a mistake.
    files: Vec<PathBuf>,
    /// Every mistake, in reading order.
    problems: Vec<Mistake>,
}

/// A mistake in the configuration.
#[derive(Serialize)]
struct Mistake {
    /// Where it was written: file, line and column, or a variable with its `$`.
    source: String,
    /// The key, e.g. `record[2].ttl` (indices from 0); empty for a file as a whole.
    key: String,
    /// What is wrong.
    message: String,
    /// What to do.
    hint: Option<String>,
}

impl Checked {
    fn new(result: &Result<Loaded, Problems>) -> Self {
        let mistake = |problem: &Problem| Mistake {
            source: problem.source.to_string(),
            key: problem.path.clone(),
            message: problem.message.clone(),
            hint: problem.hint.clone(),
        };
        match result {
            Ok(loaded) => Checked { valid: true, files: loaded.files.clone(), problems: Vec::new() },
            Err(problems) => {
                Checked { valid: false, files: Vec::new(), problems: problems.iter().map(mistake).collect() }
            }
        }
    }
}

/// What `config show` prints.
#[derive(Serialize)]
struct Effective {
    /// Every key that has a value.
    values: Vec<KeyView>,
}

/// A key of the configuration.
#[derive(Serialize)]
struct KeyView {
    /// The key, e.g. `record[0].ttl` (indices from 0).
    key: String,
    /// Its value.
    value: serde_json::Value,
    /// Where it was written: `default`, a file with line and column, or a variable with its `$`.
    origins: Vec<String>,
}

impl Effective {
    fn new(loaded: &Loaded) -> Self {
        let view = |shown: Shown| KeyView {
            key: shown.key,
            value: shown.value,
            origins: shown.origins.iter().map(ToString::to_string).collect(),
        };
        Effective { values: loaded.values().into_iter().map(view).collect() }
    }
}

/// Prints what is wrong with a configuration.
pub fn refuse(problems: &Problems, err: &mut dyn Write) -> Exit {
    let count = problems.count();
    let mistakes = if count == 1 { "mistake" } else { "mistakes" };
    // Where even the error output is gone, the exit code has to do.
    let _ = writeln!(err, "{problems}\nerror: {count} {mistakes} in the configuration");
    Exit::BadConfig
}

fn print_value(value: &impl Serialize, format: Structured, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    match emit_value(out, value, format) {
        Ok(()) => Exit::Ok,
        Err(error) => report(&error.into(), err),
    }
}

fn print(text: &str, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Exit::Ok,
        // Whoever reads has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Exit::Ok,
        Err(error) => {
            let _ = writeln!(err, "error: cannot write the output: {error}");
            Exit::Failed
        }
    }
}

fn init(path: &Path, force: bool, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    match write_new(path, force) {
        Ok(()) => {
            let next = format!(
                "wrote {}\nhint: set 'cluster' and one [[record]] in it, then run 'nodedns config check'\n",
                path.display()
            );
            print(&next, out, err)
        }
        Err(error) => {
            let (hint, exit) = match error.kind() {
                ErrorKind::AlreadyExists => {
                    ("\nhint: --force replaces it, '-' prints the example instead", Exit::Failed)
                }
                ErrorKind::PermissionDenied => ("\nhint: run it as root, or name another path", Exit::NotPermitted),
                _ => ("", Exit::Failed),
            };
            let _ = writeln!(err, "error: cannot write {}: {error}{hint}", path.display());
            exit
        }
    }
}

fn write_new(path: &Path, force: bool) -> io::Result<()> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::create_dir_all(directory)?;
    }
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    options.open(path)?.write_all(reference::example().as_bytes())
}

/// What was read, and the records in words.
fn checked(loaded: &Loaded) -> String {
    let files: Vec<_> = loaded.files.iter().map(|file| file.display().to_string()).collect();
    let Config { cluster, node, records, .. } = &loaded.config;
    let node =
        node.as_ref().map_or_else(|| "this node (its name is found at run time)".to_owned(), |n| format!("node {n}"));
    let mut text = format!("ok: {}\ncluster {cluster}, {node}:\n", files.join(", "));
    for record in records {
        text.push_str(&format!("  {}\n", in_words(record)));
    }
    text
}

fn in_words(record: &RecordTemplate) -> String {
    let policy = &record.policy;
    let types: Vec<_> = policy.types.iter().map(|rtype| rtype.as_str()).collect();
    let class = match policy.class {
        AddressClass::Global => "global",
        AddressClass::Private => "private",
        AddressClass::Shared => "shared",
        AddressClass::Any => "any",
    };
    let addresses = if policy.all_addresses { "all addresses" } else { "first address" };
    format!(
        "{} {} in {}: {}, {addresses} of class {class}, TTL {} s",
        record.name,
        types.join(" and "),
        policy.zone,
        policy.routing,
        policy.ttl
    )
}
