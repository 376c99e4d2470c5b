//! What the engine says of its siblings.

use crate::decide::engine::survivors::takes_part;
use crate::decide::engine::{Engine, target_of};
use crate::decide::node::Readiness;
use crate::decide::observed::Observed;
use crate::decide::policy::RecordPolicy;
use crate::decide::survivors::{DeadNode, Outlook, SurvivorsReport};
use crate::decide::time::Moment;

impl Engine {
    pub(in crate::decide::engine) fn report_survivors(&self) -> Option<SurvivorsReport> {
        self.policy.survivors?;
        let outlook = self.outlook();
        let owners = self.owners();
        let dead = self.survivors.ledger.down().iter().filter(|(node, _)| owners.contains(*node));
        let report = |(node, since): (&String, &Moment)| {
            let removable = |record: &&RecordPolicy| outlook.allows_removal() && takes_part(record);
            let turns = self.policy.records.iter().filter(removable).filter_map(|record| {
                let listing = self.names.get(&target_of(record))?.listing.known()?;
                self.is_removable(record, listing, node).then(|| self.turn(record, listing, node, *since))?
            });
            DeadNode {
                node: node.clone(),
                gone: self.survivors.ledger.is_gone(node),
                since: *since,
                removal_at: turns.min(),
            }
        };
        let (not_ready, nodes) = match (outlook, self.survivors.ledger.cluster()) {
            (Outlook::Frozen { down, known } | Outlook::Watching { down, known }, _) => (down, known),
            (Outlook::Unknown | Outlook::NotFit, Observed::Unknown) => (0, 0),
            (Outlook::Unknown | Outlook::NotFit, Observed::Known(cluster)) => {
                let not_ready = cluster.values().filter(|readiness| **readiness != Readiness::Ready).count();
                (not_ready, cluster.len())
            }
        };
        Some(SurvivorsReport { outlook, nodes, not_ready, dead: dead.map(report).collect() })
    }
}
