//! Never empty: what a withdrawal must carry so that it cannot take a pool below its minimum.

use crate::decide::name::DnsName;
use crate::decide::owner::{OwnerId, SetIdentifier};
use crate::decide::reason::Reason;
use crate::decide::record::{Action, Change, Pool, RecordSet, RecordType, Target};

/// The batch that withdraws `own` from `pool`, or the reason why it must stay.
///
/// The batch also deletes and re-creates, byte for byte, as many other record sets as `keep_min`
/// asks for: the witnesses. Route 53 applies a batch whole or not at all and a deletion only if
/// every field still matches, so the service itself refuses the withdrawal when a witness has left
/// in the meantime. However many nodes withdraw at one moment, the pool keeps `keep_min` record sets.
///
/// A witness may also be one that Route 53 does not take again as it is, for example because its
/// health check has been deleted. So who has failed more than once in a row (`failures`), although
/// it decided anew, leans on others each time.
///
/// # Errors
/// [`Reason::KeepMin`] when the pool, as listed, has too few others.
pub fn withdrawal(
    name: &DnsName,
    rtype: RecordType,
    pool: &Pool,
    own: &RecordSet,
    owner: &OwnerId,
    keep_min: u32,
    failures: u32,
) -> Result<Vec<Change>, Reason> {
    let change = |action, set: &RecordSet| Change { action, name: name.clone(), rtype, set: set.clone() };
    let wanted = usize::try_from(keep_min).unwrap_or(usize::MAX);
    let mut candidates = candidates(pool, own, owner);
    if candidates.len() < wanted {
        return Err(Reason::KeepMin(keep_min));
    }
    take_turns(&mut candidates, failures);
    let mut batch = vec![change(Action::Delete, own)];
    for witness in candidates.into_iter().take(wanted) {
        batch.push(change(Action::Delete, witness));
        batch.push(change(Action::Create, witness));
    }
    Ok(batch)
}

/// After more than one failure in a row, others come first each time.
pub fn take_turns<T>(candidates: &mut [T], failures: u32) {
    let turn = usize::try_from(failures.saturating_sub(1)).unwrap_or(0);
    let turn = turn.checked_rem(candidates.len()).unwrap_or(0);
    candidates.rotate_left(turn);
}

/// What so many refusals count as for [`take_turns`] where a person waits: others come first at once.
pub fn failures_after(refusals: u32) -> u32 {
    if refusals == 0 { 0 } else { refusals.saturating_add(1) }
}

