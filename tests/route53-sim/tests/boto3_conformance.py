"""Drives the simulator with boto3, unmodified.

Where to find it is in the environment: AWS_ENDPOINT_URL_ROUTE_53 and
AWS_ENDPOINT_URL_STS for boto3, ROUTE53_SIM for its admin endpoint, and
ROUTE53_SIM_ZONE for the id of the zone example.com.
"""

import json
import os
import time
import unittest
import urllib.request
import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.parsers import ResponseParserError

ADMIN = os.environ["ROUTE53_SIM"] + "/_sim/"
ZONE = os.environ["ROUTE53_SIM_ZONE"]
OWN = ["example.com."]


def client(attempts=1):
    retries = {"total_max_attempts": attempts, "mode": "standard"}
    return boto3.client("route53", config=Config(retries=retries, read_timeout=5))


def admin(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(ADMIN + path, data=data, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def record(name, value="192.0.2.1", **fields):
    # On purpose not in the order of the schema.
    return {"ResourceRecords": [{"Value": value}], "TTL": 60, **fields, "Type": "A", "Name": name}


def near(name, identifier, latitude="52.52", longitude="13.41", **fields):
    at = {"Longitude": longitude, "Latitude": latitude}
    return record(name, SetIdentifier=identifier, GeoProximityLocation={**fields, "Coordinates": at})


class Case(unittest.TestCase):
    def setUp(self):
        self.route53 = client()
        admin("DELETE", "faults")
        self.options = admin("GET", "options")

    def tearDown(self):
        admin("PATCH", "options", self.options)
        admin("DELETE", "zones/" + ZONE)
        admin("POST", "zones", {"name": "example.com", "id": ZONE})

    def change(self, *changes, zone=ZONE):
        batch = {"Changes": [{"ResourceRecordSet": s, "Action": a} for a, s in changes]}
        return self.route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)

    def refused(self, code, *changes, zone=ZONE):
        with self.assertRaises(ClientError) as caught:
            self.change(*changes, zone=zone)
        error = caught.exception.response["Error"]
        self.assertEqual(code, error["Code"])
        return error["Message"]

    def sets(self, **query):
        pages = self.route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=ZONE, **query)
        return [s for page in pages for s in page["ResourceRecordSets"] if s["Name"] not in OWN]


