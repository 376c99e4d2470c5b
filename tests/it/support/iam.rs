//! IAM: whether a policy is one, and what it allows.

use std::collections::{BTreeMap, BTreeSet};

use route53_sim::{Operation, Request};
use serde_json::Value;

/// What actions of Route 53 can be limited to: `*` is everything, as IAM knows no resource for them.
/// Source: Service Authorization Reference, Amazon Route 53.
const ACTIONS: [(&str, &str); 20] = [
    ("ChangeResourceRecordSets", "hostedzone"),
    ("ListResourceRecordSets", "hostedzone"),
    ("GetHostedZone", "hostedzone"),
    ("GetHostedZoneLimit", "hostedzone"),
    ("GetChange", "change"),
    ("GetHealthCheck", "healthcheck"),
    ("UpdateHealthCheck", "healthcheck"),
    ("DeleteHealthCheck", "healthcheck"),
    ("GetHealthCheckStatus", "healthcheck"),
    ("ChangeTagsForResource", "healthcheck"),
    ("ListTagsForResource", "healthcheck"),
    ("ListTagsForResources", "healthcheck"),
    ("ListHostedZones", "*"),
    ("ListHostedZonesByName", "*"),
    ("GetHostedZoneCount", "*"),
    ("CreateHealthCheck", "*"),
    ("ListHealthChecks", "*"),
    ("GetHealthCheckCount", "*"),
    ("TestDNSAnswer", "*"),
    ("GetAccountLimit", "*"),
];

pub(crate) const NAMES: &str = "route53:ChangeResourceRecordSetsNormalizedRecordNames";
pub(crate) const TYPES: &str = "route53:ChangeResourceRecordSetsRecordTypes";
pub(crate) const CHANGES: &str = "route53:ChangeResourceRecordSetsActions";

/// Something that somebody wants to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ask {
    /// For example `route53:GetChange`.
    pub(crate) action: String,
    /// An ARN, or `*`.
    pub(crate) resource: String,
    /// The values of the condition keys.
    pub(crate) keys: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Ask {
    pub(crate) fn new(action: &str, resource: &str) -> Self {
        let arn = if resource == "*" { "*".to_owned() } else { format!("arn:aws:route53:::{resource}") };
        Ask { action: format!("route53:{action}"), resource: arn, keys: BTreeMap::new() }
    }

    /// A change batch.
    pub(crate) fn change(zone: &str, changes: &[(&str, &str, &str)]) -> Self {
        let mut ask = Ask::new("ChangeResourceRecordSets", &format!("hostedzone/{zone}"));
        for (action, name, rtype) in changes {
            let mut key = |key, value: String| ask.keys.entry(key).or_default().insert(value);
            key(NAMES, normalized(name));
            key(TYPES, rtype.to_uppercase());
            key(CHANGES, action.to_uppercase());
        }
        ask
    }

    /// What a request that has reached Route 53 needs; `None` for one of another service.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let path = request.line.split(' ').nth(1).expect("a path").split('?').next().expect("a path").to_owned();
        let last = path.trim_end_matches('/').rsplit('/').next().expect("a part").to_owned();
        let zone = request.zone.clone().unwrap_or_default();
        let name = request.operation.name();
        let (_, kind) = ACTIONS.iter().find(|(action, _)| *action == name)?;
        Some(match (request.operation, *kind) {
            (Operation::ChangeResourceRecordSets, _) => {
                let word = |action: &route53_sim::Action| format!("{action:?}").to_uppercase();
                let changes: Vec<_> = request
                    .changes
                    .iter()
                    .map(|(action, set)| (word(action), set.name.clone(), set.rtype.clone()))
                    .collect();
                let changes: Vec<_> = changes.iter().map(|(a, n, t)| (a.as_str(), n.as_str(), t.as_str())).collect();
                Ask::change(&zone, &changes)
            }
            (_, "hostedzone") => Ask::new(name, &format!("hostedzone/{zone}")),
            // Which ones, its body says.
            (Operation::ListTagsForResources, _) => Ask::new(name, "healthcheck/any"),
            (_, "*") => Ask::new(name, "*"),
            (_, kind) => Ask::new(name, &format!("{kind}/{last}")),
        })
    }
}

/// A name as AWS compares it.
fn normalized(name: &str) -> String {
    name.trim_end_matches('.').to_lowercase().replace('*', "\\052")
}

