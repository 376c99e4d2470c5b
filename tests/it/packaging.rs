//! What the packages do with the units is written down in five scripts: none forgets one.

use std::fs;
use std::path::Path;

/// The units that the packages bring, and the text of each.
fn units() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    let kinds = ["service", "path", "timer", "socket", "target"];
    let entries = fs::read_dir(directory).expect("systemd/").map(|entry| entry.expect("an entry").path());
    let mut units: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|found| kinds.iter().any(|kind| found == *kind)))
        .map(|path| {
            let name = path.file_name().expect("a file").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("a text"))
        })
        .collect();
    units.sort();
    units
}

/// The words of a script's commands, without its comments.
fn words(script: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(script);
    let text = fs::read_to_string(path).expect(script);
    let commands = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    commands.flat_map(|line| line.split([' ', ';'])).map(str::to_owned).collect()
}

#[test]
fn every_unit_is_stopped_when_the_package_goes() {
    for (unit, _) in units() {
        for script in ["deb/prerm", "rpm/preun"] {
            assert!(words(script).contains(&unit), "{script} does not stop {unit}");
        }
    }
}

#[test]
fn every_unit_that_can_be_enabled_is_known_to_whoever_disables_it() {
    // The words of postinst's loop; what it restarts is another list.
    let postinst = words("deb/postinst");
    let enabled: Vec<_> = postinst.iter().skip_while(|word| *word != "in").take_while(|word| *word != "do").collect();
    for (unit, text) in units() {
        let can = text.lines().any(|line| line == "[Install]");
        assert_eq!(enabled.contains(&&unit), can, "deb/postinst: {unit}");
        for script in ["deb/postrm", "rpm/preun"] {
            let words = words(script);
            let disabled = words.iter().skip_while(|word| !["purge", "disable"].contains(&word.as_str()));
            assert_eq!(disabled.take_while(|word| *word != "||").any(|word| *word == unit), can, "{script}: {unit}");
        }
    }
}

#[test]
fn what_stays_active_is_started_again_by_an_upgrade() {
    for (unit, text) in units() {
        let stays = !text.contains("Type=oneshot");
        for script in ["deb/postinst", "rpm/postun"] {
            assert_eq!(words(script).contains(&unit), stays, "{script}: {unit}");
        }
    }
}

#[test]
fn files_that_the_scripts_name_are_those_that_the_packages_bring() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).expect("a text");
    for (script, name) in [("deb/postinst", "sysusers"), ("rpm/post", "sysusers"), ("deb/postinst", "tmpfiles")] {
        assert!(words(script).contains(&"nodedns.conf".to_owned()), "{script}");
        assert_eq!(manifest.matches(&format!("usr/lib/{name}.d/nodedns.conf")).count(), 2, "{name}");
    }
    // The distribution's own are 90-something, and the first that names a unit holds.
    assert_eq!(manifest.matches("usr/lib/systemd/system-preset/80-nodedns.preset").count(), 2);
}
