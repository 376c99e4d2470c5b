//! Draining and resuming over the control socket: who may, what is asked and answered, and what the
//! command line makes of it.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nodedns::cli::outcome::{Goal, Progress, outcome};
use nodedns::cli::status::render;
use nodedns::control::client::{self, Error};
use nodedns::control::command::{Change, Command, Commands};
use nodedns::control::protocol::{
    ChangeStatus, DrainAnswer, DrainRequest, DrainState, DrainStatus, Intent, RecordStatus, Status,
};
use nodedns::control::server::{Limits, Server};
use nodedns::decide::record::RecordType;
use nodedns::decide::report::Report;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

use crate::cli::copy_program;
use crate::control::{healthy_record, noon, status_of, troubled_report};
use crate::support::skip;

const PATIENCE: Duration = Duration::from_secs(30);

fn drained() -> DrainStatus {
    DrainStatus {
        state: DrainState::Drained,
        since: Some(noon()),
        until: Some(noon() + jiff::SignedDuration::from_mins(30)),
        force: true,
        reason: Some("kernel upgrade".to_owned()),
        uid: Some(0),
        warning: None,
    }
}

fn published() -> Status {
    status_of(&Report {
        records: vec![healthy_record("edge.example.com", RecordType::A, "203.0.113.7")],
        survivors: None,
    })
}

fn with_record(drain: DrainStatus, change: impl FnOnce(&mut RecordStatus)) -> Status {
    let mut status = Status { drain, ..published() };
    change(&mut status.records[0]);
    status
}

fn withdrawn(record: &mut RecordStatus) {
    record.intent = Intent::Withdraw;
    record.reason = "drained".to_owned();
    record.desired = vec![];
    record.actual = Some(vec![]);
    // Longer ago than any resolver keeps an answer, whatever the clock of this machine shows.
    record.last_change.as_mut().expect("a change").at = "2001-01-01T00:00:00Z".parse().expect("a timestamp");
}

/// What the daemon does with a command.
type Obey = Box<dyn FnMut(Command, &watch::Sender<Arc<Status>>) + Send>;

/// A daemon that obeys in some way.
struct Daemon {
    directory: TempDir,
    status: Arc<watch::Sender<Arc<Status>>>,
}

impl Daemon {
    fn start(patience: Duration, mut obey: Obey) -> Self {
        let (commands, mut received): (_, mpsc::Receiver<Command>) = Commands::channel();
        let directory = tempfile::tempdir().expect("a directory");
        let server = Server::bind(&directory.path().join("control.sock")).expect("a free path");
        let (status, receiver) = watch::channel(Arc::new(published()));
        let status = Arc::new(status);
        tokio::spawn(server.with_commands(commands).run(receiver, Limits { patience, ..Limits::default() }));
        let sender = status.clone();
        tokio::spawn(async move {
            while let Some(command) = received.recv().await {
                obey(command, &sender);
            }
        });
        Daemon { directory, status }
    }

    /// One that answers at once, and becomes what `after` says.
    fn becoming(after: Status, warnings: &[&str]) -> Self {
        let warnings: Vec<_> = warnings.iter().map(|warning| (*warning).to_owned()).collect();
        Daemon::start(
            PATIENCE,
            Box::new(move |command, status| {
                status.send_replace(Arc::new(after.clone()));
                let answer = DrainAnswer { drain: after.drain.clone(), warnings: warnings.clone() };
                command.reply.send(answer).expect("somebody waits");
            }),
        )
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("control.sock")
    }

    async fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut process = Process::new(env!("CARGO_BIN_EXE_nodedns"));
        process.env_clear().args(arguments).arg("--socket").arg(self.socket());
        output(process).await
    }
}

