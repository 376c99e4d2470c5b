//! The daemon's user, and what it may read by owner, group and mode.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The system user that the packages make for the daemon.
pub const DAEMON: &str = "nodedns";

/// A user of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user's id.
    pub uid: u32,
    /// The ids of its groups.
    pub gids: Vec<u32>,
}

/// What keeps a user from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The file, or the directory on the way to it.
    pub path: PathBuf,
    /// What its mode should be, for `chmod`, so that its group may do what is needed.
    pub mode: &'static str,
    is: u32,
    owner: (u32, u32),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (uid, gid) = self.owner;
        write!(f, "the mode of {} ({:04o}, owner {uid}, group {gid})", self.path.display(), self.is & 0o7777)
    }
}

impl Account {
    /// The daemon's user, if this host's own files have it: what comes from a directory service is not
    /// looked for.
    pub fn of_daemon() -> Option<Self> {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Account::find(DAEMON, &read("/etc/passwd"), &read("/etc/group"))
    }

    /// Finds a user in the text of passwd(5) and group(5).
    pub fn find(name: &str, passwd: &str, group: &str) -> Option<Self> {
        let fields = |text: &str| text.split(':').map(str::to_owned).collect::<Vec<_>>();
        let entry = passwd.lines().map(fields).find(|entry| entry.first().is_some_and(|n| n == name))?;
        let number = |index: usize| entry.get(index)?.parse::<u32>().ok();
        let (uid, gid) = (number(2)?, number(3)?);
        let mut gids = vec![gid];
        for entry in group.lines().map(fields) {
            let is_member = entry.get(3).is_some_and(|members| members.split(',').any(|member| member == name));
            gids.extend(entry.get(2).filter(|_| is_member).and_then(|gid| gid.parse::<u32>().ok()));
        }
        Some(Account { uid, gids })
    }

    /// Whether the user may read the file, by the modes of it and of every directory on the way;
    /// `None` when that cannot be told. Access control lists may say otherwise.
    pub fn may_read(&self, file: &Path) -> Option<Result<(), Refused>> {
        if self.uid == 0 {
            return Some(Ok(()));
        }
        let file = fs::canonicalize(file).ok()?;
        let mut way: Vec<&Path> = file.ancestors().collect();
        way.reverse();
        for path in way {
            let metadata = fs::metadata(path).ok()?;
            let (needed, mode) = if metadata.is_dir() { (0o1, "g+x") } else { (0o4, "g+r") };
            let owner = (metadata.uid(), metadata.gid());
            if !self.may(metadata.mode(), owner, needed) {
                return Some(Err(Refused { path: path.to_owned(), mode, is: metadata.mode(), owner }));
            }
        }
        Some(Ok(()))
    }

    /// The first class that the user is of decides, even if a later one would allow more
    /// (path_resolution(7)).
    fn may(&self, mode: u32, (uid, gid): (u32, u32), needed: u32) -> bool {
        let shift = match () {
            () if self.uid == uid => 6,
            () if self.gids.contains(&gid) => 3,
            () => 0,
        };
        (mode >> shift) & needed == needed
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_user_is_found_with_all_of_its_groups() {
        let passwd =
            "root:x:0:0::/root:/bin/sh\nnodedns-2:x:7:7::/:\nnodedns:x:998:997::/nonexistent:/usr/sbin/nologin\n";
        let group = "adm:x:4:syslog,nodedns\nnodedns:x:997:\nxnodedns:x:5:xnodedns\nbroken\n";
        let found = Account { uid: 998, gids: vec![997, 4] };
        assert_eq!(Account::find("nodedns", passwd, group), Some(found));
        assert_eq!(Account::find("node", passwd, group), None);
        assert_eq!(Account::find("nodedns", "nodedns:x:many:1::\n", group), None);
    }

    #[test]
    fn the_first_class_that_fits_decides() {
        let user = Account { uid: 10, gids: vec![20, 21] };
        for (mode, owner, readable) in [
            (0o600, (10, 1), true),
            (0o600, (0, 20), false),
            (0o640, (0, 21), true),
            (0o604, (0, 0), true),
            (0o640, (0, 0), false),
            // Others may, but its group may not.
            (0o604, (0, 20), false),
            (0o044, (10, 20), false),
        ] {
            assert_eq!(user.may(mode, owner, 0o4), readable, "{mode:o} {owner:?}");
        }
    }

    #[test]
    fn every_directory_on_the_way_counts() {
        let directory = tempfile::tempdir().expect("a directory");
        let (inner, file) = (directory.path().join("inner"), directory.path().join("inner/file"));
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
        fs::create_dir(&inner).expect("made");
        fs::write(&file, "x").expect("written");
        mode(directory.path(), 0o755);
        mode(&inner, 0o755);
        mode(&file, 0o644);
        let nobody = Account { uid: 65_534, gids: vec![65_534] };
        assert_eq!(nobody.may_read(&file), Some(Ok(())));
        mode(&file, 0o640);
        let refused = nobody.may_read(&file).expect("told").expect_err("refused");
        assert_eq!((refused.path.as_path(), refused.mode), (fs::canonicalize(&file).expect("there").as_path(), "g+r"));
        assert!(refused.to_string().contains("(0640, owner "), "{refused}");
        mode(&file, 0o644);
        mode(&inner, 0o700);
        let refused = nobody.may_read(&file).expect("told").expect_err("refused");
        assert_eq!(refused.mode, "g+x");
        assert_eq!(nobody.may_read(&directory.path().join("none")), None);
        let root = Account { uid: 0, gids: vec![0] };
        assert_eq!(root.may_read(&file), Some(Ok(())));
    }
}
