//! Every check: its id for programs, where it is told, and what it means.

use serde::{Serialize, Serializer};

use crate::cli::check::findings::Section;

/// The checks of each section: one definition for the id that is printed, and what the manual says of it.
macro_rules! ids {
    ($($section:ident { $($id:ident $word:literal $meaning:literal,)* })*) => {
        /// What was checked.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Id {
            $($(#[doc = $meaning] $id,)*)*
        }

        impl Id {
            /// All of them, in the order of the sections.
            pub const ALL: &[Id] = &[$($(Id::$id,)*)*];

            /// The id in snake case, stable for scripts.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($(Id::$id => $word,)*)*
                }
            }

            /// The section that it belongs to. Mistakes in the configuration that only show with the
            /// node's name are told under `node`.
            pub fn section(self) -> Section {
                match self {
                    $($(Id::$id => Section::$section,)*)*
                }
            }

            /// What is checked, in a sentence or two.
            pub fn meaning(self) -> &'static str {
                match self {
                    $($(Id::$id => $meaning,)*)*
                }
            }
        }
    };
}

ids! {
    Configuration {
        Configuration "configuration"
            "A mistake in the configuration. In the section node where it only shows with the node's name.",
        ConfigurationFile "configuration_file" "A file of the configuration, and whether the daemon may read it.",
        NotReadyIgnored "not_ready_ignored" "signals.not_ready is ignored: a node that is not Ready stays in DNS.",
        ApiUnreachableWithdraws "api_unreachable_withdraws"
            "signals.api_unreachable withdraws: when the control plane fails, all nodes leave.",
        Resync "resync" "resync is so long that what somebody else has changed stays so for a long time.",
        Ttl "ttl" "The TTL is so long that resolvers give the old answer for a long time.",
        RecordKeepMin "record_keep_min" "A record that is named after its node has a keep_min that never lets it leave.",
    }
    Node {
        User "user" "Who runs this, which decides what can be read.",
        CredentialsDirectory "credentials_directory" "The credentials that systemd has handed over.",
        CredentialExposed "credential_exposed" "A file for systemd to hand to the service that others can read.",
        NodeName "node_name" "The node's name, and where it comes from.",
        OwnerId "owner_id" "The set identifier of this node's record sets.",
        HostAddresses "host_addresses" "The addresses of this host cannot be read.",
        RecordAddress "record_address" "For a record and type: the address that would be published.",
        ProbeAddress "probe_address" "A probe asks another host than this one.",
        StateDirectory "state_directory" "Where the daemon keeps what must survive a restart.",
        Daemon "daemon" "Whether a daemon of this version runs.",
        DaemonIdentity "daemon_identity" "The daemon runs as another node or in another cluster.",
        DaemonReload "daemon_reload" "The daemon has refused the configuration, and runs with the one before.",
        DaemonHealth "daemon_health" "Whether the daemon is healthy, as 'nodedns status' says.",
    }
    Kubernetes {
        Kubeconfig "kubeconfig" "The kubeconfig that is used.",
        KubeconfigPassedOver "kubeconfig_passed_over" "A kubeconfig that would have come before it, but cannot be read.",
        Certificate "certificate" "How long the kubeconfig's client certificate is good for.",
        CertificateNode "certificate_node"
            "The kubeconfig's client certificate is that of another node, though it may read this one's Node.",
        Survivors "survivors" "Survivors are switched on, and without Kubernetes nobody tells who is dead.",
        ApiServer "api_server" "Whether the API server answers and accepts the credentials.",
        OwnNodeList "own_node_list" "Whether this identity may list the own Node.",
        OwnNodeWatch "own_node_watch" "Whether it may watch it.",
        OwnNode "own_node" "Whether there is a Node of this name, and whether it is fit to be in DNS.",
        Annotation "annotation" "An annotation of the Node that cannot be read.",
        Coordinates "coordinates" "A record takes its coordinates from the Node, which has none.",
        NodesList "nodes_list" "Whether this identity may list all Nodes, which list, prune and survivors need.",
        NodesWatch "nodes_watch" "Whether it may watch them, which survivors need.",
    }
    Aws {
        AwsFile "aws_file" "A file with AWS credentials or settings that systemd has handed over, and whether it is read.",
        AwsIdentity "aws_identity" "Whose the AWS credentials are.",
        Clock "clock" "Whether the clock agrees with AWS's.",
        GetChange "get_change" "Whether this identity may ask how far a change has come.",
        ListHealthChecks "list_health_checks" "Whether it may list health checks, where records have a managed one.",
        HealthCheckLimit "health_check_limit" "How many health checks the account has, and may have.",
    }
    HostedZones {
        Zone "zone" "The hosted zone of a record.",
        ZoneCovers "zone_covers" "A record's name is not within its hosted zone.",
        ZoneLimit "zone_limit" "How many record sets the hosted zone has, and may have.",
        Delegation "delegation" "Whether resolvers are sent to the name servers of the hosted zone.",
        DelegatedBelow "delegated_below" "An NS record set gives a record's name away to other name servers.",
    }
    Names {
        ChangeRights "change_rights" "Whether this identity may change what the name holds.",
        List "list" "What the name holds cannot be read.",
        RecordSets "record_sets" "What the name holds, and whether nodedns can share it.",
        PoolLimit "pool_limit" "Nearly as many record sets are at the name as Route 53 takes.",
        PoolTtl "pool_ttl" "The pool has another TTL than the configuration, and keeps it.",
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
