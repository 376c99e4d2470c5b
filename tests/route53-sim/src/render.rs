//! What the service's values look like in XML.

use crate::account::{Now, SubmittedChange};
use crate::model::{ApiError, RecordSet};
use crate::xml::Writer;
use crate::zone::{RecordPage, Zone};

pub(crate) fn zone(out: &mut Writer, zone: &Zone) {
    out.element("HostedZone", |out| {
        out.leaf("Id", format_args!("/hostedzone/{}", zone.id));
        out.leaf("Name", &zone.name);
        out.leaf("CallerReference", &zone.caller_reference);
        out.element("Config", |out| {
            out.optional("Comment", zone.comment.as_ref());
            out.leaf("PrivateZone", zone.private);
        });
        out.leaf("ResourceRecordSetCount", zone.len());
    });
}

pub(crate) fn delegation_set(out: &mut Writer, zone: &Zone) {
    out.element("DelegationSet", |out| {
        out.element("NameServers", |out| {
            for server in &zone.name_servers {
                out.leaf("NameServer", server);
            }
        });
    });
}

pub(crate) fn vpc(out: &mut Writer, (region, id): &(String, String)) {
    out.element("VPC", |out| {
        out.leaf("VPCRegion", region);
        out.leaf("VPCId", id);
    });
}

pub(crate) fn change_info(out: &mut Writer, change: &SubmittedChange, now: Now) {
    out.element("ChangeInfo", |out| {
        out.leaf("Id", format_args!("/change/{}", change.id));
        out.leaf("Status", change.status(now));
        out.leaf("SubmittedAt", format_args!("{:.3}", change.submitted_at));
        out.optional("Comment", change.comment.as_ref());
    });
}

pub(crate) fn record_page(page: &RecordPage) -> String {
    Writer::document("ListResourceRecordSetsResponse", |out| {
        out.element("ResourceRecordSets", |out| {
            for set in &page.record_sets {
                record_set(out, set);
            }
        });
        out.leaf("IsTruncated", page.next.is_some());
        if let Some(next) = &page.next {
            out.leaf("NextRecordName", &next.name);
            out.leaf("NextRecordType", &next.rtype);
            out.optional("NextRecordIdentifier", next.set_identifier.as_ref());
        }
        out.leaf("MaxItems", page.max_items);
    })
}

fn record_set(out: &mut Writer, set: &RecordSet) {
    out.element("ResourceRecordSet", |out| {
        out.leaf("Name", &set.name);
        out.leaf("Type", &set.rtype);
        out.optional("SetIdentifier", set.set_identifier.as_ref());
        out.optional("Weight", set.weight);
        out.optional("Region", set.region.as_ref());
        if let Some(location) = &set.geolocation {
            out.element("GeoLocation", |out| {
                out.optional("ContinentCode", location.continent.as_ref());
                out.optional("CountryCode", location.country.as_ref());
                out.optional("SubdivisionCode", location.subdivision.as_ref());
            });
        }
        out.optional("Failover", set.failover.as_ref());
        out.optional("MultiValueAnswer", set.multi_value_answer);
        out.optional("TTL", set.ttl);
        if !set.values.is_empty() {
            out.element("ResourceRecords", |out| {
                for value in &set.values {
                    out.element("ResourceRecord", |out| out.leaf("Value", value));
                }
            });
        }
        if let Some(alias) = &set.alias {
            out.element("AliasTarget", |out| {
                out.leaf("HostedZoneId", &alias.hosted_zone_id);
                out.leaf("DNSName", &alias.dns_name);
                out.leaf("EvaluateTargetHealth", alias.evaluate_target_health);
            });
        }
        out.optional("HealthCheckId", set.health_check_id.as_ref());
        out.optional("TrafficPolicyInstanceId", set.traffic_policy_instance_id.as_ref());
        if let Some(cidr) = &set.cidr {
            out.element("CidrRoutingConfig", |out| {
                out.leaf("CollectionId", &cidr.collection_id);
                out.leaf("LocationName", &cidr.location_name);
            });
        }
        if let Some(location) = &set.geoproximity {
            out.element("GeoProximityLocation", |out| {
                out.optional("AWSRegion", location.aws_region.as_ref());
                out.optional("LocalZoneGroup", location.local_zone_group.as_ref());
                if let Some(at) = &location.coordinates {
                    out.element("Coordinates", |out| {
                        out.leaf("Latitude", &at.latitude);
                        out.leaf("Longitude", &at.longitude);
                    });
                }
                out.leaf("Bias", location.bias.unwrap_or(0));
            });
        }
    });
}

pub(crate) fn error(namespace: &str, error: &ApiError, request_id: &str) -> String {
    Writer::document_in(namespace, "ErrorResponse", |out| {
        out.element("Error", |out| {
            out.leaf("Type", if error.status < 500 { "Sender" } else { "Receiver" });
            out.leaf("Code", &error.code);
            out.leaf("Message", &error.message);
        });
        out.leaf("RequestId", request_id);
    })
}

/// The form the model documents for InvalidChangeBatch; the service sent it until some years ago.
pub(crate) fn legacy_change_batch_error(error: &ApiError, request_id: &str) -> String {
    let bare = error.message.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&error.message);
    Writer::document("InvalidChangeBatch", |out| {
        out.element("Messages", |out| out.leaf("Message", bare));
        out.leaf("RequestId", request_id);
    })
}
