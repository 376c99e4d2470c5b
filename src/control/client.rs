//! The command line's end of the control socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::control::protocol::{
    Answer, DrainAnswer, DrainRequest, Message, NOT_PERMITTED, Refusal, Reply, Request, Status, VERSION,
};

/// The longest answer that is read, in bytes: a hundred times what a large configuration makes.
const ANSWER_MAX: u64 = 16 << 20;

/// Why the daemon cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens.
    #[error("the daemon is not running (no socket at {0})")]
    NotRunning(PathBuf),
    /// The socket is not for this user.
    #[error("not permitted to talk to the daemon at {0}")]
    Denied(PathBuf),
    /// The daemon takes too long.
    #[error("the daemon did not answer within {}", seconds(*.0))]
    Timeout(Duration),
    /// The daemon has hung up.
    #[error("the daemon has closed the connection")]
    Closed,
    /// The daemon speaks another version of the protocol.
    #[error("the daemon speaks version {theirs} of the control protocol, this program version {VERSION}")]
    Version {
        /// The daemon's.
        theirs: u32,
    },
    /// The daemon refuses.
    #[error("the daemon refuses: {}{}", .0.message, own_name(.0))]
    Refused(Refusal),
    /// The answer makes no sense.
    #[error("the daemon's answer is not understood")]
    Malformed(#[source] serde_json::Error),
    /// The answer is to another question.
    #[error("the daemon has answered something else than what it was asked")]
    Unexpected,
    /// The connection has failed otherwise.
    #[error("cannot talk to the daemon at {path}")]
    Io {
        /// The socket's path.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

impl Error {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::NotRunning(_) | Error::Timeout(_) | Error::Closed => {
                Some("'systemctl status nodedns' and 'journalctl -u nodedns' say more")
            }
            Error::Denied(_) => {
                Some("run this as root, or join the group: 'usermod -aG nodedns <user>', then log in anew")
            }
            Error::Refused(refusal) if refusal.code == NOT_PERMITTED => Some("run this as root, e.g. with sudo"),
            Error::Refused(refusal) if refusal.code != "bad_request" => None,
            Error::Version { .. } | Error::Malformed(_) | Error::Unexpected | Error::Refused(_) => {
                Some("the daemon may still run the version from before an upgrade: 'systemctl restart nodedns'")
            }
            Error::Io { .. } => None,
        }
    }
}

/// Who this is, where that is why the daemon refuses: it may not know.
fn own_name(refusal: &Refusal) -> String {
    match refusal.code == NOT_PERMITTED {
        true => format!(", and you are uid {}", rustix::process::geteuid().as_raw()),
        false => String::new(),
    }
}

/// Asks for the status, once.
///
/// # Errors
/// [`Error`] says why there is none.
pub async fn status(socket: &Path, patience: Duration) -> Result<Status, Error> {
    let mut connection = Connection::open(socket, Request::Status, patience).await?;
    connection.first(patience).await
}

/// Drains the node, in place of an earlier drain.
///
/// # Errors
/// [`Error`] says why it is not drained. [`Error::Refused`] with the code
/// [`UNFINISHED`](crate::control::protocol::UNFINISHED) says that it is, but perhaps not saved.
pub async fn drain(socket: &Path, request: DrainRequest, patience: Duration) -> Result<DrainAnswer, Error> {
    change(socket, Request::Drain(request), patience).await
}

/// Ends a drain.
///
/// # Errors
/// As [`drain`].
pub async fn resume(socket: &Path, patience: Duration) -> Result<DrainAnswer, Error> {
    change(socket, Request::Resume, patience).await
}

async fn change(socket: &Path, request: Request, patience: Duration) -> Result<DrainAnswer, Error> {
    let mut connection = Connection::open(socket, request, patience).await?;
    match timeout(patience, connection.answer()).await.unwrap_or(Err(Error::Timeout(patience)))? {
        Answer::Drain(answer) => Ok(answer),
        Answer::Status(_) | Answer::Error(_) => Err(Error::Unexpected),
    }
}

