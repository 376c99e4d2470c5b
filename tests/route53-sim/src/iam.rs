//! What the caller may do: as much of IAM as Route 53's own condition keys need.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::model::{ApiError, ChangeBatch, Operation};
use crate::name;

/// The condition of a policy that allows ChangeResourceRecordSets: `ForAllValues:StringEquals` with the keys
/// `route53:ChangeResourceRecordSetsNormalizedRecordNames`, `...RecordTypes` and `...Actions`. An empty set is no
/// condition.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChangeConditions {
    /// Names as IAM normalises them: lower case, no trailing dot, other octets as `\ooo`.
    pub names: BTreeSet<String>,
    /// Types, in upper case.
    pub types: BTreeSet<String>,
    /// Actions, in upper case.
    pub actions: BTreeSet<String>,
}

impl ChangeConditions {
    /// Whether every change of a batch meets every condition.
    #[must_use]
    pub fn admit(&self, batch: &ChangeBatch) -> bool {
        batch.changes.iter().all(|change| {
            let set = &change.record_set;
            let stored = name::normalize(&set.name).unwrap_or_else(|_| set.name.clone());
            let admits = |allowed: &BTreeSet<String>, value: &str| allowed.is_empty() || allowed.contains(value);
            admits(&self.names, stored.strip_suffix('.').unwrap_or(&stored))
                && admits(&self.types, &set.rtype.to_ascii_uppercase())
                && admits(&self.actions, &change.action.to_string())
        })
    }
}

/// Whether the caller may use an operation. A body that is none has nothing in it that a condition could be about.
///
/// # Errors
/// AccessDenied.
pub(crate) fn authorize(
    account: &Account,
    operation: Operation,
    resource: Option<&str>,
    batch: Option<&Result<ChangeBatch, ApiError>>,
) -> Result<(), ApiError> {
    let options = &account.options;
    let refused = match (&options.change_conditions, batch) {
        (Some(conditions), Some(Ok(batch))) => !conditions.admit(batch),
        _ => false,
    };
    if refused || options.denied_operations.contains(&operation) {
        return Err(account.access_denied(operation, resource));
    }
    Ok(())
}
