//! The units of the module and those in `systemd/` are the same, but for what is listed here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Nix, at, clean, root, strings};

/// `Section.Key` and the values that are given to it. An order among credentials or paths means nothing.
type Unit = BTreeMap<String, BTreeSet<String>>;

/// What the module says otherwise: a unit, and a line that it does not have (`-`) or has beside (`+`).
const INTENDED: [(&str, &str); 6] = [
    // NixOS warns of who comes after that target and does not want it. The daemon must not wait for it, and prune runs
    // long after the start.
    ("nodedns.service", "-Unit.After=network-online.target"),
    ("nodedns-prune.service", "+Unit.Wants=network-online.target"),
    // A unit of NixOS brings its programs with it.
    ("nodedns.service", "-Service.ExecReload=/bin/sh -c 'kill -HUP $MAINPID'"),
    ("nodedns.service", "+Service.ExecReload=/bin/kill -HUP $MAINPID"),
    // Who has prune run by a timer has to name a kubeconfig, in an option.
    ("nodedns-prune.service", "-Service.LoadCredential=kubeconfig:nodedns-prune.kubeconfig"),
    ("nodedns-prune.service", "+Service.LoadCredential=kubeconfig:nodedns-prune.nixos.kubeconfig"),
];

/// Programs have no fixed place on NixOS.
const PLACES: [(&str, &str); 5] = [
    ("/nix/store/00000000000000000000000000000000-nodedns/bin/nodedns", "/usr/bin/nodedns"),
    ("/nix/store/00000000000000000000000000000000-coreutils/bin/kill", "/bin/kill"),
    ("/nix/store/00000000000000000000000000000000-coreutils/bin/sleep", "/bin/sleep"),
    ("/nix/store/00000000000000000000000000000000-systemd/bin/systemctl", "/bin/systemctl"),
    // NixOS writes booleans so.
    ("true", "yes"),
];

/// Lists of names in one line are one value each.
fn words(key: &str, value: &str) -> Vec<String> {
    match key {
        "Unit.After" | "Unit.Wants" | "Unit.Documentation" | "Install.WantedBy" => {
            value.split_whitespace().map(str::to_owned).collect()
        }
        _ => vec![value.to_owned()],
    }
}

/// A unit file of `systemd/`.
fn shipped(name: &str) -> Unit {
    let text = std::fs::read_to_string(root().join("systemd").join(name)).expect("a unit");
    let mut section = String::new();
    let mut unit = Unit::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
            continue;
        }
        let (key, value) = line.split_once('=').expect("KEY=VALUE");
        let key = format!("{section}.{key}");
        let values = words(&key, value);
        unit.entry(key).or_default().extend(values);
    }
    unit
}

/// A unit as NixOS would write it.
fn generated(made: &Value, kind: &str, name: &str) -> Unit {
    let of_nixos = at(made, &format!("/{kind}/{name}")).as_object().expect("a unit");
    let mut unit = Unit::new();
    let mut put = |key: String, value: &Value| {
        let one = |value: &Value| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            PLACES.iter().fold(text, |text, (from, to)| {
                if text == *from { (*to).to_owned() } else { text.replace(&format!("{from} "), &format!("{to} ")) }
            })
        };
        let values: Vec<String> = match value {
            Value::Array(list) => list.iter().map(one).collect(),
            value => vec![one(value)],
        };
        unit.entry(key.clone()).or_default().extend(values.iter().flat_map(|value| words(&key, value)));
    };
    for (key, value) in of_nixos {
        match key.as_str() {
            "description" => put("Unit.Description".to_owned(), value),
            "documentation" => put("Unit.Documentation".to_owned(), value),
            "after" => put("Unit.After".to_owned(), value),
            "wants" => put("Unit.Wants".to_owned(), value),
            "wantedBy" => put("Install.WantedBy".to_owned(), value),
            // How a changed system is switched to; no part of a unit.
            "reloadTriggers" | "restartTriggers" | "stopIfChanged" => {}
            "unitConfig" | "serviceConfig" | "pathConfig" | "timerConfig" => {
                let section = match key.as_str() {
                    "unitConfig" => "Unit",
                    "serviceConfig" => "Service",
                    "pathConfig" => "Path",
                    _ => "Timer",
                };
                for (key, value) in value.as_object().expect("a section") {
                    put(format!("{section}.{key}"), value);
                }
            }
            other => panic!("{other} is not compared"),
        }
    }
    unit
}

