//! The operator's drain in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use nodedns::decide::drain::Drain;
use nodedns::decide::engine::{Effect, Event, Notice};
use nodedns::decide::node::Readiness;
use nodedns::decide::observed::Observed;
use nodedns::decide::policy::{RecordPolicy, Signal, SignalAction, SignalPolicy};
use nodedns::decide::reason::{Intent, Reason};
use nodedns::decide::record::{Action, Change, Listing, RecordType};
use nodedns::decide::time::Moment;
use proptest::prelude::*;

use super::{EDGE, ZONE, applies, lists, settled, sibling_listing, texts};
use crate::support::hostile::{Happening, World, target};
use crate::support::world::{self, OWN, SIBLING, V4, V4_OTHER, V6};

const DRAIN: Drain = Drain { until: None, force: false };
const FORCED: Drain = Drain { until: None, force: true };

fn drained(drain: Option<Drain>) -> Happening {
    Happening::Answer(Event::Drain(Observed::Known(drain)))
}

fn reasons(world: &World) -> Vec<Reason> {
    world.engine.report().records.iter().map(|record| record.intent.reason()).collect()
}

#[test]
fn a_drain_withdraws_in_the_same_instant_and_a_resume_publishes_in_it() {
    let mut world = settled(&[V4, V6]);
    let edge = target(ZONE, EDGE);
    let begin = world.now;
    world.after(Duration::ZERO, drained(Some(DRAIN)));
    world.run_for(Duration::from_secs(3600));
    assert_eq!(world.first_apply_after(begin), Some(begin));
    assert_eq!(world.own(&edge, RecordType::A), None);
    assert_eq!(world.own(&edge, RecordType::Aaaa), None);
    assert_eq!(reasons(&world), [Reason::Drained, Reason::Drained]);
    assert!(world.engine.report().records.iter().all(|record| record.is_healthy() && record.follows_drain));

    // Once more changes nothing, and neither does a node that is Ready all the while.
    let before = world.sent.len();
    world.after(Duration::ZERO, drained(Some(DRAIN)));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.sent.len(), before);

    let end = world.now;
    world.after(Duration::ZERO, drained(None));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.first_apply_after(end), Some(end), "whoever resumes means now");
    assert_eq!(world.own(&edge, RecordType::A), Some(world::weighted(OWN, V4)));
}

#[test]
fn a_drain_ends_by_itself_and_says_so_once() {
    let mut world = settled(&[V4]);
    let until = world.now + Duration::from_secs(1800);
    world.after(Duration::ZERO, drained(Some(Drain { until: Some(until), force: false })));
    world.run_for(Duration::from_secs(1799));
    assert_eq!(world.own(&target(ZONE, EDGE), RecordType::A), None);
    assert!(!world.notices.contains(&Notice::DrainEnded));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.first_apply_after(until), Some(until));
    assert_eq!(world.own_address(&target(ZONE, EDGE), RecordType::A), V4.parse().ok());
    assert_eq!(world.engine.drain(), Observed::Known(None));
    assert_eq!(world.notices.iter().filter(|notice| **notice == Notice::DrainEnded).count(), 1);
}

#[test]
fn draining_again_replaces_what_was_asked_for_before() {
    let mut world = settled(&[V4]);
    let soon = world.now + Duration::from_secs(10);
    world.after(Duration::ZERO, drained(Some(Drain { until: Some(soon), force: false })));
    world.after(Duration::from_secs(5), drained(Some(DRAIN)));
    world.run_for(Duration::from_secs(3600));
    assert_eq!(world.own(&target(ZONE, EDGE), RecordType::A), None);
    assert!(!world.notices.contains(&Notice::DrainEnded));
}

/// A restart: a fresh engine that is told of the drain before it is asked for anything.
#[test]
fn a_drained_node_that_restarts_publishes_nothing_at_any_moment() {
    for (listing, others) in [(sibling_listing(), "gone"), (with_own(sibling_listing()), "still there")] {
        let policy = world::policy(vec![world::record(EDGE, ZONE)]);
        let mut world = World::new(policy, vec![(ZONE, EDGE, listing)], 1);
        world.engine.handle(Event::Drain(Observed::Known(Some(DRAIN))), world.now);
        world.after(Duration::ZERO, texts(&[V4, V6]));
        world.after(Duration::from_millis(5), Happening::Node(Observed::Known(world::ready())));
        world.run_for(Duration::from_secs(600));
        let published = world.sent.iter().any(|sent| {
            let is_ours = |change: &Change| change.set.set_identifier.as_ref().is_some_and(|id| id.0 == OWN);
            matches!(&sent.effect, Effect::Apply(_, changes)
                if changes.iter().any(|change| is_ours(change) && change.action != Action::Delete))
        });
        assert!(!published, "our record set was {others}");
        assert_eq!(world.own(&target(ZONE, EDGE), RecordType::A), None);
    }
}

