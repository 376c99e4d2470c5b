//! The engine in virtual time: how fast, how often, and that it always gets there.
//!
//! The periodic resync is off (30 days) wherever convergence is the question: with it on, lost work
//! would be found again by accident.

use std::time::Duration;

use nodedns::decide::engine::{Effect, Event, Notice};
use nodedns::decide::node::Readiness;
use nodedns::decide::observed::Observed;
use nodedns::decide::provider::{ChangeStatus, ErrorKind};
use nodedns::decide::reason::Reason;
use nodedns::decide::record::{Action, Change, Listing, RecordType, ZoneRef};

use crate::support::hostile::{HANG, Happening, Treatment, World, target};
use crate::support::world::{self, OWN, SIBLING, V4, V4_OTHER, V6};

const SETTLE: Duration = Duration::from_millis(200);
const ZONE: &str = "Z1";
const EDGE: &str = "edge.example.com";

fn texts(addresses: &[&str]) -> Happening {
    Happening::Addresses(addresses.iter().map(|text| (*text).to_owned()).collect())
}

fn sibling_listing() -> Listing {
    world::listing(vec![
        (RecordType::A, world::weighted(SIBLING, "185.12.64.9")),
        (RecordType::Aaaa, world::weighted(SIBLING, "2a01:4ff:f0::9")),
    ])
}

/// A world with a sibling in the pool, whose engine has come to rest: published where the node is ready.
fn settled(addresses: &[&str]) -> World {
    let mut world =
        World::new(world::policy(vec![world::record(EDGE, ZONE)]), vec![(ZONE, EDGE, sibling_listing())], 1);
    world.after(Duration::ZERO, texts(addresses));
    world.after(Duration::from_millis(5), Happening::Node(Observed::Known(world::ready())));
    world.run_for(Duration::from_secs(600));
    world
}

fn applies(world: &World) -> usize {
    world.count(|effect| matches!(effect, Effect::Apply(..)))
}

fn lists(world: &World) -> usize {
    world.count(|effect| matches!(effect, Effect::List(_)))
}

#[test]
fn a_fresh_start_takes_one_listing_and_one_batch() {
    let world = settled(&[V4, V6]);
    let edge = target(ZONE, EDGE);
    assert_eq!(world.own(&edge, RecordType::A), Some(world::weighted(OWN, V4)));
    assert_eq!(world.own(&edge, RecordType::Aaaa), Some(world::weighted(OWN, V6)));
    assert_eq!((lists(&world), applies(&world)), (1, 1));
    assert!(world.engine.report().records.iter().all(|record| record.is_healthy()));
}

#[test]
fn a_new_address_is_on_its_way_after_the_settle_time_and_not_a_microsecond_later() {
    let mut world = settled(&[V4]);
    let before = lists(&world);
    let event = world.now;
    world.after(Duration::ZERO, texts(&[V4_OTHER]));
    world.run_for(Duration::from_secs(5));
    // The reading itself takes a millisecond here.
    assert_eq!(world.first_apply_after(event), Some(event + SETTLE + Duration::from_millis(1)));
    assert_eq!(lists(&world), before, "what is known of the pool is enough");
    assert_eq!(world.own_address(&target(ZONE, EDGE), RecordType::A), V4_OTHER.parse().ok());
}

#[test]
fn a_cordon_is_acted_on_in_the_same_instant() {
    let mut world = settled(&[V4]);
    let event = world.now;
    world.after(Duration::ZERO, Happening::Node(Observed::Known(world::node(Readiness::Ready, true))));
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.first_apply_after(event), Some(event));
    assert_eq!(world.own(&target(ZONE, EDGE), RecordType::A), None);
}

#[test]
fn coming_back_waits_for_recover_after() {
    let mut world = settled(&[V4]);
    world.after(Duration::ZERO, Happening::Node(Observed::Known(world::node(Readiness::NotReady(None), false))));
    world.run_for(Duration::from_secs(60));
    let back = world.now;
    world.after(Duration::ZERO, Happening::Node(Observed::Known(world::ready())));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.first_apply_after(back), Some(back + Duration::from_secs(10)));
}

