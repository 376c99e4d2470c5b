//! The `health_check` of a record.

use nodedns::decide::health_check::{CheckProbe, HttpCheck, ManagedCheck};

use super::*;

fn managed(line: &str) -> ManagedCheck {
    let config = Setup::new(&with_line(line)).config();
    match config.records[0].policy.health_check.clone() {
        Some(HealthCheck::Managed(check)) => check,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn every_kind_of_health_check_can_be_written() {
    let http = |path: &str| HttpCheck { path: path.into(), host: None, search: None };
    let check = |probe, port| ManagedCheck { probe, port, interval: 30, failure_threshold: 3 };
    let everything = HttpCheck {
        path: "/healthz?full=1".into(),
        host: Some("edge.example.com".into()),
        search: Some("status: ok".into()),
    };
    for (line, expected) in [
        ("health_check = { type = \"tcp\", port = 6443 }", check(CheckProbe::Tcp, 6443)),
        ("health_check = { type = \"http\" }", check(CheckProbe::Http(http("/")), 80)),
        ("health_check = { type = \"https\" }", check(CheckProbe::Https(http("/")), 443)),
        (
            "health_check = { type = \"https\", port = 443, path = \"/healthz\" }",
            check(CheckProbe::Https(http("/healthz")), 443),
        ),
        (
            "[record.health_check]\ntype = \"https\"\nport = 8443\npath = \"/healthz?full=1\"\nhost = \"Edge.example.com.\"\n\
             search = \"status: ok\"\ninterval = \"10s\"\nfailure_threshold = 10",
            ManagedCheck { interval: 10, failure_threshold: 10, ..check(CheckProbe::Https(everything), 8443) },
        ),
    ] {
        assert_eq!(managed(line), expected, "{line}");
    }
    let primary =
        "health_check = { type = \"http\" }\nrouting = { policy = \"failover\", role = \"primary\" }\nclass = \"any\"";
    managed(primary);
    // Without the key there is none: it costs money.
    assert_eq!(Setup::new(&with_line("")).config().records[0].policy.health_check, None);
}

#[test]
fn every_mistake_in_a_health_check_is_told_with_its_remedy() {
    let long = "x".repeat(256);
    for (line, path, message) in [
        ("health_check = {}", "health_check", "a health check needs a 'type'\n  hint: it is \"tcp\""),
        ("health_check = \"tcp\"", "health_check", "expected a table like { type = \"https\", port = 443"),
        ("health_check = { type = \"htps\" }", "health_check.type", "hint: did you mean \"https\"?"),
        ("health_check = { type = \"tcp\" }", "health_check", "needs a 'port'\n  hint: for example port = 443"),
        ("health_check = { type = \"tcp\", port = 0 }", "health_check.port", "0 is not between 1 and 65535"),
        ("health_check = { type = \"tcp\", port = 1, path = \"/\" }", "health_check.path", "of type http or https"),
        ("health_check = { type = \"tcp\", port = 1, host = \"a.b\" }", "health_check.host", "of type http or https"),
        ("health_check = { type = \"tcp\", port = 1, search = \"x\" }", "health_check.search", "of type http or https"),
        ("health_check = { type = \"http\", path = \"healthz\" }", "health_check.path", "it starts with a slash"),
        ("health_check = { type = \"http\", path = \"/a b\" }", "health_check.path", "without blanks"),
        ("health_check = { type = \"http\", host = \"*.a.b\" }", "health_check.host", "is a wildcard"),
        ("health_check = { type = \"http\", host = \"a.b:80\" }", "health_check.host", "':' in \"a.b:80\""),
        ("health_check = { type = \"http\", search = \"\" }", "health_check.search", "1 to 255 characters"),
        (&format!("health_check = {{ type = \"http\", search = \"{long}\" }}"), "health_check.search", "1 to 255"),
        (&format!("health_check = {{ type = \"http\", path = \"/{long}\" }}"), "health_check.path", "up to 255"),
        ("health_check = { type = \"http\", interval = \"20s\" }", "health_check.interval", "\"30s\" and \"10s\""),
        ("health_check = { type = \"http\", failure_threshold = 11 }", "health_check.failure_threshold", "1 and 10"),
        ("health_check = { type = \"http\", timeout = \"1s\" }", "health_check.timeout", "unknown key"),
        (
            "health_check_id = \"0f1e\"\nhealth_check = { type = \"http\" }",
            "health_check",
            "'health_check_id' already says",
        ),
        ("addresses = \"all\"\nhealth_check = { type = \"http\" }", "health_check", "hint: set addresses = \"first\""),
        ("class = \"private\"\nhealth_check = { type = \"http\" }", "health_check", "checks no private addresses"),
        ("class = \"shared\"\nhealth_check = { type = \"http\" }", "health_check", "checks no private addresses"),
    ] {
        let problems = Setup::new(&with_line(line)).problems();
        assert_eq!(problems.matches("record[0]").count(), 1, "{line}: {problems}");
        assert!(problems.contains(&format!("record[0].{path}: ")), "{line}: {problems}");
        assert!(problems.contains(message), "{line}: {problems}");
    }
}
