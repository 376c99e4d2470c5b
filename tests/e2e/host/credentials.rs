//! Credentials: systemd hands over what the daemon's own user may not read, whenever it comes and whenever it
//! changes, and nobody else gets to see it.

use std::path::Path;
use std::time::Duration;

use route53_sim::Operation;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::site::{ACCESS_KEY, EDGE, SECRET_KEY, Site, until};
use crate::support::api_server::{ApiServer, kubeconfig, token_kubeconfig};
use crate::support::pki::{Identity, Pki};

on_each_debian!(
    the_first_boot_waits_for_k3s_and_its_new_certificates_are_taken_up,
    the_link_that_the_kubelet_of_kubeadm_swings_is_followed,
    a_kubeconfig_of_the_administrator_is_handed_over_by_a_link,
    a_link_that_is_there_before_the_kubeconfig_is_followed,
    aws_credentials_come_as_a_file_encrypted_or_from_a_process,
);

const K3S: &str = "/var/lib/rancher/k3s/agent";
const ADMIN: &str = "/etc/rancher/k3s/k3s.yaml";
const HANDED_OVER: &str = "/run/credentials/nodedns.service";

fn node(name: &str) -> Value {
    let ready = json!({"type": "Ready", "status": "True", "reason": "KubeletReady"});
    json!({
        "kind": "Node", "apiVersion": "v1", "metadata": {"name": name}, "spec": {}, "status": {"conditions": [ready]}
    })
}

/// The package installed, and configured for a node whose name the certificate says.
async fn prepare(site: &Site, aws: bool) {
    site.install().await;
    site.configure().await;
    let text = site.configuration().replace("node = \"n1\"\n", "").replace("enabled = false", "enabled = true");
    site.machine.write("/etc/nodedns/nodedns.toml", &text).await;
    if !aws {
        site.machine.write("/etc/nodedns/environment", "AWS_EC2_METADATA_DISABLED=true\n").await;
    }
}

/// A file of root alone, in a directory of root alone, as k3s has them.
async fn write_secret(site: &Site, path: &str, text: &str) {
    let directory = Path::new(path).parent().expect("a directory").display().to_string();
    site.machine.must(&format!("mkdir -p {directory} && chmod 0700 {directory}")).await;
    site.machine.write(&format!("{path}.new"), text).await;
    site.machine.must(&format!("chmod 0600 {path}.new && mv -T {path}.new {path}")).await;
}

async fn write_k3s(site: &Site, identity: &Identity) {
    // One after the other, as k3s does: it writes over what there is.
    for (name, text) in [("client-kubelet.crt", &identity.certificate_pem), ("client-kubelet.key", &identity.key_pem)] {
        site.machine.write(&format!("{K3S}/{name}"), text).await;
        site.machine.must(&format!("chmod 0600 {K3S}/{name}")).await;
        sleep(Duration::from_millis(200)).await;
    }
}

fn is_shown(server: &ApiServer, identity: &Identity) -> bool {
    server.seen().iter().any(|seen| seen.certificate.as_ref() == Some(&identity.der))
}

/// Whether Route 53 was asked to change anything.
fn changes(site: &Site) -> usize {
    let changes = |request: &route53_sim::Request| request.operation == Operation::ChangeResourceRecordSets;
    site.sim.requests().iter().filter(|request| changes(request)).count()
}