fn with_own(mut listing: Listing) -> Listing {
    for (rtype, address) in [(RecordType::A, V4), (RecordType::Aaaa, V6)] {
        let set = world::weighted(OWN, address);
        listing.pools.entry(rtype).or_default().insert(set.set_identifier.clone(), set);
    }
    listing
}

/// A world in which this node is alone in its pool, and nothing is known of that since.
fn alone() -> World {
    let listing = with_own(Listing::default());
    let mut world = World::new(world::policy(vec![world::record(EDGE, ZONE)]), vec![(ZONE, EDGE, listing)], 1);
    world.after(Duration::ZERO, texts(&[V4, V6]));
    world.after(Duration::from_millis(5), Happening::Node(Observed::Known(world::ready())));
    world.run_for(Duration::from_secs(600));
    world
}

#[test]
fn the_last_one_is_held_until_a_sibling_comes_which_is_looked_for_at_once() {
    let mut world = alone();
    let before = lists(&world);
    world.after(Duration::ZERO, drained(Some(DRAIN)));
    world.run_for(Duration::from_secs(5));
    assert_eq!(reasons(&world), [Reason::KeepMin(1), Reason::KeepMin(1)]);
    assert!(world.engine.report().records.iter().all(|record| record.in_sync), "that is the last word");
    assert_eq!(lists(&world) - before, 1, "one look, to be sure");
    // A sibling has joined since, and the operator tries again.
    for (rtype, set) in [(RecordType::A, "185.12.64.9"), (RecordType::Aaaa, "2a01:4ff:f0::9")] {
        let edge = target(ZONE, EDGE);
        let set = world::weighted(SIBLING, set);
        let change = Change { action: Action::Create, name: edge.name.clone(), rtype, set };
        world.after(Duration::ZERO, Happening::Foreign(edge, change));
    }
    world.after(Duration::ZERO, drained(Some(DRAIN)));
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.own(&target(ZONE, EDGE), RecordType::A), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// The manual's bound, where every withdrawal is held: whatever the operator asks for and however often, and
    /// however the Node flaps meanwhile.
    #[test]
    fn the_last_one_reads_its_pool_a_bounded_number_of_times(
        steps in proptest::collection::vec((prop_oneof![4 => 0..300u64, 1 => 300..20_000u64], 0..6u8), 1..200),
    ) {
        let mut world = alone();
        let since = world.sent.len();
        for (wait, step) in steps {
            let ready = Readiness::Ready;
            let node = |readiness, cordoned| Happening::Node(Observed::Known(world::node(readiness, cordoned)));
            let happening = match step {
                0 | 1 => drained(Some(DRAIN)),
                2 => drained(None),
                3 => node(ready, true),
                4 => node(Readiness::NotReady(None), false),
                _ => node(ready, false),
            };
            world.after(Duration::ZERO, happening);
            world.run_for(Duration::from_millis(wait));
        }
        world.run_for(Duration::from_secs(60));
        let listings = || world.sent[since..].iter().filter(|sent| matches!(sent.effect, Effect::List(_)));
        let minute = Duration::from_secs(60);
        let within = |first: Moment| listings().filter(|sent| sent.at >= first && sent.at - first < minute).count();
        let most = listings().map(|sent| within(sent.at)).max().unwrap_or(0);
        prop_assert!(most <= 14, "{most} listings in a minute");
    }

    /// The same without the Node: the operator alone.
    #[test]
    fn draining_again_and_again_reads_the_pool_once_in_ten_seconds(
        steps in proptest::collection::vec((0..2000u64, any::<bool>()), 1..200),
    ) {
        let mut world = alone();
        let since = world.sent.len();
        for (wait, drains) in steps {
            world.after(Duration::ZERO, drained(drains.then_some(DRAIN)));
            world.run_for(Duration::from_millis(wait));
        }
        world.run_for(Duration::from_secs(60));
        let listings: Vec<_> =
            world.sent[since..].iter().filter(|sent| matches!(sent.effect, Effect::List(_))).map(|sent| sent.at).collect();
        let apart = |pair: &[Moment]| pair[1] - pair[0] >= Duration::from_secs(10);
        prop_assert!(listings.windows(2).all(apart), "{listings:?}");
    }
}

/// The batches of a forced drain have no witness, which the world itself would refuse as unsafe: so
/// only what the engine wants is looked at.
fn batch_of(mut world: World, happening: Event) -> Option<Vec<Change>> {
    world.engine.handle(happening, world.now);
    std::iter::from_fn(|| world.engine.poll(world.now)).find_map(|effect| match effect {
        Effect::Apply(_, changes) => Some(changes),
        _ => None,
    })
}

