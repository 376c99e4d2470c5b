//! IAM policies: what is needed, put into IAM's grammar.
//!
//! Sources: the Service Authorization Reference for Amazon Route 53 (which actions know which
//! resources and condition keys) and the Route 53 Developer Guide, "Using IAM policy conditions for
//! fine-grained access control" (how names are normalised).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::decide::name::DnsName;
use crate::decide::record::{Action, RecordType};

/// The condition key of the names in a change batch.
pub const NAMES_KEY: &str = "route53:ChangeResourceRecordSetsNormalizedRecordNames";
/// The condition key of the types in a change batch.
pub const TYPES_KEY: &str = "route53:ChangeResourceRecordSetsRecordTypes";
/// The condition key of the actions in a change batch.
pub const ACTIONS_KEY: &str = "route53:ChangeResourceRecordSetsActions";

const EXACTLY: &str = "ForAllValues:StringEquals";
const LIKE: &str = "ForAllValues:StringLike";

/// What nodedns is to be able to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Where the account is.
    pub partition: Partition,
    /// The names and types to write to.
    pub pools: Vec<PoolNeed>,
    /// Whether a hosted zone has to be looked up.
    pub looks_up: bool,
    /// Whether a record has a managed health check.
    pub health_checks: bool,
    /// Whether also the commands run that look at more than the configured names.
    pub operator: bool,
}

/// Names and types in a hosted zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolNeed {
    /// The hosted zone's id.
    pub zone_id: String,
    /// The names.
    pub names: Names,
    /// The types.
    pub types: BTreeSet<RecordType>,
}

/// A name, or a pattern of names, as the condition key has them: in lower case, without the trailing
/// dot, everything but `a-z 0-9 - _ .` as `\ooo`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Names {
    /// This one.
    Exactly(String),
    /// Those that a pattern fits, in which `*` stands for any number of characters.
    Like(String),
}

impl Names {
    /// This name.
    pub fn exactly(name: &DnsName) -> Self {
        Names::Exactly(name.as_str().trim_end_matches('.').to_owned())
    }

    /// Every name that this template makes with a node's name in place of `{node}`.
    pub fn like(template: &str) -> Self {
        let parts: Vec<String> = template.split("{node}").map(normalized).collect();
        Names::Like(parts.join("*").trim_end_matches('.').to_owned())
    }

    /// The pattern, if it is one.
    pub fn pattern(&self) -> Option<&str> {
        match self {
            Names::Exactly(_) => None,
            Names::Like(pattern) => Some(pattern),
        }
    }
}

/// A part of a configured name, whose characters are those of host names and the wildcard.
fn normalized(part: &str) -> String {
    let mut text = String::with_capacity(part.len());
    for byte in part.to_ascii_lowercase().bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\{byte:03o}")),
        }
    }
    text
}

/// A part of AWS with accounts of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partition {
    /// All but the others.
    Aws,
    /// China.
    China,
    /// The Regions for the United States' government.
    GovCloud,
}

impl Partition {
    /// The partition of a Region.
    pub fn of(region: Option<&str>) -> Self {
        match region {
            Some(region) if region.starts_with("cn-") => Partition::China,
            Some(region) if region.starts_with("us-gov-") => Partition::GovCloud,
            _ => Partition::Aws,
        }
    }

    /// Its name in ARNs.
    pub fn as_str(self) -> &'static str {
        match self {
            Partition::Aws => "aws",
            Partition::China => "aws-cn",
            Partition::GovCloud => "aws-us-gov",
        }
    }

    fn arn(self, resource: &str) -> String {
        format!("arn:{}:route53:::{resource}", self.as_str())
    }
}

/// A policy document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    /// The version of the policy language.
    pub version: &'static str,
    /// What is allowed.
    pub statement: Vec<Statement>,
}

impl Policy {
    /// How many characters AWS counts, which are those that are not white space.
    pub fn size(&self) -> usize {
        let text = serde_json::to_string(self).unwrap_or_default();
        text.chars().filter(|c| !c.is_whitespace()).count()
    }
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    /// Its name: letters and digits.
    pub sid: String,
    /// `Allow`.
    pub effect: &'static str,
    /// The actions.
    pub action: Vec<&'static str>,
    /// The ARNs.
    pub resource: Vec<String>,
    /// Operator, key, values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub condition: BTreeMap<&'static str, BTreeMap<&'static str, Vec<String>>>,
}

