# The type of services.nodedns.settings: what most configurations have is typed, so that a mistake
# is found when the system is evaluated; everything else of nodedns.toml(5) goes through as it is,
# and is judged by `nodedns config check` when the system is built.
#
# Every default is null, which leaves the key out: the defaults are those of nodedns.
{
  lib,
  format,
  # Whether this host is a node of a cluster that NixOS itself sets up.
  isNode,
}:

let
  inherit (lib) mkOption types;

  optional =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };

  # A table of the file.
  table =
    description: options:
    mkOption {
      type = types.submodule {
        freeformType = format.type;
        inherit options;
      };
      default = { };
      inherit description;
    };

  # What must not be is a number without a unit; the rest is nodedns's to judge.
  duration = types.addCheck types.str (text: builtins.match "[0-9. ]*" text == null) // {
    description = "length of time with its unit, like \"200ms\", \"10s\" or \"1h30m\"";
  };

  routing = table "The routing policy, the same for all record sets of the name." {
    policy = optional (types.enum [
      "weighted"
      "geoproximity"
      "latency"
      "geolocation"
      "failover"
      "multivalue"
    ]) "The policy; what goes with it depends on it.";
    weight = optional (types.ints.between 0 255) "`weighted`: the node's share is its weight over the sum of all.";
    coordinates = optional types.str "`geoproximity`: where the node is, as `\"latitude,longitude\"`, or `\"auto\"`.";
    region = optional types.str "`geoproximity`, `latency`: the AWS Region.";
    local_zone_group = optional types.str "`geoproximity`: the AWS Local Zone Group.";
    bias = optional (types.ints.between (-99) 99) "`geoproximity`: grows or shrinks the area that the node answers for.";
    continent = optional types.str "`geolocation`: questions from this continent.";
    country = optional types.str "`geolocation`: questions from this country.";
    subdivision = optional types.str "`geolocation`: questions from this state.";
    role = optional (types.enum [
      "primary"
      "secondary"
    ]) "`failover`: which of the two.";
  };

  record = types.submodule {
    freeformType = format.type;
    options = {
      name = mkOption {
        type = types.str;
        example = "edge.example.com";
        description = "The domain name. `{node}` and `{cluster}` stand for the node's and the cluster's name.";
      };
      zone_id = optional types.str "The id of the hosted zone that holds the name. Recommended.";
      zone = optional types.str "The name of the hosted zone, in place of `zone_id`.";
      private = optional types.bool "Whether the private or the public hosted zone is meant, where `zone_id` does not say.";
      types = optional (types.listOf (
        types.enum [
          "A"
          "AAAA"
        ]
      )) "The record types to publish.";
      class = optional (types.enum [
        "global"
        "private"
        "shared"
        "any"
      ]) "Which addresses are fit.";
      ttl = optional (types.ints.between 0 2147483647) "The time to live in seconds.";
      keep_min = optional (types.ints.between 0 100) "The fewest record sets that a withdrawal may leave at the name.";
      addresses = optional (types.enum [
        "first"
        "all"
      ]) "Which of the fit addresses are published.";
      static_addresses = optional (types.listOf types.str) "Addresses to publish in place of the host's own.";
      health_check_id = optional types.str "The id of an existing Route 53 health check.";
      inherit routing;
    };
  };
in
types.submodule {
  freeformType = format.type;
  options = {
    cluster = mkOption {
      type = types.strMatching "[A-Za-z0-9._-]+";
      example = "home";
      description = "The cluster's name, a part of the mark that says which record sets are this node's own.";
    };
    node = optional types.str "The node's name in Kubernetes; found out where it is left out.";
    settle = optional duration "How long addresses must have been quiet before a change is acted upon.";
    settle_max = optional duration "The longest that a stream of address events can put that off.";
    resync = optional duration "How often the record sets are read again though nothing has happened.";

    kubernetes = table "How this node's own state is learned from Kubernetes." {
      enabled = mkOption {
        type = types.nullOr (types.either types.bool (types.enum [ "auto" ]));
        # Without it a daemon that starts before the kubelet has ever run would take the host for
        # one without Kubernetes, and publish it.
        default = if isNode then true else null;
        defaultText = lib.literalMD "`true` where NixOS runs k3s, RKE2 or a kubelet, else left out";
        description = "Whether the node's state in Kubernetes decides anything.";
      };
      kubeconfig = optional types.str ''
        The kubeconfig file as the daemon's own user reads it. Rather set
        {option}`services.nodedns.kubeconfig`, which needs no permissions.
      '';
      label_selector = optional types.str "Only a Node whose labels match is eligible.";
    };

    addresses = table "Which of the host's addresses may be published at all." {
      include_interfaces = optional (types.listOf types.str) "Globs over interface names.";
      exclude_interfaces = optional (types.listOf types.str) "Globs over interface names.";
      exclude_defaults = optional types.bool "Whether loopback, container and VPN interfaces are left out.";
      allow = optional (types.listOf types.str) "Networks whose addresses may be published whatever the class.";
      deny = optional (types.listOf types.str) "Networks whose addresses are never published.";
      temporary = optional types.bool "Whether temporary IPv6 addresses may be published.";
    };

    survivors = table "Whether this daemon removes the record sets of other nodes that are dead." {
      enabled = optional types.bool ''
        Whether it does. It needs {option}`services.nodedns.kubeconfig` with an identity that may
        read all nodes, which a kubelet's may not.
      '';
      grace = optional duration "How long a node must have been not Ready, or gone.";
    };

    prune = table "What `nodedns prune` leaves alone." {
      keep_nodes = optional (types.listOf types.str) "Globs over the names of nodes.";
    };

    route53 = table "How Route 53 is reached. Credentials are never here." {
      endpoint_url = optional types.str "Another endpoint than AWS's own.";
      region = optional types.str "The AWS Region in which requests are signed.";
      profile = optional types.str "The profile of the AWS configuration files.";
      requests_per_second = optional (types.either types.int types.float) "The most requests a second.";
      burst = optional (types.ints.between 1 1000) "How many requests may be made at once after a quiet time.";
      attempt_timeout = optional duration "How long one attempt of a request may take.";
    };

    metrics = table "Where monitoring finds the metrics: nowhere unless it is set." {
      listen = optional types.str ''
        The address and port of an HTTP server with `/metrics` and `/healthz`, like
        `"127.0.0.1:9797"`. The firewall is not opened for it.
      '';
      textfile = optional types.str ''
        A file with the same metrics for node_exporter's textfile collector, in a directory that the
        group nodedns may write to.
      '';
    };

    log = table "What is logged, and how." {
      level = optional (types.enum [
        "error"
        "warn"
        "info"
        "debug"
        "trace"
      ]) "The least severe messages that are logged.";
      format = optional (types.enum [
        "auto"
        "journald"
        "text"
      ]) "Where they go.";
    };

    record = mkOption {
      type = types.listOf record;
      default = [ ];
      description = "The names under which this node's addresses are published, one `[[record]]` each.";
    };
  };
}
