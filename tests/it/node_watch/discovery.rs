//! Which kubeconfig is chosen, on hosts laid out as the distributions do it.

use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodedns::watch::node::kubeconfig::{
    CredentialSet, Distribution, Environment, KubeconfigError, KubeconfigInfo, KubeconfigOrigin, KubeconfigSource,
    find_kubeconfig,
};
use tempfile::TempDir;

use super::environment;
use crate::cli::copy_program;
use crate::support::api_server::{kubeconfig, token_kubeconfig};
use crate::support::pki::Pki;
use crate::support::skip;

const K3S_KUBELET: &str = "var/lib/rancher/k3s/agent/kubelet.kubeconfig";
const K3S_ADMIN: &str = "etc/rancher/k3s/k3s.yaml";
const RKE2_KUBELET: &str = "var/lib/rancher/rke2/agent/kubelet.kubeconfig";
const RKE2_ADMIN: &str = "etc/rancher/rke2/rke2.yaml";
const KUBEADM: &str = "etc/kubernetes/kubelet.conf";

/// A file-system root of a host.
pub(super) struct Host {
    directory: TempDir,
}

impl Host {
    pub(super) fn new() -> Self {
        Host { directory: TempDir::new().expect("a directory") }
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("created");
        std::fs::write(path, text).expect("written");
    }

    /// A kubelet's certificate, key and CA as separate files, and the kubeconfig that names them.
    pub(super) fn write_kubelet(&self, path: &str, server: &str, node: &str) {
        let pki = Pki::new();
        let identity = pki.kubelet(node);
        let beside = |name: &str| Path::new(path).with_file_name(name).to_string_lossy().into_owned();
        self.write(&beside("client-kubelet.crt"), &identity.certificate_pem);
        self.write(&beside("client-kubelet.key"), &identity.key_pem);
        self.write(&beside("server-ca.crt"), &pki.authority_pem);
        let text = kubeconfig(
            server,
            Some(&self.path(&beside("server-ca.crt"))),
            &self.path(&beside("client-kubelet.crt")),
            &self.path(&beside("client-kubelet.key")),
        );
        self.write(path, &text);
    }

    pub(super) fn environment(&self) -> Environment {
        environment(self.directory.path())
    }

    pub(super) fn find(&self) -> Result<KubeconfigInfo, KubeconfigError> {
        find_kubeconfig(&KubeconfigSource::Auto, &self.environment())
    }
}

#[test]
fn the_least_privilege_comes_first_and_the_variable_last() {
    let host = Host::new();
    let mut environment = host.environment();
    host.write("mine", &token_kubeconfig("https://mine", "t"));
    environment.kubeconfig = Some(host.path("mine").into());
    let chosen = || {
        let info = find_kubeconfig(&KubeconfigSource::Auto, &environment).expect("found");
        assert!(info.passed_over.is_empty());
        (info.path, info.origin, info.server.expect("a server"))
    };
    use KubeconfigOrigin as Origin;
    assert_eq!(chosen(), (host.path("mine"), Origin::Variable, "https://mine".into()));
    // From the last in the order to the first, each beats those before it.
    for (path, origin) in [
        (KUBEADM, Origin::KubeadmKubelet),
        (RKE2_ADMIN, Origin::DistributionAdmin),
        (RKE2_KUBELET, Origin::DistributionKubelet),
        (K3S_ADMIN, Origin::DistributionAdmin),
        (K3S_KUBELET, Origin::DistributionKubelet),
    ] {
        host.write_kubelet(path, &format!("https://{origin:?}"), "n1");
        assert_eq!(chosen(), (host.path(path), origin, format!("https://{origin:?}")));
    }
}

