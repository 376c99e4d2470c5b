//! Managed health checks: there before they are referred to, gone after, and never in the way.

use std::collections::{BTreeMap, BTreeSet};

use nodedns::decide::health_check::{
    CheckProbe, CheckRequest, CheckSpec, HealthCheck, HttpCheck, ManagedCheck, NewCheck, Place, Reference,
};
use nodedns::decide::owner::OwnerId;
use nodedns::decide::policy::{Policy, RecordPolicy, Signal};
use nodedns::decide::random::Random;
use nodedns::decide::report::CheckState;
use nodedns::decide::routing::{FailoverRole, Routing};

use super::*;
use crate::support::check_service::CheckService;

/// So long that everything has been tried again, and every grace is over.
const LONG: Duration = Duration::from_secs(1200);

pub(super) fn https() -> ManagedCheck {
    let http = HttpCheck { path: "/healthz".into(), host: None, search: None };
    ManagedCheck { probe: CheckProbe::Https(http), port: 443, interval: 30, failure_threshold: 3 }
}

fn checked() -> RecordPolicy {
    let signals = Signal::ALL.map(|signal| (signal, signal.default_policy()));
    RecordPolicy {
        health_check: Some(HealthCheck::Managed(https())),
        signals: signals.into(),
        ..world::record(EDGE, ZONE)
    }
}

fn policy() -> Policy {
    world::policy(vec![checked()])
}

/// A world whose engine has nothing to do yet but to find out.
fn fresh(addresses: &[&str]) -> World {
    let mut world = World::new(policy(), vec![(ZONE, EDGE, sibling_listing())], 1);
    world.after(Duration::ZERO, texts(addresses));
    world.after(Duration::from_millis(5), Happening::Node(Observed::Known(world::ready())));
    world
}

fn published(addresses: &[&str]) -> World {
    let mut world = fresh(addresses);
    world.run_for(LONG);
    assert_right(&world);
    world
}

/// The process is killed and starts again.
fn restart(world: &mut World, policy: Policy) {
    world.restart(policy, world.sent.len() as u64);
    world.after(Duration::from_millis(5), Happening::Node(Observed::Known(world::ready())));
}

fn own(world: &World, rtype: RecordType) -> Option<nodedns::decide::record::RecordSet> {
    world.own(&target(ZONE, EDGE), rtype)
}

fn attached(world: &World, rtype: RecordType) -> Option<String> {
    own(world, rtype)?.health_check_id
}

/// Every own record set has a health check of its address, and there is no other.
fn assert_right(world: &World) {
    let mut used = BTreeSet::new();
    for rtype in RecordType::ALL {
        let Some(set) = own(world, rtype) else { continue };
        let id = set.health_check_id.clone().unwrap_or_else(|| panic!("{rtype} has none: {:?}", world.notices));
        let spec = world.checks.checks.get(&id).and_then(|check| check.spec.clone()).expect("there, and not edited");
        assert_eq!((BTreeSet::from([spec.address]), spec.check), (set.addresses(), https()));
        used.insert(id);
    }
    assert_eq!(used, world.checks.checks.keys().cloned().collect(), "exactly those that are referred to");
    assert_eq!(used, world.checks.tagged.intersection(&used).cloned().collect());
}

fn requests(world: &World, wanted: impl Fn(&CheckRequest) -> bool) -> usize {
    world.count(|effect| matches!(effect, Effect::HealthCheck(request) if wanted(request)))
}

fn creations(world: &World) -> usize {
    requests(world, |request| matches!(request, CheckRequest::Create(_)))
}

fn deletions(world: &World) -> usize {
    requests(world, |request| matches!(request, CheckRequest::Delete(_)))
}

fn state(world: &World) -> Option<CheckState> {
    world.engine.report().records[0].health_check.as_ref().map(|check| check.state)
}

fn cordoned() -> Happening {
    Happening::Node(Observed::Known(world::node(Readiness::Ready, true)))
}

fn left(nonce: u64, name: &str, address: &str) -> NewCheck {
    let owner = OwnerId::new("home", "n1").expect("an owner");
    let place = Place::new(&owner, ZONE, &world::name(name), RecordType::A);
    let spec = CheckSpec { address: address.parse().expect("an address"), check: https() };
    NewCheck { reference: Reference::new(place, nonce << 8), spec, tags: BTreeMap::new() }
}

