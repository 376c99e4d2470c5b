//! Why the Node is not being watched, in words that say what to do.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::iter::successors;
use std::sync::Arc;
use std::time::Duration;

use kube::client::{AuthError, RustlsTlsError};
use kube::core::Status;
use kube::runtime::watcher;
use tokio::time::error::Elapsed;

use super::identity::NodeName;
use super::kubeconfig::{Distribution, KubeconfigError, KubeconfigInfo, KubeconfigOrigin};

/// What rustls calls a certificate and a key that are not a pair (`rustls::InconsistentKeys::KeyMismatch`).
const KEY_MISMATCH: &str = "KeyMismatch";

/// Where the rule is to be had with everything around it, for the identity in use.
const CHECK: &str = "'nodedns check' prints it with its binding, to be applied as it is";

/// What to do when the cluster is without the own Node.
const REGISTER: &str =
    "if the Node was deleted, restart its kubelet (k3s-agent, rke2-agent): it registers itself again";

/// What lets all Nodes be listed and watched.
const ALL_NODES: &str = "{apiGroups: [\"\"], resources: [\"nodes\"], verbs: [\"get\", \"list\", \"watch\"]}";

/// The reason of a `Status` that refuses a right; whatever else answers 403 is no API server.
/// Source: Kubernetes, `metav1.StatusReasonForbidden`.
const FORBIDDEN: &str = "Forbidden";

/// Whoever has shown no credentials that the server knows.
/// Source: Kubernetes, "Authenticating", "Anonymous requests".
const NOBODY: &str = "User \"system:anonymous\"";

/// The end of an attempt to watch.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) cause: Box<Cause>,
    /// The kubeconfig, if it came so far.
    pub(super) kubeconfig: Option<Arc<KubeconfigInfo>>,
    /// How long the server asks to be left alone.
    pub(super) retry_after: Option<Duration>,
}

#[derive(Debug)]
pub(super) enum Cause {
    Kubeconfig(KubeconfigError),
    /// No client could be made of what the files hold.
    Client(kube::Error),
    /// The client's making has not come to an end in this time.
    ClientPending(Duration),
    /// The client's making died, or could not begin.
    ClientDied,
    /// The server answered with an error.
    Refused(Box<Status>),
    /// No answer, or none that makes sense.
    Transport(kube::Error),
    NoResourceVersion,
    /// A request has been without an answer for this long, or an answer without its end.
    Silent(Duration),
    /// The server ends watches right after they begin.
    EndedEarly,
    /// A cluster without Nodes, which has no API server either.
    NoNodes,
    /// The cluster's Nodes are without the own one, of this name.
    OwnNodeMissing(NodeName),
    /// A list has begun, and is not whole after this time.
    Unfinished(Duration),
}

impl Failure {
    pub(super) fn new(cause: Cause, kubeconfig: Option<Arc<KubeconfigInfo>>) -> Self {
        Failure { cause: Box::new(cause), kubeconfig, retry_after: None }
    }

    /// One text: what, where and what next, without secrets. The same failure gives the same text.
    pub(super) fn report(&self, asked: Asked<'_>) -> String {
        self.cause.report(asked, self.kubeconfig.as_deref())
    }
}

/// What was asked for when it failed: what to do about it depends on that.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked<'a> {
    /// The own Node.
    Own {
        /// Its name.
        node: &'a NodeName,
        /// It is tried again and again; else a person waits for the one answer.
        again: bool,
    },
    /// All of them.
    All {
        /// Likewise.
        again: bool,
    },
}

impl Asked<'_> {
    fn again(self) -> bool {
        match self {
            Asked::Own { again, .. } | Asked::All { again } => again,
        }
    }
}

impl From<watcher::Error> for Cause {
    fn from(error: watcher::Error) -> Self {
        use watcher::Error as Watch;
        match error {
            Watch::InitialListFailed(error) | Watch::WatchStartFailed(error) | Watch::WatchFailed(error) => {
                error.into()
            }
            Watch::WatchError(status) => Cause::Refused(status),
            Watch::NoResourceVersion => Cause::NoResourceVersion,
        }
    }
}