#[test]
fn a_flapping_node_makes_a_bounded_number_of_calls() {
    let mut world = settled(&[V4]);
    let before = world.sent.len();
    for second in 0..600 {
        let state = world::node(Readiness::Ready, second % 2 == 0);
        world.after(Duration::from_secs(second), Happening::Node(Observed::Known(state)));
    }
    world.run_for(Duration::from_secs(600));
    assert_eq!(applies(&world), 2, "withdrawn once, and never steady enough to come back");
    assert!(world.sent.len() - before < 10);
}

#[test]
fn a_burst_is_one_reading_and_one_batch() {
    let mut world = settled(&[V4]);
    let before = world.sent.len();
    for step in 0..50u64 {
        world.after(Duration::from_millis(step * 3), texts(&[if step % 2 == 0 { V4_OTHER } else { V4 }]));
    }
    world.after(Duration::from_millis(150), texts(&[V4_OTHER]));
    world.run_for(Duration::from_secs(5));
    let after: Vec<_> = world.sent[before..].iter().map(|sent| &sent.effect).collect();
    assert!(matches!(after[..], [Effect::ReadAddresses, Effect::Apply(..)]), "{after:?}");
}

#[test]
fn endless_flapping_cannot_starve_a_reading() {
    let mut world = settled(&[V4]);
    let event = world.now;
    for step in 0..400u64 {
        world.after(Duration::from_millis(step * 100), texts(&[V4_OTHER]));
    }
    world.run_for(Duration::from_secs(40));
    let first = world.first_apply_after(event).expect("a change");
    assert!(first - event <= Duration::from_millis(2001), "{:?}", first - event);
}

#[test]
fn an_address_must_be_missing_twice_before_it_is_withdrawn() {
    let mut world = settled(&[V4]);
    let before = world.sent.len();
    world.after(Duration::ZERO, texts(&[]));
    world.run_for(Duration::from_secs(5));
    let after: Vec<_> = world.sent[before..].iter().map(|sent| &sent.effect).collect();
    assert!(matches!(after[..], [Effect::ReadAddresses, Effect::ReadAddresses, Effect::Apply(..)]), "{after:?}");
    assert_eq!(world.own(&target(ZONE, EDGE), RecordType::A), None);

    let mut world = settled(&[V4]);
    let before = applies(&world);
    world.after(Duration::ZERO, texts(&[]));
    world.after(Duration::from_millis(250), texts(&[V4]));
    world.run_for(Duration::from_secs(5));
    assert_eq!(applies(&world), before, "an address that was gone for one reading only is not withdrawn");
}

#[test]
fn an_outage_of_the_api_changes_nothing_but_the_address_is_still_followed() {
    let mut world = settled(&[V4]);
    let before = applies(&world);
    world.after(Duration::ZERO, Happening::Node(Observed::Unknown));
    world.run_for(Duration::from_secs(3600));
    assert_eq!(applies(&world), before);
    world.after(Duration::ZERO, texts(&[V4_OTHER]));
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.own_address(&target(ZONE, EDGE), RecordType::A), V4_OTHER.parse().ok());
}

#[test]
fn what_was_pruned_during_an_outage_is_not_brought_back() {
    let mut world = settled(&[V4]);
    let edge = target(ZONE, EDGE);
    let own = world.own(&edge, RecordType::A).expect("published");
    world.after(Duration::ZERO, Happening::Node(Observed::Unknown));
    let prune = Change { action: Action::Delete, name: edge.name.clone(), rtype: RecordType::A, set: own };
    world.after(Duration::from_secs(1), Happening::Foreign(edge.clone(), prune));
    world.after(Duration::from_secs(2), texts(&[V4_OTHER]));
    world.run_for(Duration::from_secs(120));
    assert_eq!(world.own(&edge, RecordType::A), None);
}

