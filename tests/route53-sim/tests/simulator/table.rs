//! The rules, as a table: what is there, what is asked for, and the exact answer. Every row runs against the state
//! machine alone and over HTTP, and a refusal must leave the zone as it was.

use crate::client::{ZONE, change, send};
use route53_sim::account::{Account, Now};
use route53_sim::health::HealthCheckConfig;
use route53_sim::model::{Change, ChangeBatch};
use route53_sim::{Action, Options, RecordSet, Sim, Switch};

use Action::{Create, Delete, Upsert};

struct Case {
    name: &'static str,
    given: Vec<RecordSet>,
    changes: Vec<(Action, RecordSet)>,
    options: Options,
    private: bool,
    expected: Result<(), (&'static str, String)>,
}

impl Case {
    fn new(name: &'static str, given: Vec<RecordSet>, changes: Vec<(Action, RecordSet)>) -> Self {
        Self { name, given, changes, options: Options::default(), private: false, expected: Ok(()) }
    }

    /// Accepted.
    fn accepted(self) -> Self {
        Self { expected: Ok(()), ..self }
    }

    /// InvalidChangeBatch with the messages of the changes.
    fn batch(self, messages: &[&str]) -> Self {
        Self { expected: Err(("InvalidChangeBatch", format!("[{}]", messages.join(", ")))), ..self }
    }

    fn refused(self, code: &'static str, message: &str) -> Self {
        Self { expected: Err((code, message.to_owned())), ..self }
    }

    fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    fn private(self) -> Self {
        Self { private: true, ..self }
    }
}

const W: &str = "www.example.com";
/// Stands for a health check that exists.
const HEALTH: &str = "HEALTH";
const COLLECTION: &str = "11111111-2222-3333-4444-555555555555";

fn a(id: &str) -> RecordSet {
    RecordSet::new(W, "A").set_identifier(id).ttl(60).value("192.0.2.1")
}

fn simple() -> RecordSet {
    RecordSet::new(W, "A").ttl(60).value("192.0.2.1")
}

fn weighted(id: &str) -> RecordSet {
    a(id).weight(10)
}

fn latency(id: &str, region: &str) -> RecordSet {
    a(id).region(region)
}

fn near(id: &str, latitude: &str, longitude: &str) -> RecordSet {
    a(id).geoproximity(latitude, longitude, 0)
}

fn multivalue(id: &str) -> RecordSet {
    a(id).multi_value_answer()
}

fn secondary(id: &str) -> RecordSet {
    a(id).failover("SECONDARY")
}

fn many(count: usize, make: impl Fn(usize) -> RecordSet) -> Vec<RecordSet> {
    (0..count).map(make).collect()
}

fn create(set: RecordSet) -> Vec<(Action, RecordSet)> {
    vec![(Create, set)]
}

fn existence() -> Vec<Case> {
    let key = "name='www.example.com.', type='A'";
    let exists = format!("Tried to create resource record set [{key}] but it already exists");
    let exists_s1 = format!("Tried to create resource record set [{key}, set-identifier='s1'] but it already exists");
    let missing = format!("Tried to delete resource record set [{key}] but it was not found");
    let missing_s2 = format!("Tried to delete resource record set [{key}, set-identifier='s2'] but it was not found");
    let differs = format!(
        "Tried to delete resource record set [{key}, set-identifier='s1'] but the values provided do not match the \
         current values"
    );
    let twice = "The request contains an invalid set of changes for a resource record set 'A www.example.com.'";
    let full = near("s1", "52.52", "13.41").health_check(HEALTH).value("192.0.2.2");
    let delete_of = |name: &'static str, changed: RecordSet| {
        Case::new(name, vec![full.clone()], vec![(Delete, changed)]).batch(&[&differs])
    };
    let mut reordered = full.clone();
    reordered.values.reverse();
    let mut biased = full.clone();
    biased.geoproximity.as_mut().unwrap().bias = Some(1);
    let mut unbiased = full.clone();
    unbiased.geoproximity.as_mut().unwrap().bias = None;
    let mut healthless = full.clone();
    healthless.health_check_id = None;
    let mut shorter = full.clone();
    shorter.values.pop();
    let mut upper = full.clone();
    upper.name = "WWW.Example.COM".to_owned();
    vec![
        Case::new("create what exists", vec![simple()], create(simple())).batch(&[&exists]),
        Case::new("create a member that exists", vec![weighted("s1")], create(weighted("s1"))).batch(&[&exists_s1]),
        Case::new("delete what is not there", vec![], vec![(Delete, simple())]).batch(&[&missing]),
        Case::new("delete a sibling's key", vec![weighted("s1")], vec![(Delete, weighted("s2"))]).batch(&[&missing_s2]),
        Case::new("delete exactly", vec![full.clone()], vec![(Delete, full.clone())]).accepted(),
        Case::new("delete with the values in another order", vec![full.clone()], vec![(Delete, reordered)]).accepted(),
        Case::new("delete with the name in another spelling", vec![full.clone()], vec![(Delete, upper)]).accepted(),
        delete_of("delete with another bias", biased),
        delete_of("delete without the health check", healthless),
        delete_of("delete with fewer values", shorter),
        delete_of("delete with another TTL", full.clone().ttl(61)),
        delete_of("delete with another value", full.clone().value("192.0.2.3")),
        delete_of(
            "delete with other coordinates",
            near("s1", "52.53", "13.41").health_check(HEALTH).value("192.0.2.2"),
        ),
        delete_of("delete with another policy", weighted("s1").health_check(HEALTH).value("192.0.2.2")),
        delete_of("delete without a bias", unbiased.clone()),
        Case::new("delete without a bias, taken as 0", vec![full.clone()], vec![(Delete, unbiased.clone())])
            .with(|o| o.delete_missing_bias_matches_zero = Switch::Allow)
            .accepted(),
        Case::new("delete with another weight", vec![weighted("s1")], vec![(Delete, weighted("s1").weight(11))])
            .batch(&[&differs]),
        Case::new(
            "delete and create one key",
            vec![weighted("s1")],
            vec![(Delete, weighted("s1")), (Create, weighted("s1").weight(20))],
        )
        .accepted(),
        Case::new(
            "delete, and create the very same",
            vec![weighted("s1")],
            vec![(Delete, weighted("s1")), (Create, weighted("s1"))],
        )
        .accepted(),
        Case::new("create one key twice", vec![], vec![(Create, weighted("s1")), (Create, weighted("s1"))])
            .batch(&[twice]),
        Case::new("delete one key twice", vec![simple()], vec![(Delete, simple()), (Delete, simple())]).batch(&[twice]),
        Case::new("upsert and delete one key", vec![simple()], vec![(Upsert, simple()), (Delete, simple())])
            .batch(&[twice]),
        Case::new("create, then delete", vec![], vec![(Create, simple()), (Delete, simple())]).batch(&[twice]),
        Case::new("upsert what is not there", vec![], vec![(Upsert, simple())]).accepted(),
        Case::new("upsert what is there", vec![simple()], vec![(Upsert, simple().ttl(30))]).accepted(),
        Case::new("an identical upsert", vec![simple()], vec![(Upsert, simple())]).accepted(),
        Case::new(
            "a replaced member is as before when its batch fails",
            vec![weighted("s1")],
            vec![(Delete, weighted("s1")), (Create, weighted("s1").weight(20)), (Delete, weighted("s2"))],
        )
        .batch(&[&missing_s2]),
        Case::new(
            "a witness that has gone refuses the whole batch",
            vec![weighted("s1")],
            vec![(Delete, weighted("s1")), (Delete, weighted("s2")), (Create, weighted("s2"))],
        )
        .batch(&[&missing_s2]),
        Case::new(
            "a witness that is there lets the batch pass",
            vec![weighted("s1"), weighted("s2")],
            vec![(Delete, weighted("s1")), (Delete, weighted("s2")), (Create, weighted("s2"))],
        )
        .accepted(),
        Case::new(
            "all messages, and nothing is done",
            vec![weighted("s1")],
            vec![
                (Create, RecordSet::new("new.example.com", "A").ttl(60).value("192.0.2.9")),
                (Create, weighted("s1")),
                (Delete, weighted("s2")),
            ],
        )
        .batch(&[&exists_s1, &missing_s2]),
    ]
}

