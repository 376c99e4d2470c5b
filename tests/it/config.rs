//! The configuration as operators meet it: what is read, how layers combine, and that every mistake
//! is named with its place.

mod health_check;

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nodedns::cli::args::{Cli, Command, ConfigArgs, ConfigCommand};
use nodedns::cli::config::{run, run_sources};
use nodedns::cli::exit::Exit;
use nodedns::config::{Config, Flags, Loaded, LogLevel, MetricsSettings, Origin, Problems, Sources, Switch, load};
use nodedns::decide::health_check::HealthCheck;
use nodedns::decide::policy::{DEFAULT_TAINT_KEYS, Signal, SignalAction, SignalPolicy};
use nodedns::decide::probe::{HttpProbe, Probe, ProbeCheck};
use nodedns::decide::record::{RecordType, ZoneRef};
use nodedns::decide::routing::{Coordinates, FailoverRole, Location, Routing};
use nodedns::decide::select::AddressClass;
use nodedns::decide::selector::{LabelSelector, Requirement};

use clap::Parser;
use tempfile::TempDir;

const SMALLEST: &str = r#"
cluster = "home"
[[record]]
name = "edge.example.com"
zone_id = "Z0123456789ABC"
routing = { policy = "geoproximity", coordinates = "50.11,8.68" }
"#;

/// A directory with a main file and drop-ins, and an environment.
struct Setup {
    directory: TempDir,
    sources: Sources,
}

impl Setup {
    fn new(main: &str) -> Self {
        let directory = TempDir::new().expect("directory");
        let file = directory.path().join("nodedns.toml");
        fs::write(&file, main).expect("written");
        Setup { directory, sources: Sources { file: Some(file), ..Sources::default() } }
    }

