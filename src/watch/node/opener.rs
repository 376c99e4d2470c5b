//! Where sessions come from, and why one takes the place of another.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::NodeWatchSettings;
use super::failure::{Cause, Failure};
use super::kubeconfig::{KubeconfigInfo, of_another_node};
use super::session::{Session, Step};
use super::view::{Scope, View};

/// Why a session that runs is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occasion {
    /// Somebody waits for a fresh reading.
    Asked,
    /// The files have changed, or the certificate is about to end.
    Credentials,
    /// Its list is too old.
    Aged,
}

/// Makes sessions, off the async thread: that reads files and may run an exec plugin.
pub(super) struct Opener<V: View> {
    pub(super) settings: Arc<NodeWatchSettings>,
    /// One that has not come to an end in time; no second one is started beside it.
    opening: Option<oneshot::Receiver<Result<Session<V>, Failure>>>,
    /// The other node whose certificate was last told of.
    told: Option<String>,
}

impl<V: View> Opener<V> {
    pub(super) fn new(settings: NodeWatchSettings) -> Self {
        Opener { settings: Arc::new(settings), opening: None, told: None }
    }

    /// Warns, once, that the credentials are those of another node: where they may read this Node all the
    /// same, nothing else says so.
    fn tell_of_another(&mut self, info: &KubeconfigInfo) {
        let node = &self.settings.node;
        let other = info.another_node(node).map(str::to_owned);
        if V::SCOPE == Scope::Own
            && self.told != other
            && let Some(other) = &other
        {
            let text = of_another_node(other, node);
            tracing::warn!(kubeconfig = %info.path.display(), "{text}; see 'nodedns check'");
        }
        self.told = other;
    }

    pub(super) async fn open(&mut self) -> Result<Session<V>, Failure> {
        let opening = self.opening.get_or_insert_with(|| {
            let settings = Arc::clone(&self.settings);
            in_thread(move || Session::open(&settings))
        });
        let limit = self.settings.timing.answer;
        match timeout(limit, &mut *opening).await {
            Err(_) => Err(Failure::new(Cause::ClientPending(limit), None)),
            Ok(result) => {
                self.opening = None;
                let mut session = result.unwrap_or_else(|_| Err(Failure::new(Cause::ClientDied, None)))?;
                self.tell_of_another(&session.info);
                session.begin();
                Ok(session)
            }
        }
    }

    /// A session made of the files as they are now, with the state that it starts from. `None` when it
    /// comes to nothing; the running session goes on, and the next watch cycle looks again.
    pub(super) async fn replacement(&mut self, occasion: Occasion) -> Option<(Session<V>, V::State)> {
        match self.first_state().await {
            Ok((session, state)) => {
                if occasion == Occasion::Credentials {
                    tracing::info!(kubeconfig = %session.info.path.display(), "credentials read again");
                }
                Some((session, state))
            }
            Err(failure) => {
                let error = failure.report(V::SCOPE.asked(&self.settings.node));
                let what = match occasion {
                    Occasion::Asked | Occasion::Aged => "cannot be read anew",
                    Occasion::Credentials => "cannot be read yet with the credentials that have changed",
                };
                let error = error.replace('\n', "; ");
                tracing::warn!(error, "{} {what}: {error}", V::SUBJECT);
                None
            }
        }
    }

    pub(super) async fn first_state(&mut self) -> Result<(Session<V>, V::State), Failure> {
        let mut session = self.open().await?;
        loop {
            if let Step::State(state) = session.next().await? {
                return Ok((session, state));
            }
        }
    }
}

/// A thread of its own and not tokio's blocking pool: the runtime waits for that pool when the
/// process ends, and an exec plugin may hang.
pub(super) fn in_thread<T: Send + 'static>(make: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    let runtime = Handle::current();
    let open = move || {
        // A client spawns a task.
        let _entered = runtime.enter();
        // Nobody waits any more when the watch has ended.
        let _ = sender.send(make());
    };
    if let Err(error) = std::thread::Builder::new().name("kubeconfig".to_owned()).spawn(open) {
        tracing::warn!(%error, "cannot start a thread to read the kubeconfig: {error}");
    }
    receiver
}
