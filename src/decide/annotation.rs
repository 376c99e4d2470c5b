//! What the Node's annotations say of it, and what goes before what.
//!
//! | parameter | from the first that says it |
//! |---|---|
//! | weight | `nodedns.io/weight`, the file |
//! | coordinates | `nodedns.io/coordinates`, kube-node-dns's annotation, the file |
//! | bias | `nodedns.io/bias`, the file |
//!
//! A value that cannot be is as good as none, but for an annotation of kube-node-dns behind a bad one
//! of our own: what somebody has meant to replace does not come back by a slip of the pen.

use std::fmt;

use crate::decide::node::NodeObject;
use crate::decide::policy::RoutingRule;
use crate::decide::reason::Reason;
use crate::decide::routing::{Coordinates, Location, PolicyKind, Routing};

/// The weight of weighted record sets.
pub const WEIGHT: &str = "nodedns.io/weight";
/// Where geoproximity record sets say that the node is.
pub const COORDINATES: &str = "nodedns.io/coordinates";
/// The same, as kube-node-dns reads it, for those who move from it.
pub const COORDINATES_OF_KUBE_NODE_DNS: &str = "kube-node-dns.kyle.space/aws-geoproximity-coordinates";
/// The bias of geoproximity record sets.
pub const BIAS: &str = "nodedns.io/bias";
/// Whether the node is excluded.
pub const EXCLUDE: &str = "nodedns.io/exclude";

/// The label that excludes a Node from load balancers outside of the cluster, which DNS here is.
pub const EXCLUDE_LABEL: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// What the annotations say of routing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Annotations {
    /// [`WEIGHT`].
    pub weight: Option<u8>,
    /// [`COORDINATES`] or [`COORDINATES_OF_KUBE_NODE_DNS`].
    pub coordinates: Option<Coordinates>,
    /// [`BIAS`].
    pub bias: Option<i8>,
    /// What was said and cannot be.
    pub mistakes: Vec<Mistake>,
}

/// An annotation whose value cannot be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Its key.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// What is wrong with it and what counts instead.
    pub why: String,
}

impl fmt::Display for Mistake {
    /// One sentence without a final period.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the annotation {} = {:?} on the Node cannot be: {}", self.key, self.value, self.why)
    }
}

impl Annotations {
    /// Reads them off the Node.
    pub fn read(node: &NodeObject) -> Self {
        let mut mistakes = Vec::new();
        let weight = parsed(node, WEIGHT, &mut mistakes, |text| number(text, 0, u8::MAX));
        let bias = parsed(node, BIAS, &mut mistakes, |text| number(text, -99, 99));
        let source =
            if node.annotations.contains_key(COORDINATES) { COORDINATES } else { COORDINATES_OF_KUBE_NODE_DNS };
        let point = |text: &str| Coordinates::parse_pair(text).map_err(|error| error.to_string());
        let coordinates = parsed(node, source, &mut mistakes, point);
        if let Some(value) = node.annotations.get(EXCLUDE).filter(|value| parse_bool(value).is_none()) {
            let why = "it is neither true nor false; counts as true".to_owned();
            mistakes.push(Mistake { key: EXCLUDE, value: value.clone(), why });
        }
        Annotations { weight, coordinates, bias, mistakes }
    }

    /// Why the coordinates that were said do not count.
    fn coordinates_mistake(&self) -> Option<&Mistake> {
        self.mistakes.iter().find(|mistake| [COORDINATES, COORDINATES_OF_KUBE_NODE_DNS].contains(&mistake.key))
    }

