# nodedns, built as the other packages are: profile dist, locked.
{
  lib,
  rustPlatform,
  installShellFiles,
}:

let
  manifest = lib.importTOML ../Cargo.toml;
in
rustPlatform.buildRustPackage {
  pname = manifest.package.name;
  inherit (manifest.package) version;

  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../Cargo.lock
      ../Cargo.toml
      ../LICENSE-APACHE
      ../LICENSE-MIT
      ../man
      ../packaging
      ../src
      ../systemd
      ../tests
    ];
  };
  cargoLock.lockFile = ../Cargo.lock;

  buildType = "dist";
  cargoBuildFlags = [
    "--package=nodedns"
    "--bin=nodedns"
  ];

  # What decides, and the configuration: the rest of the tests asks for network namespaces, root,
  # a system bus or a Debian, and is run where those are.
  checkType = "debug";
  cargoTestFlags = [
    "--package=nodedns"
    "--test=it"
  ];
  checkFlags = [
    "layers::"
    "plan_checks::"
    "plan_props::"
    "plan_table::"
    "registry::"
    "select::"
    "signal_table::"
  ];

  nativeBuildInputs = [ installShellFiles ];
  # The units are made by module.nix: those in systemd/ have other paths.
  postInstall = ''
    installManPage man/*.[158]
    installShellCompletion --cmd nodedns \
      --bash packaging/completions/nodedns.bash \
      --fish packaging/completions/nodedns.fish \
      --zsh packaging/completions/_nodedns
    install -Dm444 -t "$out/share/doc/nodedns" packaging/nodedns.toml packaging/nodedns.schema.json
    install -Dm444 -t "$out/share/doc/nodedns/examples/prometheus" packaging/prometheus/nodedns.rules.yml
    install -Dm444 -t "$out/share/doc/nodedns/examples/grafana" packaging/grafana/nodedns.json
    install -Dm444 -t "$out/share/licenses/nodedns" LICENSE-*
  '';

  doInstallCheck = true;
  installCheckPhase = ''
    runHook preInstallCheck
    "$out/bin/nodedns" --version | grep -F ${manifest.package.version}
    printf '%s\n' 'cluster = "home"' '[[record]]' 'name = "edge.example.com"' 'zone_id = "Z0123456789ABC"' > nodedns.toml
    "$out/bin/nodedns" config check --config nodedns.toml
    runHook postInstallCheck
  '';

  meta = {
    inherit (manifest.package) description;
    license = with lib.licenses; [
      asl20
      mit
    ];
    mainProgram = "nodedns";
    platforms = lib.platforms.linux;
  };
}