#[test]
fn a_record_set_is_published_with_its_health_check_in_one_go() {
    let mut world = published(&[V4, V6]);
    assert_eq!((creations(&world), applies(&world)), (2, 1));
    assert_eq!(state(&world), Some(CheckState::Attached));
    assert!(world.engine.report().records.iter().all(nodedns::decide::report::RecordReport::is_healthy));
    // L4: a restart finds everything as it should be.
    restart(&mut world, policy());
    world.run_for(LONG);
    assert_eq!((creations(&world), applies(&world), deletions(&world)), (2, 1, 0));
}

#[test]
fn nothing_is_asked_about_health_checks_where_none_is_managed() {
    let mut world = settled(&[V4, V6]);
    world.run_for(Duration::from_secs(60 * 24 * 3600));
    assert_eq!(requests(&world, |_| true), 0);
}

/// The process starts with a file in which there is no `health_check` any more.
#[test]
fn a_restart_without_health_checks_leaves_none_behind() {
    for (types, health_check) in [(2, None), (2, Some(HealthCheck::Existing("theirs".to_owned()))), (1, None)] {
        let mut world = published(&[V4, V6]);
        world.checks.others.insert("theirs".to_owned());
        let types = RecordType::ALL.into_iter().take(types).collect();
        let record = RecordPolicy { health_check: health_check.clone(), types, ..checked() };
        let theirs = health_check.map(|_| "theirs".to_owned());
        restart(&mut world, world::policy(vec![record]));
        world.run_for(Duration::from_secs(30));
        assert_eq!(own(&world, RecordType::A).map(|set| set.health_check_id), Some(theirs));
        assert_eq!(world.checks.checks.len(), 2, "name servers may still refer to them");
        world.run_for(LONG);
        assert_eq!(world.checks.checks.len(), 0);
        // And from then on nothing is asked about health checks.
        let before = requests(&world, |_| true);
        world.run_for(Duration::from_secs(60 * 24 * 3600));
        assert_eq!(requests(&world, |_| true), before);
    }
}

/// A health check that somebody else gave our record set is looked at once, and not again.
#[test]
fn a_health_check_of_somebody_elses_is_looked_for_once() {
    let own = |id: &str| nodedns::decide::record::RecordSet {
        health_check_id: Some(id.to_owned()),
        ..world::weighted(OWN, V4)
    };
    let existing = |id: &str| Some(HealthCheck::Existing(id.to_owned()));
    let denied = vec![Treatment::Fails(ErrorKind::Denied); 100];
    for (id, configured, treatments, expected) in [
        ("theirs", None, Vec::new(), 1),
        ("theirs", existing("others"), Vec::new(), 1),
        ("theirs", existing("theirs"), Vec::new(), 0),
        ("theirs", None, denied, 1),
    ] {
        let listing =
            world::listing(vec![(RecordType::A, own(id)), (RecordType::A, world::weighted(SIBLING, V4_OTHER))]);
        let record = RecordPolicy { health_check: configured.clone(), ..checked() };
        let mut world = World::new(world::policy(vec![record]), vec![(ZONE, EDGE, listing)], 1);
        world.checks.others.extend(["theirs".to_owned(), "others".to_owned()]);
        world.checks.treatments = treatments;
        world.after(Duration::ZERO, texts(&[V4]));
        world.after(Duration::from_millis(5), Happening::Node(Observed::Known(world::ready())));
        world.run_for(Duration::from_secs(60 * 24 * 3600));
        let lists = requests(&world, |request| *request == CheckRequest::List);
        assert_eq!((lists, requests(&world, |_| true)), (expected, expected), "{configured:?} {expected}");
    }
}

#[test]
fn a_new_address_gets_a_new_health_check_and_the_old_one_goes_after_the_grace() {
    let mut world = published(&[V4]);
    let old = attached(&world, RecordType::A).expect("attached");
    world.after(Duration::ZERO, texts(&[V4_OTHER]));
    world.run_for(Duration::from_secs(30));
    let new = attached(&world, RecordType::A).expect("attached");
    assert_ne!(old, new);
    assert!(world.checks.checks.contains_key(&old), "name servers may still refer to it");
    assert_eq!(
        own(&world, RecordType::A).map(|set| set.addresses()),
        Some(BTreeSet::from([V4_OTHER.parse().expect("one")]))
    );
    world.run_for(Duration::from_secs(60));
    assert_right(&world);
}