async fn the_first_boot_waits_for_k3s_and_its_new_certificates_are_taken_up(site: Site) {
    let pki = Pki::new();
    let server = ApiServer::start_tls(&pki).await;
    server.set_node(node("n1"));
    prepare(&site, true).await;
    site.machine.must("systemctl enable --now nodedns.service").await;
    let line = site.says("waiting for a kubeconfig: k3s, RKE2 or kubeadm has not made one yet; ").await;
    assert!(line.starts_with("waiting for a kubeconfig"), "{line}");
    assert!(site.machine.property("nodedns.service", "ActiveState").await == "active");
    assert_eq!((server.seen().len(), changes(&site)), (0, 0));

    // k3s starts for the first time.
    let identity = pki.kubelet("n1");
    let path = |name: &str| format!("{K3S}/{name}");
    let text = kubeconfig(
        &server.url(),
        Some(Path::new(&path("server-ca.crt"))),
        Path::new(&path("client-kubelet.crt")),
        Path::new(&path("client-kubelet.key")),
    );
    write_secret(&site, &path("kubelet.kubeconfig"), &text).await;
    // So long that the daemon is given the kubeconfig alone.
    let incomplete =
        "is there, but not the credential k3s.kube-ca.crt in place of /var/lib/rancher/k3s/agent/server-ca.crt";
    site.says(incomplete).await;
    assert_eq!((server.seen().len(), changes(&site)), (0, 0));
    write_secret(&site, &path("server-ca.crt"), &pki.authority_pem).await;
    write_k3s(&site, &identity).await;
    until("published with the identity of k3s", async || site.is_published(EDGE)).await;
    assert!(is_shown(&server, &identity));
    let status = site.status().await;
    assert_eq!(status["node"], "n1", "{status:#}");
    assert_eq!(status["kubernetes"]["kubeconfig"], format!("{HANDED_OVER}/k3s.kubeconfig"), "{status:#}");

    nobody_else_sees_them(&site).await;

    // k3s starts again and makes a new certificate.
    site.says("2 published").await;
    site.sim.clear_requests();
    let (pid, new) = (site.pid().await, pki.kubelet("n1"));
    write_k3s(&site, &new).await;
    until("the new certificate is shown", async || is_shown(&server, &new)).await;
    site.says("2 published").await;
    assert_ne!(site.pid().await, pid);
    assert_eq!(changes(&site), 0, "a restart changes nothing in DNS");
    let secret = new.key_pem.lines().nth(1).expect("a key").to_owned();
    let log = site.machine.log("nodedns.service").await;
    assert!(!log.contains(&secret) && !log.contains(SECRET_KEY), "{log}");
}

/// A user of the machine reads nothing that the daemon was given.
async fn nobody_else_sees_them(site: &Site) {
    site.machine.must("useradd --no-create-home curious && usermod --append --groups nodedns curious").await;
    let pid = site.pid().await;
    let own = site.machine.must(&format!("ls {HANDED_OVER}")).await;
    assert!(own.contains("k3s.kube-client.key"), "{own}");
    for place in [
        HANDED_OVER,
        &format!("{HANDED_OVER}/k3s.kube-client.key"),
        "/run/credstore",
        "/etc/nodedns/environment",
        &format!("/proc/{pid}/environ"),
        &format!("/proc/{pid}/root/{HANDED_OVER}/k3s.kube-client.key"),
        "/var/lib/nodedns",
    ] {
        let read = format!("test -d {place} && ls {place} || cat {place}");
        let ran = site.machine.run_as("curious", &read).await;
        let allowed = place == "/var/lib/nodedns";
        assert!(ran.succeeded() == allowed, "{place}: {ran:?}");
        assert!(!ran.stdout.contains(ACCESS_KEY) && !ran.stdout.contains("PRIVATE"), "{place}: {ran:?}");
    }
    // What is refused to a member of the group is refused in that user's own name.
    let uid = site.machine.must("id --user curious").await;
    let ran = site.machine.run_as("curious", "nodedns drain").await;
    assert!(!ran.succeeded() && ran.stderr.contains(&format!("you are uid {}", uid.trim())), "{ran:?}");
    site.machine.must("userdel curious").await;
}

