//! The provider as the environment sets it up: endpoint, credentials, and what must not be seen of them.
//!
//! A variable of this process would be every other test's, too, so the provider runs in a child:
//! this test binary again, told by a variable of its own what to do.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use nodedns::publish::Provider;
use nodedns::publish::route53::Route53;
use nodedns::telemetry;
use route53_sim::{Count, Fault, Operation, Sim};
use tempfile::TempDir;

use super::*;

const TASK: &str = "NODEDNS_TEST_PROVIDER_TASK";
/// The level of the child's log, which is set up as the daemon's is.
const LEVEL: &str = "NODEDNS_TEST_LOG_LEVEL";

/// What the child does. In the parent, which has no task for it, it does nothing.
#[test]
fn child() {
    let Some(task) = std::env::var_os(TASK) else { return };
    let task = task.into_string().expect("a word");
    let level = std::env::var(LEVEL);
    telemetry::init(level.as_deref().unwrap_or("info"), telemetry::Output::Stderr).expect("a log");
    let mut settings = Settings { requests_per_second: f64::INFINITY, ..Settings::default() };
    if task == "profile" {
        settings.profile = Some("edge".to_owned());
    }
    if task == "hurry" {
        settings.attempt_timeout = SHORT * 2;
    }
    let start = Instant::now();
    let provider = Route53::new(settings);
    run(async {
        for number in 0..2 {
            if number == 1 {
                let Ok(paths) = std::env::var("NODEDNS_TEST_MOVE") else { break };
                let (from, to) = paths.split_once(':').expect("two paths");
                std::fs::rename(from, to).expect("moved");
            }
            match provider.list(&zone(), &name("edge.example.com")).await {
                Ok(listing) => println!("RESULT ok {}", listing.zone_id),
                Err(error) => {
                    tracing::warn!(%error, "as the daemon says it");
                    let words = format!("{} {error} {error:?}", error.kind.as_str());
                    println!("RESULT {}", words.replace('\n', " "));
                }
            }
        }
    });
    println!("RESULT after {:?} {provider:?}", start.elapsed());
}

/// A child of this test with nothing in its environment but what a test puts there.
struct Child {
    command: Command,
    home: TempDir,
}

impl Child {
    fn new(sim: &Sim, task: &str) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command
            .args(["--exact", "provider::environment::child", "--nocapture", "--test-threads=1"])
            .env_clear()
            .env("HOME", home.path())
            .env("AWS_ENDPOINT_URL_ROUTE_53", sim.endpoint())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env(TASK, task)
            .stdin(Stdio::null());
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        Child { command, home }
    }

    fn env(mut self, key: &str, value: &str) -> Self {
        self.command.env(key, value);
        self
    }

    fn keys(self) -> Self {
        self.env("AWS_ACCESS_KEY_ID", "AKIAENV").env("AWS_SECRET_ACCESS_KEY", SECRET).env("AWS_SESSION_TOKEN", TOKEN)
    }

    /// A file below the home directory.
    fn file(self, path: &str, text: &str) -> Self {
        let path = self.home.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("a directory");
        std::fs::write(path, text).expect("a file");
        self
    }

    /// Between the child's two requests, the first file takes the place of the second.
    fn then_move(self, from: &str, to: &str) -> Self {
        let (from, to) = (self.home.path().join(from), self.home.path().join(to));
        let paths = format!("{}:{}", from.display(), to.display());
        self.env("NODEDNS_TEST_MOVE", &paths)
    }

    /// Everything it printed, and the results among it.
    fn run(mut self) -> (String, Vec<String>) {
        let output = self.command.output().expect("a child");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{text}");
        // The harness prints the test's name without a line's end in front of the first.
        let results = text.lines().filter_map(|line| line.split_once("RESULT ")).map(|(_, rest)| rest.to_owned());
        let results: Vec<String> = results.collect();
        assert!(results.len() >= 2, "{text}");
        (text, results)
    }
}

const SECRET: &str = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "FwoGZXIvYXdzEXAMPLETOKEN";

