//! Dead siblings: who is removed, when, by whom, and everything that keeps anyone from being removed.

use std::collections::BTreeSet;
use std::time::Duration;

use nodedns::decide::engine::{Effect, Event, Notice, Target};
use nodedns::decide::node::{Cluster, Readiness};
use nodedns::decide::observed::Observed;
use nodedns::decide::policy::{RecordPolicy, Signal, SignalAction, SignalPolicy};
use nodedns::decide::provider::ErrorKind;
use nodedns::decide::random::Random;
use nodedns::decide::record::RecordType;
use nodedns::decide::survivors::{Outlook, STEP};
use nodedns::decide::time::Moment;

use super::{EDGE, ZONE};
use crate::support::hostile::{HANG, Sent, Treatment, target};
use crate::support::siblings::{GRACE, Happening, World};
use crate::support::world;

/// Five nodes; tests take the first few.
const NODES: [(&str, &str); 5] = [
    ("n1", "185.12.64.11"),
    ("n2", "185.12.64.12"),
    ("n3", "185.12.64.13"),
    ("n4", "185.12.64.14"),
    ("n5", "185.12.64.15"),
];

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

fn edge() -> Target {
    target(ZONE, EDGE)
}

fn down() -> Option<Readiness> {
    Some(Readiness::NotReady(Some("NodeStatusUnknown".into())))
}

fn owner(node: &str) -> String {
    format!("nodedns/v1/home/{node}")
}

fn owners(nodes: &[&str]) -> BTreeSet<String> {
    nodes.iter().map(|node| owner(node)).collect()
}

/// The first `count` nodes, all published, each of which knows the pool; these are survivors.
fn cluster_of(count: usize, survivors: &[&str], record: RecordPolicy) -> World {
    let mut world = fresh_cluster_of(count, survivors, record);
    world.after(Duration::ZERO, Happening::Recheck);
    world.run_for(60 * SECOND);
    world
}

/// The same just after they have started together: none knows who came after it.
fn fresh_cluster_of(count: usize, survivors: &[&str], record: RecordPolicy) -> World {
    let nodes: Vec<_> =
        NODES[..count].iter().map(|(node, address)| (*node, *address, survivors.contains(node))).collect();
    let mut world = World::new(&nodes, &[record]);
    world.run_for(10 * SECOND);
    assert_eq!(world.pool(&edge(), RecordType::A).len(), count);
    world
}

fn record() -> RecordPolicy {
    world::record(EDGE, ZONE)
}

/// The node loses power, and the cluster says so at once.
fn dies(world: &mut World, node: &'static str) -> Moment {
    world.after(Duration::ZERO, Happening::Power(node, false));
    world.after(Duration::ZERO, Happening::Node(node, down()));
    world.now
}

fn removed(world: &World) -> Vec<(Moment, String)> {
    world.removals.iter().map(|(at, _, identifier)| (*at, identifier.0.clone())).collect()
}

#[test]
fn a_node_that_loses_power_leaves_within_the_grace_and_two_seconds() {
    for survivors in [&["n1"][..], &["n2"], &["n1", "n2"], &["n1", "n2", "n3"]] {
        for knows_the_pool in [true, false] {
            for gone in [true, false] {
                let make = if knows_the_pool { cluster_of } else { fresh_cluster_of };
                let mut world = make(3, survivors, record());
                let died = dies(&mut world, "n3");
                if gone {
                    world.after(10 * SECOND, Happening::Node("n3", None));
                }
                world.run_for(GRACE + 2 * SECOND);
                let case = format!("{survivors:?}, knows {knows_the_pool}, gone {gone}");
                assert_eq!(world.pool(&edge(), RecordType::A), owners(&["n1", "n2"]), "{case}");
                let [(at, who)] = &removed(&world)[..] else { panic!("{case}: {:?}", world.removals) };
                assert_eq!(*who, owner("n3"), "{case}");
                assert!(*at >= died + GRACE && *at <= died + GRACE + 2 * SECOND, "{case}: {at:?}");
                // Whoever comes second asks, finds nothing to do, and says nothing.
                world.run_for(600 * SECOND);
                assert_eq!(world.removals.len(), 1, "{case}");
                for survivor in survivors.iter().filter(|node| **node != "n3") {
                    let (readings, lists, batches) = world.requests(survivor);
                    let lists_before = 1 + usize::from(knows_the_pool);
                    assert!(readings <= 1 && lists <= lists_before + 2 && batches <= 2, "{case}: {survivor}");
                    assert_eq!(world.has_told(survivor, |n| matches!(n, Notice::Failed { .. })), 0, "{case}");
                }
                let told = |node| world.has_told(node, |notice| matches!(notice, Notice::Removed { .. }));
                assert_eq!(told("n1") + told("n2"), 1, "{case}");
            }
        }
    }
}

