//! Request bodies against a schema, as a validating XML parser does it: the elements of each type, simple types with
//! their facets, and the first violation in document order is the answer, in the words of the parser (Xerces).
//!
//! The API reference says that elements must come in the order of the type. The service cannot mean it: botocore sends
//! them in the order of the caller's dictionary and the Go SDK alphabetically, and both work. So order is checked on
//! request only, see [`Order`].

use std::ops::Range;

use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{PrefixDeclaration, ResolveResult};

use crate::model::ApiError;
use crate::texts::{self, NAMESPACE};

/// A type of the schema.
pub enum Type {
    /// Text with facets.
    Simple(&'static Simple),
    /// Child elements in a fixed order.
    Sequence(&'static [Particle]),
}

/// One child of a sequence.
pub struct Particle {
    /// Element name.
    pub name: &'static str,
    /// Its type.
    pub kind: Type,
    /// How often at least.
    pub min: usize,
    /// How often at most.
    pub max: usize,
}

/// A named simple type.
pub struct Simple {
    /// As it appears in messages.
    pub name: &'static str,
    /// In the order in which they are checked.
    pub facets: &'static [Facet],
}

/// A restriction of a simple type.
pub enum Facet {
    /// `xs:long`.
    Integer,
    /// `xs:boolean`.
    Boolean,
    /// The text of the pattern, and what it means.
    Pattern(&'static str, fn(&str) -> bool),
    /// Exactly so many characters.
    Length(usize),
    /// Characters.
    MinLength(usize),
    /// Characters.
    MaxLength(usize),
    /// Of an integer.
    Min(i64),
    /// Of an integer.
    Max(i64),
    /// The allowed values.
    Enumeration(&'static [&'static str]),
}

/// How the order of elements inside a structure is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// It does not matter.
    Any,
    /// It must be that of the type.
    Listed,
}

/// A parsed element.
#[derive(Debug, Default)]
pub struct Element {
    name: String,
    known_namespace: bool,
    attribute: Option<String>,
    text: String,
    children: Vec<Element>,
    /// Byte offsets of the ends of the start tag and of the end tag.
    ends: Range<usize>,
}

impl Element {
    /// The first child of a name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of a name.
    pub fn children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of a child.
    #[must_use]
    pub fn text_of(&self, name: &str) -> Option<String> {
        self.child(name).map(|child| child.text.clone())
    }

    /// The number in a child that the schema says is one.
    #[must_use]
    pub fn integer_of(&self, name: &str) -> Option<i64> {
        self.child(name).and_then(|child| integer(&child.text))
    }

    /// The boolean in a child that the schema says is one.
    #[must_use]
    pub fn boolean_of(&self, name: &str) -> Option<bool> {
        self.child(name).map(|child| matches!(child.text.trim(), "true" | "1"))
    }

    /// Its own text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Parses a body and validates it as `root` with the children `parts`.
///
/// # Errors
/// MalformedInput for another root element, InvalidInput for everything else.
pub fn parse(body: &[u8], root: &str, parts: &'static [Particle], order: Order) -> Result<Element, ApiError> {
    let text = std::str::from_utf8(body).map_err(|error| texts::unverified::malformed_xml(&error.to_string()))?;
    let element = read(text)?;
    if element.name != root || !element.known_namespace {
        return Err(texts::unexpected_root(root));
    }
    structure(&element, parts, order).map_err(|violation| violation.into_error(text))?;
    Ok(element)
}

struct Violation {
    at: usize,
    text: String,
}

impl Violation {
    fn new(at: usize, text: String) -> Self {
        Self { at, text }
    }