#[test]
fn an_address_that_comes_back_within_the_grace_gets_its_health_check_back() {
    let mut world = published(&[V4]);
    let old = attached(&world, RecordType::A);
    world.after(Duration::ZERO, texts(&[V4_OTHER]));
    world.after(Duration::from_secs(20), texts(&[V4]));
    world.run_for(LONG);
    assert_eq!((attached(&world, RecordType::A), creations(&world)), (old, 2));
    assert_right(&world);
}

#[test]
fn a_withdrawal_takes_the_record_set_first() {
    let mut world = published(&[V4, V6]);
    world.after(Duration::ZERO, cordoned());
    world.run_for(Duration::from_secs(10));
    assert_eq!((own(&world, RecordType::A), world.checks.checks.len()), (None, 2));
    world.run_for(LONG);
    assert_eq!((world.checks.checks.len(), state(&world)), (0, None));
    // And back again.
    world.after(Duration::ZERO, Happening::Node(Observed::Known(world::ready())));
    world.run_for(LONG);
    assert!(own(&world, RecordType::A).is_some());
    assert_right(&world);
}

#[test]
fn publishing_does_not_wait_for_what_fails() {
    for kind in [
        ErrorKind::Throttled,
        ErrorKind::Busy,
        ErrorKind::Denied,
        ErrorKind::Credentials,
        ErrorKind::Refused,
        ErrorKind::Unavailable,
        ErrorKind::Unconfirmed,
    ] {
        // The first request is the listing, the second and third are the creations.
        for (served, what) in [(0, "list health checks"), (1, "create health check")] {
            let mut world = fresh(&[V4, V6]);
            world.checks.treatments = vec![Treatment::Serves; served];
            world.checks.treatments.extend([Treatment::Fails(kind); 100_000]);
            world.run_for(Duration::from_secs(1));
            let set = own(&world, RecordType::A).unwrap_or_else(|| panic!("{what} with {kind:?} holds it up"));
            assert_eq!((set.health_check_id, state(&world)), (None, Some(CheckState::Failing)));
            let report = world.engine.report().records[0].clone();
            assert!(report.in_sync && !report.is_healthy());
            assert!(report.health_check.and_then(|check| check.error).is_some_and(|error| error.error.kind == kind));
            let told = |notice: &Notice| matches!(notice, Notice::Failed { operation, .. } if *operation == what);
            assert!(world.notices.iter().any(told), "{what}: {:?}", world.notices);
            // An address follows as fast, and the number of requests has its bounds.
            world.after(Duration::ZERO, texts(&[V4_OTHER]));
            world.run_for(Duration::from_secs(1));
            assert_eq!(
                own(&world, RecordType::A).and_then(|set| set.addresses().first().copied()),
                V4_OTHER.parse().ok()
            );
            let before = requests(&world, |_| true);
            world.run_for(Duration::from_secs(1800));
            assert!(
                requests(&world, |_| true) - before <= 3 * (30 + 12 * 30),
                "{}",
                requests(&world, |_| true) - before
            );
            world.checks.treatments.clear();
            world.run_for(LONG);
            assert_eq!(state(&world), Some(CheckState::Attached));
        }
    }
}

#[test]
fn publishing_waits_three_seconds_for_what_hangs() {
    for served in [0, 1] {
        let mut world = fresh(&[V4]);
        world.checks.treatments = vec![Treatment::Serves; served];
        world.checks.treatments.extend([Treatment::Hangs; 4]);
        world.run_for(Duration::from_millis(2900));
        assert_eq!((own(&world, RecordType::A), state(&world)), (None, Some(CheckState::Waiting)));
        world.run_for(Duration::from_millis(600));
        assert_eq!(own(&world, RecordType::A).map(|set| set.health_check_id), Some(None));
        world.run_for(LONG);
        assert_right(&world);
    }
}

