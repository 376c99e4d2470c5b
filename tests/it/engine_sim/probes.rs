//! What a local probe does to a record.

use nodedns::decide::policy::{RecordPolicy, Signal, SignalAction, SignalPolicy};
use nodedns::decide::probe::{Probe, ProbeCheck, ProbeOutcome, wanted};

use super::*;

const RECOVER_AFTER: Duration = Duration::from_secs(10);

fn probe(port: u16) -> Probe {
    Probe {
        check: ProbeCheck::Tcp(([127, 0, 0, 1], port).into()),
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(2),
        failures: 3,
    }
}

fn probed(port: u16) -> RecordPolicy {
    RecordPolicy { probe: Some(probe(port)), ..world::record(EDGE, ZONE) }
}

fn ignoring(record: RecordPolicy) -> RecordPolicy {
    let ignore = SignalPolicy { action: SignalAction::Ignore, ..Signal::ProbeFailed.default_policy() };
    let signals = [(Signal::ProbeFailed, ignore)].into_iter().collect();
    RecordPolicy { signals, ..record }
}

fn says(outcome: Observed<ProbeOutcome>) -> Happening {
    Happening::Answer(Event::Probe(probe(443), outcome))
}

fn passing() -> Happening {
    says(Observed::Known(ProbeOutcome::Passing))
}

fn failing(why: &str) -> Happening {
    says(Observed::Known(ProbeOutcome::Failing(why.to_owned())))
}

/// A world whose record is probed, a minute after the node is Ready; the probe has said nothing.
fn silent(records: Vec<RecordPolicy>, listing: Listing) -> World {
    let names: Vec<String> = records.iter().map(|record| record.name.to_string()).collect();
    let zones = names.iter().map(|name| (ZONE, name.as_str(), listing.clone())).collect();
    let mut world = World::new(world::policy(records), zones, 1);
    world.after(Duration::ZERO, texts(&[V4]));
    world.after(Duration::from_millis(5), Happening::Node(Observed::Known(world::ready())));
    world.run_for(Duration::from_secs(60));
    world
}

fn published(world: &World) -> bool {
    world.own(&target(ZONE, EDGE), RecordType::A).is_some()
}

fn reason(world: &World) -> (&'static str, Reason) {
    let intent = &world.engine.report().records[0].intent;
    (intent.as_str(), intent.reason())
}

#[test]
fn nothing_is_created_and_nothing_withdrawn_before_the_probe_has_spoken() {
    let mut world = silent(vec![probed(443)], sibling_listing());
    assert_eq!(reason(&world), ("preserve", Reason::ProbeUnknown));
    assert!(!published(&world));
    let spoken = world.now;
    world.after(Duration::ZERO, passing());
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.first_apply_after(spoken), Some(spoken));
    assert!(published(&world));

    // What an earlier run has published stays, and follows the address.
    let mut listing = sibling_listing();
    let own = world::weighted(OWN, V4_OTHER);
    listing.pools.entry(RecordType::A).or_default().insert(own.set_identifier.clone(), own);
    let mut world = silent(vec![probed(443)], listing);
    assert_eq!(reason(&world), ("preserve", Reason::ProbeUnknown));
    assert_eq!(world.own_address(&target(ZONE, EDGE), RecordType::A), V4.parse().ok());
    world.after(Duration::ZERO, failing("127.0.0.1:443 refused the connection"));
    world.run_for(Duration::from_secs(60));
    assert!(!published(&world));
}

