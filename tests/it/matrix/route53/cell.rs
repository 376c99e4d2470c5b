//! One cell: a fault, in the way of one kind of request, in the middle of something, for some time.

use std::rc::Rc;
use std::time::Duration;

use nodedns::decide::engine::{Event, Notice};
use nodedns::decide::node::{Cluster, Readiness};
use nodedns::decide::observed::Observed;
use nodedns::decide::policy::{LEAST_GRACE, Policy, RecordPolicy, SurvivorsPolicy};
use nodedns::decide::provider::ChangeStatus;
use nodedns::decide::reason::Reason;
use nodedns::decide::record::ZoneRef;
use nodedns::decide::survivors::Outlook;
use route53_sim::{Operation, RecordSet, Sim};
use tokio::runtime::Runtime;

use super::service::Faulty;
use super::{Kind, SECRET, TOKEN, ZONE};
use crate::support::hostile::{HANG, Happening, World};
use crate::support::referee::Referee;
use crate::support::world::{self, DEAD, FOREIGN, SIBLING, V4, V4_OTHER, V6};

const EDGE: &str = "edge.example.com";
const V6_OTHER: &str = "2a01:4ff:f0::2";

/// What is going on when the fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// A node that is not in the pool yet becomes Ready.
    Publish,
    /// Both addresses of the host are replaced.
    Update,
    /// The same, while the API server cannot be reached.
    UpdateUnknown,
    /// The node is cordoned.
    Withdraw,
    /// The node is cordoned, and at the same moment everybody else leaves the pool.
    LastOut,
    /// A sibling has been dead for the grace and is removed; meanwhile both addresses of the host are
    /// replaced.
    Prune,
}

impl Act {
    pub(super) const ALL: [Act; 6] =
        [Act::Publish, Act::Update, Act::UpdateUnknown, Act::Withdraw, Act::LastOut, Act::Prune];
}

/// How long the fault lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasting {
    /// For one request.
    Once,
    /// For four requests.
    Several,
    /// For every request until somebody mends it.
    UntilLifted,
}

impl Lasting {
    pub(super) const ALL: [Lasting; 3] = [Lasting::Once, Lasting::Several, Lasting::UntilLifted];

    fn requests(self) -> u32 {
        match self {
            Lasting::Once => 1,
            Lasting::Several => 4,
            Lasting::UntilLifted => u32::MAX,
        }
    }
}

/// When the fault is mended at the latest: well into the longest waits.
const LIFTED_AFTER: Duration = Duration::from_secs(100);
/// L3: one backoff step.
const BACKOFF_CAP: Duration = Duration::from_secs(30);
/// What the requests themselves take after that.
const REQUESTS: Duration = Duration::from_secs(1);
/// How long after a change it is first asked after.
const ASKED_AFTER: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    pub(super) kind: Kind,
    pub(super) operation: Operation,
    pub(super) column: &'static str,
    pub(super) act: Act,
    pub(super) lasting: Lasting,
}

/// What came of a cell in which nothing went wrong.
pub(super) struct Outcome {
    /// How many requests met the fault.
    pub(super) strikes: u32,
    /// How long after the end of the fault the pool was right.
    pub(super) recovery: Duration,
}

impl Cell {
    /// Why there is nothing to run.
    pub(super) fn makes_no_sense(&self) -> Option<String> {
        let is_change = self.operation == Operation::ChangeResourceRecordSets;
        let asks_after = self.operation == Operation::GetChange;
        let why = match self.kind {
            Kind::Busy if !is_change => "the service says so of changes only",
            Kind::DropAfterCommit | Kind::HangAfterCommit if !is_change => "there is nothing to be done without a word",
            Kind::SecondPage if self.operation != Operation::ListResourceRecordSets => "the answer has no pages",
            Kind::ZoneGone if asks_after => "a change is asked after by its own id",
            _ if asks_after && self.act == Act::LastOut => {
                return Some("get-change while the last one stays: there is no change to ask after".to_owned());
            }
            _ => return None,
        };
        Some(format!("{} with {}: {why}", self.kind.name(), self.column))
    }