async fn output(mut process: Process) -> (Option<i32>, String, String) {
    let running = tokio::task::spawn_blocking(move || process.output());
    let Output { status, stdout, stderr } = running.await.expect("no panic").expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

#[tokio::test]
async fn what_is_asked_arrives_with_the_uid_of_the_peer() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = heard.clone();
    let daemon = Daemon::start(
        PATIENCE,
        Box::new(move |Command { change, uid, reply }, _| {
            hears.lock().expect("one at a time").push((change, uid));
            reply.send(DrainAnswer { drain: drained(), warnings: vec!["full".to_owned()] }).expect("somebody waits");
        }),
    );
    let request = DrainRequest { for_seconds: Some(1800), force: true, reason: Some("r".repeat(256)) };
    let answer = client::drain(&daemon.socket(), request.clone(), PATIENCE).await.expect("an answer");
    assert_eq!(answer, DrainAnswer { drain: drained(), warnings: vec!["full".to_owned()] });
    client::resume(&daemon.socket(), PATIENCE).await.expect("an answer");
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(*heard.lock().expect("nobody"), [(Change::Drain(request), uid), (Change::Resume, uid)]);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_anybody_hears_of_it() {
    let daemon = Daemon::start(PATIENCE, Box::new(|command, _| panic!("{command:?}")));
    let asked = |for_seconds, reason: &str| DrainRequest { for_seconds, force: false, reason: Some(reason.to_owned()) };
    for request in [
        asked(Some(0), ""),
        asked(Some(366 * 24 * 3600), ""),
        asked(Some(u64::MAX), ""),
        asked(None, &"ä".repeat(257)),
        asked(None, "two\nlines"),
        asked(None, "\u{1b}[31m"),
    ] {
        let refused = client::drain(&daemon.socket(), request.clone(), PATIENCE).await;
        assert!(matches!(&refused, Err(Error::Refused(r)) if r.code == "bad_request"), "{request:?}: {refused:?}");
    }
    let (code, _, err) = daemon.run(&["drain", "--reason", "two\nlines"]).await;
    assert_eq!(
        (code, err.as_str()),
        (Some(64), "error: the reason has a line break or another control character in it\n")
    );
    let (code, _, err) = daemon.run(&["drain", "--reason", &"x".repeat(257)]).await;
    assert_eq!((code, err.as_str()), (Some(64), "error: the reason is longer than 256 characters\n"));
}

/// A second daemon, started by accident, leaves alone what the first one keeps.
#[tokio::test]
async fn a_second_daemon_gives_up_before_it_touches_the_drains_file() {
    let daemon = Daemon::start(PATIENCE, Box::new(|command, _| panic!("{command:?}")));
    let path = |name: &str| daemon.directory.path().join(name);
    // Over long ago, so that whoever reads it as its own removes it.
    let saved = r#"{"version":1,"since":"2001-01-01T00:00:00Z","until":"2001-01-02T00:00:00Z","force":false,"uid":0}"#;
    std::fs::create_dir(path("state")).expect("a directory");
    std::fs::write(path("state/drain.json"), saved).expect("a file");
    let configuration = format!(
        "cluster = \"home\"\nnode = \"n1\"\n\n[kubernetes]\nenabled = false\n\n[control]\nsocket = \"{}\"\n\
         state_directory = \"{}\"\n\n[[record]]\nname = \"edge.example.com\"\nzone_id = \"Z0123456789ABC\"\n",
        daemon.socket().display(),
        path("state").display()
    );
    std::fs::write(path("nodedns.toml"), configuration).expect("a file");
    let mut process = Process::new(env!("CARGO_BIN_EXE_nodedns"));
    process.env_clear().args(["run", "--config"]).arg(path("nodedns.toml"));
    let (code, out, err) = output(process).await;
    assert!(code == Some(1) && err.contains("already listens"), "{code:?}: {out}{err}");
    assert_eq!(std::fs::read_to_string(path("state/drain.json")).expect("it is there"), saved);
}

/// As an older daemon answers: it does not know the request.
#[tokio::test]
async fn an_older_daemon_is_told_apart_and_the_remedy_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("old.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).expect("a free path");
    let old = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let _ = stream.read(&mut [0; 4096]).expect("a request");
        let answer = "{\"v\":1,\"error\":{\"code\":\"bad_request\",\"message\":\"unknown variant `drain`\"}}\n";
        stream.write_all(answer.as_bytes()).expect("the client listens");
    });
    let mut process = Process::new(env!("CARGO_BIN_EXE_nodedns"));
    process.env_clear().args(["drain", "--socket"]).arg(&socket);
    let (code, _, err) = output(process).await;
    old.join().expect("no panic");
    assert_eq!(code, Some(1));
    assert!(err.contains("unknown variant") && err.contains("hint: ") && err.contains("restart"), "{err}");
}

