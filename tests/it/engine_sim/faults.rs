//! Route 53 and the API server in trouble.

use super::*;

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
fn every_kind_of_error_is_met_with_patience() {
    for kind in ErrorKind::ALL {
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
