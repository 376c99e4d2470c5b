//! Long random histories of 3 to 5 nodes on one clock: every reason to leave, recoveries, restarts,
//! foreign hands, and a service that is slow, busy, and loses requests and answers. A listing may be
//! seconds old when it arrives, and a batch outlives the process that sent it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nodedns::decide::damping;
use nodedns::decide::drain::Drain;
use nodedns::decide::engine::{Effect, Event, Target};
use nodedns::decide::node::{NodeObject, NodeState, Readiness};
use nodedns::decide::observed::Observed;
use nodedns::decide::policy::{Policy, RecordPolicy, Signal, SignalAction, SignalPolicy};
use nodedns::decide::probe::{Probe, ProbeCheck, ProbeOutcome};
use nodedns::decide::provider::{ChangeStatus, ErrorKind};
use nodedns::decide::record::RecordType;
use nodedns::decide::selector::{LabelSelector, Requirement};
use nodedns::decide::time::Moment;

use super::fleet::{self, Member, Treatment};
use super::service::{Service, at};
use super::{EDGE, ZONE, address, own_set, patience, policy};
use crate::support::hostile::HANG;
use crate::support::world;

/// Like [`EDGE`], but a cordon means nothing to it.
const UPKEEP: &str = "upkeep.example.com";
const NAMES: [&str; 2] = [EDGE, UPKEEP];

/// What is the matter with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Nothing,
    Cordoned,
    NotReady,
    Absent,
    Deleting,
    Tainted,
    Excluded,
    Drained,
    ProbeFails,
    NoAddress,
    NoIpv6,
    Stopping,
    /// Nobody can say, so nothing may come of it.
    Unknown,
}

const CAUSES: [Cause; 13] = [
    Cause::Nothing,
    Cause::Cordoned,
    Cause::NotReady,
    Cause::Absent,
    Cause::Deleting,
    Cause::Tainted,
    Cause::Excluded,
    Cause::Drained,
    Cause::ProbeFails,
    Cause::NoAddress,
    Cause::NoIpv6,
    Cause::Stopping,
    Cause::Unknown,
];

impl Cause {
    /// Whether the node is to be in this pool.
    fn is_fit(self, name: &Target, rtype: RecordType) -> bool {
        match self {
            Cause::Nothing => true,
            Cause::Cordoned => *name == at(UPKEEP),
            Cause::NoIpv6 => rtype == RecordType::A,
            _ => false,
        }
    }

    fn node(self) -> Observed<NodeState> {
        let NodeState::Present(ready) = world::ready() else { panic!("a node that is ready is present") };
        let present = |node: NodeObject| Observed::Known(NodeState::Present(node));
        match self {
            Cause::Unknown => Observed::Unknown,
            Cause::Absent => Observed::Known(NodeState::Absent),
            Cause::NotReady => present(NodeObject { ready: Readiness::NotReady(None), ..ready }),
            Cause::Cordoned => present(NodeObject { unschedulable: true, ..ready }),
            Cause::Deleting => present(NodeObject { deleting: true, ..ready }),
            Cause::Tainted => present(NodeObject { taints: vec![("out".into(), "NoExecute".into())], ..ready }),
            Cause::Excluded => {
                present(NodeObject { labels: BTreeMap::from([("hidden".into(), String::new())]), ..ready })
            }
            _ => present(ready),
        }
    }

    fn addresses(self, index: usize) -> Vec<String> {
        match self {
            Cause::NoAddress => Vec::new(),
            Cause::NoIpv6 => vec![address(RecordType::A, index)],
            _ => RecordType::ALL.map(|rtype| address(rtype, index)).to_vec(),
        }
    }

    /// Everything a host says of itself that is in this state.
    fn events(self) -> Vec<Event> {
        let drain = (self == Cause::Drained).then_some(Drain { until: None, force: false });
        let outcome =
            if self == Cause::ProbeFails { ProbeOutcome::Failing("no".into()) } else { ProbeOutcome::Passing };
        let mut events = vec![
            Event::Drain(Observed::Known(drain)),
            Event::Probe(probe(), Observed::Known(outcome)),
            Event::AddressesChanged,
            Event::Node(self.node()),
        ];
        events.extend((self == Cause::Stopping).then_some(Event::Stopping));
        events
    }
}

