//! One layer of the configuration, as a provider for figment.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::Path as FilePath;

use figment::error::{Actual, Kind};
use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};

use crate::config::explain::{Explained, explain, is_datetime};
use crate::config::path::{Path, RECORDS, Step};
use crate::config::places::{NOT_TOML, Place, places};
use crate::config::problem::{Origin, Problem};
use crate::config::raw::RawConfig;
use crate::config::remedy::remedy;

/// What one file, variable or flag says. Its paths count elements as they were written, records on
/// from those of the layers before.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    origin: Origin,
    /// A table; what is broken is not in it.
    values: Value,
    /// Whether texts may stand for numbers and booleans.
    lossy: bool,
    records_before: usize,
    places: BTreeMap<Path, Place>,
    broken: BTreeSet<Path>,
}

impl Layer {
    /// A TOML file.
    ///
    /// # Errors
    /// The first syntax error.
    pub(super) fn file(file: &FilePath, text: &str, records_before: usize) -> Result<Self, Problem> {
        let origin = Origin::File { path: file.to_owned(), position: None };
        let places = places(file, text, records_before)?;
        let values = Toml::from_str::<Dict>(text).map_err(|error| Problem {
            source: origin.clone(),
            path: String::new(),
            message: format!("not TOML: {}", error.message().trim().replace('\n', ", ")),
            hint: Some(NOT_TOML.to_owned()),
        })?;
        Ok(Layer { places, lossy: false, ..Layer::new(origin, values.into(), records_before) })
    }

    /// One key with a text for its value: a flag, or what the surroundings say.
    pub(super) fn text(origin: Origin, keys: &[&str], text: &str) -> Self {
        Layer::single(origin, keys, text.into())
    }

    /// One key from a variable. A variable has no type, so that it is read as its key accepts it: as
    /// it is (which figment takes for numbers and booleans too), as what figment makes of a
    /// variable, as a list with commas.
    pub(super) fn variable(origin: Origin, keys: &[&str], text: &str) -> Self {
        let parsed = text.parse::<Value>().unwrap_or_else(|never: Infallible| match never {});
        let structured = matches!(parsed, Value::Dict(..) | Value::Array(..));
        let mut readings = vec![Value::from(text), parsed];
        if !text.trim_start().starts_with(['[', '{']) {
            let elements = text.split(',').map(str::trim).filter(|element| !element.is_empty());
            readings.push(elements.map(Value::from).collect::<Vec<_>>().into());
        }
        let mut layers: Vec<_> = readings.into_iter().map(|value| Layer::single(origin.clone(), keys, value)).collect();
        // When none will do, the mistake is best explained in the form that was meant.
        let best = layers.iter().position(|layer| layer.read().is_ok()).unwrap_or(usize::from(structured));
        layers.swap_remove(best)
    }

    /// `--name`: a record for each.
    pub(super) fn names(names: &[String], zone_id: Option<&str>, records_before: usize) -> Self {
        let origin = |flag: &str| Origin::Flag(flag.to_owned());
        let records: Vec<Value> = names
            .iter()
            .map(|name| {
                let zone_id = zone_id.map(|zone_id| ("zone_id".to_owned(), zone_id.into()));
                Dict::from_iter([("name".to_owned(), name.as_str().into())].into_iter().chain(zone_id)).into()
            })
            .collect();
        let place = Place { key: origin("--zone-id"), value: origin("--zone-id") };
        let places = (records_before..records_before + names.len())
            .map(|index| (Path::default().key(RECORDS).index(index).key("zone_id"), place.clone()))
            .collect();
        let values = Dict::from([(RECORDS.to_owned(), records.into())]);
        Layer { places, ..Layer::new(origin("--name"), values.into(), records_before) }
    }

    fn single(origin: Origin, keys: &[&str], value: Value) -> Self {
        let nest = |value, key: &&str| Dict::from([((*key).to_owned(), value)]).into();
        Layer::new(origin, keys.iter().rev().fold(value, nest), 0)
    }

    fn new(origin: Origin, values: Value, records_before: usize) -> Self {
        Layer { origin, values, lossy: true, records_before, places: BTreeMap::new(), broken: BTreeSet::new() }
    }

    /// How many records it has, those that are broken too.
    pub(super) fn record_count(&self) -> usize {
        let records = Path::default().key(RECORDS);
        let sound = self.values.find_ref(RECORDS).and_then(Value::as_array).map_or(0, <[Value]>::len);
        sound + self.broken_in(&records).count()
    }

    /// Every key that is unknown and every value that is not of its key's type, of which figment
    /// reports the first. What is reported is taken out, so that the rest can still be read.
    pub(super) fn check(&mut self) -> Vec<Problem> {
        let mut problems = Vec::new();
        while let Err(error) = self.read() {
            let (path, culprit) = follow(&self.values, &error.path);
            let written = self.written(&path);
            let Explained { message, hint, meant, is_key } = explain(&error.kind, culprit.is_some_and(is_datetime));
            let source = if is_key { self.key(&written) } else { self.place(&written) };
            let hint = remedy(&self.origin, &written, &error.kind).or(hint);
            problems.push(Problem { source, path: written.to_string(), message, hint });
            if !remove(&mut self.values, &path.0) {
                break;
            }
            // A misspelt key also leaves the right one missing; saying so twice helps nobody.
            self.broken.extend(meant.map(|meant| written.parent().key(&meant)));
            self.broken.insert(written);
        }
        problems
    }