    fn drop_in(self, name: &str, text: &str) -> Self {
        let directory = self.directory.path().join("nodedns.toml.d");
        fs::create_dir_all(&directory).expect("directory");
        fs::write(directory.join(name), text).expect("written");
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn load(&self) -> Result<Loaded, Problems> {
        load(&self.sources)
    }

    fn config(&self) -> Config {
        self.load().unwrap_or_else(|problems| panic!("{problems}")).config
    }

    /// What is wrong, with /etc/nodedns for the directory.
    fn problems(&self) -> String {
        match self.load() {
            Ok(loaded) => panic!("accepted: {:?}", loaded.config),
            Err(problems) => self.anonymous(&problems.to_string()),
        }
    }

    fn anonymous(&self, text: &str) -> String {
        text.replace(&*self.directory.path().to_string_lossy(), "/etc/nodedns")
    }
}

/// One record with one more line, which is line 5.
fn with_line(line: &str) -> String {
    format!("cluster = \"home\"\n[[record]]\nname = \"edge.example.com\"\nzone_id = \"Z0123456789ABC\"\n{line}\n")
}

#[test]
fn the_smallest_file_is_a_whole_configuration() {
    let config = Setup::new(SMALLEST).config();
    assert_eq!((config.cluster.as_str(), config.node.as_deref()), ("home", None));
    assert_eq!(config.kubernetes.enabled, Switch::Auto);
    assert_eq!(config.kubernetes.kubeconfig, None);
    assert_eq!(config.route53.region, None);
    assert_eq!((config.route53.endpoint_url.as_deref(), config.route53.profile.as_deref()), (None, None));
    assert_eq!((config.route53.requests_per_second, config.route53.burst), (5.0, 20));
    assert_eq!(config.route53.attempt_timeout, Duration::from_secs(10));
    assert_eq!(config.route53, nodedns::config::Route53Settings::default());
    assert_eq!(config.socket, Path::new("/run/nodedns/nodedns.sock"));
    assert_eq!(config.state_directory, Path::new("/var/lib/nodedns"));
    assert_eq!(config.metrics, MetricsSettings::default(), "nothing listens unless asked");

    let policy = config.policy("node-1", true).expect("policy");
    assert_eq!(policy.owner.to_string(), "nodedns/v1/home/node-1");
    assert!(policy.kubernetes);
    assert_eq!(policy.timing.settle, Duration::from_millis(200));
    assert_eq!(policy.timing.settle_max, Duration::from_secs(2));
    assert_eq!(policy.timing.resync, Duration::from_secs(900));
    assert_eq!(policy.survivors, None);
    let [record] = policy.records.as_slice() else { panic!("{:?}", policy.records) };
    assert_eq!(record.name.to_string(), "edge.example.com");
    assert_eq!(record.zone, ZoneRef::Id("Z0123456789ABC".to_owned()));
    assert_eq!(record.types, BTreeSet::from(RecordType::ALL));
    assert_eq!((record.class, record.all_addresses), (AddressClass::Global, false));
    assert_eq!((record.ttl, record.keep_min), (60, 1));
    let location = Location::Coordinates(Coordinates::parse_pair("50.11,8.68").expect("point"));
    assert_eq!(record.routing, Routing::GeoProximity { location, bias: 0 }.into());
    assert_eq!(record.health_check, None);
    assert_eq!(record.probe, None);
    assert_eq!(record.taint_keys, DEFAULT_TAINT_KEYS.map(str::to_owned).into());
    assert_eq!(policy.node_selector, LabelSelector::default());
    for signal in Signal::ALL {
        assert_eq!(record.signals.get(&signal), Some(&signal.default_policy()));
    }
}

#[test]
fn a_kubeconfig_from_the_command_line_goes_before_all_else() {
    let mut setup = Setup::new(&format!("{SMALLEST}\n[kubernetes]\nenabled = false\nkubeconfig = \"/from/file\"\n"));
    setup.sources.flags = Flags { kubeconfig: Some("/from/flag".to_owned()), ..Flags::default() };
    let kubernetes = setup.config().kubernetes;
    assert_eq!((kubernetes.enabled, kubernetes.kubeconfig), (Switch::On, Some("/from/flag".into())));
}

#[test]
fn nodes_that_a_prune_keeps_are_named_by_globs() {
    let config = Setup::new(&format!("{SMALLEST}\n[prune]\nkeep_nodes = [\"nas\", \"vm-*\"]\n")).config();
    for (node, kept) in [("nas", true), ("vm-1", true), ("nas2", false), ("vm", false)] {
        assert_eq!(config.keep_nodes.matches(node), kept, "{node}");
    }
    assert!(!Setup::new(SMALLEST).config().keep_nodes.matches("nas"));
}

#[test]
fn survivors_are_switched_on_by_name() {
    let survivors = |table: &str| {
        let config = Setup::new(&format!("{SMALLEST}\n[survivors]\n{table}\n")).config();
        config.policy("node-1", true).expect("policy").survivors.map(|survivors| survivors.grace)
    };
    assert_eq!(survivors("enabled = true"), Some(Duration::from_secs(300)));
    assert_eq!(survivors("enabled = true\ngrace = \"30s\""), Some(Duration::from_secs(30)));
    assert_eq!(survivors("grace = \"30s\""), None);
}

#[test]
fn every_routing_policy_can_be_written() {
    for (line, expected) in [
        ("", "weighted 10"),
        ("routing = {}", "weighted 10"),
        ("routing = { policy = \"weighted\", weight = 0 }", "weighted 0"),
        ("routing = { policy = \"weighted\", weight = 255 }", "weighted 255"),
        (
            "routing = { policy = \"geoproximity\", coordinates = \"-90,180\", bias = -99 }",
            "geoproximity -90,180 bias -99",
        ),
        ("routing = { policy = \"geoproximity\", coordinates = \"auto\", bias = 5 }", "geoproximity auto bias 5"),
        ("routing = { policy = \"geoproximity\", coordinates = \"auto\" }", "geoproximity auto"),
        ("routing = { policy = \"geoproximity\", region = \"us-gov-west-1\" }", "geoproximity us-gov-west-1"),
        (
            "routing = { policy = \"geoproximity\", local_zone_group = \"us-west-2-den-1\" }",
            "geoproximity us-west-2-den-1",
        ),
        ("routing = { policy = \"latency\", region = \"ap-southeast-3\" }", "latency ap-southeast-3"),
        ("routing = { policy = \"geolocation\", continent = \"EU\" }", "geolocation EU"),
        ("routing = { policy = \"geolocation\", country = \"*\" }", "geolocation *"),
        ("routing = { policy = \"geolocation\", country = \"US\", subdivision = \"CO\" }", "geolocation US-CO"),
        ("routing = { policy = \"failover\", role = \"secondary\" }", "failover secondary"),
        ("health_check_id = \"0f1e-2d\"\nrouting = { policy = \"failover\", role = \"primary\" }", "failover primary"),
        ("routing = { policy = \"multivalue\" }", "multivalue"),
        ("[record.routing]\npolicy = \"weighted\"\nweight = 7", "weighted 7"),
    ] {
        let config = Setup::new(&with_line(line)).config();
        assert_eq!(config.records[0].policy.routing.to_string(), expected, "{line}");
    }
    let config =
        Setup::new(&with_line("health_check_id = \"0f1e\"\nrouting = { policy = \"failover\", role = \"primary\" }"))
            .config();
    assert_eq!(config.records[0].policy.routing, Routing::Failover(FailoverRole::Primary).into());
    assert_eq!(config.records[0].policy.health_check, Some(HealthCheck::Existing("0f1e".to_owned())));
}

#[test]
fn every_way_to_name_a_zone_can_be_written() {
    for (lines, expected) in [
        ("zone_id = \"/hostedzone/Z1\"", "Z1"),
        ("zone = \"Example.com.\"", "the public zone example.com"),
        ("zone = \"example.com\"\nprivate = true", "the private zone example.com"),
        ("private = true", "the longest matching private zone"),
        ("", "the longest matching public zone"),
    ] {
        let text = format!("cluster = \"c\"\n[[record]]\nname = \"edge.example.com\"\n{lines}\n");
        assert_eq!(Setup::new(&text).config().records[0].policy.zone.to_string(), expected);
    }
}

#[test]
fn signals_inherit_key_by_key() {
    let text = r#"
cluster = "home"
[signals]
not_ready = { after = "30s" }
cordoned = "ignore"
[[record]]
name = "a.example.com"
[[record]]
name = "b.example.com"
signals = { not_ready = "ignore", cordoned = { action = "withdraw", recover_after = "1m" } }
"#;
    let config = Setup::new(text).config();
    let signal = |record: usize, signal: Signal| config.records[record].policy.signals[&signal];
    let policy = |action, after, recover| SignalPolicy {
        action,
        after: Duration::from_secs(after),
        recover_after: Duration::from_secs(recover),
    };
    assert_eq!(signal(0, Signal::NotReady), policy(SignalAction::Withdraw, 30, 10));
    assert_eq!(signal(0, Signal::Cordoned), policy(SignalAction::Ignore, 0, 10));
    assert_eq!(signal(1, Signal::NotReady), policy(SignalAction::Ignore, 30, 10));
    assert_eq!(signal(1, Signal::Cordoned), policy(SignalAction::Withdraw, 0, 60));
    assert_eq!(signal(1, Signal::ApiUnreachable), policy(SignalAction::Ignore, 0, 10));
}

#[test]
fn a_probe_is_inherited_key_by_key_and_its_check_as_a_whole() {
    let text = r#"
cluster = "home"
[signals]
probe = { http = "https://127.0.0.1:8443/healthz?full", host = "edge.example.com", contains = "ok", interval = "1m" }
tainted = { keys = ["example.com/drain"], after = "5s" }
[[record]]
name = "a.example.com"
[[record]]
name = "b.example.com"
signals = { probe = { tcp = "[::1]:443", failures = 1 }, tainted = { keys = ["x"] } }
[[record]]
name = "c.example.com"
signals = { probe = "ignore", tainted = "ignore" }
[[record]]
name = "d.example.com"
signals = { probe = { host = "d.example.com", timeout = "10s" } }
[[record]]
name = "e.example.com"
signals = { probe = { http = "http://[::1]:81" } }
"#;
    let config = Setup::new(text).config();
    let probe = |record: usize| config.records[record].policy.probe.clone();
    let http = HttpProbe {
        tls: true,
        address: "127.0.0.1:8443".parse().expect("an address"),
        host: "edge.example.com".into(),
        path: "/healthz?full".into(),
        contains: Some("ok".into()),
    };
    let (minute, two_seconds) = (Duration::from_secs(60), Duration::from_secs(2));
    let asking =
        |http: HttpProbe, timeout| Probe { check: ProbeCheck::Http(http), interval: minute, timeout, failures: 3 };
    assert_eq!(probe(0), Some(asking(http.clone(), two_seconds)));
    let tcp = ProbeCheck::Tcp("[::1]:443".parse().expect("an address"));
    assert_eq!(probe(1), Some(Probe { check: tcp, interval: minute, timeout: two_seconds, failures: 1 }));
    assert_eq!(probe(2), None);
    assert_eq!(probe(3), Some(asking(HttpProbe { host: "d.example.com".into(), ..http }, Duration::from_secs(10))));
    let bare = HttpProbe {
        tls: false,
        address: "[::1]:81".parse().expect("an address"),
        host: "[::1]:81".into(),
        path: "/".into(),
        contains: None,
    };
    assert_eq!(probe(4), Some(asking(bare, two_seconds)));
    let keys = |record: usize| config.records[record].policy.taint_keys.iter().cloned().collect::<Vec<_>>();
    assert_eq!((keys(0), keys(1), keys(2)), (vec!["example.com/drain".into()], vec!["x".into()], keys(0)));
    let tainted = |record: usize| config.records[record].policy.signals[&Signal::Tainted];
    assert_eq!((tainted(1).after, tainted(1).action), (Duration::from_secs(5), SignalAction::Withdraw));
    assert_eq!(tainted(2).action, SignalAction::Ignore);
}

#[test]
fn what_is_wrong_with_a_shared_probe_is_said_once() {
    let text = r#"
cluster = "home"
[signals]
probe = { tcp = "127.0.0.1:443", host = "a.example.com", timeout = "1m" }
[[record]]
name = "a.example.com"
[[record]]
name = "b.example.com"
"#;
    let problems = Setup::new(text).problems();
    assert_eq!(problems.lines().count(), 2, "{problems}");
}

#[test]
fn layers_override_values_replace_arrays_and_add_records() {
    let setup = Setup::new(SMALLEST)
        .drop_in("20-second.toml", "resync = \"20m\"\n[[record]]\nname = \"b.example.com\"\n")
        .drop_in(
            "10-first.toml",
            "resync = \"10m\"\nsettle = \"1s\"\n[addresses]\ndeny = [\"192.0.2.0/24\"]\n[[record]]\nname = \"a.example.com\"\n",
        )
        .drop_in("30-not-toml.txt", "nonsense")
        .drop_in(".40-hidden.toml", "nonsense")
        .variable("NODEDNS_ADDRESSES__DENY", "198.51.100.0/24, 2001:db8::/32")
        .variable("NODEDNS_SETTLE", "2s")
        .variable("NODEDNS_KUBERNETES__ENABLED", "false")
        .variable("NODEDNS_ROUTE53__BURST", "7")
        .variable("NODEDNS_ROUTE53__REQUESTS_PER_SECOND", "0.5")
        .variable("NODEDNS_SIGNALS__NOT_READY", "ignore")
        .variable("NODEDNS_SIGNALS__CORDONED__AFTER", "5s")
        .variable("NODEDNS_CONFIG", "/nowhere")
        .variable("NODEDNS_FORBID_SKIP", "1")
        .variable("NODEDNS_TEST_CACHE", "/var/cache/nodedns-tests")
        .variable("RUNTIME_DIRECTORY", "/run/nodedns-test:/run/other")
        .variable("STATE_DIRECTORY", "/var/lib/nodedns-test:/var/lib/other")
        .variable("PATH", "/bin");
    let config = setup.config();
    let names: Vec<_> = config.records.iter().map(|record| record.name.as_str()).collect();
    assert_eq!(names, ["edge.example.com", "a.example.com", "b.example.com"]);
    assert_eq!(config.timing.resync, Duration::from_secs(1200));
    assert_eq!(config.timing.settle, Duration::from_secs(2));
    let deny: Vec<_> = config.addresses.deny.iter().map(ToString::to_string).collect();
    assert_eq!(deny, ["198.51.100.0/24", "2001:db8::/32"]);
    assert_eq!(config.kubernetes.enabled, Switch::Off);
    assert_eq!((config.route53.requests_per_second, config.route53.burst), (0.5, 7));
    assert_eq!(config.socket, Path::new("/run/nodedns-test/nodedns.sock"));
    assert_eq!(config.state_directory, Path::new("/var/lib/nodedns-test"));
    let signals = &config.records[0].policy.signals;
    assert_eq!(signals[&Signal::NotReady].action, SignalAction::Ignore);
    assert_eq!(signals[&Signal::Cordoned].after, Duration::from_secs(5));
    assert_eq!(signals[&Signal::Cordoned].action, SignalAction::Withdraw);
}

#[test]
fn a_variable_is_of_the_type_that_its_key_wants() {
    let config = Setup::new(SMALLEST)
        .variable("NODEDNS_CLUSTER", "42")
        .variable("NODEDNS_NODE", "true")
        .variable("NODEDNS_ADDRESSES__EXCLUDE_INTERFACES", "[\"wg*\", \"a,b\"]")
        .variable("NODEDNS_ADDRESSES__ALLOW", "")
        .variable("NODEDNS_ADDRESSES__TEMPORARY", "true")
        .variable("NODEDNS_SIGNALS__CORDONED", "{ action = \"ignore\", after = \"3s\" }")
        .config();
    assert_eq!((config.cluster.as_str(), config.node.as_deref()), ("42", Some("true")));
    assert_eq!(config.addresses.exclude_interfaces, ["wg*", "a,b"]);
    assert!(config.addresses.allow.is_empty() && config.addresses.temporary);
    assert_eq!(config.records[0].policy.signals[&Signal::Cordoned].after, Duration::from_secs(3));
}

#[test]
fn the_region_is_left_to_the_aws_environment_unless_it_is_set() {
    let region = |setup: Setup| setup.config().route53.region;
    assert_eq!(region(Setup::new(&format!("{SMALLEST}[route53]\nregion = \"\"\n"))), None);
    let written = || Setup::new(&format!("{SMALLEST}[route53]\nregion = \"us-gov-west-1\"\n"));
    assert_eq!(region(written()).as_deref(), Some("us-gov-west-1"));
    assert_eq!(region(written().variable("NODEDNS_ROUTE53__REGION", "")), None);
}

#[test]
fn an_endpoint_is_any_http_url() {
    for url in ["http://[::1]:4566", "https://vpce-1.route53.us-east-1.vpce.amazonaws.com/", "http://sim:80/base"] {
        let config = Setup::new(&format!("{SMALLEST}[route53]\nendpoint_url = {url:?}\n")).config();
        assert_eq!(config.route53.endpoint_url.as_deref(), Some(url));
    }
}

#[test]
fn flags_go_before_everything() {
    let mut setup = Setup::new(SMALLEST).variable("NODEDNS_CLUSTER", "from-variable");
    let flags =
        ["nodedns", "run", "--cluster", "from-flag", "--node", "n1", "--log-level", "debug", "--name", "x.example.org"];
    let Command::Run(args) = Cli::try_parse_from(flags).expect("usage").command else { panic!("run") };
    setup.sources.flags = run_sources(&args).flags;
    let config = setup.config();
    assert_eq!((config.cluster.as_str(), config.node.as_deref()), ("from-flag", Some("n1")));
    assert_eq!(config.log.level, LogLevel::Debug);
    assert_eq!(config.records.len(), 2);
    assert_eq!(config.records[1].name, "x.example.org");
}

#[test]
fn a_dry_run_needs_no_file() {
    let arguments = ["nodedns", "run", "--dry-run", "--name", "edge.example.com", "--name", "b.example.com"];
    let Command::Run(args) = Cli::try_parse_from(arguments).expect("usage").command else { panic!("run") };
    assert!(run_sources(&args).allow_no_file);
    if Path::new(nodedns::config::DEFAULT_PATH).exists() {
        crate::support::skip("this machine has a configuration of its own");
        return;
    }
    let names = |names: &[&str]| Flags { names: names.iter().map(ToString::to_string).collect(), ..Flags::default() };
    let sources =
        Sources { allow_no_file: true, flags: names(&["edge.example.com", "b.example.com"]), ..Sources::default() };
    let loaded = load(&sources).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.config.cluster, "default");
    assert!(loaded.files.is_empty());
    let zones: Vec<_> = loaded.config.records.iter().map(|record| record.policy.zone.clone()).collect();
    assert_eq!(zones, vec![ZoneRef::Longest { private: false }; 2]);