#[test]
fn what_was_removed_is_told_with_its_addresses() {
    let mut world = cluster_of(3, &["n1"], record());
    dies(&mut world, "n3");
    world.run_for(GRACE + 5 * SECOND);
    let expected = |notice: &Notice| {
        matches!(notice, Notice::Removed { target, rtype: RecordType::A, set_identifier, addresses, down_for, .. }
            if *target == edge() && set_identifier.0 == owner("n3") && *down_for >= GRACE
                && *addresses == ["185.12.64.13".parse::<std::net::IpAddr>().expect("an address")])
    };
    assert_eq!(world.has_told("n1", expected), 1, "{:?}", world.daemon("n1").notices);
    // The own record set, which was the witness, is as it was, and nobody calls that drift.
    assert_eq!(world.has_told("n1", |notice| matches!(notice, Notice::Drift { .. })), 0);
    assert!(world.daemon("n1").engine.report().records.iter().all(|record| record.is_healthy()));
}

#[test]
fn the_first_in_the_order_does_the_work_and_the_next_takes_over_when_it_cannot() {
    let mut world = cluster_of(5, &["n1", "n2", "n3", "n4"], record());
    dies(&mut world, "n5");
    world.run_for(GRACE + 10 * SECOND);
    let first = world.removals[0].1;
    // Now the one that was the first cannot reach Route 53.
    let mut world = cluster_of(5, &["n1", "n2", "n3", "n4"], record());
    world.after(Duration::ZERO, Happening::Treatments(first, vec![Treatment::Hangs; 1000]));
    let died = dies(&mut world, "n5");
    world.run_for(GRACE + 10 * SECOND);
    let (at, second, _) = world.removals[0];
    assert_ne!(second, first);
    assert!(at >= died + GRACE + STEP && at <= died + GRACE + 2 * STEP, "{at:?}");
    assert_eq!(world.removals.len(), 1);
}

#[test]
fn two_that_die_together_leave_together() {
    let mut world = cluster_of(5, &["n1", "n2", "n3"], record());
    let died = dies(&mut world, "n4");
    dies(&mut world, "n5");
    world.run_for(GRACE + 3 * SECOND);
    assert_eq!(world.pool(&edge(), RecordType::A), owners(&["n1", "n2", "n3"]));
    assert!(removed(&world).iter().all(|(at, _)| *at <= died + GRACE + 2 * SECOND));
}

/// The node was cut off from the cluster, not dead, and is back at every moment at which anything
/// happens around its removal: before, between and after each request and each answer.
#[test]
fn a_node_that_comes_back_in_that_very_moment_is_in_the_pool_half_a_minute_later() {
    let cut_off = || {
        let mut world = cluster_of(3, &["n1", "n2"], record());
        world.after(Duration::ZERO, Happening::Line("n3", false));
        world.after(Duration::ZERO, Happening::Node("n3", down()));
        world
    };
    let mut world = cut_off();
    let down_since = world.now;
    world.run_for(GRACE + 5 * SECOND);
    assert_eq!(world.removals.len(), 1);
    let begin = down_since + GRACE;
    let mut moments: BTreeSet<Moment> = BTreeSet::new();
    for node in ["n1", "n2"] {
        for sent in world.daemon(node).sent.iter().filter(|sent| sent.at >= begin) {
            for after in [0, 10, 30, 40, 41] {
                let at = sent.at + after * MILLISECOND;
                moments.extend([at + MILLISECOND, at, Moment::new(at.since_origin() - MILLISECOND)]);
            }
        }
    }
    assert!(moments.len() > 20, "{moments:?}");
    let (mut stayed, mut returned) = (0, 0);
    for moment in moments {
        let mut world = cut_off();
        world.at(moment, Happening::Node("n3", Some(Readiness::Ready)));
        world.at(moment, Happening::Line("n3", true));
        world.run_for(moment - world.now + 31 * SECOND);
        assert_eq!(world.pool(&edge(), RecordType::A), owners(&["n1", "n2", "n3"]), "back at {moment:?}");
        if world.removals.is_empty() {
            stayed += 1
        } else {
            returned += 1
        }
        let (_, lists, _) = world.requests("n3");
        assert!(lists <= 5, "a few looks, no more: {lists}");
        // And nobody removes it once more.
        world.run_for(600 * SECOND);
        assert_eq!(world.pool(&edge(), RecordType::A), owners(&["n1", "n2", "n3"]), "back at {moment:?}");
        assert!(world.removals.len() <= 1);
    }
    assert!(stayed > 0 && returned > 0, "both come about: {stayed}, {returned}");
}

