//! `nodedns adopt`, from what others leave behind, against the simulator.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nodedns::decide::health_check::{CheckProbe, CheckSpec, ManagedCheck, NewCheck, Place, Reference, tags};
use nodedns::decide::owner::OwnerId;
use nodedns::decide::record::RecordType;
use nodedns::publish::Provider;
use nodedns::publish::route53::{Route53, Settings};
use route53_sim::{Count, Fault, Operation, RecordSet, Sim, Switch};
use serde_json::{Value, json};

use crate::support::api_server::ApiServer;
use crate::support::desk::{Desk, Said, finish};
use crate::support::world;

const ZONE: &str = "Z1";
const NAME: &str = "edge.example.com";
const WEIGHTED: &str = "routing = { policy = \"weighted\", weight = 10 }";
const GEO: &str = "routing = { policy = \"geoproximity\", coordinates = \"52.5,13.4\" }";

fn address(node: u8) -> String {
    format!("185.12.64.{node}")
}

/// A desk whose node n1 has the address .1 and publishes it at one name.
fn desk(routing: &str) -> Desk {
    let record = format!(
        "[[record]]\nname = \"{NAME}\"\nzone_id = \"{ZONE}\"\ntypes = [\"A\"]\nstatic_addresses = [\"{}\"]\n{routing}\n",
        address(1)
    );
    Desk::new(Sim::builder().zone("example.com", ZONE).start(), &record)
}

/// The same desk as seen by another node.
fn become_node(desk: &Desk, before: u8, node: u8) {
    desk.replace(&format!("node = \"n{before}\""), &format!("node = \"n{node}\""));
    desk.replace(&address(before), &address(node));
}

fn simple(nodes: &[u8]) -> RecordSet {
    nodes.iter().fold(RecordSet::new(NAME, "A").ttl(300), |set, node| set.value(&address(*node)))
}

/// As kube-node-dns writes it.
fn at(coordinates: (&str, &str), nodes: &[u8]) -> RecordSet {
    let (latitude, longitude) = coordinates;
    simple(nodes)
        .set_identifier(&format!("geoproximity-coords:{latitude},{longitude}"))
        .geoproximity(latitude, longitude, 0)
}

/// What the pool holds, a line for each record set, in order.
fn pool(desk: &Desk) -> Vec<String> {
    let line = |set: RecordSet| {
        let mut nodes: Vec<_> = set.values.iter().map(|value| value.rsplit('.').next().unwrap_or_default()).collect();
        nodes.sort_unstable();
        let routing = match (&set.weight, &set.geoproximity, &set.region) {
            (Some(weight), ..) => format!(" weight {weight}"),
            (_, Some(place), _) => {
                let point = place.coordinates.as_ref().expect("coordinates");
                format!(" at {},{}", point.latitude, point.longitude)
            }
            (.., Some(region)) => format!(" in {region}"),
            _ => String::new(),
        };
        let check = set.health_check_id.map(|id| format!(" checked by {id}")).unwrap_or_default();
        let identifier = set.set_identifier.unwrap_or_else(|| "simple".to_owned());
        format!("{identifier}: {} ttl {}{routing}{check}", nodes.join(" "), set.ttl.unwrap_or_default())
    };
    let mut lines: Vec<_> = desk.sim.pool(ZONE, NAME, "A").into_iter().map(line).collect();
    lines.sort();
    lines
}

/// A health check of somebody else's.
async fn health_check(desk: &Desk) -> String {
    let owner = OwnerId::new("other", "n9").expect("an owner");
    let place = Place::new(&owner, ZONE, &world::name(NAME), RecordType::A);
    let check = ManagedCheck { probe: CheckProbe::Tcp, port: 443, interval: 30, failure_threshold: 3 };
    let spec = CheckSpec { address: address(2).parse().expect("an address"), check };
    let new = NewCheck {
        reference: Reference::new(place, 1),
        spec,
        tags: tags(&owner, ZONE, &world::name(NAME), RecordType::A),
    };
    let settings = Settings { endpoint_url: Some(desk.sim.endpoint()), ..Settings::default() };
    let credentials = aws_credential_types::Credentials::new("AKIATEST", "secret", None, None, "test");
    Route53::with_credentials(settings, credentials).create_health_check(&new).await.expect("created")
}