    fn zone(&self) -> ZoneRef {
        match self.kind {
            // Only who looks the zone up by name can find its successor.
            Kind::ZoneGone => ZoneRef::Name { name: world::name("example.com"), private: false },
            _ => ZoneRef::Id(ZONE.to_owned()),
        }
    }

    /// Runs it.
    ///
    /// # Panics
    /// When anything is not as it should be.
    pub(super) fn run(&self, runtime: &Rc<Runtime>, sim: &Rc<Sim>, seed: u64) -> Outcome {
        let service = Faulty::new(runtime, sim, self.others());
        let mut referee = self.referee(&service, sim);
        let mut world = World::with_service(self.policy(), service.clone(), seed);
        if self.act != Act::Publish {
            world.after(Duration::ZERO, addresses(V4, V6));
            world.after(Duration::ZERO, Happening::Node(Observed::Known(world::ready())));
            world.run_for(Duration::from_secs(60));
            assert_eq!(service.own(), published(V4, V6), "{self:?}: the beginning");
        }
        if self.act == Act::Prune {
            world.after(Duration::ZERO, Happening::Cluster(Observed::Known(cluster(Readiness::Ready))));
            world.after(Duration::ZERO, Happening::Cluster(Observed::Known(cluster(Readiness::NotReady(None)))));
            world.run_for(LEAST_GRACE - self.ahead());
        }

        service.begin(self.kind, self.operation, self.lasting.requests());
        referee.judge(&format!("{self:?}"), &sim.requests());
        let (before, mut judged) = (sim.requests().len(), referee.batches());
        self.act(&mut world, &service, sim, &mut referee);
        world.run_for(LIFTED_AFTER);
        let zone_is_new = service.zone() != Some(ZONE);
        if !zone_is_new {
            referee.judge(&format!("{self:?}"), &sim.requests());
            referee.agrees(&format!("{self:?}"), service.record_sets());
            if self.act == Act::Prune && self.lasting == Lasting::UntilLifted {
                assert_eq!(service.dead().is_empty(), self.removes_nevertheless(), "{self:?}: while it lasts");
            }
        }
        service.lift(world.now);
        if zone_is_new {
            referee = self.referee(&service, sim);
            judged = 0;
        }
        world.run_for(self.patience());
        let expected = self.expected(zone_is_new);
        assert_eq!(service.own(), expected, "{self:?}: L3, {:?}", world.engine.report());
        assert_eq!(service.dead(), [], "{self:?}: L3, {:?}", world.engine.report());
        let (over_at, changed_at, strikes) = {
            let trouble = service.trouble.borrow();
            (trouble.over_at.expect("it is over"), trouble.changed_at, trouble.strikes)
        };
        assert!(strikes > 0, "{self:?}: the fault met no request");
        let recovery = changed_at.map_or(Duration::ZERO, |at| at - over_at);
        assert!(recovery <= self.patience(), "{self:?}: L3, {recovery:?}");

        // And so it stays, and the last question after a change has its answer.
        world.run_for(Duration::from_secs(600));
        assert_eq!(service.own(), expected, "{self:?}: it did not stay so");
        referee.judge(&format!("{self:?}"), &sim.requests());
        referee.agrees(&format!("{self:?}"), service.record_sets());
        let batches = referee.batches() - judged;
        let needed = match self.act {
            Act::LastOut => 0,
            Act::Withdraw | Act::UpdateUnknown if zone_is_new => 0,
            Act::Prune => 2,
            _ => 1,
        };
        assert_eq!(batches, needed, "{self:?}: batches that were carried out");
        let removed: Vec<_> = referee.removed().iter().map(|set| set.rtype.as_str()).collect();
        let dead: &[&str] = if self.act == Act::Prune { &["A", "AAAA"] } else { &[] };
        assert_eq!(removed, dead, "{self:?}: each once");
        let requests = sim.requests().len() - before;
        assert!(requests <= 60, "{self:?}: {requests} requests");
        self.check_report(&world);
        check_secrets(&world);
        Outcome { strikes, recovery }
    }

