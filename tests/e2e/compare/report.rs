//! The tables, in Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use jiff::Zoned;
use route53_sim::Request;

use super::column::Column;
use super::faults;

/// What was measured: by table and row, for each column.
#[derive(Default)]
pub(super) struct Results(BTreeMap<(String, String, Column), String>);

const TIMES: [(&str, &str); 9] = [
    ("address", "a node's new address (ExternalDNS: once somebody has written it to the Node)"),
    ("cordon", "a node is cordoned: withdrawn"),
    ("uncordon", "uncordoned: published again"),
    ("notready", "the kubelet says that its node is not Ready: withdrawn"),
    ("ready", "Ready: published again"),
    ("dead", "a node loses power: withdrawn"),
    ("calls", "calls for a cordon"),
    ("memory", "resident memory"),
    ("binary", "program"),
];

const IDLE: [(&str, &str); 2] =
    [("idle", "calls at rest, an hour"), ("poll", "a node's new address, as the documentation deploys it")];

impl Results {
    /// Enters a cell, and shows it at once.
    pub(super) fn put(&mut self, table: &str, row: &str, column: Column, text: String) {
        println!("{table}, {row}, {}: {text}", column.name());
        self.0.insert((table.to_owned(), row.to_owned(), column), text);
    }

    pub(super) fn tables(&self, columns: &[Column]) -> String {
        let mut text = conditions(columns);
        let faults: Vec<_> = faults::ROWS.iter().map(|(row, _)| (*row, faults::title(row))).collect();
        for (table, rows) in [("times", &TIMES[..]), ("idle", &IDLE[..]), ("faults", &faults[..])] {
            let rows: Vec<_> = rows
                .iter()
                .filter(|(row, _)| columns.iter().any(|column| self.cell(table, row, *column).is_some()))
                .collect();
            if rows.is_empty() {
                continue;
            }
            let titles: Vec<_> = columns.iter().map(|column| column.title()).collect();
            let _ = writeln!(text, "\n| {table} | {} |\n|---{}|", titles.join(" | "), "|---".repeat(titles.len()));
            for (row, title) in rows {
                let cells = columns.iter().map(|column| self.cell(table, row, *column).unwrap_or("–"));
                let _ = writeln!(text, "| {title} | {} |", cells.collect::<Vec<_>>().join(" | "));
            }
        }
        text
    }

    fn cell(&self, table: &str, row: &str, column: Column) -> Option<&str> {
        self.0.get(&(table.to_owned(), row.to_owned(), column)).map(String::as_str)
    }
}

/// Of what, where and when this was measured.
fn conditions(columns: &[Column]) -> String {
    let mut text = format!("Measured on {}, Linux {}, {} CPUs\n", Zoned::now().date(), kernel(), cpus());
    for column in columns {
        if *column == Column::Nodedns {
            let _ = writeln!(text, "- nodedns {} {}", env!("CARGO_PKG_VERSION"), commit());
        } else if *column != Column::ExternalDnsBest || !columns.contains(&Column::ExternalDns) {
            let variable = format!("{}_VERSION", column.variable());
            let version =
                std::env::var(&variable).unwrap_or_else(|_| format!("(of a version that {variable} does not say)"));
            let _ = writeln!(text, "- {} {version}", column.variable().to_lowercase().replace('_', "-"));
        }
    }
    text
}

fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn commit() -> String {
    let git = Command::new("git").args(["-C", env!("CARGO_MANIFEST_DIR"), "rev-parse", "--short", "HEAD"]).output();
    git.ok()
        .filter(|git| git.status.success())
        .map_or(String::new(), |git| format!("({})", String::from_utf8_lossy(&git.stdout).trim()))
}

/// To the digits that mean something.
pub(super) fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        ..0.1 => format!("{:.0} ms", seconds * 1000.0),
        ..10.0 => format!("{seconds:.1} s"),
        _ => format!("{seconds:.0} s"),
    }
}

/// `ListResourceRecordSets 1, ChangeResourceRecordSets 1`
pub(super) fn by_operation(requests: &[Request]) -> String {
    let mut counts = BTreeMap::<_, usize>::new();
    for request in requests {
        *counts.entry(request.operation.name()).or_default() += 1;
    }
    let words: Vec<_> = counts.into_iter().map(|(operation, count)| format!("{operation} {count}")).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}
