//! What every command has in common: its formats, its help, its manners in a pipe.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use clap::{Command, CommandFactory};
use nodedns::cli::args::Cli;
use nodedns::cli::exit::Exit;
use nodedns::cli::render::{Structured, emit_one_of_many, emit_value};
use nodedns::control::protocol::Status;
use proptest::prelude::*;
use route53_sim::{Count, Fault, Operation, Sim};
use serde_json::{Value, json};

use crate::control::{Daemon, status_of, troubled_report};
use crate::support::desk::{Desk, finish};

const ZONE: &str = "Z0123456789ABC";

const RECORDS: &str = "[[record]]\nname = \"edge.example.com\"\nzone_id = \"Z0123456789ABC\"\n\
                       health_check = { type = \"tcp\", port = 443 }\n";

fn desk() -> Desk {
    Desk::new(Sim::builder().zone("example.com", ZONE).start(), RECORDS)
}

/// Every command that does something, with its words.
fn leaves(command: &Command, words: &[String], found: &mut Vec<(Vec<String>, Command)>) {
    if !command.has_subcommands() {
        found.push((words.to_vec(), command.clone()));
    }
    for child in command.get_subcommands() {
        leaves(child, &[words, &[child.get_name().to_owned()]].concat(), found);
    }
}

fn commands() -> Vec<(Vec<String>, Command)> {
    let mut command = Cli::command();
    command.build();
    let mut found = Vec::new();
    leaves(&command, &[], &mut found);
    assert!(found.len() > 18, "{found:?}");
    found
}

fn yaml(value: &impl serde::Serialize) -> String {
    let mut text = Vec::new();
    emit_value(&mut text, value, Structured::Yaml).expect("written");
    String::from_utf8(text).expect("text")
}

/// Reads YAML back as what JSON would be.
fn read(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}:\n{text}"))
}

#[test]
fn a_status_is_the_same_in_yaml() {
    let status = status_of(&troubled_report());
    let text = yaml(&status);
    assert_eq!(read(&text), serde_json::to_value(&status).expect("JSON"));
    let typed: Status = serde_saphyr::from_str(&text).expect("a status");
    assert_eq!(typed, status);
}

#[test]
fn words_that_mean_something_in_yaml_stay_words() {
    for text in [
        "",
        " ",
        "yes",
        "no",
        "on",
        "off",
        "y",
        "n",
        "true",
        "False",
        "null",
        "Null",
        "~",
        "1",
        "-1",
        "0x1f",
        "0o7",
        "1e3",
        "1_000",
        ".inf",
        ".nan",
        "NaN",
        "2026-11-21",
        "2026-11-21T12:00:00Z",
        "12:30:45",
        "-",
        "- a",
        "? a",
        ": a",
        "a: b",
        "a #b",
        "#b",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "%a",
        "@a",
        "`a",
        "'",
        "\"",
        "\\",
        "{a}",
        "[a]",
        "---",
        "...",
        "a\nb",
        "a\n",
        "\na",
        " a",
        "a ",
        "\ta",
        "a\tb",
        "a\r\nb",
        "\u{7}",
        "\u{85}",
        "\u{a0}",
        "\u{2028}",
        "\u{feff}a",
        "ü",
        "<<",
        "185.12.64.1",
        "2001:db8::1",
        "::1",
        "1:2",
        "=",
        "a,b",
        "key: |\n  x",
        "\u{1f600}",
    ] {
        let value = json!({ "text": text, "list": [text, { "inner": text }], text: 1 });
        assert_eq!(read(&yaml(&value)), value, "{text:?}:\n{}", yaml(&value));
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[ -~\n]{0,12}".prop_map(Value::from),
        "[-:#0-9a-fxyn.~ ]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn yaml_says_what_json_says(value in any_value()) {
        let text = yaml(&value);
        prop_assert_eq!(read(&text), value, "{}", text);
    }
}

