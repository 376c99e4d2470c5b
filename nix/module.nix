# The NixOS module: services.nodedns.
#
# A k3s server or agent, with a flake:
#
#     {
#       inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
#       inputs.nodedns.url = "git+https://...";           # wherever this repository is
#       inputs.nodedns.inputs.nixpkgs.follows = "nixpkgs";
#
#       outputs = { nixpkgs, nodedns, ... }: {
#         nixosConfigurations.edge-1 = nixpkgs.lib.nixosSystem {
#           system = "x86_64-linux";
#           modules = [ nodedns.nixosModules.default ./edge-1.nix ];
#         };
#       };
#     }
#
# and without one: imports = [ "${builtins.fetchGit { url = ...; rev = ...; }}/nix/module.nix" ]; in either case
#
#     {
#       services.k3s = {
#         enable = true;
#         role = "agent";                                 # or "server"
#         serverAddr = "https://10.0.0.10:6443";          # not on the only server
#         tokenFile = "/run/secrets/k3s-token";
#       };
#
#       services.nodedns = {
#         enable = true;
#         awsCredentialsFile = config.sops.secrets.nodedns-aws.path;      # sops-nix
#         # awsCredentialsFile = config.age.secrets.nodedns-aws.path;     # agenix
#         settings = {
#           cluster = "home";
#           record = [
#             {
#               name = "edge.example.com";
#               zone_id = "Z0123456789ABC";
#               routing = { policy = "geoproximity"; coordinates = "50.11,8.68"; };
#             }
#           ];
#         };
#       };
#     }
#
# The kubelet's own identity is found by itself, for servers and agents of k3s and RKE2 and for
# services.kubernetes. What it may not do, survivors and prune, takes another one: on a k3s server
#
#     services.nodedns.kubeconfig = "/etc/rancher/k3s/k3s.yaml";
#     services.nodedns.prune = { enable = true; kubeconfig = "/etc/rancher/k3s/k3s.yaml"; };
#
# `settings` is nodedns.toml(5), key by key. It is checked when the system is built. After a change
# of the records and the like the service is reloaded, after one of what is settled at its start it
# is restarted; neither touches DNS. Who is to use `nodedns status` goes into the group nodedns:
#
#     users.users.alice.extraGroups = [ "nodedns" ];
#
# For Prometheus, settings.metrics.listen = "127.0.0.1:9797"; the firewall stays as it is. Or a file
# for a node_exporter that is there already, in a directory that nodedns may write to:
#
#     services.nodedns.settings.metrics.textfile = "/var/lib/node-exporter/nodedns.prom";
#     systemd.tmpfiles.rules = [ "d /var/lib/node-exporter 0775 root nodedns -" ];
#     services.prometheus.exporters.node.extraFlags = [ "--collector.textfile.directory=/var/lib/node-exporter" ];
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;

  cfg = config.services.nodedns;
  format = pkgs.formats.toml { };
  program = lib.getExe cfg.package;
  kubelet = config.services.kubernetes.kubelet;
  hardening = import ./hardening.nix;

  secretPath =
    description:
    mkOption {
      type = types.nullOr types.path;
      default = null;
      description = description + ''

        A path on the machine, in quotes: a file of the configuration would be copied to the Nix
        store, which everybody can read. Its owner and mode do not matter, as systemd reads it as
        root; if it changes, the service is restarted.
      '';
    };

  # Who the daemon, or prune, is to the API server.
  identity = whose: example: {
    kubeconfig = secretPath "The kubeconfig of ${whose}, for example `${example}`." // {
      inherit example;
    };
    kubeClientCertificate = secretPath "The client certificate, where the kubeconfig names a file that only root may read.";
    kubeClientKey = secretPath "The key to it.";
    kubeCertificateAuthority = secretPath "The API server's certificate authority, likewise.";
  };

  credentials = import ./credentials.nix { inherit lib pkgs cfg kubelet; };

  # The file has what is set, and nothing else.
  withoutNull =
    value:
    if builtins.isAttrs value && !lib.isDerivation value then
      lib.filterAttrs (_: v: v != null && v != { }) (builtins.mapAttrs (_: withoutNull) value)
    else if builtins.isList value then
      map withoutNull value
    else
      value;
  settings = withoutNull cfg.settings;
  textfile = settings.metrics.textfile or "";

  unchecked = format.generate "nodedns.toml" settings;
  # What is built on one machine for another cannot be run there.
  canCheck = pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform;
  configuration =
    if cfg.checkConfig && canCheck then
      pkgs.runCommand "nodedns.toml" { toml = unchecked; } ''
        ${program} config check --config "$toml"
        cp "$toml" "$out"
      ''
    else
      unchecked;

  # What a reload takes up; a running daemon refuses a file in which anything else has changed.
  reloaded = [
    "addresses"
    "prune"
    "record"
    "resync"
    "settle"
    "settle_max"
    "signals"
  ];
  settled = withoutNull (
    removeAttrs settings reloaded
    // {
      kubernetes = removeAttrs (settings.kubernetes or { }) [ "label_selector" ];
      survivors = removeAttrs (settings.survivors or { }) [ "grace" ];
    }
  );

  # What both services are.
  common = {
    User = "nodedns";
    Group = "nodedns";
    StateDirectory = "nodedns";
    StateDirectoryMode = "0750";
    EnvironmentFile = [
      "-/etc/nodedns/environment"
    ]
    ++ lib.optional (cfg.environmentFile != null) (toString cfg.environmentFile);
    LoadCredentialEncrypted = credentials.encrypted;
    # One that is missing is nothing to tell the journal of at every start.
    LogFilterPatterns = "~^Couldn.t read inherited credential";
  }
  // hardening;
