//! What is found, and how it looks, without any IO.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use nodedns::cli::check::findings::{Counts, Finding, Outcome, Section};
use nodedns::cli::check::ids::Id;
use nodedns::cli::check::rbac::{Reach, Subject, objects};
use nodedns::cli::check::render::{Style, heading, line, summary};
use nodedns::cli::check::{kubernetes, node};
use nodedns::decide::annotation::COORDINATES;
use nodedns::decide::node::{NodeState, Readiness};
use nodedns::decide::policy::{RecordPolicy, RoutingRule, Signal, SignalAction, SignalPolicy};
use nodedns::decide::probe::{Probe, ProbeCheck};
use nodedns::decide::record::RecordType;
use nodedns::decide::select::AddressClass;
use nodedns::watch::node::certificate::ClientCertificate;

use crate::support::world;

fn told(found: &[Finding]) -> Vec<(Outcome, &str, &str)> {
    found.iter().map(|finding| (finding.outcome, finding.subject.as_str(), finding.text.as_str())).collect()
}

fn shown(width: Option<usize>, unicode: bool) -> String {
    let rights = objects(Reach::Own("n1"), &Subject::User("system:node:n2".into()));
    let rights: String = rights.lines().map(|line| format!("  {line}\n")).collect();
    let sections = [
        (
            Section::Configuration,
            vec![
                Finding::ok(Id::ConfigurationFile, "/etc/nodedns/nodedns.toml", "read, without a mistake"),
                Finding::warning(
                    Id::Ttl,
                    "edge.example.com",
                    "a TTL of 3600 s: resolvers give the old answer for up to 3600 s after a withdrawal",
                )
                .remedy("60 is the default, 300 is long"),
            ],
        ),
        (
            Section::Kubernetes,
            vec![
                Finding::failed(
                    Id::OwnNode,
                    "Node n1",
                    "the API server at https://127.0.0.1:6444 forbids it (403): nodes \"n1\" is forbidden",
                )
                .remedy(format!("apply this as an administrator of the cluster, with 'kubectl apply -f -':\n{rights}")),
                Finding::skipped(Id::NodesList, "all Nodes", "not asked, as the API server cannot be"),
            ],
        ),
        (
            Section::Aws,
            vec![Finding::ok(Id::AwsIdentity, "arn:aws:iam::123456789012:user/dns", "whose credentials these are")],
        ),
    ];
    let mut text = String::new();
    for (section, findings) in sections {
        text.push_str(&heading(section, text.is_empty()));
        findings.iter().for_each(|finding| line(&mut text, finding, Style { width, unicode }));
    }
    let counts = Counts { ok: 2, warning: 1, failed: 1, skipped: 1 };
    text + &format!("\n{}\n", summary(counts))
}