    fn into_error(self, document: &str) -> ApiError {
        let before = &document[..self.at];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        ApiError::invalid_input(format!(
            "Invalid XML ; javax.xml.stream.XMLStreamException: org.xml.sax.SAXParseException; lineNumber: {line}; \
             columnNumber: {column}; {}",
            self.text
        ))
    }
}

fn read(document: &str) -> Result<Element, ApiError> {
    let mut reader = NsReader::from_str(document);
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    loop {
        let (resolved, event) = match reader.read_resolved_event() {
            Ok((resolved, event)) => {
                (matches!(resolved, ResolveResult::Bound(ns) if ns.0 == NAMESPACE.as_bytes()), event)
            }
            Err(error) => return Err(texts::unverified::malformed_xml(&error.to_string())),
        };
        let event = event.into_owned();
        let at = usize::try_from(reader.buffer_position()).unwrap_or(document.len());
        match event {
            Event::Start(tag) => open.push(element(&tag, resolved, at)?),
            Event::Empty(tag) => {
                let mut empty = element(&tag, resolved, at)?;
                empty.ends.end = at;
                close(empty, &mut open, &mut root);
            }
            Event::End(_) => {
                if let Some(mut done) = open.pop() {
                    done.ends.end = at;
                    close(done, &mut open, &mut root);
                }
            }
            Event::Text(text) => push_text(&mut open, &text.decode().map_err(|e| malformed(&e))?)?,
            Event::CData(text) => push_text(&mut open, &text.decode().map_err(|e| malformed(&e))?)?,
            Event::GeneralRef(reference) => {
                let resolved = match reference.resolve_char_ref().map_err(|e| malformed(&e))? {
                    Some(character) => character.to_string(),
                    None => {
                        let name = reference.decode().map_err(|e| malformed(&e))?;
                        quick_xml::escape::resolve_predefined_entity(&name)
                            .ok_or_else(|| {
                                malformed(&format!("The entity \"{name}\" was referenced, but not declared."))
                            })?
                            .to_owned()
                    }
                };
                push_text(&mut open, &resolved)?;
            }
            Event::DocType(_) => return Err(malformed(&"DOCTYPE is disallowed")),
            Event::Eof => break,
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
        }
    }
    match (root, open.is_empty()) {
        (Some(root), true) => Ok(root),
        _ => Err(malformed(&"XML document structures must start and end within the same entity.")),
    }
}

fn malformed(problem: &dyn std::fmt::Display) -> ApiError {
    texts::unverified::malformed_xml(&problem.to_string())
}

fn push_text(open: &mut [Element], text: &str) -> Result<(), ApiError> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(malformed(&"Content is not allowed in prolog.")),
    }
    Ok(())
}

fn close(done: Element, open: &mut [Element], root: &mut Option<Element>) {
    match open.last_mut() {
        Some(parent) => parent.children.push(done),
        None => *root = Some(done),
    }
}

fn element(tag: &BytesStart<'_>, known_namespace: bool, at: usize) -> Result<Element, ApiError> {
    let mut attribute = None;
    for given in tag.attributes() {
        let given = given.map_err(|error| malformed(&error))?;
        let declaration = given.key.as_namespace_binding();
        let schema_instance = given.key.prefix().is_some_and(|prefix| prefix.as_ref() == b"xsi");
        if !matches!(declaration, Some(PrefixDeclaration::Default | PrefixDeclaration::Named(_))) && !schema_instance {
            attribute.get_or_insert_with(|| String::from_utf8_lossy(given.key.as_ref()).into_owned());
        }
    }
    Ok(Element {
        name: String::from_utf8_lossy(tag.local_name().as_ref()).into_owned(),
        known_namespace,
        attribute,
        ends: at..at,
        ..Element::default()
    })
}

fn validate(element: &Element, kind: &Type, order: Order) -> Result<(), Violation> {
    match kind {
        Type::Sequence(parts) => structure(element, parts, order),
        Type::Simple(simple) => {
            no_attributes(element)?;
            if let Some(child) = element.children.first() {
                let name = &element.name;
                let text = format!(
                    "cvc-type.3.1.2: Element '{name}' is a simple type, so it must have no element information item \
                     [children]."
                );
                return Err(Violation::new(child.ends.start, text));
            }
            match simple.facets.iter().find_map(|facet| broken(facet, &element.text, simple.name)) {
                Some(text) => Err(Violation::new(element.ends.end, text)),
                None => Ok(()),
            }
        }
    }
}

fn no_attributes(element: &Element) -> Result<(), Violation> {
    let Some(attribute) = &element.attribute else {
        return Ok(());
    };
    let name = &element.name;
    let text = format!("cvc-complex-type.3.2.2: Attribute '{attribute}' is not allowed to appear in element '{name}'.");
    Err(Violation::new(element.ends.start, text))
}