#[test]
fn a_host_without_ca_certificates_is_told_so_and_may_get_them_later() {
    let sim = sim();
    let bundle = rcgen::generate_simple_self_signed(["ca.example.com".to_owned()]).expect("a certificate").cert.pem();
    let child = Child::new(&sim, "default").keys().file("none.pem", "").file("some.pem", &bundle);
    let path = child.home.path().join("none.pem").display().to_string();
    let (_, results) = child.env("SSL_CERT_FILE", &path).then_move("some.pem", "none.pem").run();
    assert!(results[0].starts_with("unavailable this host has no CA certificates"), "{results:?}");
    assert!(results[0].contains("hint: install the package ca-certificates"), "{results:?}");
    assert_eq!(results[1], format!("ok {ZONE}"));
}

#[test]
fn endpoint_and_keys_come_from_the_standard_variables() {
    let sim = sim();
    let (_, results) = Child::new(&sim, "default").keys().run();
    assert_eq!(results[0], format!("ok {ZONE}"));
    let requests = sim.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].access_key.as_deref(), Some("AKIAENV"));
}

#[test]
fn variables_that_ask_the_sdk_to_retry_are_not_heeded() {
    let sim = sim();
    sim.inject(Operation::ListResourceRecordSets, Fault::Throttling, Count::Always);
    let child = Child::new(&sim, "default").keys().env("AWS_MAX_ATTEMPTS", "5").env("AWS_RETRY_MODE", "adaptive");
    let (_, results) = child.run();
    assert!(results[0].starts_with("throttled "), "{results:?}");
    assert_eq!(sim.requests().len(), 1);
}

#[test]
fn no_secret_is_in_any_error_or_debug_text() {
    let canonical = format!(
        "The request signature we calculated does not match.\n\nThe Canonical String for this request should have \
         been\n'GET\nx-amz-security-token:{TOKEN}\nsecret:{SECRET}'"
    );
    let error =
        |code: &str, message: &str| Fault::Error { status: 403, code: code.into(), message: message.to_owned() };
    for fault in [
        Fault::AccessDenied,
        Fault::ExpiredToken,
        Fault::Status(500),
        Fault::Reset,
        Fault::Truncate,
        error("SignatureDoesNotMatch", &canonical),
        error("InvalidSignatureException", &canonical),
        error("Whatever", &format!("header X-Amz-Security-Token: {TOKEN} is bad, and {SECRET} too")),
    ] {
        let sim = sim();
        sim.inject(Operation::ListResourceRecordSets, fault.clone(), Count::Always);
        let (text, results) = Child::new(&sim, "default").keys().run();
        assert!(!results[0].starts_with("ok"), "{fault:?}");
        assert!(!text.contains(SECRET) && !text.contains(TOKEN), "{fault:?}: {text}");
    }
}

#[test]
fn no_credentials_at_all_is_an_error_of_the_request_that_comes_soon() {
    let sim = sim();
    let start = Instant::now();
    let (_, results) = Child::new(&sim, "default").run();
    let said = "credentials no AWS credentials: none in the environment, from systemd, in ~/.aws or from the instance hint: set";
    assert!(results[0].starts_with(said), "{results:?}");
    assert!(results[0].contains("hint: set AWS_PROFILE"), "{results:?}");
    assert_eq!(sim.requests().len(), 0);
    assert!(start.elapsed() < std::time::Duration::from_secs(10));
}