#[test]
fn the_quota_keeps_nobody_out_of_dns_and_is_noticed_when_it_is_raised() {
    let mut world = fresh(&[V4, V6]);
    world.checks.limit = Some(1);
    world.run_for(LONG);
    let ids = RecordType::ALL.map(|rtype| own(&world, rtype).expect("published").health_check_id);
    assert_eq!(ids.iter().flatten().count(), 1);
    let before = requests(&world, |_| true);
    world.run_for(Duration::from_secs(3600));
    assert!(requests(&world, |_| true) - before < 60, "a refusal is repeated at leisure");
    world.checks.limit = None;
    world.run_for(LONG);
    assert_right(&world);
}

#[test]
fn a_creation_whose_answer_was_lost_is_not_made_twice() {
    let mut world = fresh(&[V4]);
    world.checks.treatments = vec![Treatment::Serves, Treatment::LosesAnswer];
    world.run_for(LONG);
    assert_right(&world);
    assert_eq!(deletions(&world), 0, "there was never a second one");
}

#[test]
fn a_deletion_is_tried_until_it_is_clear() {
    let faults = [Treatment::LosesAnswer, Treatment::Hangs, Treatment::Fails(ErrorKind::Throttled)];
    for treatment in faults.into_iter().chain([Treatment::Fails(ErrorKind::Denied)]) {
        let mut world = published(&[V4]);
        world.after(Duration::ZERO, texts(&[V4_OTHER]));
        world.run_for(Duration::from_secs(30));
        world.checks.treatments = vec![treatment; 2];
        world.run_for(LONG);
        assert_right(&world);
    }
}

/// One that may be gone is looked for before anything else is done about it.
#[test]
fn a_deletion_whose_answer_was_lost_is_not_made_twice() {
    let mut world = published(&[V4]);
    world.after(Duration::ZERO, texts(&[V4_OTHER]));
    world.run_for(Duration::from_secs(30));
    world.checks.treatments = vec![Treatment::LosesAnswer];
    let lists = requests(&world, |request| *request == CheckRequest::List);
    world.run_for(LONG);
    assert_eq!(deletions(&world), 1);
    assert_eq!(requests(&world, |request| *request == CheckRequest::List) - lists, 1);
    assert_right(&world);
}

/// The record set is brought back as it was in the very minute before its old health check goes.
#[test]
fn a_health_check_that_is_referred_to_again_is_not_deleted() {
    let mut world = published(&[V4]);
    let before = own(&world, RecordType::A).expect("published");
    world.after(Duration::ZERO, texts(&[V4_OTHER]));
    world.run_for(Duration::from_secs(30));
    let change = Change { action: Action::Upsert, name: world::name(EDGE), rtype: RecordType::A, set: before };
    world.after(Duration::ZERO, Happening::Foreign(target(ZONE, EDGE), change));
    // The service itself watches that nothing is deleted that is referred to.
    world.run_for(LONG);
    assert_right(&world);
}

#[test]
fn a_health_check_that_a_sibling_refers_to_is_left_alone() {
    let mut world = published(&[V4]);
    let id = attached(&world, RecordType::A);
    let sibling = RecordType::A;
    let set = nodedns::decide::record::RecordSet { health_check_id: id.clone(), ..world::weighted(SIBLING, V4) };
    let change = Change { action: Action::Upsert, name: world::name(EDGE), rtype: sibling, set };
    world.after(Duration::ZERO, Happening::Foreign(target(ZONE, EDGE), change));
    world.after(Duration::from_secs(1), texts(&[V4_OTHER]));
    world.run_for(LONG);
    assert!(world.checks.checks.contains_key(&id.expect("attached")));
    assert_eq!((world.checks.checks.len(), deletions(&world)), (2, 0));
}

