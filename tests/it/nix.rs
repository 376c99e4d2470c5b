//! The NixOS module and what else is in `nix/`, evaluated by nix-instantiate without network, store
//! or daemon. `tests/nix/lib.nix` says what that proves and what it does not;
//! `NODEDNS_NIXPKGS_LIB=PATH` has the same tests use nixpkgs' own `lib`.

mod files;
mod settings;
mod units;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::skip;

/// `nix-instantiate`, kept from writing anywhere.
struct Nix {
    scratch: tempfile::TempDir,
}

impl Nix {
    /// None, with the reason said, where there is none.
    fn find() -> Option<Nix> {
        if Command::new("nix-instantiate").arg("--version").output().is_err() {
            skip("nix-instantiate is not installed (Debian: nix-bin)");
            return None;
        }
        Some(Nix { scratch: tempfile::tempdir().expect("a temporary directory") })
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let below = |name: &str| self.scratch.path().join(name);
        let had_store = Path::new("/nix").exists();
        let output = Command::new("nix-instantiate")
            .args(["--store", "dummy://"])
            .args(arguments)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env_remove("NIX_PATH")
            .env("HOME", below("home"))
            .env("XDG_CACHE_HOME", below("cache"))
            .env("NIX_STATE_DIR", below("state"))
            .env("NIX_LOG_DIR", below("log"))
            .env("NIX_CONF_DIR", below("etc"))
            .output()
            .expect("nix-instantiate runs");
        let left: Vec<_> = std::fs::read_dir(self.scratch.path()).expect("readable").collect();
        assert!(left.is_empty(), "nix-instantiate left something behind: {left:?}");
        assert_eq!(Path::new("/nix").exists(), had_store, "nix-instantiate made a store");
        output
    }

