//! `nodedns restore`, the program itself, and the undo file.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jiff::Timestamp;
use nodedns::cli::diff::{self, PoolDiff};
use nodedns::cli::undo::{UndoFile, write_somewhere};
use nodedns::decide::batch::{Edit, is_same_text};
use nodedns::decide::owner::SetIdentifier;
use nodedns::decide::record::{self, RecordType, Target, Value};
use nodedns::decide::routing::{Coordinates, FailoverRole, Location, Origin, Routing};
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::prune::{ZONE, desk, left, publish, ready, set, undo_file, writes};
use crate::support::desk::Desk;
use crate::support::world;

const NAME: &str = "a.example.com";

/// A prune has deleted what `gone` had left at two names.
async fn pruned() -> (Desk, Vec<route53_sim::RecordSet>, String) {
    let (desk, _server) = desk(&[ready("n1"), ready("n2")]).await;
    for name in [NAME, "b.example.com"] {
        publish(&desk, name, &["n1", "gone"]);
    }
    let before = desk.sim.record_sets(ZONE);
    let said = desk.run(&["prune", "--yes", "--grace", "0s"]).await;
    assert_eq!((said.code, left(&desk, NAME)), (Some(0), vec!["n1".to_owned()]), "{said:?}");
    let file = undo_file(&desk);
    desk.sim.clear_requests();
    // It needs no Kubernetes: the API server is gone by now.
    (desk, before, file)
}

#[tokio::test]
async fn an_undo_puts_everything_back_and_a_second_one_finds_nothing_to_do() {
    let (desk, before, file) = pruned().await;
    let unasked = desk.run(&["restore", &file]).await;
    assert_eq!((unasked.code, writes(&desk)), (Some(2), 0), "{unasked:?}");
    assert!(unasked.out.contains("  + nodedns/v1/home/gone: 198.51.100.2, ttl 60, weighted 10\n"), "{}", unasked.out);
    let said = desk.run(&["restore", &file, "--yes", "--undo-file", "redo.json"]).await;
    assert_eq!((said.code, desk.sim.record_sets(ZONE)), (Some(0), before), "{said:?}");
    let again = desk.run(&["restore", &file, "--yes"]).await;
    assert_eq!((again.code, again.out.as_str()), (Some(0), "everything is as it was: nothing to restore\n"));
    assert_eq!(writes(&desk), 2);
    // What restore did can be undone as well.
    let said = desk.run(&["restore", "redo.json", "--yes"]).await;
    assert_eq!((said.code, left(&desk, NAME)), (Some(0), vec!["n1".to_owned()]), "{said:?}");
}

#[tokio::test]
async fn the_file_can_be_applied_by_hand_and_read_by_nobody_else() {
    let (_desk, _, file) = pruned().await;
    let mode = fs::metadata(&file).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let value: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).expect("text")).expect("JSON");
    assert_eq!(
        (&value["format"], &value["version"], &value["command"]),
        (&json!("nodedns-undo"), &json!(1), &json!("prune"))
    );
    assert_eq!((&value["cluster"], &value["pools"][0]["zone_id"]), (&json!("home"), &json!(ZONE)));
    let expected = json!({
        "Comment": "undoes nodedns prune",
        "Changes": [{"Action": "CREATE", "ResourceRecordSet": {
            "Name": "a.example.com.", "Type": "A", "SetIdentifier": "nodedns/v1/home/gone", "Weight": 10, "TTL": 60,
            "ResourceRecords": [{"Value": "198.51.100.2"}],
        }}],
    });
    assert_eq!(value["pools"][0]["change_batch"], expected);
}