    for (allow_no_file, flags) in [(false, names(&["edge.example.com"])), (true, Flags::default())] {
        let problems = load(&Sources { allow_no_file, flags, ..Sources::default() }).expect_err("refused").to_string();
        assert!(problems.contains("/etc/nodedns/nodedns.toml: there is no configuration\n  hint: "), "{problems}");
    }
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let directory = TempDir::new().expect("directory");
    let file = directory.path().join("absent.toml");
    for sources in [
        Sources { file: Some(file.clone()), allow_no_file: true, ..Sources::default() },
        Sources {
            variables: vec![("NODEDNS_CONFIG".to_owned(), file.display().to_string())],
            flags: Flags { names: vec!["a.example.com".to_owned()], ..Flags::default() },
            allow_no_file: true,
            ..Sources::default()
        },
    ] {
        let problems = load(&sources).expect_err("refused");
        // One problem: what the file would have said is not also missing.
        assert_eq!(problems.count(), 1, "{problems}");
        let problem = problems.iter().next().expect("one");
        assert_eq!(problem.source, Origin::File { path: file.clone(), position: None });
        assert!(problem.message.starts_with("cannot be read: "), "{problem}");
    }
}

#[test]
fn each_mistake_is_refused_for_its_reason_at_its_place() {
    // A line of a record, which is line 5; the column; the key below record[0]; a part of what is said.
    for (line, column, key, said) in [
        ("tll = 60", 1, "tll", "unknown key 'tll'\n  hint: did you mean 'ttl'?"),
        ("keep-min = 1", 1, "keep-min", "hint: did you mean 'keep_min'?"),
        (
            "label_selector = \"x\"",
            1,
            "label_selector",
            "unknown key 'label_selector'\n  hint: known here: name, zone_id",
        ),
        ("ttl = -1", 7, "ttl", "-1 is not between 0 and 2147483647"),
        ("ttl = 2147483648", 7, "ttl", "2147483648 is not between"),
        ("ttl = \"60\"", 7, "ttl", "expected a whole number, found the text \"60\""),
        ("ttl = 60.5", 7, "ttl", "expected a whole number, found the number 60.5"),
        ("keep_min = 101", 12, "keep_min", "101 is not between 0 and 100"),
        (
            "keep_min = 3\nrouting = { policy = \"failover\", role = \"secondary\" }",
            12,
            "keep_min",
            "3 is not between 0 and 2",
        ),
        ("types = []", 9, "types", "without a type there is nothing to publish"),
        ("types = [\"A\", \"AAA\"]", 15, "types[1]", "\"AAA\" is not one of \"A\", \"AAAA\"\n  hint: did you mean"),
        ("types = [\"A\", \"A\"]", 15, "types[1]", "named twice"),
        ("types = \"A\"", 9, "types", "expected an array, found the text \"A\""),
        ("class = \"public\"", 9, "class", "\"public\" is not one of \"global\", \"private\", \"shared\", \"any\""),
        ("class = 1", 9, "class", "expected one of \"global\", \"private\", \"shared\", \"any\", found the number 1"),
        ("addresses = \"every\"", 13, "addresses", "\"every\" is not one of \"first\", \"all\""),
        ("private = \"yes\"", 11, "private", "expected true or false, found the text \"yes\""),
        ("private = true", 11, "private", "'zone_id' already says which hosted zone it is"),
        ("zone = \"example.com\"", 8, "zone", "'zone_id' already says which hosted zone it is"),
        ("static_addresses = [\"203.0.113.7\", \"x\"]", 36, "static_addresses[1]", "\"x\" is not an IP address"),
        (
            "types = [\"A\"]\nstatic_addresses = [\"2001:db8::1\"]",
            0,
            "static_addresses[0]",
            "not among this record's types",
        ),
        ("static_addresses = [\"192.0.2.1\", \"192.0.2.1\"]", 34, "static_addresses[1]", "there twice"),
        (
            "static_addresses = [\"192.0.2.1\", \"192.0.2.2\"]",
            20,
            "static_addresses",
            "only the first would be published",
        ),
        ("static_addresses = [\"0.0.0.0\"]", 21, "static_addresses[0]", "can be reached: it is unspecified"),
        ("static_addresses = [\"127.0.0.1\"]", 21, "static_addresses[0]", "can be reached: it is loopback"),
        ("static_addresses = [\"169.254.1.1\"]", 21, "static_addresses[0]", "can be reached: it is link-local"),
        ("static_addresses = [\"fe80::1\"]", 21, "static_addresses[0]", "can be reached: it is link-local"),
        ("health_check_id = \"\"", 19, "health_check_id", "is not a health check id"),
        (
            "routing = \"weighted\"",
            11,
            "routing",
            "expected a table like { policy = \"weighted\", weight = 10 }, found the text",
        ),
        ("routing = { policy = \"wieghted\" }", 22, "routing.policy", "hint: did you mean \"weighted\"?"),
        ("routing = { policy = \"simple\" }", 22, "routing.policy", "\"simple\" is not one of"),
        ("routing = { wieght = 5 }", 13, "routing.wieght", "hint: did you mean 'weight'?"),
        ("routing = { weight = 256 }", 22, "routing.weight", "256 is not between 0 and 255"),
        ("routing = { bias = 5 }", 20, "routing.bias", "belongs to geoproximity routing; this record's is weighted"),
        ("routing = { policy = \"latency\" }", 11, "routing", "latency routing needs a 'region'"),
        ("routing = { policy = \"latency\", region = \"eu-central-1a\" }", 42, "routing.region", "Availability Zone"),
        ("routing = { policy = \"latency\", region = \"Frankfurt\" }", 42, "routing.region", "is not an AWS Region"),
        ("routing = { policy = \"latency\", region = \"us-1\" }", 42, "routing.region", "is not an AWS Region"),
        ("routing = { policy = \"geoproximity\" }", 11, "routing", "needs to know where the node is"),
        (
            "routing = { policy = \"geoproximity\", coordinates = \"50.1109,8.6821\" }",
            52,
            "routing.coordinates",
            "'50.1109' has more than two decimals",
        ),
        (
            "routing = { policy = \"geoproximity\", coordinates = \"91,0\" }",
            52,
            "routing.coordinates",
            "outside -90..90",
        ),
        (
            "routing = { policy = \"geoproximity\", coordinates = \"50.11\" }",
            52,
            "routing.coordinates",
            "not of the form",
        ),
        (
            "routing = { policy = \"geoproximity\", coordinates = \"1,2\", region = \"eu-west-1\" }",
            11,
            "routing",
            "exactly one of",
        ),
        (
            "routing = { policy = \"geoproximity\", local_zone_group = \"us-west-2-den-1a\" }",
            57,
            "routing.local_zone_group",
            "is a Local Zone, not a Local Zone Group\n  hint: its group is \"us-west-2-den-1\"",
        ),
        (
            "routing = { policy = \"geoproximity\", local_zone_group = \"us-west-2\" }",
            57,
            "routing.local_zone_group",
            "is not a Local Zone Group",
        ),
        (
            "routing = { policy = \"geoproximity\", coordinates = \"1,2\", bias = 100 }",
            66,
            "routing.bias",
            "100 is not between -99 and 99",
        ),
        ("routing = { policy = \"geolocation\" }", 11, "routing", "needs to know whose questions"),
        (
            "routing = { policy = \"geolocation\", continent = \"Europe\" }",
            49,
            "routing.continent",
            "AF, AN, AS, EU, NA",
        ),
        ("routing = { policy = \"geolocation\", country = \"de\" }", 47, "routing.country", "is not a country code"),
        (
            "routing = { policy = \"geolocation\", country = \"DE\", subdivision = \"BY\" }",
            67,
            "routing.subdivision",
            "the subdivisions of US and UA only",
        ),
        (
            "routing = { policy = \"geolocation\", subdivision = \"CO\" }",
            51,
            "routing.subdivision",
            "needs its country",
        ),
        ("routing = { policy = \"geolocation\", continent = \"EU\", country = \"DE\" }", 11, "routing", "not both"),
        (
            "routing = { policy = \"geolocation\", continent = \"NA\", subdivision = \"CO\" }",
            69,
            "routing.subdivision",
            "belongs to a country, not to a continent\n  hint: replace 'continent'",
        ),
        (
            "routing = { policy = \"geoproximity\", coordinates = [50.11, 8.68] }",
            52,
            "routing.coordinates",
            "found an array\n  hint: write latitude, then longitude, in quotation marks, like \"50.11,8.68\"",
        ),
        (
            "routing = { policy = \"geoproximity\", coordinates = 50.11 }",
            52,
            "routing.coordinates",
            "hint: write latitude, then longitude, in quotation marks, like \"50.11,8.68\"",
        ),
        ("routing = { policy = \"latency\", region = 1 }", 42, "routing.region", "expected a string"),
        ("routing = { policy = \"failover\" }", 11, "routing", "needs a 'role'"),
        ("routing = { policy = \"failover\", role = \"primary\" }", 0, "health_check_id", "wants a health check"),
        ("routing = { policy = \"multivalue\", weight = 1 }", 45, "routing.weight", "belongs to weighted routing"),
        (
            "signals = { not_ready = \"remove\" }",
            25,
            "signals.not_ready",
            "\"remove\" is not one of \"ignore\", \"withdraw\"",
        ),
        (
            "signals = { not_ready = true }",
            25,
            "signals.not_ready",
            "expected \"ignore\", \"withdraw\" or a table like",
        ),
        ("signals = { notready = \"ignore\" }", 13, "signals.notready", "hint: did you mean 'not_ready'?"),
        (
            "signals = { probe_failed = \"ignore\" }",
            13,
            "signals.probe_failed",
            "known here: not_ready, cordoned, deleting, excluded, tainted, probe, drained, stopping, api_unreachable",
        ),
        ("signals = { cordoned = { after = 5 } }", 34, "signals.cordoned.after", "a length of time with its unit"),
        ("signals = { cordoned = { aftr = \"5s\" } }", 26, "signals.cordoned.aftr", "hint: did you mean 'after'?"),
        ("signals = { cordoned = { after = \"25h\" } }", 34, "signals.cordoned.after", "is not between 0s and 24h"),
        (
            "signals = { stopping = { after = \"5s\" } }",
            34,
            "signals.stopping.after",
            "a system that shuts down does not wait\n  hint: leave 'after' out",
        ),
        (
            "signals = { stopping = { recover_after = \"5s\" } }",
            42,
            "signals.stopping.recover_after",
            "a system that shuts down does not come back from it\n  hint: leave 'recover_after' out",
        ),
        ("signals = { probe = true }", 21, "signals.probe", "or a table like { tcp = \"127.0.0.1:443\" }, found true"),
        ("signals = { probe = \"withdraw\" }", 21, "signals.probe", "there is nothing to probe\n  hint: add tcp ="),
        ("signals = { probe = { interval = \"9s\" } }", 21, "signals.probe", "there is nothing to probe"),
        ("signals = { probe = { tcp = 443 } }", 29, "signals.probe.tcp", "expected a string, found the number 443"),
        (
            "signals = { probe = { tcp = \"443\" } }",
            29,
            "signals.probe.tcp",
            "has no address\n  hint: write address and port",
        ),
        ("signals = { probe = { tcp = \"127.0.0.1\" } }", 29, "signals.probe.tcp", "has no port"),
        ("signals = { probe = { tcp = \"127.0.0.1:0\" } }", 29, "signals.probe.tcp", "has no port to connect to"),
        ("signals = { probe = { tcp = \"0.0.0.0:443\" } }", 29, "signals.probe.tcp", "no address to connect to"),
        ("signals = { probe = { tcp = \"localhost:443\" } }", 29, "signals.probe.tcp", "is not an address with a port"),
        (
            "signals = { probe = { tcp = \"[::1]:443\", http = \"http://[::1]/\" } }",
            21,
            "signals.probe",
            "takes exactly one of 'tcp' and 'http'",
        ),
        (
            "signals = { probe = { tcp = \"[::1]:443\", contains = \"ok\" } }",
            53,
            "signals.probe.contains",
            "belongs to 'http'; the check is 'tcp'",
        ),
        (
            "signals = { probe = { http = \"https://localhost/healthz\" } }",
            30,
            "signals.probe.http",
            "has a name where an address is wanted\n  hint: write it like",
        ),
        (
            "signals = { probe = { http = \"ftp://127.0.0.1/\" } }",
            30,
            "signals.probe.http",
            "not a URL of http or https",
        ),
        ("signals = { probe = { http = \"127.0.0.1\" } }", 30, "signals.probe.http", "is not a URL of http or https"),
        ("signals = { probe = { http = \"http://[::]/\" } }", 30, "signals.probe.http", "no address to connect to"),
        ("signals = { probe = { http = \"http://127.0.0.1:0/\" } }", 30, "signals.probe.http", "no port to connect to"),
        ("signals = { probe = { http = \"http://127.0.0.1:x/\" } }", 30, "signals.probe.http", "no port to connect to"),
        ("signals = { probe = { http = \"http://127.0.0.1/#a\" } }", 30, "signals.probe.http", "has a fragment"),
        (
            "signals = { probe = { http = \"http://u:hunter2@127.0.0.1/\" } }",
            30,
            "signals.probe.http",
            "user and password",
        ),
        (
            "signals = { probe = { http = \"http://127.0.0.1/\", host = \"a b\" } }",
            58,
            "signals.probe.host",
            "cannot stand in the name of a host",
        ),
        (
            "signals = { probe = { http = \"http://127.0.0.1/\", host = \"*.example.com\" } }",
            58,
            "signals.probe.host",
            "a wildcard cannot be asked for",
        ),
        (
            "signals = { probe = { http = \"http://127.0.0.1/\", contains = \"\" } }",
            62,
            "signals.probe.contains",
            "0 bytes are not between 1 and 255",
        ),
        (
            "signals = { probe = { tcp = \"[::1]:443\", failures = 0 } }",
            53,
            "signals.probe.failures",
            "0 is not between 1 and 100",
        ),
        (
            "signals = { probe = { tcp = \"[::1]:443\", interval = \"500ms\" } }",
            53,
            "signals.probe.interval",
            "500ms is not between 1s and 1h",
        ),
        ("signals = { probe = { tpc = \"[::1]:443\" } }", 23, "signals.probe.tpc", "hint: did you mean 'tcp'?"),
        (
            "signals = { tainted = { keys = [\"-\"] } }",
            33,
            "signals.tainted.keys[0]",
            "\"-\" is not a key: the name must be",
        ),
        ("aws_secret_access_key = \"hunter2\"", 1, "aws_secret_access_key", "AWS credentials do not belong"),
    ] {
        let text = Setup::new(&with_line(line)).problems();
        let line_number = if column == 0 { String::new() } else { format!("5:{column}: ") };
        let place = format!("nodedns.toml:{line_number}");
        let key = format!("record[0].{key}: ");
        let expected = if column == 0 { key } else { format!("{place}{key}") };
        assert!(text.contains(&expected) && text.contains(said), "{line}\nexpected {expected}{said}\nsaid {text}");
        assert!(!text.contains("hunter2"), "a secret in a message: {text}");
        let count = text.lines().filter(|line| !line.starts_with("  hint")).count();
        assert_eq!(count, 1, "one mistake, {count} problems: {line}\n{text}");
    }
}