    /// Where a value was written, or the nearest around it that was.
    pub(super) fn place(&self, path: &Path) -> Origin {
        let place = path.ancestors().find_map(|path| self.places.get(&path));
        place.map_or_else(|| self.origin.clone(), |place| place.value.clone())
    }

    fn key(&self, path: &Path) -> Origin {
        self.places.get(path).map_or_else(|| self.place(path), |place| place.key.clone())
    }

    /// Whether it was reported, or something around it.
    pub(super) fn is_broken(&self, path: &Path) -> bool {
        path.ancestors().any(|path| self.broken.contains(&path))
    }

    /// The elements of an array that were reported.
    pub(super) fn broken_in(&self, array: &Path) -> impl Iterator<Item = &Path> {
        self.broken
            .iter()
            .filter(move |path| matches!(path.0.split_last(), Some((Step::Index(_), way)) if way == array.0.as_slice()))
    }

    /// The name by which figment's metadata lead back to this layer.
    pub(super) fn name(&self) -> String {
        self.origin.to_string()
    }

    /// The keys for which `wanted` holds, for figment.
    pub(super) fn part(&self, wanted: impl Fn(&str) -> bool) -> impl Provider {
        let source = match &self.origin {
            Origin::File { path, .. } => Source::File(path.clone()),
            other => Source::Custom(other.to_string()),
        };
        let mut values = self.values.clone().into_dict().unwrap_or_default();
        values.retain(|key, _| wanted(key));
        Part { metadata: Metadata::from(self.name(), source), values }
    }

    fn read(&self) -> Result<RawConfig, Box<figment::Error>> {
        let figment = Figment::from(self.part(|_| true));
        let raw: RawConfig = if self.lossy { figment.extract_lossy() } else { figment.extract() }?;
        match serde_json::to_value(&raw).ok().and_then(|read| array_for_table(&self.values, &read)) {
            Some(path) => {
                let mut error = figment::Error::from(Kind::InvalidType(Actual::Seq, "a table".to_owned()));
                error.path = path;
                Err(Box::new(error))
            }
            None => Ok(raw),
        }
    }

    /// A path in what is left of the layer as it was in the layer as written.
    fn written(&self, path: &Path) -> Path {
        path.0.iter().fold(Path::default(), |way, step| match step {
            Step::Index(index) => {
                let first = if way.is_records() { self.records_before } else { 0 };
                let sound = (first..).filter(|index| !self.broken.contains(&way.index(*index))).nth(*index);
                way.index(sound.unwrap_or(*index))
            }
            Step::Key(_) => way.then(step.clone()),
        })
    }
}

struct Part {
    metadata: Metadata,
    values: Dict,
}

impl Provider for Part {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// The path of figment's keys, and what is there. A date is for figment a table, and ends it.
fn follow<'a>(root: &'a Value, keys: &[String]) -> (Path, Option<&'a Value>) {
    let (mut path, mut at) = (Path::default(), Some(root));
    for key in keys {
        match (at, key.parse::<usize>()) {
            (Some(date), _) if is_datetime(date) => break,
            (Some(Value::Array(_, array)), Ok(index)) => (path, at) = (path.index(index), array.get(index)),
            (table, _) => (path, at) = (path.key(key), table.and_then(Value::as_dict).and_then(|table| table.get(key))),
        }
    }
    (path, at)
}

/// The first array that serde has read as a table, its elements as the values of the keys in their
/// order, which nobody means.
fn array_for_table(written: &Value, read: &serde_json::Value) -> Option<Vec<String>> {
    use serde_json::Value as Json;
    let below = |key: String, written: &Value, read: &Json| {
        array_for_table(written, read).map(|way| [key].into_iter().chain(way).collect())
    };
    match (written, read) {
        (Value::Array(..), Json::Object(_)) => Some(Vec::new()),
        (Value::Dict(_, table), Json::Object(read)) => {
            table.iter().find_map(|(key, value)| below(key.clone(), value, read.get(key)?))
        }
        (Value::Array(_, array), Json::Array(read)) => {
            array.iter().zip(read).enumerate().find_map(|(index, (value, read))| below(index.to_string(), value, read))
        }
        _ => None,
    }
}

/// Says whether there was something to remove.
fn remove(value: &mut Value, way: &[Step]) -> bool {
    match (value, way) {
        (Value::Dict(_, table), [Step::Key(name)]) => table.remove(name).is_some(),
        (Value::Array(_, array), [Step::Index(index)]) if *index < array.len() => {
            array.remove(*index);
            true
        }
        (Value::Dict(_, table), [Step::Key(name), rest @ ..]) => {
            table.get_mut(name).is_some_and(|value| remove(value, rest))
        }
        (Value::Array(_, array), [Step::Index(index), rest @ ..]) => {
            array.get_mut(*index).is_some_and(|value| remove(value, rest))
        }
        _ => false,
    }
}
