//! What the engine wants done, as tasks that only send back what came of it.

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::daemon::Daemon;
use crate::decide::engine::{Effect, Event};
use crate::decide::health_check::CheckRequest;
use crate::decide::observed::Observed;
use crate::decide::provider::{ErrorKind, ProviderError};
use crate::decide::survivors::REMOVAL_TIMEOUT;
use crate::publish::Provider;

impl Daemon {
    pub(super) fn carry_out(&mut self, effect: Effect) {
        let provider = self.provider.clone();
        match effect {
            Effect::ReadAddresses => {
                if self.address_requests.send(()).is_err() {
                    tracing::debug!("the watcher of the addresses is gone");
                }
            }
            Effect::ReadCluster => {
                let (reader, answer) = oneshot::channel();
                // Dropped where nobody reads, which the answer then says.
                let _ = self.cluster_readers.send(reader);
                self.reads.spawn(async move { Event::ClusterRead(answer.await.unwrap_or(Observed::Unknown)) });
            }
            Effect::List(target) => {
                self.reads.spawn(async move {
                    let result = provider.list(&target.zone, &target.name).await;
                    Event::Listed(target, result)
                });
            }
            Effect::Apply(target, changes) => {
                self.writes.spawn(async move {
                    let result = provider.apply(&target.zone, &changes).await;
                    Event::Applied(target, result)
                });
            }
            Effect::Remove(target, changes) => {
                self.writes.spawn(async move {
                    // Dropped while it waits for the limiter, it is never sent.
                    let sent = timeout(REMOVAL_TIMEOUT, provider.apply(&target.zone, &changes)).await;
                    Event::Applied(target, sent.unwrap_or_else(|_| Err(given_up())))
                });
            }
            Effect::HealthCheck(CheckRequest::List) => {
                self.reads.spawn(async move { Event::HealthCheck(provider.carry_out(CheckRequest::List).await) });
            }
            // Waited for when stopping, as all that writes: the less is left behind, the better.
            Effect::HealthCheck(request @ (CheckRequest::Create(_) | CheckRequest::Delete(_))) => {
                self.writes.spawn(async move { Event::HealthCheck(provider.carry_out(request).await) });
            }
            Effect::ChangeStatus(id) => {
                self.reads.spawn(async move {
                    let result = provider.change_status(&id).await;
                    Event::ChangeStatus(id, result)
                });
            }
        }
    }
}

/// A removal has waited for too long. It may have been sent.
fn given_up() -> ProviderError {
    let message = format!("gave up after {} s, as what it was decided on is too old", REMOVAL_TIMEOUT.as_secs());
    ProviderError { kind: ErrorKind::Unconfirmed, code: None, message }
}
