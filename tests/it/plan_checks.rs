//! What a plan makes of managed health checks: every intent with every state of the check.

use std::collections::{BTreeMap, BTreeSet};

use nodedns::decide::annotation::Said;
use nodedns::decide::fitness::Fitness;
use nodedns::decide::health_check::{Attach, CheckProbe, CheckSpec, HealthCheck, ManagedCheck};
use nodedns::decide::observed::Observed;
use nodedns::decide::plan::{TypePlan, World, plan};
use nodedns::decide::policy::RecordPolicy;
use nodedns::decide::reason::Reason;
use nodedns::decide::record::{Action, Listing, RecordSet, RecordType};

use crate::support::world::{self, OWN, SIBLING, V4, V4_OTHER};

fn check() -> ManagedCheck {
    ManagedCheck { probe: CheckProbe::Tcp, port: 443, interval: 30, failure_threshold: 3 }
}

fn own(address: &str, id: Option<&str>) -> RecordSet {
    RecordSet { health_check_id: id.map(str::to_owned), ..world::weighted(OWN, address) }
}

fn decide(addresses: &[&str], fitness: &Fitness, sets: Vec<RecordSet>, attach: Option<Attach>) -> TypePlan {
    let record = RecordPolicy {
        types: BTreeSet::from([RecordType::A]),
        health_check: Some(HealthCheck::Managed(check())),
        ..world::record("edge.example.com", "Z1")
    };
    let policy = world::policy(vec![record]);
    let listing: Listing = world::listing(sets.into_iter().map(|set| (RecordType::A, set)).collect());
    let snapshot = world::snapshot(addresses);
    let world = World {
        addresses: Observed::Known(&snapshot),
        absence_confirmed: &BTreeSet::from(RecordType::ALL),
        fitness,
        listing: Observed::Known(&listing),
        said: Said::default(),
        failures: &BTreeMap::new(),
        checks: &attach.map(|attach| BTreeMap::from([(RecordType::A, attach)])).unwrap_or_default(),
    };
    plan(&policy, &policy.records[0], world).remove(0)
}

fn spec(address: &str) -> Option<CheckSpec> {
    Some(CheckSpec { address: address.parse().expect("an address"), check: check() })
}

/// Each change with the health check of its record set, in short.
fn told(plan: &TypePlan) -> String {
    let change = |change: &nodedns::decide::record::Change| {
        let id = change.set.health_check_id.clone().unwrap_or_else(|| "-".to_owned());
        format!("{} {id}", change.action.as_str())
    };
    plan.changes.iter().map(change).collect::<Vec<_>>().join(", ")
}

fn hc(id: &str) -> Option<Attach> {
    Some(Attach::Check(id.to_owned()))
}

#[test]
fn a_record_set_is_published_with_what_it_is_given() {
    let published = |sets, attach| decide(&[V4], &Fitness::Fit, sets, attach);
    for (sets, attach, changes, in_sync) in [
        (vec![], hc("new"), "UPSERT new", false),
        (vec![], Some(Attach::Nothing), "UPSERT -", false),
        (vec![], Some(Attach::Wait), "", false),
        // What nobody has said anything of waits.
        (vec![], None, "", false),
        (vec![own(V4, Some("new"))], hc("new"), "", true),
        (vec![own(V4, Some("old"))], hc("new"), "UPSERT new", false),
        (vec![own(V4, Some("old"))], Some(Attach::Nothing), "UPSERT -", false),
        (vec![own(V4, Some("old"))], Some(Attach::Wait), "", false),
        (vec![own(V4, None)], Some(Attach::Nothing), "", true),
        (vec![own(V4_OTHER, Some("old"))], hc("new"), "UPSERT new", false),
        (vec![own(V4_OTHER, Some("old"))], Some(Attach::Nothing), "UPSERT -", false),
        (vec![own(V4_OTHER, Some("old"))], Some(Attach::Wait), "", false),
    ] {
        let plan = published(sets.clone(), attach.clone());
        assert_eq!((told(&plan).as_str(), plan.in_sync), (changes, in_sync), "{sets:?} {attach:?}");
        assert_eq!((plan.intent.as_str(), plan.check.clone()), ("publish", spec(V4)));
    }
}

#[test]
fn what_neither_comes_nor_goes_never_carries_the_old_one_to_a_new_address() {
    let unknown = Fitness::Unknown(Reason::NodeUnknown);
    let kept = Fitness::Unfit(Reason::Cordoned);
    for (fitness, intent) in [(&unknown, "preserve"), (&kept, "hold")] {
        for (address, attach, changes) in [
            (V4, hc("new"), ""),
            (V4, Some(Attach::Nothing), ""),
            (V4, Some(Attach::Wait), ""),
            (V4_OTHER, hc("new"), "DELETE old, CREATE new"),
            (V4_OTHER, Some(Attach::Nothing), "DELETE old, CREATE -"),
            (V4_OTHER, Some(Attach::Wait), ""),
        ] {
            let plan = decide(&[address], fitness, vec![own(V4, Some("old"))], attach.clone());
            assert_eq!((plan.intent.as_str(), told(&plan).as_str()), (intent, changes), "{address} {attach:?}");
            // It is still in the pool, so it is to have one.
            assert_eq!(plan.check, spec(address));
        }
    }
    let nothing = decide(&[V4], &unknown, vec![], hc("new"));
    assert_eq!((told(&nothing).as_str(), nothing.check), ("", None));
}

#[test]
fn a_record_set_that_leaves_needs_none() {
    let cordoned = Fitness::Unfit(Reason::Cordoned);
    let sets = vec![own(V4, Some("old")), world::weighted(SIBLING, V4_OTHER)];
    let plan = decide(&[V4], &cordoned, sets, Some(Attach::Wait));
    assert_eq!((plan.intent.as_str(), plan.check), ("withdraw", None));
    // Leaving waits for nothing, and repeats what was listed.
    assert_eq!((plan.changes[0].action, plan.changes[0].set.health_check_id.as_deref()), (Action::Delete, Some("old")));
}
