//! One list and the watches that follow it, over one client.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::StreamExt as _;
use futures::stream::BoxStream;
use kube::Api;
use kube::runtime::watcher::{self, watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::client::{self, Exchange, Opened};
use super::failure::{Cause, Failure};
use super::kubeconfig::{FileSet, KubeconfigInfo};
use super::object::Node;
use super::opener::Occasion;
use super::view::{Scope, View};
use super::{NodeWatchSettings, Timing};

/// What a session has to say.
pub(super) enum Step<S> {
    /// The state, after the list and whenever the server tells of a change.
    State(S),
    /// The server has begun to answer a watch: it lives, and all that it had to say was said.
    WatchStarted,
}

/// A running watch. Every wait within it has a limit.
pub(super) struct Session<V: View> {
    view: V,
    timing: Timing,
    pub(super) info: Arc<KubeconfigInfo>,
    files: FileSet,
    /// When to read the files again though they look the same: shortly before the certificate ends.
    reread_at: Option<SystemTime>,
    events: BoxStream<'static, watcher::Result<watcher::Event<Node>>>,
    exchanges: mpsc::UnboundedReceiver<Exchange>,
    /// When its list was asked for.
    began: Instant,
    /// When the server is overdue.
    deadline: Instant,
    /// What `deadline` was counted from.
    since: Instant,
    asking_watch: bool,
    /// When the running watch began.
    watch_began: Option<Instant>,
    /// A watch has been answered: what the list said may be told.
    established: bool,
    watch_started: bool,
    fresh: Option<V::State>,
    retry_after: Option<Duration>,
}

impl<V: View> Session<V> {
    /// Finds the kubeconfig and makes a client; sends nothing yet. Blocks on files.
    ///
    /// # Errors
    /// There is no kubeconfig, or none of use.
    pub(super) fn open(settings: &NodeWatchSettings) -> Result<Session<V>, Failure> {
        let timing = settings.timing.clone();
        let Opened { client, exchanges, info, files } =
            client::open(&settings.kubeconfig, &settings.environment, timing.answer)?;
        // kube refuses 295 s and more, and the API takes whole seconds.
        let seconds = u32::try_from(timing.watch.as_secs()).unwrap_or(u32::MAX).clamp(1, 294);
        let view = V::new(settings);
        let config = view.request().timeout(seconds);
        let reread_at = info
            .client_certificate
            .as_ref()
            .and_then(|certificate| SystemTime::from(certificate.not_after).checked_sub(2 * timing.watch))
            .filter(|at| *at > SystemTime::now());
        let now = Instant::now();
        Ok(Session {
            view,
            info,
            files,
            reread_at,
            events: watcher(Api::<Node>::all(client), config).boxed(),
            exchanges,
            began: now,
            deadline: now + timing.answer,
            since: now,
            timing,
            asking_watch: false,
            watch_began: None,
            established: false,
            watch_started: false,
            fresh: None,
            retry_after: None,
        })
    }

    /// Starts the clock: the session may have lain about since it was made.
    pub(super) fn begin(&mut self) {
        self.began = Instant::now();
        self.since = self.began;
        self.deadline = self.since + self.timing.answer;
    }

    /// Why this session is to be replaced, if it is: the files that it was made of are others now, its
    /// certificate is about to end and was not looked at since, or its list is old.
    pub(super) fn occasion(&self) -> Option<Occasion> {
        if self.files.has_changed() || self.reread_at.is_some_and(|at| at <= SystemTime::now()) {
            return Some(Occasion::Credentials);
        }
        (V::SCOPE == Scope::Own && self.began.elapsed() >= self.timing.relist).then_some(Occasion::Aged)
    }

    /// The next thing to tell. After an error the session is of no use.
    pub(super) async fn next(&mut self) -> Result<Step<V::State>, Failure> {
        loop {
            if self.established
                && let Some(state) = self.fresh.take()
            {
                return Ok(Step::State(state));
            }
            if std::mem::take(&mut self.watch_started) {
                return Ok(Step::WatchStarted);
            }
            let event = tokio::select! {
                biased;
                Some(exchange) = self.exchanges.recv() => {
                    self.note(exchange)?;
                    continue;
                }
                event = self.events.next() => event,
                () = sleep_until(self.deadline) => return Err(self.failure(Cause::Silent(self.deadline - self.since))),
            };
            // The stream makes its exchanges while it is polled: they came before its event.
            while let Ok(exchange) = self.exchanges.try_recv() {
                self.note(exchange)?;
            }
            match event {
                Some(Ok(event)) => {
                    let state = self.view.take_in(event).map_err(|cause| self.failure(cause))?;
                    self.fresh = state.or(self.fresh.take());
                }
                Some(Err(error)) => {
                    return Err(Failure { retry_after: self.retry_after, ..self.failure(error.into()) });
                }
                None => return Err(self.failure(Cause::EndedEarly)),
            }
        }
    }

    fn failure(&self, cause: Cause) -> Failure {
        Failure::new(cause, Some(Arc::clone(&self.info)))
    }

    fn note(&mut self, exchange: Exchange) -> Result<(), Failure> {
        let now = Instant::now();
        let limit = match exchange {
            Exchange::Sent { watch } => {
                // watcher() resumes at once, so a server that ends watches at once would be asked
                // without a pause.
                if watch && self.watch_began.take().is_some_and(|began| now - began < self.timing.steady) {
                    return Err(self.failure(Cause::EndedEarly));
                }
                self.asking_watch = watch;
                self.timing.answer
            }
            Exchange::Answered { success: true, .. } if self.asking_watch => {
                self.watch_began = Some(now);
                self.established = true;
                self.watch_started = true;
                // Not extended by events: the server must end the watch by then, however busy.
                self.timing.watch + self.timing.end_grace
            }
            Exchange::Answered { success, retry_after, date: _ } => {
                self.retry_after = retry_after.filter(|_| !success);
                self.timing.answer
            }
        };
        self.since = now;
        self.deadline = now + limit;
        Ok(())
    }
}
