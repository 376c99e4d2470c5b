//! `nodedns help` and `nodedns completions`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use clap::CommandFactory;
use nodedns::cli::args::{Cli, Shell};
use nodedns::cli::completions;
use nodedns::cli::help::page::Block;
use nodedns::cli::help::topics::{TOPICS, Topic};
use nodedns::cli::help::{examples, explained, intent, text};
use route53_sim::Sim;
use serde_json::Value;
use tempfile::TempDir;

use crate::control::{status_of, troubled_report};
use crate::support::desk::Desk;
use crate::support::skip;

fn topic(name: &str) -> &'static Topic {
    TOPICS.iter().find(|topic| topic.name == name).expect("a topic")
}

fn terms(name: &str) -> BTreeSet<String> {
    let blocks = topic(name).page().0.into_iter();
    blocks.filter_map(|block| if let Block::Definition { term, .. } = block { Some(term) } else { None }).collect()
}

/// The program without a configuration.
fn desk() -> Desk {
    Desk::new(Sim::builder().start(), "")
}

#[tokio::test]
async fn topics_and_commands_are_listed() {
    let said = desk().run(&["help"]).await;
    assert_eq!(said.code, Some(0));
    insta::assert_snapshot!(said.out);
}

#[tokio::test]
async fn an_unknown_topic_is_told_with_what_may_have_been_meant() {
    let desk = desk();
    for (words, said) in [
        (
            &["signal"][..],
            "error: there is no topic and no command \"signal\"\nhint: did you mean 'signals'? 'nodedns help' lists them \
             all\n",
        ),
        (
            &["never-emtpy"],
            "error: there is no topic and no command \"never-emtpy\"\nhint: did you mean 'never-empty'? 'nodedns help' \
             lists them all\n",
        ),
        (
            &["config", "chek"],
            "error: 'nodedns config' has no command \"chek\"\nhint: did you mean 'check'? 'nodedns help' lists them \
             all\n",
        ),
        (&["xyzzy"], "error: there is no topic and no command \"xyzzy\"\nhint: 'nodedns help' lists them all\n"),
        (&["signals", "more"], "error: there is no topic and no command \"signals\"\nhint: did you mean 'signals'?"),
    ] {
        let found = desk.run(&[&["help"], words].concat()).await;
        assert_eq!(found.code, Some(64), "{words:?}");
        assert!(found.out.is_empty() && found.err.starts_with(said), "{words:?}: {}", found.err);
    }
}

#[tokio::test]
async fn help_of_a_command_is_its_long_help() {
    let desk = desk();
    for words in [&["status"][..], &["config", "check"], &["health-checks", "gc"]] {
        let (help, long) =
            (desk.run(&[&["help"], words].concat()).await, desk.run(&[words, &["--help"]].concat()).await);
        assert_eq!((help.code, long.code), (Some(0), Some(0)));
        let unwrapped = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(unwrapped(&help.out), unwrapped(&long.out), "{words:?}");
    }
    // A word that is both gives both.
    let prune = desk.run(&["help", "prune"]).await.out;
    assert!(prune.contains("Usage: nodedns prune") && prune.contains(topic("prune").summary()), "{prune}");
}

#[test]
fn every_topic_says_something_and_fits_the_terminal() {
    for topic in &TOPICS {
        assert!(!topic.summary().is_empty() && !topic.summary().ends_with('.'), "{}", topic.name);
        for width in [60, 80, 100] {
            let text = text(&[topic.name], width).expect("a topic");
            assert!(text.len() > 500, "{}: {text}", topic.name);
            assert!(!text.contains("{{"), "{}: something is not filled in:\n{text}", topic.name);
            assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{}", topic.name);
            let kept = |line: &str| line.starts_with("  ") || !line.contains(' ');
            let wide = text.lines().find(|line| line.chars().count() > width && !kept(line));
            assert_eq!(wide, None, "{} at {width}", topic.name);
            let too_wide = text.lines().find(|line| line.chars().count() > 100);
            assert_eq!(too_wide, None, "{} at {width}", topic.name);
        }
    }
    let names: Vec<&str> = TOPICS.iter().map(|topic| topic.name).collect();
    let known: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(known.len(), names.len());
    // What the texts refer to is there.
    let commands: BTreeSet<String> =
        Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
    for topic in &TOPICS {
        let text = text(&[topic.name], 10_000).expect("a topic");
        for (at, found) in text.match_indices("'nodedns help ") {
            let word = text[at + found.len()..].split('\'').next().expect("a word");
            assert!(known.contains(word) || commands.contains(word), "{}: {word}", topic.name);
        }
    }
}

