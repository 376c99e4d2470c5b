# What the types cannot say: each with what is wrong and what to do.
{ lib, cfg }:

let
  inStore = path: builtins.isPath path || lib.hasPrefix "${builtins.storeDir}/" (toString path);

  secrets = {
    inherit (cfg)
      kubeconfig
      kubeClientCertificate
      kubeClientKey
      kubeCertificateAuthority
      awsCredentialsFile
      awsConfigFile
      environmentFile
      ;
    "prune.kubeconfig" = cfg.prune.kubeconfig;
    "prune.kubeClientCertificate" = cfg.prune.kubeClientCertificate;
    "prune.kubeClientKey" = cfg.prune.kubeClientKey;
    "prune.kubeCertificateAuthority" = cfg.prune.kubeCertificateAuthority;
  };

  outOfTheStore = lib.mapAttrsToList (name: path: {
    assertion = path == null || !inStore path;
    message =
      "services.nodedns.${name} is "
      + (if builtins.isPath path then "a file of the configuration" else "a file in the Nix store")
      + ", which everybody on the machine can read. Put it on the machine by other means"
      + " (sops-nix, agenix, by hand), and give its path there in quotes, like \"/run/secrets/x\".";
  }) secrets;

  pairs = name: identity: [
    {
      assertion = (identity.kubeClientCertificate == null) == (identity.kubeClientKey == null);
      message = "services.nodedns.${name}kubeClientCertificate and ${name}kubeClientKey go together: set both, or none.";
    }
    {
      assertion =
        identity.kubeconfig != null
        || (identity.kubeClientCertificate == null && identity.kubeCertificateAuthority == null);
      message =
        "services.nodedns.${name}kubeClientCertificate, ${name}kubeClientKey and ${name}kubeCertificateAuthority"
        + " stand for files that a kubeconfig names: set services.nodedns.${name}kubeconfig as well.";
    }
  ];
in
outOfTheStore
++ pairs "" cfg
++ pairs "prune." cfg.prune
++ [
  {
    assertion = cfg.settings.record != [ ];
    message =
      "services.nodedns.settings.record is empty: nothing would be published. Give at least one,"
      + " like { name = \"edge.example.com\"; zone_id = \"Z0123456789ABC\"; }.";
  }
  {
    # The daemon would say so as well, but the unit takes the directory from it.
    assertion =
      builtins.elem cfg.settings.metrics.textfile [
        null
        ""
      ]
      || builtins.match "/.*[^/][.]prom" cfg.settings.metrics.textfile != null;
    message =
      "services.nodedns.settings.metrics.textfile names no file that node_exporter would read: give its"
      + " whole path, which ends in .prom, like \"/var/lib/node-exporter/nodedns.prom\".";
  }
  {
    assertion = cfg.awsCredentialsFile == null || cfg.awsCredentialsEncryptedFile == null;
    message =
      "services.nodedns.awsCredentialsFile and services.nodedns.awsCredentialsEncryptedFile are the"
      + " same thing, plain and encrypted: set one of them.";
  }
  {
    assertion = cfg.kubeconfig == null || cfg.settings.kubernetes.enabled != false;
    message =
      "services.nodedns.kubeconfig is set, and services.nodedns.settings.kubernetes.enabled = false"
      + " says not to use it: drop one of them.";
  }
  {
    assertion = cfg.kubeconfig == null || cfg.settings.kubernetes.kubeconfig == null;
    message =
      "services.nodedns.kubeconfig and services.nodedns.settings.kubernetes.kubeconfig name a"
      + " kubeconfig each. Keep the first: systemd reads it as root, and hands it to the service.";
  }
  {
    assertion = !cfg.prune.enable || cfg.prune.kubeconfig != null;
    message =
      "services.nodedns.prune needs an identity that may list nodes, which a kubelet's may not: set"
      + " services.nodedns.prune.kubeconfig, on a k3s server to \"/etc/rancher/k3s/k3s.yaml\".";
  }
]