fn probe() -> Probe {
    Probe {
        check: ProbeCheck::Tcp("127.0.0.1:443".parse().expect("an address")),
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(1),
        failures: 1,
    }
}

fn fleet_policy(index: usize, keep_min: [u32; 2]) -> Policy {
    let record = |(name, keep_min)| RecordPolicy {
        keep_min,
        probe: Some(probe()),
        taint_keys: BTreeSet::from(["out".to_owned()]),
        ..world::record(name, ZONE)
    };
    let mut records: Vec<RecordPolicy> = NAMES.into_iter().zip(keep_min).map(record).collect();
    let ignored = SignalPolicy { action: SignalAction::Ignore, ..Signal::Cordoned.default_policy() };
    records[1].signals.insert(Signal::Cordoned, ignored);
    Policy { node_selector: LabelSelector(vec![Requirement::DoesNotExist("hidden".into())]), ..policy(index, records) }
}

/// Something that happens at a moment.
#[derive(Debug)]
enum Happening {
    Becomes(usize, Cause),
    Restarts(usize),
    /// Somebody edits a pool past nodedns.
    Foreign,
    /// A request of a member in its n-th life reaches the service.
    Arrives(usize, u32, Effect),
    /// Something reaches a member in its n-th life.
    Told(usize, u32, Event),
    /// A watcher says how the node's n-th state is; nothing, when that has passed.
    Watched(usize, u32, Event),
}

struct Node {
    member: Member,
    cause: Cause,
    life: u32,
    /// How many states it has been in.
    state: u32,
}