fn pools() -> Vec<Case> {
    let set = |id: &str| format!("RRSet with DNS name www.example.com., type A, SetIdentifier {id}");
    let others = "RRSet with DNS name www.example.com., type A cannot be created as other RRSets exist with the same name \
                  and type.";
    let non_weighted =
        format!("{} cannot be created as a non-weighted set exists with the same name and type.", set("s2"));
    let non_latency = format!(
        "{}, and Region Name=us-east-1 cannot be created because a non-latency RRSet with the same name and type already \
         exists.",
        set("s2")
    );
    let same_region = format!(
        "{}, and Region Name=us-east-1 cannot be created because a latency RRSet with the same name, type and region \
         already exists.",
        set("s2")
    );
    let non_multivalue = format!(
        "{} cannot be created because a non multivalue answer rrset exists with the same name and type.",
        set("s2")
    );
    let same_country = format!(
        "{}, and routing to [country = (JP, Japan)}} cannot be created because a GEO RRSet with the same name, type and \
         routing to [country = (JP, Japan)}} already exists.",
        set("s2")
    );
    let ttl = format!("{} cannot be created as weighted sets must contain the same TTL.", set("s2"));
    // The wording of these is not recorded from the service.
    let non_geoproximity = format!(
        "{} cannot be created because a non-geoproximity RRSet with the same name and type already exists.",
        set("s2")
    );
    let non_failover = format!(
        "{} cannot be created because a non-failover RRSet with the same name and type already exists.",
        set("s2")
    );
    let non_geo =
        format!("{} cannot be created because a non-GEO RRSet with the same name and type already exists.", set("s2"));
    let same_place = format!(
        "{} cannot be created because a geoproximity RRSet with the same name, type and location already exists.",
        set("s2")
    );
    let several_values = format!("{} cannot be created because it has more than one Resource Record.", set("s2"));
    vec![
        Case::new("a simple record set joins a pool", vec![weighted("s1")], create(simple())).batch(&[others]),
        Case::new("an upsert is no way around", vec![weighted("s1")], vec![(Upsert, simple())]).batch(&[others]),
        Case::new("weighted beside simple", vec![simple()], create(weighted("s2"))).batch(&[&non_weighted]),
        Case::new("weighted beside geoproximity", vec![near("s1", "1", "1")], create(weighted("s2")))
            .batch(&[&non_weighted]),
        Case::new("weighted beside latency", vec![latency("s1", "us-east-1")], create(weighted("s2")))
            .batch(&[&non_weighted]),
        Case::new("latency beside weighted", vec![weighted("s1")], create(latency("s2", "us-east-1")))
            .batch(&[&non_latency]),
        Case::new("latency beside simple", vec![simple()], create(latency("s2", "us-east-1"))).batch(&[&non_latency]),
        Case::new(
            "only the second of two policies is refused",
            vec![],
            vec![(Create, weighted("s1")), (Create, latency("s2", "us-east-1"))],
        )
        .batch(&[&non_latency]),
        Case::new(
            "one latency record set in a region",
            vec![latency("s1", "us-east-1")],
            create(latency("s2", "us-east-1")),
        )
        .batch(&[&same_region]),
        Case::new("latency in two regions", vec![latency("s1", "us-east-1")], create(latency("s2", "eu-west-1")))
            .accepted(),
        Case::new(
            "latency moves to another region",
            vec![latency("s1", "us-east-1")],
            vec![(Upsert, latency("s1", "eu-west-1"))],
        )
        .accepted(),
        Case::new("multivalue beside weighted", vec![weighted("s1")], create(multivalue("s2")))
            .batch(&[&non_multivalue]),
        Case::new("multivalue beside multivalue", vec![multivalue("s1")], create(multivalue("s2"))).accepted(),
        Case::new("geolocation twice", vec![a("s1").country("JP")], create(a("s2").country("JP")))
            .batch(&[&same_country]),
        Case::new("geolocation in two places", vec![a("s1").country("JP")], create(a("s2").continent("EU"))).accepted(),
        Case::new("weighted with another TTL", vec![weighted("s1")], create(weighted("s2").ttl(30))).batch(&[&ttl]),
        Case::new(
            "only the second of two TTLs is refused",
            vec![],
            vec![(Create, weighted("s1")), (Create, weighted("s2").ttl(30))],
        )
        .batch(&[&ttl]),
        Case::new(
            "a weighted set of one changes its TTL",
            vec![weighted("s1")],
            vec![(Upsert, weighted("s1").ttl(30))],
        )
        .accepted(),
        Case::new(
            "a member does not change the TTL alone",
            vec![weighted("s1"), weighted("s2")],
            vec![(Upsert, weighted("s2").ttl(30))],
        )
        .batch(&[&ttl]),
        Case::new(
            "a whole pool changes its TTL",
            vec![weighted("s1"), weighted("s2")],
            vec![
                (Delete, weighted("s1")),
                (Delete, weighted("s2")),
                (Create, weighted("s1").ttl(30)),
                (Create, weighted("s2").ttl(30)),
            ],
        )
        .accepted(),
        Case::new("geoproximity with another TTL", vec![near("s1", "1", "1")], create(near("s2", "2", "2").ttl(30)))
            .accepted(),
        Case::new(
            "a pool changes its policy in one batch",
            vec![weighted("s1"), weighted("s2")],
            vec![
                (Delete, weighted("s1")),
                (Delete, weighted("s2")),
                (Create, near("s1", "1", "1")),
                (Create, near("s2", "2", "2")),
            ],
        )
        .accepted(),
        Case::new(
            "but not with the creations first",
            vec![weighted("s1")],
            vec![(Create, near("s2", "2", "2")), (Delete, weighted("s1"))],
        )
        .batch(&[&non_geoproximity]),
        Case::new(
            "simple becomes weighted in one batch",
            vec![simple()],
            vec![(Delete, simple()), (Create, weighted("s1"))],
        )
        .accepted(),
        Case::new("geoproximity beside weighted", vec![weighted("s1")], create(near("s2", "1", "1")))
            .batch(&[&non_geoproximity]),
        Case::new("failover beside weighted", vec![weighted("s1")], create(secondary("s2"))).batch(&[&non_failover]),
        Case::new("geolocation beside weighted", vec![weighted("s1")], create(a("s2").country("JP")))
            .batch(&[&non_geo]),
        Case::new("two at one place, allowed", vec![near("s1", "1.5", "-2")], create(near("s2", "1.50", "-2.0")))
            .with(|o| o.geoproximity_duplicates = Switch::Allow)
            .accepted(),
        Case::new("two at one place, rejected", vec![near("s1", "1.5", "-2")], create(near("s2", "1.50", "-2.0")))
            .with(|o| o.geoproximity_duplicates = Switch::Reject)
            .batch(&[&same_place]),
        Case::new(
            "two in one Region, rejected",
            vec![a("s1").geoproximity_region("eu-west-1", 0)],
            create(a("s2").geoproximity_region("eu-west-1", 10)),
        )
        .with(|o| o.geoproximity_duplicates = Switch::Reject)
        .batch(&[&same_place]),
        Case::new(
            "two at two places, rejected or not",
            vec![near("s1", "1.5", "-2")],
            create(near("s2", "1.51", "-2.0")),
        )
        .with(|o| o.geoproximity_duplicates = Switch::Reject)
        .accepted(),
        Case::new(
            "an upsert is no duplicate of itself",
            vec![near("s1", "1.5", "-2")],
            vec![(Upsert, near("s1", "1.5", "-2").ttl(30))],
        )
        .with(|o| o.geoproximity_duplicates = Switch::Reject)
        .accepted(),
        Case::new("several values, allowed", vec![], create(weighted("s2").value("192.0.2.2")))
            .with(|o| o.multi_value = Switch::Allow)
            .accepted(),
        Case::new("several values, rejected", vec![], create(weighted("s2").value("192.0.2.2")))
            .with(|o| o.multi_value = Switch::Reject)
            .batch(&[&several_values]),
        Case::new("several values of a simple record set", vec![], create(simple().value("192.0.2.2")))
            .with(|o| o.multi_value = Switch::Reject)
            .accepted(),
        Case::new(
            "A and AAAA are two pools",
            vec![weighted("s1")],
            create(RecordSet::new(W, "AAAA").ttl(30).value("2001:db8::1")),
        )
        .accepted(),
    ]
}

