//! nodedns beside what it replaces: kube-node-dns and ExternalDNS, on a real cluster, with the same Route 53, the same
//! events and the same faults. `run` beside this file starts it; the programs to compare with are the caller's.
//!
//! Each column has clusters of its own, so that nothing is left from another. Where times are measured one column runs
//! at a time; the faults, and the time at rest, are measured in seconds and run side by side.

mod column;
mod faults;
mod idle;
mod lab;
mod report;
mod times;

use std::sync::{Arc, Mutex};
use std::thread;

use column::Column;
use lab::in_lab;
use report::Results;

/// What is to be measured: words, or all.
#[derive(Clone)]
struct Choice(Vec<String>);

impl Choice {
    fn of_the_caller() -> Choice {
        let words = std::env::var("NODEDNS_TEST_COMPARE").unwrap_or_default();
        let words: Vec<_> = words.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned).collect();
        let known = |word: &&String| {
            Column::ALL.iter().any(|column| column.name() == word.as_str())
                || ["times", "faults", "idle"].contains(&word.as_str())
                || times::ROWS.contains(&word.as_str())
                || faults::ROWS.iter().any(|(row, _)| row == word)
        };
        if let Some(unknown) = words.iter().find(|word| !known(word)) {
            panic!("NODEDNS_TEST_COMPARE: there is no column and no row {unknown:?}");
        }
        Choice(words)
    }

    fn names(&self, column: Column) -> bool {
        self.0.iter().any(|word| word == column.name())
    }

    fn has_column(&self, column: Column) -> bool {
        !Column::ALL.into_iter().any(|column| self.names(column)) || self.names(column)
    }

    /// A row is named itself, or its group is, or nothing but columns.
    fn has_row(&self, group: &str, row: &str) -> bool {
        let rows = self.0.iter().filter(|word| Column::ALL.iter().all(|column| column.name() != word.as_str()));
        let rows: Vec<_> = rows.collect();
        rows.is_empty() || rows.iter().any(|word| *word == group || *word == row)
    }
}

#[test]
#[ignore = "by hand: tests/e2e/compare/run, with the programs to compare with; it takes about 50 minutes"]
fn nodedns_beside_what_it_replaces() {
    let columns: Vec<_> = Column::ALL.into_iter().filter(|column| column.program().is_some()).collect();
    assert!(
        columns.len() > 1,
        "there is nothing to compare with: set KUBE_NODE_DNS=, EXTERNAL_DNS= or both to the programs"
    );
    for column in Column::ALL.iter().filter(|column| column.program().is_none()) {
        println!("{} is left out: {} is not set", column.name(), column.variable());
    }
    let choice = Choice::of_the_caller();
    let columns: Vec<_> = columns.into_iter().filter(|column| choice.has_column(*column)).collect();
    let results = Arc::new(Mutex::new(Results::default()));
    let mut failed = Vec::new();

    for &column in &columns {
        let rows: Vec<_> = times::ROWS.into_iter().filter(|row| choice.has_row("times", row)).collect();
        if rows.is_empty() {
            continue;
        }
        let to = Arc::clone(&results);
        let cell = thread::spawn(move || in_lab(async move |lab| times::measure(&lab, column, &rows, &to).await));
        if cell.join().is_err() {
            failed.push(format!("times, {}", column.name()));
        }
    }

    let mut cells = Vec::new();
    // The two of ExternalDNS differ in where they read Nodes, not in how they write: one is tried unless both are named.
    let both = |column: Column| column != Column::ExternalDns || choice.names(column);
    for column in columns.iter().copied().filter(|column| both(*column)) {
        let rows: Vec<_> = faults::ROWS.into_iter().filter(|(row, _)| choice.has_row("faults", row)).collect();
        if rows.is_empty() {
            continue;
        }
        let to = Arc::clone(&results);
        let cell = thread::spawn(move || in_lab(async move |lab| faults::measure(&lab, column, &rows, &to).await));
        cells.push((format!("faults, {}", column.name()), cell));
    }
    if choice.has_row("idle", "idle") {
        let (to, columns) = (Arc::clone(&results), columns.clone());
        let cell = thread::spawn(move || in_lab(async move |lab| idle::measure(&lab, &columns, &to).await));
        cells.push(("idle".to_owned(), cell));
    }
    for (name, cell) in cells {
        if cell.join().is_err() {
            failed.push(name);
        }
    }
    println!("\n{}", results.lock().expect("nobody panics with it").tables(&columns));
    assert!(failed.is_empty(), "not measured whole: {failed:?}");
}