    /// The file's rule with what the annotations put in its place.
    fn over(&self, rule: &RoutingRule) -> Option<Routing> {
        let location = |file: Option<&Location>| self.coordinates.map(Location::Coordinates).or(file.cloned());
        match rule {
            RoutingRule::Fixed(Routing::Weighted(weight)) => Some(Routing::Weighted(self.weight.unwrap_or(*weight))),
            RoutingRule::Fixed(Routing::GeoProximity { location: file, bias }) => {
                Some(Routing::GeoProximity { location: location(Some(file))?, bias: self.bias.unwrap_or(*bias) })
            }
            RoutingRule::CoordinatesOfTheNode { bias } => {
                Some(Routing::GeoProximity { location: location(None)?, bias: self.bias.unwrap_or(*bias) })
            }
            RoutingRule::Fixed(routing) => Some(routing.clone()),
        }
    }
}

/// What is known of the annotations.
#[derive(Debug, Clone, Copy, Default)]
pub struct Said<'a> {
    /// Whether the Node is known, or there is none to know.
    pub known: bool,
    /// The annotations in force; of an unknown Node those it had last.
    pub annotations: Option<&'a Annotations>,
}

/// The routing of a record set: what the Node's annotations say, else what the file says.
///
/// While the Node is unknown nothing may come and go for that: what `own`, our record set in the
/// pool, has goes first then, if it is of the same policy.
///
/// # Errors
/// Why there is nothing to publish with: [`Reason::CoordinatesMissing`] where an annotation must be
/// set, [`Reason::NodeUnknown`] where it may be set and is not known.
pub fn routing(rule: &RoutingRule, said: Said<'_>, own: Option<&Routing>) -> Result<Routing, Reason> {
    // Of the other policies annotations say nothing, so the file's word is always the last.
    let annotated = matches!(rule.kind(), PolicyKind::Weighted | PolicyKind::GeoProximity);
    let same = own.filter(|own| !said.known && annotated && own.kind() == rule.kind());
    if let Some(own) = same {
        return Ok(own.clone());
    }
    let nothing = Annotations::default();
    let annotations = said.annotations.unwrap_or(&nothing);
    annotations.over(rule).ok_or_else(|| match said.known {
        true => Reason::CoordinatesMissing(annotations.coordinates_mistake().map(Mistake::to_string)),
        false => Reason::NodeUnknown,
    })
}

/// Why a label or an annotation excludes the Node: its key. Both are read as Kubernetes reads the
/// label (`ServiceNodeExclusion` in cloud-provider): what is no boolean excludes.
pub fn excludes(node: &NodeObject) -> Option<&'static str> {
    let says = |value: Option<&String>| value.is_some_and(|value| parse_bool(value) != Some(false));
    [(EXCLUDE_LABEL, node.labels.get(EXCLUDE_LABEL)), (EXCLUDE, node.annotations.get(EXCLUDE))]
        .into_iter()
        .find_map(|(key, value)| says(value).then_some(key))
}

/// `ParseBool` of Go's strconv.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

fn parsed<T>(
    node: &NodeObject,
    key: &'static str,
    mistakes: &mut Vec<Mistake>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    let value = node.annotations.get(key)?;
    match parse(value) {
        Ok(parsed) => Some(parsed),
        Err(why) => {
            mistakes.push(Mistake { key, value: value.clone(), why: format!("{why}; the configuration's counts") });
            None
        }
    }
}

