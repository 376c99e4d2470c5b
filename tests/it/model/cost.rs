//! What the guard costs: requests of nodes that leave a pool in which plenty stay.

use std::rc::Rc;

use nodedns::decide::engine::Event;
use nodedns::decide::record::RecordType;

use super::fleet::{Counts, Fleet, Flight, Member, Treatment};
use super::random::Seeded;
use super::service::{Service, at};
use super::{EDGE, ZONE, address, cordoned, own_set, policy, ready};
use crate::support::world;

/// Nodes that are all ready and published, and have read the whole pool.
fn pool_of(nodes: usize) -> Fleet {
    let mut service = Service::new();
    for index in 0..nodes {
        service.put(&at(EDGE), RecordType::A, own_set(RecordType::A, index));
    }
    let mut record = world::record(EDGE, ZONE);
    record.types = [RecordType::A].into();
    let mut fleet = Fleet { members: Vec::new(), service };
    for index in 0..nodes {
        let host = world::snapshot(&[&address(RecordType::A, index)]);
        let member = Member::new(policy(index, vec![record.clone()]), host, index as u64);
        fleet.members.push(Rc::new(member));
        becomes(&mut fleet, index, ready());
        settle(&mut fleet, &mut Seeded(0));
        // Once to begin with, and once more half a minute later.
        assert_eq!(fleet.members[index].counts, Counts { lists: 2, ..Counts::default() });
        fleet.member(index).counts = Counts::default();
    }
    fleet
}

fn becomes(fleet: &mut Fleet, index: usize, event: Event) {
    fleet.member(index).tell(event);
    fleet.member(index).carry_on();
}

/// Carries everything out that is on its way, in any order.
fn settle(fleet: &mut Fleet, random: &mut Seeded) {
    for step in 0.. {
        assert!(step < 1000, "they never come to rest");
        let busy: Vec<usize> =
            (0..fleet.members.len()).filter(|index| fleet.members[*index].flight.is_some()).collect();
        if busy.is_empty() {
            return;
        }
        let index = busy[random.below(busy.len())];
        match fleet.members[index].flight {
            Some(Flight::Sent(_)) => fleet.execute(index, Treatment::Serves),
            _ => fleet.deliver(index),
        }
    }
}

const ONE_BATCH: Counts = Counts { lists: 0, batches: 1, refused: 0 };

#[test]
fn one_that_leaves_makes_one_request() {
    let full = pool_of(8);
    for index in 0..8 {
        let mut fleet = full.clone();
        becomes(&mut fleet, index, cordoned());
        settle(&mut fleet, &mut Seeded(0));
        assert_eq!(fleet.members[index].counts, ONE_BATCH);
        assert_eq!(fleet.service.list(&at(EDGE)).pools[&RecordType::A].len(), 7);
    }
}

/// One after another leaves and comes back, in either direction: a request for each, and nothing is
/// read, though what everyone knows of the others grows old.
#[test]
fn a_rolling_upgrade_makes_two_requests_per_node() {
    for backwards in [false, true] {
        let mut fleet = pool_of(8);
        for step in 0..8 {
            let index = if backwards { 7 - step } else { step };
            for event in [cordoned(), ready()] {
                becomes(&mut fleet, index, event);
                settle(&mut fleet, &mut Seeded(0));
            }
            assert_eq!(fleet.members[index].counts, Counts { batches: 2, ..ONE_BATCH });
        }
        assert_eq!(fleet.service.list(&at(EDGE)).pools[&RecordType::A].len(), 8);
    }
}

/// Every other one of twenty leaves at the same moment: nobody leans on anybody who leaves.
#[test]
fn many_that_leave_at_once_between_others_make_one_request_each() {
    let mut fleet = pool_of(20);
    (0..20).step_by(2).for_each(|index| becomes(&mut fleet, index, cordoned()));
    settle(&mut fleet, &mut Seeded(7));
    assert!((0..20).step_by(2).all(|index| fleet.members[index].counts == ONE_BATCH));
}

/// Ten of twenty leave at the same moment, whoever they are: some lean on each other and are
/// refused, once or twice. A refusal costs one listing and one more batch.
#[test]
fn many_that_leave_at_once_are_rarely_refused() {
    let full = pool_of(20);
    for neighbours in [true, false] {
        let (mut refused, mut worst) = (0, 0);
        let runs = 20;
        for seed in 0..runs {
            let mut random = Seeded(seed);
            let mut nodes: Vec<usize> = (0..20).collect();
            if !neighbours {
                nodes.sort_by_cached_key(|_| random.next());
            }
            let mut fleet = full.clone();
            nodes[..10].iter().for_each(|index| becomes(&mut fleet, *index, cordoned()));
            settle(&mut fleet, &mut random);
            assert_eq!(fleet.service.list(&at(EDGE)).pools[&RecordType::A].len(), 10);
            for index in &nodes[..10] {
                let Counts { lists, batches, refused: times } = fleet.members[*index].counts;
                assert_eq!((lists, batches), (times, 1 + times));
                refused += times;
                worst = worst.max(times);
            }
        }
        println!(
            "neighbours: {neighbours}: {refused} of {} refused, {worst} times at most",
            u64::from(refused) + 10 * runs
        );
        assert!(u64::from(refused) < 6 * runs && worst <= 4, "{refused} refused, {worst} times at most");
    }
}
