//! The two request-rate limits that have been documented, and the one on changes.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::model::Operation;
use crate::options::{Options, Throttle, Throughput};

/// The state of all limits. Time is the caller's, and must not run backwards.
#[derive(Debug, Default)]
pub struct Limiter {
    model: Option<Throttle>,
    recent: VecDeque<Instant>,
    account: Option<Bucket>,
    actions: BTreeMap<Operation, Bucket>,
    changes: Option<(Throughput, Bucket)>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    burst: f64,
    rate: f64,
    at: Instant,
}

impl Bucket {
    fn full(burst: f64, rate: f64, now: Instant) -> Self {
        Self { tokens: burst, burst, rate, at: now }
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.rate).min(self.burst);
        self.at = now;
    }
}

/// The bucket of the account, and of every action that has none of its own.
const ORDINARY: (f64, f64) = (50.0, 10.0);

/// Capacity and tokens a second of an action's own bucket.
fn action_bucket(operation: Operation) -> (f64, f64) {
    match operation {
        Operation::CreateHostedZone => (40.0, 2.0),
        Operation::DeleteHostedZone => (40.0, 5.0),
        Operation::CreateHealthCheck => (50.0, 0.5),
        Operation::DeleteHealthCheck => (15.0, 3.0),
        Operation::GetHealthCheckStatus | Operation::GetHealthCheckLastFailureReason => (4.0, 1.0),
        _ => ORDINARY,
    }
}

impl Limiter {
    /// Whether a request may pass; one that may not takes nothing from any bucket.
    pub fn admit(&mut self, options: &Options, operation: Operation, now: Instant) -> bool {
        if operation == Operation::GetCallerIdentity {
            return true;
        }
        if self.model != Some(options.throttle) {
            *self = Self { model: Some(options.throttle), changes: self.changes, ..Self::default() };
        }
        match options.throttle {
            Throttle::Off => true,
            Throttle::Legacy => self.admit_legacy(now),
            Throttle::TokenBucket => self.admit_bucket(ORDINARY, operation, now),
            Throttle::Account { burst, rate } => self.admit_bucket((burst, rate), operation, now),
        }
    }

    fn admit_legacy(&mut self, now: Instant) -> bool {
        while self.recent.front().is_some_and(|at| now.saturating_duration_since(*at) >= Duration::from_secs(1)) {
            self.recent.pop_front();
        }
        let admitted = self.recent.len() < 5;
        if admitted {
            self.recent.push_back(now);
        }
        admitted
    }

    fn admit_bucket(&mut self, account: (f64, f64), operation: Operation, now: Instant) -> bool {
        let own = action_bucket(operation);
        // Behind the usual bucket of an action, a larger one for the account would never be reached.
        let own = if own == ORDINARY { (own.0.max(account.0), own.1.max(account.1)) } else { own };
        let account = self.account.get_or_insert_with(|| Bucket::full(account.0, account.1, now));
        let action = self.actions.entry(operation).or_insert_with(|| Bucket::full(own.0, own.1, now));
        account.refill(now);
        action.refill(now);
        let admitted = account.tokens >= 1.0 && action.tokens >= 1.0;
        if admitted {
            account.tokens -= 1.0;
            action.tokens -= 1.0;
        }
        admitted
    }

    /// Whether so many single changes may pass.
    pub fn admit_changes(&mut self, options: &Options, count: usize, now: Instant) -> bool {
        let Some(limit) = options.change_throughput else {
            self.changes = None;
            return true;
        };
        if self.changes.is_none_or(|(known, _)| known != limit) {
            self.changes = Some((limit, Bucket::full(limit.burst, limit.rate, now)));
        }
        let Some((_, bucket)) = &mut self.changes else {
            return true;
        };
        bucket.refill(now);
        let count = u32::try_from(count).map_or(f64::INFINITY, f64::from);
        let admitted = bucket.tokens >= count;
        if admitted {
            bucket.tokens -= count;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `count` requests pass when all come at one moment.
    fn burst(limiter: &mut Limiter, options: &Options, operation: Operation, count: usize, at: Instant) -> usize {
        (0..count).filter(|_| limiter.admit(options, operation, at)).count()
    }

    #[test]
    fn legacy_is_five_in_any_second() {
        let options = Options { throttle: Throttle::Legacy, ..Options::default() };
        let (mut limiter, start) = (Limiter::default(), Instant::now());
        assert_eq!(burst(&mut limiter, &options, Operation::GetChange, 20, start), 5);
        assert_eq!(burst(&mut limiter, &options, Operation::GetChange, 20, start + Duration::from_millis(999)), 0);
        assert_eq!(burst(&mut limiter, &options, Operation::ListHostedZones, 20, start + Duration::from_secs(1)), 5);
    }

    #[test]
    fn the_account_bucket_is_shared_and_an_action_has_its_own() {
        let options = Options { throttle: Throttle::TokenBucket, ..Options::default() };
        let (mut limiter, start) = (Limiter::default(), Instant::now());
        assert_eq!(burst(&mut limiter, &options, Operation::GetHealthCheckStatus, 10, start), 4);
        assert_eq!(burst(&mut limiter, &options, Operation::ChangeResourceRecordSets, 100, start), 46);
        let later = start + Duration::from_secs(1);
        assert_eq!(burst(&mut limiter, &options, Operation::GetHealthCheckStatus, 10, later), 1);
        assert_eq!(burst(&mut limiter, &options, Operation::ChangeResourceRecordSets, 100, later), 9);
        assert_eq!(burst(&mut limiter, &options, Operation::GetCallerIdentity, 100, later), 100);
    }

    #[test]
    fn health_checks_are_created_slowly() {
        let options = Options { throttle: Throttle::TokenBucket, ..Options::default() };
        let (mut limiter, start) = (Limiter::default(), Instant::now());
        assert_eq!(burst(&mut limiter, &options, Operation::CreateHealthCheck, 100, start), 50);
        let later = start + Duration::from_secs(10);
        assert_eq!(burst(&mut limiter, &options, Operation::CreateHealthCheck, 100, later), 5);
    }

    #[test]
    fn changes_are_counted_one_by_one() {
        let limit = Throughput { burst: 10.0, rate: 5.0 };
        let options = Options { change_throughput: Some(limit), ..Options::default() };
        let (mut limiter, start) = (Limiter::default(), Instant::now());
        assert!(limiter.admit_changes(&options, 8, start));
        assert!(!limiter.admit_changes(&options, 3, start));
        assert!(limiter.admit_changes(&options, 2, start));
        assert!(limiter.admit_changes(&options, 5, start + Duration::from_secs(1)));
    }
}
