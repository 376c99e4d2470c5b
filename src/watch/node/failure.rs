//! Why the Node is not being watched: what went wrong, and what was asked for.

mod refusal;
mod transport;
mod words;

use std::sync::Arc;
use std::time::Duration;

use kube::core::Status;
use kube::runtime::watcher;

use super::identity::NodeName;
use super::kubeconfig::{KubeconfigError, KubeconfigInfo};

pub(super) use self::refusal::is_of_rights;
pub use self::refusal::{ANONYMOUS, refused_user};
pub(super) use self::transport::find;

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
                .filter(|status| is_of_rights(status) && refused_user(&status.message) != Some(ANONYMOUS))
                .map(|status| status.message.as_str()),
            _ => None,
        }
    }
}