impl From<kube::Error> for Cause {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Cause::Refused(status),
            error => Cause::Transport(error),
        }
    }
}

impl Cause {
    /// The server's words, where it knows this identity and says that it may not.
    pub(super) fn forbidden(&self) -> Option<&str> {
        match self {
            Cause::Refused(status) => Some(status)
                .filter(|status| is_of_rights(status) && !status.message.contains(NOBODY))
                .map(|status| status.message.as_str()),
            _ => None,
        }
    }

    fn report(&self, asked: Asked<'_>, kubeconfig: Option<&KubeconfigInfo>) -> String {
        let server = kubeconfig.and_then(|info| info.server.as_deref()).unwrap_or("an unnamed address");
        let path = kubeconfig.map(|info| info.path.display().to_string()).unwrap_or_default();
        match self {
            Cause::Kubeconfig(error) if asked.again() => error.to_string(),
            Cause::Kubeconfig(error) => error.for_a_person(),
            Cause::Client(error) => client_report(error, &path),
            Cause::ClientPending(time) => {
                format!(
                    "no credentials after {} s: the kubeconfig's exec plugin does not return\nhint: run the plugin by hand, as the same user",
                    time.as_secs_f32()
                )
            }
            Cause::ClientDied => "reading the kubeconfig has failed in an unknown way; see the log".to_owned(),
            Cause::Refused(status) => refusal(status, asked, server, kubeconfig),
            Cause::Transport(kube::Error::SerdeError(_) | kube::Error::FromUtf8(_)) => {
                format!(
                    "what answers at {server} does not speak as a Kubernetes API server does\nhint: see 'server' in {path}"
                )
            }
            Cause::Transport(error) if certificate_error(error).is_some() => distrust(error, server, &path),
            Cause::Transport(error) => format!(
                "cannot reach the API server at {server}: {}\nhint: {}{}",
                root_cause(error),
                running(kubeconfig, &path),
                keeps_trying(asked)
            ),
            Cause::NoResourceVersion => {
                format!(
                    "what answers at {server} gives no resource version, as every Kubernetes API server does\nhint: see 'server' in {path}"
                )
            }
            Cause::Silent(time) => format!(
                "the API server at {server} does not answer (waited {} s)\nhint: see that nothing between it and this host drops packets; {}{}",
                time.as_secs_f32(),
                running(kubeconfig, &path),
                keeps_trying(asked)
            ),
            Cause::EndedEarly => format!(
                "the API server at {server} ends each watch right after it began\nhint: see that no proxy between it and this host does so"
            ),
            Cause::NoNodes => format!(
                "the API server at {server} gives an empty list of nodes, which cannot be\nhint: see 'server' in {path}"
            ),
            Cause::OwnNodeMissing(node) => format!(
                "the list of nodes of the API server at {server} is without this node, '{node}'\nhint: {REGISTER}; else set 'node' to the name that 'kubectl get nodes' shows"
            ),
            Cause::Unfinished(time) => {
                format!(
                    "the list of nodes of the API server at {server} is not complete after {} s\nhint: it is slow, or the way to it is{}",
                    time.as_secs_f32(),
                    keeps_trying(asked)
                )
            }
        }
    }
}

/// Where the API server has to run, by who made the kubeconfig.
fn running(kubeconfig: Option<&KubeconfigInfo>, path: &str) -> String {
    const SERVICE: &str = "its service must run (k3s, k3s-agent, rke2-server or rke2-agent)";
    match made_by(kubeconfig) {
        Some(Maker::Rancher) => SERVICE.to_owned(),
        Some(Maker::Kubeadm) => "see that kube-apiserver runs there (crictl ps)".to_owned(),
        None => {
            format!("see that it runs and that 'server' in {path} is its URL; on a k3s or RKE2 node {SERVICE}")
        }
    }
}

