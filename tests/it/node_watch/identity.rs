//! The node's own name, on hosts laid out as the distributions do it.

use nodedns::watch::node::identity::{
    FindNodeNameError, FoundNodeName, NodeName, NodeNameError, NodeNameSource, find_node_name,
};

use super::discovery::Host;
use crate::support::api_server::token_kubeconfig;

const K3S_CONFIG: &str = "etc/rancher/k3s/config.yaml";

fn find(host: &Host) -> FoundNodeName {
    find_node_name(host.find().ok().as_ref(), &host.environment()).expect("a name")
}

fn name_and_source(found: &FoundNodeName) -> (&str, NodeNameSource) {
    (found.name.as_str(), found.source.clone())
}

#[test]
fn the_certificate_is_believed_before_anything_else() {
    let host = Host::new();
    let path = "var/lib/rancher/k3s/agent/kubelet.kubeconfig";
    host.write_kubelet(path, "https://127.0.0.1:6444", "worker-1.lan");
    host.write(K3S_CONFIG, "node-name: other\n");
    let found = find(&host);
    let source = NodeNameSource::ClientCertificate(host.path(path));
    assert_eq!(name_and_source(&found), ("worker-1.lan", source));
    assert!(found.doubts.is_empty());
    assert!(found.source.to_string().starts_with("from the client certificate of /"), "{}", found.source);
}

#[test]
fn the_certificate_of_an_administrator_names_no_node() {
    let host = Host::new();
    host.write("etc/rancher/k3s/k3s.yaml", &token_kubeconfig("https://127.0.0.1:6443", "t"));
    assert_eq!(name_and_source(&find(&host)), ("host.lan", NodeNameSource::Hostname));
}

#[test]
fn the_files_of_k3s_are_read_in_its_own_order() {
    let host = Host::new();
    assert_eq!(name_and_source(&find(&host)), ("host.lan", NodeNameSource::Hostname));
    let config = || NodeNameSource::DistributionConfig(host.path(K3S_CONFIG));

    host.write(K3S_CONFIG, "# nothing but a comment\n");
    assert_eq!(find(&host).source, NodeNameSource::Hostname);
    host.write(K3S_CONFIG, "token: SECRET\ndisable:\n- traefik\nwith-node-id: false\n");
    assert_eq!(find(&host).source, NodeNameSource::Hostname);
    host.write(K3S_CONFIG, "node-name: Worker-A\n");
    assert_eq!(name_and_source(&find(&host)), ("worker-a", config()));
    host.write(K3S_CONFIG, "node-name: 42\n");
    assert_eq!(name_and_source(&find(&host)), ("42", config()));

    let drop_in = |name: &str| format!("{K3S_CONFIG}.d/{name}");
    host.write(&drop_in("10.yaml"), "node-name: first\n");
    host.write(&drop_in("20.yaml"), "node-name: second\n");
    host.write(&drop_in("15.yaml"), "node-label: [a=b]\n");
    host.write(&drop_in("30.yaml.disabled"), "node-name: third\n");
    let source = NodeNameSource::DistributionConfig(host.path(&drop_in("20.yaml")));
    assert_eq!(name_and_source(&find(&host)), ("second", source));
}

#[test]
fn the_id_is_appended_after_the_name_was_lower_cased() {
    let host = Host::new();
    host.write(K3S_CONFIG, "with-node-id: true\n");
    host.write("etc/rancher/node/id", "0a1b2c3d\n");
    let config = NodeNameSource::DistributionConfig(host.path(K3S_CONFIG));
    assert_eq!(name_and_source(&find(&host)), ("host.lan-0a1b2c3d", config));
    host.write(K3S_CONFIG, "with-node-id: true\nnode-name: Named\n");
    assert_eq!(find(&host).name.as_str(), "named-0a1b2c3d");

    // Without its id the name would be wrong for sure.
    std::fs::remove_file(host.path("etc/rancher/node/id")).expect("removed");
    let error = find_node_name(None, &host.environment()).expect_err("no name").to_string();
    assert!(error.contains("etc/rancher/node/id") && error.contains("\nhint: set 'node'"), "{error}");
}

#[test]
fn rke2_is_read_as_k3s_is() {
    let host = Host::new();
    let config = "etc/rancher/rke2/config.yaml";
    host.write(config, "node-name: rke2-node\n");
    let source = NodeNameSource::DistributionConfig(host.path(config));
    assert_eq!(name_and_source(&find(&host)), ("rke2-node", source));
}

#[test]
fn a_file_that_is_no_yaml_is_a_doubt_that_tells_no_secret() {
    let host = Host::new();
    host.write(K3S_CONFIG, "token: SECRET\nnode-name: [SECRET\n");
    let found = find(&host);
    assert_eq!(found.source, NodeNameSource::Hostname);
    let [doubt] = found.doubts.as_slice() else { panic!("{:?}", found.doubts) };
    assert!(doubt.contains("config.yaml, which may set the node's name") && !doubt.contains("SECRET"), "{doubt}");
}

#[test]
fn a_name_that_no_node_can_have_is_an_error() {
    let host = Host::new();
    let mut environment = host.environment();
    environment.hostname = "under_score".into();
    let error = find_node_name(None, &environment).expect_err("no name");
    assert_eq!(error, FindNodeNameError::Invalid(NodeNameError("under_score".into())));
    assert!(error.to_string().contains("\nhint: "), "{error}");

    let long = "a".repeat(254);
    for bad in ["", "A", "-a", "a-", "a..b", ".a", "a.", "a,metadata.name!=b", "a=b", "a b", "ä", long.as_str()] {
        assert!(NodeName::parse(bad).is_err(), "{bad:?}");
    }
    for good in ["a", "0", "a-b.c-d.1", "a--b", &long[1..]] {
        assert!(NodeName::parse(good).is_ok(), "{good:?}");
    }
}
