//! How fast, how often, and what is done at all.

use super::*;

#[test]
fn a_fresh_start_takes_one_listing_and_one_batch_and_a_second_look() {
    let world = settled(&[V4, V6]);
    let edge = target(ZONE, EDGE);
    assert_eq!(world.own(&edge, RecordType::A), Some(world::weighted(OWN, V4)));
    assert_eq!(world.own(&edge, RecordType::Aaaa), Some(world::weighted(OWN, V6)));
    assert_eq!((lists(&world), applies(&world)), (2, 1));
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
    // A removal may have been on its way while the daemon started, hence the second.
    assert_eq!((lists(&world), applies(&world)), (2, 0));
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
