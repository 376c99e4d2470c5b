//! Every metric: the one place where its name, its labels and its meaning stand. The exposition and
//! `nodedns help metrics` are made of it.

use std::fmt;

/// What a metric is, in Prometheus's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// A count since the daemon's start, which only grows.
    Counter,
    /// How many observations there were up to which size.
    Histogram,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
        })
    }
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it means: what stands behind `# HELP`.
    pub help: &'static str,
}

impl fmt::Display for Definition {
    /// As people write it: `nodedns_record_last_error{zone_id,name,type,kind}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if self.labels.is_empty() { Ok(()) } else { write!(f, "{{{}}}", self.labels.join(",")) }
    }
}

macro_rules! definitions {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub(super) const $constant: Definition =
                Definition { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };
        )*

        /// All of them, in the order in which they are shown.
        pub const ALL: &[Definition] = &[$($constant),*];
    };
}

definitions! {
    BUILD_INFO = Gauge "nodedns_build_info" ["version"]
        "Always 1; the version of the running daemon.";
    NODE_INFO = Gauge "nodedns_node_info" ["cluster", "node"]
        "Always 1; the node whose record sets these are, and its cluster.";
    START = Gauge "nodedns_start_timestamp_seconds" []
        "When the daemon was started, in seconds since 1970.";
    HEALTHY = Gauge "nodedns_healthy" []
        "Whether nobody needs to look, as 'nodedns status' says: every record is as it should be.";
    DRY_RUN = Gauge "nodedns_dry_run" []
        "Whether the daemon only shows what it would do.";
    DRAINED = Gauge "nodedns_drained" []
        "Whether the operator has drained the node; absent while that is not known.";
    RELOAD_REFUSED = Gauge "nodedns_reload_refused" []
        "Whether the last reload was refused, so that the configuration from before it is in force.";

    KUBE_ENABLED = Gauge "nodedns_kube_enabled" []
        "Whether the Node object is watched.";
    KUBE_CONNECTED = Gauge "nodedns_kube_connected" []
        "Whether the API server answers; absent where the Node object is not watched.";
    KUBE_LAST_CONTACT = Gauge "nodedns_kube_last_contact_timestamp_seconds" []
        "When the API server last answered, in seconds since 1970; absent until it has.";
    NODE_READY = Gauge "nodedns_node_ready" []
        "Whether the Node is Ready, 0 also where there is no such Node; absent while that is not known.";
    NODE_UNSCHEDULABLE = Gauge "nodedns_node_unschedulable" []
        "Whether the Node is cordoned; absent while that is not known.";

    ADDRESSES = Gauge "nodedns_addresses" ["class", "family", "state", "reason"]
        "The host's addresses, judged for each class that a record asks for: published (in one of the node's record \
         sets in Route 53), eligible (fit, but not published) or filtered, and why, as 'nodedns addresses' says; family \
         is ipv4 or ipv6. Absent while the addresses are not known.";
    NETLINK_EVENTS = Counter "nodedns_netlink_events_total" ["kind"]
        "Notifications of the kernel that something of the host's network has changed: address, link, route (default \
         routes only) or other.";
    NETLINK_OVERRUNS = Counter "nodedns_netlink_overruns_total" []
        "How often the kernel had to drop notifications; everything is read again after each.";

    RECORD_INTENT = Gauge "nodedns_record_intent" ["zone_id", "name", "type", "intent", "reason"]
        "Always 1; what is wanted for the record set (publish, withdraw, hold or preserve), and why.";
    RECORD_SINCE = Gauge "nodedns_record_since_timestamp_seconds" ["zone_id", "name", "type"]
        "Since when that has been wanted for that reason, in seconds since 1970.";
    RECORD_DESIRED = Gauge "nodedns_record_desired_addresses" ["zone_id", "name", "type"]
        "How many addresses are or would be published, 0 where the record set is to go; absent while the host's \
         addresses are not known.";
    RECORD_ACTUAL = Gauge "nodedns_record_actual_addresses" ["zone_id", "name", "type"]
        "How many addresses the record set has in Route 53, 0 where it is not there; absent while that is not known.";
    RECORD_OTHERS = Gauge "nodedns_record_others" ["zone_id", "name", "type"]
        "How many other record sets there are of the same name and type; absent while that is not known.";
    RECORD_IN_SYNC = Gauge "nodedns_record_in_sync" ["zone_id", "name", "type"]
        "Whether Route 53 is known to have what is wanted.";
    RECORD_HEALTHY = Gauge "nodedns_record_healthy" ["zone_id", "name", "type"]
        "Whether nobody needs to look at this record set.";
    RECORD_LAST_ERROR = Gauge "nodedns_record_last_error" ["zone_id", "name", "type", "kind"]
        "Always 1; what went wrong with the last request for the record set. Absent where nothing did.";
    RECORD_LAST_CHANGE = Gauge "nodedns_record_last_change_timestamp_seconds" ["zone_id", "name", "type"]
        "When Route 53 last accepted a change of the record set from this daemon, in seconds since 1970; absent until \
         it has.";
    RECORD_HEALTH_CHECK = Gauge "nodedns_record_health_check" ["zone_id", "name", "type", "state"]
        "Always 1; how far the managed health check is: attached, waiting, failing or impossible. Absent where there is \
         to be none.";
    DRIFT = Counter "nodedns_drift_total" ["zone_id", "name", "type"]
        "How often somebody else had changed or deleted the record set.";

    PROBE_PASSING = Gauge "nodedns_probe_passing" ["check"]
        "Whether the local probe passes; absent until it has said so or otherwise.";

    SURVIVORS = Gauge "nodedns_survivors" ["state"]
        "Always 1; whether record sets of dead nodes may be removed: watching (they may), frozen, unknown or not_fit. \
         Absent where that is switched off.";
    SURVIVORS_NODES = Gauge "nodedns_survivors_nodes" []
        "How many nodes of the cluster are known; absent while their list is not, and where survivors are off.";
    SURVIVORS_NOT_READY = Gauge "nodedns_survivors_not_ready" []
        "How many of them are not Ready or gone.";
    SURVIVORS_DEAD = Gauge "nodedns_survivors_dead_nodes" []
        "How many of those still have a record set under one of this node's names.";
    SURVIVORS_REMOVED = Counter "nodedns_survivors_removed_total" []
        "Record sets of dead nodes that this daemon has removed.";

    CHANGES = Counter "nodedns_changes_total" ["action"]
        "Changes of this node's record sets that Route 53 accepted: create, upsert or delete.";
    CHANGE_IN_SYNC = Histogram "nodedns_change_insync_seconds" []
        "How long accepted changes took until every authoritative server had them (INSYNC), as far as the daemon \
         has seen it.";
    REQUESTS = Counter "nodedns_route53_requests_total" ["operation", "result"]
        "Requests to Route 53, by the operation's name there, and what became of them: ok or the kind of the error. A \
         retry is a request of its own.";
    REQUEST_SECONDS = Histogram "nodedns_route53_request_seconds" ["operation"]
        "How long these requests took, without the wait for their turn.";
    LAST_SUCCESS = Gauge "nodedns_route53_last_success_timestamp_seconds" []
        "When a request to Route 53 last succeeded, in seconds since 1970; absent until one has.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_keep_to_the_conventions() {
        let mut seen = BTreeSet::new();
        for definition in ALL {
            let name = definition.name;
            assert!(name.starts_with("nodedns_"), "{name}: node_exporter has every other name to itself");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{name}");
            assert_eq!(name.ends_with("_total"), definition.kind == Kind::Counter, "{name}");
            let is_time = definition.help.contains("seconds since 1970");
            assert_eq!(name.ends_with("_timestamp_seconds"), is_time, "{name}");
            assert!(definition.help.ends_with('.') && !definition.help.contains("  "), "{name}");
            assert!(seen.insert(name), "{name} stands there twice");
        }
    }

    #[test]
    fn a_metric_is_shown_with_its_labels() {
        assert_eq!(CHANGES.to_string(), "nodedns_changes_total{action}");
        assert_eq!(HEALTHY.to_string(), "nodedns_healthy");
    }
}
