# The options of NixOS that nix/module.nix reads and sets, by name and with their types.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit type default; };
  maybe = type: option (types.nullOr type) null;
  some = option (types.listOf types.str) [ ];
  # What a section of a unit may hold: a value, or a list of what is said again and again.
  section =
    let
      value = types.oneOf [
        types.bool
        types.int
        types.float
        types.str
        types.path
      ];
    in
    option (types.attrsOf (types.either value (types.listOf value))) { };
  units =
    options:
    option (types.attrsOf (
      types.submodule {
        options = {
          description = maybe types.str;
          documentation = some;
          after = some;
          wants = some;
          wantedBy = some;
          unitConfig = section;
        }
        // options;
      }
    )) { };
  dangling =
    service:
    let
      among = builtins.elem "network-online.target";
    in
    among service.after && !among service.wants;
  rancher = {
    enable = option types.bool false;
    role = option (types.enum [
      "server"
      "agent"
    ]) "server";
    serverAddr = option types.str "";
    tokenFile = maybe types.path;
  };
in
{
  options = {
    assertions = option (types.listOf types.unspecified) [ ];
    warnings = some;

    environment.systemPackages = option (types.listOf types.package) [ ];
    environment.etc = option (types.attrsOf (
      types.submodule { options.source = mkOption { type = types.path; }; }
    )) { };

    users.users = option (types.attrsOf (
      types.submodule {
        options = {
          isSystemUser = option types.bool false;
          group = option types.str "";
          description = option types.str "";
          home = option types.path "/var/empty";
        };
      }
    )) { };
    users.groups = option (types.attrsOf (types.submodule { options = { }; })) { };

    systemd.package = option types.package pkgs.systemd;
    systemd.tmpfiles.rules = some;
    systemd.paths = units { pathConfig = section; };
    systemd.timers = units { timerConfig = section; };
    systemd.services = units {
      serviceConfig = section;
      stopIfChanged = option types.bool true;
      reloadTriggers = option (types.listOf types.unspecified) [ ];
      restartTriggers = option (types.listOf types.unspecified) [ ];
    };

    services.k3s = rancher;
    services.rke2 = rancher;
    services.kubernetes.kubelet = {
      enable = option types.bool false;
      kubeconfig = {
        server = option types.str "http://127.0.0.1:8080";
        caFile = maybe types.path;
        certFile = maybe types.path;
        keyFile = maybe types.path;
      };
    };
  };

  # What NixOS itself has to say against a service, at every rebuild.
  config.warnings = map (
    name: "${name}.service is ordered after 'network-online.target' but doesn't depend on it"
  ) (builtins.attrNames (lib.filterAttrs (_: dangling) config.systemd.services));
}
