//! What a prune says before it shows the diff.

use nodedns::cli::operate::{Outcome, PoolReport, Report};
use nodedns::cli::prune::{DeadView, KeptView, Shown, render};
use nodedns::cli::restore;
use nodedns::decide::policy::Signal;
use nodedns::decide::prune::{Dead, Place, Why};
use nodedns::decide::record::{Pool, RecordType};

use crate::support::world;

fn kept(name: &str, identifier: Option<&str>, why: &Why) -> KeptView {
    let place = Place {
        zone_id: "Z0123456789ABC".to_owned(),
        name: world::name(name),
        rtype: RecordType::Aaaa,
        keep_min: 1,
        not_ready: Signal::NotReady.default_policy(),
        pool: Pool::new(),
        shown: None,
    };
    KeptView::new(&place, identifier.map(str::to_owned), why)
}

fn unknown() -> Dead {
    Dead::NotReady(std::time::Duration::from_secs(11_100), Some("NodeStatusUnknown".to_owned()))
}

fn shown() -> Shown {
    let lasts = std::time::Duration::from_secs(90);
    let of = |node: &str| format!("nodedns/v1/home/{node}");
    let kept = vec![
        kept("edge.example.com", Some(&of("n1")), &Why::Live),
        kept("edge.example.com", Some("by hand"), &Why::Foreign),
        kept("edge.example.com", Some("nodedns/v1/home-2/n1"), &Why::OtherCluster),
        kept("edge.example.com", Some(&of("n5")), &Why::Cordoned),
        kept("edge.example.com", Some(&of("n6")), &Why::NotReadyFor(lasts)),
        kept("edge.example.com", Some(&of("n7")), &Why::SinceUnknown),
        kept("edge.example.com", None, &Why::TrafficPolicy),
        kept("n3.nodes.example.com", Some(&of("n3")), &Why::KeepMin(1, Dead::Gone)),
        kept("n4.nodes.example.com", Some(&of("n4")), &Why::KeepMin(1, unknown())),
        kept("ignored.example.com", Some(&of("n4")), &Why::Ignored),
    ];
    let nodes = vec![DeadView::new("n3", &Dead::Gone), DeadView::new("n4", &unknown())];
    Shown { report: Report::shown(&[]), nodes, kept, unread: Vec::new(), refused: None }
}

#[test]
fn who_is_dead_and_what_stays_is_said() {
    insta::assert_snapshot!("prune_wide", render(&shown(), None));
    insta::assert_snapshot!("prune_80", render(&shown(), Some(80)));
}

#[test]
fn what_others_write_forges_no_line() {
    let mut shown = shown();
    let lines = render(&shown, None).lines().count();
    shown.kept[7].set_identifier = Some("a\nedge.example.com\u{9b}2J\u{202e}".to_owned());
    let reason = Some("x\ny\u{1b}[2J".to_owned());
    shown.nodes[1] = DeadView::new("n4", &Dead::NotReady(std::time::Duration::ZERO, reason));
    for width in [None, Some(80)] {
        let text = render(&shown, width);
        assert!(!text.contains(['\u{9b}', '\u{202e}', '\u{1b}']), "{text}");
        assert!(
            text.contains("a\\nedge.example.com\\u{9b}2J\\u{202e}") && text.contains("(x\\ny\\u{1b}[2J)"),
            "{text}"
        );
    }
    assert_eq!(render(&shown, None).lines().count(), lines);
}

#[test]
fn what_is_not_restored_is_said() {
    let alone = |identifier: Option<&str>, explanation: &str| restore::LeftAlone {
        name: "edge.example.com".to_owned(),
        rtype: "A",
        zone_id: "Z1".to_owned(),
        set_identifier: identifier.map(str::to_owned),
        explanation: explanation.to_owned(),
        hint: identifier.is_none().then(|| "try again".to_owned()),
    };
    let left_alone = vec![alone(Some("x"), "somebody has changed it since"), alone(None, "the name cannot be read")];
    insta::assert_snapshot!("restore", restore::render(&restore::Shown { report: Report::shown(&[]), left_alone }));
}

#[test]
fn how_it_ends_follows_from_what_became_of_the_pools() {
    use nodedns::cli::exit::Exit;
    let pool = |outcome| PoolReport {
        diff: nodedns::cli::diff::PoolDiffView {
            name: "edge.example.com".to_owned(),
            rtype: "A",
            zone_id: "Z1".to_owned(),
            changes: Vec::new(),
            witnesses: Vec::new(),
        },
        outcome,
        left: Vec::new(),
        change_id: None,
        message: None,
    };
    let exit = |outcomes: &[Outcome]| {
        let pools = outcomes.iter().copied().map(pool).collect();
        Report { dry_run: false, pools, ..Report::shown(&[]) }.exit()
    };
    assert_eq!(exit(&[]), Exit::Ok);
    assert_eq!(exit(&[Outcome::Done, Outcome::Left]), Exit::Ok);
    for bad in [Outcome::Changed, Outcome::Unconfirmed, Outcome::Failed, Outcome::NotTried, Outcome::Shown] {
        assert_eq!(exit(&[Outcome::Done, bad]), Exit::Failed, "{bad:?}");
    }
    assert_eq!(Report { interrupted: true, dry_run: false, ..Report::shown(&[]) }.exit(), Exit::Failed);
    assert_eq!(Report::shown(&[]).exit(), Exit::Ok);
    assert_eq!(Report { pools: vec![pool(Outcome::Shown)], ..Report::shown(&[]) }.exit(), Exit::Differs);
}