/// Whatever the node itself has seen of it: a removal that was decided just before it came back, and
/// waited for its turn, is made good.
#[test]
fn a_removal_that_lands_after_the_node_is_back_is_made_good() {
    for restarts in [true, false] {
        for seen in [true, false] {
            for late in 0..20 {
                let mut world = cluster_of(3, &[], record());
                if restarts {
                    world.after(Duration::ZERO, Happening::Power("n3", false));
                } else if seen {
                    world.after(GRACE, Happening::Node("n3", down()));
                } else {
                    world.after(Duration::ZERO, Happening::Line("n3", false));
                }
                world.run_for(GRACE + SECOND);
                if restarts && seen {
                    world.after(Duration::ZERO, Happening::Node("n3", down()));
                    world.after(Duration::ZERO, Happening::Power("n3", true));
                    world.after(SECOND, Happening::Node("n3", Some(Readiness::Ready)));
                    world.run_for(SECOND);
                } else if restarts {
                    world.after(Duration::ZERO, Happening::Power("n3", true));
                } else {
                    world.after(Duration::ZERO, Happening::Node("n3", Some(Readiness::Ready)));
                    world.after(Duration::ZERO, Happening::Line("n3", true));
                }
                world.after(late * SECOND + SECOND / 2, Happening::Lands("n3"));
                world.run_for(30 * SECOND + 200 * MILLISECOND);
                let pool = world.pool(&edge(), RecordType::A);
                let case = format!("restarts {restarts}, seen {seen}, {late} s late");
                assert_eq!(pool, owners(&["n1", "n2", "n3"]), "{case}");
            }
        }
    }
}

/// A machine that stood still as a whole sees only the end of its absence.
#[test]
fn a_node_that_learns_of_its_absence_only_at_its_end_looks_at_once() {
    let mut world = cluster_of(3, &["n1"], record());
    world.after(Duration::ZERO, Happening::Stands("n3", true));
    world.after(Duration::ZERO, Happening::Node("n3", down()));
    world.run_for(GRACE + 10 * SECOND);
    assert_eq!(world.removals.len(), 1);
    world.after(Duration::ZERO, Happening::Stands("n3", false));
    world.after(SECOND, Happening::Node("n3", Some(Readiness::Ready)));
    world.run_for(15 * SECOND);
    assert!(world.pool(&edge(), RecordType::A).contains(&owner("n3")));
}

#[test]
fn a_record_that_is_patient_with_not_ready_keeps_everybody_for_as_long() {
    let after = 3 * GRACE;
    let patient = SignalPolicy { after, ..Signal::NotReady.default_policy() };
    let record = RecordPolicy { signals: [(Signal::NotReady, patient)].into(), ..record() };
    let mut world = cluster_of(3, &["n1", "n2"], record);
    let died = dies(&mut world, "n3");
    world.run_for(SECOND);
    let removal_at = world.daemon("n1").engine.report().survivors.expect("is a survivor").dead[0].removal_at;
    assert!(removal_at >= Some(died + after), "{removal_at:?}");
    world.run_for(after + 2 * SECOND);
    let [(at, who)] = &removed(&world)[..] else { panic!("{:?}", world.removals) };
    assert!(*who == owner("n3") && *at >= died + after, "{at:?}");
    assert!(world.requests("n1").0 <= 1, "nothing is asked for in vain");
}

#[test]
fn a_suspend_starts_the_wait_over() {
    let mut world = cluster_of(3, &["n1"], record());
    dies(&mut world, "n3");
    world.run_for(GRACE - SECOND);
    world.after(Duration::ZERO, Happening::Answer("n1", 1, Event::Resumed));
    world.run_for(GRACE - SECOND);
    assert_eq!((world.removals.len(), world.requests("n1").0), (0, 0));
    world.run_for(3 * SECOND);
    assert_eq!(world.removals.len(), 1);
}

/// It was cut off for so short a time that its own watch never called it unknown; still others may
/// have taken it for dead.
#[test]
fn a_node_that_missed_its_own_absence_looks_when_its_watch_begins_anew() {
    let mut world = cluster_of(3, &[], record());
    world.run_for(60 * SECOND);
    world.after(Duration::ZERO, Happening::Lands("n3"));
    world.after(SECOND, Happening::Answer("n3", 1, Event::NodeListedAnew));
    world.run_for(2 * SECOND);
    assert_eq!(world.pool(&edge(), RecordType::A), owners(&["n1", "n2", "n3"]));
    world.after(10 * SECOND, Happening::Lands("n3"));
    world.run_for(31 * SECOND);
    assert_eq!(world.pool(&edge(), RecordType::A), owners(&["n1", "n2", "n3"]));
    // A connection that keeps breaking costs no more than two listings a minute.
    let before = world.requests("n3").1;
    for second in 0..600 {
        world.after(second * SECOND, Happening::Answer("n3", 1, Event::NodeListedAnew));
    }
    world.run_for(700 * SECOND);
    assert!(world.requests("n3").1 - before <= 24, "{}", world.requests("n3").1 - before);
}

#[test]
fn a_host_that_goes_down_removes_nobody_on_its_way() {
    let mut world = cluster_of(4, &["n1"], record());
    dies(&mut world, "n4");
    world.run_for(GRACE - SECOND);
    world.after(Duration::ZERO, Happening::Answer("n1", 1, Event::Stopping));
    world.run_for(60 * SECOND);
    assert_eq!(world.pool(&edge(), RecordType::A), owners(&["n2", "n3", "n4"]));
    assert_eq!((world.removals.len(), world.requests("n1").0), (0, 0));
}

