//! The alert rules and the dashboard name nothing that the daemon does not tell, and promtool takes
//! every expression of theirs. A name with a mistake in it would be no error anywhere: the alert would
//! never fire, and the panel would be empty.

mod promql;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodedns::cli::help::topics::TOPICS;
use nodedns::control::protocol::{HealthCheckState, Intent, SurvivorsState};
use nodedns::decide::provider::ErrorKind;
use nodedns::metrics::definitions::{self, Kind};
use serde_json::Value;

use crate::support::skip;

const RULES: &str = "packaging/prometheus/nodedns.rules.yml";
const TESTS: [&str; 2] =
    ["packaging/prometheus/nodedns.rules.test.yml", "packaging/prometheus/nodedns.rules.days.test.yml"];
const DASHBOARD: &str = "packaging/grafana/nodedns.json";

/// Labels that Prometheus gives to everything that it scrapes.
const TARGET: [&str; 2] = ["job", "instance"];
/// Of others, and what they are known to have.
const OTHERS: [(&str, &[&str]); 3] =
    [("up", &[]), ("ALERTS", &["alertname", "alertstate"]), ("node_textfile_mtime_seconds", &["file"])];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn yaml(name: &str) -> Value {
    let text = fs::read_to_string(path(name)).expect("a file");
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn dashboard() -> Value {
    serde_json::from_str(&fs::read_to_string(path(DASHBOARD)).expect("a file")).expect("JSON")
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn rules() -> Vec<Value> {
    array(&yaml(RULES), "groups").iter().flat_map(|group| array(group, "rules").to_vec()).collect()
}

fn alerts() -> Vec<Value> {
    rules().into_iter().filter(|rule| rule["alert"].is_string()).collect()
}

/// Every name that an expression may use, and the labels that it has.
struct Known(BTreeMap<String, BTreeSet<String>>);

impl Known {
    /// What the daemon tells, and what Prometheus itself does.
    fn metrics() -> Self {
        let mut known = BTreeMap::new();
        for metric in definitions::ALL {
            let labels: BTreeSet<_> = metric.labels.iter().chain(&TARGET).map(|label| (*label).to_owned()).collect();
            if metric.kind == Kind::Histogram {
                known.insert(format!("{}_count", metric.name), labels.clone());
                known.insert(format!("{}_sum", metric.name), labels.clone());
                let buckets = labels.into_iter().chain(["le".to_owned()]).collect();
                known.insert(format!("{}_bucket", metric.name), buckets);
            } else {
                known.insert(metric.name.to_owned(), labels);
            }
        }
        for (name, labels) in OTHERS {
            known.insert(name.to_owned(), labels.iter().chain(&TARGET).map(|label| (*label).to_owned()).collect());
        }
        Known(known)
    }

    /// With what the rules record, too.
    fn with_records(rules: &[Value]) -> Self {
        let mut known = Self::metrics();
        for rule in rules.iter().filter(|rule| rule["record"].is_string()) {
            let labels = known.labels(text(rule, "expr"));
            known.0.insert(text(rule, "record").to_owned(), labels);
        }
        known
    }

    /// The labels of everything in the expression.
    fn labels(&self, expression: &str) -> BTreeSet<String> {
        let names = promql::names(expression);
        names.selectors.iter().filter_map(|selector| self.0.get(&selector.metric)).flatten().cloned().collect()
    }

    /// What the expression names and is not there.
    fn mistakes(&self, expression: &str) -> Vec<String> {
        let names = promql::names(expression);
        let labels = self.labels(expression);
        let mut mistakes = Vec::new();
        for selector in &names.selectors {
            let Some(own) = self.0.get(&selector.metric) else {
                mistakes.push(format!("no metric {}", selector.metric));
                continue;
            };
            for (label, values) in &selector.matchers {
                if !own.contains(label) {
                    mistakes.push(format!("{} has no label {label}", selector.metric));
                }
                let possible = values_of(&selector.metric, label);
                let wrong = values.iter().filter(|value| !possible.is_empty() && !possible.contains(*value));
                mistakes.extend(wrong.map(|value| format!("{label} of {} is never {value}", selector.metric)));
            }
        }
        if names.selectors.is_empty() {
            mistakes.push("no metric at all".to_owned());
        }
        mistakes
            .extend(names.labels.into_iter().filter(|label| !labels.contains(label)).map(|l| format!("no label {l}")));
        mistakes
    }

    /// The labels that a text shows and the expression does not have.
    fn not_shown(&self, expression: &str, shown: &[&str]) -> Vec<String> {
        let labels = self.labels(expression);
        let missing = shown.iter().filter(|label| !labels.contains(**label));
        missing.map(|label| format!("shows {label}, which the expression does not have")).collect()
    }
}

/// The values that a label can have, where they are a closed set.
fn values_of(metric: &str, label: &str) -> BTreeSet<String> {
    let word = |value: serde_json::Result<Value>| value.expect("JSON").as_str().expect("a word").to_owned();
    let kinds = ErrorKind::ALL.map(|kind| kind.as_str().to_owned());
    match (metric, label) {
        ("nodedns_record_last_error", "kind") => kinds.into(),
        ("nodedns_route53_requests_total", "result") => kinds.into_iter().chain(["ok".to_owned()]).collect(),
        ("nodedns_record_intent", "intent") => [Intent::Publish, Intent::Withdraw, Intent::Hold, Intent::Preserve]
            .map(|intent| word(serde_json::to_value(intent)))
            .into(),
        ("nodedns_record_intent", "reason") => reasons(),
        ("nodedns_record_health_check", "state") => [
            HealthCheckState::Attached,
            HealthCheckState::Waiting,
            HealthCheckState::Failing,
            HealthCheckState::Impossible,
        ]
        .map(|state| word(serde_json::to_value(state)))
        .into(),
        ("nodedns_survivors", "state") => {
            [SurvivorsState::Watching, SurvivorsState::Frozen, SurvivorsState::Unknown, SurvivorsState::NotFit]
                .map(|state| word(serde_json::to_value(state)))
                .into()
        }
        ("ALERTS", "alertstate") => ["pending", "firing"].map(str::to_owned).into(),
        _ => BTreeSet::new(),
    }
}

/// Those that `nodedns help intents` explains, which are all; its test says so.
fn reasons() -> BTreeSet<String> {
    let topic = TOPICS.iter().find(|topic| topic.name == "intents").expect("the topic");
    let page = topic.page().render(10_000);
    let words = page.split(|c: char| !c.is_ascii_lowercase() && c != '_');
    words.map(str::to_owned).collect()
}

/// What stands in `{{ $labels.x }}`.
fn labels_of_template(template: &str) -> Vec<&str> {
    let parts = template.split("$labels.").skip(1);
    parts
        .map(|part| &part[..part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len())])
        .collect()
}

#[test]
fn the_rules_name_what_there_is() {
    let rules = rules();
    let known = Known::with_records(&rules);
    let mut mistakes = Vec::new();
    for rule in &rules {
        let expression = text(rule, "expr");
        let mut shown: Vec<_> = ["summary", "description"]
            .into_iter()
            .flat_map(|name| labels_of_template(text(&rule["annotations"], name)))
            .collect();
        shown.sort_unstable();
        let found = known.mistakes(expression).into_iter().chain(known.not_shown(expression, &shown));
        mistakes.extend(found.map(|mistake| format!("{}{}: {mistake}", text(rule, "alert"), text(rule, "record"))));
    }
    assert!(mistakes.is_empty(), "{mistakes:#?}");
    assert!(rules.len() > 20, "only {} rules", rules.len());
}

/// A person who is woken is told what to look at and what to type.
#[test]
fn every_alert_says_how_bad_it_is_and_what_to_type() {
    let mut names = BTreeSet::new();
    for alert in alerts() {
        let name = text(&alert, "alert");
        assert!(name.starts_with("Nodedns"), "{name}: NodednsUnhealthy tells the others by their names");
        assert!(names.insert(name.to_owned()), "{name} stands there twice");
        assert!(["critical", "warning"].contains(&text(&alert["labels"], "severity")), "{name}");
        assert!(text(&alert["annotations"], "summary").len() > 10, "{name} has no summary");
        let description = text(&alert["annotations"], "description");
        assert!(description.contains("'nodedns "), "{name} names no command to type: {description}");
    }
}

/// Each has a test of its own name, in which it does not fire at first and then does, and one that says
/// when it is quiet.
#[test]
fn every_alert_is_tested() {
    let tests: Vec<Value> = TESTS.iter().flat_map(|name| array(&yaml(name), "tests").to_vec()).collect();
    let fires = |check: &Value, name: &str| {
        array(check, "exp_samples").iter().any(|sample| text(sample, "labels").contains(&format!("\"{name}\"")))
    };
    for alert in alerts() {
        let name = text(&alert, "alert");
        let own = tests.iter().find(|test| text(test, "name") == name);
        let checks = array(own.unwrap_or_else(|| panic!("{name} has no test")), "promql_expr_test");
        let whole: Vec<_> = checks.iter().filter(|check| text(check, "expr").contains("ALERTS")).collect();
        let (Some(before), Some(after)) = (whole.first(), whole.get(1)) else { panic!("{name}: too few checks") };
        assert!(!fires(before, name), "{name} is not seen to wait");
        assert!(whole.iter().any(|check| fires(check, name)), "{name} is never seen to fire: {after}");
        let quiet = tests.iter().any(|test| {
            let title = text(test, "name");
            title.contains(name) && title.contains("quiet")
        });
        assert!(quiet, "{name} has no test of what looks like it");
    }
}

fn promtool(arguments: &[&str], directory: &Path) -> Option<Result<String, String>> {
    let output = match Command::new("promtool").args(arguments).current_dir(directory).output() {
        Ok(output) => output,
        Err(error) => {
            skip(&format!("promtool, of Debian's package prometheus, cannot be run: {error}"));
            return None;
        }
    };
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Some(if output.status.success() { Ok(said) } else { Err(said) })
}

#[test]
fn promtool_takes_the_rules_and_their_tests_pass() {
    let directory = path("packaging/prometheus");
    let name = |path: &'static str| Path::new(path).file_name().and_then(|name| name.to_str()).expect("a name");
    let Some(checked) = promtool(&["check", "rules", name(RULES)], &directory) else { return };
    assert!(checked.as_ref().is_ok_and(|said| said.contains("SUCCESS")), "{checked:?}");
    for tests in TESTS {
        let tested = promtool(&["test", "rules", name(tests)], &directory).expect("promtool is there");
        assert!(tested.is_ok(), "{}", tested.unwrap_err());
    }
}

/// Every panel but the headings.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    array(dashboard, "panels").iter().filter(|panel| text(panel, "type") != "row")
}

