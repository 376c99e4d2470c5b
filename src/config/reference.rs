//! The configuration file's documentation, made from the doc comments of [`raw`](super::raw): the
//! JSON schema, the commented example and nodedns.toml(5).

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::config::DEFAULT_PATH;
use crate::config::raw::RawConfig;
use crate::config::write::inline;
use crate::decide::annotation;

/// The JSON schema, pretty-printed.
pub fn schema() -> String {
    // Pretty-printing what was a JSON value already cannot fail.
    let text = serde_json::to_string_pretty(&schema_value()).unwrap_or_default();
    format!("{text}\n")
}

/// The commented example: every key with its default, or an example where there is none. As it is
/// it says nothing; with the comment signs of the keys removed it says the defaults.
pub fn example() -> String {
    let mut text = String::from(
        "# The configuration of nodedns. nodedns.toml(5) is the manual, 'nodedns config check'\n\
         # finds every mistake, 'nodedns config show' says what is in effect and why.\n\
         #\n\
         # Every key is here, commented out, with its default or, where there is none, an example.\n\
         # A start needs no more than 'cluster' and one [[record]].\n",
    );
    let sections = sections();
    for section in &sections {
        let (off, header) = match section.kind {
            SectionKind::Root => ("", None),
            SectionKind::Table => ("", Some(format!("[{}]", section.name))),
            SectionKind::Array => ("#", Some(format!("[[{}]]", section.name))),
        };
        if let Some(header) = header {
            text.push('\n');
            comment(&mut text, &section.description);
            text.push_str(&format!("{off}{header}\n"));
        }
        for key in &section.keys {
            text.push('\n');
            comment(&mut text, &key.description);
            if let (Some(_), Some(example)) = (&key.default, &key.example) {
                comment(&mut text, &format!("Example: {} = {}", key.name, inline(example)));
            }
            if let Some(value) = key.default.as_ref().or(key.example.as_ref()) {
                text.push_str(&format!("#{} = {}\n", key.name, inline(value)));
            }
        }
    }
    text
}

/// nodedns.toml(5), as roff for man(1).
pub fn manual() -> String {
    let mut page = String::new();
    page.push_str(&format!(
        ".\\\" Made from the source by the test suite; do not edit.\n\
         .ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n\
         .TH nodedns.toml 5 \"\" \"nodedns {}\" \"File formats\"\n",
        env!("CARGO_PKG_VERSION")
    ));
    heading(&mut page, "NAME");
    page.push_str("nodedns.toml \\- the configuration of nodedns\n");
    heading(&mut page, "SYNOPSIS");
    for file in [DEFAULT_PATH, &format!("{DEFAULT_PATH}.d/*.toml")] {
        page.push_str(&format!(".I {}\n.br\n", escape(file)));
    }
    heading(&mut page, "DESCRIPTION");
    for part in INTRODUCTION {
        paragraph(&mut page, part);
    }
    example_block(&mut page, SMALLEST);
    for section in sections() {
        heading(
            &mut page,
            &match section.kind {
                SectionKind::Root => "TOP-LEVEL KEYS".to_owned(),
                SectionKind::Table => format!("[{}]", section.name),
                SectionKind::Array => format!("[[{}]]", section.name),
            },
        );
        paragraph(&mut page, &section.description);
        for key in &section.keys {
            entry(&mut page, key);
        }
    }
    heading(&mut page, "ANNOTATIONS");
    for part in ANNOTATIONS_INTRODUCTION {
        paragraph(&mut page, part);
    }
    for (name, text) in ANNOTATIONS {
        page.push_str(&format!(".TP\n.B {}\n{}\n", escape(name), prose(text)));
    }
    heading(&mut page, "DAMPING");
    for part in DAMPING {
        paragraph(&mut page, part);
    }
    heading(&mut page, "ENVIRONMENT");
    for (name, text) in VARIABLES {
        page.push_str(&format!(".TP\n.B {}\n{}\n", escape(name), prose(text)));
    }
    heading(&mut page, "SEE ALSO");
    page.push_str(".BR nodedns (1),\n.BR nodedns (8),\n.BR nodedns\\-run (1),\n.BR nodedns\\-config (1)\n");
    without_double_space(&page)
}

