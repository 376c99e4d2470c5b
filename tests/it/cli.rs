//! The command line: what it prints, and how it ends.

use nodedns::cli::{addresses, status};
use nodedns::control::protocol::{KubernetesStatus, NodeCondition, Status};
use nodedns::control::translate;
use nodedns::decide::address::{AddressFlags, HostAddress, Interface, Scope, Snapshot};
use nodedns::decide::record::RecordType;
use nodedns::decide::report::Report;
use nodedns::decide::select::{AddressClass, AddressRules, assess};

use crate::control::{healthy_record, noon, status_of, troubled_report};

fn healthy() -> Status {
    status_of(&Report {
        records: vec![
            healthy_record("edge.example.com", RecordType::A, "203.0.113.7"),
            healthy_record("edge.example.com", RecordType::Aaaa, "2001:db8:1:2::7"),
        ],
    })
}

#[test]
fn the_status_of_a_healthy_node_is_a_table_and_nothing_else() {
    insta::assert_snapshot!(status::render(&healthy(), noon(), Some(80)));
}

#[test]
fn every_kind_of_trouble_is_explained_on_a_wide_terminal() {
    insta::assert_snapshot!(status::render(&status_of(&troubled_report()), noon(), Some(200)));
}

#[test]
fn every_kind_of_trouble_is_explained_on_a_narrow_terminal() {
    insta::assert_snapshot!(status::render(&status_of(&troubled_report()), noon(), Some(80)));
}

#[test]
fn a_pipe_gets_a_line_for_each_record() {
    let text = status::render(&status_of(&troubled_report()), noon(), None);
    let line = text.lines().find(|line| line.contains("AAAA  ")).expect("the second record's line");
    for part in ["edge.example.com", "publish", "12s", "2001:db8:1:2::7 -> 2001:db8:1:2:211:22ff:fe33:4455"] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[test]
fn no_line_is_wider_than_the_terminal_where_that_can_be() {
    let status = status_of(&troubled_report());
    for width in [60, 80, 94, 95, 96, 120, 200] {
        let text = status::render(&status, noon(), Some(width));
        let widest = text.lines().map(|line| line.chars().count()).max().expect("lines");
        assert!(widest <= width, "{widest} columns on a terminal of {width}:\n{text}");
    }
}

#[test]
fn kubernetes_is_a_line_in_the_header() {
    let line = |change: &dyn Fn(&mut KubernetesStatus)| {
        let mut status = healthy();
        change(&mut status.kubernetes);
        status::render(&status, noon(), None).lines().nth(1).expect("a second line").to_owned()
    };
    assert_eq!(line(&|_| ()), "Kubernetes: node-1 is Ready, cordoned");
    assert_eq!(line(&|k| *k = KubernetesStatus::disabled()), "Kubernetes: not used");
    assert_eq!(
        line(&|k| {
            k.state = NodeCondition::NotReady;
            k.ready_reason = Some("KubeletNotReady".to_owned());
            k.unschedulable = Some(false);
        }),
        "Kubernetes: node-1 is not Ready (KubeletNotReady)"
    );
    assert_eq!(
        line(&|k| {
            k.state = NodeCondition::Unknown;
            k.unschedulable = None;
            k.connected = false;
            k.last_contact = Some(noon() - jiff::SignedDuration::from_mins(5));
            k.error = Some("connection refused".to_owned());
        }),
        "Kubernetes: the state of node-1 is unknown; no answer from https://127.0.0.1:6444 for 5m: connection refused"
    );
    assert_eq!(
        line(&|k| {
            k.state = NodeCondition::Absent;
            k.unschedulable = None;
        }),
        "Kubernetes: there is no node node-1"
    );
}

/// A host with an uplink, a second address on it, and a container bridge.
fn host() -> Snapshot {
    let interface = |name: &str| Interface {
        name: name.to_owned(),
        alternative_names: Default::default(),
        kind: None,
        up: true,
        running: true,
        loopback: name == "lo",
    };
    let address = |interface, address: &str, prefix_len, scope| HostAddress {
        interface,
        address: address.parse().expect("an address"),
        prefix_len,
        scope,
        flags: AddressFlags { permanent: true, ..AddressFlags::default() },
    };
    Snapshot {
        interfaces: [(1, interface("lo")), (2, interface("eth0")), (3, interface("cni0"))].into(),
        addresses: [
            address(1, "127.0.0.1", 8, Scope::Host),
            address(1, "::1", 128, Scope::Host),
            address(2, "192.0.3.7", 24, Scope::Universe),
            address(2, "192.0.3.8", 24, Scope::Universe),
            address(2, "2600:1234::7", 64, Scope::Universe),
            address(2, "fe80::211:22ff:fe33:4455", 64, Scope::Link),
            address(3, "10.42.0.1", 24, Scope::Universe),
        ]
        .into(),
        default_v4: Some(2),
        default_v6: Some(2),
    }
}

#[test]
fn every_address_is_shown_with_the_reason() {
    let rules = AddressRules::default();
    let of = |class| translate::addresses(&assess(&host(), &rules, class), class);
    let both = [of(AddressClass::Global), of(AddressClass::Private)].concat();
    insta::assert_snapshot!("addresses_200", addresses::render(&both, Some(200)));
    insta::assert_snapshot!("addresses_80", addresses::render(&of(AddressClass::Global), Some(80)));
    insta::assert_snapshot!(
        "addresses_json",
        serde_json::to_string_pretty(&of(AddressClass::Global)[..3]).expect("data")
    );
    assert_eq!(addresses::render(&[], Some(80)), "the host has no addresses\n");
}