#[test]
fn mistakes_outside_of_records_too() {
    for (text, place, said) in [
        ("clusters = \"x\"", "1:1: clusters: ", "hint: did you mean 'cluster'?"),
        ("cluster = \"a/b\"", "1:11: cluster: ", "must be letters, digits, '-', '_' and '.' only"),
        ("cluster = \"\"", "1:11: cluster: ", "and not empty"),
        ("cluster = 5", "1:11: cluster: ", "expected a string, found the number 5"),
        ("cluster = 2001-01-01", "1:11: cluster: ", "expected a string, found a date or time"),
        ("cluster = \"c\"\nnode = \"a b\"", "2:8: node: ", "the node name 'a b' must be"),
        ("cluster = \"c\"\nsettle = 200", "2:10: settle: ", "a length of time with its unit, like \"200ms\""),
        ("cluster = \"c\"\nsettle = \"200\"", "2:10: settle: ", "\"200\" is a number without a unit; write it like"),
        ("cluster = \"c\"\nsettle = \"-1s\"", "2:10: settle: ", "\"-1s\" is negative"),
        ("cluster = \"c\"\nsettle = \"3s\"", "2:10: settle: ", "settle = \"3s\" is longer than settle_max = \"2s\""),
        ("cluster = \"c\"\nsettle_max = \"1ms\"", "2:14: settle_max: ", "is longer than settle_max = \"1ms\""),
        ("cluster = \"c\"\nsettle_max = \"1h\"", "2:14: settle_max: ", "1h is not between 0s and 5m"),
        ("cluster = \"c\"\nresync = \"1s\"", "2:10: resync: ", "1s is not between 10s and 24h"),
        ("cluster = \"c\"\n[prune]\nkeep_nodes = [\"\"]", "3:15: prune.keep_nodes[0]: ", "matches no node"),
        (
            "cluster = \"c\"\n[prune]\nkeep_nodes = [\"a\", \"*\"]",
            "3:20: prune.keep_nodes[1]: ",
            "names no node in particular",
        ),
        (
            "cluster = \"c\"\n[prune]\nkeep_nodes = [\"home/a\"]",
            "3:15: prune.keep_nodes[0]: ",
            "neither blanks nor slashes",
        ),
        ("cluster = \"c\"\n[prune]\nkeep_nodes = \"a\"", "3:14: prune.keep_nodes: ", "expected an array"),
        ("cluster = \"c\"\n[survivors]\ngrace = \"29s\"", "3:9: survivors.grace: ", "29s is not between 30s and 24h"),
        ("cluster = \"c\"\n[survivors]\nenabled = \"yes\"", "3:11: survivors.enabled: ", "expected true or false"),
        (
            "cluster = \"c\"\n[survivors]\nenabled = true\n[kubernetes]\nenabled = false",
            "3:11: survivors.enabled: ",
            "only Kubernetes tells which nodes are dead, and kubernetes.enabled is false",
        ),
        (
            "cluster = \"c\"\nkubernetes.enabled = \"yes\"",
            "2:22: kubernetes.enabled: ",
            "expected \"auto\", true or false",
        ),
        (
            "cluster = \"c\"\n[kubernetes]\nkubeconfig = \"\"",
            "3:14: kubernetes.kubeconfig: ",
            "must be \"auto\" or the path",
        ),
        (
            "cluster = \"c\"\nkubernetes.enabled = false\n[[record]]\nname = \"a.b\"\nrouting = { policy = \"geoproximity\", coordinates = \"auto\" }",
            "5:52: record[0].routing.coordinates: ",
            "but Kubernetes is switched off",
        ),
        (
            "cluster = \"c\"\n[kubernetes]\nlabel_selecter = \"\"",
            "3:1: kubernetes.label_selecter: ",
            "hint: did you mean 'label_selector'?",
        ),
        (
            "cluster = \"c\"\n[kubernetes]\nlabel_selector = \"a in (b\"",
            "3:18: kubernetes.label_selector: ",
            "not a label selector: ends where ')' was expected\n  hint: write it as for 'kubectl",
        ),
        (
            "cluster = \"c\"\n[signals]\ntainted = { keys = [\"a=b:NoSchedule\"] }",
            "3:21: signals.tainted.keys[0]: ",
            "hint: the key alone is asked for",
        ),
        ("cluster = \"c\"\n[signals]\ntainted = { keys = [] }", "3:20: signals.tainted.keys: ", "tainted = \"ignore\""),
        (
            "cluster = \"c\"\n[signals]\ndeleting = { after = \"25h\" }",
            "3:22: signals.deleting.after: ",
            "is not between 0s and 24h",
        ),
        (
            "cluster = \"c\"\n[signals]\nprobe = { tcp = \"127.0.0.1:443\", timeout = \"6s\" }",
            "3:44: signals.probe.timeout: ",
            "timeout = \"6s\" is longer than interval = \"5s\"",
        ),
        (
            "cluster = \"c\"\n[signals]\nprobe = { tcp = \"127.0.0.1:443\", interval = \"1s\" }",
            "3:45: signals.probe.interval: ",
            "timeout = \"2s\" is longer than interval = \"1s\"",
        ),
        ("cluster = \"c\"\n[adresses]\n", "2:2: adresses: ", "hint: did you mean 'addresses'?"),
        (
            "cluster = \"c\"\n[addresses]\ndeny = [\"10.0.0.1/8\"]",
            "3:9: addresses.deny[0]: ",
            "\"10.0.0.0/8\" is the network",
        ),
        ("cluster = \"c\"\n[addresses]\nallow = [\"10.0.0.1\"]", "3:10: addresses.allow[0]: ", "write \"10.0.0.1/32\""),
        ("cluster = \"c\"\n[addresses]\nallow = [\"lan\"]", "3:10: addresses.allow[0]: ", "CIDR notation"),
        (
            "cluster = \"c\"\n[addresses]\nallow = [1]",
            "3:10: addresses.allow[0]: ",
            "expected a string, found the number 1",
        ),
        (
            "cluster = \"c\"\n[addresses]\ninclude_interfaces = []",
            "3:22: addresses.include_interfaces: ",
            "no interface",
        ),
        (
            "cluster = \"c\"\n[addresses]\nexclude_interfaces = [\"\"]",
            "3:23: addresses.exclude_interfaces[0]: ",
            "empty pattern",
        ),
        ("cluster = \"c\"\n[route53]\nendpoint_url = \"route53\"", "3:16: route53.endpoint_url: ", "is not a URL"),
        ("cluster = \"c\"\n[route53]\nendpoint_url = \"ftp://h\"", "3:16: route53.endpoint_url: ", "not http or https"),
        ("cluster = \"c\"\n[route53]\nendpoint_url = \"http://\"", "3:16: route53.endpoint_url: ", "is not a URL"),
        ("cluster = \"c\"\n[route53]\nendpoint_url = \"http://a b\"", "3:16: route53.endpoint_url: ", "is not a URL"),
        ("cluster = \"c\"\n[route53]\nendpoint_url = \"http://h:x\"", "3:16: route53.endpoint_url: ", "is not a URL"),
        ("cluster = \"c\"\n[route53]\nendpoint_url = \"http://h?q\"", "3:16: route53.endpoint_url: ", "is not a URL"),
        (
            "cluster = \"c\"\n[route53]\nendpoint_url = \"https://u:hunter2@h\"",
            "3:16: route53.endpoint_url: ",
            "user and password do not belong",
        ),
        ("cluster = \"c\"\n[route53]\nregion = \"europe\"", "3:10: route53.region: ", "is not an AWS Region"),
        (
            "cluster = \"c\"\n[route53]\nrequests_per_second = 0",
            "3:23: route53.requests_per_second: ",
            "0 is not above 0",
        ),
        (
            "cluster = \"c\"\n[route53]\nrequests_per_second = nan",
            "3:23: route53.requests_per_second: ",
            "NaN is not above 0",
        ),
        ("cluster = \"c\"\n[route53]\nburst = 0", "3:9: route53.burst: ", "0 is not between 1 and 1000"),
        (
            "cluster = \"c\"\n[route53]\nattempt_timeout = \"1ms\"",
            "3:19: route53.attempt_timeout: ",
            "1ms is not between 1s and 5m",
        ),
        (
            "cluster = \"c\"\n[route53]\naccess_key_id = \"hunter2\"",
            "3:1: route53.access_key_id: ",
            "credentials file instead",
        ),
        ("cluster = \"c\"\n[control]\nsocket = \"x.sock\"", "3:10: control.socket: ", "is not an absolute path"),
        (
            "cluster = \"c\"\n[control]\nstate_directory = \"x\"",
            "3:19: control.state_directory: ",
            "is not an absolute path",
        ),
        ("cluster = \"c\"\n[metrics]\nlisten = \"9797\"", "3:10: metrics.listen: ", "is not an IP address and a port"),
        ("cluster = \"c\"\n[metrics]\nlisten = \":9797\"", "3:10: metrics.listen: ", "hint: write it like"),
        ("cluster = \"c\"\n[metrics]\nlisten = \"localhost:9797\"", "3:10: metrics.listen: ", "is not an IP address"),
        ("cluster = \"c\"\n[metrics]\nlisten = \"127.0.0.1\"", "3:10: metrics.listen: ", "is not an IP address"),
        ("cluster = \"c\"\n[metrics]\nlisten = \"[::1]:0\"", "3:10: metrics.listen: ", "names no port"),
        (
            "cluster = \"c\"\n[metrics]\ntextfile = \"nodedns.prom\"",
            "3:12: metrics.textfile: ",
            "is not an absolute path",
        ),
        (
            "cluster = \"c\"\n[metrics]\ntextfile = \"/x/nodedns.txt\"",
            "3:12: metrics.textfile: ",
            "does not name a file that ends in .prom",
        ),
        (
            "cluster = \"c\"\n[metrics]\ntextfile = \"/x/nodedns.prom/\"",
            "3:12: metrics.textfile: ",
            "does not name a file that ends in .prom",
        ),
        (
            "cluster = \"c\"\n[log]\nlevel = \"verbose\"",
            "3:9: log.level: ",
            "\"verbose\" is not one of \"error\", \"warn\"",
        ),
        ("cluster = \"c\"\nlog = \"debug\"", "2:7: log: ", "expected a table, found the text \"debug\""),
        ("cluster = \"c\"\nlog = [\"debug\"]", "2:7: log: ", "expected a table, found an array"),
        ("cluster = \"c\"\nlog = 2001-01-01", "2:7: log: ", "expected a table, found a date or time"),
        ("cluster = \"c\"\nrecord = \"x\"", "2:10: record: ", "expected an array, found the text \"x\""),
        ("cluster = \"c\"\n[record]\nname = \"a.b\"", "2:1: record: ", "hint: double the brackets"),
        (
            "cluster = \"c\"\n[addresses]\nallow = \"10.0.0.0/8, fd00::/8\"",
            "3:9: addresses.allow: ",
            "hint: write [\"10.0.0.0/8\", \"fd00::/8\"]",
        ),
        (
            "cluster = \"c\"\n[kubernetes]\nkubeconfig = \"k3s.yaml\"",
            "3:14: kubernetes.kubeconfig: ",
            "\"k3s.yaml\" is not an absolute path\n  hint: ",
        ),
    ] {
        let has_record = text.contains("record");
        let file =
            if has_record { text.to_owned() } else { format!("{text}\n[[record]]\nname = \"edge.example.com\"\n") };
        let problems = Setup::new(&file).problems();
        let expected = format!("/etc/nodedns/nodedns.toml:{place}");
        assert!(
            problems.contains(&expected) && problems.contains(said),
            "{text}\nexpected {expected}{said}\nsaid {problems}"
        );
        assert!(!problems.contains("hunter2"), "a secret in a message: {problems}");
        let count = problems.lines().filter(|line| !line.starts_with("  hint")).count();
        assert_eq!(count, 1, "one mistake, {count} problems: {text}\n{problems}");
    }
}

