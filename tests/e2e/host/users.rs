//! Who may do what.

use super::site::{EDGE, Site, until};

on_each_debian!(who_is_in_the_group_may_look_and_only_root_may_drain);

async fn who_is_in_the_group_may_look_and_only_root_may_drain(site: Site) {
    site.serve().await;
    site.machine.must("useradd --user-group stranger && useradd --user-group --groups nodedns looker").await;
    let says = async |user: &str, command: &str| {
        let ran = site.machine.run_as(user, command).await;
        (ran.code, ran.stdout, ran.stderr)
    };

    let (code, out, err) = says("stranger", "nodedns status").await;
    assert_eq!((code, out.as_str()), (Some(77), ""), "{err}");
    assert!(err.contains("not permitted to talk to the daemon at /run/nodedns/nodedns.sock"), "{err}");
    assert!(err.contains("'usermod -aG nodedns <user>'"), "{err}");
    for path in ["/var/lib/nodedns/", "/etc/nodedns/environment", "/run/nodedns/nodedns.sock.lock"] {
        let (code, _, err) = says("stranger", &format!("ls {path} && cat {path}")).await;
        assert!(code != Some(0) && err.contains("Permission denied"), "{path}: {err}");
    }

    let (code, out, err) = says("looker", "nodedns status").await;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("n1 in cluster home: healthy"), "{out}");
    for user in ["stranger", "looker"] {
        for command in ["drain", "drain --force", "resume"] {
            let (code, out, err) = says(user, &format!("nodedns {command}")).await;
            assert_eq!((code, out.as_str()), (Some(77), ""), "{user}: {err}");
            assert!(err.contains("hint: run this as root"), "{user}: {err}");
        }
    }
    let status = site.status().await;
    assert_eq!((&status["drain"]["state"], site.is_published(EDGE)), (&"none".into(), true), "{status:#}");

    // The other record is held, which is a difference once that is the last word.
    assert_eq!(site.machine.run("nodedns drain --wait --reason kernel").await.code, Some(2));
    assert!(!site.is_published(EDGE));
    let (_, out, _) = says("looker", "nodedns status").await;
    assert!(out.contains("by uid 0: kernel"), "{out}");
    // Over a restart too, and until somebody ends it who may.
    site.machine.must("systemctl restart nodedns.service").await;
    assert_eq!(says("looker", "nodedns resume").await.0, Some(77));
    assert!(!site.is_published(EDGE));
    site.machine.must("nodedns resume").await;
    until("published", async || site.is_published(EDGE)).await;
}