/// Also where the own record sets stay as they are.
#[test]
fn a_host_that_goes_down_waits_for_the_removal_that_is_on_its_way() {
    let stays = SignalPolicy { action: SignalAction::Ignore, ..Signal::Stopping.default_policy() };
    let record = RecordPolicy { signals: [(Signal::Stopping, stays)].into(), ..record() };
    let mut world = cluster_of(3, &["n1"], record);
    dies(&mut world, "n3");
    world.run_for(GRACE - SECOND);
    while !world.daemon("n1").sent.iter().any(|sent| matches!(sent.effect, Effect::Remove(..))) {
        world.run_for(MILLISECOND);
    }
    world.after(Duration::ZERO, Happening::Answer("n1", 1, Event::Stopping));
    world.run_for(MILLISECOND);
    assert!(!world.daemon("n1").engine.has_departed());
    world.run_for(SECOND);
    assert!(world.daemon("n1").engine.has_departed());
}

#[test]
fn more_than_half_of_the_cluster_freezes_and_says_so() {
    let mut world = cluster_of(5, &["n1", "n2"], record());
    for node in ["n3", "n4", "n5"] {
        dies(&mut world, node);
    }
    world.run_for(3600 * SECOND);
    assert_eq!(world.removals.len(), 0);
    let report = world.daemon("n1").engine.report().survivors.expect("is a survivor");
    assert_eq!(report.outlook, Outlook::Frozen { down: 3, known: 5 });
    assert_eq!((report.nodes, report.not_ready, report.dead.len()), (5, 3, 3));
    assert!(report.dead.iter().all(|dead| dead.removal_at.is_none()));
    let frozen = |notice: &Notice| matches!(notice, Notice::Survivors(Outlook::Frozen { .. }));
    assert_eq!(world.has_told("n1", frozen), 1, "once, not each time");
    assert_eq!(world.requests("n1").0, 0);
    // One comes back, so it thaws, and the two others have long been dead.
    world.after(Duration::ZERO, Happening::Power("n3", true));
    world.after(Duration::ZERO, Happening::Node("n3", Some(Readiness::Ready)));
    world.run_for(3 * SECOND);
    assert!(world.pool(&edge(), RecordType::A).is_superset(&owners(&["n1", "n2"])));
    assert!(world.pool(&edge(), RecordType::A).is_disjoint(&owners(&["n4", "n5"])));
}

#[test]
fn nodes_that_were_deleted_count_among_the_down() {
    let mut world = cluster_of(5, &["n1", "n2"], record());
    for node in ["n3", "n4", "n5"] {
        world.after(Duration::ZERO, Happening::Power(node, false));
        world.after(Duration::ZERO, Happening::Node(node, None));
    }
    world.run_for(3600 * SECOND);
    assert_eq!(world.removals.len(), 0);
    let report = world.daemon("n1").engine.report().survivors.expect("is a survivor");
    assert_eq!(report.outlook, Outlook::Frozen { down: 3, known: 5 });
    assert!(report.dead.iter().all(|dead| dead.gone));
}

#[test]
fn when_every_node_is_said_to_be_not_ready_nobody_removes_anybody() {
    let mut world = cluster_of(3, &["n1", "n2", "n3"], record());
    for node in ["n1", "n2", "n3"] {
        world.after(Duration::ZERO, Happening::Node(node, down()));
    }
    world.run_for(3600 * SECOND);
    assert_eq!(world.removals.len(), 0);
    assert_eq!(world.pool(&edge(), RecordType::A).len(), 1, "the guard keeps one");
    let report = world.daemon("n1").engine.report().survivors.expect("is a survivor");
    assert_eq!((report.outlook, report.not_ready), (Outlook::NotFit, 3));
}

#[test]
fn a_time_in_which_nothing_is_known_starts_the_wait_over() {
    let mut world = cluster_of(3, &["n1"], record());
    dies(&mut world, "n3");
    world.run_for(GRACE - SECOND);
    world.after(Duration::ZERO, Happening::Line("n1", false));
    world.run_for(SECOND / 2);
    world.after(Duration::ZERO, Happening::Line("n1", true));
    let again = world.now;
    world.run_for(GRACE - MILLISECOND);
    assert_eq!(world.removals.len(), 0);
    world.run_for(3 * SECOND);
    assert!(removed(&world).first().is_some_and(|(at, _)| *at >= again + GRACE));
    // And unknown for ever is never.
    let mut world = cluster_of(3, &["n1"], record());
    dies(&mut world, "n3");
    world.after(SECOND, Happening::Line("n1", false));
    world.run_for(7200 * SECOND);
    assert_eq!(world.removals.len(), 0);
    let report = world.daemon("n1").engine.report().survivors.expect("is a survivor");
    assert_eq!(report.outlook, Outlook::Unknown);
}

