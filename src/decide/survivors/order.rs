//! Who steps in first.

use std::time::Duration;

use crate::decide::hash::{fnv_1a, mix};

/// How much later the next in the order steps in. Longer than a listing and a batch usually take
/// together, so that mostly the first does all the work; and no more than two an instance of Route
/// 53's five requests a second, however many survivors there are.
pub const STEP: Duration = Duration::from_millis(500);

/// The place of `own` in the order in which survivors step in for `dead`; 0 is the first.
///
/// Rendezvous hashing (Thaler, Ravishankar 1998): each candidate has a score for each dead node, the
/// highest is the first. Every survivor works the same order out by itself, and it is another one for
/// each dead node. Survivors that see other candidates may come to the same place, which does no harm.
pub fn rank<'a>(dead: &str, own: &str, candidates: impl IntoIterator<Item = &'a str>) -> usize {
    let ours = (score(dead, own), own);
    candidates.into_iter().filter(|candidate| (score(dead, candidate), *candidate) > ours).count()
}

/// The hash of `dead`, a byte that is in no name, and `candidate`; mixed, as the upper bits of FNV-1a
/// hardly depend on the last bytes. It must stay as it is: daemons of different versions work together.
fn score(dead: &str, candidate: &str) -> u64 {
    mix(fnv_1a(dead.bytes().chain([0xff]).chain(candidate.bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn the_scores_are_those_of_every_other_version() {
        assert_eq!(score("n1", "n2"), 0x2f4a_55de_60c1_9183);
        assert_eq!(score("node-17.lan", "node-3.lan"), 0xb4d9_e85a_0459_373d);
    }

    #[test]
    fn everyone_has_a_place_of_his_own() {
        let nodes: Vec<String> = (0..50).map(|number| format!("node-{number}")).collect();
        for dead in &nodes {
            let others = || nodes.iter().filter(|node| *node != dead).map(String::as_str);
            let places: BTreeSet<usize> = others().map(|own| rank(dead, own, others())).collect();
            assert_eq!(places, (0..49).collect());
        }
    }

    #[test]
    fn whether_one_counts_himself_does_not_matter() {
        let others = ["a", "b", "c"];
        assert_eq!(rank("d", "b", others), rank("d", "b", ["a", "c"]));
        assert_eq!(rank("d", "b", []), 0);
    }

    #[test]
    fn the_work_is_spread() {
        let nodes: Vec<String> = (0..10).map(|number| format!("node-{number}")).collect();
        let mut firsts: BTreeMap<&str, u32> = BTreeMap::new();
        for dead in 0..1000 {
            let dead = format!("dead-{dead}");
            let first = nodes.iter().find(|own| rank(&dead, own, nodes.iter().map(String::as_str)) == 0);
            *firsts.entry(first.expect("somebody is the first")).or_default() += 1;
        }
        assert_eq!(firsts.len(), 10);
        assert!(firsts.values().all(|count| (60..=140).contains(count)), "{firsts:?}");
    }
}
