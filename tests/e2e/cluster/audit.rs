//! What the API server was asked and by whom, by its own audit log.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::fixture::Cluster;

/// Whatever nodes and service accounts ask, but for its contents.
const POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  userGroups: [\"system:nodes\", \"system:serviceaccounts\"]
- level: None
";

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) user: String,
    /// Who asks says so itself; empty where not.
    pub(crate) agent: String,
    pub(crate) verb: String,
    pub(crate) uri: String,
    pub(crate) code: u64,
    /// Which certificate or token it came with.
    pub(crate) credential: String,
}

impl Asked {
    /// It is the program's under test.
    pub(crate) fn is_ours(&self) -> bool {
        self.agent == concat!("nodedns/", env!("CARGO_PKG_VERSION"))
    }
}

impl Cluster {
    /// Has the API server keep the log, for which it is started again: before there are daemons.
    pub(crate) async fn audit(&self) {
        let policy = self.directory().join("audit-policy.yaml");
        fs::write(&policy, POLICY).expect("a file");
        let policy = format!("--audit-policy-file={}", policy.display());
        let log = format!("--audit-log-path={}", self.directory().join("audit.log").display());
        self.set_flags("hub/kube-apiserver", &[&policy, &log]);
        // It would wait a minute for those who watch.
        self.service("kill", &["hub/kube-apiserver"]).await;
        self.service("start", &["hub/kube-apiserver"]).await;
    }

    /// Every request that was answered, in the order in which they began to be.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let log = fs::read_to_string(self.directory().join("audit.log")).unwrap_or_default();
        let mut order = Vec::new();
        let mut by_id: BTreeMap<String, Asked> = BTreeMap::new();
        // The last line may be just being written.
        for event in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let id = text(&event["auditID"]);
            let credentials = &event["user"]["extra"]["authentication.kubernetes.io/credential-id"];
            let asked = Asked {
                user: text(&event["user"]["username"]),
                agent: text(&event["userAgent"]),
                verb: text(&event["verb"]),
                uri: text(&event["requestURI"]),
                code: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
                credential: text(&credentials[0]),
            };
            if by_id.insert(id.clone(), asked).is_none() {
                order.push(id);
            }
        }
        order.iter().filter_map(|id| by_id.remove(id)).collect()
    }

    /// What this user has asked through the daemon and the commands.
    pub(crate) fn asked_by(&self, user: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.is_ours() && asked.user == user).collect()
    }

    /// The number of a service's process, in the cluster: another one after each start.
    pub(crate) fn pid(&self, service: &str) -> String {
        let path = self.directory().join("pid").join(service.replace('/', "."));
        fs::read_to_string(path).expect("it runs").split_whitespace().next().expect("a process").to_owned()
    }
}
