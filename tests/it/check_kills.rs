//! Managed health checks and the process that is killed between any two requests: engine and
//! provider against the simulator, with everything forgotten at each point in turn.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_route53::config::Credentials;
use nodedns::decide::engine::{Effect, Engine, Event};
use nodedns::decide::health_check::{
    CheckAnswer, CheckProbe, HealthCheck, HttpCheck, ManagedCheck, OWNER_TAG, RECORD_TAG, Reference,
};
use nodedns::decide::node::{NodeState, Readiness};
use nodedns::decide::observed::Observed;
use nodedns::decide::policy::{Policy, RecordPolicy, Signal};
use nodedns::decide::record::RecordType;
use nodedns::decide::time::Moment;
use nodedns::publish::Provider;
use nodedns::publish::route53::{Route53, Settings};
use route53_sim::{Count, Fault, RecordSet, Sim, Target};

use crate::support::world::{self, OWN, SIBLING, V4, V4_OTHER};

const ZONE: &str = "Z0123456789ABC";
const EDGE: &str = "edge.example.com";

/// Longer than every backoff and grace, in virtual time.
const STEP: Duration = Duration::from_secs(1800);

/// What the world is like, step by step: the host's address, and how the node is.
fn steps() -> [(&'static str, NodeState); 4] {
    let cordoned = world::node(Readiness::Ready, true);
    [(V4, world::ready()), (V4_OTHER, world::ready()), (V4_OTHER, cordoned), (V4, world::ready())]
}

fn policy() -> Policy {
    let http = HttpCheck { path: "/healthz".into(), host: Some(EDGE.into()), search: Some("<ok> & well".into()) };
    let check = ManagedCheck { probe: CheckProbe::Https(http), port: 8443, interval: 10, failure_threshold: 2 };
    world::policy(vec![RecordPolicy {
        types: BTreeSet::from([RecordType::A]),
        health_check: Some(HealthCheck::Managed(check)),
        signals: Signal::ALL.map(|signal| (signal, signal.default_policy())).into(),
        ..world::record(EDGE, ZONE)
    }])
}

/// What a point in the exchange is like: what becomes of the request, and whether the process
/// outlives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blow {
    /// Killed before the request has arrived.
    KilledBefore,
    /// Killed after it was carried out, before the answer has arrived.
    KilledAfter,
    /// The request is lost; the process goes on.
    RequestLost,
    /// The answer is lost; the process goes on.
    AnswerLost,
}

impl Blow {
    const ALL: [Blow; 4] = [Blow::KilledBefore, Blow::KilledAfter, Blow::RequestLost, Blow::AnswerLost];

    fn fault(self) -> Fault {
        match self {
            Blow::KilledBefore | Blow::RequestLost => Fault::Reset,
            Blow::KilledAfter | Blow::AnswerLost => Fault::DropAfterCommit,
        }
    }

    fn kills(self) -> bool {
        matches!(self, Blow::KilledBefore | Blow::KilledAfter)
    }
}

struct Host {
    sim: Sim,
    provider: Route53,
    now: Moment,
    kills: u32,
    /// No two processes draw the same numbers.
    lives: u64,
    /// What is done to it, for whoever reads that it failed.
    what: String,
}

impl Host {
    fn new() -> Self {
        let sim = Sim::builder().zone("example.com", ZONE).start();
        let provider = connect(&sim);
        Host { sim, provider, now: Moment::new(Duration::from_secs(1000)), kills: 0, lives: 0, what: String::new() }
    }

    /// Everything as at first, and these faults to come.
    async fn renew(&mut self, what: String, faults: impl IntoIterator<Item = (Fault, u32)>) {
        self.sim.clear_faults();
        self.provider = connect(&self.sim);
        self.sim.add_zone("example.com", ZONE, false);
        self.sim.put(ZONE, RecordSet::new(EDGE, "A").set_identifier(SIBLING).weight(10).ttl(60).value("185.12.64.9"));
        for check in self.sim.health_checks() {
            self.provider.delete_health_check(&check.id).await.expect("no faults now");
        }
        self.sim.clear_requests();
        for (fault, number) in faults {
            self.sim.inject(Target::any(), fault, Count::Nth(number));
        }
        self.kills = 0;
        self.what = what;
    }

    /// A process that knows nothing but what it is told of the world.
    fn start(&mut self, node: &NodeState) -> Engine {
        self.lives += 1;
        let mut engine = Engine::new(policy(), self.lives, self.now);
        engine.handle(Event::Node(Observed::Known(node.clone())), self.now);
        engine
    }

    /// All steps, each until everything has come to rest; a request that goes wrong kills the
    /// process, if it is `lethal`, and another one starts. Ends with the step after the one in which
    /// the `last` request went wrong.
    async fn live(&mut self, lethal: bool, last: usize) {
        let mut engine = self.start(&steps()[0].1);
        let mut over = false;
        for (address, node) in steps() {
            engine.handle(Event::AddressesChanged, self.now);
            engine.handle(Event::Node(Observed::Known(node.clone())), self.now);
            let end = self.now + STEP;
            loop {
                while let Some(effect) = engine.poll(self.now) {
                    let (event, survived) = self.carry_out(effect, address).await;
                    self.watch();
                    self.now = self.now + Duration::from_millis(40);
                    if survived || !lethal {
                        engine.handle(event, self.now);
                    } else {
                        self.kills += 1;
                        self.provider = connect(&self.sim);
                        engine = self.start(&node);
                    }
                }
                match engine.deadline().filter(|deadline| *deadline <= end) {
                    Some(deadline) => self.now = deadline,
                    None => break,
                }
            }
            self.now = end;
            self.assert_right(address, node == world::ready());
            if over {
                break;
            }
            over = self.sim.requests().len() >= last;
        }
    }