    fn policy(&self) -> Policy {
        let record = RecordPolicy { zone: self.zone(), keep_min: self.keep_min(), ..world::record(EDGE, ZONE) };
        let survivors = (self.act == Act::Prune).then_some(SurvivorsPolicy { grace: LEAST_GRACE });
        Policy { survivors, ..world::policy(vec![record]) }
    }

    fn keep_min(&self) -> u32 {
        // So that others have to be witnesses too.
        if self.act == Act::Prune { 2 } else { 1 }
    }

    fn referee(&self, service: &Faulty, sim: &Sim) -> Referee {
        let referee = Referee::new(service.record_sets(), sim, self.keep_min() as usize);
        if self.act == Act::Prune { referee.with_dead(DEAD) } else { referee }
    }

    /// Siblings and strangers in both pools, and the dead where it is about them.
    fn others(&self) -> Vec<RecordSet> {
        let mut others = others();
        if self.act == Act::Prune {
            others.extend([weighted("A", DEAD, "185.12.64.7"), weighted("AAAA", DEAD, "2a01:4ff:f0::7")]);
        }
        others
    }

    /// How long before the end of the grace the fault begins.
    fn ahead(&self) -> Duration {
        // The removal is not asked after, but what was written of our own shortly before it is.
        if self.operation == Operation::GetChange { ASKED_AFTER } else { Duration::from_secs(1) }
    }

    /// Whether the dead are removed though the fault lasts.
    fn removes_nevertheless(&self) -> bool {
        match self.operation {
            Operation::ListResourceRecordSets => false,
            Operation::ChangeResourceRecordSets => self.kind.is_done(),
            _ => true,
        }
    }

    fn act(&self, world: &mut World, service: &Faulty, sim: &Sim, referee: &mut Referee) {
        let now = Duration::ZERO;
        let cordoned = || Happening::Node(Observed::Known(world::node(Readiness::Ready, true)));
        let listed_anyway = matches!(self.act, Act::Publish | Act::Prune);
        if self.operation == Operation::ListResourceRecordSets && !listed_anyway {
            // What is known of the pool would be enough, so the machine has slept meanwhile.
            world.after(now, Happening::Answer(Event::Recheck));
        }
        match self.act {
            Act::Publish => {
                world.after(now, addresses(V4, V6));
                world.after(now, Happening::Node(Observed::Known(world::ready())));
            }
            Act::Update => world.after(now, addresses(V4_OTHER, V6_OTHER)),
            Act::UpdateUnknown => {
                world.after(now, Happening::Node(Observed::Unknown));
                world.after(now, addresses(V4_OTHER, V6_OTHER));
            }
            Act::Withdraw => world.after(now, cordoned()),
            Act::LastOut => {
                for set in others() {
                    assert!(sim.remove(ZONE, &set.name, &set.rtype, set.set_identifier.as_deref()));
                    referee.others_delete(&set);
                }
                service.others_are_gone();
                world.after(now, cordoned());
            }
            Act::Prune => self.prune(world, service),
        }
    }

    /// The own record sets follow the addresses in the midst of a removal that fails, and wait for no
    /// more than the request that is on its way.
    fn prune(&self, world: &mut World, service: &Faulty) {
        service.spare_own();
        // What lasts is met with long waits by then.
        let into_it = if self.lasting == Lasting::UntilLifted { 40 } else { 2 };
        if self.operation != Operation::GetChange {
            world.run_for(self.ahead() + Duration::from_secs(into_it));
        }
        world.after(Duration::ZERO, addresses(V4_OTHER, V6_OTHER));
        let on_its_way = if self.kind.hangs() { HANG } else { Duration::ZERO };
        world.run_for(world.engine.policy().timing.settle + on_its_way + REQUESTS);
        let is_change = self.operation == Operation::ChangeResourceRecordSets;
        if service.zone().is_some() && !(is_change && self.kind == Kind::Expired) {
            assert_eq!(service.own(), published(V4_OTHER, V6_OTHER), "{self:?}: our own waits for the removal");
        }
    }