#[test]
fn many_values_are_many_documents() {
    let values = [json!({ "a": "---" }), json!([1, "x"]), json!({ "b": null })];
    let (mut yaml, mut lines) = (Vec::new(), Vec::new());
    for value in &values {
        emit_one_of_many(&mut yaml, value, Structured::Yaml).expect("written");
        emit_one_of_many(&mut lines, value, Structured::Json).expect("written");
    }
    let yaml = String::from_utf8(yaml).expect("text");
    let documents: Vec<Value> = yaml.split("---\n").skip(1).map(read).collect();
    assert_eq!(documents, values);
    let lines = String::from_utf8(lines).expect("text");
    assert_eq!(lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<Value>>(), values);
}

#[tokio::test]
async fn every_format_says_the_same() {
    let desk = desk();
    let daemon = Daemon::start(status_of(&troubled_report()));
    let socket = daemon.socket().display().to_string();
    for args in [
        &["status", "--socket", &socket][..],
        &["addresses", "--class", "any"],
        &["health-checks", "list"],
        &["health-checks", "gc"],
        &["config", "check"],
        &["config", "show"],
    ] {
        let (code, json) = desk.json(args).await;
        let said = desk.run(&[args, &["--output", "yaml"]].concat()).await;
        assert_eq!((said.code, read(&said.out)), (code, json), "{args:?}");
    }
    // Documents, for as long as it is watched.
    let mut command = desk.command(&["status", "--watch", "--output", "yaml", "--socket", &socket]);
    let mut watching = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
    let out = watching.stdout.take().expect("piped");
    let first = tokio::task::spawn_blocking(move || {
        let mut lines = io::BufRead::lines(io::BufReader::new(out));
        let first = lines.next().expect("a line").expect("text");
        (first, lines.next().expect("a line").expect("text"))
    });
    let (first, second) = first.await.expect("a thread");
    assert_eq!((first.as_str(), second.starts_with("version: ")), ("---", true), "{second}");
    watching.kill().expect("killed");
    watching.wait().expect("ended");
}

#[test]
fn every_command_is_explained_alike() {
    for (words, command) in commands() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(about.starts_with(char::is_uppercase) && !about.ends_with('.'), "{words:?}: {about:?}");
        let help = command.clone().render_long_help().to_string();
        assert!(help.contains("Examples:\n  nodedns "), "{words:?} has no example:\n{help}");
        for exit in Exit::ALL {
            assert!(help.contains(&format!("  {:<2}  {}", exit.code(), exit.meaning())), "{words:?}: {exit:?}");
        }
        for argument in command.get_arguments() {
            let text = argument.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                text.starts_with(char::is_uppercase) && !text.ends_with('.'),
                "{words:?}: {}: {text:?}",
                argument.get_id()
            );
        }
    }
}

#[tokio::test]
async fn every_command_takes_help_and_no_unknown_option() {
    let desk = desk();
    for (words, _) in commands() {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = desk.run(&[&words[..], &["--help"]].concat()).await;
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{words:?}");
        assert!(said.out.chars().all(|c| c == '\n' || !c.is_control()), "{words:?}: {:?}", said.out);
        let said = desk.run(&[&words[..], &["--hlep"]].concat()).await;
        assert_eq!((said.code, said.out.as_str()), (Some(64), ""), "{words:?}");
        assert!(said.err.contains("'--hlep'") && said.err.contains("'--help'"), "{words:?}: {}", said.err);
    }
}

/// What can be run here, and prints something.
fn printing(socket: &str) -> Vec<Vec<String>> {
    let commands: [&[&str]; 16] = [
        &["--help"],
        &["--version"],
        &["help"],
        &["help", "output"],
        &["help", "status"],
        &["completions", "bash"],
        &["iam-policy"],
        &["iam-policy", "--role", "operator"],
        &["config", "check"],
        &["config", "show"],
        &["config", "schema"],
        &["config", "init", "-"],
        &["addresses", "--class", "any"],
        &["health-checks", "list"],
        &["status", "--socket", socket],
        &["status", "--output", "yaml", "--socket", socket],
    ];
    commands.iter().map(|words| words.iter().map(|word| (*word).to_owned()).collect()).collect()
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_failure() {
    let desk = desk();
    let daemon = Daemon::start(status_of(&troubled_report()));
    for words in printing(&daemon.socket().display().to_string()) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let mut command = desk.command(&words);
        command.stdout(writer).stderr(Stdio::piped());
        let child = command.spawn().expect("starts");
        // The command keeps the pipe's end otherwise.
        drop(command);
        let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await.expect("a thread");
        let output = output.expect("it ends");
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{words:?}: {err}");
        assert!(!err.contains("error") && !err.contains("panicked"), "{words:?}: {err}");
    }
}

