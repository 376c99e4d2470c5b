//! Which addresses are published, which are not, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use nodedns::decide::address::{AddressFlags, HostAddress, Interface, Scope, Snapshot};
use nodedns::decide::record::RecordType;
use nodedns::decide::registry::publishable;
use nodedns::decide::select::{AddressClass, AddressRules, Refusal, Selection, assess, select};
use proptest::prelude::*;

const ETH0: u32 = 2;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn net(text: &str) -> IpNet {
    text.parse().expect("a block")
}

fn globs(list: &[&str]) -> Vec<String> {
    list.iter().map(|&glob| glob.to_owned()).collect()
}

fn link(name: &str) -> Interface {
    Interface {
        name: name.to_owned(),
        alternative_names: BTreeSet::new(),
        kind: None,
        up: true,
        running: true,
        loopback: false,
    }
}

fn address(interface: u32, text: &str) -> HostAddress {
    let address = ip(text);
    HostAddress {
        interface,
        address,
        prefix_len: if address.is_ipv4() { 24 } else { 64 },
        scope: Scope::Universe,
        flags: AddressFlags { permanent: true, ..AddressFlags::default() },
    }
}

fn host(links: &[(u32, Interface)], addresses: &[HostAddress]) -> Snapshot {
    Snapshot {
        interfaces: links.iter().cloned().collect(),
        addresses: addresses.iter().cloned().collect(),
        default_v4: None,
        default_v6: None,
    }
}

/// The verdict on one public address of a link.
fn verdict(link: Interface, rules: &AddressRules) -> Option<Refusal> {
    let snapshot = host(&[(ETH0, link)], &[address(ETH0, "11.0.0.1")]);
    assess(&snapshot, rules, AddressClass::Global).remove(0).verdict.err()
}

fn published(snapshot: &Snapshot, rules: &AddressRules, rtype: RecordType) -> Vec<IpAddr> {
    select(snapshot, rules, AddressClass::Global, rtype).addresses
}

#[test]
fn interfaces_that_are_not_the_hosts_own_are_left_out() {
    let rules = AddressRules::default();
    for name in ["eth0", "enp3s0", "br0", "br-ex", "br-lan", "bond0", "vlan10", "wlan0", "ppp0", "he-ipv6", "host0"] {
        assert_eq!(verdict(link(name), &rules), None, "{name}");
    }
    for name in [
        "cni0",
        "flannel.1",
        "flannel-wg",
        "cali1234567890a",
        "wireguard.cali",
        "vxlan.calico",
        "tunl0",
        "cilium_host",
        "lxc1a2b3c",
        "weave",
        "kube-ipvs0",
        "kube-dummy-if",
        "kube-bridge",
        "nodelocaldns",
        "docker0",
        "docker_gwbridge",
        "br-0123456789ab",
        "podman0",
        "vethabc",
        "virbr0",
        "tailscale0",
        "wt0",
        "ztabcdef",
        "wg0",
        "tun0",
    ] {
        let refusal = verdict(link(name), &rules);
        assert!(matches!(refusal, Some(Refusal::ExcludedByDefault(_))), "{name}: {refusal:?}");
    }
    for kind in ["wireguard", "tun", "vxlan"] {
        let odd = Interface { kind: Some(kind.to_owned()), ..link("uplink") };
        assert_eq!(verdict(odd, &rules), Some(Refusal::ExcludedByDefault(kind)));
    }
    // The uplink of a container.
    assert_eq!(verdict(Interface { kind: Some("veth".to_owned()), ..link("eth0") }, &rules), None);
    let loopback = Interface { loopback: true, ..link("lo") };
    assert_eq!(verdict(loopback, &rules), Some(Refusal::ExcludedByDefault("loopback")));
}

