//! Trying rights without being able to change anything: for `nodedns check`.
//!
//! Whether an identity may change a record set can only be learnt by asking for a change. So every
//! batch that is sent from here begins with the deletion of a record set that cannot exist. Route 53
//! looks at the rights first and applies a batch whole or not at all: the answer is `AccessDenied`
//! where a right is missing, and `InvalidChangeBatch` where none is. Three things keep such a batch
//! from ever being applied, each of them enough:
//!
//! - its first change deletes what is not there: the set identifier ends in 128 random bits;
//! - its other changes are of that same record set, and more than one of them is no valid set of
//!   changes (only DELETE and then CREATE is);
//! - the deletion comes first, so that even a service that applied changes one by one would stop there.
//!
//! The price: CREATE and UPSERT are never tried without the deletion beside them, for nothing else
//! makes their refusal certain. Where deleting is denied, the other two [cannot be told](Right::NotTold).

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::name::DnsName;
use crate::decide::owner::{SET_IDENTIFIER_MAX, SetIdentifier};
use crate::decide::provider::{ChangeId, ErrorKind, ProviderError};
use crate::decide::record::{Action, Change, RecordSet, RecordType, Target, Value};
use crate::decide::routing::Routing;
use crate::publish::Provider;
use crate::publish::route53::Route53;
use crate::publish::route53::error::Request;

/// What trying has shown of one right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    /// There is.
    Allowed,
    /// There is not; in the service's words.
    Denied(String),
    /// It was not tried: the deletion that keeps a batch from being applied is denied itself.
    NotTold,
}

/// What was found out of the rights to change the record sets of one name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChangeRights {
    /// Each action with each type.
    pub found: BTreeMap<(RecordType, Action), Right>,
}

impl ChangeRights {
    /// Whether every one of them is there.
    pub fn are_all_allowed(&self) -> bool {
        self.found.values().all(|right| *right == Right::Allowed)
    }

    /// Those that are denied.
    pub fn denied(&self) -> impl Iterator<Item = (RecordType, Action)> {
        self.found.iter().filter(|(_, right)| matches!(right, Right::Denied(_))).map(|(key, _)| *key)
    }

    /// The service's words about the first that is denied.
    pub fn words(&self) -> Option<&str> {
        self.found.values().find_map(|right| match right {
            Right::Denied(words) => Some(words.as_str()),
            Right::Allowed | Right::NotTold => None,
        })
    }

    fn set(&mut self, rtype: RecordType, action: Action, right: Right) {
        self.found.insert((rtype, action), right);
    }
}

/// The actions that the daemon and the commands use, the certain refusal first.
const ACTIONS: [Action; 3] = [Action::Delete, Action::Create, Action::Upsert];

impl Route53 {
    /// Finds out whether UPSERT, CREATE and DELETE of these types are allowed at `name`, without being
    /// able to change anything. `set_identifier` says in the account's CloudTrail who has tried. One
    /// request where all is allowed, up to four more for each type where something is not.
    ///
    /// # Errors
    /// Any answer that says neither. When a batch was accepted, which cannot be, what to look for.
    pub async fn try_rights(
        &self,
        zone_id: &str,
        name: &DnsName,
        types: &BTreeSet<RecordType>,
        set_identifier: &SetIdentifier,
    ) -> Result<ChangeRights, ProviderError> {
        let mut rights = ChangeRights::default();
        let attempt = Attempt { provider: self, zone_id, name, probe: probe(set_identifier) };
        if types.is_empty() {
            return Ok(rights);
        }
        if attempt.denied(types.iter().copied(), &ACTIONS).await?.is_none() {
            types
                .iter()
                .for_each(|rtype| ACTIONS.iter().for_each(|action| rights.set(*rtype, *action, Right::Allowed)));
            return Ok(rights);
        }
        for rtype in types.iter().copied() {
            if let Some(words) = attempt.denied([rtype], &[Action::Delete]).await? {
                rights.set(rtype, Action::Delete, Right::Denied(words));
                rights.set(rtype, Action::Create, Right::NotTold);
                rights.set(rtype, Action::Upsert, Right::NotTold);
                continue;
            }
            rights.set(rtype, Action::Delete, Right::Allowed);
            for action in [Action::Create, Action::Upsert] {
                let right = attempt.denied([rtype], &[Action::Delete, action]).await?;
                rights.set(rtype, action, right.map_or(Right::Allowed, Right::Denied));
            }
        }
        if rights.are_all_allowed() {
            return Err(error(
                ErrorKind::Denied,
                format!(
                    "the actions are allowed at {name} one by one, but not in one batch\n\
                     hint: look for a condition with ForAnyValue, or a Deny, in the policies of this identity"
                ),
            ));
        }
        Ok(rights)
    }

