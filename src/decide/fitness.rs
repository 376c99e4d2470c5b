//! Whether the node is fit to be in DNS: signals, and how patiently they are believed.

use std::collections::BTreeMap;

use crate::decide::node::{NodeState, Readiness};
use crate::decide::observed::Observed;
use crate::decide::policy::{Signal, SignalAction, SignalPolicy};
use crate::decide::reason::Reason;
use crate::decide::time::Moment;

/// Whether the node is fit to be in DNS for one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fitness {
    /// Not enough is known to say.
    Unknown(Reason),
    /// Nothing speaks against it.
    Fit,
    /// This speaks against it.
    Unfit(Reason),
}

/// What is known of the node, as far as signals go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeKnowledge {
    /// The Node's state.
    pub state: Observed<NodeState>,
    /// Whether the watcher has reported at all, so that `Unknown` means it failed and not that it has just begun.
    pub reported: bool,
}

/// One record's signals over time.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    dampers: BTreeMap<Signal, Damper>,
}

impl Signals {
    /// Takes in what is known `now`.
    pub fn update(&mut self, policies: &BTreeMap<Signal, SignalPolicy>, node: &NodeKnowledge, now: Moment) {
        for signal in Signal::ALL {
            self.dampers.entry(signal).or_default().update(read(signal, node), policy_of(policies, signal), now);
        }
    }

    /// When time alone changes the outcome next.
    pub fn deadline(&self, policies: &BTreeMap<Signal, SignalPolicy>) -> Option<Moment> {
        self.dampers.iter().filter_map(|(signal, damper)| damper.deadline(policy_of(policies, *signal))).min()
    }

    /// What the signals add up to.
    pub fn fitness(&self, policies: &BTreeMap<Signal, SignalPolicy>, node: &NodeKnowledge) -> Fitness {
        let counting =
            || Signal::ALL.into_iter().filter(|signal| policy_of(policies, *signal).action == SignalAction::Withdraw);
        let damper = |signal: Signal| self.dampers.get(&signal);

        // What was true of the Node before it became unknown is no longer known, so it may not
        // withdraw anything. That the API is unreachable is itself something we know.
        let known = node.state.is_known();
        for signal in counting().filter(|signal| known || *signal == Signal::ApiUnreachable) {
            if let Some(reason) = damper(signal).and_then(|damper| damper.standing(signal)) {
                return Fitness::Unfit(reason);
            }
        }
        let asks = |signal: Signal| match signal {
            Signal::NotReady | Signal::Cordoned => true,
            // Until the watcher has said something, nobody knows whether the API can be reached.
            Signal::ApiUnreachable => !node.reported,
        };
        if !known && counting().any(asks) {
            return Fitness::Unknown(Reason::NodeUnknown);
        }
        match counting().find(|signal| damper(*signal).is_some_and(Damper::is_undecided)) {
            Some(signal) => Fitness::Unknown(Reason::Pending(signal)),
            None => Fitness::Fit,
        }
    }
}

fn policy_of(policies: &BTreeMap<Signal, SignalPolicy>, signal: Signal) -> SignalPolicy {
    policies.get(&signal).copied().unwrap_or_else(|| signal.default_policy())
}

/// The signal as it stands this moment: `Known(Some(why))` when it is up.
fn read(signal: Signal, node: &NodeKnowledge) -> Observed<Option<Reason>> {
    match (signal, &node.state) {
        (Signal::ApiUnreachable, Observed::Unknown) if node.reported => Observed::Known(Some(Reason::ApiUnreachable)),
        (_, Observed::Unknown) => Observed::Unknown,
        (Signal::ApiUnreachable, Observed::Known(_)) => Observed::Known(None),
        (Signal::NotReady, Observed::Known(NodeState::Absent)) => Observed::Known(Some(Reason::NodeAbsent)),
        (Signal::NotReady, Observed::Known(NodeState::Present(node))) => Observed::Known(match &node.ready {
            Readiness::Ready => None,
            Readiness::NotReady(why) => Some(Reason::NotReady(why.clone())),
        }),
        (Signal::Cordoned, Observed::Known(NodeState::Absent)) => Observed::Known(None),
        (Signal::Cordoned, Observed::Known(NodeState::Present(node))) => {
            Observed::Known(node.unschedulable.then_some(Reason::Cordoned))
        }
    }
}

/// One signal with hysteresis: it counts after having been up for `after`, and stops counting after
/// having been gone for `recover_after`.
#[derive(Debug, Clone, Default)]
struct Damper {
    /// Whether it counts; `None` until that has been decided for the first time.
    counts: Option<bool>,
    /// Why it is up, as last read.
    up: Option<Reason>,
    /// Why it counts.
    reason: Option<Reason>,
    /// Since when the reading has differed from what counts.
    differs_since: Option<Moment>,
}

