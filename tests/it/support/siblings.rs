//! A world in virtual time around several engines of one cluster: they share a Route 53 and an API
//! server, each over a line of its own that can break. Safety is checked at every batch, by what the
//! world itself has told each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nodedns::decide::engine::{Effect, Engine, Event, Notice, Target};
use nodedns::decide::node::{Cluster, NodeState, Readiness};
use nodedns::decide::observed::Observed;
use nodedns::decide::owner::{OwnerId, SetIdentifier};
use nodedns::decide::policy::{Policy, RecordPolicy, SurvivorsPolicy};
use nodedns::decide::provider::{ChangeId, ChangeStatus, ErrorKind};
use nodedns::decide::record::{Change, Listing, Pool, RecordType};
use nodedns::decide::survivors::REMOVAL_TIMEOUT;
use nodedns::decide::time::Moment;

use crate::support::hostile::{HANG, LATENCY, Sent, Treatment, accepts, error};
use crate::support::told::Told;
use crate::support::world;

pub(crate) const GRACE: Duration = Duration::from_secs(60);

/// How long a fresh list of the nodes takes.
const READ: Duration = Duration::from_millis(30);

/// Not zero, so that nothing leans on the clock's origin.
const START: Duration = Duration::from_secs(5000);

/// Something that happens at a moment.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    /// The cluster says this of a Node; `None`: there is no such Node.
    Node(&'static str, Option<Readiness>),
    /// A node's line to the API server breaks (`false`), or works again.
    Line(&'static str, bool),
    /// A host loses power (`false`), or starts anew.
    Power(&'static str, bool),
    /// A whole machine stands still (`true`), or goes on as if nothing had been.
    Stands(&'static str, bool),
    /// The host has this address.
    Address(&'static str, &'static str),
    /// What a fresh reading of the nodes says on a node, in turn; then the truth.
    Readings(&'static str, Vec<Observed<Cluster>>),
    /// Route 53 treats the following requests of a node so, in turn; then serves.
    Treatments(&'static str, Vec<Treatment>),
    /// A removal of a node's record sets, decided on a while ago, reaches Route 53.
    Lands(&'static str),
    /// A request to Route 53 that has waited for its turn is sent, in the node's that many-th life.
    Sends(&'static str, u32, Effect),
    /// Everyone looks at everything again.
    Recheck,
    /// An answer arrives at a node, in its that many-th life.
    Answer(&'static str, u32, Event),
}

pub(crate) struct Daemon {
    pub(crate) engine: Engine,
    pub(crate) sent: Vec<Sent>,
    pub(crate) notices: Vec<(Moment, Notice)>,
    policy: Policy,
    address: &'static str,
    powered: bool,
    stands: bool,
    life: u32,
    line: bool,
    readings: Vec<Observed<Cluster>>,
    treatments: Vec<Treatment>,
    /// Everything that it has been told of the nodes in this life, by which its batches are judged.
    told: Told,
    /// The zones with a batch of its on its way.
    working: BTreeSet<String>,
    /// When the next request to Route 53 may be sent.
    free_at: Moment,
}

pub(crate) struct World {
    pub(crate) now: Moment,
    pub(crate) daemons: BTreeMap<&'static str, Daemon>,
    pub(crate) names: BTreeMap<Target, Listing>,
    /// When each record set left a pool other than by its own node's hand.
    pub(crate) removals: Vec<(Moment, &'static str, SetIdentifier)>,
    /// How far apart each node's requests to Route 53 are; one that comes sooner waits for its turn.
    pub(crate) interval: Duration,
    cluster: Cluster,
    queue: BTreeMap<(Moment, u64), Happening>,
    sequence: u64,
    changes: u64,
}

impl Daemon {
    fn runs(&self) -> bool {
        self.powered && !self.stands
    }
}

impl World {
    /// Nodes that are Ready and connected, each with its address, records and whether it is a survivor.
    pub(crate) fn new(nodes: &[(&'static str, &'static str, bool)], records: &[RecordPolicy]) -> Self {
        let now = Moment::new(START);
        let mut world = World {
            now,
            daemons: BTreeMap::new(),
            names: BTreeMap::new(),
            removals: Vec::new(),
            interval: Duration::ZERO,
            cluster: nodes.iter().map(|(node, _, _)| ((*node).to_owned(), Readiness::Ready)).collect(),
            queue: BTreeMap::new(),
            sequence: 0,
            changes: 0,
        };
        for (node, address, is_survivor) in nodes {
            let policy = Policy {
                owner: OwnerId::new("home", node).expect("an owner"),
                survivors: is_survivor.then_some(SurvivorsPolicy { grace: GRACE }),
                ..world::policy(records.to_vec())
            };
            let daemon = Daemon {
                engine: Engine::new(policy.clone(), 1, now),
                sent: Vec::new(),
                notices: Vec::new(),
                policy,
                address,
                powered: false,
                stands: false,
                life: 0,
                line: true,
                readings: Vec::new(),
                treatments: Vec::new(),
                told: Told::default(),
                working: BTreeSet::new(),
                free_at: now,
            };
            world.daemons.insert(node, daemon);
            world.after(Duration::ZERO, Happening::Power(node, true));
        }
        for record in records {
            let target = Target { zone: record.zone.clone(), name: record.name.clone() };
            world.names.insert(target, Listing { zone_id: record.zone.to_string(), ..Listing::default() });
        }
        world
    }

    pub(crate) fn after(&mut self, delay: Duration, happening: Happening) {
        self.at(self.now + delay, happening);
    }

    pub(crate) fn at(&mut self, at: Moment, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), happening);
    }

    pub(crate) fn daemon(&self, node: &str) -> &Daemon {
        self.daemons.get(node).expect("a node of this world")
    }

    fn daemon_mut(&mut self, node: &str) -> &mut Daemon {
        self.daemons.get_mut(node).expect("a node of this world")
    }

    /// Lets this much time pass.
    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            self.carry_out_effects();
            let deadlines = self.daemons.values().filter(|daemon| daemon.runs()).filter_map(|d| d.engine.deadline());
            let deadline = deadlines.min();
            assert!(deadline.is_none_or(|at| at > self.now), "an idle engine wants to be woken in the past");
            let next = self.queue.keys().next().map(|(at, _)| *at);
            let Some(wake) = [next, deadline].into_iter().flatten().min().filter(|at| *at <= end) else { break };
            self.now = wake;
            while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= wake) {
                let happening = entry.remove();
                self.happen(happening);
            }
        }
        self.now = end;
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.now;
        match happening {
            Happening::Node(node, readiness) => {
                match readiness {
                    Some(readiness) => drop(self.cluster.insert(node.to_owned(), readiness)),
                    None => drop(self.cluster.remove(node)),
                }
                let nodes: Vec<_> = self.daemons.keys().copied().collect();
                nodes.into_iter().for_each(|daemon| self.tell(daemon, daemon == node));
            }
            Happening::Line(node, works) => {
                self.daemon_mut(node).line = works;
                self.tell(node, true);
            }
            Happening::Power(node, on) => {
                let daemon = self.daemon_mut(node);
                daemon.powered = on;
                daemon.life += 1;
                daemon.working.clear();
                daemon.told = Told::default();
                if on {
                    daemon.engine = Engine::new(daemon.policy.clone(), u64::from(daemon.life), now);
                    self.tell(node, true);
                }
            }
            Happening::Stands(node, stands) => {
                self.daemon_mut(node).stands = stands;
                self.tell(node, true);
            }
            Happening::Address(node, address) => {
                self.daemon_mut(node).address = address;
                self.handle(node, Event::AddressesChanged);
            }
            Happening::Readings(node, readings) => self.daemon_mut(node).readings = readings,
            Happening::Treatments(node, treatments) => self.daemon_mut(node).treatments = treatments,
            Happening::Sends(node, life, effect) => {
                if self.daemon(node).life == life && self.daemon(node).runs() {
                    self.send(node, effect);
                }
            }
            Happening::Lands(node) => {
                let dead = Some(SetIdentifier(format!("nodedns/v1/home/{node}")));
                let pools = self.names.values_mut().flat_map(|listing| listing.pools.values_mut());
                pools.for_each(|pool| drop(pool.remove(&dead)));
            }
            Happening::Recheck => {
                let nodes: Vec<_> = self.daemons.keys().copied().collect();
                nodes.into_iter().for_each(|daemon| self.handle(daemon, Event::Recheck));
            }
            Happening::Answer(node, life, event) => {
                let daemon = self.daemon_mut(node);
                if daemon.life != life {
                    return;
                }
                if daemon.stands {
                    return self.after(Duration::from_secs(1), Happening::Answer(node, life, event));
                }
                match &event {
                    Event::ClusterRead(cluster) => daemon.told.read(now, cluster.clone()),
                    Event::Applied(target, _) => drop(daemon.working.remove(&target.zone.to_string())),
                    _ => {}
                }
                self.handle(node, event);
            }
        }
    }

    /// Tells a daemon what the cluster is, and where it concerns itself what its own Node is.
    fn tell(&mut self, node: &'static str, own: bool) {
        let cluster = match self.daemon(node).line {
            true => Observed::Known(self.cluster.clone()),
            false => Observed::Unknown,
        };
        let state = cluster.known().map_or(Observed::Unknown, |cluster| {
            Observed::Known(match cluster.get(node) {
                None => NodeState::Absent,
                Some(readiness) => world::node(readiness.clone(), false),
            })
        });
        let now = self.now;
        if !self.daemon(node).runs() {
            return;
        }
        self.daemon_mut(node).told.watch(now, cluster.clone());
        if self.daemon(node).policy.survivors.is_some() {
            self.handle(node, Event::Cluster(cluster));
        }
        if own {
            self.handle(node, Event::Node(state));
        }
    }

    fn handle(&mut self, node: &'static str, event: Event) {
        let now = self.now;
        let daemon = self.daemon_mut(node);
        if daemon.runs() {
            daemon.engine.handle(event, now);
        }
    }

    fn carry_out_effects(&mut self) {
        let nodes: Vec<_> = self.daemons.keys().copied().collect();
        for node in nodes {
            for step in 0.. {
                assert!(step < 1000, "the engine never comes to rest");
                let now = self.now;
                let daemon = self.daemon_mut(node);
                if !daemon.runs() {
                    break;
                }
                let effect = daemon.engine.poll(now);
                let notices = daemon.engine.take_notices();
                daemon.notices.extend(notices.into_iter().map(|notice| (now, notice)));
                let Some(effect) = effect else { break };
                daemon.sent.push(Sent { at: now, effect: effect.clone() });
                self.carry_out(node, effect);
            }
        }
    }

    /// Lets a request to Route 53 wait for its turn, as the client does.
    fn carry_out(&mut self, node: &'static str, effect: Effect) {
        match &effect {
            Effect::Apply(target, changes) => {
                assert!(!self.judge(node, target, changes), "S1: removals go their own way");
            }
            Effect::Remove(target, changes) => {
                assert!(self.judge(node, target, changes), "a removal that removes nothing");
            }
            Effect::List(_) | Effect::ChangeStatus(_) => {}
            Effect::ReadAddresses | Effect::ReadCluster | Effect::HealthCheck(_) => return self.send(node, effect),
        }
        let (now, interval) = (self.now, self.interval);
        let daemon = self.daemon_mut(node);
        let life = daemon.life;
        let slot = daemon.free_at.max(now);
        daemon.free_at = slot + interval;
        match effect {
            Effect::Remove(target, _) if slot - now >= REMOVAL_TIMEOUT => {
                let given_up = Event::Applied(target, Err(error(ErrorKind::Unconfirmed)));
                self.after(REMOVAL_TIMEOUT, Happening::Answer(node, life, given_up));
            }
            effect if slot > now => self.at(slot, Happening::Sends(node, life, effect)),
            effect => self.send(node, effect),
        }
    }

    fn send(&mut self, node: &'static str, effect: Effect) {
        let (delay, event) = match effect {
            Effect::ReadAddresses => {
                let snapshot = world::snapshot(&[self.daemon(node).address]);
                (Duration::from_millis(1), Event::Addresses(Observed::Known(snapshot)))
            }
            Effect::ReadCluster => {
                let truth = match self.daemon(node).line {
                    true => Observed::Known(self.cluster.clone()),
                    false => Observed::Unknown,
                };
                let readings = &mut self.daemon_mut(node).readings;
                let cluster = if readings.is_empty() { truth } else { readings.remove(0) };
                (READ, Event::ClusterRead(cluster))
            }
            Effect::List(target) => {
                let listing = self.names.get(&target).cloned().unwrap_or_default();
                let (delay, result) = match self.treatment(node) {
                    Treatment::Serves | Treatment::RefusesType(_) => (LATENCY, Ok(listing)),
                    Treatment::Fails(kind) => (LATENCY, Err(error(kind))),
                    Treatment::LosesAnswer | Treatment::Hangs => (HANG, Err(error(ErrorKind::Unavailable))),
                };
                (delay, Event::Listed(target, result))
            }
            Effect::Apply(target, changes) | Effect::Remove(target, changes) => {
                let (delay, result) = self.apply(node, &target, &changes);
                (delay, Event::Applied(target, result))
            }
            Effect::HealthCheck(_) => panic!("no record of this world has a health check"),
            Effect::ChangeStatus(id) => (LATENCY, Event::ChangeStatus(id, Ok(ChangeStatus::InSync))),
        };
        let life = self.daemon(node).life;
        self.after(delay, Happening::Answer(node, life, event));
    }

    fn treatment(&mut self, node: &str) -> Treatment {
        let queue = &mut self.daemon_mut(node).treatments;
        if queue.is_empty() { Treatment::Serves } else { queue.remove(0) }
    }

    /// Whether the batch removes others' record sets.
    fn judge(&self, node: &str, target: &Target, changes: &[Change]) -> bool {
        let daemon = self.daemon(node);
        daemon.told.judge(&daemon.policy, target, changes, self.now)
    }

    fn apply(
        &mut self,
        node: &'static str,
        target: &Target,
        changes: &[Change],
    ) -> (Duration, Result<ChangeId, nodedns::decide::provider::ProviderError>) {
        let daemon = self.daemon_mut(node);
        assert!(daemon.working.insert(target.zone.to_string()), "two batches at once in a zone");
        match self.treatment(node) {
            Treatment::Serves | Treatment::RefusesType(_) => {
                let outcome = self.commit(node, target, changes);
                let id = ChangeId(format!("C{}", self.changes));
                (LATENCY, outcome.map(|()| id).map_err(|()| error(ErrorKind::Refused)))
            }
            Treatment::Fails(kind) => (LATENCY, Err(error(kind))),
            Treatment::LosesAnswer => {
                let _ = self.commit(node, target, changes);
                (HANG, Err(error(ErrorKind::Unconfirmed)))
            }
            Treatment::Hangs => (HANG, Err(error(ErrorKind::Unconfirmed))),
        }
    }

    fn commit(&mut self, node: &'static str, target: &Target, changes: &[Change]) -> Result<(), ()> {
        let before = self.names.get(target).ok_or(())?.clone();
        let mut after = before.clone();
        for change in changes {
            accepts(&after, change)?;
            after.apply(change);
        }
        self.changes += 1;
        let own = SetIdentifier(format!("nodedns/v1/home/{node}"));
        let keep_min = self.record(node, target).keep_min as usize;
        for rtype in RecordType::ALL {
            let (before, after) = (before.pool(rtype).cloned(), after.pool(rtype).cloned());
            let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
            assert!(
                after.len() >= before.len() || after.len() >= keep_min,
                "S3: {} record sets are left of {}",
                after.len(),
                before.len()
            );
            for gone in missing(&before, &after).filter(|identifier| *identifier != own) {
                self.removals.push((self.now, node, gone));
            }
        }
        self.names.insert(target.clone(), after);
        Ok(())
    }

    fn record(&self, node: &str, target: &Target) -> &RecordPolicy {
        let records = &self.daemon(node).policy.records;
        records.iter().find(|record| record.name == target.name).expect("a configured name")
    }

    /// The set identifiers in the pool.
    pub(crate) fn pool(&self, target: &Target, rtype: RecordType) -> BTreeSet<String> {
        let pool = self.names.get(target).and_then(|listing| listing.pool(rtype));
        pool.into_iter().flat_map(Pool::keys).flatten().map(|identifier| identifier.0.clone()).collect()
    }

    /// How many requests a node has made, as (readings of the nodes, listings, batches).
    pub(crate) fn requests(&self, node: &str) -> (usize, usize, usize) {
        let count = |wanted: fn(&Effect) -> bool| self.daemon(node).sent.iter().filter(|s| wanted(&s.effect)).count();
        (
            count(|effect| matches!(effect, Effect::ReadCluster)),
            count(|effect| matches!(effect, Effect::List(_))),
            count(|effect| matches!(effect, Effect::Apply(..) | Effect::Remove(..))),
        )
    }

    pub(crate) fn has_told(&self, node: &str, wanted: impl Fn(&Notice) -> bool) -> usize {
        self.daemon(node).notices.iter().filter(|(_, notice)| wanted(notice)).count()
    }
}

fn missing(before: &Pool, after: &Pool) -> impl Iterator<Item = SetIdentifier> {
    before.keys().filter(|key| !after.contains_key(*key)).flatten().cloned()
}