/// Even of those whom the socket's mode lets in, only root and the daemon's own user may change anything.
#[tokio::test]
async fn who_is_neither_root_nor_the_daemons_user_may_look_and_not_change() {
    if !rustix::process::geteuid().is_root() {
        return skip("only root can run a command as another user");
    }
    let daemon = Daemon::start(PATIENCE, Box::new(|command, _| panic!("{command:?}")));
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its owner may");
    };
    mode(daemon.directory.path(), 0o755);
    mode(&daemon.socket(), 0o666);
    let program = daemon.directory.path().join("nodedns");
    copy_program(Path::new(env!("CARGO_BIN_EXE_nodedns")), &program).expect("a copy");
    for (arguments, expected) in
        [(&["status"][..], 0), (&["drain"], 77), (&["drain", "--force", "--wait"], 77), (&["resume"], 77)]
    {
        let mut process = Process::new(&program);
        process.env_clear().args(arguments).arg("--socket").arg(daemon.socket()).uid(65534).gid(65534);
        let (code, out, err) = output(process).await;
        assert_eq!(code, Some(expected), "{arguments:?}: {out}{err}");
        if expected == 77 {
            assert!(err.contains("you are uid 65534") && err.contains("hint: run this as root"), "{err}");
        }
    }
}

/// Not even root changes anything where nobody would carry it out.
#[tokio::test]
async fn a_daemon_without_a_loop_behind_it_changes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("control.sock");
    let (_status, receiver) = watch::channel(Arc::new(published()));
    tokio::spawn(Server::bind(&path).expect("a free path").run(receiver, Limits::default()));
    let refused = client::resume(&path, PATIENCE).await;
    assert!(matches!(&refused, Err(Error::Refused(r)) if r.code == "not_permitted"), "{refused:?}");
}