#[test]
fn the_last_one_in_the_pool_stays() {
    let mut world = settled(&[V4]);
    let edge = target(ZONE, EDGE);
    // The sibling leaves behind the engine's back, then this node is cordoned.
    let sibling = |rtype, address| Change {
        action: Action::Delete,
        name: edge.name.clone(),
        rtype,
        set: world::weighted(SIBLING, address),
    };
    world.after(Duration::ZERO, Happening::Foreign(edge.clone(), sibling(RecordType::A, "185.12.64.9")));
    world.after(Duration::from_secs(1), Happening::Node(Observed::Known(world::node(Readiness::Ready, true))));
    world.run_for(Duration::from_secs(120));
    assert_eq!(world.own(&edge, RecordType::A), Some(world::weighted(OWN, V4)));
    let report = world.engine.report();
    assert_eq!(report.records[0].intent.reason(), Reason::KeepMin(1));
}

/// L4: a day in steady state, with resync on.
#[test]
fn a_quiet_day_is_one_listing_per_resync_and_nothing_else() {
    let mut policy = world::policy(vec![world::record(EDGE, ZONE)]);
    policy.timing.resync = Duration::from_secs(900);
    let mut world = World::new(policy, vec![(ZONE, EDGE, sibling_listing())], 1);
    world.after(Duration::ZERO, texts(&[V4]));
    world.after(Duration::ZERO, Happening::Node(Observed::Known(world::ready())));
    world.run_for(Duration::from_secs(600));
    let (lists_before, sent_before) = (lists(&world), world.sent.len());
    world.run_for(Duration::from_secs(24 * 3600));
    let listed = lists(&world) - lists_before;
    assert!((24 * 3600 / 990..=24 * 3600 / 810).contains(&listed), "{listed}");
    // Each resync also reads the addresses once.
    assert_eq!(world.sent.len() - sent_before, 2 * listed);
}

#[test]
fn a_restart_with_nothing_changed_writes_nothing() {
    let first = settled(&[V4, V6]);
    let edge = target(ZONE, EDGE);
    let zone = first.zones.get(&edge).cloned().expect("listed");
    let mut world = World::new(world::policy(vec![world::record(EDGE, ZONE)]), vec![(ZONE, EDGE, zone)], 2);
    world.after(Duration::ZERO, texts(&[V4, V6]));
    world.after(Duration::from_millis(30), Happening::Node(Observed::Known(world::ready())));
    world.run_for(Duration::from_secs(600));
    assert_eq!((lists(&world), applies(&world)), (1, 0));
}

/// L5.
#[test]
fn drift_is_repaired_at_the_next_resync_and_named() {
    let mut policy = world::policy(vec![world::record(EDGE, ZONE)]);
    policy.timing.resync = Duration::from_secs(900);
    let mut world = World::new(policy, vec![(ZONE, EDGE, sibling_listing())], 1);
    world.after(Duration::ZERO, texts(&[V4]));
    world.after(Duration::ZERO, Happening::Node(Observed::Known(world::ready())));
    let edge = target(ZONE, EDGE);
    let edit = Change {
        action: Action::Upsert,
        name: edge.name.clone(),
        rtype: RecordType::A,
        set: world::weighted(OWN, V4_OTHER),
    };
    world.after(Duration::from_secs(100), Happening::Foreign(edge.clone(), edit));
    world.run_for(Duration::from_secs(100 + 990));
    assert_eq!(world.own_address(&edge, RecordType::A), V4.parse().ok());
    let named = |notice: &Notice| matches!(notice, Notice::Drift { found, .. } if *found == [V4_OTHER.parse::<std::net::IpAddr>().expect("an address")]);
    assert!(world.notices.iter().any(named), "{:?}", world.notices);
}

