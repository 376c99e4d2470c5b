//! What the model has found, each as small as it gets, and what it would find only with luck.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use nodedns::decide::engine::{Effect, Event};
use nodedns::decide::observed::Observed;
use nodedns::decide::owner::SetIdentifier;
use nodedns::decide::provider::ErrorKind;
use nodedns::decide::reason::{Intent, Reason};
use nodedns::decide::record::{RecordSet, RecordType};

use super::fleet::{Fleet, Flight, Member, Treatment};
use super::service::{Service, at};
use super::{EDGE, ZONE, address, cordoned, own_set, owner, policy, ready};
use crate::support::world;

const SIBLINGS: [&str; 3] = ["nodedns/v1/home/s1", "nodedns/v1/home/s2", "nodedns/v1/home/s3"];

/// One node, ready and published, alone with `keep_min` among record sets that no engine speaks for.
fn one_among(others: &[RecordSet], keep_min: u32) -> Fleet {
    let mut service = Service::new();
    service.put(&at(EDGE), RecordType::A, own_set(RecordType::A, 0));
    for set in others {
        service.put(&at(EDGE), RecordType::A, set.clone());
    }
    let mut record = world::record(EDGE, ZONE);
    record.keep_min = keep_min;
    record.types = BTreeSet::from([RecordType::A]);
    let mut member = Member::new(policy(0, vec![record]), world::snapshot(&[&address(RecordType::A, 0)]), 1);
    member.tell(ready());
    member.carry_on();
    let mut fleet = Fleet { members: vec![Rc::new(member)], service };
    serve(&mut fleet);
    fleet
}

/// Serves the request on its way and every one that follows at once.
fn serve(fleet: &mut Fleet) {
    for step in 0.. {
        if fleet.members[0].flight.is_none() {
            break;
        }
        assert!(step < 100, "it never comes to rest: {:#?}", fleet.members[0].reports());
        fleet.execute(0, Treatment::Serves);
        fleet.deliver(0);
    }
}

fn is_in(fleet: &Fleet) -> bool {
    fleet.service.list(&at(EDGE)).get(RecordType::A, &owner(0).set_identifier()).is_some()
}

fn others(identifiers: &[&str]) -> Vec<RecordSet> {
    identifiers.iter().map(|identifier| world::weighted(identifier, &address(RecordType::A, 200))).collect()
}

/// Whoever came after the last look is unknown to the node, so it looks before it takes itself for
/// the last one.
#[test]
fn a_pool_that_begins_to_hold_us_is_read_again() {
    let mut fleet = one_among(&[], 1);
    // It has been at rest for longer than a listing counts as fresh.
    fleet.service.put(&at(EDGE), RecordType::A, others(&SIBLINGS)[0].clone());
    let member = fleet.member(0);
    member.now = member.now + Duration::from_secs(60);
    let told = member.now;
    member.tell(cordoned());
    assert_eq!(member.reports()[0].intent, Intent::Hold(Reason::KeepMin(1)));
    member.carry_on();
    assert_eq!(member.now, told, "it waits");
    assert!(matches!(member.flight, Some(Flight::Sent(Effect::List(_)))));
    serve(&mut fleet);
    assert!(!is_in(&fleet));
}

/// The look that failed is made up for even when nothing holds us any more: a failure is not shown
/// until the next resync.
#[test]
fn a_failed_look_is_not_remembered_for_long() {
    let mut fleet = one_among(&[], 1);
    let member = fleet.member(0);
    member.now = member.now + Duration::from_secs(60);
    member.tell(cordoned());
    member.carry_on();
    fleet.execute(0, Treatment::Fails(ErrorKind::Unavailable));
    let member = fleet.member(0);
    let Some(Flight::Answered(failure)) = member.flight.take() else { panic!("the answer is on its way") };
    member.tell(failure);
    member.tell(ready());
    let failed = member.now;
    member.carry_on();
    serve(&mut fleet);
    assert!(fleet.members[0].now - failed < Duration::from_secs(30));
    assert!(fleet.members[0].reports()[0].is_healthy());
}

