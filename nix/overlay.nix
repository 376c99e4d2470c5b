# pkgs.nodedns, and the simulator that test.nix runs beside it.
final: _: {
  nodedns = final.callPackage ./package.nix { };
  route53-sim = final.callPackage ./simulator.nix { };
}
