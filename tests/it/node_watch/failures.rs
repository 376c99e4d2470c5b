//! What goes wrong: when the state is unknown, when it is not, and what is said of it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nodedns::decide::node::{NodeState, Readiness};
use nodedns::watch::node::Timing;
use serde_json::json;

use super::{
    LONG, Watching, assert_asked_for_own_node_only, break_until_listed, lists, node, timing, watch_of, watches,
    watching,
};
use crate::support::api_server::{Answer, ApiServer, token_kubeconfig};

/// What a busy machine may add to a limit.
const SLACK: Duration = Duration::from_secs(5);

#[test]
fn the_default_limits_find_a_silent_server_in_under_a_minute() {
    let timing = Timing::default();
    assert_eq!(timing.worst_case(), Duration::from_secs(43));
    // kube gives up a quiet watch 5 s after its end; ours must be the timer that decides.
    assert!(timing.end_grace < Duration::from_secs(5));
}

#[tokio::test]
async fn a_server_that_falls_silent_is_noticed_within_the_worst_case() {
    let (server, mut watching, _directory) = watching().await;
    // Right after a watch began, which is the worst moment.
    let seen = watches(&server);
    while watches(&server) == seen {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.fall_silent();
    let silent_since = Instant::now();
    let error = watching.error().await;
    let took = silent_since.elapsed();
    assert!(error.contains("does not answer") && error.contains(&server.url()), "{error}");
    // Not so soon that a slow answer would do it, nor later than promised.
    let Timing { watch, end_grace, .. } = timing();
    assert!(took >= watch + end_grace - Duration::from_millis(100), "{took:?}");
    assert!(took <= timing().worst_case() + SLACK, "{took:?}");

    // The attempt that hangs meanwhile may be told, too.
    server.always(Answer::Serve);
    assert!(watching.recovery().await.detail.connected);
}

#[tokio::test]
async fn a_dead_connection_to_a_living_server_does_no_harm() {
    let (server, mut watching, _directory) = watching().await;
    server.silence_watches();
    let silent_since = Instant::now();
    while lists(&server) < 2 {
        assert!(silent_since.elapsed() < LONG, "the state is not read again");
        watching.nothing_for(Duration::from_millis(50)).await;
    }
    watching.nothing_for(Duration::from_millis(500)).await;
    server.set_node(node("False"));
    assert!(matches!(watching.object().await.ready, Readiness::NotReady(_)));
}

#[tokio::test]
async fn a_server_that_accepts_and_never_answers_is_an_error() {
    let server = ApiServer::start().await;
    server.set_node(node("True"));
    server.always(Answer::Hang);
    let started = Instant::now();
    let (mut watching, _directory) = watch_of(&server, timing());
    assert!(watching.error().await.contains("does not answer (waited 5 s)"));
    assert!(started.elapsed() <= timing().answer + SLACK, "{:?}", started.elapsed());
    server.always(Answer::Serve);
    assert_eq!(watching.object().await.ready, Readiness::Ready);
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_resumed_and_the_state_told_anew() {
    let (server, mut watching, _directory) = watching().await;
    for _ in 0..3 {
        break_watch(&server, &mut watching, || server.cut()).await;
    }
    server.set_node(node("False"));
    assert!(matches!(watching.object().await.ready, Readiness::NotReady(_)));
    assert_asked_for_own_node_only(&server);
}

/// However many there were before: each is followed by an attempt at once.
#[tokio::test]
async fn a_watch_that_has_lasted_makes_good_for_the_failures_before_it() {
    let server = ApiServer::start().await;
    server.set_node(node("True"));
    // Pauses that went on growing would come to more than the state is trusted for.
    let timing = Timing { longest_pause: LONG, ..timing() };
    let (mut watching, _directory) = watch_of(&server, timing.clone());
    watching.object().await;
    for _ in 0..6 {
        assert_eq!(watching.nothing_for(2 * timing.steady).await, 0);
        break_watch(&server, &mut watching, || server.push_line("garbage".to_owned())).await;
    }
}

#[tokio::test]
async fn a_refused_connection_is_told_and_survived() {
    let (mut server, mut watching, _directory) = watching().await;
    server.stop();
    let stopped = Instant::now();
    let error = watching.error().await;
    assert!(stopped.elapsed() < SLACK, "{:?}", stopped.elapsed());
    assert!(error.contains("cannot reach the API server at http://127.0.0.1:"), "{error}");
    assert!(error.contains("onnection refused") && error.contains("\nhint: "), "{error}");
    // The same failure again is no news.
    watching.nothing_for(Duration::from_millis(1_000)).await;
    server.set_node(node("False"));
    server.resume().await;
    assert!(matches!(watching.object().await.ready, Readiness::NotReady(_)));
}

/// Breaks the watch, which must be no news: the state is told anew. A watch runs again when this returns.
async fn break_watch(server: &ApiServer, watching: &mut Watching, breaks: impl Fn()) {
    break_until_listed(server, breaks).await;
    let event = watching.event().await;
    assert!(event.anew && event.state.is_known(), "{event:?}");
}

#[tokio::test]
async fn a_watch_that_is_too_old_is_listed_anew_without_a_gap() {
    let (server, mut watching, _directory) = watching().await;
    let expired = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "too old resource version: 1 (2)", "reason": "Expired", "code": 410});
    break_watch(&server, &mut watching, || server.push("ERROR", &expired)).await;

    // Only when the list fails, too, is the state unknown.
    server.next_list(Answer::Error(410, "gone".into()));
    break_until_listed(&server, || server.push("ERROR", &expired)).await;
    assert!(watching.error().await.contains("answered 410: gone"));
    assert_eq!(watching.object().await.ready, Readiness::Ready);
}

