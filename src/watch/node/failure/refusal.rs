//! What an API server, or something before it, has refused.

use kube::core::Status;

use super::Asked;
use super::transport::first_line;
use super::words::{Maker, keeps_trying, made_by};
use crate::watch::node::certificate::node_of;
use crate::watch::node::identity::NodeName;
use crate::watch::node::kubeconfig::KubeconfigInfo;

/// The user name of whoever has shown no credentials that the server knows.
/// Source: Kubernetes, "Authenticating", "Anonymous requests".
pub const ANONYMOUS: &str = "system:anonymous";

/// Where the rule is to be had with everything around it, for the identity in use.
const CHECK: &str = "'nodedns check' prints it with its binding, to be applied as it is";

/// What lets all Nodes be listed and watched.
const ALL_NODES: &str = "{apiGroups: [\"\"], resources: [\"nodes\"], verbs: [\"get\", \"list\", \"watch\"]}";

/// The reason of a `Status` that refuses a right; whatever else answers 403 is no API server.
/// Source: Kubernetes, `metav1.StatusReasonForbidden`.
const FORBIDDEN: &str = "Forbidden";

/// The same of one that refuses credentials, with 401: `metav1.StatusReasonUnauthorized`.
const UNAUTHORIZED: &str = "Unauthorized";

/// Whether an API server refuses a right, and not something before it.
pub(in crate::watch::node) fn is_of_rights(status: &Status) -> bool {
    status.code == 403 && status.reason == FORBIDDEN
}

/// Who was refused a right, by the message of the API server (`User "…" cannot list resource …`).
pub fn refused_user(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("User \"")?;
    rest.split_once('"').map(|(user, _)| user)
}

/// What the server at `server` answered instead of what was asked for, and what to do about it.
pub(super) fn refusal(status: &Status, asked: Asked<'_>, server: &str, kubeconfig: Option<&KubeconfigInfo>) -> String {
    let said = said(&status.message);
    let path = kubeconfig.map(|info| info.path.display().to_string()).unwrap_or_default();
    let (what, hint) = match status.code {
        code @ 401 if status.reason != UNAUTHORIZED => not_the_api_server(code, server, &path, &said),
        code @ 403 if !is_of_rights(status) => not_the_api_server(code, server, &path, &said),
        401 => (
            format!(
                "the API server at {server} does not accept the credentials of {path} (401){}",
                expired(kubeconfig).unwrap_or_default()
            ),
            renewal(asked, kubeconfig),
        ),
        403 if refused_user(&status.message) == Some(ANONYMOUS) => stranger(server, &path, kubeconfig),
        403 => missing_right(asked, server, &status.message, kubeconfig),
        429 => (
            format!("the API server at {server} asks to be left alone for a while (429)"),
            format!("it is overloaded{}", keeps_trying(asked)),
        ),
        code @ 500.. => {
            (format!("the API server at {server} answered {code}{said}"), "its own log says why".to_owned())
        }
        code => (
            format!("what is at {server} answered {code}{said}"),
            format!("see that 'server' in {path} is the URL of an API server"),
        ),
    };
    format!("{what}\nhint: {hint}")
}

/// What a server says, behind a colon, if it says anything: neither the first tag of a page nor nothing does.
fn said(message: &str) -> String {
    let line = first_line(message);
    if line.trim().is_empty() || line.trim_start().starts_with('<') { String::new() } else { format!(": {line}") }
}

/// Something else has refused it, or something before the API server.
fn not_the_api_server(code: u16, server: &str, path: &str, said: &str) -> (String, String) {
    (
        format!("what answers at {server} refuses it ({code}), and not as an API server does{said}"),
        format!("see 'server' in {path}, and whether a proxy is between it and this host"),
    )
}

/// The server has seen no credentials, or none that it looks at.
fn stranger(server: &str, path: &str, kubeconfig: Option<&KubeconfigInfo>) -> (String, String) {
    match kubeconfig.and_then(|info| info.client_certificate.as_ref()) {
        // A certificate that it does not trust is refused with 401.
        Some(_) => (
            format!(
                "the client certificate of {path} has not reached the API server at {server} (403 for {ANONYMOUS})"
            ),
            "see whether something between them, such as a proxy, ends TLS: 'server' must be the API server itself"
                .to_owned(),
        ),
        None => (
            format!(
                "the kubeconfig {path} has no credentials that the API server at {server} knows (403 for {ANONYMOUS})"
            ),
            "give its user a client certificate or a token that this cluster accepts".to_owned(),
        ),
    }
}

/// That the client certificate is no longer good, where that is so.
fn expired(kubeconfig: Option<&KubeconfigInfo>) -> Option<String> {
    let end = kubeconfig?.client_certificate.as_ref()?.not_after;
    (end < jiff::Timestamp::now()).then(|| format!("; its client certificate expired at {end:.0}"))
}

