//! The plain texts that explanations are written in, and how they come to the terminal.
//!
//! | source | what it is |
//! |---|---|
//! | `## Heading` | a heading |
//! | `term :: text` | a definition; the text may go on until a blank line |
//! | lines behind two blanks | kept as they are |
//! | anything else, until a blank line | a paragraph |

use crate::cli::render::paragraph;

/// A text, cut into its blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page(pub Vec<Block>);

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// A heading.
    Heading(String),
    /// Words, to be wrapped.
    Paragraph(String),
    /// A term and what it means.
    Definition {
        /// The term.
        term: String,
        /// What it means.
        text: String,
    },
    /// Lines, to be kept as they are.
    Verbatim(Vec<String>),
}

/// How far lines that are kept, and terms, are indented.
const INDENT: usize = 2;

/// How far the meaning of a term is.
const MEANING: usize = 6;

impl Page {
    /// Reads a text.
    pub fn parse(source: &str) -> Self {
        let mut blocks: Vec<Block> = Vec::new();
        let mut open = false;
        for line in source.lines() {
            if line.is_empty() {
                open = false;
                continue;
            }
            match (blocks.last_mut(), line.strip_prefix("  ")) {
                (Some(Block::Verbatim(lines)), Some(kept)) => {
                    if !open {
                        lines.push(String::new());
                    }
                    lines.push(kept.to_owned());
                }
                (_, Some(kept)) => blocks.push(Block::Verbatim(vec![kept.to_owned()])),
                (Some(Block::Paragraph(text) | Block::Definition { text, .. }), None) if open => {
                    text.push(' ');
                    text.push_str(line);
                }
                (_, None) => blocks.push(Block::of(line)),
            }
            open = true;
        }
        Page(blocks)
    }

    /// The text, no line of which is wider than `width` where that can be; lines that are kept as they
    /// are may be.
    pub fn render(&self, width: usize) -> String {
        let mut text = String::new();
        for (index, block) in self.0.iter().enumerate() {
            if index > 0 {
                text.push('\n');
            }
            match block {
                Block::Heading(heading) => text.push_str(&format!("{heading}:\n")),
                Block::Paragraph(words) => paragraph(&mut text, words, 0, Some(width)),
                Block::Definition { term, text: meaning } => {
                    text.push_str(&format!("{:INDENT$}{term}\n", ""));
                    paragraph(&mut text, meaning, MEANING, Some(width));
                }
                Block::Verbatim(lines) => {
                    for line in lines {
                        text.push_str(format!("{:INDENT$}{line}", "").trim_end());
                        text.push('\n');
                    }
                }
            }
        }
        text
    }
}

impl Block {
    fn of(line: &str) -> Self {
        if let Some(heading) = line.strip_prefix("## ") {
            return Block::Heading(heading.to_owned());
        }
        match line.split_once(" :: ") {
            Some((term, text)) => Block::Definition { term: term.to_owned(), text: text.to_owned() },
            None => Block::Paragraph(line.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "one two\nthree\n\n## Head\n\nkey :: what it\nmeans\n\n  $ a  b\n\n  $ c\n\nfour\n";

    #[test]
    fn a_text_is_cut_at_its_blank_lines() {
        let definition = Block::Definition { term: "key".to_owned(), text: "what it means".to_owned() };
        assert_eq!(
            Page::parse(SOURCE).0,
            [
                Block::Paragraph("one two three".to_owned()),
                Block::Heading("Head".to_owned()),
                definition,
                Block::Verbatim(vec!["$ a  b".to_owned(), String::new(), "$ c".to_owned()]),
                Block::Paragraph("four".to_owned()),
            ]
        );
    }

    #[test]
    fn words_are_wrapped_and_lines_are_kept() {
        assert_eq!(
            Page::parse(SOURCE).render(8),
            "one two\nthree\n\nHead:\n\n  key\n      what\n      it\n      means\n\n  $ a  b\n\n  $ c\n\nfour\n"
        );
    }
}
