//! The API server: the real watch of the Node over TLS, and the engine behind it in virtual time.
//!
//! While the Node's state is unknown nothing is created or deleted, and a changed address is still
//! followed; what an API server says for certain (the Node is gone) is believed, with a witness.

use std::time::Duration;

use futures::StreamExt as _;
use nodedns::decide::engine::Effect;
use nodedns::decide::node::NodeState;
use nodedns::decide::observed::Observed;
use nodedns::decide::record::RecordType;
use nodedns::decide::time::Moment;
use nodedns::watch::node::Timing;
use serde_json::{Value, json};

use super::table::Table;
use crate::node_watch::rotation::Files;
use crate::node_watch::{LONG, Watching, node};
use crate::support::api_server::{Answer, ApiServer};
use crate::support::hostile::{Happening, World, target};
use crate::support::pki::Pki;
use crate::support::world::{self, SIBLING, V4, V4_OTHER, V6};

const ZONE: &str = "Z1";
const EDGE: &str = "edge.example.com";
const V6_OTHER: &str = "2a01:4ff:f0::2";
const DAY: i64 = 86_400;

/// What goes wrong with the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Error(u16),
    Throttles,
    Hangs,
    Refuses,
    Garbage,
    HalfAList,
    EmptyList,
    NodeRecreated,
    DateIsWrong(&'static str),
    Certificate(i64),
}

impl Kind {
    const ALL: [Kind; 16] = [
        Kind::Error(401),
        Kind::Error(403),
        Kind::Error(410),
        Kind::Throttles,
        Kind::Error(500),
        Kind::Error(503),
        Kind::Error(504),
        Kind::Hangs,
        Kind::Refuses,
        Kind::Garbage,
        Kind::HalfAList,
        Kind::EmptyList,
        Kind::NodeRecreated,
        Kind::DateIsWrong("Thu, 01 Jan 1970 00:00:00 GMT"),
        Kind::Certificate(DAY),
        Kind::Certificate(-DAY),
    ];

    fn name(self) -> String {
        match self {
            Kind::Error(code) => format!("answers {code}"),
            Kind::Throttles => "answers 429 with Retry-After".into(),
            Kind::Hangs => "accepts, never answers".into(),
            Kind::Refuses => "refuses connections".into(),
            Kind::Garbage => "a captive portal answers".into(),
            Kind::HalfAList => "list cut short".into(),
            Kind::EmptyList => "empty list".into(),
            Kind::NodeRecreated => "Node deleted, then made again".into(),
            Kind::DateIsWrong(_) => "its clock is decades behind".into(),
            Kind::Certificate(skew) if skew > 0 => "its certificate is not valid yet".into(),
            Kind::Certificate(_) => "its certificate has expired".into(),
        }
    }

    fn meaning(self) -> Meaning {
        match self {
            Kind::EmptyList | Kind::NodeRecreated => Meaning::Absent,
            Kind::DateIsWrong(_) => Meaning::Nothing,
            _ => Meaning::Unknown,
        }
    }

