//! Why an address is not published, for programs and for people.

use std::fmt;

use ipnet::IpNet;

use super::AddressClass;
use crate::decide::address::Scope;
use crate::decide::registry::Block;

/// Why an address is not published.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// A built-in exclusion names the interface; which.
    ExcludedByDefault(&'static str),
    /// No glob of `include_interfaces` matches.
    NotIncluded,
    /// This glob of `exclude_interfaces` matches.
    Excluded(String),
    /// The link is switched off (not `IFF_UP`). Its IPv4 addresses stay all the same.
    LinkDown,
    /// The link has no carrier (not `IFF_RUNNING`). Its addresses stay all the same.
    LinkNotRunning,
    /// The kernel's scope is narrower than the universe.
    Scope(Scope),
    /// Duplicate address detection has found another host that has it.
    DadFailed,
    /// Duplicate address detection has not finished.
    Tentative,
    /// The preferred lifetime has run out.
    Deprecated,
    /// A privacy address, which is gone tomorrow.
    Temporary,
    /// This block of `deny` contains it.
    Denied(IpNet),
    /// It is of another class than the record asks for.
    Class {
        /// What the record asks for.
        wanted: AddressClass,
        /// The special-purpose block that contains the address, if one does.
        block: Option<&'static Block>,
    },
}

impl Refusal {
    /// The refusal in snake case, stable for scripts.
    pub fn as_str(&self) -> &'static str {
        match self {
            Refusal::ExcludedByDefault(_) => "excluded_by_default",
            Refusal::NotIncluded => "not_included",
            Refusal::Excluded(_) => "excluded",
            Refusal::LinkDown => "link_down",
            Refusal::LinkNotRunning => "link_not_running",
            Refusal::Scope(_) => "scope",
            Refusal::DadFailed => "dad_failed",
            Refusal::Tentative => "tentative",
            Refusal::Deprecated => "deprecated",
            Refusal::Temporary => "temporary",
            Refusal::Denied(_) => "denied",
            Refusal::Class { .. } => "class",
        }
    }

    /// Whether it is the operator who forbids it, with `include_interfaces`, `exclude_interfaces`
    /// or `deny`: where that leaves no address, the record is held and not withdrawn.
    pub fn is_operator_filter(&self) -> bool {
        matches!(self, Refusal::NotIncluded | Refusal::Excluded(_) | Refusal::Denied(_))
    }
}

impl fmt::Display for Refusal {
    /// What it is and, where there is something to do, what to do; without a final period.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::ExcludedByDefault(what) => write!(
                f,
                "loopback, container, VPN and similar interfaces are left out ({what}); \
                 name the interface in addresses.include_interfaces to use it"
            ),
            Refusal::NotIncluded => {
                write!(f, "no pattern in addresses.include_interfaces matches the interface; add one to use it")
            }
            Refusal::Excluded(pattern) => {
                write!(f, "'{pattern}' in addresses.exclude_interfaces matches the interface")
            }
            Refusal::LinkDown => write!(f, "the link is down; bring it up with 'ip link set up'"),
            Refusal::LinkNotRunning => write!(f, "the link has no carrier; look at the cable or the other end"),
            Refusal::Scope(scope) => write!(f, "the address has scope {scope}, so it means nothing to other hosts"),
            Refusal::DadFailed => {
                write!(f, "another host on the link has the same address; remove it from one of the two")
            }
            Refusal::Tentative => {
                write!(f, "the kernel is still looking for duplicates of the address; wait a second or two")
            }
            Refusal::Deprecated => {
                write!(f, "the preferred lifetime of the address has run out: its router or server has given it up")
            }
            Refusal::Temporary => {
                write!(f, "a temporary address (RFC 8981) is soon replaced; set addresses.temporary to publish it")
            }
            Refusal::Denied(block) => write!(f, "{block} in addresses.deny contains the address"),
            Refusal::Class { wanted, block } => {
                if let Some(block) = block {
                    write!(f, "{} ({}) is", block.prefix, block.name)?;
                } else {
                    write!(f, "the address is")?;
                }
                write!(
                    f,
                    " not what class = \"{}\" asks for; set the record's class, or list the address in addresses.allow",
                    wanted.as_str()
                )
            }
        }
    }
}
