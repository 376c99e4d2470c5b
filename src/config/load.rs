//! The layers: files, drop-ins, environment, flags.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::config::layer::Layer;
use crate::config::merged::Merged;
use crate::config::path::RECORDS;
use crate::config::problem::{Origin, Problem, Problems};
use crate::config::raw::RawConfig;
use crate::config::validate::validate;
use crate::config::{self, Config};

/// The main file when none is named. Its drop-ins lie in the directory of the same name with `.d`.
pub const DEFAULT_PATH: &str = "/etc/nodedns/nodedns.toml";

/// What the names of variables begin with that are keys.
const PREFIX: &str = "NODEDNS_";

/// Variables that begin so and are not keys: the path of the file itself, and a
/// switch of the test suite.
const NOT_KEYS: [&str; 2] = ["NODEDNS_CONFIG", "NODEDNS_FORBID_SKIP"];

/// What the names of the test suite's other variables begin with, as a program that it runs inherits them.
const TEST_SUITE: &str = "NODEDNS_TEST_";

/// Where the configuration comes from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The main file, which must then exist; `None` is [`DEFAULT_PATH`].
    pub file: Option<PathBuf>,
    /// Whether it is enough that flags say what to publish: the dry run without any file.
    pub allow_no_file: bool,
    /// Whether neither a file nor a cluster nor a record is needed: a command that asks for something else.
    pub allow_nothing: bool,
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
    /// `--kubeconfig`, an absolute path: also says that Kubernetes is asked.
    pub kubeconfig: Option<String>,
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
    pub(super) merged: Merged,
}

impl Loaded {
    /// Whether anything says the cluster's name; where [`Sources::allow_nothing`] it need not.
    pub fn names_cluster(&self) -> bool {
        self.merged.locate(&config::path::Path::default().key("cluster")).origin != Origin::Default
    }
}

/// Reads every layer and checks all of it.
///
/// # Errors
/// Everything that is wrong in any layer, at once.
pub fn load(sources: &Sources) -> Result<Loaded, Problems> {
    let (loaded, problems) = read(sources)?;
    Problems::check(problems)?;
    Ok(loaded)
}

/// Reads every layer like [`load`], and makes of it what can be made: what is wrong is as if it were
/// not there, and comes beside it. For who wants to know more of what is wrong, and acts on nothing.
pub fn salvage(sources: &Sources) -> (Option<Loaded>, Option<Problems>) {
    match read(sources) {
        Ok((loaded, problems)) => (Some(loaded), Problems::check(problems).err()),
        Err(problems) => (None, Some(problems)),
    }
}

