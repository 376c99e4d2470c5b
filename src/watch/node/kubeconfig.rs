//! Which kubeconfig, and what is in it.

mod error;
mod places;
mod stamps;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use kube::config::{AuthInfo, Cluster, Kubeconfig};

pub use self::error::{Incomplete, KubeconfigError, Unreadable};
pub use self::places::{CredentialSet, Distribution};
pub(super) use self::stamps::FileSet;
use super::certificate::ClientCertificate;
use super::identity::NodeName;

/// The daemon's unit, without its suffix.
const DAEMON: &str = "nodedns";

/// Where the kubeconfig comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum KubeconfigSource {
    /// The first readable one of the usual places.
    #[default]
    Auto,
    /// This file and no other.
    Path(PathBuf),
}

/// What discovery takes from outside the configuration, so that tests can give it as a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Below which the well-known paths are looked for: `/`.
    pub root: PathBuf,
    /// `$CREDENTIALS_DIRECTORY`, set by systemd.
    pub credentials_directory: Option<PathBuf>,
    /// `$KUBECONFIG`: one path, or several with colons between them.
    pub kubeconfig: Option<OsString>,
    /// The hostname as the kernel has it.
    pub hostname: String,
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Environment {
            root: PathBuf::from("/"),
            credentials_directory: variable("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            kubeconfig: variable("KUBECONFIG"),
            hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        }
    }

    /// Where the operator puts a kubeconfig, or a link to one, for the unit that this process is, if it is one.
    pub fn credstore(&self) -> Option<String> {
        Some(error::store(&self.unit()?, CredentialSet::ALL.first()?.kubeconfig))
    }

    /// The unit that systemd runs this process as, without its suffix, if it is one that credentials may be
    /// handed over to.
    fn unit(&self) -> Option<String> {
        let name = self.credentials_directory.as_ref()?.file_name()?.to_str()?;
        Some(name.strip_suffix(".service")?.to_owned())
    }
}

/// Why a kubeconfig was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KubeconfigOrigin {
    /// The configuration names it.
    Configured,
    /// systemd gave it as the credential `kubeconfig`.
    Credential,
    /// systemd gave it as the credential `k3s.kubeconfig`, or that of another distribution.
    KubeletCredential(Distribution),
    /// The operator keeps it for the service, and this process is not one that systemd hands it to.
    Store,
    /// The kubelet's identity that k3s or RKE2 made.
    DistributionKubelet,
    /// The administrator's kubeconfig of a k3s or RKE2 server.
    DistributionAdmin,
    /// The kubelet's identity that kubeadm made.
    KubeadmKubelet,
    /// `$KUBECONFIG` names it.
    Variable,
}

impl fmt::Display for KubeconfigOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KubeconfigOrigin::KubeletCredential(maker) => {
                return write!(f, "the kubelet's own identity, made by {maker}, given by systemd as a credential");
            }
            KubeconfigOrigin::Configured => "named in the configuration",
            KubeconfigOrigin::Credential => "given by systemd as a credential",
            KubeconfigOrigin::Store => "what the service is given",
            KubeconfigOrigin::DistributionKubelet => "the kubelet's own identity",
            KubeconfigOrigin::DistributionAdmin => "the cluster administrator's identity",
            KubeconfigOrigin::KubeadmKubelet => "the kubelet's own identity, made by kubeadm",
            KubeconfigOrigin::Variable => "named in $KUBECONFIG",
        })
    }
}

/// A kubeconfig that can be used, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeconfigInfo {
    /// The file; of several in `$KUBECONFIG` the first that exists.
    pub path: PathBuf,
    /// Why this one.
    pub origin: KubeconfigOrigin,
    /// The API server's URL, without the user and the password that may be in it.
    pub server: Option<String>,
    /// Its `proxy-url`, which nodedns cannot use; likewise.
    pub proxy_url: Option<String>,
    /// The client certificate, where the identity is one.
    pub client_certificate: Option<ClientCertificate>,
    /// Files that come before this one in the order of preference but cannot be read.
    pub passed_over: Vec<Unreadable>,
}

impl KubeconfigInfo {
    /// The node whose kubelet the client certificate belongs to, if it is another than `node`.
    pub fn another_node(&self, node: &NodeName) -> Option<&str> {
        self.client_certificate.as_ref()?.node_name().filter(|name| *name != node.as_str())
    }
}

/// What it means that the client certificate belongs to the node `other`, in words.
pub fn of_another_node(other: &str, node: &NodeName) -> String {
    format!(
        "the client certificate belongs to node '{other}', and this one is to be '{node}': if this host is '{other}', \
         its addresses go out as those of '{node}'"
    )
}

