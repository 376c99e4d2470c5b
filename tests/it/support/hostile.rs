//! A world in virtual time around one engine: a host whose addresses change, a cluster that says
//! how the node is, and a Route 53 that fails in every way it can. Safety is checked at every
//! batch, not at the end.

use std::collections::{BTreeMap, BinaryHeap};
use std::net::IpAddr;
use std::time::Duration;

use nodedns::decide::address::Snapshot;
use nodedns::decide::annotation;
use nodedns::decide::drain::Drain;
use nodedns::decide::engine::{Effect, Engine, Event, Notice, Target};
use nodedns::decide::node::{Cluster, NodeState, Readiness};
use nodedns::decide::observed::Observed;
use nodedns::decide::owner::SetIdentifier;
use nodedns::decide::policy::{Policy, Signal, SignalAction};
use nodedns::decide::probe::{Probe, ProbeOutcome};
use nodedns::decide::provider::{ChangeId, ChangeStatus, ErrorKind, ProviderError};
use nodedns::decide::record::{Action, Change, Listing, RecordSet, RecordType};
use nodedns::decide::time::Moment;

use crate::support::check_service::CheckService;
use crate::support::told::Told;
use crate::support::world::{OWN, name};

/// How Route 53 treats one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// Does what is asked.
    Serves,
    /// Says no without doing it.
    Fails(ErrorKind),
    /// Does it and loses the answer (a batch), or says nothing (a listing).
    LosesAnswer,
    /// Answers nothing for this long, having done nothing.
    Hangs,
    /// Refuses every batch that has something of this type in it; serves the rest.
    RefusesType(RecordType),
}

/// How long a hanging request takes until the attempt timeout ends it.
pub(crate) const HANG: Duration = Duration::from_secs(10);
/// How long everything else takes.
pub(crate) const LATENCY: Duration = Duration::from_millis(40);

/// A Route 53 to ask instead of the world's own zones. Each answer comes with the time it takes.
pub(crate) trait Service {
    fn list(&mut self, target: &Target, now: Moment) -> (Duration, Result<Listing, ProviderError>);
    fn apply(
        &mut self,
        target: &Target,
        changes: &[Change],
        now: Moment,
    ) -> (Duration, Result<ChangeId, ProviderError>);
    fn change_status(&mut self, id: &ChangeId, now: Moment) -> (Duration, Result<ChangeStatus, ProviderError>);
}

/// Something that happens at a moment.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    /// The host's addresses become these, and netlink says so.
    Addresses(Vec<String>),
    /// Netlink fails: the next reading says it does not know.
    NetlinkFails,
    /// Netlink works again, and says so.
    NetlinkWorks,
    /// The cluster says this of the node, or cannot be asked.
    Node(Observed<NodeState>),
    /// The cluster says this of all nodes, or cannot be asked.
    Cluster(Observed<Cluster>),
    /// A probe has something to say, or no longer has.
    Probe(Probe, Observed<ProbeOutcome>),
    /// The operator drains or resumes the node, or whether that is so cannot be read.
    Drain(Observed<Option<Drain>>),
    /// The system begins to shut down.
    Stopping,
    /// Route 53 treats the following requests so, in turn for each zone; then serves.
    Treatments(String, Vec<Treatment>),
    /// Somebody else edits a name.
    Foreign(Target, Change),
    /// An answer arrives.
    Answer(Event),
}

/// An effect that went out, for counting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) at: Moment,
    pub(crate) effect: Effect,
}

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) now: Moment,
    pub(crate) zones: BTreeMap<Target, Listing>,
    pub(crate) sent: Vec<Sent>,
    pub(crate) notices: Vec<Notice>,
    service: Option<Box<dyn Service>>,
    pub(crate) checks: CheckService,
    queue: BinaryHeap<Queued>,
    sequence: u64,
    host: Snapshot,
    netlink_works: bool,
    cluster: Observed<Cluster>,
    treatments: BTreeMap<String, Vec<Treatment>>,
    /// What the engine has been told, to hold it to.
    told_addresses: Observed<Snapshot>,
    told_node: Observed<NodeState>,
    told_signals: ToldSignals,
    told_cluster: Told,
    changes: u64,
    /// The zones with a batch on its way.
    working: Vec<String>,
}

