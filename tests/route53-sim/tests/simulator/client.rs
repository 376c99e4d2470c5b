//! A client nobody could mistake for the simulator: bytes to a socket, bytes back.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use route53_sim::{Action, RecordSet, Sim};

pub const ZONE: &str = "Z0123456789ABC";
pub const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=AKIASIMULATED/20260101/us-east-1/route53/aws4_request, \
     SignedHeaders=host;x-amz-date, Signature=0000";

pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Response {
    /// The text of the first element of a name.
    pub fn text(&self, element: &str) -> Option<String> {
        let start = self.body.find(&format!("<{element}>"))? + element.len() + 2;
        let end = start + self.body[start..].find(&format!("</{element}>"))?;
        Some(unescape(&self.body[start..end]))
    }

    /// Code and message of an error.
    pub fn error(&self) -> (String, String) {
        let missing = || panic!("no error in {}", self.body);
        (
            self.text("Code").unwrap_or_else(missing),
            self.text("Message").unwrap_or_else(missing),
        )
    }
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Sends a signed request and reads the answer to the end of the connection.
pub fn send(sim: &Sim, method: &str, path: &str, body: &str) -> Response {
    send_with(sim, method, path, body, &[("Authorization", AUTHORIZATION)])
        .expect("the simulator answers")
}

/// Sends a request with headers of its own.
pub fn send_with(
    sim: &Sim,
    method: &str,
    path: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> std::io::Result<Response> {
    let mut stream = TcpStream::connect(sim.address())?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nHost: sim\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{request}\r\n{body}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .expect("a status line");
    Ok(Response {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

/// Sends changes to the zone of the tests.
pub fn change(sim: &Sim, changes: &[(Action, RecordSet)]) -> Response {
    send(
        sim,
        "POST",
        &format!("/2013-04-01/hostedzone/{ZONE}/rrset/"),
        &batch(changes),
    )
}

/// A ChangeResourceRecordSets body.
pub fn batch(changes: &[(Action, RecordSet)]) -> String {
    let changes: String = changes
        .iter()
        .map(|(action, set)| {
            format!("<Change><Action>{action}</Action><ResourceRecordSet>{}</ResourceRecordSet></Change>", fields(set))
        })
        .collect();
    request(&format!(
        "<ChangeBatch><Changes>{changes}</Changes></ChangeBatch>"
    ))
}

/// A ChangeResourceRecordSets body with any content.
pub fn request(content: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ChangeResourceRecordSetsRequest \
         xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">{content}</ChangeResourceRecordSetsRequest>"
    )
}

/// The elements of a record set, in the order of the schema.
pub fn fields(set: &RecordSet) -> String {
    let mut out = String::new();
    let mut leaf = |name: &str, text: Option<String>| {
        if let Some(text) = text {
            out.push_str(&format!("<{name}>{}</{name}>", escape(&text)));
        }
    };
    let nested = |name: &str, parts: &[(&str, Option<String>)]| {
        let inner: String = parts
            .iter()
            .filter_map(|(name, text)| {
                text.as_ref()
                    .map(|text| format!("<{name}>{}</{name}>", escape(text)))
            })
            .collect();
        format!("<{name}>{inner}</{name}>")
    };
    let mut after_region = String::new();
    if let Some(location) = &set.geolocation {
        after_region.push_str(&nested(
            "GeoLocation",
            &[
                ("ContinentCode", location.continent.clone()),
                ("CountryCode", location.country.clone()),
                ("SubdivisionCode", location.subdivision.clone()),
            ],
        ));
    }
    leaf("Name", Some(set.name.clone()));
    leaf("Type", Some(set.rtype.clone()));
    leaf("SetIdentifier", set.set_identifier.clone());
    leaf("Weight", set.weight.map(|weight| weight.to_string()));
    leaf("Region", set.region.clone());
    out.push_str(&after_region);
    let mut leaf = |name: &str, text: Option<String>| {
        if let Some(text) = text {
            out.push_str(&format!("<{name}>{}</{name}>", escape(&text)));
        }
    };
    leaf("Failover", set.failover.clone());
    leaf(
        "MultiValueAnswer",
        set.multi_value_answer.map(|given| given.to_string()),
    );
    leaf("TTL", set.ttl.map(|ttl| ttl.to_string()));
    if !set.values.is_empty() {
        let records: String = set
            .values
            .iter()
            .map(|value| nested("ResourceRecord", &[("Value", Some(value.clone()))]))
            .collect();
        out.push_str(&format!("<ResourceRecords>{records}</ResourceRecords>"));
    }
    if let Some(alias) = &set.alias {
        out.push_str(&nested(
            "AliasTarget",
            &[
                ("HostedZoneId", Some(alias.hosted_zone_id.clone())),
                ("DNSName", Some(alias.dns_name.clone())),
                (
                    "EvaluateTargetHealth",
                    Some(alias.evaluate_target_health.to_string()),
                ),
            ],
        ));
    }
    if let Some(id) = &set.health_check_id {
        out.push_str(&format!("<HealthCheckId>{id}</HealthCheckId>"));
    }
    if let Some(cidr) = &set.cidr {
        out.push_str(&nested(
            "CidrRoutingConfig",
            &[
                ("CollectionId", Some(cidr.collection_id.clone())),
                ("LocationName", Some(cidr.location_name.clone())),
            ],
        ));
    }
    if let Some(location) = &set.geoproximity {
        out.push_str("<GeoProximityLocation>");
        if let Some(region) = &location.aws_region {
            out.push_str(&format!("<AWSRegion>{region}</AWSRegion>"));
        }
        if let Some(group) = &location.local_zone_group {
            out.push_str(&format!("<LocalZoneGroup>{group}</LocalZoneGroup>"));
        }
        if let Some(at) = &location.coordinates {
            out.push_str(&nested(
                "Coordinates",
                &[
                    ("Latitude", Some(at.latitude.clone())),
                    ("Longitude", Some(at.longitude.clone())),
                ],
            ));
        }
        if let Some(bias) = location.bias {
            out.push_str(&format!("<Bias>{bias}</Bias>"));
        }
        out.push_str("</GeoProximityLocation>");
    }
    out
}