#[test]
fn one_underscore_is_not_two() {
    for (name, meant) in [
        ("NODEDNS_LOG_LEVEL", "NODEDNS_LOG__LEVEL"),
        ("NODEDNS_ROUTE53_ENDPOINT_URL", "NODEDNS_ROUTE53__ENDPOINT_URL"),
        ("NODEDNS_SIGNALS_NOT_READY_AFTER", "NODEDNS_SIGNALS__NOT_READY__AFTER"),
        ("NODEDNS_SIGNALS__NOT_READY_AFTER", "NODEDNS_SIGNALS__NOT_READY__AFTER"),
    ] {
        let problems = Setup::new(SMALLEST).variable(name, "x").problems();
        assert!(problems.contains(&format!("${name}: ")), "{problems}");
        assert!(problems.contains(&format!("hint: did you mean ${meant}?")), "{problems}");
    }
    let problems = Setup::new(SMALLEST).variable("NODEDNS_SETTLE_MAXX", "1s").problems();
    assert!(problems.contains("hint: did you mean 'settle_max'?"), "{problems}");
}

#[test]
fn a_file_that_is_no_text_or_no_toml_comes_with_a_remedy() {
    let setup = Setup::new("");
    fs::write(setup.sources.file.as_ref().expect("file"), b"cluster = \"caf\xe9\"\n").expect("written");
    assert!(setup.problems().contains("nodedns.toml: cannot be read: "), "{}", setup.problems());
    assert!(setup.problems().contains("\n  hint: save it as text in UTF-8"), "{}", setup.problems());
    let problems = Setup::new("cluster = home\n").problems();
    assert!(problems.contains("nodedns.toml:1:") && problems.contains("\n  hint: keys are written "), "{problems}");
}