#[test]
fn what_somebody_deleted_or_edited_is_replaced_at_the_next_resync() {
    let resynced = |seconds| {
        let mut policy = policy();
        policy.timing.resync = Duration::from_secs(seconds);
        let mut world = World::new(policy, vec![(ZONE, EDGE, sibling_listing())], 1);
        world.after(Duration::ZERO, texts(&[V4]));
        world.after(Duration::from_millis(5), Happening::Node(Observed::Known(world::ready())));
        world.run_for(LONG);
        world
    };
    for gone in [true, false] {
        let mut world = resynced(900);
        let id = attached(&world, RecordType::A).expect("attached");
        match gone {
            true => world.checks.remove(&id),
            false => world.checks.checks.get_mut(&id).expect("there").spec = None,
        }
        world.run_for(LONG);
        assert_ne!(attached(&world, RecordType::A), Some(id.clone()));
        assert_right(&world);
        let drift = |notice: &&Notice| matches!(notice, Notice::HealthCheckDrift { id: of, gone: g, .. } if *of == id && *g == gone);
        assert_eq!(world.notices.iter().filter(drift).count(), 1);
    }
}

/// How somebody deletes a health check: seen by the next listing, or not even by that.
const VANISH: [fn(&mut CheckService, &str); 2] = [CheckService::remove, CheckService::remove_unseen];

/// It was detached by a withdrawal and deleted by somebody before the grace was over.
#[test]
fn one_that_vanished_while_detached_keeps_nobody_out_of_dns() {
    for vanish in VANISH {
        let mut world = published(&[V4, V6]);
        let id = attached(&world, RecordType::A).expect("attached");
        let drain = nodedns::decide::drain::Drain { force: false, until: None };
        world.after(Duration::ZERO, Happening::Drain(Observed::Known(Some(drain))));
        world.run_for(Duration::from_secs(10));
        assert_eq!(own(&world, RecordType::A), None);
        vanish(&mut world.checks, &id);
        let before = applies(&world);
        world.after(Duration::ZERO, Happening::Drain(Observed::Known(None)));
        world.run_for(Duration::from_secs(5));
        assert_eq!(RecordType::ALL.map(|rtype| own(&world, rtype).is_some()), [true, true]);
        world.run_for(LONG);
        assert_right(&world);
        assert!(applies(&world) - before <= 8, "{}", applies(&world) - before);
        assert!(world.engine.report().records.iter().all(nodedns::decide::report::RecordReport::is_healthy));
    }
}

#[test]
fn one_that_vanished_from_a_record_set_does_not_hold_up_its_changes() {
    for vanish in VANISH {
        for limit in [None, Some(0)] {
            let mut world = published(&[V4]);
            let id = attached(&world, RecordType::A).expect("attached");
            vanish(&mut world.checks, &id);
            world.checks.limit = limit;
            let heavier = RecordPolicy { routing: Routing::Weighted(20).into(), ..checked() };
            let before = (applies(&world), requests(&world, |_| true));
            world.engine.reconfigure(world::policy(vec![heavier]), world.now);
            world.run_for(Duration::from_secs(8));
            let set = own(&world, RecordType::A).expect("stays");
            assert_eq!((set.routing, set.health_check_id.is_some()), (Routing::Weighted(20), limit.is_none()));
            world.run_for(LONG);
            assert!(applies(&world) - before.0 <= 6 && requests(&world, |_| true) - before.1 < 30);
            world.checks.limit = None;
            world.run_for(LONG);
            assert_right(&world);
        }
    }
}

/// Where health checks cannot even be listed, one that is missed goes all the same.
#[test]
fn one_that_vanished_and_cannot_be_looked_for_is_detached() {
    let mut world = published(&[V4]);
    world.checks.remove(&attached(&world, RecordType::A).expect("attached"));
    world.checks.treatments = vec![Treatment::Fails(ErrorKind::Denied); 1000];
    restart(&mut world, world::policy(vec![RecordPolicy { routing: Routing::Weighted(20).into(), ..checked() }]));
    world.run_for(Duration::from_secs(10));
    assert_eq!(own(&world, RecordType::A).map(|set| set.health_check_id), Some(None));
    world.checks.treatments.clear();
    world.run_for(LONG);
    assert_right(&world);
}

