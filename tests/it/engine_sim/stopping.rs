//! The system stops: what leaves, what stays, when there is nothing left to do, and that nothing
//! takes it back.

use super::*;
use nodedns::decide::policy::{RecordPolicy, Signal, SignalAction};

fn stops(world: &mut World) {
    world.after(Duration::ZERO, Happening::Answer(Event::Stopping));
    world.run_for(Duration::ZERO);
}

fn is_gone(world: &World, name: &str) -> bool {
    RecordType::ALL.iter().all(|rtype| world.own(&target(ZONE, name), *rtype).is_none())
}

/// Runs until the engine says that nothing is left to do, and tells how long that took.
fn time_to_depart(world: &mut World, limit: Duration) -> Option<Duration> {
    let began = world.now;
    while world.now - began < limit {
        if world.engine.has_departed() {
            return Some(world.now - began);
        }
        world.run_for(Duration::from_millis(10));
    }
    None
}

#[test]
fn the_record_sets_leave_in_one_batch_and_then_nothing_is_left_to_do() {
    let mut world = settled(&[V4, V6]);
    assert!(!world.engine.has_departed(), "nobody has asked");
    let (event, lists_before, applies_before) = (world.now, lists(&world), applies(&world));
    stops(&mut world);
    assert!(!world.engine.has_departed(), "the batch is on its way");
    assert!(time_to_depart(&mut world, HANG).is_some_and(|took| took <= Duration::from_millis(50)));
    assert_eq!(world.first_apply_after(event), Some(event));
    assert!(is_gone(&world, EDGE));
    assert_eq!((lists(&world) - lists_before, applies(&world) - applies_before), (0, 1));
}

#[test]
fn nothing_is_known_of_the_node_and_still_they_leave() {
    let mut world = settled(&[V4]);
    world.after(Duration::ZERO, Happening::Node(Observed::Unknown));
    world.run_for(Duration::from_secs(1));
    stops(&mut world);
    assert!(time_to_depart(&mut world, HANG).is_some());
    assert!(is_gone(&world, EDGE));
}

/// As `Happening::Answer` is how events come in, this is a shutdown in every state that a start goes through.
#[test]
fn at_any_moment_of_a_start_the_end_is_an_empty_pool_of_ours() {
    for milliseconds in (0..1500).step_by(7) {
        let mut world =
            World::new(world::policy(vec![world::record(EDGE, ZONE)]), vec![(ZONE, EDGE, sibling_listing())], 1);
        world.after(Duration::ZERO, texts(&[V4, V6]));
        world.after(Duration::from_millis(5), Happening::Node(Observed::Known(world::ready())));
        world.run_for(Duration::from_millis(milliseconds));
        stops(&mut world);
        assert!(time_to_depart(&mut world, HANG).is_some(), "after {milliseconds} ms");
        world.run_for(Duration::from_secs(600));
        assert!(is_gone(&world, EDGE), "after {milliseconds} ms");
    }
}

#[test]
fn nothing_takes_it_back() {
    let mut world = settled(&[V4]);
    stops(&mut world);
    for state in [world::node(Readiness::Ready, true), world::ready()] {
        world.after(Duration::from_millis(500), Happening::Node(Observed::Known(state)));
    }
    world.after(Duration::from_secs(1), texts(&[V4_OTHER, V6]));
    world.after(Duration::from_secs(2), Happening::Answer(Event::Recheck));
    world.after(Duration::from_secs(3), Happening::Answer(Event::Stopping));
    let put_back =
        Change { action: Action::Create, name: world::name(EDGE), rtype: RecordType::A, set: world::weighted(OWN, V4) };
    world.after(Duration::from_millis(1500), Happening::Foreign(target(ZONE, EDGE), put_back));
    world.run_for(Duration::from_secs(3600));
    assert!(is_gone(&world, EDGE));
    assert!(world.engine.has_departed() && world.engine.is_stopping());
}

