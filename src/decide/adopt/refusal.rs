//! Why a pool is not adopted, and what to do about it.

use std::fmt;

use super::{CHARACTERS_MAX, ELEMENTS_MAX};
use crate::decide::owner::OwnerId;
use crate::decide::reason::Reason;
use crate::decide::record::Value;
use crate::decide::routing::PolicyKind;

/// Why a pool is not adopted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The daemon would withdraw the node at once.
    Unfit(Reason),
    /// Not enough is known of the node.
    Unknown(Reason),
    /// The node is not fit, and others' addresses would leave for it; why it is not.
    ForcedDrop(Reason),
    /// Others' addresses would leave, and fewer record sets be left than `keep_min`.
    KeepMin {
        /// How many would be left.
        left: usize,
        /// The record's `keep_min`.
        minimum: u32,
    },
    /// There is nothing to publish with, or it would stand in the way of itself.
    InTheWay(Reason),
    /// A record set is an alias; which one.
    Alias(String),
    /// A record set is made by a traffic policy instance; which one, and the instance.
    TrafficPolicy(String, String),
    /// A record set is IP-based; which one.
    Cidr(String),
    /// An owner of the pool has another policy.
    Owner {
        /// The owner.
        owner: OwnerId,
        /// Its policy.
        found: PolicyKind,
        /// Ours.
        wanted: PolicyKind,
    },
    /// Values that cannot become record sets of our policy, because their place or role is not known.
    Place {
        /// Our policy.
        wanted: PolicyKind,
        /// The values.
        values: Vec<Value>,
    },
    /// A record set answers only when others do not, and would answer at once as one of our policy; which one.
    Standby(String),
    /// Our record set would be a primary without a health check, which Route 53 refuses.
    PrimaryUnchecked,
    /// It would be more in one batch than Route 53 takes.
    TooLarge {
        /// How many values.
        elements: usize,
        /// How many characters they have.
        characters: usize,
    },
}

impl Refusal {
    /// For programs: a word in snake case.
    pub fn as_str(&self) -> &'static str {
        match self {
            Refusal::Unfit(_) => "unfit",
            Refusal::Unknown(_) => "unknown",
            Refusal::ForcedDrop(_) => "forced_drop",
            Refusal::KeepMin { .. } => "keep_min",
            Refusal::InTheWay(reason) => reason.as_str(),
            Refusal::Alias(_) => "alias",
            Refusal::TrafficPolicy(..) => "traffic_policy",
            Refusal::Cidr(_) => "ip_based",
            Refusal::Owner { .. } => "owner_policy",
            Refusal::Place { .. } => "place_unknown",
            Refusal::Standby(_) => "standby",
            Refusal::PrimaryUnchecked => "primary_unchecked",
            Refusal::TooLarge { .. } => "too_large",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Refusal::Unfit(_) => Some("adopt once the node is fit, or with --force"),
            Refusal::Unknown(Reason::AddressesUnknown) => None,
            Refusal::Unknown(Reason::NodeUnknown) => {
                Some("adopt once the Node can be read, which 'nodedns check' says more about, or with --force")
            }
            Refusal::Unknown(_) => Some("run this as root, or adopt with --force"),
            Refusal::ForcedDrop(_) => Some("adopt without --drop-others, or once the node is fit"),
            Refusal::KeepMin { .. } => {
                Some("adopt without --drop-others, or with --force, which lets the name become that small")
            }
            Refusal::InTheWay(Reason::LocationTaken(_) | Reason::PoolFull(_)) => {
                Some("--drop-others takes what is not this node's out of DNS until its own nodes publish it")
            }
            Refusal::InTheWay(_) => None,
            Refusal::Alias(_) => {
                Some("replace it by a record set with the addresses that it stands for, or delete it, then adopt again")
            }
            Refusal::TrafficPolicy(..) => Some(
                "delete the traffic policy instance in Route 53, which deletes its record sets, then start the daemon",
            ),
            Refusal::Cidr(_) => Some("delete it, or give it this record's policy, then adopt again"),
            Refusal::Owner { .. } => Some("give both the same routing policy in their configurations first"),
            Refusal::Place { .. } => Some(
                "--drop-others takes them out of DNS until their own nodes publish them; or give them this record's policy by hand",
            ),
            Refusal::Standby(_) => Some(
                "--drop-others takes it out of DNS until its own node publishes it; or delete it by hand, then adopt again",
            ),
            Refusal::PrimaryUnchecked => {
                Some("name an existing health check in the record's 'health_check', adopt, then change it back")
            }
            Refusal::TooLarge { .. } => Some("split what the name holds by hand, or use --drop-others"),
        }
    }
}

impl fmt::Display for Refusal {
    /// One sentence for people, without a final period.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Unfit(reason) => write!(f, "the daemon would withdraw this node at once: {reason}"),
            Refusal::Unknown(reason) => write!(f, "whether this node is fit to be in DNS is not known: {reason}"),
            Refusal::ForcedDrop(reason) => write!(
                f,
                "--force lets this node in although it may not serve, and --drop-others would take the addresses of others out for it; both together are refused: {reason}"
            ),
            Refusal::KeepMin { left, minimum } => write!(
                f,
                "without the others' addresses {left} record set{} would be left, and keep_min is {minimum}",
                if *left == 1 { "" } else { "s" }
            ),
            Refusal::InTheWay(reason) => reason.fmt(f),
            Refusal::Alias(which) => write!(f, "{which} is an alias, and which addresses it stands for is not known"),
            Refusal::TrafficPolicy(which, instance) => {
                write!(f, "{which} is made by the traffic policy instance {instance}, and cannot be changed but by it")
            }
            Refusal::Cidr(which) => write!(f, "{which} is ip-based, a policy that nodedns cannot share"),
            Refusal::Owner { owner, found, wanted } => write!(
                f,
                "the record set of node {} in cluster {} is {found}, this record is configured as {wanted}, and Route 53 allows one policy per name and type",
                owner.node(),
                owner.cluster()
            ),
            Refusal::Place { wanted, values } => {
                let values: Vec<_> = values.iter().map(Value::as_str).collect();
                write!(f, "which {wanted} record set should answer with {} nobody knows", values.join(", "))
            }
            Refusal::Standby(which) => write!(
                f,
                "{which} is a standby that answers only when others do not, and with this record's policy it would answer at once"
            ),
            Refusal::PrimaryUnchecked => write!(
                f,
                "Route 53 refuses a primary without a health check, and the managed one cannot be created before the name is the daemon's"
            ),
            Refusal::TooLarge { elements, characters } => write!(
                f,
                "one batch would have {elements} values of {characters} characters, Route 53 takes {ELEMENTS_MAX} and {CHARACTERS_MAX}"
            ),
        }
    }
}
