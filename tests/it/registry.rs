//! The address registry against IANA's own file, by a second and independent reading of the rule.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nodedns::decide::registry::{self, UPDATED, blocks, globally_reachable, publishable, special_block};

const CSV: &str = include_str!("../data/special-registry.csv");

/// A row of the file: addresses as numbers, so that nothing of the table's machinery is shared.
struct Row {
    prefix: String,
    v4: bool,
    first: u128,
    last: u128,
    globally_reachable: String,
}

fn rows() -> Vec<Row> {
    let mut lines = CSV.lines().filter(|line| !line.starts_with('#'));
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let column = |name: &str| header.iter().position(|&have| have == name).expect("a column");
    let (prefix, reachable) = (column("prefix"), column("globally_reachable"));
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            assert_eq!(fields.len(), header.len(), "{line}");
            let (address, len) = fields[prefix].split_once('/').expect("a prefix");
            let address: IpAddr = address.parse().expect("an address");
            let len: u32 = len.parse().expect("a length");
            let (number, width) = number(address);
            let host = width - len;
            let size = if host == 128 { u128::MAX } else { (1 << host) - 1 };
            assert_eq!(number & size, 0, "{line}: host bits are set");
            Row {
                prefix: fields[prefix].to_owned(),
                v4: address.is_ipv4(),
                first: number,
                last: number + size,
                globally_reachable: fields[reachable].to_owned(),
            }
        })
        .collect()
}

/// The prefix as the table prints it; IANA writes `::ffff:0:0/96` for `::ffff:0.0.0.0/96`.
fn canonical(prefix: &str) -> String {
    prefix.parse::<ipnet::IpNet>().expect("a prefix").to_string()
}

fn number(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

fn address(v4: bool, number: u128) -> IpAddr {
    if v4 {
        Ipv4Addr::from_bits(u32::try_from(number).expect("32 bits")).into()
    } else {
        Ipv6Addr::from_bits(number).into()
    }
}

/// The row with the smallest range around the number.
fn longest(rows: &[Row], v4: bool, number: u128) -> Option<&Row> {
    rows.iter()
        .filter(|row| row.v4 == v4 && (row.first..=row.last).contains(&number))
        .min_by_key(|row| row.last - row.first)
}

/// What the registry's text says: `True` is reachable, all else is not; what is not listed is
/// reachable below 224.0.0.0 and between 240.0.0.0 and the end (which is listed), or with the top
/// three bits 001.
fn expected(rows: &[Row], v4: bool, number: u128) -> bool {
    match longest(rows, v4, number) {
        Some(row) => row.globally_reachable == "True",
        None if v4 => number >> 28 != 0xe,
        None => number >> 125 == 0b001,
    }
}

/// Both sides of both ends of every prefix, and of the two ranges that are policy.
fn boundaries(rows: &[Row]) -> BTreeSet<(bool, u128)> {
    let ranges = rows
        .iter()
        .map(|row| (row.v4, row.first, row.last))
        .chain([(true, 224 << 24, (240 << 24) - 1), (false, 1 << 125, (1 << 126) - 1)]);
    let mut points = BTreeSet::new();
    for (v4, first, last) in ranges {
        let end = if v4 { u128::from(u32::MAX) } else { u128::MAX };
        points.extend([(v4, first), (v4, last)]);
        points.extend(first.checked_sub(1).map(|before| (v4, before)));
        points.extend(last.checked_add(1).filter(|after| *after <= end).map(|after| (v4, after)));
    }
    points
}

#[test]
fn the_table_has_exactly_the_rows_of_the_file() {
    let file: Vec<(String, bool)> =
        rows().into_iter().map(|row| (canonical(&row.prefix), row.globally_reachable == "True")).collect();
    let table: Vec<(String, bool)> =
        blocks().iter().map(|block| (block.prefix.to_string(), block.globally_reachable)).collect();
    assert_eq!(table, file);
    assert_eq!(file.len(), 51);
}

#[test]
fn the_table_and_the_file_are_of_the_same_date() {
    let comment = CSV.lines().next().expect("a first line");
    assert!(comment.starts_with('#') && comment.contains(UPDATED), "{comment}");
}

#[test]
fn every_boundary_is_read_as_the_file_says() {
    let rows = rows();
    let points = boundaries(&rows);
    assert!(points.len() > 160, "only {} points", points.len());
    for (v4, number) in points {
        let address = address(v4, number);
        assert_eq!(globally_reachable(address), expected(&rows, v4, number), "{address} globally reachable");
        assert_eq!(
            special_block(address).map(|block| block.prefix.to_string()),
            longest(&rows, v4, number).map(|row| canonical(&row.prefix)),
            "{address} block"
        );
        let ordinary = longest(&rows, v4, number).is_none();
        assert_eq!(publishable(address), ordinary && expected(&rows, v4, number), "{address} publishable");
    }
}

#[test]
fn well_known_addresses() {
    let table = [
        ("1.1.1.1", true, true),
        ("192.0.0.9", true, false),
        ("192.31.196.1", true, false),
        ("100.64.0.1", false, false),
        ("192.88.99.1", false, false),
        ("239.255.255.255", false, false),
        ("2606:4700:4700::1111", true, true),
        ("64:ff9b::1.1.1.1", true, false),
        ("2001:20::1", true, false),
        ("2001:db8::1", false, false),
        ("::ffff:1.1.1.1", false, false),
        ("fd7a:115c:a1e0::1", false, false),
        ("ff0e::1", false, false),
        ("4000::1", false, false),
    ];
    for (text, reachable, fit) in table {
        let address: IpAddr = text.parse().expect("an address");
        assert_eq!(registry::globally_reachable(address), reachable, "{text}");
        assert_eq!(registry::publishable(address), fit, "{text}");
    }
}
