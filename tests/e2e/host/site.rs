//! Where the shows take place: a machine, Route 53 beyond its only link, and the package.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use route53_sim::{Options, RecordSet, Sim};
use serde_json::Value;
use tokio::time::sleep;

use super::machine::{Machine, Ran, Suite, image};
use crate::node::{OWN, ZONE};
use crate::support::netns::{Lab, in_lab};
use crate::support::skip;

pub(crate) const ADDRESS: &str = "185.12.64.1";
/// The wire's own two ends, in a network that is not published: what comes and goes is [`ADDRESS`].
const NEAR: &str = "10.0.0.1";
const FAR: &str = "10.0.0.254";
pub(crate) const EDGE: &str = "edge.example.com.";
pub(crate) const SOLE: &str = "sole.example.com.";

/// What the daemon's credentials are, unless a show has others.
pub(super) const ACCESS_KEY: &str = "AKIDTESTTESTTESTTEST";
/// This one must not be told.
pub(crate) const SECRET_KEY: &str = "planted-secret-that-must-not-show";

/// Runs a show in a machine that has just been booted, the package not yet installed; skips it where that
/// cannot be.
pub(crate) fn on<F: Future<Output = ()> + 'static>(suite: Suite, show: fn(Site) -> F) {
    let made = package().and_then(|package| Ok((package, image(suite)?)));
    let (package, image) = match made {
        Ok(made) => made,
        Err(why) => return skip(&why),
    };
    in_lab(async move |lab| {
        let sim = route53(&lab);
        match Machine::boot(&image).await {
            Ok(machine) => show(Site { suite, machine, sim, lab, package }).await,
            Err(why) => skip(&why),
        }
    });
}

/// Where the packages are that are tested: `NODEDNS_PACKAGES`, or where they are built.
pub(crate) fn packages() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/packages");
    std::env::var_os("NODEDNS_PACKAGES").map_or(here, PathBuf::from)
}

/// The .deb, or why there is none.
fn package() -> Result<PathBuf, String> {
    let directory = packages();
    let entries = std::fs::read_dir(&directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "deb")).collect();
    match (found.pop(), found.is_empty()) {
        (Some(package), true) => Ok(package),
        (None, _) => Err(format!("there is no .deb in {}; packaging/build makes it", directory.display())),
        (Some(_), false) => Err(format!("there is more than one .deb in {}", directory.display())),
    }
}

/// A machine with a wire to Route 53. Fields are dropped in this order: the machine goes off first.
pub(crate) struct Site {
    pub(crate) suite: Suite,
    pub(crate) machine: Machine,
    pub(crate) sim: Sim,
    pub(crate) lab: Lab,
    pub(crate) package: PathBuf,
}

/// Route 53 at the far end of the wire, with a sibling in the one pool and nobody in the other.
fn route53(lab: &Lab) -> Sim {
    lab.wire("eth0");
    for address in [NEAR, ADDRESS] {
        lab.ip(&format!("addr add {address}/24 dev eth0"));
    }
    lab.far_ip(&format!("addr add {FAR}/24 dev eth0"));
    let listen: SocketAddr = format!("{FAR}:4580").parse().expect("an address");
    let sim = lab.at_the_far_end(|| {
        Sim::builder()
            .zone("example.com", ZONE)
            .options(Options { insync_after: Duration::ZERO, ..Options::default() })
            .listen(listen)
            .start()
    });
    let sibling = RecordSet::new(EDGE, "A").set_identifier("nodedns/v1/home/n2").ttl(60).value("185.12.64.2");
    sim.put(ZONE, sibling.weight(10));
    sim
}

impl Site {
    /// A configuration for this place, without Kubernetes.
    pub(crate) fn configuration(&self) -> String {
        format!(
            r#"cluster = "home"
node = "n1"

[kubernetes]
enabled = false

[route53]
endpoint_url = "{}"

[[record]]
name = "edge.example.com"
zone_id = "{ZONE}"
types = ["A"]

[[record]]
name = "sole.example.com"
zone_id = "{ZONE}"
types = ["A"]
"#,
            self.sim.endpoint()
        )
    }

    /// Installs the package.
    pub(crate) async fn install(&self) {
        let ran = self.machine.install_deb(&self.package).await;
        assert!(ran.succeeded(), "{ran:#?}");
    }

    /// Configures the daemon, with credentials in its environment.
    pub(crate) async fn configure(&self) {
        self.machine.write("/etc/nodedns/nodedns.toml", &self.configuration()).await;
        let environment = format!(
            "AWS_ACCESS_KEY_ID={ACCESS_KEY}\nAWS_SECRET_ACCESS_KEY={SECRET_KEY}\nAWS_EC2_METADATA_DISABLED=true\n"
        );
        self.machine.write("/etc/nodedns/environment", &environment).await;
        self.machine.must("chmod 0600 /etc/nodedns/environment").await;
    }

    /// The package installed and configured, the daemon started and both records published.
    pub(crate) async fn serve(&self) {
        self.install().await;
        self.configure().await;
        self.machine.must("systemctl enable --now nodedns.service").await;
        until("published", async || self.is_published(EDGE) && self.is_published(SOLE)).await;
    }

    /// Whether the machine's own record set is in Route 53.
    pub(crate) fn is_published(&self, name: &str) -> bool {
        self.sim.record_set(ZONE, name, "A", Some(OWN)).is_some()
    }

    /// Adds something to a unit.
    pub(crate) async fn drop_in(&self, unit: &str, text: &str) {
        self.machine.write(&format!("/etc/systemd/system/{unit}.d/lab.conf"), text).await;
        self.machine.must("systemctl daemon-reload").await;
    }

    /// What `nodedns status` says to root.
    pub(crate) async fn status(&self) -> Value {
        let Ran { stdout, .. } = self.machine.run("nodedns status --output json").await;
        serde_json::from_str(&stdout).unwrap_or(Value::Null)
    }

    /// The daemon's process id; 0 when it does not run.
    pub(crate) async fn pid(&self) -> u32 {
        self.machine.property("nodedns.service", "MainPID").await.parse().expect("a number")
    }

    /// The line that the daemon gives systemd.
    pub(crate) async fn status_line(&self) -> String {
        self.machine.property("nodedns.service", "StatusText").await
    }

    /// Waits until the line has this in it.
    pub(crate) async fn says(&self, words: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = self.status_line().await;
            if line.contains(words) {
                return line;
            }
            assert!(Instant::now() < deadline, "waited in vain for {words:?}: {line:?}");
            sleep(PAUSE).await;
        }
    }
}

/// How long anything may take. Nothing is timed by it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        sleep(PAUSE).await;
    }
}