in
{
  options.services.nodedns = {
    enable = lib.mkEnableOption "nodedns, which keeps this node's own record sets in Route 53 true to its addresses and health";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./package.nix { }";
      description = "The package of nodedns.";
    };

    settings = mkOption {
      type = import ./settings.nix {
        inherit lib format;
        isNode = config.services.k3s.enable || config.services.rke2.enable || kubelet.enable;
      };
      default = { };
      description = ''
        The configuration, key by key as in nodedns.toml(5): `record` is a list of its `[[record]]`.
        It is in the Nix store, which everybody can read; nothing in it is secret.
      '';
    };

    checkConfig = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether `nodedns config check` judges the configuration when the system is built. To be
        switched off where `NODEDNS_*` variables in {option}`services.nodedns.environmentFile` or
        files in {file}`/etc/nodedns/nodedns.toml.d` make it whole.
      '';
    };

    awsCredentialsFile = secretPath "The AWS credentials, a file like {file}`~/.aws/credentials`.";

    awsCredentialsEncryptedFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      description = ''
        The same, encrypted by
        `systemd-creds encrypt --name=nodedns.aws-credentials.encrypted credentials FILE` on this
        very machine. This one may be a file of the configuration.
      '';
    };

    awsConfigFile = secretPath "The AWS configuration, a file like {file}`~/.aws/config`, for example with a `credential_process`.";

    environmentFile = secretPath ''
      A file with `AWS_*` and `NODEDNS_*` variables, where files do not do. The service does not
      start without it, and only a restart reads it again.
    '';

    prune = identity "an administrator, as a kubelet may not list nodes" "/etc/rancher/k3s/k3s.yaml" // {
      enable = lib.mkEnableOption "`nodedns prune --yes` now and then, which removes what nodes that are gone have left";

      startAt = mkOption {
        type = types.str;
        default = "hourly";
        description = "When, as in {manpage}`systemd.time(7)`, and up to half an hour later.";
      };
    };
  }
  // identity "another identity than the kubelet's own, which is found by itself" "/etc/rancher/k3s/k3s.yaml";

  config = lib.mkIf cfg.enable {
    assertions = import ./assertions.nix { inherit lib cfg; };

    warnings =
      lib.optional
        (
          (settings.survivors.enabled or false)
          && cfg.kubeconfig == null
          && !(settings ? kubernetes.kubeconfig)
        )
        "services.nodedns.settings.survivors.enabled: a kubelet may not read all nodes; name a kubeconfig whose identity may in services.nodedns.kubeconfig.";

    environment.systemPackages = [ cfg.package ];
    environment.etc."nodedns/nodedns.toml".source = configuration;

    # A static user: dbus-daemon turns dynamic ones away, and then a shutdown could not be told
    # from a restart. Who is in the group may look at the daemon's status.
    users.users.nodedns = {
      isSystemUser = true;
      group = "nodedns";
      description = "nodedns";
      home = "/var/lib/nodedns";
    };
    users.groups.nodedns = { };

    systemd.tmpfiles.rules = credentials.links;

    systemd.services.nodedns = {
      description = "Keep this node's record sets in Route 53";
      documentation = [
        "man:nodedns(8)"
        "man:nodedns.toml(5)"
      ];
      # See systemd/nodedns.service for the reasons. On NixOS, k3s is k3s.service in every role, and
      # who comes after network-online.target has to want it: a link that does not come up would
      # hold up the boot. network.target has the daemon stop before the network goes just as well.
      after = [
        "network.target"
        "nss-lookup.target"
        "dbus.service"
        "k3s.service"
        "k3s-agent.service"
        "rke2-server.service"
        "rke2-agent.service"
        "kubelet.service"
        "nodedns-credentials.path"
      ];
      wants = [ "nodedns-credentials.path" ];
      wantedBy = [ "multi-user.target" ];
      unitConfig.StartLimitIntervalSec = 0;
      # Restarted in one go, rather than down for as long as the system is switched.
      stopIfChanged = false;
      reloadTriggers = [ configuration ];
      restartTriggers = [ (pkgs.writeText "nodedns-settled.json" (builtins.toJSON settled)) ];
      serviceConfig = common // {
        Type = "notify";
        ExecStart = "${program} run";
        ExecReload = [
          "${program} config check"
          "${pkgs.coreutils}/bin/kill -HUP $MAINPID"
        ];
        WatchdogSec = "60s";
        Restart = "on-failure";
        RestartSec = "5s";
        RestartPreventExitStatus = "64 78";
        RuntimeDirectory = "nodedns";
        LoadCredential = credentials.ofDaemon;
      }
      // lib.optionalAttrs (textfile != "") {
        # Without the directory the daemon starts all the same, and warns.
        ReadWritePaths = [ "-${builtins.dirOf textfile}" ];
      };
    };

    systemd.paths.nodedns-credentials = {
      description = "Notice that the credentials of nodedns have changed";
      documentation = [ "man:nodedns(8)" ];
      unitConfig.StopWhenUnneeded = true;
      # An option may name a file that is watched anyhow.
      pathConfig.PathChanged = lib.unique credentials.watched;
    };

    systemd.services.nodedns-credentials = {
      description = "Start nodedns again with its new credentials";
      documentation = [ "man:nodedns(8)" ];
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig = {
        Type = "oneshot";
        ExecStartPre = "${pkgs.coreutils}/bin/sleep 2";
        SuccessExitStatus = "SIGTERM";
        ExecStart = "${config.systemd.package}/bin/systemctl --no-block try-restart nodedns.service";
      }
      # It speaks to systemd, as root.
      // removeAttrs hardening [
        "PrivateIPC"
        "PrivateUsers"
        "ProcSubset"
        "ProtectProc"
        "RemoveIPC"
      ]
      // {
        PrivateNetwork = true;
        RestrictAddressFamilies = "AF_UNIX";
      };
    };

    systemd.services.nodedns-prune = lib.mkIf cfg.prune.enable {
      description = "Remove what nodes that are gone have left in Route 53";
      documentation = [ "man:nodedns-prune(1)" ];
      after = [
        "network-online.target"
        "nss-lookup.target"
      ];
      wants = [ "network-online.target" ];
      serviceConfig = common // {
        Type = "oneshot";
        ExecStart = "${program} prune --yes";
        LoadCredential = credentials.ofPrune;
      };
    };

    systemd.timers.nodedns-prune = lib.mkIf cfg.prune.enable {
      description = "Remove now and then what nodes that are gone have left in Route 53";
      documentation = [ "man:nodedns-prune(1)" ];
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnCalendar = cfg.prune.startAt;
        RandomizedDelaySec = "30min";
        FixedRandomDelay = true;
        Persistent = true;
      };
    };
  };
}