fn caps() -> Vec<Case> {
    let point = |n: usize| near(&format!("s{n}"), &format!("{}", n % 80), &format!("{}", n / 80));
    let full =
        |kind: &str| format!("Exceeded limit on number of {kind} RRSets for www.example.com., type A in this zone.");
    let changes = |count: usize, action: Action| -> Vec<(Action, RecordSet)> {
        many(count, |n| RecordSet::new(&format!("n{n}.example.com"), "TXT").ttl(60).value("\"x\""))
            .into_iter()
            .map(|set| (action, set))
            .collect()
    };
    let texts = |length: usize, action: Action| {
        // 250 characters each, the quotes among them.
        let mut changes: Vec<_> = (0..length / 250)
            .map(|n| {
                (
                    action,
                    RecordSet::new(&format!("n{n}.example.com"), "TXT")
                        .ttl(60)
                        .value(&format!("\"{}\"", "x".repeat(248))),
                )
            })
            .collect();
        if !length.is_multiple_of(250) {
            changes.push((
                action,
                RecordSet::new("rest.example.com", "TXT")
                    .ttl(60)
                    .value(&format!("\"{}\"", "x".repeat(length % 250 - 2))),
            ));
        }
        changes
    };
    let values = |count: usize| {
        let mut set = RecordSet::new(W, "A").ttl(60);
        set.values = (0..count).map(|n| format!("10.0.{}.{}", n / 250, n % 250)).collect();
        set
    };
    vec![
        Case::new("30 geoproximity", many(29, point), create(point(30))).accepted(),
        Case::new("31 geoproximity", many(30, point), create(point(30))).batch(&[&full("geo-proximity")]),
        Case::new("one of 30 changes", many(30, point), vec![(Upsert, point(3).ttl(30))]).accepted(),
        Case::new("one of 30 goes, another comes", many(30, point), vec![(Delete, point(3)), (Create, point(30))])
            .accepted(),
        Case::new("100 weighted", many(99, |n| weighted(&format!("s{n}"))), create(weighted("s100"))).accepted(),
        Case::new("101 weighted", many(100, |n| weighted(&format!("s{n}"))), create(weighted("s100")))
            .batch(&[&full("weighted")]),
        Case::new("1000 elements", vec![], changes(1000, Create)).accepted(),
        Case::new("1001 elements", vec![], changes(1001, Create)).batch(&["Number of records limit of 1000 exceeded."]),
        Case::new("500 upserts", vec![], changes(500, Upsert)).accepted(),
        Case::new("501 upserts", vec![], changes(501, Upsert)).batch(&["Number of records limit of 1000 exceeded."]),
        Case::new("32,000 characters", vec![], texts(32_000, Create)).accepted(),
        Case::new("32,010 characters", vec![], texts(32_010, Create))
            .batch(&["RDATA character limit of 32000 exceeded."]),
        Case::new("16,000 characters upserted", vec![], texts(16_000, Upsert)).accepted(),
        Case::new("16,010 characters upserted", vec![], texts(16_010, Upsert))
            .batch(&["RDATA character limit of 32000 exceeded."]),
        Case::new("400 values", vec![], create(values(400))).accepted(),
        Case::new("401 values", vec![], create(values(401))).batch(&["Cannot have more than 400 records in a RRSet."]),
        Case::new(
            "a full zone",
            vec![simple()],
            create(RecordSet::new("b.example.com", "A").ttl(60).value("192.0.2.1")),
        )
        .with(|o| o.max_record_sets = 3)
        .batch(&["Exceeded limit of 3 on number of RRSets in this zone."]),
        Case::new("a full zone, changed", vec![simple()], vec![(Upsert, simple().ttl(30))])
            .with(|o| o.max_record_sets = 3)
            .accepted(),
    ]
}