    async fn begin(self, server: &mut ApiServer, pki: &Pki) {
        match self {
            Kind::Error(code) => server.always(Answer::Error(code, "planted".into())),
            Kind::Throttles => server.always(Answer::Plain(429, "retry-after", "1".into())),
            Kind::Hangs => server.fall_silent(),
            Kind::Refuses => server.stop(),
            Kind::Garbage => server.always(Answer::Body("<html>Welcome to our hotel</html>".into())),
            Kind::HalfAList => {
                server.always(Answer::Body(r#"{"kind":"NodeList","apiVersion":"v1","metadata":{"resourceV"#.into()));
            }
            Kind::EmptyList => {
                let metadata = json!({"resourceVersion": server.version()});
                let list = json!({"kind": "NodeList", "apiVersion": "v1", "metadata": metadata, "items": []});
                server.always(Answer::Body(list.to_string()));
                server.always_watch(Answer::Serve);
            }
            Kind::NodeRecreated => server.delete_node(),
            Kind::DateIsWrong(date) => server.show_date(Some(date)),
            Kind::Certificate(skew) => {
                server.use_skewed_pki(pki, skew);
                server.resume().await;
            }
        }
        self.provoke(server);
    }

    async fn end(self, server: &mut ApiServer, pki: &Pki) {
        server.always(Answer::Serve);
        server.show_date(None);
        server.use_pki(pki);
        if matches!(self, Kind::Refuses | Kind::Certificate(_)) {
            server.resume().await;
        }
        self.provoke(server);
    }

    /// Has the running watch end, so that something is asked for. There may be none at the moment.
    fn provoke(self, server: &ApiServer) {
        if self == Kind::EmptyList {
            let status = json!({"kind": "Status", "metadata": {}, "status": "Failure", "message": "x", "code": 410});
            server.push("ERROR", &status);
        } else if self != Kind::NodeRecreated {
            server.cut();
        }
    }
}

/// What a fault tells of the Node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// Nothing is known of it.
    Unknown,
    /// It is not there.
    Absent,
    /// It is as it was.
    Nothing,
}

/// A fault while the node is, or is not, in the pool; and whether the opposite becomes true of the
/// Node before the fault is over.
#[derive(Debug, Clone, Copy)]
struct Cell {
    kind: Kind,
    cordoned: bool,
    turns: bool,
}

/// A running watch, and the world that is told what it says.
struct Told {
    watching: Watching,
    world: World,
    /// What was told last of whether the node is cordoned.
    cordoned: Option<bool>,
}

impl Told {
    /// Passes on what the watch says until this is what it says of the Node's being there. When that
    /// was, by the world's clock.
    async fn until(&mut self, server: &ApiServer, kind: Kind, wanted: Observed<bool>) -> Moment {
        let started = std::time::Instant::now();
        loop {
            assert!(started.elapsed() < 2 * LONG, "{kind:?}: never told");
            let pause = Duration::from_millis(500);
            let Ok(event) = tokio::time::timeout(pause, self.watching.event()).await else {
                kind.provoke(server);
                continue;
            };
            let shown = format!("{event:?}");
            assert!(!shown.contains("PRIVATE KEY"), "S8: {shown}");
            let present = match &event.state {
                Observed::Unknown => Observed::Unknown,
                Observed::Known(state) => Observed::Known(*state != NodeState::Absent),
            };
            if let Observed::Known(NodeState::Present(node)) = &event.state {
                self.cordoned = Some(node.unschedulable);
            }
            let at = self.world.now;
            self.world.after(Duration::ZERO, Happening::Node(event.state));
            self.world.run_for(Duration::from_millis(1));
            if present == wanted {
                return at;
            }
        }
    }

    fn own(&self) -> Vec<String> {
        let own = |rtype| self.world.own_address(&target(ZONE, EDGE), rtype).map(|address| address.to_string());
        RecordType::ALL.into_iter().filter_map(own).collect()
    }

    fn addresses(&mut self, addresses: [&str; 2]) {
        let addresses = addresses.map(str::to_owned).to_vec();
        self.world.after(Duration::ZERO, Happening::Addresses(addresses));
    }
}

fn timing(kind: Kind) -> Timing {
    Timing {
        watch: Duration::from_secs(1),
        end_grace: Duration::from_millis(500),
        // Where the watch is to say nothing, the cells beside it must not starve it until it does.
        answer: if matches!(kind, Kind::DateIsWrong(_)) { LONG } else { Duration::from_secs(3) },
        steady: Duration::from_millis(200),
        longest_pause: Duration::from_millis(300),
        relist: Duration::MAX,
    }
}

fn object(cordoned: bool) -> Value {
    let mut object = node("True");
    object["spec"]["unschedulable"] = json!(cordoned);
    object
}

fn in_dns(cordoned: bool, addresses: [&str; 2]) -> Vec<&str> {
    if cordoned { Vec::new() } else { addresses.to_vec() }
}

impl Cell {
    /// How many requests met the fault, and how long after the return the pool was right.
    async fn run(self) -> (u32, Duration) {
        let pki = Pki::new();
        let mut server = ApiServer::start_tls(&pki).await;
        server.set_node(object(self.cordoned));
        let files = Files::new(&pki, &pki.kubelet("n1"), &server);
        let sibling = |rtype, address| (rtype, world::weighted(SIBLING, address));
        let listing =
            world::listing(vec![sibling(RecordType::A, "185.12.64.9"), sibling(RecordType::Aaaa, "2a01:4ff:f0::9")]);
        let policy = world::policy(vec![world::record(EDGE, ZONE)]);
        let mut told = Told {
            watching: Watching::start(files.path("kubelet.kubeconfig"), timing(self.kind)),
            world: World::new(policy, vec![(ZONE, EDGE, listing)], 1),
            cordoned: None,
        };
        told.addresses([V4, V6]);
        told.until(&server, self.kind, Observed::Known(true)).await;
        told.world.run_for(Duration::from_secs(600));
        assert_eq!(told.own(), in_dns(self.cordoned, [V4, V6]), "{self:?}: the beginning");

        let before = server.seen().len();
        self.kind.begin(&mut server, &pki).await;
        self.meanwhile(&mut told, &server).await;
        let cordoned = self.cordoned != self.turns;
        if self.kind == Kind::NodeRecreated || self.turns {
            server.set_node(object(cordoned));
        }
        told.world.run_for(Duration::from_secs(60));
        let strikes = server.seen().len() - before;

        self.kind.end(&mut server, &pki).await;
        let back = self.back(&mut told, &server).await;
        told.world.run_for(Duration::from_secs(12));
        assert_eq!(told.own(), in_dns(cordoned, [V4_OTHER, V6_OTHER]), "{self:?}: after the return");
        let changed = told.world.first_apply_after(back).map_or(Duration::ZERO, |at| at - back);
        if cordoned {
            // After so long an absence the pool is read first.
            assert!(changed <= Duration::from_millis(50), "{self:?}: L2, {changed:?}");
        }
        let settled = told.world.sent.len();
        told.world.run_for(Duration::from_secs(600));
        let later = told.world.sent[settled..].iter().filter(|sent| matches!(sent.effect, Effect::Apply(..))).count();
        assert_eq!(later, 0, "{self:?}: it did not stay so");
        (u32::try_from(strikes).expect("few"), changed)
    }