#[tokio::test]
async fn what_somebody_has_changed_since_is_left_alone_and_named() {
    let (desk, before, file) = pruned().await;
    let back = set(NAME, "nodedns/v1/home/gone", "203.0.113.7");
    desk.sim.put(ZONE, back.clone());
    let (code, shown) = desk.json(&["restore", &file, "--yes"]).await;
    assert_eq!(code, Some(1), "{shown}");
    assert_eq!(shown["left_alone"][0]["set_identifier"], "nodedns/v1/home/gone");
    assert_eq!(shown["pools"][0]["name"], "b.example.com");
    assert!(desk.sim.record_sets(ZONE).contains(&back.into_stored().expect("valid")));
    assert_eq!(
        desk.sim.pool(ZONE, "b.example.com", "A"),
        before.into_iter().filter(|set| set.name.starts_with("b.")).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_name_that_cannot_be_read_holds_up_no_other() {
    let (desk, before, file) = pruned().await;
    desk.sim.inject(
        route53_sim::Operation::ListResourceRecordSets,
        route53_sim::Fault::AccessDenied,
        route53_sim::Count::Next(1),
    );
    let said = desk.run(&["restore", &file, "--yes"]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("a.example.com A is left alone: the name cannot be read"), "{}", said.out);
    assert_eq!((left(&desk, NAME).len(), left(&desk, "b.example.com").len()), (1, 2));
    let said = desk.run(&["restore", &file, "--yes"]).await;
    assert_eq!((said.code, desk.sim.record_sets(ZONE)), (Some(0), before), "{said:?}");
}

fn ours(identifier: Option<&str>, routing: Routing, values: &[&str]) -> record::RecordSet {
    record::RecordSet {
        set_identifier: identifier.map(|text| SetIdentifier(text.to_owned())),
        routing,
        target: Target::Values { ttl: 60, values: values.iter().copied().map(Value::new).collect() },
        health_check_id: None,
    }
}

fn diff_of(edits: Vec<Edit>) -> PoolDiff {
    PoolDiff { zone_id: ZONE.to_owned(), name: world::name(NAME), rtype: RecordType::A, edits, witnesses: Vec::new() }
}

fn written(desk: &Desk, name: &str, command: &str, cluster: &str, edits: Vec<Edit>) -> String {
    let path = desk.path(name);
    UndoFile::new(command, cluster, "n1", Timestamp::UNIX_EPOCH, &[diff_of(edits)]).write(&path).expect("written");
    path.display().to_string()
}

/// What an adopt of a simple record does: the simple record goes, two weighted sets come.
fn adoption() -> Vec<Edit> {
    let simple = ours(None, Routing::Simple, &["198.51.100.1", "198.51.100.2"]);
    let weighted = |id, value| ours(Some(id), Routing::Weighted(10), &[value]);
    vec![
        Edit::Delete(simple),
        Edit::Create(weighted("nodedns/v1/home/n1", "198.51.100.1")),
        Edit::Create(weighted("kept", "198.51.100.2")),
    ]
}

#[tokio::test]
async fn an_undo_empties_no_pool_and_leans_on_what_stays() {
    let (desk, _server) = desk(&[]).await;
    let ours = ours(Some("nodedns/v1/home/n1"), Routing::Weighted(10), &["198.51.100.1"]);
    let file = written(&desk, "adopt.json", "adopt", "home", vec![Edit::Create(ours)]);
    publish(&desk, NAME, &["n1"]);
    let (code, shown) = desk.json(&["restore", &file, "--yes"]).await;
    assert_eq!((code, left(&desk, NAME), writes(&desk)), (Some(1), vec!["n1".to_owned()], 0), "{shown}");
    let alone = &shown["left_alone"][0];
    assert_eq!(alone["explanation"], "only 0 would be left of the record sets there, and keep_min = 1 must stay");
    assert!(alone["hint"].as_str().is_some_and(|hint| hint.contains("keep_min = 0")), "{alone}");
    desk.sim.put(ZONE, set(NAME, "by hand", "203.0.113.1"));
    publish(&desk, NAME, &["n1", "n2"]);
    let (code, shown) = desk.json(&["restore", &file, "--yes"]).await;
    assert_eq!((code, left(&desk, NAME)), (Some(0), vec!["by hand".to_owned(), "n2".to_owned()]), "{shown}");
    assert_eq!(shown["pools"][0]["witnesses"], json!(["nodedns/v1/home/n2"]));
    let requests = desk.sim.requests();
    let change = requests.iter().find(|request| !request.changes.is_empty()).expect("a change");
    let said: Vec<_> =
        change.changes.iter().map(|(action, set)| (action.to_string(), set.set_identifier.clone())).collect();
    let of = |action: &str, node: &str| (action.to_owned(), Some(format!("nodedns/v1/home/{node}")));
    assert_eq!(said, [of("DELETE", "n1"), of("DELETE", "n2"), of("CREATE", "n2")]);
}

#[tokio::test]
async fn the_keep_min_of_the_record_holds_for_an_undo() {
    let (desk, _server) = desk(&[]).await;
    desk.replace("name = \"a.example.com\"", "name = \"a.example.com\"\nkeep_min = 2");
    let created = ours(Some("nodedns/v1/home/n1"), Routing::Weighted(10), &["198.51.100.1"]);
    let file = written(&desk, "adopt.json", "adopt", "home", vec![Edit::Create(created)]);
    publish(&desk, NAME, &["n1", "n2"]);
    let said = desk.run(&["restore", &file, "--yes"]).await;
    assert_eq!((said.code, writes(&desk)), (Some(1), 0), "{said:?}");
    assert!(said.out.contains("only 1 would be left of the record sets there, and keep_min = 2"), "{said:?}");
    desk.replace("keep_min = 2", "keep_min = 0");
    let said = desk.run(&["restore", &file, "--yes"]).await;
    assert_eq!((said.code, left(&desk, NAME)), (Some(0), vec!["n2".to_owned()]), "{said:?}");
}

#[tokio::test]
async fn what_route_53_would_refuse_is_said_before_anybody_is_asked() {
    let (desk, _server) = desk(&[]).await;
    // Another node has adopted since.
    let file = written(&desk, "adopt.json", "adopt", "home", adoption());
    publish(&desk, NAME, &["n1"]);
    desk.sim.put(ZONE, set(NAME, "kept", "198.51.100.2"));
    desk.sim.put(ZONE, set(NAME, "nodedns/v1/home/n2", "198.51.100.3"));
    let said = desk.run(&["restore", &file, "--yes"]).await;
    assert_eq!((said.code, writes(&desk)), (Some(1), 0), "{said:?}");
    assert!(said.out.contains("would come back beside 1 others\nhint: stop the daemons"), "{said:?}");
    // All have another TTL by now.
    let gone = ours(Some("nodedns/v1/home/gone"), Routing::Weighted(10), &["198.51.100.9"]);
    let gone = record::RecordSet {
        target: Target::Values { ttl: 300, values: BTreeSet::from([Value::new("198.51.100.9")]) },
        ..gone
    };
    let file = written(&desk, "prune.json", "prune", "home", vec![Edit::Delete(gone)]);
    let said = desk.run(&["restore", &file, "--yes"]).await;
    assert_eq!((said.code, writes(&desk)), (Some(1), 0), "{said:?}");
    assert!(said.out.contains("with a TTL of 300, and the others have 60 by now\nhint: "), "{said:?}");
}

#[tokio::test]
async fn an_adopt_is_undone_in_one_batch_or_not_at_all() {
    let (desk, _server) = desk(&[]).await;
    let file = written(&desk, "adopt.json", "adopt", "home", adoption());
    for changed in [false, true] {
        let own = if changed { "203.0.113.1" } else { "198.51.100.1" };
        desk.sim.remove(ZONE, NAME, "A", None);
        desk.sim.put(ZONE, set(NAME, "nodedns/v1/home/n1", own));
        desk.sim.put(ZONE, set(NAME, "kept", "198.51.100.2"));
        desk.sim.clear_requests();
        let said = desk.run(&["restore", &file, "--yes"]).await;
        let pool = desk.sim.pool(ZONE, NAME, "A");
        match changed {
            false => {
                assert_eq!((said.code, writes(&desk), pool.len()), (Some(0), 1, 1), "{said:?}");
                assert_eq!((&pool[0].set_identifier, pool[0].values.len()), (&None, 2));
            }
            true => {
                assert_eq!((said.code, writes(&desk), pool.len()), (Some(1), 0, 2), "{said:?}");
                assert!(said.out.contains("nodedns/v1/home/n1 is left alone: somebody has changed it"), "{}", said.out);
            }
        }
    }
}

#[tokio::test]
async fn a_file_that_is_not_right_changes_nothing() {
    let (desk, _server) = desk(&[]).await;
    let good = fs::read_to_string(written(&desk, "good.json", "prune", "home", adoption())).expect("text");
    let cases: Vec<(String, &str)> = vec![
        (good[..good.len() / 2].to_owned(), "is damaged or breaks off"),
        (String::new(), "is damaged or breaks off"),
        ("{\"Changes\": []}".to_owned(), "is not an undo file of nodedns"),
        ("[1]".to_owned(), "is not an undo file of nodedns"),
        (good.replace("nodedns-undo", "other-undo"), "is not an undo file of nodedns"),
        (good.replace("\"version\": 1", "\"version\": 2"), "is of version 2, and this program knows version 1\nhint: "),
        (good.replace("\"cluster\": \"home\"", "\"cluster\": \"home-2\""), "is of the cluster \"home-2\""),
        (good.replacen("198.51.100.1", "198.51.100.9", 1), "was it edited?"),
        (good.replace("\"kept\"", "\"nodedns/v1/home/n1\""), "one set identifier is in it twice"),
        (
            good.replace("a.example.com.\",\n          \"Type\"", "b.example.com.\",\n          \"Type\""),
            "makes no sense",
        ),
        (good.replace("\"Weight\": 10", "\"Weight\": 10,\"Region\": \"eu-west-1\""), "more than one routing policy"),
        (good.replace("\"Weight\": 10", "\"Wait\": 10"), "damaged"),
    ];
    for (number, (text, why)) in cases.into_iter().enumerate() {
        assert_ne!(text, good, "case {number}");
        let path = desk.path(&format!("bad-{number}.json"));
        fs::write(&path, text).expect("written");
        let said = desk.run(&["restore", &path.display().to_string(), "--yes"]).await;
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.err.contains(why), "{why:?} is not in {}", said.err);
    }
    let said = desk.run(&["restore", "no-such-file.json", "--yes"]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("no-such-file.json cannot be read"), "{}", said.err);
    assert_eq!(desk.sim.requests().len(), 0);
}

#[test]
fn an_undo_file_is_never_written_over_another() {
    let directory = TempDir::new().expect("a directory");
    let file = UndoFile::new("prune", "home", "n1", Timestamp::UNIX_EPOCH, &[diff_of(adoption())]);
    let path = |result: std::io::Result<std::path::PathBuf>| result.expect("written");
    let (one, two) = (path(write_somewhere(&file, directory.path())), path(write_somewhere(&file, directory.path())));
    assert_eq!(one, directory.path().join("undo/prune-19700101T000000Z.json"));
    assert_eq!(two, directory.path().join("undo/prune-19700101T000000Z-2.json"));
    assert!(file.write(&one).is_err());
    assert_eq!(UndoFile::read(&one).expect("ours"), file);
}

fn a_set() -> impl Strategy<Value = record::RecordSet> {
    let text =
        || prop::sample::select(vec!["x", "nodedns/v1/home/n1", "ü \"quoted\" \\", "a\u{7f}b"]).prop_map(str::to_owned);
    let degrees = prop::sample::select(vec!["50.1", "+50.10", "-0.5", "090", "7.", "-00.00"]);
    let point = (degrees.clone(), degrees).prop_map(|(latitude, longitude)| {
        Location::Coordinates(Coordinates::listed(latitude, longitude).expect("a point"))
    });
    let location = prop_oneof![
        2 => point,
        1 => Just(Location::AwsRegion("eu-central-1".into())),
        1 => Just(Location::LocalZoneGroup("us-west-2-den-1".into())),
    ];
    let routing = prop_oneof![
        Just(Routing::Simple),
        any::<u8>().prop_map(Routing::Weighted),
        (location, -99_i8..=99).prop_map(|(location, bias)| Routing::GeoProximity { location, bias }),
        Just(Routing::MultiValue),
        text().prop_map(Routing::Latency),
        Just(Routing::Geolocation(Origin::Continent("EU".into()))),
        Just(Routing::Geolocation(Origin::Country("*".into()))),
        Just(Routing::Geolocation(Origin::Subdivision { country: "US".into(), subdivision: "CA".into() })),
        Just(Routing::Failover(FailoverRole::Primary)),
        Just(Routing::Failover(FailoverRole::Secondary)),
        Just(Routing::Cidr { collection_id: "c".into(), location_name: "*".into() }),
    ];
    let value = prop::sample::select(vec!["192.0.2.1", "192.0.2.2", "2001:DB8::1", "not an address"]);
    let values = (0_u32..=i32::MAX as u32, prop::collection::btree_set(value, 1..4)).prop_map(|(ttl, values)| {
        Target::Values { ttl, values: values.into_iter().map(Value::new).collect::<BTreeSet<_>>() }
    });
    let target = prop_oneof![
        4 => values,
        1 => (text(), any::<bool>()).prop_map(|(text, evaluate_target_health)| Target::Alias {
            hosted_zone_id: "Z2".into(),
            dns_name: text,
            evaluate_target_health,
        }),
        1 => text().prop_map(Target::TrafficPolicyInstance),
    ];
    (text(), routing, target, prop::option::of(text())).prop_map(|(identifier, routing, target, health_check_id)| {
        let set_identifier = (routing != Routing::Simple).then_some(SetIdentifier(identifier));
        record::RecordSet { set_identifier, routing, target, health_check_id }
    })
}

proptest! {
    #[test]
    fn every_record_set_survives_the_undo_file(before in a_set(), after in a_set()) {
        let path = Path::new("undo.json");
        for edits in [vec![Edit::Delete(before.clone())], vec![Edit::Create(after.clone())], vec![Edit::Replace { before, after }]] {
            let file = UndoFile::new("prune", "home", "n1", Timestamp::UNIX_EPOCH, &[diff_of(edits.clone())]);
            let text = serde_json::to_string(&file).expect("JSON");
            let read: UndoFile = serde_json::from_str(&text).expect("ours");
            prop_assert_eq!(&read, &file);
            let undos = read.undos(path).expect("sense");
            let [undo] = &undos[..] else { panic!("one pool") };
            let is_same = |sets: &[record::RecordSet], wanted: Option<&record::RecordSet>| match (sets, wanted) {
                ([], None) => true,
                ([set], Some(wanted)) => is_same_text(set, wanted),
                _ => false,
            };
            prop_assert!(is_same(&undo.removed, edits[0].before()) && is_same(&undo.created, edits[0].after()));
        }
    }
}

#[test]
fn a_diff_says_what_comes_goes_and_differs() {
    let point = |latitude, bias| Routing::GeoProximity {
        location: Location::Coordinates(Coordinates::listed(latitude, "8.68").expect("a point")),
        bias,
    };
    let here = ours(Some("nodedns/v1/home/n1"), point("50.11", 0), &["198.51.100.1"]);
    let there = record::RecordSet {
        target: Target::Values { ttl: 300, values: BTreeSet::from([Value::new("198.51.100.2")]) },
        health_check_id: Some("11111111-2222-3333-4444-555555555555".to_owned()),
        ..ours(Some("nodedns/v1/home/n1"), point("50.11", 10), &[])
    };
    let alias = record::RecordSet {
        target: Target::Alias {
            hosted_zone_id: "Z2".into(),
            dns_name: "lb.example.com.".into(),
            evaluate_target_health: true,
        },
        ..ours(None, Routing::Simple, &[])
    };
    let only_ttl = |ttl| record::RecordSet {
        target: Target::Values { ttl, values: BTreeSet::from([Value::new("198.51.100.9")]) },
        ..ours(Some("b\u{1b}[31m"), Routing::Weighted(1), &[])
    };
    let pool = diff_of(vec![
        Edit::Create(here.clone()),
        Edit::Delete(alias),
        Edit::Replace { before: here, after: there },
        Edit::Replace { before: only_ttl(60), after: only_ttl(61) },
    ]);
    let witnesses = ["nodedns/v1/home/n2", "by hand\u{1b}"].map(|id| SetIdentifier(id.to_owned())).to_vec();
    let pool = PoolDiff { witnesses, ..pool };
    insta::assert_snapshot!("diff_wide", diff::render(&pool, None));
    insta::assert_snapshot!("diff_80", diff::render(&pool, Some(80)));
    insta::assert_snapshot!("diff_json", serde_json::to_string_pretty(&pool.view()).expect("JSON"));
}
