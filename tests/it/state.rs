//! The drain's file: written whole or not at all, on disks that are well and on others.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nodedns::decide::drain::Drain;
use nodedns::decide::time::Moment;
use nodedns::state::{ReadError, SavedDrain, Store};
use rustix::thread::UnshareFlags;
use tempfile::TempDir;

use crate::support::skip;

fn noon() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().expect("a timestamp")
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

fn half_an_hour() -> SavedDrain {
    SavedDrain::new(noon(), Some(noon() + minutes(30)), false, Some("kernel \"upgrade\"".to_owned()), 1000)
}

fn store() -> (TempDir, Store) {
    let directory = TempDir::new().expect("a directory");
    let store = Store::new(&directory.path().join("nodedns"));
    (directory, store)
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn what_is_kept_is_read_again_and_what_is_not_is_gone() {
    let (directory, store) = store();
    assert_eq!(store.load().expect("no directory is no drain"), None);
    store.keep(None).expect("there is nothing to remove");
    assert!(names(directory.path()).is_empty(), "nothing to keep, nothing made");
    let forever = SavedDrain::new(noon(), None, true, None, 0);
    for drain in [half_an_hour(), forever] {
        store.keep(Some(&drain)).expect("a disk that is well");
        assert_eq!(store.load().expect("our own words"), Some(drain));
        assert_eq!(names(store.path().parent().expect("a directory")), ["drain.json"]);
    }
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&store.path()), 0o600);
    assert_eq!(mode(store.path().parent().expect("a directory")) & 0o027, 0);
    store.keep(None).expect("a disk that is well");
    assert_eq!(store.load().expect("no file is no drain"), None);
}

#[test]
fn the_file_is_the_documented_json() {
    let (_directory, store) = store();
    store.keep(Some(&half_an_hour())).expect("a disk that is well");
    let text = fs::read_to_string(store.path()).expect("the file");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let expected = serde_json::json!({
        "version": 1, "since": "2026-11-21T12:00:00Z", "until": "2026-11-21T12:30:00Z",
        "force": false, "reason": "kernel \"upgrade\"", "uid": 1000
    });
    assert_eq!(json, expected);
}

#[test]
fn what_a_crash_has_left_behind_is_in_nobodys_way() {
    let (_directory, store) = store();
    store.keep(Some(&half_an_hour())).expect("a disk that is well");
    let fresh = store.path().with_extension("json.new");
    fs::write(&fresh, "half a dr").expect("a file");
    assert_eq!(store.load().expect("the whole one"), Some(half_an_hour()));
    let later = SavedDrain::new(noon() + minutes(5), None, false, None, 0);
    store.keep(Some(&later)).expect("a disk that is well");
    assert_eq!(store.load().expect("the later one"), Some(later));
    assert!(!fresh.exists());
}

#[test]
fn a_file_that_makes_no_sense_is_an_error_and_left_alone() {
    let (_directory, store) = store();
    store.keep(Some(&half_an_hour())).expect("a disk that is well");
    let whole = fs::read_to_string(store.path()).expect("the file");
    let cases = [
        (String::new(), "is damaged"),
        ("{".to_owned(), "is damaged"),
        ("null".to_owned(), "is damaged"),
        (whole[..whole.len() / 2].to_owned(), "is damaged"),
        (whole.replace("30:00Z", "99:00Z"), "is damaged"),
        (whole.replace("\"version\": 1", "\"version\": 2"), "of version 2"),
        ("\0".repeat(4096), "is damaged"),
        (" ".repeat(100_000), "longer than"),
    ];
    for (text, expected) in cases {
        fs::write(store.path(), &text).expect("a file");
        let error = store.load().expect_err("no sense").to_string();
        assert!(error.contains(expected) && error.contains("drain.json"), "{text:.80}: {error}");
        assert_eq!(fs::read_to_string(store.path()).expect("the file"), text);
    }
    // The next word of the operator replaces it, or removes it.
    store.keep(Some(&half_an_hour())).expect("a disk that is well");
    assert_eq!(store.load().expect("whole again"), Some(half_an_hour()));
    fs::write(store.path(), "{").expect("a file");
    store.keep(None).expect("a disk that is well");
    assert_eq!(store.load().expect("gone"), None);
}