/// Whatever it waits for, a shutdown is tried at once: there is not the time to wait.
#[test]
fn a_shutdown_does_not_sit_out_the_backoff_of_earlier_failures() {
    let mut world = settled(&[V4]);
    let failing = vec![Treatment::Fails(ErrorKind::Throttled); 40];
    world.after(Duration::ZERO, Happening::Treatments(ZONE.into(), failing));
    world.after(Duration::ZERO, texts(&[V4_OTHER]));
    world.run_for(Duration::from_secs(200));
    let failures = |notice: &Notice| matches!(notice, Notice::Failed { .. });
    assert!(world.notices.iter().filter(|notice| failures(notice)).count() >= 8);
    world.after(Duration::ZERO, Happening::Treatments(ZONE.into(), Vec::new()));
    let event = world.now + Duration::from_micros(1);
    world.run_for(Duration::from_micros(1));
    stops(&mut world);
    assert_eq!(world.first_apply_after(event), Some(event));
    assert!(time_to_depart(&mut world, HANG).is_some());
    assert!(is_gone(&world, EDGE));
}

#[test]
fn throttling_and_a_lost_answer_are_overcome_within_the_patience() {
    for seed in 0..200 {
        let policy = world::policy(vec![world::record(EDGE, ZONE)]);
        let mut world = World::new(policy, vec![(ZONE, EDGE, sibling_listing())], seed);
        world.after(Duration::ZERO, texts(&[V4, V6]));
        world.after(Duration::from_millis(5), Happening::Node(Observed::Known(world::ready())));
        world.run_for(Duration::from_secs(600));
        let mut treatments = vec![Treatment::Fails(ErrorKind::Throttled); 3];
        treatments.extend([Treatment::LosesAnswer, Treatment::Fails(ErrorKind::Busy)]);
        world.after(Duration::ZERO, Happening::Treatments(ZONE.into(), treatments));
        stops(&mut world);
        let took = time_to_depart(&mut world, Duration::from_secs(25));
        assert!(took.is_some_and(|took| took >= HANG), "{seed}: {took:?}");
        assert!(is_gone(&world, EDGE), "{seed}");
    }
}

#[test]
fn the_last_one_stays_after_a_second_look_and_is_not_waited_for() {
    let policy = world::policy(vec![world::record(EDGE, ZONE)]);
    let mut world = World::new(policy, vec![(ZONE, EDGE, Listing::default())], 1);
    world.after(Duration::ZERO, texts(&[V4]));
    world.after(Duration::from_millis(5), Happening::Node(Observed::Known(world::ready())));
    world.run_for(Duration::from_secs(600));
    let before = (lists(&world), applies(&world));
    let mut engine = world.engine.clone();
    engine.handle(Event::Stopping, world.now);
    assert!(!engine.has_departed(), "nobody has looked yet");
    stops(&mut world);
    assert!(!world.engine.has_departed(), "what forbids it is asked once more");
    assert!(time_to_depart(&mut world, HANG).is_some());
    assert_eq!((lists(&world), applies(&world)), (before.0 + 1, before.1));
    assert!(!is_gone(&world, EDGE), "S3");
    assert_eq!(world.engine.report().records[0].intent.reason(), Reason::KeepMin(1));
}

#[test]
fn whoever_is_no_longer_the_last_one_leaves() {
    let policy = world::policy(vec![world::record(EDGE, ZONE)]);
    let mut world = World::new(policy, vec![(ZONE, EDGE, Listing::default())], 1);
    world.after(Duration::ZERO, texts(&[V4]));
    world.after(Duration::from_millis(5), Happening::Node(Observed::Known(world::ready())));
    world.run_for(Duration::from_secs(600));
    let joins = Change {
        action: Action::Create,
        name: world::name(EDGE),
        rtype: RecordType::A,
        set: world::weighted(SIBLING, "185.12.64.9"),
    };
    world.after(Duration::ZERO, Happening::Foreign(target(ZONE, EDGE), joins));
    stops(&mut world);
    assert!(time_to_depart(&mut world, HANG).is_some());
    assert!(is_gone(&world, EDGE));
}