#[test]
fn a_path_in_the_configuration_is_the_only_one_looked_at() {
    let host = Host::new();
    host.write_kubelet(K3S_KUBELET, "https://k3s", "n1");
    let path = host.path("own");
    let source = KubeconfigSource::Path(path.clone());
    assert_eq!(find_kubeconfig(&source, &host.environment()), Err(KubeconfigError::Missing(path.clone())));
    host.write("own", &token_kubeconfig("https://own", "t"));
    let info = find_kubeconfig(&source, &host.environment()).expect("found");
    assert_eq!(
        (info.path, info.origin, info.server.as_deref()),
        (path, KubeconfigOrigin::Configured, Some("https://own"))
    );
}

#[test]
fn what_is_absent_is_named_with_every_place() {
    let host = Host::new();
    let mut environment = host.environment();
    environment.credentials_directory = Some(host.path("run/credentials/nodedns.service"));
    environment.kubeconfig = Some(std::env::join_paths([host.path("a"), host.path("b")]).expect("paths"));
    let error = find_kubeconfig(&KubeconfigSource::Auto, &environment).expect_err("nothing there");
    let places = [
        "run/credentials/nodedns.service/kubeconfig",
        "run/credentials/nodedns.service/k3s.kubeconfig",
        "run/credentials/nodedns.service/rke2.kubeconfig",
        "run/credentials/nodedns.service/kubeadm.kubeconfig",
        K3S_KUBELET,
        K3S_ADMIN,
        RKE2_KUBELET,
        RKE2_ADMIN,
        KUBEADM,
        "a",
        "b",
    ];
    let places = places.map(|place| host.path(place)).into();
    assert_eq!(error, KubeconfigError::Absent { places, unit: Some("nodedns".to_owned()) });
    let text = error.to_string();
    assert!(text.starts_with("no kubeconfig found: k3s, RKE2 or kubeadm has not made one yet; looked for "), "{text}");
    assert!(text.contains("\nhint: the daemon is started again when there is one; "), "{text}");
    assert!(text.contains("'ln -s KUBECONFIG /etc/credstore/nodedns.kubeconfig', then 'systemctl restart nodedns'"));

    // The unit that prunes has a kubeconfig of its own, and nobody starts it again at once.
    environment.credentials_directory = Some(host.path("run/credentials/nodedns-prune.service"));
    let error = find_kubeconfig(&KubeconfigSource::Auto, &environment).expect_err("nothing there");
    let hint = "'ln -s KUBECONFIG /etc/credstore/nodedns-prune.kubeconfig', then 'systemctl start nodedns-prune'";
    let text = error.to_string();
    assert!(text.contains(hint) && !text.contains("started again"), "{text}");
    // Elsewhere there is no such place.
    environment.credentials_directory = None;
    let error = find_kubeconfig(&KubeconfigSource::Auto, &environment).expect_err("nothing there");
    assert!(!error.to_string().contains("credstore"), "{error}");
}

#[test]
fn credentials_of_systemd_stand_in_for_the_files_that_only_root_may_read() {
    let host = Host::new();
    host.write_kubelet(K3S_KUBELET, "https://k3s", "n1");
    let directory = "run/credentials/nodedns.service";
    let pki = Pki::new();
    let identity = pki.kubelet("n2");
    let nowhere = Path::new("/nonexistent/file");
    host.write(&format!("{directory}/kubeconfig"), &kubeconfig("https://cred", Some(nowhere), nowhere, nowhere));
    let mut environment = host.environment();
    environment.credentials_directory = Some(host.path(directory));

    // With the kubeconfig alone the files that it names are missing, and that is said.
    let error = find_kubeconfig(&KubeconfigSource::Auto, &environment).expect_err("files are missing");
    let KubeconfigError::Incomplete { what, .. } = &error else { panic!("{error:?}") };
    assert_eq!((&what.kubeconfig, what.credential), (&host.path(directory).join("kubeconfig"), "kube-ca.crt"));
    let text = error.to_string();
    assert!(text.contains("not the credential kube-ca.crt in place of /nonexistent/file, which it names\n"), "{text}");
    assert!(text.contains("hint: 'ln -s /nonexistent/file /etc/credstore/nodedns.kube-ca.crt', then "), "{text}");

    host.write(&format!("{directory}/kube-client.crt"), &identity.certificate_pem);
    host.write(&format!("{directory}/kube-client.key"), &identity.key_pem);
    host.write(&format!("{directory}/kube-ca.crt"), &pki.authority_pem);
    let info = find_kubeconfig(&KubeconfigSource::Auto, &environment).expect("found");
    assert_eq!((info.origin, info.server.as_deref()), (KubeconfigOrigin::Credential, Some("https://cred")));
    assert_eq!(info.client_certificate.expect("a certificate").node_name(), Some("n2"));

    // The same when the configuration names that file, but not for a file elsewhere.
    let source = KubeconfigSource::Path(host.path(directory).join("kubeconfig"));
    assert!(find_kubeconfig(&source, &environment).is_ok());
    let elsewhere = find_kubeconfig(&KubeconfigSource::Path(host.path(K3S_KUBELET)), &environment).expect("found");
    assert_eq!(elsewhere.client_certificate.expect("a certificate").node_name(), Some("n1"));
}

