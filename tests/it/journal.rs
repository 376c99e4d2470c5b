//! Where the daemon's log goes: to a journal that listens, in a mount namespace of its own, or to
//! standard error.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, PipeReader};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::skip;

/// Gives the program a `/run` with nothing but `$1` in place of the journal's directory, and no
/// network, so that it has the same thing to say on every host.
const SANDBOX: &str = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal \
     && mount --bind \"$1\" /run/systemd/journal && exec \"$2\" run --dry-run --log-level info --cluster home --name edge.example.com";

/// A dry run whose standard error passes for the journal's stream.
struct DryRun {
    child: Child,
    stderr: BufReader<PipeReader>,
}

impl DryRun {
    /// With this directory in place of the journal's; `None` where the system allows no namespaces.
    fn start(journal: &std::path::Path) -> Option<Self> {
        let unshare = |script: &str| {
            let mut command = Command::new("unshare");
            command
                .args(["--mount", "--net", "sh", "-c", script, "sh"])
                .arg(journal)
                .arg(env!("CARGO_BIN_EXE_nodedns"));
            command.stdin(Stdio::null()).stdout(Stdio::null());
            command
        };
        unshare("mount -t tmpfs tmpfs /run").stderr(Stdio::null()).status().ok().filter(|status| status.success())?;
        let (stderr, writer) = std::io::pipe().expect("a pipe");
        let stat = rustix::fs::fstat(&writer).expect("the pipe is open");
        let mut command = unshare(SANDBOX);
        command.env("JOURNAL_STREAM", format!("{}:{}", stat.st_dev, stat.st_ino)).stderr(writer);
        let child = command.spawn().expect("the program starts");
        Some(DryRun { child, stderr: BufReader::new(stderr) })
    }
}

impl Drop for DryRun {
    fn drop(&mut self) {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        assert!(ended.is_ok() || std::thread::panicking(), "{ended:?}");
    }
}

/// One message in the journal's native protocol: `KEY=value`, or the key alone on its line, then
/// the value behind its length.
fn fields(mut message: &[u8]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    while let Some(end) = message.iter().position(|byte| *byte == b'\n') {
        let line = &message[..end];
        message = &message[end + 1..];
        if let Some(equals) = line.iter().position(|byte| *byte == b'=') {
            fields.insert(text(&line[..equals]), text(&line[equals + 1..]));
        } else {
            let (length, rest) = message.split_first_chunk().expect("a length");
            let length = usize::try_from(u64::from_le_bytes(*length)).expect("a small one");
            fields.insert(text(line), text(&rest[..length]));
            message = &rest[length + 1..];
        }
    }
    fields
}

#[test]
fn the_journal_gets_fields_and_true_priorities() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let socket = UnixDatagram::bind(directory.path().join("socket")).expect("a free path");
    socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket option");
    let Some(_dry_run) = DryRun::start(directory.path()) else {
        return skip("no mount and network namespaces here");
    };
    let mut buffer = vec![0; 1 << 16];
    let record = loop {
        let length = socket.recv(&mut buffer).expect("a message about the record");
        if length == 0 {
            // The way in which the program finds out whether the journal listens.
            continue;
        }
        let fields = fields(&buffer[..length]);
        assert_eq!(fields["SYSLOG_IDENTIFIER"], "nodedns");
        if fields.contains_key("NODEDNS_RECORD") {
            break fields;
        }
    };
    assert_eq!(record["PRIORITY"], "6", "info is 6 in syslog's words, 5 would be notice");
    assert_eq!(record["NODEDNS_RECORD"], "edge.example.com");
    assert_eq!((record["NODEDNS_INTENT"].as_str(), record["NODEDNS_REASON"].as_str()), ("withdraw", "no_address"));
    assert!(record["MESSAGE"].starts_with("edge.example.com A"), "{}", record["MESSAGE"]);
}

#[test]
fn without_the_journals_socket_its_stream_gets_lines_without_a_time() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let Some(mut dry_run) = DryRun::start(directory.path()) else {
        return skip("no mount and network namespaces here");
    };
    let mut line = || {
        let mut line = String::new();
        dry_run.stderr.read_line(&mut line).expect("a line");
        line
    };
    let warning = line();
    assert!(warning.trim_start().starts_with("WARN the journal's socket cannot be reached"), "{warning}");
    let start = line();
    assert!(start.trim_start().starts_with("INFO nodedns "), "{start}");
}

#[test]
fn why_the_program_cannot_start_is_an_error_in_the_journals_stream() {
    let run = |is_journal: bool| {
        let (stderr, writer) = std::io::pipe().expect("a pipe");
        let stat = rustix::fs::fstat(&writer).expect("the pipe is open");
        let mut command = Command::new(env!("CARGO_BIN_EXE_nodedns"));
        command.args(["run", "--config", "/nonexistent/nodedns.toml"]).stdin(Stdio::null()).stderr(writer);
        match is_journal {
            true => command.env("JOURNAL_STREAM", format!("{}:{}", stat.st_dev, stat.st_ino)),
            // Inherited from a service, whose standard error it is not.
            false => command.env("JOURNAL_STREAM", "1:1"),
        };
        assert_eq!(command.status().expect("the program runs").code(), Some(78));
        drop(command);
        BufReader::new(stderr).lines().collect::<Result<Vec<_>, _>>().expect("text")
    };
    let (plain, told) = (run(false), run(true));
    assert!(plain.iter().any(|line| line.contains("/nonexistent/nodedns.toml")), "{plain:?}");
    assert_eq!(told, plain.iter().map(|line| format!("<3>{line}")).collect::<Vec<_>>());
}