class Zones(Case):
    def test_listing(self):
        zones = {z["Id"]: z for z in self.route53.list_hosted_zones()["HostedZones"]}
        self.assertEqual("example.com.", zones["/hostedzone/" + ZONE]["Name"])
        self.assertFalse(zones["/hostedzone/" + ZONE]["Config"]["PrivateZone"])
        self.assertTrue(zones["/hostedzone/ZPRIVATE"]["Config"]["PrivateZone"])
        pages = self.route53.get_paginator("list_hosted_zones").paginate(PaginationConfig={"PageSize": 1})
        self.assertEqual(sorted(zones), sorted(z["Id"] for page in pages for z in page["HostedZones"]))

    def test_by_name_starts_at_a_name_and_does_not_stop_there(self):
        answer = self.route53.list_hosted_zones_by_name(DNSName="example.com", MaxItems="1")
        self.assertEqual(["example.com."], [z["Name"] for z in answer["HostedZones"]])
        self.assertTrue(answer["IsTruncated"])
        self.assertEqual("internal.example.", answer["NextDNSName"])
        rest = self.route53.list_hosted_zones_by_name(
            DNSName=answer["NextDNSName"], HostedZoneId=answer["NextHostedZoneId"]
        )
        self.assertEqual(["internal.example."], [z["Name"] for z in rest["HostedZones"]])

    def test_one_zone(self):
        public = self.route53.get_hosted_zone(Id="/hostedzone/" + ZONE)
        self.assertEqual(4, len(public["DelegationSet"]["NameServers"]))
        self.assertEqual(2, public["HostedZone"]["ResourceRecordSetCount"])
        self.assertEqual(1, len(self.route53.get_hosted_zone(Id="ZPRIVATE")["VPCs"]))
        with self.assertRaises(self.route53.exceptions.NoSuchHostedZone) as caught:
            self.route53.get_hosted_zone(Id="ZNONE")
        self.assertEqual(404, caught.exception.response["ResponseMetadata"]["HTTPStatusCode"])
        self.assertEqual("No hosted zone found with ID: ZNONE", caught.exception.response["Error"]["Message"])

    def test_creation_and_deletion(self):
        reference = str(uuid.uuid4())
        created = self.route53.create_hosted_zone(Name="New.example", CallerReference=reference)
        self.assertEqual(201, created["ResponseMetadata"]["HTTPStatusCode"])
        zone = created["HostedZone"]["Id"].split("/")[-1]
        self.assertTrue(created["Location"].endswith(zone))
        with self.assertRaises(self.route53.exceptions.HostedZoneAlreadyExists):
            self.route53.create_hosted_zone(Name="new.example", CallerReference=reference)
        self.change(("CREATE", record("a.new.example")), zone=zone)
        with self.assertRaises(self.route53.exceptions.HostedZoneNotEmpty):
            self.route53.delete_hosted_zone(Id=zone)
        self.change(("DELETE", record("a.new.example")), zone=zone)
        self.route53.delete_hosted_zone(Id=zone)
        with self.assertRaises(self.route53.exceptions.NoSuchHostedZone):
            self.route53.list_resource_record_sets(HostedZoneId=zone)

    def test_limits(self):
        limit = self.route53.get_hosted_zone_limit(Type="MAX_RRSETS_BY_ZONE", HostedZoneId=ZONE)
        self.assertEqual((10000, 2), (limit["Limit"]["Value"], limit["Count"]))
        with self.assertRaises(self.route53.exceptions.HostedZoneNotPrivate):
            self.route53.get_hosted_zone_limit(Type="MAX_VPCS_ASSOCIATED_BY_ZONE", HostedZoneId=ZONE)
        limit = self.route53.get_account_limit(Type="MAX_HEALTH_CHECKS_BY_OWNER")
        self.assertEqual(200, limit["Limit"]["Value"])
        self.assertEqual(2, self.route53.get_hosted_zone_count()["HostedZoneCount"])

    def test_tags(self):
        self.route53.change_tags_for_resource(
            ResourceType="hostedzone", ResourceId=ZONE, AddTags=[{"Key": "team", "Value": "a"}, {"Key": "x", "Value": ""}]
        )
        self.route53.change_tags_for_resource(ResourceType="hostedzone", ResourceId=ZONE, RemoveTagKeys=["x"])
        one = self.route53.list_tags_for_resource(ResourceType="hostedzone", ResourceId=ZONE)["ResourceTagSet"]
        self.assertEqual([{"Key": "team", "Value": "a"}], one["Tags"])
        two = self.route53.list_tags_for_resources(ResourceType="hostedzone", ResourceIds=[ZONE, "ZPRIVATE"])
        self.assertEqual([1, 0], [len(s["Tags"]) for s in two["ResourceTagSets"]])
        with self.assertRaises(self.route53.exceptions.NoSuchHostedZone):
            self.route53.list_tags_for_resource(ResourceType="hostedzone", ResourceId="ZNONE")


