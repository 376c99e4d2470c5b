//! The batch that takes dead siblings out of a pool.

use std::collections::BTreeSet;

use crate::decide::name::DnsName;
use crate::decide::owner::OwnerId;
use crate::decide::reason::Reason;
use crate::decide::record::{Action, Change, Pool, RecordSet, RecordType, Target};
use crate::decide::survivors::Ledger;

/// The batch that removes every record set of the nodes `dead` from `pool`; empty when there is none.
///
/// Each is deleted by exact match, so one that has changed since it was listed stays: its node is back.
/// Like a withdrawal ([`crate::decide::guard`]) the batch also deletes and re-creates, byte for byte, as
/// many other record sets as `keep_min` asks for: the own one first, then those of siblings that are
/// Ready, then those of which nothing is known. Never one of a node that is not Ready or gone, however
/// short that has lasted: what remains is to be alive.
///
/// # Errors
/// [`Reason::KeepMin`] when too few are left that may be.
pub fn removal(
    name: &DnsName,
    rtype: RecordType,
    pool: &Pool,
    owner: &OwnerId,
    keep_min: u32,
    dead: &BTreeSet<String>,
    ledger: &Ledger,
) -> Result<Vec<Change>, Reason> {
    // What a traffic policy instance made can be neither deleted nor created by a change batch.
    let changeable = |set: &&RecordSet| !matches!(set.target, Target::TrafficPolicyInstance(_));
    let doomed: Vec<&RecordSet> = pool
        .values()
        .filter(|set| sibling(set, owner).is_some_and(|node| dead.contains(&node)))
        .filter(changeable)
        .collect();
    if doomed.is_empty() {
        return Ok(Vec::new());
    }
    let preference = |set: &RecordSet| match sibling(set, owner) {
        _ if is_own(set, owner) => Some(0),
        Some(node) if ledger.is_ready(&node) => Some(1),
        Some(node) if dead.contains(&node) || ledger.down().contains_key(&node) => None,
        Some(_) | None => Some(2),
    };
    let mut witnesses: Vec<(u8, &RecordSet)> =
        pool.values().filter(changeable).filter_map(|set| Some((preference(set)?, set))).collect();
    witnesses.sort_by_key(|(preference, _)| *preference);
    let wanted = usize::try_from(keep_min).unwrap_or(usize::MAX);
    if witnesses.len() < wanted {
        return Err(Reason::KeepMin(keep_min));
    }
    let change = |action, set: &RecordSet| Change { action, name: name.clone(), rtype, set: set.clone() };
    let mut batch: Vec<Change> = doomed.into_iter().map(|set| change(Action::Delete, set)).collect();
    for (_, witness) in witnesses.into_iter().take(wanted) {
        batch.push(change(Action::Delete, witness));
        batch.push(change(Action::Create, witness));
    }
    Ok(batch)
}

/// The nodes of the own cluster, other than the own one, that own a record set in the pool.
pub fn owned_by(pool: &Pool, owner: &OwnerId) -> BTreeSet<String> {
    pool.values().filter_map(|set| sibling(set, owner)).collect()
}

fn is_own(set: &RecordSet, owner: &OwnerId) -> bool {
    set.set_identifier == Some(owner.set_identifier())
}

/// The node that the record set belongs to, if it is another one of the own cluster.
fn sibling(set: &RecordSet, owner: &OwnerId) -> Option<String> {
    let other = OwnerId::parse(set.set_identifier.as_ref()?)?;
    (other.cluster() == owner.cluster() && other.node() != owner.node()).then(|| other.node().to_owned())
}
