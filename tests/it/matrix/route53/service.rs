//! The real provider against the simulator, as a world's Route 53: requests are made for real, the
//! time they take is the world's.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use nodedns::decide::engine::Target;
use nodedns::decide::provider::{ChangeId, ChangeStatus, ProviderError};
use nodedns::decide::record::{Action, Change, Listing};
use nodedns::decide::time::Moment;
use nodedns::publish::Provider;
use nodedns::publish::route53::{Route53, Settings};
use route53_sim::{Count, Fault, Operation, RecordSet, Sim};
use tokio::runtime::Runtime;

use super::{Kind, SECRET, SUCCESSOR, TOKEN, ZONE};
use crate::support::hostile::{HANG, LATENCY, Service};
use crate::support::referee::is_own;
use crate::support::world::DEAD;

/// How long a provider really waits that meets a request which is never answered. The world counts
/// [`HANG`] for it.
const SHORT: Duration = Duration::from_millis(100);

/// The credentials, which somebody renews.
#[derive(Debug, Clone, Default)]
struct Vault(Arc<Mutex<u32>>);

impl Vault {
    fn key(&self) -> String {
        format!("AKIDTEST{:012}", *self.0.lock().expect("no test panics while it holds the lock"))
    }

    fn renew(&self) {
        *self.0.lock().expect("no test panics while it holds the lock") += 1;
    }
}

impl ProvideCredentials for Vault {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let credentials = Credentials::new(self.key(), SECRET, Some(TOKEN.to_owned()), None, "vault");
        future::ProvideCredentials::ready(provider::Result::Ok(credentials))
    }
}

/// What goes wrong with which requests, and what has come of it.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    fault: Option<(Kind, Operation)>,
    /// Of the batches it meets only those that remove the dead.
    spares_own: bool,
    /// How many more requests it meets.
    left: u32,
    pub(super) strikes: u32,
    /// When it was over, by the world's clock.
    pub(super) over_at: Option<Moment>,
    /// When what is at stake last became other than it was.
    pub(super) changed_at: Option<Moment>,
}

/// A zone in a simulator, the provider that works on it, and the trouble between them.
#[derive(Clone)]
pub(super) struct Faulty {
    runtime: Rc<Runtime>,
    sim: Rc<Sim>,
    patient: Route53,
    impatient: Route53,
    vault: Vault,
    others: Rc<RefCell<Vec<RecordSet>>>,
    pub(super) trouble: Rc<RefCell<Trouble>>,
}

impl Faulty {
    /// An account with the zone and what others have in it.
    pub(super) fn new(runtime: &Rc<Runtime>, sim: &Rc<Sim>, others: Vec<RecordSet>) -> Self {
        let vault = Vault::default();
        let provider = |attempt_timeout| {
            let endpoint_url = Some(sim.endpoint());
            let requests_per_second = f64::INFINITY;
            let settings = Settings { endpoint_url, requests_per_second, attempt_timeout, ..Settings::default() };
            Route53::with_credentials(settings, vault.clone())
        };
        let (patient, impatient) = (provider(Duration::from_secs(60)), provider(SHORT));
        let others = Rc::new(RefCell::new(others));
        let (runtime, sim) = (Rc::clone(runtime), Rc::clone(sim));
        let faulty = Faulty { runtime, sim, patient, impatient, vault, others, trouble: Rc::default() };
        faulty.sim.clear_faults();
        faulty.sim.clear_requests();
        faulty.sim.delete_zone(SUCCESSOR);
        faulty.make_zone(ZONE);
        faulty
    }

    fn make_zone(&self, id: &str) {
        self.sim.add_zone("example.com", id, false);
        self.others.borrow().iter().for_each(|set| self.sim.put(id, set.clone()));
    }

    /// Nobody else has anything in the zone, nor will have.
    pub(super) fn others_are_gone(&self) {
        self.others.borrow_mut().clear();
    }

    /// The next `left` requests of the operation meet the fault.
    pub(super) fn begin(&self, kind: Kind, operation: Operation, left: u32) {
        *self.trouble.borrow_mut() = Trouble { fault: Some((kind, operation)), left, ..Trouble::default() };
    }

    /// What is written of our own meets no fault. A key that has expired has done so for everything.
    pub(super) fn spare_own(&self) {
        let mut trouble = self.trouble.borrow_mut();
        trouble.spares_own = trouble.fault.is_some_and(|(kind, _)| kind != Kind::Expired);
    }

    /// The fault is over: whoever can mend it has.
    pub(super) fn lift(&self, now: Moment) {
        let mut trouble = self.trouble.borrow_mut();
        if trouble.over_at.is_none() {
            trouble.over_at = Some(now);
            trouble.left = 0;
            drop(trouble);
            self.mend();
        }
    }

    fn mend(&self) {
        match self.trouble.borrow().fault {
            // What has expired stays so; there is a new key.
            Some((Kind::Expired, _)) => self.vault.renew(),
            // A zone that is made again has another id.
            Some((Kind::ZoneGone, _)) if self.zone().is_none() => self.make_zone(SUCCESSOR),
            _ => {}
        }
    }