#[test]
fn every_bad_static_address_is_reported() {
    for (array, count) in
        [("[\"x\", \"192.0.2.1\", \"y\", \"127.0.0.1\"]", 3), ("[1, \"x\", 2, \"y\"]", 4), ("[\"\", 1.5]", 2)]
    {
        let problems = Setup::new(&with_line(&format!("static_addresses = {array}"))).load().expect_err("refused");
        assert_eq!(problems.count(), count, "{array}\n{problems}");
    }
}

#[test]
fn a_socket_can_be_made_wherever_the_configuration_may_put_it() {
    let directory = TempDir::new().expect("directory");
    let path = |length: usize| format!("{}/{:s<length$}", directory.path().display(), "");
    let room = 103 - path(0).len();
    let written = |path: &str| Setup::new(&format!("{SMALLEST}[control]\nsocket = {path:?}\n"));
    let socket = written(&path(room)).config().socket;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async { nodedns::control::server::Server::bind(&socket).expect("the longest path") });
    let problems = written(&path(room + 1)).problems();
    assert!(problems.contains("control.socket: 104 bytes are too long"), "{problems}");
}

#[test]
fn names_that_cannot_be_are_refused() {
    for (record, said) in [
        ("", "3:1: record[0].name: missing"),
        ("name = \"\"", "4:8: record[0].name: the name is empty"),
        ("name = \"edge\"", "4:8: record[0].name: \"edge\" is a single label"),
        ("name = \"a..b\"", "4:8: record[0].name: the name has an empty label"),
        ("name = \"{host}.example.com\"", "4:8: record[0].name: \"{host}.example.com\": only {node} and {cluster}"),
        (
            "name = \"a.example.com\"\nzone = \"example.org\"",
            "4:8: record[0].name: \"a.example.com\" is not in the zone example.org",
        ),
        ("name = \"badexample.com\"\nzone = \"example.com\"", "is not in the zone example.com"),
        ("name = \"a.example.com\"\nzone = \"a..b\"", "5:8: record[0].zone: the name has an empty label"),
        (
            "name = \"a.example.com\"\nzone_id = \"example.com\"",
            "5:11: record[0].zone_id: \"example.com\" is not a hosted zone id",
        ),
        (
            "name = \"a.example.com\"\n[[record]]\nname = \"A.example.com.\"",
            "6:8: record[1].name: \"A.example.com.\" is configured twice",
        ),
        (
            "name = \"a.example.com\"\nzone_id = \"Z1\"\n[[record]]\nname = \"a.example.com\"\nzone = \"example.com\"",
            "7:8: record[1].name: \"a.example.com\" is configured twice",
        ),
        (
            "name = \"a.example.com\"\nzone_id = \"Z1\"\n[[record]]\nname = \"a.example.com\"\nprivate = true",
            "7:8: record[1].name: \"a.example.com\" is configured twice",
        ),
        ("name = \"https://edge.example.com\"", "4:8: record[0].name: \"https://edge.example.com\" is a URL"),
        ("name = \"185.12.64.1\"", "4:8: record[0].name: \"185.12.64.1\" is an IP address"),
        ("name = \"b\u{fc}cher.example.com\"", "hint: write such labels in punycode: \"xn--"),
        ("name = \"a b.{cluster}.example.com\"", "4:8: record[0].name: ' ' in \"a b.c.example.com\" cannot stand"),
    ] {
        let problems = Setup::new(&format!("cluster = \"c\"\n\n[[record]]\n{record}\n")).problems();
        assert!(problems.contains(said), "{record}\nexpected {said}\nsaid {problems}");
    }
    // The same name in two zones is two records: a public and a private view.
    let text =
        "cluster = \"c\"\n[[record]]\nname = \"a.b\"\nzone_id = \"Z1\"\n[[record]]\nname = \"a.b\"\nzone_id = \"Z2\"\n";
    assert_eq!(Setup::new(text).config().records.len(), 2);
    let text = text.replace("zone_id = \"Z1\"", "private = true").replace("zone_id = \"Z2\"", "zone = \"b.\"");
    assert_eq!(Setup::new(&text).config().records.len(), 2);
}