#[test]
fn without_a_fresh_list_that_says_the_same_nothing_goes() {
    let nodes = |nodes: &[(&str, bool)]| -> Observed<Cluster> {
        let readiness = |ready| if ready { Readiness::Ready } else { Readiness::NotReady(None) };
        Observed::Known(nodes.iter().map(|(name, ready)| ((*name).to_owned(), readiness(*ready))).collect())
    };
    for (what, reading) in [
        ("it cannot be read", Observed::Unknown),
        ("it is empty", nodes(&[])),
        ("it is without this node", nodes(&[("n2", true)])),
        ("this node is not Ready in it", nodes(&[("n1", false), ("n2", true), ("n3", false)])),
        ("more than half are not Ready in it", nodes(&[("n1", true), ("n2", false), ("n3", false)])),
        ("it breaks off after the first", nodes(&[("n1", true)])),
        ("the dead one is Ready in it", nodes(&[("n1", true), ("n2", true), ("n3", true)])),
    ] {
        let mut world = cluster_of(3, &["n1"], record());
        world.after(Duration::ZERO, Happening::Readings("n1", vec![reading; 100_000]));
        dies(&mut world, "n3");
        world.run_for(GRACE + 1800 * SECOND);
        assert_eq!(world.removals.len(), 0, "{what}");
        let readings = world.requests("n1").0;
        assert!((30..=200).contains(&readings), "{what}: {readings} readings in half an hour");
        // Once it can be had, it is done within a backoff step.
        world.after(Duration::ZERO, Happening::Readings("n1", Vec::new()));
        world.run_for(32 * SECOND);
        assert_eq!(world.removals.len(), 1, "{what}");
    }
}

#[test]
fn keep_min_counts_only_the_living() {
    let two = RecordPolicy { keep_min: 2, ..record() };
    let mut world = cluster_of(4, &["n1"], two);
    dies(&mut world, "n3");
    world.run_for(GRACE + 3 * SECOND);
    assert_eq!(world.pool(&edge(), RecordType::A), owners(&["n1", "n2", "n4"]));
    dies(&mut world, "n4");
    world.run_for(GRACE + 3 * SECOND);
    assert_eq!(world.pool(&edge(), RecordType::A), owners(&["n1", "n2"]));

    // Two of four, but one of the living is out of the pool: then one of the dead has to stay with
    // the other, and so both do.
    let three = RecordPolicy { keep_min: 3, ..record() };
    let mut world = cluster_of(4, &["n1"], three);
    dies(&mut world, "n3");
    dies(&mut world, "n4");
    world.run_for(3600 * SECOND);
    assert_eq!(world.removals.len(), 0);
    let kept = |notice: &Notice| matches!(notice, Notice::DeadKept { .. });
    assert_eq!(world.has_told("n1", kept), 1, "once");
    assert!(world.requests("n1").0 <= 2, "and it is not asked for over and over: {}", world.requests("n1").0);
    let report = world.daemon("n1").engine.report().survivors.expect("is a survivor");
    assert!(report.dead.len() == 2 && report.dead.iter().all(|dead| dead.removal_at.is_none()));
}

/// The witness goes in the same moment: Route 53 refuses, and it is decided anew.
#[test]
fn a_witness_that_leaves_meanwhile_is_not_leaned_on() {
    let two = RecordPolicy { keep_min: 2, ..record() };
    let mut world = cluster_of(4, &["n1"], two);
    let died = dies(&mut world, "n4");
    let rank = world.daemon("n1").engine.report().survivors.expect("is a survivor").dead.first().cloned();
    assert!(rank.is_none(), "not told yet");
    world.run_for(SECOND);
    let report = world.daemon("n1").engine.report().survivors.expect("is a survivor");
    let removal_at = report.dead[0].removal_at.expect("it will be removed");
    assert!(removal_at >= died + GRACE);
    // n2 and n3 withdraw while n1 is at it, at every millisecond of its three requests.
    for offset in 0..=150 {
        let mut world = cluster_of(4, &["n1"], RecordPolicy { keep_min: 2, ..record() });
        dies(&mut world, "n4");
        for node in ["n2", "n3"] {
            let cut = removal_at + Duration::from_millis(offset);
            world.at(cut, Happening::Address(node, "10.0.0.1"));
            world.at(cut, Happening::Answer(node, 1, Event::Addresses(Observed::Known(world::snapshot(&[])))));
            world.at(cut, Happening::Answer(node, 1, Event::Addresses(Observed::Known(world::snapshot(&[])))));
        }
        world.run_for(GRACE + 30 * SECOND);
        assert!(world.pool(&edge(), RecordType::A).len() >= 2, "at {offset} ms");
    }
}

