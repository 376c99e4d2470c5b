//! One rate for all requests of the process.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// A token bucket: `burst` requests at once, then a steady rate, in the order they were asked for.
///
/// Route 53 counts requests per account, so every node, every Terraform run and the console draw
/// on one budget; a node that takes little leaves room for the others. A request that has to wait
/// waits a random part of one interval longer, so that nodes which start together drift apart.
/// Clones share the bucket.
#[derive(Clone)]
pub struct Limiter {
    bucket: Arc<Mutex<Bucket>>,
}

impl Limiter {
    /// A full bucket. An infinite rate is no limit; one that is not a positive number counts as one
    /// request per second. A burst of 0 counts as 1.
    pub fn new(requests_per_second: f64, burst: u32) -> Self {
        let interval = Duration::try_from_secs_f64(1.0 / requests_per_second).unwrap_or(Duration::from_secs(1));
        let tolerance = interval.saturating_mul(burst.saturating_sub(1));
        Limiter { bucket: Arc::new(Mutex::new(Bucket { interval, tolerance, drained_at: None })) }
    }

    /// Waits for a token. A caller that gives up while it waits has spent its token.
    pub async fn acquire(&self) {
        let now = Instant::now();
        let slot = self.bucket.lock().unwrap_or_else(PoisonError::into_inner).reserve(now, fastrand::f64());
        if slot > now {
            sleep_until(slot).await;
        }
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").finish_non_exhaustive()
    }
}

/// The generic cell rate algorithm (ITU-T I.371): a token bucket that is one point in time.
#[derive(Debug)]
struct Bucket {
    /// Time between two requests at the steady rate.
    interval: Duration,
    /// How far ahead of the steady rate a burst may run.
    tolerance: Duration,
    /// When every token handed out so far will have been earned; `None` before the first.
    drained_at: Option<Instant>,
}

impl Bucket {
    /// When the request asked for at `now` may go. `jitter` is in 0..1.
    ///
    /// Slots of waiting requests are one interval apart and jitter is less than an interval, so a
    /// later request never overtakes an earlier one.
    fn reserve(&mut self, now: Instant, jitter: f64) -> Instant {
        let earned = self.drained_at.map_or(now, |at| at.max(now));
        self.drained_at = Some(earned + self.interval);
        let wait = earned.saturating_duration_since(now + self.tolerance);
        if wait.is_zero() { now } else { now + wait + self.interval.mul_f64(jitter) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(rate: f64, burst: u32) -> Bucket {
        let limiter = Limiter::new(rate, burst);
        Arc::into_inner(limiter.bucket).expect("one owner").into_inner().expect("not poisoned")
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let (mut bucket, start) = (bucket(10.0, 5), Instant::now());
        let slots: Vec<u128> = (0..8).map(|_| (bucket.reserve(start, 0.0) - start).as_millis()).collect();
        assert_eq!(slots, [0, 0, 0, 0, 0, 100, 200, 300]);
    }

    #[test]
    fn an_idle_bucket_fills_up_to_the_burst_and_no_further() {
        let (mut bucket, start) = (bucket(10.0, 3), Instant::now());
        for _ in 0..5 {
            bucket.reserve(start, 0.0);
        }
        let later = start + Duration::from_secs(3600);
        let slots: Vec<u128> = (0..5).map(|_| (bucket.reserve(later, 0.0) - later).as_millis()).collect();
        assert_eq!(slots, [0, 0, 0, 100, 200]);
    }

    #[test]
    fn jitter_never_reorders_nor_exceeds_the_rate() {
        let mut random = fastrand::Rng::with_seed(7);
        let (mut bucket, start) = (bucket(20.0, 4), Instant::now());
        let slots: Vec<Instant> = (0..200).map(|_| bucket.reserve(start, random.f64())).collect();
        assert!(slots.is_sorted());
        for (index, slot) in slots.iter().enumerate() {
            let earned = 4.0 + (*slot - start).as_secs_f64() * 20.0;
            assert!((index as f64) < earned + 1e-6, "request {index} went after {:?}", *slot - start);
        }
        assert!(slots[199] - start < Duration::from_millis(50 * 197));
    }

    #[test]
    fn a_senseless_rate_is_a_slow_one() {
        for rate in [0.0, -1.0, f64::NAN] {
            assert_eq!(bucket(rate, 0).interval, Duration::from_secs(1), "{rate}");
        }
    }

    #[tokio::test]
    async fn waiting_requests_go_in_the_order_they_were_asked_for() {
        let limiter = Limiter::new(200.0, 1);
        let order = Mutex::new(Vec::new());
        let start = Instant::now();
        futures::future::join_all((0..6).map(|number| {
            let (limiter, order) = (limiter.clone(), &order);
            async move {
                limiter.acquire().await;
                order.lock().expect("not poisoned").push(number);
            }
        }))
        .await;
        assert_eq!(*order.lock().expect("not poisoned"), [0, 1, 2, 3, 4, 5]);
        assert!(start.elapsed() >= Duration::from_millis(25));
    }
}
