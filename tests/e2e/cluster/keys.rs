//! The cluster's certificates, made anew while it runs.

use std::path::Path;

use super::fixture::Cluster;

impl Cluster {
    /// A file of the authority, by its path in the hub.
    pub(crate) fn pki(&self, file: &str) -> String {
        self.directory().join("pki").join(file).display().to_string()
    }

    /// Makes FILE.crt and FILE.key for a client, good for a year.
    pub(crate) async fn certificate(&self, file: &str, subject: &str) {
        self.certificate_of("pki", &[file, subject]).await;
    }

    /// Makes FILE.crt and FILE.key for the API server, of the authority in this directory of the cluster's.
    pub(crate) async fn server_certificate(&self, authority: &str, file: &str) {
        let layout = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/cluster/inside/layout");
        let layout = layout.display().to_string();
        let names = self.must("hub", &["bash", "-ec", ". \"$0\"; apiserver_names", &layout]).await;
        self.certificate_of(authority, &[file, "/CN=kube-apiserver", names.trim_end()]).await;
    }

    /// Has the authority in this directory of the cluster's, which is made if it is none yet, sign a
    /// certificate. What the words mean: `inside/certificate`.
    pub(crate) async fn certificate_of(&self, authority: &str, words: &[&str]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/cluster/inside/certificate");
        let (script, directory) = (script.display().to_string(), self.directory().join(authority));
        std::fs::create_dir_all(&directory).expect("a directory");
        let directory = directory.display().to_string();
        let command: Vec<_> = [script.as_str(), &directory].iter().chain(words).copied().collect();
        self.must("hub", &command).await;
    }

    /// Has the controller manager wait for a node whose lease is late, for as long as a test stops its kubelet.
    pub(crate) async fn be_patient_with_nodes(&self) {
        self.set_flags("hub/kube-controller-manager", &["--node-monitor-grace-period=60s"]);
        self.service("kill", &["hub/kube-controller-manager"]).await;
        self.service("start", &["hub/kube-controller-manager"]).await;
    }
}
