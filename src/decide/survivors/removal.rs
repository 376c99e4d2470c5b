//! The batch that takes dead siblings out of a pool.

use std::collections::BTreeSet;

use crate::decide::guard::take_turns;
use crate::decide::name::DnsName;
use crate::decide::owner::OwnerId;
use crate::decide::reason::Reason;
use crate::decide::record::{Action, Change, Pool, RecordSet, RecordType, Target};
use crate::decide::survivors::Ledger;

/// What a removal goes by.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// Who removes.
    pub owner: &'a OwnerId,
    /// How many others must remain.
    pub keep_min: u32,
    /// How many removals at the name have failed in a row.
    pub failures: u32,
    /// What is known of the nodes.
    pub ledger: &'a Ledger,
}

/// The batch that removes every record set of the nodes `dead` from `pool`; empty when there is none.
///
/// Each is deleted by exact match, so one that has changed since it was listed stays: its node is back.
/// Like a withdrawal ([`crate::decide::guard`]) the batch also deletes and re-creates, byte for byte, as
/// many other record sets as `keep_min` asks for: the own one first, then those of siblings that are
/// Ready, then those of which nothing is known. Never one of a node that is not Ready or gone, however
/// short that has lasted: what remains is to be alive. As there, who has failed more than once in a row
/// leans on others each time.
///
/// # Errors
/// [`Reason::KeepMin`] when too few are left that may be.
pub fn removal(
    name: &DnsName,
    rtype: RecordType,
    pool: &Pool,
    dead: &BTreeSet<String>,
    terms: Terms<'_>,
) -> Result<Vec<Change>, Reason> {
    let Terms { owner, keep_min, failures, ledger } = terms;
    let part = |set: &RecordSet| match sibling(set, owner) {
        _ if is_own(set, owner) => Part::Witness(0),
        Some(node) if dead.contains(&node) => Part::Goes,
        Some(node) if ledger.is_ready(&node) => Part::Witness(1),
        Some(node) if ledger.down().contains_key(&node) => Part::None,
        Some(_) | None => Part::Witness(2),
    };
    witnessed(name, rtype, pool, keep_min, failures, part)
}

/// What a record set is to a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It is deleted.
    Goes,
    /// It may be a witness, those of the lowest number first.
    Witness(u8),
    /// It is neither deleted nor leaned on: its node is not known to be alive.
    None,
}