    fn patience(&self) -> Duration {
        let in_flight = if self.kind.hangs() && self.lasting == Lasting::UntilLifted { HANG } else { Duration::ZERO };
        BACKOFF_CAP + REQUESTS + in_flight
    }

    /// Our record sets in the end.
    fn expected(&self, zone_is_new: bool) -> Vec<(String, Vec<String>)> {
        match self.act {
            Act::Publish => published(V4, V6),
            // Nothing is created while the node is unknown, in no zone.
            Act::UpdateUnknown if zone_is_new => Vec::new(),
            Act::Update | Act::UpdateUnknown | Act::Prune => published(V4_OTHER, V6_OTHER),
            Act::LastOut if !zone_is_new => published(V4, V6),
            Act::Withdraw | Act::LastOut => Vec::new(),
        }
    }

    fn check_report(&self, world: &World) {
        let report = world.engine.report();
        assert_eq!(report.records.len(), 2);
        if let Some(survivors) = &report.survivors {
            assert_eq!(survivors.outlook, Outlook::Watching { down: 1, known: 3 }, "{self:?}");
            assert_eq!(survivors.dead, [], "{self:?}");
        }
        for record in &report.records {
            assert_eq!(record.last_error, None, "{self:?}");
            let is_pending = record.last_change.as_ref().is_some_and(|change| change.status == ChangeStatus::Pending);
            assert!(!is_pending, "{self:?}: never confirmed: {record:?}");
            match (self.act, record.intent.reason()) {
                (Act::UpdateUnknown, reason) => assert_eq!(reason, Reason::NodeUnknown, "{self:?}"),
                (Act::LastOut, Reason::KeepMin(minimum)) => assert_eq!(minimum, 1),
                _ => assert!(record.is_healthy(), "{self:?}: {record:?}"),
            }
        }
    }
}

/// S8: what is told, and what could be shown.
fn check_secrets(world: &World) {
    let mut told = format!("{:?} {:?}", world.notices, world.engine.report());
    for notice in &world.notices {
        if let Notice::Failed { error, .. } = notice {
            told.push_str(&error.to_string());
        }
    }
    for secret in [SECRET, TOKEN] {
        assert!(!told.contains(secret), "S8: a secret was told");
    }
}

fn addresses(v4: &str, v6: &str) -> Happening {
    Happening::Addresses(vec![v4.to_owned(), v6.to_owned()])
}

fn published(v4: &str, v6: &str) -> Vec<(String, Vec<String>)> {
    vec![("A".to_owned(), vec![v4.to_owned()]), ("AAAA".to_owned(), vec![v6.to_owned()])]
}

/// The cluster, whose third node is like this.
fn cluster(third: Readiness) -> Cluster {
    let nodes = [("n1", Readiness::Ready), ("n2", Readiness::Ready), ("n3", third)];
    nodes.map(|(node, readiness)| (node.to_owned(), readiness)).into()
}

fn weighted(rtype: &str, id: &str, value: &str) -> RecordSet {
    let set = RecordSet::new(EDGE, rtype).set_identifier(id).weight(10).ttl(60).value(value);
    set.into_stored().expect("a name")
}

/// Siblings and strangers in both pools.
fn others() -> Vec<RecordSet> {
    vec![
        weighted("A", SIBLING, "185.12.64.9"),
        weighted("A", FOREIGN, "185.12.64.8"),
        weighted("AAAA", SIBLING, "2a01:4ff:f0::9"),
    ]
}
