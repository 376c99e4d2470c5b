//! Whether others may have taken this node for dead, and removed its record sets.

use std::time::Duration;

use crate::decide::node::{NodeState, Readiness};
use crate::decide::observed::Observed;
use crate::decide::time::Moment;

/// After a state that was unknown for this long the names are looked at with little patience. However
/// short it was, the break in the watch has them looked at in the end ([`Absence::interrupted`]), so
/// nothing rests on how soon the cluster calls a node dead.
const LONG: Duration = Duration::from_secs(15);

/// A removal may be on its way while the node comes back, or while the daemon starts, so the names are
/// read once more, this much later: longer than a removal is sent after the nodes were read
/// ([`crate::decide::survivors::CONFIRMED_FOR`] and [`crate::decide::survivors::REMOVAL_TIMEOUT`]).
const SECOND_LOOK: Duration = Duration::from_secs(30);

/// What flaps looks no more often than this.
const PAUSE: Duration = Duration::from_secs(10);

/// A connection that keeps breaking looks no more often than this.
const PAUSE_AFTER_BREAKS: Duration = Duration::from_secs(60);

/// Since when the Node has not been known to be Ready, and when to read the names again because of that.
#[derive(Debug, Clone, Default)]
pub(super) struct Absence {
    away: Option<Away>,
    looked: Option<Moment>,
    look_at: Option<Moment>,
    /// After that look, another.
    again: bool,
}

#[derive(Debug, Clone, Copy)]
struct Away {
    since: Moment,
    /// The cluster has said so. That may be all that is seen of a long absence: after the whole
    /// machine stood still.
    seen: bool,
}

impl Absence {
    /// The daemon starts, and may have been away until now.
    pub(super) fn begin_at(now: Moment) -> Self {
        // The names are read at the start anyway.
        let away = Some(Away { since: now, seen: false });
        Absence { away, look_at: Some(now + SECOND_LOOK), ..Absence::default() }
    }

    /// Takes in the Node's state. Back from an absence, it asks for a look at the names.
    pub(super) fn update(&mut self, state: &Observed<NodeState>, now: Moment) {
        let is_ready =
            state.known().map(|state| matches!(state, NodeState::Present(node) if node.ready == Readiness::Ready));
        if is_ready != Some(true) {
            let away = self.away.get_or_insert(Away { since: now, seen: false });
            away.seen |= is_ready == Some(false);
            return;
        }
        let Some(away) = self.away.take() else { return };
        let was_long = now - away.since >= LONG;
        if was_long || away.seen {
            self.want(PAUSE, now);
        }
    }

    /// The watch has begun anew after a break, and the Node may have been anything meanwhile. While it
    /// is not Ready, its return will ask for the look.
    pub(super) fn interrupted(&mut self, now: Moment) {
        if self.away.is_none() {
            self.want(PAUSE_AFTER_BREAKS, now);
        }
    }

    /// A look, this long after the last one, and another.
    fn want(&mut self, pause: Duration, now: Moment) {
        let soonest = self.looked.map_or(now, |looked| now.max(looked + pause));
        self.look_at = Some(self.look_at.map_or(soonest, |at| at.min(soonest)));
        self.again = true;
    }

    /// Whether a look is due; it then counts as begun.
    pub(super) fn look(&mut self, now: Moment) -> bool {
        let begins = self.look_at.is_some_and(|at| at <= now);
        if begins {
            self.looked = Some(now);
            self.look_at = std::mem::take(&mut self.again).then(|| now + SECOND_LOOK);
        }
        begins
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        self.look_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::node::NodeObject;
    use std::collections::BTreeMap;

    fn at(seconds: u64) -> Moment {
        Moment::new(Duration::from_secs(seconds))
    }

    fn node(ready: Readiness) -> Observed<NodeState> {
        Observed::Known(NodeState::Present(NodeObject {
            ready,
            ready_message: None,
            unschedulable: false,
            deleting: false,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            taints: Vec::new(),
        }))
    }

    /// Tells states at seconds, and says at which seconds up to `end` the names are read.
    fn looks(steps: &[(u64, Observed<NodeState>)], end: u64) -> Vec<u64> {
        let mut absence = Absence::begin_at(at(0));
        let mut looks = Vec::new();
        for second in 0..=end {
            for (_, state) in steps.iter().filter(|(at, _)| *at == second) {
                absence.update(state, at(second));
            }
            if absence.look(at(second)) {
                looks.push(second);
            }
            assert!(absence.deadline().is_none_or(|due| due > at(second)));
        }
        looks
    }

    #[test]
    fn after_a_start_there_is_one_look_and_a_short_outage_is_no_absence() {
        let ready = || node(Readiness::Ready);
        assert_eq!(looks(&[(0, ready())], 100), [30]);
        assert_eq!(looks(&[(14, ready())], 100), [30]);
        // What comes up late has been away, as far as the others are concerned.
        assert_eq!(looks(&[(20, ready())], 100), [20, 50]);
        assert_eq!(looks(&[(0, ready()), (10, Observed::Unknown), (24, ready())], 100), [30]);
    }

    #[test]
    fn after_a_long_absence_there_are_two_looks() {
        let ready = || node(Readiness::Ready);
        assert_eq!(looks(&[(0, ready()), (10, Observed::Unknown), (25, ready())], 100), [25, 55]);
        let steps = [
            (0, ready()),
            (10, Observed::Unknown),
            (20, node(Readiness::NotReady(None))),
            (25, Observed::Known(NodeState::Absent)),
            (26, ready()),
        ];
        assert_eq!(looks(&steps, 100), [26, 56]);
    }

    #[test]
    fn a_watch_that_keeps_breaking_looks_a_bounded_number_of_times() {
        let mut absence = Absence::begin_at(at(0));
        absence.update(&node(Readiness::Ready), at(0));
        let mut looks = Vec::new();
        for second in 0..=400 {
            if (100..=300).contains(&second) {
                absence.interrupted(at(second));
            }
            if absence.look(at(second)) {
                looks.push(second);
            }
        }
        assert_eq!(looks[..3], [30, 100, 130]);
        assert!(looks.len() <= 10 && looks.last() > Some(&300), "{looks:?}");
    }

    #[test]
    fn what_the_cluster_has_called_not_ready_looks_however_short_it_was() {
        let ready = || node(Readiness::Ready);
        assert_eq!(looks(&[(0, ready()), (10, node(Readiness::NotReady(None))), (11, ready())], 100), [11, 41]);
        assert_eq!(looks(&[(0, ready()), (10, Observed::Known(NodeState::Absent)), (11, ready())], 100), [11, 41]);
    }

    #[test]
    fn what_flaps_looks_a_bounded_number_of_times_and_at_last() {
        let mut steps = Vec::new();
        for second in 0..300 {
            steps.push((second, node(if second % 2 == 0 { Readiness::NotReady(None) } else { Readiness::Ready })));
        }
        let looks = looks(&steps, 400);
        assert!(looks.windows(2).all(|pair| pair[1] - pair[0] >= PAUSE.as_secs()), "{looks:?}");
        assert!(looks.last() >= Some(&299), "{looks:?}");
    }
}