impl Damper {
    fn update(&mut self, reading: Observed<Option<Reason>>, policy: SignalPolicy, now: Moment) {
        let Observed::Known(up) = reading else {
            // A time during which nothing was known proves nothing, so the wait starts over.
            self.differs_since = None;
            return;
        };
        self.up = up;
        match (self.counts, self.up.is_some()) {
            (None, false) => self.settle(),
            (Some(counts), up) if counts == up => self.settle(),
            _ => {
                let since = *self.differs_since.get_or_insert(now);
                if now - since >= self.patience(policy) {
                    self.settle();
                }
            }
        }
    }

    fn settle(&mut self) {
        self.counts = Some(self.up.is_some());
        self.reason.clone_from(&self.up);
        self.differs_since = None;
    }

    fn patience(&self, policy: SignalPolicy) -> std::time::Duration {
        if self.up.is_some() { policy.after } else { policy.recover_after }
    }

    fn deadline(&self, policy: SignalPolicy) -> Option<Moment> {
        self.differs_since.map(|since| since + self.patience(policy))
    }

    fn is_undecided(&self) -> bool {
        self.counts.is_none() && self.up.is_some()
    }

    fn standing(&self, signal: Signal) -> Option<Reason> {
        match (self.counts, &self.up) {
            (Some(true), None) => Some(Reason::Recovering(signal)),
            (Some(true), Some(_)) => self.reason.clone(),
            (Some(false) | None, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::node::NodeObject;
    use std::time::Duration;

    fn at(seconds: u64) -> Moment {
        Moment::new(Duration::from_secs(seconds))
    }

    fn node(ready: Readiness, unschedulable: bool) -> NodeKnowledge {
        let object = NodeObject {
            ready,
            unschedulable,
            deleting: false,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            taints: Vec::new(),
        };
        NodeKnowledge { state: Observed::Known(NodeState::Present(object)), reported: true }
    }

    fn unreachable() -> NodeKnowledge {
        NodeKnowledge { state: Observed::Unknown, reported: true }
    }

    fn policies(
        signal: Signal,
        action: SignalAction,
        after: u64,
        recover_after: u64,
    ) -> BTreeMap<Signal, SignalPolicy> {
        let policy = SignalPolicy {
            action,
            after: Duration::from_secs(after),
            recover_after: Duration::from_secs(recover_after),
        };
        BTreeMap::from([(signal, policy)])
    }

    /// Feeds readings at seconds and tells the fitness after each.
    fn run(policies: &BTreeMap<Signal, SignalPolicy>, steps: &[(u64, NodeKnowledge)]) -> Vec<Fitness> {
        let mut signals = Signals::default();
        steps
            .iter()
            .map(|(second, node)| {
                signals.update(policies, node, at(*second));
                signals.fitness(policies, node)
            })
            .collect()
    }

    #[test]
    fn a_cordon_counts_at_once_and_lingers_for_recover_after() {
        let outcome = run(
            &BTreeMap::new(),
            &[
                (0, node(Readiness::Ready, false)),
                (1, node(Readiness::Ready, true)),
                (2, node(Readiness::Ready, false)),
                (11, node(Readiness::Ready, false)),
                (12, node(Readiness::Ready, false)),
            ],
        );
        let recovering = Fitness::Unfit(Reason::Recovering(Signal::Cordoned));
        assert_eq!(
            outcome,
            [Fitness::Fit, Fitness::Unfit(Reason::Cordoned), recovering.clone(), recovering, Fitness::Fit]
        );
    }

    #[test]
    fn a_blip_shorter_than_after_changes_nothing() {
        let policies = policies(Signal::NotReady, SignalAction::Withdraw, 30, 10);
        let down = || node(Readiness::NotReady(None), false);
        let up = || node(Readiness::Ready, false);
        let outcome = run(
            &policies,
            &[(0, up()), (1, down()), (30, down()), (30, up()), (31, down()), (60, down()), (61, down())],
        );
        let mut expected = vec![Fitness::Fit; 6];
        expected.push(Fitness::Unfit(Reason::NotReady(None)));
        assert_eq!(outcome, expected);
    }

    #[test]
    fn a_node_first_seen_unready_is_undecided_until_after_has_passed() {
        let policies = policies(Signal::NotReady, SignalAction::Withdraw, 5, 10);
        let down = || node(Readiness::NotReady(Some("KubeletNotReady".into())), false);
        assert_eq!(
            run(&policies, &[(0, down()), (5, down())]),
            [
                Fitness::Unknown(Reason::Pending(Signal::NotReady)),
                Fitness::Unfit(Reason::NotReady(Some("KubeletNotReady".into())))
            ]
        );
    }

    #[test]
    fn an_unknown_node_is_never_unfit_for_what_it_was() {
        let cordoned = || node(Readiness::Ready, true);
        assert_eq!(
            run(&BTreeMap::new(), &[(0, cordoned()), (1, unreachable()), (2, cordoned())]),
            [Fitness::Unfit(Reason::Cordoned), Fitness::Unknown(Reason::NodeUnknown), Fitness::Unfit(Reason::Cordoned)]
        );
    }

    #[test]
    fn an_outage_restarts_the_wait() {
        let policies = policies(Signal::NotReady, SignalAction::Withdraw, 10, 10);
        let down = || node(Readiness::NotReady(None), false);
        let outcome = run(
            &policies,
            &[
                (0, node(Readiness::Ready, false)),
                (1, down()),
                (8, unreachable()),
                (9, down()),
                (18, down()),
                (19, down()),
            ],
        );
        assert_eq!(outcome[4], Fitness::Fit);
        assert_eq!(outcome[5], Fitness::Unfit(Reason::NotReady(None)));
    }

    #[test]
    fn an_unreachable_api_withdraws_only_when_told_to_and_only_once_it_has_failed() {
        let never_reported = NodeKnowledge::default();
        let policies = policies(Signal::ApiUnreachable, SignalAction::Withdraw, 60, 10);
        assert_eq!(
            run(&policies, &[(0, never_reported), (100, unreachable()), (159, unreachable()), (160, unreachable())]),
            [
                Fitness::Unknown(Reason::NodeUnknown),
                Fitness::Unknown(Reason::NodeUnknown),
                Fitness::Unknown(Reason::NodeUnknown),
                Fitness::Unfit(Reason::ApiUnreachable)
            ]
        );
    }

    #[test]
    fn a_record_that_ignores_the_node_does_not_need_to_know_it() {
        let mut ignoring = policies(Signal::NotReady, SignalAction::Ignore, 0, 0);
        ignoring.extend(policies(Signal::Cordoned, SignalAction::Ignore, 0, 0));
        assert_eq!(
            run(&ignoring, &[(0, unreachable()), (1, node(Readiness::NotReady(None), true))]),
            [Fitness::Fit, Fitness::Fit]
        );
    }

    #[test]
    fn whether_the_api_can_be_reached_is_not_known_before_the_watcher_has_spoken() {
        let mut only_reachability = policies(Signal::NotReady, SignalAction::Ignore, 0, 0);
        only_reachability.extend(policies(Signal::Cordoned, SignalAction::Ignore, 0, 0));
        only_reachability.extend(policies(Signal::ApiUnreachable, SignalAction::Withdraw, 0, 0));
        assert_eq!(
            run(
                &only_reachability,
                &[(0, NodeKnowledge::default()), (1, node(Readiness::NotReady(None), false)), (2, unreachable())]
            ),
            [Fitness::Unknown(Reason::NodeUnknown), Fitness::Fit, Fitness::Unfit(Reason::ApiUnreachable)]
        );
    }

    #[test]
    fn the_reason_is_the_latest_one() {
        let why = |text: &str| node(Readiness::NotReady(Some(text.into())), false);
        assert_eq!(
            run(&BTreeMap::new(), &[(0, why("KubeletNotReady")), (1, why("NodeStatusUnknown"))]),
            [
                Fitness::Unfit(Reason::NotReady(Some("KubeletNotReady".into()))),
                Fitness::Unfit(Reason::NotReady(Some("NodeStatusUnknown".into())))
            ]
        );
    }

    #[test]
    fn an_absent_node_is_not_ready() {
        let absent = NodeKnowledge { state: Observed::Known(NodeState::Absent), reported: true };
        assert_eq!(run(&BTreeMap::new(), &[(0, absent)]), [Fitness::Unfit(Reason::NodeAbsent)]);
    }

    #[test]
    fn the_deadline_is_when_time_alone_decides() {
        let policies = policies(Signal::NotReady, SignalAction::Withdraw, 30, 10);
        let mut signals = Signals::default();
        signals.update(&policies, &node(Readiness::Ready, false), at(0));
        assert_eq!(signals.deadline(&policies), None);
        signals.update(&policies, &node(Readiness::NotReady(None), false), at(7));
        assert_eq!(signals.deadline(&policies), Some(at(37)));
    }
}