/// What the engine has been told of the signals that are not of the Node.
#[derive(Debug, Default)]
struct ToldSignals {
    /// At any time: what has cleared goes on counting for a while.
    drained: bool,
    drain_unknown: bool,
    node_unfit: bool,
    /// The probes that have something to say, and whether they have ever failed.
    probes: BTreeMap<Probe, bool>,
}

impl ToldSignals {
    fn take_in(&mut self, event: &Event) {
        match event {
            Event::Node(state) => {
                let is_unfit = |state: &NodeState| match state {
                    NodeState::Absent => true,
                    NodeState::Present(node) => {
                        let excluded = node.annotations.contains_key(annotation::EXCLUDE);
                        let ready = node.ready == Readiness::Ready && !node.unschedulable && !node.deleting;
                        !ready || !node.taints.is_empty() || excluded
                    }
                };
                self.node_unfit |= state.known().is_some_and(is_unfit);
            }
            Event::Probe(probe, outcome) => self.probe(probe, outcome),
            Event::Drain(drain) => {
                self.drained |= drain.known().is_some_and(Option::is_some);
                self.drain_unknown = !drain.is_known();
            }
            _ => {}
        }
    }

    fn probe(&mut self, probe: &Probe, outcome: &Observed<ProbeOutcome>) {
        match outcome {
            Observed::Unknown => {
                self.probes.remove(probe);
            }
            Observed::Known(outcome) => {
                *self.probes.entry(probe.clone()).or_default() |= matches!(outcome, ProbeOutcome::Failing(_));
            }
        }
    }

    fn are_known(&self, probe: Option<&Probe>) -> bool {
        !self.drain_unknown && probe.is_none_or(|probe| self.probes.contains_key(probe))
    }

    /// Whether something that is known has spoken against the node.
    fn speak_against(&self, probe: Option<&Probe>, node_known: bool) -> bool {
        let failed = probe.and_then(|probe| self.probes.get(probe)).is_some_and(|failed| *failed);
        (self.drained && !self.drain_unknown) || failed || (self.node_unfit && node_known)
    }
}

struct Queued {
    at: Moment,
    sequence: u64,
    happening: Happening,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Queued {}
impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Queued {
    /// The earliest first; among equals the one that was scheduled first.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

impl World {
    /// A world at its beginning: no addresses, nothing known of the node, these names in Route 53.
    pub(crate) fn new(policy: Policy, zones: Vec<(&str, &str, Listing)>, seed: u64) -> Self {
        let zones = zones
            .into_iter()
            .map(|(zone, text, listing)| (target(zone, text), Listing { zone_id: zone.into(), ..listing }))
            .collect();
        World {
            engine: Engine::new(policy, seed, Moment::new(START)),
            now: Moment::new(START),
            zones,
            sent: Vec::new(),
            notices: Vec::new(),
            service: None,
            checks: CheckService::default(),
            queue: BinaryHeap::new(),
            sequence: 0,
            host: crate::support::world::snapshot(&[]),
            netlink_works: true,
            cluster: Observed::Unknown,
            treatments: BTreeMap::new(),
            told_addresses: Observed::Unknown,
            told_node: Observed::Unknown,
            told_signals: ToldSignals::default(),
            told_cluster: Told::default(),
            changes: 0,
            working: Vec::new(),
        }
    }

    /// A world at its beginning whose Route 53 is `service`.
    pub(crate) fn with_service(policy: Policy, service: impl Service + 'static, seed: u64) -> Self {
        World { service: Some(Box::new(service)), ..World::new(policy, Vec::new(), seed) }
    }

    /// The process is killed, and what it was still to be told with it; another one starts.
    pub(crate) fn restart(&mut self, policy: Policy, seed: u64) {
        self.queue.retain(|queued| !matches!(queued.happening, Happening::Answer(_)));
        self.working.clear();
        self.told_addresses = Observed::Unknown;
        self.told_node = Observed::Unknown;
        self.told_cluster = Told::default();
        self.engine = Engine::new(policy, seed, self.now);
    }

    pub(crate) fn after(&mut self, delay: Duration, happening: Happening) {
        self.schedule(self.now + delay, happening);
    }

    fn schedule(&mut self, at: Moment, happening: Happening) {
        self.sequence += 1;
        self.queue.push(Queued { at, sequence: self.sequence, happening });
    }

    /// Lets this much time pass.
    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            self.carry_out_effects();
            let next = self.queue.peek().map(|queued| queued.at);
            let deadline = self.engine.deadline();
            assert!(
                deadline.is_none_or(|at| at > self.now),
                "an idle engine wants to be woken in the past: {deadline:?}"
            );
            let wake = [next, deadline].into_iter().flatten().min().filter(|at| *at <= end);
            let Some(wake) = wake else { break };
            self.now = wake;
            while self.queue.peek().is_some_and(|queued| queued.at <= self.now) {
                if let Some(queued) = self.queue.pop() {
                    self.happen(queued.happening);
                }
            }
        }
        self.now = end;
    }

