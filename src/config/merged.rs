//! The layers on top of each other.

use std::collections::BTreeSet;

use figment::Figment;
use figment::value::{Dict, Value};

use crate::config::layer::Layer;
use crate::config::path::{Path, RECORDS, Step};
use crate::config::problem::{Origin, Problem};
use crate::config::raw::RawConfig;

/// The merged configuration, whose every value figment has marked with the layer that it is from.
#[derive(Debug, Clone)]
pub(super) struct Merged {
    figment: Figment,
    values: Value,
    layers: Vec<Layer>,
    root: Origin,
}

/// What [`Merged::locate`] found at the end of a path.
pub(super) struct Found<'a> {
    /// Where the value was written, or the nearest table around it when it was not.
    pub(super) origin: Origin,
    /// The path with indices as in the files, so with broken elements counted.
    pub(super) path: Path,
    /// The value, if it itself was written.
    pub(super) value: Option<&'a Value>,
    /// Whether it, something around it, or for an array something in it is broken.
    pub(super) broken: bool,
}

impl Merged {
    /// Checked layers, the last on top: tables are merged key by key, records are appended, and
    /// everything else is replaced. What is in none of them belongs to `root`.
    pub(super) fn new(root: Origin, layers: Vec<Layer>) -> Self {
        let figment = layers.iter().fold(Figment::new(), |figment, layer| {
            figment.merge(layer.part(|key| key != RECORDS)).admerge(layer.part(|key| key == RECORDS))
        });
        // Without any layer there is no value; a table without keys is the same.
        let values = figment.find_value("").unwrap_or_else(|_| Dict::new().into());
        Merged { figment, values, layers, root }
    }

    /// The configuration.
    ///
    /// # Errors
    /// None, when every layer has been checked.
    pub(super) fn read(&self) -> Result<RawConfig, Problem> {
        self.figment.extract_lossy().map_err(|error| Problem {
            source: self.root.clone(),
            path: error.path.join("."),
            message: error.kind.to_string(),
            hint: None,
        })
    }

    /// Follows a path whose indices count only what is not broken.
    pub(super) fn locate(&self, path: &Path) -> Found<'_> {
        let (mut at, mut written, mut origin) = (Some(&self.values), Path::default(), self.root.clone());
        for step in &path.0 {
            (written, at) = match (at, step) {
                (Some(Value::Array(tag, array)), Step::Index(index)) => {
                    let is_broken = |path: &Path| self.owners(*tag, &written).any(|layer| layer.is_broken(path));
                    let index_written = (0..).filter(|n| !is_broken(&written.index(*n))).nth(*index);
                    (written.index(index_written.unwrap_or(*index)), array.get(*index))
                }
                (Some(Value::Dict(_, table)), Step::Key(name)) => (written.key(name), table.get(name)),
                _ => (written.then(step.clone()), None),
            };
            if let Some(value) = at {
                origin = self.origin(value, &written);
            }
        }
        let broken = match at {
            Some(Value::Array(tag, _)) => {
                self.owners(*tag, &written).any(|layer| layer.broken_in(&written).next().is_some())
            }
            Some(_) => false,
            None => self.layers.iter().any(|layer| layer.is_broken(&written)),
        };
        Found { origin, path: written, value: at, broken }
    }

    /// Where the value, or for a table its keys, were written.
    pub(super) fn origins(&self, path: &Path) -> BTreeSet<Origin> {
        let mut origins = BTreeSet::new();
        let found = self.locate(path);
        match found.value {
            Some(value) => self.leaves(value, &found.path, &mut origins),
            None => origins.extend([Origin::Default]),
        }
        origins
    }

    fn leaves(&self, value: &Value, path: &Path, origins: &mut BTreeSet<Origin>) {
        match value {
            Value::Dict(_, table) if !table.is_empty() => {
                table.iter().for_each(|(key, value)| self.leaves(value, &path.key(key), origins));
            }
            _ => origins.extend([self.origin(value, path)]),
        }
    }

    /// figment knows the layer, the layer knows the line.
    fn origin(&self, value: &Value, path: &Path) -> Origin {
        self.layer(value.tag()).map_or_else(|| self.root.clone(), |layer| layer.place(path))
    }

    fn layer(&self, tag: figment::value::Tag) -> Option<&Layer> {
        let metadata = self.figment.get_metadata(tag)?;
        self.layers.iter().find(|layer| layer.name() == metadata.name)
    }

    /// The layers that an array's elements are from.
    fn owners(&self, tag: figment::value::Tag, array: &Path) -> impl Iterator<Item = &Layer> {
        let owner = (!array.is_records()).then(|| self.layer(tag).map(Layer::name));
        self.layers.iter().filter(move |layer| owner.as_ref().is_none_or(|name| name.as_ref() == Some(&layer.name())))
    }
}