class Changes(Case):
    def test_a_geoproximity_record_set_comes_back_as_it_went(self):
        answer = self.change(("UPSERT", near("Edge.example.com", "n1", Bias=-5)))
        self.assertTrue(answer["ChangeInfo"]["Id"].startswith("/change/C"))
        [stored] = self.sets()
        self.assertEqual("edge.example.com.", stored["Name"])
        location = {"Coordinates": {"Latitude": "52.52", "Longitude": "13.41"}, "Bias": -5}
        self.assertEqual(location, stored["GeoProximityLocation"])
        self.change(("DELETE", stored))
        self.assertEqual([], self.sets())

    def test_an_omitted_bias_is_listed_as_zero(self):
        self.change(("CREATE", near("edge.example.com", "n1")))
        [stored] = self.sets()
        self.assertEqual(0, stored["GeoProximityLocation"]["Bias"])
        text = self.refused("InvalidChangeBatch", ("DELETE", near("edge.example.com", "n1")))
        self.assertIn("but the values provided do not match the current values", text)
        admin("PATCH", "options", {"delete_missing_bias_matches_zero": "allow"})
        self.change(("DELETE", near("edge.example.com", "n1")))

    def test_every_policy_comes_back(self):
        health = self.route53.create_health_check(
            CallerReference=str(uuid.uuid4()), HealthCheckConfig={"Type": "TCP", "IPAddress": "8.8.8.8", "Port": 443}
        )["HealthCheck"]["Id"]
        collection = "11111111-2222-3333-4444-555555555555"
        sent = [
            record("a.example.com", SetIdentifier="s", Weight=0, HealthCheckId=health),
            record("b.example.com", SetIdentifier="s", Region="eu-central-1"),
            record("c.example.com", SetIdentifier="s", GeoLocation={"CountryCode": "US", "SubdivisionCode": "CA"}),
            record("d.example.com", SetIdentifier="s", Failover="PRIMARY", HealthCheckId=health),
            record("e.example.com", SetIdentifier="s", MultiValueAnswer=True),
            record("f.example.com", SetIdentifier="s", CidrRoutingConfig={"CollectionId": collection, "LocationName": "*"}),
            near("g.example.com", "s", Bias=0),
        ]
        target = {"HostedZoneId": ZONE, "DNSName": "a.example.com", "EvaluateTargetHealth": True}
        alias = {"Name": "h.example.com", "Type": "A", "AliasTarget": target}
        self.change(*[("CREATE", s) for s in sent], ("CREATE", alias))
        expected = [{**s, "Name": s["Name"] + "."} for s in sent]
        expected.append({**alias, "Name": "h.example.com.", "AliasTarget": {**target, "DNSName": "a.example.com."}})
        self.assertEqual(expected, self.sets())
        self.change(*[("DELETE", s) for s in reversed(self.sets())])
        self.route53.delete_health_check(HealthCheckId=health)

    def test_all_messages_come_in_one(self):
        text = self.refused(
            "InvalidChangeBatch",
            ("CREATE", record("new.example.com")),
            ("DELETE", record("a.example.com")),
            ("CREATE", record("a.example.org")),
        )
        self.assertEqual(
            "[Tried to delete resource record set [name='a.example.com.', type='A'] but it was not found, "
            "RRSet with DNS name a.example.org. is not permitted in zone example.com.]",
            text,
        )
        self.assertEqual([], self.sets())

    def test_policies_do_not_mix(self):
        self.change(("CREATE", record("w.example.com", SetIdentifier="s1", Weight=1)))
        for other in (
            record("w.example.com"),
            record("w.example.com", SetIdentifier="s2", Region="us-east-1"),
            near("w.example.com", "s2"),
            record("w.example.com", SetIdentifier="s2", Weight=1) | {"TTL": 30},
        ):
            self.refused("InvalidChangeBatch", ("UPSERT", other))
        self.assertEqual(1, len(self.sets()))

    def test_siblings_of_one_set_identifier_are_told_apart_by_type(self):
        six = {**near("edge.example.com", "n1"), "Type": "AAAA", "ResourceRecords": [{"Value": "2001:db8::1"}]}
        self.change(("CREATE", near("edge.example.com", "n1")), ("CREATE", six))
        self.change(("DELETE", next(s for s in self.sets() if s["Type"] == "A")))
        self.assertEqual(["AAAA"], [s["Type"] for s in self.sets()])

    def test_coordinates_have_two_decimals(self):
        text = self.refused("InvalidInput", ("CREATE", near("edge.example.com", "n1", latitude="40.712")))
        self.assertIn("cvc-pattern-valid: Value '40.712' is not facet-valid with respect to pattern", text)
        self.refused("InvalidInput", ("CREATE", near("edge.example.com", "n1", Bias=150)))

    def test_one_place_twice_in_both_positions(self):
        self.change(("CREATE", near("edge.example.com", "n1")))
        admin("PATCH", "options", {"geoproximity_duplicates": "reject"})
        self.refused("InvalidChangeBatch", ("CREATE", near("edge.example.com", "n2")))
        admin("PATCH", "options", {"geoproximity_duplicates": "allow"})
        self.change(("CREATE", near("edge.example.com", "n2")))

    def test_several_values_in_both_positions(self):
        several = near("edge.example.com", "n1")
        several["ResourceRecords"].append({"Value": "192.0.2.2"})
        admin("PATCH", "options", {"multi_value": "reject"})
        self.refused("InvalidChangeBatch", ("CREATE", several))
        admin("PATCH", "options", {"multi_value": "allow"})
        self.change(("CREATE", several))

    def test_thirty_and_no_more(self):
        self.change(*[("CREATE", near("edge.example.com", f"n{n}", latitude=str(n))) for n in range(30)])
        text = self.refused("InvalidChangeBatch", ("CREATE", near("edge.example.com", "n30", latitude="30")))
        self.assertEqual(
            "[Exceeded limit on number of geo-proximity RRSets for edge.example.com., type A in this zone.]", text
        )

    def test_paging_loses_nobody(self):
        self.change(*[("CREATE", record(f"n{n:03}.example.com")) for n in range(700)])
        self.change(*[("CREATE", record("pool.example.com", SetIdentifier=f"s{n:02}", Weight=1)) for n in range(90)])
        self.change(("CREATE", record("*.example.com")))
        everything = self.sets()
        self.assertEqual(791, len(everything))
        self.assertEqual("\\052.example.com.", everything[0]["Name"])
        self.assertEqual(everything, self.sets(PaginationConfig={"PageSize": 7}))
        start = self.route53.list_resource_record_sets(
            HostedZoneId=ZONE, StartRecordName="pool.example.com", StartRecordType="A", StartRecordIdentifier="s50",
            MaxItems="1",
        )
        self.assertEqual("s50", start["ResourceRecordSets"][0]["SetIdentifier"])
        self.assertEqual("s51", start["NextRecordIdentifier"])

    def test_the_waiter_sees_a_change_through(self):
        admin("PATCH", "options", {"insync_after_ms": 300})
        info = self.change(("CREATE", record("a.example.com")))["ChangeInfo"]
        self.assertEqual("PENDING", info["Status"])
        self.assertEqual("PENDING", self.route53.get_change(Id=info["Id"])["ChangeInfo"]["Status"])
        waiter = self.route53.get_waiter("resource_record_sets_changed")
        waiter.wait(Id=info["Id"], WaiterConfig={"Delay": 1, "MaxAttempts": 20})
        with self.assertRaises(self.route53.exceptions.NoSuchChange):
            self.route53.get_change(Id="C0")


