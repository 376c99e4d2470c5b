# Configurations of a host: the good ones have a golden file each, the bad ones say why they are.
let
  minimal = {
    services.nodedns = {
      enable = true;
      settings.cluster = "home";
      settings.record = [
        {
          name = "edge.example.com";
          zone_id = "Z0123456789ABC";
        }
      ];
    };
  };

  nodedns = changes: {
    services.nodedns = minimal.services.nodedns // changes;
  };
  settings = changes: nodedns { settings = minimal.services.nodedns.settings // changes; };
  record = changes: settings { record = [ (head minimal.services.nodedns.settings.record // changes) ]; };
  inherit (builtins) head;
in
{
  inherit minimal;

  off.services.nodedns.settings.cluster = "home";

  # What needs more than a kubelet's identity, as the administrator.
  k3s-server = {
    services.k3s.enable = true;
    services.nodedns = minimal.services.nodedns // {
      kubeconfig = "/etc/rancher/k3s/k3s.yaml";
      prune.enable = true;
      prune.kubeconfig = "/etc/rancher/k3s/k3s.yaml";
      settings = minimal.services.nodedns.settings // {
        survivors.enabled = true;
        survivors.grace = "2m";
        prune.keep_nodes = [ "nas" ];
      };
    };
  };

  k3s-agent = {
    services.k3s = {
      enable = true;
      role = "agent";
      serverAddr = "https://10.0.0.10:6443";
      tokenFile = "/run/secrets/k3s-token";
    };
    services.nodedns = {
      enable = true;
      awsCredentialsFile = "/run/secrets/nodedns-aws";
      awsConfigFile = "/run/secrets/nodedns-aws-config";
      environmentFile = "/run/agenix/nodedns-environment";
      settings = {
        cluster = "home";
        resync = "10m";
        kubernetes.label_selector = "node-role.kubernetes.io/edge";
        addresses.exclude_interfaces = [ "eth1" ];
        signals.cordoned = {
          action = "withdraw";
          recover_after = "1m";
        };
        route53.requests_per_second = 2.5;
        log.level = "debug";
        record = [
          {
            name = "edge.example.com";
            zone_id = "Z0123456789ABC";
            ttl = 30;
            types = [ "A" ];
            routing = {
              policy = "geoproximity";
              coordinates = "50.11,8.68";
              bias = -10;
            };
            health_check = {
              type = "https";
              port = 443;
              path = "/healthz";
            };
          }
          {
            name = "{node}.edge.example.com";
            zone_id = "Z0123456789ABC";
            keep_min = 0;
            signals.drained = "ignore";
          }
        ];
      };
    };
  };

  encrypted = nodedns {
    awsCredentialsEncryptedFile = "/nix/store/11111111111111111111111111111111-aws.cred";
    checkConfig = false;
  };

  kubernetes = minimal // {
    services = minimal.services // {
      kubernetes.kubelet.enable = true;
      kubernetes.kubelet.kubeconfig = {
        server = "https://api.example.com:6443";
        caFile = "/var/lib/kubernetes/secrets/ca.pem";
        certFile = "/var/lib/kubernetes/secrets/kubelet-client.pem";
        keyFile = "/var/lib/kubernetes/secrets/kubelet-client-key.pem";
      };
    };
  };

  # Every key, each with another value than its default, as far as `nodedns config check` allows.
  everything = settings {
    node = "edge-1";
    settle = "300ms";
    settle_max = "3s";
    resync = "20m";
    kubernetes.enabled = true;
    kubernetes.label_selector = "edge";
    addresses.temporary = true;
    signals.stopping = "ignore";
    survivors.enabled = false;
    survivors.grace = "10m";
    prune.keep_nodes = [ "nas" ];
    route53.burst = 10;
    control.socket = "/run/nodedns/other.sock";
    log.level = "warn";
    metrics.listen = "127.0.0.1:9797";
  };

  textfile = settings { metrics.textfile = "/var/lib/node-exporter/nodedns.prom"; };

  survivors-of-a-kubelet = settings { survivors.enabled = true; };

  # What no type knows is refused when the system is built.
  typo-in-what-is-not-typed = settings { signals.cordond = "ignore"; };

  # Refused by an assertion.
  no-record = settings { record = [ ]; };
  secrets-in-the-store =
    let
      inStore = "/nix/store/11111111111111111111111111111111-secret";
      identity = {
        kubeconfig = ./cases.nix;
        kubeClientCertificate = inStore;
        kubeClientKey = inStore;
        kubeCertificateAuthority = inStore;
      };
    in
    nodedns (
      identity
      // {
        prune = identity;
        awsCredentialsFile = inStore;
        awsConfigFile = inStore;
        environmentFile = inStore;
      }
    );
  half-an-identity = nodedns { kubeClientCertificate = "/run/secrets/kube.crt"; };
  at-odds = nodedns {
    awsCredentialsFile = "/run/secrets/aws";
    awsCredentialsEncryptedFile = "/run/secrets/aws.cred";
    kubeconfig = "/run/secrets/kubeconfig";
    settings = minimal.services.nodedns.settings // {
      kubernetes.enabled = false;
      kubernetes.kubeconfig = "/etc/kubernetes/kubelet.conf";
    };
  };
  prune-without-identity = nodedns { prune.enable = true; };

  # Refused by a type.
  bad-cluster = settings { cluster = "my home"; };
  no-cluster = nodedns { settings.record = minimal.services.nodedns.settings.record; };
  no-name = settings { record = [ { zone_id = "Z0123456789ABC"; } ]; };
  number-for-a-duration = settings { resync = 10; };
  duration-without-unit = settings { survivors.grace = "10"; };
  bad-ttl = record { ttl = -1; };
  bad-ttl-text = record { ttl = "60"; };
  bad-policy = record { routing.policy = "weigthed"; };
  bad-weight = record { routing.weight = 256; };
  bad-class = record { class = "public"; };
  bad-type = record { types = [ "CNAME" ]; };
  bad-level = settings { log.level = "verbose"; };
  bad-enabled = settings { kubernetes.enabled = "yes"; };
  null-where-nothing-is-known = settings { signals = null; };
  relative-path = nodedns { awsCredentialsFile = "secrets/aws"; };
  unknown-option = nodedns { settngs = { }; };
}
