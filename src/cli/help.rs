//! `nodedns help`: what takes longer to explain than `--help` has room for.

mod expand;
pub mod page;
mod reasons;
pub mod topics;

use std::io::Write;
use std::sync::LazyLock;

use clap::CommandFactory;

use crate::cli::args::{Cli, HelpArgs};
use crate::cli::exit::Exit;
use crate::cli::help::topics::{TOPICS, Topic};
use crate::cli::render::{emit, paragraph, terminal_width};
use crate::config::nearest;

pub use reasons::{examples, intent};

/// How wide a text is where nobody says, and the widest that is easy to read.
const WIDTH: usize = 80;
const WIDEST: usize = 100;

/// Explains a topic or a command, or lists them.
///
/// # Errors
/// When the output cannot be written.
pub fn run(args: &HelpArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Exit> {
    let words: Vec<&str> = args.topic.iter().chain(&args.subcommand).map(String::as_str).collect();
    match text(&words, terminal_width().unwrap_or(WIDTH).min(WIDEST)) {
        Ok(text) => {
            emit(out, &text)?;
            Ok(Exit::Ok)
        }
        Err(unknown) => {
            emit(err, &unknown)?;
            Ok(Exit::Usage)
        }
    }
}

/// The explanation of a topic, or the long help of a command; for a word that is both, one behind the
/// other.
///
/// # Errors
/// What to say where there is no such topic or command.
pub fn text(words: &[&str], width: usize) -> Result<String, String> {
    let [first, rest @ ..] = words else { return Ok(overview(width)) };
    let topic = TOPICS.iter().find(|topic| topic.name == *first).filter(|_| rest.is_empty());
    match (command(words, width), topic) {
        (Ok(command), Some(topic)) => Ok(format!("{}\n\n{}", command.trim_end(), explain(topic, width))),
        (Ok(command), None) => Ok(command),
        (Err(_), Some(topic)) => Ok(explain(topic, width)),
        (Err(unknown), None) => Err(unknown),
    }
}

/// Every word that can be explained with its first line: topics, then commands. A word that is both comes
/// once.
pub fn explained() -> &'static [(String, String)] {
    static ALL: LazyLock<Vec<(String, String)>> = LazyLock::new(all);
    &ALL
}

fn all() -> Vec<(String, String)> {
    let topics = TOPICS.iter().map(|topic| (topic.name.to_owned(), topic.summary().to_owned()));
    let mut all: Vec<(String, String)> = topics.collect();
    for (name, summary) in expand::commands() {
        if !all.iter().any(|(known, _)| *known == name) {
            all.push((name, summary));
        }
    }
    all
}

/// Every topic and command, each with its first line.
fn overview(width: usize) -> String {
    let topics: Vec<_> = TOPICS.iter().map(|topic| (topic.name.to_owned(), topic.summary().to_owned())).collect();
    let commands = expand::commands();
    let rows = topics.iter().chain(&commands);
    let column = rows.map(|(name, _)| name.chars().count() + 4).max().unwrap_or(0);
    let mut text = String::from("Usage: nodedns help [TOPIC | COMMAND [SUBCOMMAND]]\n");
    for (heading, rows) in [("Topics", &topics), ("Commands", &commands)] {
        text.push_str(&format!("\n{heading}:\n"));
        for (name, summary) in rows {
            let mut lines = String::new();
            paragraph(&mut lines, summary, column, Some(width));
            text.push_str(&format!("{:column$}{}", format!("  {name}"), lines.trim_start()));
        }
    }
    text
}

fn explain(topic: &Topic, width: usize) -> String {
    let mut text = String::new();
    paragraph(&mut text, &format!("{}: {}", topic.name, topic.summary()), 0, Some(width));
    format!("{text}\n{}", topic.page().render(width))
}

/// The long help of the command that these words name.
fn command(words: &[&str], width: usize) -> Result<String, String> {
    let mut command = Cli::command().term_width(width);
    command.build();
    let mut path = String::from("nodedns");
    for (depth, word) in words.iter().enumerate() {
        let commands: Vec<String> = command.get_subcommands().map(|child| child.get_name().to_owned()).collect();
        match command.find_subcommand(word) {
            Some(child) => command = child.clone(),
            None => {
                let topics = TOPICS.iter().map(|topic| topic.name).filter(|_| depth == 0);
                let known: Vec<&str> = topics.chain(commands.iter().map(String::as_str)).collect();
                return Err(unknown(word, (depth > 0).then_some(path.as_str()), &known));
            }
        }
        path = format!("{path} {word}");
    }
    Ok(command.term_width(width).render_long_help().to_string())
}

fn unknown(word: &str, parent: Option<&str>, known: &[&str]) -> String {
    let what = match parent {
        None => format!("there is no topic and no command {word:?}"),
        Some(parent) => format!("'{parent}' has no command {word:?}"),
    };
    let mut near: Vec<&str> = known.iter().copied().filter(|known| !word.is_empty() && known.contains(word)).collect();
    near.extend(nearest(word, known));
    near.dedup();
    let meant: Vec<String> = near.iter().map(|word| format!("'{word}'")).collect();
    match meant.is_empty() {
        true => format!("error: {what}\nhint: 'nodedns help' lists them all\n"),
        false => format!("error: {what}\nhint: did you mean {}? 'nodedns help' lists them all\n", meant.join(" or ")),
    }
}
