# What nix/module.nix makes of one of the configurations in cases.nix, or of another.
{
  # The real `lib` of nixpkgs in place of the stand-in.
  libPath ? ./lib.nix,
  case ? null,
  configuration ? (import ./cases.nix).${case},
}:

let
  lib = import libPath;
  pkgs = import ./pkgs.nix { inherit lib; };
  inherit
    (lib.evalModules {
      specialArgs = { inherit pkgs; };
      modules = [
        ./nixos.nix
        ../../nix/module.nix
        configuration
      ];
    })
    config
    ;

  # A derivation as what it was made of.
  told =
    value:
    if builtins.isAttrs value then
      if value ? recorded then
        builtins.mapAttrs (_: told) value.recorded
      else
        builtins.mapAttrs (_: told) (lib.filterAttrs (_: v: v != null && v != [ ]) value)
    else if builtins.isList value then
      map told value
    else if builtins.isPath value then
      toString value
    else
      value;

  failed = map (one: one.message) (builtins.filter (one: !one.assertion) config.assertions);
in
# As NixOS does it: where an assertion fails nothing else is looked at.
if failed != [ ] then
  { assertions = failed; }
else
  told {
    inherit (config) warnings;
    inherit (config.environment) etc systemPackages;
    inherit (config.users) users groups;
    inherit (config.systemd) services paths timers;
    tmpfiles = config.systemd.tmpfiles.rules;
  }