#[test]
fn what_is_nobodys_or_somebody_elses_stays() {
    let mut world = cluster_of(3, &["n1", "n2"], record());
    let strangers =
        ["by hand", "nodedns/v1/home-2/n3", "nodedns/v1/away/n3", "nodedns/v1/home/a-host", "nodedns/v2/home/n3"];
    let listing = world.names.get_mut(&edge()).expect("the name");
    for (rtype, address) in [(RecordType::A, "185.12.64.99"), (RecordType::Aaaa, "2a01:4ff:f0::99")] {
        for stranger in strangers {
            let set = world::weighted(stranger, address);
            listing.pools.entry(rtype).or_default().insert(set.set_identifier.clone(), set);
        }
    }
    world.after(Duration::ZERO, Happening::Recheck);
    dies(&mut world, "n3");
    world.run_for(7200 * SECOND);
    let strangers: BTreeSet<String> = strangers.map(str::to_owned).into();
    assert_eq!(world.pool(&edge(), RecordType::Aaaa), strangers);
    assert_eq!(world.pool(&edge(), RecordType::A), &strangers | &owners(&["n1", "n2"]));
}

#[test]
fn a_record_that_ignores_not_ready_keeps_everybody() {
    let policy = SignalPolicy { action: SignalAction::Ignore, ..Signal::NotReady.default_policy() };
    let ignoring = RecordPolicy { signals: [(Signal::NotReady, policy)].into(), ..record() };
    let mut world = cluster_of(3, &["n1", "n2"], ignoring);
    dies(&mut world, "n3");
    world.run_for(7200 * SECOND);
    assert_eq!(world.removals.len(), 0);
    assert_eq!(world.requests("n1").0, 0, "nothing is asked for in vain");
    let report = world.daemon("n1").engine.report().survivors.expect("is a survivor");
    assert!(report.dead.len() == 1 && report.dead[0].removal_at.is_none());
}

#[test]
fn whoever_is_no_survivor_removes_nobody_and_says_nothing() {
    let mut world = cluster_of(3, &[], record());
    dies(&mut world, "n3");
    world.run_for(7200 * SECOND);
    assert_eq!(world.removals.len(), 0);
    assert_eq!(world.daemon("n1").engine.report().survivors, None);
}

#[test]
fn a_node_that_is_not_ready_itself_removes_nobody() {
    let mut world = cluster_of(5, &["n1"], record());
    world.after(Duration::ZERO, Happening::Node("n1", down()));
    dies(&mut world, "n5");
    world.run_for(7200 * SECOND);
    assert!(removed(&world).is_empty());
    // Once it is fit, it may, and the other has been down for long enough.
    world.after(Duration::ZERO, Happening::Node("n1", Some(Readiness::Ready)));
    world.run_for(3 * SECOND);
    assert_eq!(removed(&world).len(), 1);
}

/// L3: whatever goes wrong with the removal, it is met with patience and done in the end; S6: and
/// the own record set follows its address meanwhile as if nothing were.
#[test]
fn trouble_is_met_with_patience_and_holds_up_nothing_of_ours() {
    for kind in ErrorKind::ALL {
        let mut world = cluster_of(3, &["n1"], record());
        dies(&mut world, "n3");
        world.run_for(GRACE - SECOND);
        let before = world.daemon("n1").sent.len();
        world.after(Duration::ZERO, Happening::Treatments("n1", vec![Treatment::Fails(kind); 100_000]));
        world.run_for(1800 * SECOND);
        let is_remote = |sent: &&Sent| !matches!(sent.effect, Effect::ReadAddresses);
        let sent = world.daemon("n1").sent[before..].iter().filter(is_remote).count();
        assert!(sent <= 30 + 12 * 30, "{kind:?}: {sent} requests in half an hour");
        assert_eq!(world.removals.len(), 0, "{kind:?}");
        // Route 53 takes everything but removals, so to say: the own address changes in between.
        world.after(Duration::ZERO, Happening::Treatments("n1", Vec::new()));
        world.after(Duration::ZERO, Happening::Address("n1", "185.12.64.77"));
        world.run_for(SECOND);
        let own = world.names[&edge()].get(RecordType::A, &nodedns::decide::owner::SetIdentifier(owner("n1")));
        let address = own.and_then(|set| set.addresses().first().copied());
        assert_eq!(address, "185.12.64.77".parse().ok(), "{kind:?}");
        world.run_for(31 * SECOND);
        assert_eq!(world.removals.len(), 1, "{kind:?}");
    }
}

#[test]
fn a_removal_whose_answer_was_lost_is_looked_up_and_not_repeated() {
    let mut world = cluster_of(3, &["n1"], record());
    dies(&mut world, "n3");
    world.run_for(GRACE - SECOND);
    let batches = world.requests("n1").2;
    world.after(Duration::ZERO, Happening::Treatments("n1", vec![Treatment::Serves, Treatment::LosesAnswer]));
    world.run_for(HANG + 40 * SECOND);
    assert_eq!(world.pool(&edge(), RecordType::A), owners(&["n1", "n2"]));
    assert_eq!(world.requests("n1").2 - batches, 1);
    assert_eq!(world.has_told("n1", |notice| matches!(notice, Notice::Drift { .. })), 0);
}