    fn happen(&mut self, happening: Happening) {
        let event = match happening {
            Happening::Addresses(addresses) => {
                let texts: Vec<&str> = addresses.iter().map(String::as_str).collect();
                self.host = crate::support::world::snapshot(&texts);
                if !self.netlink_works {
                    return;
                }
                Event::AddressesChanged
            }
            Happening::NetlinkFails => {
                self.netlink_works = false;
                Event::AddressesChanged
            }
            Happening::NetlinkWorks => {
                self.netlink_works = true;
                Event::AddressesChanged
            }
            Happening::Node(state) => {
                self.told_node.clone_from(&state);
                Event::Node(state)
            }
            Happening::Cluster(cluster) => {
                self.cluster.clone_from(&cluster);
                self.told_cluster.watch(self.now, cluster.clone());
                Event::Cluster(cluster)
            }
            Happening::Probe(probe, outcome) => Event::Probe(probe, outcome),
            Happening::Drain(drain) => Event::Drain(drain),
            Happening::Stopping => Event::Stopping,
            Happening::Treatments(zone, treatments) => {
                self.treatments.insert(zone, treatments);
                return;
            }
            Happening::Foreign(target, change) => {
                if let Some(listing) = self.zones.get_mut(&target).filter(|listing| accepts(listing, &change).is_ok()) {
                    listing.apply(&change);
                }
                return;
            }
            Happening::Answer(event) => {
                match &event {
                    Event::Addresses(snapshot) => self.told_addresses.clone_from(snapshot),
                    Event::ClusterRead(cluster) => self.told_cluster.read(self.now, cluster.clone()),
                    Event::Applied(target, _) => self.working.retain(|zone| *zone != target.zone.to_string()),
                    _ => {}
                }
                event
            }
        };
        self.told_signals.take_in(&event);
        self.engine.handle(event, self.now);
        self.notices.extend(self.engine.take_notices());
    }

    fn carry_out_effects(&mut self) {
        for step in 0.. {
            assert!(step < 1000, "the engine never comes to rest");
            let Some(effect) = self.engine.poll(self.now) else { break };
            self.sent.push(Sent { at: self.now, effect: effect.clone() });
            match effect {
                Effect::ReadAddresses => {
                    let snapshot =
                        if self.netlink_works { Observed::Known(self.host.clone()) } else { Observed::Unknown };
                    self.answer(Duration::from_millis(1), Event::Addresses(snapshot));
                }
                Effect::ReadCluster => {
                    assert!(self.engine.policy().survivors.is_some(), "only survivors ask after others");
                    self.answer(LATENCY, Event::ClusterRead(self.cluster.clone()));
                }
                Effect::List(target) => self.list(target),
                Effect::Apply(target, changes) | Effect::Remove(target, changes) => self.apply(target, changes),
                Effect::HealthCheck(request) => {
                    let (delay, answer) = self.checks.request(request, self.zones.values());
                    self.answer(delay, Event::HealthCheck(answer));
                }
                Effect::ChangeStatus(id) => {
                    let (delay, result) = match &mut self.service {
                        Some(service) => service.change_status(&id, self.now),
                        None => (LATENCY, Ok(ChangeStatus::InSync)),
                    };
                    self.answer(delay, Event::ChangeStatus(id, result));
                }
            }
        }
        self.notices.extend(self.engine.take_notices());
    }

