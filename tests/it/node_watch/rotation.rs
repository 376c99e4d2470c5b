//! Client certificates over real TLS: they rotate, end, and are refused.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nodedns::decide::node::Readiness;
use nodedns::watch::node::Timing;
use tempfile::TempDir;

use super::{LONG, Watching, assert_asked_for_own_node_only, lists, node, timing};
use crate::support::api_server::{Answer, ApiServer, Seen, kubeconfig};
use crate::support::pki::{Identity, Pki};

/// A directory as k3s keeps it: a kubeconfig that names three files.
pub(crate) struct Files {
    directory: TempDir,
}

impl Files {
    pub(crate) fn new(pki: &Pki, identity: &Identity, server: &ApiServer) -> Self {
        let files = Files { directory: TempDir::new().expect("a directory") };
        replace(&files.path("server-ca.crt"), &pki.authority_pem);
        files.store(identity);
        let text = kubeconfig(
            &server.url(),
            Some(&files.path("server-ca.crt")),
            &files.path("client-kubelet.crt"),
            &files.path("client-kubelet.key"),
        );
        replace(&files.path("kubelet.kubeconfig"), &text);
        files
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn store(&self, identity: &Identity) {
        replace(&self.path("client-kubelet.crt"), &identity.certificate_pem);
        replace(&self.path("client-kubelet.key"), &identity.key_pem);
    }

    fn watch(&self) -> Watching {
        Watching::start(self.path("kubelet.kubeconfig"), timing())
    }
}

/// Replaces a file in one step.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).expect("written");
    std::fs::rename(new, path).expect("renamed");
}