/// A whole number within the bounds that the file has for it.
fn number<T: TryFrom<i64> + Into<i64>>(text: &str, least: T, most: T) -> Result<T, String> {
    let (least, most): (i64, i64) = (least.into(), most.into());
    let number: i64 = text.trim().parse().map_err(|_| "it is not a whole number".to_owned())?;
    let bounded = Some(number).filter(|number| (least..=most).contains(number));
    bounded.and_then(|number| T::try_from(number).ok()).ok_or_else(|| format!("it is not between {least} and {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::node::Readiness;
    use std::collections::BTreeMap;

    fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn node(annotations: &[(&str, &str)]) -> NodeObject {
        NodeObject {
            ready: Readiness::Ready,
            ready_message: None,
            unschedulable: false,
            deleting: false,
            labels: BTreeMap::new(),
            annotations: pairs(annotations),
            taints: Vec::new(),
        }
    }

    fn point(text: &str) -> Coordinates {
        Coordinates::parse_pair(text).expect(text)
    }

    fn geo(text: &str, bias: i8) -> Routing {
        Routing::GeoProximity { location: Location::Coordinates(point(text)), bias }
    }

    fn known(annotations: &Annotations) -> Said<'_> {
        Said { known: true, annotations: Some(annotations) }
    }

    const AUTO: RoutingRule = RoutingRule::CoordinatesOfTheNode { bias: 3 };

    #[test]
    fn each_annotation_goes_before_the_file_where_the_policy_has_its_parameter() {
        let said = Annotations::read(&node(&[(WEIGHT, " 200 "), (COORDINATES, " 50.11, 8.680 "), (BIAS, "-99")]));
        assert_eq!(said.mistakes, []);
        let region = Routing::GeoProximity { location: Location::AwsRegion("eu-west-1".into()), bias: 7 };
        let latency = Routing::Latency("eu-west-1".into());
        for (rule, expected) in [
            (Routing::Weighted(10).into(), Routing::Weighted(200)),
            (geo("1,2", 7).into(), geo("50.11,8.68", -99)),
            (region.clone().into(), geo("50.11,8.68", -99)),
            (AUTO, geo("50.11,8.68", -99)),
            (latency.clone().into(), latency),
            (Routing::MultiValue.into(), Routing::MultiValue),
        ] {
            assert_eq!(routing(&rule, known(&said), None), Ok(expected));
        }
        let nothing = Annotations::read(&node(&[]));
        assert_eq!(nothing, Annotations::default());
        for file in [Routing::Weighted(10), geo("1,2", 7), region] {
            assert_eq!(routing(&file.clone().into(), known(&nothing), None), Ok(file));
        }
        let bias = Annotations::read(&node(&[(BIAS, "5")]));
        assert_eq!(routing(&geo("1,2", 7).into(), known(&bias), None), Ok(geo("1,2", 5)));
    }

    #[test]
    fn kube_node_dns_is_heard_where_we_are_not_told() {
        let theirs = (COORDINATES_OF_KUBE_NODE_DNS, "-33.86,151.21");
        let coordinates = |annotations: &[_]| Annotations::read(&node(annotations)).coordinates;
        assert_eq!(coordinates(&[theirs]), Some(point("-33.86,151.21")));
        assert_eq!(coordinates(&[theirs, (COORDINATES, "1,2")]), Some(point("1,2")));
        // A bad one of ours does not bring theirs back.
        assert_eq!(coordinates(&[theirs, (COORDINATES, "1;2")]), None);
    }

    #[test]
    fn what_cannot_be_leaves_the_file_in_force_and_is_told() {
        for (key, value, why) in [
            (WEIGHT, "256", "it is not between 0 and 255"),
            (WEIGHT, "-1", "it is not between 0 and 255"),
            (WEIGHT, "ten", "it is not a whole number"),
            (WEIGHT, "", "it is not a whole number"),
            (WEIGHT, "1.5", "it is not a whole number"),
            (BIAS, "100", "it is not between -99 and 99"),
            (BIAS, "99999999999999999999", "it is not a whole number"),
            (COORDINATES, "", "'' is not of the form"),
            (COORDINATES, "auto", "'auto' is not of the form"),
            (COORDINATES, "91,0", "'91' is outside -90..90"),
            (COORDINATES_OF_KUBE_NODE_DNS, "50.1109,8.6821", "'50.1109' has more than two decimals"),
        ] {
            let said = Annotations::read(&node(&[(key, value)]));
            let [mistake] = said.mistakes.as_slice() else { panic!("{key}={value}: {said:?}") };
            let text = mistake.to_string();
            let expected = format!("the annotation {key} = {value:?} on the Node cannot be: {why}");
            assert!(text.starts_with(&expected) && text.ends_with("; the configuration's counts"), "{text}");
            assert_eq!((said.weight, said.coordinates, said.bias), (None, None, None));
            assert_eq!(routing(&Routing::Weighted(10).into(), known(&said), None), Ok(Routing::Weighted(10)));
            assert_eq!(routing(&geo("1,2", 7).into(), known(&said), None), Ok(geo("1,2", 7)));
        }
    }

    #[test]
    fn coordinates_that_are_to_come_from_the_node_are_missing_without_it() {
        let hold = |annotations: &[(&str, &str)]| {
            let said = Annotations::read(&node(annotations));
            match routing(&AUTO, known(&said), Some(&geo("1,2", 0))) {
                Err(reason) => reason.to_string(),
                other => panic!("{other:?}"),
            }
        };
        assert!(hold(&[]).contains("annotate it with nodedns.io/coordinates="));
        assert!(hold(&[(COORDINATES, "1")]).contains("nodedns.io/coordinates = \"1\" on the Node cannot be: '1'"));
        let no_kubernetes = routing(&AUTO, Said { known: true, annotations: None }, None);
        assert_eq!(no_kubernetes, Err(Reason::CoordinatesMissing(None)));
    }

    #[test]
    fn while_the_node_is_unknown_what_is_there_goes_first_and_then_what_was_last_known() {
        let last = Annotations::read(&node(&[(WEIGHT, "200"), (COORDINATES, "5,6")]));
        let unknown = Said { known: false, annotations: Some(&last) };
        let never = Said { known: false, annotations: None };
        let file = RoutingRule::Fixed(Routing::Weighted(10));
        let own = Routing::Weighted(77);
        assert_eq!(routing(&file, unknown, Some(&own)), Ok(own.clone()));
        assert_eq!(routing(&file, never, Some(&own)), Ok(own.clone()));
        assert_eq!(routing(&file, unknown, None), Ok(Routing::Weighted(200)));
        assert_eq!(routing(&file, never, None), Ok(Routing::Weighted(10)));
        // Of another policy: that is what a new configuration is to change.
        assert_eq!(routing(&geo("1,2", 0).into(), never, Some(&own)), Ok(geo("1,2", 0)));
        let latency = |region: &str| Routing::Latency(region.into());
        assert_eq!(routing(&latency("eu-west-1").into(), never, Some(&latency("eu-west-2"))), Ok(latency("eu-west-1")));
        assert_eq!(routing(&AUTO, unknown, Some(&own)), Ok(geo("5,6", 3)));
        assert_eq!(routing(&AUTO, never, Some(&geo("9,9", 1))), Ok(geo("9,9", 1)));
        assert_eq!(routing(&AUTO, never, Some(&own)), Err(Reason::NodeUnknown));
    }

    #[test]
    fn exclusion_is_a_boolean_as_go_reads_it_and_anything_else_excludes() {
        for (value, excluded) in [
            ("true", true),
            ("1", true),
            ("t", true),
            ("TRUE", true),
            ("", true),
            ("yes", true),
            ("no", true),
            (" false", true),
            ("fALSE", true),
            ("false", false),
            ("False", false),
            ("FALSE", false),
            ("f", false),
            ("F", false),
            ("0", false),
        ] {
            let annotated = node(&[(EXCLUDE, value)]);
            assert_eq!(excludes(&annotated), excluded.then_some(EXCLUDE), "{value:?}");
            let labelled = NodeObject { labels: pairs(&[(EXCLUDE_LABEL, value)]), ..node(&[]) };
            assert_eq!(excludes(&labelled), excluded.then_some(EXCLUDE_LABEL), "{value:?}");
            let is_mistaken = !Annotations::read(&annotated).mistakes.is_empty();
            assert_eq!(is_mistaken, parse_bool(value).is_none(), "{value:?}");
        }
        assert_eq!(excludes(&node(&[])), None);
        let both = NodeObject { labels: pairs(&[(EXCLUDE_LABEL, "false")]), ..node(&[(EXCLUDE, "true")]) };
        assert_eq!(excludes(&both), Some(EXCLUDE));
    }
}
