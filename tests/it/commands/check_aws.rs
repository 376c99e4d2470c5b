//! `nodedns check`: the lines about AWS, the hosted zones and the names.

use std::collections::BTreeSet;

use route53_sim::{ChangeConditions, Count, Fault, Operation, RecordSet, Sim, Throttle};
use serde_json::Value;

use crate::support::desk::{Desk, finish};
use crate::support::name_server::{NameServer, Says};

const ZONE: &str = "Z0123456789ABC";
const EDGE: &str = "[[record]]\nname = \"edge.example.com\"\nzone_id = \"Z0123456789ABC\"\nstatic_addresses = [\"192.0.2.1\"]\n\
                    types = [\"A\"]\n";

fn sim() -> Sim {
    Sim::builder().zone("example.com", ZONE).start()
}

/// The name servers of a zone, as the zone itself names them.
fn servers(sim: &Sim, zone: &str, name: &str) -> Vec<String> {
    sim.pool(zone, name, "NS").into_iter().flat_map(|set| set.values).collect()
}

/// What `check` says of a desk, while a resolver says this.
struct Checked {
    code: Option<i32>,
    lines: Vec<Value>,
}

impl Checked {
    /// The outcomes of a check, each with its subject.
    fn outcomes(&self, id: &str) -> Vec<(&str, &str)> {
        self.lines
            .iter()
            .filter(|line| line["id"] == id)
            .map(|line| (line["subject"].as_str().expect("text"), line["outcome"].as_str().expect("text")))
            .collect()
    }

    /// The one line of a check: its outcome, and its text with the remedy.
    fn line(&self, id: &str) -> (&str, String) {
        let lines: Vec<&Value> = self.lines.iter().filter(|line| line["id"] == id).collect();
        let [line] = lines[..] else { panic!("{id}: {:#?}", self.lines) };
        let text = line["text"].as_str().expect("text");
        let remedy = line["remedy"].as_str().unwrap_or_default();
        (line["outcome"].as_str().expect("text"), format!("{text}\n{remedy}"))
    }

    #[track_caller]
    fn says(&self, id: &str, outcome: &str, parts: &[&str]) {
        let (found, text) = self.line(id);
        assert_eq!(found, outcome, "{id}: {text}");
        for part in parts {
            assert!(text.contains(part), "{id}: {part:?} is not in {text}");
        }
    }
}

async fn checked(desk: &Desk, resolver: &NameServer) -> Checked {
    let before = desk.sim.record_sets(ZONE);
    let (code, value) = desk.json(&["check", "--resolver", &resolver.address.to_string()]).await;
    assert_eq!(desk.sim.record_sets(ZONE), before, "a check changes nothing");
    assert!(desk.sim.requests().iter().all(|request| request.change_id.is_none()), "a check changes nothing");
    let lines: Vec<Value> = value["checks"].as_array().expect("a list").clone();
    let failed = lines.iter().any(|line| line["outcome"] == "failed");
    for line in lines.iter().filter(|line| line["outcome"] == "failed") {
        assert!(line["remedy"].is_string(), "without a remedy: {line:#}");
    }
    assert_eq!(value["ok"], !failed, "{value:#}");
    let lines = lines.into_iter().filter(|line| {
        let section = line["section"].as_str().expect("text");
        ["aws", "hosted_zones", "names"].contains(&section) || line["id"] == "ttl"
    });
    Checked { code, lines: lines.collect() }
}

