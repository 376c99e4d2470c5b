//! The layers: files, drop-ins, environment, flags.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::config::Config;
use crate::config::de::check;
use crate::config::problem::{Origin, Problem, Problems};
use crate::config::raw::RawConfig;
use crate::config::tree::{Kind, Member, Node, Table};
use crate::config::validate::validate;

/// The main file when none is named. Its drop-ins lie in the directory of the same name with `.d`.
pub const DEFAULT_PATH: &str = "/etc/nodedns/nodedns.toml";

/// Variables that begin with `NODEDNS_` and are not keys: the path of the file itself, and a
/// switch of the test suite.
const NOT_KEYS: [&str; 2] = ["NODEDNS_CONFIG", "NODEDNS_FORBID_SKIP"];

/// Where the configuration comes from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The main file, which must then exist; `None` is [`DEFAULT_PATH`].
    pub file: Option<PathBuf>,
    /// Whether it is enough that flags say what to publish: the dry run without any file.
    pub allow_no_file: bool,
    /// Environment variables; those that begin with `NODEDNS_` are keys.
    pub variables: Vec<(String, String)>,
    /// Command line flags.
    pub flags: Flags,
}

/// Command line flags that stand for configuration keys. They override everything else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--name`: a record for each, beside those of the files.
    pub names: Vec<String>,
    /// `--zone-id`: the hosted zone of those names.
    pub zone_id: Option<String>,
    /// `--cluster`.
    pub cluster: Option<String>,
    /// `--node`.
    pub node: Option<String>,
    /// `--log-level`.
    pub log_level: Option<String>,
}

impl Sources {
    /// The file named on the command line, if any, and this process's environment.
    pub fn new(file: Option<PathBuf>) -> Self {
        let variables = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
            .collect();
        Sources { file, variables, ..Sources::default() }
    }
}

/// A configuration, and how it came about.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The files that were read, in order.
    pub files: Vec<PathBuf>,
    pub(super) raw: RawConfig,
    pub(super) tree: Node,
}

/// Reads every layer and checks all of it.
///
/// # Errors
/// Everything that is wrong in any layer, at once.
pub fn load(sources: &Sources) -> Result<Loaded, Problems> {
    let mut problems = Vec::new();
    let mut files = Vec::new();
    let mut layers = Vec::new();

    for file in find(sources, &mut problems) {
        match fs::read_to_string(&file) {
            Ok(text) => match Node::from_toml(&file, &text) {
                Ok(layer) => layers.push(layer),
                Err(problem) => problems.push(problem),
            },
            Err(error) => problems.push(unreadable(&file, &error)),
        }
        files.push(file);
    }
    if files.is_empty() && problems.is_empty() && (!sources.allow_no_file || sources.flags.names.is_empty()) {
        problems.push(no_file(sources.allow_no_file));
        return Err(Problems::from(problems));
    }
    // What a file that cannot be read would have said is not missing.
    let incomplete = !problems.is_empty();
    if let Some(directory) = variable(sources, "RUNTIME_DIRECTORY") {
        layers.insert(0, runtime_directory(directory));
    }
    if files.is_empty() {
        layers.insert(0, default_cluster());
    }
    layers.push(environment(sources, &mut problems));
    layers.push(flags(&sources.flags, sources.flags.names.is_empty()));

    let root = files.first().map_or(Origin::Default, |file| Origin::File { path: file.clone(), position: None });
    let mut tree = Node::empty(root);
    for mut layer in layers {
        problems.extend(check(&mut layer, tree.record_count()));
        tree.merge(layer);
    }
    let mut raw = match RawConfig::deserialize(&tree) {
        Ok(raw) => raw,
        Err(error) => {
            problems.push(Problem {
                source: tree.origin.clone(),
                path: String::new(),
                message: error.to_string(),
                hint: None,
            });
            return Err(Problems::from(problems));
        }
    };
    raw.signals.complete();
    let (config, semantic) = validate(&raw, &tree, incomplete);
    problems.extend(semantic);
    Problems::check(problems)?;
    Ok(Loaded { config, files, raw, tree })
}

