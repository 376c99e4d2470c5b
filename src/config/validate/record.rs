//! A `[[record]]`: what must hold of each and among them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::health_check::health_check;
use super::{Judge, number, signals};
use crate::config::path::Path;
use crate::config::raw::{self, RawConfig, RawRecord, RecordType as RawType};
use crate::config::{ONE_FOR_EACH_NAME, RecordTemplate, Switch, expand, host_name, may_be_one_zone, routing};
use crate::decide::name::DnsName;
use crate::decide::owner::OwnerId;
use crate::decide::policy::RecordPolicy;
use crate::decide::record::{RecordType, ZoneRef};
use crate::decide::routing::{FailoverRole, Routing};
use crate::decide::select::AddressClass;

/// Stands for the node's name until it is known: a label that nobody's node has.
const SAMPLE_NODE: &str = "nodedns-sample-node";

pub(super) fn records(raw: &RawConfig, judge: &mut Judge<'_>, cluster: &str) -> Vec<RecordTemplate> {
    let path = Path::default().key("record");
    if raw.record.is_empty() {
        judge.miss(&path, "missing: there is nothing to publish", "add a [[record]] with a 'name'");
    }
    let mut records: Vec<RecordTemplate> = Vec::new();
    for (index, table) in raw.record.iter().enumerate() {
        let path = path.index(index);
        let Some(record) = record(raw, table, &path, cluster, judge) else { continue };
        if let Some(first) = records
            .iter()
            .find(|r| r.policy.name == record.policy.name && may_be_one_zone(&r.policy.zone, &record.policy.zone))
        {
            judge.advise(
                &path.key("name"),
                format!("{:?} is configured twice", record.name),
                format!("it is already at {}; {ONE_FOR_EACH_NAME}", first.source),
            );
        }
        records.push(record);
    }
    records
}

fn record(
    raw: &RawConfig,
    table: &RawRecord,
    path: &Path,
    cluster: &str,
    judge: &mut Judge<'_>,
) -> Option<RecordTemplate> {
    let zone = zone(table, path, judge);
    let name = name(table, path, cluster, zone.as_ref(), judge);
    let types = types(table, path, judge);
    let static_addresses = static_addresses(table, &types, path, judge);
    let health_check = health_check(table, path, judge);
    let watched = raw.kubernetes.enabled != Switch::Off;
    let routing = routing::routing(&table.routing, watched, &path.key("routing"), judge);
    if routing == Some(Routing::Failover(FailoverRole::Primary).into())
        && table.health_check_id.is_none()
        && table.health_check.is_none()
    {
        judge.advise(
            &path.key("health_check_id"),
            "missing: Route 53 wants a health check on a primary failover record set",
            "add a 'health_check', or the 'health_check_id' of an existing one",
        );
    }
    let ttl = number(table.ttl, 0, i64::from(i32::MAX), &path.key("ttl"), judge);
    let most = routing.as_ref().map_or(100, |routing| routing.kind().pool_limit());
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let keep_min = number(table.keep_min, 0, most, &path.key("keep_min"), judge);
    let signals = signals::of_record(&raw.signals, &table.signals, &path.key("signals"), judge);
    let (source, key) = judge.origin(&path.key("name"));
    let (name, sample) = name?;
    Some(RecordTemplate {
        name,
        policy: RecordPolicy {
            name: sample,
            zone: zone?,
            types,
            class: match table.class {
                raw::Class::Global => AddressClass::Global,
                raw::Class::Private => AddressClass::Private,
                raw::Class::Shared => AddressClass::Shared,
                raw::Class::Any => AddressClass::Any,
            },
            all_addresses: table.addresses == raw::Addresses::All,
            static_addresses,
            ttl,
            keep_min,
            routing: routing?,
            probe: signals.probe,
            taint_keys: signals.taint_keys,
            health_check,
            signals: signals.policies,
        },
        source,
        path: key,
    })
}

fn zone(table: &RawRecord, path: &Path, judge: &mut Judge<'_>) -> Option<ZoneRef> {
    match (&table.zone_id, &table.zone) {
        (Some(_), Some(_)) => {
            judge.complain(&path.key("zone"), "'zone_id' already says which hosted zone it is; remove one of them");
            None
        }
        (Some(id), None) => {
            let bare = id.strip_prefix("/hostedzone/").unwrap_or(id);
            if bare.is_empty() || bare.len() > 32 || !bare.bytes().all(|b| b.is_ascii_alphanumeric()) {
                judge.advise(
                    &path.key("zone_id"),
                    format!("{id:?} is not a hosted zone id"),
                    "it looks like \"Z0123456789ABC\"; the zone's name goes into 'zone'",
                );
                return None;
            }
            if table.private {
                judge
                    .complain(&path.key("private"), "'zone_id' already says which hosted zone it is; remove 'private'");
            }
            Some(ZoneRef::Id(bare.to_owned()))
        }
        (None, Some(zone)) => match DnsName::parse(zone) {
            Ok(name) => Some(ZoneRef::Name { name, private: table.private }),
            Err(error) => {
                judge.complain(&path.key("zone"), error.to_string());
                None
            }
        },
        (None, None) => Some(ZoneRef::Longest { private: table.private }),
    }
}

