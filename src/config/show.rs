//! The effective configuration, with the origin of every value.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::config::load::Loaded;
use crate::config::path::Path;
use crate::config::problem::Origin;
use crate::config::write::inline;

/// A key of the effective configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// The key, e.g. `record[0].routing` (indices from 0).
    pub key: String,
    /// Its value.
    pub value: Value,
    /// Where it was written.
    pub origins: Vec<Origin>,
}

impl Loaded {
    /// Every key that has a value, in the order of the definitions.
    pub fn values(&self) -> Vec<Shown> {
        let mut shown = Vec::new();
        if let Ok(Value::Object(root)) = serde_json::to_value(&self.raw) {
            let path = Path::default();
            for (name, value) in root {
                let path = path.key(&name);
                match value {
                    Value::Array(elements) if elements.iter().any(Value::is_object) => {
                        for (index, element) in elements.into_iter().enumerate() {
                            self.members(&mut shown, element, &path.index(index));
                        }
                    }
                    Value::Object(_) => self.members(&mut shown, value, &path),
                    value => self.value(&mut shown, value, &path),
                }
            }
        }
        shown
    }

    fn members(&self, shown: &mut Vec<Shown>, table: Value, path: &Path) {
        if let Value::Object(members) = table {
            for (key, value) in members {
                self.value(shown, value, &path.key(&key));
            }
        }
    }

    fn value(&self, shown: &mut Vec<Shown>, value: Value, path: &Path) {
        if !value.is_null() {
            let origins = self.merged.origins(path).into_iter().collect();
            shown.push(Shown { key: path.to_string(), value, origins });
        }
    }

    /// Every key as TOML, each with a comment that says where its value was written. What is
    /// printed is itself a configuration file of the same meaning.
    pub fn show(&self) -> String {
        let mut text = String::new();
        let Ok(Value::Object(root)) = serde_json::to_value(&self.raw) else {
            return text;
        };
        let is_section =
            |value: &Value| value.is_object() || value.as_array().is_some_and(|a| a.iter().any(Value::is_object));
        let (sections, keys): (Vec<_>, Vec<_>) = root.into_iter().partition(|(_, value)| is_section(value));
        let path = Path::default();
        self.keys(&mut text, &Map::from_iter(keys), &path);
        for (name, section) in sections {
            let path = path.key(&name);
            match section {
                Value::Array(elements) => {
                    for (index, element) in elements.iter().enumerate() {
                        if let Value::Object(members) = element {
                            text.push_str(&format!("\n[[{name}]]\n"));
                            self.keys(&mut text, members, &path.index(index));
                        }
                    }
                }
                Value::Object(members) => {
                    text.push_str(&format!("\n[{name}]\n"));
                    self.keys(&mut text, &members, &path);
                }
                _ => {}
            }
        }
        text
    }

    fn keys(&self, text: &mut String, members: &Map<String, Value>, path: &Path) {
        for (key, value) in members.iter().filter(|(_, value)| !value.is_null()) {
            let origins = self.merged.origins(&path.key(key));
            let origins: Vec<_> = origins.iter().map(Origin::to_string).collect();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{key} = {}  # {}", inline(value), origins.join(", "));
        }
    }
}