#[test]
fn findings_look_the_same_wherever_they_fit() {
    insta::assert_snapshot!("check_wide", shown(Some(200), true));
    insta::assert_snapshot!("check_80", shown(Some(80), true));
    insta::assert_snapshot!("check_80_words", shown(Some(80), false));
    for unicode in [true, false] {
        let text = shown(Some(80), unicode);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
    // In a pipe each is a line, for grep.
    assert!(shown(None, true).lines().any(|line| line.starts_with("  ✗ ") && line.ends_with("is forbidden")));
}

#[test]
fn rbac_objects_are_to_be_read_by_people_too() {
    insta::assert_snapshot!("rbac_own_node", objects(Reach::Own("n1.lan"), &Subject::User("nodedns:n1".into())));
    let account = Subject::ServiceAccount { namespace: "kube-system".into(), name: "nodedns".into() };
    insta::assert_snapshot!("rbac_all_nodes", objects(Reach::All, &account));
}

fn of_record(record: &RecordPolicy, addresses: &[&str], deny: &[&str]) -> Vec<Finding> {
    let mut rules = world::policy(Vec::new()).addresses;
    rules.deny = deny.iter().map(|block| block.parse().expect("a block")).collect();
    node::of_records(std::slice::from_ref(record), &rules, &world::snapshot(addresses))
}

#[test]
fn each_type_says_what_would_be_published_or_why_nothing() {
    let record = world::record("edge.example.com", "Z1");
    let nearest = "nothing to publish: 10.0.0.5 on eth0: 10.0.0.0/8 (Private-Use) is not what class = \"global\" asks for; set the \
                   record's class, or list the address in addresses.allow";
    assert_eq!(
        told(&of_record(&record, &["10.0.0.5", "2001:4860::1"], &[])),
        [
            (Outcome::Skipped, "edge.example.com A", nearest),
            (Outcome::Ok, "edge.example.com AAAA", "2001:4860::1 would be published")
        ]
    );
    // The same of several names is told once.
    let other = world::record("other.example.com", "Z1");
    let rules = world::policy(Vec::new()).addresses;
    let found = node::of_records(&[record.clone(), other], &rules, &world::snapshot(&["10.0.0.5", "2001:4860::1"]));
    let published = "2001:4860::1 would be published";
    assert_eq!(
        told(&found),
        [
            (Outcome::Skipped, "edge.example.com, other.example.com A", nearest),
            (Outcome::Ok, "edge.example.com AAAA", published),
            (Outcome::Ok, "other.example.com AAAA", published),
        ]
    );
    // Nothing of any type is no record at all.
    let outcomes = |found: Vec<Finding>| found.iter().map(|finding| finding.outcome).collect::<Vec<_>>();
    let none = of_record(&record, &["10.0.0.5"], &[]);
    assert_eq!(outcomes(none.clone()), [Outcome::Failed, Outcome::Failed]);
    assert_eq!(none[1].text, "nothing to publish: the host has no IPv6 address that others could reach");
    assert!(
        none.iter().all(|finding| finding.remedy.as_deref().is_some_and(|remedy| remedy.contains("nodedns addresses")))
    );
    // What the operator's own filters take away is held, and more than a matter of course.
    let held = of_record(&record, &["11.0.0.5", "2001:4860::1"], &["11.0.0.0/8"]);
    assert_eq!(outcomes(held), [Outcome::Warning, Outcome::Ok]);
    let private =
        RecordPolicy { class: AddressClass::Private, types: BTreeSet::from([RecordType::A]), ..record.clone() };
    assert_eq!(outcomes(of_record(&private, &["10.0.0.5"], &[])), [Outcome::Ok]);
    let all = RecordPolicy {
        all_addresses: true,
        static_addresses: ["192.0.2.1", "192.0.2.2"].map(|text| text.parse::<IpAddr>().expect("an address")).into(),
        ..record
    };
    assert_eq!(of_record(&all, &["11.0.0.5"], &[])[0].text, "192.0.2.1, 192.0.2.2 would be published");
}

#[test]
fn a_probe_of_another_host_is_told_from_one_of_this() {
    let probing = |address: &str| {
        let probe = Probe { check: ProbeCheck::Tcp(address.parse().expect("an address")), ..world::probe() };
        RecordPolicy { probe: Some(probe), ..world::record("edge.example.com", "Z1") }
    };
    let own = ["127.0.0.1:443", "127.8.0.1:443", "[::1]:443", "10.0.0.5:443", "[2001:4860::1]:443"];
    let policy =
        world::policy(own.map(probing).into_iter().chain([probing("10.0.0.6:443"), probing("10.0.0.6:443")]).collect());
    let found = node::probes(&policy, &world::snapshot(&["10.0.0.5", "2001:4860::1"]));
    assert_eq!(found.iter().map(|finding| finding.subject.as_str()).collect::<Vec<_>>(), ["probe tcp 10.0.0.6:443"]);
}

#[test]
fn a_certificate_is_good_until_a_week_before_it_ends() {
    let not_after: Timestamp = "2026-11-21T12:00:00Z".parse().expect("a timestamp");
    let certificate = ClientCertificate { common_name: "system:node:n1".into(), not_after };
    for (left, outcome, text) in [
        (SignedDuration::from_hours(7 * 24), Outcome::Ok, "is good for 7d, until 2026-11-21T12:00:00Z"),
        (
            SignedDuration::from_hours(7 * 24 - 1),
            Outcome::Warning,
            "is good for 6d 23h, until 2026-11-21T12:00:00Z only",
        ),
        (SignedDuration::from_secs(1), Outcome::Warning, "is good for 1s, until 2026-11-21T12:00:00Z only"),
        (SignedDuration::ZERO, Outcome::Failed, "expired 0s ago, at 2026-11-21T12:00:00Z"),
        (SignedDuration::from_hours(-48), Outcome::Failed, "expired 2d ago, at 2026-11-21T12:00:00Z"),
    ] {
        let finding = kubernetes::lasts(&certificate, "/k", not_after - left);
        let text = format!("the client certificate of 'system:node:n1' {text}");
        assert_eq!(told(std::slice::from_ref(&finding)), [(outcome, "/k", text.as_str())]);
        assert_eq!(finding.remedy.is_some(), outcome != Outcome::Ok);
    }
}

#[test]
fn what_the_node_says_matters_as_far_as_a_record_heeds_it() {
    let outcomes = |state: &NodeState, records: Vec<RecordPolicy>| -> Vec<(Outcome, &'static str)> {
        let found = kubernetes::of_state(state, "n1", Some(&world::policy(records)));
        found.iter().map(|finding| (finding.outcome, finding.id.as_str())).collect()
    };
    let record = world::record("edge.example.com", "Z1");
    let own = |outcome| vec![(outcome, "own_node")];
    assert_eq!(outcomes(&world::ready(), vec![record.clone()]), own(Outcome::Ok));
    assert_eq!(outcomes(&world::node(Readiness::Ready, true), vec![record.clone()]), own(Outcome::Warning));
    assert_eq!(outcomes(&world::deleting(), vec![record.clone()]), own(Outcome::Warning));
    assert_eq!(outcomes(&NodeState::Absent, vec![record.clone()]), own(Outcome::Failed));
    // Two reasons are two lines, for however many records.
    let both = world::node(Readiness::NotReady(None), true);
    assert_eq!(outcomes(&both, vec![record.clone(), record.clone()]).len(), 2);
    // A record that ignores it all stays.
    let ignore = SignalPolicy { action: SignalAction::Ignore, ..Signal::Cordoned.default_policy() };
    let stays = RecordPolicy { signals: Signal::ALL.map(|signal| (signal, ignore)).into(), ..record.clone() };
    assert_eq!(outcomes(&world::node(Readiness::NotReady(None), true), vec![stays]), own(Outcome::Ok));
    // An annotation that is wrong, and one that is missing.
    let point = RecordPolicy { routing: RoutingRule::CoordinatesOfTheNode { bias: 0 }, ..record };
    let good = world::annotated(&[(COORDINATES, "50.11,8.68")]);
    assert_eq!(outcomes(&good, vec![point.clone()]), own(Outcome::Ok));
    let wrong = world::annotated(&[(COORDINATES, "here")]);
    assert_eq!(
        outcomes(&wrong, vec![point.clone()]),
        [(Outcome::Ok, "own_node"), (Outcome::Warning, "annotation"), (Outcome::Failed, "coordinates")]
    );
    assert_eq!(outcomes(&world::ready(), vec![point]), [(Outcome::Ok, "own_node"), (Outcome::Failed, "coordinates")]);
}

/// The directory's own mode keeps the others out as well as the file's does.
#[test]
fn credentials_that_everyone_can_read_are_warned_of() {
    let directory = tempfile::Builder::new().tempdir().expect("a directory");
    let store = directory.path().join("credstore");
    std::fs::create_dir(&store).expect("made");
    let mode = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("a mode");
    for (name, bits) in [
        ("nodedns.aws-credentials", 0o644),
        ("nodedns.kubeconfig", 0o640),
        ("nodedns.kube-ca.crt", 0o644),
        ("other", 0o644),
    ] {
        std::fs::write(store.join(name), "x").expect("written");
        mode(&store.join(name), bits);
    }
    mode(directory.path(), 0o755);
    for (bits, exposed) in [(0o755, vec!["nodedns.aws-credentials"]), (0o700, vec![])] {
        mode(&store, bits);
        let found = node::exposed(&store);
        let subjects: Vec<_> = exposed.iter().map(|name| store.join(name).display().to_string()).collect();
        assert_eq!(found.iter().map(|finding| finding.subject.clone()).collect::<Vec<_>>(), subjects);
        assert!(found.iter().all(|finding| finding.outcome == Outcome::Warning && finding.remedy.is_some()));
    }
    assert_eq!(node::exposed(Path::new("/nonexistent")), []);
}

/// Every id is in the manual once, under its section, and no two checks share one.
#[test]
fn every_id_is_in_the_manual() {
    let mut page = Vec::new();
    let args = nodedns::cli::args::HelpArgs { topic: Some("output".to_owned()), subcommand: Vec::new() };
    nodedns::cli::help::run(&args, &mut page, &mut Vec::new()).expect("a page");
    let page = String::from_utf8(page).expect("text");
    let (_, table) = page.split_once("The ids of check:\n").expect("a table");
    let told: Vec<&str> =
        table.lines().filter_map(|line| line.strip_prefix("  ")).filter(|l| !l.starts_with(' ')).collect();
    assert_eq!(told, Id::ALL.iter().map(|id| id.as_str()).collect::<Vec<_>>());
    assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), told.len());
    let lines: Vec<&str> = table.lines().collect();
    for id in Id::ALL {
        let at = lines.iter().position(|line| *line == format!("  {}", id.as_str())).expect("its line");
        let section = serde_json::to_value(id.section()).expect("a word");
        let meaning = format!("      {}: ", section.as_str().expect("a word"));
        assert!(lines[at + 1].starts_with(&meaning), "{}", lines[at + 1]);
        assert_eq!(serde_json::to_value(id).expect("a word"), id.as_str());
    }
}
