//! What flaps makes a bounded number of calls, whatever it is and however fast, and the end is right.

use std::collections::BTreeMap;

use nodedns::decide::annotation;
use nodedns::decide::damping::{PER_MINUTE, RESUME_WAIT_MAX, WAIT_MAX};
use nodedns::decide::drain::Drain;
use nodedns::decide::node::{NodeObject, NodeState};
use nodedns::decide::policy::{RecordPolicy, Signal, SignalAction, SignalPolicy};
use nodedns::decide::probe::ProbeOutcome;
use nodedns::decide::routing::Routing;
use nodedns::decide::time::Moment;
use proptest::prelude::*;

use super::*;

/// The manual's bounds: signals bring about a withdrawal and a return each time, annotations one change.
const BY_SIGNALS: usize = 2 * PER_MINUTE;
const BY_ANNOTATIONS: usize = PER_MINUTE;

const GONE: &str = "example.com/gone";

/// Every signal counts, at once in both directions.
fn impatient() -> RecordPolicy {
    let policy = SignalPolicy { action: SignalAction::Withdraw, after: Duration::ZERO, recover_after: Duration::ZERO };
    RecordPolicy {
        signals: Signal::ALL.into_iter().map(|signal| (signal, policy)).collect(),
        probe: Some(world::probe()),
        taint_keys: [GONE.to_owned()].into(),
        ..world::record(EDGE, ZONE)
    }
}

/// What can flap; nothing ends a shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flapping {
    NotReady,
    Absent,
    Cordoned,
    Deleting,
    Excluded,
    Tainted,
    Unreachable,
    Drained,
    Probe,
    Weight(u8),
}

const SIGNALS: [Flapping; 9] = [
    Flapping::NotReady,
    Flapping::Absent,
    Flapping::Cordoned,
    Flapping::Deleting,
    Flapping::Excluded,
    Flapping::Tainted,
    Flapping::Unreachable,
    Flapping::Drained,
    Flapping::Probe,
];

/// What holds at a moment.
#[derive(Debug, Clone, Default)]
struct Now {
    up: BTreeMap<String, Flapping>,
    weight: Option<u8>,
}

impl Now {
    fn flip(&mut self, what: Flapping) {
        let key = format!("{what:?}");
        match what {
            Flapping::Weight(weight) => self.weight = Some(weight),
            _ if self.up.remove(&key).is_none() => drop(self.up.insert(key, what)),
            _ => {}
        }
    }

    fn is_up(&self, what: Flapping) -> bool {
        self.up.values().any(|up| *up == what)
    }

    fn tell(&self, world: &mut World) {
        let weight = self.weight.map(|weight| (annotation::WEIGHT.to_owned(), weight.to_string()));
        let exclude = self.is_up(Flapping::Excluded).then(|| (annotation::EXCLUDE.to_owned(), "true".to_owned()));
        let node = NodeObject {
            ready: if self.is_up(Flapping::NotReady) { Readiness::NotReady(None) } else { Readiness::Ready },
            ready_message: None,
            unschedulable: self.is_up(Flapping::Cordoned),
            deleting: self.is_up(Flapping::Deleting),
            labels: BTreeMap::new(),
            annotations: weight.into_iter().chain(exclude).collect(),
            taints: self
                .is_up(Flapping::Tainted)
                .then(|| (GONE.to_owned(), "NoExecute".to_owned()))
                .into_iter()
                .collect(),
        };
        let state = match node {
            _ if self.is_up(Flapping::Unreachable) => Observed::Unknown,
            _ if self.is_up(Flapping::Absent) => Observed::Known(NodeState::Absent),
            node => Observed::Known(NodeState::Present(node)),
        };
        let drain = self.is_up(Flapping::Drained).then_some(Drain { until: None, force: false });
        let failing = ProbeOutcome::Failing("connection refused".to_owned());
        let outcome = if self.is_up(Flapping::Probe) { failing } else { ProbeOutcome::Passing };
        world.after(Duration::ZERO, Happening::Node(state));
        world.after(Duration::ZERO, Happening::Drain(Observed::Known(drain)));
        world.after(Duration::ZERO, Happening::Probe(world::probe(), Observed::Known(outcome)));
    }
}