/// Killed before, between and after each request of a removal and each answer, also between the
/// change and its answer, and again when it starts anew and comes to the same point.
#[test]
fn a_survivor_that_is_killed_at_it_leaves_nothing_undone_and_does_nothing_twice() {
    for survivors in [&["n1"][..], &["n1", "n2"]] {
        let mut world = cluster_of(3, survivors, record());
        let died = dies(&mut world, "n3");
        world.run_for(GRACE + 5 * SECOND);
        let by = world.removals[0].1;
        let sent = world.daemon(by).sent.iter().filter(|sent| sent.at >= died + GRACE);
        let moments: BTreeSet<Duration> = sent
            .flat_map(|sent| [0, 1, 20, 29, 30, 31, 39, 40, 41].map(|after| sent.at - died + after * MILLISECOND))
            .collect();
        assert!(moments.len() > 15, "{moments:?}");
        let (mut before, mut after) = (0, 0);
        for moment in moments {
            let mut world = cluster_of(3, survivors, record());
            dies(&mut world, "n3");
            let case = format!("{by} of {survivors:?} is killed after {moment:?}");
            let killed = |world: &mut World| {
                world.after(moment, Happening::Power(by, false));
                world.after(moment + SECOND / 2, Happening::Power(by, true));
                world.run_for(moment + SECOND / 2);
            };
            killed(&mut world);
            if world.removals.is_empty() {
                before += 1;
                killed(&mut world);
            } else {
                after += 1;
            }
            let patience = if survivors.len() > 1 { 2 * SECOND } else { GRACE + 2 * SECOND };
            world.run_for(patience);
            let rest = world.pool(&edge(), RecordType::A);
            assert_eq!(rest, owners(&["n1", "n2"]), "{case}");
            world.run_for(600 * SECOND);
            assert_eq!(world.pool(&edge(), RecordType::A), rest, "{case}");
            assert_eq!(world.removals.len(), 1, "{case}: once");
        }
        assert!(before > 0 && after > 0, "both come about: {before}, {after}");
    }
}

/// A zone takes one batch at a time, and each name is looked at for itself.
#[test]
fn names_that_share_a_zone_are_all_rid_of_the_dead() {
    let nodes = NODES[..3].iter().map(|(node, address)| (*node, *address, *node == "n1")).collect::<Vec<_>>();
    let names = [("edge.example.com", "Z1"), ("other.example.com", "Z1"), ("edge.example.net", "Z2")];
    let records: Vec<_> = names.iter().map(|(name, zone)| world::record(name, zone)).collect();
    let mut world = World::new(&nodes, &records);
    world.run_for(10 * SECOND);
    dies(&mut world, "n3");
    world.run_for(GRACE + 2 * SECOND);
    for (name, zone) in names {
        assert_eq!(world.pool(&target(zone, name), RecordType::A), owners(&["n1", "n2"]), "{name}");
    }
    assert_eq!(world.requests("n1").0, 1, "one reading of the nodes is enough for all");
}

/// However slowly requests go out, and though no reading may be leaned on for long.
#[test]
fn many_names_at_a_low_rate_are_all_rid_of_the_dead_one_after_the_other() {
    for (count, interval) in [(100, 200), (60, 200), (30, 1000), (25, 2000)] {
        for survivors in [&["n1"][..], &["n1", "n2"]] {
            let nodes = NODES[..3].iter().map(|(node, address)| (*node, *address, survivors.contains(node)));
            let names: Vec<String> = (0..count).map(|number| format!("edge{number}.example.com")).collect();
            let records: Vec<_> = names.iter().map(|name| world::record(name, ZONE)).collect();
            let mut world = World::new(&nodes.collect::<Vec<_>>(), &records);
            world.run_for(60 * SECOND);
            world.after(Duration::ZERO, Happening::Recheck);
            world.run_for(60 * SECOND);
            world.interval = interval * MILLISECOND;
            let before: Vec<_> = survivors.iter().map(|node| world.requests(node)).collect();
            dies(&mut world, "n3");
            // Two requests for each name, and a little.
            world.run_for(GRACE + 2 * count * world.interval + count * world.interval / 4 + 10 * SECOND);
            let case = format!("{count} names, one request each {interval} ms, {survivors:?}");
            let count = usize::try_from(count).expect("small");
            assert_eq!(world.removals.len(), count, "{case}");
            for name in &names {
                assert_eq!(world.pool(&target(ZONE, name), RecordType::A), owners(&["n1", "n2"]), "{case}: {name}");
            }
            for (survivor, before) in survivors.iter().zip(before) {
                let after = world.requests(survivor);
                let (lists, batches) = (after.1 - before.1, after.2 - before.2);
                assert!(lists <= 2 * count && batches <= count + count / 2, "{case}: {lists} lists, {batches} batches");
                assert!(after.0 <= 2 * count, "{case}: {} readings of the nodes", after.0);
            }
        }
    }
}

