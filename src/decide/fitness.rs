//! Whether the node is fit to be in DNS: signals, and how patiently they are believed.

mod damper;

use std::collections::BTreeMap;

use crate::decide::annotation;
use crate::decide::damping::{Flaps, RESUME_WAIT_MAX};
use crate::decide::drain::Drain;
use crate::decide::fitness::damper::Damper;
use crate::decide::node::{NodeObject, NodeState, Readiness};
use crate::decide::observed::Observed;
use crate::decide::policy::{RecordPolicy, Signal, SignalAction, SignalPolicy};
use crate::decide::probe::{Probe, ProbeOutcome};
use crate::decide::reason::Reason;
use crate::decide::selector::LabelSelector;
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
    /// Nothing speaks against it any more, but not yet for long enough to come back. Whoever has not
    /// left stays.
    Recovering(Reason),
}

/// What is known of the node, as far as signals go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeKnowledge {
    /// The Node's state.
    pub state: Observed<NodeState>,
    /// Whether the watcher has reported at all, so that `Unknown` means it failed and not that it has just begun.
    pub reported: bool,
}

/// Everything that a signal may be read off.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conditions {
    /// What is known of the Node; `None` without Kubernetes.
    pub node: Option<NodeKnowledge>,
    /// What the probes have said; a missing one has not said anything yet.
    pub probes: BTreeMap<Probe, ProbeOutcome>,
    /// Whether the operator has drained the node.
    pub drain: Observed<Option<Drain>>,
    /// Whether the system is shutting down. Nothing ends that.
    pub stopping: bool,
}

/// What of the policy decides how one record reads the signals.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The record.
    pub record: &'a RecordPolicy,
    /// Which Nodes are eligible.
    pub node_selector: &'a LabelSelector,
}

/// One record's signals over time.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    dampers: BTreeMap<Signal, Damper>,
    /// How often the node has become unfit of late, by whichever signal.
    flaps: Flaps,
}

impl Signals {
    /// Takes in what is known `now`.
    pub fn update(&mut self, rules: Rules<'_>, conditions: &Conditions, now: Moment) {
        let was_unfit = self.is_unfit(rules);
        for signal in Signal::ALL {
            let reading = read(signal, rules, conditions, now);
            let policy = self.damped(signal, policy_of(rules, signal));
            self.dampers.entry(signal).or_default().update(reading, policy, now);
        }
        if !was_unfit && self.is_unfit(rules) {
            self.flaps.count(now);
        }
    }

    /// When time alone changes the outcome next.
    pub fn deadline(&self, rules: Rules<'_>) -> Option<Moment> {
        let deadline =
            |(signal, damper): (&Signal, &Damper)| damper.deadline(self.damped(*signal, policy_of(rules, *signal)));
        self.dampers.iter().filter_map(deadline).min()
    }

    /// What the signals add up to.
    pub fn fitness(&self, rules: Rules<'_>, conditions: &Conditions, now: Moment) -> Fitness {
        let counting =
            || Signal::ALL.into_iter().filter(|signal| policy_of(rules, *signal).action == SignalAction::Withdraw);
        let damper = |signal: Signal| self.dampers.get(&signal);
        let is_known = |signal: &Signal| read(*signal, rules, conditions, now).is_known();

        // What was true before it became unknown is no longer known, so it may not withdraw
        // anything. That the API is unreachable is itself something we know.
        let standing = || counting().filter(is_known).filter_map(|signal| damper(signal)?.standing());
        if let Some(reason) = standing().next() {
            return Fitness::Unfit(reason);
        }
        if let Some(signal) = counting().find(|signal| !is_known(signal)) {
            return Fitness::Unknown(ignorance(signal));
        }
        let lasting = |signal: &Signal| damper(*signal).is_some_and(Damper::is_recovering);
        if let Some(signal) = counting().find(lasting) {
            return Fitness::Recovering(self.recovering(signal, policy_of(rules, signal)));
        }
        match counting().find(|signal| damper(*signal).is_some_and(Damper::is_undecided)) {
            Some(signal) => Fitness::Unknown(Reason::Pending(signal)),
            None => Fitness::Fit,
        }
    }
}

impl Signals {
    /// Whether a signal counts that may withdraw the record.
    fn is_unfit(&self, rules: Rules<'_>) -> bool {
        let counts = |(signal, damper): (&Signal, &Damper)| {
            damper.counts == Some(true) && policy_of(rules, *signal).action == SignalAction::Withdraw
        };
        self.dampers.iter().any(counts)
    }