fn single_sets() -> Vec<Case> {
    let cname = RecordSet::new(W, "CNAME").ttl(60).value("target.example.net");
    let value = |rtype: &str, value: &str| create(RecordSet::new(W, rtype).ttl(60).value(value));
    let unsupported = |rtype: &str| {
        format!(
            "RRSet with DNS name www.example.com., type {rtype}, SetIdentifier s1 cannot be created because this type of \
             RRSet is not supported."
        )
    };
    let typed = |rtype: &str, value: &str| RecordSet::new(W, rtype).set_identifier("s1").ttl(60).value(value);
    let named = |name: &str| {
        let mut set = simple();
        set.name = name.to_owned();
        create(set)
    };
    let long = "a".repeat(64);
    let illegal_ipv4 = |value: &str| {
        format!(
            "Invalid Resource Record: 'FATAL problem: ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address) \
             encountered with '{value}''"
        )
    };
    let alias = |zone: &str, target: &str| RecordSet::new(W, "A").alias(zone, target, false);
    vec![
        Case::new("A next to CNAME", vec![cname.clone()], create(simple())).batch(&[
            "RRSet of type A with DNS name www.example.com. is not permitted because a conflicting RRSet of type CNAME with \
             the same DNS name already exists in zone example.com.",
        ]),
        Case::new("CNAME next to A", vec![simple()], create(cname.clone())).batch(&[
            "RRSet of type CNAME with DNS name www.example.com. is not permitted as it conflicts with other records with \
             the same DNS name in zone example.com.",
        ]),
        Case::new("A in place of CNAME", vec![cname.clone()], vec![(Delete, cname.clone()), (Create, simple())]).accepted(),
        Case::new("CNAME at the apex", vec![], create(RecordSet::new("example.com", "CNAME").ttl(60).value("a.example.net")))
            .batch(&[
                "RRSet of type CNAME with DNS name example.com. is not permitted as it conflicts with other records with \
                 the same DNS name in zone example.com.",
            ]),
        Case::new("outside the zone", vec![], named("www.example.org"))
            .batch(&["RRSet with DNS name www.example.org. is not permitted in zone example.com."]),
        Case::new("outside by a letter", vec![], named("wwwexample.com"))
            .batch(&["RRSet with DNS name wwwexample.com. is not permitted in zone example.com."]),
        Case::new("duplicate values", vec![], create(simple().value("192.0.2.1")))
            .batch(&["Duplicate Resource Record: '192.0.2.1'"]),
        Case::new("no IPv4 address", vec![], value("A", "300.0.0.1")).batch(&[&illegal_ipv4("300.0.0.1")]),
        Case::new("an IPv6 address in an A", vec![], value("A", "2001:db8::1")).batch(&[&illegal_ipv4("2001:db8::1")]),
        Case::new("spaces in an A", vec![], value("A", "88.1.1.1, 88.1.1.1")).batch(&[
            "Invalid Resource Record: FATAL problem: ARRDATANotSingleField (Value contains spaces) encountered with \
             '88.1.1.1, 88.1.1.1'",
        ]),
        Case::new("no IPv6 address", vec![], value("AAAA", "192.0.2.1")).batch(&[
            "Invalid Resource Record: 'FATAL problem: AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address) \
             encountered with '192.0.2.1''",
        ]),
        Case::new("an IPv6 address with a zone index", vec![], value("AAAA", "fe80::1%eth0")).batch(&[
            "Invalid Resource Record: 'FATAL problem: AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address) \
             encountered with 'fe80::1%eth0''",
        ]),
        Case::new("text without quotes", vec![], value("TXT", "text")).batch(&[
            "Invalid Resource Record: 'FATAL problem: InvalidCharacterString (Value should be enclosed in quotation \
             marks) encountered with 'text''",
        ]),
        Case::new("a label too long", vec![], named(&format!("{long}.example.com"))).refused(
            "InvalidChangeBatch",
            &format!("FATAL problem: DomainLabelTooLong (Domain label is too long) encountered with '{long}'"),
        ),
        Case::new("an empty label", vec![], named(".sub.example.com")).refused(
            "InvalidChangeBatch",
            "FATAL problem: DomainLabelEmpty (Domain label is empty) encountered with '.sub.example.com'",
        ),
        Case::new("a space in the name", vec![], named("a b.example.com")).refused(
            "InvalidChangeBatch",
            "FATAL problem: UnsupportedCharacter (Value contains unsupported characters) encountered with ' '",
        ),
        Case::new("a wildcard", vec![], named("*.example.com")).accepted(),
        Case::new("NS has no policy", vec![], create(typed("NS", "ns.example.net").weight(1))).batch(&[&unsupported("NS")]),
        Case::new("SOA has no policy", vec![], create(typed("SOA", "a b 1 2 3 4 5").weight(1))).batch(&[&unsupported("SOA")]),
        Case::new("CNAME is not multivalue", vec![], create(typed("CNAME", "a.example.net").multi_value_answer()))
            .batch(&[&unsupported("CNAME")]),
        Case::new("CNAME is weighted", vec![], create(typed("CNAME", "a.example.net").weight(1))).accepted(),
        Case::new("IP-based", vec![], create(a("s1").cidr(COLLECTION, "home"))).accepted(),
        Case::new("IP-based in a private zone", vec![], create(a("s1").cidr(COLLECTION, "home"))).private().batch(&[
            "RRSet with DNS name www.example.com., type A, SetIdentifier s1 cannot be created because CIDR RRSet is not \
             supported with private hosted zone.",
        ]),
        Case::new("geoproximity in a private zone", vec![], create(near("s1", "1", "1"))).private().accepted(),
        Case::new("a health check on a simple record set", vec![], create(simple().health_check(HEALTH))).batch(&[
            "DNS name must have alternate ResourceRecordSet responses configured via a routing policy (e.g., Weight, \
             Region, etc.) if a health check is attached. No changes made.",
        ]),
        Case::new("a health check on a weighted record set", vec![], create(weighted("s1").health_check(HEALTH))).accepted(),
        Case::new("an unknown health check", vec![], create(weighted("s1").health_check("unknown")))
            .refused("NoSuchHealthCheck", "A health check with id unknown does not exist."),
        Case::new("a set whose health check has gone is deleted", vec![weighted("s1").health_check("gone")], vec![(
            Delete,
            weighted("s1").health_check("gone"),
        )])
        .accepted(),
        Case::new("a primary without a health check", vec![], create(a("s1").failover("PRIMARY"))).batch(&[
            "A non-alias primary ResourceRecordSet must have an associated health check. No changes made.",
        ]),
        Case::new("primary and secondary", vec![secondary("s2")], create(a("s1").failover("PRIMARY").health_check(HEALTH)))
            .accepted(),
        Case::new("a multivalue alias", vec![], create(alias("ZELB", "lb.example.net").set_identifier("s1").multi_value_answer()))
            .batch(&["Multivalue answer rrset should not be an alias rrset. No changes made."]),
        Case::new("an alias elsewhere", vec![], create(alias("ZELB", "lb.example.net"))).accepted(),
        Case::new("an alias to nothing", vec![], create(alias(ZONE, "lb.example.com"))).batch(&[
            "Tried to create an alias that targets lb.example.com., type A in zone Z0123456789ABC, but that target was not \
             found",
        ]),
        Case::new("a Region that is none", vec![], create(a("s1").geoproximity_region("xx-fake-1", 0))).batch(&[
            "Cannot find GeoProximityLocation with AWSRegion = xx-fake-1. No changes made.",
            "Cannot find GeoProximityLocation with AWSRegion = xx-fake-1. No changes made.",
        ]),
        Case::new("a local zone group that is none", vec![], create(a("s1").geoproximity_local_zone_group("not-a-zone-group", 0)))
            .batch(&["Cannot find GeoProximityLocation with LocalZoneGroup = not-a-zone-group. No changes made."]),
        Case::new("a local zone group", vec![], create(a("s1").geoproximity_local_zone_group("us-west-2-den-1", 0))).accepted(),
    ]
}