#[test]
fn a_batch_whose_answer_was_lost_is_looked_up_and_not_repeated() {
    let mut world = settled(&[V4]);
    let before = applies(&world);
    world.after(Duration::ZERO, Happening::Treatments(ZONE.into(), vec![Treatment::LosesAnswer]));
    world.after(Duration::ZERO, texts(&[V4_OTHER]));
    world.run_for(HANG + Duration::from_secs(31));
    assert_eq!(applies(&world) - before, 1);
    assert!(world.engine.report().records[0].is_healthy());
}

#[test]
fn a_throttled_batch_is_repeated_without_another_listing() {
    let mut world = settled(&[V4]);
    let (lists_before, applies_before) = (lists(&world), applies(&world));
    world.after(Duration::ZERO, Happening::Treatments(ZONE.into(), vec![Treatment::Fails(ErrorKind::Throttled); 3]));
    world.after(Duration::ZERO, texts(&[V4_OTHER]));
    world.run_for(Duration::from_secs(60));
    assert_eq!((lists(&world) - lists_before, applies(&world) - applies_before), (0, 4));
    let recovered = |notice: &Notice| matches!(notice, Notice::Recovered { failures: 3, .. });
    assert!(world.notices.iter().any(recovered));
}

/// S6, across zones: one that never answers does not hold up another.
#[test]
fn a_hanging_zone_does_not_hold_up_another() {
    let policy = world::policy(vec![world::record(EDGE, ZONE), world::record("edge.example.net", "Z2")]);
    let mut world =
        World::new(policy, vec![(ZONE, EDGE, sibling_listing()), ("Z2", "edge.example.net", sibling_listing())], 1);
    world.after(Duration::ZERO, Happening::Treatments(ZONE.into(), vec![Treatment::Hangs; 1000]));
    world.after(Duration::ZERO, texts(&[V4]));
    world.after(Duration::ZERO, Happening::Node(Observed::Known(world::ready())));
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.own_address(&target("Z2", "edge.example.net"), RecordType::A), V4.parse().ok());
    world.run_for(Duration::from_secs(7200));
    assert_eq!(world.own(&target(ZONE, EDGE), RecordType::A), None);
    // S5: still trying after two hours.
    let late = world.now;
    let tries = world.sent.iter().filter(|sent| late - sent.at < Duration::from_secs(60)).count();
    assert!(tries >= 1);
}

/// S6, within one name: a type that Route 53 refuses does not hold up the other.
#[test]
fn a_refused_type_does_not_hold_up_the_other() {
    let mut world = settled(&[V4, V6]);
    let edge = target(ZONE, EDGE);
    // Somebody replaces our AAAA by compare-and-swap rules' worst case: the node is unknown, so we
    // must swap, and the AAAA we know is no longer there. The batch for both is refused.
    let own = world.own(&edge, RecordType::Aaaa).expect("published");
    world.after(Duration::ZERO, Happening::Node(Observed::Unknown));
    let prune = Change { action: Action::Delete, name: edge.name.clone(), rtype: RecordType::Aaaa, set: own };
    world.after(Duration::ZERO, Happening::Foreign(edge.clone(), prune));
    world.after(Duration::from_secs(1), texts(&[V4_OTHER, "2a01:4ff:f0::2"]));
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.own_address(&edge, RecordType::A), V4_OTHER.parse().ok());
    assert_eq!(world.own(&edge, RecordType::Aaaa), None);
}

#[test]
fn a_change_is_asked_after_until_it_is_in_sync() {
    let world = settled(&[V4]);
    let asked = world.count(|effect| matches!(effect, Effect::ChangeStatus(_)));
    assert_eq!(asked, 1, "the first answer says it");
    let change = world.engine.report().records[0].last_change.clone().expect("a change");
    assert_eq!(change.status, ChangeStatus::InSync);
}

#[test]
fn a_resumed_machine_looks_at_everything_again() {
    let mut world = settled(&[V4]);
    let before = world.sent.len();
    world.after(Duration::ZERO, Happening::Answer(Event::Recheck));
    world.run_for(Duration::from_secs(5));
    let after: Vec<_> = world.sent[before..].iter().map(|sent| &sent.effect).collect();
    assert!(matches!(after[..], [Effect::ReadAddresses, Effect::List(_)]), "{after:?}");
}

