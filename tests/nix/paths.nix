# The options of nix/module.nix that take a path, by their names below services.nodedns.
{
  libPath ? ./lib.nix,
}:

let
  lib = import libPath;
  module = import ../../nix/module.nix {
    inherit lib;
    pkgs = import ./pkgs.nix { inherit lib; };
    config = throw "which options there are does not depend on what is configured";
  };
  paths =
    prefix: options:
    builtins.concatLists (
      lib.mapAttrsToList (
        name: option:
        if option._type or null != "option" then
          paths "${prefix}${name}." option
        else
          lib.optional (
            option.type.description == (lib.types.nullOr lib.types.path).description
          ) "${prefix}${name}"
      ) options
    );
in
builtins.sort builtins.lessThan (paths "" module.options.services.nodedns)