    async fn carry_out(&self, effect: Effect, address: &str) -> (Event, bool) {
        match effect {
            Effect::ReadCluster | Effect::Remove(..) => panic!("no policy of this world asks for survivors"),
            Effect::ReadAddresses => (Event::Addresses(Observed::Known(world::snapshot(&[address]))), true),
            Effect::List(target) => {
                let result = self.provider.list(&target.zone, &target.name).await;
                let survived = result.is_ok();
                (Event::Listed(target, result), survived)
            }
            Effect::Apply(target, changes) => {
                let result = self.provider.apply(&target.zone, &changes).await;
                let survived = result.is_ok();
                (Event::Applied(target, result), survived)
            }
            Effect::ChangeStatus(id) => {
                self.sim.sync_all();
                let result = self.provider.change_status(&id).await;
                let survived = result.is_ok();
                (Event::ChangeStatus(id, result), survived)
            }
            Effect::HealthCheck(request) => {
                let answer = self.provider.carry_out(request).await;
                let survived = match &answer {
                    CheckAnswer::Listed(result) => result.is_ok(),
                    CheckAnswer::Created(_, result) => result.is_ok(),
                    CheckAnswer::Deleted(_, result) => result.is_ok(),
                };
                (Event::HealthCheck(answer), survived)
            }
        }
    }

    /// At every moment: a record set refers to nothing that is not there, or that asks another address.
    fn watch(&self) {
        let Some(set) = self.sim.record_set(ZONE, EDGE, "A", Some(OWN)) else { return };
        let Some(id) = &set.health_check_id else { return };
        let check = self.sim.health_checks().into_iter().find(|check| check.id == *id);
        let asks = check.and_then(|check| check.config.ip_address);
        assert_eq!(asks.as_deref(), Some(set.values[0].as_str()), "{}: {set:?}", self.what);
    }

    fn assert_right(&self, address: &str, published: bool) {
        let what = &self.what;
        let set = self.sim.record_set(ZONE, EDGE, "A", Some(OWN));
        let checks = self.sim.health_checks();
        assert!(self.sim.record_set(ZONE, EDGE, "A", Some(SIBLING)).is_some(), "{what}");
        if !published {
            assert_eq!((set, checks), (None, Vec::new()), "{what}: withdrawn, and nothing left that costs money");
            return;
        }
        let set = set.unwrap_or_else(|| panic!("{what}: not published"));
        assert_eq!(set.values, [address], "{what}");
        let [check] = checks.as_slice() else { panic!("{what}: not one health check but {checks:#?}") };
        assert_eq!(set.health_check_id.as_ref(), Some(&check.id), "{what}");
        assert_eq!(check.config.ip_address.as_deref(), Some(address), "{what}");
        assert_eq!((check.config.kind.as_str(), check.config.port), ("HTTPS_STR_MATCH", Some(8443)));
        assert_eq!(check.config.search_string.as_deref(), Some("<ok> & well"));
        assert!(Reference::parse(&check.caller_reference).is_some());
        let tags = self.sim.health_check_tags(&check.id);
        assert_eq!(tags.get(OWNER_TAG).map(String::as_str), Some(OWN), "{what}");
        assert_eq!(tags.get(RECORD_TAG).map(String::as_str), Some(EDGE), "{what}");
    }
}

fn connect(sim: &Sim) -> Route53 {
    let settings =
        Settings { endpoint_url: Some(sim.endpoint()), requests_per_second: f64::INFINITY, ..Settings::default() };
    Route53::with_credentials(settings, Credentials::new("AKIATEST", "secret", None, None, "test"))
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

#[test]
fn killed_between_any_two_requests_it_leaves_exactly_the_right_health_checks() {
    let mut host = Host::new();
    run(async {
        host.renew("undisturbed".to_owned(), []).await;
        host.live(true, usize::MAX).await;
        assert_eq!(host.kills, 0);
        let seen = host.sim.requests();
        let operations: BTreeSet<String> = seen.iter().map(|request| request.operation.to_string()).collect();
        for operation in ["CreateHealthCheck", "ChangeTagsForResource", "DeleteHealthCheck", "ListHealthChecks"] {
            assert!(operations.contains(operation), "{operation} is among {operations:?}");
        }
        for blow in Blow::ALL {
            for (index, request) in seen.iter().enumerate() {
                let number = u32::try_from(index + 1).expect("few");
                host.renew(format!("{blow:?}, request {number}, {}", request.operation), [(blow.fault(), number)])
                    .await;
                host.live(blow.kills(), index + 1).await;
                assert_eq!(host.kills, u32::from(blow.kills()), "{}", host.what);
            }
        }
    });
}

/// Killed again and again, at other points each time.
#[test]
fn killed_many_times_over_it_gets_there() {
    let mut host = Host::new();
    run(async {
        for stride in [3, 4, 5, 7] {
            let fault = |number| if number % 2 == 0 { Fault::DropAfterCommit } else { Fault::Reset };
            let faults = (1..20).map(|number| (fault(number), number * stride));
            host.renew(format!("every {stride}th request"), faults).await;
            host.live(true, usize::MAX).await;
            assert!(host.kills >= 3, "{} kills with stride {stride}", host.kills);
        }
    });
}