/// The record sets other than `own` that may be witnesses: siblings of the same cluster first, and
/// among equals the ones that follow `own` in the pool's order, so that nodes which withdraw
/// together lean on different witnesses.
fn candidates<'a>(pool: &'a Pool, own: &RecordSet, owner: &OwnerId) -> Vec<&'a RecordSet> {
    let is_sibling = |identifier: &Option<SetIdentifier>| {
        identifier.as_ref().and_then(OwnerId::parse).is_some_and(|other| other.cluster() == owner.cluster())
    };
    let mut candidates: Vec<_> = pool
        .iter()
        .filter(|(identifier, set)| {
            // What a traffic policy instance made cannot be created by a change batch.
            **identifier != own.set_identifier && !matches!(set.target, Target::TrafficPolicyInstance(_))
        })
        .collect();
    candidates.sort_by_key(|(identifier, _)| (!is_sibling(identifier), **identifier < own.set_identifier));
    candidates.into_iter().map(|(_, set)| set).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::record::Value;
    use crate::decide::routing::Routing;
    use std::collections::BTreeSet;

    fn set(identifier: &str) -> RecordSet {
        RecordSet {
            set_identifier: Some(SetIdentifier(identifier.to_owned())),
            routing: Routing::Weighted(10),
            target: Target::Values { ttl: 60, values: BTreeSet::from([Value::new("198.18.0.1")]) },
            health_check_id: None,
        }
    }

    fn pool(identifiers: &[&str]) -> Pool {
        identifiers.iter().map(|identifier| (Some(SetIdentifier((*identifier).to_owned())), set(identifier))).collect()
    }

    fn batch(others: &[&str], keep_min: u32) -> Result<Vec<(Action, String)>, Reason> {
        batch_after(0, others, keep_min)
    }

    fn batch_after(failures: u32, others: &[&str], keep_min: u32) -> Result<Vec<(Action, String)>, Reason> {
        let owner = OwnerId::new("home", "m").expect("valid");
        let own = set("nodedns/v1/home/m");
        let mut pool = pool(others);
        pool.insert(own.set_identifier.clone(), own.clone());
        let name = DnsName::parse("edge.example.com").expect("valid");
        withdrawal(&name, RecordType::A, &pool, &own, &owner, keep_min, failures).map(|changes| {
            changes.into_iter().map(|c| (c.action, c.set.set_identifier.map(|id| id.0).unwrap_or_default())).collect()
        })
    }

    #[test]
    fn the_last_one_stays() {
        assert_eq!(batch(&[], 1), Err(Reason::KeepMin(1)));
        assert_eq!(batch(&["nodedns/v1/home/a"], 2), Err(Reason::KeepMin(2)));
    }

    #[test]
    fn keep_min_zero_needs_no_witness() {
        assert_eq!(batch(&[], 0), Ok(vec![(Action::Delete, "nodedns/v1/home/m".into())]));
    }

    #[test]
    fn who_keeps_failing_leans_on_others() {
        let others = ["nodedns/v1/home/x", "nodedns/v1/home/z", "other"];
        let witnesses = |failures, keep_min: usize| -> Vec<String> {
            let minimum = u32::try_from(keep_min).expect("small");
            let changes = batch_after(failures, &others, minimum).expect("enough others");
            changes.into_iter().skip(1).step_by(2).map(|(_, identifier)| identifier).collect()
        };
        let [x, z, other] = others;
        assert_eq!([0, 1, 2, 3, 4].map(|failures| witnesses(failures, 1)), [[x], [x], [z], [other], [x]]);
        assert_eq!([0, 1, 2, 3].map(|failures| witnesses(failures, 2)), [[x, z], [x, z], [z, other], [other, x]]);
        assert_eq!(witnesses(7, 0), [""; 0]);
    }

    #[test]
    fn what_no_batch_can_create_is_no_witness() {
        let owner = OwnerId::new("home", "m").expect("valid");
        let own = set("nodedns/v1/home/m");
        let made = RecordSet { target: Target::TrafficPolicyInstance("tpi-1".into()), ..set("made") };
        let pool: Pool = [own.clone(), made].into_iter().map(|set| (set.set_identifier.clone(), set)).collect();
        let name = DnsName::parse("edge.example.com").expect("valid");
        assert_eq!(withdrawal(&name, RecordType::A, &pool, &own, &owner, 1, 0), Err(Reason::KeepMin(1)));
    }

    #[test]
    fn witnesses_are_siblings_first_and_then_whoever_follows() {
        let own = "nodedns/v1/home/m".to_owned();
        let witnessed = |others: &[&str], keep_min| {
            let mut changes = batch(others, keep_min).expect("enough others");
            assert_eq!(changes.remove(0), (Action::Delete, own.clone()));
            changes.chunks(2).for_each(|pair| {
                assert_eq!((pair[0].0, pair[1].0), (Action::Delete, Action::Create));
                assert_eq!(pair[0].1, pair[1].1);
            });
            changes.into_iter().step_by(2).map(|(_, identifier)| identifier).collect::<Vec<_>>()
        };
        assert_eq!(witnessed(&["nodedns/v1/home/a", "nodedns/v1/home/z"], 1), ["nodedns/v1/home/z"]);
        assert_eq!(witnessed(&["nodedns/v1/home/a", "other"], 1), ["nodedns/v1/home/a"]);
        assert_eq!(
            witnessed(&["nodedns/v1/homely/z", "nodedns/v1/home/a"], 2),
            ["nodedns/v1/home/a", "nodedns/v1/homely/z"]
        );
    }
}
