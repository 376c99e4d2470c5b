//! Managed health checks: what one asks, whose it is, and what a record set is given of them.
//!
//! Route 53 has no tags at creation, so a health check says by its caller reference whose it is and
//! what for: also one whose creator was killed before it could do anything else is found again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use crate::decide::hash::fnv_1a;
use crate::decide::name::DnsName;
use crate::decide::owner::OwnerId;
use crate::decide::record::RecordType;
use crate::decide::registry;

/// Where a record set's health check comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthCheck {
    /// Somebody else's, by its id.
    Existing(String),
    /// Created, attached, replaced and deleted by nodedns: one for each record set.
    Managed(ManagedCheck),
}

/// What a managed health check asks of an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManagedCheck {
    /// How it asks.
    pub probe: CheckProbe,
    /// The port, from 1.
    pub port: u16,
    /// How often each checker asks, in seconds: 10 or 30.
    pub interval: u8,
    /// How many answers in a row change the checker's mind, 1 to 10.
    pub failure_threshold: u8,
}

/// How a health check asks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckProbe {
    /// A TCP connection comes up.
    Tcp,
    /// An HTTP request is answered with a status of 2xx or 3xx.
    Http(HttpCheck),
    /// The same over TLS. The certificate is not checked.
    Https(HttpCheck),
}

/// What an HTTP request asks for, and what the answer must hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HttpCheck {
    /// The path and query, from the slash on.
    pub path: String,
    /// The `Host` header, and the name in the TLS handshake; the address when there is none.
    pub host: Option<String>,
    /// What the first 5,120 bytes of the body must hold.
    pub search: Option<String>,
}

/// A health check, whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CheckSpec {
    /// Whom it asks.
    pub address: IpAddr,
    /// What it asks.
    pub check: ManagedCheck,
}

impl CheckSpec {
    /// Whether Route 53's checkers can reach the address at all: it refuses health checks of
    /// private, reserved and documentation addresses.
    pub fn is_possible(&self) -> bool {
        registry::globally_reachable(self.address)
    }
}

impl fmt::Display for CheckSpec {
    /// In the manner of a URL: `https://185.12.64.1:443/healthz`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, path) = match &self.check.probe {
            CheckProbe::Tcp => ("tcp", ""),
            CheckProbe::Http(http) => ("http", http.path.as_str()),
            CheckProbe::Https(http) => ("https", http.path.as_str()),
        };
        match self.address {
            IpAddr::V4(address) => write!(f, "{scheme}://{address}:{}{path}", self.check.port),
            IpAddr::V6(address) => write!(f, "{scheme}://[{address}]:{}{path}", self.check.port),
        }
    }
}

/// What a health check is for: the start that the caller references of all health checks of one
/// node, name and type share. `nodedns/1/<cluster>/<node>/<what>`, each of the three a hash of 13
/// characters, because a reference has room for 64 and the names in it may have 255.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    cluster: String,
    node: String,
    what: String,
}

impl Place {
    /// What the health checks of this owner's record set are for.
    pub fn new(owner: &OwnerId, zone_id: &str, name: &DnsName, rtype: RecordType) -> Self {
        Place { cluster: hash(&[owner.cluster()]), node: hash(&[owner.node()]), what: what(zone_id, name, rtype) }
    }

    /// Whether it is a place of this owner's cluster.
    pub fn is_of_cluster(&self, cluster: &str) -> bool {
        self.cluster == hash(&[cluster])
    }

    /// Whether it is a place of this very owner.
    pub fn is_of(&self, owner: &OwnerId) -> bool {
        self.is_of_cluster(owner.cluster()) && self.node == hash(&[owner.node()])
    }

    /// Whether it is a place of this name and type, whoever's.
    pub fn is_for(&self, zone_id: &str, name: &DnsName, rtype: RecordType) -> bool {
        self.what == what(zone_id, name, rtype)
    }
}

fn what(zone_id: &str, name: &DnsName, rtype: RecordType) -> String {
    hash(&[zone_id, name.as_str(), rtype.as_str()])
}

/// The caller reference of a health check: a [`Place`], and a nonce of 12 characters. 64 characters,
/// as many as Route 53 takes. The nonce is needed because Route 53 remembers the references of
/// deleted health checks for days and refuses to use them again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// What the health check is for.
    pub place: Place,
    nonce: String,
}

const REFERENCE_START: [&str; 2] = ["nodedns", "1"];
const HASH_LENGTH: usize = 13;
const NONCE_LENGTH: usize = 12;

impl Reference {
    /// A reference for `place`; `random` makes it another one than all before.
    pub fn new(place: Place, random: u64) -> Self {
        Reference { place, nonce: base32(random).chars().take(NONCE_LENGTH).collect() }
    }

