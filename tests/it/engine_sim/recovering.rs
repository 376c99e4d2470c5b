//! What has cleared, and not yet for long enough to come back: it keeps out what has left, and
//! takes nobody out.

use nodedns::decide::drain::Drain;
use nodedns::decide::policy::RecordPolicy;
use nodedns::decide::record::RecordSet;

use super::*;

fn cordon(is_up: bool) -> Happening {
    Happening::Node(Observed::Known(world::node(Readiness::Ready, is_up)))
}

fn drained(is_up: bool) -> Happening {
    let drain = is_up.then_some(Drain { until: None, force: false });
    Happening::Drain(Observed::Known(drain))
}

fn reason(world: &World) -> Reason {
    world.engine.report().records[0].intent.reason()
}

/// A world in which only type A is configured and published, beside these.
fn published(others: Vec<(RecordType, RecordSet)>) -> World {
    let record = RecordPolicy { types: [RecordType::A].into(), ..world::record(EDGE, ZONE) };
    let mut sets = others;
    sets.push((RecordType::A, world::weighted(OWN, V4)));
    let mut world = World::new(world::policy(vec![record]), vec![(ZONE, EDGE, world::listing(sets))], 1);
    world.after(Duration::ZERO, texts(&[V4]));
    world.after(Duration::from_millis(5), Happening::Node(Observed::Known(world::ready())));
    world.run_for(Duration::from_secs(60));
    world
}

fn sibling() -> (RecordType, RecordSet) {
    (RecordType::A, world::weighted(SIBLING, "185.12.64.9"))
}

#[test]
fn a_record_set_that_was_held_stays_when_a_sibling_comes_too_late() {
    let mut world = published(vec![]);
    world.after(Duration::ZERO, cordon(true));
    world.run_for(Duration::from_secs(1));
    let report = &world.engine.report().records[0];
    assert_eq!(report.intent.reason(), Reason::KeepMin(1));
    assert_eq!(report.held_back, Some(Reason::Cordoned), "why it would leave");
    let (rtype, set) = sibling();
    let edge = target(ZONE, EDGE);
    let change = Change { action: Action::Create, name: edge.name.clone(), rtype, set };
    world.after(Duration::ZERO, cordon(false));
    world.after(Duration::from_millis(1), Happening::Foreign(edge, change));
    world.after(Duration::from_millis(2), Happening::Answer(Event::Recheck));
    world.run_for(Duration::from_secs(60));
    assert_eq!(applies(&world), 0);
    assert_eq!(reason(&world), Reason::Eligible);
    assert_eq!(world.engine.report().records[0].held_back, None);
}

#[test]
fn a_withdrawal_that_failed_is_not_made_up_for_once_its_cause_has_gone() {
    let mut world = published(vec![sibling()]);
    let failing = vec![Treatment::Fails(ErrorKind::Unavailable); 2];
    world.after(Duration::ZERO, Happening::Treatments(ZONE.into(), failing));
    world.after(Duration::ZERO, cordon(true));
    world.after(Duration::from_millis(100), cordon(false));
    world.run_for(Duration::from_secs(120));
    assert!(world.own(&target(ZONE, EDGE), RecordType::A).is_some());
    assert_eq!(applies(&world), 1, "the one that failed");
    assert_eq!(reason(&world), Reason::Eligible);
}

#[test]
fn what_is_up_is_named_before_what_has_cleared() {
    let mut world = published(vec![sibling()]);
    world.after(Duration::ZERO, cordon(true));
    world.after(Duration::from_secs(1), Happening::Node(Observed::Known(world::node(Readiness::NotReady(None), true))));
    world.after(Duration::from_secs(2), cordon(true));
    world.run_for(Duration::from_secs(3));
    assert_eq!(reason(&world), Reason::Cordoned, "though 'not_ready' explains more, and recovers");
    world.after(Duration::ZERO, cordon(false));
    world.run_for(Duration::from_secs(1));
    assert!(matches!(reason(&world), Reason::Recovering(_)), "{:?}", reason(&world));
}

#[test]
fn a_resume_never_waits_long() {
    let mut world = published(vec![sibling()]);
    for _ in 0..9 {
        world.after(Duration::ZERO, drained(true));
        world.run_for(Duration::from_secs(5));
        assert_eq!(reason(&world), Reason::Drained);
        world.after(Duration::ZERO, drained(false));
        world.run_for(nodedns::decide::damping::RESUME_WAIT_MAX + Duration::from_secs(1));
        assert_eq!(reason(&world), Reason::Eligible);
    }
}