fn structure() -> Vec<Case> {
    let policies = "Invalid request: Expected exactly one of [Weight, Region, Failover, GeoLocation, MultiValueAnswer, \
                    GeoProximityLocation, or CidrRoutingConfig], but found";
    let sources = "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or \
                   TrafficPolicyInstanceId], but found";
    let locations = "Invalid request: Expected exactly one of [AWSRegion, LocalZoneGroup, or at least one of [Coordinates, or \
                     all of [Latitude, and Longitude]]], but found";
    let change = |action: &str, id: &str| {
        format!("in Change with [Action={action}, Name=www.example.com., Type=A, SetIdentifier={id}]")
    };
    let invalid = |name: &'static str, action: Action, set: RecordSet, message: &str| {
        Case::new(name, vec![], vec![(action, set)]).refused("InvalidInput", message)
    };
    let mut two_locations = near("s1", "1", "1");
    two_locations.geoproximity.as_mut().unwrap().aws_region = Some("eu-west-1".to_owned());
    let mut no_location = near("s1", "1", "1");
    no_location.geoproximity.as_mut().unwrap().coordinates = None;
    vec![
        invalid(
            "a policy without a set identifier",
            Create,
            simple().weight(1),
            &format!("Invalid request: Missing field 'SetIdentifier' {}", change("CREATE", "null")),
        ),
        invalid(
            "geoproximity without a set identifier",
            Upsert,
            simple().geoproximity("1", "1", 0),
            &format!("Invalid request: Missing field 'SetIdentifier' {}", change("UPSERT", "null")),
        ),
        invalid(
            "a set identifier without a policy",
            Upsert,
            a("s1"),
            &format!("{policies} none {}", change("UPSERT", "s1")),
        ),
        invalid("the same in a delete", Delete, a("s1"), &format!("{policies} none {}", change("DELETE", "s1"))),
        invalid(
            "two policies",
            Create,
            weighted("s1").region("us-east-1"),
            &format!("{policies} more than one {}", change("CREATE", "s1")),
        ),
        invalid(
            "a delete by key",
            Delete,
            RecordSet::new(W, "A"),
            &format!("{sources} none {}", change("DELETE", "null")),
        ),
        invalid(
            "only a TTL",
            Create,
            RecordSet::new(W, "A").ttl(60),
            &format!("{sources} none {}", change("CREATE", "null")),
        ),
        invalid(
            "only values",
            Create,
            RecordSet::new(W, "A").value("192.0.2.1"),
            &format!("{sources} none {}", change("CREATE", "null")),
        ),
        invalid(
            "alias and values",
            Create,
            simple().alias("ZELB", "lb.example.net", false),
            &format!("{sources} more than one {}", change("CREATE", "null")),
        ),
        invalid(
            "alias and TTL",
            Create,
            RecordSet::new(W, "A").ttl(60).alias("ZELB", "lb.example.net", false),
            &format!("{sources} more than one {}", change("CREATE", "null")),
        ),
        invalid("two locations", Create, two_locations, &format!("{locations} more than one")),
        invalid("no location", Create, no_location, &format!("{locations} none")),
        invalid(
            "a TTL past the range",
            Create,
            simple().ttl(2_147_483_648),
            "1 validation error detected: Value '2147483648' at 'changeBatch.changes.1.member.resourceRecordSet.tTL' failed \
             to satisfy constraint: Member must have value less than or equal to 2147483647",
        ),
        invalid(
            "a weight past the range",
            Create,
            weighted("s1").weight(256),
            "1 validation error detected: Value '256' at 'changeBatch.changes.1.member.resourceRecordSet.weight' failed to \
             satisfy constraint: Member must have value less than or equal to 255",
        ),
        Case::new(
            "only the first structural problem",
            vec![],
            vec![(Create, weighted("s0")), (Create, a("s1")), (Create, a("s2"))],
        )
        .refused("InvalidInput", &format!("{policies} none {}", change("CREATE", "s1"))),
        Case::new("structure comes before meaning", vec![], vec![(Delete, simple()), (Create, a("s1"))])
            .refused("InvalidInput", &format!("{policies} none {}", change("CREATE", "s1"))),
    ]
}

