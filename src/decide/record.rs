//! Record sets, pools and changes.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use crate::decide::name::DnsName;
use crate::decide::owner::SetIdentifier;
use crate::decide::routing::Routing;

/// The record types that nodedns publishes: one per address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
}

impl RecordType {
    /// Both, in Route 53's listing order.
    pub const ALL: [RecordType; 2] = [RecordType::A, RecordType::Aaaa];

    /// The type that holds this address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => RecordType::A,
            IpAddr::V6(_) => RecordType::Aaaa,
        }
    }

    /// `A` or `AAAA`.
    pub fn as_str(self) -> &'static str {
        match self {
            RecordType::A => "A",
            RecordType::Aaaa => "AAAA",
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One value of a record set.
///
/// The text is kept as it was listed, because a deletion must repeat it; two values that are the
/// same address are the same value.
#[derive(Debug, Clone)]
pub struct Value {
    text: String,
    address: Option<IpAddr>,
}

impl Value {
    /// A value as listed.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let address = text.parse().ok();
        Value { text, address }
    }

    /// The text as listed, or the address's canonical text (RFC 5952 for IPv6).
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address, when the value is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }
}

impl From<IpAddr> for Value {
    fn from(address: IpAddr) -> Self {
        Value { text: address.to_string(), address: Some(address) }
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.address, other.address) {
            (Some(a), Some(b)) => a.cmp(&b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.text.cmp(&other.text),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

/// What a record set answers with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Values and their time to live.
    Values {
        /// Time to live in seconds, 0 to 2^31 - 1.
        ttl: u32,
        /// The values; order means nothing, so there is none.
        values: BTreeSet<Value>,
    },
    /// An alias. Never written by nodedns, only kept as it is.
    Alias {
        /// The hosted zone of the alias target.
        hosted_zone_id: String,
        /// The name it points to, as listed.
        dns_name: String,
        /// Whether the health of the target counts.
        evaluate_target_health: bool,
    },
    /// Made by a traffic policy instance. Never written by nodedns.
    TrafficPolicyInstance(String),
}

/// Route 53's unit: everything at one (name, type, set identifier).
///
/// Complete: what is listed can be deleted and created again from it without a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSet {
    /// Present exactly when the routing policy is not simple.
    pub set_identifier: Option<SetIdentifier>,
    /// The routing policy with its parameters.
    pub routing: Routing,
    /// Values, alias or traffic policy instance.
    pub target: Target,
    /// The health check that decides whether it is answered.
    pub health_check_id: Option<String>,
}

impl RecordSet {
    /// Time to live in seconds; `None` for an alias or a traffic policy instance.
    pub fn ttl(&self) -> Option<u32> {
        match &self.target {
            Target::Values { ttl, .. } => Some(*ttl),
            Target::Alias { .. } | Target::TrafficPolicyInstance(_) => None,
        }
    }

    /// The values that are addresses.
    pub fn addresses(&self) -> BTreeSet<IpAddr> {
        match &self.target {
            Target::Values { values, .. } => values.iter().filter_map(Value::address).collect(),
            Target::Alias { .. } | Target::TrafficPolicyInstance(_) => BTreeSet::new(),
        }
    }
}

/// All record sets at one (name, type): ours, siblings', foreign. The key is the set identifier;
/// `None` is a simple record set.
pub type Pool = BTreeMap<Option<SetIdentifier>, RecordSet>;

/// Everything at one name of one hosted zone, read whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// The hosted zone's id, without `/hostedzone/`.
    pub zone_id: String,
    /// The A and AAAA pools; a missing key is an empty pool.
    pub pools: BTreeMap<RecordType, Pool>,
    /// Whether the name holds a CNAME, which tolerates nothing beside it.
    pub has_cname: bool,
}

impl Listing {
    /// The pool of one type; `None` when it is empty.
    pub fn pool(&self, rtype: RecordType) -> Option<&Pool> {
        self.pools.get(&rtype)
    }

    /// One record set.
    pub fn get(&self, rtype: RecordType, identifier: &SetIdentifier) -> Option<&RecordSet> {
        self.pools.get(&rtype)?.get(&Some(identifier.clone()))
    }

    /// What the name holds after `change`: the reference semantics that every provider must agree
    /// with, once it has accepted the change.
    pub fn apply(&mut self, change: &Change) {
        let key = change.set.set_identifier.clone();
        match change.action {
            Action::Create | Action::Upsert => {
                self.pools.entry(change.rtype).or_default().insert(key, change.set.clone());
            }
            Action::Delete => {
                if let Some(pool) = self.pools.get_mut(&change.rtype) {
                    pool.remove(&key);
                    if pool.is_empty() {
                        self.pools.remove(&change.rtype);
                    }
                }
            }
        }
    }
}

/// Every A and AAAA record set of one hosted zone, read whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ZoneListing {
    /// The hosted zone's id, without `/hostedzone/`.
    pub zone_id: String,
    /// What each name holds. A name with nothing but types other than these and CNAME is not in it.
    pub names: BTreeMap<DnsName, Listing>,
    /// The A and AAAA record sets that cannot be told in our words: the name as listed, then which one
    /// there and why. A pool that one of them belongs to is without it, so not whole.
    pub unreadable: Vec<(String, String)>,
}

/// Where a name lives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ZoneRef {
    /// The hosted zone with this id, without `/hostedzone/`.
    Id(String),
    /// The hosted zone of this name.
    Name {
        /// The zone's name.
        name: DnsName,
        /// Whether the private or the public zone of that name is meant.
        private: bool,
    },
    /// The hosted zone with the longest name that contains the record's.
    Longest {
        /// Whether to look among the private or the public zones.
        private: bool,
    },
}

impl fmt::Display for ZoneRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = |private: &bool| if *private { "private" } else { "public" };
        match self {
            ZoneRef::Id(id) => f.write_str(id),
            ZoneRef::Name { name, private } => write!(f, "the {} zone {name}", kind(private)),
            ZoneRef::Longest { private } => {
                write!(f, "the longest matching {} zone", kind(private))
            }
        }
    }
}

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Fails when the key exists.
    Create,
    /// Replaces the whole record set, or creates it.
    Upsert,
    /// Fails unless every field matches: a compare-and-swap.
    Delete,
}

impl Action {
    /// Route 53's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Create => "CREATE",
            Action::Upsert => "UPSERT",
            Action::Delete => "DELETE",
        }
    }
}

/// One change of a batch. A batch is applied in order, whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What to do.
    pub action: Action,
    /// The name it is done to.
    pub name: DnsName,
    /// The type it is done to.
    pub rtype: RecordType,
    /// The record set: what is to be, or for a deletion what was listed.
    pub set: RecordSet,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_the_same_address_are_the_same_value() {
        assert_eq!(Value::new("2001:DB8::1"), Value::new("2001:db8:0:0::1"));
        assert_eq!(Value::new("2001:DB8::1").as_str(), "2001:DB8::1");
        assert_ne!(Value::new("192.0.2.1"), Value::new("192.0.2.2"));
        assert_ne!(Value::new("192.0.2.1"), Value::new("text"));
    }
}
