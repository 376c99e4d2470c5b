//! What to do about the mistakes that TOML and the environment invite.

use figment::error::{Actual, Kind};
use serde_json::Value;

use crate::config::path::{Path, Step};
use crate::config::problem::Origin;
use crate::config::raw::RawConfig;

/// The remedy, where the place of the mistake says more than its kind.
pub(super) fn remedy(origin: &Origin, path: &Path, kind: &Kind) -> Option<String> {
    match (kind, path.0.last()?, origin) {
        (Kind::InvalidType(Actual::Map, _), _, _) if path.is_records() => {
            Some("double the brackets: every name is a table of its own, [[record]]".to_owned())
        }
        (Kind::InvalidType(..), _, _) if path.is_records() => {
            Some("every name is a table of its own, under the line [[record]]".to_owned())
        }
        (Kind::InvalidType(Actual::Str(text), expected), _, _) if expected == "a sequence" => {
            let elements: Vec<_> = text.split(',').map(|element| format!("{:?}", element.trim())).collect();
            Some(format!("write [{}]", elements.join(", ")))
        }
        (Kind::InvalidType(..), Step::Key(key), _) if key == "coordinates" => {
            Some("write latitude, then longitude, in quotation marks, like \"50.11,8.68\"".to_owned())
        }
        (Kind::UnknownField(..), _, Origin::Variable(_)) => underscores(path),
        _ => None,
    }
}

/// The variable that was meant where one underscore stands for the two that lead into a table.
fn underscores(path: &Path) -> Option<String> {
    let mut table = serde_json::to_value(RawConfig::default()).ok()?;
    let mut keys = Vec::new();
    let (Step::Key(unknown), way) = path.0.split_last()? else { return None };
    for step in way {
        let Step::Key(key) = step else { return None };
        table = table.get_mut(key)?.take();
        keys.push(key.to_owned());
    }
    let (inner, rest) = split(&table, unknown)?;
    keys.push(inner.to_owned());
    match split(table.get(inner)?, rest) {
        Some((inner, rest)) => keys.extend([inner.to_owned(), rest.to_owned()]),
        None => keys.push(rest.to_owned()),
    }
    let name = keys.join("__").to_uppercase();
    Some(format!("did you mean $NODEDNS_{name}? two underscores lead into a table"))
}

/// The table in `table` whose name the key begins with, and the rest of the key.
fn split<'a>(table: &'a Value, key: &'a str) -> Option<(&'a str, &'a str)> {
    table.as_object()?.iter().filter(|(_, value)| value.is_object()).find_map(|(name, _)| {
        let rest = key.strip_prefix(name.as_str())?.strip_prefix('_').filter(|rest| !rest.is_empty())?;
        Some((name.as_str(), rest))
    })
}
