//! The types of the module and the rules of the daemon agree, as far as the JSON schema says them.

use serde_json::{Map, Value, json};

use super::{Nix, at};

/// Every word, and the least and the greatest number, that the schema of one key allows; and what it
/// does not allow, which is next to that.
fn edges(schema: &Value) -> (Vec<Value>, Vec<Value>) {
    let words = |list: &[Value], of: &dyn Fn(&Value) -> Value| list.iter().map(of).collect::<Vec<Value>>();
    if let Some(list) = schema["enum"].as_array() {
        return (list.clone(), vec![json!("no such word")]);
    }
    if let Some(list) = schema["oneOf"].as_array().filter(|list| list.iter().all(|one| one.get("const").is_some())) {
        return (words(list, &|one| one["const"].clone()), vec![json!("no such word")]);
    }
    if let Some(list) = schema["items"]["enum"].as_array() {
        return (words(list, &|one| json!([one])), vec![json!(["no such word"])]);
    }
    if schema["type"] == "integer" {
        let whole = |key: &str| schema[key].as_i64();
        let (least, greatest) = (whole("minimum"), whole("maximum"));
        let inside = [least, greatest].into_iter().flatten().map(Value::from).collect();
        let least = least.map(|n| n - 1);
        let greatest = greatest.map(|n| n + 1);
        return (inside, [least, greatest].into_iter().flatten().map(Value::from).collect());
    }
    match schema["type"].as_str() {
        Some("boolean") => (vec![json!(true), json!(false)], vec![json!("true")]),
        Some("string") => (Vec::new(), vec![json!(7)]),
        _ => (Vec::new(), Vec::new()),
    }
}

/// For each key of a table, the values that are allowed and those that are not, as such a table.
fn tables(schema: &Value) -> (Vec<Value>, Vec<Value>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
        let table = |value: Value| Value::Object(Map::from_iter([(key.clone(), value)]));
        let (inside, outside) = edges(schema);
        good.extend(inside.into_iter().map(table));
        bad.extend(outside.into_iter().map(table));
    }
    (good, bad)
}

/// What the module does not know by its type is left to the daemon.
const UNTYPED: [&str; 2] = ["control", "signals"];

#[test]
fn the_types_allow_what_the_daemon_allows() {
    let Some(nix) = Nix::find() else { return };
    let schema: Value = serde_json::from_str(&nodedns::config::reference::schema()).expect("JSON");
    let base = json!({ "cluster": "home", "record": [{ "name": "edge.example.com" }] });
    let (mut good, mut bad) = (Vec::new(), Vec::new());

    let with = |key: &str, value: Value| {
        let mut settings = base.clone();
        settings[key] = value;
        settings
    };
    for (key, schema) in at(&schema, "/properties").as_object().expect("keys") {
        if UNTYPED.contains(&key.as_str()) || key == "record" {
            continue;
        }
        let (inside, outside) = if schema["type"] == "object" { tables(schema) } else { edges(schema) };
        good.extend(inside.into_iter().map(|value| with(key, value)));
        bad.extend(outside.into_iter().map(|value| with(key, value)));
    }
    let record = at(&schema, "/properties/record/items");
    let named = |mut record: Value| {
        record["name"].is_null().then(|| record["name"] = json!("edge.example.com"));
        with("record", json!([record]))
    };
    let (inside, outside) = tables(record);
    good.extend(inside.into_iter().map(named));
    bad.extend(outside.into_iter().map(named));
    let (inside, outside) = tables(at(record, "/properties/routing"));
    good.extend(inside.into_iter().map(|routing| named(json!({ "routing": routing }))));
    bad.extend(outside.into_iter().map(|routing| named(json!({ "routing": routing }))));
    assert!(good.len() > 40 && bad.len() > 40, "{} and {}", good.len(), bad.len());

    // All of them at once: null where the module refuses.
    let made = |settings: &[Value]| -> Vec<Value> {
        let text = serde_json::to_string(settings).expect("JSON");
        let toml = "etc.\"nodedns/nodedns.toml\".source.environment.toml.toml";
        let made = nix.evaluate(&format!(
            "map (settings: let made = {} {{ {} configuration.services.nodedns = {{ enable = true; inherit settings; }}; }};
             tried = builtins.tryEval (builtins.deepSeq made.{toml} made.{toml}); in
             if tried.success then tried.value else null) (builtins.fromJSON {text:?})",
            "import ./tests/nix/eval.nix",
            super::real_lib(),
        ));
        made.unwrap_or_else(|why| panic!("{why}")).as_array().expect("a list").clone()
    };
    for (settings, made) in good.iter().zip(made(&good)) {
        assert_eq!(*settings, made, "what the daemon allows goes through as it is");
    }
    for (settings, made) in bad.iter().zip(made(&bad)) {
        assert_eq!(made, Value::Null, "the module lets through what the daemon refuses: {settings}");
    }
}
