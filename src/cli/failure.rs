//! How a command that failed says so, and how the process ends then.

use std::io::{self, Write};

use crate::cli::config::refuse;
use crate::cli::exit::Exit;
use crate::cli::pools::WrongName;
use crate::cli::render::{OutputError, printable_lines};
use crate::config::Problems;
use crate::control::protocol::NOT_PERMITTED;
use crate::control::{BindError, client};
use crate::decide::provider::{ErrorKind, ProviderError};
use crate::watch::node::once::{ReadError, ReadErrorKind};

/// Writes what went wrong, what caused it and what to do about it.
pub fn report(error: &anyhow::Error, err: &mut dyn Write) -> Exit {
    if find::<OutputError>(error).is_some_and(OutputError::is_broken_pipe) {
        return Exit::Ok;
    }
    if let Some(problems) = find::<Problems>(error) {
        return refuse(problems, err);
    }
    let mut text = format!("error: {error}\n");
    for cause in error.chain().skip(1) {
        text.push_str(&format!("  caused by: {cause}\n"));
    }
    if let Some(hint) = find::<client::Error>(error).and_then(client::Error::hint) {
        text.push_str(&format!("hint: {hint}\n"));
    }
    // Where even the error output is gone, the exit code has to do.
    let _ = err.write_all(printable_lines(&text).as_bytes());
    exit(error)
}

/// Prints what is to be said of a command line that runs no command: what is wrong with it, or the help or
/// the version that it asks for.
pub fn of_command_line(error: &clap::Error, err: &mut dyn Write) -> Exit {
    match error.print().and_then(|()| io::stdout().flush()) {
        Err(unwritten) if !error.use_stderr() => report(&OutputError(unwritten).into(), err),
        // Where even the error output is gone, the exit code has to do.
        Ok(()) | Err(_) => Exit::of_usage(error),
    }
}

/// How the process ends for this error.
pub fn exit(error: &anyhow::Error) -> Exit {
    if find::<WrongName>(error).is_some() {
        return Exit::Usage;
    }
    match find::<client::Error>(error) {
        Some(client::Error::Denied(_)) => return Exit::NotPermitted,
        Some(client::Error::Refused(refusal)) if refusal.code == NOT_PERMITTED => return Exit::NotPermitted,
        Some(client::Error::Refused(refusal)) if refusal.code == "bad_request" => return Exit::Failed,
        Some(client::Error::Version { .. } | client::Error::Malformed(_) | client::Error::Unexpected) => {
            return Exit::Failed;
        }
        Some(_) => return Exit::Unavailable,
        None => {}
    }
    match find::<ProviderError>(error).map(|error| error.kind) {
        Some(ErrorKind::Denied | ErrorKind::Credentials) => return Exit::NotPermitted,
        Some(ErrorKind::Throttled | ErrorKind::Busy | ErrorKind::Unavailable | ErrorKind::Unconfirmed) => {
            return Exit::Unavailable;
        }
        Some(ErrorKind::NoSuchZone | ErrorKind::Refused) => return Exit::Failed,
        None => {}
    }
    match find::<ReadError>(error).map(|error| error.kind) {
        Some(ReadErrorKind::NotPermitted) => return Exit::NotPermitted,
        Some(ReadErrorKind::Unreachable) => return Exit::Unavailable,
        Some(ReadErrorKind::BadConfiguration) => return Exit::BadConfig,
        Some(ReadErrorKind::NoKubeconfig | ReadErrorKind::BadKubeconfig | ReadErrorKind::WrongAnswer) => {
            return Exit::Failed;
        }
        None => {}
    }
    match find::<BindError>(error) {
        Some(BindError::IsADirectory(_) | BindError::NotASocket(_) | BindError::NoDirectory { .. }) => {
            return Exit::BadConfig;
        }
        Some(BindError::InUse(_) | BindError::Io { .. }) | None => {}
    }
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::PermissionDenied) => Exit::NotPermitted,
        _ => Exit::Failed,
    }
}