/// A disk that hangs: the client is told so in time, and the next command gets through.
#[tokio::test]
async fn a_disk_that_hangs_holds_up_nobody() {
    let mut kept = Vec::new();
    let daemon = Daemon::start(
        // A client has no longer to ask, either.
        Duration::from_secs(2),
        Box::new(move |command, status| {
            let drain = if command.change == Change::Resume { DrainStatus::default() } else { drained() };
            status.send_replace(Arc::new(with_record(drain, withdrawn)));
            kept.push(command);
        }),
    );
    for _ in 0..3 {
        let refused = client::drain(&daemon.socket(), DrainRequest::default(), PATIENCE).await;
        assert!(matches!(&refused, Err(Error::Refused(r)) if r.code == "unfinished"), "{refused:?}");
    }
    // It is done, so the command goes on, says so, and does not end as if all were well.
    let (code, out, err) = daemon.run(&["drain"]).await;
    assert_eq!(code, Some(2), "{out}{err}");
    assert!(out.contains("  edge.example.com A: withdrawn\n"), "{out}");
    assert!(err.contains("warning: it is done, but the disk takes long"), "{err}");
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_is_missed_by_nobody() {
    let daemon = Daemon::start(
        PATIENCE,
        Box::new(|command, status| {
            let _ = command.reply.send(DrainAnswer { drain: drained(), warnings: vec![] });
            status.send_replace(Arc::new(with_record(drained(), withdrawn)));
        }),
    );
    for _ in 0..50 {
        let mut stream = UnixStream::connect(daemon.socket()).expect("the daemon listens");
        stream.write_all(b"{\"v\":1,\"request\":{\"drain\":{}}}\n").expect("the daemon listens");
    }
    let (code, out, err) = daemon.run(&["drain", "--wait"]).await;
    assert_eq!(code, Some(0), "{out}{err}");
}

#[tokio::test]
async fn a_drain_says_what_becomes_of_each_record() {
    let daemon = Daemon::becoming(
        with_record(drained(), |record| {
            withdrawn(record);
            record.actual = Some(vec!["203.0.113.7".parse().expect("an address")]);
            record.in_sync = false;
        }),
        &["the drain is in force but could not be saved"],
    );
    let (code, out, err) = daemon.run(&["drain"]).await;
    insta::assert_snapshot!("drain_table", format!("{out}--- stderr ---\n{err}"));
    assert_eq!(code, Some(2), "a restart would end it");
    let (code, out, err) = daemon.run(&["drain", "--output", "json"]).await;
    insta::assert_snapshot!("drain_json", out);
    assert_eq!((code, err.as_str()), (Some(2), ""));
}

#[tokio::test]
async fn waiting_follows_the_status_until_the_name_servers_know() {
    let moving = with_record(drained(), |record| {
        withdrawn(record);
        record.actual = Some(vec!["203.0.113.7".parse().expect("an address")]);
        record.in_sync = false;
    });
    let daemon = Daemon::becoming(moving, &[]);
    let socket = daemon.socket();
    let mut process = Process::new(env!("CARGO_BIN_EXE_nodedns"));
    process.env_clear().args(["drain", "--wait", "--socket"]).arg(&socket);
    let running = tokio::spawn(output(process));
    let mut seen = client::watch(&socket, PATIENCE).await.expect("an answer");
    while seen.next().await.expect("a status").drain.state != DrainState::Drained {}
    let pending = with_record(drained(), |record| {
        withdrawn(record);
        record.last_change.as_mut().expect("a change").status = ChangeStatus::Pending;
    });
    daemon.status.send_replace(Arc::new(pending));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!running.is_finished(), "it is not on every name server yet");
    daemon.status.send_replace(Arc::new(with_record(drained(), withdrawn)));
    let (code, out, err) = running.await.expect("no panic");
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.ends_with("  edge.example.com A: withdrawn\n"), "{out}");
}

#[tokio::test]
async fn waiting_ends_when_it_is_in_vain() {
    let held = with_record(drained(), |record| {
        record.intent = Intent::Hold;
        record.reason = "keep_min".to_owned();
        record.explanation = "leaving would bring the name below keep_min = 1 record set".to_owned();
    });
    let (code, out, err) = Daemon::becoming(held.clone(), &[]).run(&["drain", "--wait"]).await;
    insta::assert_snapshot!("drain_held", format!("{out}--- stderr ---\n{err}"));
    assert_eq!(code, Some(2));
    // The daemon looks at the name once more: that may still change, until the time is over.
    let mut looking = held;
    looking.records[0].in_sync = false;
    let (code, _, err) = Daemon::becoming(looking, &[]).run(&["drain", "--wait", "--timeout", "1s"]).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("error: not every record has got there in time"), "{err}");
    // One is out of DNS, and another on its way.
    let mut one_of_two = with_record(drained(), withdrawn);
    let mut other = one_of_two.records[0].clone();
    (other.rtype, other.in_sync) = ("AAAA".to_owned(), false);
    one_of_two.records.push(other);
    let (code, out, err) = Daemon::becoming(one_of_two, &[]).run(&["drain", "--wait", "--timeout", "1s"]).await;
    assert_eq!(code, Some(2), "{out}");
    assert!(err.contains("error: not every record has got there in time"), "{out}{err}");
    // Somebody resumes meanwhile.
    let resumed = with_record(DrainStatus::default(), |_| ());
    let (code, _, err) = Daemon::becoming(resumed, &[]).run(&["drain", "--wait"]).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("error: the drain has ended meanwhile"), "{err}");
}

