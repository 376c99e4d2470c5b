//! Who may import whom, and what is banned where. The table is the architecture; it reads the
//! source as text, which is crude and catches what reviews miss.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// What each module may name of the crate's own modules. `a::b` allows only that part of `a`.
const LAYERS: &[(&str, &[&str])] = &[
    ("lib", &[]),
    ("main", &["cli", "config", "daemon", "telemetry"]),
    ("daemon", &["watch", "publish", "control", "config", "decide", "metrics", "state", "systemd", "telemetry"]),
    (
        "cli",
        &[
            "watch",
            "publish",
            "control::BindError",
            "control::client",
            "control::protocol",
            "control::translate",
            "config",
            "decide",
            "state",
        ],
    ),
    ("watch", &["config", "decide"]),
    ("publish", &["config", "decide"]),
    ("control", &["config", "decide"]),
    ("metrics", &["control::protocol", "decide"]),
    ("state", &["decide"]),
    ("systemd", &["decide"]),
    ("telemetry", &["decide"]),
    ("config", &["decide"]),
    ("decide", &[]),
];

/// Dependencies that belong to one edge: crate name prefix, and the modules that may name it.
const EDGES: &[(&str, &[&str])] = &[
    ("aws_", &["publish"]),
    ("clap", &["cli", "main"]),
    ("domain", &["publish"]),
    ("figment", &["config"]),
    ("http_body_util", &["metrics"]),
    ("hyper_util", &["metrics", "publish", "watch"]),
    ("hyper", &["metrics", "watch"]),
    ("k8s_openapi", &["watch"]),
    ("kube", &["watch"]),
    ("netlink_", &["watch"]),
    ("prometheus", &["metrics"]),
    ("rtnetlink", &["watch"]),
    ("rustls", &["publish", "watch"]),
    ("schemars", &["config"]),
    ("sd_notify", &["systemd"]),
    ("strsim", &["config"]),
    ("tokio_rustls", &["watch"]),
    ("toml", &["config"]),
    ("tracing_", &["telemetry"]),
    ("x509_cert", &["watch"]),
    ("zbus", &["systemd"]),
];

/// Words that may stand only in these files (path prefixes below src/), and why.
const WORDS: &[(&[&str], &[&str], &str)] = &[
    (
        &["SystemTime::now", "Timestamp::now", "Zoned::now", "clock_gettime", "std::time::Instant"],
        &["watch/"],
        "only watch/ reads the clocks of the operating system",
    ),
    (&["Instant::now"], &["watch/", "publish/route53/limiter.rs"], "time is an argument everywhere else"),
    (
        &["println!", "eprintln!", "print!", "eprint!", "dbg!"],
        &["cli/", "main.rs"],
        "the daemon logs, only commands print",
    ),
];

/// What the pure core may not contain.
const IMPURE: &[&str] = &[
    ".await",
    "async ",
    "tracing::",
    "println!",
    "eprintln!",
    "Instant",
    "SystemTime",
    "std::env",
    "std::fs",
    "std::io",
    "std::process",
    "std::thread",
    "std::sync",
    "std::os",
    "Serialize",
    "HashMap",
    "HashSet",
];

/// What the pure core may import beside itself and std.
const PURE_DEPENDENCIES: &[&str] = &["ipnet"];

#[test]
fn every_module_keeps_to_its_layer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dependencies = dependencies(&fs::read_to_string(root.join("Cargo.toml")).expect("Cargo.toml"));
    let mut violations = String::new();
    let mut seen = BTreeSet::new();
    for file in sources(&root.join("src")) {
        let below = file.strip_prefix(root.join("src")).expect("below src").to_string_lossy().into_owned();
        let source = Source::new(&below, &fs::read_to_string(&file).expect("source"));
        seen.insert(source.module.clone());
        for (line, what) in source.violations(&dependencies) {
            let _ = writeln!(violations, "src/{below}:{line}: {what}");
        }
    }
    assert!(violations.is_empty(), "\n{violations}");
    let known: BTreeSet<String> = LAYERS.iter().map(|(module, _)| (*module).to_owned()).collect();
    assert_eq!(seen, known, "the table and src/ have the same modules");
}