fn keys_json(access_key: &str) -> String {
    format!(r#"{{"Version": 1, "AccessKeyId": "{access_key}", "SecretAccessKey": "{SECRET}"}}"#)
}

#[test]
fn a_profile_may_get_its_credentials_from_a_process() {
    let sim = sim();
    let config = "[default]\nregion = eu-central-1\n[profile edge]\ncredential_process = cat \"$HOME/keys.json\"\n";
    let child = Child::new(&sim, "profile").file(".aws/config", config).file("keys.json", &keys_json("AKIAPROCESS"));
    let (text, results) = child.run();
    assert_eq!(results[0], format!("ok {ZONE}"), "{text}");
    assert_eq!(sim.requests()[0].access_key.as_deref(), Some("AKIAPROCESS"));
    assert!(!text.contains(SECRET));
}

#[test]
fn a_process_that_fails_is_named_without_its_arguments_and_may_be_mended() {
    let sim = sim();
    let config = format!("[profile edge]\ncredential_process = cat \"$HOME/keys.json\" # --pin {SECRET}\n");
    let child = Child::new(&sim, "profile").file(".aws/config", &config).file("late.json", &keys_json("AKIALATE"));
    let (text, results) = child.then_move("late.json", "keys.json").run();
    assert!(results[0].starts_with("credentials ") && results[0].contains("exited with code"), "{text}");
    assert_eq!(results[1], format!("ok {ZONE}"), "{text}");
    assert!(!text.contains(SECRET), "{text}");
}

/// What a process printed is in no error and in no line of the log, at whatever level.
#[test]
fn what_a_process_prints_stays_with_it() {
    let keys = keys_json("AKIAPROCESS");
    for (script, why) in [
        (format!("echo {SECRET} >&2; echo {SECRET}; exit 1"), "exited with code exit status: 1"),
        (format!("printf 'no\\n\\nStderr: {TOKEN}\\n' >&2; echo '{keys}'; exit 7"), "exited with code exit status: 7"),
        (format!("echo {SECRET} >&2; echo {TOKEN}; kill -9 $$"), "exited with code "),
        (format!("echo '{{\"Version\": 1, \"SecretAccessKey\": \"{SECRET}\" {TOKEN}'"), "could not parse response"),
        (format!("echo '{SECRET}'; echo {TOKEN} >&2"), "could not parse response"),
        (
            format!("echo '{}'", keys.replace('}', &format!(r#", "Expiration": "{TOKEN}"}}"#))),
            "could not parse response",
        ),
        (format!("echo '{SECRET}'; printf '\\377'"), "could not decode output as UTF-8"),
    ] {
        for level in ["info", "debug", "trace", "debug,hyper=info"] {
            let sim = sim();
            let config = format!("[profile edge]\ncredential_process = sh \"$HOME/helper\" --pin {TOKEN}\n");
            let child = Child::new(&sim, "profile").file(".aws/config", &config).file("helper", &script);
            let (text, results) = child.env(LEVEL, level).run();
            assert!(results[0].starts_with("credentials ") && results[0].contains(why), "{script} {level}: {text}");
            assert!(text.contains("as the daemon says it"), "{script} {level}: {text}");
            assert!(!text.contains(SECRET) && !text.contains(TOKEN), "{script} {level}: {text}");
        }
    }
}

fn keys_file(section: &str, key: &str) -> String {
    format!("[{section}]\naws_access_key_id = {key}\naws_secret_access_key = {SECRET}\n")
}

/// With whose key the one request was made, with these files, of which those in `credentials/` are handed over by
/// systemd.
fn key_of(task: &str, files: &[(&str, &str)], variables: &[(&str, &str)]) -> String {
    let sim = sim();
    let mut child = Child::new(&sim, task);
    let below = |child: &Child, path: &str| child.home.path().join(path).display().to_string();
    for (path, text) in files {
        child = child.file(path, text);
    }
    let directory = below(&child, "credentials");
    child = child.env("CREDENTIALS_DIRECTORY", &directory);
    for (name, path) in variables {
        let path = below(&child, path);
        child = child.env(name, &path);
    }
    let (text, results) = child.run();
    assert_eq!(results[0], format!("ok {ZONE}"), "{text}");
    assert!(!text.contains(SECRET), "{text}");
    sim.requests()[0].access_key.clone().expect("a key")
}

#[test]
fn files_that_systemd_hands_over_are_read_in_place_of_those_in_the_home_directory() {
    let (home, plain) = (keys_file("default", "AKIAHOME"), keys_file("default", "AKIAPLAIN"));
    let (encrypted, other) = (keys_file("default", "AKIAENCRYPTED"), keys_file("default", "AKIAOTHER"));
    let edge = format!("{plain}{}", keys_file("edge", "AKIAEDGE"));
    let process = "credential_process = cat \"$HOME/keys.json\"\n";
    let (of_default, of_edge) = (format!("[default]\n{process}"), format!("[profile edge]\n{process}"));
    let json = keys_json("AKIAPROCESS");
    let (at_home, credentials) = ((".aws/credentials", home.as_str()), "credentials/aws-credentials");
    let last = "credentials/nodedns.aws-credentials.encrypted";
    let config = "credentials/aws-config";
    let named = "AWS_SHARED_CREDENTIALS_FILE";
    type Files<'a> = Vec<(&'a str, &'a str)>;
    let cases: Vec<(&str, Files<'_>, Files<'_>, &str)> = vec![
        ("default", vec![at_home], vec![], "AKIAHOME"),
        ("default", vec![at_home, (credentials, &plain)], vec![], "AKIAPLAIN"),
        ("default", vec![at_home, (credentials, &plain), (last, &encrypted)], vec![], "AKIAENCRYPTED"),
        // A variable of the operator's goes before both.
        (
            "default",
            vec![("own", &other), (credentials, &plain), (last, &encrypted)],
            vec![(named, "own")],
            "AKIAOTHER",
        ),
        ("default", vec![(credentials, &plain), ("own", "")], vec![("AWS_CONFIG_FILE", "own")], "AKIAPLAIN"),
        // Profiles, in either file.
        ("profile", vec![(credentials, &edge)], vec![], "AKIAEDGE"),
        ("profile", vec![(config, &of_edge), ("keys.json", &json)], vec![], "AKIAPROCESS"),
        ("default", vec![(credentials, &of_default), ("keys.json", &json)], vec![], "AKIAPROCESS"),
        ("default", vec![(config, &of_default), ("keys.json", &json), (".aws/config", "")], vec![], "AKIAPROCESS"),
        // A config file alone: the other kind is where it always is, and counts more.
        ("default", vec![at_home, (config, "[default]\naws_access_key_id = AKIACONFIG\n")], vec![], "AKIAHOME"),
        ("default", vec![("own", &other), (config, "[default]\n")], vec![(named, "own")], "AKIAOTHER"),
        // Settings at home and keys from systemd.
        (
            "profile",
            vec![(".aws/config", "[profile edge]\nsource_profile = x\n"), (credentials, &edge)],
            vec![],
            "AKIAEDGE",
        ),
    ];
    for (task, files, variables, key) in cases {
        assert_eq!(key_of(task, &files, &variables), key, "{task} {files:?} {variables:?}");
    }
}

#[test]
fn keys_that_were_replaced_in_their_file_are_read_again_after_the_old_ones_failed() {
    let sim = sim();
    sim.inject(Operation::ListResourceRecordSets, Fault::ExpiredToken, Count::Next(1));
    let file = |key: &str| format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = {SECRET}\n");
    let child = Child::new(&sim, "default").file(".aws/credentials", &file("AKIAOLD")).file("new", &file("AKIANEW"));
    let (text, results) = child.then_move("new", ".aws/credentials").run();
    assert!(results[0].starts_with("credentials ExpiredToken: "), "{text}");
    assert_eq!(results[1], format!("ok {ZONE}"), "{text}");
    let keys: Vec<Option<String>> = sim.requests().into_iter().map(|request| request.access_key).collect();
    assert_eq!(keys, [Some("AKIAOLD".to_owned()), Some("AKIANEW".to_owned())]);
}

/// At least once in three times: a busy machine may be slow now and then.
fn takes_less_than(limit: Duration, act: impl Fn()) {
    let mut times = Vec::new();
    while times.last().is_none_or(|time| *time >= limit) {
        assert!(times.len() < 3, "{times:?}");
        let start = Instant::now();
        act();
        times.push(start.elapsed());
    }
}

#[test]
fn a_process_that_does_not_end_is_given_up() {
    let sim = sim();
    takes_less_than(Duration::from_secs(7), || {
        let child = Child::new(&sim, "hurry").file(".aws/config", "[default]\ncredential_process = sleep 8\n");
        let (_, results) = child.run();
        assert!(results[0].starts_with("credentials no AWS credentials: "), "{results:?}");
    });
}

#[test]
fn a_metadata_service_that_does_not_answer_costs_seconds() {
    let sim = sim();
    // Connections are made and never accepted.
    let black_hole = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", black_hole.local_addr().expect("an address"));
    takes_less_than(Duration::from_secs(5), || {
        let child = Child::new(&sim, "default")
            .env("AWS_EC2_METADATA_DISABLED", "false")
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &endpoint);
        let (_, results) = child.run();
        assert!(results[0].starts_with("credentials no AWS credentials: "), "{results:?}");
        assert!(results[0].contains("or from the instance"), "{results:?}");
    });
}
