//! A simulator on a thread of its own, driven from a test.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::account::{Account, Now};
use crate::fault::{Count, Fault, Injection, Target};
use crate::health::HealthCheck;
use crate::log::Request;
use crate::model::RecordSet;
use crate::options::Options;
use crate::server::{self, Shared, State};
use crate::zone::Key;

/// What a simulator starts with.
#[derive(Debug, Default)]
pub struct Builder {
    zones: Vec<(String, String, bool)>,
    options: Options,
    listen: Option<SocketAddr>,
}

impl Builder {
    /// A public zone.
    #[must_use]
    pub fn zone(mut self, name: &str, id: &str) -> Self {
        self.zones.push((name.to_owned(), id.to_owned(), false));
        self
    }

    /// A private zone.
    #[must_use]
    pub fn private_zone(mut self, name: &str, id: &str) -> Self {
        self.zones.push((name.to_owned(), id.to_owned(), true));
        self
    }

    /// Other settings than the default ones.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Another address than a free port of 127.0.0.1.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = Some(address);
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// If it cannot listen, or a zone's name is none.
    #[must_use]
    pub fn start(self) -> Sim {
        self.try_start().unwrap_or_else(|problem| panic!("route53-sim cannot start: {problem}"))
    }

    /// Starts it.
    ///
    /// # Errors
    /// If it cannot listen, or a zone's name is none: what, and why.
    pub fn try_start(self) -> Result<Sim, String> {
        let mut account = Account::new(self.options);
        for (name, id, private) in &self.zones {
            account.add_zone(name, id, *private).map_err(|problem| format!("zone {name:?}: {problem}"))?;
        }
        let wanted = self.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = TcpListener::bind(wanted).map_err(|error| format!("listening on {wanted}: {error}"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        listener.set_nonblocking(true).map_err(|error| error.to_string())?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        let shared = Arc::new(Shared::new(account));
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("route53-sim".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        // Ends when the sender is dropped, too.
                        _ = stopped => {}
                        failed = server::serve(listener, served) => {
                            let Err(error) = failed;
                            panic!("route53-sim cannot serve: {error}");
                        }
                    }
                });
            })
            .map_err(|error| error.to_string())?;
        Ok(Sim { shared, address, stop: Some(stop), thread: Some(thread) })
    }
}

/// A running simulator. It stops when it is dropped.
#[derive(Debug)]
pub struct Sim {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Sim {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Sim {
    /// A simulator to be set up.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as clients want it: `http://127.0.0.1:34567`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }

    /// All record sets of a zone, in list order, the SOA and NS that every zone has among them.
    ///
    /// # Panics
    /// If there is no such zone.
    #[must_use]
    pub fn record_sets(&self, zone: &str) -> Vec<RecordSet> {
        let state = self.state();
        let found = state.account.zones().find(|z| z.id == zone);
        let Some(zone) = found else { panic!("route53-sim has no zone {zone}") };
        zone.record_sets().map(|set| set.as_ref().clone()).collect()
    }

    /// The record sets of one name and type.
    ///
    /// # Panics
    /// If there is no such zone.
    #[must_use]
    pub fn pool(&self, zone: &str, name: &str, rtype: &str) -> Vec<RecordSet> {
        let name = RecordSet::new(name, rtype).name;
        let mut sets = self.record_sets(zone);
        sets.retain(|set| set.name == name && set.rtype == rtype);
        sets
    }

    /// One record set.
    ///
    /// # Panics
    /// If there is no such zone.
    #[must_use]
    pub fn record_set(&self, zone: &str, name: &str, rtype: &str, set_identifier: Option<&str>) -> Option<RecordSet> {
        self.pool(zone, name, rtype).into_iter().find(|set| set.set_identifier.as_deref() == set_identifier)
    }

    /// Puts a record set into a zone, past the rules, in the place of the one with its key.
    ///
    /// # Panics
    /// If there is no such zone, or its name is none.
    pub fn put(&self, zone: &str, set: RecordSet) {
        let set = set.into_stored().unwrap_or_else(|problem| panic!("record set to put: {problem}"));
        let mut state = self.state();
        let Some(zone) = state.account.zone_mut(zone) else { panic!("route53-sim has no zone {zone}") };
        zone.put(set);
    }

    /// Takes a record set out of a zone, past the rules, and says whether it was there.
    ///
    /// # Panics
    /// If there is no such zone.
    pub fn remove(&self, zone: &str, name: &str, rtype: &str, set_identifier: Option<&str>) -> bool {
        let mut set = RecordSet::new(name, rtype);
        set.set_identifier = set_identifier.map(str::to_owned);
        let mut state = self.state();
        let Some(zone) = state.account.zone_mut(zone) else { panic!("route53-sim has no zone {zone}") };
        zone.remove(&Key::of(&set)).is_some()
    }

    /// Adds a zone, or empties the one of this id.
    ///
    /// # Panics
    /// If its name is none.
    pub fn add_zone(&self, name: &str, id: &str, private: bool) {
        if let Err(problem) = self.state().account.add_zone(name, id, private) {
            panic!("zone {name:?}: {problem}");
        }
    }

    /// Deletes a zone with everything in it, and says whether it was there.
    pub fn delete_zone(&self, id: &str) -> bool {
        self.state().account.remove_zone(id).is_some()
    }

    /// Whether there is a zone of this id.
    #[must_use]
    pub fn has_zone(&self, id: &str) -> bool {
        self.state().account.zones().any(|zone| zone.id == id)
    }

    /// The requests so far, in the order of their arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.state().log.requests().to_vec()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.state().log.clear();
    }

    /// Lets something go wrong with the next requests of an operation, or of a [`Target`].
    pub fn inject(&self, target: impl Into<Target>, fault: Fault, count: Count) {
        self.state().faults.add(Injection::new(target, fault, count));
    }

    /// Forgets the faults that have not struck yet.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// Changes settings.
    pub fn set_options(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.state().account.options);
    }

    /// The settings.
    #[must_use]
    pub fn options(&self) -> Options {
        self.state().account.options.clone()
    }

    /// Makes every change so far INSYNC.
    pub fn sync_all(&self) {
        self.state().account.sync_all(Now::present());
    }

    /// Has a zone refuse changes with PriorRequestNotComplete for a while.
    ///
    /// # Panics
    /// If there is no such zone.
    pub fn keep_busy(&self, zone: &str, duration: Duration) {
        let mut state = self.state();
        let Some(zone) = state.account.zone_mut(zone) else { panic!("route53-sim has no zone {zone}") };
        zone.busy_until = Now::present().instant.checked_add(duration);
    }

    /// All health checks, by id.
    #[must_use]
    pub fn health_checks(&self) -> Vec<HealthCheck> {
        self.state().account.health_checks.iter().cloned().collect()
    }

    /// The tags of a health check.
    #[must_use]
    pub fn health_check_tags(&self, id: &str) -> BTreeMap<String, String> {
        let state = self.state();
        state.account.tags.of("healthcheck", id).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    /// Says what the checkers of a health check report from now on, as in `Failure: Connection timed out`, and whether
    /// there is such a health check. Without a status they report success.
    pub fn report_health(&self, id: &str, status: Option<&str>) -> bool {
        self.state().account.health_checks.report(id, status.map(str::to_owned))
    }
}
