//! The AWS files that systemd hands over to a service, in place of those below its home directory; and the same where
//! they are kept, for a command that root types: it is to do what the service does.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};

/// The credential that is a shared credentials file, encrypted until systemd hands it over. systemd demands that
/// the name that it was encrypted for is the credential's own, and takes an unencrypted one of the same name as it
/// is, so this name is not that of the other.
pub const ENCRYPTED_CREDENTIALS: &str = "nodedns.aws-credentials.encrypted";

/// The credential that is a shared credentials file, if there is no encrypted one.
pub const CREDENTIALS: &str = "aws-credentials";

/// The credential that is a config file.
pub const CONFIG: &str = "aws-config";

/// Where root keeps what systemd hands over.
pub const STORE: &str = "/etc/credstore";

/// The same, encrypted.
const ENCRYPTED_STORE: &str = "/etc/credstore.encrypted";

/// What the names in the store begin with.
const PREFIX: &str = "nodedns.";

/// Variables that say whose credentials are meant. Where a person has set one, the store has no say.
const CHOICES: [&str; 9] = [
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "AWS_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// A file that systemd has handed over, or would hand over to the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandedOver {
    /// The file.
    pub path: PathBuf,
    /// Whether it is read where it is kept, as this process is not one that systemd hands it to.
    pub is_in_store: bool,
    /// The file of other AWS tools that it is in place of.
    pub in_place_of: &'static str,
    /// What goes before it, so that it is not read; `None` where it is.
    pub yields_to: Option<&'static str>,
}

/// What systemd has handed over to this process; or, where systemd hands nothing to it, what there is to be read in
/// the store.
pub fn handed_over() -> Vec<HandedOver> {
    let is_set = |name: &str| variable(name).is_some();
    match variable("CREDENTIALS_DIRECTORY") {
        Some(directory) => of_directory(Path::new(&directory), is_set),
        None => of_store(Path::new(STORE), is_set),
    }
}

/// Whether there are credentials for the service which this process cannot read, as they are encrypted.
pub(super) fn has_encrypted_only() -> bool {
    variable("CREDENTIALS_DIRECTORY").is_none() && Path::new(ENCRYPTED_STORE).join(ENCRYPTED_CREDENTIALS).exists()
}

/// What the SDK is to read, if anything was handed over that counts. It then reads no file of that kind in the
/// home directory.
pub(super) fn profile_files() -> Option<EnvConfigFiles> {
    let handed = handed_over();
    let taken = |name| handed.iter().find(|file| file.in_place_of == name && file.yields_to.is_none());
    let (config, credentials) = (taken(Kind::Config.usual()), taken(Kind::Credentials.usual()));
    if config.is_none() && credentials.is_none() {
        return None;
    }
    // Where both say something, the later file counts, and that is to be the credentials file.
    let mut files = EnvConfigFiles::builder();
    match config {
        Some(file) => files = files.with_file(EnvConfigFileKind::Config, &file.path),
        None => files = files.include_default_config_file(true),
    }
    let path = credentials.map(|file| file.path.clone()).or_else(usual_credentials);
    if let Some(path) = path {
        files = files.with_file(EnvConfigFileKind::Credentials, path);
    }
    Some(files.build())
}

/// The two files that every AWS tool reads.
#[derive(Clone, Copy)]
enum Kind {
    Config,
    Credentials,
}

impl Kind {
    fn usual(self) -> &'static str {
        match self {
            Kind::Config => "~/.aws/config",
            Kind::Credentials => "~/.aws/credentials",
        }
    }

    fn variable(self) -> &'static str {
        match self {
            Kind::Config => "AWS_CONFIG_FILE",
            Kind::Credentials => "AWS_SHARED_CREDENTIALS_FILE",
        }
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Kind::Config => &[CONFIG],
            Kind::Credentials => &[ENCRYPTED_CREDENTIALS, CREDENTIALS],
        }
    }
}