/// Every value that only one of the two has: `-` for the shipped one, `+` for the module's.
fn differences(shipped: &Unit, generated: &Unit) -> BTreeSet<String> {
    let flat = |unit: &Unit| -> BTreeSet<String> {
        unit.iter().flat_map(|(key, values)| values.iter().map(move |value| format!("{key}={value}"))).collect()
    };
    let (shipped, generated) = (flat(shipped), flat(generated));
    let gone = shipped.difference(&generated).map(|line| format!("-{line}"));
    let new = generated.difference(&shipped).map(|line| format!("+{line}"));
    gone.chain(new).collect()
}

#[test]
fn the_units_are_those_of_the_packages() {
    let Some(nix) = Nix::find() else { return };
    let minimal = nix.good("minimal");
    let server = nix.good("k3s-server");
    for (made, kind, name) in [
        (&minimal, "services", "nodedns"),
        (&minimal, "services", "nodedns-credentials"),
        (&minimal, "paths", "nodedns-credentials"),
        (&server, "services", "nodedns-prune"),
        (&server, "timers", "nodedns-prune"),
    ] {
        let file = format!("{name}.{}", kind.trim_end_matches('s'));
        let intended: BTreeSet<String> =
            INTENDED.iter().filter(|(unit, _)| *unit == file).map(|(_, line)| (*line).to_owned()).collect();
        assert_eq!(differences(&shipped(&file), &generated(made, kind, name)), intended, "{file}");
    }
}

#[test]
fn what_an_option_names_is_linked_loaded_and_watched() {
    let Some(nix) = Nix::find() else { return };
    let (minimal, agent) = (nix.good("minimal"), nix.good("k3s-agent"));
    let service = |made: &Value| generated(made, "services", "nodedns");
    let expected = [
        "-Service.LoadCredential=aws-config:nodedns.aws-config",
        "-Service.LoadCredential=aws-credentials:nodedns.aws-credentials",
        "+Service.LoadCredential=aws-config:nodedns.nixos.aws-config",
        "+Service.LoadCredential=aws-credentials:nodedns.nixos.aws-credentials",
        "+Service.EnvironmentFile=/run/agenix/nodedns-environment",
    ];
    assert_eq!(differences(&service(&minimal), &service(&agent)), BTreeSet::from(expected.map(str::to_owned)));

    let path = |made: &Value| generated(made, "paths", "nodedns-credentials");
    let expected = [
        "+Path.PathChanged=/run/agenix/nodedns-environment",
        "+Path.PathChanged=/run/secrets/nodedns-aws",
        "+Path.PathChanged=/run/secrets/nodedns-aws-config",
    ];
    assert_eq!(differences(&path(&minimal), &path(&agent)), BTreeSet::from(expected.map(str::to_owned)));

    // A name without a link is never found, and a link that nothing loads is a mistake.
    for case in ["minimal", "k3s-server", "k3s-agent", "encrypted", "kubernetes"] {
        let made = nix.good(case);
        let linked: BTreeSet<&str> = strings(at(&made, "/tmpfiles"))
            .into_iter()
            .filter_map(|rule| rule.strip_prefix("L+ ")?.split(' ').next()?.rsplit('/').next())
            .collect();
        let loaded: BTreeSet<&str> = at(&made, "/services")
            .as_object()
            .expect("services")
            .values()
            .flat_map(|service| ["LoadCredential", "LoadCredentialEncrypted"].map(|key| &service["serviceConfig"][key]))
            .filter(|list| !list.is_null())
            .flat_map(strings)
            .filter_map(|line| line.split_once(':').map(|(_, name)| name))
            .filter(|name| name.contains(".nixos."))
            .collect();
        assert_eq!(linked, loaded, "{case}");
        assert_eq!(linked.is_empty(), case == "minimal", "{case}");
    }
}