    /// The fault lasts for an hour, in which the host's addresses change.
    async fn meanwhile(self, told: &mut Told, server: &ApiServer) {
        match self.kind.meaning() {
            Meaning::Unknown => _ = told.until(server, self.kind, Observed::Unknown).await,
            Meaning::Absent => _ = told.until(server, self.kind, Observed::Known(false)).await,
            Meaning::Nothing => {
                // Two answers with the wrong date, and not a word from the watch.
                let (enough, started) = (server.seen().len() + 2, std::time::Instant::now());
                while server.seen().len() < enough {
                    assert!(started.elapsed() < LONG, "nothing is asked any more");
                    let quiet = tokio::time::timeout(Duration::from_millis(50), told.watching.event()).await;
                    // At most that it has begun anew and hears the same.
                    assert!(
                        quiet.as_ref().map_or(true, |event| event.anew && event.state.is_known()),
                        "{self:?}: {quiet:?}"
                    );
                }
            }
        }
        told.world.run_for(Duration::from_secs(3600));
        let withdrawn = self.cordoned || self.kind.meaning() == Meaning::Absent;
        assert_eq!(told.own(), in_dns(withdrawn, [V4, V6]), "{self:?}: after an hour");
        told.addresses([V4_OTHER, V6_OTHER]);
        told.world.run_for(Duration::from_secs(60));
        assert_eq!(told.own(), in_dns(withdrawn, [V4_OTHER, V6_OTHER]), "{self:?}: a new address meanwhile");
    }

    /// Waits for the news, if there are to be any. When they came, by the world's clock.
    async fn back(self, told: &mut Told, server: &ApiServer) -> Moment {
        if self.turns || self.kind.meaning() != Meaning::Nothing {
            // What was true before may be told once more, where the watch has begun anew meanwhile.
            let cordoned = self.cordoned != self.turns;
            loop {
                let at = told.until(server, self.kind, Observed::Known(true)).await;
                if told.cordoned == Some(cordoned) {
                    return at;
                }
            }
        }
        told.world.now
    }
}

#[tokio::test]
async fn whatever_the_api_server_does_nothing_is_lost() {
    let mut cells = Vec::new();
    for kind in Kind::ALL {
        for (cordoned, turns) in [(false, false), (false, true), (true, false), (true, true)] {
            cells.push(Cell { kind, cordoned, turns });
        }
    }
    // Mostly waiting, so many at once.
    let outcomes = futures::stream::iter(cells).map(|cell| async move { (cell, cell.run().await) }).buffered(16);
    let outcomes: Vec<_> = outcomes.collect().await;
    let mut table = Table::new("API server: what it does while the node is", &["published", "withdrawn"]);
    for (cell, (strikes, recovery)) in outcomes {
        table.right(&cell.kind.name(), if cell.cordoned { "withdrawn" } else { "published" }, strikes, recovery);
    }
    table.show();
    assert_eq!(table.count(), 64);
}
