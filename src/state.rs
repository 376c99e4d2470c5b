//! What must survive a restart of the daemon: the operator's drain, in a file of the state directory.
//!
//! The file says until when by the clock on the wall, which is looked at once, when it is read.
//! While the daemon runs, setting the clock changes nothing. Across a restart it does: set ahead,
//! the drain ends earlier; set back, later, but never later after the restart than it was given
//! time in all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::decide::drain::Drain;
use crate::decide::time::Moment;

/// The version of the file's format.
const VERSION: u32 = 1;

/// The most that is read of the file, in bytes. Ours has a few hundred.
const SIZE_MAX: u64 = 64 * 1024;

/// A drain as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedDrain {
    version: u32,
    /// When the operator asked for it.
    pub since: Timestamp,
    /// When it ends by itself; `None` when only a resume ends it.
    pub until: Option<Timestamp>,
    /// Whether it may leave a pool with fewer than `keep_min` record sets.
    pub force: bool,
    /// Why, in the operator's words.
    pub reason: Option<String>,
    /// Who asked for it: the user id.
    pub uid: u32,
}

impl SavedDrain {
    /// A drain that somebody asks for now.
    pub fn new(since: Timestamp, until: Option<Timestamp>, force: bool, reason: Option<String>, uid: u32) -> Self {
        SavedDrain { version: VERSION, since, until, force, reason, uid }
    }

    /// What of it is still to come at `now`, when the clock on the wall shows `wall`; `None` when it
    /// is over.
    pub fn in_force(&self, now: Moment, wall: Timestamp) -> Option<Drain> {
        let Some(until) = self.until else { return Some(Drain { until: None, force: self.force }) };
        // A clock that shows a time before the drain began is wrong, and would draw it out.
        let left = until.duration_since(wall).min(until.duration_since(self.since));
        let left = std::time::Duration::try_from(left).ok().filter(|left| !left.is_zero())?;
        Some(Drain { until: Some(now + left), force: self.force })
    }
}

/// Why the file cannot be made sense of.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system refuses.
    #[error("{path} cannot be read: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// It is longer than any that the daemon writes.
    #[error("{0} is longer than any that this program writes")]
    TooLong(PathBuf),
    /// It is not what the daemon writes.
    #[error("{path} is damaged: {source}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A later version has written it.
    #[error("{path} is of version {theirs}, of which this program knows nothing")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        theirs: u32,
    },
}

/// Where the drain is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// Keeps the drain in this directory, which is made when there is something to keep.
    pub fn new(directory: &Path) -> Self {
        Store { directory: directory.to_owned() }
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.directory.join("drain.json")
    }

    /// The drain that was kept; `None` without a file, or without the directory.
    ///
    /// # Errors
    /// When there is, or may be, a file that cannot be read: then nobody knows whether the node is drained.
    pub fn load(&self) -> Result<Option<SavedDrain>, ReadError> {
        let path = self.path();
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|file| file.take(SIZE_MAX).read_to_end(&mut bytes)) {
            Ok(_) => {}
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ReadError::Io { path, source }),
        }
        if bytes.len() as u64 == SIZE_MAX {
            return Err(ReadError::TooLong(path));
        }
        // The version first: a later one may look different altogether.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        match serde_json::from_slice(&bytes) {
            Ok(Version { version: VERSION }) => {}
            Ok(Version { version: theirs }) => return Err(ReadError::Version { path, theirs }),
            Err(source) => return Err(ReadError::Damaged { path, source }),
        }
        serde_json::from_slice(&bytes).map(Some).map_err(|source| ReadError::Damaged { path, source })
    }

    /// Keeps this drain, in place of an earlier one, or none: whole or not at all, and on the disk
    /// when this returns.
    ///
    /// # Errors
    /// When the disk is full, read-only or not ours to write to. What was kept before then still is.
    pub fn keep(&self, drain: Option<&SavedDrain>) -> io::Result<()> {
        match drain {
            Some(drain) => self.save(drain),
            None => match fs::remove_file(self.path()) {
                Ok(()) => sync(&self.directory),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            },
        }
    }

    fn save(&self, drain: &SavedDrain) -> io::Result<()> {
        match DirBuilder::new().mode(0o750).create(&self.directory) {
            Ok(()) => self.directory.parent().map_or(Ok(()), sync)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        let fresh = self.directory.join("drain.json.new");
        let write = || {
            // One that was left behind by a crash may have another owner or mode.
            match fs::remove_file(&fresh) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
            let mut text = serde_json::to_vec_pretty(drain)?;
            text.push(b'\n');
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&fresh, self.path())
        };
        if let Err(error) = write() {
            // If even that fails, the next one replaces it.
            let _ = fs::remove_file(&fresh);
            return Err(error);
        }
        sync(&self.directory)
    }
}

/// A name is on the disk once its directory is.
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
