//! Every schedule of a few engines that all withdraw at the same moment.
//!
//! Nodes share nothing but the service, so two schedules that order the service's steps alike are
//! the same to everyone: the search executes a request and delivers its answer in one move, and
//! branches only on whose request is next and how it is treated. That this leaves nothing out is
//! itself tested, against a search that keeps the two apart. States that were reached before are
//! not searched again, only counted.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use nodedns::decide::drain::Drain;
use nodedns::decide::engine::Event;
use nodedns::decide::observed::Observed;
use nodedns::decide::provider::ErrorKind;
use nodedns::decide::record::{RecordSet, RecordType, Target as Answer};

use super::fleet::{Counts, Fleet, Flight, Member, Treatment, sizes};
use super::service::{Service, at};
use super::{EDGE, ZONE, address, cordoned, made_by_a_policy, own_set, patience, policy, ready};
use crate::support::world;

/// What the engines know when they are told to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// Nothing: each has just been started again, finds itself cordoned, and reads first.
    Restarted,
    /// What they read when they joined, one after another: the first knows of no other.
    Joined,
}

/// Why a node leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Cordoned,
    Drained,
    /// The system shuts down: what failed before is forgotten, and what holds is looked at again.
    Stopping,
    /// Its address is gone, which takes two readings.
    NoAddress,
}

const CAUSES: [Cause; 4] = [Cause::Cordoned, Cause::Drained, Cause::Stopping, Cause::NoAddress];

impl Cause {
    fn befall(self, member: &mut Member) {
        match self {
            Cause::Cordoned => member.tell(cordoned()),
            Cause::Drained => {
                member.tell(ready());
                member.tell(Event::Drain(Observed::Known(Some(Drain { until: None, force: false }))));
            }
            Cause::Stopping => {
                member.tell(ready());
                member.tell(Event::Stopping);
            }
            Cause::NoAddress => {
                member.tell(ready());
                member.host = world::snapshot(&[]);
                member.tell(Event::AddressesChanged);
            }
        }
    }
}

/// Engines that all withdraw at the same moment from the same name.
#[derive(Debug, Clone)]
struct Scenario {
    members: usize,
    /// Why each leaves, in turn.
    causes: Vec<Cause>,
    /// The members that do not leave after all.
    stays: Vec<usize>,
    keep_min: u32,
    types: Vec<RecordType>,
    others: Vec<(RecordType, RecordSet)>,
    start: Start,
    /// How many requests of one schedule may go wrong.
    faults: u8,
}

const FAULTS: [Treatment; 3] = [Treatment::Fails(ErrorKind::Busy), Treatment::LosesAnswer, Treatment::LosesRequest];

impl Scenario {
    fn new(members: usize, keep_min: u32, start: Start) -> Self {
        Scenario {
            members,
            causes: vec![Cause::Cordoned],
            stays: Vec::new(),
            keep_min,
            types: vec![RecordType::A],
            others: Vec::new(),
            start,
            faults: 0,
        }
    }

    /// With record sets of siblings that stay, before and after the members in the pool's order,
    /// and foreign ones.
    fn beside(mut self, rtype: RecordType, siblings: usize, foreign: usize) -> Self {
        let siblings = ["nodedns/v1/home/s1", "nodedns/v1/home/a1"].into_iter().take(siblings);
        let foreign = ["hand-made", "nodedns/v1/homely/n0"].into_iter().take(foreign);
        let sets = siblings.chain(foreign).zip(200..);
        self.others
            .extend(sets.map(|(identifier, index)| (rtype, world::weighted(identifier, &address(rtype, index)))));
        self
    }

    fn fleet(&self) -> Fleet {
        let edge = at(EDGE);
        let mut service = Service::new();
        for (rtype, set) in &self.others {
            service.put(&edge, *rtype, set.clone());
        }
        if self.start == Start::Restarted {
            for (index, rtype) in (0..self.members).flat_map(|index| self.types.iter().map(move |rtype| (index, rtype)))
            {
                service.put(&edge, *rtype, own_set(*rtype, index));
            }
        }
        let mut record = world::record(EDGE, ZONE);
        record.keep_min = self.keep_min;
        record.types = self.types.iter().copied().collect();
        let mut fleet = Fleet { members: Vec::new(), service };
        for index in 0..self.members {
            let addresses: Vec<String> = self.types.iter().map(|rtype| address(*rtype, index)).collect();
            let texts: Vec<&str> = addresses.iter().map(String::as_str).collect();
            let mut member = Member::new(
                policy(index, vec![record.clone()]),
                world::snapshot(&texts),
                index.try_into().expect("small"),
            );
            if self.start == Start::Joined {
                member.tell(ready());
                member.carry_on();
            }
            fleet.members.push(Rc::new(member));
            while self.start == Start::Joined && fleet.members[index].flight.is_some() {
                fleet.execute(index, Treatment::Serves);
                fleet.deliver(index);
            }
            fleet.member(index).counts = Counts::default();
        }
        for index in 0..self.members {
            let member = fleet.member(index);
            match self.stays.contains(&index) {
                true => member.tell(ready()),
                false => self.causes[index % self.causes.len()].befall(member),
            }
            member.carry_on();
        }
        fleet
    }