class HealthChecks(Case):
    def create(self, reference=None, **config):
        config = {"Type": "HTTPS", "IPAddress": "8.8.8.8", **config}
        answer = self.route53.create_health_check(
            CallerReference=reference or str(uuid.uuid4()), HealthCheckConfig=config
        )
        self.addCleanup(self.forget, answer["HealthCheck"]["Id"])
        return answer["HealthCheck"]

    def forget(self, health):
        try:
            self.route53.delete_health_check(HealthCheckId=health)
        except self.route53.exceptions.NoSuchHealthCheck:
            pass

    def test_the_life_of_a_health_check(self):
        reference = str(uuid.uuid4())
        created = self.create(reference, Port=8443, ResourcePath="/healthz")
        self.assertEqual(created, self.create(reference, Port=8443, ResourcePath="/healthz"))
        with self.assertRaises(self.route53.exceptions.HealthCheckAlreadyExists) as caught:
            self.create(reference, Port=443)
        self.assertEqual(409, caught.exception.response["ResponseMetadata"]["HTTPStatusCode"])
        health = created["Id"]
        updated = self.route53.update_health_check(
            HealthCheckId=health, HealthCheckVersion=1, IPAddress="8.8.4.4", ResetElements=["ResourcePath"]
        )["HealthCheck"]
        self.assertEqual(2, updated["HealthCheckVersion"])
        self.assertNotIn("ResourcePath", updated["HealthCheckConfig"])
        with self.assertRaises(self.route53.exceptions.HealthCheckVersionMismatch):
            self.route53.update_health_check(HealthCheckId=health, HealthCheckVersion=1, Port=1)
        self.assertEqual(updated, self.route53.get_health_check(HealthCheckId=health)["HealthCheck"])
        self.route53.delete_health_check(HealthCheckId=health)
        with self.assertRaises(self.route53.exceptions.NoSuchHealthCheck):
            self.route53.get_health_check(HealthCheckId=health)
        with self.assertRaises(self.route53.exceptions.HealthCheckAlreadyExists):
            self.create(reference, Port=8443, ResourcePath="/healthz")

    def test_listing(self):
        made = sorted(self.create()["Id"] for _ in range(5))
        pages = self.route53.get_paginator("list_health_checks").paginate(PaginationConfig={"PageSize": 2})
        self.assertEqual(made, [check["Id"] for page in pages for check in page["HealthChecks"]])
        self.assertEqual(5, self.route53.get_health_check_count()["HealthCheckCount"])

    def test_status(self):
        health = self.create(Regions=["us-east-1", "eu-west-1", "sa-east-1"])["Id"]
        seen = self.route53.get_health_check_status(HealthCheckId=health)["HealthCheckObservations"]
        self.assertEqual({"us-east-1", "eu-west-1", "sa-east-1"}, {o["Region"] for o in seen})
        self.assertTrue(all(o["StatusReport"]["Status"].startswith("Success") for o in seen))
        admin("POST", f"health-checks/{health}/status", {"status": "Failure: Connection timed out"})
        seen = self.route53.get_health_check_status(HealthCheckId=health)["HealthCheckObservations"]
        self.assertEqual({"Failure: Connection timed out"}, {o["StatusReport"]["Status"] for o in seen})
        last = self.route53.get_health_check_last_failure_reason(HealthCheckId=health)["HealthCheckObservations"]
        self.assertEqual({"Failure: Connection timed out"}, {o["StatusReport"]["Status"] for o in last})

    def test_addresses(self):
        for address in ("10.0.0.10", "203.0.113.10"):
            with self.assertRaises(self.route53.exceptions.InvalidInput) as caught:
                self.create(IPAddress=address)
            self.assertEqual(f"IPv4 address {address} is forbidden", caught.exception.response["Error"]["Message"])

    def test_tags_go_with_the_health_check(self):
        health = self.create()["Id"]
        self.route53.change_tags_for_resource(
            ResourceType="healthcheck", ResourceId=health, AddTags=[{"Key": "Name", "Value": "edge node-1"}]
        )
        tags = self.route53.list_tags_for_resource(ResourceType="healthcheck", ResourceId=health)
        self.assertEqual([{"Key": "Name", "Value": "edge node-1"}], tags["ResourceTagSet"]["Tags"])
        with self.assertRaises(self.route53.exceptions.InvalidInput):
            self.route53.change_tags_for_resource(
                ResourceType="healthcheck", ResourceId=health, AddTags=[{"Key": "Name", "Value": "*"}]
            )
        with self.assertRaises(self.route53.exceptions.NoSuchHealthCheck):
            self.route53.list_tags_for_resource(ResourceType="healthcheck", ResourceId="none")

    def test_checkers_come_from_somewhere(self):
        self.assertIn("15.177.0.0/18", self.route53.get_checker_ip_ranges()["CheckerIpRanges"])


