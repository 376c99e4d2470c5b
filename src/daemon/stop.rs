//! SIGTERM and SIGINT: whether the record sets leave too, and how the daemon ends.
//!
//! Two ends look alike from inside. A service that is restarted, upgraded or stopped leaves DNS as
//! it is; a system that shuts down takes its record sets along while there is still a network. Only
//! systemd knows which it is, and it is asked when SIGTERM has come. If it does not say, the record
//! sets stay: not knowing deletes nothing.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use crate::daemon::signals::{Signals, Wish};
use crate::daemon::{Daemon, log};
use crate::decide::engine::{Engine, Event};
use crate::decide::observed::Observed;
use crate::decide::reason::Intent;
use crate::decide::report::RecordReport;
use crate::systemd::manager::{self, SystemState, SystemStateError};
use crate::watch::clock;

/// How long the record sets may take to leave when the system shuts down. Two lost answers at the
/// default `attempt_timeout`, or several rounds of throttling, fit in. Everything that stops after
/// us waits meanwhile, and with the question before and the last requests after it this stays
/// below the shortest `DefaultTimeoutStopSec=` in use (45 s on Fedora; 90 s elsewhere).
const WITHDRAW_PATIENCE: Duration = Duration::from_secs(25);

/// How long the writes on their way may take to finish at the very end.
const FINISH_PATIENCE: Duration = Duration::from_secs(3);

/// How far the daemon's end has come.
#[derive(Default)]
pub(super) enum Departure {
    /// Nobody wants it.
    #[default]
    None,
    /// SIGTERM has come, and systemd is being asked what is going on.
    Asking(Pin<Box<dyn Future<Output = Answer>>>),
    /// The system shuts down, and the record sets leave.
    Withdrawing(Pin<Box<Sleep>>),
    /// Nothing is waited for but the writes on their way, and not even those if it is to be at once.
    Over { at_once: bool },
}

type Answer = Result<SystemState, SystemStateError>;

/// What happens on the way to the end.
pub(super) enum News {
    /// What systemd has said.
    System(Answer),
    /// [`WITHDRAW_PATIENCE`] is over.
    OutOfPatience,
}

impl Departure {
    /// What happens next. May be dropped half way.
    pub(super) async fn news(&mut self) -> News {
        match self {
            Departure::Asking(question) => News::System(question.await),
            Departure::Withdrawing(patience) => {
                patience.await;
                News::OutOfPatience
            }
            Departure::None | Departure::Over { .. } => std::future::pending().await,
        }
    }
}

impl Daemon {
    pub(super) fn wish(&mut self, wish: Wish) {
        match (&self.departure, wish) {
            (Departure::None, Wish::Reload) => self.reload(),
            (_, Wish::Reload) => tracing::warn!("not reloaded: the daemon is about to end"),
            (Departure::None, Wish::Terminate) => {
                self.departure = Departure::Asking(Box::pin(manager::system_state()));
            }
            (Departure::None, Wish::Interrupt) => {
                tracing::info!("stopping; record sets stay as they are");
                self.departure = Departure::Over { at_once: false };
            }
            (_, Wish::Terminate | Wish::Interrupt) => {
                tracing::warn!("asked to stop a second time: stopping at once, record sets stay as they are now");
                self.departure = Departure::Over { at_once: true };
            }
        }
    }

    pub(super) fn depart(&mut self, news: News) {
        self.departure = match news {
            News::System(Ok(SystemState::Stopping)) => {
                tracing::info!("stopping, and so is the system: record sets are withdrawn");
                self.notifier.stopping("the system is shutting down: record sets are withdrawn");
                self.notifier.extend_timeout(WITHDRAW_PATIENCE + 2 * FINISH_PATIENCE);
                self.engine.handle(Event::Stopping, clock::now());
                Departure::Withdrawing(Box::pin(sleep(WITHDRAW_PATIENCE)))
            }
            News::System(Ok(SystemState::Other(state))) => {
                tracing::info!(state, "stopping, while the system is {state}: record sets stay as they are");
                Departure::Over { at_once: false }
            }
            News::System(Err(error)) => {
                tracing::warn!(%error, "stopping; record sets stay as they are, for whether the system is shutting down is not known: {error}");
                Departure::Over { at_once: false }
            }
            News::OutOfPatience => {
                tracing::warn!("not everything could be withdrawn within {} s", WITHDRAW_PATIENCE.as_secs());
                Departure::Over { at_once: false }
            }
        };
    }

    /// Whether the loop has gone round for the last time.
    pub(super) fn may_end(&mut self) -> bool {
        if matches!(self.departure, Departure::Withdrawing(_)) && self.engine.has_departed() {
            self.departure = Departure::Over { at_once: false };
        }
        matches!(self.departure, Departure::Over { .. })
    }

    /// Only what writes is waited for: a reading that is cut short leaves nothing behind.
    pub(super) async fn stop(mut self, mut signals: Signals) {
        let is_stopping = self.engine.is_stopping();
        if !is_stopping {
            self.notifier.stopping("stopping; record sets stay as they are");
        }
        let patience = match self.departure {
            Departure::Over { at_once: true } => Duration::ZERO,
            _ => FINISH_PATIENCE,
        };
        let asked_again = async { while matches!(signals.next().await, Wish::Reload) {} };
        tokio::select! {
            biased;
            () = asked_again => {}
            () = sleep(patience) => {}
            () = async {
                while let Some(done) = self.writes.join_next().await {
                    if let Ok(event) = done {
                        self.engine.handle(event, clock::now());
                    }
                }
            } => {}
        }
        self.engine.take_notices().iter().for_each(log::notice);
        if !self.writes.is_empty() {
            tracing::warn!("a change was still on its way; what became of it is looked up at the next start");
        }
        if is_stopping {
            let outcome = format!("stopped with the system; {}", outcome(&self.engine));
            tracing::info!("{outcome}");
            self.notifier.status(&outcome);
        }
    }
}

/// What has become of the record sets, on one line: which are out of DNS, and which are not and why.
fn outcome(engine: &Engine) -> String {
    let report = engine.report();
    let (out, left): (Vec<_>, Vec<_>) =
        report.records.iter().partition(|record| record.actual == Observed::Known(None));
    let name = |record: &RecordReport| format!("{} {}", record.name, record.rtype);
    let out: Vec<_> = out.into_iter().map(name).collect();
    let left: Vec<_> =
        left.into_iter().map(|record| format!("{} ({})", name(record), why_left(engine, record))).collect();
    let part = |what: &str, which: &[String]| (!which.is_empty()).then(|| format!("{what}: {}", which.join(", ")));
    [part("out of DNS", &out), part("not withdrawn", &left)].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn why_left(engine: &Engine, record: &RecordReport) -> String {
    if !engine.is_leaving(&record.zone, &record.name) {
        return "signals.stopping = \"ignore\"".to_owned();
    }
    match (&record.intent, &record.last_error) {
        (Intent::Hold(reason), _) | (Intent::Preserve(reason), None) => reason.to_string(),
        (_, Some(error)) => error.error.to_string().replace('\n', "; "),
        (_, None) => "Route 53 has not answered in time".to_owned(),
    }
}
