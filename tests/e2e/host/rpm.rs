//! The .rpm in the hands of rpm, in the root of a Debian that is not running: systemd's tools there only note
//! that they were called.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::machine::{Suite, child_of_this_thread, image, mount};
use super::site::packages;
use crate::support::skip;

/// What an install says to systemd. Nothing is started.
const INSTALLED: &str = "systemd-sysusers nodedns.conf
systemd-tmpfiles --create nodedns.conf
systemctl --system daemon-reload
systemctl --no-reload preset nodedns.service
";

/// What an erasure says to systemd.
const ERASED: &str = "systemctl --no-reload disable --now nodedns.service nodedns-prune.timer
systemctl stop nodedns-credentials.path nodedns-credentials.service nodedns-prune.service
systemctl --system daemon-reload
";

/// A root to install into. Its disk is gone when it is dropped.
struct Root {
    disk: Child,
    directory: TempDir,
    package: PathBuf,
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = self.disk.kill();
        let _ = self.disk.wait();
    }
}

impl Root {
    fn new() -> Result<Root, String> {
        let (package, image) = (package("rpm")?, image(Suite::Bookworm)?);
        if !Command::new("rpm").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
            return Err("rpm is not installed (package rpm)".to_owned());
        }
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(directory.path().join("disk")).expect("a directory");
        let root = Root { disk: mount(&image, directory.path())?, directory, package };
        root.must(
            r#"mkdir -p "$ROOT/run/systemd/system" && for tool in systemctl systemd-sysusers systemd-tmpfiles; do
                 rm -f "$ROOT/usr/bin/$tool"
                 printf '%s\n' '#!/bin/sh' 'echo "${0##*/} $*" >>/calls' >"$ROOT/usr/bin/$tool"
                 chmod 755 "$ROOT/usr/bin/$tool"
               done"#,
        );
        Ok(root)
    }

    /// Has a shell run a command that must succeed: `$ROOT` is the root, `$PACKAGE` the package, `rpm` works in
    /// the root.
    fn must(&self, command: &str) -> String {
        let rpm = r#"rpm() { command rpm --force-debian --root "$ROOT" --dbpath /var/lib/rpm "$@"; }"#;
        let output = child_of_this_thread()
            .arg("nsenter")
            .arg(format!("--mount=/proc/{}/ns/mnt", self.disk.id()))
            .args(["sh", "-c", &format!("{rpm}\n{command}")])
            .env("ROOT", self.directory.path().join("disk/root"))
            .env("PACKAGE", &self.package)
            .output()
            .expect("nsenter runs");
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// What the scriptlets have called since they were last asked.
    fn calls(&self) -> String {
        self.must(r#"[ ! -e "$ROOT/calls" ] || { cat "$ROOT/calls"; rm "$ROOT/calls"; }"#)
    }

    /// Runs a scriptlet as rpm would, with the number that it is given.
    fn scriptlet(&self, tag: &str, number: u8) -> String {
        self.must(&format!(r#"command rpm -qp --qf '%{{{tag}}}' "$PACKAGE" | chroot "$ROOT" /bin/sh -s {number}"#));
        self.calls()
    }
}

/// The package of a kind, or why there is none.
fn package(extension: &str) -> Result<PathBuf, String> {
    let directory = packages();
    let entries = std::fs::read_dir(&directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found = entries.filter(|path| path.extension().is_some_and(|found| found == extension));
    match (found.next(), found.next()) {
        (Some(package), None) => std::path::absolute(package).map_err(|error| error.to_string()),
        (found, _) => {
            let count = if found.is_some() { "more than one" } else { "no" };
            Err(format!("there is {count} .{extension} in {}; packaging/build makes it", directory.display()))
        }
    }
}

#[test]
fn an_install_enables_by_preset_only_and_an_erasure_stops_everything() {
    let root = match Root::new() {
        Ok(root) => root,
        Err(why) => return skip(&why),
    };
    root.must(r#"rpm --nodeps --install "$PACKAGE""#);
    assert_eq!(root.calls(), INSTALLED);
    assert_eq!(root.must("rpm --verify --nodeps nodedns"), "");
    assert_eq!(root.must(r#"ls -A "$ROOT/etc/nodedns""#), "nodedns.toml\nnodedns.toml.d\n");

    root.must(r#"echo '# mine' >>"$ROOT/etc/nodedns/nodedns.toml""#);
    root.must(r#"mkdir -m 700 "$ROOT/run/credstore" && ln -s /nowhere "$ROOT/run/credstore/nodedns.k3s.kubeconfig""#);
    root.must("rpm --erase nodedns");
    assert_eq!(root.calls(), ERASED);
    assert_eq!(
        root.must(r#"ls -A "$ROOT/etc/nodedns" "$ROOT/run/credstore" | grep nodedns\\."#),
        "nodedns.toml.rpmsave\n"
    );

    // Nobody has edited it: nothing is left.
    root.must(r#"rm -r "$ROOT/etc/nodedns" && rpm --nodeps --install "$PACKAGE" && rpm --erase nodedns"#);
    assert_eq!(root.must(r#"find "$ROOT" -xdev -path '*nodedns*'"#), "");
}

#[test]
fn an_upgrade_restarts_what_runs() {
    let root = match Root::new() {
        Ok(root) => root,
        Err(why) => return skip(&why),
    };
    // In this order: the new one's, and then, once its files are there, the old one's.
    let begun =
        "systemd-sysusers nodedns.conf\nsystemd-tmpfiles --create nodedns.conf\nsystemctl --system daemon-reload\n";
    assert_eq!(root.scriptlet("POSTIN", 2), begun);
    assert_eq!(root.scriptlet("PREUN", 1), "");
    let ended = "systemctl --system daemon-reload
systemctl try-restart nodedns-credentials.path nodedns-prune.timer nodedns.service
";
    assert_eq!(root.scriptlet("POSTUN", 1), ended);
}

#[test]
fn into_a_system_that_is_not_running_it_installs_without_asking_it() {
    let root = match Root::new() {
        Ok(root) => root,
        Err(why) => return skip(&why),
    };
    root.must(r#"rmdir "$ROOT/run/systemd/system""#);
    let preset = "systemd-sysusers nodedns.conf\nsystemctl --no-reload preset nodedns.service\n";
    assert_eq!(root.scriptlet("POSTIN", 1), preset);
    assert_eq!(root.scriptlet("POSTIN", 2), "systemd-sysusers nodedns.conf\n");
    assert_eq!(root.scriptlet("POSTUN", 1), "");
    let disabled = "systemctl --no-reload disable nodedns.service nodedns-prune.timer\n";
    assert_eq!(root.scriptlet("PREUN", 0), disabled);
    assert_eq!(root.scriptlet("POSTUN", 0), "");
}

#[test]
fn it_has_in_it_what_the_deb_has() {
    let (rpm, deb) = match (Root::new(), package("deb")) {
        (Ok(root), Ok(deb)) => (root, deb),
        (Err(why), _) | (_, Err(why)) => return skip(&why),
    };
    let list = "'[%{FILENAMES} %{FILEMODES:octal} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEFLAGS:fflags}\\n]'";
    let list = rpm.must(&format!(r#"command rpm -qp --qf {list} "$PACKAGE""#));
    let mut files = BTreeSet::new();
    for line in list.lines() {
        let (path, is) = line.split_once(' ').expect("a path and more");
        let (mode, flags) = match path {
            "/usr/bin/nodedns" => ("100755", ""),
            "/etc/nodedns/nodedns.toml" => ("100644", "cn"),
            _ if path.starts_with("/usr/share/doc/") || path.starts_with("/usr/share/man/") => ("100644", "d"),
            _ => ("100644", ""),
        };
        assert_eq!(is.trim_end(), format!("{mode} root:root {flags}").trim_end(), "{path}");
        files.insert(path.to_owned());
    }

    let output = Command::new("dpkg-deb").arg("--contents").arg(deb).output().expect("dpkg-deb runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let others: BTreeSet<String> = text
        .lines()
        .filter(|line| line.starts_with('-'))
        .filter_map(|line| line.split_once(" ./").map(|(_, path)| format!("/{path}")))
        .collect();
    let only: Vec<_> = files.difference(&others).map(String::as_str).collect();
    let licenses = ["/usr/share/licenses/nodedns/LICENSE-APACHE", "/usr/share/licenses/nodedns/LICENSE-MIT"];
    assert_eq!(only, [licenses.as_slice(), &["/usr/share/zsh/site-functions/_nodedns"]].concat());
    let missing: Vec<_> = others.difference(&files).map(String::as_str).collect();
    let debian = [
        "/usr/share/doc/nodedns/README.Debian",
        "/usr/share/doc/nodedns/changelog.Debian.gz",
        "/usr/share/doc/nodedns/copyright",
        "/usr/share/lintian/overrides/nodedns",
        "/usr/share/zsh/vendor-completions/_nodedns",
    ];
    assert_eq!(missing, debian);

    let requires = rpm.must(r#"command rpm -qp --requires "$PACKAGE""#);
    for needed in ["ca-certificates", "systemd >= 252", "/bin/sh", "libc.so.6(GLIBC_2.34)(64bit)"] {
        assert!(requires.lines().any(|line| line == needed), "{needed}: {requires}");
    }
}