#[tokio::test]
async fn a_forbidden_watch_names_the_rule_that_is_missing() {
    let (server, mut watching, _directory) = watching().await;
    let message =
        "nodes is forbidden: User \"u\" cannot list resource \"nodes\" in API group \"\" at the cluster scope";
    server.always(Answer::Error(403, message.into()));
    let error = watching.error().await;
    assert!(error.contains("forbids it (403)") && error.contains(message), "{error}");
    assert!(error.contains("resourceNames: [\"n1\"], verbs: [\"get\", \"list\", \"watch\"]"), "{error}");
    assert!(!error.contains("SECRET"), "{error}");
    server.always(Answer::Serve);
    assert_eq!(watching.object().await.ready, Readiness::Ready);
    assert_asked_for_own_node_only(&server);
}

#[tokio::test]
async fn the_right_to_list_alone_is_not_enough() {
    let server = ApiServer::start().await;
    server.set_node(node("True"));
    server.always_watch(Answer::Error(403, "cannot watch".into()));
    let (mut watching, _directory) = watch_of(&server, timing());
    assert!(watching.error().await.contains("cannot watch"));
    watching.nothing_for(Duration::from_millis(1_000)).await;
    server.always_watch(Answer::Serve);
    assert_eq!(watching.object().await.ready, Readiness::Ready);
}

#[tokio::test]
async fn a_single_error_of_the_server_is_no_news() {
    let (server, mut watching, _directory) = watching().await;
    for code in [500, 503, 504] {
        let status = json!({"kind": "Status", "metadata": {}, "status": "Failure", "message": "x", "code": code});
        break_watch(&server, &mut watching, || server.push("ERROR", &status)).await;
    }
    watching.nothing_for(Duration::from_millis(500)).await;
    assert_eq!(lists(&server), 4);
}

#[tokio::test]
async fn errors_of_the_server_are_told_at_once_and_not_retried_in_secret() {
    for code in [500, 503, 504] {
        let (server, mut watching, _directory) = watching().await;
        let before = server.seen().len();
        server.always(Answer::Error(code, "etcd is away".into()));
        let changed = Instant::now();
        let error = watching.error().await;
        assert!(error.contains(&format!("answered {code}: etcd is away")), "{error}");
        assert!(changed.elapsed() <= timing().watch + SLACK, "{:?}", changed.elapsed());
        // The rest of the running watch, the refused resumption, the refused list.
        let requests = server.seen().len() - before;
        assert!(requests <= 4, "{requests} requests until it was told");
        server.always(Answer::Serve);
        assert_eq!(watching.object().await.ready, Readiness::Ready);
    }
}

