//! The files of `nix/` that need nixpkgs, as far as can be seen without it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Nix, at, clean, root, strings};
use crate::support::skip;

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    at(value, pointer).as_str().expect("a string")
}

fn described(nix: &Nix) -> Value {
    nix.call("files.nix", "").unwrap_or_else(|why| panic!("{why}"))
}

/// Runs a phase of a build in the repository, with stand-ins for what nixpkgs has for it.
fn phase(script: &str, out: &Path) {
    let prelude = r#"
        runHook() { :; }
        present() { for file; do [[ $file == --* || $file == nodedns || -s $file ]] || { echo "no $file" >&2; exit 1; }; done; }
        installManPage() { present "$@"; }
        installShellCompletion() { present "$@"; }
    "#;
    // What a phase writes beside the repository's files goes with the directory.
    let work = tempfile::tempdir().expect("a temporary directory");
    for name in ["man", "packaging", "LICENSE-APACHE", "LICENSE-MIT"] {
        std::os::unix::fs::symlink(root().join(name), work.path().join(name)).expect("a link");
    }
    let output = clean("bash")
        .args(["-eu", "-o", "pipefail", "-c", &format!("{prelude}\n{script}")])
        .current_dir(work.path())
        .env("out", out)
        .output()
        .expect("bash runs");
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_package_is_this_repository() {
    let Some(nix) = Nix::find() else { return };
    let described = described(&nix);
    for package in ["package", "simulator"] {
        let package = at(&described, &format!("/{package}"));
        assert_eq!(text(package, "/cargoLock/lockFile"), root().join("Cargo.lock").to_string_lossy());
        assert_eq!(text(package, "/src/root"), root().to_string_lossy());
        for path in strings(at(package, "/src/fileset")) {
            assert!(Path::new(path).exists(), "{path}");
        }
    }
    // Nothing but what a lock file alone can name: another source would need a hash.
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).expect("the lock file");
    assert!(!lock.contains("git+"), "package.nix needs cargoLock.outputHashes");

    let package = at(&described, "/package");
    assert_eq!(text(package, "/pname"), env!("CARGO_PKG_NAME"));
    assert_eq!(text(package, "/version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(text(package, "/meta/description"), env!("CARGO_PKG_DESCRIPTION"));
    let mut licenses = strings(at(package, "/meta/license"));
    licenses.sort_unstable();
    assert_eq!(licenses.join(" OR "), env!("CARGO_PKG_LICENSE"));
    assert_eq!(text(package, "/meta/mainProgram"), "nodedns");
    assert_eq!(text(&described, "/simulator/meta/mainProgram"), "route53-sim");

    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    assert!(manifest.contains(&format!("[profile.{}]", text(package, "/buildType"))), "{manifest}");
    // A filter without a test would let the build pass with nothing checked.
    let modules = std::fs::read_to_string(root().join("tests/it/main.rs")).expect("the tests");
    for module in strings(at(package, "/checkFlags")) {
        let module = module.strip_suffix("::").expect("a module");
        assert!(modules.contains(&format!("\nmod {module};\n")), "no tests in {module}");
    }
}

#[test]
fn the_package_installs_what_there_is_and_checks_it() {
    let Some(nix) = Nix::find() else { return };
    let described = described(&nix);
    let out = tempfile::tempdir().expect("a temporary directory");
    std::fs::create_dir(out.path().join("bin")).expect("a directory");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_nodedns"), out.path().join("bin/nodedns")).expect("a link");

    phase(text(&described, "/package/postInstall"), out.path());
    let names = |directory: &Path| -> BTreeSet<String> {
        let entries = std::fs::read_dir(directory).unwrap_or_else(|why| panic!("{}: {why}", directory.display()));
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    };
    let installed = |directory: &str| names(&out.path().join(directory));
    let expected = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(installed("share/doc/nodedns"), expected(&["examples", "nodedns.schema.json", "nodedns.toml"]));
    // As in the other packages: without what tests them.
    for examples in ["prometheus", "grafana"] {
        let mut there = names(&root().join("packaging").join(examples));
        there.retain(|name| !name.ends_with(".test.yml"));
        assert!(!there.is_empty(), "{examples}");
        assert_eq!(installed(&format!("share/doc/nodedns/examples/{examples}")), there);
    }
    assert_eq!(installed("share/licenses/nodedns"), expected(&["LICENSE-APACHE", "LICENSE-MIT"]));

    phase(text(&described, "/package/installCheckPhase"), out.path());
}

#[test]
fn the_machines_of_the_test_have_good_configurations() {
    let Some(nix) = Nix::find() else { return };
    let described = described(&nix);
    let nodes = at(&described, "/test/nodes").as_object().expect("nodes");
    assert_eq!(nodes.keys().collect::<Vec<_>>(), ["agent", "server"]);
    for (name, node) in nodes {
        assert_eq!(at(node, "/failed"), &serde_json::json!([]), "{name}");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("nodedns.toml");
        std::fs::write(&file, super::to_toml(at(node, "/toml"))).expect("written");
        let output = clean(env!("CARGO_BIN_EXE_nodedns"))
            .args(["config", "check", "--config"])
            .arg(&file)
            .output()
            .expect("nodedns runs");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    // The simulator listens where the machines look for it.
    let command = text(&described, "/test/simulator");
    let endpoint = text(&nodes["agent"], "/toml/route53/endpoint_url");
    let port = endpoint.rsplit(':').next().expect("a port");
    assert!(command.contains(&format!("--listen 0.0.0.0:{port} ")), "{command}");
    let zone = text(&nodes["agent"], "/toml/record/0/zone_id");
    assert!(command.ends_with(&format!(" --zone example.com={zone}")), "{command}");
}

#[test]
fn the_script_of_the_test_is_python() {
    let Some(nix) = Nix::find() else { return };
    let described = described(&nix);
    let python = Command::new("python3")
        .args(["-c", "import ast, sys; ast.parse(sys.stdin.read())"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut python) = python else { return skip("there is no python3") };
    let mut stdin = python.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut stdin, text(&described, "/test/testScript").as_bytes()).expect("written");
    drop(stdin);
    let output = python.wait_with_output().expect("python3 ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_flake_is_thin() {
    let Some(nix) = Nix::find() else { return };
    let described = described(&nix);
    let flake = at(&described, "/flake");
    for system in ["x86_64-linux", "aarch64-linux"] {
        let of = |kind: &str| at(flake, &format!("/{kind}/{system}")).clone();
        let packages = serde_json::json!({ "default": "nodedns", "nodedns": "nodedns", "route53-sim": "route53-sim" });
        assert_eq!(of("packages"), packages);
        assert_eq!(of("checks"), serde_json::json!({ "nodedns": "nodedns", "test": "nodedns" }));
    }
    let module = root().join("nix/module.nix");
    assert_eq!(text(flake, "/module"), module.to_string_lossy());
    assert_eq!(text(&described, "/module"), module.to_string_lossy());
    assert_eq!(strings(at(flake, "/overlay")), ["nodedns", "route53-sim"]);
}