struct Run {
    random: Seeded,
    now: Moment,
    keep_min: [u32; 2],
    nodes: Vec<Node>,
    service: Service,
    /// By when, and among equals by which came first.
    queue: BTreeMap<(Moment, u64), Happening>,
    sequence: u64,
    /// Whether the service treats everyone well.
    is_calm: bool,
    batches: u32,
    /// Whether a process was replaced: what it had sent may arrive after the next one has looked,
    /// and is then foreign to it.
    has_restarts: bool,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = Seeded(seed);
        let mut service = Service::new();
        for (name, rtype) in NAMES.into_iter().flat_map(|name| RecordType::ALL.map(|rtype| (name, rtype))) {
            for identifier in STRANGERS.into_iter().take(random.below(3)) {
                service.put(&at(name), rtype, world::weighted(identifier, &address(rtype, 200)));
            }
        }
        let keep_min = [random.below(4), random.below(3)].map(|keep_min| u32::try_from(keep_min).expect("small"));
        let mut run = Run {
            now: Moment::new(Duration::from_secs(1000)),
            keep_min,
            nodes: Vec::new(),
            service,
            queue: BTreeMap::new(),
            sequence: 0,
            is_calm: false,
            batches: 0,
            has_restarts: false,
            random,
        };
        for index in 0..3 + run.random.below(3) {
            if run.random.one_in(2) {
                for (name, rtype) in NAMES.into_iter().flat_map(|name| RecordType::ALL.map(|rtype| (name, rtype))) {
                    run.service.put(&at(name), rtype, own_set(rtype, index));
                }
            }
            let member = run.born(index, Cause::Nothing);
            run.nodes.push(Node { member, cause: Cause::Nothing, life: 0, state: 0 });
            run.becomes(index, Cause::Nothing);
        }
        run
    }

    fn born(&mut self, index: usize, cause: Cause) -> Member {
        let mut member = Member::new(fleet_policy(index, self.keep_min), host(cause, index), self.random.next());
        member.now = self.now;
        member
    }

    fn after(&mut self, delay: Duration, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((self.now + delay, self.sequence), happening);
    }

    /// The node comes into a state, and its watchers say so one by one.
    fn becomes(&mut self, index: usize, cause: Cause) {
        // Nothing but a boot ends a shutdown.
        if self.nodes[index].cause == Cause::Stopping && cause != Cause::Stopping {
            self.restarts(index, cause);
            return;
        }
        self.nodes[index].cause = cause;
        self.nodes[index].member.host = host(cause, index);
        self.nodes[index].state += 1;
        let state = self.nodes[index].state;
        for event in cause.events() {
            let delay = self.random.up_to(Duration::from_millis(300));
            self.after(delay, Happening::Watched(index, state, event));
        }
    }

    fn restarts(&mut self, index: usize, cause: Cause) {
        let member = self.born(index, cause);
        self.has_restarts = true;
        let Node { life, state, .. } = self.nodes[index];
        self.nodes[index] = Node { member, cause, life: life + 1, state };
        self.becomes(index, cause);
    }

    fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            (0..self.nodes.len()).for_each(|index| self.carry_out(index));
            let queued = self.queue.first_key_value().map(|((at, _), _)| *at);
            let deadlines = self.nodes.iter().filter_map(|node| node.member.engine.deadline());
            let Some(wake) = deadlines.chain(queued).min().filter(|at| *at <= end) else { break };
            assert!(wake >= self.now, "woken in the past");
            self.now = wake;
            while let Some(next) = self.queue.first_entry().filter(|next| next.key().0 <= wake) {
                let happening = next.remove();
                self.happen(happening);
            }
        }
        self.now = end;
    }

    fn carry_out(&mut self, index: usize) {
        self.nodes[index].member.now = self.now;
        let life = self.nodes[index].life;
        for step in 0.. {
            assert!(step < 100, "the engine never comes to rest");
            let member = &mut self.nodes[index].member;
            let Some(effect) = member.engine.poll(self.now) else { break };
            match effect {
                Effect::ReadAddresses => {
                    let read = Event::Addresses(Observed::Known(member.host.clone()));
                    self.after(Duration::from_millis(1), Happening::Told(index, life, read));
                }
                Effect::ChangeStatus(id) => {
                    let in_sync = Event::ChangeStatus(id, Ok(ChangeStatus::InSync));
                    self.after(Duration::from_millis(40), Happening::Told(index, life, in_sync));
                }
                Effect::List(_) | Effect::Apply(..) => {
                    member.counts.batches += u32::from(matches!(effect, Effect::Apply(..)));
                    let delay = self.latency();
                    self.after(delay, Happening::Arrives(index, life, effect));
                }
                other => unreachable!("no record of the model asks for {other:?}"),
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Becomes(index, cause) => self.becomes(index, cause),
            Happening::Restarts(index) => self.restarts(index, self.nodes[index].cause),
            Happening::Foreign => self.foreign_hand(),
            Happening::Told(index, life, event) if self.nodes[index].life == life => self.tell(index, event),
            Happening::Watched(index, state, event) if self.nodes[index].state == state => self.tell(index, event),
            Happening::Told(..) | Happening::Watched(..) => {}
            Happening::Arrives(index, life, effect) => {
                self.batches += u32::from(matches!(effect, Effect::Apply(..)));
                let treatment = self.treatment();
                let event = fleet::execute(&mut self.service, &mut self.nodes[index].member, effect, treatment);
                let lost = matches!(treatment, Treatment::LosesAnswer | Treatment::LosesRequest);
                let delay = if lost { HANG } else { self.latency() };
                self.after(delay, Happening::Told(index, life, event));
            }
        }
    }

    fn tell(&mut self, index: usize, event: Event) {
        let member = &mut self.nodes[index].member;
        member.now = self.now;
        member.tell(event);
    }

    fn treatment(&mut self) -> Treatment {
        if self.is_calm || !self.random.one_in(3) {
            return Treatment::Serves;
        }
        match self.random.below(6) {
            0 => Treatment::LosesAnswer,
            1 => Treatment::LosesRequest,
            2 => Treatment::Fails(ErrorKind::Throttled),
            3 => Treatment::Fails(ErrorKind::Unavailable),
            _ => Treatment::Fails(ErrorKind::Busy),
        }
    }

    fn latency(&mut self) -> Duration {
        let longest = match self.random.below(16) {
            0 if !self.is_calm => 9_000,
            1..4 => 1_000,
            _ => 80,
        };
        self.random.up_to(Duration::from_millis(longest))
    }

    /// Deletes or edits somebody's record set, or puts one there.
    fn foreign_hand(&mut self) {
        let name = at(NAMES[self.random.below(NAMES.len())]);
        let rtype = RecordType::ALL[self.random.below(2)];
        let index = self.random.below(self.nodes.len());
        let stranger = STRANGERS[self.random.below(STRANGERS.len())];
        let identifier = if self.random.one_in(2) { super::owner(index).to_string() } else { stranger.to_owned() };
        if self.random.one_in(2) {
            self.service.remove(&name, rtype, &identifier);
        } else {
            let edited = world::weighted(&identifier, &address(rtype, 100 + self.random.below(3)));
            self.service.put(&name, rtype, edited);
        }
    }

    /// Somebody asks every daemon for a fresh look: what the resync, which is off, would do in time.
    fn recheck(&mut self) {
        for index in 0..self.nodes.len() {
            let life = self.nodes[index].life;
            self.after(Duration::ZERO, Happening::Told(index, life, Event::Recheck));
        }
    }

    fn check(&self, leavers_too: bool) {
        for node in &self.nodes {
            for report in node.member.reports() {
                let name = Target { zone: report.zone.clone(), name: report.name.clone() };
                if node.cause.is_fit(&name, report.rtype) {
                    fleet::check_publishing(&self.service, &node.member, &report);
                } else if leavers_too {
                    fleet::check_leaving(&self.service, &node.member, &report);
                }
            }
        }
    }
}