/// A host where systemd has handed these credentials over, each kubeconfig with its own server.
fn handed_over(names: &[&str]) -> (Host, Environment) {
    let host = Host::new();
    let directory = "run/credentials/nodedns.service";
    let pki = Pki::new();
    let nowhere = Path::new("/nonexistent/file");
    for name in names {
        let node = name.split_once(".kube-").map_or("own", |(set, _)| set);
        let identity = pki.kubelet(node);
        let text = match () {
            () if name.ends_with(".crt") && name.contains("client") => identity.certificate_pem,
            () if name.ends_with(".key") => identity.key_pem,
            () if name.ends_with(".crt") => pki.authority_pem.clone(),
            () => kubeconfig(&format!("https://{name}"), Some(nowhere), nowhere, nowhere),
        };
        host.write(&format!("{directory}/{name}"), &text);
    }
    let environment = Environment { credentials_directory: Some(host.path(directory)), ..host.environment() };
    (host, environment)
}

#[test]
fn the_operators_credential_goes_before_those_of_the_distributions_and_those_before_files() {
    let all: Vec<&str> = CredentialSet::ALL.iter().flat_map(CredentialSet::names).collect();
    let (host, environment) = handed_over(&all);
    host.write_kubelet(K3S_KUBELET, "https://file", "n1");
    // kubeadm's kubeconfig holds the CA certificates itself.
    let path = host.path("run/credentials/nodedns.service/kubeadm.kubeconfig");
    let text = std::fs::read_to_string(&path).expect("written").replace("certificate-authority", "note");
    std::fs::write(&path, text).expect("written");
    let mut found = Vec::new();
    for set in &CredentialSet::ALL {
        let info = find_kubeconfig(&KubeconfigSource::Auto, &environment).expect("found");
        let node = info.client_certificate.and_then(|certificate| certificate.node_name().map(str::to_owned));
        found.push((info.server.expect("a server"), node.expect("a name"), info.origin));
        std::fs::remove_file(host.path("run/credentials/nodedns.service").join(set.kubeconfig)).expect("removed");
    }
    let kubelet = KubeconfigOrigin::KubeletCredential;
    let expected = [
        ("https://kubeconfig", "own", KubeconfigOrigin::Credential),
        ("https://k3s.kubeconfig", "k3s", kubelet(Distribution::K3s)),
        ("https://rke2.kubeconfig", "rke2", kubelet(Distribution::Rke2)),
        ("https://kubeadm.kubeconfig", "kubeadm", kubelet(Distribution::Kubeadm)),
    ];
    assert_eq!(found, expected.map(|(server, node, origin)| (server.to_owned(), node.to_owned(), origin)));
    assert_eq!(host.find().expect("found").server.as_deref(), Some("https://file"));
    assert!(kubelet(Distribution::K3s).to_string().contains("k3s, given by systemd as a credential"));
}

