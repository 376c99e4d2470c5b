//! The engine in virtual time: how fast, how often, and that it always gets there.
//!
//! The periodic resync is off (30 days) wherever convergence is the question: with it on, lost work
//! would be found again by accident.

mod checks;
mod damping;
mod drain;
mod faults;
mod policies;
mod probes;
mod recovering;
mod stopping;
mod survivors;
mod timing;

use std::time::Duration;

use nodedns::decide::engine::{Effect, Event, Notice};
use nodedns::decide::node::Readiness;
use nodedns::decide::observed::Observed;
use nodedns::decide::provider::{ChangeStatus, ErrorKind};
use nodedns::decide::reason::Reason;
use nodedns::decide::record::{Action, Change, Listing, RecordType, ZoneRef};

use crate::support::hostile::{HANG, Happening, Treatment, World, target};
use crate::support::world::{self, OWN, SIBLING, V4, V4_OTHER, V6};

pub(super) const SETTLE: Duration = Duration::from_millis(200);
pub(super) const ZONE: &str = "Z1";
pub(super) const EDGE: &str = "edge.example.com";

pub(super) fn texts(addresses: &[&str]) -> Happening {
    Happening::Addresses(addresses.iter().map(|text| (*text).to_owned()).collect())
}

pub(super) fn sibling_listing() -> Listing {
    world::listing(vec![
        (RecordType::A, world::weighted(SIBLING, "185.12.64.9")),
        (RecordType::Aaaa, world::weighted(SIBLING, "2a01:4ff:f0::9")),
    ])
}

/// A world with a sibling in the pool, whose engine has come to rest: published where the node is ready.
pub(super) fn settled(addresses: &[&str]) -> World {
    let mut world =
        World::new(world::policy(vec![world::record(EDGE, ZONE)]), vec![(ZONE, EDGE, sibling_listing())], 1);
    world.after(Duration::ZERO, texts(addresses));
    world.after(Duration::from_millis(5), Happening::Node(Observed::Known(world::ready())));
    world.run_for(Duration::from_secs(600));
    world
}

pub(super) fn applies(world: &World) -> usize {
    world.count(|effect| matches!(effect, Effect::Apply(..)))
}

pub(super) fn lists(world: &World) -> usize {
    world.count(|effect| matches!(effect, Effect::List(_)))
}

/// The most requests that a minute of nothing but errors may see for one name: full jitter halves
/// the cap of 30 s on average, a try may take a listing and a batch, and the first tries are quick.
pub(super) fn bounded(world: &World, since: usize, minutes: usize) {
    let requests = world.sent[since..].iter().filter(|sent| !matches!(sent.effect, Effect::ReadAddresses)).count();
    assert!(requests <= 30 + 12 * minutes, "{requests} requests in {minutes} min");
}