/// Finds the kubeconfig to use and says what it is, for `status` and `check`. Reads files.
///
/// Under [`KubeconfigSource::Auto`] the order is: the credentials of systemd ([`CredentialSet::ALL`]), or, where
/// systemd hands none to this process, the operator's own where they are kept, if they can be read; k3s's
/// kubelet identity (the least privilege there is) before its administrator's; the same of RKE2;
/// kubeadm's kubelet identity; `$KUBECONFIG`. One that is absent or not readable is passed over; one
/// that is broken, and a credential without those that belong to it, is an error, because the next might
/// lead to another cluster.
///
/// # Errors
/// [`KubeconfigError`] tells absent from unreadable from broken.
pub fn find_kubeconfig(
    source: &KubeconfigSource,
    environment: &Environment,
) -> Result<KubeconfigInfo, KubeconfigError> {
    load(source, environment).map(|loaded| loaded.info)
}

/// A kubeconfig ready to make a client of.
pub(super) struct Loaded {
    pub(super) info: KubeconfigInfo,
    /// Holds secrets.
    pub(super) kubeconfig: Kubeconfig,
    pub(super) files: FileSet,
}

pub(super) fn load(source: &KubeconfigSource, environment: &Environment) -> Result<Loaded, KubeconfigError> {
    let mut absent = Vec::new();
    let mut passed_over = Vec::new();
    for (origin, paths) in places::candidates(source, environment) {
        match read(origin, &paths, environment) {
            Ok(mut loaded) => {
                loaded.info.passed_over = passed_over;
                return Ok(loaded);
            }
            // It is for the service, and that only root may read it is how it should be.
            Err(KubeconfigError::Absent { .. } | KubeconfigError::Unreadable { .. })
                if origin == KubeconfigOrigin::Store => {}
            Err(KubeconfigError::Absent { mut places, .. }) => absent.append(&mut places),
            Err(KubeconfigError::Unreadable { mut files, .. }) => passed_over.append(&mut files),
            Err(error) => return Err(error),
        }
    }
    let unit = environment.unit();
    Err(match source {
        // A directory that may not be searched proves nothing, but it is the best hint there is.
        _ if !passed_over.is_empty() => KubeconfigError::Unreadable { files: passed_over, unit },
        KubeconfigSource::Auto => KubeconfigError::Absent { places: absent, unit },
        KubeconfigSource::Path(path) => KubeconfigError::Missing(path.clone()),
    })
}

/// Reads one candidate. Several files are merged by kubectl's rules, those that are absent left out.
fn read(origin: KubeconfigOrigin, paths: &[PathBuf], environment: &Environment) -> Result<Loaded, KubeconfigError> {
    let mut found: Option<(PathBuf, Kubeconfig)> = None;
    let mut files = FileSet::default();
    for path in paths {
        files.add(path);
        match std::fs::File::open(path) {
            Ok(_) => {}
            Err(error) if is_absent(&error) => continue,
            Err(error) => return Err(refused(path, path, &error, environment)),
        }
        let broken = |what| KubeconfigError::Broken(path.clone(), what);
        let next = Kubeconfig::read_from(path).map_err(|error| broken(describe(error)))?;
        found = Some(match found {
            None => (path.clone(), next),
            Some((first, merged)) => (first, merged.merge(next).map_err(|error| broken(describe(error)))?),
        });
    }
    let Some((path, mut kubeconfig)) = found else {
        return Err(KubeconfigError::Absent { places: paths.to_vec(), unit: environment.unit() });
    };
    let Some((cluster, user)) = current(&mut kubeconfig) else {
        let what = "its current-context does not lead to a cluster and a user".to_owned();
        return Err(KubeconfigError::Broken(path, what));
    };
    let set = CredentialSet::of(&path, environment);
    if let Some(((set, prefix), directory)) = set.zip(path.parent()) {
        prefer_credentials(set, prefix, directory, cluster, user);
    }
    for Named { path: named, role } in referenced(cluster, user) {
        files.add(&named);
        let Err(error) = std::fs::File::open(&named) else { continue };
        if origin == KubeconfigOrigin::Store && error.kind() == io::ErrorKind::PermissionDenied {
            return Err(refused(&named, &path, &error, environment));
        }
        if let Some((set, credential)) = set.and_then(|(set, _)| Some((set, role.credential(set)?))) {
            let distribution = set.distribution;
            let what = Incomplete { kubeconfig: path, named, credential, distribution };
            return Err(KubeconfigError::Incomplete { what, unit: environment.unit() });
        }
        if is_absent(&error) || set.is_some() {
            let why = if is_absent(&error) { "does not exist" } else { "is not readable: permission denied" };
            return Err(KubeconfigError::Broken(path, format!("{}, which it names, {why}", named.display())));
        }
        return Err(refused(&named, &path, &error, environment));
    }
    let info = KubeconfigInfo {
        path,
        origin,
        server: cluster.server.as_deref().map(without_userinfo),
        proxy_url: cluster.proxy_url.as_deref().filter(|url| !url.is_empty()).map(without_userinfo),
        client_certificate: client_certificate_pem(user).and_then(|pem| ClientCertificate::parse(&pem)),
        passed_over: Vec::new(),
    };
    Ok(Loaded { info, kubeconfig, files })
}

/// A URL without user and password. A password with a slash in it, which no URL may have, ends at its `@`
/// all the same: to show less of a path is better than to show a part of a password.
fn without_userinfo(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, _)| url.split_at(scheme.len() + 3));
    format!("{scheme}{}", rest.rsplit_once('@').map_or(rest, |(_, rest)| rest))
}

