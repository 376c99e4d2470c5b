//! The command line: what it prints, and how it ends.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use nodedns::cli::{addresses, status};
use nodedns::control::protocol::{
    ChangeStatus, Intent, KubernetesStatus, LastChange, LastError, NodeCondition, Status, SurvivorsState,
};
use nodedns::control::translate;
use nodedns::decide::address::{AddressFlags, HostAddress, Interface, Scope, Snapshot};
use nodedns::decide::policy::Signal;
use nodedns::decide::reason::Reason;
use nodedns::decide::record::RecordType;
use nodedns::decide::report::Report;
use nodedns::decide::select::{AddressClass, AddressRules, assess};

use crate::control::{Daemon, healthy_record, noon, status_of, troubled_report};
use crate::support::skip;

fn healthy() -> Status {
    status_of(&Report {
        records: vec![
            healthy_record("edge.example.com", RecordType::A, "203.0.113.7"),
            healthy_record("edge.example.com", RecordType::Aaaa, "2001:db8:1:2::7"),
        ],
        survivors: None,
    })
}

#[test]
fn the_status_of_a_healthy_node_is_a_table_and_nothing_else() {
    insta::assert_snapshot!(status::render(&healthy(), noon(), Some(80)));
}

#[test]
fn every_kind_of_trouble_is_explained_on_a_wide_terminal() {
    insta::assert_snapshot!(status::render(&status_of(&troubled_report()), noon(), Some(200)));
}

#[test]
fn every_kind_of_trouble_is_explained_on_a_narrow_terminal() {
    insta::assert_snapshot!(status::render(&status_of(&troubled_report()), noon(), Some(80)));
}

#[test]
fn a_status_forges_no_line() {
    let mut status = status_of(&troubled_report());
    let lines = status::render(&status, noon(), None).lines().count();
    status.records[0].reason = "a\nb\u{9b}2J\u{202e}c".to_owned();
    let text = status::render(&status, noon(), None);
    assert!(text.contains("a\\nb\\u{9b}2J\\u{202e}c"), "{text}");
    assert_eq!(text.lines().count(), lines, "{text}");
}