#[test]
fn what_is_kept_for_the_service_goes_before_the_kubelets_files_where_systemd_hands_over_nothing() {
    let host = Host::new();
    host.write_kubelet(K3S_KUBELET, "https://file", "n1");
    let nowhere = Path::new("/nonexistent/file");
    host.write("etc/credstore/nodedns.kubeconfig", &kubeconfig("https://kept", Some(nowhere), nowhere, nowhere));
    // As for the service, those beside it take the place of the files that it names.
    let error = host.find().expect_err("alone");
    assert!(matches!(&error, KubeconfigError::Incomplete { .. }), "{error:?}");
    assert!(error.to_string().contains("/etc/credstore/nodedns.kube-c"), "{error}");
    let (pki, kept) = (Pki::new(), |name: &str| format!("etc/credstore/nodedns.{name}"));
    let identity = pki.kubelet("n2");
    host.write(&kept("kube-client.crt"), &identity.certificate_pem);
    host.write(&kept("kube-client.key"), &identity.key_pem);
    host.write(&kept("kube-ca.crt"), &pki.authority_pem);
    let info = host.find().expect("whole");
    assert_eq!((info.path, info.origin), (host.path(&kept("kubeconfig")), KubeconfigOrigin::Store));
    assert_eq!(info.server.as_deref(), Some("https://kept"));
    assert_eq!(info.client_certificate.expect("a certificate").node_name(), Some("n2"));
    // A service has its own copies, and what it was not given it is not to have.
    let environment = Environment { credentials_directory: Some(host.path("run")), ..host.environment() };
    let info = find_kubeconfig(&KubeconfigSource::Auto, &environment).expect("found");
    assert_eq!(info.origin, KubeconfigOrigin::DistributionKubelet);
}

#[test]
fn a_credential_never_makes_use_of_a_file_of_another_set() {
    for (set, others) in [
        ("kubeconfig", ["k3s.kube-client.crt", "k3s.kube-client.key", "k3s.kube-ca.crt"]),
        ("k3s.kubeconfig", ["kube-client.crt", "kube-client.key", "kube-ca.crt"]),
        ("rke2.kubeconfig", ["k3s.kube-client.crt", "k3s.kube-client.key", "k3s.kube-ca.crt"]),
    ] {
        let (_host, environment) = handed_over(&[&[set][..], &others].concat());
        let error = find_kubeconfig(&KubeconfigSource::Auto, &environment).expect_err("another's");
        assert!(matches!(error, KubeconfigError::Incomplete { .. }), "{set}: {error:?}");
    }
}

/// k3s writes one file after the other.
#[test]
fn a_set_that_is_just_being_written_is_waited_for_and_nothing_else_is_taken() {
    let (host, environment) = handed_over(&["k3s.kubeconfig", "k3s.kube-ca.crt", "k3s.kube-client.crt"]);
    host.write(K3S_ADMIN, &token_kubeconfig("https://admin", "t"));
    let find = || find_kubeconfig(&KubeconfigSource::Auto, &environment);
    let key = host.path("run/credentials/nodedns.service/k3s.kube-client.key");
    for _ in 0..2 {
        let error = find().expect_err("the key is not there");
        let KubeconfigError::Incomplete { what, .. } = &error else { panic!("{error:?}") };
        assert_eq!((what.credential, what.distribution), ("k3s.kube-client.key", Some(Distribution::K3s)));
        let text = error.to_string();
        assert!(text.contains("k3s may be about to write it") && text.contains("nodedns-credentials.path"), "{text}");
        // Created, and not yet written.
        std::fs::write(&key, "").expect("written");
    }
    std::fs::write(&key, Pki::new().kubelet("k3s").key_pem).expect("written");
    assert_eq!(find().expect("whole").origin, KubeconfigOrigin::KubeletCredential(Distribution::K3s));
}

