//! The decisions over time: events in, effects out, no IO.
//!
//! The caller feeds [`Event`]s, drains [`Engine::poll`] until it is empty, carries each [`Effect`]
//! out and feeds its result back, and wakes up again at [`Engine::deadline`]. Everything else
//! follows: settling, batching, backoff, resync, confirmation.
//!
//! In flight at any moment: one reading of the addresses, one of the cluster's nodes, one request per
//! name, one change batch per zone (Route 53 works on one per zone anyway).

mod absence;
mod addresses;
mod annotations;
mod answers;
mod checks;
mod confirm;
mod departure;
mod drain;
mod name;
mod notice;
mod refresh;
mod report;
mod survivors;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use annotations::AnnotationsInForce;
pub use notice::Notice;

use crate::decide::address::Snapshot;
use crate::decide::annotation::Annotations;
use crate::decide::damping::Steady;
use crate::decide::drain::Drain;
use crate::decide::engine::absence::Absence;
use crate::decide::engine::addresses::Addresses;
use crate::decide::engine::checks::Checks;
use crate::decide::engine::confirm::Confirmations;
use crate::decide::engine::name::{NameState, Request};
use crate::decide::engine::survivors::Survivors;
use crate::decide::fitness::{Conditions, NodeKnowledge};
use crate::decide::health_check::{CheckAnswer, CheckRequest};
use crate::decide::name::DnsName;
use crate::decide::node::{Cluster, NodeState};
use crate::decide::observed::Observed;
use crate::decide::policy::{Policy, RecordPolicy};
use crate::decide::probe::{Probe, ProbeOutcome};
use crate::decide::provider::{ChangeId, ChangeStatus, ProviderError};
use crate::decide::random::Random;
use crate::decide::record::{Change, Listing, ZoneRef};
use crate::decide::time::Moment;

/// A name in a hosted zone: what is read and written together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The hosted zone.
    pub zone: ZoneRef,
    /// The name.
    pub name: DnsName,
}

/// Everything that can happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The host's addresses may have changed: a notification, an overrun, a reconnect.
    AddressesChanged,
    /// The answer to [`Effect::ReadAddresses`].
    Addresses(Observed<Snapshot>),
    /// The Node's state has changed, or is no longer known.
    Node(Observed<NodeState>),
    /// A probe has something else to say than before.
    Probe(Probe, Observed<ProbeOutcome>),
    /// The operator has drained or resumed the node, or whether that is so could not be read.
    Drain(Observed<Option<Drain>>),
    /// The system is shutting down.
    Stopping,
    /// The cluster's nodes have changed, or are no longer known.
    Cluster(Observed<Cluster>),
    /// The answer to [`Effect::ReadCluster`].
    ClusterRead(Observed<Cluster>),
    /// The answer to [`Effect::List`].
    Listed(Target, Result<Listing, ProviderError>),
    /// The answer to [`Effect::Apply`] or [`Effect::Remove`].
    Applied(Target, Result<ChangeId, ProviderError>),
    /// The answer to [`Effect::ChangeStatus`].
    ChangeStatus(ChangeId, Result<ChangeStatus, ProviderError>),
    /// The answer to [`Effect::HealthCheck`].
    HealthCheck(CheckAnswer<ProviderError>),
    /// Anything may have changed unseen: the operator asks for a fresh look.
    Recheck,
    /// The machine was suspended until now.
    Resumed,
    /// The own Node has been listed anew after a break in the watch: what it was meanwhile is not known.
    NodeListedAnew,
}

/// Everything the engine can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Read the host's links and addresses whole.
    ReadAddresses,
    /// Read the cluster's nodes whole, from the API server and not from what a watch has told.
    ReadCluster,
    /// Read everything at a name.
    List(Target),
    /// Apply one batch at a name.
    Apply(Target, Vec<Change>),
    /// Apply one batch at a name that removes what dead siblings own there. What it leans on ages, so it is
    /// to be given up unless it is carried out within [`REMOVAL_TIMEOUT`](crate::decide::survivors::REMOVAL_TIMEOUT).
    Remove(Target, Vec<Change>),
    /// Ask how far an accepted change has come.
    ChangeStatus(ChangeId),
    /// Read, create or delete health checks.
    HealthCheck(CheckRequest),
}

/// How much more often a name is read while something in its pool is in our way.
const HELD_RESYNC_DIVISOR: u32 = 5;

