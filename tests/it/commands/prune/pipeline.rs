//! What is applied of what a command has shown, whatever it decides right before.

use nodedns::cli::args::{Consent, Output};
use nodedns::cli::operate::{Fresh, Operation, Outcome, Report, Step, carry_out};
use nodedns::config::{Sources, load};
use nodedns::decide::batch::Batch;
use nodedns::decide::record::{Action, Change, Listing, Pool, RecordSet, RecordType, ZoneRef};
use nodedns::publish::Provider;
use nodedns::publish::memory::MemoryProvider;

use super::{ZONE, desk};
use crate::support::world;

const NAME: &str = "a.example.com";

fn of(node: &str, address: &str) -> RecordSet {
    world::weighted(&format!("nodedns/v1/home/{node}"), address)
}

fn pool(sets: &[RecordSet]) -> Pool {
    sets.iter().map(|set| (set.set_identifier.clone(), set.clone())).collect()
}

fn deletes(name: &str, sets: &[RecordSet]) -> Batch {
    let change = |set: &RecordSet| Change {
        action: Action::Delete,
        name: world::name(name),
        rtype: RecordType::A,
        set: set.clone(),
    };
    let changes = sets.iter().map(change).collect();
    Batch { zone_id: ZONE.to_owned(), name: world::name(NAME), rtype: RecordType::A, changes }
}

/// Shows the deletion of `b` and `c`, then decides `fresh` for what the name holds: `now`.
async fn carried_out(now: &[RecordSet], fresh: Batch) -> (Report, Listing) {
    let (desk, _server) = desk(&[]).await;
    let config = load(&Sources::new(Some(desk.path("nodedns.toml")))).expect("a configuration").config;
    let provider = MemoryProvider::new();
    for set in now {
        provider.insert(ZONE, &world::name(NAME), RecordType::A, set.clone());
        provider.insert(ZONE, &world::name("b.example.com"), RecordType::A, set.clone());
    }
    let shown = [of("a", "192.0.2.1"), of("b", "192.0.2.2"), of("c", "192.0.2.3")];
    let steps = [Step { batch: deletes(NAME, &shown[1..]), pool: pool(&shown) }];
    let path = desk.path("undo.json");
    let operation = Operation {
        command: "prune",
        typed: "nodedns prune --yes".to_owned(),
        question: String::new(),
        consent: Consent { yes: true, dry_run: false },
        output: Output::Table,
        undo_file: Some(&path),
        config: &config,
    };
    let fresh = Step { batch: fresh, pool: pool(now) };
    let again = async |_: &Step, _: u32| -> anyhow::Result<Fresh> { Ok(Fresh::Apply(fresh.clone())) };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let report = carry_out(&operation, &steps, &provider, again, &mut out, &mut err).await.expect("an undo file");
    let zone = ZoneRef::Id(ZONE.to_owned());
    let listing = provider.list(&zone, &world::name(NAME)).await.expect("a listing");
    let other = provider.list(&zone, &world::name("b.example.com")).await.expect("a listing");
    assert_eq!(other.pool(RecordType::A).map_or(0, Pool::len), now.len(), "another name is never touched");
    (report, listing)
}

#[tokio::test]
async fn only_what_was_shown_is_ever_applied() {
    let [a, b, c] = [of("a", "192.0.2.1"), of("b", "192.0.2.2"), of("c", "192.0.2.3")];
    let rewritten = of("c", "192.0.2.9");
    let all = [a.clone(), b.clone(), c.clone()];
    let now = [a.clone(), b.clone(), rewritten.clone()];
    for (now, fresh, outcome, left) in [
        (&all, deletes(NAME, &[b.clone(), c.clone()]), Outcome::Done, 1),
        (&all, deletes(NAME, std::slice::from_ref(&b)), Outcome::Done, 2),
        (&all, deletes(NAME, &[]), Outcome::Left, 3),
        // More than was shown, something else, something rewritten, and elsewhere.
        (&all, deletes(NAME, &all), Outcome::Changed, 3),
        (&all, deletes(NAME, std::slice::from_ref(&a)), Outcome::Changed, 3),
        (&now, deletes(NAME, &[b.clone(), rewritten]), Outcome::Changed, 3),
        (&all, deletes("b.example.com", std::slice::from_ref(&b)), Outcome::Changed, 3),
    ] {
        let what = format!("{fresh:?}");
        let (report, listing) = carried_out(now, fresh).await;
        assert_eq!(report.pools[0].outcome, outcome, "{what}");
        assert_eq!(listing.pool(RecordType::A).map_or(0, Pool::len), left, "{what}");
    }
}
