//! Engines and what is on its way between each of them and the service, and what must hold after
//! every step.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::time::Duration;

use nodedns::decide::address::Snapshot;
use nodedns::decide::engine::{Effect, Engine, Event, Target};
use nodedns::decide::observed::Observed;
use nodedns::decide::owner::OwnerId;
use nodedns::decide::policy::Policy;
use nodedns::decide::provider::{ChangeId, ChangeStatus, ErrorKind, ProviderError};
use nodedns::decide::reason::{Intent, Reason};
use nodedns::decide::record::{Change, RecordType, Target as Answer};
use nodedns::decide::report::RecordReport;
use nodedns::decide::time::Moment;

use super::service::Service;
use crate::support::hostile::LATENCY;

/// How the service treats one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    /// Does what is asked.
    Serves,
    /// Says no without doing it.
    Fails(ErrorKind),
    /// Does it, and the answer is lost.
    LosesAnswer,
    /// The request is lost, and nobody knows.
    LosesRequest,
}

/// A request on its way there, or its answer on the way back.
#[derive(Debug, Clone)]
pub(super) enum Flight {
    Sent(Effect),
    Answered(Event),
}

/// What one member has asked of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Counts {
    pub(super) lists: u32,
    pub(super) batches: u32,
    pub(super) refused: u32,
}

/// One node: its engine, its own clock, its host. Nodes have nothing in common but the service, so
/// that no order of their clocks is left out.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) engine: Engine,
    pub(super) now: Moment,
    pub(super) host: Snapshot,
    pub(super) flight: Option<Flight>,
    pub(super) counts: Counts,
    /// Of everything that has happened to it. An engine is a function of that.
    pub(super) history: u64,
}

impl Member {
    pub(super) fn new(policy: Policy, host: Snapshot, seed: u64) -> Self {
        let now = Moment::new(Duration::from_secs(1000));
        let engine = Engine::new(policy, seed, now);
        let mut member = Member { engine, now, host, flight: None, counts: Counts::default(), history: 0 };
        member.remember(&seed);
        member
    }

    /// Something happens to the node.
    pub(super) fn tell(&mut self, event: Event) {
        self.remember(&format!("{event:?}"));
        self.take(event);
    }

    /// Takes in what follows from what has happened before.
    fn take(&mut self, event: Event) {
        self.engine.handle(event, self.now);
        self.engine.take_notices();
    }

    fn remember(&mut self, what: &impl Hash) {
        let mut hasher = DefaultHasher::new();
        self.history.hash(&mut hasher);
        what.hash(&mut hasher);
        self.history = hasher.finish();
    }

    /// Carries on, through its own waits, until it wants something of the service or is at rest.
    pub(super) fn carry_on(&mut self) {
        for step in 0.. {
            assert!(step < 100, "the engine never comes to rest: {:?}", self.reports());
            while let Some(effect) = self.engine.poll(self.now) {
                match effect {
                    Effect::ReadAddresses => self.take(Event::Addresses(Observed::Known(self.host.clone()))),
                    Effect::ChangeStatus(id) => self.take(Event::ChangeStatus(id, Ok(ChangeStatus::InSync))),
                    Effect::List(_) | Effect::Apply(..) => {
                        assert!(self.flight.is_none(), "two requests at once for one name");
                        self.counts.lists += u32::from(matches!(effect, Effect::List(_)));
                        self.counts.batches += u32::from(matches!(effect, Effect::Apply(..)));
                        self.flight = Some(Flight::Sent(effect));
                    }
                    other => unreachable!("no record of the model asks for {other:?}"),
                }
            }
            match self.engine.deadline() {
                // Resync is off, so what is left is far away.
                Some(at) if self.flight.is_none() && at - self.now < Duration::from_secs(3600) => self.now = at,
                _ => return,
            }
        }
    }

    pub(super) fn owner(&self) -> &OwnerId {
        &self.engine.policy().owner
    }

    pub(super) fn reports(&self) -> Vec<RecordReport> {
        self.engine.report().records
    }

    pub(super) fn keep_min(&self, at: &Target) -> usize {
        let record = self.engine.policy().records.iter().find(|record| record.name == at.name);
        record.map_or(0, |record| record.keep_min as usize)
    }
}

/// Engines around one service.
#[derive(Clone)]
pub(super) struct Fleet {
    pub(super) members: Vec<Rc<Member>>,
    pub(super) service: Service,
}

impl Fleet {
    pub(super) fn member(&mut self, index: usize) -> &mut Member {
        Rc::make_mut(&mut self.members[index])
    }

    /// The request of a member reaches the service, which treats it so.
    pub(super) fn execute(&mut self, index: usize, treatment: Treatment) {
        let member = Rc::make_mut(&mut self.members[index]);
        let Some(Flight::Sent(effect)) = member.flight.take() else { panic!("nothing is on its way there") };
        let event = execute(&mut self.service, member, effect, treatment);
        // The answer, as far as it is not the same whenever the service holds the same.
        let outcome = match &event {
            Event::Listed(_, Ok(_)) => (Some(self.service.fingerprint), None),
            Event::Listed(_, Err(error)) | Event::Applied(_, Err(error)) => {
                (None, Some((error.kind.as_str(), error.to_string())))
            }
            _ => (None, None),
        };
        member.remember(&outcome);
        member.flight = Some(Flight::Answered(event));
    }

    /// The answer reaches the member.
    pub(super) fn deliver(&mut self, index: usize) {
        let member = Rc::make_mut(&mut self.members[index]);
        let Some(Flight::Answered(event)) = member.flight.take() else { panic!("nothing is on its way back") };
        member.now = member.now + LATENCY;
        member.take(event);
        member.carry_on();
    }

