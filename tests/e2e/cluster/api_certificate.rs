//! The API server's own certificate is replaced: by a good one, and by one of a stranger.

use std::path::Path;
use std::time::Instant;

use super::control_plane::{A_MINUTE, API_SERVER, BACK_AGAIN};
use super::fixture::{Cluster, NODES, in_cluster};

/// Puts a certificate where the API server reads its own, and waits until it shows it.
async fn use_certificate(cluster: &Cluster, from: &Path) {
    let to = cluster.directory().join("pki/apiserver");
    let (from, to) = (from.display(), to.display());
    // The key first: until both fit, the API server stays with the old ones.
    let copy = format!(
        "cp {from}.key {to}.key.new; mv {to}.key.new {to}.key; cp {from}.crt {to}.crt.new; mv {to}.crt.new {to}.crt"
    );
    cluster.must("hub", &["sh", "-ec", &copy]).await;
    let wanted =
        cluster.must("hub", &["openssl", "x509", "-noout", "-fingerprint", "-in", &format!("{from}.crt")]).await;
    let took = cluster.until("the certificate is in use", async |cluster| shown(cluster).await == wanted).await;
    println!("the API server shows its new certificate after {took:.1?}");
}

/// The fingerprint of what the API server shows.
async fn shown(cluster: &Cluster) -> String {
    const ASK: &str =
        "openssl s_client -connect 10.77.0.1:6443 </dev/null 2>/dev/null | openssl x509 -noout -fingerprint";
    cluster.run("hub", &["sh", "-c", ASK]).await.stdout
}

/// Cuts every connection through the load balancers of the second and third node.
async fn cut_connections(cluster: &Cluster) {
    cluster.service("stop", &["n2/load-balancer", "n3/load-balancer"]).await;
    cluster.service("start", &["n2/load-balancer", "n3/load-balancer"]).await;
}

#[test]
fn a_new_serving_certificate_is_taken_and_a_strangers_is_not() {
    in_cluster(async |cluster| {
        cluster.start_daemons().await;
        // The stand-ins' leases end with the trust in the API server, of which this is not about.
        cluster.controllers_leave().await;
        let pki = cluster.directory().join("pki");
        let since = Instant::now();

        cluster.server_certificate("pki", "renewed").await;
        use_certificate(&cluster, &pki.join("renewed")).await;
        cut_connections(&cluster).await;
        let cut = Instant::now();
        cluster.until_connected(&NODES, cut, "a new certificate").await;
        cluster.kubectl("cordon n2").await;
        let took = cluster.until("n2 is withdrawn", async |cluster| cluster.is_withdrawn("n2")).await;
        println!("a new certificate: a cordon is followed after {took:.1?}");
        // By a process that has never had another certificate, too.
        cluster.service("kill", &[API_SERVER]).await;
        cluster.service("start", &[API_SERVER]).await;
        let returned = Instant::now();
        cluster.until_connected(&NODES, returned, "a new certificate and a restart").await;
        cluster.kubectl("uncordon n2").await;
        cluster.until("n2 is back", async |cluster| cluster.all_are_published()).await;
        for node in ["n1", "n3"] {
            assert!(cluster.writes_of(node, since).is_empty(), "{node} wrote");
        }
        cluster.judge("a new certificate");

        let stranger = cluster.directory().join("stranger");
        let since = Instant::now();
        cluster.server_certificate("stranger", "apiserver").await;
        use_certificate(&cluster, &stranger.join("apiserver")).await;
        cut_connections(&cluster).await;
        for node in ["n2", "n3"] {
            cluster.until_noticed(node, since, "a stranger's certificate").await;
            // Nobody listened for a moment, before the load balancer was back.
            let error = async |cluster: &Cluster| {
                let (status, _) = cluster.status(node).await;
                status["kubernetes"]["error"].as_str().unwrap_or_default().to_owned()
            };
            let words = "cannot trust the API server at https://127.0.0.1:";
            cluster.until_within(A_MINUTE, "it says why", async |cluster| error(cluster).await.contains(words)).await;
            let error = error(&cluster).await;
            assert!(error.contains("invalid peer certificate"), "{error}");
            assert!(error.contains("\nhint: it is not signed by the authority that /var/lib/rancher/"), "{error}");
        }
        // Who has asked before goes on with the connection that there is.
        assert!(cluster.is_connected("n1").await);
        cluster.nothing_was_written(since, "a stranger's certificate");
        use_certificate(&cluster, &pki.join("renewed")).await;
        let mended = Instant::now();
        cluster.kubectl("cordon n3").await;
        cluster.until("n3 is withdrawn", async |cluster| cluster.is_withdrawn("n3")).await;
        let took = mended.elapsed();
        println!("the right certificate again: a cordon is followed after {took:.1?}");
        assert!(took < BACK_AGAIN, "{took:?}");
        cluster.until_connected(&NODES, mended, "the right certificate again").await;
        cluster.kubectl("uncordon n3").await;
        cluster.until("all are back", async |cluster| cluster.all_are_published()).await;
        for node in ["n1", "n2"] {
            assert!(cluster.writes_of(node, since).is_empty(), "{node} wrote");
        }
        cluster.controllers_return().await;
        cluster.judge("the right certificate again");
    });
}
