//! One pool's changes, and what they come to.

use std::collections::BTreeMap;

use crate::decide::name::DnsName;
use crate::decide::owner::SetIdentifier;
use crate::decide::record::{Action, Change, Pool, RecordSet, RecordType};

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
            (Some(before), Some(after)) if before != after => Some(Edit::Replace { before, after }),
            _ => None,
        };
        after.into_iter().filter_map(edit).collect()
    }
}