    /// The policy with the patience that the record's history asks for. Leaving, the safe
    /// direction, never waits for that.
    fn damped(&self, signal: Signal, policy: SignalPolicy) -> SignalPolicy {
        let wait = self.flaps.wait(policy.recover_after);
        let most = if signal == Signal::Drained { RESUME_WAIT_MAX } else { wait };
        SignalPolicy { recover_after: wait.min(most.max(policy.recover_after)), ..policy }
    }

    fn recovering(&self, signal: Signal, policy: SignalPolicy) -> Reason {
        let wait = self.damped(signal, policy).recover_after;
        match wait > policy.recover_after {
            true => Reason::Damped { signal, times: self.flaps.times(), wait },
            false => Reason::Recovering(signal),
        }
    }
}

/// What the signals add up to once everything has stayed as it is for as long as `after` and
/// `recover_after` ask, and what flapped has calmed down: neither undecided nor recovering.
pub fn settled(rules: Rules<'_>, conditions: &Conditions, now: Moment) -> Fitness {
    let counting =
        || Signal::ALL.into_iter().filter(|signal| policy_of(rules, *signal).action == SignalAction::Withdraw);
    let readings = || counting().map(|signal| (signal, read(signal, rules, conditions, now)));
    if let Some(reason) = readings().find_map(|(_, reading)| reading.known().cloned().flatten()) {
        return Fitness::Unfit(reason);
    }
    match readings().find(|(_, reading)| !reading.is_known()) {
        Some((signal, _)) => Fitness::Unknown(ignorance(signal)),
        None => Fitness::Fit,
    }
}

fn policy_of(rules: Rules<'_>, signal: Signal) -> SignalPolicy {
    rules.record.signals.get(&signal).copied().unwrap_or_else(|| signal.default_policy())
}

/// Why a signal cannot be told.
fn ignorance(signal: Signal) -> Reason {
    match signal {
        Signal::Drained => Reason::DrainUnknown,
        Signal::ProbeFailed => Reason::ProbeUnknown,
        Signal::Stopping
        | Signal::Deleting
        | Signal::NotReady
        | Signal::Cordoned
        | Signal::Excluded
        | Signal::Tainted
        | Signal::ApiUnreachable => Reason::NodeUnknown,
    }
}

/// The signal as it stands this moment: `Known(Some(why))` when it is up.
fn read(signal: Signal, rules: Rules<'_>, conditions: &Conditions, now: Moment) -> Observed<Option<Reason>> {
    match signal {
        Signal::Stopping => Observed::Known(conditions.stopping.then_some(Reason::Stopping)),
        Signal::Drained => match conditions.drain {
            Observed::Unknown => Observed::Unknown,
            Observed::Known(drain) => {
                Observed::Known(drain.filter(|drain| drain.is_in_force(now)).map(|_| Reason::Drained))
            }
        },
        Signal::ProbeFailed => match rules.record.probe.as_ref().map(|probe| conditions.probes.get(probe)) {
            None => Observed::Known(None),
            Some(None) => Observed::Unknown,
            Some(Some(ProbeOutcome::Passing)) => Observed::Known(None),
            Some(Some(ProbeOutcome::Failing(why))) => Observed::Known(Some(Reason::ProbeFailed(why.clone()))),
        },
        Signal::ApiUnreachable => match &conditions.node {
            None => Observed::Known(None),
            // Until the watcher has said something, nobody knows whether the API can be reached.
            Some(node) if !node.reported => Observed::Unknown,
            Some(node) => Observed::Known((!node.state.is_known()).then_some(Reason::ApiUnreachable)),
        },
        Signal::Deleting | Signal::NotReady | Signal::Cordoned | Signal::Excluded | Signal::Tainted => {
            match &conditions.node {
                None => Observed::Known(None),
                Some(node) => match &node.state {
                    Observed::Unknown => Observed::Unknown,
                    Observed::Known(NodeState::Absent) => {
                        Observed::Known((signal == Signal::NotReady).then_some(Reason::NodeAbsent))
                    }
                    Observed::Known(NodeState::Present(node)) => Observed::Known(of_the_node(signal, rules, node)),
                },
            }
        }
    }
}

