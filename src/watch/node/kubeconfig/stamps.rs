//! Whether files were replaced.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Files and what they looked like before they were read, to see later whether one was replaced.
#[derive(Debug, Clone, Default)]
pub(in crate::watch::node) struct FileSet(Vec<(PathBuf, Option<Stamp>)>);

/// Identity and age of the file that a path leads to, through any symbolic links: a rotation that
/// swings a link shows as another inode.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileSet {
    pub(super) fn add(&mut self, path: &Path) {
        self.0.push((path.to_owned(), stamp(path)));
    }

    /// Whether any of the files has been replaced, rewritten, created or removed since.
    pub(in crate::watch::node) fn has_changed(&self) -> bool {
        self.0.iter().any(|(path, before)| stamp(path) != *before)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let file = std::fs::metadata(path).ok()?;
    Some(Stamp {
        device: file.dev(),
        inode: file.ino(),
        size: file.size(),
        modified: (file.mtime(), file.mtime_nsec()),
        changed: (file.ctime(), file.ctime_nsec()),
    })
}
