//! How a command that failed says so, and how the process ends then.

use std::io::{self, Write};

use crate::cli::config::refuse;
use crate::cli::exit::Exit;
use crate::cli::render::OutputError;
use crate::config::Problems;
use crate::control::BindError;
use crate::control::client;

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
    if let Some(hint) = hint(error) {
        text.push_str(&format!("hint: {hint}\n"));
    }
    // Where even the error output is gone, the exit code has to do.
    let _ = err.write_all(text.as_bytes());
    exit(error)
}

fn hint(error: &anyhow::Error) -> Option<&'static str> {
    let of_client = find::<client::Error>(error).and_then(client::Error::hint);
    of_client.or_else(|| find::<BindError>(error).and_then(BindError::hint))
}

fn exit(error: &anyhow::Error) -> Exit {
    match find::<client::Error>(error) {
        Some(client::Error::Denied(_)) => return Exit::NotPermitted,
        Some(client::Error::Version { .. } | client::Error::Malformed(_)) => return Exit::Failed,
        Some(_) => return Exit::Unavailable,
        None => {}
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

    fn said(error: &anyhow::Error) -> (String, Exit) {
        let mut text = Vec::new();
        let exit = report(error, &mut text);
        (String::from_utf8(text).expect("text"), exit)
    }

    #[test]
    fn an_error_is_told_with_its_causes_and_the_next_step() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = Err::<(), _>(BindError::Io { path: "/run/nodedns/nodedns.sock".into(), source: denied })
            .context("cannot start")
            .expect_err("an error");
        let (text, exit) = said(&error);
        assert_eq!(
            text,
            "error: cannot start\n  \
             caused by: cannot listen on the control socket: /run/nodedns/nodedns.sock\n  \
             caused by: permission denied\n\
             hint: set control.socket to a path in a directory that this user may write to\n"
        );
        assert_eq!(exit, Exit::NotPermitted);
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