    /// How large the pool of one type is in the end, in whatever order they leave.
    fn expected(&self, rtype: RecordType) -> usize {
        let others = || self.others.iter().filter(|(of, _)| *of == rtype);
        let usable = others().filter(|(_, set)| !matches!(set.target, Answer::TrafficPolicyInstance(_))).count();
        let unusable = others().count() - usable;
        let keep_min = usize::try_from(self.keep_min).expect("small");
        (usable + self.stays.len()).max(keep_min.min(usable + self.members)) + unusable
    }
}

/// How one schedule ended: per member, what it asked for and what it wants.
type End = Vec<(Counts, Vec<String>)>;

/// A search through all schedules of one scenario.
struct Search<'a> {
    scenario: &'a Scenario,
    /// Whether a request and its answer are one move.
    reduced: bool,
    /// How many schedules lead on from a state.
    seen: HashMap<(u64, u8), u128>,
    ends: BTreeSet<String>,
    /// Steps of the service.
    steps: u64,
    replayed: u32,
}

/// What a search has been through.
#[derive(Debug, Default, Clone)]
struct Explored {
    schedules: u128,
    states: usize,
    steps: u64,
    ends: BTreeSet<String>,
    replayed: u32,
}

fn search(scenario: &Scenario, reduced: bool) -> Explored {
    let mut search = Search { scenario, reduced, seen: HashMap::new(), ends: BTreeSet::new(), steps: 0, replayed: 0 };
    let schedules = search.explore(&scenario.fleet(), scenario.faults, 0);
    Explored { schedules, states: search.seen.len(), steps: search.steps, ends: search.ends, replayed: search.replayed }
}

impl Search<'_> {
    /// Follows every schedule from here to its end; how many there are.
    fn explore(&mut self, fleet: &Fleet, faults: u8, depth: usize) -> u128 {
        assert!(depth < 100, "they never come to rest: {:#?} {:?}", self.scenario, fleet.members);
        let key = (fleet.fingerprint(), faults);
        if let Some(schedules) = self.seen.get(&key) {
            return *schedules;
        }
        let mut schedules: u128 = 0;
        for index in 0..fleet.members.len() {
            match &fleet.members[index].flight {
                None => {}
                Some(Flight::Answered(_)) => {
                    let mut next = fleet.clone();
                    next.deliver(index);
                    schedules += self.explore(&next, faults, depth + 1);
                }
                Some(Flight::Sent(_)) => {
                    let wrong = FAULTS.into_iter().take(if faults > 0 { FAULTS.len() } else { 0 });
                    for treatment in [Treatment::Serves].into_iter().chain(wrong) {
                        let mut next = fleet.clone();
                        next.execute(index, treatment);
                        self.steps += 1;
                        if self.reduced {
                            next.deliver(index);
                        }
                        let faults = faults - u8::from(treatment != Treatment::Serves);
                        schedules += self.explore(&next, faults, depth + 1);
                    }
                }
            }
        }
        if schedules == 0 {
            self.end(fleet, faults);
            schedules = 1;
        }
        self.seen.insert(key, schedules);
        schedules
    }

    /// Nothing is on its way any more.
    fn end(&mut self, fleet: &Fleet, faults: u8) {
        fleet.check_rest(|index| !self.scenario.stays.contains(&index));
        let sizes = sizes(&fleet.service);
        for rtype in &self.scenario.types {
            let size = sizes.get(&("edge.example.com.".to_owned(), rtype.as_str().to_owned())).copied().unwrap_or(0);
            assert_eq!(size, self.scenario.expected(*rtype), "{rtype} of {:#?}", self.scenario);
        }
        // Nobody tries for ever: a batch is refused only because another one was accepted, per type.
        let went_wrong = u32::from(self.scenario.faults - faults);
        let others = u32::try_from((self.scenario.members - 1) * self.scenario.types.len()).expect("small");
        for member in &fleet.members {
            let Counts { lists, batches, refused } = member.counts;
            assert!(refused <= others + went_wrong, "{:?} in {:#?}", member.counts, self.scenario);
            assert!(batches <= 2 + refused + went_wrong, "{:?} in {:#?}", member.counts, self.scenario);
            // A drain and a shutdown look once more at what holds them.
            assert!(lists <= 3 + refused + went_wrong, "{:?} in {:#?}", member.counts, self.scenario);
        }
        let wants = |member: &Member| member.reports().iter().map(|report| format!("{:?}", report.intent)).collect();
        let end: End = fleet.members.iter().map(|member| (member.counts, wants(member))).collect();
        // The other strict Route 53 agrees with the first of each way to end.
        if self.ends.insert(format!("{end:?}")) {
            fleet.service.replay();
            self.replayed += 1;
        }
    }
}

impl Explored {
    fn add(&mut self, other: Explored) {
        self.schedules += other.schedules;
        self.states += other.states;
        self.steps += other.steps;
        self.replayed += other.replayed;
        self.ends.extend(other.ends);
    }

