//! What each signal does to a record: all of them, unknown, down and up, ignored and minded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use nodedns::decide::annotation::{EXCLUDE, Said};
use nodedns::decide::drain::Drain;
use nodedns::decide::fitness::{Conditions, Fitness, NodeKnowledge, Rules, Signals};
use nodedns::decide::node::{NodeObject, NodeState, Readiness};
use nodedns::decide::observed::Observed;
use nodedns::decide::plan::{TypePlan, World, plan};
use nodedns::decide::policy::{RecordPolicy, Signal, SignalAction, SignalPolicy};
use nodedns::decide::probe::ProbeOutcome;
use nodedns::decide::record::{Action, Listing, RecordType};
use nodedns::decide::selector::LabelSelector;
use nodedns::decide::time::Moment;
use proptest::prelude::*;

use crate::support::world::{self, OWN, SIBLING, V4, V4_OTHER};

const GONE: &str = "example.com/gone";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Unknown,
    Down,
    Up,
}

const LEVELS: [Level; 3] = [Level::Unknown, Level::Down, Level::Up];

/// The conditions under which each signal is at its level, as far as they can be told apart: what
/// is of the Node is unknown together, and an API that cannot be reached is a Node that is unknown.
fn conditions(level: impl Fn(Signal) -> Level) -> Conditions {
    let is = |signal, wanted| level(signal) == wanted;
    let object = NodeObject {
        ready: if is(Signal::NotReady, Level::Up) { Readiness::NotReady(None) } else { Readiness::Ready },
        ready_message: None,
        unschedulable: is(Signal::Cordoned, Level::Up),
        deleting: is(Signal::Deleting, Level::Up),
        labels: Default::default(),
        annotations: is(Signal::Excluded, Level::Up).then(|| (EXCLUDE.into(), "true".into())).into_iter().collect(),
        taints: is(Signal::Tainted, Level::Up).then(|| (GONE.into(), "NoExecute".into())).into_iter().collect(),
    };
    let node_known = is(Signal::ApiUnreachable, Level::Down)
        && Signal::ALL.into_iter().filter(|signal| signal.is_of_the_node()).all(|signal| !is(signal, Level::Unknown));
    let state = if node_known { Observed::Known(NodeState::Present(object)) } else { Observed::Unknown };
    let reported = !is(Signal::ApiUnreachable, Level::Unknown);
    let outcome = match level(Signal::ProbeFailed) {
        Level::Unknown => None,
        Level::Down => Some(ProbeOutcome::Passing),
        Level::Up => Some(ProbeOutcome::Failing("connection refused".into())),
    };
    Conditions {
        node: Some(NodeKnowledge { state, reported }),
        probes: outcome.map(|outcome| (world::probe(), outcome)).into_iter().collect(),
        drain: match level(Signal::Drained) {
            Level::Unknown => Observed::Unknown,
            Level::Down => Observed::Known(None),
            Level::Up => Observed::Known(Some(Drain { until: None, force: false })),
        },
        stopping: is(Signal::Stopping, Level::Up),
    }
}

fn record(action: impl Fn(Signal) -> SignalAction) -> RecordPolicy {
    let policy = |signal| SignalPolicy { action: action(signal), after: Duration::ZERO, recover_after: Duration::ZERO };
    RecordPolicy {
        types: BTreeSet::from([RecordType::A]),
        probe: Some(world::probe()),
        taint_keys: [GONE.to_owned()].into(),
        signals: Signal::ALL.into_iter().map(|signal| (signal, policy(signal))).collect(),
        ..world::record("edge.example.com", "Z1")
    }
}

fn fitness(record: &RecordPolicy, conditions: &Conditions) -> Fitness {
    let node_selector = LabelSelector::default();
    let rules = Rules { record, node_selector: &node_selector };
    let mut signals = Signals::default();
    signals.update(rules, conditions, Moment::default());
    signals.fitness(rules, conditions, Moment::default())
}

fn decide(record: RecordPolicy, fitness: &Fitness, listing: &Listing) -> TypePlan {
    let policy = world::policy(vec![record]);
    let snapshot = world::snapshot(&[V4]);
    let world = World {
        addresses: Observed::Known(&snapshot),
        absence_confirmed: &BTreeSet::new(),
        fitness,
        said: Said { known: true, annotations: None },
        listing: Observed::Known(listing),
        failures: &BTreeMap::new(),
        checks: &BTreeMap::new(),
    };
    plan(&policy, &policy.records[0], world).remove(0)
}