/// The files to read: the main file, then its drop-ins by name.
fn find(sources: &Sources, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let main = match (&sources.file, variable(sources, "NODEDNS_CONFIG")) {
        (Some(file), _) => Some(file.clone()),
        (None, Some(file)) => Some(PathBuf::from(file)),
        (None, None) => None,
    };
    let named = main.is_some();
    let main = main.unwrap_or_else(|| PathBuf::from(DEFAULT_PATH));
    let mut directory = main.clone().into_os_string();
    directory.push(".d");
    let directory = PathBuf::from(directory);

    let mut files = Vec::new();
    // Reading says whether it exists; a file that was named must.
    if named || !matches!(fs::metadata(&main), Err(error) if error.kind() == ErrorKind::NotFound) {
        files.push(main);
    }
    match fs::read_dir(&directory) {
        Ok(entries) => {
            let mut drop_ins: Vec<PathBuf> = entries
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
                .filter(|path| !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")))
                .collect();
            drop_ins.sort();
            files.extend(drop_ins);
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => problems.push(unreadable(&directory, &error)),
    }
    files
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let hint = match error.kind() {
        ErrorKind::NotFound => Some("'nodedns config init' writes a commented example".to_owned()),
        ErrorKind::PermissionDenied => Some("the file must be readable for the user that runs nodedns".to_owned()),
        _ => None,
    };
    Problem {
        source: Origin::File { path: path.to_owned(), position: None },
        path: String::new(),
        message: format!("cannot be read: {error}"),
        hint,
    }
}

fn no_file(dry_run: bool) -> Problem {
    let hint = if dry_run {
        "name what to publish with --name edge.example.com, or write a configuration with 'nodedns config init'"
    } else {
        "'nodedns config init' writes a commented example; \
         'nodedns run --dry-run --name edge.example.com' shows without one what would be published"
    };
    Problem {
        source: Origin::File { path: PathBuf::from(DEFAULT_PATH), position: None },
        path: String::new(),
        message: "there is no configuration".to_owned(),
        hint: Some(hint.to_owned()),
    }
}

fn variable<'a>(sources: &'a Sources, wanted: &str) -> Option<&'a str> {
    sources.variables.iter().find(|(name, value)| name == wanted && !value.is_empty()).map(|(_, value)| value.as_str())
}

/// Without any file there is no cluster either, and a dry run writes nothing that could be mixed up.
fn default_cluster() -> Node {
    layer([("cluster", Node { origin: Origin::Default, kind: Kind::String("default".to_owned()) })])
}

/// systemd's runtime directory (systemd.exec(5), RuntimeDirectory=; the first of several) holds the
/// socket unless a file says otherwise.
fn runtime_directory(directories: &str) -> Node {
    let first = directories.split(':').next().unwrap_or(directories);
    let origin = Origin::Variable("RUNTIME_DIRECTORY".to_owned());
    let socket = format!("{}/nodedns.sock", first.trim_end_matches('/'));
    let control = layer([("socket", Node { origin, kind: Kind::String(socket) })]);
    layer([("control", control)])
}

/// `NODEDNS_ROUTE53__REGION` is `route53.region`.
fn environment(sources: &Sources, problems: &mut Vec<Problem>) -> Node {
    let mut variables: Vec<_> = sources
        .variables
        .iter()
        .filter(|(name, _)| name.starts_with("NODEDNS_") && !NOT_KEYS.contains(&name.as_str()))
        .collect();
    variables.sort();
    let mut root = Node::empty(Origin::Default);
    for (name, value) in variables {
        let origin = Origin::Variable(name.clone());
        let lower = name["NODEDNS_".len()..].to_lowercase();
        let keys: Vec<&str> = lower.split("__").collect();
        let problem = |message: String, hint: &str| Problem {
            source: origin.clone(),
            path: keys.join("."),
            message,
            hint: Some(hint.to_owned()),
        };
        if keys.first() == Some(&"record") {
            problems.push(problem(
                "records cannot come from the environment".to_owned(),
                "write a [[record]] into a file; a drop-in directory will do",
            ));
            continue;
        }
        let node = Node { origin: origin.clone(), kind: Kind::Untyped(value.clone()) };
        if let Err(other) = root.insert(&keys, node) {
            problems.push(problem(format!("contradicts {other}"), "remove one of them"));
        }
    }
    root
}

fn flags(flags: &Flags, without_records: bool) -> Node {
    let text =
        |flag: &str, value: &str| Node { origin: Origin::Flag(flag.to_owned()), kind: Kind::Untyped(value.to_owned()) };
    let mut members = Vec::new();
    if let Some(cluster) = &flags.cluster {
        members.push(("cluster", text("--cluster", cluster)));
    }
    if let Some(node) = &flags.node {
        members.push(("node", text("--node", node)));
    }
    if let Some(level) = &flags.log_level {
        members.push(("log", layer([("level", text("--log-level", level))])));
    }
    if !without_records {
        let records = flags.names.iter().map(|name| {
            let zone_id = flags.zone_id.iter().map(|zone_id| ("zone_id", text("--zone-id", zone_id)));
            layer([("name", text("--name", name))].into_iter().chain(zone_id))
        });
        let origin = Origin::Flag("--name".to_owned());
        members.push(("record", Node { origin, kind: Kind::Array(records.collect()) }));
    }
    layer(members)
}

fn layer<'a>(members: impl IntoIterator<Item = (&'a str, Node)>) -> Node {
    let mut origin = Origin::Default;
    let mut table = Table::new();
    for (key, value) in members {
        origin = value.origin.clone();
        table.insert(key.to_owned(), Member { key: origin.clone(), value });
    }
    Node { origin, kind: Kind::Table(table) }
}