fn changes(desk: &Desk) -> usize {
    desk.sim.requests().iter().filter(|request| request.operation == Operation::ChangeResourceRecordSets).count()
}

async fn adopt(desk: &Desk, more: &[&str]) -> Said {
    desk.run(&[&["adopt", "--yes"], more].concat()).await
}

async fn adopts(desk: &Desk) {
    let said = adopt(desk, &[]).await;
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    // Nothing is left for the daemon to do, nor for a second time.
    let (code, plan) = desk.json(&["plan"]).await;
    assert_eq!((code, &plan["differences"]), (Some(0), &json!(false)), "{plan}");
    let before = changes(desk);
    let said = adopt(desk, &[]).await;
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert!(said.out.contains("nothing to adopt: what is there can be shared as it is"), "{}", said.out);
    assert_eq!(changes(desk), before);
}

#[tokio::test]
async fn a_simple_record_with_one_value_becomes_the_nodes_own() {
    let desk = desk(WEIGHTED);
    desk.sim.put(ZONE, simple(&[1]));
    adopts(&desk).await;
    assert_eq!(pool(&desk), ["nodedns/v1/home/n1: 1 ttl 60 weight 10"]);
}

/// Looks at the pool over and over: whoever it is to find was there every time.
struct Looker {
    looking: Arc<AtomicBool>,
    thread: Option<JoinHandle<u32>>,
}

impl Looker {
    fn start(desk: &Arc<Desk>, nodes: &'static [u8]) -> Self {
        let (looking, desk) = (Arc::new(AtomicBool::new(true)), Arc::clone(desk));
        let goes_on = Arc::clone(&looking);
        let look = move || {
            let mut looks = 0;
            while goes_on.load(Ordering::Relaxed) {
                let pool = desk.sim.pool(ZONE, NAME, "A");
                for node in nodes {
                    assert!(pool.iter().any(|set| set.values.contains(&address(*node))), "{node} in {pool:?}");
                }
                looks += 1;
                std::thread::sleep(Duration::from_micros(200));
            }
            looks
        };
        Looker { looking, thread: Some(std::thread::spawn(look)) }
    }