fn published() -> World {
    let mut world = World::new(world::policy(vec![impatient()]), vec![(ZONE, EDGE, sibling_listing())], 1);
    world.after(Duration::ZERO, texts(&[V4]));
    Now::default().tell(&mut world);
    world.run_for(Duration::from_secs(1200));
    assert!(world.own(&target(ZONE, EDGE), RecordType::A).is_some());
    world
}

/// The most changes that were asked for within any minute.
fn most_in_a_minute(world: &World, since: usize) -> usize {
    let applies: Vec<_> = world.sent[since..]
        .iter()
        .filter(|sent| matches!(sent.effect, Effect::Apply(..)))
        .map(|sent| sent.at)
        .collect();
    let minute = Duration::from_secs(60);
    let within = |first: Moment| applies.iter().filter(|at| **at >= first && **at - first < minute).count();
    applies.iter().map(|first| within(*first)).max().unwrap_or(0)
}

fn flaps(what: impl Strategy<Value = Flapping>) -> impl Strategy<Value = Vec<(Duration, Flapping)>> {
    let wait = prop_oneof![4 => 0..50u64, 4 => 50..1000u64, 3 => 1000..10_000u64, 1 => 10_000..200_000u64];
    proptest::collection::vec((wait.prop_map(Duration::from_millis), what), 1..150)
}

fn signals() -> impl Strategy<Value = Flapping> {
    proptest::sample::select(SIGNALS.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any flapping of any signals and annotations at any rate, and no patience configured.
    #[test]
    fn any_flapping_makes_a_bounded_number_of_changes_and_ends_right(
        steps in flaps(prop_oneof![4 => signals(), 1 => any::<u8>().prop_map(Flapping::Weight)]),
        weight in any::<u8>(),
        ends_fit in any::<bool>(),
    ) {
        let mut world = published();
        let (since, listed) = (world.sent.len(), lists(&world));
        let mut now = Now::default();
        for (wait, what) in steps {
            world.run_for(wait);
            now.flip(what);
            now.tell(&mut world);
        }
        let mut last = Now { weight: Some(weight), ..Now::default() };
        if !ends_fit {
            last.flip(Flapping::Probe);
        }
        last.tell(&mut world);
        world.run_for(WAIT_MAX + Duration::from_secs(10));
        let most = most_in_a_minute(&world, since);
        prop_assert!(most <= BY_SIGNALS + BY_ANNOTATIONS, "{most} changes in a minute");
        // Only the end of an absence is a reason to read, and that at most every ten seconds.
        let looks = usize::try_from((world.now - world.sent[since - 1].at).as_secs() / 10 + 1).expect("few");
        prop_assert!(lists(&world) - listed <= looks, "{} readings", lists(&world) - listed);
        let own = world.own(&target(ZONE, EDGE), RecordType::A).map(|set| set.routing);
        prop_assert_eq!(own, ends_fit.then_some(Routing::Weighted(weight)));
    }

    #[test]
    fn signals_alone_stay_within_their_own_bound(steps in flaps(signals())) {
        let mut world = published();
        let since = world.sent.len();
        let mut now = Now::default();
        for (wait, what) in steps {
            world.run_for(wait);
            now.flip(what);
            now.tell(&mut world);
        }
        world.run_for(Duration::from_secs(60));
        let most = most_in_a_minute(&world, since);
        prop_assert!(most <= BY_SIGNALS, "{most} changes in a minute");
    }
}

/// The worst there is: gone whenever it is there, back whenever it is gone, by another signal each
/// time, and for hours. The bound is met, and no more than met.
#[test]
fn the_worst_flapping_is_the_bound_at_first_and_next_to_nothing_later() {
    let mut world = published();
    let since = world.sent.len();
    let mut next = 0;
    let mut now = Now::default();
    let adversary = |world: &mut World, now: &mut Now, next: &mut usize, minutes: u64, step: u64| {
        let end = world.now + Duration::from_secs(60 * minutes);
        while world.now < end {
            let is_there = world.own(&target(ZONE, EDGE), RecordType::A).is_some();
            if is_there && now.up.is_empty() {
                // An unreachable API is left out: with it, nothing of the node can be told.
                let signals: Vec<_> = SIGNALS.into_iter().filter(|what| *what != Flapping::Unreachable).collect();
                now.flip(signals[*next % signals.len()]);
                *next += 1;
                now.tell(world);
            } else if !is_there && !now.up.is_empty() {
                *now = Now::default();
                now.tell(world);
            }
            world.run_for(Duration::from_millis(step));
        }
    };
    // Out for longer than anything is remembered, so that a minute can begin with a return.
    now.flip(Flapping::Drained);
    now.tell(&mut world);
    world.run_for(Duration::from_secs(700));
    adversary(&mut world, &mut now, &mut next, 3, 50);
    assert_eq!(most_in_a_minute(&world, since), BY_SIGNALS);
    adversary(&mut world, &mut now, &mut next, 60, 500);
    assert!(most_in_a_minute(&world, since) <= BY_SIGNALS);
    let before = applies(&world);
    adversary(&mut world, &mut now, &mut next, 60, 500);
    assert!(applies(&world) - before <= 100, "{} changes in an hour", applies(&world) - before);
    Now::default().tell(&mut world);
    world.run_for(WAIT_MAX + Duration::from_secs(1));
    assert!(world.own(&target(ZONE, EDGE), RecordType::A).is_some());
}

#[test]
fn status_says_that_a_record_is_damped() {
    let mut world = published();
    for _ in 0..5 {
        world.after(Duration::ZERO, Happening::Drain(Observed::Known(Some(Drain { until: None, force: false }))));
        world.after(Duration::from_secs(1), Happening::Drain(Observed::Known(None)));
        world.run_for(Duration::from_secs(20));
    }
    world.after(Duration::ZERO, Happening::Drain(Observed::Known(Some(Drain { until: None, force: false }))));
    world.after(Duration::from_secs(1), Happening::Drain(Observed::Known(None)));
    world.run_for(Duration::from_secs(5));
    let reason = |world: &World| world.engine.report().records[0].intent.reason();
    let damped = Reason::Damped { signal: Signal::Drained, times: 6, wait: RESUME_WAIT_MAX };
    assert_eq!(reason(&world), damped);
    assert_eq!(
        damped.to_string(),
        "'drained' has cleared, but the node has become unfit 6 times in 10 minutes; waiting until it has stayed so for 20s"
    );
    world.run_for(RESUME_WAIT_MAX);
    assert_eq!(reason(&world), Reason::Eligible);
    // After a quiet window a resume means now again.
    world.run_for(Duration::from_secs(600));
    world.after(Duration::ZERO, Happening::Drain(Observed::Known(Some(Drain { until: None, force: false }))));
    world.run_for(Duration::from_secs(1));
    let resumed = world.now;
    world.after(Duration::ZERO, Happening::Drain(Observed::Known(None)));
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.first_apply_after(resumed), Some(resumed));
}