    /// The zone's id, while there is one.
    pub(super) fn zone(&self) -> Option<&'static str> {
        [ZONE, SUCCESSOR].into_iter().find(|id| self.sim.has_zone(id))
    }

    /// Everything in the zone.
    pub(super) fn record_sets(&self) -> Vec<RecordSet> {
        self.zone().map(|id| self.sim.record_sets(id)).unwrap_or_default()
    }

    /// Our own record sets, as type and values.
    pub(super) fn own(&self) -> Vec<(String, Vec<String>)> {
        self.record_sets().into_iter().filter(is_own).map(|set| (set.rtype, set.values)).collect()
    }

    /// The record sets of the dead.
    pub(super) fn dead(&self) -> Vec<RecordSet> {
        self.record_sets().into_iter().filter(is_dead).collect()
    }

    /// What the fault keeps from what it should be: the record sets of the dead where there are such,
    /// else our own.
    fn at_stake(&self) -> Vec<RecordSet> {
        let any_dead = self.others.borrow().iter().any(is_dead);
        let counts = |set: &RecordSet| if any_dead { is_dead(set) } else { is_own(set) };
        self.record_sets().into_iter().filter(counts).collect()
    }

    /// Puts the fault in the way of a request. Whether the request will hang.
    fn strike(&self, operation: Operation) -> Option<Kind> {
        let mut trouble = self.trouble.borrow_mut();
        let (kind, _) = trouble.fault.filter(|(_, met)| *met == operation && trouble.left > 0)?;
        let forever = trouble.left == u32::MAX;
        trouble.left -= u32::from(!forever);
        trouble.strikes += 1;
        let once = |fault| self.sim.inject(operation, fault, Count::Next(1));
        match kind {
            Kind::Throttled => once(Fault::Throttling),
            Kind::ServerError => once(Fault::Status([500, 503, 504][trouble.strikes as usize % 3])),
            Kind::Hang => once(Fault::Hang),
            Kind::Reset => once(Fault::Reset),
            Kind::DropAfterCommit => once(Fault::DropAfterCommit),
            Kind::HangAfterCommit => once(Fault::HangAfterCommit),
            Kind::CutShort => once(Fault::Truncate),
            Kind::SecondPage => {
                self.sim.set_options(|options| options.page_size = 1);
                self.sim.inject(operation, Fault::Reset, Count::Nth(2));
            }
            Kind::Busy => once(Fault::PriorRequestNotComplete),
            Kind::Denied => once(Fault::AccessDenied),
            Kind::ZoneGone if forever => drop(self.sim.delete_zone(ZONE)),
            Kind::ZoneGone => once(Fault::Error {
                status: 404,
                code: "NoSuchHostedZone".into(),
                message: format!("No hosted zone found with ID: {ZONE}"),
            }),
            Kind::Expired => {
                let target = route53_sim::Target::from(operation).signed_by(&self.vault.key());
                self.sim.inject(target, Fault::ExpiredToken, Count::Always);
            }
        }
        Some(kind)
    }

    /// On a busy machine a request may be given up before the service has read it. It then must not
    /// meet what is prepared for the next one.
    fn wait_for_arrival(&self, before: usize) {
        for _ in 0..2000 {
            if self.sim.requests().len() > before {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(5));
    }

    fn exchange<T, F>(
        &self,
        operation: Operation,
        spared: bool,
        now: Moment,
        call: impl FnOnce(Route53) -> F,
    ) -> (Duration, Result<T, ProviderError>)
    where
        F: Future<Output = Result<T, ProviderError>>,
    {
        let kind = if spared { None } else { self.strike(operation) };
        let hangs = kind.is_some_and(Kind::hangs);
        let provider = if hangs { self.impatient.clone() } else { self.patient.clone() };
        let arrived = self.sim.requests().len();
        let result = self.runtime.block_on(call(provider));
        if hangs {
            self.wait_for_arrival(arrived);
        }
        let delay = if hangs { HANG } else { LATENCY };
        if let Some(kind) = kind {
            // S4 for a listing: whatever it is that was cut off, it is an error.
            assert!(result.is_err(), "{operation} succeeded in spite of {kind:?}");
            if kind != Kind::Expired {
                self.sim.clear_faults();
            }
            self.sim.set_options(|options| options.page_size = 300);
            if self.trouble.borrow().left == 0 {
                self.trouble.borrow_mut().over_at = Some(now + delay);
                self.mend();
            }
        }
        (delay, result)
    }
}

impl Service for Faulty {
    fn list(&mut self, target: &Target, now: Moment) -> (Duration, Result<Listing, ProviderError>) {
        self.exchange(Operation::ListResourceRecordSets, false, now, async |provider| {
            provider.list(&target.zone, &target.name).await
        })
    }

    fn apply(
        &mut self,
        target: &Target,
        changes: &[Change],
        now: Moment,
    ) -> (Duration, Result<ChangeId, ProviderError>) {
        let before = self.at_stake();
        let spared = self.trouble.borrow().spares_own && !removes_the_dead(changes);
        let outcome = self.exchange(Operation::ChangeResourceRecordSets, spared, now, async |provider| {
            provider.apply(&target.zone, changes).await
        });
        if self.at_stake() != before {
            self.trouble.borrow_mut().changed_at = Some(now);
        }
        outcome
    }

    fn change_status(&mut self, id: &ChangeId, now: Moment) -> (Duration, Result<ChangeStatus, ProviderError>) {
        self.exchange(Operation::GetChange, false, now, async |provider| provider.change_status(id).await)
    }
}

fn is_dead(set: &RecordSet) -> bool {
    set.set_identifier.as_deref() == Some(DEAD)
}

fn removes_the_dead(changes: &[Change]) -> bool {
    let dead = |change: &&Change| change.set.set_identifier.as_ref().is_some_and(|identifier| identifier.0 == DEAD);
    changes.iter().filter(dead).any(|change| change.action == Action::Delete)
}
