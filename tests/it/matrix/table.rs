//! What a matrix shows of itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// Results of cells, one row for each fault.
#[derive(Debug, Default)]
pub(super) struct Table {
    title: String,
    columns: Vec<String>,
    rows: Vec<(String, Row)>,
    left_out: BTreeMap<String, usize>,
}

#[derive(Debug, Clone, Default)]
struct Row {
    cells: BTreeMap<String, usize>,
    strikes: u64,
    slowest: Duration,
}

impl Table {
    pub(super) fn new(title: &str, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        Table { title: title.to_owned(), columns, ..Table::default() }
    }

    /// A cell that ran and was right: how often the fault struck, and how long after its end the
    /// pool was right.
    pub(super) fn right(&mut self, fault: &str, column: &str, strikes: u32, recovery: Duration) {
        let row = self.row(fault);
        *row.cells.entry(column.to_owned()).or_default() += 1;
        row.strikes += u64::from(strikes);
        row.slowest = row.slowest.max(recovery);
    }

    /// A cell that makes no sense, and why.
    pub(super) fn left_out(&mut self, what: String) {
        *self.left_out.entry(what).or_default() += 1;
    }

    pub(super) fn count(&self) -> usize {
        self.rows.iter().flat_map(|(_, row)| row.cells.values()).sum()
    }

    pub(super) fn count_left_out(&self) -> usize {
        self.left_out.values().sum()
    }

    fn row(&mut self, fault: &str) -> &mut Row {
        let at = self.rows.iter().position(|(name, _)| name == fault).unwrap_or_else(|| {
            self.rows.push((fault.to_owned(), Row::default()));
            self.rows.len() - 1
        });
        &mut self.rows[at].1
    }

    /// Prints it, in one piece.
    pub(super) fn show(&self) {
        let mut text = format!("\n{}\n{:<36}", self.title, "fault");
        for column in &self.columns {
            let _ = write!(text, "{column:>12}");
        }
        let _ = writeln!(text, "{:>9}{:>12}", "met", "right within");
        for (fault, row) in &self.rows {
            let _ = write!(text, "{fault:<36}");
            for column in &self.columns {
                let count = row.cells.get(column).map_or_else(|| "-".to_owned(), |count| format!("{count} right"));
                let _ = write!(text, "{count:>12}");
            }
            let _ = writeln!(text, "{:>9}{:>10.1} s", row.strikes, row.slowest.as_secs_f64());
        }
        let strikes: u64 = self.rows.iter().map(|(_, row)| row.strikes).sum();
        let _ = writeln!(
            text,
            "{} cells, {strikes} requests met a fault, all right in the end, nothing lost",
            self.count()
        );
        for (why, count) in &self.left_out {
            let _ = writeln!(text, "left out, {count} cells: {why}");
        }
        println!("{text}");
    }
}
