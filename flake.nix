# Everything is in nix/, and can be had without flakes: see nix/default.nix and nix/module.nix.
{
  description = "DNS for the nodes of bare-metal and hybrid Kubernetes";

  # Rust as new as Cargo.toml asks for.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      each =
        f:
        nixpkgs.lib.genAttrs [
          "x86_64-linux"
          "aarch64-linux"
        ] (system: f (import ./nix { pkgs = nixpkgs.legacyPackages.${system}; }));
    in
    {
      packages = each (built: {
        inherit (built) nodedns route53-sim;
        default = built.nodedns;
      });
      nixosModules.default = ./nix/module.nix;
      overlays.default = import ./nix/overlay.nix;
      checks = each (built: {
        inherit (built) nodedns test;
      });
    };
}