/// A sibling's that is missed costs ours nothing but a look.
#[test]
fn a_witness_whose_health_check_vanished_costs_us_none_of_ours() {
    let mut world = published(&[V4, V6]);
    world.checks.others.insert("theirs".to_owned());
    let set = nodedns::decide::record::RecordSet {
        health_check_id: Some("theirs".to_owned()),
        ..world::weighted(SIBLING, V4_OTHER)
    };
    let change = Change { action: Action::Upsert, name: world::name(EDGE), rtype: RecordType::A, set };
    world.after(Duration::ZERO, Happening::Foreign(target(ZONE, EDGE), change));
    world.after(Duration::from_secs(1), Happening::NetlinkWorks);
    world.run_for(Duration::from_secs(2));
    world.checks.remove("theirs");
    let before = (creations(&world), requests(&world, |_| true));
    world.after(Duration::ZERO, cordoned());
    world.run_for(Duration::from_secs(30));
    world.after(Duration::ZERO, Happening::Node(Observed::Known(world::ready())));
    world.run_for(LONG);
    assert_eq!((creations(&world), requests(&world, |_| true)), before);
    assert_right(&world);
}

/// Where another cannot be had, one that is gone is not referred to any longer: its status would be anybody's guess.
#[test]
fn a_health_check_that_is_gone_and_cannot_be_replaced_is_detached() {
    let mut world = published(&[V4]);
    world.checks.remove(&attached(&world, RecordType::A).expect("attached"));
    world.checks.limit = Some(0);
    restart(&mut world, policy());
    world.run_for(Duration::from_secs(5));
    assert_eq!(own(&world, RecordType::A).map(|set| set.health_check_id), Some(None));
}

#[test]
fn a_foreign_health_check_stays_until_there_is_a_managed_one() {
    let theirs = "0f1e2d3c".to_owned();
    let set = nodedns::decide::record::RecordSet { health_check_id: Some(theirs.clone()), ..world::weighted(OWN, V4) };
    for limit in [Some(0), None] {
        let listing =
            world::listing(vec![(RecordType::A, set.clone()), (RecordType::A, world::weighted(SIBLING, V4_OTHER))]);
        let mut world = World::new(policy(), vec![(ZONE, EDGE, listing)], 1);
        world.checks.others.insert(theirs.clone());
        world.checks.limit = limit;
        world.after(Duration::ZERO, texts(&[V4]));
        world.after(Duration::from_millis(5), Happening::Node(Observed::Known(world::ready())));
        world.run_for(Duration::from_secs(60));
        match limit {
            Some(_) => assert_eq!((attached(&world, RecordType::A), applies(&world)), (Some(theirs.clone()), 0)),
            None => assert_right(&world),
        }
        // On another address it would be wrong.
        world.after(Duration::ZERO, texts(&["185.12.64.3"]));
        world.run_for(Duration::from_secs(60));
        assert_ne!(attached(&world, RecordType::A), Some(theirs.clone()));
    }
}

#[test]
fn an_address_that_nobody_can_check_is_published_without() {
    let record = RecordPolicy { class: nodedns::decide::select::AddressClass::Any, ..checked() };
    let mut world = World::new(world::policy(vec![record]), vec![(ZONE, EDGE, sibling_listing())], 1);
    world.after(Duration::ZERO, texts(&["10.0.0.1"]));
    world.after(Duration::from_millis(5), Happening::Node(Observed::Known(world::ready())));
    world.run_for(LONG);
    assert_eq!(own(&world, RecordType::A).map(|set| set.health_check_id), Some(None));
    assert_eq!((state(&world), creations(&world)), (Some(CheckState::Impossible), 0));
}

/// Route 53 refuses a primary without a health check, so it is not even tried.
#[test]
fn a_primary_is_never_published_without() {
    let record = RecordPolicy { routing: Routing::Failover(FailoverRole::Primary).into(), ..checked() };
    let mut world = World::new(world::policy(vec![record]), vec![(ZONE, EDGE, Listing::default())], 1);
    world.after(Duration::ZERO, texts(&[V4]));
    world.after(Duration::from_millis(5), Happening::Node(Observed::Known(world::ready())));
    world.checks.limit = Some(0);
    world.run_for(LONG);
    assert_eq!((applies(&world), state(&world)), (0, Some(CheckState::Failing)));
    world.checks.limit = None;
    world.run_for(LONG);
    assert_right(&world);
    assert_eq!(applies(&world), 1);
    // Nor does it follow the address without.
    world.checks.limit = Some(0);
    world.after(Duration::ZERO, texts(&[V4_OTHER]));
    world.run_for(LONG);
    assert_eq!(applies(&world), 1);
}