    /// Whether `route53:GetChange` is allowed, tried with the id of a change that there has never been;
    /// the service's words if not.
    ///
    /// # Errors
    /// Any answer that says neither.
    pub async fn try_get_change(&self) -> Result<Right, ProviderError> {
        let id = ChangeId(format!("C0{:018X}", fastrand::u64(..)));
        match self.change_status(&id).await {
            // It was found, against all odds: then it may be read.
            Ok(_) => Ok(Right::Allowed),
            Err(error) => right(error, "NoSuchChange"),
        }
    }

    /// Whether `route53:ListHealthChecks` is allowed.
    ///
    /// # Errors
    /// Any answer that says neither.
    pub async fn try_list_health_checks(&self) -> Result<Right, ProviderError> {
        let answer = self.send(Request::Checks, |client| client.list_health_checks().max_items(1).send()).await;
        answer.map(|_| Right::Allowed).or_else(|error| right(error, ""))
    }
}

/// One kind of batch, which must be refused.
struct Attempt<'a> {
    provider: &'a Route53,
    zone_id: &'a str,
    name: &'a DnsName,
    probe: SetIdentifier,
}

impl Attempt<'_> {
    /// Why a batch with these actions on these types is denied; `None` where it is allowed.
    async fn denied(
        &self,
        types: impl IntoIterator<Item = RecordType>,
        actions: &[Action],
    ) -> Result<Option<String>, ProviderError> {
        let changes: Vec<Change> = types.into_iter().flat_map(|rtype| self.changes(rtype, actions)).collect();
        // Whatever is added to this file: no batch leaves it that does not begin so.
        if changes.first().is_none_or(|change| change.action != Action::Delete) {
            return Err(error(ErrorKind::Refused, "a batch to try rights with must begin with a deletion".to_owned()));
        }
        match self.provider.send_batch(Request::TryRights, self.zone_id, &changes).await {
            Ok(change) => Err(self.accepted(&change)),
            Err(error) => Ok(match right(error, "InvalidChangeBatch")? {
                Right::Denied(words) => Some(words),
                Right::Allowed | Right::NotTold => None,
            }),
        }
    }

    fn changes(&self, rtype: RecordType, actions: &[Action]) -> Vec<Change> {
        let address = match rtype {
            RecordType::A => "192.0.2.1",
            RecordType::Aaaa => "2001:db8::1",
        };
        let set = RecordSet {
            set_identifier: Some(self.probe.clone()),
            routing: Routing::Weighted(0),
            target: Target::Values { ttl: 60, values: BTreeSet::from([Value::new(address)]) },
            health_check_id: None,
        };
        let change = |action: &Action| Change { action: *action, name: self.name.clone(), rtype, set: set.clone() };
        actions.iter().map(change).collect()
    }

    fn accepted(&self, change: &ChangeId) -> ProviderError {
        let Attempt { zone_id, name, probe, .. } = self;
        error(
            ErrorKind::Unconfirmed,
            format!(
                "the service has accepted change {}, though it deletes a record set that cannot exist\n\
                 hint: this is not how Route 53 answers. Look at {name} in zone {zone_id} for record sets with the set \
                 identifier '{probe}', and delete them",
                change.0
            ),
        )
    }
}

/// The set identifier of a record set that cannot exist. It is no owner id, whatever it begins with:
/// those hold no colon.
fn probe(set_identifier: &SetIdentifier) -> SetIdentifier {
    let suffix = format!("/check:{:032x}", fastrand::u128(..));
    let kept: String = set_identifier.0.chars().take(SET_IDENTIFIER_MAX - suffix.len()).collect();
    SetIdentifier(kept + &suffix)
}

/// What an error says of a right; `refused` is the code of the refusal that comes after the rights
/// have been looked at.
fn right(error: ProviderError, refused: &str) -> Result<Right, ProviderError> {
    match error.kind {
        ErrorKind::Denied => {
            let said = error.to_string();
            Ok(Right::Denied(said.split_once("\nhint: ").map_or(said.as_str(), |(words, _)| words).to_owned()))
        }
        ErrorKind::Refused if error.code.as_deref() == Some(refused) => Ok(Right::Allowed),
        _ => Err(error),
    }
}

fn error(kind: ErrorKind, message: String) -> ProviderError {
    ProviderError { kind, code: None, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::owner::OwnerId;

    #[test]
    fn what_is_to_be_deleted_is_nobody_s_and_never_the_same() {
        let long = format!("nodedns/v1/{}/{}", "c".repeat(60), "n".repeat(57));
        for owner in ["", "nodedns/v1/home/n1", "nodedns/v1/home", "nodedns/v1", long.as_str()] {
            let (one, other) = (probe(&SetIdentifier(owner.into())), probe(&SetIdentifier(owner.into())));
            assert_ne!(one, other);
            assert!(one.0.chars().count() <= SET_IDENTIFIER_MAX, "{one}");
            assert_eq!(OwnerId::parse(&one), None, "{one}");
            let (kept, random) = one.0.split_once("/check:").expect("both parts");
            assert!(owner.starts_with(kept) && random.len() == 32, "{one}");
        }
    }
}
