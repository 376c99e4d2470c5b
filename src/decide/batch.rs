//! One pool's changes, and what they come to.

use std::collections::BTreeMap;

use crate::decide::name::DnsName;
use crate::decide::owner::SetIdentifier;
use crate::decide::record::{Action, Change, Pool, RecordSet, RecordType, Target, Value};
use crate::decide::routing::{Location, Routing};

/// The changes of one pool, applied whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The hosted zone's id, without `/hostedzone/`.
    pub zone_id: String,
    /// The name.
    pub name: DnsName,
    /// The type.
    pub rtype: RecordType,
    /// The changes, in order. Every one is of this name and type.
    pub changes: Vec<Change>,
}

/// What becomes of one record set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// It comes.
    Create(RecordSet),
    /// It goes.
    Delete(RecordSet),
    /// It becomes another.
    Replace {
        /// As it is.
        before: RecordSet,
        /// As it will be.
        after: RecordSet,
    },
}

impl Edit {
    /// The record set as it is; `None` when it comes.
    pub fn before(&self) -> Option<&RecordSet> {
        match self {
            Edit::Create(_) => None,
            Edit::Delete(set) | Edit::Replace { before: set, .. } => Some(set),
        }
    }

    /// The record set as it will be; `None` when it goes.
    pub fn after(&self) -> Option<&RecordSet> {
        match self {
            Edit::Delete(_) => None,
            Edit::Create(set) | Edit::Replace { after: set, .. } => Some(set),
        }
    }

    /// The set identifier of the record set; `None` for a simple one.
    pub fn set_identifier(&self) -> Option<&SetIdentifier> {
        self.before().or(self.after()).and_then(|set| set.set_identifier.as_ref())
    }

    /// Whether it is the very same edit, down to how its values are written.
    fn is_same_text(&self, other: &Edit) -> bool {
        let is_same = |a: Option<&RecordSet>, b: Option<&RecordSet>| match (a, b) {
            (None, None) => true,
            (Some(a), Some(b)) => is_same_text(a, b),
            _ => false,
        };
        is_same(self.before(), other.before()) && is_same(self.after(), other.after())
    }
}

/// Whether every edit is one of those that were `shown`, down to how its values are written.
pub fn is_within(edits: &[Edit], shown: &[Edit]) -> bool {
    edits.iter().all(|edit| shown.iter().any(|shown| shown.is_same_text(edit)))
}

/// Whether two record sets are the same down to how their values and coordinates are written, which is
/// what Route 53 compares when it deletes one.
pub fn is_same_text(a: &RecordSet, b: &RecordSet) -> bool {
    let spelling = |set: &RecordSet| {
        let values: Vec<String> = match &set.target {
            Target::Values { values, .. } => values.iter().map(Value::as_str).map(str::to_owned).collect(),
            Target::Alias { .. } | Target::TrafficPolicyInstance(_) => Vec::new(),
        };
        let point = match &set.routing {
            Routing::GeoProximity { location: Location::Coordinates(point), .. } => {
                Some((point.latitude(), point.longitude()))
            }
            _ => None,
        };
        (values, point)
    };
    a == b && spelling(a) == spelling(b)
}

impl Batch {
    /// What becomes of each record set of `pool`, in the order of their keys. A witness, which is
    /// deleted and created again unchanged, is not in it.
    pub fn edits(&self, pool: &Pool) -> Vec<Edit> {
        let mut after: BTreeMap<Option<SetIdentifier>, Option<RecordSet>> = BTreeMap::new();
        for change in &self.changes {
            let set = match change.action {
                Action::Create | Action::Upsert => Some(change.set.clone()),
                Action::Delete => None,
            };
            after.insert(change.set.set_identifier.clone(), set);
        }
        let edit = |(key, after): (Option<SetIdentifier>, Option<RecordSet>)| match (pool.get(&key).cloned(), after) {
            (None, Some(set)) => Some(Edit::Create(set)),
            (Some(set), None) => Some(Edit::Delete(set)),
            (Some(before), Some(after)) if !is_same_text(&before, &after) => Some(Edit::Replace { before, after }),
            _ => None,
        };
        after.into_iter().filter_map(edit).collect()
    }

