//! Netlink in namespaces: the real watcher of the addresses, and the engine behind it in real time.

use std::time::{Duration, Instant};

use nodedns::decide::engine::{Effect, Engine, Event, Target};
use nodedns::decide::owner::SetIdentifier;
use nodedns::decide::policy::{Policy, Timing};
use nodedns::decide::record::{Listing, RecordType};
use nodedns::publish::Provider as _;
use nodedns::publish::memory::MemoryProvider;
use nodedns::watch::addresses::{AddressEvent, Options};
use nodedns::watch::clock::{self, Alarm};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::netns::Watched;
use crate::support::hostile::target;
use crate::support::netns::{Lab, in_lab};
use crate::support::skip;
use crate::support::world::{self, OWN, SIBLING};

const ZONE: &str = "Z1";
const EDGE: &str = "edge.example.com";
const ONE: &str = "185.12.64.1";
const SIBLINGS: [(RecordType, &str); 2] = [(RecordType::A, "185.12.64.9"), (RecordType::Aaaa, "2a01:4ff:f0::9")];
const OTHER: &str = "185.12.64.2";
/// How long anything may take; it only ends what would wait for ever.
const PATIENCE: Duration = Duration::from_secs(40);
/// The quiet time after which nothing more comes: several settle times.
const QUIET: Duration = Duration::from_millis(300);

/// The daemon in small: the watcher, the engine, and a Route 53 in memory. No Kubernetes.
struct Rig {
    lab: Lab,
    watched: Watched,
    engine: Engine,
    provider: MemoryProvider,
    target: Target,
    alarm: Alarm,
    batches: usize,
}

impl Rig {
    fn new(lab: Lab, options: Options, adapt: impl FnOnce(&mut Policy)) -> Rig {
        lab.wire("eth0");
        lab.ip(&format!("address add {ONE}/24 dev eth0"));
        let timing = Timing { settle: Duration::from_millis(50), ..world::policy(Vec::new()).timing };
        let mut policy = Policy { kubernetes: false, timing, ..world::policy(vec![world::record(EDGE, ZONE)]) };
        adapt(&mut policy);
        let provider = MemoryProvider::new();
        for (rtype, address) in SIBLINGS {
            provider.insert(ZONE, &world::name(EDGE), rtype, world::weighted(SIBLING, address));
        }
        Rig {
            lab,
            watched: Watched::start_with(options),
            engine: Engine::new(policy, 1, clock::now()),
            provider,
            target: target(ZONE, EDGE),
            alarm: Alarm::new().expect("a timer"),
            batches: 0,
        }
    }

    async fn carry_out(&mut self, effect: Effect) {
        let event = match effect {
            Effect::ReadAddresses => return self.watched.requests.send(()).expect("the watcher lives"),
            Effect::List(target) => {
                let result = self.provider.list(&target.zone, &target.name).await;
                Event::Listed(target, result)
            }
            Effect::Apply(target, changes) => {
                assert!(self.engine.addresses().is_known(), "S2: a change while the addresses are unknown");
                self.batches += 1;
                let result = self.provider.apply(&target.zone, &changes).await;
                Event::Applied(target, result)
            }
            other @ (Effect::HealthCheck(_) | Effect::ReadCluster | Effect::Remove(..)) => {
                panic!("nothing asks for {other:?}")
            }
            Effect::ChangeStatus(id) => {
                let result = self.provider.change_status(&id).await;
                Event::ChangeStatus(id, result)
            }
        };
        self.engine.handle(event, clock::now());
    }