#[test]
fn a_new_policy_keeps_what_is_known_and_leaves_what_is_gone() {
    let mut world = settled(&[V4]);
    let (lists_before, sent_before) = (lists(&world), world.sent.len());
    let heavier = nodedns::decide::policy::RecordPolicy {
        routing: nodedns::decide::routing::Routing::Weighted(200),
        ..world::record(EDGE, ZONE)
    };
    world.engine.reconfigure(world::policy(vec![heavier]), world.now);
    world.run_for(Duration::from_secs(5));
    assert_eq!(lists(&world), lists_before);
    assert!(
        matches!(&world.sent[sent_before].effect, Effect::Apply(_, changes) if changes[0].action == Action::Upsert)
    );

    let edge = target(ZONE, EDGE);
    let published = world.own(&edge, RecordType::A);
    world.engine.reconfigure(world::policy(vec![]), world.now);
    world.run_for(Duration::from_secs(120));
    assert_eq!(world.own(&edge, RecordType::A), published);
    assert!(
        world
            .notices
            .iter()
            .any(|notice| matches!(notice, Notice::Unmanaged { target } if target.zone == ZoneRef::Id(ZONE.into())))
    );
}

#[test]
fn a_listing_that_was_overtaken_is_not_the_last_word() {
    let mut world = settled(&[V4]);
    let before = lists(&world);
    // The second look is asked for while the first is on its way.
    world.after(Duration::ZERO, Happening::Answer(Event::Recheck));
    world.after(Duration::from_millis(10), Happening::Answer(Event::Recheck));
    world.run_for(Duration::from_secs(5));
    assert_eq!(lists(&world) - before, 2);
}

#[test]
fn what_was_given_up_for_want_of_knowledge_does_not_work_again() {
    let mut world = settled(&[V4]);
    world.after(Duration::ZERO, Happening::Treatments(ZONE.into(), vec![Treatment::Fails(ErrorKind::Throttled); 4]));
    world.after(Duration::ZERO, Happening::Node(Observed::Known(world::node(Readiness::Ready, true))));
    // The node becomes unknown while its withdrawal is being refused, so there is nothing to write.
    world.after(Duration::from_millis(100), Happening::Node(Observed::Unknown));
    world.run_for(Duration::from_secs(120));
    let recovered = |world: &World| world.notices.iter().any(|notice| matches!(notice, Notice::Recovered { .. }));
    assert!(!recovered(&world), "{:?}", world.notices);
    world.after(Duration::ZERO, Happening::Node(Observed::Known(world::node(Readiness::Ready, true))));
    world.run_for(Duration::from_secs(120));
    assert!(recovered(&world));
    assert_eq!(world.own(&target(ZONE, EDGE), RecordType::A), None);
}

#[test]
fn a_fresh_look_names_drift_too() {
    let mut world = settled(&[V4]);
    let edge = target(ZONE, EDGE);
    let edit = Change {
        action: Action::Upsert,
        name: edge.name.clone(),
        rtype: RecordType::A,
        set: world::weighted(OWN, V4_OTHER),
    };
    world.after(Duration::ZERO, Happening::Foreign(edge.clone(), edit));
    world.after(Duration::from_secs(1), Happening::Answer(Event::Recheck));
    world.run_for(Duration::from_secs(5));
    assert!(world.notices.iter().any(|notice| matches!(notice, Notice::Drift { .. })));
    assert_eq!(world.own_address(&edge, RecordType::A), V4.parse().ok());
}

/// The most requests that a minute of nothing but errors may see for one name: full jitter halves
/// the cap of 30 s on average, a try may take a listing and a batch, and the first tries are quick.
fn bounded(world: &World, since: usize, minutes: usize) {
    let requests = world.sent[since..].iter().filter(|sent| !matches!(sent.effect, Effect::ReadAddresses)).count();
    assert!(requests <= 30 + 12 * minutes, "{requests} requests in {minutes} min");
}