/// Every word that `Reason::as_str` can give is explained, under the intent that it leads to.
#[test]
fn every_reason_is_explained() {
    let source = include_str!("../../../src/decide/reason.rs");
    let body = source.split("pub fn as_str(&self) -> &'static str {").nth(2).expect("that of Reason");
    let words: BTreeSet<&str> = body
        .lines()
        .take_while(|line| *line != "    }")
        .filter(|line| line.trim_start().starts_with("Reason::"))
        .filter_map(|line| line.split('"').nth(1))
        .collect();
    assert!(words.len() > 25, "the search has lost its way: {words:?}");
    let known: Vec<&str> = examples().iter().map(|reason| reason.as_str()).collect();
    assert_eq!(known.iter().copied().collect::<BTreeSet<_>>(), words);
    assert_eq!(known.len(), words.len(), "each once");
    let explained = terms("intents");
    for reason in examples() {
        assert!(explained.contains(reason.as_str()), "{}", reason.as_str());
        assert!(explained.contains(intent(&reason)), "{}", intent(&reason));
    }
    // As the engine itself has it, in a report with most kinds of trouble.
    for record in status_of(&troubled_report()).records {
        let reason = examples().into_iter().find(|reason| reason.as_str() == record.reason).expect("known");
        let held = record.held_back.is_some();
        assert!(held || intent(&reason) == record.intent.to_string(), "{}: {}", record.reason, record.intent);
    }
}

/// Each key of a real status is in the text, at its place.
#[test]
fn every_key_of_the_output_is_explained() {
    fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    let list = if value.is_array() { "[]" } else { "" };
                    let inner = format!("{path}{key}{list}");
                    found.insert(inner.clone());
                    paths(value, &format!("{inner}."), found);
                }
            }
            Value::Array(elements) => elements.iter().for_each(|element| paths(element, path, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    paths(&serde_json::to_value(status_of(&troubled_report())).expect("JSON"), "", &mut found);
    assert!(found.len() > 50, "{found:?}");
    let explained = terms("output");
    // Where there is nothing in a list or an option, it is one all the same.
    let missing: Vec<_> =
        found.iter().filter(|path| !explained.contains(*path) && !explained.contains(&format!("{path}[]"))).collect();
    assert!(missing.is_empty(), "{missing:?} are not in {explained:?}");
}

fn scripts() -> (TempDir, impl Fn(Shell, &str) -> PathBuf) {
    let directory = TempDir::new().expect("a directory");
    let root = directory.path().to_owned();
    let written = move |shell, name: &str| {
        let path = root.join(name);
        std::fs::write(&path, completions::script(shell)).expect("written");
        path
    };
    (directory, written)
}

/// What a shell says, or `None` where there is none.
fn shell(program: &str, args: &[&str]) -> Option<String> {
    match Command::new(program).args(args).env("TERM", "dumb").output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{program}: {text}{}", String::from_utf8_lossy(&output.stderr));
            Some(text)
        }
        Err(_) => {
            skip(&format!("there is no {program} here"));
            None
        }
    }
}