fn delegated(sim: &Sim) -> NameServer {
    NameServer::start(&[("example.com", Says::Ns(servers(sim, ZONE, "example.com")))])
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

fn weighted(at: &str, identifier: &str, ttl: i64) -> RecordSet {
    RecordSet::new(at, "A").set_identifier(identifier).weight(1).ttl(ttl).value("192.0.2.9")
}

#[test]
fn where_all_is_well_every_line_says_so() {
    let desk = Desk::new(sim(), EDGE);
    let resolver = delegated(&desk.sim);
    let checked = run(checked(&desk, &resolver));
    for line in &checked.lines {
        assert_eq!(line["outcome"], "ok", "{line:#}");
    }
    checked.says("aws_identity", "ok", &["arn:aws:iam::123456789012:user/simulated in account 123456789012"]);
    checked.says("clock", "ok", &["agrees"]);
    checked.says("get_change", "ok", &["allowed"]);
    checked.says("zone", "ok", &[ZONE, "public", "2 record sets"]);
    checked.says("zone_limit", "ok", &["2 of 10000"]);
    checked.says("delegation", "ok", &["delegated to the name servers of Z0123456789ABC"]);
    checked.says("change_rights", "ok", &["UPSERT, CREATE and DELETE of A are allowed"]);
    checked.says("record_sets", "ok", &["weighted, no record sets yet"]);
    assert_eq!(resolver.asked(), [("example.com".to_owned(), false)]);
}

#[test]
fn credentials_that_are_not_accepted_leave_the_rest_unchecked_and_named() {
    let desk = Desk::new(sim(), EDGE);
    desk.sim.inject(Operation::GetCallerIdentity, Fault::ExpiredToken, Count::Always);
    let resolver = delegated(&desk.sim);
    let checked = run(checked(&desk, &resolver));
    assert_eq!(checked.code, Some(2));
    checked.says("aws_identity", "failed", &["ExpiredToken", "AWS_PROFILE"]);
    checked.says("clock", "ok", &[]);
    for id in ["get_change", "zone", "record_sets"] {
        checked.says(id, "skipped", &["the credentials were not accepted"]);
    }
}

#[test]
fn a_clock_that_is_off_is_told_even_where_it_spoils_the_signatures() {
    let desk = Desk::new(sim(), EDGE);
    let resolver = delegated(&desk.sim);
    for (offset, identity, clock, text) in [
        (30, "ok", "ok", "behind AWS's"),
        (100, "ok", "warning", "behind AWS's"),
        (-100, "ok", "warning", "ahead of AWS's"),
        (270, "ok", "failed", "behind AWS's"),
        (3600, "failed", "failed", "behind AWS's"),
        (-3600, "failed", "failed", "ahead of AWS's"),
    ] {
        desk.sim.set_options(|options| options.clock_offset_s = offset);
        let checked = run(checked(&desk, &resolver));
        checked.says("clock", clock, &[text]);
        checked.says("aws_identity", identity, &[]);
        assert_eq!(checked.line("clock").1.contains("timesyncd"), clock != "ok");
    }
}

#[test]
fn an_sts_that_does_not_answer_is_no_reason_to_stop() {
    let desk = Desk::new(sim(), EDGE);
    desk.sim.inject(Operation::GetCallerIdentity, Fault::Reset, Count::Always);
    let resolver = delegated(&desk.sim);
    let checked = run(checked(&desk, &resolver));
    checked.says("aws_identity", "warning", &["STS does not say whose they are"]);
    checked.says("clock", "skipped", &["no answer of AWS"]);
    checked.says("change_rights", "ok", &[]);
}

#[test]
fn a_zone_that_is_not_right_is_told_and_hides_no_other() {
    let other = |name: &str, zone: &str| {
        format!("{EDGE}[[record]]\nname = \"{name}\"\nstatic_addresses = [\"192.0.2.1\"]\ntypes = [\"A\"]\n{zone}\n")
    };
    for (name, zone, id, outcome, text) in [
        ("a.example.org", "zone_id = \"ZNOWHERE\"", "zone", "failed", "No hosted zone found with ID: ZNOWHERE"),
        ("a.example.org", "zone = \"example.org\"", "zone", "failed", "was not found"),
        ("a.example.org", "zone_id = \"ZPRIV\"", "zone_covers", "failed", "is not within lan"),
        ("a.example.org", "zone_id = \"ZFOREIGN\"", "change_rights", "failed", "not authorized"),
    ] {
        let desk = Desk::new(sim(), &other(name, zone));
        desk.sim.add_zone("lan", "ZPRIV", true);
        desk.sim.set_options(|options| options.foreign_zones.extend(["ZFOREIGN".to_owned()]));
        let resolver = delegated(&desk.sim);
        let checked = run(checked(&desk, &resolver));
        assert_eq!(checked.code, Some(2), "{zone}");
        let found = checked.lines.iter().find(|line| line["id"] == id && line["outcome"] == outcome);
        let found = found.unwrap_or_else(|| panic!("{zone}: {:#?}", checked.lines));
        assert!(found["text"].as_str().expect("text").contains(text), "{zone}: {found:#}");
        if id == "zone_covers" {
            let skipped = checked.outcomes("record_sets");
            assert!(skipped.contains(&(name, "skipped")), "{skipped:?}");
            assert_eq!(checked.outcomes("change_rights").len(), 1);
        }
        if zone.contains("ZNOWHERE") {
            assert!(found["text"].as_str().expect("text").contains("the zone_id of a.example.org"), "{found:#}");
        }
        // All is said of the other record.
        assert!(checked.outcomes("zone").contains(&("example.com", "ok")), "{zone}");
        assert!(checked.outcomes("change_rights").contains(&("edge.example.com: right to change A", "ok")), "{zone}");
        assert!(checked.outcomes("record_sets").contains(&("edge.example.com A", "ok")), "{zone}");
    }
}

#[test]
fn a_private_zone_is_not_delegated() {
    let record = "[[record]]\nname = \"a.lan\"\nzone = \"lan\"\nprivate = true\nstatic_addresses = [\"192.0.2.1\"]\ntypes = [\"A\"]\n";
    let desk = Desk::new(sim(), record);
    desk.sim.add_zone("lan", "ZPRIV", true);
    let resolver = NameServer::start(&[]);
    let checked = run(checked(&desk, &resolver));
    checked.says("zone", "ok", &["ZPRIV, private"]);
    checked.says("delegation", "skipped", &["in its VPCs alone"]);
    assert_eq!((checked.code, resolver.asked().len()), (Some(0), 0));
}

#[test]
fn every_delegation_is_told_for_what_it_is() {
    let desk = Desk::new(sim(), EDGE);
    desk.sim.add_zone("example.com", "ZTWIN", false);
    let (ours, twin) = (servers(&desk.sim, ZONE, "example.com"), servers(&desk.sim, "ZTWIN", "example.com"));
    assert_ne!(ours, twin);
    let strange = vec!["ns.old-provider.example".to_owned()];
    let both: Vec<String> = ours.iter().chain(&strange).cloned().collect();
    let wanted = ours[0].trim_end_matches('.');
    for (says, outcome, parts) in [
        (Says::Ns(ours.clone()), "ok", &[ZONE][..]),
        (Says::NsOverTcp(ours.clone()), "ok", &[ZONE]),
        (Says::Ns(both), "warning", &["also to ns.old-provider.example", wanted]),
        (Says::Ns(strange), "failed", &["delegated elsewhere, to ns.old-provider.example", wanted]),
        (Says::Ns(twin), "failed", &["to the zone ZTWIN of the same name", "zone_id = \"ZTWIN\""]),
        (Says::Code(3), "failed", &["NXDOMAIN", wanted]),
        (Says::Code(0), "failed", &["no name servers", wanted]),
        (Says::Code(2), "warning", &["SERVFAIL", "--resolver"]),
        (Says::Nothing, "warning", &["no resolver says", "--resolver"]),
    ] {
        let resolver = NameServer::start(&[("example.com", says)]);
        let checked = run(checked(&desk, &resolver));
        checked.says("delegation", outcome, parts);
        assert_eq!(checked.line("delegation").1.contains("ZTWIN"), parts[0].contains("ZTWIN"));
        checked.says("change_rights", "ok", &[]);
        assert_eq!(checked.code, Some(if outcome == "failed" { 2 } else { 0 }), "{parts:?}");
    }
}

#[test]
fn a_name_that_the_zone_gives_away_is_told() {
    let desk = Desk::new(sim(), &EDGE.replace("edge.example.com", "edge.sub.example.com"));
    desk.sim.put(ZONE, RecordSet::new("sub.example.com", "NS").ttl(300).value("ns.example.net."));
    let resolver = delegated(&desk.sim);
    let checked = run(checked(&desk, &resolver));
    checked.says("delegated_below", "failed", &["gives sub.example.com away", "publish in the zone"]);
    // What is allowed there, and what the name holds, is of no use.
    checked.says("record_sets", "skipped", &["its zone gives sub.example.com away"]);
    assert_eq!(checked.outcomes("change_rights"), []);
}

#[test]
fn what_only_the_check_may_not_read_is_no_failure() {
    let desk = Desk::new(sim(), EDGE);
    let resolver = delegated(&desk.sim);
    desk.sim.set_options(|options| options.denied_operations.extend([Operation::GetHostedZoneLimit]));
    let one = run(checked(&desk, &resolver));
    one.says("zone_limit", "skipped", &["route53:GetHostedZoneLimit on arn:aws:route53:::hostedzone/Z0123456789ABC"]);
    one.says("delegation", "ok", &[]);
    desk.sim.set_options(|options| options.denied_operations = BTreeSet::from([Operation::GetHostedZone]));
    let two = run(checked(&desk, &resolver));
    two.says("zone", "skipped", &["route53:GetHostedZone on arn:aws:route53:::hostedzone/Z0123456789ABC"]);
    two.says("delegation", "skipped", &["cannot be read"]);
    two.says("change_rights", "ok", &[]);
    two.says("record_sets", "ok", &[]);
    desk.sim.set_options(|options| options.denied_operations = BTreeSet::from([Operation::GetChange]));
    let three = run(checked(&desk, &resolver));
    three.says("get_change", "warning", &["not authorized", "arn:aws:route53:::change/*"]);
    assert_eq!([one.code, two.code, three.code], [Some(0); 3]);
    desk.sim.set_options(|options| options.denied_operations = BTreeSet::from([Operation::ListResourceRecordSets]));
    let four = run(checked(&desk, &resolver));
    four.says("list", "failed", &["not authorized"]);
    four.says("record_sets", "skipped", &["could not be read"]);
    four.says("change_rights", "ok", &[]);
}

#[test]
fn rights_that_are_missing_are_named_with_the_remedy() {
    let records = EDGE.replace("[\"A\"]", "[\"A\", \"AAAA\"]");
    let desk = Desk::new(sim(), &records);
    let resolver = delegated(&desk.sim);
    let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<BTreeSet<_>>();
    for (types, actions, parts) in [
        (&["A", "AAAA"][..], &["UPSERT", "DELETE"][..], &["CREATE of A denied; CREATE of AAAA denied; "][..]),
        (&["A"], &[], &["DELETE of AAAA denied (UPSERT, CREATE cannot be tried without it); AccessDenied"]),
        (&[], &["CREATE", "DELETE"], &["UPSERT of A denied; UPSERT of AAAA denied"]),
        (&["TXT"], &[], &["DELETE of A denied (UPSERT, CREATE", "DELETE of AAAA denied"]),
    ] {
        let conditions = ChangeConditions { types: set(types), actions: set(actions), ..ChangeConditions::default() };
        desk.sim.set_options(|options| options.change_conditions = Some(conditions));
        let checked = run(checked(&desk, &resolver));
        checked.says("change_rights", "failed", parts);
        let remedy = "route53:ChangeResourceRecordSets on arn:aws:route53:::hostedzone/Z0123456789ABC";
        checked.says("change_rights", "failed", &[remedy, "A, AAAA at edge.example.com", "nodedns iam-policy"]);
        assert_eq!(checked.outcomes("record_sets"), [("edge.example.com A", "ok"), ("edge.example.com AAAA", "ok")]);
    }
}

#[test]
fn what_stands_in_the_way_at_a_name_is_told() {
    let at = "edge.example.com";
    let simple = RecordSet::new(at, "A").ttl(60).value("192.0.2.1");
    let cname = RecordSet::new(at, "CNAME").ttl(60).value("elsewhere.example.org");
    let geo = RecordSet::new(at, "A").set_identifier("x").geoproximity("52.5", "13.4", 0).ttl(60).value("192.0.2.1");
    for (set, parts, adoptable) in [
        (simple, "without routing policy", true),
        (cname, "holds a CNAME", false),
        (geo, "the name's record sets are geoproximity, this record is configured as weighted", true),
    ] {
        let desk = Desk::new(sim(), EDGE);
        desk.sim.put(ZONE, set);
        let resolver = delegated(&desk.sim);
        let checked = run(checked(&desk, &resolver));
        checked.says("record_sets", "failed", &[parts]);
        assert_eq!(checked.line("record_sets").1.contains("nodedns adopt edge.example.com"), adoptable);
        checked.says("change_rights", "ok", &[]);
    }
}

#[test]
fn ttls_and_limits_are_looked_at() {
    let with = |ttl: &str, sets: Vec<RecordSet>| {
        let desk = Desk::new(sim(), &format!("{EDGE}ttl = {ttl}\n"));
        sets.into_iter().for_each(|set| desk.sim.put(ZONE, set));
        let resolver = delegated(&desk.sim);
        run(checked(&desk, &resolver))
    };
    let at = "edge.example.com";
    let pool =
        |size: usize, ttl: i64| (0..size).map(|number| weighted(at, &format!("s{number}"), ttl)).collect::<Vec<_>>();
    assert_eq!(with("300", pool(79, 300)).outcomes("ttl"), []);
    with("301", vec![]).says("ttl", "warning", &["a TTL of 301 s", "60"]);
    with("0", vec![]).says("ttl", "warning", &["a TTL of 0 s"]);
    let other = with("60", pool(3, 120));
    other.says("pool_ttl", "warning", &["a TTL of 120 s, configured are 60 s", "set ttl = 120"]);
    other.says("record_sets", "ok", &["weighted, 3 record sets"]);
    // One finding with one remedy, whichever of the two is odd.
    for (ttl, pool_ttl, remedy) in [
        ("60", 3600, "all with a TTL of 60"),
        ("300", 0, "all with a TTL of 300"),
        ("7200", 3600, "all with a TTL of 60"),
        ("3600", 120, "set ttl = 120"),
    ] {
        let checked = with(ttl, pool(1, pool_ttl));
        checked.says("pool_ttl", "warning", &[&format!("a TTL of {pool_ttl} s, configured are {ttl} s"), remedy]);
        let text = checked.line("pool_ttl").1;
        assert_eq!(text.contains("set ttl"), remedy.contains("set ttl"), "{text}");
        let of_configuration = if ["60", "300"].contains(&ttl) { 0 } else { 1 };
        assert_eq!(checked.outcomes("ttl").len(), of_configuration, "{ttl}");
    }
    assert_eq!(with("60", pool(79, 60)).outcomes("pool_limit"), []);
    with("60", pool(80, 60)).says("pool_limit", "warning", &["80 of the 100", "prune"]);
    with("60", pool(100, 60)).says("record_sets", "failed", &["already has 100 record sets"]);
    let mut own = pool(99, 60);
    own.push(weighted(at, "nodedns/v1/home/n1", 60));
    with("60", own).says("record_sets", "ok", &["100 record sets, this node's among them"]);

    let desk = Desk::new(sim(), EDGE);
    let resolver = delegated(&desk.sim);
    desk.sim.set_options(|options| options.max_record_sets = 2);
    run(checked(&desk, &resolver)).says("zone_limit", "warning", &["2 of 2", "Service Quotas"]);
}

#[test]
fn managed_health_checks_need_rights_and_room() {
    let record = format!("{EDGE}health_check = {{ type = \"tcp\", port = 443 }}\n");
    let desk = Desk::new(sim(), &record);
    let resolver = delegated(&desk.sim);
    let good = run(checked(&desk, &resolver));
    good.says("list_health_checks", "ok", &["cannot be tried without doing so"]);
    good.says("health_check_limit", "ok", &["0 of 200"]);
    desk.sim.set_options(|options| {
        options.max_health_checks = 0;
        options.denied_operations.extend([Operation::ListHealthChecks, Operation::GetAccountLimit]);
    });
    let bad = run(checked(&desk, &resolver));
    bad.says("list_health_checks", "failed", &["not authorized", "route53:CreateHealthCheck"]);
    bad.says("health_check_limit", "skipped", &["route53:GetAccountLimit on *"]);
    assert_eq!(run(checked(&Desk::new(sim(), EDGE), &resolver)).outcomes("list_health_checks"), []);
}

/// The files that systemd has handed over, and which of them count.
#[test]
fn files_of_systemd_are_named_with_what_goes_before_them() {
    let desk = Desk::new(sim(), EDGE);
    let directory = desk.path("credentials");
    std::fs::create_dir(&directory).expect("made");
    let keys = |key: &str| format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = SECRET-KEY\n");
    std::fs::write(directory.join("aws-credentials"), keys("AKIAPLAIN")).expect("written");
    std::fs::write(directory.join("nodedns.aws-credentials.encrypted"), keys("AKIAENCRYPTED")).expect("written");
    let check = |variable: Option<(&str, &str)>| {
        let mut command = desk.command(&["check", "--resolver", "127.0.0.1:9", "--output", "json"]);
        command.env("CREDENTIALS_DIRECTORY", &directory);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").envs(variable);
        let said = run(finish(command));
        assert!(!said.out.contains("SECRET-KEY") && !said.err.contains("SECRET-KEY"), "{said:?}");
        let value: Value = serde_json::from_str(&said.out).expect("JSON");
        let lines = value["checks"].as_array().expect("a list").clone();
        let files = lines.into_iter().filter(|line| line["id"] == "aws_file");
        let words =
            |line: Value| ["subject", "outcome", "text"].map(|key| line[key].as_str().expect("text").to_owned());
        let files: Vec<[String; 3]> = files.map(words).collect();
        let keys: BTreeSet<_> = desk.sim.requests().into_iter().filter_map(|request| request.access_key).collect();
        desk.sim.clear_requests();
        (files, keys)
    };
    let path = |name: &str| directory.join(name).display().to_string();
    let line = |name: &str, outcome: &str, text: &str| [path(name), outcome.to_owned(), text.to_owned()];
    let (files, used) = check(None);
    assert_eq!(
        files,
        [
            line(
                "nodedns.aws-credentials.encrypted",
                "ok",
                "given by systemd as a credential, read in place of ~/.aws/credentials"
            ),
            line("aws-credentials", "skipped", "not read, as nodedns.aws-credentials.encrypted goes before it"),
        ]
    );
    assert_eq!(used, BTreeSet::from(["AKIAENCRYPTED".to_owned()]));
    std::fs::write(desk.path("own"), keys("AKIAOWN")).expect("written");
    let (files, used) = check(Some(("AWS_SHARED_CREDENTIALS_FILE", desk.path("own").to_str().expect("text"))));
    let text = "not read, as AWS_SHARED_CREDENTIALS_FILE goes before it";
    assert_eq!(files.len(), 2);
    assert!(files.iter().all(|[_, outcome, said]| outcome == "skipped" && said == text), "{files:?}");
    assert_eq!(used, BTreeSet::from(["AKIAOWN".to_owned()]));
}

/// As many records as there are, each with its own name.
fn records(count: usize) -> String {
    (1..=count).map(|number| EDGE.replace("edge.", &format!("r{number}."))).collect()
}

fn throttled(limit: Throttle, replace: Option<(&str, &str)>) -> Checked {
    let desk = Desk::new(sim(), &records(6));
    if let Some((from, to)) = replace {
        desk.replace(from, to);
    }
    let resolver = delegated(&desk.sim);
    desk.sim.set_options(|options| options.throttle = limit);
    let checked = run(checked(&desk, &resolver));
    let listed =
        desk.sim.requests().into_iter().filter(|request| request.operation == Operation::ListResourceRecordSets);
    let listed: Vec<String> =
        listed.filter(|request| request.status == Some(200)).map(|request| request.line).collect();
    assert_eq!(listed.iter().collect::<BTreeSet<_>>().len(), listed.len(), "each name is read once: {listed:?}");
    checked
}

#[test]
fn a_limit_on_requests_is_waited_out() {
    // With the default rate, and with one that the account does not allow.
    for replace in [Some(("requests_per_second = 1000\nburst = 100\n", "")), None] {
        let checked = throttled(Throttle::Legacy, replace);
        for line in &checked.lines {
            assert_eq!(line["outcome"], "ok", "{line:#}");
        }
        assert_eq!((checked.code, checked.outcomes("record_sets").len()), (Some(0), 6));
    }
}

#[test]
fn a_limit_that_remains_is_no_failure() {
    let desk = Desk::new(sim(), &records(6));
    let resolver = delegated(&desk.sim);
    desk.sim.inject(Operation::ListResourceRecordSets, Fault::Throttling, Count::Always);
    desk.sim.inject(Operation::ChangeResourceRecordSets, Fault::PriorRequestNotComplete, Count::Always);
    let begin = std::time::Instant::now();
    let checked = run(checked(&desk, &resolver));
    assert!(begin.elapsed() < std::time::Duration::from_secs(45), "{:?}", begin.elapsed());
    assert_eq!(checked.code, Some(0));
    for (id, text) in [("list", "Route 53 limits the account's requests; run it again"), ("change_rights", "busy")] {
        let lines: Vec<_> = checked.lines.iter().filter(|line| line["id"] == id).collect();
        assert_eq!(lines.len(), 6, "{id}");
        for line in lines {
            assert_eq!(line["outcome"], "skipped", "{line:#}");
            assert!(line["text"].as_str().expect("text").contains(text), "{line:#}");
        }
    }
    checked.says("zone", "ok", &[]);
}

#[test]
fn a_zone_that_may_not_be_listed_is_told_once() {
    let desk = Desk::new(sim(), &records(3));
    let resolver = delegated(&desk.sim);
    desk.sim.set_options(|options| options.denied_operations = BTreeSet::from([Operation::ListResourceRecordSets]));
    let checked = run(checked(&desk, &resolver));
    checked.says("list", "failed", &["not authorized"]);
    assert_eq!(checked.outcomes("list"), [("r1.example.com: reading", "failed")]);
    let names = "r1.example.com, r2.example.com, r3.example.com";
    assert_eq!(checked.outcomes("delegated_below"), [(names, "skipped")]);
    let sets = checked.outcomes("record_sets");
    assert!(sets.len() == 3 && sets.iter().all(|(_, outcome)| *outcome == "skipped"), "{sets:?}");
    let asked = |request: &route53_sim::Request| request.operation == Operation::ListResourceRecordSets;
    assert_eq!(desk.sim.requests().iter().filter(|request| asked(request)).count(), 1);
}

/// No two lines of what can fail look alike, whatever it is that cannot be done.
#[test]
fn lines_say_what_was_tried() {
    let desk = Desk::new(sim(), &records(2));
    let resolver = delegated(&desk.sim);
    for fault in [Fault::Status(500), Fault::AccessDenied] {
        desk.sim.clear_faults();
        for operation in [Operation::ListResourceRecordSets, Operation::ChangeResourceRecordSets] {
            desk.sim.inject(operation, fault.clone(), Count::Always);
        }
        let checked = run(checked(&desk, &resolver));
        let told: Vec<_> =
            checked.lines.iter().map(|line| (line["subject"].to_string(), line["text"].to_string())).collect();
        assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), told.len(), "{told:#?}");
        let right = ("r1.example.com: right to change A", "failed");
        assert!(checked.outcomes("change_rights").contains(&right), "{:#?}", checked.lines);
        assert!(checked.outcomes("list").contains(&("r1.example.com: reading", "failed")), "{:#?}", checked.lines);
    }
}
