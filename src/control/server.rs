//! The daemon's end of the control socket.
//!
//! The status comes out of a [`watch`] channel, so that no client can ever hold up the daemon's
//! loop. A client can hold up nobody else either: there is a limit to what it may send, to how long
//! it may take to send or to read, and to how many there may be.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{ReadHalf, WriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::control::command::{Change, Commands};
use crate::control::protocol::{Answer, Message, NOT_PERMITTED, Refusal, Reply, Request, Status, VERSION};

/// The longest request, in bytes. Ours have about thirty, and a reason may have a thousand.
const REQUEST_MAX: u64 = 4096;

/// What clients may take of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a client may take to send its request, and to take an answer.
    pub patience: Duration,
    /// How many clients are served at once.
    pub clients: usize,
    /// How many more if they are root or the daemon's own user, who shall never find the door blocked.
    pub privileged: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { patience: Duration::from_secs(5), clients: 32, privileged: 8 }
    }
}

/// Why the daemon cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another daemon listens there.
    #[error("another nodedns daemon already listens on {0}; stop it first, or set control.socket to another path")]
    InUse(PathBuf),
    /// A directory has the path.
    #[error("control.socket is {0}, which is a directory; name a file in it, or another path")]
    IsADirectory(PathBuf),
    /// Something else that is not a socket has the path; it is left alone.
    #[error(
        "control.socket is {0}, which exists and is not a socket; remove it, or set control.socket to another path"
    )]
    NotASocket(PathBuf),
    /// There is no directory to put the socket into.
    #[error(
        "control.socket is {path}, but there is no directory {directory}; create it (RuntimeDirectory= in the unit), \
         or set control.socket to another path"
    )]
    NoDirectory {
        /// The socket's path.
        path: PathBuf,
        /// What is missing, or not a directory.
        directory: PathBuf,
    },
    /// The operating system refuses.
    #[error("cannot listen on {path}, which control.socket names")]
    Io {
        /// The socket's path.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
}

/// A socket that listens. Dropping it unlinks the socket file.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    commands: Option<Commands>,
    /// Held for as long as the server lives. The kernel lets go of it when the process dies,
    /// however it dies, so whoever gets the lock knows that a socket it finds is nobody's.
    _lock: File,
}

impl Server {
    /// Listens on a unix socket at `path`, mode 0660. The directory must exist.
    ///
    /// The lock file beside it, `<path>.lock`, stays: removing it would let two daemons hold a lock
    /// on two files of the same name.
    ///
    /// # Errors
    /// When another daemon listens there, or the path cannot be used.
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        // The files beside it are ours to name: who reads the error knows the socket's path alone.
        let io = |source: io::Error| BindError::Io { path: path.to_owned(), source };
        if path.is_dir() {
            return Err(BindError::IsADirectory(path.to_owned()));
        }
        let lock_path = with_suffix(path, ".lock");
        if let Some(directory) = lock_path.parent().filter(|directory| is_missing(directory)) {
            return Err(BindError::NoDirectory { path: path.to_owned(), directory: directory.to_owned() });
        }
        let lock =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock_path).map_err(io)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(BindError::InUse(path.to_owned())),
            Err(error) => return Err(io(error.into())),
        }
        match fs::symlink_metadata(path) {
            Ok(found) if !std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()) => {
                return Err(BindError::NotASocket(path.to_owned()));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        // Under another name first: so the socket has its mode from the moment that it is there,
        // and the one of a dead daemon is replaced in one step.
        let fresh = with_suffix(path, ".new");
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&fresh).map_err(io)?;
        fs::set_permissions(&fresh, Permissions::from_mode(0o660)).map_err(io)?;
        fs::rename(&fresh, path).map_err(io)?;
        Ok(Server { listener, path: path.to_owned(), commands: None, _lock: lock })
    }

    /// The same, for clients who may also change something.
    #[must_use]
    pub fn with_commands(mut self, commands: Commands) -> Self {
        self.commands = Some(commands);
        self
    }

    /// Answers clients until the sender of `status` is gone. May be dropped at any time, which hangs
    /// up on every client.
    pub async fn run(self, status: watch::Receiver<Arc<Status>>, limits: Limits) {
        let everyone = Arc::new(Semaphore::new(limits.clients));
        let privileged = Arc::new(Semaphore::new(limits.privileged));
        let mut clients = JoinSet::new();
        let mut ended = status.clone();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = clients.join_next() => continue,
                () = no_more(&mut ended) => return,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: let some clients go first.
                    tracing::warn!(%error, "a client of the control socket could not be accepted: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let peer = match Peer::of(&stream) {
                Ok(peer) => peer,
                Err(error) => {
                    tracing::debug!(%error, "a client of the control socket left before it was known");
                    continue;
                }
            };
            let mut place = everyone.clone().try_acquire_owned();
            if place.is_err() && peer.is_privileged() {
                place = privileged.clone().try_acquire_owned();
            }
            match place {
                Ok(place) => {
                    let (status, commands) = (status.clone(), self.commands.clone());
                    clients.spawn(async move {
                        if let Err(error) = serve(stream, peer, status, commands, limits.patience).await {
                            tracing::debug!(%error, ?peer, "a client of the control socket was dropped");
                        }
                        drop(place);
                    });
                }
                Err(_) => turn_away(&stream),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The lock is still held, so the path cannot be another daemon's by now.
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "the control socket could not be removed");
        }
    }
}

