//! Which kubeconfig, and what is in it.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use kube::config::{AuthInfo, Cluster, Kubeconfig};

use super::certificate::ClientCertificate;

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
}

/// Why a kubeconfig was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KubeconfigOrigin {
    /// The configuration names it.
    Configured,
    /// systemd gave it as the credential `kubeconfig`.
    Credential,
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
            KubeconfigOrigin::Configured => "named in the configuration",
            KubeconfigOrigin::Credential => "given by systemd as a credential",
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

/// A file that is there, or may be, but cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The file that was denied: the kubeconfig itself, or one that it names.
    pub path: PathBuf,
    /// The kubeconfig.
    pub kubeconfig: PathBuf,
    /// False when a directory above may not be searched, so that nobody knows whether the file exists.
    pub exists: bool,
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

/// Why there is no kubeconfig to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KubeconfigError {
    /// No file at any of these places.
    Absent(Vec<PathBuf>),
    /// The only ones there are cannot be read.
    Unreadable(Vec<Unreadable>),
    /// The file is there and useless; the file, and what is wrong with it (nothing secret).
    Broken(PathBuf, String),
}

impl fmt::Display for KubeconfigError {
    /// What is wrong, and what to do about it where a service finds it so.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())?;
        match self {
            KubeconfigError::Absent(_) => {
                write!(f, "\nhint: it is looked for again and again; set kubernetes.kubeconfig if it is elsewhere")
            }
            KubeconfigError::Unreadable(files) => {
                write!(f, "\nhint: hand the files to the service with LoadCredential=kubeconfig:")?;
                write!(f, "{}", files.first().map_or(Path::new("PATH"), |file| &file.kubeconfig).display())?;
                write!(f, " (and kube-client.crt, kube-client.key, kube-ca.crt where it names such files)")
            }
            KubeconfigError::Broken(..) => Ok(()),
        }
    }
}

impl KubeconfigError {
    fn what(&self) -> String {
        let list = |items: Vec<String>, between| items.join(between);
        match self {
            KubeconfigError::Absent(places) => {
                let places = places.iter().map(|path| path.display().to_string()).collect();
                format!("no kubeconfig found; looked for {}", list(places, ", "))
            }
            KubeconfigError::Unreadable(files) => list(files.iter().map(Unreadable::to_string).collect(), "; "),
            KubeconfigError::Broken(path, what) => {
                format!("the kubeconfig {} cannot be used: {what}", path.display())
            }
        }
    }

    /// What is wrong, and what to do about it where a person's command finds it so.
    pub(super) fn for_a_person(&self) -> String {
        let hint = match self {
            KubeconfigError::Absent(_) => "\nhint: set $KUBECONFIG, or kubernetes.kubeconfig, to where it is",
            KubeconfigError::Unreadable(_) => "\nhint: run this as root, or set $KUBECONFIG to one of your own",
            KubeconfigError::Broken(..) => "",
        };
        self.what() + hint
    }
}

impl std::error::Error for KubeconfigError {}

/// Finds the kubeconfig to use and says what it is, for `status` and `check`. Reads files.
///
/// Under [`KubeconfigSource::Auto`] the order is: the systemd credential `kubeconfig`; k3s's
/// kubelet identity (the least privilege there is) before its administrator's; the same of RKE2;
/// kubeadm's kubelet identity; `$KUBECONFIG`. One that is absent or not readable is passed over; one
/// that is broken is an error, because the next might lead to another cluster.
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
    for (origin, paths) in candidates(source, environment) {
        match read(origin, &paths, environment) {
            Ok(mut loaded) => {
                loaded.info.passed_over = passed_over;
                return Ok(loaded);
            }
            Err(KubeconfigError::Absent(mut places)) => absent.append(&mut places),
            Err(KubeconfigError::Unreadable(mut files)) => passed_over.append(&mut files),
            Err(broken @ KubeconfigError::Broken(..)) => return Err(broken),
        }
    }
    // A directory that may not be searched proves nothing, but it is the best hint there is.
    Err(if passed_over.is_empty() { KubeconfigError::Absent(absent) } else { KubeconfigError::Unreadable(passed_over) })
}