    fn end(mut self) {
        self.looking.store(false, Ordering::Relaxed);
        let looks = self.thread.take().expect("a thread").join().expect("everybody was there all the time");
        assert!(looks > 100, "{looks}");
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        self.looking.store(false, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn three_nodes_take_over_a_simple_record_one_after_another_and_nobody_is_missed() {
    let desk = Arc::new(desk(WEIGHTED));
    desk.sim.put(ZONE, simple(&[1, 2, 3, 9]));
    let looker = Looker::start(&desk, &[1, 2, 3, 9]);
    let converted = |node: u8| format!("simple@{}: {node} ttl 60 weight 10", address(node));
    let own = |node: u8| format!("nodedns/v1/home/n{node}: {node} ttl 60 weight 10");
    adopts(&desk).await;
    assert_eq!(pool(&desk), [own(1), converted(2), converted(3), converted(9)]);
    become_node(&desk, 1, 2);
    adopts(&desk).await;
    assert_eq!(pool(&desk), [own(1), own(2), converted(3), converted(9)]);
    become_node(&desk, 2, 3);
    adopts(&desk).await;
    assert_eq!(pool(&desk), [own(1), own(2), own(3), converted(9)]);
    looker.end();
    assert_eq!(changes(&desk), 3, "one batch for each node");
}

#[tokio::test]
async fn hand_made_weighted_record_sets_lose_what_is_ours_and_keep_their_weight_and_health_check() {
    let desk = desk(WEIGHTED);
    let weighted = |identifier: &str, weight, nodes: &[u8]| simple(nodes).set_identifier(identifier).weight(weight);
    let check = health_check(&desk).await;
    desk.sim.put(ZONE, weighted("a", 50, &[1, 2]).health_check(&check));
    desk.sim.put(ZONE, weighted("b", 7, &[1]));
    desk.sim.put(ZONE, weighted("c", 0, &[3, 4]));
    desk.sim.put(ZONE, weighted("nodedns/v1/home/n4", 1, &[4]));
    adopts(&desk).await;
    assert_eq!(
        pool(&desk),
        [
            format!("a: 2 ttl 300 weight 50 checked by {check}"),
            "c: 3 ttl 300 weight 0".to_owned(),
            "nodedns/v1/home/n1: 1 ttl 300 weight 10".to_owned(),
            "nodedns/v1/home/n4: 4 ttl 300 weight 1".to_owned(),
        ]
    );
}

#[tokio::test]
async fn record_sets_by_latency_become_weighted_ones() {
    let desk = desk(WEIGHTED);
    desk.sim.put(ZONE, simple(&[1]).set_identifier("frankfurt").region("eu-central-1"));
    let check = health_check(&desk).await;
    desk.sim.put(ZONE, simple(&[2, 3]).set_identifier("dublin").region("eu-west-1").health_check(&check));
    adopts(&desk).await;
    assert_eq!(
        pool(&desk),
        [
            format!("dublin@185.12.64.2: 2 ttl 60 weight 10 checked by {check}"),
            format!("dublin@185.12.64.3: 3 ttl 60 weight 10 checked by {check}"),
            "nodedns/v1/home/n1: 1 ttl 60 weight 10".to_owned(),
        ]
    );
}

#[tokio::test]
async fn what_kube_node_dns_has_left_is_shared_by_place() {
    for duplicates in [Switch::Allow, Switch::Reject] {
        let desk = desk(GEO);
        desk.sim.set_options(|options| options.geoproximity_duplicates = duplicates);
        desk.sim.put(ZONE, at(("52.5", "13.4"), &[1]));
        desk.sim.put(ZONE, at(("48.1", "11.6"), &[2, 3]));
        adopts(&desk).await;
        assert_eq!(
            pool(&desk),
            ["geoproximity-coords:48.1,11.6: 2 3 ttl 300 at 48.1,11.6", "nodedns/v1/home/n1: 1 ttl 60 at 52.50,13.40"]
        );
    }
}

/// Whether Route 53 takes two record sets of one place nobody has written down: it is asked.
#[tokio::test]
async fn nodes_at_one_place_share_it_if_route_53_lets_them() {
    let desk = desk(GEO);
    desk.sim.put(ZONE, at(("52.50", "13.40"), &[1, 2]));
    let before = pool(&desk);
    desk.sim.set_options(|options| options.geoproximity_duplicates = Switch::Reject);
    let said = adopt(&desk, &[]).await;
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    assert!(said.out.contains("geoproximity RRSet with the same name, type and location"), "{}", said.out);
    assert_eq!(pool(&desk), before);
    desk.sim.set_options(|options| options.geoproximity_duplicates = Switch::Allow);
    adopts(&desk).await;
    assert_eq!(
        pool(&desk),
        ["geoproximity-coords:52.50,13.40: 2 ttl 300 at 52.50,13.40", "nodedns/v1/home/n1: 1 ttl 60 at 52.50,13.40"]
    );
}

#[tokio::test]
async fn what_kube_node_dns_has_left_becomes_weighted() {
    let desk = desk(WEIGHTED);
    desk.sim.put(ZONE, at(("52.5", "13.4"), &[1, 2]));
    desk.sim.put(ZONE, at(("48.1", "11.6"), &[3]));
    adopts(&desk).await;
    assert_eq!(
        pool(&desk),
        [
            "geoproximity-coords:48.1,11.6@185.12.64.3: 3 ttl 60 weight 10",
            "geoproximity-coords:52.5,13.4@185.12.64.2: 2 ttl 60 weight 10",
            "nodedns/v1/home/n1: 1 ttl 60 weight 10",
        ]
    );
}

/// Nobody knows where the others of a simple record are.
#[tokio::test]
async fn others_without_a_place_are_dropped_only_when_told() {
    let desk = desk(GEO);
    desk.sim.put(ZONE, simple(&[1, 2]));
    let said = adopt(&desk, &[]).await;
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    let told = "edge.example.com A: not adopted: which geoproximity record set should answer with 185.12.64.2 nobody \
                knows\n  hint: --drop-others takes them out of DNS";
    assert!(said.out.starts_with(told), "{}", said.out);
    assert_eq!(pool(&desk), ["simple: 1 2 ttl 300"]);
    let said = adopt(&desk, &["--drop-others"]).await;
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert!(said.out.contains("- simple record: 185.12.64.1 185.12.64.2, ttl 300"), "{}", said.out);
    assert_eq!(pool(&desk), ["nodedns/v1/home/n1: 1 ttl 60 at 52.50,13.40"]);
}

#[tokio::test]
async fn what_nodedns_does_not_understand_is_refused_with_what_to_do() {
    let alias = RecordSet::new(NAME, "A").alias(ZONE, "other.example.com", false);
    let policy =
        RecordSet { traffic_policy_instance_id: Some("tpi-1".to_owned()), ..RecordSet::new(NAME, "A").ttl(60) };
    let cidr = simple(&[1]).set_identifier("a").cidr("c8c02a84-aaaa-bbbb-e0d2-d833a2f80106", "*");
    let cname = RecordSet::new(NAME, "CNAME").ttl(60).value("other.example.com");
    let owner = at(("1", "2"), &[2]).set_identifier("nodedns/v1/home/n2");
    for (sets, reason, says) in [
        (vec![alias], "alias", "the record set without routing policy is an alias"),
        (vec![policy], "traffic_policy", "is made by the traffic policy instance tpi-1"),
        (vec![cidr], "ip_based", "the record set \"a\" is ip-based"),
        (vec![cname], "cname_conflict", "'nodedns adopt' takes over none, so delete it by hand first"),
        (
            vec![owner, at(("1", "3"), &[1])],
            "owner_policy",
            "the record set of node n2 in cluster home is geoproximity, this record is configured as weighted",
        ),
    ] {
        let desk = desk(WEIGHTED);
        sets.into_iter().for_each(|set| desk.sim.put(ZONE, set));
        let before = desk.sim.record_sets(ZONE);
        for more in [&[][..], &["--drop-others", "--force"]] {
            let said = adopt(&desk, more).await;
            assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
            assert!(said.out.contains(says), "{}", said.out);
        }
        let (code, json) = desk.json(&["adopt", "--yes"]).await;
        let refused = &json["not_adopted"][0];
        assert_eq!((code, &refused["reason"], &refused["refused"]), (Some(1), &json!(reason), &json!(true)), "{json}");
        assert_eq!((desk.sim.record_sets(ZONE), changes(&desk)), (before, 0));
    }
}

/// A protected record set, or whatever else Route 53 has against it: its words are shown and nothing has changed.
/// Whoever answers only when others do not must not answer at once because of another policy.
#[tokio::test]
async fn a_standby_is_not_made_to_answer() {
    const MULTIVALUE: &str = "routing = { policy = \"multivalue\" }";
    let spare = |weight: i64| simple(&[3]).set_identifier("spare").weight(weight);
    let first = || simple(&[2]).set_identifier("first").weight(10);
    let desk = desk(MULTIVALUE);
    for set in [first(), spare(0)] {
        desk.sim.put(ZONE, set);
    }
    let before = pool(&desk);
    let (code, shown) = desk.json(&["adopt", "--yes"]).await;
    assert_eq!((code, pool(&desk), changes(&desk)), (Some(1), before, 0), "{shown}");
    let refused = &shown["not_adopted"][0];
    assert_eq!((&refused["reason"], &refused["refused"]), (&json!("standby"), &json!(true)));
    let said = adopt(&desk, &[]).await;
    assert!(said.out.contains("not adopted: the record set \"spare\" is a standby"), "{}", said.out);
    assert!(said.out.contains("\n  hint: --drop-others takes it out of DNS until"), "{}", said.out);
    let said = adopt(&desk, &["--drop-others"]).await;
    assert_eq!((said.code, pool(&desk)), (Some(0), vec!["nodedns/v1/home/n1: 1 ttl 60".to_owned()]), "{said:?}");

    // Where all have weight 0, all answer.
    let desk = self::desk(MULTIVALUE);
    desk.sim.put(ZONE, spare(0));
    adopts(&desk).await;
    assert_eq!(pool(&desk), ["nodedns/v1/home/n1: 1 ttl 60", "spare@185.12.64.3: 3 ttl 300"]);

    // Of the same policy it stays as it is.
    let desk = self::desk(WEIGHTED);
    for set in [simple(&[1, 2]).set_identifier("first").weight(10), spare(0)] {
        desk.sim.put(ZONE, set);
    }
    adopts(&desk).await;
    assert_eq!(
        pool(&desk),
        ["first: 2 ttl 300 weight 10", "nodedns/v1/home/n1: 1 ttl 300 weight 10", "spare: 3 ttl 300 weight 0",]
    );
}

#[tokio::test]
async fn what_route_53_refuses_is_said_in_its_words() {
    let desk = desk(WEIGHTED);
    desk.sim.put(ZONE, simple(&[1, 2]));
    let message = "[Tried to delete resource record set [name='edge.example.com.', type='A'] but it is protected]";
    let fault = Fault::Error { status: 400, code: "InvalidChangeBatch".to_owned(), message: message.to_owned() };
    desk.sim.inject(Operation::ChangeResourceRecordSets, fault, Count::Always);
    let said = adopt(&desk, &[]).await;
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    assert!(said.out.contains("it is protected"), "{}", said.out);
    assert_eq!(pool(&desk), ["simple: 1 2 ttl 300"]);
}

fn node(unschedulable: bool) -> Value {
    json!({
        "kind": "Node", "apiVersion": "v1",
        "metadata": {"name": "n1", "uid": "u1"},
        "spec": {"unschedulable": unschedulable},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    })
}

#[tokio::test]
async fn a_node_that_is_about_to_leave_adopts_only_by_force() {
    let server = ApiServer::start().await;
    server.set_node(node(true));
    let desk = desk(WEIGHTED).with_kubernetes(&server);
    desk.sim.put(ZONE, simple(&[1, 2]));
    let said = adopt(&desk, &[]).await;
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    assert!(said.out.contains("the daemon would withdraw this node at once: the node is cordoned"), "{}", said.out);
    server.always(crate::support::api_server::Answer::Error(403, "no".to_owned()));
    let said = adopt(&desk, &[]).await;
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    assert!(said.out.contains("whether this node is fit to be in DNS is not known"), "{}", said.out);
    assert!(
        said.out.contains("\n  hint: adopt once the Node can be read") && !said.out.contains("root"),
        "{}",
        said.out
    );
    assert!(said.err.contains("warning: could not read the Node: ") && said.err.contains("\nhint: "), "{}", said.err);
    assert_eq!(changes(&desk), 0);
    server.always(crate::support::api_server::Answer::Serve);
    // It may not serve, and then those who do must not leave for it.
    let (code, shown) = desk.json(&["adopt", "--yes", "--force", "--drop-others"]).await;
    assert_eq!((code, changes(&desk)), (Some(1), 0), "{shown}");
    let refused = &shown["not_adopted"][0];
    assert_eq!((&refused["reason"], &refused["refused"]), (&json!("forced_drop"), &json!(true)));
    let why = refused["explanation"].as_str().expect("text");
    assert!(why.contains("both together are refused: the node is cordoned"), "{why}");
    desk.sim.put(ZONE, simple(&[1]));
    let said = desk.run(&["adopt", "--dry-run", "--force", "--drop-others"]).await;
    assert_eq!(said.code, Some(2), "nobody else's address is there to be dropped: {}{}", said.out, said.err);
    desk.sim.put(ZONE, simple(&[1, 2]));
    assert_eq!(adopt(&desk, &["--force"]).await.code, Some(0));
    assert_eq!(pool(&desk), ["nodedns/v1/home/n1: 1 ttl 60 weight 10", "simple@185.12.64.2: 2 ttl 60 weight 10"]);
}

#[tokio::test]
async fn a_pool_becomes_smaller_than_keep_min_only_by_force() {
    let desk = desk(&format!("{WEIGHTED}\nkeep_min = 2"));
    desk.sim.put(ZONE, simple(&[1, 2]));
    let (code, shown) = desk.json(&["adopt", "--yes", "--drop-others"]).await;
    assert_eq!((code, changes(&desk)), (Some(1), 0), "{shown}");
    let refused = &shown["not_adopted"][0];
    assert_eq!((&refused["reason"], &refused["refused"]), (&json!("keep_min"), &json!(true)));
    assert!(refused["explanation"].as_str().expect("text").contains("1 record set would be left, and keep_min is 2"));
    // Nobody is dropped, and nothing becomes smaller.
    let said = desk.run(&["adopt", "--dry-run"]).await;
    assert_eq!(said.code, Some(2), "{}{}", said.out, said.err);
    desk.sim.put(ZONE, simple(&[1]));
    let said = desk.run(&["adopt", "--dry-run", "--drop-others"]).await;
    assert_eq!(said.code, Some(2), "{}{}", said.out, said.err);
    desk.sim.put(ZONE, simple(&[1, 2]));
    assert_eq!(adopt(&desk, &["--drop-others", "--force"]).await.code, Some(0));
    assert_eq!(pool(&desk), ["nodedns/v1/home/n1: 1 ttl 60 weight 10"]);
}

/// The node is read before it is asked for, and once more for all pools; each pool right before its batch.
#[tokio::test]
async fn many_pools_are_adopted_by_one_look_at_the_node() {
    let server = ApiServer::start().await;
    server.set_node(node(false));
    let desk = desk(WEIGHTED);
    let more = |name: &str| {
        format!(
            "[[record]]\nname = \"{name}.example.com\"\nzone_id = \"{ZONE}\"\ntypes = [\"A\"]\n\
             static_addresses = [\"{}\"]\n{WEIGHTED}\n[[record]]",
            address(1)
        )
    };
    desk.replace("[[record]]", &more("two"));
    let desk = desk.with_kubernetes(&server);
    desk.sim.put(ZONE, simple(&[1, 2]));
    desk.sim.put(ZONE, RecordSet { name: "two.example.com".to_owned(), ..simple(&[1, 2]) });
    let said = adopt(&desk, &[]).await;
    assert_eq!((said.code, changes(&desk)), (Some(0), 2), "{}{}", said.out, said.err);
    assert_eq!(server.seen().len(), 2, "{:?}", server.seen());
    let lists = desk.sim.requests().iter().filter(|r| r.operation == Operation::ListResourceRecordSets).count();
    assert_eq!(lists, 4);
}

#[tokio::test]
async fn what_others_write_is_shown_and_not_obeyed() {
    let desk = desk(WEIGHTED);
    desk.replace(
        "[[record]]",
        &format!(
            "[[record]]\nname = \"empty.example.com\"\nzone_id = \"{ZONE}\"\ntypes = [\"A\"]\nstatic_addresses = [\"{}\"]\n[[record]]",
            address(1)
        ),
    );
    let hostile = "x: ttl 60\n  - forged\u{9b}2J\u{202e}";
    desk.sim.put(ZONE, simple(&[1, 2]).set_identifier(hostile).weight(10));
    let escaped = "x: ttl 60\\n  - forged\\u{9b}2J\\u{202e}";
    for args in [&["adopt", "--dry-run"][..], &["list"], &["plan"]] {
        let said = desk.run(args).await;
        let bad = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!said.out.contains(bad) && !said.err.contains(bad), "{said:?}");
        // A paragraph makes one blank of many.
        let squeezed = said.out.replace("\\n  -", "\\n -");
        assert_eq!(squeezed.contains(&escaped.replace("  ", " ")), args[0] != "plan", "{}", said.out);
        assert!(!said.out.lines().any(|line| line.trim_start().starts_with("- forged")), "{}", said.out);
    }
    let (_, listed) = desk.json(&["list"]).await;
    assert_eq!(listed["pools"][0]["sets"][0]["set_identifier"], json!(hostile), "programs get what there is");
    let said = desk.run(&["adopt", "--dry-run"]).await;
    assert!(said.out.contains("there is no record set yet\n\nedge.example.com A in Z1\n"), "{}", said.out);
}

/// How many requests of this kind have been made.
async fn until_seen(desk: &Desk, operation: Operation, times: usize) {
    let end = Instant::now() + Duration::from_secs(60);
    while desk.sim.requests().iter().filter(|request| request.operation == operation).count() < times {
        assert!(Instant::now() < end, "{operation}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_has_changed_since_it_was_shown_is_left_alone() {
    let desk = desk(WEIGHTED);
    desk.sim.put(ZONE, simple(&[1, 2]));
    // The second look comes right before the change.
    desk.sim.inject(Operation::ListResourceRecordSets, Fault::Delay(Duration::from_secs(5)), Count::Nth(2));
    let run = tokio::spawn(finish(desk.command(&["adopt", "--yes"])));
    until_seen(&desk, Operation::ListResourceRecordSets, 2).await;
    desk.sim.put(ZONE, simple(&[1, 2, 3]));
    let said = run.await.expect("no panic");
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    assert!(said.out.contains("it has changed since it was shown"), "{}", said.out);
    assert_eq!(pool(&desk), ["simple: 1 2 3 ttl 300"]);
}

/// The undo file is there before anything changes, and a second try finds everything as it was.
#[tokio::test]
async fn a_crash_before_the_change_leaves_the_undo_file_and_the_pool() {
    let desk = desk(WEIGHTED);
    desk.sim.put(ZONE, simple(&[1, 2]));
    desk.sim.inject(Operation::ChangeResourceRecordSets, Fault::Hang, Count::Next(1));
    let undo = desk.path("undo.json");
    let mut command = desk.command(&["adopt", "--yes", "--undo-file", undo.to_str().expect("a plain path")]);
    let mut child =
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().expect("starts");
    until_seen(&desk, Operation::ChangeResourceRecordSets, 1).await;
    child.kill().expect("a process of ours");
    child.wait().expect("its end");
    let file: Value = serde_json::from_slice(&std::fs::read(&undo).expect("an undo file")).expect("whole");
    assert_eq!(file["command"], json!("adopt"));
    assert_eq!(pool(&desk), ["simple: 1 2 ttl 300"]);
    adopts(&desk).await;
}

#[tokio::test]
async fn what_was_adopted_can_be_undone() {
    let desk = desk(WEIGHTED);
    desk.sim.put(ZONE, at(("52.50", "13.4"), &[1, 2]));
    let check = health_check(&desk).await;
    desk.sim.put(ZONE, at(("48.1", "11.60"), &[3]).health_check(&check));
    let before = desk.sim.record_sets(ZONE);
    let undo = desk.path("undo.json");
    let undo = undo.to_str().expect("a plain path");
    assert_eq!(adopt(&desk, &["--undo-file", undo]).await.code, Some(0));
    assert_ne!(desk.sim.record_sets(ZONE), before);
    let said = desk.run(&["restore", "--yes", undo]).await;
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert_eq!(desk.sim.record_sets(ZONE), before);
}

#[tokio::test]
async fn nothing_is_changed_without_consent_and_the_output_says_what_would_be() {
    let desk = desk(WEIGHTED);
    desk.sim.put(ZONE, simple(&[1, 2]));
    for args in [&["adopt"][..], &["adopt", "--dry-run"], &["adopt", NAME]] {
        let said = desk.run(args).await;
        assert_eq!(said.code, Some(2), "{}{}", said.out, said.err);
        assert!(said.err.contains("nothing was changed"), "{}", said.err);
    }
    let (code, json) = desk.json(&["adopt", "--dry-run"]).await;
    assert_eq!((code, &json["dry_run"], &json["node"]), (Some(2), &json!(true), &json!("n1")));
    let actions: Vec<_> =
        json["pools"][0]["changes"].as_array().expect("a list").iter().map(|c| &c["action"]).collect();
    assert_eq!(actions, ["delete", "create", "create"]);
    assert_eq!(changes(&desk), 0);
    let said = desk.run(&["adopt", "--yes", "other.example.com"]).await;
    assert_eq!(said.code, Some(64), "{}{}", said.out, said.err);
    assert!(
        said.err.contains("other.example.com is not a configured name\nhint: configured: edge.example.com"),
        "{}",
        said.err
    );
}
