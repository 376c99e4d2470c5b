//! Configuration values that remember where they were written.
//!
//! Every layer (file, drop-in, environment, flags) becomes one tree; trees are merged, and the
//! merged tree still knows for each value which file, line and column it came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path as FilePath;

use toml_edit::{ImDocument, Item, TableLike, Value};

use crate::config::problem::{Origin, Problem};

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) kind: Kind,
}

/// The value itself.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// From a variable or flag: of whatever type the key asks for.
    Untyped(String),
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Datetime,
    Array(Vec<Node>),
    Table(Table),
    /// Known to be wrong and already reported: read as if it were not there.
    Broken,
}

pub(super) type Table = BTreeMap<String, Member>;

/// A key of a table.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// Where the key was written.
    pub(super) key: Origin,
    pub(super) value: Node,
}

/// One step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// The way from the root of the configuration to a value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Path(pub(super) Vec<Step>);

impl Path {
    pub(super) fn key(&self, name: &str) -> Self {
        self.then(Step::Key(name.to_owned()))
    }

    pub(super) fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    /// The same place when so many records come before those of its own layer.
    pub(super) fn with_records_after(&self, count: usize) -> Self {
        let mut path = self.clone();
        if let [Step::Key(name), Step::Index(index), ..] = path.0.as_mut_slice()
            && name == "record"
        {
            *index += count;
        }
        path
    }