#[tokio::test]
async fn a_pipe_gets_text_and_nothing_else() {
    let desk = desk();
    let daemon = Daemon::start(status_of(&troubled_report()));
    // Longer than a second, so that a terminal would be told.
    desk.sim.inject(Operation::ListHealthChecks, Fault::Delay(Duration::from_millis(1500)), Count::Always);
    for words in printing(&daemon.socket().display().to_string()) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = desk.command(&words);
        command.env("TERM", "xterm").env("COLUMNS", "40");
        let said = finish(command).await;
        for text in [&said.out, &said.err] {
            assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{words:?}: {text:?}");
        }
        assert!(!said.out.is_empty(), "{words:?}: {}", said.err);
    }
    let rows = desk.run(&["addresses", "--class", "any"]).await.out.lines().count();
    let (_, json) = desk.json(&["addresses", "--class", "any"]).await;
    assert_eq!(rows, json.as_array().expect("a list").len() + 3, "a line for each address, below three of headings");
}

/// On a terminal, a second into the work, one line says what is going on; it is gone in the end.
#[tokio::test]
async fn a_terminal_is_told_what_is_going_on() {
    let desk = desk();
    desk.sim.inject(Operation::ListHealthChecks, Fault::Delay(Duration::from_secs(5)), Count::Always);
    let program = env!("CARGO_BIN_EXE_nodedns");
    for (term, told) in [("xterm", true), ("dumb", false)] {
        // script(1) gives it a terminal, and shows what it has written there.
        let mut command = desk.command(&[]);
        let plain = std::process::Command::new("script");
        let environment: Vec<_> =
            command.get_envs().map(|(key, value)| (key.to_owned(), value.map(ToOwned::to_owned))).collect();
        command = plain;
        command.env_clear().args(["-q", "-e", "-c", &format!("{program} health-checks list"), "/dev/null"]);
        for (key, value) in environment {
            command.env(key, value.expect("set"));
        }
        command.env("TERM", term).env("PATH", "/usr/bin:/bin").env("SHELL", "/bin/sh").stdin(Stdio::null());
        let said = finish(command).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        let line = "\r\u{1b}[Kreading the health checks";
        assert_eq!(said.out.contains(line), told, "{said:?}");
        let last = said.out.rsplit("\u{1b}[K").next().expect("what is left");
        assert_eq!(last.trim(), "the cluster has no health checks", "{said:?}");
        assert_eq!(said.out.contains('\u{1b}'), told, "{said:?}");
    }
}

/// A mistake is told to programs too, and the exit code is the same.
#[tokio::test]
async fn mistakes_in_the_configuration_are_told_in_every_format() {
    let desk = desk();
    desk.replace("cluster", "clutser");
    let (code, json) = desk.json(&["config", "check"]).await;
    assert_eq!((code, json["valid"].as_bool()), (Some(78), Some(false)), "{json}");
    let problem = &json["problems"][0];
    assert!(problem["source"].as_str().expect("a place").ends_with("nodedns.toml:1:1"), "{json}");
    assert_eq!((problem["key"].as_str(), problem["hint"].is_null()), (Some("clutser"), false), "{json}");
    let said = desk.run(&["config", "show", "--output", "json"]).await;
    assert_eq!((said.code, said.out.as_str()), (Some(78), ""));
    desk.replace("clutser", "cluster");
    let (code, json) = desk.json(&["config", "show"]).await;
    let value =
        |key: &str| json["values"].as_array().expect("a list").iter().find(|value| value["key"] == key).cloned();
    assert_eq!(code, Some(0));
    assert_eq!(value("resync").expect("a key")["origins"][0], "default");
    let name = value("record[0].name").expect("a key");
    assert_eq!(name["value"], "edge.example.com");
    assert!(name["origins"][0].as_str().expect("a place").contains("nodedns.toml:"), "{name}");
}