#[test]
fn a_pipe_gets_a_line_for_each_record() {
    let text = status::render(&status_of(&troubled_report()), noon(), None);
    let line = text.lines().find(|line| line.contains("AAAA  ")).expect("the second record's line");
    for part in ["edge.example.com", "publish", "12s", "2001:db8:1:2::7 -> 2001:db8:1:2:211:22ff:fe33:4455"] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[test]
fn no_line_is_wider_than_the_terminal_where_that_can_be() {
    let status = status_of(&troubled_report());
    for width in [60, 80, 94, 95, 96, 120, 200] {
        let text = status::render(&status, noon(), Some(width));
        let widest = text.lines().map(|line| line.chars().count()).max().expect("lines");
        assert!(widest <= width, "{widest} columns on a terminal of {width}:\n{text}");
    }
}

#[test]
fn a_dry_run_says_what_it_cannot_show() {
    let mut status = healthy();
    assert!(!status::render(&status, noon(), None).contains("dry run"));
    status.dry_run = true;
    let text = status::render(&status, noon(), None);
    assert_eq!(
        text.lines().nth(2),
        Some(
            "dry run: nothing is written to Route 53; the pool's other record sets are not known, so keep_min is not \
             applied"
        )
    );
}

/// A record that is where it is wanted needs no attention, but what it waits for is asked all the same.
#[test]
fn what_keeps_a_record_out_is_said_where_the_reason_alone_does_not() {
    let text = |intent, reason: Reason| {
        let mut status = healthy();
        let record = &mut status.records[0];
        (record.intent, record.reason, record.explanation) = (intent, reason.as_str().to_owned(), reason.to_string());
        status::render(&status, noon(), None)
    };
    for reason in [
        Reason::Excluded("nodedns.io/exclude".to_owned()),
        Reason::Tainted("example.com/broken".to_owned()),
        Reason::NodeAbsent,
        Reason::Recovering(Signal::NotReady),
        Reason::Damped { signal: Signal::NotReady, times: 5, wait: Duration::from_secs(160) },
    ] {
        let why = format!("\n  why: {reason}\n");
        let shown = text(Intent::Withdraw, reason);
        assert!(shown.contains(&why), "{why}: {shown}");
    }
    let pending = text(Intent::Preserve, Reason::Pending(Signal::NotReady));
    assert!(pending.contains("\n  why: 'not_ready' is up, waiting"), "{pending}");
    let cordoned = text(Intent::Withdraw, Reason::Cordoned);
    assert!(!cordoned.contains("why:"), "{cordoned}");
}

#[test]
fn what_holds_for_several_records_is_said_once_below_all_of_them() {
    let mut status = healthy();
    let told = |name: &str, rtype: &str, reason: &Reason| {
        let mut record = healthy().records[0].clone();
        (record.name, record.rtype) = (name.to_owned(), rtype.to_owned());
        (record.intent, record.reason, record.explanation) =
            (Intent::Withdraw, reason.as_str().to_owned(), reason.to_string());
        record
    };
    let (absent, tainted) = (Reason::NodeAbsent, Reason::Tainted("example.com/broken".to_owned()));
    status.records = vec![
        told("edge.example.com", "A", &absent),
        told("edge.example.com", "AAAA", &absent),
        told("geo.example.com", "A", &tainted),
        told("geo.example.com", "AAAA", &absent),
        told("www.example.com", "A", &absent),
    ];
    let text = status::render(&status, noon(), None);
    let below = text.split_once("\n\nNAME").expect("a table").1.split_once("\n\n").expect("notes").1;
    let expected = format!(
        "edge.example.com A, AAAA\ngeo.example.com AAAA\nwww.example.com A\n  why: {absent}\n\n\
         geo.example.com A\n  why: {tainted}\n"
    );
    assert_eq!(below, expected);
}

/// When it was, which change it is and when it is tried again are each record's own.
#[test]
fn times_and_changes_do_not_tear_apart_what_holds_for_several_records() {
    let pending = |id: &str| {
        Some(LastChange { id: id.to_owned(), status: ChangeStatus::Pending, at: noon() - SignedDuration::from_secs(2) })
    };
    let error = |ago: i64, left: i64| {
        Some(LastError {
            at: noon() - SignedDuration::from_secs(ago),
            kind: "unavailable".to_owned(),
            code: None,
            message: "no answer".to_owned(),
            retry_at: noon() + SignedDuration::from_secs(left),
        })
    };
    let mut status = healthy();
    let record = |name: &str, rtype: &str, change, error| {
        let mut record = healthy().records[0].clone();
        (record.name, record.rtype) = (name.to_owned(), rtype.to_owned());
        (record.last_change, record.last_error) = (change, error);
        record
    };
    status.records = vec![
        record("edge.example.com", "A", pending("C1"), None),
        record("edge.example.com", "AAAA", pending("C1"), None),
        record("geo.example.com", "A", None, error(9, 21)),
        record("geo.example.com", "AAAA", None, error(12, 5)),
        record("www.example.com", "A", pending("C2"), None),
    ];
    let text = status::render(&status, noon(), None);
    let below = text.split_once("\n\nNAME").expect("a table").1.split_once("\n\n").expect("notes").1;
    assert_eq!(
        below,
        "edge.example.com A, AAAA\nwww.example.com A\n  \
         change C1 was accepted 2s ago and is on its way to the name servers\n  \
         change C2 was accepted 2s ago and is on its way to the name servers\n\n\
         geo.example.com A, AAAA\n  error 12s ago: no answer (next try in 5s)\n  \
         hint: see whether this host reaches route53.amazonaws.com, port 443\n"
    );
}

#[test]
fn what_survivors_and_kubernetes_fail_with_is_said_once() {
    let mut status = status_of(&troubled_report());
    let survivors = status.survivors.as_mut().expect("survivors");
    survivors.state = SurvivorsState::Unknown;
    survivors.explanation = "cannot reach the API server\nhint: start it".to_owned();
    status.kubernetes.connected = false;
    status.kubernetes.error = Some("cannot reach the API server\nhint: start it".to_owned());
    let text = status::render(&status, noon(), None);
    assert!(text.contains("\nSurvivors: unknown, for the same reason\n"), "{text}");
    assert_eq!(text.matches("hint: start it").count(), 1, "{text}");
    status.kubernetes.error = Some("something else".to_owned());
    let text = status::render(&status, noon(), None);
    assert!(text.contains("\nSurvivors: unknown: cannot reach the API server\nhint: start it\n"), "{text}");
}

#[test]
fn kubernetes_is_a_line_in_the_header() {
    let line = |change: &dyn Fn(&mut KubernetesStatus)| {
        let mut status = healthy();
        change(&mut status.kubernetes);
        status::render(&status, noon(), None).lines().nth(1).expect("a second line").to_owned()
    };
    assert_eq!(line(&|_| ()), "Kubernetes: node-1 is Ready, cordoned");
    assert_eq!(line(&|k| *k = KubernetesStatus::disabled()), "Kubernetes: not used");
    assert_eq!(
        line(&|k| {
            k.unschedulable = Some(false);
            k.deleting = Some(true);
            k.taints = Some(vec!["a:NoSchedule".to_owned(), "example.com/b:NoExecute".to_owned()]);
        }),
        "Kubernetes: node-1 is Ready, being deleted, tainted a:NoSchedule example.com/b:NoExecute"
    );
    assert_eq!(
        line(&|k| {
            k.state = NodeCondition::NotReady;
            k.ready_reason = Some("KubeletNotReady".to_owned());
            k.unschedulable = Some(false);
        }),
        "Kubernetes: node-1 is not Ready (KubeletNotReady)"
    );
    assert_eq!(
        line(&|k| {
            k.state = NodeCondition::NotReady;
            k.ready_reason = Some("KubeletNotReady".to_owned());
            k.ready_message = Some("container runtime is down\nand more".to_owned());
            k.unschedulable = Some(false);
        }),
        "Kubernetes: node-1 is not Ready (KubeletNotReady: container runtime is down and more)"
    );
    assert_eq!(
        line(&|k| {
            k.state = NodeCondition::Unknown;
            k.unschedulable = None;
            k.connected = false;
            k.last_contact = Some(noon() - jiff::SignedDuration::from_mins(5));
            k.error = Some("connection refused".to_owned());
        }),
        "Kubernetes: the state of node-1 is unknown; out of touch with https://127.0.0.1:6444 for 5m: connection refused"
    );
    assert_eq!(
        line(&|k| {
            k.state = NodeCondition::Absent;
            k.unschedulable = None;
        }),
        "Kubernetes: there is no node node-1"
    );
}

#[test]
fn annotations_are_shown_with_what_is_wrong_with_them() {
    let mut status = healthy();
    let lines = |status: &Status| {
        let text = status::render(status, noon(), None);
        text.lines().skip(2).take_while(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(lines(&status).is_empty());
    let annotations = &mut status.kubernetes.annotations;
    annotations.weight = Some(50);
    annotations.coordinates = Some("50.11,8.68".to_owned());
    annotations.bias = Some(-5);
    annotations.mistakes = vec!["the annotation x cannot be".to_owned()];
    annotations.change_due = Some(noon() + jiff::SignedDuration::from_secs(32));
    assert_eq!(
        lines(&status),
        [
            "annotations of the Node: weight 50, coordinates 50.11,8.68, bias -5",
            "annotations of the Node have changed; that takes effect in 32s if they stay so",
            "the annotation x cannot be",
        ]
    );
}

/// A host with an uplink, a second address on it, and a container bridge.
fn host() -> Snapshot {
    let interface = |name: &str| Interface {
        name: name.to_owned(),
        alternative_names: Default::default(),
        kind: None,
        up: true,
        running: true,
        loopback: name == "lo",
    };
    let address = |interface, address: &str, prefix_len, scope| HostAddress {
        interface,
        address: address.parse().expect("an address"),
        prefix_len,
        scope,
        flags: AddressFlags { permanent: true, ..AddressFlags::default() },
    };
    Snapshot {
        interfaces: [(1, interface("lo")), (2, interface("eth0")), (3, interface("cni0"))].into(),
        addresses: [
            address(1, "127.0.0.1", 8, Scope::Host),
            address(1, "::1", 128, Scope::Host),
            address(2, "192.0.3.7", 24, Scope::Universe),
            address(2, "192.0.3.8", 24, Scope::Universe),
            address(2, "2600:1234::7", 64, Scope::Universe),
            address(2, "fe80::211:22ff:fe33:4455", 64, Scope::Link),
            address(3, "10.42.0.1", 24, Scope::Universe),
        ]
        .into(),
        default_v4: Some(2),
        default_v6: Some(2),
    }
}

#[test]
fn every_address_is_shown_with_the_reason() {
    let rules = AddressRules::default();
    let of = |class| translate::addresses(&assess(&host(), &rules, class), class);
    let both = [of(AddressClass::Global), of(AddressClass::Private)].concat();
    insta::assert_snapshot!("addresses_200", addresses::render(&both, Some(200)));
    insta::assert_snapshot!("addresses_80", addresses::render(&of(AddressClass::Global), Some(80)));
    insta::assert_snapshot!(
        "addresses_json",
        serde_json::to_string_pretty(&of(AddressClass::Global)[..3]).expect("data")
    );
    assert_eq!(addresses::render(&[], Some(80)), "the host has no addresses\n");
}

/// The program itself, with nothing of this process's environment that could mean something to it.
fn nodedns(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodedns"));
    command.env_clear().args(args);
    command
}

/// Runs it while the runtime goes on serving the socket.
async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("the program starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

#[tokio::test]
async fn the_exit_code_of_status_says_whether_all_is_well() {
    let daemon = Daemon::start(healthy());
    let socket = daemon.socket();
    let table = output(nodedns(&["status", "--socket", path(&socket)])).await;
    assert_eq!((table.status.code(), text(&table.stderr)), (Some(0), ""));
    assert!(text(&table.stdout).starts_with("node-1 in cluster home: healthy ("), "{}", text(&table.stdout));

    let troubled = status_of(&troubled_report());
    daemon.status.send_replace(Arc::new(troubled.clone()));
    let json = output(nodedns(&["status", "--socket", path(&socket), "--output", "json"])).await;
    assert_eq!((json.status.code(), text(&json.stderr)), (Some(2), ""));
    assert_eq!(serde_json::from_slice::<Status>(&json.stdout).expect("the documented JSON"), troubled);
}

#[tokio::test]
async fn status_finds_the_socket_that_the_configuration_names() {
    let daemon = Daemon::start(healthy());
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("nodedns.toml");
    let record = "[[record]]\nname = \"edge.example.com\"\nzone_id = \"Z0123456789ABC\"\n";
    let socket = format!("[control]\nsocket = {:?}\n", path(&daemon.socket()));
    std::fs::write(&file, format!("cluster = \"home\"\n{socket}{record}")).expect("a file");
    let found = output(nodedns(&["status", "--config", path(&file)])).await;
    assert_eq!((found.status.code(), text(&found.stderr)), (Some(0), ""));
    let variable = output({
        let mut command = nodedns(&["status"]);
        command.env("NODEDNS_CONFIG", &file);
        command
    });
    assert_eq!(variable.await.status.code(), Some(0));
    std::fs::write(&file, "cluster = 7\n").expect("a file");
    let bad = output(nodedns(&["status", "--config", path(&file)])).await;
    assert_eq!(bad.status.code(), Some(78));
    assert!(text(&bad.stderr).contains("nodedns.toml:1:"), "{}", text(&bad.stderr));
}

#[tokio::test]
async fn without_a_daemon_status_says_so_and_what_to_do() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let socket = directory.path().join("nodedns.sock");
    let ended = output(nodedns(&["status", "--socket", path(&socket)])).await;
    assert_eq!((ended.status.code(), text(&ended.stdout)), (Some(69), ""));
    assert_eq!(
        text(&ended.stderr),
        format!(
            "error: the daemon is not running (no socket at {})\n\
             hint: 'systemctl status nodedns' and 'journalctl -u nodedns' say more\n",
            socket.display()
        )
    );
}

/// Copies a program that is to be run. Another process does it: what this one has open for writing, a child that
/// another test starts meanwhile has too, and until that is gone the copy cannot be run.
pub(crate) fn copy_program(from: &Path, to: &Path) -> std::io::Result<()> {
    match Command::new("cp").arg("-p").args([from, to]).status()?.success() {
        true => Ok(()),
        false => Err(std::io::Error::other("cp has failed")),
    }
}

#[tokio::test]
async fn who_is_not_in_the_group_is_told_how_to_get_in() {
    if !rustix::process::geteuid().is_root() {
        return skip("only root can run a command as another user");
    }
    let daemon = Daemon::start(healthy());
    let directory = daemon.socket().parent().expect("a directory").to_owned();
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755)).expect("its owner may");
    // Where cargo has put the program, another user may not be let in.
    let program = directory.join("nodedns");
    copy_program(Path::new(env!("CARGO_BIN_EXE_nodedns")), &program).expect("a copy");
    let mut command = Command::new(&program);
    command.env_clear().args(["status", "--socket", path(&daemon.socket())]).uid(65534).gid(65534);
    let ended = output(command).await;
    assert_eq!(ended.status.code(), Some(77), "{}", text(&ended.stderr));
    assert!(text(&ended.stderr).contains("\nhint: run this as root, or join the group: "), "{}", text(&ended.stderr));
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_failure() {
    let daemon = Daemon::start(healthy());
    let mut command = nodedns(&["status", "--socket", path(&daemon.socket())]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    command.stdout(writer);
    let ended = output(command).await;
    assert_eq!((ended.status.code(), text(&ended.stderr)), (Some(0), ""));
}

/// The help and the version are output like any other.
#[test]
fn help_that_cannot_be_written_is_a_failure_and_a_reader_that_has_seen_enough_is_none() {
    for args in [&["--help"][..], &["--version"], &["help"], &["check", "--help"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
        let ended = nodedns(args).stdout(full).output().expect("the program starts");
        assert_eq!(ended.status.code(), Some(1), "{args:?}");
        assert!(text(&ended.stderr).starts_with("error: cannot write the output\n"), "{}", text(&ended.stderr));
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let ended = nodedns(args).stdout(writer).output().expect("the program starts");
        assert_eq!((ended.status.code(), text(&ended.stderr)), (Some(0), ""), "{args:?}");
    }
}

#[tokio::test]
async fn watching_in_a_pipe_gives_a_line_or_a_block_for_each_change() {
    let daemon = Daemon::start(healthy());
    let socket = daemon.socket();
    let watch = |format: &str| {
        let args = ["status", "--watch", "--output", format, "--socket", path(&socket)];
        let mut child =
            nodedns(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("its output"));
        (child, lines)
    };
    let (mut json, mut json_lines) = watch("json");
    let (mut table, mut table_lines) = watch("table");
    let first = tokio::task::spawn_blocking(move || {
        let (mut json_line, mut table_line) = (String::new(), String::new());
        json_lines.read_line(&mut json_line).expect("a line");
        table_lines.read_line(&mut table_line).expect("a line");
        assert!(serde_json::from_str::<Status>(&json_line).expect("JSON").healthy);
        assert!(table_line.contains("healthy"), "{table_line}");
        (json_lines, table_lines)
    });
    let (mut json_lines, mut table_lines) = first.await.expect("both watch by now");
    daemon.status.send_replace(Arc::new(status_of(&troubled_report())));
    // The daemon stops; what it has said before must arrive all the same.
    let ends = tokio::task::spawn_blocking(move || {
        let mut json_line = String::new();
        json_lines.read_line(&mut json_line).expect("a line");
        assert!(!serde_json::from_str::<Status>(&json_line).expect("JSON").healthy);
        let mut blocks = String::new();
        while !blocks.contains("6 of 8 need attention") {
            assert!(table_lines.read_line(&mut blocks).expect("a line") > 0, "{blocks}");
        }
        assert!(!blocks.contains('\x1b'), "{blocks}");
        (json_lines, table_lines)
    });
    let (_json_lines, _table_lines) = ends.await.expect("both have seen the change");
    drop(daemon);
    let ended = tokio::task::spawn_blocking(move || {
        let mut said = String::new();
        table.stderr.take().expect("its errors").read_to_string(&mut said).expect("text");
        (json.wait().expect("it ends").code(), table.wait().expect("it ends").code(), said)
    });
    let (json, table, said) = ended.await.expect("no panic");
    assert_eq!((json, table), (Some(69), Some(69)), "{said}");
    assert!(said.starts_with("error: the daemon has closed the connection\n"), "{said}");
}

#[test]
fn the_addresses_of_this_host_are_shown_without_daemon_or_rights() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("nodedns.toml");
    let record = |class| format!("[[record]]\nname = \"{class}.example.com\"\nclass = \"{class}\"\n");
    std::fs::write(&file, format!("cluster = \"home\"\n{}{}", record("shared"), record("global"))).expect("a file");
    let run = |args: &[&str]| {
        let ended = nodedns(args).output().expect("the program starts");
        assert_eq!((ended.status.code(), text(&ended.stderr)), (Some(0), ""), "{args:?}");
        ended.stdout
    };
    let json = run(&["addresses", "--config", path(&file), "--output", "json"]);
    let addresses: Vec<nodedns::control::protocol::AddressStatus> = serde_json::from_slice(&json).expect("JSON");
    let loopback: Vec<_> = addresses.iter().filter(|a| a.address.to_string() == "127.0.0.1").collect();
    let classes: Vec<_> = loopback.iter().map(|address| address.class.as_str()).collect();
    assert_eq!(classes, ["global", "shared"]);
    assert!(loopback.iter().all(|address| !address.publishable && address.reason == "excluded_by_default"));

    let table = run(&["addresses", "--class", "any", "--config", path(&file)]);
    let line = text(&table).lines().find(|line| line.starts_with("127.0.0.1/8")).expect("the loopback's line");
    assert!(line.contains(" no ") && line.contains("loopback"), "{line}");
}

#[test]
fn addresses_are_judged_by_every_layer_though_there_is_no_file() {
    let run = |variable: &str, value: &str| {
        let mut command = nodedns(&["addresses", "--class", "any", "--output", "json"]);
        command.env(variable, value).output().expect("the program starts")
    };
    let absent = run("NODEDNS_CONFIG", "/nonexistent/nodedns.toml");
    assert_eq!((absent.status.code(), text(&absent.stdout)), (Some(78), ""));
    assert!(text(&absent.stderr).contains("/nonexistent/nodedns.toml: cannot be read"), "{}", text(&absent.stderr));
    let bad = run("NODEDNS_ADDRESSES__DENY", "lan");
    assert!(text(&bad.stderr).contains("$NODEDNS_ADDRESSES__DENY: addresses.deny[0]: "), "{}", text(&bad.stderr));
    if Path::new(nodedns::config::DEFAULT_PATH).exists() {
        return skip("this machine has a configuration of its own");
    }
    let ended = nodedns(&["addresses"]).output().expect("the program starts");
    assert_eq!((ended.status.code(), text(&ended.stderr)), (Some(0), ""));
    let ended = run("NODEDNS_ADDRESSES__EXCLUDE_DEFAULTS", "false");
    let addresses: Vec<nodedns::control::protocol::AddressStatus> =
        serde_json::from_slice(&ended.stdout).expect("JSON");
    let loopback = addresses.iter().find(|a| a.address.to_string() == "127.0.0.1").expect("the loopback's address");
    // By default it is left out with its interface, before anybody looks at its scope.
    assert_eq!(loopback.reason, "scope", "{loopback:?}");
}

#[test]
fn a_wrong_command_line_ends_with_its_own_code() {
    let ended = nodedns(&["status", "--sokcet", "x"]).output().expect("the program starts");
    assert_eq!((ended.status.code(), text(&ended.stdout)), (Some(64), ""));
    assert!(text(&ended.stderr).contains("--socket"), "{}", text(&ended.stderr));
    let help = nodedns(&["--help"]).output().expect("the program starts");
    assert_eq!((help.status.code(), text(&help.stderr)), (Some(0), ""));
}
