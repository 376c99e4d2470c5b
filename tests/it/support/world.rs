//! Building blocks for worlds: policies, snapshots, nodes, record sets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use nodedns::decide::address::{AddressFlags, HostAddress, Interface, Scope, Snapshot};
use nodedns::decide::name::DnsName;
use nodedns::decide::node::{NodeObject, NodeState, Readiness};
use nodedns::decide::owner::{OwnerId, SetIdentifier};
use nodedns::decide::policy::{Policy, RecordPolicy, Timing};
use nodedns::decide::probe::{Probe, ProbeCheck};
use nodedns::decide::record::{Listing, RecordSet, RecordType, Target, Value, ZoneRef};
use nodedns::decide::routing::Routing;
use nodedns::decide::select::{AddressClass, AddressRules};
use nodedns::decide::selector::LabelSelector;

pub(crate) const OWN: &str = "nodedns/v1/home/n1";
pub(crate) const SIBLING: &str = "nodedns/v1/home/n2";
/// A sibling that is dead wherever it is mentioned.
pub(crate) const DEAD: &str = "nodedns/v1/home/n3";
pub(crate) const FOREIGN: &str = "hand-made";

/// Publicly routable, and never sent to: these only stand in values.
pub(crate) const V4: &str = "185.12.64.1";
pub(crate) const V4_OTHER: &str = "185.12.64.2";
pub(crate) const V6: &str = "2a01:4ff:f0::1";

/// A snapshot with these addresses on `eth0`.
pub(crate) fn snapshot(addresses: &[&str]) -> Snapshot {
    let eth0 = Interface {
        name: "eth0".into(),
        alternative_names: BTreeSet::new(),
        kind: None,
        up: true,
        running: true,
        loopback: false,
    };
    let address = |text: &&str| {
        let address: IpAddr = text.parse().expect("an address");
        HostAddress {
            interface: 2,
            address,
            prefix_len: if address.is_ipv4() { 24 } else { 64 },
            scope: Scope::Universe,
            flags: AddressFlags { permanent: true, ..AddressFlags::default() },
        }
    };
    Snapshot {
        interfaces: BTreeMap::from([(2, eth0)]),
        addresses: addresses.iter().map(address).collect(),
        default_v4: Some(2),
        default_v6: Some(2),
    }
}

pub(crate) fn name(text: &str) -> DnsName {
    DnsName::parse(text).expect("a name")
}

pub(crate) fn record(name_text: &str, zone: &str) -> RecordPolicy {
    RecordPolicy {
        name: name(name_text),
        zone: ZoneRef::Id(zone.into()),
        types: BTreeSet::from(RecordType::ALL),
        class: AddressClass::Global,
        all_addresses: false,
        static_addresses: BTreeSet::new(),
        ttl: 60,
        keep_min: 1,
        routing: Routing::Weighted(10).into(),
        probe: None,
        taint_keys: BTreeSet::new(),
        health_check: None,
        signals: BTreeMap::new(),
    }
}

/// Node `n1` of cluster `home`, with resync so rare that nothing in a test can lean on it.
pub(crate) fn policy(records: Vec<RecordPolicy>) -> Policy {
    Policy {
        owner: OwnerId::new("home", "n1").expect("an owner"),
        kubernetes: true,
        node_selector: LabelSelector::default(),
        addresses: AddressRules {
            include_interfaces: vec!["*".into()],
            exclude_interfaces: Vec::new(),
            exclude_defaults: true,
            allow: Vec::new(),
            deny: Vec::new(),
            temporary: false,
        },
        timing: Timing {
            settle: Duration::from_millis(200),
            settle_max: Duration::from_secs(2),
            resync: Duration::from_secs(30 * 24 * 3600),
        },
        survivors: None,
        records,
    }
}

pub(crate) fn node(readiness: Readiness, unschedulable: bool) -> NodeState {
    NodeState::Present(NodeObject {
        ready: readiness,
        ready_message: None,
        unschedulable,
        deleting: false,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        taints: Vec::new(),
    })
}

/// A ready Node with these annotations.
pub(crate) fn annotated(annotations: &[(&str, &str)]) -> NodeState {
    let NodeState::Present(node) = ready() else { return NodeState::Absent };
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    NodeState::Present(NodeObject { annotations: annotations.iter().map(pair).collect(), ..node })
}

/// A ready Node with this taint.
pub(crate) fn tainted(key: &str) -> NodeState {
    let NodeState::Present(node) = ready() else { return NodeState::Absent };
    NodeState::Present(NodeObject { taints: vec![(key.into(), "NoSchedule".into())], ..node })
}

/// A ready Node that is being deleted.
pub(crate) fn deleting() -> NodeState {
    let NodeState::Present(node) = ready() else { return NodeState::Absent };
    NodeState::Present(NodeObject { deleting: true, ..node })
}

/// A probe of what listens on port 443.
pub(crate) fn probe() -> Probe {
    Probe {
        check: ProbeCheck::Tcp(([127, 0, 0, 1], 443).into()),
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(2),
        failures: 3,
    }
}

pub(crate) fn ready() -> NodeState {
    node(Readiness::Ready, false)
}

pub(crate) fn weighted(identifier: &str, address: &str) -> RecordSet {
    RecordSet {
        set_identifier: Some(SetIdentifier(identifier.into())),
        routing: Routing::Weighted(10),
        target: Target::Values { ttl: 60, values: BTreeSet::from([Value::new(address)]) },
        health_check_id: None,
    }
}

pub(crate) fn listing(sets: Vec<(RecordType, RecordSet)>) -> Listing {
    let mut listing = Listing { zone_id: "Z1".into(), ..Listing::default() };
    for (rtype, set) in sets {
        listing.pools.entry(rtype).or_default().insert(set.set_identifier.clone(), set);
    }
    listing
}