fn read(sources: &Sources) -> Result<(Loaded, Vec<Problem>), Problems> {
    let mut problems = Vec::new();
    let mut files = Vec::new();
    let mut layers = Vec::new();
    let mut records = 0;

    for file in find(sources, &mut problems) {
        match fs::read_to_string(&file) {
            Ok(text) => match Layer::file(&file, &text, records) {
                Ok(layer) => {
                    records += layer.record_count();
                    layers.push(layer);
                }
                Err(problem) => problems.push(problem),
            },
            Err(error) => problems.push(unreadable(&file, &error)),
        }
        files.push(file);
    }
    let named = sources.allow_no_file && !sources.flags.names.is_empty();
    if files.is_empty() && problems.is_empty() && !named && !sources.allow_nothing {
        problems.push(no_file(sources.allow_no_file));
    }
    // What a file that cannot be read would have said is not missing.
    let incomplete = !problems.is_empty() || sources.allow_nothing;
    if let Some(directory) = variable(sources, "RUNTIME_DIRECTORY") {
        layers.insert(0, runtime_directory(directory));
    }
    if let Some(directories) = variable(sources, "STATE_DIRECTORY") {
        layers.insert(0, state_directory(directories));
    }
    if files.is_empty() || sources.allow_nothing {
        // Without any file there is no cluster either, and what needs none writes nothing that could be mixed up.
        layers.insert(0, Layer::text(Origin::Default, &["cluster"], "default"));
    }
    layers.extend(environment(sources, &mut problems));
    layers.extend(flags(&sources.flags, records));
    problems.extend(layers.iter_mut().flat_map(Layer::check));

    let root = files.first().map_or(Origin::Default, |file| Origin::File { path: file.clone(), position: None });
    let merged = Merged::new(root, layers);
    let mut raw = match merged.read() {
        Ok(raw) => raw,
        Err(problem) => {
            problems.push(problem);
            return Err(Problems::from(problems));
        }
    };
    raw.signals.complete();
    let (config, semantic) = validate(&raw, &merged, incomplete);
    problems.extend(semantic);
    Ok((Loaded { config, files, raw, merged }, problems))
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
        ErrorKind::InvalidData => Some("save it as text in UTF-8, which TOML is written in".to_owned()),
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

/// systemd's runtime directory (systemd.exec(5), RuntimeDirectory=; the first of several) holds the
/// socket unless a file says otherwise.
fn runtime_directory(directories: &str) -> Layer {
    let first = directories.split(':').next().unwrap_or(directories);
    let socket = format!("{}/nodedns.sock", first.trim_end_matches('/'));
    Layer::text(Origin::Variable("RUNTIME_DIRECTORY".to_owned()), &["control", "socket"], &socket)
}

/// systemd's state directory (StateDirectory=; the first of several), likewise.
fn state_directory(directories: &str) -> Layer {
    let first = directories.split(':').next().unwrap_or(directories);
    Layer::text(Origin::Variable("STATE_DIRECTORY".to_owned()), &["control", "state_directory"], first)
}

/// `NODEDNS_ROUTE53__REGION` is `route53.region`.
fn environment(sources: &Sources, problems: &mut Vec<Problem>) -> Vec<Layer> {
    let variables: BTreeMap<&str, &str> = sources
        .variables
        .iter()
        .filter(|(name, _)| name.starts_with(PREFIX) && !name.starts_with(TEST_SUITE))
        .filter(|(name, _)| !NOT_KEYS.contains(&name.as_str()))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut layers = Vec::new();
    for (name, value) in &variables {
        let origin = Origin::Variable((*name).to_owned());
        let lower = name[PREFIX.len()..].to_lowercase();
        let keys: Vec<&str> = lower.split("__").collect();
        let mut refuse = |message: String, hint: &str| {
            problems.push(Problem {
                source: origin.clone(),
                path: keys.join("."),
                message,
                hint: Some(hint.to_owned()),
            });
        };
        // One that sets the whole of what the other sets a part of.
        let mut around = name.match_indices("__").map(|(at, _)| &name[..at]);
        if keys.first() == Some(&RECORDS) {
            refuse(
                "records cannot come from the environment".to_owned(),
                "write a [[record]] into a file; a drop-in directory will do",
            );
        } else if let Some(other) = around.find(|other| variables.contains_key(other)) {
            refuse(format!("contradicts ${other}"), "remove one of them");
        } else {
            layers.push(Layer::variable(origin, &keys, value));
        }
    }
    layers
}

fn flags(flags: &Flags, records_before: usize) -> Vec<Layer> {
    let asked = flags.kubeconfig.as_ref().map(|_| true.to_string());
    let keys: [(&str, &[&str], &Option<String>); 5] = [
        ("--cluster", &["cluster"], &flags.cluster),
        ("--node", &["node"], &flags.node),
        ("--log-level", &["log", "level"], &flags.log_level),
        ("--kubeconfig", &["kubernetes", "kubeconfig"], &flags.kubeconfig),
        ("--kubeconfig", &["kubernetes", "enabled"], &asked),
    ];
    let mut layers: Vec<Layer> = keys
        .into_iter()
        .filter_map(|(flag, key, value)| Some(Layer::variable(Origin::Flag(flag.to_owned()), key, value.as_ref()?)))
        .collect();
    if !flags.names.is_empty() {
        layers.push(Layer::names(&flags.names, flags.zone_id.as_deref(), records_before));
    }
    layers
}
