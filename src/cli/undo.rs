//! The undo file: what a command that a person runs is about to change, written before it changes anything.
//!
//! JSON. Beside what `nodedns restore` needs, it has for each pool the change batch that undoes it, in the
//! very form of `aws route53 change-resource-record-sets --change-batch`, so that it can be applied by hand.

mod record_set;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cli::diff::PoolDiff;
use crate::decide::name::DnsName;
use crate::decide::record::{Action, Change, RecordSet, RecordType};

pub use record_set::ResourceRecordSet;

/// The version of the file's format.
const VERSION: u32 = 1;

/// The word by which the file is known.
const FORMAT: &str = "nodedns-undo";

/// The most that is read of a file, in bytes: more than a thousand full pools take.
const SIZE_MAX: u64 = 256 * 1024 * 1024;

/// What is read before anything else, so that a file of a later version is told from a broken one.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

/// An undo file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UndoFile {
    /// Always `nodedns-undo`.
    format: String,
    /// The version of the format.
    version: u32,
    /// The version of the program that has written it.
    pub tool_version: String,
    /// When.
    pub created_at: Timestamp,
    /// The command that has written it: `prune`, `adopt` or `restore`.
    pub command: String,
    /// The cluster of the configuration.
    pub cluster: String,
    /// The host on which the command ran.
    pub host: String,
    /// The pools that were about to be changed.
    pub pools: Vec<UndonePool>,
}

/// One pool of an undo file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UndonePool {
    /// The hosted zone's id.
    pub zone_id: String,
    /// The name as Route 53 writes it, with the trailing dot.
    pub name: String,
    /// `A` or `AAAA`.
    #[serde(rename = "type")]
    pub rtype: String,
    /// The record sets that were about to be deleted or replaced.
    removed: Vec<ResourceRecordSet>,
    /// Those that were about to be created, or to replace one.
    created: Vec<ResourceRecordSet>,
    /// What undoes it: deletes what was created, creates what was removed.
    change_batch: ChangeBatch,
}

/// The argument of `aws route53 change-resource-record-sets --change-batch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ChangeBatch {
    comment: String,
    changes: Vec<ListedChange>,
}

/// One change of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ListedChange {
    action: String,
    resource_record_set: ResourceRecordSet,
}

/// A pool of an undo file in our words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undo {
    /// The hosted zone's id.
    pub zone_id: String,
    /// The name.
    pub name: DnsName,
    /// The type.
    pub rtype: RecordType,
    /// The record sets that were about to be deleted or replaced.
    pub removed: Vec<RecordSet>,
    /// Those that were about to be created, or to replace one.
    pub created: Vec<RecordSet>,
}

/// Why an undo file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// The operating system refuses.
    #[error("{path} cannot be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// It is longer than any that the program writes.
    #[error("{0} is longer than any undo file")]
    TooLong(PathBuf),
    /// It is no JSON, or breaks off.
    #[error(
        "{path} is damaged or breaks off: {source}\nhint: nothing was changed; was the disk full when it was written?"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// It is JSON, and something else.
    #[error("{0} is not an undo file of nodedns")]
    Foreign(PathBuf),
    /// A later version has written it.
    #[error(
        "{path} is of version {theirs}, and this program knows version {VERSION}\nhint: restore with the version of nodedns that wrote it, or a later one"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        theirs: u32,
    },
    /// It contradicts itself.
    #[error("{path} makes no sense: {why}")]
    Nonsense {
        /// The file.
        path: PathBuf,
        /// What does not.
        why: String,
    },
}

impl UndoFile {
    /// What undoes these edits.
    pub fn new(command: &str, cluster: &str, host: &str, created_at: Timestamp, pools: &[PoolDiff]) -> Self {
        UndoFile {
            format: FORMAT.to_owned(),
            version: VERSION,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            created_at,
            command: command.to_owned(),
            cluster: cluster.to_owned(),
            host: host.to_owned(),
            pools: pools.iter().map(|diff| UndonePool::of(diff, command)).collect(),
        }
    }

    /// Reads an undo file.
    ///
    /// # Errors
    /// [`UndoError`] says what is wrong with it.
    pub fn read(path: &Path) -> Result<Self, UndoError> {
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(SIZE_MAX).read_to_end(&mut bytes));
        read.map_err(|source| UndoError::Io { path: path.to_owned(), source })?;
        if bytes.len() as u64 == SIZE_MAX {
            return Err(UndoError::TooLong(path.to_owned()));
        }
        let damaged = |source| UndoError::Damaged { path: path.to_owned(), source };
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(damaged)?;
        match serde_json::from_value::<Head>(value.clone()) {
            Ok(head) if head.format != FORMAT => return Err(UndoError::Foreign(path.to_owned())),
            Err(_) => return Err(UndoError::Foreign(path.to_owned())),
            Ok(head) if head.version != VERSION => {
                return Err(UndoError::Version { path: path.to_owned(), theirs: head.version });
            }
            Ok(_) => {}
        }
        serde_json::from_value(value).map_err(damaged)
    }

    /// The pools in our words.
    ///
    /// # Errors
    /// [`UndoError::Nonsense`] when one contradicts itself, as after an edit by hand.
    pub fn undos(&self, path: &Path) -> Result<Vec<Undo>, UndoError> {
        let nonsense = |why: String| UndoError::Nonsense { path: path.to_owned(), why };
        let mut undos: Vec<Undo> = Vec::new();
        for pool in &self.pools {
            let undo = pool.undo().map_err(|why| nonsense(format!("{} {}: {why}", pool.name, pool.rtype)))?;
            if undos.iter().any(|u| (&u.zone_id, &u.name, u.rtype) == (&undo.zone_id, &undo.name, undo.rtype)) {
                return Err(nonsense(format!("{} {} is in it twice", pool.name, pool.rtype)));
            }
            undos.push(undo);
        }
        Ok(undos)
    }

    /// Writes it to a new file that only its owner can read, and to the disk before it returns.
    ///
    /// # Errors
    /// When there is such a file, or it cannot be written; what was written of it is gone then.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| sync_parent(path));
        written.inspect_err(|_| {
            // Half an undo file is worse than none.
            let _ = fs::remove_file(path);
        })
    }
}