#[test]
fn what_only_the_node_name_shows_is_found_with_it() {
    let text = r#"
cluster = "home"
[[record]]
name = "{node}.nodes.{cluster}.example.com"
zone = "example.com"
[[record]]
name = "node-7.nodes.home.example.com"
zone_id = "Z0123456789ABC"
"#;
    let setup = Setup::new(text);
    let config = setup.config();
    let names = |node: &str| -> Vec<String> {
        let policy = config.policy(node, false).expect(node);
        policy.records.iter().map(|record| record.name.to_string()).collect()
    };
    assert_eq!(names("Node-1.lan"), ["node-1.lan.nodes.home.example.com", "node-7.nodes.home.example.com"]);
    for (node, said) in [
        ("node-7", "7:8: record[1].name: node-7.nodes.home.example.com is configured twice on node \"node-7\""),
        ("a b", "default: node: the node name 'a b' must be"),
        (&"n".repeat(64), "4:8: record[0].name: "),
        (&"n".repeat(120), "the set identifier made of cluster and node name would have 136 characters"),
    ] {
        let problems = config.policy(node, false).expect_err(node);
        assert!(setup.anonymous(&problems.to_string()).contains(said), "{node}: {problems}");
    }
}

#[test]
fn every_mistake_of_every_layer_is_reported_at_once() {
    let setup = Setup::new(
        r#"clutser = "home"
settle = 200
[addresses]
deny = [1, "10.0.0.1/8"]

[[record]]
name = "edge..example.com"
ttl = -1
routing = { policy = "geoproximity", coordinates = "50.1109,8.68", weight = 5 }

[[record]]
types = ["B", "C"]
"#,
    )
    .drop_in("10-broken.toml", "resync = \"1h\n")
    .drop_in("20-late.toml", "settle = \"1h\"\n[[record]]\nname = 5\nzone_id = \"?\"\n")
    .variable("NODEDNS_RESYNK", "1h")
    .variable("NODEDNS_RECORD__NAME", "a.b")
    .variable("NODEDNS_LOG", "debug")
    .variable("NODEDNS_LOG__LEVEL", "debug")
    .variable("NODEDNS_ROUTE53__BURST", "many")
    .variable("NODEDNS_ADDRESSES__ALLOW", "10.0.0.0/8,lan");
    insta::assert_snapshot!(setup.problems());
}

