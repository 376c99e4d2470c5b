//! Why there is no kubeconfig to use, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::places::Distribution;

/// A file that is there, or may be, but cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The file that was denied: the kubeconfig itself, or one that it names.
    pub path: PathBuf,
    /// The kubeconfig.
    pub kubeconfig: PathBuf,
    /// False when a directory above may not be searched, so that nobody knows whether the file exists.
    pub exists: bool,
    /// The kubeconfig is one that a distribution makes for its kubelet.
    pub is_kubelet: bool,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match (self.exists, self.path == self.kubeconfig) {
            (true, true) => write!(f, "found {path}, but it is not readable: permission denied"),
            (true, false) => write!(
                f,
                "found {}, but {path}, which it names, is not readable: permission denied",
                self.kubeconfig.display()
            ),
            (false, _) => write!(f, "cannot look for {path}: permission denied on a directory above it"),
        }
    }
}

/// A credential that systemd has not handed over together with the others of its set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incomplete {
    /// The kubeconfig that is there.
    pub kubeconfig: PathBuf,
    /// The file that it names.
    pub named: PathBuf,
    /// The credential that would stand in for it.
    pub credential: &'static str,
    /// Who makes these files; `None` where it is the operator.
    pub distribution: Option<Distribution>,
}

/// Why there is no kubeconfig to use.
///
/// `unit` is the one that systemd runs this process as, without its suffix, where it may hand over credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KubeconfigError {
    /// No file at any of the usual places.
    Absent {
        /// The places.
        places: Vec<PathBuf>,
        /// See above.
        unit: Option<String>,
    },
    /// There is no file where the configuration says.
    Missing(PathBuf),
    /// The only ones there are cannot be read.
    Unreadable {
        /// Each of them.
        files: Vec<Unreadable>,
        /// See above.
        unit: Option<String>,
    },
    /// It is there without the files that it names, which are perhaps just being written.
    Incomplete {
        /// What is there and what is not.
        what: Incomplete,
        /// See above.
        unit: Option<String>,
    },
    /// The file is there and useless; the file, and what is wrong with it (nothing secret).
    Broken(PathBuf, String),
}

impl fmt::Display for KubeconfigError {
    /// What is wrong, and what to do about it where a service finds it so.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())?;
        match self.hint() {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for KubeconfigError {}

impl KubeconfigError {
    fn what(&self) -> String {
        match self {
            KubeconfigError::Absent { places, .. } => {
                format!(
                    "no kubeconfig found: k3s, RKE2 or kubeadm has not made one yet; looked for {}",
                    list(places.iter().map(|path| path.display().to_string()), ", ")
                )
            }
            KubeconfigError::Missing(path) => format!("no kubeconfig found; looked for {}", path.display()),
            KubeconfigError::Unreadable { files, .. } => list(files.iter().map(Unreadable::to_string), "; "),
            KubeconfigError::Incomplete { what, .. } => {
                let Incomplete { kubeconfig, named, credential, distribution } = what;
                let still = distribution.map(|maker| format!("; {maker} may be about to write it")).unwrap_or_default();
                format!(
                    "{} is there, but not the credential {credential} in place of {}, which it names{still}",
                    kubeconfig.display(),
                    named.display()
                )
            }
            KubeconfigError::Broken(path, what) => {
                format!("the kubeconfig {} cannot be used: {what}", path.display())
            }
        }
    }

    fn hint(&self) -> Option<String> {
        let again = |unit: &str| match unit {
            super::DAEMON => format!("'systemctl restart {unit}'"),
            // It runs to its end.
            _ => format!("'systemctl start {unit}'"),
        };
        Some(match self {
            KubeconfigError::Absent { unit: Some(unit), .. } => {
                let when = if unit == super::DAEMON { "the daemon is started again when there is one; " } else { "" };
                let store = store(unit, "kubeconfig");
                format!("{when}to give it one of yours: 'ln -s KUBECONFIG {store}', then {}", again(unit))
            }
            KubeconfigError::Absent { unit: None, .. } | KubeconfigError::Missing(_) => {
                "it is looked for again and again; set kubernetes.kubeconfig if it is elsewhere".to_owned()
            }
            KubeconfigError::Unreadable { files, unit } => {
                let first = files.first().map_or(Path::new("KUBECONFIG"), |file| &file.kubeconfig).display();
                let is_kubelet = files.first().is_some_and(|file| file.is_kubelet);
                match unit {
                    Some(unit) if is_kubelet && unit == super::DAEMON => format!(
                        "systemd hands it over when it is linked: 'systemd-tmpfiles --create nodedns.conf', then {}",
                        again(unit)
                    ),
                    Some(unit) => format!(
                        "let systemd hand it over: 'ln -s {} {}', with kubernetes.kubeconfig = \"auto\", then {}",
                        if is_kubelet { "KUBECONFIG".to_owned() } else { first.to_string() },
                        store(unit, "kubeconfig"),
                        again(unit)
                    ),
                    None => format!(
                        "hand the files to the service with LoadCredential=kubeconfig:{first} (and kube-client.crt, \
                         kube-client.key, kube-ca.crt where it names such files)"
                    ),
                }
            }
            KubeconfigError::Incomplete { what: Incomplete { distribution: Some(maker), .. }, unit } => format!(
                "nodedns-credentials.path has nodedns started again once {maker} has written it; {} does so now",
                again(unit.as_deref().unwrap_or(super::DAEMON))
            ),
            KubeconfigError::Incomplete { what, unit } => {
                let unit = unit.as_deref().unwrap_or(super::DAEMON);
                format!("'ln -s {} {}', then {}", what.named.display(), store(unit, what.credential), again(unit))
            }
            KubeconfigError::Broken(..) => return None,
        })
    }

    /// What is wrong, and what to do about it where a person's command finds it so.
    pub(in crate::watch::node) fn for_a_person(&self) -> String {
        let hint = match self {
            // It is a unit's command, and systemd hands the file over.
            KubeconfigError::Absent { unit: Some(_), .. }
            | KubeconfigError::Unreadable { unit: Some(_), .. }
            | KubeconfigError::Incomplete { .. } => return self.to_string(),
            KubeconfigError::Absent { .. } | KubeconfigError::Missing(_) => {
                "\nhint: set $KUBECONFIG, or kubernetes.kubeconfig, to where it is"
            }
            KubeconfigError::Unreadable { .. } => "\nhint: run this as root, or set $KUBECONFIG to one of your own",
            KubeconfigError::Broken(..) => "",
        };
        self.what() + hint
    }
}

/// Where the operator puts a credential for a unit.
pub(super) fn store(unit: &str, credential: &str) -> String {
    format!("/etc/credstore/{unit}.{credential}")
}

fn list(items: impl Iterator<Item = String>, between: &str) -> String {
    items.collect::<Vec<_>>().join(between)
}