    fn then(&self, step: Step) -> Self {
        Path(self.0.iter().cloned().chain([step]).collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(name) if position == 0 => f.write_str(name)?,
                Step::Key(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// What [`Node::locate`] found at the end of a path.
pub(super) struct Place {
    /// Where the value was written, or the nearest table around it when it was not.
    pub(super) origin: Origin,
    /// The path with indices as in the files, so with broken elements counted.
    pub(super) path: Path,
    /// Whether the value itself was written.
    pub(super) found: bool,
    /// Whether it, something around it, or for an array something in it is broken.
    pub(super) broken: bool,
}

impl Node {
    /// A table without keys.
    pub(super) fn empty(origin: Origin) -> Self {
        Node { origin, kind: Kind::Table(Table::new()) }
    }

    /// How many `[[record]]` tables there are.
    pub(super) fn record_count(&self) -> usize {
        match &self.kind {
            Kind::Table(table) => match table.get("record").map(|member| &member.value.kind) {
                Some(Kind::Array(records)) => records.len(),
                _ => 0,
            },
            _ => 0,
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        matches!(self.kind, Kind::Broken)
    }

    /// Reads one TOML file.
    ///
    /// # Errors
    /// The first syntax error: what follows it cannot be trusted.
    pub(super) fn from_toml(file: &FilePath, text: &str) -> Result<Self, Problem> {
        let at = |span: Option<std::ops::Range<usize>>| Origin::File {
            path: file.to_owned(),
            position: span.map(|span| line_and_column(text, span.start)),
        };
        match ImDocument::parse(text) {
            Ok(document) => {
                Ok(Node { origin: at(None), kind: Kind::Table(table(document.as_table(), &at, &at(None))) })
            }
            Err(error) => Err(Problem {
                source: at(error.span()),
                path: String::new(),
                message: format!("not TOML: {}", error.message().trim().replace('\n', ", ")),
                hint: None,
            }),
        }
    }

    /// Writes `value` at a path of keys, making tables on the way.
    ///
    /// # Errors
    /// When something on the way is there and no table; its name.
    pub(super) fn insert(&mut self, keys: &[&str], value: Node) -> Result<(), String> {
        let Some((key, rest)) = keys.split_first() else {
            *self = value;
            return Ok(());
        };
        let Kind::Table(table) = &mut self.kind else {
            return Err(self.origin.to_string());
        };
        let below = Member { key: value.origin.clone(), value: Node::empty(value.origin.clone()) };
        table.entry((*key).to_owned()).or_insert(below).value.insert(rest, value)
    }

    /// Lays `over` on top: tables are merged key by key, `[[record]]` tables are appended, and
    /// everything else is replaced.
    pub(super) fn merge(&mut self, over: Node) {
        self.merge_at(over, None);
    }

    fn merge_at(&mut self, over: Node, key: Option<&str>) {
        match (&mut self.kind, over.kind) {
            (Kind::Table(table), Kind::Table(over)) => {
                for (name, member) in over {
                    match table.get_mut(&name) {
                        Some(below) => below.value.merge_at(member.value, key.is_none().then_some(&name)),
                        None => {
                            table.insert(name, member);
                        }
                    }
                }
            }
            (Kind::Array(array), Kind::Array(over)) if key == Some("record") => array.extend(over),
            (_, kind) => *self = Node { origin: over.origin, kind },
        }
    }

    /// The value at a path whose indices count only what is not broken.
    pub(super) fn get(&self, path: &Path) -> Option<&Node> {
        path.0.iter().try_fold(self, |node, step| node.step(step).map(|(_, next)| next))
    }

    /// Follows such a path as far as it goes.
    pub(super) fn locate(&self, path: &Path) -> Place {
        let mut place =
            Place { origin: self.origin.clone(), path: path.clone(), found: true, broken: self.is_broken() };
        let mut node = self;
        for (depth, step) in path.0.iter().enumerate() {
            let Some((real, next)) = node.step(step) else {
                place.found = false;
                break;
            };
            place.path.0[depth] = real;
            place.origin = next.origin.clone();
            place.broken |= next.is_broken();
            node = next;
        }
        if let (true, Kind::Array(elements)) = (place.found, &node.kind) {
            place.broken |= elements.iter().any(Node::is_broken);
        }
        place
    }

    /// One step, and how it is called when broken elements are counted too.
    fn step(&self, step: &Step) -> Option<(Step, &Node)> {
        match (&self.kind, step) {
            (Kind::Table(table), Step::Key(name)) => Some((step.clone(), &table.get(name)?.value)),
            (Kind::Array(elements), Step::Index(index)) => {
                let mut sound = elements.iter().enumerate().filter(|(_, element)| !element.is_broken());
                sound.nth(*index).map(|(real, element)| (Step::Index(real), element))
            }
            _ => None,
        }
    }

    /// Marks what lies at `path` as broken, with indices as in the files; where the path ends
    /// early, the last value on it. Says whether there was something to mark.
    pub(super) fn mark_broken(&mut self, path: &Path) -> bool {
        let mut node = self;
        let mut reached = 0;
        for step in &path.0 {
            let exists = match (&node.kind, step) {
                (Kind::Table(table), Step::Key(name)) => table.contains_key(name),
                (Kind::Array(array), Step::Index(index)) => *index < array.len(),
                _ => false,
            };
            if !exists {
                break;
            }
            node = match (&mut node.kind, step) {
                (Kind::Table(table), Step::Key(name)) => match table.get_mut(name) {
                    Some(member) => &mut member.value,
                    None => return false,
                },
                (Kind::Array(array), Step::Index(index)) => &mut array[*index],
                _ => return false,
            };
            reached += 1;
        }
        node.kind = Kind::Broken;
        reached > 0
    }
}

fn table(source: &dyn TableLike, at: &dyn Fn(Option<std::ops::Range<usize>>) -> Origin, parent: &Origin) -> Table {
    let mut table = Table::new();
    for (name, item) in source.iter() {
        let key = match source.key(name).and_then(toml_edit::Key::span) {
            Some(span) => at(Some(span)),
            None => parent.clone(),
        };
        let Some(value) = node(item, at, &key) else { continue };
        table.insert(name.to_owned(), Member { key, value });
    }
    table
}

fn node(item: &Item, at: &dyn Fn(Option<std::ops::Range<usize>>) -> Origin, key: &Origin) -> Option<Node> {
    let origin = match item.span() {
        Some(span) => at(Some(span)),
        None => key.clone(),
    };
    let kind = match item {
        Item::None => return None,
        Item::Value(value) => return Some(scalar(value, at, &origin)),
        Item::Table(inner) => Kind::Table(table(inner, at, &origin)),
        Item::ArrayOfTables(array) => Kind::Array(
            array
                .iter()
                .map(|inner| {
                    let origin = inner.span().map_or_else(|| origin.clone(), |span| at(Some(span)));
                    Node { kind: Kind::Table(table(inner, at, &origin)), origin }
                })
                .collect(),
        ),
    };
    Some(Node { origin, kind })
}

fn scalar(value: &Value, at: &dyn Fn(Option<std::ops::Range<usize>>) -> Origin, around: &Origin) -> Node {
    let origin = value.span().map_or_else(|| around.clone(), |span| at(Some(span)));
    let kind = match value {
        Value::String(text) => Kind::String(text.value().clone()),
        Value::Integer(number) => Kind::Integer(*number.value()),
        Value::Float(number) => Kind::Float(*number.value()),
        Value::Boolean(flag) => Kind::Boolean(*flag.value()),
        Value::Datetime(_) => Kind::Datetime,
        Value::Array(array) => Kind::Array(array.iter().map(|element| scalar(element, at, &origin)).collect()),
        Value::InlineTable(inner) => Kind::Table(table(inner, at, &origin)),
    };
    Node { origin, kind }
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