#[test]
fn every_kind_of_error_is_met_with_patience() {
    for kind in [
        ErrorKind::Throttled,
        ErrorKind::Busy,
        ErrorKind::Denied,
        ErrorKind::Credentials,
        ErrorKind::NoSuchZone,
        ErrorKind::Refused,
        ErrorKind::Unavailable,
        ErrorKind::Unconfirmed,
    ] {
        let mut world = settled(&[V4, V6]);
        let before = world.sent.len();
        world.after(Duration::ZERO, Happening::Treatments(ZONE.into(), vec![Treatment::Fails(kind); 100_000]));
        world.after(Duration::ZERO, texts(&[V4_OTHER]));
        world.run_for(Duration::from_secs(1800));
        bounded(&world, before, 30);
    }
}

/// What flaps between two wants must not start over with the shortest wait each time.
#[test]
fn flapping_does_not_reset_the_patience() {
    let refused = || Happening::Treatments(ZONE.into(), vec![Treatment::Fails(ErrorKind::Throttled); 100_000]);
    let mut world = settled(&[V4]);
    let before = world.sent.len();
    world.after(Duration::ZERO, refused());
    for step in 0..1000u64 {
        world.after(Duration::from_millis(step * 300), texts(&[if step % 2 == 0 { V4_OTHER } else { V4 }]));
    }
    world.run_for(Duration::from_secs(300));
    bounded(&world, before, 5);

    let mut world = settled(&[V4]);
    let before = world.sent.len();
    world.after(Duration::ZERO, refused());
    for step in 0..3000u64 {
        let cordoned = Observed::Known(world::node(Readiness::Ready, true));
        world.after(
            Duration::from_millis(step * 100),
            Happening::Node(if step % 2 == 0 { cordoned } else { Observed::Unknown }),
        );
    }
    world.run_for(Duration::from_secs(300));
    bounded(&world, before, 5);
}

/// S6, within one name: Route 53 never takes the AAAA, and the A goes on as if nothing were.
#[test]
fn a_type_that_is_always_refused_does_not_hold_up_the_other() {
    let mut world = settled(&[V4, V6]);
    let edge = target(ZONE, EDGE);
    world.after(
        Duration::ZERO,
        Happening::Treatments(ZONE.into(), vec![Treatment::RefusesType(RecordType::Aaaa); 100_000]),
    );
    world.after(Duration::ZERO, texts(&[V4_OTHER, "2a01:4ff:f0::2"]));
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.own_address(&edge, RecordType::A), V4_OTHER.parse().ok());
    assert_eq!(world.own_address(&edge, RecordType::Aaaa), V6.parse().ok());
    let report = world.engine.report();
    assert!(report.records[0].is_healthy());
    assert!(!report.records[1].is_healthy() && report.records[1].last_error.is_some());
    // And again, while the refusals go on.
    world.after(Duration::ZERO, texts(&[V4, "2a01:4ff:f0::2"]));
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.own_address(&edge, RecordType::A), V4.parse().ok());
    // Once Route 53 takes it, both go in one batch again.
    world.after(Duration::ZERO, Happening::Treatments(ZONE.into(), Vec::new()));
    world.run_for(Duration::from_secs(60));
    let before = applies(&world);
    world.after(Duration::ZERO, texts(&[V4_OTHER, V6]));
    world.run_for(Duration::from_secs(5));
    assert_eq!(applies(&world) - before, 1);
}

/// Names of one zone take turns: one that always has something to write does not starve the rest.
#[test]
fn names_of_a_zone_take_turns() {
    let policy = world::policy(vec![world::record(EDGE, ZONE), world::record("other.example.com", ZONE)]);
    let zones = vec![(ZONE, EDGE, sibling_listing()), (ZONE, "other.example.com", sibling_listing())];
    let mut world = World::new(policy, zones, 1);
    world.after(Duration::ZERO, texts(&[V4]));
    world.after(Duration::ZERO, Happening::Node(Observed::Known(world::ready())));
    world.run_for(Duration::from_secs(60));
    world.after(Duration::ZERO, texts(&[V4_OTHER]));
    world.run_for(Duration::from_secs(1));
    for name in [EDGE, "other.example.com"] {
        assert_eq!(world.own_address(&target(ZONE, name), RecordType::A), V4_OTHER.parse().ok(), "{name}");
    }
}

