//! One test for each thing that can happen to a link or an address.

use super::*;
use crate::support::netns::in_lab;

#[test]
fn a_link_that_comes_up_gets_its_link_local_address_after_dad() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        lab.ip("link set eth0 down");
        lab.make_link_local("eth0");
        let mut watched = Watched::start();
        let up = |s: &Snapshot| link(s, "eth0").is_some_and(|link| link.up && link.running);
        watched.after(|| lab.ip("link set eth0 up"), "the link up", up).await;
        let snapshot = watched.until("a link-local address", has_link_local).await;
        let local = snapshot.addresses.iter().find(|entry| entry.scope == Scope::Link).expect("it is there").address;
        assert_eq!(refusal(&snapshot, &local.to_string()), Some(Refusal::Scope(Scope::Link)));
    });
}

#[test]
fn a_new_ipv4_address_is_published_at_once() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        let mut watched = Watched::start();
        let add = || lab.ip("address add 11.0.0.1/24 dev eth0");
        let snapshot = watched.after(add, "the address", |s| find(s, "11.0.0.1").is_some()).await;
        let entry = find(&snapshot, "11.0.0.1").expect("it is there");
        assert!(entry.flags.permanent && !entry.flags.tentative && !entry.flags.secondary);
        assert_eq!((entry.prefix_len, entry.scope), (24, Scope::Universe));
        assert_eq!(selected(&snapshot, RecordType::A), [ip("11.0.0.1")]);
        assert_eq!(link(&snapshot, "eth0").and_then(|link| link.kind.as_deref()), Some("veth"));
        assert!(link(&snapshot, "lo").is_some_and(|link| link.loopback && link.kind.is_none()));
    });
}

#[test]
fn on_a_point_to_point_link_the_address_is_the_near_one() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        let mut watched = Watched::start();
        let add = || lab.ip("address add 11.0.0.1 peer 11.0.0.2 dev eth0");
        let snapshot = watched.after(add, "the address", |s| publishes(s, "11.0.0.1")).await;
        assert_eq!(find(&snapshot, "11.0.0.2"), None);
        let add = || lab.ip("address add 2600::1 peer 2600::2 dev eth0 nodad");
        let snapshot = watched.after(add, "the address", |s| publishes(s, "2600::1")).await;
        assert_eq!(find(&snapshot, "2600::2"), None);
    });
}

#[test]
fn a_new_ipv6_address_is_published_once_it_is_known_to_be_the_only_one() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        // So that detection is not over before the address is read.
        lab.sysctl("net/ipv6/conf/eth0/dad_transmits", "5");
        let mut watched = Watched::start();
        let add = || lab.ip("address add 2600::1/64 dev eth0");
        let snapshot = watched.after(add, "the address", |s| find(s, "2600::1").is_some()).await;
        assert_eq!(refusal(&snapshot, "2600::1"), Some(Refusal::Tentative));
        watched.until("the address published", |s| publishes(s, "2600::1")).await;
    });
}

#[test]
fn an_ipv6_address_without_dad_is_published_at_once() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        let mut watched = Watched::start();
        let add = || lab.ip("address add 2600::1/64 dev eth0 nodad");
        let snapshot = watched.after(add, "the address", |s| find(s, "2600::1").is_some()).await;
        assert!(publishes(&snapshot, "2600::1"));
    });
}

#[test]
fn an_optimistic_address_is_published_though_it_is_tentative() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        lab.sysctl("net/ipv6/conf/eth0/optimistic_dad", "1");
        // Without it the kernel says nothing of the address before detection has ended.
        lab.sysctl("net/ipv6/conf/eth0/use_optimistic", "1");
        // So that detection is not over before the address is read.
        lab.sysctl("net/ipv6/conf/eth0/dad_transmits", "5");
        let mut watched = Watched::start();
        let add = || lab.ip("address add 2600::1/64 dev eth0 optimistic");
        let snapshot = watched.after(add, "the address", |s| find(s, "2600::1").is_some()).await;
        let flags = find(&snapshot, "2600::1").expect("it is there").flags;
        assert!(flags.tentative && flags.optimistic, "{flags:?}");
        assert!(publishes(&snapshot, "2600::1"));
        let certain = |s: &Snapshot| find(s, "2600::1").is_some_and(|entry| !entry.flags.tentative);
        watched.until("the end of detection", certain).await;
    });
}

#[test]
fn an_address_that_another_host_has_is_never_published() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        lab.far_ip("address add 2600::1/64 dev eth0 nodad");
        let mut watched = Watched::start();
        let failed = |s: &Snapshot| refusal(s, "2600::1") == Some(Refusal::DadFailed);
        watched.after(|| lab.ip("address add 2600::1/64 dev eth0"), "the failure", failed).await;
        watched.settle().await;
        let snapshot = watched.read().await;
        assert!(find(&snapshot, "2600::1").is_some_and(|entry| entry.flags.tentative), "the kernel keeps it");
        assert!(failed(&snapshot));
    });
}