/// Asks for the status now and whenever it changes.
///
/// # Errors
/// [`Error`] says why there is none.
pub async fn watch(socket: &Path, patience: Duration) -> Result<Watch, Error> {
    let mut connection = Connection::open(socket, Request::Watch, patience).await?;
    let first = connection.first(patience).await?;
    Ok(Watch { connection, first: Some(first) })
}

/// The daemon's status as it changes.
#[derive(Debug)]
pub struct Watch {
    connection: Connection,
    first: Option<Status>,
}

impl Watch {
    /// The next status: the present one at first, then one for every change, however long that
    /// takes. May be dropped half way without losing anything.
    ///
    /// # Errors
    /// [`Error::Closed`] when the daemon stops, or whatever else ends the connection.
    pub async fn next(&mut self) -> Result<Status, Error> {
        match self.first.take() {
            Some(first) => Ok(first),
            None => self.connection.next().await,
        }
    }
}

#[derive(Debug)]
struct Connection {
    stream: BufReader<UnixStream>,
    path: PathBuf,
    /// The part of a line that has come so far.
    line: Vec<u8>,
}

impl Connection {
    async fn open(path: &Path, request: Request, patience: Duration) -> Result<Self, Error> {
        let failed = |source: io::Error| match source.kind() {
            // Refused: the socket of a daemon that was killed.
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Error::NotRunning(path.to_owned()),
            io::ErrorKind::PermissionDenied => Error::Denied(path.to_owned()),
            // A queue full of clients whom nobody lets in.
            io::ErrorKind::WouldBlock => Error::Timeout(patience),
            _ => Error::Io { path: path.to_owned(), source },
        };
        let stream = UnixStream::connect(path).await.map_err(failed)?;
        let mut connection = Connection { stream: BufReader::new(stream), path: path.to_owned(), line: Vec::new() };
        let mut line = serde_json::to_vec(&Message { v: VERSION, request }).map_err(Error::Malformed)?;
        line.push(b'\n');
        match timeout(patience, connection.stream.write_all(&line)).await {
            // The daemon may have answered already, why it will not have us, and hung up.
            Ok(Ok(()) | Err(_)) => Ok(connection),
            Err(_) => Err(Error::Timeout(patience)),
        }
    }

    async fn first(&mut self, patience: Duration) -> Result<Status, Error> {
        timeout(patience, self.next()).await.unwrap_or(Err(Error::Timeout(patience)))
    }

    async fn next(&mut self) -> Result<Status, Error> {
        match self.answer().await? {
            Answer::Status(status) => Ok(status),
            Answer::Drain(_) | Answer::Error(_) => Err(Error::Unexpected),
        }
    }

    /// The next answer that is not a refusal.
    async fn answer(&mut self) -> Result<Answer, Error> {
        let room = ANSWER_MAX.saturating_sub(self.line.len() as u64);
        (&mut self.stream).take(room).read_until(b'\n', &mut self.line).await.map_err(|source| {
            match source.kind() {
                io::ErrorKind::ConnectionReset => Error::Closed,
                _ => Error::Io { path: self.path.clone(), source },
            }
        })?;
        let line = std::mem::take(&mut self.line);
        if !line.ends_with(b"\n") && (line.len() as u64) < ANSWER_MAX {
            return Err(Error::Closed);
        }
        parse(&line)
    }
}

/// The version first: a later protocol may look different altogether.
fn parse(line: &[u8]) -> Result<Answer, Error> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let Version { v: theirs } = serde_json::from_slice(line).map_err(Error::Malformed)?;
    if theirs != VERSION {
        return Err(Error::Version { theirs });
    }
    match serde_json::from_slice::<Reply>(line).map_err(Error::Malformed)?.answer {
        Answer::Error(refusal) => Err(Error::Refused(refusal)),
        answer => Ok(answer),
    }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}
