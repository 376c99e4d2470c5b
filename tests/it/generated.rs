//! Files that are made from definitions and checked in, so that packagers only copy and reviewers
//! see the difference. A stale one is rewritten, and the test fails once, naming all of them.

mod keys;
mod pages;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use nodedns::cli::args::{Cli, Shell};
use nodedns::cli::completions;
use nodedns::config::raw::{RawConfig, RawRecord};
use nodedns::config::reference;
use nodedns::metrics::definitions::ALL;
use serde_json::Value;

use crate::support::skip;

#[test]
fn generated_files_are_current() {
    let stale = renew(Path::new(env!("CARGO_MANIFEST_DIR")), &files());
    assert!(stale.is_empty(), "these files were stale; look at what has become of them and commit:\n{stale:#?}");
}

/// Brings the files up to date and says which were not. A tree that cannot be written to is no reason
/// to keep quiet about that.
fn renew(root: &Path, files: &BTreeMap<PathBuf, String>) -> Vec<String> {
    let told = |path: &Path, done: &str, result: io::Result<()>| match result {
        Ok(()) => format!("{} ({done})", path.display()),
        Err(error) => format!("{} (stale, and could not be {done}: {error})", path.display()),
    };
    let mut stale: Vec<String> = Vec::new();
    for (path, contents) in files {
        let file = root.join(path);
        if fs::read(&file).ok().as_deref() != Some(contents.as_bytes()) {
            let directory = file.parent().expect("has a directory");
            let written = fs::create_dir_all(directory).and_then(|()| fs::write(&file, contents));
            stale.push(told(path, "rewritten", written));
        }
    }
    // A page of a command that is gone would be shipped for ever.
    for entry in fs::read_dir(root.join("man")).into_iter().flatten() {
        let path = Path::new("man").join(entry.expect("entry").file_name());
        if !files.contains_key(&path) {
            stale.push(told(&path, "removed", fs::remove_file(root.join(&path))));
        }
    }
    stale
}

#[test]
fn a_stale_file_is_named_whether_or_not_it_can_be_rewritten() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let files =
        BTreeMap::from([(PathBuf::from("man/x.1"), "new".to_owned()), (PathBuf::from("blocked/y"), "new".to_owned())]);
    fs::create_dir(root.path().join("man")).expect("a directory");
    fs::write(root.path().join("man/gone.1"), "old").expect("a file");
    // Not even root can write below a file.
    fs::write(root.path().join("blocked"), "").expect("a file");
    let stale = renew(root.path(), &files);
    let [blocked, written, gone] = stale.as_slice() else { panic!("{stale:?}") };
    assert!(blocked.starts_with("blocked/y (stale, and could not be rewritten: "), "{blocked}");
    assert_eq!((written.as_str(), gone.as_str()), ("man/x.1 (rewritten)", "man/gone.1 (removed)"));
    assert_eq!(fs::read_to_string(root.path().join("man/x.1")).expect("written"), "new");
    assert_eq!(renew(root.path(), &files).len(), 1);
}

/// Where a text shows a command to type, that is one: in quotation marks of any kind, after a prompt,
/// or in a unit.
#[test]
fn every_command_that_is_named_exists() {
    let known: BTreeSet<String> =
        Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = vec![root.join("README.md")];
    let mut directories: Vec<PathBuf> = ["src", "man", "packaging"].map(|name| root.join(name)).into();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("entry").path();
            match path.is_dir() {
                // Made by clap, with sentences of its own.
                true if path.ends_with("completions") => {}
                true => directories.push(path),
                false => texts.push(path),
            }
        }
    }
    let mut count = 0;
    for path in texts {
        // A hyphen in roff.
        let text = fs::read_to_string(&path).expect("text").replace("\\-", "-");
        for word in commands(&text) {
            assert!(known.contains(word), "{}: 'nodedns {word}' is not a command", path.display());
            count += 1;
        }
    }
    assert!(count > 30, "only {count} commands: the search has lost its way");
}

/// The words after the program's name where it stands for itself.
fn commands(text: &str) -> impl Iterator<Item = &str> {
    const BEFORE: [&str; 8] = ["(", "'", "`", "\"", "$ ", "\\*(Aq", "bin/", "sudo "];
    text.match_indices("nodedns ").filter_map(|(at, name)| {
        let is_shown = BEFORE.iter().any(|mark| text[..at].ends_with(mark));
        let rest = &text[at + name.len()..];
        let word = &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len())];
        // A sentence may begin with the program's name.
        let is_command = word.starts_with(|c: char| c.is_ascii_alphabetic());
        (is_shown && is_command).then_some(word)
    })
}

#[test]
fn a_command_is_told_from_the_programs_name() {
    let text = "run 'nodedns check', `nodedns status --watch` or\n$ nodedns run; a nodedns daemon\nnodedns is";
    assert_eq!(commands(text).collect::<Vec<_>>(), ["check", "status", "run"]);
}

fn files() -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::from([
        (PathBuf::from("packaging/nodedns.toml"), reference::example()),
        (PathBuf::from("packaging/nodedns.schema.json"), reference::schema()),
        (PathBuf::from("man/nodedns.toml.5"), reference::manual()),
    ]);
    for (shell, name) in [(Shell::Bash, "nodedns.bash"), (Shell::Zsh, "_nodedns"), (Shell::Fish, "nodedns.fish")] {
        files.insert(Path::new("packaging/completions").join(name), completions::script(shell));
    }
    files.insert(PathBuf::from("src/cli/help/output-keys.txt"), keys::text());
    files.insert(PathBuf::from("src/cli/help/metric-names.txt"), metric_names());
    files.extend(pages::all());
    files
}