/// The batch that removes from `pool` every record set that goes, and deletes and re-creates `keep_min` of
/// those that may be witnesses; empty when none goes.
///
/// # Errors
/// [`Reason::KeepMin`] when fewer than `keep_min` may be witnesses.
pub fn witnessed(
    name: &DnsName,
    rtype: RecordType,
    pool: &Pool,
    keep_min: u32,
    failures: u32,
    part: impl Fn(&RecordSet) -> Part,
) -> Result<Vec<Change>, Reason> {
    let (mut doomed, mut witnesses): (Vec<&RecordSet>, Vec<(u8, &RecordSet)>) = (Vec::new(), Vec::new());
    // What a traffic policy instance made can be neither deleted nor created by a change batch.
    for set in pool.values().filter(|set| !matches!(set.target, Target::TrafficPolicyInstance(_))) {
        match part(set) {
            Part::Goes => doomed.push(set),
            Part::Witness(preference) => witnesses.push((preference, set)),
            Part::None => {}
        }
    }
    if doomed.is_empty() {
        return Ok(Vec::new());
    }
    witnesses.sort_by_key(|(preference, _)| *preference);
    take_turns(&mut witnesses, failures);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::node::{Cluster, Readiness};
    use crate::decide::observed::Observed;
    use crate::decide::owner::SetIdentifier;
    use crate::decide::record::Value;
    use crate::decide::routing::Routing;
    use crate::decide::time::Moment;

    const OWN: &str = "nodedns/v1/home/me";

    fn set(identifier: &str) -> RecordSet {
        RecordSet {
            set_identifier: Some(SetIdentifier(identifier.to_owned())),
            routing: Routing::Weighted(10),
            target: Target::Values { ttl: 60, values: BTreeSet::from([Value::new("198.18.0.1")]) },
            health_check_id: Some("a-check".to_owned()),
        }
    }

    /// `me`, `up` and `up2` are Ready, `down` and `dead` are not, `gone` was seen once, and all else never.
    fn ledger() -> Ledger {
        let nodes = |names: &[(&str, bool)]| -> Observed<Cluster> {
            let readiness = |ready| if ready { Readiness::Ready } else { Readiness::NotReady(None) };
            Observed::Known(names.iter().map(|(name, ready)| ((*name).to_owned(), readiness(*ready))).collect())
        };
        let mut ledger = Ledger::default();
        ledger.update(nodes(&[("gone", true)]), Moment::default());
        let now = [("me", true), ("up", true), ("up2", true), ("down", false), ("dead", false)];
        ledger.update(nodes(&now), Moment::default());
        ledger
    }

    /// The batch for a pool of these set identifiers, where `dead` and `gone` are to go.
    fn batch(identifiers: &[&str], keep_min: u32) -> Result<Vec<(Action, String)>, Reason> {
        let pool: Pool = identifiers.iter().map(|text| (Some(SetIdentifier((*text).to_owned())), set(text))).collect();
        batch_of(&pool, keep_min)
    }

    fn batch_of(pool: &Pool, keep_min: u32) -> Result<Vec<(Action, String)>, Reason> {
        batch_after(0, pool, keep_min)
    }

    fn batch_after(failures: u32, pool: &Pool, keep_min: u32) -> Result<Vec<(Action, String)>, Reason> {
        let owner = OwnerId::new("home", "me").expect("valid");
        let name = DnsName::parse("edge.example.com").expect("valid");
        let dead = BTreeSet::from(["dead".to_owned(), "gone".to_owned()]);
        let terms = Terms { owner: &owner, keep_min, failures, ledger: &ledger() };
        let changes = removal(&name, RecordType::A, pool, &dead, terms)?;
        for change in &changes {
            assert_eq!(pool.get(&change.set.set_identifier), Some(&change.set), "byte for byte");
        }
        Ok(changes.into_iter().map(|c| (c.action, c.set.set_identifier.map(|id| id.0).unwrap_or_default())).collect())
    }

    fn delete(identifier: &str) -> (Action, String) {
        (Action::Delete, identifier.to_owned())
    }

    fn create(identifier: &str) -> (Action, String) {
        (Action::Create, identifier.to_owned())
    }

    #[test]
    fn who_keeps_failing_leans_on_others_but_never_on_the_dead() {
        let identifiers = [OWN, "nodedns/v1/home/up", "nodedns/v1/home/down", "nodedns/v1/home/dead"];
        let pool = identifiers.map(|text| (Some(SetIdentifier(text.to_owned())), set(text))).into();
        let witness = |failures| batch_after(failures, &pool, 1).map(|batch| batch[1].1.clone());
        let up = "nodedns/v1/home/up";
        let witnesses = [0, 1, 2, 3, 4].map(|failures| witness(failures).expect("enough others"));
        assert_eq!(witnesses, [OWN, OWN, up, OWN, up]);
    }

    #[test]
    fn the_dead_go_and_the_own_one_is_the_witness() {
        let pool = [OWN, "nodedns/v1/home/up", "nodedns/v1/home/dead", "nodedns/v1/home/gone"];
        let expected = vec![delete("nodedns/v1/home/dead"), delete("nodedns/v1/home/gone"), delete(OWN), create(OWN)];
        assert_eq!(batch(&pool, 1), Ok(expected));
    }

    #[test]
    fn witnesses_are_the_own_one_then_the_ready_then_the_unknown_and_never_the_down() {
        let pool = [
            OWN,
            "nodedns/v1/home/up2",
            "nodedns/v1/home/down",
            "nodedns/v1/home/dead",
            "nodedns/v1/other/x",
            "by hand",
            "nodedns/v1/home/host",
        ];
        let witnesses = |keep_min| {
            let batch = batch(&pool, keep_min)?;
            Ok(batch.into_iter().filter(|(action, _)| *action == Action::Create).map(|(_, id)| id).collect::<Vec<_>>())
        };
        let expected = [OWN, "nodedns/v1/home/up2", "by hand", "nodedns/v1/home/host", "nodedns/v1/other/x"];
        for keep_min in 0..=5u32 {
            assert_eq!(witnesses(keep_min), Ok(expected.map(str::to_owned)[..keep_min as usize].to_vec()));
        }
        assert_eq!(witnesses(6), Err(Reason::KeepMin(6)));
    }

    #[test]
    fn the_last_live_one_is_needed_before_anything_goes() {
        assert_eq!(batch(&["nodedns/v1/home/dead", "nodedns/v1/home/gone"], 1), Err(Reason::KeepMin(1)));
        assert_eq!(batch(&["nodedns/v1/home/dead", "nodedns/v1/home/down"], 1), Err(Reason::KeepMin(1)));
        assert_eq!(batch(&["nodedns/v1/home/dead"], 0), Ok(vec![delete("nodedns/v1/home/dead")]));
    }

    #[test]
    fn nobody_elses_is_touched() {
        for untouched in [
            OWN,
            "nodedns/v1/other/dead",
            "nodedns/v1/home-2/dead",
            "nodedns/v2/home/dead",
            "nodedns/v1/home/dead/x",
            "nodedns/v1/home/deadly",
            "nodedns/v1/home/down",
            "nodedns/v1/home/host",
            "dead",
        ] {
            assert_eq!(batch(&[OWN, untouched], 1), Ok(Vec::new()), "{untouched}");
        }
    }

    #[test]
    fn what_no_batch_can_change_stays_and_is_no_witness() {
        let made = |id: &str| RecordSet { target: Target::TrafficPolicyInstance("tpi-1".into()), ..set(id) };
        let pool = |sets: Vec<RecordSet>| sets.into_iter().map(|set| (set.set_identifier.clone(), set)).collect();
        assert_eq!(batch_of(&pool(vec![set(OWN), made("nodedns/v1/home/dead")]), 1), Ok(Vec::new()));
        let kept = batch_of(&pool(vec![made("made"), set("nodedns/v1/home/dead")]), 1);
        assert_eq!(kept, Err(Reason::KeepMin(1)));
    }
}