#[test]
fn links_and_user_are_those_of_the_packages() {
    let Some(nix) = Nix::find() else { return };
    let minimal = nix.good("minimal");
    let lines = |name: &str| -> Vec<String> {
        let text = std::fs::read_to_string(root().join("systemd").join(name)).expect("a file");
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    let shipped: BTreeSet<String> = lines("nodedns.tmpfiles").into_iter().collect();
    let generated: BTreeSet<String> = strings(at(&minimal, "/tmpfiles")).into_iter().map(str::to_owned).collect();
    assert_eq!(generated, shipped);

    let user = |key: &str| at(&minimal, &format!("/users/nodedns/{key}")).as_str().expect("a string");
    let line = format!("u nodedns - \"{}\" {}", user("description"), user("home"));
    assert_eq!(lines("nodedns.sysusers"), [line]);
    assert_eq!(user("group"), "nodedns");
    assert_eq!(at(&minimal, "/groups/nodedns"), &serde_json::json!({}));
}

/// The unit may write to the directory of a file that the daemon takes, and the module refuses what it does not take.
#[test]
fn a_textfile_can_be_written() {
    let Some(nix) = Nix::find() else { return };
    for (textfile, writable) in [
        ("", None),
        ("/var/lib/node-exporter/nodedns.prom", Some("-/var/lib/node-exporter")),
        ("nodedns.prom", None),
        ("/var/lib/node-exporter/nodedns.txt", None),
        ("/var/lib/node-exporter/.prom", None),
        ("/var/lib/node-exporter/nodedns.prom/", None),
    ] {
        let made = nix
            .call(
                "eval.nix",
                &format!(
                    "configuration = let inherit ((import ./tests/nix/cases.nix).minimal.services) nodedns; in {{
                       services.nodedns = nodedns // {{
                         settings = nodedns.settings // {{ metrics.textfile = {textfile:?}; }};
                       }};
                     }};"
                ),
            )
            .unwrap_or_else(|why| panic!("{textfile}: {why}"));
        let toml = format!(
            "cluster = \"home\"\n[[record]]\nname = \"edge.example.com\"\n[metrics]\ntextfile = {textfile:?}\n"
        );
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(&file, toml).expect("written");
        let check = clean(env!("CARGO_BIN_EXE_nodedns"))
            .args(["config", "check", "--config"])
            .arg(file.path())
            .output()
            .expect("nodedns runs");
        assert_eq!(made.get("assertions").is_none(), check.status.success(), "{textfile:?}: {check:?}\n{made:#}");
        let paths = made.pointer("/services/nodedns/serviceConfig/ReadWritePaths").map(strings);
        assert_eq!(paths, writable.map(|path| vec![path]), "{textfile:?}");
    }
}

/// A key that the daemon takes up by a reload must not restart it, and one that it refuses to take up
/// must: or the new configuration would not be in force after the system has been switched to.
#[test]
fn what_a_reload_refuses_restarts() {
    let Some(nix) = Nix::find() else { return };
    let everything = nix.good("everything");
    let keys = |value: &Value| -> BTreeSet<String> { value.as_object().expect("a table").keys().cloned().collect() };

    let toml = at(&everything, "/etc/nodedns~1nodedns.toml/source/environment/toml/toml");
    let schema: Value = serde_json::from_str(&nodedns::config::reference::schema()).expect("JSON");
    assert_eq!(keys(toml), keys(&schema["properties"]), "`everything` in tests/nix/cases.nix has every key");

    let settled = at(&everything, "/services/nodedns/restartTriggers/0/text").as_str().expect("a string");
    let settled: Value = serde_json::from_str(settled).expect("JSON");
    let source = std::fs::read_to_string(root().join("src/daemon/reload.rs")).expect("the source");
    let (_, list) = source.split_once("let fixed = [").expect("the list of what is fixed");
    let (list, _) = list.split_once("];").expect("its end");
    let fixed: BTreeSet<&str> = list
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(|text| !text.contains(' '))
        .map(|key| key.split('.').next().unwrap_or(key))
        .collect();
    assert!(fixed.len() > 4, "{fixed:?}");
    assert_eq!(keys(&settled).iter().map(String::as_str).collect::<BTreeSet<_>>(), fixed);
    assert_eq!(settled["kubernetes"], serde_json::json!({ "enabled": true }), "not the label selector");
    assert_eq!(settled["survivors"], serde_json::json!({ "enabled": false }), "not the grace");
}