fn find<E: std::error::Error + 'static>(error: &anyhow::Error) -> Option<&E> {
    error.chain().find_map(|cause| cause.downcast_ref::<E>())
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;
    use crate::watch::node::kubeconfig::{Environment, KubeconfigSource};
    use crate::watch::node::once;

    fn said(error: &anyhow::Error) -> (String, Exit) {
        let mut text = Vec::new();
        let exit = report(error, &mut text);
        (String::from_utf8(text).expect("text"), exit)
    }

    #[test]
    fn an_error_is_told_with_its_causes_and_the_next_step() {
        let denied = client::Error::Denied("/run/nodedns/nodedns.sock".into());
        let error = Err::<(), _>(denied).context("cannot show the status").expect_err("an error");
        let (text, exit) = said(&error);
        assert_eq!(
            text,
            "error: cannot show the status\n  \
             caused by: not permitted to talk to the daemon at /run/nodedns/nodedns.sock\n\
             hint: run this as root, or join the group: 'usermod -aG nodedns <user>', then log in anew\n"
        );
        assert_eq!(exit, Exit::NotPermitted);
        let error = anyhow::Error::from(io::Error::from(io::ErrorKind::PermissionDenied)).context("cannot start");
        assert_eq!(
            said(&error),
            ("error: cannot start\n  caused by: permission denied\n".to_owned(), Exit::NotPermitted)
        );
    }

    #[test]
    fn a_socket_that_cannot_be_is_bad_configuration_and_one_in_use_is_not() {
        let missing = BindError::NoDirectory { path: "/run/x/s.sock".into(), directory: "/run/x".into() };
        for (error, code) in [
            (missing, Exit::BadConfig),
            (BindError::IsADirectory("/run".into()), Exit::BadConfig),
            (BindError::NotASocket("/etc/passwd".into()), Exit::BadConfig),
            (BindError::InUse("/run/s.sock".into()), Exit::Failed),
            (
                BindError::Io { path: "/run/s.sock".into(), source: io::ErrorKind::PermissionDenied.into() },
                Exit::NotPermitted,
            ),
        ] {
            let (text, exit) = said(&error.into());
            assert!(text.starts_with("error: ") && text.contains("control.socket"), "{text}");
            assert_eq!(exit, code, "{text}");
        }
    }

    #[tokio::test]
    async fn nodes_that_cannot_be_read_end_the_command_by_the_cause() {
        let root = tempfile::TempDir::new().expect("a directory");
        let environment = Environment {
            root: root.path().into(),
            credentials_directory: None,
            kubeconfig: None,
            hostname: "h".into(),
        };
        let file = |name: &str, user: &str| {
            let text = format!(
                "current-context: c\nclusters:\n- {{name: c, cluster: {{server: \"http://127.0.0.1:1\"}}}}\n\
                 users:\n- {{name: u, user: {{{user}}}}}\ncontexts:\n- {{name: c, context: {{cluster: c, user: u}}}}\n"
            );
            let path = root.path().join(name);
            std::fs::write(&path, text).expect("written");
            KubeconfigSource::Path(path)
        };
        let fails = "exec: {apiVersion: client.authentication.k8s.io/v1, command: \"false\", interactiveMode: Never}";
        for (source, code) in [
            (KubeconfigSource::Auto, Exit::Failed),
            (KubeconfigSource::Path(root.path().join("nothing")), Exit::BadConfig),
            (file("reachable", "token: x"), Exit::Unavailable),
            (file("denied", fails), Exit::NotPermitted),
        ] {
            let error = once::nodes(&source, &environment, once::LIMIT).await.expect_err("no list");
            let (text, exit) = said(&anyhow::Error::new(error).context("cannot read the nodes"));
            assert!(text.starts_with("error: cannot read the nodes\n  caused by: "), "{text}");
            assert_eq!(exit, code, "{text}");
        }
    }

    #[test]
    fn a_reader_that_has_seen_enough_is_no_failure_and_a_broken_connection_is_one() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let enough = crate::cli::render::emit(&mut Closed, "x").expect_err("nobody reads");
        assert_eq!(said(&enough.into()), (String::new(), Exit::Ok));
        let broken = client::Error::Io { path: "s".into(), source: io::ErrorKind::BrokenPipe.into() };
        assert_eq!(said(&broken.into()).1, Exit::Unavailable);
    }
}