impl Statement {
    fn new(sid: &str, action: &[&'static str], resource: Vec<String>) -> Self {
        let condition = BTreeMap::new();
        Statement { sid: sid.to_owned(), effect: "Allow", action: action.to_vec(), resource, condition }
    }
}

/// The policy that allows what is needed and nothing else that IAM can tell from it.
pub fn policy(needs: &Needs) -> Policy {
    let arn = |resource: &str| needs.partition.arn(resource);
    let zones: BTreeSet<String> = needs.pools.iter().map(|pool| arn(&format!("hostedzone/{}", pool.zone_id))).collect();
    let zones: Vec<String> = zones.into_iter().collect();
    let mut statement = changes(needs);
    statement.push(match needs.operator {
        true => {
            let actions = ["route53:GetHostedZone", "route53:ListResourceRecordSets"];
            Statement::new("ReadHostedZones", &actions, vec![arn("hostedzone/*")])
        }
        false => Statement::new("ReadRecordSets", &["route53:ListResourceRecordSets"], zones.clone()),
    });
    statement.push(Statement::new("FollowChanges", &["route53:GetChange"], vec![arn("change/*")]));
    let anywhere = || vec!["*".to_owned()];
    if needs.looks_up || needs.operator {
        statement.push(Statement::new("FindHostedZones", &["route53:ListHostedZonesByName"], anywhere()));
    }
    if needs.operator {
        statement.push(Statement::new("CheckLimits", &["route53:GetHostedZoneLimit"], zones));
    }
    if needs.health_checks {
        let actions = ["route53:CreateHealthCheck", "route53:ListHealthChecks"];
        let of_operator = needs.operator.then_some("route53:GetAccountLimit");
        let actions: Vec<_> = actions.into_iter().chain(of_operator).collect();
        statement.push(Statement::new("FindHealthChecks", &actions, anywhere()));
        let actions = ["route53:ChangeTagsForResource", "route53:DeleteHealthCheck", "route53:ListTagsForResources"];
        statement.push(Statement::new("ManageHealthChecks", &actions, vec![arn("healthcheck/*")]));
    }
    Policy { version: "2012-10-17", statement }
}

/// What may be changed: a statement for each zone, set of types, and way to compare names. A batch is
/// of one name and type, so that no batch needs two of them.
fn changes(needs: &Needs) -> Vec<Statement> {
    let mut groups: BTreeMap<(&str, bool, &BTreeSet<RecordType>), BTreeSet<String>> = BTreeMap::new();
    for PoolNeed { zone_id, names, types } in &needs.pools {
        let (is_pattern, text) = match names {
            Names::Exactly(name) => (false, name),
            Names::Like(pattern) => (true, pattern),
        };
        groups.entry((zone_id, is_pattern, types)).or_default().insert(text.clone());
    }
    let actions = [Action::Create, Action::Delete, Action::Upsert].map(|action| action.as_str().to_owned());
    let statement =
        |(index, ((zone_id, is_pattern, types), names)): (usize, ((&str, bool, &BTreeSet<_>), BTreeSet<_>))| {
            let number = if index == 0 { String::new() } else { (index + 1).to_string() };
            let resource = vec![needs.partition.arn(&format!("hostedzone/{zone_id}"))];
            let action = &["route53:ChangeResourceRecordSets"];
            let mut statement = Statement::new(&format!("ChangeRecordSets{number}"), action, resource);
            let mut condition = |operator, key, values: Vec<String>| {
                statement.condition.entry(operator).or_default().insert(key, values);
            };
            condition(if is_pattern { LIKE } else { EXACTLY }, NAMES_KEY, names.into_iter().collect());
            condition(EXACTLY, TYPES_KEY, types.iter().map(|rtype: &RecordType| rtype.as_str().to_owned()).collect());
            condition(EXACTLY, ACTIONS_KEY, actions.to_vec());
            statement
        };
    groups.into_iter().enumerate().map(statement).collect()
}