/// What is wrong with a policy by IAM's grammar, and by what Route 53's actions know.
pub(crate) fn mistakes(policy: &Value) -> Vec<String> {
    let mut mistakes = Vec::new();
    let mut check = |good: bool, what: String| {
        if !good {
            mistakes.push(what);
        }
    };
    let keys =
        |value: &Value| value.as_object().map(|map| map.keys().cloned().collect::<BTreeSet<_>>()).unwrap_or_default();
    check(keys(policy) == BTreeSet::from(["Version".to_owned(), "Statement".to_owned()]), "elements".to_owned());
    check(policy["Version"] == "2012-10-17", "version".to_owned());
    let mut sids = BTreeSet::new();
    let statements = policy["Statement"].as_array().cloned().unwrap_or_default();
    check(!statements.is_empty(), "no statement".to_owned());
    for statement in &statements {
        let sid = statement["Sid"].as_str().unwrap_or_default();
        check(!sid.is_empty() && sid.chars().all(|c| c.is_ascii_alphanumeric()), format!("Sid {sid:?}"));
        check(sids.insert(sid.to_owned()), format!("Sid {sid:?} is there twice"));
        check(statement["Effect"] == "Allow", format!("{sid}: Effect"));
        let known = ["Sid", "Effect", "Action", "Resource", "Condition"].map(str::to_owned);
        check(keys(statement).is_subset(&known.into()), format!("{sid}: elements"));
        let texts = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
        };
        let (actions, resources) = (texts(&statement["Action"]), texts(&statement["Resource"]));
        check(!actions.is_empty() && !resources.is_empty(), format!("{sid}: empty"));
        let mut conditional = true;
        for action in &actions {
            let name = action.strip_prefix("route53:").unwrap_or_default();
            let Some((_, kind)) = ACTIONS.iter().find(|(known, _)| *known == name) else {
                check(false, format!("{sid}: {action} is not an action"));
                continue;
            };
            conditional &= name == "ChangeResourceRecordSets";
            for resource in &resources {
                let parts: Vec<&str> = resource.split(':').collect();
                let fine = match parts.as_slice() {
                    ["*"] => *kind == "*",
                    ["arn", "aws" | "aws-cn" | "aws-us-gov", "route53", "", "", rest] => {
                        rest.split_once('/').is_some_and(|(found, id)| found == *kind && !id.is_empty())
                    }
                    _ => false,
                };
                check(fine, format!("{sid}: {action} on {resource}"));
            }
        }
        for (operator, keys) in statement["Condition"].as_object().into_iter().flatten() {
            check(conditional, format!("{sid}: an action that knows no condition key"));
            check(
                ["ForAllValues:StringEquals", "ForAllValues:StringLike"].contains(&operator.as_str()),
                operator.clone(),
            );
            for (key, values) in keys.as_object().into_iter().flatten() {
                check([NAMES, TYPES, CHANGES].contains(&key.as_str()), format!("{sid}: {key}"));
                check(!texts(values).is_empty(), format!("{sid}: {key} has no values"));
            }
        }
    }
    mistakes
}

/// Whether one of the policy's statements allows it.
pub(crate) fn allows(policy: &Value, ask: &Ask) -> bool {
    policy["Statement"].as_array().into_iter().flatten().any(|statement| {
        let any = |key: &str, wanted: &str| {
            statement[key].as_array().into_iter().flatten().any(|pattern| like(pattern.as_str().expect("text"), wanted))
        };
        any("Action", &ask.action) && any("Resource", &ask.resource) && holds(&statement["Condition"], ask)
    })
}

fn holds(condition: &Value, ask: &Ask) -> bool {
    condition.as_object().into_iter().flatten().all(|(operator, keys)| {
        keys.as_object().into_iter().flatten().all(|(key, allowed)| {
            let fits = |value: &String| {
                allowed.as_array().into_iter().flatten().filter_map(Value::as_str).any(|allowed| {
                    match operator.as_str() {
                        "ForAllValues:StringEquals" => allowed == value,
                        "ForAllValues:StringLike" => like(allowed, value),
                        _ => panic!("{operator} is not known here"),
                    }
                })
            };
            ask.keys.get(key.as_str()).into_iter().flatten().all(fits)
        })
    })
}

/// IAM's wildcards: `*` for any characters, `?` for one.
fn like(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            like(&pattern[1..], text) || text.chars().next().is_some_and(|c| like(pattern, &text[c.len_utf8()..]))
        }
        (Some('?'), Some(c)) => like(&pattern[1..], &text[c.len_utf8()..]),
        (Some(p), Some(c)) if p == c => like(&pattern[p.len_utf8()..], &text[c.len_utf8()..]),
        _ => false,
    }
}

#[test]
fn the_evaluator_knows_right_from_wrong() {
    assert!(like("a*c", "abbc") && like("*", "") && like("a?c", "abc"));
    assert!(!like("a*c", "abcd") && !like("a?c", "ac") && !like("", "a"));
    let text = r#"{"Version":"2012-10-17","Statement":[{"Sid":"A b","Effect":"Allow","Action":["route53:GetChange",
        "route53:Nothing"],"Resource":["*"],"Condition":{"Bool":{"aws:x":[]}}}]}"#;
    let found = mistakes(&serde_json::from_str(text).expect("JSON"));
    for what in ["Sid", "not an action", "GetChange on *", "knows no condition key", "Bool", "aws:x", "no values"] {
        assert!(found.iter().any(|mistake| mistake.contains(what)), "{what}: {found:?}");
    }
}