/// What has to be written of our own goes first, also where both are due in the same instant.
#[test]
fn the_own_record_set_goes_first() {
    let mut world = cluster_of(3, &["n1"], record());
    dies(&mut world, "n3");
    world.run_for(SECOND);
    let removal_at = world.daemon("n1").engine.report().survivors.expect("is a survivor").dead[0].removal_at;
    let removal_at = removal_at.expect("it will be removed");
    for offset in 0..=120 {
        let mut world = cluster_of(3, &["n1"], record());
        dies(&mut world, "n3");
        let settle = 200;
        let at = Moment::new(removal_at.since_origin() + Duration::from_millis(offset) - settle * MILLISECOND);
        world.at(at, Happening::Address("n1", "185.12.64.77"));
        world.run_for(GRACE + 10 * SECOND);
        assert_eq!(world.pool(&edge(), RecordType::A), owners(&["n1", "n2"]), "{offset} ms");
        let of_own = world.daemon("n1").sent.iter().find(|sent| {
            let writes = |set: &nodedns::decide::record::RecordSet| {
                set.addresses().contains(&"185.12.64.77".parse::<std::net::IpAddr>().expect("an address"))
            };
            matches!(&sent.effect, Effect::Apply(_, changes) if changes.iter().any(|change| writes(&change.set)))
        });
        let went = of_own.expect("the address is published").at;
        // At most one request of the removal is on its way at that moment.
        assert!(went <= at + settle * MILLISECOND + 45 * MILLISECOND, "{offset} ms: {went:?}");
    }
}

#[test]
fn a_node_that_is_gone_and_forgotten_may_come_back_and_die_again() {
    let mut world = cluster_of(3, &["n1", "n2"], record());
    for round in 1..=3 {
        dies(&mut world, "n3");
        world.after(SECOND, Happening::Node("n3", None));
        world.run_for(GRACE + 5 * SECOND);
        assert_eq!(world.removals.len(), round);
        let report = world.daemon("n1").engine.report().survivors.expect("is a survivor");
        assert_eq!((report.nodes, report.not_ready, report.dead.len()), (2, 0, 0));
        world.after(Duration::ZERO, Happening::Node("n3", Some(Readiness::Ready)));
        world.after(Duration::ZERO, Happening::Power("n3", true));
        world.run_for(60 * SECOND);
        assert_eq!(world.pool(&edge(), RecordType::A), owners(&["n1", "n2", "n3"]));
    }
}

/// Anything at any time: safety is checked by the world at every batch, and in the end, all being
/// well again, everybody is there.
#[test]
fn whatever_happens_only_the_dead_are_removed_and_all_come_back() {
    let mut removals = 0;
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let mut pick = |limit: u64| {
            let drawn = random.up_to(Duration::from_micros(limit - 1)).as_micros();
            u64::try_from(drawn).expect("small")
        };
        let keep_min = u32::try_from(pick(3)).expect("small");
        let survivors: Vec<&str> = NODES.iter().map(|(node, _)| *node).filter(|_| pick(4) > 0).collect();
        let mut world = cluster_of(5, &survivors, RecordPolicy { keep_min, ..record() });
        let mut on = [true; 5];
        for _ in 0..40 {
            let index = usize::try_from(pick(5)).expect("small");
            let node = NODES[index].0;
            let after = Duration::from_millis(pick(600_000));
            let happening = match pick(9) {
                0 => Happening::Line(node, false),
                1 => Happening::Line(node, true),
                2 | 3 => Happening::Node(node, down()),
                4 => Happening::Node(node, Some(Readiness::Ready)),
                5 => Happening::Node(node, None),
                6 => {
                    on[index] = !on[index];
                    Happening::Power(node, on[index])
                }
                7 => Happening::Treatments(
                    node,
                    vec![
                        Treatment::LosesAnswer,
                        Treatment::Fails(ErrorKind::Throttled),
                        Treatment::Hangs,
                        Treatment::Fails(ErrorKind::Refused),
                    ],
                ),
                _ => Happening::Readings(node, vec![Observed::Unknown]),
            };
            world.after(after, happening);
        }
        world.run_for(800 * SECOND);
        for (node, _) in NODES {
            world.after(Duration::ZERO, Happening::Treatments(node, Vec::new()));
            world.after(Duration::ZERO, Happening::Line(node, true));
            world.after(Duration::ZERO, Happening::Node(node, Some(Readiness::Ready)));
            world.after(Duration::ZERO, Happening::Power(node, true));
        }
        world.run_for(60 * SECOND);
        removals += world.removals.len();
        let pool = world.pool(&edge(), RecordType::A);
        assert_eq!(pool, owners(&["n1", "n2", "n3", "n4", "n5"]), "seed {seed}");
    }
    assert!(removals > 20, "the worlds are too kind: {removals}");
}