    /// Reads a caller reference; `None` when it is not of our form, and then the health check is
    /// somebody else's.
    pub fn parse(text: &str) -> Option<Self> {
        let tokens: Vec<&str> = text.split('/').collect();
        let [start, version, cluster, node, what, nonce] = tokens.as_slice() else { return None };
        let is_hash = |token: &str| token.len() == HASH_LENGTH && is_base32(token);
        let ours = [*start, *version] == REFERENCE_START
            && [cluster, node, what].into_iter().all(|token| is_hash(token))
            && nonce.len() == NONCE_LENGTH
            && is_base32(nonce);
        let owned = |token: &str| token.to_owned();
        let place = Place { cluster: owned(cluster), node: owned(node), what: owned(what) };
        ours.then(|| Reference { place, nonce: owned(nonce) })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [start, version] = REFERENCE_START;
        let Place { cluster, node, what } = &self.place;
        write!(f, "{start}/{version}/{cluster}/{node}/{what}/{}", self.nonce)
    }
}

/// The hash of the parts, each ended by a byte that stands in no name. Whoever could choose names that
/// collide may already change the account's health checks at will.
fn hash(parts: &[&str]) -> String {
    base32(fnv_1a(parts.iter().flat_map(|part| part.bytes().chain([0]))))
}

/// RFC 4648's alphabet in lower case, the highest bits first; 13 characters.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

fn base32(number: u64) -> String {
    let digit = |index: u32| {
        // 64 bits are 12 groups of five and one of four.
        let shift = 59u32.checked_sub(5 * index);
        let group = shift.map_or(number << 1, |shift| number >> shift) & 31;
        ALPHABET.get(usize::try_from(group).unwrap_or_default()).map_or('a', |byte| char::from(*byte))
    };
    (0..13).map(digit).collect()
}

fn is_base32(token: &str) -> bool {
    token.bytes().all(|byte| ALPHABET.contains(&byte))
}

/// A health check to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCheck {
    /// What makes the creation one that can be repeated.
    pub reference: Reference,
    /// What it asks.
    pub spec: CheckSpec,
    /// What people see of it, by key.
    pub tags: BTreeMap<String, String>,
}

/// A health check of nodedns as Route 53 has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundCheck {
    /// Its id.
    pub id: String,
    /// Whose it is, and what for.
    pub reference: Reference,
    /// What it asks; `None` when somebody has given it a setting that nodedns never asks for, such as disabled.
    pub spec: Option<CheckSpec>,
}

/// All health checks of an account, read whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckListing {
    /// Those whose reference is of our form, of every cluster and node.
    pub ours: Vec<FoundCheck>,
    /// The ids of all others.
    pub others: BTreeSet<String>,
}

/// What is asked of the provider about health checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckRequest {
    /// Read all of them.
    List,
    /// Create and tag one.
    Create(Box<NewCheck>),
    /// Delete the one with this id.
    Delete(String),
}

/// What came of a [`CheckRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckAnswer<E> {
    /// Of reading all.
    Listed(Result<CheckListing, E>),
    /// Of creating the one with this reference: its id.
    Created(Reference, Result<String, E>),
    /// Of deleting the one with this id. One that is gone already has been deleted.
    Deleted(String, Result<(), E>),
}

/// What a record set is given for a health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attach {
    /// The one with this id.
    Check(String),
    /// None, for there is none to be had: publishing does not depend on health checks.
    Nothing,
    /// The one that is on its way; until then nothing is written.
    Wait,
}

/// The tag that holds the owner id.
pub const OWNER_TAG: &str = "nodedns/owner";
/// The tag that holds the record's name.
pub const RECORD_TAG: &str = "nodedns/record";
/// The tag that holds the record's type.
pub const TYPE_TAG: &str = "nodedns/type";
/// The tag that holds the hosted zone's id.
pub const ZONE_TAG: &str = "nodedns/zone";
/// The tag that the console shows as the health check's name.
const NAME_TAG: &str = "Name";
/// The longest value of a tag, in characters.
const TAG_MAX: usize = 256;

/// What the tags of a health check say, for people: nothing is decided by them alone.
pub fn tags(owner: &OwnerId, zone_id: &str, name: &DnsName, rtype: RecordType) -> BTreeMap<String, String> {
    let tags = [
        (NAME_TAG, format!("{name} {rtype} {}", owner.node())),
        (OWNER_TAG, owner.to_string()),
        (RECORD_TAG, name.to_string()),
        (TYPE_TAG, rtype.to_string()),
        (ZONE_TAG, zone_id.to_owned()),
    ];
    tags.map(|(key, value)| (key.to_owned(), tag_value(&value))).into()
}

