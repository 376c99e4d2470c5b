# Without flakes: `nix-build nix -A nodedns`, `nix-build nix -A test`.
{
  pkgs ? import <nixpkgs> { },
}:

let
  packages = pkgs.extend (import ./overlay.nix);
in
{
  inherit (packages) nodedns route53-sim;
  module = ./module.nix;
  overlay = import ./overlay.nix;
  test = packages.callPackage ./test.nix { };
}