#[test]
fn what_follows_the_address_takes_the_right_health_check_along() {
    for limit in [None, Some(1)] {
        let mut world = published(&[V4]);
        let old = attached(&world, RecordType::A);
        world.checks.limit = limit;
        world.after(Duration::ZERO, Happening::Node(Observed::Unknown));
        world.after(Duration::from_secs(1), texts(&[V4_OTHER]));
        world.run_for(Duration::from_secs(30));
        let moved = own(&world, RecordType::A).expect("preserved");
        assert_eq!(moved.addresses().first().copied(), V4_OTHER.parse().ok());
        assert!(moved.health_check_id.is_some() == limit.is_none() && moved.health_check_id != old);
        world.after(Duration::ZERO, Happening::Node(Observed::Known(world::ready())));
        world.run_for(LONG);
        assert_right(&world);
    }
}

#[test]
fn what_a_guard_keeps_in_the_pool_keeps_its_health_check() {
    let mut world = published(&[V4]);
    let sibling = sibling_listing().pools[&RecordType::A].values().next().expect("one").clone();
    let change = Change { action: Action::Delete, name: world::name(EDGE), rtype: RecordType::A, set: sibling };
    world.after(Duration::ZERO, Happening::Foreign(target(ZONE, EDGE), change));
    world.after(Duration::from_secs(1), cordoned());
    world.run_for(LONG);
    assert_eq!(world.engine.report().records[0].intent.as_str(), "hold");
    assert_right(&world);
    // Nor does it lose it while there is no address, or only one that the filters leave out.
    world.after(Duration::ZERO, Happening::Node(Observed::Known(world::ready())));
    world.after(Duration::ZERO, Happening::NetlinkFails);
    world.run_for(LONG);
    assert!(own(&world, RecordType::A).is_some());
    assert_right(&world);
}

#[test]
fn what_was_left_behind_is_taken_up_or_goes() {
    let mut world = fresh(&[V4]);
    let right = world.checks.leave(&left(1, EDGE, V4));
    let wrong = world.checks.leave(&left(2, EDGE, V4_OTHER));
    let unconfigured = world.checks.leave(&left(3, "other.example.com", V4));
    world.run_for(Duration::from_secs(30));
    assert_eq!((attached(&world, RecordType::A), world.checks.checks.len()), (Some(right.clone()), 3));
    assert!(world.checks.tagged.contains(&right));
    world.run_for(LONG);
    assert!(!world.checks.checks.contains_key(&wrong));
    assert!(world.checks.checks.contains_key(&unconfigured), "its name is not ours to judge");
    assert_eq!(world.checks.checks.len(), 2);
}

#[test]
fn nothing_is_deleted_while_a_name_cannot_be_read() {
    let policy = world::policy(vec![checked(), world::record("edge.example.net", "Z2")]);
    let zones = vec![(ZONE, EDGE, sibling_listing()), ("Z2", "edge.example.net", sibling_listing())];
    let mut world = World::new(policy, zones, 1);
    world.after(Duration::ZERO, texts(&[V4]));
    world.after(Duration::from_millis(5), Happening::Node(Observed::Known(world::ready())));
    world.run_for(LONG);
    assert_right(&world);
    world.after(Duration::ZERO, Happening::Treatments("Z2".into(), vec![Treatment::Fails(ErrorKind::Denied); 100_000]));
    world.after(Duration::ZERO, texts(&[V4_OTHER]));
    world.run_for(LONG);
    assert_eq!((world.checks.checks.len(), deletions(&world)), (2, 0));
    world.after(Duration::ZERO, Happening::Treatments("Z2".into(), Vec::new()));
    world.run_for(LONG);
    assert_right(&world);
}

/// One whose deletion is refused for ever does not keep others from theirs.
#[test]
fn a_deletion_that_is_refused_holds_up_no_other() {
    let mut world = published(&[V4]);
    world.after(Duration::ZERO, texts(&[V4_OTHER]));
    world.run_for(Duration::from_secs(59));
    // Refused at first, and then not tried for minutes.
    world.checks.treatments = vec![Treatment::Fails(ErrorKind::Denied); 6];
    world.run_for(Duration::from_secs(40));
    world.checks.treatments.clear();
    world.after(Duration::ZERO, texts(&["185.12.64.3"]));
    world.run_for(LONG);
    assert_right(&world);
}

