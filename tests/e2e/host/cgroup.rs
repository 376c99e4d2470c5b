//! Control groups. Machines that are started from the same one would share everything below it, and
//! systemd in each would take the services of the others for its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A control group of its own in each hierarchy that systemd counts processes in; gone when it is dropped,
/// whatever has been made below it.
pub(super) struct Groups(Vec<PathBuf>);

impl Drop for Groups {
    fn drop(&mut self) {
        self.0.iter().for_each(|group| remove(group));
    }
}

/// Nothing but directories can be removed there, and those only when no process is in them.
fn remove(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(group);
}

impl Groups {
    pub(super) fn new(name: &str) -> Result<Groups, String> {
        let own = fs::read_to_string("/proc/self/cgroup").map_err(|error| format!("/proc/self/cgroup: {error}"))?;
        let mounts = fs::read_to_string("/proc/self/mounts").map_err(|error| format!("/proc/self/mounts: {error}"))?;
        let mut groups = Groups(Vec::new());
        for line in mounts.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let &[_, mounted, kind, options, ..] = &words[..] else { continue };
            // cgroups(7): hierarchy, controllers, path.
            let controllers = match kind {
                "cgroup2" => "",
                "cgroup" if options.split(',').any(|option| option == "name=systemd") => "name=systemd",
                _ => continue,
            };
            let path =
                own.lines().find_map(|line| line.split_once(':')?.1.strip_prefix(controllers)?.strip_prefix(':'));
            let Some(path) = path else { continue };
            let group = Path::new(mounted).join(path.trim_start_matches('/')).join(name);
            fs::create_dir(&group).map_err(|error| format!("{}: {error}", group.display()))?;
            groups.0.push(group);
        }
        Ok(groups)
    }

    /// Has a program start in them.
    pub(super) fn start_in(&self, command: &mut Command) {
        let enter = "while [ \"$1\" != -- ]; do echo $$ >\"$1/cgroup.procs\" || exit; shift; done; shift; exec \"$@\"";
        command.args(["sh", "-c", enter, "sh"]).args(&self.0).arg("--");
    }
}
