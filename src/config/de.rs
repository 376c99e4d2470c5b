//! serde over a [`Node`] tree, so that every error knows its key and its line; and the check that
//! finds all of them, where serde stops at the first.

use std::fmt::Display;

use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use crate::config::nearest::nearest;
use crate::config::problem::{Origin, Problem};
use crate::config::raw::RawConfig;
use crate::config::tree::{Kind, Member, Node, Path, Step, Table};

/// Every key that is unknown and every value that is not of its key's type. What is reported is
/// marked as broken, so that the rest can still be read. Records are counted on from those of the
/// layers before.
pub(super) fn check(layer: &mut Node, records_before: usize) -> Vec<Problem> {
    let mut problems = Vec::new();
    while let Err(error) = RawConfig::deserialize(&*layer) {
        let path = error.path();
        let Details { message, hint, meant, origin, .. } = *error.0;
        problems.push(Problem {
            source: origin.unwrap_or_else(|| layer.origin.clone()),
            path: path.with_records_after(records_before).to_string(),
            message,
            hint,
        });
        if !layer.mark_broken(&path) {
            break;
        }
        if let Some(meant) = meant {
            tolerate(layer, &path, &meant);
        }
    }
    problems
}

/// A misspelt key also leaves the right one missing; saying so twice helps nobody.
fn tolerate(layer: &mut Node, misspelt: &Path, meant: &str) {
    let Some((_, way)) = misspelt.0.split_last() else { return };
    let mut node = layer;
    for step in way {
        let next = match (&mut node.kind, step) {
            (Kind::Table(table), Step::Key(name)) => table.get_mut(name).map(|member| &mut member.value),
            (Kind::Array(array), Step::Index(index)) => array.get_mut(*index),
            _ => None,
        };
        match next {
            Some(next) => node = next,
            None => return,
        }
    }
    let origin = node.origin.clone();
    if let Kind::Table(table) = &mut node.kind {
        table
            .entry(meant.to_owned())
            .or_insert_with(|| Member { key: origin.clone(), value: Node { origin, kind: Kind::Broken } });
    }
}

/// Why a tree is not of the wanted shape, and where.
#[derive(Debug)]
pub(super) struct Error(Box<Details>);

#[derive(Debug)]
struct Details {
    message: String,
    hint: Option<String>,
    /// For an unknown key: the known one that was probably meant.
    meant: Option<String>,
    /// The steps to the place, the last first.
    steps: Vec<Step>,
    origin: Option<Origin>,
}

impl Error {
    fn new(message: String) -> Self {
        Error(Box::new(Details { message, hint: None, meant: None, steps: Vec::new(), origin: None }))
    }

    fn within(mut self, step: Step, origin: &Origin) -> Self {
        self.0.steps.push(step);
        self.0.origin.get_or_insert_with(|| origin.clone());
        self
    }

    fn path(&self) -> Path {
        Path(self.0.steps.iter().rev().cloned().collect())
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Error::new(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = match expected.to_string().as_str() {
            "i64" => "a whole number".to_owned(),
            "f64" => "a number".to_owned(),
            "a boolean" => "true or false".to_owned(),
            "a sequence" => "an array".to_owned(),
            other => other.to_owned(),
        };
        let found = match found {
            Unexpected::Bool(value) => value.to_string(),
            Unexpected::Signed(value) => format!("the number {value}"),
            Unexpected::Float(value) => format!("the number {value}"),
            Unexpected::Str(value) => format!("the text {value:?}"),
            Unexpected::Map => "a table".to_owned(),
            Unexpected::Seq => "an array".to_owned(),
            other => other.to_string(),
        };
        Error::new(format!("expected {expected}, found {found}"))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        let mut error = Error::new(format!("{found:?} is not one of {}", list(known)));
        error.0.hint = nearest(found, known).map(|meant| format!("did you mean {meant:?}?"));
        error
    }

    fn unknown_field(found: &str, known: &'static [&'static str]) -> Self {
        if is_credential(found) {
            let mut error = Error::new(format!("'{found}': AWS credentials do not belong in the configuration"));
            error.0.hint = Some(
                "remove it; give the daemon a credentials file instead (LoadCredential= and \
                 AWS_SHARED_CREDENTIALS_FILE in the unit, or 'profile' in [route53])"
                    .to_owned(),
            );
            return error;
        }
        let mut error = Error::new(format!("unknown key '{found}'"));
        let meant = nearest(found, known);
        error.0.hint = Some(match meant {
            Some(meant) => format!("did you mean '{meant}'?"),
            None => format!("known here: {}", known.join(", ")),
        });
        error.0.meant = meant.map(str::to_owned);
        error
    }
}

fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ")
}

