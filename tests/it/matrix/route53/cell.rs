//! One cell: a fault, in the way of one kind of request, in the middle of something, for some time.

use std::rc::Rc;
use std::time::Duration;

use nodedns::decide::engine::{Event, Notice};
use nodedns::decide::node::Readiness;
use nodedns::decide::observed::Observed;
use nodedns::decide::policy::RecordPolicy;
use nodedns::decide::provider::ChangeStatus;
use nodedns::decide::reason::Reason;
use nodedns::decide::record::ZoneRef;
use route53_sim::{Operation, RecordSet, Sim};
use tokio::runtime::Runtime;

use super::service::Faulty;
use super::{Kind, SECRET, TOKEN, ZONE};
use crate::support::hostile::{HANG, Happening, World};
use crate::support::referee::Referee;
use crate::support::world::{self, FOREIGN, SIBLING, V4, V4_OTHER, V6};

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
}

impl Act {
    pub(super) const ALL: [Act; 5] = [Act::Publish, Act::Update, Act::UpdateUnknown, Act::Withdraw, Act::LastOut];
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
        let service = Faulty::new(runtime, sim, others());
        let mut referee = Referee::new(service.record_sets(), sim, 1);
        let policy = world::policy(vec![RecordPolicy { zone: self.zone(), ..world::record(EDGE, ZONE) }]);
        let mut world = World::with_service(policy, service.clone(), seed);
        if self.act != Act::Publish {
            world.after(Duration::ZERO, addresses(V4, V6));
            world.after(Duration::ZERO, Happening::Node(Observed::Known(world::ready())));
            world.run_for(Duration::from_secs(60));
            assert_eq!(service.own(), published(V4, V6), "{self:?}: the beginning");
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
        }
        service.lift(world.now);
        if zone_is_new {
            referee = Referee::new(service.record_sets(), sim, 1);
            judged = 0;
        }
        world.run_for(self.patience());
        let expected = self.expected(zone_is_new);
        assert_eq!(service.own(), expected, "{self:?}: L3, {:?}", world.engine.report());
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
            _ => 1,
        };
        assert_eq!(batches, needed, "{self:?}: batches that were carried out");
        let requests = sim.requests().len() - before;
        assert!(requests <= 60, "{self:?}: {requests} requests");
        self.check_report(&world);
        check_secrets(&world);
        Outcome { strikes, recovery }
    }

    fn act(&self, world: &mut World, service: &Faulty, sim: &Sim, referee: &mut Referee) {
        let now = Duration::ZERO;
        let cordoned = || Happening::Node(Observed::Known(world::node(Readiness::Ready, true)));
        if self.operation == Operation::ListResourceRecordSets && self.act != Act::Publish {
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
            Act::Update | Act::UpdateUnknown => published(V4_OTHER, V6_OTHER),
            Act::LastOut if !zone_is_new => published(V4, V6),
            Act::Withdraw | Act::LastOut => Vec::new(),
        }
    }

    fn check_report(&self, world: &World) {
        let report = world.engine.report();
        assert_eq!(report.records.len(), 2);
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

/// Siblings and strangers in both pools, and a neighbour in the zone.
fn others() -> Vec<RecordSet> {
    let weighted = |rtype: &str, id: &str, value: &str| {
        let set = RecordSet::new(EDGE, rtype).set_identifier(id).weight(10).ttl(60).value(value);
        set.into_stored().expect("a name")
    };
    vec![
        weighted("A", SIBLING, "185.12.64.9"),
        weighted("A", FOREIGN, "185.12.64.8"),
        weighted("AAAA", SIBLING, "2a01:4ff:f0::9"),
    ]
}