#[test]
fn a_default_exclusion_yields_to_the_operators_word() {
    let rules = |include: &[&str]| AddressRules { include_interfaces: globs(include), ..AddressRules::default() };
    assert_eq!(verdict(link("wg0"), &rules(&["wg0"])), None);
    assert_eq!(verdict(link("wg0"), &rules(&["eth*", "wg?"])), None);
    let loopback = Interface { loopback: true, ..link("lo") };
    assert_eq!(verdict(loopback, &rules(&["lo"])), None);
    // What matches everything names nothing.
    for include in ["*", "**", "?*", "???"] {
        assert_eq!(verdict(link("wg0"), &rules(&[include])), Some(Refusal::ExcludedByDefault("wg*")), "{include}");
    }
    // Naming one does not bring the others back.
    assert_eq!(verdict(link("wt0"), &rules(&["*", "wg0"])), Some(Refusal::ExcludedByDefault("wt*")));

    let off = AddressRules { exclude_defaults: false, ..AddressRules::default() };
    assert_eq!(verdict(link("wg0"), &off), None);
    // Excluding wins over including.
    let both = AddressRules { exclude_interfaces: globs(&["wg*"]), ..rules(&["wg0"]) };
    assert_eq!(verdict(link("wg0"), &both), Some(Refusal::Excluded("wg*".to_owned())));
}

#[test]
fn alternative_names_count_like_names() {
    let named = Interface { alternative_names: BTreeSet::from(["uplink".to_owned()]), ..link("eth7") };
    let include = |glob: &str| AddressRules { include_interfaces: globs(&[glob]), ..AddressRules::default() };
    let exclude = |glob: &str| AddressRules { exclude_interfaces: globs(&[glob]), ..AddressRules::default() };
    assert_eq!(verdict(named.clone(), &include("up*")), None);
    assert_eq!(verdict(named.clone(), &include("eth7")), None);
    assert_eq!(verdict(named.clone(), &include("eth0")), Some(Refusal::NotIncluded));
    assert_eq!(verdict(named.clone(), &exclude("up*")), Some(Refusal::Excluded("up*".to_owned())));
    assert_eq!(verdict(named, &exclude("eth0")), None);
}

#[test]
fn refusals_come_in_a_fixed_order() {
    // Everything that can be wrong with an address, put right step by step.
    let mut entry = address(ETH0, "10.0.0.1");
    entry.scope = Scope::Link;
    entry.flags = AddressFlags {
        tentative: true,
        dad_failed: true,
        deprecated: true,
        temporary: true,
        ..AddressFlags::default()
    };
    let mut link = Interface { up: false, running: false, ..link("wg0") };
    let mut rules = AddressRules {
        include_interfaces: globs(&["eth*"]),
        exclude_interfaces: globs(&["eth1"]),
        deny: vec![net("10.0.0.0/8")],
        ..AddressRules::default()
    };
    let verdict = |entry: &HostAddress, link: &Interface, rules: &AddressRules| {
        let snapshot = host(&[(ETH0, link.clone())], std::slice::from_ref(entry));
        assess(&snapshot, rules, AddressClass::Global).remove(0).verdict
    };
    assert_eq!(verdict(&entry, &link, &rules), Err(Refusal::ExcludedByDefault("wg*")));
    link.name = "net1".to_owned();
    assert_eq!(verdict(&entry, &link, &rules), Err(Refusal::NotIncluded));
    link.name = "eth1".to_owned();
    assert_eq!(verdict(&entry, &link, &rules), Err(Refusal::Excluded("eth1".to_owned())));
    link.name = "eth0".to_owned();
    assert_eq!(verdict(&entry, &link, &rules), Err(Refusal::LinkDown));
    link.up = true;
    assert_eq!(verdict(&entry, &link, &rules), Err(Refusal::LinkNotRunning));
    link.running = true;
    assert_eq!(verdict(&entry, &link, &rules), Err(Refusal::Scope(Scope::Link)));
    entry.scope = Scope::Universe;
    assert_eq!(verdict(&entry, &link, &rules), Err(Refusal::DadFailed));
    entry.flags.dad_failed = false;
    assert_eq!(verdict(&entry, &link, &rules), Err(Refusal::Tentative));
    entry.flags.optimistic = true;
    assert_eq!(verdict(&entry, &link, &rules), Err(Refusal::Deprecated));
    entry.flags.deprecated = false;
    assert_eq!(verdict(&entry, &link, &rules), Err(Refusal::Temporary));
    rules.temporary = true;
    assert_eq!(verdict(&entry, &link, &rules), Err(Refusal::Denied(net("10.0.0.0/8"))));
    rules.allow = rules.deny.clone();
    assert_eq!(verdict(&entry, &link, &rules), Err(Refusal::Denied(net("10.0.0.0/8"))), "deny wins over allow");
    rules.deny.clear();
    rules.allow.clear();
    let refusal = verdict(&entry, &link, &rules).expect_err("private");
    assert_eq!(refusal.as_str(), "class");
    assert_eq!(
        refusal.to_string(),
        "10.0.0.0/8 (Private-Use) is not what class = \"global\" asks for; \
         set the record's class, or list the address in addresses.allow"
    );
    rules.allow = vec![net("10.0.0.1/32")];
    assert_eq!(verdict(&entry, &link, &rules), Ok(()));
}