    /// The value of an expression, or what nix says against it.
    fn evaluate(&self, expression: &str) -> Result<Value, String> {
        let output = self.run(&["--eval", "--strict", "--json", "--expr", expression]);
        if output.status.success() {
            Ok(serde_json::from_slice(&output.stdout).expect("JSON"))
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// What `tests/nix/FILE` comes to, with `arguments` beside the `lib`.
    fn call(&self, file: &str, arguments: &str) -> Result<Value, String> {
        self.evaluate(&format!("import {:?} {{ {} {arguments} }}", root().join("tests/nix").join(file), real_lib()))
    }

    /// What the module makes of a configuration in `tests/nix/cases.nix`.
    fn case(&self, name: &str) -> Result<Value, String> {
        self.call("eval.nix", &format!("case = {name:?};"))
    }

    fn good(&self, name: &str) -> Value {
        self.case(name).unwrap_or_else(|why| panic!("{name}: {why}"))
    }
}

/// The argument by which nixpkgs' own `lib` takes the place of the stand-in, if it is to.
fn real_lib() -> String {
    std::env::var("NODEDNS_NIXPKGS_LIB").map(|path| format!("libPath = {path:?};")).unwrap_or_default()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The value at a JSON pointer, which must be there.
fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {value:#}"))
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(|one| one.as_str().expect("a string")).collect()
}

/// Configurations that are accepted.
const GOOD: [&str; 9] = [
    "minimal",
    "off",
    "k3s-server",
    "k3s-agent",
    "encrypted",
    "kubernetes",
    "everything",
    "textfile",
    "survivors-of-a-kubelet",
];

/// Configurations that an assertion refuses.
const REFUSED: [&str; 5] =
    ["no-record", "secrets-in-the-store", "half-an-identity", "at-odds", "prune-without-identity"];

/// Configurations that a type refuses: the option, below services.nodedns, and what nix says of it.
const MISTYPED: [(&str, &str, &str); 16] = [
    ("bad-cluster", "settings.cluster", "is not of type `string matching the pattern"),
    ("no-cluster", "settings.cluster", "defined"),
    ("no-name", "settings.record.\"[definition 1-entry 1]\".name", "defined"),
    ("number-for-a-duration", "settings.resync", "is not of type `null or length of time"),
    ("duration-without-unit", "settings.survivors.grace", "is not of type `null or length of time"),
    ("bad-ttl", "settings.record.\"[definition 1-entry 1]\".ttl", "is not of type `null or integer between 0 and"),
    ("bad-ttl-text", "settings.record.\"[definition 1-entry 1]\".ttl", "is not of type `null or integer between 0"),
    ("bad-policy", "settings.record.\"[definition 1-entry 1]\".routing.policy", "is not of type `null or one of"),
    ("bad-weight", "settings.record.\"[definition 1-entry 1]\".routing.weight", "between 0 and 255"),
    ("bad-class", "settings.record.\"[definition 1-entry 1]\".class", "is not of type `null or one of"),
    ("bad-type", "settings.record.\"[definition 1-entry 1]\".types", "is not of type"),
    ("bad-level", "settings.log.level", "is not of type `null or one of"),
    ("bad-enabled", "settings.kubernetes.enabled", "is not of type `null or boolean or"),
    ("null-where-nothing-is-known", "settings.signals", "is not of type `TOML value'"),
    ("relative-path", "awsCredentialsFile", "is not of type `null or"),
    ("unknown-option", "settngs", "does not exist"),
];

/// The golden files: `minimal` has all of it, the others what is not as in `minimal`.
#[test]
fn what_the_module_makes_of_a_configuration() {
    let Some(nix) = Nix::find() else { return };
    let minimal = nix.good("minimal");
    for name in GOOD.into_iter().chain(REFUSED) {
        let made = nix.good(name);
        assert_eq!(REFUSED.contains(&name), made.get("assertions").is_some(), "{name}: {made:#}");
        let made = if GOOD[1..].contains(&name) { changed(&minimal, &made).unwrap_or_default() } else { made };
        insta::with_settings!({
            snapshot_path => root().join("tests/nix/golden"),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(name, format!("{made:#}"));
        });
    }
}

/// What is not the same in `new`, and null for what it does not have.
fn changed(old: &Value, new: &Value) -> Option<Value> {
    match (old, new) {
        _ if old == new => None,
        (Value::Object(old), Value::Object(new)) => {
            let null = Value::Null;
            let keys = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)));
            let pairs = keys.filter_map(|key| {
                let pair = (old.get(key).unwrap_or(&null), new.get(key).unwrap_or(&null));
                changed(pair.0, pair.1).map(|value| (key.clone(), value))
            });
            Some(Value::Object(pairs.collect()))
        }
        _ => Some(new.clone()),
    }
}

/// A good configuration is warned of by nobody, so that a warning is read.
#[test]
fn a_warning_is_for_a_doubtful_configuration() {
    let Some(nix) = Nix::find() else { return };
    for name in GOOD {
        let warned = nix.good(name).get("warnings").map_or(0, |warnings| strings(warnings).len());
        assert_eq!(warned, usize::from(name == "survivors-of-a-kubelet"), "{name}");
    }
}

#[test]
fn no_secret_is_taken_from_the_store() {
    let Some(nix) = Nix::find() else { return };
    let refused = nix.good("secrets-in-the-store");
    let mut refused: Vec<&str> = strings(at(&refused, "/assertions"))
        .into_iter()
        .filter_map(|message| {
            message.strip_prefix("services.nodedns.")?.split_once(" is a file ").map(|(name, _)| name)
        })
        .collect();
    refused.sort_unstable();
    let paths = nix.call("paths.nix", "").unwrap_or_else(|why| panic!("{why}"));
    // What is encrypted may be read by everybody.
    let secrets: Vec<&str> =
        strings(&paths).into_iter().filter(|name| *name != "awsCredentialsEncryptedFile").collect();
    assert_eq!(refused, secrets);
}