class Faults(Case):
    def inject(self, fault, count):
        body = {"operation": "ListResourceRecordSets", "fault": fault, "count": {"next": count}}
        admin("POST", "faults", body)

    def test_throttling_is_retried(self):
        self.inject("throttling", 2)
        with self.assertRaises(ClientError) as caught:
            self.sets()
        self.assertEqual("Throttling", caught.exception.response["Error"]["Code"])
        self.route53 = client(attempts=3)
        self.assertEqual([], self.sets())

    def test_prior_request_not_complete(self):
        admin("POST", f"zones/{ZONE}/busy", {"ms": 60000})
        with self.assertRaises(self.route53.exceptions.PriorRequestNotComplete):
            self.change(("CREATE", record("a.example.com")))

    def test_a_broken_answer_is_no_shorter_list(self):
        self.change(("CREATE", record("a.example.com")))
        self.inject("truncate", 1)
        # Which of them depends on the version of urllib3.
        with self.assertRaises((HTTPClientError, ResponseParserError)):
            self.sets()
        self.assertEqual(1, len(self.sets()))

    def test_a_lost_answer_leaves_a_change_behind(self):
        admin("POST", "faults", {"operation": "ChangeResourceRecordSets", "fault": "drop-after-commit"})
        with self.assertRaises(HTTPClientError):
            self.change(("CREATE", record("a.example.com")))
        self.assertEqual(1, len(self.sets()))

    def test_a_foreign_zone_is_denied(self):
        admin("PATCH", "options", {"foreign_zones": ["ZFOREIGN"]})
        text = self.refused("AccessDenied", ("CREATE", record("a.example.com")), zone="ZFOREIGN")
        self.assertTrue(text.endswith("is not authorized to access this resource"))

    def test_five_requests_a_second(self):
        time.sleep(1)
        admin("PATCH", "options", {"throttle": "legacy"})
        with self.assertRaises(ClientError) as caught:
            for _ in range(100):
                self.route53.get_hosted_zone_count()
        self.assertEqual("Rate exceeded", caught.exception.response["Error"]["Message"])


class Identity(unittest.TestCase):
    def test_who_is_asking(self):
        identity = boto3.client("sts").get_caller_identity()
        self.assertEqual("123456789012", identity["Account"])


if __name__ == "__main__":
    unittest.main()
