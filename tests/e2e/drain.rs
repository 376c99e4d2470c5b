//! Taking a node out and letting it back in, across kills, restarts and disks that are not well.

use std::fs;
use std::process::Output;

use route53_sim::{Action, Request};
use rustix::process::Signal;
use serde_json::Value;

use crate::node::{Expected, Host, OWN, ZONE, words};
use crate::support::netns::in_lab;

const V4: &str = "185.12.64.1";
const V6: &str = "2a01:4ff:f0::1";
const IN: Expected<'_> = Expected { v4: Some(V4), v6: Some(V6) };
const OUT: Expected<'_> = Expected { v4: None, v6: None };

async fn started(host: &mut Host) {
    host.lab.ip(&format!("addr add {V4}/24 dev eth0"));
    host.lab.ip(&format!("addr add {V6}/64 dev eth0 nodad"));
    host.start();
    host.comes_to("start", IN).await;
}

/// Runs the program against the daemon: its exit code and what it says.
pub(crate) async fn run(host: &Host, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = tokio::process::Command::from(host.program());
    command.args(arguments).arg("--socket").arg(host.directory.path().join("nodedns.sock"));
    let Output { status, stdout, stderr } = command.output().await.expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

/// Whether a request puts something of ours into the zone.
fn publishes(request: &Request) -> bool {
    let is_ours = |set: &route53_sim::RecordSet| set.set_identifier.as_deref() == Some(OWN);
    request.changes.iter().any(|(action, set)| is_ours(set) && !matches!(action, Action::Delete))
}

#[test]
fn a_drain_survives_a_kill_and_nothing_is_published_between() {
    in_lab(async |lab| {
        let mut host = Host::new(lab).await;
        started(&mut host).await;
        let (code, out, err) = run(&host, &["drain", "--reason", "kernel upgrade"]).await;
        assert_eq!((code, out.contains(": kernel upgrade\n")), (Some(0), true), "{out}{err}");
        host.comes_to("drained", OUT).await;
        assert!(host.log().contains("drained by uid 0"), "{}", host.log());

        for signal in [Signal::KILL, Signal::TERM, Signal::KILL] {
            host.stop(signal).await;
            host.start();
            host.until("it is up", async |host| host.status().await.1 == Some(0)).await;
            let requests = host.comes_to("still drained", OUT).await;
            assert_eq!(words(&requests), ["list", "list"]);
            let (status, _) = host.status().await;
            assert_eq!(status["drain"]["state"], "drained", "{status:#}");
            assert_eq!(status["drain"]["reason"], "kernel upgrade", "{status:#}");
            assert!(status["records"].as_array().is_some_and(|all| all.iter().all(|r| r["reason"] == "drained")));
        }

        // Killed right after the answer: what was to be withdrawn is, and nothing comes back.
        run(&host, &["resume"]).await;
        host.comes_to("resumed", IN).await;
        assert_eq!(run(&host, &["drain"]).await.0, Some(0));
        host.stop(Signal::KILL).await;
        host.sim.clear_requests();
        host.start();
        let requests = host.comes_to("drained, as was asked for", OUT).await;
        assert!(!requests.iter().any(publishes), "{requests:#?}");

        let (code, out, err) = run(&host, &["resume"]).await;
        assert_eq!((code, out.starts_with("n1 is not drained\n")), (Some(0), true), "{out}{err}");
        let requests = host.comes_to("resumed", IN).await;
        assert_eq!(words(&requests), ["change", "change"], "what is known of the pool is enough");
        assert!(!host.directory.path().join("state/drain.json").exists());
        // Once more is no mistake.
        assert_eq!(run(&host, &["resume", "--wait"]).await.0, Some(0));
        host.stop(Signal::KILL).await;
        host.start();
        host.comes_to("in DNS after a restart", IN).await;
    });
}

#[test]
fn a_drain_ends_by_itself_also_while_the_daemon_is_down() {
    in_lab(async |lab| {
        let mut host = Host::new(lab).await;
        started(&mut host).await;
        let file = host.directory.path().join("state/drain.json");
        let (code, out, _) = run(&host, &["drain", "--for", "3s"]).await;
        assert_eq!((code, out.contains(" until ")), (Some(0), true), "{out}");
        host.until("it has ended", async |host| host.log().contains("the time of the drain is over")).await;
        host.comes_to("it ends", IN).await;
        host.until("its file goes with it", async |_| !file.exists()).await;

        assert_eq!(run(&host, &["drain", "--for", "1h"]).await.0, Some(0));
        host.comes_to("drained", OUT).await;
        host.stop(Signal::KILL).await;
        let text = fs::read_to_string(&file).expect("the file");
        let mut saved: Value = serde_json::from_str(&text).expect("JSON");
        saved["until"] = "2026-01-01T00:00:00Z".into();
        fs::write(&file, saved.to_string()).expect("a file");
        host.start();
        host.comes_to("over before the start", IN).await;
        host.until("its file goes with it", async |_| !file.exists()).await;
    });
}

#[test]
fn waiting_ends_when_every_name_server_knows() {
    in_lab(async |lab| {
        let mut host = Host::new(lab).await;
        started(&mut host).await;
        let (code, out, err) = run(&host, &["drain", "--wait"]).await;
        assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
        assert!(host.own().is_empty(), "{:#?}", host.own());
        assert!(out.contains("  edge.example.com A: withdrawn\n"), "{out}");
        assert!(out.contains("resolvers may give the old answer for up to 60 s"), "{out}");
        // JSON is one object, at the end.
        let (code, out, _) = run(&host, &["resume", "--wait", "--output", "json"]).await;
        let summary: Value = serde_json::from_str(&out).expect("one object");
        assert_eq!((code, &summary["done"], &summary["drain"]["state"]), (Some(0), &true.into(), &"none".into()));
        let outcomes: Vec<_> = summary["records"].as_array().expect("records").iter().collect();
        assert!(outcomes.len() == 4 && outcomes.iter().all(|record| record["outcome"] == "published"), "{out}");
        host.comes_to("resumed", IN).await;
        // What else keeps the node out still does, and the command does not wait for it in vain.
        run(&host, &["drain"]).await;
        host.set_node("True", true);
        host.comes_to("out", OUT).await;
        let (code, out, _) = run(&host, &["resume", "--wait"]).await;
        assert_eq!((code, out.contains("stays out: the node is cordoned")), (Some(2), true), "{out}");
    });
}

#[test]
fn the_last_one_is_held_and_force_takes_it_out() {
    in_lab(async |lab| {
        let mut host = Host::new(lab).await;
        host.replace_in_configuration(
            "name = \"edge.example.com\"\nzone_id = \"Z0123456789ABC\"",
            "name = \"edge.example.com\"\nzone_id = \"Z0123456789ABC\"\nkeep_min = 3",
        );
        started(&mut host).await;
        for _ in 0..2 {
            let (code, out, err) = run(&host, &["drain", "--wait"]).await;
            assert_eq!(code, Some(2), "{out}{err}");
            assert!(
                out.contains("  edge.example.com A: held: leaving would bring the name below keep_min = 3"),
                "{out}"
            );
            assert!(out.contains("  geo.example.com A: withdrawn\n"), "{out}");
            assert!(err.contains("--force"), "{err}");
        }
        let left: Vec<_> = host.own().into_keys().map(|(name, _)| name).collect();
        assert_eq!(left, ["edge.example.com.", "edge.example.com."]);
        let (code, out, err) = run(&host, &["drain", "--wait", "--force"]).await;
        assert_eq!(code, Some(0), "{out}{err}");
        host.comes_to("forced", OUT).await;
        let others = host.sim.record_sets(ZONE).len();
        assert!(others > 0);
    });
}

#[test]
fn a_file_that_makes_no_sense_publishes_nothing_anew_and_is_no_reason_to_withdraw() {
    in_lab(async |lab| {
        let mut host = Host::new(lab).await;
        started(&mut host).await;
        host.stop(Signal::KILL).await;
        let state = host.directory.path().join("state");
        fs::create_dir_all(&state).expect("a directory");
        fs::write(state.join("drain.json"), "{\"version\": 1, \"sin").expect("a file");
        host.start();
        host.until("it says so", async |host| host.status().await.0["drain"]["state"] == "unknown").await;
        host.reads_both().await;
        let requests = host.comes_to("nobody knows", IN).await;
        assert_eq!(words(&requests), ["list", "list"]);
        let (status, code) = host.status().await;
        assert_eq!((code, &status["records"][0]["reason"]), (Some(2), &"drain_unknown".into()), "{status:#}");
        assert!(host.log().contains("drain.json is damaged"), "{}", host.log());
        assert_eq!(fs::read_to_string(state.join("drain.json")).expect("the file"), "{\"version\": 1, \"sin");
        // What is there still follows the address.
        host.lab.batch([
            "addr add 185.12.64.2/24 dev eth0",
            &format!("addr del {V4}/24 dev eth0"),
            "addr replace 185.12.64.2/24 dev eth0",
        ]);
        host.comes_to("followed", Expected { v4: Some("185.12.64.2"), v6: Some(V6) }).await;
        // Another signal withdraws, and what it has withdrawn does not come back.
        host.set_node("True", true);
        host.comes_to("cordoned", OUT).await;
        host.set_node("True", false);
        host.until("the cordon is over", async |host| host.status().await.0["records"][0]["reason"] == "drain_unknown")
            .await;
        host.comes_to("still nobody knows", OUT).await;
        assert_eq!(run(&host, &["resume"]).await.0, Some(0));
        host.comes_to("decided", Expected { v4: Some("185.12.64.2"), v6: Some(V6) }).await;
        assert_eq!(host.status().await.1, Some(0));
    });
}

#[test]
fn a_drain_that_cannot_be_saved_is_in_force_and_says_so() {
    in_lab(async |lab| {
        let mut host = Host::new(lab).await;
        // Not even root can make a directory below a file.
        host.write("state", "");
        host.replace_in_configuration("/state\"", "/state/below\"");
        host.lab.ip(&format!("addr add {V4}/24 dev eth0"));
        host.lab.ip(&format!("addr add {V6}/64 dev eth0 nodad"));
        host.start();
        host.until("it cannot know", async |host| host.status().await.0["drain"]["state"] == "unknown").await;
        let (code, _, err) = run(&host, &["drain"]).await;
        assert_eq!(code, Some(2));
        assert!(err.starts_with("warning: the drain is in force but could not be saved"), "{err}");
        let (status, code) = host.status().await;
        assert_eq!((code, &status["drain"]["state"]), (Some(2), &"drained".into()), "{status:#}");
        host.comes_to("in force", OUT).await;
        // Room is made, and the same command saves it.
        fs::remove_file(host.directory.path().join("state")).expect("a file");
        fs::create_dir(host.directory.path().join("state")).expect("a directory");
        let (code, out, err) = run(&host, &["drain"]).await;
        assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
        assert_eq!(host.status().await.1, Some(0));
    });
}

#[test]
fn a_dry_run_is_drained_and_saves_nothing() {
    in_lab(async |lab| {
        let mut host = Host::new(lab).await;
        host.lab.ip(&format!("addr add {V4}/24 dev eth0"));
        host.start_with(|command| command.arg("--dry-run"));
        host.until("it shows what it would do", async |host| host.log().contains(V4)).await;
        let (code, out, err) = run(&host, &["drain"]).await;
        assert_eq!(code, Some(0), "{out}{err}");
        assert!(err.contains("warning: this is a dry run"), "{err}");
        let (status, code) = host.status().await;
        assert_eq!((code, &status["records"][0]["reason"]), (Some(0), &"drained".into()), "{status:#}");
        assert!(!host.directory.path().join("state").exists());
        assert_eq!(host.sim.requests().len(), 0);
    });
}
