//! Every key that the commands print for programs, read off the source: from the fields of what is
//! serialised and their doc comments. A text of its own would go stale.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use nodedns::cli::args::Cli;

/// What is serialised.
#[derive(Debug, Default)]
struct Shape {
    /// Its file, below src/.
    file: String,
    /// What the file imports, a statement each.
    uses: Vec<String>,
    name: String,
    doc: String,
    fields: Vec<Field>,
    /// The words of an enumeration.
    words: Vec<String>,
    /// The key that holds the word, where the variants have fields.
    tag: Option<String>,
}

#[derive(Debug, Clone)]
struct Field {
    key: String,
    kind: String,
    doc: String,
    /// Whether its own keys stand in its place.
    flat: bool,
    /// Whether it may be missing.
    skipped: bool,
}

/// The text that `nodedns help output` shows.
pub(super) fn text() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut shapes = Vec::new();
    for place in ["cli", "control/protocol", "control/protocol.rs"] {
        for file in sources(&root.join(place)) {
            let below = file.strip_prefix(&root).expect("below src").to_string_lossy().into_owned();
            // The grammar of its output is AWS's.
            if !below.starts_with("cli/iam_policy") {
                shapes.extend(read(&below, &fs::read_to_string(&file).expect("source")));
            }
        }
    }
    write(&shapes)
}

fn sources(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(place).into_iter().flatten() {
        let path = entry.expect("entry").path();
        match path.is_dir() {
            true => files.extend(sources(&path)),
            false if path.extension().is_some_and(|extension| extension == "rs") => files.push(path),
            false => {}
        }
    }
    files.sort();
    files
}

/// Reads a file's definitions. They are formatted by rustfmt, which makes this simple.
fn read(file: &str, text: &str) -> Vec<Shape> {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    let uses: Vec<String> =
        text.split("\nuse ").skip(1).map(|rest| rest.split(';').next().unwrap_or_default().to_owned()).collect();
    let mut shapes: Vec<Shape> = Vec::new();
    let (mut doc, mut attributes) = (String::new(), String::new());
    let mut open: Option<(Shape, String)> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(words) = trimmed.strip_prefix("///") {
            doc.push(' ');
            doc.push_str(words.trim());
            continue;
        }
        if trimmed.starts_with("#[") {
            attributes.push_str(trimmed);
            continue;
        }
        match &mut open {
            Some((shape, rules)) if line != "}" => shape.take(trimmed, rules, &doc, &attributes),
            Some(_) => shapes.extend(open.take().map(|(shape, _)| shape)),
            None if attributes.contains("Serialize") && line.ends_with('{') => {
                let words: Vec<&str> = trimmed.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
                if let Some(at) = words.iter().position(|word| *word == "struct" || *word == "enum") {
                    let name = words.get(at + 1).expect("a name");
                    let tag = setting(&attributes, "tag");
                    let (file, name, doc) = (file.to_owned(), (*name).to_owned(), plain(&doc));
                    let shape = Shape { file, uses: uses.clone(), name, doc, tag, ..Shape::default() };
                    open = Some((shape, attributes.clone()));
                }
            }
            None => {}
        }
        doc.clear();
        attributes.clear();
    }
    shapes
}

