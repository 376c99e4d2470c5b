//! Batches, and what becomes of them. The texts are those recorded from the live service.

use nodedns::decide::record::{Action, Change, RecordSet, RecordType};
use nodedns::decide::routing::{FailoverRole, Routing};

use super::*;

/// What is expected of a batch: that it is accepted, or a code and the whole text.
pub(super) type Expected = Result<(), (&'static str, String)>;

fn batch_refused(messages: &str) -> Expected {
    Err(("InvalidChangeBatch", format!("[{messages}]")))
}

/// What it shows, and the batches that show it.
type Case = (&'static str, Vec<(Vec<Change>, Expected)>);

/// Batches, applied one after another to an empty name. `check` is a health check.
pub(super) fn cases(check: &str) -> Vec<Case> {
    const EDGE: &str = "RRSet with DNS name edge.example.com., type A";
    const KEY: &str = "[name='edge.example.com.', type='A', set-identifier='a']";
    let a = || weighted("a", 10, "192.0.2.1");
    let b = || weighted("b", 10, "192.0.2.2");
    let other_ttl = || set("b", Routing::Weighted(1), values(120, &["192.0.2.2"]));
    let latency = |identifier: &str| set(identifier, Routing::Latency("us-east-1".into()), values(60, &["192.0.2.3"]));
    let multivalue = |identifier: &str| set(identifier, Routing::MultiValue, values(60, &["192.0.2.4"]));
    let invalid = |text: &str| -> Expected { Err(("InvalidInput", text.to_owned())) };
    let repeated = || {
        batch_refused("The request contains an invalid set of changes for a resource record set 'A edge.example.com.'")
    };
    vec![
        (
            "a record set is created, replaced and deleted",
            vec![
                (vec![create(a())], Ok(())),
                (vec![upsert(weighted("a", 0, "192.0.2.9"))], Ok(())),
                (vec![delete(weighted("a", 0, "192.0.2.9"))], Ok(())),
            ],
        ),
        (
            "what exists cannot be created",
            vec![
                (vec![create(a())], Ok(())),
                (
                    vec![create(a())],
                    batch_refused(&format!("Tried to create resource record set {KEY} but it already exists")),
                ),
            ],
        ),
        (
            "a deletion is a compare-and-swap",
            vec![
                (vec![create(a())], Ok(())),
                (
                    vec![delete(weighted("a", 11, "192.0.2.1"))],
                    batch_refused(&format!(
                        "Tried to delete resource record set {KEY} but the values provided do not match the current values"
                    )),
                ),
                (
                    vec![delete(set("a", Routing::Weighted(10), values(61, &["192.0.2.1"])))],
                    batch_refused(&format!(
                        "Tried to delete resource record set {KEY} but the values provided do not match the current values"
                    )),
                ),
                (vec![delete(a())], Ok(())),
                (
                    vec![delete(a())],
                    batch_refused(&format!("Tried to delete resource record set {KEY} but it was not found")),
                ),
                (
                    vec![delete(simple("192.0.2.1"))],
                    batch_refused(
                        "Tried to delete resource record set [name='edge.example.com.', type='A'] but it was not found",
                    ),
                ),
            ],
        ),
        (
            "a batch is applied whole or not at all, and says everything that is wrong with it",
            vec![
                (vec![create(a())], Ok(())),
                (
                    vec![create(b()), delete(weighted("x", 1, "192.0.2.7")), create(a())],
                    batch_refused(&format!(
                        "Tried to delete resource record set [name='edge.example.com.', type='A', set-identifier='x'] \
                         but it was not found, Tried to create resource record set {KEY} but it already exists"
                    )),
                ),
            ],
        ),
        (
            "a witness is deleted and created again in the batch that deletes another",
            vec![
                (vec![create(a()), create(b())], Ok(())),
                (vec![delete(b()), create(b()), delete(a())], Ok(())),
                (vec![create(a())], Ok(())),
                (vec![delete(b())], Ok(())),
                // The witness has gone meanwhile: nothing happens.
                (
                    vec![delete(b()), create(b()), delete(a())],
                    batch_refused(
                        "Tried to delete resource record set [name='edge.example.com.', type='A', set-identifier='b'] \
                         but it was not found",
                    ),
                ),
            ],
        ),
        (
            "one key is changed once, or deleted and then created",
            vec![
                (vec![create(a()), create(a())], repeated()),
                (vec![create(a()), delete(a())], repeated()),
                (vec![upsert(a()), upsert(a())], repeated()),
                (vec![create(a())], Ok(())),
                (vec![delete(a()), delete(a())], repeated()),
                (vec![delete(a()), upsert(a())], repeated()),
                (vec![delete(a()), create(a()), delete(a())], repeated()),
                (vec![delete(a()), create(weighted("a", 77, "192.0.2.77"))], Ok(())),
            ],
        ),
        (
            "a simple record set has the pool to itself",
            vec![
                (vec![create(simple("192.0.2.1"))], Ok(())),
                (
                    vec![create(a())],
                    batch_refused(&format!(
                        "{EDGE}, SetIdentifier a cannot be created as a non-weighted set exists with the same name and type."
                    )),
                ),
                (vec![delete(simple("192.0.2.1")), create(a())], Ok(())),
                (
                    vec![create(simple("192.0.2.1"))],
                    batch_refused(&format!(
                        "{EDGE} cannot be created as other RRSets exist with the same name and type."
                    )),
                ),
            ],
        ),
        (
            "a pool has one policy, unless the batch takes it over whole",
            vec![
                (vec![create(a()), create(b())], Ok(())),
                (
                    vec![create(latency("l"))],
                    batch_refused(&format!(
                        "{EDGE}, SetIdentifier l, and Region Name=us-east-1 cannot be created because a non-latency RRSet \
                         with the same name and type already exists."
                    )),
                ),
                (
                    vec![create(multivalue("m"))],
                    batch_refused(&format!(
                        "{EDGE}, SetIdentifier m cannot be created because a non multivalue answer rrset exists with the \
                         same name and type."
                    )),
                ),
                (vec![delete(a()), delete(b()), create(multivalue("a")), create(multivalue("b"))], Ok(())),
            ],
        ),
        (
            "weighted record sets share one TTL",
            vec![
                (vec![create(a())], Ok(())),
                (
                    vec![create(other_ttl())],
                    batch_refused(&format!(
                        "{EDGE}, SetIdentifier b cannot be created as weighted sets must contain the same TTL."
                    )),
                ),
                (vec![upsert(set("a", Routing::Weighted(10), values(120, &["192.0.2.1"])))], Ok(())),
                (vec![create(other_ttl())], Ok(())),
            ],
        ),
        (
            "the TTL is no matter of other policies, or of the other type",
            vec![
                (
                    vec![create(multivalue("m")), create(set("n", Routing::MultiValue, values(61, &["192.0.2.5"])))],
                    Ok(()),
                ),
                (
                    vec![change(
                        Action::Create,
                        "edge.example.com",
                        RecordType::Aaaa,
                        set("m", Routing::Weighted(1), values(7, &["2001:db8::1"])),
                    )],
                    Ok(()),
                ),
            ],
        ),
        (
            "a Region has one latency record set",
            vec![
                (vec![create(latency("l"))], Ok(())),
                (
                    vec![create(latency("k"))],
                    batch_refused(&format!(
                        "{EDGE}, SetIdentifier k, and Region Name=us-east-1 cannot be created because a latency RRSet with \
                         the same name, type and region already exists."
                    )),
                ),
            ],
        ),
        (
            "a health check needs a policy, and a primary needs a health check",
            vec![
                (
                    vec![create(RecordSet { health_check_id: Some(check.into()), ..simple("192.0.2.1") })],
                    batch_refused(
                        "DNS name must have alternate ResourceRecordSet responses configured via a routing policy (e.g., \
                         Weight, Region, etc.) if a health check is attached. No changes made.",
                    ),
                ),
                (
                    vec![create(set("p", Routing::Failover(FailoverRole::Primary), values(60, &["192.0.2.1"])))],
                    batch_refused(
                        "A non-alias primary ResourceRecordSet must have an associated health check. No changes made.",
                    ),
                ),
            ],
        ),
        (
            "a set identifier goes with a policy",
            vec![
                (
                    vec![create(RecordSet { set_identifier: None, ..a() })],
                    invalid(
                        "Invalid request: Missing field 'SetIdentifier' in Change with [Action=CREATE, \
                         Name=edge.example.com., Type=A, SetIdentifier=null]",
                    ),
                ),
                (
                    vec![create(RecordSet { routing: Routing::Simple, ..a() })],
                    invalid(
                        "Invalid request: Expected exactly one of [Weight, Region, Failover, GeoLocation, \
                         MultiValueAnswer, GeoProximityLocation, or CidrRoutingConfig], but found none in Change with \
                         [Action=CREATE, Name=edge.example.com., Type=A, SetIdentifier=a]",
                    ),
                ),
            ],
        ),
        (
            "a record set has values, of its own type",
            vec![
                (
                    vec![upsert(set("a", Routing::Weighted(1), values(60, &[])))],
                    invalid(
                        "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or \
                         TrafficPolicyInstanceId], but found none in Change with [Action=UPSERT, Name=edge.example.com., \
                         Type=A, SetIdentifier=a]",
                    ),
                ),
                (
                    vec![create(weighted("a", 1, "2001:db8::1"))],
                    batch_refused(
                        "Invalid Resource Record: 'FATAL problem: ARRDATAIllegalIPv4Address (Value is not a valid IPv4 \
                         address) encountered with '2001:db8::1''",
                    ),
                ),
                (
                    vec![create(set("a", Routing::Weighted(1), values(1 << 31, &["192.0.2.1"])))],
                    invalid(
                        "1 validation error detected: Value '2147483648' at \
                         'changeBatch.changes.1.member.resourceRecordSet.tTL' failed to satisfy constraint: Member must \
                         have value less than or equal to 2147483647",
                    ),
                ),
                (vec![create(set("a", Routing::Weighted(1), values(0, &["192.0.2.1", "192.0.2.2"])))], Ok(())),
            ],
        ),
        (
            "a name lies in its zone",
            vec![(
                vec![change(Action::Create, "edge.example.net", RecordType::A, a())],
                batch_refused("RRSet with DNS name edge.example.net. is not permitted in zone example.com."),
            )],
        ),
        (
            "1000 values make a batch, an UPSERT's counted twice",
            vec![
                (
                    (0..3)
                        .map(|n| {
                            let addresses: Vec<String> =
                                (0..200).map(|host| format!("10.{n}.{}.{}", host / 200, host % 200)).collect();
                            let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
                            upsert(set(&format!("s{n}"), Routing::MultiValue, values(60, &addresses)))
                        })
                        .collect(),
                    batch_refused("Number of records limit of 1000 exceeded."),
                ),
                (
                    (0..5)
                        .map(|n| {
                            let addresses: Vec<String> = (0..200).map(|host| format!("10.{n}.0.{host}")).collect();
                            let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
                            create(set(&format!("s{n}"), Routing::MultiValue, values(60, &addresses)))
                        })
                        .collect(),
                    Ok(()),
                ),
            ],
        ),
        (
            "100 weighted record sets make a pool",
            vec![
                ((0..100).map(|n| create(weighted(&format!("w{n:03}"), 1, &format!("192.0.2.{n}")))).collect(), Ok(())),
                (
                    vec![create(a())],
                    batch_refused(
                        "Exceeded limit on number of weighted RRSets for edge.example.com., type A in this zone.",
                    ),
                ),
                (vec![upsert(weighted("w007", 9, "192.0.2.207"))], Ok(())),
                (vec![delete(weighted("w000", 1, "192.0.2.0")), create(a())], Ok(())),
            ],
        ),
        (
            "30 geoproximity record sets make a pool",
            vec![
                (
                    (0..30)
                        .map(|n| {
                            create(set(&format!("g{n}"), coordinates(&format!("{n},0")), values(60, &["192.0.2.1"])))
                        })
                        .collect(),
                    Ok(()),
                ),
                (
                    vec![create(set("a", coordinates("-1,0"), values(60, &["192.0.2.1"])))],
                    batch_refused(
                        "Exceeded limit on number of geo-proximity RRSets for edge.example.com., type A in this zone.",
                    ),
                ),
            ],
        ),
    ]
}
