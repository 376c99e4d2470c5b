//! What the subcommands that show something have in common.

use std::io::{self, IsTerminal, Write};

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use jiff::Timestamp;
use rustix::termios::tcgetwinsize;
use serde::Serialize;

use crate::cli::args::Output;
use crate::decide::time::Lasting;

/// How many columns there are to write to; `None` when nobody looks, and then nothing is wrapped,
/// so that every row stays a line for `grep`.
pub fn terminal_width() -> Option<usize> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    tcgetwinsize(&stdout).ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Somebody else's text without anything that a terminal would obey, or that changes the order of what
/// stands around it, or that nobody sees: control characters, line breaks among them, and the characters
/// of bidirectional and invisible formatting. What is there instead is the escape of Rust and of others,
/// as in `\n` and `\u{202e}`. Escaping twice changes nothing more.
///
/// Source: Unicode Standard Annex #9 (bidirectional algorithm), Unicode Technical Report #36, 2.5.
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        match is_printable(c) {
            true => printable.push(c),
            false => printable.extend(c.escape_default()),
        }
    }
    printable
}

/// Whether it is neither a control nor an invisible format character.
pub fn is_printable(c: char) -> bool {
    let formats = matches!(
        c,
        '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    !c.is_control() && !formats
}

/// A table with two blanks between the columns and none at the end of a line. Where it would be
/// wider than `width`, the last column is wrapped between words. Every cell is [`printable`], on one line.
pub fn table(header: &[&str], rows: &[Vec<String>], width: Option<usize>) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    arrange(header, &rows, width)
}

/// The same of cells that may have several lines, each of them [`printable`].
pub fn table_of_lines(header: &[&str], rows: &[Vec<Vec<String>>]) -> String {
    let cell = |lines: &Vec<String>| lines.iter().map(|line| printable(line)).collect::<Vec<_>>().join("\n");
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    arrange(header, &rows, None)
}

fn arrange(header: &[&str], rows: &[Vec<String>], width: Option<usize>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP)).set_constraint(ColumnConstraint::ContentWidth);
    }
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns(width));
        let last = rows.iter().filter_map(|row| row.last()).flat_map(|cell| cell.split(' '));
        let longest_word = columns(last.map(|word| word.chars().count()).max().unwrap_or(0));
        if let Some(column) = table.column_iter_mut().last() {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(longest_word + GAP)));
        }
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// Blanks between two columns.
const GAP: u16 = 2;

fn columns(count: usize) -> u16 {
    // Room for the gap, which is added to it.
    u16::try_from(count).unwrap_or(u16::MAX).min(u16::MAX - GAP)
}

/// `1 record set`, `2 record sets`.
pub fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Appends a paragraph, [`printable`] and wrapped at `width`, every line of it behind `indent` blanks. Any
/// white space is as good as a blank.
pub fn paragraph(text: &mut String, paragraph: &str, indent: usize, width: Option<usize>) {
    let mut column = 0;
    for word in paragraph.split_whitespace().map(printable) {
        let length = word.chars().count();
        if column == 0 {
            text.push_str(&" ".repeat(indent));
            column = indent;
        } else if width.is_some_and(|width| column + 1 + length > width) {
            text.push('\n');
            text.push_str(&" ".repeat(indent));
            column = indent;
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(&word);
        column += length;
    }
    text.push('\n');
}

/// How long before or after `now` this is, in two units at most: `40s`, `5m`, `3h 5m`, `1d 1h`.
pub fn distance(at: Timestamp, now: Timestamp) -> String {
    Lasting(now.duration_since(at).unsigned_abs()).to_string()
}

/// A format for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structured {
    /// RFC 8259.
    Json,
    /// YAML 1.2, of which JSON is a part.
    Yaml,
}

impl Output {
    /// The format for programs, if that is what was asked for.
    pub fn structured(self) -> Option<Structured> {
        match self {
            Output::Table => None,
            Output::Json => Some(Structured::Json),
            Output::Yaml => Some(Structured::Yaml),
        }
    }
}