#[test]
fn what_becomes_of_a_record_is_read_off_its_status() {
    let base = published().records.remove(0);
    let tell = |goal, change: &dyn Fn(&mut RecordStatus)| {
        let mut record = base.clone();
        change(&mut record);
        let told = outcome(&record, goal);
        (told.progress, told.word)
    };
    let intent = |intent, reason: &'static str, in_sync| {
        move |record: &mut RecordStatus| {
            record.intent = intent;
            record.reason = reason.to_owned();
            record.in_sync = in_sync;
        }
    };
    use Progress::{Done, Moving, Stuck};
    for (goal, wanted, reason, in_sync, expected) in [
        (Goal::Out, Intent::Withdraw, "drained", true, (Done, "withdrawn")),
        (Goal::Out, Intent::Withdraw, "drained", false, (Moving, "withdrawing")),
        (Goal::Out, Intent::Withdraw, "stopping", true, (Done, "withdrawn")),
        (Goal::Out, Intent::Hold, "keep_min", true, (Stuck, "held")),
        (Goal::Out, Intent::Hold, "keep_min", false, (Moving, "held")),
        (Goal::Out, Intent::Preserve, "pool_unknown", false, (Moving, "waiting")),
        (Goal::Out, Intent::Publish, "eligible", true, (Moving, "waiting")),
        (Goal::In, Intent::Publish, "eligible", true, (Done, "published")),
        (Goal::In, Intent::Publish, "eligible", false, (Moving, "publishing")),
        (Goal::In, Intent::Withdraw, "recovering", true, (Moving, "waiting")),
        (Goal::In, Intent::Withdraw, "damped", true, (Moving, "waiting")),
        (Goal::In, Intent::Withdraw, "no_address", true, (Done, "withdrawn")),
        (Goal::In, Intent::Withdraw, "cordoned", true, (Stuck, "withdrawn")),
        (Goal::In, Intent::Hold, "cname_conflict", false, (Stuck, "held")),
        (Goal::In, Intent::Hold, "address_unconfirmed", true, (Moving, "waiting")),
        (Goal::In, Intent::Preserve, "node_unknown", true, (Moving, "waiting")),
    ] {
        assert_eq!(tell(goal, &intent(wanted, reason, in_sync)), expected, "{goal:?} {wanted} {reason} {in_sync}");
    }
    let unaffected = |record: &mut RecordStatus| record.follows_drain = false;
    assert_eq!(tell(Goal::Out, &unaffected), (Done, "unaffected"));
    let pending = |record: &mut RecordStatus| {
        withdrawn(record);
        record.last_change.as_mut().expect("a change").status = ChangeStatus::Pending;
    };
    assert_eq!(tell(Goal::Out, &pending), (Moving, "withdrawing"));
}

#[test]
fn the_status_says_who_has_drained_the_node_and_why() {
    let line = |drain: DrainStatus, number| {
        let status = Status { drain, survivors: None, ..status_of(&troubled_report()) };
        render(&status, noon(), None).lines().nth(number).expect("a line").to_owned()
    };
    assert_eq!(
        line(drained(), 2),
        "drained by force since 2026-11-21T12:00:00Z until 2026-11-21T12:30:00Z by uid 0: kernel upgrade"
    );
    let plain = DrainStatus { until: None, force: false, reason: None, uid: Some(1000), ..drained() };
    assert_eq!(line(plain, 2), "drained since 2026-11-21T12:00:00Z by uid 1000");
    assert_eq!(line(DrainStatus::default(), 2), "");
    let warning = Some("drain.json is damaged".to_owned());
    let unknown = DrainStatus { state: DrainState::Unknown, warning, ..DrainStatus::default() };
    assert_eq!(line(unknown, 2), "drain: drain.json is damaged");
}
