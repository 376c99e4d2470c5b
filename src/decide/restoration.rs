//! Whether what an undo comes to may be applied: what Route 53 would refuse is foreseen, and no pool is left
//! with fewer record sets than are to stay, as with a prune.

use std::fmt;

use crate::decide::guard::{failures_after, take_turns};
use crate::decide::owner::OwnerId;
use crate::decide::pool;
use crate::decide::reason::Reason;
use crate::decide::record::{Action, Change, Listing, Pool, RecordSet, RecordType, Target};
use crate::decide::routing::{PolicyKind, Routing};

/// Why a pool is not restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A simple record set would come back beside so many others.
    Beside(usize),
    /// Route 53 would refuse what comes back, beside what is there by now.
    Conflict(Reason),
    /// All weighted record sets of a pool have one TTL, in seconds.
    Ttl {
        /// That of what comes back.
        back: u32,
        /// That of what is there by now.
        now: u32,
    },
    /// Fewer would stay than must.
    TooFew {
        /// How many would.
        left: usize,
        /// How many must.
        keep_min: usize,
    },
}

/// What the restoring of a pool goes by.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The own cluster, whose record sets are leaned on before others.
    pub cluster: &'a str,
    /// How many record sets must stay where it becomes fewer.
    pub keep_min: u32,
    /// How often Route 53 has refused what this came to.
    pub refusals: u32,
}

/// These changes of a pool, with as many witnesses as `keep_min` asks for where more goes than comes.
///
/// # Errors
/// [`Refusal`] when they may not be applied.
pub fn guarded(
    changes: Vec<Change>,
    listing: &Listing,
    rtype: RecordType,
    terms: Terms<'_>,
) -> Result<Vec<Change>, Refusal> {
    let Some(first) = changes.first() else { return Ok(changes) };
    let name = first.name.clone();
    let mut after = listing.clone();
    changes.iter().for_each(|change| after.apply(change));
    let after: Pool = after.pools.remove(&rtype).unwrap_or_default();
    let come: Vec<&RecordSet> = changes.iter().filter(|c| c.action != Action::Delete).map(|c| &c.set).collect();
    for set in &come {
        fits(set, &after, listing)?;
    }
    let go = changes.len() - come.len();
    if go <= come.len() {
        return Ok(changes);
    }
    let keep_min = usize::try_from(terms.keep_min).unwrap_or(usize::MAX);
    // Nothing can be beside a simple record set, which may have many values.
    let keep_min = if come.iter().any(|set| set.routing == Routing::Simple) { keep_min.min(1) } else { keep_min };
    let stays = |set: &&RecordSet| !come.iter().any(|other| other.set_identifier == set.set_identifier);
    // What a traffic policy instance made can be neither deleted nor created by a change batch.
    let can_be = |set: &&RecordSet| !matches!(set.target, Target::TrafficPolicyInstance(_));
    let mut witnesses: Vec<&RecordSet> = after.values().filter(stays).filter(can_be).collect();
    witnesses.sort_by_key(|set| preference(set, terms.cluster));
    take_turns(&mut witnesses, failures_after(terms.refusals));
    let wanted = keep_min.saturating_sub(come.len());
    if witnesses.len() < wanted {
        return Err(Refusal::TooFew { left: after.len(), keep_min });
    }
    let again = |set: &RecordSet| {
        [Action::Delete, Action::Create].map(|action| Change { action, name: name.clone(), rtype, set: set.clone() })
    };
    let witnesses: Vec<Change> = witnesses.into_iter().take(wanted).flat_map(again).collect();
    Ok([changes, witnesses].concat())
}

/// Whether Route 53 takes the record set beside what the pool holds after the batch.
fn fits(set: &RecordSet, after: &Pool, listing: &Listing) -> Result<(), Refusal> {
    let Some(identifier) = &set.set_identifier else {
        return match after.len() {
            _ if listing.has_cname => Err(Refusal::Conflict(Reason::CnameConflict)),
            0 | 1 => Ok(()),
            more => Err(Refusal::Beside(more - 1)),
        };
    };
    if let Some(reason) = pool::conflict(listing, after, identifier, &set.routing) {
        return Err(Refusal::Conflict(reason));
    }
    let kind = set.routing.kind();
    if after.len() > kind.pool_limit() {
        return Err(Refusal::Conflict(Reason::PoolFull(kind.pool_limit())));
    }
    let ttls = pool::others(after, identifier).filter_map(RecordSet::ttl);
    match set.ttl().and_then(|back| ttls.map(|now| (back, now)).find(|(back, now)| back != now)) {
        Some((back, now)) if kind == PolicyKind::Weighted => Err(Refusal::Ttl { back, now }),
        _ => Ok(()),
    }
}

/// Those of the own cluster first, those that nodedns has not written last.
fn preference(set: &RecordSet, cluster: &str) -> u8 {
    match set.set_identifier.as_ref().and_then(OwnerId::parse) {
        Some(id) if id.cluster() == cluster => 0,
        Some(_) => 1,
        None => 2,
    }
}