fn refused(path: &Path, kubeconfig: &Path, error: &io::Error, environment: &Environment) -> KubeconfigError {
    if error.kind() == io::ErrorKind::PermissionDenied {
        let file = Unreadable {
            path: path.to_owned(),
            kubeconfig: kubeconfig.to_owned(),
            exists: std::fs::symlink_metadata(path).is_ok(),
            is_kubelet: places::is_kubelet(kubeconfig, environment),
        };
        KubeconfigError::Unreadable { files: vec![file], unit: environment.unit() }
    } else {
        KubeconfigError::Broken(kubeconfig.to_owned(), format!("cannot read {}: {error}", path.display()))
    }
}

/// Whether an error says that there is no such file.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// What went wrong, without a line of the file: a parser that quotes its input would quote keys.
fn describe(error: kube::config::KubeconfigError) -> String {
    use kube::config::KubeconfigError as Error;
    match error {
        Error::Parse(error) => match error.location() {
            Some(location) => format!("it is not a kubeconfig in YAML (line {})", location.line()),
            None => "it is not a kubeconfig in YAML".to_owned(),
        },
        Error::ReadConfig(error, _) => error.to_string(),
        other => other.to_string(),
    }
}

/// The cluster and the user of the current context.
fn current(kubeconfig: &mut Kubeconfig) -> Option<(&mut Cluster, &mut AuthInfo)> {
    let name = kubeconfig.current_context.as_ref()?;
    let context = kubeconfig.contexts.iter().find(|context| context.name == *name)?.context.as_ref()?;
    let cluster = kubeconfig.clusters.iter_mut().find(|cluster| cluster.name == context.cluster)?;
    let user = kubeconfig.auth_infos.iter_mut().find(|user| Some(&user.name) == context.user.as_ref())?;
    Some((cluster.cluster.as_mut()?, user.auth_info.as_mut()?))
}

/// systemd hands over single files, and a kubeconfig names others by paths that only root may read:
/// the credentials of its set stand in for them. One that is empty is just being written.
fn prefer_credentials(set: &CredentialSet, prefix: &str, directory: &Path, cluster: &mut Cluster, user: &mut AuthInfo) {
    let credential = |name: &str| {
        let path = directory.join(format!("{prefix}{name}"));
        let is_there = std::fs::metadata(&path).is_ok_and(|file| file.len() > 0);
        is_there.then(|| path.to_string_lossy().into_owned())
    };
    if let Some(path) = credential(set.certificate) {
        user.client_certificate = Some(path);
        user.client_certificate_data = None;
    }
    if let Some(path) = credential(set.key) {
        user.client_key = Some(path);
        user.client_key_data = None;
    }
    if let Some(path) = set.authority.and_then(credential) {
        cluster.certificate_authority = Some(path);
        cluster.certificate_authority_data = None;
    }
}

/// A file that a kubeconfig names.
struct Named {
    path: PathBuf,
    role: Role,
}

/// What it is for.
#[derive(Clone, Copy)]
enum Role {
    Authority,
    Certificate,
    Key,
    Token,
}

impl Role {
    /// The credential that stands in for such a file.
    fn credential(self, set: &CredentialSet) -> Option<&'static str> {
        match self {
            Role::Authority => set.authority,
            Role::Certificate => Some(set.certificate),
            Role::Key => Some(set.key),
            Role::Token => None,
        }
    }
}

/// The files that the current context names and that are not overridden by inline data.
fn referenced(cluster: &Cluster, user: &AuthInfo) -> Vec<Named> {
    let file = |role, inline: bool, path: &Option<String>| {
        let path = path.clone().filter(|path| !inline && !path.is_empty())?;
        Some(Named { path: path.into(), role })
    };
    [
        file(Role::Authority, cluster.certificate_authority_data.is_some(), &cluster.certificate_authority),
        file(Role::Certificate, user.client_certificate_data.is_some(), &user.client_certificate),
        file(Role::Key, user.client_key_data.is_some(), &user.client_key),
        file(Role::Token, user.token.is_some(), &user.token_file),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn client_certificate_pem(user: &AuthInfo) -> Option<Vec<u8>> {
    match (&user.client_certificate_data, &user.client_certificate) {
        (Some(data), _) => base64::engine::general_purpose::STANDARD.decode(data).ok(),
        (None, Some(path)) => std::fs::read(path).ok(),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_user_and_password() {
        for (url, shown) in [
            ("https://10.0.0.1:6443", "https://10.0.0.1:6443"),
            ("https://rancher.example.com/k8s/clusters/c-1", "https://rancher.example.com/k8s/clusters/c-1"),
            ("https://user:SECRET@[::1]:6443/x", "https://[::1]:6443/x"),
            ("https://SECRET@host", "https://host"),
            ("http://user:SEC/RE@T@host:1", "http://host:1"),
            ("user:SECRET@host:3128", "host:3128"),
            ("", ""),
        ] {
            assert_eq!(without_userinfo(url), shown);
        }
    }
}
