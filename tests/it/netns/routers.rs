//! Addresses that a router hands out.

use super::*;
use crate::support::netns::{Advertisement, Lab, Router, in_lab};

const PREFIX: &str = "2600:1234:5678:9abc::";

fn advertisement(router_lifetime: u16) -> Advertisement {
    let prefix = PREFIX.parse().expect("a prefix");
    Advertisement { router_lifetime, prefix, valid: 86400, preferred: 43200 }
}

/// The host's addresses in the router's prefix: the stable and the temporary ones.
fn autoconfigured(snapshot: &Snapshot) -> (Vec<IpAddr>, Vec<IpAddr>) {
    let prefix: ipnet::IpNet = format!("{PREFIX}/64").parse().expect("a prefix");
    let ours = snapshot.addresses.iter().filter(|a| prefix.contains(&a.address) && !a.flags.tentative);
    let (temporary, stable) = ours.partition::<Vec<_>, _>(|a| a.flags.temporary);
    assert!(stable.iter().all(|a| a.flags.manage_temporary && !a.flags.permanent && !a.flags.secondary));
    (stable.iter().map(|a| a.address).collect(), temporary.iter().map(|a| a.address).collect())
}

/// A router, and a host that listens to it: before the link-local address is there, the kernel
/// takes no advertisements.
async fn wired(lab: &Lab) -> (Router, Watched) {
    lab.wire("eth0");
    lab.sysctl("net/ipv6/conf/eth0/use_tempaddr", "2");
    lab.make_link_local("eth0");
    let router = lab.router("eth0");
    let mut watched = Watched::start();
    watched.until("the link-local address", has_link_local).await;
    (router, watched)
}

#[test]
fn of_autoconfigured_addresses_the_stable_one_is_published_and_the_temporary_one_is_not() {
    in_lab(|lab| async move {
        let (router, mut watched) = wired(&lab).await;
        let both = |s: &Snapshot| matches!(autoconfigured(s), (stable, temporary) if stable.len() == 1 && temporary.len() == 1);
        let snapshot = watched.after(|| router.advertise(&advertisement(1800)), "both addresses", both).await;
        let (stable, temporary) = autoconfigured(&snapshot);
        assert_eq!(selected(&snapshot, RecordType::Aaaa), stable);
        assert_eq!(refusal(&snapshot, &temporary[0].to_string()), Some(Refusal::Temporary));
        assert_eq!(snapshot.default_v6, index(&snapshot, "eth0"));

        let rules = AddressRules { temporary: true, ..AddressRules::default() };
        let selection = select(&snapshot, &rules, AddressClass::Global, RecordType::Aaaa);
        assert_eq!(selection.addresses, [stable, temporary].concat(), "the stable one comes first");
    });
}

#[test]
fn an_advertisement_that_is_repeated_changes_nothing() {
    in_lab(|lab| async move {
        let (router, mut watched) = wired(&lab).await;
        let both = |s: &Snapshot| !autoconfigured(s).0.is_empty() && !autoconfigured(s).1.is_empty();
        watched.after(|| router.advertise(&advertisement(1800)), "both addresses", both).await;
        watched.settle().await;
        let before = watched.read().await;
        for _ in 0..3 {
            router.advertise(&advertisement(1800));
            // The kernel tells of the lifetimes.
            assert_eq!(watched.event().await, AddressEvent::Changed);
            watched.settle().await;
            assert_eq!(watched.read().await, before);
        }
    });
}

#[test]
fn a_router_that_goes_takes_the_default_route_and_leaves_the_addresses() {
    in_lab(|lab| async move {
        let (router, mut watched) = wired(&lab).await;
        let both = |s: &Snapshot| !autoconfigured(s).0.is_empty() && !autoconfigured(s).1.is_empty();
        let before = watched.after(|| router.advertise(&advertisement(1800)), "both addresses", both).await;
        let gone = |s: &Snapshot| s.default_v6.is_none();
        let snapshot = watched.after(|| router.advertise(&advertisement(0)), "the route gone", gone).await;
        assert_eq!(autoconfigured(&snapshot), autoconfigured(&before));
        assert_eq!(selected(&snapshot, RecordType::Aaaa), selected(&before, RecordType::Aaaa));
    });
}

#[test]
fn a_prefix_that_is_given_up_is_no_longer_published() {
    in_lab(|lab| async move {
        let (router, mut watched) = wired(&lab).await;
        let published = |s: &Snapshot| !selected(s, RecordType::Aaaa).is_empty();
        let snapshot = watched.after(|| router.advertise(&advertisement(1800)), "an address", published).await;
        let address = selected(&snapshot, RecordType::Aaaa)[0].to_string();
        let given_up = Advertisement { preferred: 0, ..advertisement(1800) };
        let deprecated = |s: &Snapshot| refusal(s, &address) == Some(Refusal::Deprecated);
        watched.after(|| router.advertise(&given_up), "the deprecation", deprecated).await;
    });
}
