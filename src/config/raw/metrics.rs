//! Where monitoring finds the metrics.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[metrics]` table.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct RawMetrics {
    /// The address and port of an HTTP server with `/metrics`, in Prometheus's text format, and
    /// `/healthz`. It asks nobody who they are: on another address than loopback, let a firewall do
    /// so. An address that the host does not have yet is waited for, and a port that is taken is tried
    /// again every few seconds; DNS waits for neither. Empty: the daemon listens on no port. Another
    /// value needs a restart.
    #[schemars(example = &"127.0.0.1:9797")]
    pub listen: String,

    /// A file with the same metrics for node_exporter's textfile collector, by its absolute path; its
    /// name must end in `.prom`, and should contain `nodedns`: the alert rules look for that. It is written anew when something has changed, at least every 30
    /// seconds, and removed when the daemon ends. The daemon's user must be able to write to the
    /// directory; a unit with `ProtectSystem=strict` needs `ReadWritePaths=-/its/directory`, with the
    /// minus, as it would not start without the directory otherwise. Empty: no file. Another value
    /// needs a restart.
    #[schemars(example = &"/var/lib/prometheus/node-exporter/nodedns.prom")]
    pub textfile: String,
}