fn of_directory(directory: &Path, is_set: impl Fn(&str) -> bool) -> Vec<HandedOver> {
    let mut found = Vec::new();
    for kind in [Kind::Credentials, Kind::Config] {
        let mut yields_to = is_set(kind.variable()).then_some(kind.variable());
        for name in kind.names() {
            let path = directory.join(name);
            if path.exists() {
                found.push(HandedOver { path, is_in_store: false, in_place_of: kind.usual(), yields_to });
                yields_to = yields_to.or(Some(name));
            }
        }
    }
    found
}

/// Those that this user can read: an ordinary one has no business with them.
fn of_store(store: &Path, is_set: impl Fn(&str) -> bool) -> Vec<HandedOver> {
    let yields_to = CHOICES.into_iter().find(|name| is_set(name));
    let kept = [(CREDENTIALS, Kind::Credentials), (CONFIG, Kind::Config)].into_iter();
    let found = kept.map(|(name, kind)| {
        let path = store.join(format!("{PREFIX}{name}"));
        HandedOver { path, is_in_store: true, in_place_of: kind.usual(), yields_to }
    });
    found.filter(|file| File::open(&file.path).is_ok()).collect()
}

/// The credentials file of other AWS tools, if it is there: the SDK puts its own default in front of all others.
fn usual_credentials() -> Option<PathBuf> {
    let path = variable(Kind::Credentials.variable()).map(PathBuf::from);
    let path = path.unwrap_or_else(|| PathBuf::from(Kind::Credentials.usual()));
    let path = match path.strip_prefix("~") {
        Ok(below) => PathBuf::from(variable("HOME")?).join(below),
        Err(_) => path,
    };
    path.exists().then_some(path)
}

fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_store_yields_to_every_choice_of_a_person() {
        let store = tempfile::tempdir().expect("a directory");
        assert_eq!(of_store(store.path(), |_| false), []);
        let kept = |name: &str, in_place_of, yields_to| {
            let path = store.path().join(name);
            std::fs::write(&path, "").expect("written");
            HandedOver { path, is_in_store: true, in_place_of, yields_to }
        };
        let credentials = kept("nodedns.aws-credentials", "~/.aws/credentials", None);
        assert_eq!(of_store(store.path(), |_| false), std::slice::from_ref(&credentials));
        let config = kept("nodedns.aws-config", "~/.aws/config", None);
        assert_eq!(of_store(store.path(), |name| name == "AWS_REGION"), [credentials, config]);
        for name in CHOICES {
            let yielding = of_store(store.path(), |set| set == name);
            assert_eq!(yielding.iter().map(|file| file.yields_to).collect::<Vec<_>>(), [Some(name), Some(name)]);
        }
    }

    #[test]
    fn of_two_credentials_files_the_encrypted_one_counts_and_variables_go_before_both() {
        let directory = tempfile::tempdir().expect("a directory");
        let found = |variables: &[&str]| -> Vec<(String, Option<&str>)> {
            let found = of_directory(directory.path(), |name| variables.contains(&name));
            let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
            found.into_iter().map(|file| (name(&file.path), file.yields_to)).collect()
        };
        assert_eq!(found(&[]), []);
        let write = |name: &str| std::fs::write(directory.path().join(name), "").expect("written");
        write(CREDENTIALS);
        write(CONFIG);
        assert_eq!(found(&[]), [(CREDENTIALS.to_owned(), None), (CONFIG.to_owned(), None)]);
        write(ENCRYPTED_CREDENTIALS);
        let names = [ENCRYPTED_CREDENTIALS, CREDENTIALS, CONFIG].map(str::to_owned);
        let expected = |yields: [Option<&'static str>; 3]| names.clone().into_iter().zip(yields).collect::<Vec<_>>();
        assert_eq!(found(&[]), expected([None, Some(ENCRYPTED_CREDENTIALS), None]));
        let (file, config) = ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE");
        assert_eq!(found(&[file]), expected([Some(file), Some(file), None]));
        assert_eq!(found(&[config]), expected([None, Some(ENCRYPTED_CREDENTIALS), Some(config)]));
    }
}
