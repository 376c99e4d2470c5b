//! What is worth telling the operator, as values.

use std::net::IpAddr;
use std::time::Duration;

use crate::decide::annotation::Mistake;
use crate::decide::engine::Target;
use crate::decide::health_check::CheckSpec;
use crate::decide::owner::SetIdentifier;
use crate::decide::provider::{ChangeId, ProviderError};
use crate::decide::reason::Reason;
use crate::decide::record::{Action, RecordType};
use crate::decide::survivors::Outlook;

/// Something that happened in the engine and that a log should show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// What we want for a (record, type) has changed, or why we want it.
    Intent {
        /// The name and its zone.
        target: Target,
        /// The type.
        rtype: RecordType,
        /// `publish`, `withdraw`, `hold` or `preserve`.
        intent: &'static str,
        /// Why.
        reason: Reason,
        /// What we would publish.
        desired: Vec<IpAddr>,
    },
    /// The pool's TTL was adopted in place of the configured one.
    TtlAdopted {
        /// The name and its zone.
        target: Target,
        /// The type.
        rtype: RecordType,
        /// The configured TTL, in seconds.
        configured: u32,
        /// The pool's TTL, in seconds.
        pool: u32,
    },
    /// Route 53 accepted a batch.
    Applied {
        /// The name and its zone.
        target: Target,
        /// What it did, to which type and with which addresses; witnesses left out.
        changes: Vec<(Action, RecordType, Vec<IpAddr>)>,
        /// The change's id.
        id: ChangeId,
    },
    /// An accepted change is on every authoritative server.
    InSync {
        /// The name and its zone.
        target: Target,
        /// The change's id.
        id: ChangeId,
        /// From acceptance to the answer that said so.
        took: Duration,
    },
    /// Somebody else changed or deleted our record set.
    Drift {
        /// The name and its zone.
        target: Target,
        /// The type.
        rtype: RecordType,
        /// What we left there.
        expected: Vec<IpAddr>,
        /// What is there; empty when the record set is gone.
        found: Vec<IpAddr>,
    },
    /// A request failed and will be tried again.
    Failed {
        /// The name and its zone.
        target: Target,
        /// What was tried: `list`, `change`, `change status`, `removal of dead nodes`, or `list`, `create`
        /// or `delete` of a health check.
        operation: &'static str,
        /// What went wrong.
        error: ProviderError,
        /// How long until the next try.
        retry_in: Duration,
    },
    /// Requests work again after having failed.
    Recovered {
        /// The name and its zone.
        target: Target,
        /// How many tries had failed.
        failures: u32,
    },
    /// An annotation of the Node says what cannot be.
    AnnotationMistaken {
        /// Which, what, and what counts instead.
        mistake: Mistake,
    },
    /// The time that the operator gave a drain is over.
    DrainEnded,
    /// A health check was created for our record set.
    HealthCheckCreated {
        /// The name and its zone.
        target: Target,
        /// The type.
        rtype: RecordType,
        /// Its id.
        id: String,
        /// What it asks.
        spec: CheckSpec,
    },
    /// A health check of ours was deleted, as nothing referred to it any more.
    HealthCheckDeleted {
        /// The name and its zone.
        target: Target,
        /// The type.
        rtype: RecordType,
        /// Its id.
        id: String,
    },
    /// Somebody else edited or deleted the health check of our record set.
    HealthCheckDrift {
        /// The name and its zone.
        target: Target,
        /// The type.
        rtype: RecordType,
        /// Its id.
        id: String,
        /// Whether it is gone.
        gone: bool,
    },
    /// Whether dead siblings may be removed has changed, or why not.
    Survivors(Outlook),
    /// A record set of a dead sibling was removed.
    Removed {
        /// The name and its zone.
        target: Target,
        /// The type.
        rtype: RecordType,
        /// The set identifier of what was removed.
        set_identifier: SetIdentifier,
        /// The addresses that it held.
        addresses: Vec<IpAddr>,
        /// How long its node had been seen as not Ready or gone.
        down_for: Duration,
        /// The change's id.
        id: ChangeId,
    },
    /// Record sets of dead siblings stay, as too few others are left.
    DeadKept {
        /// The name and its zone.
        target: Target,
        /// The type.
        rtype: RecordType,
        /// Why.
        reason: Reason,
    },
    /// A record is no longer configured; its record sets stay as they are.
    Unmanaged {
        /// The name and its zone.
        target: Target,
    },
}