fn keeps_trying(asked: Asked<'_>) -> &'static str {
    if asked.again() { "; nodedns keeps trying" } else { "" }
}

/// Who made a kubeconfig, as far as it matters for what to do.
enum Maker {
    /// k3s or RKE2, which are mended alike.
    Rancher,
    Kubeadm,
}

/// `None` for one that somebody wrote or that the configuration names.
fn made_by(kubeconfig: Option<&KubeconfigInfo>) -> Option<Maker> {
    match kubeconfig?.origin {
        KubeconfigOrigin::KubeletCredential(Distribution::K3s | Distribution::Rke2)
        | KubeconfigOrigin::DistributionKubelet
        | KubeconfigOrigin::DistributionAdmin => Some(Maker::Rancher),
        KubeconfigOrigin::KubeletCredential(Distribution::Kubeadm) | KubeconfigOrigin::KubeadmKubelet => {
            Some(Maker::Kubeadm)
        }
        KubeconfigOrigin::Configured
        | KubeconfigOrigin::Credential
        | KubeconfigOrigin::Store
        | KubeconfigOrigin::Variable => None,
    }
}

fn client_report(error: &kube::Error, path: &str) -> String {
    match error {
        // rustls reads the certificate before it looks at the key.
        kube::Error::RustlsTls(RustlsTlsError::InvalidPrivateKey(rustls::Error::InvalidCertificate(_))) => format!(
            "the kubeconfig {path} cannot be used: its client certificate cannot be read, or is none of X.509 version 3\n\
             hint: have it issued anew"
        ),
        kube::Error::ProxyProtocolDisabled { .. } | kube::Error::ProxyProtocolUnsupported { .. } => {
            format!("the kubeconfig {path} has a proxy-url, which nodedns cannot use\nhint: name the API server itself")
        }
        error => match root_cause(error) {
            why if why.contains(KEY_MISMATCH) => format!(
                "the kubeconfig {path} cannot be used: its client certificate and its key do not belong together, \
                 perhaps because they are just being replaced\n\
                 hint: put the certificate and the key there that were made together"
            ),
            why => format!("the kubeconfig {path} cannot be used: {why}\nhint: mend it, or name another"),
        },
    }
}

/// Whether an API server refuses a right, and not something before it.
pub(super) fn is_of_rights(status: &Status) -> bool {
    status.code == 403 && status.reason == FORBIDDEN
}

fn refusal(status: &Status, asked: Asked<'_>, server: &str, kubeconfig: Option<&KubeconfigInfo>) -> String {
    let message = first_line(&status.message);
    let certificate = kubeconfig.and_then(|info| info.client_certificate.as_ref());
    let path = kubeconfig.map(|info| info.path.display().to_string()).unwrap_or_default();
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = match (status.code, asked) {
        (401, _) => {
            let expired = certificate.map(|c| c.not_after).filter(|end| *end < jiff::Timestamp::now());
            let why = expired.map(|end| format!("; its client certificate expired at {end:.0}")).unwrap_or_default();
            write!(
                text,
                "the API server at {server} does not accept the credentials of {path} (401){why}\nhint: {}{}",
                if asked.again() { "the files are read again at every attempt; " } else { "" },
                match made_by(kubeconfig) {
                    Some(Maker::Rancher) => "k3s and RKE2 renew theirs when they restart",
                    Some(Maker::Kubeadm) => "a kubelet renews its certificate while it runs",
                    None => {
                        "k3s and RKE2 renew theirs when they restart, kubeadm with 'kubeadm certs renew', and an \
                         identity of its own needs new credentials"
                    }
                }
            )
        }
        (403, _) if !is_of_rights(status) => write!(
            text,
            "what answers at {server} forbids it (403), and not as an API server does: {message}\nhint: see 'server' in {path}, and whether a proxy is between it and this host"
        ),
        (403, _) if message.contains(NOBODY) => write!(
            text,
            "the kubeconfig {path} has no credentials that the API server at {server} knows (403 for system:anonymous)\nhint: give its user a client certificate or a token that this cluster accepts"
        ),
        (403, Asked::All { again }) => {
            let _ = write!(
                text,
                "this identity may not list nodes, says the API server at {server} (403): {message}\nhint: "
            );
            match (again, certificate.and_then(|c| c.node_name())) {
                (true, kubelet) => write!(
                    text,
                    "bind a ClusterRole with this rule: {ALL_NODES}; {}{CHECK}",
                    if kubelet.is_some() {
                        "a kubelet's own identity may list no other node since Kubernetes 1.32; "
                    } else {
                        ""
                    }
                ),
                (false, Some(_)) => write!(
                    text,
                    "name the kubeconfig of one who may with --kubeconfig; a kubelet's own identity may list no other node since Kubernetes 1.32"
                ),
                (false, None) => write!(
                    text,
                    "name the kubeconfig of one who may with --kubeconfig; or bind a ClusterRole with this rule: {ALL_NODES}"
                ),
            }
        }
        (403, Asked::Own { node, again }) => {
            let _ = write!(text, "the API server at {server} forbids it (403): {message}");
            match certificate.and_then(|c| c.node_name()).filter(|name| *name != node.as_str()) {
                Some(other) => write!(
                    text,
                    "\nhint: the client certificate is that of node '{other}', which may not see '{node}': set node = \"{other}\" or use another kubeconfig"
                ),
                None => write!(
                    text,
                    "\nhint: bind a ClusterRole with this rule: {{apiGroups: [\"\"], resources: [\"nodes\"], resourceNames: [\"{node}\"], verbs: [\"get\", \"list\", \"watch\"]}}{}{}",
                    if again { "; " } else { "" },
                    if again { CHECK } else { "" }
                ),
            }
        }
        (429, _) => write!(
            text,
            "the API server at {server} asks to be left alone for a while (429)\nhint: it is overloaded{}",
            keeps_trying(asked)
        ),
        (code @ 500.., _) => {
            write!(text, "the API server at {server} answered {code}: {message}\nhint: its own log says why")
        }
        (code, _) => write!(
            text,
            "the API server at {server} answered {code}: {message}\nhint: see that 'server' in {path} is the URL of an API server"
        ),
    };
    text
}

/// The server answers, and shows a certificate that is not to be trusted.
fn distrust(error: &(dyn Error + 'static), server: &str, path: &str) -> String {
    use rustls::CertificateError as Why;
    let hint = match certificate_error(error) {
        Some(Why::UnknownIssuer | Why::BadSignature) => format!(
            "it is not signed by the authority that {path} names: either something else answers there, or the cluster has another authority, which is to be the kubeconfig's 'certificate-authority' too"
        ),
        Some(Why::NotValidForName | Why::NotValidForNameContext { .. }) => {
            format!("'server' in {path} must be a name or an address that the certificate is for")
        }
        Some(Why::Expired | Why::ExpiredContext { .. } | Why::NotValidYet | Why::NotValidYetContext { .. }) => {
            "is the clock right (timedatectl)? k3s and RKE2 renew the server's certificate when they restart, kubeadm with 'kubeadm certs renew apiserver'".to_owned()
        }
        _ => format!("the server's certificate must be one that the authority in {path} has signed"),
    };
    format!("cannot trust the API server at {server}: {}\nhint: {hint}", root_cause(error))
}

/// What rustls has against the server's certificate, if that is what went wrong.
fn certificate_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::CertificateError> {
    match find(error)? {
        rustls::Error::InvalidCertificate(why) => Some(why),
        _ => None,
    }
}

/// The innermost error says most: "connection refused" and not "client error (Connect)".
fn root_cause(error: &(dyn Error + 'static)) -> String {
    if let Some(error) = find::<AuthError>(error) {
        return login_failure(error);
    }
    if find::<Elapsed>(error).is_some() {
        return "no connection in time: packets are lost, or what listens there hangs".to_owned();
    }
    let innermost = chain(error).last();
    first_line(&innermost.unwrap_or(error).to_string())
}

/// The error of this type among `error` and what caused it.
pub(super) fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    chain(error).find_map(<dyn Error>::downcast_ref)
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let causes = successors(Some(error), |error: &&'a (dyn Error + 'static)| (**error).source());
    causes.map(|mut error| {
        // An io::Error gives what it wraps as its own text, and not as its source.
        while let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            error = inner;
        }
        error
    })
}