#[test]
fn force_overrides_keep_min_and_nothing_else_does() {
    let batch = batch_of(alone(), Event::Drain(Observed::Known(Some(FORCED)))).expect("a batch");
    assert!(batch.iter().all(|change| change.action == Action::Delete), "{batch:?}");
    assert_eq!(batch.len(), 2);
    assert_eq!(batch_of(alone(), Event::Drain(Observed::Known(Some(DRAIN)))), None);
    // A cordon is held although a drain that this record ignores is forced.
    let cordoned = Event::Node(Observed::Known(world::node(Readiness::Ready, true)));
    let mut world = alone();
    world.engine.reconfigure(world::policy(vec![ignoring(world::record(EDGE, ZONE))]), world.now);
    world.engine.handle(Event::Drain(Observed::Known(Some(FORCED))), world.now);
    assert_eq!(reasons(&world), [Reason::Eligible, Reason::Eligible]);
    world.engine.handle(cordoned, world.now);
    assert_eq!(reasons(&world), [Reason::KeepMin(1), Reason::KeepMin(1)]);
    // Nor is a shutdown forced by a drain that this record ignores.
    let mut world = alone();
    world.engine.reconfigure(world::policy(vec![ignoring(world::record(EDGE, ZONE))]), world.now);
    world.engine.handle(Event::Drain(Observed::Known(Some(FORCED))), world.now);
    world.engine.handle(Event::Stopping, world.now);
    assert_eq!(reasons(&world), [Reason::KeepMin(1), Reason::KeepMin(1)]);
    // With a forced drain that counts, a shutdown of the node takes nothing of it back.
    let mut world = alone();
    world.engine.handle(Event::Drain(Observed::Known(Some(FORCED))), world.now);
    world.engine.handle(Event::Stopping, world.now);
    assert!(world.engine.report().records.iter().all(|record| matches!(record.intent, Intent::Withdraw(_))));
    // Without it, the shutdown itself is held.
    let mut world = alone();
    world.engine.handle(Event::Stopping, world.now);
    assert_eq!(reasons(&world), [Reason::KeepMin(1), Reason::KeepMin(1)]);
}

fn ignoring(record: RecordPolicy) -> RecordPolicy {
    let policy = SignalPolicy { action: SignalAction::Ignore, after: Duration::ZERO, recover_after: Duration::ZERO };
    RecordPolicy { signals: BTreeMap::from([(Signal::Drained, policy)]), ..record }
}

#[test]
fn a_record_that_ignores_the_drain_stays() {
    let policy = world::policy(vec![ignoring(world::record(EDGE, ZONE))]);
    let mut world = World::new(policy, vec![(ZONE, EDGE, sibling_listing())], 1);
    world.engine.handle(Event::Drain(Observed::Known(Some(DRAIN))), world.now);
    world.after(Duration::ZERO, texts(&[V4]));
    world.after(Duration::from_millis(5), Happening::Node(Observed::Known(world::ready())));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.own_address(&target(ZONE, EDGE), RecordType::A), V4.parse().ok());
    assert!(world.engine.report().records.iter().all(|record| !record.follows_drain));
}

/// Not knowing deletes nothing and creates nothing, what is there follows the address, and what else is known counts.
#[test]
fn while_nobody_knows_whether_it_is_drained_things_stay() {
    let mut world = settled(&[V4]);
    let edge = target(ZONE, EDGE);
    let before = applies(&world);
    world.after(Duration::ZERO, Happening::Answer(Event::Drain(Observed::Unknown)));
    world.after(Duration::from_secs(1), texts(&[V4, V6]));
    world.run_for(Duration::from_secs(60));
    assert_eq!(applies(&world), before, "nothing is created");
    assert_eq!(reasons(&world), [Reason::DrainUnknown, Reason::DrainUnknown]);
    world.after(Duration::ZERO, texts(&[V4_OTHER]));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.own_address(&edge, RecordType::A), V4_OTHER.parse().ok());
    assert_eq!(applies(&world), before + 1);
    // Another signal withdraws, and nothing of it comes back while nobody knows.
    world.after(Duration::ZERO, Happening::Node(Observed::Known(world::node(Readiness::Ready, true))));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.own(&edge, RecordType::A), None);
    assert_eq!(reasons(&world), [Reason::Cordoned, Reason::Cordoned]);
    world.after(Duration::ZERO, Happening::Node(Observed::Known(world::ready())));
    world.run_for(Duration::from_secs(60));
    assert_eq!(reasons(&world), [Reason::DrainUnknown, Reason::DrainUnknown]);
    assert_eq!(world.own(&edge, RecordType::A), None);
    // Whatever the operator says then holds.
    world.after(Duration::ZERO, drained(None));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.own_address(&edge, RecordType::A), V4_OTHER.parse().ok());
    world.after(Duration::ZERO, drained(Some(DRAIN)));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.own(&edge, RecordType::A), None);
}

/// A drain is the operator's word: it holds though the API server does not answer.
#[test]
fn a_drain_needs_no_kubernetes() {
    let mut world = settled(&[V4]);
    world.engine.handle(Event::Node(Observed::Unknown), world.now);
    world.engine.handle(Event::Drain(Observed::Known(Some(DRAIN))), world.now);
    world.run_for(Duration::ZERO);
    assert_eq!(reasons(&world), [Reason::Drained, Reason::Drained]);
}