/// A pool that begins to be in our way is read at once, unless it was read less than this ago: what
/// flaps must not make a listing of every turn.
const NEWLY_HELD_PAUSE: Duration = Duration::from_secs(10);

/// The decisions over time.
#[derive(Debug, Clone)]
pub struct Engine {
    policy: Policy,
    random: Random,
    addresses: Addresses,
    conditions: Conditions,
    absence: Absence,
    survivors: Survivors,
    /// What the Node's annotations say of routing.
    annotations: Steady<Annotations>,
    names: BTreeMap<Target, NameState>,
    /// What is still on its way for names that are no longer configured.
    leaving: BTreeMap<Target, Request>,
    confirmations: Confirmations,
    checks: Checks,
    notices: Vec<Notice>,
}

impl Engine {
    /// An engine that knows nothing yet and wants to read everything. Nothing is drained until
    /// [`Event::Drain`] says so.
    pub fn new(policy: Policy, seed: u64, now: Moment) -> Self {
        let mut engine = Engine {
            policy,
            random: Random::new(seed),
            addresses: Addresses::new(now),
            conditions: Conditions { drain: Observed::Known(None), ..Conditions::default() },
            absence: Absence::begin_at(now),
            survivors: Survivors::default(),
            annotations: Steady::default(),
            names: BTreeMap::new(),
            leaving: BTreeMap::new(),
            confirmations: Confirmations::default(),
            checks: Checks::default(),
            notices: Vec::new(),
        };
        engine.adopt_names(now);
        engine
    }

    /// Takes a new policy. Names that stay keep what is known of them; names that go are left as they are in DNS.
    pub fn reconfigure(&mut self, policy: Policy, now: Moment) {
        self.policy = policy;
        self.adopt_names(now);
    }

    /// Takes in what has happened.
    pub fn handle(&mut self, event: Event, now: Moment) {
        let mut looked = None;
        match event {
            Event::AddressesChanged => return self.addresses.changed(&self.policy.timing, now),
            Event::Addresses(snapshot) => {
                self.addresses.read(snapshot);
                self.count_absences(1);
            }
            Event::Node(state) => {
                self.absence.update(&state, now);
                self.look_again(now);
                self.annotated(&state, now);
                if let Some(node) = &mut self.conditions.node {
                    *node = NodeKnowledge { state, reported: true };
                }
            }
            Event::Probe(probe, Observed::Known(outcome)) => {
                self.conditions.probes.insert(probe, outcome);
            }
            Event::Probe(probe, Observed::Unknown) => {
                self.conditions.probes.remove(&probe);
            }
            Event::Cluster(cluster) => return self.cluster_changed(cluster, now),
            Event::ClusterRead(cluster) => return self.cluster_read(&cluster, now),
            Event::Drain(drain) => return self.drain_changed(drain, now),
            Event::Stopping => self.depart(now),
            Event::Listed(target, result) => {
                let is_listed = result.is_ok();
                looked = is_listed.then(|| target.clone());
                self.listed(&target, result, now);
                self.surveyed(&target, is_listed, now);
            }
            Event::Applied(target, result) if self.is_removing(&target) => self.removed(&target, result, now),
            Event::Applied(target, result) => self.applied(&target, result, now),
            Event::ChangeStatus(id, result) => return self.change_status(&id, result, now),
            Event::HealthCheck(answer) => {
                let told = self.checks.answered(answer, &self.policy, &mut self.random, now);
                self.notices.extend(told);
            }
            Event::Recheck => self.recheck(now),
            Event::Resumed => {
                self.survivors.restart(now);
                self.recheck(now);
            }
            Event::NodeListedAnew => {
                self.absence.interrupted(now);
                self.look_again(now);
            }
        }
        self.refresh(looked.as_ref(), now);
    }

    /// The next thing to do, if there is one. Call until `None`.
    pub fn poll(&mut self, now: Moment) -> Option<Effect> {
        self.end_drain(now);
        self.settle_annotations(now);
        if self.signal_deadline().is_some_and(|deadline| deadline <= now) {
            self.refresh(None, now);
        }
        self.look_again(now);
        if self.addresses.begin(now) {
            return Some(Effect::ReadAddresses);
        }
        if let Some(effect) = self.begin_apply(now) {
            return Some(effect);
        }
        if let Some(request) = self.checks.begin(&self.names, now) {
            return Some(Effect::HealthCheck(request));
        }
        let effect = self.begin_list(now).or_else(|| self.begin_survivors(now));
        effect.or_else(|| self.confirmations.begin(now).map(Effect::ChangeStatus))
    }