fn pools() -> [(&'static str, Listing); 3] {
    let sibling = || (RecordType::A, world::weighted(SIBLING, "185.12.64.9"));
    let own = |address| (RecordType::A, world::weighted(OWN, address));
    [
        ("not there", world::listing(vec![sibling()])),
        ("there", world::listing(vec![own(V4), sibling()])),
        ("old address", world::listing(vec![own(V4_OTHER), sibling()])),
    ]
}

fn actions(plan: &TypePlan) -> Vec<Action> {
    let own = |set: &nodedns::decide::record::RecordSet| set.set_identifier.as_ref().is_some_and(|id| id.0 == OWN);
    plan.changes.iter().filter(|change| own(&change.set)).map(|change| change.action).collect()
}

/// One row for each signal, level and action; all other signals are ignored.
#[test]
fn every_signal_at_every_level_with_every_action() {
    let mut table = String::new();
    for signal in Signal::ALL {
        for level in LEVELS.into_iter().filter(|level| signal != Signal::Stopping || *level != Level::Unknown) {
            for action in [SignalAction::Ignore, SignalAction::Withdraw] {
                let record = record(|other| if other == signal { action } else { SignalAction::Ignore });
                let fitness = fitness(&record, &conditions(|other| if other == signal { level } else { Level::Down }));
                let (level, action) = (format!("{level:?}"), format!("{action:?}"));
                let mut row = format!("{:<15} {level:<7} {action:<8}", signal.as_str());
                for (pool, listing) in pools() {
                    let plan = decide(record.clone(), &fitness, &listing);
                    let changes: Vec<_> = actions(&plan).iter().map(|action| action.as_str()).collect();
                    let reason = plan.intent.reason();
                    if pool == "not there" {
                        let _ = write!(row, " {:<8} {:<15}", plan.intent.as_str(), reason.as_str());
                    }
                    let _ = write!(row, " | {pool}: {:<14}", changes.join(" "));
                }
                writeln!(table, "{}", row.trim_end()).expect("writes");
            }
        }
    }
    insta::assert_snapshot!(table);
}

fn levels() -> impl Strategy<Value = Vec<Level>> {
    proptest::collection::vec(proptest::sample::select(LEVELS.to_vec()), Signal::ALL.len())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is known to speak against the node withdraws; else what is unknown preserves; and while
    /// anything that counts is unknown and nothing that is known speaks against the node, nothing is
    /// created and nothing is deleted.
    #[test]
    fn not_knowing_any_signal_neither_creates_nor_deletes(levels in levels(), minded in proptest::collection::vec(any::<bool>(), Signal::ALL.len())) {
        let at = |signal| Signal::ALL.iter().position(|other| *other == signal).expect("one of all");
        let conditions = conditions(|signal| levels[at(signal)]);
        let minds = |signal| minded[at(signal)];
        let record = record(|signal| if minds(signal) { SignalAction::Withdraw } else { SignalAction::Ignore });
        let node = conditions.node.clone().expect("watched");
        // The levels as they can be told from what the conditions say.
        let level = |signal: Signal| match signal {
            Signal::ApiUnreachable if !node.reported => Level::Unknown,
            Signal::ApiUnreachable if !node.state.is_known() => Level::Up,
            Signal::ApiUnreachable => Level::Down,
            signal if signal.is_of_the_node() && !node.state.is_known() => Level::Unknown,
            Signal::Stopping if levels[at(signal)] != Level::Up => Level::Down,
            signal => levels[at(signal)],
        };
        let any = |wanted| Signal::ALL.into_iter().any(|signal| minds(signal) && level(signal) == wanted);
        let fitness = fitness(&record, &conditions);
        match &fitness {
            Fitness::Unfit(_) => prop_assert!(any(Level::Up)),
            Fitness::Unknown(_) => prop_assert!(any(Level::Unknown) && !any(Level::Up)),
            Fitness::Fit => prop_assert!(!any(Level::Unknown) && !any(Level::Up)),
            Fitness::Recovering(_) => prop_assert!(false, "nothing has been up before"),
        }
        for (pool, listing) in pools() {
            let actions = actions(&decide(record.clone(), &fitness, &listing));
            match &fitness {
                Fitness::Unknown(_) if pool == "old address" => prop_assert_eq!(actions, [Action::Delete, Action::Create]),
                Fitness::Unknown(_) => prop_assert_eq!(actions, []),
                Fitness::Unfit(_) if pool == "not there" => prop_assert_eq!(actions, []),
                Fitness::Unfit(_) => prop_assert_eq!(actions, [Action::Delete]),
                Fitness::Fit | Fitness::Recovering(_) if pool == "there" => prop_assert_eq!(actions, []),
                Fitness::Fit | Fitness::Recovering(_) => prop_assert_eq!(actions, [Action::Upsert]),
            }
        }
    }
}