#[test]
fn an_address_on_a_link_that_is_gone_is_not_published() {
    let snapshot = host(&[], &[address(7, "11.0.0.1")]);
    let assessment = assess(&snapshot, &AddressRules::default(), AddressClass::Global).remove(0);
    assert_eq!((assessment.interface.as_str(), assessment.verdict), ("if7", Err(Refusal::LinkDown)));
}

#[test]
fn classes() {
    use AddressClass::{Any, Global, Private, Shared};
    let table: [(&str, &[AddressClass]); 15] = [
        ("11.0.0.1", &[Global, Any]),
        ("10.1.2.3", &[Private, Any]),
        ("172.16.0.1", &[Private, Any]),
        ("172.32.0.1", &[Global, Any]),
        ("192.168.255.255", &[Private, Any]),
        ("100.63.255.255", &[Global, Any]),
        ("100.64.0.0", &[Shared, Any]),
        ("100.127.255.255", &[Shared, Any]),
        ("100.128.0.0", &[Global, Any]),
        ("169.254.1.1", &[]),
        ("127.0.0.1", &[]),
        ("2600::1", &[Global, Any]),
        ("fd00::1", &[Private, Any]),
        ("fe80::1", &[]),
        ("64:ff9b::1", &[Any]),
    ];
    for (text, classes) in table {
        for class in [Global, Private, Shared, Any] {
            assert_eq!(class.contains(ip(text)), classes.contains(&class), "{text} {class:?}");
        }
    }
    for text in ["224.0.0.1", "255.255.255.255", "0.0.0.0", "ff02::1", "::", "::1"] {
        assert!(!Any.contains(ip(text)), "{text}");
    }
}

#[test]
fn the_best_address_comes_first() {
    let mut snapshot = host(&[(2, link("eth0")), (3, link("eth1"))], &[]);
    snapshot.default_v4 = Some(3);
    snapshot.default_v6 = Some(3);
    let mut put = |interface, text: &str, flags| {
        snapshot.addresses.insert(HostAddress { flags, ..address(interface, text) });
    };
    let dynamic = AddressFlags::default();
    let permanent = AddressFlags { permanent: true, ..dynamic };
    put(2, "11.0.0.1", permanent);
    put(3, "11.0.0.2", dynamic);
    put(3, "11.0.0.3", AddressFlags { secondary: true, ..permanent });
    put(3, "11.0.0.5", permanent);
    put(3, "11.0.0.4", permanent);
    put(2, "2600::1", permanent);
    put(3, "2600::2", AddressFlags { temporary: true, ..dynamic });
    put(3, "2600::3", dynamic);
    put(3, "2600::4", AddressFlags { manage_temporary: true, ..dynamic });
    put(3, "2600::5", permanent);
    let rules = AddressRules { temporary: true, ..AddressRules::default() };
    let v4 = ["11.0.0.4", "11.0.0.5", "11.0.0.3", "11.0.0.2", "11.0.0.1"].map(ip);
    let v6 = ["2600::5", "2600::4", "2600::3", "2600::2", "2600::1"].map(ip);
    assert_eq!(published(&snapshot, &rules, RecordType::A), v4);
    assert_eq!(published(&snapshot, &rules, RecordType::Aaaa), v6);
    let assessed: Vec<IpAddr> =
        assess(&snapshot, &rules, AddressClass::Global).into_iter().map(|one| one.address.address).collect();
    assert_eq!(assessed, [v4, v6].concat());
}