#[test]
fn the_dashboard_names_what_there_is() {
    let dashboard = dashboard();
    // It is of use without the rules, so it takes nothing that they record.
    let known = Known::metrics();
    let (mut mistakes, mut count) = (Vec::new(), 0);
    for panel in panels(&dashboard) {
        for target in array(panel, "targets") {
            count += 1;
            let expression = filled_in(text(target, "expr"));
            let legend = text(target, "legendFormat");
            let shown: Vec<_> =
                legend.split("{{").skip(1).map(|part| part.split("}}").next().unwrap_or_default().trim()).collect();
            let found = known.mistakes(&expression).into_iter().chain(known.not_shown(&expression, &shown));
            mistakes.extend(found.map(|mistake| format!("{}: {mistake}", text(panel, "title"))));
        }
    }
    for variable in array(&dashboard["templating"], "list").iter().filter(|variable| text(variable, "type") == "query")
    {
        let query = text(&variable["query"], "query");
        let inner = query.strip_prefix("label_values(").and_then(|query| query.strip_suffix(')'));
        let (expression, label) = inner.and_then(|inner| inner.rsplit_once(',')).expect("label_values(metric, label)");
        let expression = filled_in(expression);
        mistakes.extend(known.mistakes(&expression));
        mistakes.extend(known.not_shown(&expression, &[label.trim()]));
    }
    assert!(mistakes.is_empty(), "{mistakes:#?}");
    assert!(count > 40, "only {count} queries: the walk has lost its way");
}

