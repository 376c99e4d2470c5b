//! What is learned from systemd over a system bus that is good, bad or not there. The bus is found
//! through the environment, so each question is asked by a process of its own.

use std::process::Command;

use nodedns::systemd::manager::{SystemState, SystemStateError, system_state};

use crate::support::bus::{Bus, Manner};

/// Asks the bus at this address in another process. `Ok` with systemd's word, `Err` with the error's variant and text.
fn ask(address: &str) -> Result<String, (String, String)> {
    let output = Command::new(std::env::current_exe().expect("the test binary has a path"))
        .args(["--ignored", "--exact", "system_bus::child", "--nocapture", "--test-threads=1"])
        .env("DBUS_SYSTEM_BUS_ADDRESS", address)
        .output()
        .expect("the test binary runs");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let answer = stdout.lines().find_map(|line| line.split_once("ANSWER ")).map(|(_, answer)| answer);
    let (kind, rest) = answer.and_then(|answer| answer.split_once(' ')).unwrap_or_else(|| panic!("{stdout}"));
    match (kind, rest.split_once(' ')) {
        ("ok", _) => Ok(rest.to_owned()),
        (_, Some((variant, text))) => Err((variant.to_owned(), text.to_owned())),
        (_, None) => panic!("{stdout}"),
    }
}

#[tokio::test]
#[ignore = "the other half of the tests below, which run it"]
async fn child() {
    let answer = match system_state().await {
        Ok(SystemState::Stopping) => "ok stopping".to_owned(),
        Ok(SystemState::Other(word)) => format!("ok other:{word}"),
        Err(error) => {
            let variant = match error {
                SystemStateError::Bus(_) => "bus",
                SystemStateError::Answer(_) => "answer",
                SystemStateError::Late => "late",
            };
            format!("error {variant} {}", error.to_string().replace('\n', " "))
        }
    };
    println!("ANSWER {answer}");
}

/// Asks where the answer comes at once, so that it is late on a busy machine only, and is asked for again then.
/// Also how often.
fn ask_until_told(address: &str) -> (Result<String, (String, String)>, usize) {
    let mut times = 1;
    loop {
        match ask(address) {
            Err((variant, _)) if variant == "late" && times < 5 => times += 1,
            answer => return (answer, times),
        }
    }
}

#[test]
fn what_systemd_says_is_taken_by_the_word() {
    let bus = Bus::start(Manner::State("stopping"));
    let mut asked = 0;
    let mut ask = || {
        let (answer, times) = ask_until_told(&bus.address());
        asked += times;
        answer
    };
    assert_eq!(ask(), Ok("stopping".to_owned()));
    for word in ["running", "degraded", "starting", "initializing", "maintenance", "Stopping", "stopping soon"] {
        bus.becomes(Manner::State(word));
        assert_eq!(ask(), Ok(format!("other:{word}")));
    }
    // Whoever was late may not have got as far as the bus.
    assert!((8..=asked).contains(&bus.callers()), "one connection for one question: {} for {asked}", bus.callers());
}

/// The variant and the beginning of the text.
fn assert_unknown(address: &str, variant: &str, says: &str) {
    let answer = if variant == "late" { ask(address) } else { ask_until_told(address).0 };
    let (found, text) = answer.expect_err("nothing is known");
    assert_eq!(found, variant, "{text}");
    assert!(text.contains(says), "{text}");
}

#[test]
fn a_bus_that_is_not_there_or_turns_us_away_leaves_it_unknown() {
    assert_unknown("unix:path=/nonexistent/bus", "bus", "cannot be reached");
    assert_unknown("nonsense", "bus", "cannot be reached");
    let bus = Bus::start(Manner::HangsUp);
    assert_unknown(&bus.address(), "bus", "cannot be reached");
    bus.becomes(Manner::Babbles);
    assert_unknown(&bus.address(), "bus", "cannot be reached");
}

#[test]
fn a_systemd_that_does_not_answer_the_question_leaves_it_unknown() {
    let bus = Bus::start(Manner::NoSystemd);
    assert_unknown(&bus.address(), "answer", "was not provided by any .service files");
    bus.becomes(Manner::Denies);
    assert_unknown(&bus.address(), "answer", "not authorized");
    bus.becomes(Manner::Number);
    assert_unknown(&bus.address(), "answer", "systemd does not say");
}

#[test]
fn silence_ends_the_question_and_leaves_it_unknown() {
    let bus = Bus::start(Manner::Silent);
    assert_unknown(&bus.address(), "late", "within 2 s");
    bus.becomes(Manner::NoAnswer);
    assert_unknown(&bus.address(), "late", "within 2 s");
}