impl Shape {
    /// Takes a line of the body.
    fn take(&mut self, line: &str, rules: &str, doc: &str, attributes: &str) {
        let renamed = setting(attributes, "rename");
        let line = line.trim_start_matches("pub ");
        if let Some((name, kind)) = line.split_once(": ").filter(|(name, _)| name.chars().all(is_word)) {
            if has(attributes, "skip") {
                return;
            }
            let field = Field {
                key: renamed.unwrap_or_else(|| name.trim_start_matches("r#").to_owned()),
                kind: kind.trim_end_matches(',').to_owned(),
                doc: plain(doc),
                flat: has(attributes, "flatten"),
                skipped: has(attributes, "skip_serializing_if"),
            };
            match self.fields.iter_mut().find(|known| known.key == field.key) {
                // In another variant it may mean something else.
                Some(known) if known.doc != field.doc => known.doc = format!("{} Or: {}", known.doc, field.doc),
                Some(_) => {}
                None => self.fields.push(field),
            }
            return;
        }
        let variant = line.trim_end_matches([',', '{', ' ']);
        if variant.starts_with(char::is_uppercase) && variant.chars().all(is_word) {
            self.words.push(renamed.unwrap_or_else(|| cased(variant, setting(rules, "rename_all").as_deref())));
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '#'
}

/// The value of `name = "…"` in serde's attributes.
fn setting(attributes: &str, name: &str) -> Option<String> {
    let (_, rest) = attributes.split_once(&format!("{name} = \""))?;
    Some(rest.split('"').next().unwrap_or_default().to_owned())
}

fn has(attributes: &str, word: &str) -> bool {
    let words = attributes.split(|c: char| !c.is_alphanumeric() && c != '_');
    attributes.contains("serde(") && words.into_iter().any(|found| found == word)
}

fn cased(variant: &str, rule: Option<&str>) -> String {
    match rule {
        Some("lowercase") => variant.to_lowercase(),
        Some("UPPERCASE") => variant.to_uppercase(),
        Some("snake_case") => {
            let mut text = String::new();
            for (index, c) in variant.chars().enumerate() {
                if c.is_uppercase() && index > 0 {
                    text.push('_');
                }
                text.extend(c.to_lowercase());
            }
            text
        }
        Some(rule) => panic!("unknown rule {rule:?}"),
        None => variant.to_owned(),
    }
}

/// A doc comment as people read it: links are their text, code is in quotation marks.
fn plain(doc: &str) -> String {
    let mut text = String::new();
    let mut rest = doc.trim();
    while let Some((before, after)) = rest.split_once("[`") {
        text.push_str(before);
        let (link, behind) = after.split_once("`]").unwrap_or((after, ""));
        text.push_str(link);
        rest = match behind.strip_prefix('(') {
            Some(target) => target.split_once(')').map_or("", |(_, behind)| behind),
            None => behind,
        };
    }
    text.push_str(rest);
    text.replace('`', "'").replace(" :: ", ": ")
}

fn write(shapes: &[Shape]) -> String {
    let named: BTreeSet<(&str, &str)> = shapes
        .iter()
        .flat_map(|shape| shape.fields.iter().filter_map(|field| find(shapes, shape, &field.kind)))
        .map(|shape| (shape.file.as_str(), shape.name.as_str()))
        .collect();
    let is_root = |shape: &&Shape| !shape.fields.is_empty() && !named.contains(&(&shape.file, &shape.name));
    let mut text = String::new();
    for command in Cli::command().get_subcommands() {
        let name = command.get_name();
        let module = format!("cli/{}", name.replace('-', "_"));
        let of_file = |shape: &&Shape| {
            shape.file.strip_prefix(&module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        let mut lines = String::new();
        let of_protocol = |wanted: &str| shapes.iter().find(|shape| shape.name == wanted).expect("in the protocol");
        match name {
            "status" => keys(&mut lines, shapes, of_protocol("Status"), "", 0),
            "addresses" => keys(&mut lines, shapes, of_protocol("AddressStatus"), "[].", 0),
            "resume" => lines.push_str("The same as for drain.\n\n"),
            _ => {
                let roots: Vec<&Shape> = shapes.iter().filter(of_file).filter(is_root).collect();
                for root in &roots {
                    if roots.len() > 1 {
                        lines.push_str(&format!("{}\n\n", root.doc));
                    }
                    keys(&mut lines, shapes, root, "", 0);
                }
            }
        }
        if !lines.is_empty() {
            text.push_str(&format!("## {name}\n\n{lines}"));
        }
    }
    text.trim_end().to_owned() + "\n"
}

/// Writes every key of `shape` and of what it holds.
fn keys(text: &mut String, shapes: &[Shape], shape: &Shape, path: &str, depth: usize) {
    assert!(depth < 9, "{} holds itself", shape.name);
    if let Some(tag) = shape.tag.as_ref().filter(|_| !shape.words.is_empty()) {
        text.push_str(&format!("{path}{tag} :: One of {}.\n\n", shape.words.join(", ")));
    }
    for field in &shape.fields {
        let inner = find(shapes, shape, &field.kind);
        if field.flat {
            keys(text, shapes, inner.expect("a flattened one"), path, depth + 1);
            continue;
        }
        let is_list = ["Vec<", "BTreeSet<", "["].iter().any(|list| field.kind.contains(list));
        let list = if is_list { "[]" } else { "" };
        // What repeats a key of another definition beside it need not explain it again.
        let beside = shapes.iter().filter(|other| other.file == shape.file).flat_map(|other| &other.fields);
        let mut told = beside.filter(|other| other.key == field.key && !other.doc.is_empty());
        let doc = if field.doc.is_empty() { told.next().map(|other| &other.doc) } else { Some(&field.doc) };
        let mut meaning =
            doc.unwrap_or_else(|| panic!("{}: {}.{} has no doc comment", shape.file, shape.name, field.key)).clone();
        if let Some(words) = inner.filter(|inner| inner.tag.is_none() && !inner.words.is_empty()) {
            meaning.push_str(&format!(" One of {}.", words.words.join(", ")));
        }
        if field.skipped {
            meaning.push_str(" Missing where there is none.");
        } else if field.kind.starts_with("Option<") && !field.doc.contains("null") {
            meaning.push_str(" May be null.");
        }
        text.push_str(&format!("{path}{}{list} :: {}\n\n", field.key, meaning.trim()));
        if let Some(inner) = inner {
            keys(text, shapes, inner, &format!("{path}{}{list}.", field.key), depth + 1);
        }
    }
}

/// The definition that a type of one of `user`'s fields names: of the same file, else the one that is
/// imported, else the only one.
fn find<'a>(shapes: &'a [Shape], user: &Shape, kind: &str) -> Option<&'a Shape> {
    let names: Vec<&str> = kind.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let known: Vec<&Shape> = shapes.iter().filter(|shape| names.contains(&shape.name.as_str())).collect();
    let is_imported = |shape: &&&Shape| {
        let module = format!("crate::{}::", shape.file.trim_end_matches(".rs").replace('/', "::"));
        user.uses.iter().any(|text| text.starts_with(&module) && text.contains(&shape.name))
    };
    let in_file = known.iter().find(|shape| shape.file == user.file);
    match in_file.or(known.iter().find(is_imported)) {
        Some(found) => Some(found),
        None if known.len() > 1 => panic!("{}: which {kind} is meant?", user.file),
        None => known.first().copied(),
    }
}

#[test]
fn keys_are_read_off_the_source() {
    let source = "/// Shown.\n#[derive(Debug, Serialize)]\npub struct Root<'a> {\n    /// The [`Thing`]s.\n    things: \
                  &'a [Thing],\n    /// How.\n    #[serde(flatten)]\n    how: How,\n    /// Not.\n    #[serde(skip)]\n    \
                  not: u8,\n}\n\n#[derive(Serialize)]\nstruct Thing {\n    /// `A` or\n    /// another.\n    \
                  #[serde(rename = \"type\")]\n    rtype: Option<String>,\n    /// Its state.\n    pub state: \
                  State,\n}\n\n#[derive(Serialize)]\n#[serde(rename_all = \"snake_case\")]\npub enum State {\n    /// \
                  Good.\n    AllGood,\n    /// Bad.\n    Bad,\n}\n\n#[derive(Serialize)]\n#[serde(tag = \"way\", \
                  rename_all = \"lowercase\")]\npub enum How {\n    /// So.\n    So {\n        /// Deep.\n        \
                  #[serde(skip_serializing_if = \"Option::is_none\")]\n        depth: Option<u8>,\n    },\n}\n\nstruct \
                  Other {\n    hidden: u8,\n}\n";
    let shapes = read("cli/list.rs", source);
    let mut text = String::new();
    keys(&mut text, &shapes, &shapes[0], "", 0);
    let expected = "things[] :: The Things.\n\nthings[].type :: 'A' or another. May be null.\n\nthings[].state :: Its \
                    state. One of all_good, bad.\n\nway :: One of so.\n\ndepth :: Deep. Missing where there is none.\n\n";
    assert_eq!(text, expected);
}