/// What has kept it in DNS for long, a cordon that is held, may have gone too since the name was read.
#[test]
fn whoever_has_been_held_for_long_looks_once_more_and_leaves() {
    let policy = world::policy(vec![world::record(EDGE, ZONE)]);
    let mut world = World::new(policy, vec![(ZONE, EDGE, Listing::default())], 1);
    world.after(Duration::ZERO, texts(&[V4]));
    world.after(Duration::from_millis(5), Happening::Node(Observed::Known(world::ready())));
    world.run_for(Duration::from_secs(600));
    world.after(Duration::ZERO, Happening::Node(Observed::Known(world::node(Readiness::Ready, true))));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.engine.report().records[0].intent.reason(), Reason::KeepMin(1));
    let joins = Change {
        action: Action::Create,
        name: world::name(EDGE),
        rtype: RecordType::A,
        set: world::weighted(SIBLING, "185.12.64.9"),
    };
    world.after(Duration::ZERO, Happening::Foreign(target(ZONE, EDGE), joins));
    world.run_for(Duration::from_secs(60));
    assert!(!is_gone(&world, EDGE), "nobody has looked yet");
    stops(&mut world);
    assert!(time_to_depart(&mut world, HANG).is_some_and(|took| took < Duration::from_secs(1)));
    assert!(is_gone(&world, EDGE));
}

fn ignoring(name: &str) -> RecordPolicy {
    let mut record = world::record(name, ZONE);
    let policy =
        nodedns::decide::policy::SignalPolicy { action: SignalAction::Ignore, ..Signal::Stopping.default_policy() };
    record.signals.insert(Signal::Stopping, policy);
    record
}

#[test]
fn a_record_that_ignores_it_stays_as_it_is_whatever_else_the_shutdown_does_to_the_node() {
    let kept = "kept.example.com";
    let policy = world::policy(vec![world::record(EDGE, ZONE), ignoring(kept)]);
    let mut world = World::new(policy, vec![(ZONE, EDGE, sibling_listing()), (ZONE, kept, sibling_listing())], 1);
    world.after(Duration::ZERO, texts(&[V4]));
    world.after(Duration::from_millis(5), Happening::Node(Observed::Known(world::ready())));
    world.run_for(Duration::from_secs(600));
    stops(&mut world);
    assert!(world.engine.is_leaving(&target(ZONE, EDGE).zone, &world::name(EDGE)));
    assert!(!world.engine.is_leaving(&target(ZONE, kept).zone, &world::name(kept)));
    assert!(time_to_depart(&mut world, HANG).is_some());
    let before = world.sent.len();
    world.after(Duration::ZERO, Happening::Node(Observed::Known(world::node(Readiness::NotReady(None), true))));
    world.after(Duration::from_secs(1), texts(&[]));
    world.after(Duration::from_secs(5), texts(&[V4_OTHER]));
    world.run_for(Duration::from_secs(60 * 24 * 3600));
    assert!(is_gone(&world, EDGE));
    assert_eq!(world.own_address(&target(ZONE, kept), RecordType::A), V4.parse().ok());
    let asked = |sent: &&crate::support::hostile::Sent| match &sent.effect {
        Effect::List(target) | Effect::Apply(target, _) => target.name == world::name(kept),
        _ => false,
    };
    assert_eq!(world.sent[before..].iter().filter(asked).count(), 0);
}

/// What is on its way for a record that ignores the shutdown is waited for, and its failure is not made good.
#[test]
fn a_write_on_its_way_is_waited_for() {
    let policy = world::policy(vec![ignoring(EDGE)]);
    let mut world = World::new(policy, vec![(ZONE, EDGE, sibling_listing())], 1);
    world.after(Duration::ZERO, texts(&[V4]));
    world.after(Duration::from_millis(5), Happening::Node(Observed::Known(world::ready())));
    world.run_for(Duration::from_secs(600));
    world.after(Duration::ZERO, Happening::Treatments(ZONE.into(), vec![Treatment::Hangs]));
    world.after(Duration::ZERO, texts(&[V4_OTHER]));
    world.run_for(Duration::from_secs(1));
    stops(&mut world);
    assert!(!world.engine.has_departed());
    let took = time_to_depart(&mut world, 2 * HANG);
    assert!(took.is_some_and(|took| took > HANG / 2), "{took:?}");
    let sent = world.sent.len();
    world.run_for(Duration::from_secs(600));
    assert!(world.sent[sent..].iter().all(|sent| sent.effect == Effect::ReadAddresses), "{:?}", &world.sent[sent..]);
}
