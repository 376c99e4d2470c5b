//! What the configuration changes: reloads, other policies, no Kubernetes.

use super::*;

#[test]
fn a_new_policy_keeps_what_is_known_and_leaves_what_is_gone() {
    let mut world = settled(&[V4]);
    let (lists_before, sent_before) = (lists(&world), world.sent.len());
    let heavier = nodedns::decide::policy::RecordPolicy {
        routing: nodedns::decide::routing::Routing::Weighted(200).into(),
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
        routing: nodedns::decide::routing::Routing::Latency("eu-west-1".into()).into(),
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
        routing: nodedns::decide::routing::Routing::Weighted(200).into(),
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