/// A cordon that comes and goes must not make a listing of each.
#[test]
fn a_pool_that_holds_us_now_and_then_is_not_read_each_time() {
    let mut fleet = one_among(&[], 1);
    let service = fleet.service.clone();
    let member = fleet.member(0);
    let (mut lists, start) = (0, member.now);
    for step in 0..600u32 {
        member.now = member.now.max(start + Duration::from_millis(100) * step);
        member.tell(if step % 2 == 0 { cordoned() } else { Event::Node(Observed::Unknown) });
        while let Some(effect) = member.engine.poll(member.now) {
            let answer = match effect {
                Effect::ReadAddresses => Event::Addresses(Observed::Known(member.host.clone())),
                Effect::List(target) => {
                    lists += 1;
                    let listing = service.list(&target);
                    Event::Listed(target, Ok(listing))
                }
                other => panic!("{other:?}"),
            };
            member.tell(answer);
        }
    }
    assert!((1..=7).contains(&lists), "{lists} listings in a minute");
}

/// Nobody tells those who are held that somebody came back; they look for it in time.
#[test]
fn when_one_comes_back_the_held_one_leaves() {
    let resync = Duration::from_secs(15 * 60);
    let mut fleet = one_among(&[], 1);
    let mut policy = fleet.members[0].engine.policy().clone();
    policy.timing.resync = resync;
    let member = fleet.member(0);
    member.engine.reconfigure(policy, member.now);
    member.tell(cordoned());
    member.tell(Event::Recheck);
    member.carry_on();
    fleet.execute(0, Treatment::Serves);
    fleet.deliver(0);
    assert!(is_in(&fleet));
    let held = fleet.members[0].now;
    fleet.service.put(&at(EDGE), RecordType::A, others(&SIBLINGS)[0].clone());
    while is_in(&fleet) {
        assert!(fleet.members[0].now - held <= resync / 5 * 11 / 10, "held for {:?}", fleet.members[0].now - held);
        fleet.execute(0, Treatment::Serves);
        fleet.deliver(0);
    }
}

/// A deletion of a health check does not ask who refers to it, and then no batch can create those
/// record sets again.
#[test]
fn a_sibling_whose_health_check_is_gone_keeps_nobody_from_leaving() {
    for (broken, keep_min) in [(0, 1), (1, 1), (2, 1), (0, 2), (1, 2), (2, 2)] {
        let mut sets = others(&SIBLINGS);
        sets[broken].health_check_id = Some("gone".into());
        let mut fleet = one_among(&sets, keep_min);
        let member = fleet.member(0);
        let told = member.now;
        member.tell(cordoned());
        member.carry_on();
        serve(&mut fleet);
        assert!(!is_in(&fleet), "{broken} {keep_min}");
        assert!(fleet.members[0].now - told < Duration::from_secs(45));
        let left: Vec<_> = fleet.service.list(&at(EDGE)).pools[&RecordType::A].keys().cloned().collect();
        assert_eq!(left, SIBLINGS.map(|identifier| Some(SetIdentifier(identifier.into()))));
    }
}

/// And when it is needed, the node stays, says why, and does not hammer the service.
#[test]
fn a_sibling_that_cannot_be_a_witness_and_is_needed_is_asked_with_patience() {
    let mut sets = others(&SIBLINGS[..1]);
    sets[0].health_check_id = Some("gone".into());
    let mut fleet = one_among(&sets, 1);
    let member = fleet.member(0);
    let told = member.now;
    member.tell(cordoned());
    member.carry_on();
    while fleet.members[0].now - told < Duration::from_secs(3600) {
        fleet.execute(0, Treatment::Serves);
        fleet.deliver(0);
    }
    assert!(is_in(&fleet));
    let error = fleet.members[0].reports()[0].last_error.clone().expect("an error to show");
    assert_eq!(error.error.code.as_deref(), Some("NoSuchHealthCheck"));
    assert!((100..400).contains(&fleet.members[0].counts.batches), "{:?}", fleet.members[0].counts);
}
