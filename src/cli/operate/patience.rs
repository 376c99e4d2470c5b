//! A few more tries of what was certainly not carried out.

use std::time::Duration;

use crate::decide::provider::{ErrorKind, ProviderError};

/// How often something is tried.
pub(super) const ATTEMPTS: u32 = 6;

/// The most that is waited after the first failure; twice as much after each further one.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The most that is ever waited.
const LAST_WAIT: Duration = Duration::from_secs(10);

/// Whether the request was certainly not carried out, and may be carried out a moment later.
pub(super) fn may_pass(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::Throttled | ErrorKind::Busy | ErrorKind::Unavailable => true,
        ErrorKind::Denied
        | ErrorKind::Credentials
        | ErrorKind::NoSuchZone
        | ErrorKind::Refused
        | ErrorKind::Unconfirmed => false,
    }
}

/// Waits after so many failures: a random part of what doubles each time (full jitter), so that those who
/// failed together do not come back together.
pub(super) async fn wait(failures: u32) {
    let most = FIRST_WAIT.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1))).min(LAST_WAIT);
    tokio::time::sleep(most.mul_f64(fastrand::f64())).await;
}

/// Reads something, and again a few times after a failure that may pass.
///
/// # Errors
/// The last one.
pub async fn patiently<T>(read: impl AsyncFn() -> Result<T, ProviderError>) -> Result<T, ProviderError> {
    patiently_while(|error| may_pass(error.kind), read).await
}

/// The same, after those failures alone that `may_pass`.
///
/// # Errors
/// The last one.
pub async fn patiently_while<T>(
    may_pass: impl Fn(&ProviderError) -> bool,
    read: impl AsyncFn() -> Result<T, ProviderError>,
) -> Result<T, ProviderError> {
    let mut failures = 0;
    loop {
        match read().await {
            Err(error) if may_pass(&error) && failures + 1 < ATTEMPTS => failures += 1,
            result => return result,
        }
        wait(failures).await;
    }
}