fn is_credential(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    ["access_key", "secret", "session_token", "security_token", "password", "credential"]
        .iter()
        .any(|word| key.contains(word))
}

impl<'de> de::Deserializer<'de> for &Node {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.kind {
            Kind::Untyped(text) => match text.as_str() {
                "true" => visitor.visit_bool(true),
                "false" => visitor.visit_bool(false),
                text if text.starts_with('{') => inline(text, &self.origin)?.deserialize_any(visitor),
                text => visitor.visit_str(text),
            },
            Kind::String(text) => visitor.visit_str(text),
            Kind::Integer(number) => visitor.visit_i64(*number),
            Kind::Float(number) => visitor.visit_f64(*number),
            Kind::Boolean(value) => visitor.visit_bool(*value),
            Kind::Datetime => Err(de::Error::invalid_type(Unexpected::Other("a date or time"), &visitor)),
            Kind::Array(elements) => visitor.visit_seq(Elements { rest: elements.iter().enumerate() }),
            Kind::Table(table) => visitor.visit_map(Members { rest: table.iter(), current: None }),
            // Tables and arrays leave these out; only a whole layer can be one.
            Kind::Broken => visitor.visit_map(Members { rest: Table::new().iter(), current: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.kind {
            Kind::String(text) | Kind::Untyped(text) => {
                let word: StrDeserializer<'_, Error> = text.as_str().into_deserializer();
                visitor.visit_enum(word)
            }
            _ => self.deserialize_any(Words(variants)).map(|never| match never {}),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.kind {
            Kind::Untyped(text) => visitor.visit_str(text),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.kind {
            Kind::Untyped(text) => match text.trim().parse() {
                Ok(number) => visitor.visit_i64(number),
                Err(_) => visitor.visit_str(text),
            },
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.kind {
            Kind::Untyped(text) => match text.trim().parse() {
                Ok(number) => visitor.visit_f64(number),
                Err(_) => visitor.visit_str(text),
            },
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.kind {
            Kind::Untyped(text) if text.trim_start().starts_with('[') => {
                inline(text, &self.origin)?.deserialize_any(visitor)
            }
            Kind::Untyped(text) => {
                let elements: Vec<Node> = text
                    .split(',')
                    .map(str::trim)
                    .filter(|element| !element.is_empty())
                    .map(|element| Node { origin: self.origin.clone(), kind: Kind::Untyped(element.to_owned()) })
                    .collect();
                visitor.visit_seq(Elements { rest: elements.iter().enumerate() })
            }
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 char bytes byte_buf unit unit_struct tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// Reads a TOML value out of a variable.
fn inline(text: &str, origin: &Origin) -> Result<Node, Error> {
    let document = Node::from_toml(std::path::Path::new(""), &format!("value = {text}"))
        .map_err(|problem| Error::new(format!("{text:?} is {}", problem.message)))?;
    let Kind::Table(mut table) = document.kind else {
        return Err(Error::new(format!("{text:?} is not a TOML value")));
    };
    match table.remove("value") {
        Some(mut member) if table.is_empty() => {
            relocate(&mut member.value, origin);
            Ok(member.value)
        }
        _ => Err(Error::new(format!("{text:?} is not a TOML value"))),
    }
}

fn relocate(node: &mut Node, origin: &Origin) {
    node.origin = origin.clone();
    match &mut node.kind {
        Kind::Array(elements) => elements.iter_mut().for_each(|element| relocate(element, origin)),
        Kind::Table(table) => table.values_mut().for_each(|member| {
            member.key = origin.clone();
            relocate(&mut member.value, origin);
        }),
        _ => {}
    }
}

struct Members<'a> {
    rest: std::collections::btree_map::Iter<'a, String, Member>,
    current: Option<(&'a String, &'a Member)>,
}

impl<'de> de::MapAccess<'de> for Members<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.current = self.rest.find(|(_, member)| !member.value.is_broken());
        let Some((name, member)) = self.current else { return Ok(None) };
        let key: StrDeserializer<'_, Error> = name.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.within(Step::Key(name.clone()), &member.key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some((name, member)) = self.current.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(&member.value).map_err(|error| error.within(Step::Key(name.clone()), &member.value.origin))
    }
}

struct Elements<'a> {
    rest: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'de> de::SeqAccess<'de> for Elements<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some((index, element)) = self.rest.find(|(_, element)| !element.is_broken()) else {
            return Ok(None);
        };
        seed.deserialize(element).map(Some).map_err(|error| error.within(Step::Index(index), &element.origin))
    }
}

/// Takes nothing: makes the error of a value that should have been one of a few words.
struct Words(&'static [&'static str]);

enum Never {}

impl Visitor<'_> for Words {
    type Value = Never;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "one of {}", list(self.0))
    }
}
