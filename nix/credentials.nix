# Where the services have their credentials from.
#
# systemd looks for a credential without a path in /etc/credstore and /run/credstore, and does
# without it where it is in neither: so the service starts also before k3s has ever run, and before
# there are secrets. What the options name is linked there, under names that nothing else has.
{
  lib,
  pkgs,
  cfg,
  kubelet,
}:

let
  given = lib.filterAttrs (_: path: path != null);
  isOutOfStore = path: !builtins.isPath path && !lib.hasPrefix builtins.storeDir (toString path);

  ofIdentity = identity: {
    "kubeconfig" = identity.kubeconfig;
    "kube-client.crt" = identity.kubeClientCertificate;
    "kube-client.key" = identity.kubeClientKey;
    "kube-ca.crt" = identity.kubeCertificateAuthority;
  };

  # The kubelet of services.kubernetes has its kubeconfig in the store, where there is no name for
  # it; one with the same content is as good. No secret is in it, only where the secrets are.
  ofKubelet =
    let
      inherit (kubelet.kubeconfig)
        server
        caFile
        certFile
        keyFile
        ;
    in
    {
      "kubeconfig" = pkgs.writeText "nodedns-kubeconfig" (
        builtins.toJSON {
          apiVersion = "v1";
          kind = "Config";
          current-context = "kubelet";
          contexts = [
            {
              name = "kubelet";
              context = {
                cluster = "local";
                user = "kubelet";
              };
            }
          ];
          clusters = [
            {
              name = "local";
              cluster = {
                inherit server;
                certificate-authority = caFile;
              };
            }
          ];
          users = [
            {
              name = "kubelet";
              user = {
                client-certificate = certFile;
                client-key = keyFile;
              };
            }
          ];
        }
      );
      "kube-client.crt" = certFile;
      "kube-client.key" = keyFile;
      "kube-ca.crt" = caFile;
    };

  kubernetes = given (if cfg.kubeconfig == null && kubelet.enable then ofKubelet else ofIdentity cfg);
  aws = given {
    "aws-credentials" = cfg.awsCredentialsFile;
    "aws-config" = cfg.awsConfigFile;
  };
  encrypted = given { "nodedns.aws-credentials.encrypted" = cfg.awsCredentialsEncryptedFile; };
  prune = lib.optionalAttrs cfg.prune.enable (given (ofIdentity cfg.prune));

  # The kubelet's own identity, where k3s, RKE2 and kubeadm keep it.
  wellKnown = {
    "k3s.kubeconfig" = "/var/lib/rancher/k3s/agent/kubelet.kubeconfig";
    "k3s.kube-client.crt" = "/var/lib/rancher/k3s/agent/client-kubelet.crt";
    "k3s.kube-client.key" = "/var/lib/rancher/k3s/agent/client-kubelet.key";
    "k3s.kube-ca.crt" = "/var/lib/rancher/k3s/agent/server-ca.crt";
    "rke2.kubeconfig" = "/var/lib/rancher/rke2/agent/kubelet.kubeconfig";
    "rke2.kube-client.crt" = "/var/lib/rancher/rke2/agent/client-kubelet.crt";
    "rke2.kube-client.key" = "/var/lib/rancher/rke2/agent/client-kubelet.key";
    "rke2.kube-ca.crt" = "/var/lib/rancher/rke2/agent/server-ca.crt";
    "kubeadm.kubeconfig" = "/etc/kubernetes/kubelet.conf";
    "kubeadm.kube-client.crt" = "/var/lib/kubelet/pki/kubelet-client-current.pem";
    "kubeadm.kube-client.key" = "/var/lib/kubelet/pki/kubelet-client-current.pem";
  };

  load =
    prefix: given:
    map (id: "${id}:${prefix}${lib.optionalString (given ? ${id}) "nixos."}${id}");
  kubernetesIds = builtins.attrNames (ofIdentity cfg);
  awsLines = load "nodedns." aws [
    "aws-credentials"
    "aws-config"
  ];

  link =
    kind: directory: prefix:
    lib.mapAttrsToList (id: path: "${kind} ${directory}/${prefix}${id} - - - - ${path}");
in
{
  ofDaemon =
    load "nodedns." kubernetes kubernetesIds
    ++ awsLines
    ++ load "nodedns." { } (builtins.attrNames wellKnown);

  ofPrune = load "nodedns-prune." prune kubernetesIds ++ awsLines;

  # The name is part of what is encrypted, so this one is the same everywhere.
  encrypted = map (
    id: if encrypted ? ${id} then "${id}:nodedns.nixos.${id}" else id
  ) [ "nodedns.aws-credentials.encrypted" ];

  # `L+` for what the options name: it may be another file the next time.
  links = [
    "d /etc/credstore 0700 root root -"
    "d /etc/credstore.encrypted 0700 root root -"
    "d /run/credstore 0700 root root -"
  ]
  ++ link "L" "/run/credstore" "nodedns." wellKnown
  ++ link "L+" "/run/credstore" "nodedns.nixos." (kubernetes // aws)
  ++ link "L+" "/run/credstore" "nodedns-prune.nixos." prune
  ++ lib.optional (encrypted != { }) "d /run/credstore.encrypted 0700 root root -"
  ++ link "L+" "/run/credstore.encrypted" "nodedns.nixos." encrypted;

  # What, when it has changed, the daemon is started again for. What is in the store changes with
  # the system only.
  watched = [
    # k3s and RKE2 write new files at every start, one after the other; the kubelet of kubeadm
    # swings a link, which is seen in the directory alone.
    "/var/lib/rancher/k3s/agent/kubelet.kubeconfig"
    "/var/lib/rancher/k3s/agent/client-kubelet.crt"
    "/var/lib/rancher/k3s/agent/client-kubelet.key"
    "/var/lib/rancher/k3s/agent/server-ca.crt"
    "/var/lib/rancher/rke2/agent/kubelet.kubeconfig"
    "/var/lib/rancher/rke2/agent/client-kubelet.crt"
    "/var/lib/rancher/rke2/agent/client-kubelet.key"
    "/var/lib/rancher/rke2/agent/server-ca.crt"
    "/etc/kubernetes/kubelet.conf"
    "/var/lib/kubelet/pki"
    "/etc/credstore"
    "/etc/credstore.encrypted"
  ]
  ++ map (id: "/etc/credstore/nodedns.${id}") (
    kubernetesIds
    ++ [
      "aws-credentials"
      "aws-config"
    ]
  )
  ++ [
    "/etc/credstore.encrypted/nodedns.aws-credentials.encrypted"
    # What a link there most often leads to, and may come later than the link.
    "/etc/rancher/k3s/k3s.yaml"
    "/etc/rancher/rke2/rke2.yaml"
    "/etc/kubernetes/admin.conf"
  ]
  ++ map toString (
    builtins.filter isOutOfStore (
      builtins.attrValues (kubernetes // aws // encrypted)
      ++ lib.optional (cfg.environmentFile != null) cfg.environmentFile
    )
  );
}