#[test]
fn a_reload_changes_replaces_and_removes() {
    let mut world = published(&[V4]);
    let other = ManagedCheck { port: 8443, ..https() };
    let with = |health_check| world::policy(vec![RecordPolicy { health_check, ..checked() }]);
    world.engine.reconfigure(with(Some(HealthCheck::Managed(other.clone()))), world.now);
    world.run_for(LONG);
    let id = attached(&world, RecordType::A).expect("attached");
    assert_eq!(world.checks.checks.len(), 1);
    assert_eq!(world.checks.checks[&id].spec.as_ref().map(|spec| spec.check.clone()), Some(other));
    world.engine.reconfigure(with(None), world.now);
    world.run_for(LONG);
    assert_eq!((own(&world, RecordType::A).map(|set| set.health_check_id), world.checks.checks.len()), (Some(None), 0));
    // A name that is no longer configured keeps both.
    world.engine.reconfigure(policy(), world.now);
    world.run_for(LONG);
    world.engine.reconfigure(world::policy(vec![world::record("edge.example.net", "Z2")]), world.now);
    world.run_for(LONG);
    assert_right(&world);
}

#[test]
fn flapping_addresses_make_few_health_checks_and_leave_none_behind() {
    let mut world = published(&[V4]);
    let before = creations(&world);
    for step in 0..500u64 {
        world.after(Duration::from_millis(step * 700), texts(&[if step % 2 == 0 { V4_OTHER } else { V4 }]));
    }
    world.run_for(Duration::from_secs(350));
    assert!(creations(&world) - before <= 7, "{}", creations(&world) - before);
    world.run_for(LONG);
    assert_right(&world);
}

/// Everything at once: faults of both kinds, addresses and nodes that come and go, and the process
/// killed at any moment. The service watches each step; in the end everything is as it should be.
#[test]
fn whatever_happens_the_right_health_checks_are_left() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let mut world = fresh(&[V4, V6]);
        let kinds = [ErrorKind::Throttled, ErrorKind::Denied, ErrorKind::Refused, ErrorKind::Unconfirmed];
        for _ in 0..40 {
            let pick = |random: &mut Random, n: u64| random.number() % n;
            let treatments = |random: &mut Random| -> Vec<Treatment> {
                let treatment = |random: &mut Random| match pick(random, 8) {
                    0 => Treatment::LosesAnswer,
                    1 => Treatment::Hangs,
                    number @ 2..=5 => Treatment::Fails(kinds[number as usize - 2]),
                    _ => Treatment::Serves,
                };
                (0..pick(random, 4)).map(|_| treatment(random)).collect()
            };
            match pick(&mut random, 8) {
                0 => world.after(Duration::ZERO, texts(&[V4, V6])),
                1 => world.after(Duration::ZERO, texts(&[V4_OTHER])),
                2 => world.after(Duration::ZERO, texts(&["185.12.64.3", "2a01:4ff:f0::2"])),
                3 => world.after(Duration::ZERO, cordoned()),
                4 => world.after(Duration::ZERO, Happening::Node(Observed::Known(world::ready()))),
                5 => world.checks.treatments = treatments(&mut random),
                6 => {
                    let treatments = treatments(&mut random);
                    world.after(Duration::ZERO, Happening::Treatments(ZONE.into(), treatments));
                }
                _ => restart(&mut world, policy()),
            }
            let pause = Duration::from_millis(pick(&mut random, 20_000));
            world.run_for(pause);
        }
        world.checks.treatments.clear();
        world.after(Duration::ZERO, Happening::Treatments(ZONE.into(), Vec::new()));
        world.after(Duration::ZERO, Happening::Node(Observed::Known(world::ready())));
        world.after(Duration::ZERO, texts(&[V4, V6]));
        world.run_for(Duration::from_secs(3600));
        assert_eq!(RecordType::ALL.map(|rtype| own(&world, rtype).is_some()), [true, true], "seed {seed}");
        assert_right(&world);
        assert!(
            world.engine.report().records.iter().all(nodedns::decide::report::RecordReport::is_healthy),
            "seed {seed}"
        );
    }
}