/// Why the signal is up at this moment, by the Node object and by nothing else.
pub fn of_the_node(signal: Signal, rules: Rules<'_>, node: &NodeObject) -> Option<Reason> {
    match signal {
        Signal::Deleting => node.deleting.then_some(Reason::Deleting),
        Signal::NotReady => match &node.ready {
            Readiness::Ready => None,
            Readiness::NotReady(why) => Some(Reason::NotReady(why.clone())),
        },
        Signal::Cordoned => node.unschedulable.then_some(Reason::Cordoned),
        Signal::Excluded => match annotation::excludes(node) {
            Some(key) => Some(Reason::Excluded(key.to_owned())),
            None => (!rules.node_selector.matches(&node.labels)).then_some(Reason::NotSelected),
        },
        Signal::Tainted => {
            let taint = node.taints.iter().find(|(key, _)| rules.record.taint_keys.contains(key));
            taint.map(|(key, _)| Reason::Tainted(key.clone()))
        }
        Signal::Stopping | Signal::Drained | Signal::ProbeFailed | Signal::ApiUnreachable => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::name::DnsName;
    use crate::decide::record::{RecordType, ZoneRef};
    use crate::decide::routing::Routing;
    use crate::decide::select::AddressClass;
    use std::collections::BTreeSet;
    use std::time::Duration;

    fn at(seconds: u64) -> Moment {
        Moment::new(Duration::from_secs(seconds))
    }

    fn conditions(state: Observed<NodeState>, reported: bool) -> Conditions {
        let node = Some(NodeKnowledge { state, reported });
        Conditions { node, drain: Observed::Known(None), ..Conditions::default() }
    }

    fn node(ready: Readiness, unschedulable: bool) -> Conditions {
        let object = NodeObject {
            ready,
            ready_message: None,
            unschedulable,
            deleting: false,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            taints: Vec::new(),
        };
        conditions(Observed::Known(NodeState::Present(object)), true)
    }

    fn unreachable() -> Conditions {
        conditions(Observed::Unknown, true)
    }

    fn record(signals: &BTreeMap<Signal, SignalPolicy>) -> RecordPolicy {
        RecordPolicy {
            name: DnsName::parse("edge.example.com").expect("valid"),
            zone: ZoneRef::Id("Z1".into()),
            types: BTreeSet::from(RecordType::ALL),
            class: AddressClass::Global,
            all_addresses: false,
            static_addresses: BTreeSet::new(),
            ttl: 60,
            keep_min: 1,
            routing: Routing::Weighted(10).into(),
            probe: None,
            taint_keys: BTreeSet::new(),
            health_check: None,
            signals: signals.clone(),
        }
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

    fn ignoring_the_node() -> BTreeMap<Signal, SignalPolicy> {
        let of_the_node = Signal::ALL.into_iter().filter(|signal| signal.is_of_the_node());
        of_the_node.flat_map(|signal| policies(signal, SignalAction::Ignore, 0, 0)).collect()
    }

    /// Feeds readings at seconds and tells the fitness after each.
    fn run(policies: &BTreeMap<Signal, SignalPolicy>, steps: &[(u64, Conditions)]) -> Vec<Fitness> {
        let (record, node_selector) = (record(policies), LabelSelector::default());
        let rules = Rules { record: &record, node_selector: &node_selector };
        let mut signals = Signals::default();
        steps
            .iter()
            .map(|(second, conditions)| {
                signals.update(rules, conditions, at(*second));
                signals.fitness(rules, conditions, at(*second))
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
        let recovering = Fitness::Recovering(Reason::Recovering(Signal::Cordoned));
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
        let never_reported = conditions(Observed::Unknown, false);
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
        let ignoring = ignoring_the_node();
        assert_eq!(
            run(&ignoring, &[(0, unreachable()), (1, node(Readiness::NotReady(None), true))]),
            [Fitness::Fit, Fitness::Fit]
        );
    }

    #[test]
    fn whether_the_api_can_be_reached_is_not_known_before_the_watcher_has_spoken() {
        let mut only_reachability = ignoring_the_node();
        only_reachability.extend(policies(Signal::ApiUnreachable, SignalAction::Withdraw, 0, 0));
        assert_eq!(
            run(
                &only_reachability,
                &[
                    (0, conditions(Observed::Unknown, false)),
                    (1, node(Readiness::NotReady(None), false)),
                    (2, unreachable())
                ]
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
        let absent = conditions(Observed::Known(NodeState::Absent), true);
        assert_eq!(run(&BTreeMap::new(), &[(0, absent)]), [Fitness::Unfit(Reason::NodeAbsent)]);
    }

    #[test]
    fn the_deadline_is_when_time_alone_decides() {
        let record = record(&policies(Signal::NotReady, SignalAction::Withdraw, 30, 10));
        let node_selector = LabelSelector::default();
        let rules = Rules { record: &record, node_selector: &node_selector };
        let mut signals = Signals::default();
        signals.update(rules, &node(Readiness::Ready, false), at(0));
        assert_eq!(signals.deadline(rules), None);
        signals.update(rules, &node(Readiness::NotReady(None), false), at(7));
        assert_eq!(signals.deadline(rules), Some(at(37)));
    }

    fn object(change: impl FnOnce(&mut NodeObject)) -> Conditions {
        let mut conditions = node(Readiness::Ready, false);
        if let Some(NodeKnowledge { state: Observed::Known(NodeState::Present(object)), .. }) = &mut conditions.node {
            change(object);
        }
        conditions
    }

    #[test]
    fn only_the_taints_that_count_count_whatever_their_effect() {
        let tainted = |key: &str, effect: &str| object(|node| node.taints.push((key.into(), effect.into())));
        let record = RecordPolicy {
            taint_keys: crate::decide::policy::DEFAULT_TAINT_KEYS.map(str::to_owned).into(),
            ..record(&BTreeMap::new())
        };
        let node_selector = LabelSelector::default();
        let rules = Rules { record: &record, node_selector: &node_selector };
        let fitness = |conditions: &Conditions| {
            let mut signals = Signals::default();
            signals.update(rules, conditions, at(0));
            signals.fitness(rules, conditions, at(0))
        };
        for effect in ["NoSchedule", "NoExecute", "PreferNoSchedule"] {
            let key = "ToBeDeletedByClusterAutoscaler";
            assert_eq!(fitness(&tainted(key, effect)), Fitness::Unfit(Reason::Tainted(key.into())));
        }
        // What the cluster mirrors into taints is read sooner where it comes from.
        for key in ["node.kubernetes.io/unschedulable", "node.kubernetes.io/not-ready", "dedicated"] {
            assert_eq!(fitness(&tainted(key, "NoSchedule")), Fitness::Fit, "{key}");
        }
    }

    #[test]
    fn a_node_that_is_not_selected_or_excluded_is_unfit_and_says_why() {
        let record = record(&BTreeMap::new());
        let selector = LabelSelector(vec![crate::decide::selector::Requirement::Exists("edge".into())]);
        let rules = Rules { record: &record, node_selector: &selector };
        let fitness = |conditions: &Conditions| {
            let mut signals = Signals::default();
            signals.update(rules, conditions, at(0));
            signals.fitness(rules, conditions, at(0))
        };
        let edge = |node: &mut NodeObject| drop(node.labels.insert("edge".into(), String::new()));
        assert_eq!(fitness(&object(|_| {})), Fitness::Unfit(Reason::NotSelected));
        assert_eq!(fitness(&object(edge)), Fitness::Fit);
        let label = annotation::EXCLUDE_LABEL;
        for (value, expected) in [("false", Fitness::Fit), ("", Fitness::Unfit(Reason::Excluded(label.into())))] {
            let labelled = object(|node| {
                edge(node);
                node.labels.insert(label.into(), value.into());
            });
            assert_eq!(fitness(&labelled), expected, "{value:?}");
        }
    }

    #[test]
    fn a_deleted_node_is_deleted_before_it_is_anything_else() {
        let deleting = object(|node| {
            node.deleting = true;
            node.unschedulable = true;
        });
        assert_eq!(run(&BTreeMap::new(), &[(0, deleting)]), [Fitness::Unfit(Reason::Deleting)]);
    }

    #[test]
    fn each_return_is_slower_than_the_one_before() {
        let cordoned = || node(Readiness::Ready, true);
        let fine = || node(Readiness::Ready, false);
        let damped = |times, seconds| {
            Fitness::Recovering(Reason::Damped { signal: Signal::Cordoned, times, wait: Duration::from_secs(seconds) })
        };
        let outcome = run(
            &policies(Signal::Cordoned, SignalAction::Withdraw, 0, 3),
            &[
                (0, cordoned()),
                (1, fine()),
                (4, fine()),
                (5, cordoned()),
                (6, fine()),
                (11, fine()),
                (12, fine()),
                (13, cordoned()),
                (14, fine()),
                (25, fine()),
                (26, fine()),
                // After ten quiet minutes all is forgotten.
                (700, cordoned()),
                (701, fine()),
                (704, fine()),
            ],
        );
        let out = || Fitness::Unfit(Reason::Cordoned);
        let recovering = || Fitness::Recovering(Reason::Recovering(Signal::Cordoned));
        assert_eq!(
            outcome,
            [
                out(),
                recovering(),
                Fitness::Fit,
                out(),
                damped(2, 6),
                damped(2, 6),
                Fitness::Fit,
                out(),
                damped(3, 12),
                damped(3, 12),
                Fitness::Fit,
                out(),
                recovering(),
                Fitness::Fit
            ]
        );
    }
}