#[test]
fn a_failing_probe_withdraws_at_once_and_a_passing_one_brings_back_after_recover_after() {
    let mut world = silent(vec![probed(443)], sibling_listing());
    world.after(Duration::ZERO, passing());
    world.run_for(Duration::from_secs(600));
    let failed = world.now;
    let why = "127.0.0.1:443 refused the connection";
    world.after(Duration::ZERO, failing(why));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.first_apply_after(failed), Some(failed));
    assert!(!published(&world));
    assert_eq!(reason(&world), ("withdraw", Reason::ProbeFailed(why.to_owned())));
    assert!(world.engine.report().records[0].is_healthy(), "it is as it should be");

    // Another error changes the words and nothing else.
    let before = world.sent.len();
    world.after(Duration::ZERO, failing("127.0.0.1:443 answered with status 503"));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.sent.len(), before);
    assert_eq!(reason(&world).1, Reason::ProbeFailed("127.0.0.1:443 answered with status 503".to_owned()));

    let back = world.now;
    world.after(Duration::ZERO, passing());
    world.run_for(Duration::from_secs(5));
    assert_eq!(reason(&world), ("withdraw", Reason::Recovering(Signal::ProbeFailed)));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.first_apply_after(back), Some(back + RECOVER_AFTER));
    assert!(published(&world));
}

#[test]
fn a_flapping_probe_makes_a_bounded_number_of_calls() {
    let mut world = silent(vec![probed(443)], sibling_listing());
    world.after(Duration::ZERO, passing());
    world.run_for(Duration::from_secs(60));
    let before = applies(&world);
    for second in 0..600 {
        let outcome = if second % 2 == 0 { failing("it refuses") } else { passing() };
        world.after(Duration::from_secs(second), outcome);
    }
    world.run_for(Duration::from_secs(600));
    assert_eq!(applies(&world) - before, 1, "withdrawn once, and never steady enough to come back");
}

#[test]
fn a_record_that_ignores_the_probe_stays_and_asks_for_none() {
    let maintenance = "n1.nodes.example.com";
    let own_name = RecordPolicy { probe: Some(probe(443)), ..world::record(maintenance, ZONE) };
    let records = vec![probed(443), ignoring(own_name)];
    assert_eq!(wanted(&world::policy(records.clone())).into_iter().collect::<Vec<_>>(), [probe(443)]);
    let alone = world::policy(vec![records[1].clone(), world::record(EDGE, ZONE)]);
    assert_eq!(wanted(&alone).len(), 0);
    let two = world::policy(vec![probed(443), RecordPolicy { probe: Some(probe(80)), ..records[1].clone() }]);
    assert_eq!(wanted(&two).len(), 1);

    let mut world = silent(records, sibling_listing());
    let stays = target(ZONE, maintenance);
    assert!(world.own(&stays, RecordType::A).is_some(), "it waits for no probe");
    world.after(Duration::ZERO, passing());
    world.run_for(Duration::from_secs(60));
    assert!(published(&world));
    world.after(Duration::ZERO, failing("it refuses"));
    world.run_for(Duration::from_secs(60));
    assert!(!published(&world));
    assert!(world.own(&stays, RecordType::A).is_some());
}

#[test]
fn a_probe_that_comes_or_goes_with_a_reload_is_known_or_not() {
    let mut world = silent(vec![probed(443)], sibling_listing());
    world.after(Duration::ZERO, failing("it refuses"));
    world.run_for(Duration::from_secs(60));
    assert_eq!(reason(&world).0, "withdraw");

    // Another probe has said nothing yet: out of DNS is where the node stays.
    world.engine.reconfigure(world::policy(vec![probed(8443)]), world.now);
    world.after(Duration::ZERO, says(Observed::Unknown));
    world.run_for(Duration::from_secs(60));
    assert_eq!(reason(&world), ("preserve", Reason::ProbeUnknown));
    assert!(!published(&world));

    // No probe, no objection, once that has lasted for recover_after.
    let gone = world.now;
    world.engine.reconfigure(world::policy(vec![world::record(EDGE, ZONE)]), world.now);
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.first_apply_after(gone), Some(gone + RECOVER_AFTER));
    assert!(published(&world));

    // The first one again: what it had said is forgotten, and nothing is withdrawn for it.
    world.engine.reconfigure(world::policy(vec![probed(443)]), world.now);
    world.run_for(Duration::from_secs(60));
    assert_eq!(reason(&world), ("preserve", Reason::ProbeUnknown));
    assert!(published(&world));
}