#[test]
fn a_mistake_is_refused_where_it_is() {
    let Some(nix) = Nix::find() else { return };
    for (name, option, what) in MISTYPED {
        let said = nix.case(name).expect_err(name);
        let option = format!("`services.nodedns.{option}");
        assert!(said.contains(&option) && said.contains(what), "{name}: no {option:?} that {what:?} in:\n{said}");
    }
}

#[test]
fn every_case_is_looked_at() {
    let Some(nix) = Nix::find() else { return };
    let all = nix.evaluate("builtins.attrNames (import ./tests/nix/cases.nix)").expect("evaluates");
    let mut looked_at: Vec<&str> = GOOD.into_iter().chain(REFUSED).chain(MISTYPED.map(|(name, ..)| name)).collect();
    looked_at.push("typo-in-what-is-not-typed");
    looked_at.sort_unstable();
    assert_eq!(strings(&all), looked_at);
}

/// A program without this process's variables, of which nodedns would read `NODEDNS_*`.
fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Runs what checks the configuration when the system is built, on a file made by another TOML
/// writer than the system's. Gives what was built, or what was said.
fn build(made: &Value) -> Result<String, String> {
    let source = at(made, "/etc/nodedns~1nodedns.toml/source");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (toml, out) = (directory.path().join("nodedns.toml"), directory.path().join("out"));
    std::fs::write(&toml, to_toml(at(source, "/environment/toml/toml"))).expect("written");
    let store = "/nix/store/00000000000000000000000000000000-nodedns/bin/nodedns";
    let script = at(source, "/script").as_str().expect("a string");
    assert!(script.contains(store), "{script}");
    let output = clean("bash")
        .args(["-eu", "-c", &script.replace(store, env!("CARGO_BIN_EXE_nodedns"))])
        .env("toml", &toml)
        .env("out", &out)
        .current_dir(directory.path())
        .output()
        .expect("bash runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), out.exists(), "{said}");
    if output.status.success() { Ok(std::fs::read_to_string(&out).expect("read")) } else { Err(said) }
}

#[test]
fn the_configuration_is_checked_when_the_system_is_built() {
    let Some(nix) = Nix::find() else { return };
    for name in GOOD.into_iter().filter(|name| !["off", "encrypted"].contains(name)) {
        let toml = build(&nix.good(name)).unwrap_or_else(|said| panic!("{name}: {said}"));
        assert!(toml.contains("cluster = \"home\""), "{name}: {toml}");
    }
    let said = build(&nix.good("typo-in-what-is-not-typed")).expect_err("refused");
    assert!(said.contains("signals.cordond"), "{said}");

    // Where that is switched off, the file is as it was written.
    let unchecked = nix.good("encrypted");
    assert!(at(&unchecked, "/etc/nodedns~1nodedns.toml/source").get("toml").is_some(), "{unchecked:#}");
}

fn to_toml(value: &Value) -> String {
    fn convert(value: &Value) -> toml_edit::Value {
        match value {
            Value::Bool(on) => (*on).into(),
            Value::Number(number) => match number.as_i64() {
                Some(whole) => whole.into(),
                None => number.as_f64().expect("a number").into(),
            },
            Value::String(text) => text.as_str().into(),
            Value::Array(list) => list.iter().map(convert).collect::<toml_edit::Value>(),
            Value::Object(table) => table.iter().map(|(key, value)| (key.as_str(), convert(value))).collect(),
            Value::Null => panic!("TOML has no null"),
        }
    }
    let mut document = toml_edit::DocumentMut::new();
    for (key, value) in value.as_object().expect("a table") {
        document.insert(key, toml_edit::Item::Value(convert(value)));
    }
    document.to_string()
}

#[test]
fn every_file_is_nix() {
    let Some(nix) = Nix::find() else { return };
    let mut files: Vec<PathBuf> = ["nix", "tests/nix"]
        .into_iter()
        .flat_map(|directory| std::fs::read_dir(root().join(directory)).expect("a directory"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "nix"))
        .collect();
    files.push(root().join("flake.nix"));
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        let output = nix.run(&["--parse", &file.to_string_lossy()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