/// That there is a new file in it is on the disk, too.
fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

/// Writes it where nothing else says: to `undo/<command>-<UTC time>.json` in the state directory if that
/// can be written, else in the current directory. Where it is.
///
/// # Errors
/// When neither can be.
pub fn write_somewhere(file: &UndoFile, state_directory: &Path) -> io::Result<PathBuf> {
    let directory = state_directory.join("undo");
    let first = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
    let first = first.and_then(|()| write_new(file, &directory));
    first.or_else(|_| write_new(file, &std::env::current_dir()?))
}

/// How many files of one second there may be.
const NAMES: u32 = 100;

/// Writes it under a name that is not taken.
fn write_new(file: &UndoFile, directory: &Path) -> io::Result<PathBuf> {
    let stem = format!("{}-{}", file.command, file.created_at.strftime("%Y%m%dT%H%M%SZ"));
    for number in 1..=NAMES {
        let name = if number == 1 { format!("{stem}.json") } else { format!("{stem}-{number}.json") };
        let path = directory.join(name);
        match file.write(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            written => return written.map(|()| path),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

impl UndonePool {
    fn of(diff: &PoolDiff, command: &str) -> Self {
        let list = |set: &RecordSet| ResourceRecordSet::new(&diff.name, diff.rtype, set);
        let removed: Vec<_> = diff.edits.iter().filter_map(|edit| edit.before()).map(list).collect();
        let created: Vec<_> = diff.edits.iter().filter_map(|edit| edit.after()).map(list).collect();
        UndonePool {
            zone_id: diff.zone_id.clone(),
            name: diff.name.as_str().to_owned(),
            rtype: diff.rtype.as_str().to_owned(),
            change_batch: batch(&removed, &created, command),
            removed,
            created,
        }
    }

    fn undo(&self) -> Result<Undo, String> {
        let name = DnsName::parse(&self.name).map_err(|error| error.to_string())?;
        let rtype = RecordType::ALL.into_iter().find(|rtype| rtype.as_str() == self.rtype);
        let rtype = rtype.ok_or("it is neither A nor AAAA")?;
        if self.zone_id.is_empty() {
            return Err("it is in no hosted zone".to_owned());
        }
        let words = self.change_batch.comment.strip_prefix(COMMENT).unwrap_or_default();
        if self.change_batch != batch(&self.removed, &self.created, words) {
            return Err("its change_batch is not what 'removed' and 'created' come to; was it edited?".to_owned());
        }
        let read = |sets: &[ResourceRecordSet]| -> Result<Vec<RecordSet>, String> {
            let sets: Vec<RecordSet> = sets.iter().map(|set| set.read(&name, rtype)).collect::<Result<_, _>>()?;
            let mut keys: Vec<_> = sets.iter().map(|set| &set.set_identifier).collect();
            keys.sort();
            if keys.windows(2).any(|pair| pair.first() == pair.last()) {
                return Err("one set identifier is in it twice".to_owned());
            }
            Ok(sets)
        };
        let (removed, created) = (read(&self.removed)?, read(&self.created)?);
        Ok(Undo { zone_id: self.zone_id.clone(), name, rtype, removed, created })
    }
}

const COMMENT: &str = "undoes nodedns ";

fn batch(removed: &[ResourceRecordSet], created: &[ResourceRecordSet], command: &str) -> ChangeBatch {
    let changes = |action: Action, sets: &[ResourceRecordSet]| -> Vec<ListedChange> {
        let change = |set: &ResourceRecordSet| ListedChange {
            action: action.as_str().to_owned(),
            resource_record_set: set.clone(),
        };
        sets.iter().map(change).collect()
    };
    let changes = [changes(Action::Delete, created), changes(Action::Create, removed)].concat();
    ChangeBatch { comment: format!("{COMMENT}{command}"), changes }
}

impl Undo {
    /// One change of the pool.
    pub fn change(&self, action: Action, set: &RecordSet) -> Change {
        Change { action, name: self.name.clone(), rtype: self.rtype, set: set.clone() }
    }
}