#[tokio::test]
async fn retry_after_is_kept_to_within_the_longest_pause() {
    for (asked, kept) in [("1", Duration::from_millis(1_000)), ("3600", Duration::from_millis(1_500))] {
        let server = ApiServer::start().await;
        server.set_node(node("True"));
        server.next_list(Answer::Plain(429, "retry-after", asked.into()));
        let timing = Timing { longest_pause: Duration::from_millis(1_500), ..timing() };
        let (mut watching, _directory) = watch_of(&server, timing);
        assert!(watching.error().await.contains("asks to be left alone for a while (429)"));
        assert_eq!(watching.object().await.ready, Readiness::Ready);
        let seen = server.seen();
        let pause = seen[1].at - seen[0].at;
        assert!(pause >= kept - Duration::from_millis(20), "{asked}: {pause:?}");
        assert!(pause <= kept + SLACK, "{asked}: {pause:?}");
    }
}

#[tokio::test]
async fn a_server_that_throttles_for_long_leaves_the_state_unknown() {
    let server = ApiServer::start().await;
    server.set_node(node("True"));
    let patient = Timing { longest_pause: Duration::from_secs(30), ..timing() };
    let (mut watching, _directory) = watch_of(&server, patient);
    assert_eq!(watching.object().await.ready, Readiness::Ready);
    server.always(Answer::Plain(429, "retry-after", "20".into()));
    let changed = Instant::now();
    assert!(watching.error().await.contains("(429)"));
    // One watch, then the patience of one answer; the 20 s are not waited for.
    assert!(changed.elapsed() <= timing().watch + timing().answer + SLACK, "{:?}", changed.elapsed());
}

#[tokio::test]
async fn garbage_is_an_error_and_never_an_absent_node() {
    for body in ["<html>captive portal</html>", "{}", "{\"kind\":\"NodeList\",\"items\":[]}", "", "null"] {
        let server = ApiServer::start().await;
        server.set_node(node("True"));
        server.always(Answer::Body(body.into()));
        let (mut watching, _directory) = watch_of(&server, timing());
        let error = watching.error().await;
        assert!(error.contains(&server.url()), "{body}: {error}");
        assert!(!error.contains("captive"), "what a stranger says is not repeated: {error}");
        server.always(Answer::Serve);
        assert_eq!(watching.object().await.ready, Readiness::Ready);
    }
}

#[tokio::test]
async fn garbage_within_a_watch_leads_to_a_new_list() {
    let (server, mut watching, _directory) = watching().await;
    let garbage = "{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{}}}";
    break_watch(&server, &mut watching, || server.push_line(garbage.to_owned())).await;
    watching.nothing_for(Duration::from_millis(500)).await;
    assert_eq!(lists(&server), 2);
    server.delete_node();
    assert_eq!(watching.state().await, NodeState::Absent);
}

#[tokio::test]
async fn a_server_that_ends_watches_at_once_is_not_flooded() {
    let server = ApiServer::start().await;
    server.set_node(node("True"));
    server.end_watches_after(Duration::ZERO);
    let (mut watching, _directory) = watch_of(&server, timing());
    assert_eq!(watching.object().await.ready, Readiness::Ready);
    // Every attempt reads the state, so it stays known.
    watching.nothing_for(Duration::from_secs(2)).await;
    let requests = server.seen().len();
    assert!(requests <= 3 * 12, "{requests} requests in 2 s with pauses of up to 0.3 s");
}

