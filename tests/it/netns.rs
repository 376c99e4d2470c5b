//! The address watcher against the real kernel, in network namespaces.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use nodedns::decide::address::{HostAddress, Interface, Scope, Snapshot};
use nodedns::decide::observed::Observed;
use nodedns::decide::record::RecordType;
use nodedns::decide::select::{AddressClass, AddressRules, Refusal, assess, select};
use nodedns::watch::addresses::{AddressEvent, Counters, Options, watch};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout, timeout_at};

mod changes;
mod routers;
mod troubles;

/// Far longer than anything here takes, so that only what never happens fails.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing must come for there to be nothing more.
const QUIET: Duration = Duration::from_millis(150);

/// A running watcher, as the daemon uses it.
pub(crate) struct Watched {
    pub(crate) events: UnboundedReceiver<AddressEvent>,
    pub(crate) requests: UnboundedSender<()>,
    pub(crate) counters: Arc<Counters>,
}

impl Watched {
    fn start() -> Watched {
        Watched::start_with(Options::default())
    }

    pub(crate) fn start_with(options: Options) -> Watched {
        let (sender, events) = unbounded_channel();
        let (requests, receiver) = unbounded_channel();
        let counters = Arc::clone(&options.counters);
        tokio::spawn(watch(sender, receiver, options));
        Watched { events, requests, counters }
    }

    async fn event(&mut self) -> AddressEvent {
        timeout(PATIENCE, self.events.recv()).await.expect("an event comes").expect("the watcher lives")
    }

    /// Asks, and waits for the answer past whatever else comes.
    async fn ask(&mut self) -> Observed<Snapshot> {
        self.requests.send(()).expect("the watcher lives");
        loop {
            if let AddressEvent::Snapshot(observed) = self.event().await {
                return observed;
            }
        }
    }

    async fn read(&mut self) -> Snapshot {
        match self.ask().await {
            Observed::Known(snapshot) => snapshot,
            Observed::Unknown => panic!("the addresses are unknown"),
        }
    }

    /// Waits until nothing more comes. Returns how many changes were reported meanwhile.
    async fn settle(&mut self) -> usize {
        let mut changes = 0;
        while let Ok(event) = timeout(QUIET, self.events.recv()).await {
            assert_eq!(event, Some(AddressEvent::Changed));
            changes += 1;
        }
        changes
    }

    /// Follows the events until a reading is as described. Without an event nothing is read, so an
    /// event that fails to come fails the test.
    async fn until(&mut self, what: &str, described: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let deadline = Instant::now() + PATIENCE;
        let mut last = None;
        while let Ok(event) = timeout_at(deadline, self.events.recv()).await {
            assert_eq!(event, Some(AddressEvent::Changed), "while waiting for {what}");
            let snapshot = self.read().await;
            if described(&snapshot) {
                return snapshot;
            }
            last = Some(snapshot);
        }
        panic!("never saw {what}; last: {last:#?}")
    }

    /// Does something once all is quiet, and follows what comes of it.
    async fn after<T>(
        &mut self,
        action: impl FnOnce() -> T,
        what: &str,
        described: impl Fn(&Snapshot) -> bool,
    ) -> Snapshot {
        self.settle().await;
        let before = self.read().await;
        assert!(!described(&before), "{what} even before");
        self.settle().await;
        action();
        self.until(what, described).await
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// The entry of an address, if the snapshot has it.
fn find<'a>(snapshot: &'a Snapshot, address: &str) -> Option<&'a HostAddress> {
    let address = ip(address);
    snapshot.addresses.iter().find(|entry| entry.address == address)
}

fn link<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a Interface> {
    snapshot.interfaces.values().find(|link| link.name == name)
}

fn index(snapshot: &Snapshot, name: &str) -> Option<u32> {
    snapshot.interfaces.iter().find(|(_, link)| link.name == name).map(|(index, _)| *index)
}

/// Whether the one link that is wired has its link-local address, known to be the only one.
fn has_link_local(snapshot: &Snapshot) -> bool {
    snapshot.addresses.iter().any(|entry| entry.scope == Scope::Link && !entry.flags.tentative)
}

/// What a record of the class and type would publish under the default rules.
fn selected(snapshot: &Snapshot, rtype: RecordType) -> Vec<IpAddr> {
    select(snapshot, &AddressRules::default(), AddressClass::Global, rtype).addresses
}

fn publishes(snapshot: &Snapshot, address: &str) -> bool {
    let address = ip(address);
    selected(snapshot, RecordType::of(address)).contains(&address)
}

/// Why the address is not published.
fn refusal(snapshot: &Snapshot, address: &str) -> Option<Refusal> {
    let address = ip(address);
    let assessments = assess(snapshot, &AddressRules::default(), AddressClass::Global);
    assessments.into_iter().find(|one| one.address.address == address)?.verdict.err()
}

fn addresses(snapshot: &Snapshot) -> BTreeSet<IpAddr> {
    snapshot.addresses.iter().map(|entry| entry.address).collect()
}
