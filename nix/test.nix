# Two virtual machines, a k3s server and a k3s agent, both with nodedns; Route 53 is the simulator,
# on the server. `nix-build nix -A test`, or `nix flake check`.
{
  lib,
  testers,
  route53-sim,
}:

let
  zone = "Z0123456789ABC";
  simulatorPort = 4580;
  recordOf = weight: [
    {
      name = "edge.example.com";
      zone_id = zone;
      class = "private";
      types = [ "A" ];
      keep_min = 0;
      routing = {
        policy = "weighted";
        inherit weight;
      };
    }
  ];

  common =
    { nodes, ... }:
    {
      imports = [ ./module.nix ];

      virtualisation.memorySize = 2048;
      virtualisation.diskSize = 4096;
      networking.firewall.enable = false;

      services.nodedns = {
        enable = true;
        # Not there at first: the test writes it.
        awsCredentialsFile = "/var/lib/secrets/aws";
        settings = {
          cluster = "lab";
          resync = "10s";
          addresses.include_interfaces = [ "eth1" ];
          route53.endpoint_url = "http://${nodes.server.networking.primaryIPAddress}:${toString simulatorPort}";
          record = recordOf 10;
        };
      };

      users.users.alice = {
        isNormalUser = true;
        extraGroups = [ "nodedns" ];
      };
      users.users.bob.isNormalUser = true;
    };

  # Only what makes a Node Ready, as no image can be pulled here.
  flagsOf =
    node: disabled:
    [
      "--node-ip=${node.networking.primaryIPAddress}"
      "--flannel-iface=eth1"
    ]
    ++ map (what: "--disable=${what}") disabled;
in
testers.runNixOSTest {
  name = "nodedns";

  nodes.server =
    { nodes, ... }:
    {
      imports = [ common ];

      services.k3s = {
        enable = true;
        role = "server";
        token = "of-the-test";
        extraFlags = flagsOf nodes.server [
          "coredns"
          "local-storage"
          "metrics-server"
          "servicelb"
          "traefik"
        ];
      };

      systemd.services.route53-sim = {
        wantedBy = [ "multi-user.target" ];
        serviceConfig.ExecStart = "${lib.getExe route53-sim} --listen 0.0.0.0:${toString simulatorPort} --zone example.com=${zone}";
      };
    };

  nodes.agent =
    { nodes, ... }:
    {
      imports = [ common ];

      services.k3s = {
        enable = true;
        role = "agent";
        token = "of-the-test";
        serverAddr = "https://${nodes.server.networking.primaryIPAddress}:6443";
        extraFlags = flagsOf nodes.agent [ ];
      };

      # What a reload takes up, and what it does not.
      specialisation.heavier.configuration.services.nodedns.settings.record = lib.mkForce (recordOf 99);
      specialisation.louder.configuration.services.nodedns.settings.log.level = "debug";
    };

  testScript = ''
    import json
    import time

    SIMULATOR = "http://127.0.0.1:${toString simulatorPort}/_sim"
    HOSTS = [server, agent]


    def simulator(path):
        return json.loads(server.succeed(f"curl -sSf '{SIMULATOR}/{path}'"))


    def pool():
        """Each node in the pool with its weight."""
        sets = simulator("zones/${zone}/record-sets")
        return {s["set_identifier"].removeprefix("nodedns/v1/lab/"): s["weight"] for s in sets if "set_identifier" in s}


    def becomes(wanted):
        for _ in range(180):
            if pool() == wanted:
                return
            time.sleep(1)
        raise AssertionError(f"the pool is {pool()} and should be {wanted}")


    def changes():
        asked = simulator("requests?after=0")
        return sum(r["operation"] == "ChangeResourceRecordSets" for r in asked)


    def pid(host):
        return host.succeed("systemctl show --property=MainPID --value nodedns.service").strip()


    start_all()
    server.wait_for_unit("route53-sim.service")
    server.wait_for_open_port(${toString simulatorPort})
    server.wait_for_unit("k3s.service")
    agent.wait_for_unit("k3s.service")
    for host in HOSTS:
        server.wait_until_succeeds(f"k3s kubectl wait --for=condition=Ready --timeout=1s node/{host.name}")

    with subtest("Without credentials the service is there, and nothing is published"):
        for host in HOSTS:
            host.wait_for_unit("nodedns.service")
            host.wait_until_succeeds("nodedns status; test $? -eq 2")
        assert pool() == {}

    with subtest("Credentials that appear are taken up"):
        for host in HOSTS:
            host.succeed(
                "mkdir -p -m 0700 /var/lib/secrets",
                "printf '[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = x\n' > /var/lib/secrets/new",
                "chmod 0400 /var/lib/secrets/new",
                "mv /var/lib/secrets/new /var/lib/secrets/aws",
            )
        becomes({"server": 10, "agent": 10})

    with subtest("The kubelet's identity is used, for a server and an agent"):
        for host in HOSTS:
            status = json.loads(host.succeed("nodedns status --output json"))
            assert status["node"] == host.name, status
            host.succeed("systemctl show --property=User --value nodedns.service | grep -x nodedns")

    with subtest("A cordoned node leaves, and comes back"):
        server.succeed("k3s kubectl cordon agent")
        becomes({"server": 10})
        server.succeed("k3s kubectl uncordon agent")
        becomes({"server": 10, "agent": 10})

    with subtest("A restart does not touch DNS"):
        before = changes()
        for host in HOSTS:
            host.succeed("systemctl restart nodedns.service")
            host.wait_for_unit("nodedns.service")
        time.sleep(15)
        assert changes() == before
        assert pool() == {"server": 10, "agent": 10}

    with subtest("Another record is reloaded, another log level restarts"):
        first = pid(agent)
        agent.succeed("/run/current-system/specialisation/heavier/bin/switch-to-configuration test")
        becomes({"server": 10, "agent": 99})
        assert pid(agent) == first
        agent.succeed("/run/booted-system/specialisation/louder/bin/switch-to-configuration test")
        becomes({"server": 10, "agent": 10})
        assert pid(agent) != first

    with subtest("Who may look, and who may drain"):
        agent.succeed("runuser -u alice -- nodedns status")
        agent.fail("runuser -u bob -- nodedns status")
        agent.fail("runuser -u alice -- nodedns drain")
        assert pool() == {"server": 10, "agent": 10}

    with subtest("The service is as hardened as the others"):
        agent.succeed("systemd-analyze security --threshold=15 nodedns.service")

    with subtest("A shutdown leaves DNS before the network stops"):
        agent.shutdown()
        becomes({"server": 10})
  '';
}
