//! One strict Route 53 for many engines: the simulator's own zone and rules, without HTTP, so that
//! a search can copy it at every fork. Reading and writing are single points in time.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use nodedns::decide::engine::Target;
use nodedns::decide::owner::SetIdentifier;
use nodedns::decide::provider::{ErrorKind, ProviderError};
use nodedns::decide::record::{Action, Change, Listing, RecordSet, RecordType, Target as Answer, Value};
use nodedns::decide::routing::Routing;
use nodedns::publish::Provider;
use nodedns::publish::memory::MemoryProvider;
use route53_sim::Options;
use route53_sim::model::{self, ChangeBatch};
use route53_sim::rules::{self, Context};
use route53_sim::zone::{Key, Zone};

use super::ZONE;
use crate::support::hostile::target;

/// What somebody asked the service to write, and what it said: for replaying elsewhere.
pub(super) type Logged = (Target, Vec<Change>, Result<(), ProviderError>);

/// A hosted zone.
#[derive(Clone)]
pub(super) struct Service {
    zone: Zone,
    health_checks: BTreeSet<String>,
    /// Of everything in the zone.
    pub(super) fingerprint: u64,
    /// What the zone held at first.
    pub(super) origin: Rc<Vec<(Target, RecordType, RecordSet)>>,
    pub(super) log: Vec<Rc<Logged>>,
}

/// Every record set of a zone, field for field as text.
pub(super) type Contents = BTreeMap<(String, String, Option<String>), Arc<model::RecordSet>>;

impl Service {
    pub(super) fn new() -> Self {
        Service {
            zone: Zone::new(ZONE, "example.com", false).expect("a zone"),
            health_checks: BTreeSet::new(),
            fingerprint: 0,
            origin: Rc::default(),
            log: Vec::new(),
        }
    }

    /// Puts a record set in place past the rules: what somebody else does.
    pub(super) fn put(&mut self, at: &Target, rtype: RecordType, set: RecordSet) {
        self.zone.put(to_sim(at, rtype, &set));
        Rc::make_mut(&mut self.origin).push((at.clone(), rtype, set));
        self.mark();
    }

    /// Takes a record set away past the rules.
    pub(super) fn remove(&mut self, at: &Target, rtype: RecordType, identifier: &str) {
        let set = crate::support::world::weighted(identifier, "192.0.2.1");
        self.zone.remove(&Key::of(&to_sim(at, rtype, &set)));
        self.mark();
    }

    pub(super) fn list(&self, at: &Target) -> Listing {
        let mut listing = Listing { zone_id: ZONE.into(), ..Listing::default() };
        for rtype in RecordType::ALL {
            for set in self.zone.pool(at.name.as_str(), rtype.as_str()) {
                let set = from_sim(set);
                listing.pools.entry(rtype).or_default().insert(set.set_identifier.clone(), set);
            }
        }
        listing
    }

    /// Applies a batch whole, or says why not.
    pub(super) fn write(&mut self, at: &Target, changes: &[Change]) -> Result<(), ProviderError> {
        static OPTIONS: LazyLock<Options> = LazyLock::new(Options::default);
        static OTHER_ZONES: BTreeMap<String, Zone> = BTreeMap::new();
        let sent = changes.iter().map(|change| model::Change {
            action: match change.action {
                Action::Create => model::Action::Create,
                Action::Upsert => model::Action::Upsert,
                Action::Delete => model::Action::Delete,
            },
            record_set: to_sim(at, change.rtype, &change.set),
        });
        let context = Context {
            options: &OPTIONS,
            health_check_exists: &|id| self.health_checks.contains(id),
            other_zones: &OTHER_ZONES,
        };
        let batch = ChangeBatch { comment: None, changes: sent.collect() };
        let result = rules::structure(&batch)
            .and_then(|changes| rules::apply(&mut self.zone, &changes, &context))
            .map_err(|error| refused(Some(error.code), error.message));
        self.log.push(Rc::new((at.clone(), changes.to_vec(), result.clone())));
        self.mark();
        result
    }

    /// Does to the memory provider what was done here, and compares every answer and the outcome:
    /// the two strict Route 53s agree. Not for a zone in which foreign hands have been at work.
    pub(super) fn replay(&self) {
        let memory = MemoryProvider::new();
        let mut names: BTreeSet<Target> = self.log.iter().map(|logged| logged.0.clone()).collect();
        for (at, rtype, set) in self.origin.iter() {
            memory.insert(ZONE, &at.name, *rtype, set.clone());
            names.insert(at.clone());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            for logged in &self.log {
                let (at, changes, said) = logged.as_ref();
                let answer = memory.apply(&at.zone, changes).await;
                assert_eq!(answer.map(|_| ()), *said, "the providers disagree on {changes:#?}");
            }
            for at in names {
                assert_eq!(memory.list(&at.zone, &at.name).await.expect("a listing"), self.list(&at));
            }
        });
    }

    pub(super) fn contents(&self) -> Contents {
        let key = |set: &model::RecordSet| (set.name.clone(), set.rtype.clone(), set.set_identifier.clone());
        self.zone.record_sets().map(|set| (key(set), Arc::clone(set))).collect()
    }

    fn mark(&mut self) {
        let mut hasher = DefaultHasher::new();
        for set in self.zone.record_sets() {
            (&set.name, &set.rtype, &set.set_identifier, &set.values).hash(&mut hasher);
        }
        self.fingerprint = hasher.finish();
    }
}

pub(super) fn refused(code: Option<String>, message: String) -> ProviderError {
    ProviderError { kind: ErrorKind::Refused, code, message }
}

pub(super) fn at(name: &str) -> Target {
    target(ZONE, name)
}

fn to_sim(at: &Target, rtype: RecordType, set: &RecordSet) -> model::RecordSet {
    let mut sim = model::RecordSet {
        name: at.name.as_str().to_owned(),
        rtype: rtype.as_str().to_owned(),
        set_identifier: set.set_identifier.as_ref().map(|identifier| identifier.0.clone()),
        health_check_id: set.health_check_id.clone(),
        ..model::RecordSet::default()
    };
    match &set.routing {
        Routing::Weighted(weight) => sim.weight = Some((*weight).into()),
        other => panic!("the model has no {other}"),
    }
    match &set.target {
        Answer::Values { ttl, values } => {
            sim.ttl = Some((*ttl).into());
            sim.values = values.iter().map(|value| value.as_str().to_owned()).collect();
        }
        Answer::TrafficPolicyInstance(id) => {
            sim.traffic_policy_instance_id = Some(id.clone());
            // The pool's, as one weighted pool has one.
            sim.ttl = Some(60);
        }
        other @ Answer::Alias { .. } => panic!("the model has no {other:?}"),
    }
    sim
}

fn from_sim(sim: &model::RecordSet) -> RecordSet {
    let target = match &sim.traffic_policy_instance_id {
        Some(id) => Answer::TrafficPolicyInstance(id.clone()),
        None => Answer::Values {
            ttl: sim.ttl.and_then(|ttl| ttl.try_into().ok()).expect("a TTL"),
            values: sim.values.iter().map(Value::new).collect(),
        },
    };
    RecordSet {
        set_identifier: sim.set_identifier.clone().map(SetIdentifier),
        routing: Routing::Weighted(sim.weight.and_then(|weight| weight.try_into().ok()).expect("a weight")),
        target,
        health_check_id: sim.health_check_id.clone(),
    }
}