    /// When there is something to do though nothing happens. Later than the last `poll` that returned `None`.
    pub fn deadline(&self) -> Option<Moment> {
        [
            self.drained_until(),
            self.signal_deadline(),
            self.annotations_due(),
            self.addresses.deadline(),
            self.applicable().map(|(at, _, _)| at).min(),
            self.names.values().filter_map(NameState::list_at).min(),
            self.confirmations.deadline(),
            self.absence.deadline().filter(|_| self.policy.kubernetes),
            self.survivors_deadline(),
            self.checks.deadline(&self.names),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What has happened since the last call and is worth telling.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The host's links and addresses as last read.
    pub fn addresses(&self) -> Observed<&Snapshot> {
        as_ref(&self.addresses.snapshot)
    }

    /// The Node's state as last read.
    pub fn node(&self) -> Observed<&NodeState> {
        self.conditions.node.as_ref().map_or(Observed::Unknown, |node| as_ref(&node.state))
    }

    fn adopt_names(&mut self, now: Moment) {
        self.conditions.node = match self.policy.kubernetes {
            true => Some(self.conditions.node.take().unwrap_or_default()),
            false => None,
        };
        let targets: BTreeSet<Target> = self.policy.records.iter().map(target_of).collect();
        for (target, name) in self.names.extract_if(.., |target, _| !targets.contains(target)) {
            self.leaving.extend(name.in_flight.map(|request| (target.clone(), request)));
            self.notices.push(Notice::Unmanaged { target });
        }
        for target in targets {
            let in_flight = self.leaving.remove(&target);
            self.names.entry(target).or_insert_with(|| NameState::new(in_flight, now));
        }
        self.survivors.keep(&self.names);
        self.count_absences(0);
        self.refresh(None, now);
    }

    fn recheck(&mut self, now: Moment) {
        self.addresses.read_by(now);
        self.checks.recheck();
        self.names.values_mut().for_each(NameState::recheck);
    }

    /// The node may have been taken for dead: what is remembered of the names is not to be trusted.
    fn look_again(&mut self, now: Moment) {
        // Without Kubernetes nobody can take the host for dead.
        if self.policy.kubernetes && self.absence.look(now) {
            self.names.values_mut().for_each(NameState::recheck);
        }
    }

    /// The zones that are working on a batch.
    fn busy(&self) -> BTreeSet<&ZoneRef> {
        let in_flight = self.names.iter().filter_map(|(target, name)| Some((target, name.in_flight.as_ref()?)));
        in_flight
            .chain(&self.leaving)
            .filter(|(_, request)| matches!(request, Request::Apply { .. } | Request::Remove(_)))
            .map(|(target, _)| &target.zone)
            .collect()
    }

    /// When each name's batch may go, in zones that are not working on one.
    fn applicable(&self) -> impl Iterator<Item = (Moment, Option<Moment>, &Target)> {
        let busy = self.busy();
        self.names
            .iter()
            .filter(move |(target, _)| !busy.contains(&target.zone))
            .filter_map(|(target, name)| Some((name.apply_at()?, name.pending_since, target)))
    }

    fn begin_apply(&mut self, now: Moment) -> Option<Effect> {
        let due = self.applicable().filter(|(at, _, _)| *at <= now);
        let target = due.min_by_key(|(_, pending_since, _)| *pending_since)?.2.clone();
        let changes = self.names.get_mut(&target)?.begin_apply(now);
        Some(Effect::Apply(target, changes))
    }

    fn begin_list(&mut self, now: Moment) -> Option<Effect> {
        let mut due = self.names.iter_mut().filter(|(_, name)| name.list_at().is_some_and(|at| at <= now));
        let (target, name) = due.next()?;
        name.in_flight = Some(Request::List);
        if name.is_routine() {
            // The addresses are read again as often as the pools, in case the kernel ever failed to tell.
            self.addresses.read_by(now);
        }
        Some(Effect::List(target.clone()))
    }
}

fn target_of(record: &RecordPolicy) -> Target {
    Target { zone: record.zone.clone(), name: record.name.clone() }
}

fn as_ref<T>(observed: &Observed<T>) -> Observed<&T> {
    match observed {
        Observed::Unknown => Observed::Unknown,
        Observed::Known(value) => Observed::Known(value),
    }
}