/// Waits until the server has been asked with the certificate.
async fn until_shown(server: &ApiServer, identity: &Identity) {
    let started = Instant::now();
    while !server.seen().iter().any(|seen| seen.certificate.as_ref() == Some(&identity.der)) {
        assert!(started.elapsed() < LONG, "the new certificate is never shown");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn watching(pki: &Pki, identity: &Identity) -> (ApiServer, Files, Watching) {
    let server = ApiServer::start_tls(pki).await;
    server.set_node(node("True"));
    let files = Files::new(pki, identity, &server);
    let mut watching = files.watch();
    assert_eq!(watching.object().await.ready, Readiness::Ready);
    (server, files, watching)
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_without_a_gap() {
    let pki = Pki::new();
    let (server, files, mut watching) = watching(&pki, &pki.kubelet("n1")).await;
    let new = pki.kubelet("n1");
    files.store(&new);
    // The old session goes on, and may watch once more, until the new one has listed.
    let started = Instant::now();
    let watches = |seen: &Seen| seen.is_watch() && seen.certificate.as_ref() == Some(&new.der);
    while !server.seen().last().is_some_and(watches) {
        assert!(started.elapsed() < LONG, "the new certificate is never watched with");
        watching.nothing_for(Duration::from_millis(50)).await;
    }
    server.set_node(node("False"));
    assert!(matches!(watching.object().await.ready, Readiness::NotReady(_)));
    let last = server.seen().pop().expect("requests");
    assert_eq!(last.certificate, Some(new.der));
    assert_asked_for_own_node_only(&server);
}

#[tokio::test]
async fn the_running_watch_is_heard_while_the_new_one_hangs() {
    let pki = Pki::new();
    let (server, files, mut watching) = watching(&pki, &pki.kubelet("n1")).await;
    let new = pki.kubelet("n1");
    server.next_list(Answer::Hang);
    files.store(&new);
    until_shown(&server, &new).await;
    let hangs = Instant::now();
    server.set_node(node("False"));
    assert!(matches!(watching.object().await.ready, Readiness::NotReady(_)));
    // Not only when the new one is given up.
    assert!(hangs.elapsed() < timing().answer * 4 / 5, "{:?}", hangs.elapsed());
    // The first, the one that hung, and the next try.
    while lists(&server) < 3 {
        assert!(hangs.elapsed() < LONG, "the new certificate is not tried again");
        watching.nothing_for(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_certificate_whose_key_is_still_the_old_one_does_no_harm() {
    let pki = Pki::new();
    let (server, files, mut watching) = watching(&pki, &pki.kubelet("n1")).await;
    let new = pki.kubelet("n1");
    replace(&files.path("client-kubelet.crt"), &new.certificate_pem);
    // Several looks at the files: the running watch goes on.
    watching.nothing_for(Duration::from_millis(2_500)).await;
    server.set_node(node("False"));
    assert!(matches!(watching.object().await.ready, Readiness::NotReady(_)));

    replace(&files.path("client-kubelet.key"), &new.key_pem);
    until_shown(&server, &new).await;
    watching.nothing_for(Duration::from_millis(300)).await;
}

#[tokio::test]
async fn the_link_that_kubelet_swings_is_followed() {
    let pki = Pki::new();
    let server = ApiServer::start_tls(&pki).await;
    server.set_node(node("True"));
    let directory = TempDir::new().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let current = path("kubelet-client-current.pem");
    let store = |date: &str, identity: &Identity| {
        let pem = path(&format!("kubelet-client-{date}.pem"));
        std::fs::write(&pem, format!("{}{}", identity.certificate_pem, identity.key_pem)).expect("written");
        std::os::unix::fs::symlink(&pem, path("new")).expect("linked");
        std::fs::rename(path("new"), &current).expect("renamed");
    };
    store("2026-01-01", &pki.kubelet("n1"));
    std::fs::write(path("ca.crt"), &pki.authority_pem).expect("written");
    let text = kubeconfig(&server.url(), Some(&path("ca.crt")), &current, &current);
    std::fs::write(path("kubelet.conf"), text).expect("written");
    let mut watching = Watching::start(path("kubelet.conf"), timing());
    assert_eq!(watching.object().await.ready, Readiness::Ready);

    let new = pki.kubelet("n1");
    store("2026-06-01", &new);
    until_shown(&server, &new).await;
    watching.nothing_for(Duration::from_millis(300)).await;
}

/// As Kubernetes lays out a Secret: each file is a link through one to the directory, which alone is replaced.
#[tokio::test]
async fn a_directory_that_is_replaced_behind_the_links_is_followed() {
    let pki = Pki::new();
    let server = ApiServer::start_tls(&pki).await;
    server.set_node(node("True"));
    let directory = TempDir::new().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let store = |version: &str, identity: &Identity| {
        std::fs::create_dir(path(version)).expect("made");
        let pem = path(version).join("client.pem");
        std::fs::write(pem, format!("{}{}", identity.certificate_pem, identity.key_pem)).expect("written");
        std::os::unix::fs::symlink(version, path("new")).expect("linked");
        std::fs::rename(path("new"), path("..data")).expect("renamed");
    };
    store("..1", &pki.kubelet("n1"));
    std::os::unix::fs::symlink("..data/client.pem", path("client.pem")).expect("linked");
    std::fs::write(path("ca.crt"), &pki.authority_pem).expect("written");
    let text = kubeconfig(&server.url(), Some(&path("ca.crt")), &path("client.pem"), &path("client.pem"));
    std::fs::write(path("kubeconfig"), text).expect("written");
    let mut watching = Watching::start(path("kubeconfig"), timing());
    assert_eq!(watching.object().await.ready, Readiness::Ready);

    let new = pki.kubelet("n1");
    store("..2", &new);
    until_shown(&server, &new).await;
    watching.nothing_for(Duration::from_millis(300)).await;
}

#[tokio::test]
async fn what_is_told_of_the_kubeconfig_changes_with_its_file() {
    let pki = Pki::new();
    let (server, files, mut watching) = watching(&pki, &pki.kubelet("n1")).await;
    let path = files.path("kubelet.kubeconfig");
    let text = std::fs::read_to_string(&path).expect("read");
    let url = format!("{}/", server.url());
    replace(&path, &text.replace(&server.url(), &url));
    let event = watching.event().await;
    assert!(event.state.is_known() && !event.anew, "{event:?}");
    assert_eq!(event.detail.server, Some(url));
}

#[tokio::test]
async fn refused_credentials_are_told_and_new_ones_are_taken_up() {
    let pki = Pki::new();
    let (server, files, mut watching) = watching(&pki, &pki.kubelet("n1")).await;
    let new = pki.kubelet("n1");
    server.want_certificate(&new.der);
    let error = watching.error().await;
    let path = files.path("kubelet.kubeconfig").display().to_string();
    assert!(error.contains("does not accept the credentials") && error.contains(&path), "{error}");
    assert!(error.contains("(401)\nhint: "), "{error}");
    files.store(&new);
    assert_eq!(watching.object().await.ready, Readiness::Ready);
}

#[tokio::test]
async fn refused_credentials_that_were_replaced_meanwhile_are_no_news() {
    let pki = Pki::new();
    let (server, files, mut watching) = watching(&pki, &pki.kubelet("n1")).await;
    let new = pki.kubelet("n1");
    files.store(&new);
    server.want_certificate(&new.der);
    watching.nothing_for(Duration::from_millis(2_500)).await;
    until_shown(&server, &new).await;
}

#[tokio::test]
async fn a_certificate_that_has_ended_is_named_as_the_cause() {
    let pki = Pki::new();
    let server = ApiServer::start_tls(&pki).await;
    server.set_node(node("True"));
    let old = pki.issue("system:node:n1", Duration::from_secs(86_400));
    let ended = Duration::from_secs(1);
    let short = pki.issue("system:node:n1", ended);
    let files = Files::new(&pki, &short, &server);
    tokio::time::sleep(ended + Duration::from_millis(1_100)).await;
    let mut watching = files.watch();
    // The handshake is refused with an alert, as Go's and rustls' servers do.
    let error = watching.error().await;
    assert!(error.contains("cannot reach the API server") && error.to_lowercase().contains("expired"), "{error}");
    files.store(&old);
    assert_eq!(watching.object().await.ready, Readiness::Ready);
}

#[tokio::test]
async fn the_files_are_read_again_before_the_certificate_ends() {
    let pki = Pki::new();
    // Two watches before its end it is time. The server ends them sooner, so that the end is far away by then.
    let timing = Timing { watch: Duration::from_secs(3_600), ..timing() };
    let ending = pki.issue("system:node:n1", 2 * timing.watch + Duration::from_secs(10));
    let server = ApiServer::start_tls(&pki).await;
    server.set_node(node("True"));
    server.end_watches_after(Duration::from_millis(500));
    let files = Files::new(&pki, &ending, &server);
    let mut watching = Watching::start(files.path("kubelet.kubeconfig"), timing);
    assert_eq!(watching.object().await.ready, Readiness::Ready);
    assert_eq!(lists(&server), 1);
    let started = Instant::now();
    while lists(&server) < 2 {
        assert!(started.elapsed() < LONG, "the files are not read again");
        watching.nothing_for(Duration::from_millis(50)).await;
    }
    watching.nothing_for(Duration::from_millis(700)).await;
    assert_eq!(lists(&server), 2, "once, and not at every watch");
}

#[tokio::test]
async fn another_authority_is_an_error_until_its_file_is_there() {
    let pki = Pki::new();
    let (mut server, files, mut watching) = watching(&pki, &pki.kubelet("n1")).await;
    let other = Pki::new();
    server.use_pki(&other);
    server.resume().await;
    // It may first be seen while nobody listens.
    let mut error = watching.error().await;
    if error.contains("onnection refused") {
        error = watching.error().await;
    }
    assert!(error.contains("cannot trust the API server at https://") && error.contains("UnknownIssuer"), "{error}");
    assert!(error.contains("hint: ") && error.contains("'certificate-authority'"), "{error}");
    replace(&files.path("server-ca.crt"), &other.authority_pem);
    files.store(&other.kubelet("n1"));
    // Between the two the server may refuse the old client certificate.
    assert!(watching.recovery().await.detail.connected);
}

#[tokio::test]
async fn the_certificate_of_another_node_is_named_as_the_cause() {
    let pki = Pki::new();
    let server = ApiServer::start_tls(&pki).await;
    let message = "nodes \"n1\" is forbidden: User \"system:node:n2\" cannot list resource \"nodes\" in API group \"\" at the cluster scope: node 'n2' cannot read 'n1', only its own Node object";
    server.always(Answer::Error(403, message.into()));
    let files = Files::new(&pki, &pki.kubelet("n2"), &server);
    let error = files.watch().error().await;
    assert!(error.contains("credentials of node 'n2'") && error.contains("set node = \"n2\""), "{error}");
}
