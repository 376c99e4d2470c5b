//! The `[prune]` table.

use super::Judge;
use crate::config::path::Path;
use crate::config::raw::RawConfig;
use crate::decide::glob::{Globs, is_catch_all};

pub(super) fn keep_nodes(raw: &RawConfig, judge: &mut Judge<'_>) -> Globs {
    let path = Path::default().key("prune").key("keep_nodes");
    for (index, glob) in raw.prune.keep_nodes.iter().enumerate() {
        let path = path.index(index);
        if glob.is_empty() {
            judge.complain(&path, "an empty pattern matches no node");
        } else if is_catch_all(glob) {
            judge.advise(
                &path,
                format!("{glob:?} names no node in particular, and would leave nothing to prune"),
                "name the hosts that are no Kubernetes nodes, for example \"vm-*\"",
            );
        } else if glob.contains('/') || glob.chars().any(char::is_whitespace) {
            judge.complain(&path, format!("{glob:?} matches no node: a node's name has neither blanks nor slashes"));
        }
    }
    Globs(raw.prune.keep_nodes.clone())
}