    fn answer(&mut self, delay: Duration, event: Event) {
        self.after(delay, Happening::Answer(event));
    }

    fn treatment(&mut self, target: &Target) -> Treatment {
        let queue = self.treatments.entry(target.zone.to_string()).or_default();
        if queue.is_empty() { Treatment::Serves } else { queue.remove(0) }
    }

    fn list(&mut self, target: Target) {
        if let Some(service) = &mut self.service {
            let (delay, result) = service.list(&target, self.now);
            return self.answer(delay, Event::Listed(target, result));
        }
        let (delay, result) = match self.treatment(&target) {
            Treatment::Serves | Treatment::RefusesType(_) => {
                (LATENCY, Ok(self.zones.get(&target).cloned().unwrap_or_default()))
            }
            Treatment::Fails(kind) => (LATENCY, Err(error(kind))),
            Treatment::LosesAnswer | Treatment::Hangs => (HANG, Err(error(ErrorKind::Unavailable))),
        };
        self.answer(delay, Event::Listed(target, result));
    }

    fn apply(&mut self, target: Target, changes: Vec<Change>) {
        self.check_safety(&target, &changes);
        let refusal = self.checks.check_batch(&changes);
        // Route 53 works on one batch per zone; a second one would be PriorRequestNotComplete.
        let zone = target.zone.to_string();
        assert!(!self.working.contains(&zone), "two batches at once in {zone}");
        self.working.push(zone);
        if let Some(service) = &mut self.service {
            let (delay, result) = service.apply(&target, &changes, self.now);
            return self.answer(delay, Event::Applied(target, result));
        }
        let treatment = match self.treatment(&target) {
            Treatment::RefusesType(rtype) if changes.iter().any(|change| change.rtype == rtype) => {
                Treatment::Fails(ErrorKind::Refused)
            }
            Treatment::RefusesType(_) => Treatment::Serves,
            other => other,
        };
        let serves = matches!(treatment, Treatment::Serves | Treatment::LosesAnswer);
        let outcome = match refusal {
            Some(refusal) => Err(refusal),
            None if serves => self.commit(&target, &changes).map_err(|()| error(ErrorKind::Refused)),
            None => Ok(()),
        };
        let (delay, result) = match treatment {
            Treatment::Serves => (LATENCY, outcome.map(|()| self.change_id())),
            Treatment::Fails(kind) => (LATENCY, Err(error(kind))),
            Treatment::LosesAnswer | Treatment::Hangs | Treatment::RefusesType(_) => {
                (HANG, Err(error(ErrorKind::Unconfirmed)))
            }
        };
        self.answer(delay, Event::Applied(target, result));
    }

    fn change_id(&mut self) -> ChangeId {
        self.changes += 1;
        ChangeId(format!("C{}", self.changes))
    }

    fn commit(&mut self, target: &Target, changes: &[Change]) -> Result<(), ()> {
        let listing = self.zones.get_mut(target).ok_or(())?;
        let mut working = listing.clone();
        for change in changes {
            accepts(&working, change)?;
            working.apply(change);
        }
        *listing = working;
        Ok(())
    }