#[tokio::test]
async fn a_kubeconfig_that_is_not_there_yet_is_waited_for() {
    let server = ApiServer::start().await;
    server.set_node(node("True"));
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = directory.path().join("kubelet.kubeconfig");
    let mut watching = Watching::start(path.clone(), timing());
    let error = watching.error().await;
    assert!(error.contains("no kubeconfig found") && error.contains(&path.display().to_string()), "{error}");

    std::fs::write(&path, "SECRET-TOKEN: [half").expect("written");
    let mut error = watching.error().await;
    while !error.contains("not a kubeconfig in YAML") {
        error = watching.error().await;
    }
    assert!(!error.contains("SECRET"), "{error}");

    std::fs::write(&path, token_kubeconfig(&server.url(), "SECRET-TOKEN")).expect("written");
    // A write is not atomic: the watch may see the file while it is empty.
    let event = watching.recovery().await;
    assert_eq!(event.detail.kubeconfig.as_deref(), Some(path.as_path()));
    assert_eq!(event.detail.server, Some(server.url()));
}

/// A kubeconfig with an exec plugin, which is a script. The shell reads it: a file that is still open for
/// writing, be it in a child of another test, cannot be run itself.
struct Plugin {
    directory: tempfile::TempDir,
}

impl Plugin {
    fn new(server: &ApiServer) -> Self {
        let plugin = Plugin { directory: tempfile::TempDir::new().expect("a directory") };
        let exec = format!(
            "{{exec: {{apiVersion: client.authentication.k8s.io/v1, command: /bin/sh, args: [\"{}\"], \
             interactiveMode: Never}}}}",
            plugin.path("plugin").display()
        );
        let text = token_kubeconfig(&server.url(), "t").replace("{token: \"t\"}", &exec);
        std::fs::write(plugin.path("kubeconfig"), text).expect("written");
        plugin
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Written and then renamed: it may be read meanwhile.
    fn does(&self, script: &str) {
        let new = self.path("new");
        std::fs::write(&new, format!("{script}\n")).expect("written");
        std::fs::rename(new, self.path("plugin")).expect("renamed");
    }
}

#[tokio::test]
async fn the_output_of_an_exec_plugin_stays_secret() {
    let server = ApiServer::start().await;
    let plugin = Plugin::new(&server);
    plugin.does("echo SECRET-OUT; echo SECRET-ERR >&2; exit 3");
    let mut watching = Watching::start(plugin.path("kubeconfig"), timing());
    let error = watching.error().await;
    assert!(error.contains("its exec plugin ") && error.contains("exit status: 3"), "{error}");
    assert!(!error.contains("SECRET"), "{error}");

    plugin.does("echo '{\"status\": {\"token\": [SECRET}'");
    let error = watching.error().await;
    assert!(error.contains("cannot be used") && !error.contains("SECRET"), "{error}");
}

#[tokio::test]
async fn a_slow_exec_plugin_is_told_and_waited_for() {
    let server = ApiServer::start().await;
    server.set_node(node("True"));
    let plugin = Plugin::new(&server);
    let token = r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t"}}"#;
    let runs = plugin.path("runs");
    // kube runs it more than once for each client; only the very first run is slow.
    let runs_path = runs.display();
    plugin.does(&format!(
        "[ -e {runs_path} ] || slow=1; echo run >> {runs_path}; [ -z \"$slow\" ] || sleep 4.2; echo '{token}'"
    ));
    // Done within the pause after the second attempt.
    let timing = Timing { answer: Duration::from_secs(2), longest_pause: Duration::from_secs(3), ..timing() };
    let mut watching = Watching::start(plugin.path("kubeconfig"), timing);
    assert!(watching.error().await.contains("exec plugin does not return"));
    assert!(watching.recovery().await.detail.connected);
    let runs = std::fs::read_to_string(runs).expect("it ran").lines().count();
    assert!(runs <= 2 * 3, "not one beside the other: {runs} runs");
}

/// `$HTTPS_PROXY` is meant for AWS. The variable must be there before any thread, so this runs
/// itself again.
#[tokio::test]
async fn the_proxy_of_the_environment_is_not_for_the_api_server() {
    const PROXY: &str = "HTTPS_PROXY";
    let name = "node_watch::failures::the_proxy_of_the_environment_is_not_for_the_api_server";
    if std::env::var(PROXY).is_ok_and(|value| value == "http://127.0.0.1:1") {
        watching().await;
        return;
    }
    let output = std::process::Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", name])
        .env(PROXY, "http://127.0.0.1:1")
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