/// The output cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the output")]
pub struct OutputError(#[source] pub(super) io::Error);

impl OutputError {
    /// Whether it only means that the reader has seen enough (`nodedns status | head -1`).
    pub fn is_broken_pipe(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}

/// Writes `value` as JSON and a line break: on many lines, or on one.
///
/// # Errors
/// When it cannot be written.
pub fn emit_json(out: &mut dyn Write, value: &impl Serialize, one_line: bool) -> Result<(), OutputError> {
    let json = if one_line { serde_json::to_string(value) } else { serde_json::to_string_pretty(value) };
    emit_exact(out, &(json.map_err(|error| OutputError(error.into()))? + "\n"))
}

/// Writes `value` as JSON on many lines, or as YAML.
///
/// # Errors
/// When it cannot be written.
pub fn emit_value(out: &mut dyn Write, value: &impl Serialize, format: Structured) -> Result<(), OutputError> {
    match format {
        Structured::Json => emit_json(out, value, false),
        Structured::Yaml => {
            let text = serde_saphyr::to_string(value).map_err(|error| OutputError(io::Error::other(error)))?;
            emit_exact(out, &text)
        }
    }
}

/// Writes one of many values: as JSON on a line of its own, or as a YAML document behind its `---`.
///
/// # Errors
/// When it cannot be written.
pub fn emit_one_of_many(out: &mut dyn Write, value: &impl Serialize, format: Structured) -> Result<(), OutputError> {
    match format {
        Structured::Json => emit_json(out, value, true),
        Structured::Yaml => {
            emit_exact(out, "---\n")?;
            emit_value(out, value, format)
        }
    }
}

/// Writes a text for people at once, line by line [`printable`].
///
/// # Errors
/// When it cannot be written.
pub fn emit(out: &mut dyn Write, text: &str) -> Result<(), OutputError> {
    emit_exact(out, &printable_lines(text))
}

/// The text line by line [`printable`].
pub fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// Writes a text for programs at once, as it is.
///
/// # Errors
/// When it cannot be written.
pub fn emit_exact(out: &mut dyn Write, text: &str) -> Result<(), OutputError> {
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(OutputError)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn distances_have_two_units_at_most() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().expect("a timestamp");
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3599, "59m"),
            (3600, "1h"),
            (3660, "1h 1m"),
            (86_399, "23h 59m"),
            (86_400, "1d"),
            (90_000, "1d 1h"),
            (40_000_000, "462d 23h"),
        ] {
            assert_eq!(distance(now - SignedDuration::from_secs(seconds), now), text);
            assert_eq!(distance(now + SignedDuration::from_secs(seconds), now), text);
        }
    }

    /// A set identifier that would pass for two rows, clear the screen and turn its end around.
    const HOSTILE: &str = "a\n b\u{9b}2J\u{1b}[2J\u{202e}c\u{2028}d\u{200b}\r";
    const ESCAPED: &str = "a\\n b\\u{9b}2J\\u{1b}[2J\\u{202e}c\\u{2028}d\\u{200b}\\r";

    #[test]
    fn nothing_of_somebody_else_is_obeyed_by_a_terminal() {
        assert_eq!(printable(HOSTILE), ESCAPED);
        assert_eq!(printable(ESCAPED), ESCAPED, "twice is once");
        assert_eq!(printable("Zürich 東京 \\"), "Zürich 東京 \\");
        let rows = [vec![HOSTILE.to_owned(), "x".to_owned()]];
        let shown = table(&["ONE", "TWO"], &rows, None);
        assert_eq!(shown.lines().nth(1), Some(format!("{ESCAPED}  x").as_str()));
        assert_eq!(shown.lines().count(), 2);
        let lines = [vec![vec![HOSTILE.to_owned(), "b".to_owned()], vec!["x".to_owned()]]];
        assert_eq!(table_of_lines(&["ONE", "TWO"], &lines).lines().count(), 3);
        let mut text = String::new();
        paragraph(&mut text, HOSTILE, 0, None);
        assert_eq!(text, "a b\\u{9b}2J\\u{1b}[2J\\u{202e}c d\\u{200b}\n");
        let mut out = Vec::new();
        emit(&mut out, "\u{1b}[2J\n\u{202e}\n").expect("written");
        assert_eq!(String::from_utf8_lossy(&out), "\\u{1b}[2J\n\\u{202e}\n");
    }

    #[test]
    fn programs_get_what_there_is() {
        for format in [Structured::Json, Structured::Yaml] {
            let mut out = Vec::new();
            emit_value(&mut out, &[HOSTILE], format).expect("written");
            let text = String::from_utf8(out).expect("text");
            let read: Vec<String> = match format {
                Structured::Json => serde_json::from_str(&text).expect("JSON"),
                Structured::Yaml => serde_saphyr::from_str(&text).expect("YAML"),
            };
            assert_eq!(read, [HOSTILE], "{text}");
        }
    }

    #[test]
    fn paragraphs_are_wrapped_between_words_and_never_within() {
        let wrap = |width| {
            let mut text = String::new();
            paragraph(&mut text, "one  two three incomprehensibilities", 2, width);
            text
        };
        assert_eq!(wrap(None), "  one two three incomprehensibilities\n");
        assert_eq!(wrap(Some(9)), "  one two\n  three\n  incomprehensibilities\n");
        assert_eq!(wrap(Some(1)), "  one\n  two\n  three\n  incomprehensibilities\n");
    }
}