/// The name's template, and the name with the sample for the node's.
fn name(
    table: &RawRecord,
    path: &Path,
    cluster: &str,
    zone: Option<&ZoneRef>,
    judge: &mut Judge<'_>,
) -> Option<(String, DnsName)> {
    let path = path.key("name");
    let Some(template) = &table.name else {
        judge.advise(&path, "missing", "every [[record]] needs a name, for example name = \"edge.example.com\"");
        return None;
    };
    let text = expand(template, cluster, SAMPLE_NODE);
    if text.contains(['{', '}']) {
        judge.complain(&path, format!("{template:?}: only {{node}} and {{cluster}} stand for something"));
        return None;
    }
    let sample = match host_name::parse(&text) {
        Ok(sample) => sample,
        Err(refused) => {
            // An invalid cluster makes an invalid name; once is enough.
            if !template.contains("{cluster}") || OwnerId::new(cluster, "n").is_ok() {
                judge.report(&path, refused.message, refused.hint.map(str::to_owned));
            }
            return None;
        }
    };
    if sample.label_count() < 2 {
        judge.advise(
            &path,
            format!("{template:?} is a single label"),
            "write the whole name, as in \"edge.example.com\"",
        );
        return None;
    }
    if let Some(ZoneRef::Name { name: zone, .. }) = zone
        && !sample.is_within(zone)
    {
        judge.complain(&path, format!("{template:?} is not in the zone {zone}"));
    }
    Some((template.clone(), sample))
}

fn types(table: &RawRecord, path: &Path, judge: &mut Judge<'_>) -> BTreeSet<RecordType> {
    let path = path.key("types");
    let mut types = BTreeSet::new();
    for (index, rtype) in table.types.iter().enumerate() {
        let new = types.insert(match rtype {
            RawType::A => RecordType::A,
            RawType::Aaaa => RecordType::Aaaa,
        });
        if !new {
            judge.complain(&path.index(index), "named twice");
        }
    }
    if types.is_empty() {
        judge.advise(&path, "without a type there is nothing to publish", "[\"A\", \"AAAA\"] is both");
    }
    types
}

fn static_addresses(
    table: &RawRecord,
    types: &BTreeSet<RecordType>,
    path: &Path,
    judge: &mut Judge<'_>,
) -> BTreeSet<IpAddr> {
    let path = path.key("static_addresses");
    let mut addresses = BTreeSet::new();
    for (index, text) in table.static_addresses.iter().enumerate() {
        let path = path.index(index);
        let Ok(address) = text.parse::<IpAddr>() else {
            judge.complain(&path, format!("{text:?} is not an IP address"));
            continue;
        };
        let rtype = RecordType::of(address);
        if !types.contains(&rtype) && !types.is_empty() {
            judge.advise(
                &path,
                format!("{text} belongs into a record of type {rtype}, which is not among this record's types"),
                format!("add \"{rtype}\" to 'types', or remove the address"),
            );
        } else if let Some(kind) = nobodys(address) {
            judge.complain(&path, format!("{text} is not an address at which a host can be reached: {kind}"));
        } else if !addresses.insert(address) {
            judge.complain(&path, format!("{text} is there twice"));
        }
    }
    for rtype in types {
        if table.addresses == raw::Addresses::First
            && addresses.iter().filter(|address| RecordType::of(**address) == *rtype).count() > 1
        {
            judge.advise(
                &path,
                format!("several addresses of type {rtype}, of which only the first would be published"),
                "set addresses = \"all\", or leave one",
            );
        }
    }
    addresses
}

/// What makes an address one that no other host can reach, whatever the class of the record.
fn nobodys(address: IpAddr) -> Option<&'static str> {
    let address = address.to_canonical();
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    [
        (address.is_unspecified(), "it is unspecified"),
        (address.is_multicast(), "it is multicast"),
        (address.is_loopback(), "it is loopback"),
        (link_local, "it is link-local"),
    ]
    .into_iter()
    .find_map(|(holds, kind)| holds.then_some(kind))
}