    /// Everything there is to know of this moment, as far as it decides what can happen next.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.service.fingerprint.hash(&mut hasher);
        for member in &self.members {
            (member.history, matches!(member.flight, Some(Flight::Answered(_)))).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// What must be true once nothing is on its way: who was to leave is out or had to stay, and
    /// says so; who was to stay is in.
    pub(super) fn check_rest(&self, leaving: impl Fn(usize) -> bool) {
        for (index, member) in self.members.iter().enumerate() {
            for report in member.reports() {
                if leaving(index) {
                    check_leaving(&self.service, member, &report);
                } else {
                    check_publishing(&self.service, member, &report);
                }
            }
        }
    }
}

/// What the service makes of a request, with S1 and S3 checked around it.
pub(super) fn execute(service: &mut Service, member: &mut Member, effect: Effect, treatment: Treatment) -> Event {
    let error = |kind| ProviderError { kind, code: None, message: "planted".to_owned() };
    match effect {
        Effect::List(target) => {
            let result = match treatment {
                Treatment::Serves => Ok(service.list(&target)),
                Treatment::Fails(kind) => Err(error(kind)),
                Treatment::LosesAnswer | Treatment::LosesRequest => Err(error(ErrorKind::Unavailable)),
            };
            Event::Listed(target, result)
        }
        Effect::Apply(target, changes) => {
            let id = ChangeId(format!("C{}", member.counts.batches));
            let result = match treatment {
                Treatment::Serves => write_checked(service, member, &target, &changes).map(|()| id),
                Treatment::Fails(kind) => Err(error(kind)),
                Treatment::LosesAnswer => {
                    let _ = write_checked(service, member, &target, &changes);
                    Err(error(ErrorKind::Unconfirmed))
                }
                Treatment::LosesRequest => Err(error(ErrorKind::Unconfirmed)),
            };
            member.counts.refused += u32::from(result.as_ref().is_err_and(|error| error.kind == ErrorKind::Refused));
            Event::Applied(target, result)
        }
        other => panic!("{other:?} is not for the service"),
    }
}

/// Writes a batch and holds its sender to S1 and S3: nothing but its own record sets has changed,
/// byte for byte, and none of them has left a pool with fewer than `keep_min`.
fn write_checked(
    service: &mut Service,
    member: &Member,
    target: &Target,
    changes: &[Change],
) -> Result<(), ProviderError> {
    let before = service.contents();
    let result = service.write(target, changes);
    let after = service.contents();
    let own = Some(member.owner().to_string());
    for key in before.keys().chain(after.keys()).filter(|key| key.2 != own) {
        assert_eq!(before.get(key), after.get(key), "S1: {own:?} has changed {key:?} with {changes:#?}");
    }
    for rtype in RecordType::ALL {
        let key = (target.name.as_str().to_owned(), rtype.as_str().to_owned(), own.clone());
        if before.contains_key(&key) && !after.contains_key(&key) {
            let left = after.keys().filter(|other| (&other.0, &other.1) == (&key.0, &key.1)).count();
            let keep_min = member.keep_min(target);
            assert!(left >= keep_min, "S3: {own:?} leaves {left} of {keep_min} in {rtype} with {changes:#?}");
        }
    }
    result
}

/// Holds one (record, type) of a member that is at rest and wants to leave to what it may and must do.
pub(super) fn check_leaving(service: &Service, member: &Member, report: &RecordReport) {
    let identifier = member.owner().set_identifier();
    let target = Target { zone: report.zone.clone(), name: report.name.clone() };
    let pool = service.list(&target).pools.remove(&report.rtype).unwrap_or_default();
    let others = pool
        .values()
        .filter(|set| set.set_identifier.as_ref() != Some(&identifier))
        .filter(|set| !matches!(set.target, Answer::TrafficPolicyInstance(_)));
    let keep_min = member.keep_min(&target);
    let must_stay = others.count() < keep_min;
    let is_in = pool.contains_key(&Some(identifier.clone()));
    assert!(!is_in || must_stay, "{identifier} could leave {} {}: {report:#?} {pool:#?}", report.name, report.rtype);
    let says_so = match &report.intent {
        Intent::Hold(reason) => is_in && *reason == Reason::KeepMin(keep_min.try_into().expect("small")),
        Intent::Withdraw(_) => !is_in && report.in_sync,
        Intent::Publish(_) | Intent::Preserve(_) => false,
    };
    assert!(says_so, "{identifier} is {}in the pool and says {:?}", if is_in { "" } else { "not " }, report.intent);
    assert!(report.last_error.is_none(), "{identifier} still complains: {report:#?}");
}

/// Holds one (record, type) of a member that is at rest and fit to what it must do.
pub(super) fn check_publishing(service: &Service, member: &Member, report: &RecordReport) {
    let identifier = member.owner().set_identifier();
    let target = Target { zone: report.zone.clone(), name: report.name.clone() };
    let own = service.list(&target).get(report.rtype, &identifier).cloned();
    let wanted = match &report.intent {
        Intent::Publish(set) => Some(set),
        Intent::Withdraw(_) | Intent::Hold(_) | Intent::Preserve(_) => None,
    };
    assert!(wanted.is_some() && own.as_ref() == wanted, "{identifier} has {own:?} and says {report:#?}");
    assert!(report.is_healthy(), "{identifier} still complains: {report:#?}");
}

/// The pools' sizes, by name and type.
pub(super) fn sizes(service: &Service) -> BTreeMap<(String, String), usize> {
    let mut sizes = BTreeMap::new();
    for (name, rtype, identifier) in service.contents().into_keys() {
        *sizes.entry((name, rtype)).or_default() += usize::from(identifier.is_some());
    }
    sizes
}