#[test]
fn the_files_of_the_variable_are_merged_as_kubectl_does() {
    let host = Host::new();
    host.write("clusters", "clusters:\n- name: c\n  cluster: {server: 'https://merged'}\n");
    host.write(
        "contexts",
        "current-context: x\ncontexts:\n- name: x\n  context: {cluster: c, user: u}\nusers:\n- name: u\n  user: {token: t}\n",
    );
    let mut environment = host.environment();
    let paths = ["absent", "clusters", "contexts"].map(|name| host.path(name));
    environment.kubeconfig = Some(std::env::join_paths(paths).expect("paths"));
    let info = find_kubeconfig(&KubeconfigSource::Auto, &environment).expect("found");
    assert_eq!((info.path, info.server.as_deref()), (host.path("clusters"), Some("https://merged")));
}

#[test]
fn names_relative_to_the_kubeconfig_and_inline_data_are_read() {
    let host = Host::new();
    let identity = Pki::new().kubelet("n7");
    host.write("etc/kubernetes/pki/n.pem", &format!("{}{}", identity.key_pem, identity.certificate_pem));
    let relative = Path::new("pki/n.pem");
    host.write(KUBEADM, &kubeconfig("https://x", None, relative, relative));
    let node = |info: KubeconfigInfo| info.client_certificate.and_then(|c| c.node_name().map(str::to_owned));
    assert_eq!(node(host.find().expect("found")).as_deref(), Some("n7"));

    use base64::Engine as _;
    let data = |pem: &str| base64::engine::general_purpose::STANDARD.encode(pem);
    let text = token_kubeconfig("https://x", "t").replace(
        "{token: \"t\"}",
        &format!(
            "{{client-certificate-data: {}, client-key-data: {}}}",
            data(&identity.certificate_pem),
            data(&identity.key_pem)
        ),
    );
    host.write(K3S_ADMIN, &text);
    let info = host.find().expect("found");
    assert_eq!(info.path, host.path(K3S_ADMIN));
    assert_eq!(node(info).as_deref(), Some("n7"));
}

#[test]
fn a_broken_one_is_an_error_and_nothing_is_guessed_past_it() {
    for (text, what) in [
        ("key: [SECRET", "not a kubeconfig in YAML"),
        ("users: SECRET", "not a kubeconfig in YAML"),
        ("", "current-context"),
        ("current-context: none", "current-context"),
        ("current-context: x\ncontexts:\n- name: x\n  context: {cluster: gone, user: u}\n", "current-context"),
    ] {
        let host = Host::new();
        host.write_kubelet(K3S_ADMIN, "https://admin", "n1");
        host.write(K3S_KUBELET, text);
        let error = host.find().expect_err("broken");
        assert!(matches!(&error, KubeconfigError::Broken(path, _) if *path == host.path(K3S_KUBELET)), "{error:?}");
        assert!(error.to_string().contains(what), "{text:?}: {error}");
        assert!(!error.to_string().contains("SECRET"), "{error}");
    }
}

#[test]
fn a_link_that_leads_nowhere_is_an_error() {
    let host = Host::new();
    let current = host.path("kubelet-client-current.pem");
    symlink(host.path("kubelet-client-2026.pem"), &current).expect("linked");
    host.write(KUBEADM, &kubeconfig("https://x", None, &current, &current));
    let error = host.find().expect_err("broken").to_string();
    assert!(error.contains("kubelet-client-current.pem, which it names, does not exist"), "{error}");
}