/// A text as a tag may hold it: letters, digits, blanks and `_.:/=+-@`, which leaves out the `*` of
/// a wildcard.
fn tag_value(text: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || " _.:/=+-@".contains(c) { c } else { '_' };
    text.replace('*', "_wildcard").chars().map(allowed).take(TAG_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(cluster: &str, node: &str) -> OwnerId {
        OwnerId::new(cluster, node).expect("valid")
    }

    fn name(text: &str) -> DnsName {
        DnsName::parse(text).expect("a name")
    }

    fn place() -> Place {
        Place::new(&owner("home", "n1"), "Z1", &name("edge.example.com"), RecordType::A)
    }

    #[test]
    fn a_hash_is_fnv_1a_in_base32() {
        // Known hashes of the empty text, "a" and "foobar", each with the zero byte that ends a part.
        for (text, known) in
            [("", 0xaf63_bd4c_8601_b7df), ("a", 0x089b_e207_b544_f1e4), ("foobar", 0x3453_1ca7_168b_8f38)]
        {
            assert_eq!(hash(&[text]), base32(known), "{text}");
        }
        assert_eq!(base32(u64::MAX), "7777777777776");
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
    }

    #[test]
    fn a_reference_survives_the_round_trip_and_fills_what_route_53_takes() {
        let reference = Reference::new(place(), 0x0123_4567_89ab_cdef);
        assert_eq!(reference.to_string().len(), 64);
        assert_eq!(Reference::parse(&reference.to_string()), Some(reference));
    }

    #[test]
    fn anything_else_is_somebody_elses() {
        let good = Reference::new(place(), 7).to_string();
        for text in [
            "",
            "nodedns",
            "1511:A:edge:0123456789ab",
            &good[..63],
            &format!("{good}x"),
            &format!("{good}/"),
            &good.replace("/1/", "/2/"),
            &good.to_uppercase(),
            &good.replace("nodedns/", "modedns/"),
        ] {
            assert_eq!(Reference::parse(text), None, "{text}");
        }
    }

    #[test]
    fn places_differ_in_every_part() {
        let at = |cluster, node, zone, text, rtype| Place::new(&owner(cluster, node), zone, &name(text), rtype);
        let all = [
            place(),
            at("home-2", "n1", "Z1", "edge.example.com", RecordType::A),
            at("home", "n2", "Z1", "edge.example.com", RecordType::A),
            at("home", "n1", "Z2", "edge.example.com", RecordType::A),
            at("home", "n1", "Z1", "edge.example.net", RecordType::A),
            at("home", "n1", "Z1", "edge.example.com", RecordType::Aaaa),
        ];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        assert!(place().is_of(&owner("home", "n1")) && place().is_of_cluster("home"));
        assert!(!place().is_of(&owner("home", "n2")) && !place().is_of_cluster("home-2"));
    }

    #[test]
    fn tags_hold_only_what_tags_may() {
        let long =
            format!("*.{}.example.com", ["a".repeat(60), "b".repeat(60), "c".repeat(60), "d".repeat(40)].join("."));
        let tags = tags(&owner("home", "n1.lan"), "Z1", &name(&long), RecordType::Aaaa);
        assert_eq!(tags.get(OWNER_TAG).map(String::as_str), Some("nodedns/v1/home/n1.lan"));
        assert!(tags.get(RECORD_TAG).is_some_and(|record| record.starts_with("_wildcard.aaaa")));
        assert!(tags.values().all(|value| value.len() <= TAG_MAX && !value.contains('*')));
        assert!(tags.len() <= 10);
    }

    #[test]
    fn a_check_reads_like_a_url() {
        let http = HttpCheck { path: "/healthz".into(), host: None, search: None };
        let spec = |address: &str, probe, port| CheckSpec {
            address: address.parse().expect("an address"),
            check: ManagedCheck { probe, port, interval: 30, failure_threshold: 3 },
        };
        let v4 = spec("185.12.64.1", CheckProbe::Https(http), 443);
        assert_eq!(v4.to_string(), "https://185.12.64.1:443/healthz");
        assert_eq!(spec("2a01:4ff:f0::1", CheckProbe::Tcp, 6443).to_string(), "tcp://[2a01:4ff:f0::1]:6443");
        assert!(v4.is_possible());
        for address in ["10.0.0.1", "203.0.113.10", "100.64.0.1", "fd00::1", "2001:db8::1"] {
            assert!(!spec(address, CheckProbe::Tcp, 1).is_possible(), "{address}");
        }
    }
}