/// The test can fail: each planted violation is found, on its line.
#[test]
fn planted_violations_are_found() {
    let dependencies = ["ipnet", "tokio", "kube", "toml_edit", "aws_config"].map(str::to_owned);
    for (file, text, line, expected) in [
        ("decide/plan.rs", "use std::fmt;\nuse crate::config::Config;\n", 2, "decide may not import config"),
        ("decide/plan.rs", "use tokio::time;\n", 1, "decide may not name tokio"),
        ("decide/plan.rs", "fn f() -> tokio::time::Sleep {}\n", 1, "decide may not name tokio"),
        ("decide/plan.rs", "\n\nuse std::time::Instant;\n", 3, "'Instant' is impure"),
        (
            "watch/node.rs",
            "use crate::{\n    decide::x,\n    publish::Provider,\n};\n",
            3,
            "watch may not import publish",
        ),
        ("cli/status.rs", "use crate::control::{client, server};\n", 1, "cli may not import control::server"),
        ("cli/status.rs", "use crate::control;\n", 1, "cli may not import control"),
        ("publish/mod.rs", "let x = crate::control::protocol::X;\n", 1, "publish may not import control"),
        ("main.rs", "use nodedns::{cli, watch};\n", 1, "main may not import watch"),
        ("daemon.rs", "fn f() { kube::Client::new() }\n", 1, "daemon may not name kube"),
        ("publish/mod.rs", "use toml_edit::Item;\n", 1, "publish may not name toml_edit"),
        ("control/server.rs", "let t = SystemTime::now();\n", 1, "only watch/ reads the clocks"),
        ("daemon.rs", "println!(\"x\");\n", 1, "only commands print"),
        ("metrics/mod.rs", "use crate::control::server::Server;\n", 1, "metrics may not import control::server"),
        ("cli/help.rs", "use crate::metrics::definitions::ALL;\n", 1, "cli may not import metrics"),
        ("config/mod.rs", "use super::super::daemon;\n", 1, "super::super"),
    ] {
        let violations = Source::new(file, text).violations(&dependencies);
        assert!(
            violations.iter().any(|(l, what)| *l == line && what.contains(expected)),
            "{file}: {text:?} gave {violations:?}"
        );
    }
}

#[test]
fn what_is_allowed_is_let_pass() {
    let dependencies = ["ipnet", "tokio", "kube", "aws_config"].map(str::to_owned);
    for (file, text) in [
        ("decide/plan.rs", "use ipnet::IpNet;\nuse crate::decide::{a, b::{c, d}};\nuse std::time::Duration;\n"),
        ("decide/plan.rs", "//! Not `tokio::time`, and nobody calls Instant::now here.\nfn f() {} // println!\n"),
        ("decide/plan.rs", "fn f() {}\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n"),
        ("cli/status.rs", "use crate::control::{client, protocol::{self, Status}};\nfn f() { println!(\"\") }\n"),
        ("watch/clock.rs", "let now = Timestamp::now();\n"),
        ("control/client.rs", "let s = \"use kube:: and println!\";\n"),
        ("watch/node.rs", "use crate::watch::clock;\nuse kube::Client;\n"),
    ] {
        let violations = Source::new(file, text).violations(&dependencies);
        assert!(violations.is_empty(), "{file}: {text:?} gave {violations:?}");
    }
}