fn structure(element: &Element, parts: &'static [Particle], order: Order) -> Result<(), Violation> {
    no_attributes(element)?;
    let mut counts = vec![0; parts.len()];
    let mut position = 0;
    for child in &element.children {
        let expected = expected(parts, &counts, position, order);
        let found = expected.iter().copied().find(|at| child.known_namespace && parts[*at].name == child.name);
        let Some(found) = found else {
            let name = &child.name;
            let text = if expected.is_empty() {
                format!(
                    "cvc-complex-type.2.4.d: Invalid content was found starting with element '{name}'. No child \
                     element is expected at this point."
                )
            } else {
                format!(
                    "cvc-complex-type.2.4.a: Invalid content was found starting with element '{name}'. One of '{}' is \
                     expected.",
                    names(parts, &expected)
                )
            };
            return Err(Violation::new(child.ends.start, text));
        };
        counts[found] += 1;
        position = found;
        validate(child, &parts[found].kind, order)?;
    }
    if !element.text.trim().is_empty() {
        let text = format!(
            "cvc-complex-type.2.3: Element '{}' cannot have character [children], because the type's content type is \
             element-only.",
            element.name
        );
        return Err(Violation::new(element.ends.end, text));
    }
    if parts.iter().zip(&counts).any(|(part, count)| *count < part.min) {
        let text = format!(
            "cvc-complex-type.2.4.b: The content of element '{}' is not complete. One of '{}' is expected.",
            element.name,
            names(parts, &expected(parts, &counts, position, order))
        );
        return Err(Violation::new(element.ends.end, text));
    }
    Ok(())
}

/// The particles that may come next. In order: what is left of the current one, and those after it up to the first
/// that is required.
fn expected(parts: &[Particle], counts: &[usize], position: usize, order: Order) -> Vec<usize> {
    let skipped = if order == Order::Listed { position } else { 0 };
    let mut next = Vec::new();
    for (at, (part, count)) in parts.iter().zip(counts).enumerate().skip(skipped) {
        if *count < part.max {
            next.push(at);
        }
        if order == Order::Listed && *count < part.min {
            break;
        }
    }
    next
}

fn names(parts: &[Particle], which: &[usize]) -> String {
    let names: Vec<String> = which.iter().map(|at| format!("\"{NAMESPACE}\":{}", parts[*at].name)).collect();
    format!("{{{}}}", names.join(", "))
}

fn integer(text: &str) -> Option<i64> {
    text.trim().parse().ok()
}

fn broken(facet: &Facet, text: &str, name: &str) -> Option<String> {
    let length = text.chars().count();
    match facet {
        Facet::Integer => integer(text)
            .is_none()
            .then(|| format!("cvc-datatype-valid.1.2.1: '{text}' is not a valid value for 'integer'.")),
        Facet::Boolean => (!matches!(text.trim(), "true" | "false" | "1" | "0"))
            .then(|| format!("cvc-datatype-valid.1.2.1: '{text}' is not a valid value for 'boolean'.")),
        Facet::Pattern(pattern, holds) => (!holds(text)).then(|| {
            format!(
                "cvc-pattern-valid: Value '{text}' is not facet-valid with respect to pattern '{pattern}' for type \
                 '{name}'."
            )
        }),
        Facet::Length(exact) => (length != *exact).then(|| {
            format!(
                "cvc-length-valid: Value '{text}' with length = '{length}' is not facet-valid with respect to length \
                 '{exact}' for type '{name}'."
            )
        }),
        Facet::MinLength(min) => (length < *min).then(|| {
            format!(
                "cvc-minLength-valid: Value '{text}' with length = '{length}' is not facet-valid with respect to \
                 minLength '{min}' for type '{name}'"
            )
        }),
        Facet::MaxLength(max) => (length > *max).then(|| {
            format!(
                "cvc-maxLength-valid: Value '{text}' with length = '{length}' is not facet-valid with respect to \
                 maxLength '{max}' for type '{name}'"
            )
        }),
        Facet::Min(min) => (integer(text) < Some(*min)).then(|| {
            format!(
                "cvc-minInclusive-valid: Value '{text}' is not facet-valid with respect to minInclusive '{min}' for \
                 type '{name}'"
            )
        }),
        Facet::Max(max) => (integer(text) > Some(*max)).then(|| {
            format!(
                "cvc-maxInclusive-valid: Value '{text}' is not facet-valid with respect to maxInclusive '{max}' for \
                 type '{name}'"
            )
        }),
        Facet::Enumeration(values) => (!values.contains(&text)).then(|| {
            format!(
                "cvc-enumeration-valid: Value '{text}' is not facet-valid with respect to enumeration '[{}]'. It must \
                 be a value from the enumeration.",
                values.join(", ")
            )
        }),
    }
}