#[test]
fn an_address_on_two_links_is_published_once() {
    let links = [(2, link("eth0")), (3, link("eth1"))];
    let snapshot = host(&links, &[address(2, "11.0.0.1"), address(3, "11.0.0.1")]);
    assert_eq!(published(&snapshot, &AddressRules::default(), RecordType::A), [ip("11.0.0.1")]);
}

#[test]
fn filtered_means_that_the_operator_alone_stands_in_the_way() {
    let defaults = AddressRules::default;
    let links = [(2, link("eth0")), (3, link("docker0"))];
    let public = host(&links, &[address(2, "11.0.0.1")]);
    let private = host(&links, &[address(2, "10.0.0.1")]);
    let container = host(&links, &[address(3, "11.0.0.1")]);
    let excluding = AddressRules { exclude_interfaces: globs(&["eth0"]), ..defaults() };
    let including = AddressRules { include_interfaces: globs(&["eth1"]), ..defaults() };
    let denying = AddressRules { deny: vec![net("11.0.0.0/8")], ..defaults() };
    let filtered = |snapshot: &Snapshot, rules: &AddressRules| {
        let Selection { addresses, filtered } = select(snapshot, rules, AddressClass::Global, RecordType::A);
        assert!(addresses.is_empty());
        filtered
    };
    for rules in [&excluding, &including, &denying] {
        assert!(filtered(&public, rules), "{rules:?}");
        assert!(!filtered(&private, rules), "of another class anyway: {rules:?}");
        assert!(!filtered(&container, rules), "left out by default anyway: {rules:?}");
    }
    let mut tentative = public.clone();
    tentative.addresses = tentative
        .addresses
        .into_iter()
        .map(|entry| HostAddress { flags: AddressFlags { tentative: true, ..entry.flags }, ..entry })
        .collect();
    assert!(!filtered(&tentative, &excluding), "not usable anyway");
    // The other type has nothing to do with it.
    let selection = select(&public, &excluding, AddressClass::Global, RecordType::Aaaa);
    assert_eq!(selection, Selection::default());
    // And it is not filtered when nothing was refused.
    assert!(!select(&public, &defaults(), AddressClass::Global, RecordType::A).filtered);
}

fn any_flags() -> impl Strategy<Value = AddressFlags> {
    any::<[bool; 8]>().prop_map(
        |[tentative, optimistic, dad_failed, deprecated, temporary, secondary, permanent, manage_temporary]| {
            AddressFlags {
                tentative,
                optimistic,
                dad_failed,
                deprecated,
                temporary,
                secondary,
                permanent,
                manage_temporary,
            }
        },
    )
}

fn any_address() -> impl Strategy<Value = HostAddress> {
    let number = prop_oneof![
        (0..4u8, any::<u8>())
            .prop_map(|(net, last)| ip(&format!("{}.0.0.{last}", [10, 11, 100, 192][usize::from(net)]))),
        (0..3u8, any::<u16>())
            .prop_map(|(net, last)| ip(&format!("{}::{last:x}", ["2600", "fd00", "fe80"][usize::from(net)]))),
    ];
    let scope = prop_oneof![9 => Just(Scope::Universe), 1 => Just(Scope::Link)];
    // One link more than there are.
    (0..5u32, number, scope, any_flags()).prop_map(|(interface, address, scope, flags)| HostAddress {
        interface,
        address,
        prefix_len: 24,
        scope,
        flags,
    })
}

fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let link = (prop::sample::select(vec!["eth0", "eth1", "wg0", "lo"]), any::<[bool; 2]>())
        .prop_map(|(name, [up, running])| Interface { up, running, loopback: name == "lo", ..link(name) });
    let links = prop::collection::vec(link, 4);
    let addresses = prop::collection::btree_set(any_address(), 0..12);
    (links, addresses, prop::option::of(0..4u32)).prop_map(|(links, addresses, uplink)| Snapshot {
        interfaces: (0..).zip(links).collect::<BTreeMap<_, _>>(),
        addresses,
        default_v4: uplink,
        default_v6: uplink,
    })
}

