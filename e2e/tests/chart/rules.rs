//! The alerts, checked by promtool.

use std::fs;

use e2e::chart::{Tools, directory, documents, repository};
use serde_json::{Value, json};

use crate::text;

/// Runs promtool, which must succeed.
fn promtool(args: &[&str]) -> String {
    let output = e2e::promtool::run(args, "").unwrap();
    let text = text(&output);
    assert!(output.status.success(), "promtool {}:\n{text}", args.join(" "));
    text
}

fn alerts() -> Vec<Value> {
    let text = fs::read_to_string(directory().join("alerts/closehaul.yaml")).unwrap();
    let rules = serde_saphyr::from_str::<Value>(&text).unwrap();
    rules["groups"][0]["rules"].as_array().unwrap().clone()
}

#[test]
fn alerts_fire_when_they_shall_and_not_otherwise() {
    let tests = "helm/closehaul/alerts/closehaul_test.yaml";
    let said = promtool(&["test", "rules", tests]);
    assert!(said.contains("SUCCESS"), "{said}");
    let tests = fs::read_to_string(repository().join(tests)).unwrap();
    let tests = serde_saphyr::from_str::<Value>(&tests).unwrap();
    let cases = tests["tests"].as_array().unwrap();
    let cases = cases.iter().flat_map(|test| test["alert_rule_test"].as_array().unwrap());
    let cases = cases.collect::<Vec<_>>();
    for alert in alerts() {
        let name = &alert["alert"];
        let of_it = cases.iter().filter(|case| case["alertname"] == *name);
        let fires = of_it.clone().any(|case| case["exp_alerts"] != json!([]));
        let rests = of_it.clone().any(|case| case["exp_alerts"] == json!([]));
        assert!(fires, "no test in which {name} fires");
        assert!(rests, "no test in which {name} does not fire");
    }
}

#[test]
fn the_chart_ships_the_alerts_that_are_tested() {
    let tools = Tools::ensure().unwrap();
    let values = "hostNetwork=false,prometheusRule.enabled=true";
    let args = ["--show-only", "templates/prometheusrule.yaml", "--set", values];
    let rule = documents(&tools.render("kube-system", &args).unwrap()).unwrap().remove(0);
    let mut shipped = rule["spec"]["groups"][0]["rules"].as_array().unwrap().clone();
    for alert in &mut shipped {
        let name = alert["alert"].as_str().unwrap().to_lowercase();
        let runbook = alert["annotations"].as_object_mut().unwrap().remove("runbook_url").unwrap();
        assert!(runbook.as_str().unwrap().ends_with(&format!("docs/alerts.md#{name}")));
    }
    assert_eq!(shipped, alerts());
    // The rule as Prometheus gets it from the operator.
    let file = std::env::temp_dir().join(format!("closehaul-rules-{}.json", std::process::id()));
    fs::write(&file, json!({"groups": rule["spec"]["groups"]}).to_string()).unwrap();
    promtool(&["check", "rules", &file.display().to_string()]);
    fs::remove_file(file).unwrap();
}

#[test]
fn the_documents_say_what_to_do_about_each_alert() {
    let text = fs::read_to_string(repository().join("docs/alerts.md")).unwrap();
    for alert in alerts() {
        let heading = format!("\n## {}\n", alert["alert"].as_str().unwrap());
        assert!(text.contains(&heading), "no `{}` in docs/alerts.md", heading.trim());
    }
}