    /// So that nobody finds one day that the search has been searching nothing.
    fn at_least(&self, what: &str, schedules: u128, states: usize) {
        println!(
            "{what}: {} schedules, {} states, {} steps, {} ways to end, {} replayed",
            self.schedules,
            self.states,
            self.steps,
            self.ends.len(),
            self.replayed
        );
        assert!(self.schedules >= schedules && self.states >= states, "{what}: {} {}", self.schedules, self.states);
        assert!(self.replayed > 0);
    }
}

/// Every pool of 0 to 2 siblings and 0 to 2 foreign record sets, every `keep_min` from 0 to 2.
fn every_pool(members: usize, stays: &[usize], faults: u8) -> Explored {
    let mut explored = Explored::default();
    for start in [Start::Restarted, Start::Joined] {
        for (siblings, foreign) in (0..3).flat_map(|siblings| (0..3).map(move |foreign| (siblings, foreign))) {
            for keep_min in 0..3 {
                let scenario = Scenario::new(members, keep_min, start).beside(RecordType::A, siblings, foreign);
                explored.add(search(&Scenario { faults, stays: stays.to_vec(), ..scenario }, true));
            }
        }
    }
    explored
}

#[test]
fn two_that_leave_at_once_from_every_pool_while_requests_go_wrong() {
    every_pool(2, &[], if patience() > 1 { 2 } else { 1 }).at_least("two, one fault", 4_000, 5_000);
}

/// For whatever reasons, each of which takes another way through the engine.
#[test]
fn they_leave_for_every_mix_of_reasons() {
    let mut explored = Explored::default();
    let faults = u8::from(patience() > 1);
    for start in [Start::Restarted, Start::Joined] {
        for keep_min in 0..3 {
            for (first, second) in CAUSES.into_iter().flat_map(|first| CAUSES.map(|second| (first, second))) {
                let scenario = Scenario::new(2, keep_min, start).beside(RecordType::A, 1, 0);
                let causes = vec![first, second];
                explored.add(search(&Scenario { causes: causes.clone(), faults: 1, ..scenario }, true));
                explored.add(search(&Scenario { causes, faults, ..Scenario::new(3, keep_min, start) }, true));
            }
        }
    }
    explored.at_least("every mix of reasons", 15_000, 16_000);
}

#[test]
fn three_that_leave_at_once_from_every_pool() {
    every_pool(3, &[], u8::from(patience() > 1)).at_least("three", 5_000, 4_500);
}

/// One who knew of no other when it joined must not take itself for the last one.
#[test]
fn two_leave_while_one_stays() {
    let mut explored = Explored::default();
    for stays in 0..3 {
        explored.add(every_pool(3, &[stays], 0));
    }
    explored.at_least("two of three", 2_500, 3_500);
}

#[test]
fn three_that_leave_at_once_while_a_request_goes_wrong() {
    let mut explored = Explored::default();
    for keep_min in 1..3 {
        let scenario = Scenario { faults: 1, ..Scenario::new(3, keep_min, Start::Restarted) };
        explored.add(search(&scenario, true));
    }
    explored.at_least("three, one fault", 18_000, 4_500);
}

#[test]
fn four_that_leave_at_once() {
    let mut explored = Explored::default();
    for keep_min in 1..4 {
        explored.add(search(&Scenario::new(4, keep_min, Start::Restarted), true));
    }
    explored.at_least("four", 75_000, 7_000);
}

/// One batch holds both families, the pools do not: what the one must keep, the other may let go.
#[test]
fn two_families_are_two_pools() {
    let mut explored = Explored::default();
    for (in_a, in_aaaa, start) in [(0, 0, Start::Restarted), (0, 1, Start::Restarted), (2, 0, Start::Joined)] {
        for keep_min in 1..3 {
            let scenario = Scenario { types: RecordType::ALL.to_vec(), faults: 1, ..Scenario::new(2, keep_min, start) };
            let scenario = scenario.beside(RecordType::A, in_a, 0).beside(RecordType::Aaaa, in_aaaa, 0);
            explored.add(search(&scenario, true));
        }
    }
    explored.at_least("two families", 650, 850);
}

/// What a traffic policy made is in the pool, but no batch can create it again: it is no witness.
#[test]
fn what_cannot_be_a_witness_lets_nobody_go() {
    let mut explored = Explored::default();
    for (keep_min, start) in [(1, Start::Restarted), (2, Start::Restarted), (1, Start::Joined)] {
        let mut scenario = Scenario::new(3, keep_min, start);
        scenario.others.push((RecordType::A, made_by_a_policy()));
        explored.add(search(&scenario, true));
    }
    explored.at_least("no witness", 340, 300);
}

/// The reduction leaves nothing out: with every answer delivered as late as it likes, there are
/// more schedules and the same ends.
#[test]
fn delivering_at_once_leaves_no_outcome_out() {
    for (members, faults) in [(2, 1), (3, 0)] {
        let scenario = Scenario { faults, ..Scenario::new(members, 1, Start::Restarted) };
        let (reduced, full) = (search(&scenario, true), search(&scenario, false));
        assert_eq!(reduced.ends, full.ends);
        assert!(full.schedules > 10 * reduced.schedules, "{} {}", full.schedules, reduced.schedules);
    }
}
