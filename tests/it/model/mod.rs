//! S3 under concurrency: many engines, each a node of its own, against one strict Route 53, with
//! every interleaving of their reads and writes that can be afforded, and random ones beyond.
//!
//! | module | what |
//! |---|---|
//! | `service` | the simulator's zone and rules, in process; a reading or a batch is one point in time |
//! | `fleet` | engines, what is on its way, and what must hold after every step |
//! | `exhaustive` | every schedule of 2 to 4 engines that withdraw at once, with faults |
//! | `random` | long random histories of 3 to 5 engines: mixed reasons, recoveries, restarts, foreign hands |
//! | `cost` | what the guard costs: how many requests, and how many of them are refused |
//! | `pinned` | what the model has found, as small as it gets |

mod cost;
mod exhaustive;
mod fleet;
mod pinned;
mod random;
mod service;

use nodedns::decide::engine::Event;
use nodedns::decide::node::Readiness;
use nodedns::decide::observed::Observed;
use nodedns::decide::owner::OwnerId;
use nodedns::decide::policy::{Policy, RecordPolicy};
use nodedns::decide::record::{RecordSet, RecordType, Target as Answer};

use crate::support::world;

const ZONE: &str = "Z1";
const EDGE: &str = "edge.example.com";

/// The policy of node `n<index>`.
fn policy(index: usize, records: Vec<RecordPolicy>) -> Policy {
    Policy { owner: owner(index), ..world::policy(records) }
}

fn owner(index: usize) -> OwnerId {
    OwnerId::new("home", &format!("n{index}")).expect("an owner")
}

/// The address of node `n<index>`.
fn address(rtype: RecordType, index: usize) -> String {
    match rtype {
        RecordType::A => format!("185.12.64.{}", index + 1),
        RecordType::Aaaa => format!("2a01:4ff:f0::{:x}", index + 1),
    }
}

/// The record set of node `n<index>`, as its engine would write it.
fn own_set(rtype: RecordType, index: usize) -> RecordSet {
    world::weighted(&owner(index).to_string(), &address(rtype, index))
}

/// A record set that no batch can create again.
fn made_by_a_policy() -> RecordSet {
    RecordSet { target: Answer::TrafficPolicyInstance("tpi-1".into()), ..world::weighted("made", "192.0.2.1") }
}

fn cordoned() -> Event {
    Event::Node(Observed::Known(world::node(Readiness::Ready, true)))
}

fn ready() -> Event {
    Event::Node(Observed::Known(world::ready()))
}

/// How much longer the searches are than by default; for nights.
fn patience() -> u32 {
    let cases: Option<u32> = std::env::var("NODEDNS_PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    cases.map_or(1, |cases| cases.div_ceil(256).max(1))
}