/// A source file without its comments, texts and tests; lines stay where they are.
struct Source {
    path: String,
    module: String,
    code: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let module = path.split('/').next().unwrap_or(path).trim_end_matches(".rs").to_owned();
        // Tests stand at the end of their file, by convention.
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
        let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
        let code = if is_test { String::new() } else { blank(code) };
        Source { path: path.to_owned(), module, code }
    }

    fn violations(&self, dependencies: &[String]) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        self.own_modules(&mut found);
        self.dependencies(dependencies, &mut found);
        for (words, places, why) in WORDS {
            if !places.iter().any(|place| self.path.starts_with(place)) {
                for word in *words {
                    self.each(word, |line| found.push((line, format!("'{word}': {why}"))));
                }
            }
        }
        if self.module == "decide" {
            for word in IMPURE {
                self.each(word, |line| found.push((line, format!("'{word}' is impure"))));
            }
        }
        self.each("super::super", |line| found.push((line, "'super::super' hides what is imported".to_owned())));
        found
    }

    fn own_modules(&self, found: &mut Vec<(usize, String)>) {
        let allowed = LAYERS.iter().find(|(module, _)| *module == self.module).map_or(&[][..], |(_, allowed)| *allowed);
        for root in ["crate::", "nodedns::"] {
            for (at, _) in self.occurrences(root) {
                for (offset, path) in tree(&self.code[at + root.len()..]) {
                    let line = self.line(at + root.len() + offset);
                    let module = path.split("::").next().unwrap_or(&path);
                    let known = LAYERS.iter().any(|(name, _)| *name == module);
                    let fine =
                        module == self.module || allowed.iter().any(|allowed| *allowed == module || *allowed == path);
                    if known && !fine {
                        let part =
                            if allowed.iter().any(|a| a.starts_with(&format!("{module}::"))) { &path } else { module };
                        found.push((line, format!("{} may not import {part}", self.module)));
                    }
                }
            }
        }
    }

    fn dependencies(&self, dependencies: &[String], found: &mut Vec<(usize, String)>) {
        for dependency in dependencies {
            let fine = if self.module == "decide" {
                PURE_DEPENDENCIES.contains(&dependency.as_str())
            } else {
                let edge = EDGES.iter().find(|(prefix, _)| dependency.starts_with(prefix));
                edge.is_none_or(|(_, modules)| modules.contains(&self.module.as_str()))
            };
            if !fine {
                self.each(&format!("{dependency}::"), |line| {
                    found.push((line, format!("{} may not name {dependency}", self.module)));
                });
            }
        }
    }

    fn each(&self, word: &str, mut report: impl FnMut(usize)) {
        for (at, _) in self.occurrences(word) {
            report(self.line(at));
        }
    }

    /// Where `word` stands, not as the tail of a longer one nor, as a crate's name, within a path.
    fn occurrences<'a>(&'a self, word: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
        self.code.match_indices(word).filter(move |(at, _)| {
            let before = self.code[..*at].chars().next_back();
            let starts_word = word.starts_with(|c: char| c.is_ascii_alphanumeric());
            let is_crate = word.ends_with("::");
            !starts_word || !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || (is_crate && c == ':'))
        })
    }

    fn line(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }
}

/// The paths of a use tree, as far as two steps: `a::{b, c::d}` is `a::b` and `a::c`, each with where it stands.
fn tree(code: &str) -> Vec<(usize, String)> {
    let mut paths = Vec::new();
    branch(code, 0, String::new(), &mut paths);
    paths
}

/// Reads one branch from `at`; returns where it ends.
fn branch(code: &str, at: usize, prefix: String, paths: &mut Vec<(usize, String)>) -> usize {
    let skip = |at: usize| at + code[at..].len() - code[at..].trim_start().len();
    let mut at = skip(at);
    if code[at..].starts_with('{') {
        at = skip(at + 1);
        while at < code.len() && !code[at..].starts_with('}') {
            let end = branch(code, at, prefix.clone(), paths);
            at = skip(if end == at { end + code[end..].chars().next().map_or(1, char::len_utf8) } else { end });
            if code[at..].starts_with(',') {
                at = skip(at + 1);
            }
        }
        return (at + 1).min(code.len());
    }
    let length = code[at..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(code.len() - at);
    let (start, word) = (at, &code[at..at + length]);
    at += length;
    let path = match word {
        "self" => prefix.clone(),
        _ if prefix.is_empty() => word.to_owned(),
        _ => format!("{prefix}::{word}"),
    };
    if code[at..].starts_with("::") {
        return branch(code, at + 2, path, paths);
    }
    let steps: Vec<&str> = path.split("::").take(2).collect();
    paths.push((start, steps.join("::")));
    at
}

/// Comments and texts become spaces.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let taken = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = raw_text(rest) {
            length
        } else if first == '"' {
            text_length(rest)
        } else if let Some(length) = character(rest) {
            length
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        code.extend(rest[..taken].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[taken..];
    }
    code
}

fn text_length(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    rest.len()
}

fn raw_text(rest: &str) -> Option<usize> {
    let hashes = rest.strip_prefix('r')?.bytes().take_while(|b| *b == b'#').count();
    if rest.as_bytes().get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let body = 2 + hashes;
    Some(rest[body..].find(&end).map_or(rest.len(), |at| body + at + end.len()))
}

/// A character literal, which may be a quotation mark; not a lifetime.
fn character(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('\'')?;
    if let Some(escape) = body.strip_prefix('\\') {
        return escape.char_indices().skip(1).find(|(_, c)| *c == '\'').map(|(at, _)| 2 + at + 1);
    }
    let c = body.chars().next()?;
    body[c.len_utf8()..].starts_with('\'').then(|| 2 + c.len_utf8())
}

fn dependencies(manifest: &str) -> Vec<String> {
    let section = manifest.split("[dependencies]\n").nth(1).expect("[dependencies]");
    section
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| Some(line.split_once(" =")?.0.replace('-', "_")))
        .collect()
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("src") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