#[test]
fn what_is_no_file_is_an_error_both_ways() {
    let (_directory, store) = store();
    fs::create_dir_all(store.path()).expect("a directory in its place");
    assert!(matches!(store.load(), Err(ReadError::Io { .. })));
    store.keep(Some(&half_an_hour())).expect_err("a directory cannot be replaced");
    store.keep(None).expect_err("nor removed as a file");
    assert_eq!(names(store.path().parent().expect("a directory")), ["drain.json"]);
}

#[test]
fn the_clock_is_looked_at_once_and_a_wrong_one_draws_nothing_out() {
    let now = Moment::new(Duration::from_secs(1000));
    let left = |wall: Timestamp| {
        let drain = half_an_hour().in_force(now, wall)?;
        Some((drain.until.expect("it ends") - now).as_secs())
    };
    assert_eq!(left(noon()), Some(1800));
    assert_eq!(left(noon() + minutes(20)), Some(600));
    assert_eq!(left(noon() + minutes(30)), None, "over in that moment");
    assert_eq!(left(noon() + minutes(31)), None);
    assert_eq!(left(noon() - minutes(60 * 24 * 365)), Some(1800), "no longer than was asked for");
    let forever = SavedDrain::new(noon(), None, true, None, 0);
    let expected = Some(Drain { until: None, force: true });
    assert_eq!(forever.in_force(now, noon() + minutes(1_000_000)), expected);
}

/// Runs a test in a mount namespace of its own, in which this directory is a disk of 8 KiB.
fn on_a_tiny_disk(test: impl FnOnce(&Path) + Send + 'static) {
    let run = move || -> Result<(), String> {
        leave_the_file_system_view()?;
        let directory = TempDir::new().expect("a directory");
        mount(&["--make-rprivate", "/"])?;
        let path = directory.path().to_str().expect("a plain path");
        mount(&["-t", "tmpfs", "-o", "size=8k", "tmpfs", path])?;
        test(directory.path());
        Ok(())
    };
    match std::thread::spawn(run).join() {
        Ok(Ok(())) => {}
        Ok(Err(why)) => skip(&why),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

#[expect(deprecated, reason = "unsafe only where file descriptors are unshared, which they are not here")]
fn leave_the_file_system_view() -> Result<(), String> {
    rustix::thread::unshare(UnshareFlags::FS | UnshareFlags::NEWNS)
        .map_err(|error| format!("cannot make a mount namespace ({error}); run as root"))
}

fn mount(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("mount").args(arguments).output().map_err(|error| format!("no mount: {error}"))?;
    output.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_full_disk_keeps_what_was_kept_before() {
    on_a_tiny_disk(|disk| {
        let store = Store::new(disk);
        store.keep(Some(&half_an_hour())).expect("there is room");
        fs::write(disk.join("filler"), [0; 64 * 1024]).expect_err("it takes what there is");
        let forever = SavedDrain::new(noon(), None, true, None, 0);
        let error = store.keep(Some(&forever)).expect_err("there is no room");
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
        assert_eq!(store.load().expect("the one before"), Some(half_an_hour()));
        assert_eq!(names(disk), ["drain.json", "filler"]);
        // Room is not needed to resume.
        store.keep(None).expect("removed");
        fs::remove_file(disk.join("filler")).expect("a file");
        store.keep(Some(&forever)).expect("there is room again");
    });
}

#[test]
fn a_read_only_disk_keeps_what_was_kept_before() {
    on_a_tiny_disk(|disk| {
        let store = Store::new(disk);
        store.keep(Some(&half_an_hour())).expect("there is room");
        mount(&["-o", "remount,ro", disk.to_str().expect("a plain path")]).expect("mounted read-only");
        for drain in [None, Some(SavedDrain::new(noon(), None, true, None, 0))] {
            let error = store.keep(drain.as_ref()).expect_err("read-only");
            assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem, "{error}");
        }
        assert_eq!(store.load().expect("the one before"), Some(half_an_hour()));
    });
}