    /// S1, S2 and S3 at the moment a batch leaves.
    fn check_safety(&self, target: &Target, changes: &[Change]) {
        assert!(!changes.is_empty(), "an empty batch");
        let survives = self.engine.policy().survivors.is_some();
        if survives && self.told_cluster.judge(self.engine.policy(), target, changes, self.now) {
            return;
        }
        let own = Some(SetIdentifier(OWN.into()));
        let (ours, others): (Vec<&Change>, Vec<&Change>) =
            changes.iter().partition(|change| change.set.set_identifier == own);
        assert!(changes.iter().all(|change| change.name == target.name), "S1: another name's record sets");
        for pair in others.chunks(2) {
            let witness = matches!(pair, [delete, create]
                if delete.action == Action::Delete && create.action == Action::Create && delete.set == create.set);
            assert!(witness, "S1: {pair:?} is no witness");
        }
        let withdraws = |rtype| {
            let of_type = || ours.iter().filter(move |change| change.rtype == rtype);
            of_type().any(|change| change.action == Action::Delete)
                && !of_type().any(|change| change.action != Action::Delete)
        };
        for rtype in RecordType::ALL.into_iter().filter(|rtype| withdraws(*rtype)) {
            let witnesses = others.iter().filter(|change| change.rtype == rtype).count() / 2;
            let record = self.engine.policy().records.iter().find(|record| record.name == target.name);
            // Whoever drains by force gives up the minimum.
            let forced = self.engine.drain().known().copied().flatten().is_some_and(|drain| drain.force);
            let keep_min = if forced { 0 } else { record.map_or(1, |record| record.keep_min as usize) };
            assert!(witnesses >= keep_min, "S3: a withdrawal with {witnesses} of {keep_min} witnesses");
        }
        assert!(self.told_addresses.is_known(), "S2: a change while the addresses are unknown");
        let record = self.engine.policy().records.iter().find(|record| record.name == target.name);
        let minds = |signal: Signal| {
            let policy = record.and_then(|record| record.signals.get(&signal)).copied();
            policy.unwrap_or_else(|| signal.default_policy()).action == SignalAction::Withdraw
        };
        let probe = record.and_then(|record| record.probe.as_ref()).filter(|_| minds(Signal::ProbeFailed));
        let minds_silence = minds(Signal::ApiUnreachable);
        let is_known = self.told_node.is_known() && self.told_signals.are_known(probe);
        let stops = self.engine.is_stopping();
        for rtype in RecordType::ALL {
            let actions: Vec<Action> =
                ours.iter().filter(|change| change.rtype == rtype).map(|change| change.action).collect();
            let follows = matches!(actions[..], [] | [Action::Delete, Action::Create]);
            let leaves = actions == [Action::Delete];
            let speaks_against = minds_silence || self.told_signals.speak_against(probe, self.told_node.is_known());
            assert!(!stops || follows || leaves, "{actions:?} while the system stops");
            assert!(
                is_known || stops || follows || (leaves && speaks_against),
                "S2: {actions:?} while something that counts is unknown"
            );
        }
    }

    /// What Route 53 has of ours.
    pub(crate) fn own(&self, target: &Target, rtype: RecordType) -> Option<RecordSet> {
        self.zones.get(target)?.get(rtype, &SetIdentifier(OWN.into())).cloned()
    }

    pub(crate) fn own_address(&self, target: &Target, rtype: RecordType) -> Option<IpAddr> {
        self.own(target, rtype)?.addresses().first().copied()
    }

    pub(crate) fn count(&self, wanted: impl Fn(&Effect) -> bool) -> usize {
        self.sent.iter().filter(|sent| wanted(&sent.effect)).count()
    }

    pub(crate) fn first_apply_after(&self, at: Moment) -> Option<Moment> {
        self.sent.iter().find(|sent| sent.at >= at && matches!(sent.effect, Effect::Apply(..))).map(|sent| sent.at)
    }
}

/// Not zero, so that nothing leans on the clock's origin.
const START: Duration = Duration::from_secs(1000);

pub(crate) fn target(zone: &str, text: &str) -> Target {
    Target { zone: nodedns::decide::record::ZoneRef::Id(zone.into()), name: name(text) }
}

pub(crate) fn accepts(listing: &Listing, change: &Change) -> Result<(), ()> {
    let present = listing.pool(change.rtype).and_then(|pool| pool.get(&change.set.set_identifier));
    match (change.action, present) {
        (Action::Create, Some(_)) | (Action::Delete, None) => Err(()),
        (Action::Delete, Some(present)) if *present != change.set => Err(()),
        _ => Ok(()),
    }
}

pub(crate) fn error(kind: ErrorKind) -> ProviderError {
    ProviderError { kind, code: None, message: "planted".into() }
}
