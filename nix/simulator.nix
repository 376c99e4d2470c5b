# The Route 53 simulator, for test.nix.
{ lib, rustPlatform }:

let
  manifest = lib.importTOML ../tests/route53-sim/Cargo.toml;
in
rustPlatform.buildRustPackage {
  pname = manifest.package.name;
  inherit (manifest.package) version;

  src = lib.fileset.toSource {
    root = ../.;
    # The workspace is one, so the manifest of nodedns and what it names are needed as well.
    fileset = lib.fileset.unions [
      ../Cargo.lock
      ../Cargo.toml
      ../src
      ../tests
    ];
  };
  cargoLock.lockFile = ../Cargo.lock;
  cargoBuildFlags = [ "--package=route53-sim" ];
  # It is itself a test, and its own tests are in the workspace's.
  doCheck = false;

  meta = {
    inherit (manifest.package) description;
    license = with lib.licenses; [
      asl20
      mit
    ];
    mainProgram = "route53-sim";
    platforms = lib.platforms.linux;
  };
}