#[test]
fn a_name_with_a_mistake_in_it_is_found() {
    let known = Known::metrics();
    for (expression, mistake) in [
        ("nodedns_helthy == 0", "no metric nodedns_helthy"),
        ("nodedns_route53_request_seconds", "no metric nodedns_route53_request_seconds"),
        ("nodedns_record_intent{reasons=\"keep_min\"}", "nodedns_record_intent has no label reasons"),
        ("nodedns_record_intent{reason=~\"keep_min|keep_max\"}", "reason of nodedns_record_intent is never keep_max"),
        ("sum by (nodes) (nodedns_node_info)", "no label nodes"),
        ("vector(1)", "no metric at all"),
    ] {
        assert_eq!(known.mistakes(expression), [mistake], "{expression}");
    }
    assert_eq!(known.mistakes("sum by (le) (rate(nodedns_route53_request_seconds_bucket[5m]))"), [""; 0]);
    assert_eq!(
        known.not_shown("nodedns_healthy", &labels_of_template("{{ $labels.instance }}: {{ $labels.node }}")).len(),
        1
    );
}

/// The expression as Grafana sends it.
fn filled_in(expression: &str) -> String {
    let mut expression = expression.to_owned();
    for (variable, value) in
        [("$cluster", ".*"), ("$node", ".*"), ("$__rate_interval", "4m"), ("$__interval", "1m"), ("$__range", "6h")]
    {
        expression = expression.replace(variable, value);
    }
    assert!(!expression.contains('$'), "an unknown variable: {expression}");
    expression
}