/// Below a heading there is space already, and above one a line ends by itself.
fn without_double_space(page: &str) -> String {
    let mut text = String::with_capacity(page.len());
    for line in page.lines() {
        if line == ".PP" && text.lines().next_back().is_some_and(|last| last.starts_with(".SH ")) {
            continue;
        }
        if line.starts_with(".SH ") && text.ends_with("\n.br\n") {
            text.truncate(text.len() - ".br\n".len());
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

const INTRODUCTION: [&str; 4] = [
    "The file is TOML. Keys that are left out have the defaults shown below. An unknown key, a value \
     of the wrong type or out of bounds is an error: the daemon does not start, or keeps the \
     configuration that it has. `nodedns config check` finds every mistake at once.",
    "Drop-in files are read after the main file, in the order of their names: a later value replaces \
     an earlier one, arrays as a whole, while `[[record]]` tables are added to those before. \
     Environment variables go before files, and command line flags before everything. With \
     `--config` another file takes the main file's place, with drop-ins in the directory of its \
     name and `.d`.",
    "Lengths of time are written with their units: `\"200ms\"`, `\"10s\"`, `\"15m\"`, `\"1h30m\"`.",
    "The smallest file:",
];

const SMALLEST: &str = "cluster = \"home\"\n\n[[record]]\nname = \"edge.example.com\"\nzone_id = \"Z0123456789ABC\"\n";

const ANNOTATIONS_INTRODUCTION: [&str; 3] = [
    "What differs from node to node can be said by the Node itself: \
     `kubectl annotate node n1 nodedns.io/weight=50`. An annotation goes before what the file says, in every record whose \
     routing has such a parameter, and is read as strictly as the file. Where its value cannot be, the file's counts, \
     and `nodedns status` and the log say so.",
    "While the API server does not answer, a record set that is there keeps the routing that it has; a new one gets what \
     the annotations said last.",
    "An annotation that changes takes effect once it has been the same for `settle`, and later the more often it has \
     changed, see DAMPING.",
];

const ANNOTATIONS: [(&str, &str); 5] = [
    (annotation::WEIGHT, "The `weight` of `weighted` records, 0 to 255."),
    (
        annotation::COORDINATES,
        "Where the node is, for `geoproximity` records: `latitude,longitude` in degrees with up to two decimals, spaces \
         around the numbers allowed. Also in place of `region` and `local_zone_group`. With `coordinates = \"auto\"` in \
         the file it must be there: without it the record is held, and nothing is published anew.",
    ),
    (
        annotation::COORDINATES_OF_KUBE_NODE_DNS,
        "The same, for those who move from kube-node-dns. Counts where the one above is not there. More than two decimals \
         are refused here too, as Route 53 has always refused them.",
    ),
    (annotation::BIAS, "The `bias` of `geoproximity` records, -99 to 99."),
    (
        annotation::EXCLUDE,
        "Whether the node has the signal `excluded`. What is neither true nor false counts as true, as it does in the label \
         `node.kubernetes.io/exclude-from-external-load-balancers`.",
    ),
];

const DAMPING: [&str; 3] = [
    "A node whose signals come and go is withdrawn at once each time, but comes back later each time: for the second \
     withdrawal within ten minutes `recover_after`, or a second if that is less, counts twice, for the third four times, \
     up to five minutes, or 20 seconds after `nodedns resume`. After ten quiet minutes it is as at first. `nodedns status` \
     shows the reason `damped` meanwhile. Only what has left waits: a record set that is still there when the cause has \
     gone, held by `keep_min` or because Route 53 failed, stays.",
    "However signals flap, and with whatever `after` and `recover_after`, a record is withdrawn at most 6 times and brought \
     back at most 6 times in any minute; annotations that flap change it at most another 6 times. That is 18 requests \
     for changes a minute at the very most.",
    "Besides, what flaps has the name read: when `keep_min` begins to hold the record, also by `nodedns drain`, and when \
     the Node is Ready again, each at most once in ten seconds. That is 14 requests for listings a minute at the very \
     most, besides those of `resync` and those after a change that Route 53 has refused. How far a change has come is \
     asked at most six times, the first time after ten seconds and never of a change that another has followed sooner: \
     at most 6 such requests a minute for each type of a record.",
];

const VARIABLES: [(&str, &str); 4] = [
    ("NODEDNS_CONFIG", "The main file, unless `--config` names one."),
    (
        "NODEDNS_*",
        "A key of the file in capitals, a double underscore between table and key: \
         `NODEDNS_RESYNC=5m`, `NODEDNS_ROUTE53__REGION=us-gov-west-1`, \
         `NODEDNS_ADDRESSES__DENY=192.0.2.0/24,198.51.100.0/24`. Records cannot be given so.",
    ),
    ("RUNTIME_DIRECTORY", "Set by systemd: the directory of the control socket, unless `control.socket` names one."),
    (
        "STATE_DIRECTORY",
        "Set by systemd: the directory of the drain's file, unless `control.state_directory` names one.",
    ),
];

/// A table of the file: its keys, in order.
struct Section {
    name: String,
    kind: SectionKind,
    description: String,
    keys: Vec<Key>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SectionKind {
    Root,
    Table,
    Array,
}

struct Key {
    name: String,
    description: String,
    default: Option<Value>,
    example: Option<Value>,
    /// The keys of a table that is written inline.
    keys: Vec<Key>,
}

/// The root, then every table in the order of the definitions.
fn sections() -> Vec<Section> {
    let schema = schema_value();
    let mut root =
        Section { name: String::new(), kind: SectionKind::Root, description: String::new(), keys: Vec::new() };
    let mut tables = Vec::new();
    for (name, property) in properties(&schema) {
        let (kind, table) = match property.get("items").filter(|items| items.get("properties").is_some()) {
            Some(items) => (SectionKind::Array, items),
            None if property.get("properties").is_some() => (SectionKind::Table, property),
            None => {
                root.keys.push(key(name, property));
                continue;
            }
        };
        tables.push(Section {
            name: name.clone(),
            kind,
            description: description(property),
            keys: match kind {
                SectionKind::Table => properties(table).map(|(name, property)| key_of_table(name, property)).collect(),
                SectionKind::Root | SectionKind::Array => {
                    properties(table).map(|(name, property)| key(name, property)).collect()
                }
            },
        });
    }
    std::iter::once(root).chain(tables).collect()
}

fn key(name: &str, property: &Value) -> Key {
    Key {
        name: name.to_owned(),
        description: description(property),
        default: property.get("default").cloned(),
        example: property.get("examples").and_then(|examples| examples.get(0)).cloned(),
        keys: properties(property).map(|(name, property)| key(name, property)).collect(),
    }
}

/// A key of a table of its own, where also that is explained which a word may stand for.
fn key_of_table(name: &str, property: &Value) -> Key {
    Key { keys: inner(property).map(|(name, property)| key(name, property)).collect(), ..key(name, property) }
}

/// The keys of an inline table. Where a word may stand for the table, only those that the text of
/// its section does not explain for all such tables.
fn inner(property: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let choices = property.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    let of_choices = choices.flat_map(properties).filter(|(name, _)| !EXPLAINED_ONCE.contains(&name.as_str()));
    properties(property).chain(of_choices)
}

/// The keys that every signal has; the text of `[signals]` explains them.
const EXPLAINED_ONCE: [&str; 3] = ["action", "after", "recover_after"];

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

fn description(schema: &Value) -> String {
    schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn schema_value() -> Value {
    // Draft 7 is what editors' TOML support knows best, and without references a description can
    // stand beside every type.
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<RawConfig>().to_value();
    if let Value::Object(members) = &mut schema {
        members.insert("title".to_owned(), "nodedns.toml".into());
    }
    tidy(&mut schema);
    schema
}

/// Says it in TOML's terms, which has no null: a key that may be absent is one that is not required, no more.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.retain(|key, value| !(key == "default" && value.is_null()));
            for list in ["type", "enum", "anyOf"] {
                if let Some(Value::Array(choices)) = members.get_mut(list) {
                    choices.retain(|choice| !is_null(choice));
                }
            }
            if let Some(single) = single(members, "type") {
                members.insert("type".to_owned(), single);
            }
            if let Some(Value::Object(choice)) = single(members, "anyOf") {
                members.remove("anyOf");
                for (key, value) in choice {
                    members.entry(key).or_insert(value);
                }
            }
            if let Some(Value::String(text)) = members.get_mut("description") {
                // Lines of the source are not lines of the text.
                *text = text.replace('\n', " ");
            }
            members.values_mut().for_each(tidy);
        }
        Value::Array(elements) => elements.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn is_null(choice: &Value) -> bool {
    choice.is_null() || choice == "null" || choice.get("type").is_some_and(|kind| kind == "null")
}

fn single(members: &Map<String, Value>, list: &str) -> Option<Value> {
    match members.get(list) {
        Some(Value::Array(choices)) if choices.len() == 1 => choices.first().cloned(),
        _ => None,
    }
}

fn comment(text: &mut String, prose: &str) {
    const WIDTH: usize = 98;
    let mut line = String::from("#");
    for word in words(prose) {
        if line.len() + 1 + word.len() > WIDTH && line.len() > 1 {
            text.push_str(&line);
            text.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(&word);
    }
    if line.len() > 1 {
        text.push_str(&line);
        text.push('\n');
    }
}

/// The words, where what stands between backticks is one.
fn words(prose: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut quoted = false;
    for part in prose.split_whitespace() {
        match words.last_mut() {
            Some(word) if quoted => {
                word.push(' ');
                word.push_str(part);
            }
            _ => words.push(part.to_owned()),
        }
        quoted ^= part.matches('`').count() % 2 == 1;
    }
    words
}

fn heading(page: &mut String, title: &str) {
    page.push_str(&format!(".SH \"{}\"\n", escape(title)));
}

fn paragraph(page: &mut String, text: &str) {
    if !text.is_empty() {
        page.push_str(&format!(".PP\n{}\n", prose(text)));
    }
}

fn entry(page: &mut String, key: &Key) {
    let value = key.default.as_ref().map_or_else(String::new, |value| format!(" = {}", escape(&inline(value))));
    page.push_str(&format!(".TP\n\\fB{}\\fR{value}\n{}\n", escape(&key.name), prose(&key.description)));
    if let Some(example) = &key.example {
        let example = format!("{} = {}", key.name, inline(example));
        page.push_str(&format!(".br\nExample: \\fB{}\\fR\n", escape(&example)));
    }
    if !key.keys.is_empty() {
        page.push_str(".RS\n");
        for inner in &key.keys {
            entry(page, inner);
        }
        page.push_str(".RE\n");
    }
}

fn example_block(page: &mut String, text: &str) {
    page.push_str(".PP\n.RS 4\n.nf\n");
    for line in text.lines() {
        page.push_str(&format!("\\&{}\n", escape(line)));
    }
    page.push_str(".fi\n.RE\n");
}

/// Text with what stands between backticks in bold.
fn prose(text: &str) -> String {
    let parts = text.split('`').enumerate().map(|(index, part)| match index % 2 {
        0 => escape(part),
        _ => format!("\\fB{}\\fR", escape(part)),
    });
    let text: String = parts.collect();
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// Text that roff takes as it is. `\*(Aq` and `\-` are the plain apostrophe and hyphen, which
/// people copy.
fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\*(Aq").replace('"', "\\(dq")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::layer::Layer;
    use crate::config::merged::Merged;
    use crate::config::problem::Origin;
    use crate::config::raw::RawRecord;

    fn read(text: &str) -> RawConfig {
        let mut layer = Layer::file(std::path::Path::new("example"), text, 0).expect("TOML");
        let problems = layer.check();
        assert!(problems.is_empty(), "{problems:?}");
        Merged::new(Origin::Default, vec![layer]).read().expect("checked")
    }

    /// The example with the comment signs of its keys removed.
    fn uncommented() -> String {
        let example = example();
        let lines = example.lines().map(|line| match line.strip_prefix('#') {
            Some(key) if !key.is_empty() && !key.starts_with(' ') => key.to_owned(),
            _ => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_example_as_it_is_says_nothing() {
        assert_eq!(read(&example()), RawConfig::default());
    }

    #[test]
    fn the_example_uncommented_says_the_defaults() {
        let mut config = read(&uncommented());
        // What has no default shows an example.
        assert_eq!(config.cluster.take().as_deref(), Some("home"));
        let [record] = config.record.as_mut_slice() else { panic!("one record: {:?}", config.record) };
        assert_eq!(record.name.take().as_deref(), Some("edge.example.com"));
        assert!(record.zone_id.take().is_some() && record.zone.take().is_some());
        assert!(record.health_check_id.take().is_some() && record.health_check.take().is_some());
        assert_eq!(config, RawConfig { record: vec![RawRecord::default()], ..RawConfig::default() });
    }

    #[test]
    fn every_example_of_a_key_is_of_its_type() {
        let mut count = 0;
        for section in sections() {
            let SectionKind::Array = section.kind else { continue };
            for key in section.keys {
                let examples = key.keys.iter().filter_map(|inner| Some((inner.name.clone(), inner.example.as_ref()?)));
                let table: Map<String, Value> = examples.map(|(name, example)| (name, example.clone())).collect();
                if !table.is_empty() {
                    let text = format!("[[record]]\n{} = {}\n", key.name, inline(&Value::Object(table)));
                    assert_ne!(read(&text).record, [RawRecord::default()]);
                    count += 1;
                }
            }
        }
        assert_eq!(count, 2, "routing and health_check");
    }

    #[test]
    fn roff_takes_the_text_as_it_is() {
        assert_eq!(prose("`a-b` isn't \"x\\y\""), "\\fBa\\-b\\fR isn\\*(Aqt \\(dqx\\ey\\(dq");
        assert_eq!(prose(".hidden"), "\\&.hidden");
    }
}