    /// The keys of the witnesses: what is deleted and created again as it is in `pool`.
    pub fn witnesses(&self, pool: &Pool) -> Vec<Option<SetIdentifier>> {
        let is_created = |set: &RecordSet| {
            self.changes.iter().any(|change| change.action == Action::Create && is_same_text(&change.set, set))
        };
        let deleted = self.changes.iter().filter(|change| change.action == Action::Delete).map(|change| &change.set);
        let is_there = |set: &&RecordSet| pool.get(&set.set_identifier).is_some_and(|found| is_same_text(found, set));
        deleted.filter(|set| is_created(set)).filter(is_there).map(|set| set.set_identifier.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::routing::Coordinates;
    use std::collections::BTreeSet;

    fn set(identifier: &str, value: &str) -> RecordSet {
        RecordSet {
            set_identifier: Some(SetIdentifier(identifier.to_owned())),
            routing: Routing::Weighted(10),
            target: Target::Values { ttl: 60, values: BTreeSet::from([Value::new(value)]) },
            health_check_id: None,
        }
    }

    fn pool(sets: &[RecordSet]) -> Pool {
        sets.iter().map(|set| (set.set_identifier.clone(), set.clone())).collect()
    }

    fn batch(changes: Vec<(Action, RecordSet)>) -> Batch {
        let name = DnsName::parse("edge.example.com").expect("valid");
        let change = |(action, set)| Change { action, name: name.clone(), rtype: RecordType::A, set };
        let changes = changes.into_iter().map(change).collect();
        Batch { zone_id: "Z1".to_owned(), name: name.clone(), rtype: RecordType::A, changes }
    }

    #[test]
    fn a_batch_comes_to_its_edits_and_a_witness_is_none_of_them() {
        let [gone, stays, old] = [set("a", "192.0.2.1"), set("b", "192.0.2.2"), set("c", "192.0.2.3")];
        let (new, other) = (set("c", "192.0.2.4"), set("d", "192.0.2.5"));
        let changes = vec![
            (Action::Delete, gone.clone()),
            (Action::Delete, stays.clone()),
            (Action::Create, stays.clone()),
            (Action::Upsert, new.clone()),
            (Action::Create, other.clone()),
        ];
        let (batch, pool) = (batch(changes), pool(&[gone.clone(), stays, old.clone()]));
        let (edits, witnesses) = (batch.edits(&pool), batch.witnesses(&pool));
        assert_eq!(witnesses, [Some(SetIdentifier("b".to_owned()))]);
        assert_eq!(
            edits,
            [Edit::Delete(gone), Edit::Replace { before: old, after: new }, Edit::Create(other)],
            "in the order of their keys"
        );
    }

    #[test]
    fn what_route_53_would_tell_apart_is_another_edit() {
        let (a, b) = (set("a", "2001:db8::1"), set("a", "2001:DB8::1"));
        assert_eq!(a, b);
        let point = |latitude| RecordSet {
            routing: Routing::GeoProximity {
                location: Location::Coordinates(Coordinates::listed(latitude, "8").expect("a point")),
                bias: 0,
            },
            ..set("a", "192.0.2.1")
        };
        let (c, d) = (point("50.1"), point("50.10"));
        assert_eq!(c, d);
        for (one, other) in [(a, b), (c, d)] {
            assert!(is_same_text(&one, &one) && !is_same_text(&one, &other));
            let shown = [Edit::Delete(one.clone())];
            assert!(is_within(&[Edit::Delete(one.clone())], &shown));
            assert!(!is_within(&[Edit::Delete(other.clone())], &shown));
            let rewritten = batch(vec![(Action::Delete, one.clone()), (Action::Create, other)]);
            assert_eq!(rewritten.edits(&pool(&[one])).len(), 1, "it does not stay as it was");
        }
    }

    #[test]
    fn an_edit_is_within_those_shown_only_as_a_whole() {
        let [old, new] = [set("a", "192.0.2.1"), set("a", "192.0.2.2")];
        let replace = Edit::Replace { before: old.clone(), after: new.clone() };
        let shown = [replace.clone(), Edit::Delete(set("b", "192.0.2.1"))];
        assert!(is_within(&[], &shown) && is_within(&[replace], &shown) && is_within(&shown, &shown));
        for other in [Edit::Delete(old.clone()), Edit::Create(new), Edit::Create(set("b", "192.0.2.1"))] {
            assert!(!is_within(&[shown[1].clone(), other], &shown));
        }
    }
}
