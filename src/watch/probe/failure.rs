//! Why an attempt failed, in words that go after the address: `127.0.0.1:443 refused the connection`.
//!
//! The words are ours or a library's, never the server's, and the same failure gives the same ones.

use std::error::Error;
use std::io;
use std::time::Duration;

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// Nobody listens.
    #[error("refused the connection: nothing listens there")]
    Refused,
    /// The connection cannot be made, for another reason.
    #[error("cannot be connected to: {0}")]
    Unreachable(String),
    /// The attempt's time is over.
    #[error("did not {stage} within {} s", .limit.as_secs_f32())]
    TimedOut {
        /// What had not been done.
        stage: Stage,
        /// How long the attempt might take.
        limit: Duration,
    },
    /// The server ended the connection by force.
    #[error("reset the connection")]
    Reset,
    /// The server ended the connection too early.
    #[error("closed the connection before it had answered")]
    Closed,
    /// What answers is not TLS.
    #[error("does not speak TLS")]
    NotTls,
    /// TLS says no: an alert, no version or cipher in common.
    #[error("cannot be spoken to over TLS: {0}")]
    Tls(String),
    /// What answers is not HTTP, or its head is larger than what fits.
    #[error("gave an answer that cannot be read as HTTP: {0}")]
    NotHttp(String),
    /// The status is not good.
    #[error("answered with status {0}; 200 to 399 would be good")]
    Status(u16),
    /// The body's beginning does not contain the text.
    #[error("answered with status {0}, but the text that is looked for is not in the first {1} bytes")]
    Missing(u16, usize),
    /// The connection broke in another way.
    #[error("broke the connection: {0}")]
    Broken(String),
    /// The request cannot be put.
    #[error("cannot be asked: {0}")]
    Unaskable(String),
}

/// What a server has to do in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stage {
    #[error("accept a connection")]
    Connection,
    #[error("finish the TLS handshake")]
    Handshake,
    #[error("answer")]
    Answer,
    #[error("send the beginning of its answer")]
    Body,
}

impl Failure {
    /// Why there is no connection.
    pub(super) fn of_connect(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Failure::Refused,
            _ => Failure::Unreachable(error.to_string()),
        }
    }

    /// Why a connection that was there could not be used.
    pub(super) fn of_io(error: &io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match (tls, error.kind()) {
            (Some(rustls::Error::InvalidMessage(_)), _) => Failure::NotTls,
            (Some(error), _) => Failure::Tls(error.to_string()),
            (None, io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => Failure::Reset,
            (None, io::ErrorKind::UnexpectedEof) => Failure::Closed,
            (None, _) => Failure::Broken(error.to_string()),
        }
    }

    /// Why there is no answer, or not the whole of it.
    pub(super) fn of_http(error: &hyper::Error) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = error.source();
        while let Some(inner) = cause {
            if let Some(error) = inner.downcast_ref::<io::Error>() {
                return Failure::of_io(error);
            }
            cause = inner.source();
        }
        if error.is_parse() {
            Failure::NotHttp(error.to_string())
        } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            Failure::Closed
        } else {
            Failure::Broken(error.to_string())
        }
    }
}