fn table() -> Vec<Case> {
    [existence(), pools(), caps(), single_sets(), structure()].into_iter().flatten().collect()
}

/// Puts a real health check's id where the table says one is wanted.
fn with_health_check(set: &RecordSet, id: &str) -> RecordSet {
    let mut set = set.clone();
    if set.health_check_id.as_deref() == Some(HEALTH) {
        set.health_check_id = Some(id.to_owned());
    }
    set
}

/// What the record sets must be afterwards.
fn applied(mut sets: Vec<RecordSet>, changes: &[(Action, RecordSet)]) -> Vec<RecordSet> {
    for (action, set) in changes {
        let set = set.clone().into_stored().unwrap();
        let same = |other: &RecordSet| {
            (&other.name, &other.rtype, &other.set_identifier) == (&set.name, &set.rtype, &set.set_identifier)
        };
        sets.retain(|other| !same(other));
        if *action != Delete {
            sets.push(set);
        }
    }
    sorted(sets)
}

fn sorted(mut sets: Vec<RecordSet>) -> Vec<RecordSet> {
    sets.sort_by(|a, b| (&a.name, &a.rtype, &a.set_identifier).cmp(&(&b.name, &b.rtype, &b.set_identifier)));
    sets
}

fn judge(case: &Case, how: &str, outcome: Result<(), (String, String)>, before: Vec<RecordSet>, after: Vec<RecordSet>) {
    let Case { name, changes, expected, .. } = case;
    let expected = expected.clone().map_err(|(code, message)| (code.to_owned(), message));
    assert_eq!(outcome, expected, "{name}, {how}");
    let wanted = if expected.is_ok() { applied(before, changes) } else { sorted(before) };
    assert_eq!(sorted(after), wanted, "{name}, {how}: what is in the zone");
}