#[test]
fn a_deprecated_address_is_no_longer_published() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        lab.batch(["address add 11.0.0.1/24 dev eth0", "address add 2600::1/64 dev eth0 nodad"]);
        let mut watched = Watched::start();
        for (address, len) in [("11.0.0.1", 24), ("2600::1", 64)] {
            assert!(publishes(&watched.read().await, address));
            let change =
                || lab.ip(&format!("address change {address}/{len} dev eth0 preferred_lft 0 valid_lft forever"));
            let deprecated = |s: &Snapshot| refusal(s, address) == Some(Refusal::Deprecated);
            watched.after(change, "the deprecation", deprecated).await;
        }
    });
}

#[test]
fn an_address_whose_lifetimes_run_out_is_first_refused_and_then_gone() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        let mut watched = Watched::start();
        for (address, options) in [("11.0.0.1/24", ""), ("2600::1/64", "nodad")] {
            let host = address.split('/').next().expect("a host part");
            let command = format!("address add {address} dev eth0 valid_lft 10 preferred_lft 5 {options}");
            let published = |s: &Snapshot| publishes(s, host);
            let snapshot = watched.after(|| lab.ip(&command), "the address", published).await;
            assert!(!find(&snapshot, host).expect("it is there").flags.permanent);
            watched.until("the deprecation", |s| refusal(s, host) == Some(Refusal::Deprecated)).await;
            watched.until("the end", |s| find(s, host).is_none()).await;
        }
    });
}

#[test]
fn addresses_on_a_link_without_carrier_stay_but_are_not_published() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        lab.batch(["address add 11.0.0.1/24 dev eth0", "address add 2600::1/64 dev eth0 nodad"]);
        let mut watched = Watched::start();
        let both = |s: &Snapshot, what: Option<&Refusal>| {
            ["11.0.0.1", "2600::1"].iter().all(|a| find(s, a).is_some() && refusal(s, a).as_ref() == what)
        };
        let lost = |s: &Snapshot| both(s, Some(&Refusal::LinkNotRunning));
        watched.after(|| lab.far_ip("link set eth0 down"), "the loss", lost).await;
        watched.after(|| lab.far_ip("link set eth0 up"), "the return", |s| both(s, None)).await;
    });
}

#[test]
fn a_link_that_is_switched_off_keeps_its_ipv4_addresses_only() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        lab.batch(["address add 11.0.0.1/24 dev eth0", "address add 2600::1/64 dev eth0 nodad"]);
        let mut watched = Watched::start();
        let off = |s: &Snapshot| refusal(s, "11.0.0.1") == Some(Refusal::LinkDown) && find(s, "2600::1").is_none();
        watched.after(|| lab.ip("link set eth0 down"), "the link off", off).await;
        let on = |s: &Snapshot| publishes(s, "11.0.0.1");
        let snapshot = watched.after(|| lab.ip("link set eth0 up"), "the link on", on).await;
        assert_eq!(find(&snapshot, "2600::1"), None, "the kernel does not bring it back");
    });
}

#[test]
fn a_link_that_is_switched_off_can_be_told_to_keep_its_ipv6_addresses() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        lab.sysctl("net/ipv6/conf/eth0/keep_addr_on_down", "1");
        lab.ip("address add 2600::1/64 dev eth0 nodad");
        let mut watched = Watched::start();
        let off = |s: &Snapshot| refusal(s, "2600::1") == Some(Refusal::LinkDown);
        watched.after(|| lab.ip("link set eth0 down"), "the link off", off).await;
        watched.after(|| lab.ip("link set eth0 up"), "the link on", |s| publishes(s, "2600::1")).await;
    });
}

#[test]
fn the_first_address_of_an_ipv4_subnet_takes_the_others_with_it() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        lab.sysctl("net/ipv4/conf/all/promote_secondaries", "0");
        lab.sysctl("net/ipv4/conf/eth0/promote_secondaries", "0");
        lab.batch(["address add 11.0.0.9/24 dev eth0", "address add 11.0.0.1/24 dev eth0"]);
        let mut watched = Watched::start();
        let snapshot = watched.read().await;
        assert!(find(&snapshot, "11.0.0.1").is_some_and(|entry| entry.flags.secondary && !entry.flags.temporary));
        assert_eq!(selected(&snapshot, RecordType::A), [ip("11.0.0.9"), ip("11.0.0.1")], "the first first");
        let none = |s: &Snapshot| selected(s, RecordType::A).is_empty();
        watched.after(|| lab.ip("address del 11.0.0.9/24 dev eth0"), "the end of both", none).await;
    });
}

#[test]
fn a_secondary_address_can_be_promoted() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        lab.sysctl("net/ipv4/conf/eth0/promote_secondaries", "1");
        lab.batch(["address add 11.0.0.9/24 dev eth0", "address add 11.0.0.1/24 dev eth0"]);
        let mut watched = Watched::start();
        let promoted = |s: &Snapshot| find(s, "11.0.0.1").is_some_and(|entry| !entry.flags.secondary);
        let delete = || lab.ip("address del 11.0.0.9/24 dev eth0");
        let snapshot = watched.after(delete, "the promotion", promoted).await;
        assert_eq!(selected(&snapshot, RecordType::A), [ip("11.0.0.1")]);
    });
}

