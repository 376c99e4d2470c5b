//! The programs that are compared, each as its own documentation has it run.

use std::path::PathBuf;

use route53_sim::Request;

use super::lab::{Lab, PUBLISHER};
use crate::cluster::fixture::NODES;
use crate::node::binary;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column {
    Nodedns,
    KubeNodeDns,
    /// `--source=node`, everything else by default.
    ExternalDns,
    /// With every setting that makes it quicker, thriftier and aware of Ready.
    ExternalDnsBest,
}

/// ExternalDNS reads the Ready condition through this alone: its source for Nodes takes the conditions away.
const READY_NODES: &str = "{{$ok := false}}{{range .Status.conditions}}{{if and (eq .type \"Ready\") (eq .status \"True\")}}\
    {{$ok = true}}{{end}}{{end}}{{if and $ok (not .Spec.unschedulable)}}\
    {{with index .Annotations \"example.com/v4\"}}NAME:{{.}},{{end}}{{with index .Annotations \"example.com/v6\"}}NAME:{{.}},{{end}}{{end}}";

impl Column {
    pub(super) const ALL: [Column; 4] =
        [Column::Nodedns, Column::KubeNodeDns, Column::ExternalDns, Column::ExternalDnsBest];

    pub(super) fn name(self) -> &'static str {
        match self {
            Column::Nodedns => "nodedns",
            Column::KubeNodeDns => "kube-node-dns",
            Column::ExternalDns => "external-dns",
            Column::ExternalDnsBest => "external-dns-best",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Column::Nodedns => "nodedns",
            Column::KubeNodeDns => "kube-node-dns",
            Column::ExternalDns => "ExternalDNS, `--source=node`",
            Column::ExternalDnsBest => "ExternalDNS at its best",
        }
    }

    pub(super) fn variable(self) -> &'static str {
        match self {
            Column::Nodedns => "NODEDNS_BIN",
            Column::KubeNodeDns => "KUBE_NODE_DNS",
            Column::ExternalDns | Column::ExternalDnsBest => "EXTERNAL_DNS",
        }
    }

    pub(super) fn program(self) -> Option<PathBuf> {
        match self {
            Column::Nodedns => Some(binary()),
            _ => std::env::var_os(self.variable()).filter(|value| !value.is_empty()).map(PathBuf::from),
        }
    }

    pub(super) fn is_external_dns(self) -> bool {
        matches!(self, Column::ExternalDns | Column::ExternalDnsBest)
    }

    /// A zone of its own, so that no two meet: (name, id).
    pub(super) fn zone(self) -> (String, String) {
        let id = match self {
            Column::Nodedns => "ZNODEDNS",
            Column::KubeNodeDns => "ZKUBENODEDNS",
            Column::ExternalDns => "ZEXTERNALDNS",
            Column::ExternalDnsBest => "ZEXTERNALDNSBEST",
        };
        (format!("{}.example", self.name()), id.to_owned())
    }

    pub(super) fn pool(self) -> String {
        format!("edge.{}.", self.zone().0)
    }

    /// Whether it was this one that asked Route 53.
    pub(super) fn asked(self, request: &Request) -> bool {
        let key = request.access_key.as_deref().unwrap_or_default();
        match self {
            Column::Nodedns => key.starts_with("AKIDTESTTESTTESTTE"),
            _ => key == self.access_key(),
        }
    }

    fn access_key(self) -> String {
        format!("AKID{}", self.zone().1)
    }

    /// What of it runs where: (place, name).
    pub(super) fn processes(self) -> Vec<(&'static str, String)> {
        let name = self.name();
        match self {
            Column::Nodedns => NODES.map(|node| (node, format!("{name}-{node}"))).to_vec(),
            Column::KubeNodeDns => {
                let annotators = NODES.map(|node| (node, format!("{name}-{node}")));
                [(PUBLISHER, name.to_owned())].into_iter().chain(annotators).collect()
            }
            _ => vec![(PUBLISHER, name.to_owned())],
        }
    }

    /// Starts all of it; `interval` is that of kube-node-dns's look at the addresses.
    pub(super) async fn start(self, lab: &Lab, interval: &str) {
        for (place, name) in self.processes() {
            self.start_at(lab, place, &name, interval).await;
        }
    }

    pub(super) async fn start_at(self, lab: &Lab, place: &str, name: &str, interval: &str) {
        let program = self.program().expect("a column without program is left out").display().to_string();
        let kubeconfig = lab.cluster.directory().join("pki/admin.kubeconfig").display().to_string();
        let (zone, id) = self.zone();
        let pool = format!("edge.{zone}");
        if self == Column::Nodedns {
            // As it is by default, survivors aside, which are off.
            let text = format!(
                "cluster = \"home\"\n[kubernetes]\nenabled = true\n[survivors]\nenabled = true\ngrace = \"30s\"\n\
                 [route53]\nendpoint_url = \"http://10.77.0.1:4580\"\n[[record]]\nname = \"{pool}\"\nzone_id = \"{id}\"\n\
                 routing = {{ policy = \"weighted\", weight = 10 }}\n"
            );
            lab.cluster.write(place, "/etc/nodedns/nodedns.toml", &text).await;
            lab.supervise(place, name, "systemd", &["nodedns".to_owned(), "run".to_owned()]).await;
            return;
        }
        let mut command: Vec<String> = [
            "env".to_owned(),
            "AWS_ENDPOINT_URL=http://10.77.0.1:4580".to_owned(),
            format!("AWS_ACCESS_KEY_ID={}", self.access_key()),
            "AWS_SECRET_ACCESS_KEY=not-a-secret".to_owned(),
            "AWS_REGION=us-east-1".to_owned(),
            "AWS_EC2_METADATA_DISABLED=true".to_owned(),
            format!("KUBECONFIG={kubeconfig}"),
        ]
        .into();
        let words: Vec<String> = match self {
            Column::KubeNodeDns if place == PUBLISHER => {
                let words = ["publish-dns", "--domain", &pool, "--node-label-selector", "serve-public=true"];
                [program].into_iter().chain(words.map(str::to_owned)).collect()
            }
            Column::KubeNodeDns => {
                [format!("KUBE_NODE_NAME={place}"), program, "annotate-node-ips".to_owned(), interval.to_owned()].into()
            }
            _ => {
                let port = if self == Column::ExternalDns { 7979 } else { 7980 };
                let mut words = vec![
                    program,
                    format!("--kubeconfig={kubeconfig}"),
                    format!("--domain-filter={zone}"),
                    format!("--txt-owner-id={}", self.name()),
                    format!("--metrics-address=127.0.0.1:{port}"),
                ];
                let common = "--provider=aws --policy=sync --registry=txt --aws-zone-type=public --label-filter=serve-public=true";
                words.extend(common.split(' ').map(str::to_owned));
                if self == Column::ExternalDns {
                    words.extend(["--source=node".to_owned(), format!("--fqdn-template={pool}")]);
                } else {
                    let best = "--source=unstructured --unstructured-resource=nodes.v1 --events --aws-zones-cache-duration=1h \
                        --provider-cache-time=15m";
                    words.extend(best.split_whitespace().map(str::to_owned));
                    words.push(format!("--fqdn-target-template={}", READY_NODES.replace("NAME", &pool)));
                }
                words
            }
        };
        command.extend(words);
        lab.supervise(place, name, "kubernetes", &command).await;
    }

    pub(super) async fn stop(self, lab: &Lab) {
        for (_, name) in self.processes() {
            lab.end(&name).await;
        }
    }
}