/// kube quotes the output of exec plugins, and that holds tokens.
fn login_failure(error: &AuthError) -> String {
    match error {
        AuthError::ReadTokenFile(error, path) => format!("cannot read the token file {}: {error}", path.display()),
        AuthError::AuthExecStart(error) => format!("cannot run its exec plugin: {error}"),
        AuthError::AuthExecRun { cmd, out } => format!("its exec plugin {cmd} failed: {}", out.status),
        AuthError::MissingCommand => "its exec plugin has no command".to_owned(),
        _ => "the way to log in that it describes does not work".to_owned(),
    }
}

/// What a server says is not ours: one line of it is enough.
fn first_line(text: &str) -> String {
    let printable = |c: &char| !c.is_control();
    text.lines().next().unwrap_or_default().chars().filter(printable).take(300).collect()
}

#[cfg(test)]
mod tests {
    use rustls::CertificateError as Why;

    use super::*;

    #[test]
    fn a_certificate_that_is_not_trusted_is_told_what_helps() {
        let why_not =
            |why| distrust(&rustls::Error::InvalidCertificate(why), "https://192.0.2.1:6443", "/etc/kubeconfig");
        for (why, expected) in [
            (Why::UnknownIssuer, "not signed by the authority that /etc/kubeconfig names"),
            (Why::BadSignature, "not signed by the authority that /etc/kubeconfig names"),
            (Why::NotValidForName, "'server' in /etc/kubeconfig must be a name"),
            (Why::Expired, "is the clock right"),
            (Why::NotValidYet, "is the clock right"),
            (Why::Revoked, "must be one that the authority in /etc/kubeconfig has signed"),
        ] {
            let text = why_not(why.clone());
            assert!(text.starts_with("cannot trust the API server at https://192.0.2.1:6443: "), "{text}");
            let (_, hint) = text.split_once("\nhint: ").expect("a hint");
            assert!(hint.contains(expected), "{why:?}: {hint}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_takes_too_long_is_no_deadline_that_has_elapsed() {
        let elapsed = tokio::time::timeout(Duration::ZERO, std::future::pending::<()>()).await;
        let error = io::Error::other(elapsed.expect_err("it never ends"));
        assert_eq!(root_cause(&error), "no connection in time: packets are lost, or what listens there hangs");
    }

    #[test]
    fn where_the_server_has_to_run_depends_on_who_made_the_kubeconfig() {
        let hint = |origin| {
            let info = KubeconfigInfo {
                path: "/etc/kubeconfig".into(),
                origin,
                server: None,
                proxy_url: None,
                client_certificate: None,
                passed_over: Vec::new(),
            };
            let report = Cause::Silent(Duration::from_secs(10)).report(Asked::All { again: false }, Some(&info));
            report.split_once("\nhint: ").expect("a hint").1.to_owned()
        };
        for origin in [KubeconfigOrigin::KubeadmKubelet, KubeconfigOrigin::KubeletCredential(Distribution::Kubeadm)] {
            let hint = hint(origin);
            assert!(hint.contains("kube-apiserver") && !hint.contains("k3s"), "{hint}");
        }
        for origin in [KubeconfigOrigin::DistributionKubelet, KubeconfigOrigin::KubeletCredential(Distribution::K3s)] {
            let hint = hint(origin);
            assert!(hint.contains("(k3s, k3s-agent,") && !hint.contains("kube-apiserver"), "{hint}");
        }
        let other = hint(KubeconfigOrigin::Configured);
        assert!(other.contains("'server' in /etc/kubeconfig"), "{other}");
    }
}