async fn the_link_that_the_kubelet_of_kubeadm_swings_is_followed(site: Site) {
    const CURRENT: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";
    let pki = Pki::new();
    let server = ApiServer::start_tls(&pki).await;
    server.set_node(node("n1"));
    prepare(&site, true).await;
    let rotate = async |identity: &Identity, name: &str| {
        let file = format!("/var/lib/kubelet/pki/kubelet-client-{name}.pem");
        write_secret(&site, &file, &format!("{}{}", identity.certificate_pem, identity.key_pem)).await;
        site.machine.must(&format!("ln -s {file} {CURRENT}.new && mv -T {CURRENT}.new {CURRENT}")).await;
    };
    let first = pki.kubelet("n1");
    rotate(&first, "2026-01-01").await;
    let text = kubeconfig(&server.url(), None, Path::new(CURRENT), Path::new(CURRENT));
    use base64::Engine as _;
    let authority = base64::engine::general_purpose::STANDARD.encode(&pki.authority_pem);
    let server_line = format!("server: \"{}\"", server.url());
    assert!(text.contains(&server_line), "{text}");
    let text = text.replace(&server_line, &format!("{server_line}, certificate-authority-data: {authority}"));
    write_secret(&site, "/etc/kubernetes/kubelet.conf", &text).await;
    site.machine.must("systemctl enable --now nodedns.service").await;
    until("published with the identity of kubeadm", async || site.is_published(EDGE)).await;
    site.says("2 published").await;
    assert!(is_shown(&server, &first));

    for name in ["2026-06-01", "2026-11-01"] {
        site.sim.clear_requests();
        let new = pki.kubelet("n1");
        rotate(&new, name).await;
        until("the new certificate is shown", async || is_shown(&server, &new)).await;
        site.says("2 published").await;
        assert_eq!(changes(&site), 0, "a restart changes nothing in DNS");
    }
}

async fn a_kubeconfig_of_the_administrator_is_handed_over_by_a_link(site: Site) {
    let server = ApiServer::start().await;
    server.set_node(node("n1"));
    prepare(&site, true).await;
    let text = site.configuration().replace("enabled = false", &format!("kubeconfig = \"{ADMIN}\""));
    site.machine.write("/etc/nodedns/nodedns.toml", &text).await;
    site.machine.write(ADMIN, &token_kubeconfig(&server.url(), "SECRET-TOKEN")).await;
    site.machine.must(&format!("chmod 0600 {ADMIN}")).await;
    site.machine.must("systemctl enable --now nodedns.service").await;
    site.says(&format!("waiting for a kubeconfig: found {ADMIN}, but it is not readable: permission denied")).await;
    let link = format!("ln -s {ADMIN} /etc/credstore/nodedns.kubeconfig");
    let status = site.status().await;
    let error = status["kubernetes"]["error"].as_str().unwrap_or_default();
    assert!(error.contains(&format!("'{link}', with kubernetes.kubeconfig = \"auto\"")), "{status:#}");
    let log = site.machine.log("nodedns.service").await;
    assert!(log.contains(&format!("the node's state is unknown: found {ADMIN}")) && log.contains(&link), "{log}");

    // As it is told to.
    site.machine.write("/etc/nodedns/nodedns.toml", &text.replace(ADMIN, "auto")).await;
    site.machine.must(&link).await;
    until("published with the administrator's identity", async || site.is_published(EDGE)).await;
    let status = site.status().await;
    assert_eq!(status["kubernetes"]["kubeconfig"], format!("{HANDED_OVER}/kubeconfig"), "{status:#}");
}