/// Siblings and others that no engine speaks for.
const STRANGERS: [&str; 3] = ["nodedns/v1/home/s1", "hand-made", "nodedns/v1/homely/n0"];

fn host(cause: Cause, index: usize) -> nodedns::decide::address::Snapshot {
    let addresses = cause.addresses(index);
    world::snapshot(&addresses.iter().map(String::as_str).collect::<Vec<_>>())
}

/// One history; how many batches it took.
fn history(seed: u64) -> u32 {
    println!("seed {seed}");
    let mut run = Run::new(seed);
    run.is_calm = run.random.one_in(4);
    let foreign = run.random.one_in(2);
    let quiet = run.random.up_to(Duration::from_secs(30));
    run.run_for(quiet);
    for _ in 0..4 + run.random.below(16) {
        let index = run.random.below(run.nodes.len());
        let cause = CAUSES[run.random.below(CAUSES.len())];
        match run.random.below(10) {
            0 => run.after(Duration::ZERO, Happening::Restarts(index)),
            1 | 2 if foreign => run.after(Duration::ZERO, Happening::Foreign),
            // For all of them at once, now and then.
            3 => (0..run.nodes.len()).for_each(|index| run.after(Duration::ZERO, Happening::Becomes(index, cause))),
            _ => run.after(Duration::ZERO, Happening::Becomes(index, cause)),
        }
        let longest = if run.random.one_in(3) { 15_000 } else { 400 };
        let pause = run.random.up_to(Duration::from_millis(longest));
        run.run_for(pause);
    }
    run.is_calm = true;
    for index in 0..run.nodes.len() {
        let cause = CAUSES[run.random.below(CAUSES.len() - 1)];
        let cause = if run.random.one_in(4) { Cause::Nothing } else { cause };
        run.after(Duration::ZERO, Happening::Becomes(index, cause));
    }
    // What still hangs, one backoff step, and the longest that a node is kept out for having come
    // and gone too often.
    let converges = HANG + Duration::from_secs(30 + 5) + damping::WAIT_MAX;
    run.run_for(converges);
    if !foreign && !run.has_restarts {
        run.check(false);
    }
    // Who came back may have done so after those who are held had their look.
    for _ in 0..2 {
        run.recheck();
        run.run_for(converges);
    }
    run.check(true);
    if !foreign {
        run.service.replay();
    }
    let batches = run.batches;
    run.run_for(Duration::from_secs(3600));
    assert_eq!(run.batches, batches, "not at rest");
    batches
}

#[test]
fn whatever_happens_to_many_no_pool_runs_empty_and_who_may_leave_is_gone() {
    let batches: u32 = (0..u64::from(100 * patience())).map(history).sum();
    assert!(batches > 1000, "{batches} batches");
}

/// SplitMix64, as the engine's own.
pub(super) struct Seeded(pub(super) u64);

impl Seeded {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("below a usize")
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn up_to(&mut self, longest: Duration) -> Duration {
        Duration::from_millis(self.below(longest.as_millis() as usize + 1) as u64)
    }
}
