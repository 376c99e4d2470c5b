//! Why the Node is not being watched, in words that say what to do.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use kube::client::AuthError;
use kube::core::Status;
use kube::runtime::watcher;

use super::identity::NodeName;
use super::kubeconfig::{KubeconfigError, KubeconfigInfo};
use super::view::Scope;

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
    /// The cluster's Nodes are without the own one.
    OwnNodeMissing,
}

impl Failure {
    pub(super) fn new(cause: Cause, kubeconfig: Option<Arc<KubeconfigInfo>>) -> Self {
        Failure { cause: Box::new(cause), kubeconfig, retry_after: None }
    }

    /// One text: what, where and what next, without secrets. The same failure gives the same text.
    pub(super) fn report(&self, node: &NodeName, scope: Scope) -> String {
        self.cause.report(node, scope, self.kubeconfig.as_deref())
    }
}

impl From<watcher::Error> for Cause {
    fn from(error: watcher::Error) -> Self {
        use watcher::Error as Watch;
        match error {
            Watch::InitialListFailed(error) | Watch::WatchStartFailed(error) | Watch::WatchFailed(error) => match error
            {
                kube::Error::Api(status) => Cause::Refused(status),
                error => Cause::Transport(error),
            },
            Watch::WatchError(status) => Cause::Refused(status),
            Watch::NoResourceVersion => Cause::NoResourceVersion,
        }
    }
}

impl Cause {
    fn report(&self, node: &NodeName, scope: Scope, kubeconfig: Option<&KubeconfigInfo>) -> String {
        let server = kubeconfig.and_then(|info| info.server.as_deref()).unwrap_or("an unnamed address");
        let path = kubeconfig.map(|info| info.path.display().to_string()).unwrap_or_default();
        match self {
            Cause::Kubeconfig(error) => error.to_string(),
            Cause::Client(error) => client_report(error, &path),
            Cause::ClientPending(time) => {
                format!("no credentials after {} s: the kubeconfig's exec plugin does not return", time.as_secs_f32())
            }
            Cause::ClientDied => "reading the kubeconfig has failed in an unknown way; see the log".to_owned(),
            Cause::Refused(status) => refusal(status, node, scope, server, kubeconfig),
            Cause::Transport(kube::Error::SerdeError(_) | kube::Error::FromUtf8(_)) => {
                format!(
                    "what answers at {server} does not speak as a Kubernetes API server does\nhint: see 'server' in {path}"
                )
            }
            Cause::Transport(error) => format!(
                "cannot reach the API server at {server}: {}\nhint: on a k3s or RKE2 node its service must run (k3s, k3s-agent, rke2-server or rke2-agent); nodedns keeps trying",
                root_cause(error)
            ),
            Cause::NoResourceVersion => {
                format!("what answers at {server} gives no resource version, as every Kubernetes API server does")
            }
            Cause::Silent(time) => format!("the API server at {server} has not answered for {} s", time.as_secs_f32()),
            Cause::EndedEarly => format!("the API server at {server} ends each watch right after it began"),
            Cause::NoNodes => format!("the API server at {server} gives an empty list of nodes, which cannot be"),
            Cause::OwnNodeMissing => {
                format!("the list of nodes of the API server at {server} is without this node, '{node}'")
            }
        }
    }
}

fn client_report(error: &kube::Error, path: &str) -> String {
    match error {
        kube::Error::ProxyProtocolDisabled { .. } | kube::Error::ProxyProtocolUnsupported { .. } => {
            format!("the kubeconfig {path} has a proxy-url, which nodedns cannot use\nhint: name the API server itself")
        }
        error => format!("the kubeconfig {path} cannot be used: {}", root_cause(error)),
    }
}

fn refusal(
    status: &Status,
    node: &NodeName,
    scope: Scope,
    server: &str,
    kubeconfig: Option<&KubeconfigInfo>,
) -> String {
    let message = first_line(&status.message);
    let certificate = kubeconfig.and_then(|info| info.client_certificate.as_ref());
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = match status.code {
        401 => {
            let path = kubeconfig.map(|info| info.path.display().to_string()).unwrap_or_default();
            let expired = certificate.map(|c| c.not_after).filter(|end| *end < jiff::Timestamp::now());
            let why = expired.map(|end| format!("; its client certificate expired at {end:.0}")).unwrap_or_default();
            write!(
                text,
                "the API server at {server} does not accept the credentials of {path} (401){why}\nhint: the files are read again at every attempt; k3s and RKE2 renew theirs when they restart"
            )
        }
        403 if scope == Scope::All => write!(
            text,
            "this identity may not list nodes, says the API server at {server} (403): {message}\nhint: bind a ClusterRole with this rule: {{apiGroups: [\"\"], resources: [\"nodes\"], verbs: [\"get\", \"list\", \"watch\"]}}; a kubelet's own identity may list no other node since Kubernetes 1.32"
        ),
        403 => {
            let _ = write!(text, "the API server at {server} forbids it (403): {message}");
            match certificate.and_then(|c| c.node_name()).filter(|name| *name != node.as_str()) {
                Some(other) => write!(
                    text,
                    "\nhint: the client certificate is that of node '{other}', which may not see '{node}': set node = \"{other}\" or use another kubeconfig"
                ),
                None => write!(
                    text,
                    "\nhint: bind a ClusterRole with this rule: {{apiGroups: [\"\"], resources: [\"nodes\"], resourceNames: [\"{node}\"], verbs: [\"list\", \"watch\"]}}"
                ),
            }
        }
        429 => write!(text, "the API server at {server} asks to be left alone for a while (429)"),
        code => write!(text, "the API server at {server} answered {code}: {message}"),
    };
    text
}

/// The innermost error says most: "connection refused" and not "client error (Connect)".
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut inner = error;
    loop {
        if let Some(error) = inner.downcast_ref::<AuthError>() {
            return login_failure(error);
        }
        match inner.source() {
            Some(source) => inner = source,
            None => return first_line(&inner.to_string()),
        }
    }
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