#[test]
fn the_state_machine_keeps_to_the_table() {
    for case in table() {
        let mut account = Account::new(case.options.clone());
        let config = HealthCheckConfig {
            kind: "TCP".to_owned(),
            port: Some(443),
            ip_address: Some("8.8.8.8".to_owned()),
            ..Default::default()
        };
        account.health_checks.create(HEALTH.to_owned(), "ref", config, 200).unwrap();
        let zone = account.add_zone("example.com", ZONE, case.private).unwrap();
        for set in &case.given {
            zone.put(set.clone().into_stored().unwrap());
        }
        let contents = |account: &Account| -> Vec<RecordSet> {
            account.zone(ZONE).unwrap().record_sets().map(|set| set.as_ref().clone()).collect()
        };
        let before = contents(&account);
        let changes = case.changes.iter().map(|(action, set)| Change { action: *action, record_set: set.clone() });
        let batch = ChangeBatch { comment: None, changes: changes.collect() };
        let outcome = account.change_record_sets(ZONE, Ok(&batch), Now::present());
        let outcome = outcome.map(drop).map_err(|error| (error.code, error.message));
        judge(&case, "state machine", outcome, before, contents(&account));
    }
}

#[test]
fn http_keeps_to_the_table() {
    for case in table() {
        let builder = Sim::builder().options(case.options.clone());
        let builder =
            if case.private { builder.private_zone("example.com", ZONE) } else { builder.zone("example.com", ZONE) };
        let sim = builder.start();
        let body = "<CreateHealthCheckRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><CallerReference>ref\
                    </CallerReference><HealthCheckConfig><IPAddress>8.8.8.8</IPAddress><Port>443</Port><Type>TCP</Type>\
                    </HealthCheckConfig></CreateHealthCheckRequest>";
        let health = send(&sim, "POST", "/2013-04-01/healthcheck", body).text("Id").unwrap();
        for set in &case.given {
            sim.put(ZONE, with_health_check(set, &health));
        }
        let before = sim.record_sets(ZONE);
        let changes: Vec<_> =
            case.changes.iter().map(|(action, set)| (*action, with_health_check(set, &health))).collect();
        let case = Case { changes, ..case };
        let response = change(&sim, &case.changes);
        let outcome = if response.status == 200 { Ok(()) } else { Err(response.error()) };
        judge(&case, "HTTP", outcome, before, sim.record_sets(ZONE));
        let expected_status = match &case.expected {
            Ok(()) => 200,
            Err(("NoSuchHealthCheck", _)) => 404,
            Err(_) => 400,
        };
        assert_eq!(response.status, expected_status, "{}", case.name);
    }
}