fn candidates(source: &KubeconfigSource, environment: &Environment) -> Vec<(KubeconfigOrigin, Vec<PathBuf>)> {
    use KubeconfigOrigin as Origin;
    if let KubeconfigSource::Path(path) = source {
        return vec![(Origin::Configured, vec![path.clone()])];
    }
    let mut candidates = Vec::new();
    if let Some(directory) = &environment.credentials_directory {
        candidates.push((Origin::Credential, vec![directory.join("kubeconfig")]));
    }
    for (origin, path) in [
        (Origin::DistributionKubelet, "var/lib/rancher/k3s/agent/kubelet.kubeconfig"),
        (Origin::DistributionAdmin, "etc/rancher/k3s/k3s.yaml"),
        (Origin::DistributionKubelet, "var/lib/rancher/rke2/agent/kubelet.kubeconfig"),
        (Origin::DistributionAdmin, "etc/rancher/rke2/rke2.yaml"),
        (Origin::KubeadmKubelet, "etc/kubernetes/kubelet.conf"),
    ] {
        candidates.push((origin, vec![environment.root.join(path)]));
    }
    if let Some(variable) = &environment.kubeconfig {
        let paths: Vec<_> = std::env::split_paths(variable).filter(|path| !path.as_os_str().is_empty()).collect();
        candidates.push((Origin::Variable, paths));
    }
    candidates
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
            Err(error) => return Err(refused(path, path, &error)),
        }
        let broken = |what| KubeconfigError::Broken(path.clone(), what);
        let next = Kubeconfig::read_from(path).map_err(|error| broken(describe(error)))?;
        found = Some(match found {
            None => (path.clone(), next),
            Some((first, merged)) => (first, merged.merge(next).map_err(|error| broken(describe(error)))?),
        });
    }
    let Some((path, mut kubeconfig)) = found else { return Err(KubeconfigError::Absent(paths.to_vec())) };
    let Some((cluster, user)) = current(&mut kubeconfig) else {
        let what = "its current-context does not lead to a cluster and a user".to_owned();
        return Err(KubeconfigError::Broken(path, what));
    };
    if let Some(directory) = &environment.credentials_directory
        && path.starts_with(directory)
    {
        prefer_credentials(directory, cluster, user);
    }
    for named in referenced(cluster, user) {
        files.add(&named);
        match std::fs::File::open(&named) {
            Ok(_) => {}
            Err(error) if is_absent(&error) => {
                let what = format!("{}, which it names, does not exist", named.display());
                return Err(KubeconfigError::Broken(path, what));
            }
            Err(error) => return Err(refused(&named, &path, &error)),
        }
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

fn refused(path: &Path, kubeconfig: &Path, error: &io::Error) -> KubeconfigError {
    if error.kind() == io::ErrorKind::PermissionDenied {
        let exists = std::fs::symlink_metadata(path).is_ok();
        KubeconfigError::Unreadable(vec![Unreadable {
            path: path.to_owned(),
            kubeconfig: kubeconfig.to_owned(),
            exists,
        }])
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
/// the credentials of these names stand in for them.
fn prefer_credentials(directory: &Path, cluster: &mut Cluster, user: &mut AuthInfo) {
    let credential = |name: &str| {
        let path = directory.join(name);
        path.exists().then(|| path.to_string_lossy().into_owned())
    };
    if let Some(path) = credential("kube-client.crt") {
        user.client_certificate = Some(path);
        user.client_certificate_data = None;
    }
    if let Some(path) = credential("kube-client.key") {
        user.client_key = Some(path);
        user.client_key_data = None;
    }
    if let Some(path) = credential("kube-ca.crt") {
        cluster.certificate_authority = Some(path);
        cluster.certificate_authority_data = None;
    }
}

/// The files that the current context names and that are not overridden by inline data.
fn referenced(cluster: &Cluster, user: &AuthInfo) -> Vec<PathBuf> {
    let unless = |inline: bool, path: &Option<String>| path.clone().filter(|path| !inline && !path.is_empty());
    [
        unless(cluster.certificate_authority_data.is_some(), &cluster.certificate_authority),
        unless(user.client_certificate_data.is_some(), &user.client_certificate),
        unless(user.client_key_data.is_some(), &user.client_key),
        unless(user.token.is_some(), &user.token_file),
    ]
    .into_iter()
    .flatten()
    .map(PathBuf::from)
    .collect()
}

fn client_certificate_pem(user: &AuthInfo) -> Option<Vec<u8>> {
    match (&user.client_certificate_data, &user.client_certificate) {
        (Some(data), _) => base64::engine::general_purpose::STANDARD.decode(data).ok(),
        (None, Some(path)) => std::fs::read(path).ok(),
        (None, None) => None,
    }
}

/// Files and what they looked like before they were read, to see later whether one was replaced.
#[derive(Debug, Clone, Default)]
pub(super) struct FileSet(Vec<(PathBuf, Option<Stamp>)>);

/// Identity and age of the file that a path leads to, through any symbolic links: a rotation that
/// swings a link shows as another inode.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileSet {
    fn add(&mut self, path: &Path) {
        self.0.push((path.to_owned(), stamp(path)));
    }

    /// Whether any of the files has been replaced, rewritten, created or removed since.
    pub(super) fn has_changed(&self) -> bool {
        self.0.iter().any(|(path, before)| stamp(path) != *before)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let file = std::fs::metadata(path).ok()?;
    Some(Stamp {
        device: file.dev(),
        inode: file.ino(),
        size: file.size(),
        modified: (file.mtime(), file.mtime_nsec()),
        changed: (file.ctime(), file.ctime_nsec()),
    })
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
