//! The metrics as a file for node_exporter's textfile collector.
//!
//! The file is replaced as a whole, and no other file beside it has a name that the collector would read.
//! A thread of its own writes, so that a disk that is slow or stuck holds nobody up.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::time::sleep;

use crate::metrics::Exposition;

/// How long the end of the daemon waits for a disk that is stuck.
const FAREWELL: Duration = Duration::from_secs(1);

/// Everyone may read it: node_exporter has a user of its own.
const MODE: u32 = 0o644;

/// How often the file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// No sooner after it was written than this, though something has changed.
    pub least: Duration,
    /// No later than this, though nothing has: so one that nobody writes any more shows.
    pub most: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { least: Duration::from_secs(1), most: Duration::from_secs(30) }
    }
}

/// A file that is kept up to date. Dropping it removes the file.
#[derive(Debug)]
pub struct Textfile {
    path: PathBuf,
    /// `None` once it is over.
    texts: Option<SyncSender<String>>,
    /// Ends when the thread does.
    ended: Receiver<()>,
}

impl Textfile {
    /// A file at `path`, of which nothing is there yet. A directory that cannot be written to is no error:
    /// it may become one that can.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn new(path: PathBuf) -> io::Result<Self> {
        let (texts, received) = sync_channel(1);
        let (ends, ended) = sync_channel(0);
        let file = path.clone();
        thread::Builder::new().name("textfile".to_owned()).spawn(move || {
            write_each(&file, &received);
            drop(ends);
        })?;
        Ok(Textfile { path, texts: Some(texts), ended })
    }

    /// Writes until nobody tells the status any more. For the dropping see [`Textfile`].
    pub async fn run(self, exposition: Arc<Exposition>, pace: Pace) {
        let mut status = exposition.status.clone();
        let mut is_stuck = false;
        loop {
            status.borrow_and_update();
            match exposition.text() {
                Ok(text) => self.hand_over(text, &mut is_stuck),
                Err(error) => tracing::warn!("the metrics cannot be put together: {error}"),
            }
            // Timers count from here, but only the one that is waited for wakes anybody.
            let least = pin!(sleep(pace.least));
            let mut most = pin!(sleep(pace.most));
            tokio::select! {
                changed = status.changed() => if changed.is_err() { return },
                () = exposition.counts.news() => {}
                () = &mut most => {}
            }
            least.await;
        }
    }

    fn hand_over(&self, text: String, is_stuck: &mut bool) {
        let Some(texts) = &self.texts else { return };
        let was_stuck = std::mem::replace(is_stuck, matches!(texts.try_send(text), Err(TrySendError::Full(_))));
        if *is_stuck && !was_stuck {
            let path = self.path.display();
            tracing::warn!("{path}, which metrics.textfile names, is out of date: the disk takes long to write it");
        }
    }
}

impl Drop for Textfile {
    fn drop(&mut self) {
        self.texts = None;
        // Its end, or no end in sight; either way there is nothing more to do.
        let _ = self.ended.recv_timeout(FAREWELL);
    }
}

/// What the thread does: writes each text in turn, then takes the file away.
fn write_each(path: &Path, texts: &Receiver<String>) {
    let (mut is_there, mut is_failing) = (false, false);
    for text in texts {
        match replace(path, &text) {
            Ok(()) => {
                if is_failing {
                    tracing::info!("{} can be written again", path.display());
                }
                (is_there, is_failing) = (true, false);
            }
            Err(error) => {
                if !is_failing {
                    let directory = path.parent().unwrap_or(path).display();
                    tracing::warn!(
                        "{}, which metrics.textfile names, cannot be written: {error}; let the daemon's user write to \
                         {directory} (under systemd also ReadWritePaths=-{directory} in the unit); it is tried again",
                        path.display()
                    );
                }
                is_failing = true;
            }
        }
    }
    if is_there && let Err(error) = fs::remove_file(path) {
        tracing::debug!(%error, "{} could not be removed", path.display());
    }
}

/// Writes the file beside its place first. What a power failure leaves of it is out of date anyway, so
/// nothing is forced to the disk.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Never through a link that somebody else has put there.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&fresh)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.set_permissions(Permissions::from_mode(MODE)))
        .and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        // It has failed already; what is left of it is removed before the next try.
        let _ = fs::remove_file(&fresh);
    }
    written
}