#[test]
fn a_reload_is_no_second_reading() {
    let mut world = settled(&[V4]);
    world.after(Duration::ZERO, texts(&[]));
    world.run_for(Duration::from_millis(250));
    let before = applies(&world);
    world.engine.reconfigure(world::policy(vec![world::record(EDGE, ZONE)]), world.now);
    world.run_for(Duration::from_millis(100));
    assert_eq!(applies(&world), before);
}

#[test]
fn what_is_on_its_way_for_a_name_outlives_the_name() {
    let mut world = settled(&[V4]);
    world.after(Duration::ZERO, Happening::Treatments(ZONE.into(), vec![Treatment::LosesAnswer]));
    world.after(Duration::ZERO, texts(&[V4_OTHER]));
    world.run_for(Duration::from_secs(1));
    // Gone and back while a batch hangs: the world would notice a second one in the zone.
    world.engine.reconfigure(world::policy(vec![]), world.now);
    world.engine.reconfigure(world::policy(vec![world::record(EDGE, ZONE)]), world.now);
    world.after(Duration::from_millis(10), texts(&[V4]));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.own_address(&target(ZONE, EDGE), RecordType::A), V4.parse().ok());
    // The same with another name of the zone in place of it.
    world.after(Duration::ZERO, Happening::Treatments(ZONE.into(), vec![Treatment::LosesAnswer]));
    world.after(Duration::ZERO, texts(&[V4_OTHER]));
    world.run_for(Duration::from_secs(1));
    world.zones.insert(target(ZONE, "other.example.com"), sibling_listing());
    world.engine.reconfigure(world::policy(vec![world::record("other.example.com", ZONE)]), world.now);
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.own_address(&target(ZONE, "other.example.com"), RecordType::A), V4_OTHER.parse().ok());
}

/// L6: whoever is in a pool that no longer takes him still follows the address.
#[test]
fn a_conflict_does_not_freeze_the_address() {
    let mut world = settled(&[V4]);
    let latency = nodedns::decide::policy::RecordPolicy {
        routing: nodedns::decide::routing::Routing::Latency("eu-west-1".into()),
        ..world::record(EDGE, ZONE)
    };
    world.engine.reconfigure(world::policy(vec![latency]), world.now);
    world.after(Duration::ZERO, texts(&[V4_OTHER]));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.own_address(&target(ZONE, EDGE), RecordType::A), V4_OTHER.parse().ok());
    let report = world.engine.report();
    assert_eq!(report.records[0].intent.as_str(), "hold");
    assert!(!report.records[0].is_healthy());
}

/// Whoever mends what holds us should not have to wait for the long resync.
#[test]
fn a_conflict_is_looked_at_more_often() {
    let mut policy = world::policy(vec![world::record(EDGE, ZONE)]);
    policy.timing.resync = Duration::from_secs(900);
    let mut listing = sibling_listing();
    listing.has_cname = true;
    let mut world = World::new(policy, vec![(ZONE, EDGE, listing)], 1);
    world.after(Duration::ZERO, texts(&[V4]));
    world.after(Duration::ZERO, Happening::Node(Observed::Known(world::ready())));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.engine.report().records[0].intent.reason(), Reason::CnameConflict);
    world.zones.insert(target(ZONE, EDGE), sibling_listing());
    world.run_for(Duration::from_secs(200));
    assert_eq!(world.own_address(&target(ZONE, EDGE), RecordType::A), V4.parse().ok());
}

