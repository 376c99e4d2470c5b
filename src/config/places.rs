//! Line and column of every key and value of a TOML file, which figment does not keep.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path as FilePath;

use toml_edit::{ImDocument, Item, TableLike, Value};

use crate::config::path::Path;
use crate::config::problem::{Origin, Problem};

/// What to do about a file that is not TOML.
pub(super) const NOT_TOML: &str =
    "keys are written key = \"text\", tables [table]; 'nodedns config init -' prints an example";

/// Where something was written.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Its key.
    pub(super) key: Origin,
    /// Its value.
    pub(super) value: Origin,
}

/// Where everything in a file was written. Records are counted on from those of the layers before.
///
/// # Errors
/// The first syntax error: what follows it cannot be trusted.
pub(super) fn places(file: &FilePath, text: &str, records_before: usize) -> Result<BTreeMap<Path, Place>, Problem> {
    let mut index = Index { file, text, records_before, places: BTreeMap::new() };
    match ImDocument::parse(text) {
        Ok(document) => {
            index.table(document.as_table(), &Path::default(), &index.at(None));
            Ok(index.places)
        }
        Err(error) => Err(Problem {
            source: index.at(error.span()),
            path: String::new(),
            message: format!("not TOML: {}", error.message().trim().replace('\n', ", ")),
            hint: Some(NOT_TOML.to_owned()),
        }),
    }
}

struct Index<'a> {
    file: &'a FilePath,
    text: &'a str,
    records_before: usize,
    places: BTreeMap<Path, Place>,
}

impl Index<'_> {
    fn at(&self, span: Option<Range<usize>>) -> Origin {
        let position = span.map(|span| line_and_column(self.text, span.start));
        Origin::File { path: self.file.to_owned(), position }
    }

    /// What has no span of its own, such as the table that a dotted key implies, is where its key is.
    fn at_or(&self, span: Option<Range<usize>>, otherwise: &Origin) -> Origin {
        if span.is_some() { self.at(span) } else { otherwise.clone() }
    }

    fn put(&mut self, path: &Path, key: &Origin, value: &Origin) {
        self.places.insert(path.clone(), Place { key: key.clone(), value: value.clone() });
    }

    fn table(&mut self, table: &dyn TableLike, path: &Path, around: &Origin) {
        for (name, item) in table.iter() {
            let path = path.key(name);
            let key = self.at_or(table.key(name).and_then(toml_edit::Key::span), around);
            let origin = self.at_or(item.span(), &key);
            match item {
                Item::None => continue,
                Item::Value(value) => self.value(value, &path, &key),
                Item::Table(inner) => {
                    self.put(&path, &key, &origin);
                    self.table(inner, &path, &origin);
                }
                Item::ArrayOfTables(array) => {
                    self.put(&path, &key, &origin);
                    let first = self.first(&path);
                    for (index, inner) in array.iter().enumerate() {
                        let path = path.index(first + index);
                        let origin = self.at_or(inner.span(), &origin);
                        self.put(&path, &origin, &origin);
                        self.table(inner, &path, &origin);
                    }
                }
            }
        }
    }

    fn value(&mut self, value: &Value, path: &Path, key: &Origin) {
        let origin = self.at_or(value.span(), key);
        self.put(path, key, &origin);
        match value {
            Value::Array(array) => {
                let first = self.first(path);
                for (index, element) in array.iter().enumerate() {
                    self.value(element, &path.index(first + index), &origin);
                }
            }
            Value::InlineTable(inner) => self.table(inner, path, &origin),
            _ => {}
        }
    }

    fn first(&self, array: &Path) -> usize {
        if array.is_records() { self.records_before } else { 0 }
    }
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