#[test]
fn promtool_takes_every_expression_of_the_dashboard() {
    let dashboard = dashboard();
    let mut rules = Vec::new();
    for panel in panels(&dashboard) {
        for target in array(panel, "targets") {
            let record = format!("panel:{}:{}", panel["id"], text(target, "refId"));
            rules.push(serde_json::json!({ "record": record, "expr": filled_in(text(target, "expr")) }));
        }
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = serde_json::json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    // JSON is YAML.
    fs::write(directory.path().join("dashboard.yml"), file.to_string()).expect("written");
    let Some(checked) = promtool(&["check", "rules", "dashboard.yml"], directory.path()) else { return };
    assert!(checked.as_ref().is_ok_and(|said| said.contains(&format!("{} rules found", rules.len()))), "{checked:?}");
}

/// What a Grafana user would trip over.
fn defects(dashboard: &Value) -> Vec<String> {
    let mut defects = Vec::new();
    let (mut ids, mut titles, mut squares) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for panel in array(dashboard, "panels") {
        let title = text(panel, "title");
        let mut defect = |what: &str| defects.push(format!("{title}: {what}"));
        if !panel["id"].as_u64().is_some_and(|id| ids.insert(id)) {
            defect("its id is not its own");
        }
        if title.is_empty() || !titles.insert(title) {
            defect("its title is not its own");
        }
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap_or(1_000);
        let (x, y, width, height) = (at("x"), at("y"), at("w"), at("h"));
        if x + width > 24 || width == 0 || height == 0 || height > 30 {
            defect("it does not fit into the grid");
            continue;
        }
        let own = (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y)));
        if own.filter(|square| !squares.insert(*square)).count() > 0 {
            defect("it lies over another one");
        }
        if text(panel, "type") == "row" {
            continue;
        }
        if text(panel, "description").len() < 20 {
            defect("it does not say what it shows");
        }
        if !panel["fieldConfig"]["defaults"]["unit"].is_string() {
            defect("it has no unit");
        }
        if array(panel, "targets").is_empty() {
            defect("it asks nothing");
        }
        let mut refs = BTreeSet::new();
        for target in array(panel, "targets") {
            if !refs.insert(text(target, "refId")) {
                defect("two queries have one refId");
            }
            if text(panel, "type") == "timeseries" && text(target, "legendFormat").is_empty() {
                defect("a query has no legend");
            }
            if !["$cluster", "$node"].iter().all(|variable| text(target, "expr").contains(variable)) {
                defect("a query leaves out a variable");
            }
        }
    }
    let variables: Vec<_> = array(&dashboard["templating"], "list").iter().map(|v| text(v, "name")).collect();
    if variables != ["datasource", "cluster", "node"] {
        defects.push(format!("the variables are {variables:?}"));
    }
    sources(dashboard, &mut defects);
    defects
}

/// Whoever imports the dashboard has other data sources than we.
fn sources(value: &Value, defects: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            if let Some(source) = map.get("datasource") {
                let uid = text(source, "uid");
                if !["${datasource}", "-- Grafana --"].contains(&uid) {
                    defects.push(format!("the data source is fixed: {source}"));
                }
            }
            map.values().for_each(|value| sources(value, defects));
        }
        Value::Array(values) => values.iter().for_each(|value| sources(value, defects)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_dashboard_is_without_defects() {
    let dashboard = dashboard();
    assert_eq!(defects(&dashboard), [""; 0]);
    assert!(panels(&dashboard).count() > 20);
    // Without an id, which is that of the Grafana it was made in, and with a uid, so that links to it last.
    assert!(dashboard["id"].is_null() && text(&dashboard, "uid") == "nodedns");
    // The schema of Grafana 10.0; newer ones migrate it.
    assert_eq!(dashboard["schemaVersion"], 38);
}

#[test]
fn a_defect_of_a_dashboard_is_found() {
    let good = dashboard();
    let last = array(&good, "panels").len() - 1;
    let before = array(&good, "panels")[last - 1].clone();
    for (place, value, defect) in [
        ("/id", before["id"].clone(), "its id is not its own"),
        ("/title", before["title"].clone(), "its title is not its own"),
        ("/gridPos", before["gridPos"].clone(), "it lies over another one"),
        ("/gridPos/w", 25.into(), "it does not fit into the grid"),
        ("/description", "".into(), "it does not say what it shows"),
        ("/fieldConfig/defaults/unit", Value::Null, "it has no unit"),
        ("/targets", Value::Array(Vec::new()), "it asks nothing"),
        ("/targets/0/legendFormat", "".into(), "a query has no legend"),
        ("/targets/0/refId", "B".into(), "two queries have one refId"),
        ("/targets/0/expr", "nodedns_healthy{node=~\"$node\"}".into(), "a query leaves out a variable"),
        ("/datasource/uid", "P1809F7CD0C75ACF3".into(), "the data source is fixed"),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(&format!("/panels/{last}{place}")).expect("it is there") = value;
        let found = defects(&bad);
        assert!(found.len() == 1 && found[0].contains(defect), "{place}: {found:?}");
    }
}
