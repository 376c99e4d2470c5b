# What can be said of the files that need nixpkgs, without it: they are called with stand-ins that
# only remember what they were given.
{
  libPath ? ./lib.nix,
}:

let
  base = import libPath;
  lib = base // {
    importTOML = path: builtins.fromTOML (builtins.readFile path);
    fileset.unions = paths: paths;
    fileset.toSource = { root, fileset }: {
      root = toString root;
      fileset = map toString fileset;
    };
    licenses = {
      asl20 = "Apache-2.0";
      mit = "MIT";
    };
    platforms.linux = [ "linux" ];
    mkForce = value: value;
    genAttrs =
      names: f:
      builtins.listToAttrs (
        map (name: {
          inherit name;
          value = f name;
        }) names
      );
  };

  arguments = {
    inherit lib;
    rustPlatform.buildRustPackage =
      package:
      package
      // {
        type = "derivation";
        outPath = "/built/${package.pname}";
      };
    installShellFiles = "installShellFiles";
    testers.runNixOSTest = test: test;
  };
  # `callPackage` gives a function what it names, and complains of what there is not.
  pkgsWith =
    known:
    let
      pkgs = known // {
        callPackage =
          file: _:
          let
            f = import file;
          in
          f (builtins.intersectAttrs (builtins.functionArgs f) pkgs);
        extend = overlay: pkgsWith (known // overlay pkgs pkgs);
      };
    in
    pkgs;
  pkgs = pkgsWith arguments;

  built = import ../../nix { inherit pkgs; };
  nodes.server.networking.primaryIPAddress = "192.168.1.2";
  nodes.agent.networking.primaryIPAddress = "192.168.1.1";
  # What the test says of nodedns, as a configuration for the module.
  nodedns =
    node:
    let
      stubs = import ./pkgs.nix { lib = base; };
      common = builtins.head (node { inherit nodes; }).imports { inherit nodes; };
      inherit
        (base.evalModules {
          specialArgs.pkgs = stubs;
          modules = [
            ./nixos.nix
            ../../nix/module.nix
            { services = { inherit (common.services) nodedns; }; }
          ];
        })
        config
        ;
    in
    {
      failed = map (one: one.message) (builtins.filter (one: !one.assertion) config.assertions);
      inherit (config.environment.etc."nodedns/nodedns.toml".source.recorded.environment.toml.recorded) toml;
    };

  described =
    package:
    removeAttrs package [
      "outPath"
      "type"
    ]
    // {
      cargoLock.lockFile = toString package.cargoLock.lockFile;
    };

  outputs = (import ../../flake.nix).outputs {
    self = throw "the flake has no use for itself";
    nixpkgs = {
      inherit lib;
      legacyPackages.x86_64-linux = pkgs;
      legacyPackages.aarch64-linux = pkgs;
    };
  };
in
{
  package = described built.nodedns;
  simulator = described built.route53-sim;
  module = toString built.module;
  test = {
    inherit (built.test) name testScript;
    nodes = builtins.mapAttrs (_: nodedns) built.test.nodes;
    simulator =
      (built.test.nodes.server { inherit nodes; }).systemd.services.route53-sim.serviceConfig.ExecStart;
  };
  flake = {
    packages = builtins.mapAttrs (_: builtins.mapAttrs (_: package: package.pname)) outputs.packages;
    checks = builtins.mapAttrs (_: builtins.mapAttrs (_: check: check.pname or check.name)) outputs.checks;
    module = toString outputs.nixosModules.default;
    overlay = builtins.attrNames (outputs.overlays.default pkgs pkgs);
  };
}