/// Indices are those of the files, whatever could not be read before, and a list that replaces
/// another has nothing to do with what was wrong with that.
#[test]
fn what_is_broken_is_counted_where_it_was_written() {
    let mut setup = Setup::new(
        "cluster = \"c\"\nrecord = [[\"x\"], { name = \"a.b\", types = [1, \"A\", \"A\"] }]\n[addresses]\ndeny = [1, \"x\"]\n",
    )
    .drop_in(
        "10.toml",
        "record = [3, { name = \"c.d\", ttl = -1, static_addresses = [true, \"x\"] }]\naddresses.deny = [\"lan\"]\n",
    )
    .variable("NODEDNS_LOG__LEVEL", "loud")
    .variable("NODEDNS_SIGNALS__CORDONED", "{ action = \"ignor\", after = \"1s\" }");
    setup.sources.flags = Flags { names: vec!["e.f".to_owned()], zone_id: Some("?".to_owned()), ..Flags::default() };
    insta::assert_snapshot!(setup.problems(), @r#"
    /etc/nodedns/nodedns.toml:2:11: record[0]: expected a table, found an array
    /etc/nodedns/nodedns.toml:2:43: record[1].types[0]: expected one of "A", "AAAA", found the number 1
    /etc/nodedns/nodedns.toml:2:51: record[1].types[2]: named twice
    /etc/nodedns/nodedns.toml:4:9: addresses.deny[0]: expected a string, found the number 1
    /etc/nodedns/nodedns.toml.d/10.toml:1:11: record[2]: expected a table, found the number 3
    /etc/nodedns/nodedns.toml.d/10.toml:1:36: record[3].ttl: -1 is not between 0 and 2147483647
    /etc/nodedns/nodedns.toml.d/10.toml:1:60: record[3].static_addresses[0]: expected a string, found true
    /etc/nodedns/nodedns.toml.d/10.toml:1:66: record[3].static_addresses[1]: "x" is not an IP address
    /etc/nodedns/nodedns.toml.d/10.toml:2:19: addresses.deny[0]: "lan" is not a network in CIDR notation
      hint: write it like "203.0.113.0/24" or "2001:db8::/32"
    $NODEDNS_LOG__LEVEL: log.level: "loud" is not one of "error", "warn", "info", "debug", "trace"
    $NODEDNS_SIGNALS__CORDONED: signals.cordoned.action: "ignor" is not one of "ignore", "withdraw"
      hint: did you mean "ignore"?
    --zone-id: record[4].zone_id: "?" is not a hosted zone id
      hint: it looks like "Z0123456789ABC"; the zone's name goes into 'zone'
    "#);
}

#[test]
fn no_prefix_of_a_file_makes_the_reader_fail() {
    let text = format!(
        "{SMALLEST}types = [\"A\"]\nsignals = {{ cordoned = {{ after = \"5s\" }} }}\n[log]\nlevel = \"warn\" # ü\n"
    );
    let setup = Setup::new("");
    let file = setup.sources.file.clone().expect("file");
    for (end, _) in text.char_indices() {
        fs::write(&file, &text[..end]).expect("written");
        if let Err(problems) = setup.load() {
            assert!(problems.count() > 0 && problems.iter().all(|problem| !problem.message.is_empty()));
        }
    }
}

/// A configuration in which everything is said, each thing in another way than the default.
const EVERYTHING: &str = r#"cluster = "home"
node = "node-1"
settle = "100ms"
settle_max = "1s"
resync = "1h30m"

[kubernetes]
enabled = true
kubeconfig = "/etc/kubeconfig"
label_selector = "region in (eu,us), !private"

[addresses]
include_interfaces = ["en*", "bond?"]
exclude_interfaces = ["enp9s0"]
exclude_defaults = false
allow = ["10.0.0.0/8"]
deny = ["2001:db8::/32"]
temporary = true

[signals]
not_ready = { after = "5s" }
cordoned = "ignore"
deleting = { after = "1s" }
excluded = { after = "2s" }
tainted = { after = "3s", keys = ["a", "example.com/b"] }
probe = { tcp = "127.0.0.1:443", interval = "20s", timeout = "3s", failures = 2 }
drained = { recover_after = "4s" }
stopping = "ignore"
api_unreachable = { action = "withdraw", after = "1h", recover_after = "1m" }

[route53]
endpoint_url = "http://127.0.0.1:4566"
region = "us-gov-west-1"
profile = "dns"
requests_per_second = 2.5
burst = 10
attempt_timeout = "30s"

[control]
socket = "/run/other.sock"
state_directory = "/srv/nodedns"

[metrics]
listen = "[::1]:9797"
textfile = "/var/lib/metrics/nodedns.prom"

[log]
level = "warn"
format = "text"

[[record]]
name = "edge.example.com"
zone_id = "Z0123456789ABC"
types = ["AAAA"]
class = "any"
ttl = 30
keep_min = 0
addresses = "all"
static_addresses = ["2001:db8::7"]
health_check_id = "0f1e2d3c"
routing = { policy = "geoproximity", coordinates = "50.11,8.68", bias = 10 }
signals = { cordoned = { after = "1s" }, probe = { http = "http://127.0.0.1/", host = "e.example.com", contains = "x" } }

[[record]]
name = "{node}.a-b_c.example.com"
zone = "example.com"
private = true
"#;

#[test]
fn everything_that_can_be_said_arrives() {
    let config = Setup::new(EVERYTHING).config();
    assert_eq!(config.node.as_deref(), Some("node-1"));
    assert_eq!(config.kubernetes.enabled, Switch::On);
    assert_eq!(config.kubernetes.kubeconfig, Some(PathBuf::from("/etc/kubeconfig")));
    assert_eq!(config.route53.endpoint_url.as_deref(), Some("http://127.0.0.1:4566"));
    assert_eq!(config.route53.profile.as_deref(), Some("dns"));
    assert_eq!((config.route53.requests_per_second, config.route53.burst), (2.5, 10));
    assert!(!config.addresses.exclude_defaults && config.addresses.temporary);
    assert_eq!(config.metrics.listen, "[::1]:9797".parse().ok());
    assert_eq!(config.metrics.textfile.as_deref(), Some(Path::new("/var/lib/metrics/nodedns.prom")));
    let record = &config.records[0].policy;
    assert_eq!((record.class, record.all_addresses, record.keep_min, record.ttl), (AddressClass::Any, true, 0, 30));
    assert_eq!(record.static_addresses, BTreeSet::from(["2001:db8::7".parse::<IpAddr>().expect("address")]));
    assert_eq!(record.types, BTreeSet::from([RecordType::Aaaa]));
    let after = |signal| record.signals[&signal].after.as_secs();
    assert_eq!([Signal::Deleting, Signal::Excluded, Signal::Tainted].map(after), [1, 2, 3]);
    assert_eq!(record.signals[&Signal::Drained].recover_after, Duration::from_secs(4));
    assert_eq!(record.signals[&Signal::Stopping].action, SignalAction::Ignore);
    assert_eq!(record.taint_keys, ["a", "example.com/b"].map(str::to_owned).into());
    let Some(Probe { check: ProbeCheck::Http(http), interval, timeout, failures }) = &record.probe else {
        panic!("{:?}", record.probe)
    };
    assert_eq!((http.host.as_str(), http.contains.as_deref(), http.path.as_str()), ("e.example.com", Some("x"), "/"));
    assert_eq!((interval.as_secs(), timeout.as_secs(), *failures), (20, 3, 2));
    let Some(Probe { check: ProbeCheck::Tcp(_), .. }) = config.records[1].policy.probe else { panic!("inherited") };
    let values = ["eu", "us"].map(str::to_owned).into();
    let selector = vec![Requirement::In("region".into(), values), Requirement::DoesNotExist("private".into())];
    assert_eq!(config.policy("n", true).expect("policy").node_selector, LabelSelector(selector));
    let cordoned = record.signals[&Signal::Cordoned];
    assert_eq!((cordoned.action, cordoned.after), (SignalAction::Ignore, Duration::from_secs(1)));
}

#[test]
fn show_says_where_each_value_comes_from() {
    let setup = Setup::new(EVERYTHING_SHOWN)
        .drop_in(
            "10-site.toml",
            "resync = \"20m\"\n[signals]\ncordoned = { after = \"1s\" }\n[[record]]\nname = \"b.example.com\"\n",
        )
        .variable("NODEDNS_ROUTE53__REGION", "us-gov-west-1")
        .variable("RUNTIME_DIRECTORY", "/run/nodedns");
    let loaded = setup.load().unwrap_or_else(|problems| panic!("{problems}"));
    insta::assert_snapshot!(setup.anonymous(&loaded.show()));
}

const EVERYTHING_SHOWN: &str = r#"cluster = "home"
[signals]
cordoned = { action = "ignore" }
[[record]]
name = "edge.example.com"
zone_id = "Z0123456789ABC"
routing = { policy = "geoproximity", coordinates = "50.11,8.68" }
static_addresses = ["203.0.113.7"]
"#;

/// What `show` prints is a configuration of the same meaning.
#[test]
fn what_is_shown_can_be_read_again() {
    for text in [SMALLEST, EVERYTHING_SHOWN, EVERYTHING] {
        let setup = Setup::new(text);
        let Ok(first) = setup.load() else { panic!("{}", setup.problems()) };
        let again = Setup::new(&first.show());
        let Ok(second) = again.load() else { panic!("{}\n{}", again.problems(), first.show()) };
        assert_eq!(plain(&first.config), plain(&second.config));
    }
}

/// A configuration without the places where it was written.
fn plain(config: &Config) -> (Config, Vec<String>) {
    let records = config.records.iter().map(|record| format!("{} {:?}", record.name, record.policy)).collect();
    (Config { records: Vec::new(), ..config.clone() }, records)
}

fn config_command(command: ConfigCommand) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run(&ConfigArgs { command }, &mut out, &mut err);
    (exit, String::from_utf8(out).expect("UTF-8"), String::from_utf8(err).expect("UTF-8"))
}

fn parse_config(arguments: &[&str]) -> ConfigCommand {
    let arguments = ["nodedns", "config"].iter().chain(arguments);
    let Command::Config(args) = Cli::try_parse_from(arguments).expect("usage").command else { panic!("config") };
    args.command
}

#[test]
fn check_says_what_was_read_or_what_is_wrong() {
    let setup = Setup::new(SMALLEST).drop_in("10-b.toml", "[[record]]\nname = \"{node}.example.com\"\nttl = 30\n");
    let file = setup.sources.file.clone().expect("file").display().to_string();
    let (exit, out, err) = config_command(parse_config(&["check", "--config", &file]));
    assert_eq!((exit, err.as_str()), (Exit::Ok, ""));
    insta::assert_snapshot!(setup.anonymous(&out), @r"
    ok: /etc/nodedns/nodedns.toml, /etc/nodedns/nodedns.toml.d/10-b.toml
    cluster home, this node (its name is found at run time):
      edge.example.com A and AAAA in Z0123456789ABC: geoproximity 50.11,8.68, first address of class global, TTL 60 s
      {node}.example.com A and AAAA in the longest matching public zone: weighted 10, first address of class global, TTL 30 s
    ");

    let setup = Setup::new("cluster = \"home\"\nsettle = \"soon\"\n");
    let file = setup.sources.file.clone().expect("file").display().to_string();
    let (exit, out, err) = config_command(parse_config(&["check", "--config", &file]));
    assert_eq!((exit, out.as_str()), (Exit::BadConfig, ""));
    insta::assert_snapshot!(setup.anonymous(&err), @r#"
    /etc/nodedns/nodedns.toml: record: missing: there is nothing to publish
      hint: add a [[record]] with a 'name'
    /etc/nodedns/nodedns.toml:2:10: settle: "soon" is not a length of time; write it like "200ms", "10s", "15m" or "1h30m"
    error: 2 mistakes in the configuration
    "#);
}

#[test]
fn init_writes_the_example_and_never_over_a_file() {
    let directory = TempDir::new().expect("directory");
    let file = directory.path().join("etc/nodedns.toml");
    let path = file.display().to_string();
    let (exit, out, _) = config_command(parse_config(&["init", "-"]));
    assert_eq!(exit, Exit::Ok);
    assert_eq!(out, nodedns::config::reference::example());

    assert_eq!(config_command(parse_config(&["init", &path])).0, Exit::Ok);
    assert_eq!(fs::read_to_string(&file).expect("written"), out);

    fs::write(&file, "precious").expect("written");
    let (exit, _, err) = config_command(parse_config(&["init", &path]));
    assert_eq!(exit, Exit::Failed);
    assert!(err.contains("hint: --force replaces it"), "{err}");
    assert_eq!(fs::read_to_string(&file).expect("there"), "precious");

    assert_eq!(config_command(parse_config(&["init", "--force", &path])).0, Exit::Ok);
    assert_eq!(fs::read_to_string(&file).expect("written"), out);
}

#[test]
fn schema_is_the_shipped_one_and_a_closed_pipe_is_no_failure() {
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (exit, out, _) = config_command(parse_config(&["schema"]));
    assert_eq!((exit, out), (Exit::Ok, nodedns::config::reference::schema()));
    let mut err = Vec::new();
    assert_eq!(run(&ConfigArgs { command: ConfigCommand::Schema }, &mut Closed, &mut err), Exit::Ok);
    assert!(err.is_empty());
}