impl Refusal {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Refusal::Beside(_) | Refusal::Conflict(_) => {
                "stop the daemons that publish the name; where there are several undo files of it, restore the newest first"
            }
            Refusal::Ttl { .. } => "give the record the TTL of before in every configuration, then restore again",
            Refusal::TooFew { .. } => {
                "let others publish the name first, or set keep_min = 0 in the record if nobody needs to answer"
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Beside(others) => write!(
                f,
                "Route 53 would refuse it: a record set without a routing policy would come back beside {others} others"
            ),
            Refusal::Conflict(reason) => write!(f, "Route 53 would refuse it: {reason}"),
            Refusal::Ttl { back, now } => write!(
                f,
                "Route 53 would refuse it: it would come back with a TTL of {back}, and the others have {now} by now"
            ),
            Refusal::TooFew { left, keep_min } => {
                write!(f, "only {left} would be left of the record sets there, and keep_min = {keep_min} must stay")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::decide::name::DnsName;
    use crate::decide::owner::SetIdentifier;
    use crate::decide::record::Value;

    fn set(id: &str, ttl: u32) -> RecordSet {
        RecordSet {
            set_identifier: (!id.is_empty()).then(|| SetIdentifier(id.to_owned())),
            routing: if id.is_empty() { Routing::Simple } else { Routing::Weighted(1) },
            target: Target::Values { ttl, values: BTreeSet::from([Value::new("192.0.2.1")]) },
            health_check_id: None,
        }
    }

    fn run(now: &[RecordSet], go: &[RecordSet], come: &[RecordSet], keep_min: u32) -> Result<Vec<String>, Refusal> {
        run_after(0, now, go, come, keep_min)
    }

    fn run_after(
        refusals: u32,
        now: &[RecordSet],
        go: &[RecordSet],
        come: &[RecordSet],
        keep_min: u32,
    ) -> Result<Vec<String>, Refusal> {
        let name = DnsName::parse("e.example").expect("a name");
        let change =
            |action, set: &RecordSet| Change { action, name: name.clone(), rtype: RecordType::A, set: set.clone() };
        let changes: Vec<Change> = go
            .iter()
            .map(|set| change(Action::Delete, set))
            .chain(come.iter().map(|set| change(Action::Create, set)))
            .collect();
        let pool: Pool = now.iter().map(|set| (set.set_identifier.clone(), set.clone())).collect();
        let listing = Listing { zone_id: "Z1".to_owned(), pools: [(RecordType::A, pool)].into(), has_cname: false };
        let asked = changes.len();
        let terms = Terms { cluster: "home", keep_min, refusals };
        let batch = guarded(changes, &listing, RecordType::A, terms)?;
        let (witnesses, _) = batch[asked..].as_chunks::<2>();
        assert!(
            witnesses.iter().all(|[a, b]| (a.action, b.action) == (Action::Delete, Action::Create) && a.set == b.set)
        );
        Ok(witnesses.iter().map(|[a, _]| a.set.set_identifier.clone().map(|id| id.0).unwrap_or_default()).collect())
    }

    const OURS: [&str; 3] = ["nodedns/v1/home/a", "nodedns/v1/home/b", "nodedns/v1/other/a"];

    #[test]
    fn where_more_goes_than_comes_others_are_leaned_on() {
        let [a, b, c, d] = [set(OURS[0], 60), set(OURS[1], 60), set(OURS[2], 60), set("by hand", 60)];
        let all = [a.clone(), b.clone(), c.clone(), d.clone()];
        let go = std::slice::from_ref(&a);
        for keep_min in 0..=3_u32 {
            let expected = [OURS[1], OURS[2], "by hand"].map(str::to_owned)[..keep_min as usize].to_vec();
            assert_eq!(run(&all, go, &[], keep_min), Ok(expected));
        }
        assert_eq!(run(&all, go, &[], 4), Err(Refusal::TooFew { left: 3, keep_min: 4 }));
        assert_eq!(run_after(1, &all, go, &[], 1), Ok(vec![OURS[2].to_owned()]));
        // What comes counts, too.
        assert_eq!(run(&all, &[a.clone(), b.clone()], &[set("old", 60)], 2), Ok(vec![OURS[2].to_owned()]));
        assert_eq!(run(&all, &[a.clone(), b.clone()], &[set("old", 60)], 1), Ok(vec![]));
        assert_eq!(run(go, go, &[], 1), Err(Refusal::TooFew { left: 0, keep_min: 1 }));
        assert_eq!(run(go, go, &[], 0), Ok(vec![]));
        // Nothing becomes less.
        assert_eq!(run(&all, go, &[set("old", 60)], 9), Ok(vec![]));
        // A simple record set is all that there can be.
        assert_eq!(run(&[a.clone(), b.clone()], &[a, b], &[set("", 60)], 2), Ok(vec![]));
    }

    #[test]
    fn what_route_53_would_refuse_is_foreseen() {
        let [a, b] = [set(OURS[0], 60), set(OURS[1], 60)];
        let simple = set("", 60);
        let now = [a.clone(), b.clone()];
        assert_eq!(run(&now, std::slice::from_ref(&a), std::slice::from_ref(&simple), 1), Err(Refusal::Beside(1)));
        assert_eq!(run(&[simple], &[], std::slice::from_ref(&a), 1), Err(Refusal::Conflict(Reason::SimpleConflict)));
        let other = RecordSet { routing: Routing::MultiValue, ..set("m", 60) };
        assert!(matches!(run(&[other], &[], &[a], 1), Err(Refusal::Conflict(Reason::PolicyConflict { .. }))));
        assert_eq!(run(&now, &[], &[set("old", 300)], 1), Err(Refusal::Ttl { back: 300, now: 60 }));
        assert_eq!(run(&now, &now, &[set("old", 300)], 1), Ok(vec![]));
        let multi = |id, ttl| RecordSet { routing: Routing::MultiValue, ..set(id, ttl) };
        assert_eq!(run(&[multi("x", 60)], &[], &[multi("y", 300)], 1), Ok(vec![]), "only weighted ones share a TTL");
        let many: Vec<_> = (0..100).map(|n| set(&format!("w{n}"), 60)).collect();
        assert_eq!(run(&many, &[], &[b], 1), Err(Refusal::Conflict(Reason::PoolFull(100))));
    }
}