fn any_rules() -> impl Strategy<Value = AddressRules> {
    let include = prop::sample::select(vec!["*", "eth*", "eth0", "wg0"]);
    let exclude = prop::sample::select(vec!["none", "eth1", "*"]);
    let block = prop::sample::select(vec!["192.0.2.0/24", "10.0.0.0/8", "2600::/16"]);
    (include, exclude, any::<[bool; 2]>(), block.clone(), block).prop_map(
        |(include, exclude, [exclude_defaults, temporary], allow, deny)| AddressRules {
            include_interfaces: globs(&[include]),
            exclude_interfaces: globs(&[exclude]),
            exclude_defaults,
            allow: vec![net(allow)],
            deny: vec![net(deny)],
            temporary,
        },
    )
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_unfit_is_published(snapshot in any_snapshot(), rules in any_rules()) {
        let assessments = assess(&snapshot, &rules, AddressClass::Global);
        let judged: BTreeSet<&HostAddress> = assessments.iter().map(|one| &one.address).collect();
        prop_assert_eq!(judged, snapshot.addresses.iter().collect::<BTreeSet<_>>());
        let fit = assessments.iter().take_while(|one| one.verdict.is_ok()).count();
        prop_assert!(assessments[fit..].iter().all(|one| one.verdict.is_err()), "refusals come last");
        for one in &assessments[..fit] {
            let HostAddress { interface, address, scope, flags, .. } = &one.address;
            let link = &snapshot.interfaces[interface];
            prop_assert!(link.up && link.running);
            prop_assert_eq!(*scope, Scope::Universe);
            prop_assert!(!flags.dad_failed && !flags.deprecated);
            prop_assert!(!flags.tentative || flags.optimistic);
            prop_assert!(!flags.temporary || rules.temporary);
            prop_assert!(!rules.deny[0].contains(address));
            prop_assert!(publishable(*address) || rules.allow[0].contains(address));
        }
    }

    #[test]
    fn a_selection_is_what_was_judged_fit_without_duplicates(snapshot in any_snapshot(), rules in any_rules()) {
        for rtype in RecordType::ALL {
            let selection = select(&snapshot, &rules, AddressClass::Global, rtype);
            let fit: BTreeSet<IpAddr> = assess(&snapshot, &rules, AddressClass::Global)
                .into_iter()
                .filter(|one| one.verdict.is_ok() && RecordType::of(one.address.address) == rtype)
                .map(|one| one.address.address)
                .collect();
            prop_assert_eq!(selection.addresses.len(), fit.len());
            prop_assert_eq!(selection.addresses.into_iter().collect::<BTreeSet<_>>(), fit);
        }
    }

    /// Dropping the operator's filters brings back an address exactly when they were what stood in the way.
    #[test]
    fn filtered_is_the_difference_that_the_operator_makes(snapshot in any_snapshot(), rules in any_rules()) {
        // The include list also decides which default exclusions yield, so it is kept where it
        // names something and the exclusions are given up with it.
        let rules = AddressRules { exclude_defaults: false, ..rules };
        let free = AddressRules { include_interfaces: globs(&["*"]), exclude_interfaces: vec![], deny: vec![], ..rules.clone() };
        for rtype in RecordType::ALL {
            let restricted = select(&snapshot, &rules, AddressClass::Any, rtype);
            // Compared entry by entry: a second copy on another link may survive.
            let fit = |rules: &AddressRules| assess(&snapshot, rules, AddressClass::Any).into_iter()
                .filter(|one| one.verdict.is_ok() && RecordType::of(one.address.address) == rtype).count();
            prop_assert_eq!(restricted.filtered, fit(&free) > fit(&rules));
        }
    }

    #[test]
    fn vpn_and_loopback_links_are_never_published_by_default(snapshot in any_snapshot()) {
        let rules = AddressRules::default();
        for one in assess(&snapshot, &rules, AddressClass::Global) {
            prop_assert!(one.verdict.is_err() || matches!(one.interface.as_str(), "eth0" | "eth1"));
        }
    }
}
