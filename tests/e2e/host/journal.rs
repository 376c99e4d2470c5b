//! What the journal has of it.

use route53_sim::{Count, Fault, Operation};
use serde_json::Value;

use super::site::{ADDRESS, EDGE, SECRET_KEY, Site, until};

on_each_debian!(the_journal_has_fields_and_no_secrets);

/// The entries that have this in their message.
fn with<'a>(entries: &'a [Value], words: &str) -> Vec<&'a Value> {
    let has = |entry: &&Value| entry["MESSAGE"].as_str().is_some_and(|message| message.contains(words));
    entries.iter().filter(has).collect()
}

async fn the_journal_has_fields_and_no_secrets(site: Site) {
    // All that there is to hear.
    site.install().await;
    site.configure().await;
    let loud = format!("{}[log]\nlevel = \"trace\"\n", site.configuration());
    site.machine.write("/etc/nodedns/nodedns.toml", &loud).await;
    site.sim.inject(Operation::ChangeResourceRecordSets, Fault::AccessDenied, Count::Next(1));
    site.machine.must("systemctl start nodedns.service").await;
    until("published", async || site.is_published(EDGE)).await;
    site.lab.ip(&format!("addr del {ADDRESS}/24 dev eth0"));
    until("withdrawn", async || !site.is_published(EDGE)).await;
    until("told", async || site.machine.log("nodedns.service").await.contains("hold: ")).await;
    site.machine.must("systemctl stop nodedns.service").await;

    let entries = site.machine.journal(&["NODEDNS_RECORD=edge.example.com"]).await;
    let [published, ..] = with(&entries, "edge.example.com A: publish: ")[..] else { panic!("{entries:#?}") };
    for (field, value) in [
        ("PRIORITY", "6"),
        ("SYSLOG_IDENTIFIER", "nodedns"),
        ("_SYSTEMD_UNIT", "nodedns.service"),
        ("_TRANSPORT", "journal"),
        ("_COMM", "nodedns"),
        ("NODEDNS_TYPE", "A"),
        ("NODEDNS_INTENT", "publish"),
        ("NODEDNS_ADDRESSES", ADDRESS),
    ] {
        assert_eq!(published[field], value, "{field}: {published:#}");
    }
    let [withdrawn, ..] = with(&entries, "edge.example.com A: withdraw: ")[..] else { panic!("{entries:#?}") };
    assert_eq!(withdrawn["NODEDNS_REASON"], "no_address", "{withdrawn:#}");
    let sole = site.machine.journal(&["NODEDNS_REASON=keep_min"]).await;
    let [held, ..] = with(&sole, "sole.example.com A: hold: ")[..] else { panic!("{sole:#?}") };
    assert_eq!((&held["PRIORITY"], &held["NODEDNS_RECORD"]), (&"4".into(), &"sole.example.com".into()), "{held:#}");
    let denied = site.machine.journal(&["NODEDNS_KIND=denied"]).await;
    let [denied, ..] = with(&denied, "AccessDenied")[..] else { panic!("{denied:#?}") };
    assert_eq!((&denied["PRIORITY"], &denied["NODEDNS_CODE"]), (&"4".into(), &"AccessDenied".into()), "{denied:#}");
    let debug = site.machine.journal(&["SYSLOG_IDENTIFIER=nodedns", "PRIORITY=7"]).await;
    assert!(!debug.is_empty(), "there is more to hear than usual");

    // Nothing that anybody has said, in any field.
    let everything = site.machine.journal(&[]).await;
    let told = everything.iter().filter(|entry| entry.to_string().contains(SECRET_KEY)).collect::<Vec<_>>();
    assert!(told.is_empty(), "{told:#?}");
    assert!(everything.len() > entries.len());
}