/// How credentials are renewed, by who made them.
fn renewal(asked: Asked<'_>, kubeconfig: Option<&KubeconfigInfo>) -> String {
    let renewal = match made_by(kubeconfig) {
        Some(Maker::Rancher) => "k3s and RKE2 renew theirs when they restart",
        Some(Maker::Kubeadm) => "a kubelet renews its certificate while it runs",
        None => {
            "k3s and RKE2 renew theirs when they restart, kubeadm with 'kubeadm certs renew', and an identity of its \
             own needs new credentials"
        }
    };
    format!("{}{renewal}", if asked.again() { "the files are read again at every attempt; " } else { "" })
}

/// The server knows who asks, and says that they may not.
fn missing_right(
    asked: Asked<'_>,
    server: &str,
    message: &str,
    kubeconfig: Option<&KubeconfigInfo>,
) -> (String, String) {
    // The server knows best whom it has refused.
    let kubelet = match refused_user(message) {
        Some(user) => node_of(user),
        None => kubeconfig.and_then(|info| info.client_certificate.as_ref()?.node_name()),
    };
    let said = said(message);
    match asked {
        Asked::All { again } => (
            format!("this identity may not list nodes, says the API server at {server} (403){said}"),
            right_to_all(kubelet.is_some(), again),
        ),
        Asked::Own { node, again } => (
            format!("the API server at {server} forbids it (403){said}"),
            match kubelet.filter(|name| *name != node.as_str()) {
                Some(other) => format!(
                    "these are the credentials of node '{other}', which may not see '{node}': set node = \
                     \"{other}\" or use another kubeconfig"
                ),
                None => right_to_own(node, again),
            },
        ),
    }
}

/// How all Nodes come to be listed. Who asks once can use another identity; a daemon needs the right.
fn right_to_all(is_kubelet: bool, again: bool) -> String {
    let since = "a kubelet's own identity may list no other node since Kubernetes 1.32";
    let bind = format!("bind a ClusterRole with this rule: {ALL_NODES}");
    let name = "name the kubeconfig of one who may with --kubeconfig";
    match (again, is_kubelet) {
        (true, true) => format!("{bind}; {since}; {CHECK}"),
        (true, false) => format!("{bind}; {CHECK}"),
        (false, true) => format!("{name}; {since}"),
        (false, false) => format!("{name}; or {bind}"),
    }
}

fn right_to_own(node: &NodeName, again: bool) -> String {
    let rule = format!(
        "{{apiGroups: [\"\"], resources: [\"nodes\"], resourceNames: [\"{node}\"], verbs: [\"get\", \"list\", \
         \"watch\"]}}"
    );
    let check = if again { format!("; {CHECK}") } else { String::new() };
    format!("bind a ClusterRole with this rule: {rule}{check}")
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::watch::node::certificate::ClientCertificate;
    use crate::watch::node::kubeconfig::KubeconfigOrigin;

    const SERVER: &str = "https://192.0.2.1:6443";

    /// What is said of it where the client certificate of node n1 ends so long from now.
    fn told(code: u16, reason: &str, message: &str, left: SignedDuration) -> String {
        let not_after = Timestamp::now().checked_add(left).expect("a time");
        let info = KubeconfigInfo {
            path: "/etc/kubeconfig".into(),
            origin: KubeconfigOrigin::Configured,
            server: None,
            proxy_url: None,
            client_certificate: Some(ClientCertificate { common_name: "system:node:n1".to_owned(), not_after }),
            passed_over: Vec::new(),
        };
        let status = Status::failure(message, reason).with_code(code);
        refusal(&status, Asked::All { again: true }, SERVER, Some(&info))
    }

    #[test]
    fn a_certificate_that_has_expired_is_why_it_is_not_accepted() {
        let expired = told(401, UNAUTHORIZED, "Unauthorized", SignedDuration::from_hours(-1));
        assert!(expired.contains("(401); its client certificate expired at "), "{expired}");
        let good = told(401, UNAUTHORIZED, "Unauthorized", SignedDuration::from_hours(1));
        assert!(good.contains("does not accept the credentials of /etc/kubeconfig (401)\nhint: "), "{good}");
    }

    #[test]
    fn what_says_nothing_is_not_quoted() {
        let hour = SignedDuration::from_hours(1);
        for (message, said) in [("", ""), ("<html>\n<body>no</body>", ""), ("go away\nnow", ": go away")] {
            let text = told(403, "", message, hour);
            let expected =
                format!("what answers at {SERVER} refuses it (403), and not as an API server does{said}\nhint: ");
            assert!(text.starts_with(&expected), "{text}");
        }
        assert!(told(407, "", "<html>", hour).starts_with(&format!("what is at {SERVER} answered 407\nhint: ")));
    }

    /// A kubelet may list no other Node, whatever its certificate says; who is told is whom the server has refused.
    #[test]
    fn the_servers_word_goes_before_the_certificates() {
        let hour = SignedDuration::from_hours(1);
        let text = |user: &str| told(403, FORBIDDEN, &format!("nodes is forbidden: User \"{user}\" cannot list"), hour);
        assert!(text("system:node:n1").contains("a kubelet's own identity may list no other node"));
        assert!(!text("nodedns").contains("a kubelet's own identity"));
    }
}