async fn a_link_that_is_there_before_the_kubeconfig_is_followed(site: Site) {
    let server = ApiServer::start().await;
    server.set_node(node("n1"));
    prepare(&site, true).await;
    // A token does not say which node this is.
    let text = site.configuration().replace("enabled = false", "enabled = true");
    site.machine.write("/etc/nodedns/nodedns.toml", &text).await;
    site.machine.must(&format!("ln -s {ADMIN} /etc/credstore/nodedns.kubeconfig")).await;
    site.machine.must("systemctl enable --now nodedns.service").await;
    site.says("waiting for a kubeconfig").await;
    // The store is left alone for longer than it takes to be noticed.
    until("nothing is under way", async || {
        site.machine.property("nodedns-credentials.service", "ActiveState").await == "inactive"
    })
    .await;

    // k3s starts for the first time.
    write_secret(&site, ADMIN, &token_kubeconfig(&server.url(), "SECRET-TOKEN")).await;
    until("published with the administrator's identity", async || site.is_published(EDGE)).await;
    let entries = site.machine.journal(&["UNIT=nodedns.service"]).await;
    let told = entries.iter().filter(|entry| entry.to_string().contains("read inherited credential"));
    assert_eq!(told.count(), 0, "of credentials that are missing");

    // Stopped just after a change: nothing is left behind, and nothing has failed. It waits for so long that it cannot
    // be over before it is looked at.
    let long = "[Service]\nExecStartPre=\nExecStartPre=/bin/sleep 30\n";
    site.drop_in("nodedns-credentials.service", long).await;
    site.machine.must("touch /etc/credstore/nodedns.aws-config").await;
    until("noticed", async || {
        site.machine.property("nodedns-credentials.service", "ActiveState").await == "activating"
    })
    .await;
    site.machine.must("dpkg --remove nodedns").await;
    assert_eq!(site.machine.must("systemctl list-units --failed --plain --no-legend 'nodedns*'").await, "");
}

async fn aws_credentials_come_as_a_file_encrypted_or_from_a_process(site: Site) {
    site.install().await;
    site.machine.write("/etc/nodedns/nodedns.toml", &site.configuration()).await;
    site.machine.write("/etc/nodedns/environment", "AWS_EC2_METADATA_DISABLED=true\n").await;
    site.machine.must("systemctl enable --now nodedns.service").await;
    let line = site.says("waiting for AWS credentials").await;
    assert!(line.starts_with("waiting for AWS credentials"), "{line}");

    let keys = |key: &str| format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = {SECRET_KEY}\n");
    let used = |key: &str| site.sim.requests().iter().any(|request| request.access_key.as_deref() == Some(key));
    write_secret(&site, "/etc/credstore/nodedns.aws-credentials", &keys("AKIAPLAIN")).await;
    until("the file is used", async || used("AKIAPLAIN") && site.is_published(EDGE)).await;
    site.says("2 published").await;
    site.sim.clear_requests();

    // The encrypted one goes first.
    let name = "nodedns.aws-credentials.encrypted";
    site.machine.write("/run/plain", &keys("AKIAENCRYPTED")).await;
    let encrypt = format!(
        "systemd-creds encrypt --with-key=host --name={name} /run/plain /etc/credstore.encrypted/{name} && rm /run/plain"
    );
    site.machine.must(&encrypt).await;
    let stored = site.machine.read(&format!("/etc/credstore.encrypted/{name}")).await;
    assert!(!stored.contains("AKIAENCRYPTED"), "{stored}");
    until("the encrypted file is used", async || used("AKIAENCRYPTED")).await;

    // A profile's process, which runs as the daemon's user.
    site.machine.must(&format!("rm /etc/credstore.encrypted/{name} /etc/credstore/nodedns.aws-credentials")).await;
    let json = format!(r#"{{"Version": 1, "AccessKeyId": "AKIAPROCESS", "SecretAccessKey": "{SECRET_KEY}"}}"#);
    write_secret(&site, "/var/lib/nodedns/keys/keys.json", &json).await;
    site.machine.must("chown -R nodedns /var/lib/nodedns/keys").await;
    let config = "[default]\ncredential_process = /bin/cat /var/lib/nodedns/keys/keys.json\n";
    write_secret(&site, "/etc/credstore/nodedns.aws-config", config).await;
    until("the process is used", async || used("AKIAPROCESS")).await;
    site.says("2 published").await;
    assert_eq!(changes(&site), 0, "other credentials change nothing in DNS");
    let log = site.machine.log("nodedns.service").await;
    assert!(!log.contains(SECRET_KEY), "{log}");
}