/// The process at the other end, by what the kernel says of it and not by what it says of itself.
///
/// The socket's mode decides who may look. This is for telling apart root and the daemon's own user,
/// who alone may change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Peer {
    uid: u32,
    pid: Option<i32>,
}

impl Peer {
    fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        Ok(Peer { uid: credentials.uid(), pid: credentials.pid() })
    }

    /// Whether it is root or the daemon's own user.
    fn is_privileged(self) -> bool {
        self.uid == 0 || self.uid == rustix::process::geteuid().as_raw()
    }
}

/// One request and its answer.
async fn serve(
    mut stream: UnixStream,
    peer: Peer,
    status: watch::Receiver<Arc<Status>>,
    commands: Option<Commands>,
    patience: Duration,
) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read);
    let request = match timeout(patience, receive(&mut read)).await?? {
        Ok(request) => request,
        Err(refusal) => return send(&mut write, Answer::Error(refusal), patience).await,
    };
    match request {
        Request::Status => send(&mut write, Answer::Status(&*current(&status)), patience).await,
        Request::Watch => tokio::select! {
            // A client that has gone, or that talks on out of turn, gives its place free at once.
            gone = read.read_u8() => gone.map(|_| ()).or_else(end_is_fine),
            sent = stream_status(&mut write, status, patience) => sent,
        },
        Request::Drain(request) => {
            let answer = change(Change::Drain(request), peer, commands, patience).await;
            send(&mut write, answer, patience).await
        }
        Request::Resume => send(&mut write, change(Change::Resume, peer, commands, patience).await, patience).await,
    }
}

/// Has a change made for those who may.
async fn change(change: Change, peer: Peer, commands: Option<Commands>, patience: Duration) -> Answer<&'static Status> {
    let Some(commands) = commands.filter(|_| peer.is_privileged()) else {
        // Not as whom: in a user namespace (PrivateUsers=) the daemon sees every other user as nobody.
        let message = "only root and the daemon's own user may change anything".to_owned();
        return Answer::Error(refusal(NOT_PERMITTED, message));
    };
    if let Change::Drain(request) = &change
        && let Err(wrong) = request.check()
    {
        return Answer::Error(refusal("bad_request", wrong));
    }
    match commands.carry_out(change, peer.uid, patience).await {
        Ok(answer) => Answer::Drain(answer),
        Err(refusal) => Answer::Error(refusal),
    }
}

/// Reads one line and no more than [`REQUEST_MAX`].
async fn receive(read: &mut BufReader<ReadHalf<'_>>) -> io::Result<Result<Request, Refusal>> {
    let mut line = Vec::new();
    read.take(REQUEST_MAX).read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if line.len() as u64 == REQUEST_MAX {
        return Ok(Err(refusal("bad_request", format!("the request is longer than {REQUEST_MAX} bytes"))));
    }
    Ok(match serde_json::from_slice::<Message>(&line) {
        Ok(message) if message.v == VERSION => Ok(message.request),
        Ok(message) => Err(unsupported(message.v)),
        // The version first: a later one may know requests that this one does not.
        Err(_) if version(&line).is_some_and(|v| v != VERSION) => Err(unsupported(version(&line).unwrap_or_default())),
        Err(error) => Err(refusal("bad_request", format!("the request is not understood: {error}"))),
    })
}

async fn stream_status(
    write: &mut WriteHalf<'_>,
    mut status: watch::Receiver<Arc<Status>>,
    patience: Duration,
) -> io::Result<()> {
    loop {
        let now = status.borrow_and_update().clone();
        send(write, Answer::Status(&*now), patience).await?;
        if status.changed().await.is_err() {
            return Ok(());
        }
    }
}

async fn send(write: &mut WriteHalf<'_>, answer: Answer<&Status>, patience: Duration) -> io::Result<()> {
    let line = line(answer)?;
    timeout(patience, write.write_all(&line)).await?
}

/// Says why, if that can be said without waiting, and hangs up.
fn turn_away(stream: &UnixStream) {
    let answer = Answer::Error(refusal("too_many_clients", "the daemon serves as many clients as it may".to_owned()));
    if let Ok(line) = line(answer) {
        // Nothing is owed to this client, so it does not matter whether it takes the line.
        let _ = stream.try_write(&line);
    }
}

fn line(answer: Answer<&Status>) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(&Reply { v: VERSION, answer })?;
    line.push(b'\n');
    Ok(line)
}

fn current(status: &watch::Receiver<Arc<Status>>) -> Arc<Status> {
    status.borrow().clone()
}

async fn no_more(status: &mut watch::Receiver<Arc<Status>>) {
    while status.changed().await.is_ok() {}
}

fn end_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::UnexpectedEof { Ok(()) } else { Err(error) }
}

fn version(line: &[u8]) -> Option<u32> {
    let value: serde_json::Value = serde_json::from_slice(line).ok()?;
    value.get("v")?.as_u64()?.try_into().ok()
}

fn unsupported(theirs: u32) -> Refusal {
    refusal(
        "unsupported_version",
        format!("the client speaks version {theirs} of the protocol, this daemon version {VERSION}"),
    )
}

fn refusal(code: &str, message: String) -> Refusal {
    Refusal { code: code.to_owned(), message }
}

/// Whether there is certainly no directory: one that may not be looked at is not missing.
fn is_missing(directory: &Path) -> bool {
    match fs::metadata(directory) {
        Ok(found) => !found.is_dir(),
        Err(error) => matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