/// Root may read everything, so this runs itself again as another user.
#[test]
fn what_may_not_be_read_is_told_from_what_is_absent() {
    const ROOT: &str = "NODEDNS_TEST_DISCOVERY_ROOT";
    if let Some(root) = std::env::var_os(ROOT) {
        return check_unreadable(Path::new(&root));
    }
    let host = Host::new();
    let identity = Pki::new().kubelet("n1");
    host.write("var/lib/rancher/k3s/agent/client.crt", &identity.certificate_pem);
    host.write("var/lib/rancher/k3s/agent/client.key", &identity.key_pem);
    let agent = |name: &str| host.path("var/lib/rancher/k3s/agent").join(name);
    host.write(K3S_KUBELET, &kubeconfig("https://k3s", None, &agent("client.crt"), &agent("client.key")));
    host.write(K3S_ADMIN, &token_kubeconfig("https://admin", "t"));
    host.write("etc/rancher/rke2/rke2.yaml", &token_kubeconfig("https://rke2", "t"));
    host.write("mine", &token_kubeconfig("https://mine", "t"));
    let mode = |path: &str, mode: u32| {
        std::fs::set_permissions(host.path(path), std::fs::Permissions::from_mode(mode)).expect("permitted");
    };
    mode("", 0o755);
    mode("var/lib/rancher/k3s/agent/client.key", 0o000);
    mode(K3S_ADMIN, 0o000);
    mode("etc/rancher/rke2", 0o000);
    let root = host.path("");
    if rustix::process::geteuid().is_root() {
        const NOBODY: u32 = 65_534;
        chown(&root, Some(NOBODY), Some(NOBODY)).expect("owned");
        let run = |binary: &Path| {
            let name = "node_watch::discovery::what_may_not_be_read_is_told_from_what_is_absent";
            let mut command = Command::new(binary);
            command.args(["--exact", name]).env(ROOT, &root).current_dir(&root).uid(NOBODY).gid(NOBODY).output()
        };
        let binary = std::env::current_exe().expect("a path");
        let output = run(&binary).or_else(|_| {
            // It lies where nobody else may look.
            let copy = root.join("it");
            copy_program(&binary, &copy)?;
            mode("it", 0o755);
            run(&copy)
        });
        match output {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout);
                assert!(output.status.success() && text.contains("1 passed"), "{text}");
            }
            Err(error) => skip(&format!("cannot run as another user: {error}")),
        }
    } else {
        check_unreadable(&root);
    }
    mode("etc/rancher/rke2", 0o755);
}

fn check_unreadable(root: &Path) {
    let mut environment = environment(root);
    let error = find_kubeconfig(&KubeconfigSource::Auto, &environment).expect_err("none can be read");
    let KubeconfigError::Unreadable { files, .. } = &error else { panic!("{error:?}") };
    let seen: Vec<_> = files.iter().map(|file| (file.path.clone(), file.kubeconfig.clone(), file.exists)).collect();
    let key = root.join("var/lib/rancher/k3s/agent/client.key");
    let at = |path: &str| root.join(path);
    assert_eq!(
        seen,
        [(key, at(K3S_KUBELET), true), (at(K3S_ADMIN), at(K3S_ADMIN), true), (at(RKE2_ADMIN), at(RKE2_ADMIN), false)]
    );
    let text = error.to_string();
    assert!(text.contains("client.key, which it names, is not readable: permission denied"), "{text}");
    assert!(text.contains("k3s.yaml, but it is not readable: permission denied"), "{text}");
    assert!(text.contains("\nhint: hand the files to the service with LoadCredential=kubeconfig:"), "{text}");

    // A service has its own way, which is another for what a distribution makes.
    let as_service =
        Environment { credentials_directory: Some("/run/credentials/nodedns.service".into()), ..environment.clone() };
    let text = find_kubeconfig(&KubeconfigSource::Auto, &as_service).expect_err("none can be read").to_string();
    assert!(text.contains("\nhint: systemd hands it over when it is linked: 'systemd-tmpfiles --create "), "{text}");
    let admin = at(K3S_ADMIN);
    let source = KubeconfigSource::Path(admin.clone());
    let text = find_kubeconfig(&source, &as_service).expect_err("it cannot be read").to_string();
    let hint = format!(
        "'ln -s {} /etc/credstore/nodedns.kubeconfig', with kubernetes.kubeconfig = \"auto\", then ",
        admin.display()
    );
    assert!(text.contains(&hint), "{text}");

    // One that can be read is taken, and the others are mentioned.
    environment.kubeconfig = Some(root.join("mine").into());
    let info = find_kubeconfig(&KubeconfigSource::Auto, &environment).expect("found");
    assert_eq!((info.origin, info.passed_over.len()), (KubeconfigOrigin::Variable, 3));
}
