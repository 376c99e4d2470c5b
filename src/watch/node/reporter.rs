//! What the watch tells, and when it no longer knows.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::failure::Failure;
use super::identity::NodeName;
use super::kubeconfig::KubeconfigInfo;
use super::session::Step;
use super::view::{Scope, View};
use super::{NodeDetail, WatchEvent};
use crate::decide::observed::Observed;

/// What was said last, so that nothing is said twice.
pub(super) struct Reporter<V: View> {
    events: mpsc::UnboundedSender<WatchEvent<V::State>>,
    said: Option<WatchEvent<V::State>>,
    /// The kubeconfig of the running or the last attempt.
    pub(super) kubeconfig: Option<Arc<KubeconfigInfo>>,
    last_contact: Option<Timestamp>,
    interruption: Option<Interruption>,
    /// How long an interruption may last until the state is unknown.
    patience: Duration,
}

struct Interruption {
    since: Instant,
    error: String,
}

impl<V: View> Reporter<V> {
    pub(super) fn new(events: mpsc::UnboundedSender<WatchEvent<V::State>>, patience: Duration) -> Self {
        Reporter { events, said: None, kubeconfig: None, last_contact: None, interruption: None, patience }
    }

    pub(super) fn tell(&mut self, step: Step<V::State>, known_since: &mut Option<Instant>) {
        self.last_contact = Some(Timestamp::now());
        if let Step::State(state) = step {
            known_since.get_or_insert_with(Instant::now);
            // Nobody has seen what the own Node was between the session that failed and this list.
            let anew = self.interruption.take().is_some() && V::SCOPE == Scope::Own;
            self.say(Observed::Known(state), anew, None);
        }
    }

    /// Notes why there is no watch now. The first failure of a row counts for the time.
    pub(super) fn interrupted(&mut self, failure: &Failure, node: &NodeName) {
        let error = failure.report(V::SCOPE.asked(node));
        // Most are over before anybody has to know.
        let line = error.replace('\n', "; ");
        tracing::debug!(error = line, "{}: the watch is interrupted: {line}", V::SUBJECT);
        self.kubeconfig = failure.kubeconfig.clone();
        let since = self.interruption.as_ref().map_or_else(Instant::now, |interruption| interruption.since);
        self.interruption = Some(Interruption { since, error });
    }

    pub(super) fn unknown(&mut self) {
        let error = self.interruption.as_ref().map(|interruption| interruption.error.clone());
        self.say(Observed::Unknown, false, error);
    }

    /// Awaits `future`; if an interruption lasts too long meanwhile, says so and goes on waiting.
    pub(super) async fn patiently<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        if let Some(interruption) = self.interruption.as_ref().filter(|_| self.is_known()) {
            tokio::select! {
                biased;
                output = &mut future => return output,
                () = sleep_until(interruption.since + self.patience) => {}
            }
            self.unknown();
        }
        future.await
    }

    fn is_known(&self) -> bool {
        self.said.as_ref().is_some_and(|event| event.state.is_known())
    }

    fn say(&mut self, state: Observed<V::State>, anew: bool, error: Option<String>) {
        let info = self.kubeconfig.as_ref();
        let detail = NodeDetail {
            kubeconfig: info.map(|info| info.path.clone()),
            origin: info.map(|info| info.origin),
            server: info.and_then(|info| info.server.clone()),
            connected: state.is_known(),
            last_contact: self.last_contact,
            error,
        };
        let event = WatchEvent { state, anew, detail };
        let same = self.said.as_ref().is_some_and(|said| {
            let detail = NodeDetail { last_contact: event.detail.last_contact, ..said.detail.clone() };
            said.state == event.state && detail == event.detail
        });
        if same && !anew {
            return;
        }
        match (&event.detail.error, self.is_known()) {
            (Some(error), _) => {
                let error = error.replace('\n', "; ");
                tracing::warn!(error, "{} is unknown: {error}", V::SUBJECT);
            }
            (None, false) => tracing::info!(server = event.detail.server, "{} is known", V::SUBJECT),
            (None, true) => tracing::debug!(state = ?event.state, "{} has changed", V::SUBJECT),
        }
        // The receiver's end is noticed where `watch` waits for it.
        let _ = self.events.send(event.clone());
        self.said = Some(event);
    }
}