#[test]
fn without_kubernetes_the_addresses_alone_decide() {
    let policy =
        nodedns::decide::policy::Policy { kubernetes: false, ..world::policy(vec![world::record(EDGE, ZONE)]) };
    let mut world = World::new(policy, vec![(ZONE, EDGE, sibling_listing())], 1);
    // The world holds every engine to "the node is unknown", which here is not asked.
    world.after(Duration::ZERO, Happening::Node(Observed::Known(world::node(Readiness::NotReady(None), true))));
    world.after(Duration::ZERO, texts(&[V4]));
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.own_address(&target(ZONE, EDGE), RecordType::A), V4.parse().ok());
}

/// What `status` rests on, from the moment that something changes to the moment that it is done.
#[test]
fn in_sync_means_that_route_53_is_known_to_have_it() {
    let mut world = settled(&[V4]);
    let report = |world: &World| world.engine.report().records[0].clone();
    assert!(report(&world).in_sync && report(&world).is_healthy());
    assert_eq!((report(&world).others, report(&world).ttl_configured), (Some(1), None));

    // On its way, then there.
    let changed = world.now + SETTLE;
    world.after(Duration::ZERO, texts(&[V4_OTHER]));
    world.run_for(SETTLE + Duration::from_millis(10));
    assert!(!report(&world).in_sync && !report(&world).is_healthy());
    assert_eq!(report(&world).since, changed + Duration::from_millis(1));
    world.run_for(Duration::from_secs(1));
    assert!(report(&world).in_sync && report(&world).is_healthy());

    // Another weight is as much out of sync as another address.
    let heavier = nodedns::decide::policy::RecordPolicy {
        routing: nodedns::decide::routing::Routing::Weighted(200),
        ..world::record(EDGE, ZONE)
    };
    world.engine.reconfigure(world::policy(vec![heavier]), world.now);
    assert!(!report(&world).in_sync);
    world.run_for(Duration::from_secs(1));
    assert!(report(&world).in_sync);

    // A listing that fails is shown, and what is published is still known to be right.
    world.after(Duration::ZERO, Happening::Treatments(ZONE.into(), vec![Treatment::Fails(ErrorKind::Denied); 1000]));
    world.after(Duration::ZERO, Happening::Answer(Event::Recheck));
    world.run_for(Duration::from_secs(10));
    let denied = report(&world);
    assert_eq!(denied.last_error.as_ref().map(|last| last.error.kind), Some(ErrorKind::Denied));
    assert!(!denied.is_healthy() && !denied.in_sync, "asked to look again, it could not");
    world.after(Duration::ZERO, Happening::Treatments(ZONE.into(), Vec::new()));
    world.run_for(Duration::from_secs(31));
    assert!(report(&world).is_healthy());
}

/// A pool whose weighted record sets have another TTL: adopted, and said once.
#[test]
fn an_adopted_ttl_is_said_once() {
    let mut listing = sibling_listing();
    for pool in listing.pools.values_mut() {
        for set in pool.values_mut() {
            if let nodedns::decide::record::Target::Values { ttl, .. } = &mut set.target {
                *ttl = 300;
            }
        }
    }
    let mut world = World::new(world::policy(vec![world::record(EDGE, ZONE)]), vec![(ZONE, EDGE, listing)], 1);
    world.after(Duration::ZERO, texts(&[V4]));
    world.after(Duration::ZERO, Happening::Node(Observed::Known(world::ready())));
    world.run_for(Duration::from_secs(60));
    world.after(Duration::ZERO, texts(&[V4_OTHER]));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.own(&target(ZONE, EDGE), RecordType::A).and_then(|set| set.ttl()), Some(300));
    let told = world
        .notices
        .iter()
        .filter(|notice| matches!(notice, Notice::TtlAdopted { rtype: RecordType::A, configured: 60, pool: 300, .. }));
    assert_eq!(told.count(), 1);
    let report = world.engine.report();
    assert_eq!((report.records[0].ttl, report.records[0].ttl_configured), (300, Some(60)));
}
