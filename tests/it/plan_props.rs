//! Safety and liveness over random histories: addresses, nodes, foreign hands, and a Route 53 that
//! fails in every way it can. Safety is asserted at every batch by the world itself
//! (`support/hostile.rs`); here it only has to be driven there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nodedns::decide::annotation::{self, Said};
use nodedns::decide::damping;
use nodedns::decide::drain::Drain;
use nodedns::decide::engine::{Effect, Event};
use nodedns::decide::fitness::Fitness;
use nodedns::decide::node::{NodeState, Readiness};
use nodedns::decide::observed::Observed;
use nodedns::decide::plan::{self, plan};
use nodedns::decide::policy::RecordPolicy;
use nodedns::decide::probe::ProbeOutcome;
use nodedns::decide::provider::ErrorKind;
use nodedns::decide::reason::{Intent, Reason};
use nodedns::decide::record::{Action, Change, Listing, RecordSet, RecordType};
use nodedns::decide::routing::Routing;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::hostile::{HANG, Happening, Treatment, World, target};
use crate::support::world::{self, OWN, SIBLING};

const ZONES: [(&str, &str); 3] = [("Z1", "edge.example.com"), ("Z1", "other.example.com"), ("Z2", "edge.example.net")];
/// Of each record: the pools hold three others for A and two for AAAA.
const KEEP_MIN: [u32; 3] = [1, 3, 0];
const ADDRESSES: [&str; 6] = ["185.12.64.1", "185.12.64.2", "2a01:4ff:f0::1", "2a01:4ff:f0::2", "10.0.0.1", "fe80::1"];

#[derive(Debug, Clone)]
struct Step {
    wait: Duration,
    happening: Happening,
}

fn listing() -> Listing {
    world::listing(vec![
        (RecordType::A, world::weighted(SIBLING, "185.12.64.9")),
        (RecordType::A, world::weighted("nodedns/v1/home/n3", "185.12.64.10")),
        (RecordType::A, world::weighted("by-hand", "185.12.64.11")),
        (RecordType::Aaaa, world::weighted(SIBLING, "2a01:4ff:f0::9")),
        (RecordType::Aaaa, world::weighted("by-hand", "2a01:4ff:f0::11")),
    ])
}

fn nodes() -> impl Strategy<Value = Observed<NodeState>> {
    prop_oneof![
        3 => Just(Observed::Known(world::ready())),
        1 => Just(Observed::Known(world::node(Readiness::Ready, true))),
        1 => Just(Observed::Known(world::node(Readiness::NotReady(Some("KubeletNotReady".into())), false))),
        1 => Just(Observed::Known(NodeState::Absent)),
        1 => Just(Observed::Known(world::tainted("example.com/gone"))),
        1 => Just(Observed::Known(world::deleting())),
        2 => annotations().prop_map(Observed::Known),
        2 => Just(Observed::Unknown),
    ]
}

/// A ready Node whose annotations say something, be it nonsense.
fn annotations() -> impl Strategy<Value = NodeState> {
    let said = vec![
        (annotation::WEIGHT, "20"),
        (annotation::WEIGHT, "200"),
        (annotation::WEIGHT, "a lot"),
        (annotation::EXCLUDE, "true"),
        (annotation::EXCLUDE, "perhaps"),
        (annotation::EXCLUDE, "false"),
    ];
    proptest::sample::subsequence(said, 0..=2).prop_map(|said| world::annotated(&said))
}

fn drains() -> impl Strategy<Value = Observed<Option<Drain>>> {
    prop_oneof![
        2 => Just(Observed::Known(None)),
        2 => any::<bool>().prop_map(|force| Observed::Known(Some(Drain { until: None, force }))),
        1 => Just(Observed::Unknown),
    ]
}

fn probes() -> impl Strategy<Value = Observed<ProbeOutcome>> {
    prop_oneof![
        2 => Just(Observed::Known(ProbeOutcome::Passing)),
        2 => Just(Observed::Known(ProbeOutcome::Failing("connection refused".into()))),
        1 => Just(Observed::Unknown),
    ]
}