    /// Goes on until nothing has happened for a while.
    async fn rest(&mut self) {
        let ends = Instant::now() + PATIENCE;
        loop {
            while let Some(effect) = self.engine.poll(clock::now()) {
                self.carry_out(effect).await;
            }
            assert!(Instant::now() < ends, "it never comes to rest");
            // The questions after a change come much later.
            tokio::select! {
                event = self.watched.events.recv() => {
                    let event = match event.expect("the watcher lives") {
                        AddressEvent::Changed => Event::AddressesChanged,
                        AddressEvent::Snapshot(snapshot) => Event::Addresses(snapshot),
                    };
                    self.engine.handle(event, clock::now());
                }
                result = self.alarm.until(self.engine.deadline()) => result.expect("a timer"),
                () = tokio::time::sleep(QUIET) => return,
            }
        }
    }

    /// Goes on until this is what we have in the pool. How long it took.
    async fn comes_to(&mut self, what: &str, wanted: Option<&str>) -> Duration {
        let started = Instant::now();
        loop {
            self.rest().await;
            if self.own().await.as_deref() == wanted {
                let took = started.elapsed().saturating_sub(QUIET);
                self.rest().await;
                assert_eq!(self.own().await.as_deref(), wanted, "{what}: it did not stay so");
                return took;
            }
            assert!(started.elapsed() < PATIENCE, "{what}: {:?}", self.engine.report());
        }
    }

    async fn listing(&self) -> Listing {
        self.provider.list(&self.target.zone, &self.target.name).await.expect("memory answers")
    }

    /// What we publish; whatever others do is as it was.
    async fn own(&self) -> Option<String> {
        let listing = self.listing().await;
        let own = SetIdentifier(OWN.into());
        let sibling = SetIdentifier(SIBLING.into());
        for (rtype, address) in SIBLINGS {
            assert_eq!(listing.get(rtype, &sibling), Some(&world::weighted(SIBLING, address)), "S1");
        }
        let set = listing.get(RecordType::A, &own)?;
        Some(set.addresses().first().expect("an address").to_string())
    }
}

fn replace(from: &str, to: &str) -> [String; 2] {
    [format!("address add {to}/32 dev eth0"), format!("address del {from}/32 dev eth0")]
}

fn noise(verb: &str) -> impl Iterator<Item = String> {
    (0..300).map(move |n| format!("address {verb} 10.9.{}.{}/32 dev eth0", n / 250, n % 250 + 1))
}

/// What is shown of rounds that all ended well: how often each was struck, and when all was right again.
fn show(fault: &str, rounds: &[(u64, Duration)]) {
    let strikes: u64 = rounds.iter().map(|(strikes, _)| strikes).sum();
    let slowest = rounds.iter().map(|(_, took)| *took).max().unwrap_or_default();
    let (rounds, slowest) = (rounds.len(), slowest.as_secs_f64());
    println!("netlink: {fault}: {strikes} in {rounds} rounds, right within {slowest:.1} s, nothing lost");
}

#[test]
fn an_overrun_loses_nothing() {
    in_lab(|lab| async move {
        let options = Options { receive_buffer_bytes: 4096, ..Options::default() };
        let mut rig = Rig::new(lab, options, |_| {});
        rig.lab.batch([format!("address del {ONE}/24 dev eth0"), format!("address add {ONE}/32 dev eth0")]);
        rig.comes_to("the beginning", Some(ONE)).await;
        let mut rounds = Vec::new();
        for round in 0..5 {
            let (from, to) = if round % 2 == 0 { (ONE, OTHER) } else { (OTHER, ONE) };
            let (overruns, batches) = (rig.watched.counters.overruns(), rig.batches);
            // The watcher cannot run while this thread waits for 'ip', so its buffer is full before
            // it hears of the address.
            rig.lab.batch(noise("add").chain(replace(from, to)).chain(noise("del")));
            let took = rig.comes_to("after an overrun", Some(to)).await;
            let overruns = rig.watched.counters.overruns() - overruns;
            assert!(overruns >= 1, "round {round} lost no notification");
            assert_eq!(rig.batches - batches, 1, "round {round}");
            rounds.push((overruns, took));
        }
        show("receive buffer overrun", &rounds);
    });
}

