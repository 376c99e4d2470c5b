//! A node's life: every event an address, a link, a node or an operator can cause, one after the
//! other, and after each the pool is exactly right and the request log holds no call too many.

use std::time::{Duration, Instant};

use route53_sim::{Operation, Request};
use rustix::process::Signal;

use crate::node::{Expected, Host, words};
use crate::support::netns::in_lab;

const V4: &str = "185.12.64.1";
const V4_NEW: &str = "185.12.64.2";
const V6: &str = "2a01:4ff:f0::1";
const V6_NEW: &str = "2a01:4ff:f0::2";
const NONE: [&str; 0] = [];

fn both<'a>(v4: &'a str, v6: &'a str) -> Expected<'a> {
    Expected { v4: Some(v4), v6: Some(v6) }
}

#[test]
fn a_nodes_life() {
    in_lab(async |lab| {
        let mut host = Host::new(lab).await;
        host.lab.ip(&format!("addr add {V4}/24 dev eth0"));
        host.lab.ip(&format!("addr add {V6}/64 dev eth0 nodad"));

        host.start();
        let requests = host.comes_to("first start", both(V4, V6)).await;
        assert_eq!(words(&requests), ["list", "list", "change", "change"]);
        host.until("it is healthy", async |host| host.status().await.1 == Some(0)).await;

        host.stop(Signal::TERM).await;
        // Half a minute after its start it reads both names once more, which is no answer to anything here.
        let (second_look, mut left) = (Instant::now() + Duration::from_secs(29), 2);
        let mut asked = |requests: &[Request]| {
            let mut requests = requests.to_vec();
            requests.retain(|request| {
                let list = request.operation == Operation::ListResourceRecordSets;
                let is_it = list && request.at >= second_look && left > 0;
                left -= u32::from(is_it);
                !is_it
            });
            words(&requests)
        };
        host.start();
        host.reads_both().await;
        let requests = host.comes_to("restart with nothing changed", both(V4, V6)).await;
        assert_eq!(asked(&requests), ["list", "list"]);

        host.lab.ip(&format!("addr add {V4_NEW}/24 dev eth0"));
        host.lab.ip("addr add 10.1.2.3/8 dev eth0");
        let requests = host.comes_to("addresses that come second", both(V4, V6)).await;
        assert_eq!(asked(&requests), NONE);

        // Its secondary goes with it, unless the kernel promotes it.
        host.lab.batch([format!("addr del {V4}/24 dev eth0"), format!("addr replace {V4_NEW}/24 dev eth0")]);
        let requests = host.comes_to("the IPv4 address is replaced", both(V4_NEW, V6)).await;
        assert_eq!(asked(&requests), ["change", "change"]);
        assert!(requests.iter().flat_map(|request| &request.changes).all(|(_, set)| set.rtype == "A"));

        host.lab.ip(&format!("addr add {V6_NEW}/64 dev eth0 nodad"));
        host.lab.ip(&format!("addr change {V6}/64 dev eth0 preferred_lft 0"));
        let requests = host.comes_to("the IPv6 address is deprecated", both(V4_NEW, V6_NEW)).await;
        assert_eq!(asked(&requests), ["change", "change"]);

        for address in [V6, V6_NEW] {
            host.lab.ip(&format!("addr del {address}/64 dev eth0"));
        }
        let requests = host.comes_to("IPv6 is gone", Expected { v4: Some(V4_NEW), v6: None }).await;
        assert_eq!(asked(&requests), ["change", "change"]);

        host.lab.ip(&format!("addr add {V6}/64 dev eth0 nodad"));
        asked(&host.comes_to("IPv6 is back", both(V4_NEW, V6)).await);

        host.lab.far_ip("link set eth0 down");
        let requests = host.comes_to("the carrier is lost", Expected { v4: None, v6: None }).await;
        assert_eq!(asked(&requests), ["change", "change"]);
        host.lab.far_ip("link set eth0 up");
        let requests = host.comes_to("the carrier is back", both(V4_NEW, V6)).await;
        assert_eq!(asked(&requests), ["change", "change"]);

        host.set_node("True", true);
        let requests = host.comes_to("cordoned", Expected { v4: None, v6: None }).await;
        assert_eq!(asked(&requests), ["change", "change"]);
        let (status, code) = host.status().await;
        assert_eq!(
            (&status["records"][0]["intent"], &status["records"][0]["reason"]),
            (&"withdraw".into(), &"cordoned".into())
        );
        assert_eq!(code, Some(0), "a cordoned node that is out of DNS is as it should be: {status:#}");
        host.set_node("True", false);
        let requests = host.comes_to("uncordoned", both(V4_NEW, V6)).await;
        assert_eq!(asked(&requests), ["change", "change"]);

        host.set_node("Unknown", false);
        host.comes_to("not ready", Expected { v4: None, v6: None }).await;
        host.api.delete_node();
        let requests = host.comes_to("deleted", Expected { v4: None, v6: None }).await;
        assert_eq!(words(&requests), NONE);
        host.set_node("True", false);
        host.comes_to("ready", both(V4_NEW, V6)).await;

        host.api.stop();
        host.until("the outage is noticed", async |host| host.status().await.0["kubernetes"]["connected"] == false)
            .await;
        let requests = host.comes_to("API server down", both(V4_NEW, V6)).await;
        assert_eq!(words(&requests), NONE);
        assert_eq!(host.status().await.1, Some(2), "a node whose state is unknown is not healthy");
        host.lab.batch([
            format!("addr add {V4}/24 dev eth0"),
            format!("addr del {V4_NEW}/24 dev eth0"),
            format!("addr replace {V4}/24 dev eth0"),
        ]);
        let requests = host.comes_to("a new address during the outage", both(V4, V6)).await;
        assert_eq!(words(&requests), ["change", "change"]);
        host.api.resume().await;
        host.until("the API is back", async |host| host.status().await.1 == Some(0)).await;
        let requests = host.comes_to("API server back", both(V4, V6)).await;
        assert_eq!(words(&requests), NONE);

        host.stop(Signal::KILL).await;
        host.lab.ip(&format!("addr replace {V4_NEW}/24 dev eth0"));
        host.lab.ip(&format!("addr del {V4}/24 dev eth0"));
        host.lab.ip(&format!("addr replace {V4_NEW}/24 dev eth0"));
        host.start();
        let requests = host.comes_to("killed, moved and started again", both(V4_NEW, V6)).await;
        assert_eq!(words(&requests), ["list", "list", "change", "change"]);

        // A reload that is good, then one that is bad.
        host.replace_in_configuration("bias = 5", "bias = 6");
        host.signal(Signal::HUP);
        host.until("the new bias is in force", async |host| bias_of(host) == Some(6)).await;
        host.comes_to("good reload", both(V4_NEW, V6)).await;
        host.replace_in_configuration("bias = 6", "bias = 600");
        host.signal(Signal::HUP);
        host.until("the reload is refused", async |host| host.log().contains("reload refused")).await;
        let requests = host.comes_to("refused reload", both(V4_NEW, V6)).await;
        assert_eq!(words(&requests), NONE);
        let (status, code) = host.status().await;
        assert!(status["reload_refused"].as_str().is_some_and(|why| why.contains("bias")), "{status:#}");
        assert_eq!(code, Some(2), "a refused reload needs attention");
        assert_eq!(bias_of(&host), Some(6));

        let exit = host.stop(Signal::TERM).await;
        assert!(exit.success(), "{exit}");
        host.comes_to("stopped", both(V4_NEW, V6)).await;
        assert!(!host.directory.path().join("nodedns.sock").exists());
        assert_eq!(host.status().await.1, Some(69));
        assert!(!host.log().contains("planted-secret"), "a secret in the log");
    });
}

fn bias_of(host: &Host) -> Option<i64> {
    let sets = host.sim.record_sets(crate::node::ZONE);
    let own = sets
        .iter()
        .find(|set| set.name == crate::node::GEO && set.set_identifier.as_deref() == Some(crate::node::OWN))?;
    serde_json::to_value(own).ok()?["geoproximity"]["bias"].as_i64()
}

/// An hour's worth of steady state would take an hour; half a minute shows that nothing ticks.
#[test]
fn at_rest_nothing_is_asked() {
    in_lab(async |lab| {
        let mut host = Host::new(lab).await;
        host.lab.ip(&format!("addr add {V4}/24 dev eth0"));
        host.start();
        host.comes_to("first start", Expected { v4: Some(V4), v6: None }).await;
        // The questions after the two changes end with their first answers, ten seconds later, and
        // half a minute after a start each of the two names is read once more.
        tokio::time::sleep(Duration::from_secs(33)).await;
        let asked = host.sim.requests().len();
        assert!(asked <= 4, "{:?}", host.sim.requests());
        host.sim.clear_requests();
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(host.sim.requests().len(), 0, "{:?}", host.sim.requests());
    });
}