/// Every metric, as `nodedns help metrics` shows it.
fn metric_names() -> String {
    let shown = ALL.iter().map(|metric| format!("{metric} :: {}: {}\n", metric.kind, metric.help));
    shown.collect::<Vec<_>>().join("\n")
}

fn schema() -> Value {
    serde_json::from_str(&reference::schema()).expect("JSON")
}

/// Every key with its schema, and the value of it in `defaults`, whose arrays of tables stand for
/// each of their elements.
fn each_key<'a>(
    schema: &'a Value,
    defaults: Option<&'a Value>,
    path: &str,
    visit: &mut dyn FnMut(&str, &'a Value, Option<&'a Value>),
) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let default = defaults.and_then(|defaults| defaults.get(name));
        visit(&path, property, default);
        each_key(property, default, &path, visit);
        if property["items"].get("properties").is_some() {
            each_key(&property["items"], default.and_then(|default| default.get(0)), &path, visit);
        }
        for choice in property["anyOf"].as_array().into_iter().flatten() {
            each_key(choice, None, &path, visit);
        }
    }
}

#[test]
fn every_key_is_documented() {
    let schema = schema();
    let (mut count, mut silent) = (0, Vec::new());
    each_key(&schema, None, "", &mut |path, property, _| {
        count += 1;
        if property["description"].as_str().unwrap_or_default().trim().len() < 10 {
            silent.push(path.to_owned());
        }
    });
    assert!(silent.is_empty(), "without a doc comment: {silent:?}");
    assert!(count > 50, "only {count} keys: the walk has lost its way");
}

#[test]
fn documented_defaults_are_the_real_ones() {
    let schema = schema();
    let real = RawConfig { record: vec![RawRecord::default()], ..RawConfig::default() };
    let real = serde_json::to_value(real).expect("JSON");
    let mut count = 0;
    each_key(&schema, Some(&real), "", &mut |path, property, real| {
        // The array of records itself is empty; the one here stands for the keys below it.
        if let (Some(documented), true) = (property.get("default"), path != "record") {
            assert_eq!(Some(documented), real, "{path}");
            count += 1;
        } else if real.is_some_and(|real| !real.is_null()) && path != "record" {
            // Without a default in the schema, there must be none: the key is within a default that is shown whole.
            assert!(path.starts_with("record.routing."), "{path} has an undocumented default");
        }
    });
    assert!(count > 25, "only {count} defaults: the walk has lost its way");
}

#[test]
fn the_manual_and_the_example_name_every_key() {
    let (manual, example) = (reference::manual(), reference::example());
    each_key(&schema(), None, "", &mut |path, _, _| {
        let name = path.rsplit('.').next().expect("a name");
        let depth = path.matches('.').count();
        let in_manual = manual.contains(&format!("\\fB{name}\\fR")) || manual.contains(&format!("[{name}]"));
        // The keys of a signal's table are explained once, in the text of [signals].
        assert!(in_manual || path.contains("signals."), "{path} is not in nodedns.toml(5)");
        if depth < 2 {
            let in_example = example.contains(&format!("\n#{name} = ")) || example.contains(&format!("[{name}]"));
            assert!(in_example, "{path} is not in the example");
        }
    });
}

/// What reads the pages finds nothing to complain of. They have no date, as they would be stale with
/// every commit; long lines are lines of the source.
#[test]
fn the_pages_are_clean() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut count = 0;
    for (path, text) in files() {
        let Ok(page) = path.strip_prefix("man") else { continue };
        let page = directory.path().join(page);
        fs::write(&page, text).expect("written");
        for (program, args) in
            [("mandoc", &["-T", "lint", "-W", "warning"][..]), ("groff", &["-ww", "-man", "-Tutf8", "-z"])]
        {
            let Ok(output) = std::process::Command::new(program).args(args).arg(&page).output() else {
                return skip(&format!("there is no {program} here"));
            };
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said).into_owned();
            let complaints: Vec<&str> = said.lines().filter(|line| !line.contains("missing date")).collect();
            assert!(complaints.is_empty(), "{program}: {complaints:#?}");
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}

/// The names of pages and of commands are the same set, so that `man nodedns-config-check` works.
#[test]
fn every_command_has_a_page() {
    let pages: BTreeSet<String> = files()
        .keys()
        .filter_map(|path| path.to_str()?.strip_prefix("man/")?.strip_suffix(".1"))
        .map(str::to_owned)
        .collect();
    let expected = [
        "nodedns",
        "nodedns-addresses",
        "nodedns-adopt",
        "nodedns-check",
        "nodedns-completions",
        "nodedns-config",
        "nodedns-config-check",
        "nodedns-config-init",
        "nodedns-config-schema",
        "nodedns-config-show",
        "nodedns-drain",
        "nodedns-health-checks",
        "nodedns-health-checks-gc",
        "nodedns-health-checks-list",
        "nodedns-help",
        "nodedns-iam-policy",
        "nodedns-list",
        "nodedns-plan",
        "nodedns-prune",
        "nodedns-restore",
        "nodedns-resume",
        "nodedns-run",
        "nodedns-status",
    ];
    assert_eq!(pages, expected.map(str::to_owned).into());
}