#[test]
fn an_alternative_name_is_as_good_as_the_name() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        lab.ip("address add 11.0.0.1/24 dev eth0");
        let mut watched = Watched::start();
        let named = |s: &Snapshot| link(s, "eth0").is_some_and(|link| link.alternative_names.contains("uplink"));
        let name = || lab.ip("link property add dev eth0 altname uplink altname enp1s0");
        let snapshot = watched.after(name, "the name", named).await;
        assert_eq!(link(&snapshot, "eth0").map(|link| link.alternative_names.len()), Some(2));
        let rules = AddressRules { include_interfaces: vec!["upl*".to_owned()], ..AddressRules::default() };
        let selection = select(&snapshot, &rules, AddressClass::Global, RecordType::A);
        assert_eq!(selection.addresses, [ip("11.0.0.1")]);
    });
}

#[test]
fn a_link_that_is_renamed_is_judged_by_its_new_name() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        lab.ip("address add 11.0.0.1/24 dev eth0");
        let mut watched = Watched::start();
        let excluded = |s: &Snapshot| matches!(refusal(s, "11.0.0.1"), Some(Refusal::ExcludedByDefault("docker*")));
        let rename = || lab.batch(["link set eth0 down", "link set eth0 name docker0", "link set docker0 up"]);
        watched.after(rename, "the exclusion", excluded).await;
    });
}

#[test]
fn a_link_that_is_deleted_takes_its_addresses_with_it() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        lab.batch(["address add 11.0.0.1/24 dev eth0", "address add 2600::1/64 dev eth0 nodad"]);
        let mut watched = Watched::start();
        let gone = |s: &Snapshot| link(s, "eth0").is_none();
        let snapshot = watched.after(|| lab.ip("link del eth0"), "the link gone", gone).await;
        assert!(snapshot.addresses.iter().all(|entry| entry.address.is_loopback()), "{snapshot:#?}");
    });
}

#[test]
fn the_default_route_decides_which_uplink_comes_first() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        lab.wire("eth1");
        lab.batch(["address add 11.0.0.1/24 dev eth0", "address add 12.0.0.1/24 dev eth1"]);
        lab.batch(["address add 2600::1/64 dev eth0 nodad", "address add 2700::1/64 dev eth1 nodad"]);
        let mut watched = Watched::start();
        let snapshot = watched.read().await;
        assert_eq!((snapshot.default_v4, snapshot.default_v6), (None, None));
        assert_eq!(selected(&snapshot, RecordType::A), [ip("11.0.0.1"), ip("12.0.0.1")]);

        let add = || lab.batch(["route add default via 12.0.0.2 dev eth1", "route add default via 2700::2 dev eth1"]);
        let second = |s: &Snapshot| s.default_v4 == index(s, "eth1") && s.default_v6 == index(s, "eth1");
        let snapshot = watched.after(add, "the routes by eth1", second).await;
        assert_eq!(selected(&snapshot, RecordType::A), [ip("12.0.0.1"), ip("11.0.0.1")]);
        assert_eq!(selected(&snapshot, RecordType::Aaaa), [ip("2700::1"), ip("2600::1")]);

        let replace = || lab.ip("route replace default via 11.0.0.2 dev eth0");
        let first = |s: &Snapshot| s.default_v4 == index(s, "eth0");
        let snapshot = watched.after(replace, "the route by eth0", first).await;
        assert_eq!(selected(&snapshot, RecordType::A), [ip("11.0.0.1"), ip("12.0.0.1")]);

        let forbid = || lab.ip("route replace prohibit default metric 0");
        watched.after(forbid, "no way out", |s| s.default_v4.is_none()).await;

        let delete = || lab.ip("-6 route del default");
        let snapshot = watched.after(delete, "no way out", |s| s.default_v6.is_none()).await;
        assert_eq!(selected(&snapshot, RecordType::Aaaa), [ip("2600::1"), ip("2700::1")]);
    });
}

#[test]
fn other_routes_than_the_default_do_not_wake_the_watcher() {
    in_lab(|lab| async move {
        lab.wire("eth0");
        lab.ip("address add 11.0.0.1/24 dev eth0");
        let mut watched = Watched::start();
        watched.settle().await;
        let before = watched.counters.events();
        lab.batch((0..1000).map(|n| format!("route add 13.{}.{}.0/24 via 11.0.0.2 dev eth0", n / 256, n % 256)));
        lab.batch((0..1000).map(|n| format!("route add 2600:0:0:{n:x}::/64 dev eth0")));
        assert_eq!(watched.settle().await, 0);
        assert_eq!(watched.counters.events(), before);
        lab.ip("route add default via 11.0.0.2 dev eth0");
        watched.until("the default route", |s| s.default_v4 == index(s, "eth0")).await;
    });
}