#[tokio::test]
async fn the_program_prints_what_the_packages_install() {
    let desk = desk();
    for (word, shell) in [("bash", Shell::Bash), ("zsh", Shell::Zsh), ("fish", Shell::Fish)] {
        let said = desk.run(&["completions", word]).await;
        assert_eq!((said.code, said.out), (Some(0), completions::script(shell)));
    }
    assert_eq!(desk.run(&["completions", "powershell"]).await.code, Some(64));
}

#[test]
fn bash_completes_commands_and_words() {
    let (_directory, write) = scripts();
    let script = write(Shell::Bash, "nodedns.bash");
    let complete = |words: &str, index: usize| {
        let mut from_the_end = words.split(' ').rev();
        let last = from_the_end.next().expect("a word");
        let before = from_the_end.next().expect("a word");
        let line = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD={index}; _nodedns nodedns {last:?} {before}; echo \"${{COMPREPLY[*]}}\"",
            script.display()
        );
        shell("bash", &["--norc", "-c", &line]).expect("bash is everywhere").trim().to_owned()
    };
    assert_eq!(complete("nodedns dr", 1), "drain");
    assert_eq!(complete("nodedns config sh", 2), "show");
    assert_eq!(complete("nodedns completions ", 2), "-h --help bash zsh fish");
    assert_eq!(complete("nodedns status --output y", 3), "yaml");
    assert_eq!(complete("nodedns help ne", 2), "never-empty");
    assert_eq!(complete("nodedns help exp", 2), "");
    let words = complete("nodedns help ", 2);
    for (word, _) in explained() {
        assert_eq!(words.split(' ').filter(|offered| offered == word).count(), 1, "{word} in {words}");
    }
}

#[test]
fn what_adopt_is_for_says_so() {
    let conflicts = examples()
        .into_iter()
        .filter(|reason| reason.as_str().ends_with("e_conflict") || reason.as_str().ends_with("y_conflict"));
    let said: Vec<(&str, String)> = conflicts.map(|reason| (reason.as_str(), reason.to_string())).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    for (reason, text) in said {
        assert!(text.contains("'nodedns adopt' takes "), "{text}");
        assert_eq!(text.contains("delete it by hand first"), reason == "cname_conflict", "{text}");
    }
}

#[test]
fn zsh_and_fish_complete_what_can_be_explained() {
    let (zsh, fish) = (completions::script(Shell::Zsh), completions::script(Shell::Fish));
    let condition = "complete -c nodedns -n \"__fish_nodedns_using_subcommand help; and test ";
    let offer = fish.split(condition).nth(1).expect("what fish offers");
    for (word, summary) in explained() {
        assert!(zsh.contains(&format!("{word}\\:")), "{word} in {zsh}");
        let summary = summary.replace('\'', "\\'");
        assert!(offer.contains(&format!("{word}\\t'{summary}'")), "{word} in {offer}");
    }
    if let Some(said) = shell("fish", &["--no-config", "-c", &format!("{fish}\ncomplete -C 'nodedns help never'")]) {
        assert!(said.starts_with("never-empty\t"), "{said}");
    }
}

#[test]
fn zsh_takes_its_script() {
    let (directory, write) = scripts();
    write(Shell::Zsh, "_nodedns");
    let line = format!(
        "fpath=({} $fpath); autoload -Uz compinit; compinit -u -d {}/dump; autoload +X -Uz _nodedns; \
         print $_comps[nodedns]; print ${{+functions[_nodedns]}}",
        directory.path().display(),
        directory.path().display()
    );
    if let Some(said) = shell("zsh", &["-f", "-c", &line]) {
        assert_eq!(said, "_nodedns\n1\n");
    }
}

#[test]
fn fish_completes_commands() {
    let (directory, write) = scripts();
    let script = write(Shell::Fish, "nodedns.fish");
    let home = directory.path().display().to_string();
    let line = format!("set -gx HOME {home}; source {}; complete --do-complete 'nodedns dr'", script.display());
    if let Some(said) = shell("fish", &["--no-config", "-c", &line]) {
        assert!(said.starts_with("drain\t"), "{said}");
    }
}