fn addresses() -> impl Strategy<Value = Vec<String>> {
    proptest::sample::subsequence(ADDRESSES.to_vec(), 0..=ADDRESSES.len())
        .prop_map(|addresses| addresses.into_iter().map(str::to_owned).collect())
}

fn treatments() -> impl Strategy<Value = Treatment> {
    prop_oneof![
        3 => proptest::sample::select(ErrorKind::ALL.to_vec()).prop_map(Treatment::Fails),
        2 => Just(Treatment::LosesAnswer),
        1 => Just(Treatment::Hangs),
        2 => Just(Treatment::Serves),
    ]
}

/// Somebody deletes or edits our record set, or a sibling's.
fn foreign() -> impl Strategy<Value = Happening> {
    let identifiers = vec![OWN, OWN, SIBLING, "nodedns/v1/home/n3"];
    let edit = (
        0..ZONES.len(),
        proptest::sample::select(identifiers),
        proptest::sample::select(vec!["185.12.64.1", "185.12.64.2", "185.12.64.9"]),
        any::<bool>(),
    );
    edit.prop_map(|(zone, identifier, address, delete)| {
        let (zone, text) = ZONES[zone];
        let target = target(zone, text);
        let action = if delete { Action::Delete } else { Action::Upsert };
        let change = Change {
            action,
            name: target.name.clone(),
            rtype: RecordType::A,
            set: world::weighted(identifier, address),
        };
        Happening::Foreign(target, change)
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let happening = prop_oneof![
        5 => addresses().prop_map(Happening::Addresses),
        4 => nodes().prop_map(Happening::Node),
        3 => (proptest::sample::select(vec!["Z1", "Z2"]), vec(treatments(), 1..12))
            .prop_map(|(zone, treatments)| Happening::Treatments(zone.into(), treatments)),
        2 => foreign(),
        1 => drains().prop_map(Happening::Drain),
        1 => probes().prop_map(|outcome| Happening::Probe(world::probe(), outcome)),
        1 => Just(Happening::NetlinkFails),
        1 => Just(Happening::NetlinkWorks),
    ];
    let wait = prop_oneof![
        4 => 0..500u64,
        3 => 500..15_000u64,
        1 => 15_000..120_000u64,
    ];
    vec((wait, happening).prop_map(|(wait, happening)| Step { wait: Duration::from_millis(wait), happening }), 1..40)
}

/// The last of the records is probed as well.
fn policy() -> nodedns::decide::policy::Policy {
    let record =
        |((zone, text), keep_min): (&(&str, &str), u32)| RecordPolicy { keep_min, ..world::record(text, zone) };
    let mut records: Vec<_> = ZONES.iter().zip(KEEP_MIN).map(record).collect();
    records[2].probe = Some(world::probe());
    records.iter_mut().for_each(|record| record.taint_keys = ["example.com/gone".to_owned()].into());
    world::policy(records)
}

fn zones() -> Vec<(&'static str, &'static str, Listing)> {
    ZONES.iter().map(|(zone, text)| (*zone, *text, listing())).collect()
}

/// How a history ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Ready,
    Cordoned,
    Stopping,
}

fn ends() -> impl Strategy<Value = End> {
    prop_oneof![2 => Just(End::Ready), 1 => Just(End::Cordoned), 1 => Just(End::Stopping)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    /// S1-S3 at every step (asserted by the world), S5, and L3: once faults stop, what is wanted is
    /// what is there within one backoff step, without any resync.
    #[test]
    fn whatever_happens_the_end_is_right(steps in steps(), seed in any::<u64>(), last in addresses(), end in ends()) {
        let ends_ready = end == End::Ready;
        let mut world = World::new(policy(), zones(), seed);
        let edited = steps.iter().any(|step| matches!(step.happening, Happening::Foreign(..)));
        for step in steps {
            world.run_for(step.wait);
            world.after(Duration::ZERO, step.happening);
        }
        for zone in ["Z1", "Z2"] {
            world.after(Duration::ZERO, Happening::Treatments(zone.into(), Vec::new()));
        }
        world.after(Duration::ZERO, Happening::NetlinkWorks);
        world.after(Duration::ZERO, Happening::Addresses(last.clone()));
        let cordoned = world::node(Readiness::Ready, true);
        let state = if end == End::Cordoned { cordoned } else { world::annotated(&[(annotation::WEIGHT, "33")]) };
        world.after(Duration::ZERO, Happening::Node(Observed::Known(state)));
        world.after(Duration::ZERO, Happening::Drain(Observed::Known(None)));
        world.after(Duration::ZERO, Happening::Probe(world::probe(), Observed::Known(ProbeOutcome::Passing)));
        if end == End::Stopping {
            world.after(Duration::ZERO, Happening::Stopping);
        }
        // Foreign edits go unnoticed until the next look; one stands for the resync that is off here.
        if edited {
            world.after(Duration::ZERO, Happening::Answer(Event::Recheck));
        }
        // Requests already hanging, one backoff step, and the longest that a node is kept out for
        // having come and gone too often.
        world.run_for(HANG + Duration::from_secs(30 + 2) + damping::WAIT_MAX);
        for ((zone, text), keep_min) in ZONES.into_iter().zip(KEEP_MIN) {
            let target = target(zone, text);
            for rtype in RecordType::ALL {
                let wanted = last.iter().filter_map(|text| text.parse().ok()).find(|address: &std::net::IpAddr| {
                    ends_ready && RecordType::of(*address) == rtype && !["10.0.0.1", "fe80::1"].contains(&address.to_string().as_str())
                });
                let others = world.zones[&target].pool(rtype).map_or(0, |pool| pool.keys().filter(|id| id.as_ref().is_none_or(|id| id.0 != OWN)).count());
                match wanted {
                    Some(wanted) => {
                        prop_assert_eq!(world.own_address(&target, rtype), Some(wanted));
                        prop_assert_eq!(world.own(&target, rtype).map(|set| set.routing), Some(Routing::Weighted(33)));
                    }
                    None if others >= keep_min as usize => prop_assert_eq!(world.own(&target, rtype), None),
                    // Too few would be left: keep_min holds ours, if it was there at all.
                    None => {}
                }
            }
        }
        // At rest: an hour later nothing more has been written.
        let applied = world.count(|effect| matches!(effect, Effect::Apply(..)));
        world.run_for(Duration::from_secs(3600));
        prop_assert_eq!(world.count(|effect| matches!(effect, Effect::Apply(..))), applied);
    }

    /// S5 and S6: while one zone never answers properly, the other is right in time, and the first
    /// is tried for ever.
    #[test]
    fn one_zone_never_holds_up_another(kind in treatments().prop_filter("a fault", |t| *t != Treatment::Serves), seed in any::<u64>()) {
        let mut world = World::new(policy(), zones(), seed);
        world.after(Duration::ZERO, Happening::Treatments("Z1".into(), vec![kind; 5000]));
        world.after(Duration::ZERO, Happening::Addresses(vec!["185.12.64.1".into()]));
        world.after(Duration::ZERO, Happening::Node(Observed::Known(world::ready())));
        world.after(Duration::ZERO, Happening::Probe(world::probe(), Observed::Known(ProbeOutcome::Passing)));
        world.run_for(Duration::from_secs(1));
        let healthy = target("Z2", "edge.example.net");
        prop_assert_eq!(world.own_address(&healthy, RecordType::A), "185.12.64.1".parse().ok());
        for _ in 0..20 {
            let before = world.now;
            world.run_for(Duration::from_secs(60));
            let tried = world.sent.iter().any(|sent| sent.at >= before
                && matches!(&sent.effect, Effect::List(target) | Effect::Apply(target, _) if target.zone.to_string() == "Z1"));
            prop_assert!(tried || kind == Treatment::LosesAnswer, "gave up");
        }
    }

    /// S3 under any size of pool and any `keep_min`.
    #[test]
    fn a_withdrawal_never_goes_below_keep_min(others in 0usize..6, keep_min in 0u32..5, failures in 0u32..9) {
        let mut record = world::record("edge.example.com", "Z1");
        record.keep_min = keep_min;
        record.types = [RecordType::A].into();
        let mut sets = vec![(RecordType::A, world::weighted(OWN, "185.12.64.1"))];
        sets.extend(siblings(RecordType::A, others));
        let listing = world::listing(sets);
        let pool = listing.pool(RecordType::A).expect("a pool");
        let policy = world::policy(vec![record.clone()]);
        let own = &pool[&Some(policy.owner.set_identifier())];
        let batch = nodedns::decide::guard::withdrawal(&record.name, RecordType::A, pool, own, &policy.owner, keep_min, failures);
        prop_assert_eq!(batch.is_ok(), others >= keep_min as usize);
        if let Ok(batch) = batch {
            let mut after = listing.clone();
            batch.iter().for_each(|change| after.apply(change));
            let mut expected = listing;
            expected.apply(&batch[0]);
            prop_assert_eq!(after, expected, "a witness is no net change");
            prop_assert_eq!(batch.len(), 1 + 2 * keep_min as usize);
        }
    }

    /// S3 per record and per family: each pool keeps its own minimum, whatever the others can spare.
    #[test]
    fn every_record_and_family_has_its_own_minimum(
        keep_min in [0u32..4, 0u32..4],
        others in [[0usize..4, 0usize..4], [0usize..4, 0usize..4]],
        failures in [0u32..5, 0u32..5],
    ) {
        let names = ["edge.example.com", "other.example.com"];
        let records = names.into_iter().zip(keep_min);
        let records = records.map(|(name, keep_min)| RecordPolicy { keep_min, ..world::record(name, "Z1") });
        let policy = world::policy(records.collect());
        let failures = RecordType::ALL.into_iter().zip(failures).collect();
        let unfit = Fitness::Unfit(Reason::Cordoned);
        let snapshot = world::snapshot(&[world::V4, world::V6]);
        for (record, others) in policy.records.iter().zip(others) {
            let mut sets = vec![
                (RecordType::A, world::weighted(OWN, world::V4)),
                (RecordType::Aaaa, world::weighted(OWN, world::V6)),
            ];
            for (rtype, others) in RecordType::ALL.into_iter().zip(others) {
                sets.extend(siblings(rtype, others));
            }
            let listing = world::listing(sets);
            let plans = plan(&policy, record, plan::World {
                addresses: Observed::Known(&snapshot),
                absence_confirmed: &BTreeSet::new(),
                fitness: &unfit,
                said: Said::default(),
                listing: Observed::Known(&listing),
                failures: &failures,
                checks: &BTreeMap::new(),
            });
            // Both families travel in one batch.
            let mut after = listing.clone();
            plans.iter().flat_map(|plan| &plan.changes).for_each(|change| after.apply(change));
            prop_assert_eq!(plans.len(), 2);
            for (plan, others) in plans.iter().zip(others) {
                let must_stay = others < record.keep_min as usize;
                let wanted = if must_stay {
                    Intent::Hold(Reason::KeepMin(record.keep_min))
                } else {
                    Intent::Withdraw(Reason::Cordoned)
                };
                prop_assert_eq!(&plan.intent, &wanted);
                prop_assert_eq!(after.pool(plan.rtype).map_or(0, BTreeMap::len), others + usize::from(must_stay));
            }
        }
    }
}

fn siblings(rtype: RecordType, count: usize) -> impl Iterator<Item = (RecordType, RecordSet)> {
    let address = if rtype == RecordType::A { "185.12.64.9" } else { "2a01:4ff:f0::9" };
    (0..count).map(move |n| (rtype, world::weighted(&format!("nodedns/v1/home/m{n}"), address)))
}

/// `NODEDNS_PROPTEST_CASES` runs longer searches by hand.
fn cases() -> u32 {
    std::env::var("NODEDNS_PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(256)
}
