//! What has happened since the start, counted as it happens.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, HistogramVec};
use tokio::sync::Notify;

use crate::control::protocol::RecordStatus;
use crate::decide::engine::Notice;
use crate::decide::provider::ErrorKind;
use crate::decide::record::Action;
use crate::metrics::definitions::{CHANGE_IN_SYNC, Definition, REQUEST_SECONDS};

/// The word for a request that succeeded.
const OK: &str = "ok";

/// In seconds. Route 53 answers within a tenth as a rule; a request is given up after ten unless
/// `route53.attempt_timeout` says otherwise.
const REQUEST_BUCKETS: [f64; 9] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// In seconds. Route 53 promises a minute, and takes longer now and then.
const IN_SYNC_BUCKETS: [f64; 10] = [1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// One (record, type), as a status names it: the configured zone, the name and the type.
type Record = (String, String, String);

/// The counts. They only grow, and nobody waits for them.
#[derive(Debug)]
pub struct Counts {
    request_seconds: HistogramVec,
    in_sync: Histogram,
    tally: Mutex<Tally>,
    /// Told of everything that is counted.
    news: Notify,
}

/// What no histogram counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    /// Changes that Route 53 has accepted.
    pub changes: BTreeMap<&'static str, u64>,
    /// By operation and result.
    pub requests: BTreeMap<(&'static str, &'static str), u64>,
    /// When a request last succeeded.
    pub last_success: Option<Timestamp>,
    /// Record sets of dead nodes that were removed.
    pub removed: u64,
    /// How often somebody else had changed a record set.
    pub drift: BTreeMap<Record, u64>,
}

impl Tally {
    /// How often somebody else had changed this record set.
    pub fn drift_of(&self, record: &RecordStatus) -> u64 {
        let record = (record.zone.clone(), record.name.clone(), record.rtype.clone());
        self.drift.get(&record).copied().unwrap_or_default()
    }
}

impl Counts {
    /// Nothing yet.
    ///
    /// # Errors
    /// When the definitions are not what Prometheus allows, which the tests rule out.
    pub fn new() -> Result<Self, prometheus::Error> {
        let opts = |metric: Definition, buckets: &[f64]| {
            HistogramOpts::new(metric.name, metric.help).buckets(buckets.to_vec())
        };
        // Those that are told from the beginning: what appears with a 1 has not grown for whoever looks.
        let changes = [Action::Create, Action::Upsert, Action::Delete].map(|action| (word(action), 0)).into();
        Ok(Counts {
            request_seconds: HistogramVec::new(opts(REQUEST_SECONDS, &REQUEST_BUCKETS), REQUEST_SECONDS.labels)?,
            in_sync: Histogram::with_opts(opts(CHANGE_IN_SYNC, &IN_SYNC_BUCKETS))?,
            tally: Mutex::new(Tally { changes, ..Tally::default() }),
            news: Notify::new(),
        })
    }

    /// Counts what the engine tells of.
    pub fn notice(&self, notice: &Notice) {
        match notice {
            Notice::Applied { changes, .. } => {
                let mut tally = self.lock();
                for (action, ..) in changes {
                    *tally.changes.entry(word(*action)).or_default() += 1;
                }
            }
            Notice::InSync { took, .. } => self.in_sync.observe(took.as_secs_f64()),
            Notice::Drift { target, rtype, .. } => {
                let record = (target.zone.to_string(), target.name.to_string(), rtype.to_string());
                *self.lock().drift.entry(record).or_default() += 1;
            }
            Notice::Removed { .. } => self.lock().removed += 1,
            Notice::Intent { .. }
            | Notice::TtlAdopted { .. }
            | Notice::Failed { .. }
            | Notice::Recovered { .. }
            | Notice::AnnotationMistaken { .. }
            | Notice::DrainEnded
            | Notice::HealthCheckCreated { .. }
            | Notice::HealthCheckDeleted { .. }
            | Notice::HealthCheckDrift { .. }
            | Notice::Survivors(_)
            | Notice::DeadKept { .. }
            | Notice::Unmanaged { .. } => return,
        }
        self.news.notify_one();
    }

    /// Counts a request to Route 53: which, what became of it `at` what time, and how long it took.
    pub fn request(&self, operation: &'static str, result: Result<(), ErrorKind>, took: Duration, at: Timestamp) {
        if let Ok(seconds) = self.request_seconds.get_metric_with_label_values(&[operation]) {
            seconds.observe(took.as_secs_f64());
        }
        let mut tally = self.lock();
        for kind in ErrorKind::ALL {
            tally.requests.entry((operation, kind.as_str())).or_default();
        }
        *tally.requests.entry((operation, result.map_or_else(ErrorKind::as_str, |()| OK))).or_default() += 1;
        if result.is_ok() {
            tally.last_success = Some(at);
        }
        drop(tally);
        self.news.notify_one();
    }

    /// Waits until something is counted that was not when this was last waited for. For one to wait.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    pub(super) fn tally(&self) -> Tally {
        self.lock().clone()
    }

    pub(super) fn histograms(&self) -> Vec<MetricFamily> {
        [self.in_sync.collect(), self.request_seconds.collect()].concat()
    }

    /// A count is never half done, so whoever has panicked has left nothing behind.
    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In lower case, as labels are.
fn word(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Upsert => "upsert",
        Action::Delete => "delete",
    }
}