#[test]
fn a_lost_connection_loses_nothing() {
    // The limit on file descriptors is the whole process's.
    if !crate::support::alone() {
        return;
    }
    in_lab(|lab| async move {
        let mut rig = Rig::new(lab, Options::default(), |_| {});
        rig.lab.batch([format!("address del {ONE}/24 dev eth0"), format!("address add {ONE}/32 dev eth0")]);
        rig.comes_to("the beginning", Some(ONE)).await;
        let mut rounds = Vec::new();
        for round in 0..3_u64 {
            let (from, to) = if round % 2 == 0 { (ONE, OTHER) } else { (OTHER, ONE) };
            let batches = rig.batches;
            let limit = getrlimit(Resource::Nofile);
            setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..limit }).expect("a limit");
            rig.engine.handle(Event::Recheck, clock::now());
            let started = Instant::now();
            while rig.engine.addresses().is_known() {
                assert!(started.elapsed() < PATIENCE, "no reading fails");
                rig.rest().await;
            }
            // Nobody is subscribed at this moment, so no notification will tell of it.
            setrlimit(Resource::Nofile, limit).expect("the limit as it was");
            rig.lab.batch(replace(from, to));
            let reconnects = rig.watched.counters.reconnects();
            let took = rig.comes_to("after a reconnection", Some(to)).await;
            assert_eq!(rig.batches - batches, 1, "round {round}");
            rounds.push((1, took));
            assert!(reconnects > round, "round {round}: no reconnection");
        }
        show("connection lost, nothing readable", &rounds);
    });
}

/// Renames an interface that is up, which kernels do since 6.2.
fn while_up(from: &str, to: &str) -> bool {
    let renamed = std::process::Command::new("ip").args(["link", "set", from, "name", to]).output();
    renamed.expect("iproute2 is installed").status.success()
}

#[test]
fn a_renamed_interface_deletes_nothing() {
    in_lab(|lab| async move {
        let only_eth = |policy: &mut Policy| policy.addresses.include_interfaces = vec!["eth*".into()];
        let mut rig = Rig::new(lab, Options::default(), only_eth);
        rig.comes_to("the beginning", Some(ONE)).await;
        // A link that is taken down for it is unfit for another reason.
        if !while_up("eth0", "eth1") {
            return skip("the kernel renames no interface that is up");
        }
        assert!(while_up("eth1", "eth0"));
        rig.rest().await;
        let mut rounds = Vec::new();
        for round in 0..3 {
            let batches = rig.batches;
            // One that no filter minds, one that the filter leaves out: then the address is one that
            // the filter left out, which is no reason to leave.
            for (from, to) in [("eth0", "eth7"), ("eth7", "lan0"), ("lan0", "eth0")] {
                assert!(while_up(from, to));
                rig.rest().await;
                assert_eq!(rig.own().await.as_deref(), Some(ONE), "round {round}: as {to}");
            }
            let took = rig.comes_to("after the renaming", Some(ONE)).await;
            assert_eq!(rig.batches, batches, "round {round}: a renaming changed DNS");
            rounds.push((3, took));
        }
        show("interface renamed", &rounds);
    });
}

#[test]
fn a_thousand_flaps_cost_a_bounded_number_of_calls() {
    in_lab(|lab| async move {
        let mut rig = Rig::new(lab, Options::default(), |_| {});
        rig.comes_to("the beginning", Some(ONE)).await;
        let batches = rig.batches;
        for _ in 0..5 {
            // The published address itself, at last gone and come again.
            let flap = ["del", "add"].map(|verb| format!("address {verb} {ONE}/24 dev eth0"));
            rig.lab.batch(std::iter::repeat_n(flap, 200).flatten());
            rig.rest().await;
        }
        let took = rig.comes_to("after a thousand flaps", Some(ONE)).await;
        // At the very most a withdrawal and a return for each of the five times that it was quiet.
        let batches = rig.batches - batches;
        assert!(batches <= 2 * 6, "{batches} batches");
        show("the published address gone and come back", &[(1000, took)]);
    });
}