/// Whatever signal it is; a drain has its own rules, and nothing ends a shutdown.
#[test]
fn every_signal_that_comes_back_soon_is_shown_as_damped() {
    for (what, signal) in [
        (Flapping::NotReady, Signal::NotReady),
        (Flapping::Absent, Signal::NotReady),
        (Flapping::Cordoned, Signal::Cordoned),
        (Flapping::Deleting, Signal::Deleting),
        (Flapping::Excluded, Signal::Excluded),
        (Flapping::Tainted, Signal::Tainted),
        (Flapping::Unreachable, Signal::ApiUnreachable),
        (Flapping::Probe, Signal::ProbeFailed),
    ] {
        let mut world = published();
        let mut now = Now::default();
        for _ in 0..2 {
            world.run_for(Duration::from_secs(60));
            now.flip(what);
            now.tell(&mut world);
            world.run_for(Duration::from_secs(20));
            assert_eq!(world.own(&target(ZONE, EDGE), RecordType::A), None, "{what:?}");
            now.flip(what);
            now.tell(&mut world);
            world.run_for(Duration::from_secs(1));
        }
        let damped = Reason::Damped { signal, times: 2, wait: Duration::from_secs(2) };
        assert_eq!(world.engine.report().records[0].intent.reason(), damped, "{what:?}");
        world.run_for(Duration::from_secs(2));
        assert_eq!(world.engine.report().records[0].intent.reason(), Reason::Eligible, "{what:?}");
    }
}

#[test]
fn leaving_is_immediate_however_often_it_has_happened() {
    let mut world = published();
    let cordoned = || Happening::Node(Observed::Known(world::node(Readiness::Ready, true)));
    for _ in 0..8 {
        world.after(Duration::ZERO, cordoned());
        let event = world.now;
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.first_apply_after(event), Some(event));
        world.after(Duration::ZERO, Happening::Node(Observed::Known(world::ready())));
        world.run_for(WAIT_MAX + Duration::from_secs(1));
    }
}
