//! How findings look to people.

use crate::cli::check::findings::{Counts, Finding, Outcome, Section};
use crate::cli::render::paragraph;

/// How lines are to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Columns to wrap at; `None`: not at all.
    pub width: Option<usize>,
    /// Whether ✓ and ✗ can be shown; else words stand for them.
    pub unicode: bool,
}

/// Blanks before a sign.
const INDENT: usize = 2;

/// The variables that say in which encoding a terminal shows text, the one that decides first.
/// Source: POSIX, "Environment Variables", 8.2.
pub const LOCALE_VARIABLES: [&str; 3] = ["LC_ALL", "LC_CTYPE", "LANG"];

/// Whether text is shown in UTF-8: what the first of the [`LOCALE_VARIABLES`] says that is set and not empty.
pub fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale = LOCALE_VARIABLES.into_iter().filter_map(variable).find(|value| !value.is_empty());
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// A section's heading, with a blank line before it unless it is the first.
pub fn heading(section: Section, first: bool) -> String {
    let blank = if first { "" } else { "\n" };
    format!("{blank}{}\n", section.title())
}

/// Appends a finding: a line, wrapped if it has to be, and its remedy below it.
pub fn line(text: &mut String, finding: &Finding, style: Style) {
    let sign = sign(finding.outcome, style.unicode);
    let indent = INDENT + sign.chars().count() + 1;
    let mut words = String::new();
    paragraph(&mut words, &format!("{}: {}", finding.subject, finding.text), indent, style.width);
    // The sign hangs before the first line.
    text.push_str(&format!("{}{sign} {}", " ".repeat(INDENT), words.trim_start()));
    let Some(remedy) = &finding.remedy else { return };
    for (index, line) in remedy.lines().enumerate() {
        match (index, line.starts_with(' ')) {
            (_, true) => text.push_str(&format!("{}{line}\n", " ".repeat(indent))),
            (0, false) => paragraph(text, &format!("hint: {line}"), indent, style.width),
            (_, false) => paragraph(text, line, indent, style.width),
        }
    }
}

fn sign(outcome: Outcome, unicode: bool) -> &'static str {
    match (outcome, unicode) {
        (Outcome::Ok, true) => "✓",
        (Outcome::Warning, true) => "!",
        (Outcome::Failed, true) => "✗",
        (Outcome::Skipped, true) => "-",
        // Of one width, so that what follows is aligned.
        (Outcome::Ok, false) => "ok     ",
        (Outcome::Warning, false) => "warning",
        (Outcome::Failed, false) => "FAILED ",
        (Outcome::Skipped, false) => "skipped",
    }
}

/// The last line: how many checks came to what.
pub fn summary(counts: Counts) -> String {
    let mut text = format!("{} good", counts.ok);
    match counts.warning {
        0 => {}
        1 => text.push_str(", 1 warning"),
        warnings => text.push_str(&format!(", {warnings} warnings")),
    }
    match counts.failed {
        0 => text.push_str(", nothing to mend"),
        failed => text.push_str(&format!(", {failed} to mend")),
    }
    if counts.skipped > 0 {
        text.push_str(&format!(", {} not checked", counts.skipped));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::ids::Id;

    fn shown(finding: &Finding, width: Option<usize>, unicode: bool) -> String {
        let mut text = String::new();
        line(&mut text, finding, Style { width, unicode });
        text
    }

    #[test]
    fn a_finding_hangs_behind_its_sign_and_its_remedy_below_it() {
        let finding = Finding::failed(Id::OwnNode, "Node n1", "the API server forbids it")
            .remedy("give it the right with this:\n  kind: List\n    deep:   as it is, however long it may be");
        assert_eq!(
            shown(&finding, Some(24), true),
            "  ✗ Node n1: the API\n    server forbids it\n    hint: give it the\n    right with this:\n      \
             kind: List\n        deep:   as it is, however long it may be\n"
        );
        assert_eq!(
            shown(&finding, None, true),
            "  ✗ Node n1: the API server forbids it\n    hint: give it the right with this:\n      kind: List\n        \
             deep:   as it is, however long it may be\n"
        );
    }

    #[test]
    fn without_unicode_words_stand_for_the_signs() {
        for (finding, sign, word) in [
            (Finding::ok(Id::Clock, "a", "b"), "✓", "ok     "),
            (Finding::warning(Id::Clock, "a", "b"), "!", "warning"),
            (Finding::failed(Id::Clock, "a", "b"), "✗", "FAILED "),
            (Finding::skipped(Id::Clock, "a", "b"), "-", "skipped"),
        ] {
            assert_eq!(shown(&finding, None, true), format!("  {sign} a: b\n"));
            assert_eq!(shown(&finding, None, false), format!("  {word} a: b\n"));
        }
    }

    #[test]
    fn the_first_variable_that_says_something_decides_the_encoding() {
        for (variables, utf8) in [
            (&[][..], false),
            (&[("LANG", "en_GB.UTF-8")], true),
            (&[("LANG", "C.utf8")], true),
            (&[("LANG", "C")], false),
            (&[("LANG", "de_DE.ISO-8859-1")], false),
            (&[("LC_ALL", ""), ("LC_CTYPE", "C.UTF-8"), ("LANG", "C")], true),
            (&[("LC_ALL", "C"), ("LC_CTYPE", "C.UTF-8"), ("LANG", "C.UTF-8")], false),
            (&[("LC_CTYPE", "POSIX"), ("LANG", "C.UTF-8")], false),
        ] {
            let value = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(is_utf8(value), utf8, "{variables:?}");
        }
    }

    #[test]
    fn the_last_line_counts() {
        let counts = |ok, warning, failed, skipped| summary(Counts { ok, warning, failed, skipped });
        assert_eq!(counts(12, 1, 2, 0), "12 good, 1 warning, 2 to mend");
        assert_eq!(counts(12, 0, 0, 0), "12 good, nothing to mend");
        assert_eq!(counts(0, 2, 1, 3), "0 good, 2 warnings, 1 to mend, 3 not checked");
    }
}
